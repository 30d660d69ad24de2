//! Does this broker send a message once, or once per matching subscription (3.3.5 allows both)?
//!
//! Calls share one connection, so their filters overlap, and a call must see each live message once. A copy looks just
//! like a second message with the same payload, so the broker's habit has to be learned: when a message comes whose
//! topic two or more of our filters match, the next PINGRESP shows whether copies of it came as well. One message
//! without copies settles that the broker sends single ones; several with copies say the opposite, for as long as no
//! message without copies disproves it. Until then what may be a copy is held back, and given out if it turns out to be
//! none.
//!
//! What this cannot tell apart: equal messages published within one round trip before anything else was learned.

use std::collections::VecDeque;
use std::time::Instant;

use super::wire::Publish;
use crate::clock::Now;
use crate::limits::{COPIES_EVIDENCE, COPIES_HELD_MAX_BYTES, COPIES_RECENT_MAX, COPIES_WINDOW};

/// What to do with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// It is a message of its own.
    Deliver,
    /// The same, and a PINGREQ would tell more: say its number to [`Copies::fence`].
    DeliverAndAsk,
    /// It is a copy, or may be one and is held back.
    Skip,
}

/// A message that may be a copy.
pub(super) struct Held {
    topic: String,
    payload: Vec<u8>,
    payload_bytes: usize,
    qos: u8,
    dup: bool,
    /// When it came.
    pub(super) now: Now,
}

/// What is known of the broker's habit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Habit {
    #[default]
    Unknown,
    Single,
    PerSubscription,
}

/// Learns the habit and applies it.
#[derive(Default)]
pub(super) struct Copies {
    habit: Habit,
    /// Messages that had all their copies.
    evidence: u32,
    recent: VecDeque<Recent>,
    held: Vec<Held>,
    held_bytes: usize,
    /// The message that was asked about, with the PINGREQ behind it.
    judged: Option<(Recent, Option<u64>)>,
}

struct Recent {
    mark: u64,
    seen: usize,
    subscriptions: usize,
    at: Instant,
}

impl Copies {
    /// A live message that `subscriptions` filters match, at least two; `mark` is the same for equal topic and payload.
    pub(super) fn arrived(&mut self, now: Now, message: &Publish<'_>, mark: u64, subscriptions: usize) -> Decision {
        if self.habit == Habit::Single {
            return Decision::Deliver;
        }
        let is_copy = |recent: &&mut Recent| {
            recent.mark == mark && recent.seen < recent.subscriptions && now.at - recent.at < COPIES_WINDOW
        };
        let judged = self.judged.as_mut().map(|(judged, _)| judged);
        if let Some(recent) = self.recent.iter_mut().rev().chain(judged).find(is_copy) {
            recent.seen += 1;
            // Beyond the bound, and until there is proof, a message too many is better than one lost.
            let skip = self.habit == Habit::PerSubscription || self.hold(now, message);
            return if skip { Decision::Skip } else { Decision::Deliver };
        }
        let fresh = Recent { mark, seen: 1, subscriptions, at: now.at };
        if self.judged.is_none() {
            self.judged = Some((fresh, None));
            return Decision::DeliverAndAsk;
        }
        if self.recent.len() >= COPIES_RECENT_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(fresh);
        Decision::Deliver
    }

    /// The PINGREQ behind the last message has this number.
    pub(super) fn fence(&mut self, ping: u64) {
        self.judged.iter_mut().for_each(|(_, fence)| *fence = Some(ping));
    }

    /// A PINGRESP came. Returns messages that were held back and turned out to be no copies.
    pub(super) fn answered(&mut self, pongs: u64) -> Vec<Held> {
        let is_answered = |(_, fence): &mut (Recent, Option<u64>)| fence.is_some_and(|fence| fence <= pongs);
        let Some((judged, _)) = self.judged.take_if(is_answered) else { return Vec::new() };
        if judged.seen < judged.subscriptions {
            self.settle(Habit::Single)
        } else {
            self.evidence += 1;
            let settled = self.evidence == COPIES_EVIDENCE;
            if settled { self.settle(Habit::PerSubscription) } else { Vec::new() }
        }
    }

    /// The connection is gone; what was learned stays.
    pub(super) fn connection_lost(&mut self) {
        self.recent.clear();
        self.judged = None;
        self.held = Vec::new();
        self.held_bytes = 0;
    }

