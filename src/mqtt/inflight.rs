//! Publishes from the call that asks to the acknowledgement that ends them: a queue in order, a bounded number in
//! flight, and an honest word on each one's fate.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::outbox::Outbox;
use super::wire::{self, Control};
use crate::limits::{INFLIGHT_MAX, PUBLISH_QUEUE_MAX, UNSENT_MAX_BYTES};

/// A message to publish.
#[derive(Debug)]
pub struct Publish {
    /// A valid topic name.
    pub topic: String,
    /// The payload.
    pub payload: Rc<[u8]>,
    /// 0, 1 or 2.
    pub qos: u8,
    /// Whether the broker keeps it.
    pub retain: bool,
}

/// Names a publish until it is forgotten.
pub type Ticket = u64;

/// How far a publish is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fate {
    /// No byte of it was sent.
    Waiting,
    /// Sent, perhaps again after a reconnect, and not acknowledged yet.
    InFlight {
        /// Whether it was sent again.
        resent: bool,
    },
    /// QoS 0: handed to the network. QoS 1 and 2: acknowledged after this round trip.
    Done {
        /// From the first sending to the acknowledgement.
        round_trip: Option<Duration>,
        /// Whether it was sent again.
        resent: bool,
    },
    /// The connection was lost before the acknowledgement, and sending again could deliver it twice.
    Unknown {
        /// Whether it was sent again before that.
        resent: bool,
    },
}

/// All publishes of a session.
#[derive(Default)]
pub struct Outbound {
    waiting: VecDeque<Flight>,
    /// In the order in which they were first sent.
    flying: Vec<Flight>,
    ended: Vec<(Ticket, Fate)>,
    next_ticket: Ticket,
    next_pid: u16,
}

struct Flight {
    ticket: Ticket,
    message: Publish,
    stage: Stage,
    pid: u16,
    sent_at: Option<Instant>,
    resent: bool,
    /// Nobody waits for its end any more.
    abandoned: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Stage {
    Waiting,
    /// QoS 0: its bytes stand between these positions of the outbox.
    Writing {
        from: u64,
        to: u64,
    },
    Puback,
    Pubrec,
    Pubcomp,
}

impl Outbound {
    /// Takes a message into the queue; `None` when too many wait already.
    pub fn push(&mut self, message: Publish) -> Option<Ticket> {
        if self.waiting.len() >= PUBLISH_QUEUE_MAX {
            return None;
        }
        self.next_ticket += 1;
        let ticket = self.next_ticket;
        let stage = Stage::Waiting;
        self.waiting.push_back(Flight {
            ticket,
            message,
            stage,
            pid: 0,
            sent_at: None,
            resent: false,
            abandoned: false,
        });
        Some(ticket)
    }

    /// How far a publish is.
    pub fn fate(&self, ticket: Ticket) -> Fate {
        if let Some((_, fate)) = self.ended.iter().find(|(ended, _)| *ended == ticket) {
            return *fate;
        }
        match self.flying.iter().find(|flight| flight.ticket == ticket) {
            Some(flight) => Fate::InFlight { resent: flight.resent },
            None => Fate::Waiting,
        }
    }

    /// Nobody asks for this publish any more. One that was not sent never will be; one in flight runs to its end.
    pub fn forget(&mut self, ticket: Ticket) {
        self.ended.retain(|(ended, _)| *ended != ticket);
        self.waiting.retain(|flight| flight.ticket != ticket);
        if let Some(flight) = self.flying.iter_mut().find(|flight| flight.ticket == ticket) {
            flight.abandoned = true;
        }
    }

    /// Starts what may start: in order, within the limits. Returns how many messages were handed to the outbox.
    pub fn start(&mut self, now: Instant, outbox: &mut Outbox, pid_taken: impl Fn(u16) -> bool) -> u64 {
        let mut started = 0;
        while outbox.unsent_bytes() < UNSENT_MAX_BYTES as u64 {
            let acknowledged = self.flying.iter().filter(|flight| flight.message.qos > 0).count();
            if self.waiting.front().is_none_or(|flight| flight.message.qos > 0 && acknowledged >= INFLIGHT_MAX) {
                break;
            }
            let Some(mut flight) = self.waiting.pop_front() else { break };
            if flight.message.qos > 0 {
                flight.pid = self.free_pid(&pid_taken);
            }
            flight.send(now, outbox);
            self.flying.push(flight);
            started += 1;
        }
        started
    }

    /// Bytes were written: QoS 0 messages may be done. True when one is.
    pub fn written(&mut self, position: u64) -> bool {
        let before = self.flying.len();
        let ended = &mut self.ended;
        self.flying.retain(|flight| match flight.stage {
            Stage::Writing { to, .. } if to <= position => {
                flight.end(ended, Fate::Done { round_trip: None, resent: false });
                false
            }
            _ => true,
        });
        self.flying.len() < before
    }