    /// Holds a message back; false when there is no room.
    fn hold(&mut self, now: Now, message: &Publish<'_>) -> bool {
        let bytes = message.topic.len() + message.payload.len() + size_of::<Held>();
        if self.held_bytes + bytes > COPIES_HELD_MAX_BYTES {
            return false;
        }
        self.held_bytes += bytes;
        self.held.push(Held {
            topic: message.topic.to_owned(),
            payload: message.payload.to_vec(),
            payload_bytes: message.payload_bytes,
            qos: message.qos,
            dup: message.dup,
            now,
        });
        true
    }

    fn settle(&mut self, habit: Habit) -> Vec<Held> {
        log::info!(
            "the broker sends {}",
            if habit == Habit::Single { "single messages" } else { "one copy per subscription" }
        );
        self.habit = habit;
        self.held_bytes = 0;
        let held = std::mem::take(&mut self.held);
        if habit == Habit::Single { held } else { Vec::new() }
    }
}

impl Held {
    /// The message as it came.
    pub(super) fn message(&self) -> Publish<'_> {
        Publish {
            topic: &self.topic,
            payload: &self.payload,
            payload_bytes: self.payload_bytes,
            qos: self.qos,
            pid: None,
            retain: false,
            dup: self.dup,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Play {
        copies: Copies,
        now: Now,
        pings: u64,
    }

    impl Play {
        fn new() -> Self {
            Self { copies: Copies::default(), now: Now { at: Instant::now(), unix_ms: 0 }, pings: 0 }
        }

        /// Whether a message with this content is delivered at once.
        fn send(&mut self, mark: u64) -> bool {
            let message =
                Publish { topic: "t", payload: b"x", payload_bytes: 1, qos: 0, pid: None, retain: false, dup: false };
            match self.copies.arrived(self.now, &message, mark, 2) {
                Decision::Skip => false,
                Decision::Deliver => true,
                Decision::DeliverAndAsk => {
                    self.pings += 1;
                    self.copies.fence(self.pings);
                    true
                }
            }
        }

        fn pong(&mut self) -> usize {
            self.copies.answered(self.pings).len()
        }
    }

    #[test]
    fn a_message_without_copies_settles_that_all_are_their_own() {
        let mut play = Play::new();
        assert!(play.send(1));
        assert!(play.send(2) && !play.send(2));
        assert_eq!(play.pong(), 1, "what was held back is given out");
        assert!(play.send(3) && play.send(3) && play.send(3));
    }

    #[test]
    fn a_broker_that_sends_copies_is_found_out_and_each_message_is_delivered_once() {
        let mut play = Play::new();
        for mark in 0..50 {
            assert!(play.send(mark), "{mark}");
            assert!(!play.send(mark), "{mark}");
            assert_eq!(play.pong(), 0);
        }
        assert_eq!(play.copies.habit, Habit::PerSubscription);
        assert!(play.send(7) && !play.send(7), "the same content later is a new message with its copy");
    }

    #[test]
    fn a_copy_that_never_came_does_not_swallow_a_later_message_for_long() {
        let mut play = Play::new();
        for mark in 0..u64::from(COPIES_EVIDENCE) {
            assert!(play.send(mark) && !play.send(mark));
            play.pong();
        }
        assert!(play.send(9));
        play.now = play.now.plus(COPIES_WINDOW);
        assert!(play.send(9));
    }

    #[test]
    fn a_publisher_that_repeated_itself_is_not_mistaken_for_long() {
        let mut play = Play::new();
        for mark in 0..u64::from(COPIES_EVIDENCE) {
            play.send(mark);
            play.send(mark);
            play.pong();
        }
        assert_eq!(play.copies.habit, Habit::PerSubscription);
        assert!(play.send(100));
        play.pong();
        assert_eq!(play.copies.habit, Habit::Single);
        assert!(play.send(101) && play.send(101));
    }

    #[test]
    fn what_is_held_back_is_bounded() {
        let mut play = Play::new();
        for mark in 0..100_000 {
            play.send(mark);
            play.send(mark);
            assert!(play.copies.held_bytes <= COPIES_HELD_MAX_BYTES && play.copies.recent.len() <= COPIES_RECENT_MAX);
        }
    }
}