    /// PUBACK or PUBCOMP. False when nothing waited for it.
    pub fn acknowledged(&mut self, now: Instant, pid: u16, by: Acknowledgement) -> bool {
        let wanted = match by {
            Acknowledgement::Puback => Stage::Puback,
            // A broker that skips PUBREC, or a PUBREL answered after a reconnect, ends it as well.
            Acknowledgement::Pubcomp => Stage::Pubcomp,
        };
        let Some(index) = self.flying.iter().position(|flight| flight.pid == pid && flight.stage == wanted) else {
            return false;
        };
        let flight = self.flying.remove(index);
        let round_trip = flight.sent_at.map(|sent| now - sent);
        flight.end(&mut self.ended, Fate::Done { round_trip, resent: flight.resent });
        true
    }

    /// PUBREC: from now on PUBREL is what is sent (4.3.3). False when nothing waited for it.
    pub fn received(&mut self, pid: u16, outbox: &mut Outbox) -> bool {
        let waits = |flight: &&mut Flight| flight.pid == pid && matches!(flight.stage, Stage::Pubrec | Stage::Pubcomp);
        let flight = self.flying.iter_mut().find(waits);
        outbox.push(|out| wire::control(out, Control::Pubrel(pid)));
        flight.map(|flight| flight.stage = Stage::Pubcomp).is_some()
    }

    /// The connection is gone. QoS 0 messages of which nothing was written wait again, in their order.
    pub fn connection_lost(&mut self, written: u64) {
        let (unsent, flying) = std::mem::take(&mut self.flying)
            .into_iter()
            .partition(|flight| matches!(flight.stage, Stage::Writing { from, .. } if from >= written));
        self.flying = flying;
        let unsent: Vec<Flight> = unsent;
        for mut flight in unsent.into_iter().rev().filter(|flight| !flight.abandoned) {
            flight.stage = Stage::Waiting;
            self.waiting.push_front(flight);
        }
        let ended = &mut self.ended;
        self.flying.retain(|flight| {
            let torn = matches!(flight.stage, Stage::Writing { .. });
            if torn {
                flight.end(ended, Fate::Unknown { resent: false });
            }
            !torn
        });
    }

    /// Connected again. A kept session gets everything again (4.4). A new one knows nothing of us: QoS 1 is sent again,
    /// QoS 2 must not be, since it may have been delivered.
    pub fn resume(&mut self, now: Instant, session_present: bool, outbox: &mut Outbox) -> u64 {
        let ended = &mut self.ended;
        self.flying.retain(|flight| {
            let keep = session_present || (flight.message.qos == 1 && !flight.abandoned);
            if !keep {
                flight.end(ended, Fate::Unknown { resent: flight.resent });
            }
            keep
        });
        let mut sent = 0;
        for flight in &mut self.flying {
            flight.resent = true;
            if flight.stage == Stage::Pubcomp {
                outbox.push(|out| wire::control(out, Control::Pubrel(flight.pid)));
            } else {
                flight.send(now, outbox);
                sent += 1;
            }
        }
        sent
    }

    /// Whether anything in flight waits for the broker's word.
    pub fn awaits_acknowledgement(&self) -> bool {
        self.flying.iter().any(|flight| flight.pid != 0)
    }

    /// Whether a publish in flight uses this packet id.
    pub fn uses_pid(&self, pid: u16) -> bool {
        self.flying.iter().any(|flight| flight.pid == pid)
    }

    /// The next packet id that neither a publish nor `taken` uses; never 0 (2.3.1).
    pub fn free_pid(&mut self, taken: impl Fn(u16) -> bool) -> u16 {
        loop {
            self.next_pid = self.next_pid.checked_add(1).unwrap_or(1);
            if !self.uses_pid(self.next_pid) && !taken(self.next_pid) {
                return self.next_pid;
            }
        }
    }
}

/// What ends a publish.
#[derive(Clone, Copy, Debug)]
pub enum Acknowledgement {
    /// QoS 1.
    Puback,
    /// QoS 2.
    Pubcomp,
}

impl Flight {
    /// Appends the PUBLISH, with DUP when it was sent before.
    fn send(&mut self, now: Instant, outbox: &mut Outbox) {
        let Publish { topic, payload, qos, retain } = &self.message;
        let from = outbox.enqueued();
        let dup = self.resent && *qos > 0;
        outbox.push(|out| wire::publish_head(out, topic, *qos, self.pid, *retain, dup, payload.len()));
        outbox.push_shared(payload.clone());
        self.sent_at.get_or_insert(now);
        self.stage = match qos {
            0 => Stage::Writing { from, to: outbox.enqueued() },
            1 => Stage::Puback,
            _ => Stage::Pubrec,
        };
    }

    fn end(&self, ended: &mut Vec<(Ticket, Fate)>, fate: Fate) {
        if !self.abandoned {
            ended.push((self.ticket, fate));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(qos: u8, payload: &str) -> Publish {
        Publish { topic: "t".into(), payload: Rc::from(payload.as_bytes()), qos, retain: false }
    }

    fn sent(outbox: &mut Outbox) -> Vec<u8> {
        let mut bytes = Vec::new();
        while outbox.unsent_bytes() > 0 {
            let front = outbox.front().to_vec();
            outbox.wrote(front.len());
            bytes.extend(front);
        }
        bytes
    }

    #[test]
    fn the_number_in_flight_is_bounded_and_order_is_kept() {
        let (mut outbound, mut outbox, now) = (Outbound::default(), Outbox::default(), Instant::now());
        for _ in 0..INFLIGHT_MAX + 2 {
            outbound.push(message(1, "x")).expect("room");
        }
        let last = outbound.push(message(0, "behind")).expect("room");
        assert_eq!(outbound.start(now, &mut outbox, |_| false), INFLIGHT_MAX as u64);
        assert_eq!(outbound.fate(last), Fate::Waiting, "a QoS 0 message does not overtake");
        assert!(outbound.acknowledged(now, 1, Acknowledgement::Puback));
        assert!(!outbound.acknowledged(now, 1, Acknowledgement::Puback), "twice is unknown");
        assert_eq!(outbound.start(now, &mut outbox, |_| false), 1);
    }

    #[test]
    fn the_queue_is_bounded() {
        let mut outbound = Outbound::default();
        for _ in 0..PUBLISH_QUEUE_MAX {
            assert!(outbound.push(message(0, "x")).is_some());
        }
        assert!(outbound.push(message(0, "x")).is_none());
    }

    #[test]
    fn qos_0_is_done_when_its_last_byte_is_written() {
        let (mut outbound, mut outbox) = (Outbound::default(), Outbox::default());
        let ticket = outbound.push(message(0, "hello")).expect("room");
        outbound.start(Instant::now(), &mut outbox, |_| false);
        let end = outbox.enqueued();
        assert!(!outbound.written(end - 1));
        assert!(outbound.written(end));
        assert_eq!(outbound.fate(ticket), Fate::Done { round_trip: None, resent: false });
    }

    #[test]
    fn qos_0_of_which_nothing_was_written_waits_for_the_next_connection_and_a_torn_one_is_unknown() {
        let (mut outbound, mut outbox) = (Outbound::default(), Outbox::default());
        let torn = outbound.push(message(0, "first")).expect("room");
        let whole = outbound.push(message(0, "second")).expect("room");
        outbound.start(Instant::now(), &mut outbox, |_| false);
        outbox.wrote(2);
        outbound.connection_lost(outbox.written());
        assert_eq!(outbound.fate(torn), Fate::Unknown { resent: false });
        assert_eq!(outbound.fate(whole), Fate::Waiting);
    }

    #[test]
    fn a_kept_session_gets_unacknowledged_publishes_again_with_dup_in_order() {
        let (mut outbound, mut outbox, now) = (Outbound::default(), Outbox::default(), Instant::now());
        for qos in [1, 2, 2] {
            outbound.push(message(qos, "x")).expect("room");
        }
        outbound.start(now, &mut outbox, |_| false);
        assert!(outbound.received(3, &mut outbox));
        sent(&mut outbox);
        outbound.connection_lost(outbox.written());
        outbound.resume(now, true, &mut outbox);
        let mut expected = Vec::new();
        wire::publish_head(&mut expected, "t", 1, 1, false, true, 1);
        expected.push(b'x');
        wire::publish_head(&mut expected, "t", 2, 2, false, true, 1);
        expected.push(b'x');
        wire::control(&mut expected, Control::Pubrel(3));
        assert_eq!(sent(&mut outbox), expected);
    }

    #[test]
    fn in_a_new_session_qos_1_is_sent_again_and_qos_2_is_unknown() {
        let (mut outbound, mut outbox, now) = (Outbound::default(), Outbox::default(), Instant::now());
        let one = outbound.push(message(1, "x")).expect("room");
        let two = outbound.push(message(2, "x")).expect("room");
        outbound.start(now, &mut outbox, |_| false);
        sent(&mut outbox);
        outbound.connection_lost(outbox.written());
        assert_eq!(outbound.resume(now, false, &mut outbox), 1);
        assert_eq!(outbound.fate(one), Fate::InFlight { resent: true });
        assert_eq!(outbound.fate(two), Fate::Unknown { resent: false });
    }

    #[test]
    fn a_forgotten_publish_that_was_not_sent_never_is() {
        let (mut outbound, mut outbox, now) = (Outbound::default(), Outbox::default(), Instant::now());
        let ticket = outbound.push(message(1, "x")).expect("room");
        outbound.forget(ticket);
        assert_eq!(outbound.start(now, &mut outbox, |_| false), 0);
        let ticket = outbound.push(message(1, "x")).expect("room");
        outbound.start(now, &mut outbox, |_| false);
        outbound.forget(ticket);
        outbound.connection_lost(outbox.written());
        assert_eq!(outbound.resume(now, false, &mut outbox), 0, "nobody asks for it any more");
    }

    #[test]
    fn packet_ids_are_never_zero_and_never_shared() {
        let mut outbound = Outbound { next_pid: u16::MAX, ..Outbound::default() };
        assert_eq!(outbound.free_pid(|pid| pid == 1), 2);
    }
}
