//! What running calls see of a session's stream. Calls share one connection, so each capture decides by itself what is
//! its own: live messages that match its filter, and each retained message once, whoever's SUBSCRIBE made the broker
//! send it. After a lost connection a retained message is new when it is not what its topic said last.

use std::cell::RefCell;
use std::hash::{BuildHasher, RandomState};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Instant;

use super::policy::Policy;
use super::seen::Seen;
use super::topic;
use super::wire::Publish;
use crate::clock::{Now, Timestamp};
use crate::limits::{HELD_DEFAULT_BYTES, INTERRUPTIONS_MAX, MARK_PREFIX_BYTES, RETAINED_QUIET, RETAINED_SEEN_MAX};

/// Keeps what a call needs of the messages, bounded, and counts the rest.
pub trait Recorder {
    /// Takes a message; [`Flow::Enough`] ends the capture.
    fn record(&mut self, message: &Publish<'_>, now: Now) -> Flow;
    /// How much of a payload is worth keeping.
    fn wanted_payload_bytes(&self) -> usize;
    /// The most that it holds of all messages.
    fn holds_max_bytes(&self) -> usize {
        HELD_DEFAULT_BYTES
    }
}

/// Whether a recorder wants more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Go on.
    More,
    /// Go on; it had a message on that topic before.
    Known,
    /// Go on, and let the call look at what came.
    Look,
    /// This message was the last one.
    Enough,
}

/// Which messages a capture takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retained {
    /// Retained and live ones.
    Include,
    /// Live ones.
    Exclude,
    /// Retained ones, and it is done when the broker has sent them.
    Only,
}

/// What the broker said to the subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// No SUBACK yet on this connection.
    Waiting,
    /// Granted with this QoS.
    Granted(u8),
    /// SUBACK 0x80.
    Rejected,
}

/// A time without connection while a capture ran. `to` is missing while it lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Interruption {
    /// When the connection was lost.
    pub from: Timestamp,
    /// When the subscription was in force again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Timestamp>,
}

/// Names a capture until it is released.
pub type CaptureId = u64;

/// A filter with the recorder of the call that wants it.
pub struct Capture {
    /// Its name.
    pub id: CaptureId,
    /// What it subscribes to.
    pub filter: Rc<str>,
    /// What its messages' topics match: of a shared subscription the filter behind `$share/group/`. The broker then
    /// gives each message to one client of the group, so this capture sees a part, and no retained messages.
    pattern: Rc<str>,
    /// The QoS it asks for.
    pub qos: u8,
    /// Which messages it takes.
    pub retained: Retained,
    /// What the broker said, ever: a lost connection does not take it back.
    pub grant: Grant,
    /// Its recorder has enough, or its retained messages are complete.
    pub done: bool,
    /// Its recorder panicked.
    pub broken: bool,
    /// Gaps in the connection.
    pub interruptions: Vec<Interruption>,
    /// The SUBSCRIBE whose SUBACK it waits for.
    pub(super) waits_for: Option<u16>,
    pub(super) burst: Burst,
    recorder: Rc<RefCell<dyn Recorder>>,
    /// What topics with a retained message said last, sorted: the upper half marks the topic, the lower one the message.
    seen: Vec<u64>,
    /// Another capture made the broker send retained messages again that match this filter.
    foreign: bool,
}

/// Whether the broker may still be sending retained messages for this capture's own SUBSCRIBE.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Burst {
    /// Until this PINGRESP has come back and nothing retained has arrived for a while.
    Open {
        fence: Option<u64>,
        last: Instant,
    },
    Closed,
}

/// The captures of a session.
#[derive(Default)]
pub struct Captures {
    list: Vec<Capture>,
    next_id: CaptureId,
    hasher: RandomState,
    /// Present when it hides some messages.
    policy: Option<Rc<Policy>>,
    hidden: u64,
    seen: Seen,
}

impl Captures {
    /// From now on messages that `policy` hides are dropped before any capture sees them.
    pub fn obey(&mut self, policy: &Rc<Policy>) {
        self.policy = policy.hides_some().then(|| policy.clone());
    }

    /// How many messages the policy hid.
    pub fn hidden(&self) -> u64 {
        self.hidden
    }

    fn hides(&self, topic: &str) -> bool {
        self.policy.as_ref().is_some_and(|policy| policy.hides(topic))
    }

    /// Adds a capture that waits for SUBACK.
    pub fn add(
        &mut self,
        now: Now,
        filter: &str,
        qos: u8,
        retained: Retained,
        recorder: Rc<RefCell<dyn Recorder>>,
    ) -> CaptureId {
        self.next_id += 1;
        let filter: Rc<str> = filter.into();
        self.list.push(Capture {
            id: self.next_id,
            pattern: topic::shared(&filter).map_or_else(|| filter.clone(), Rc::from),
            filter,
            qos,
            retained,
            grant: Grant::Waiting,
            done: false,
            broken: false,
            interruptions: Vec::new(),
            waits_for: None,
            burst: Burst::Open { fence: None, last: now.at },
            recorder,
            seen: Vec::new(),
            foreign: false,
        });
        self.next_id
    }

    /// The capture of that name.
    pub fn get(&self, id: CaptureId) -> Option<&Capture> {
        self.list.iter().find(|capture| capture.id == id)
    }

    pub(super) fn get_mut(&mut self, id: CaptureId) -> Option<&mut Capture> {
        self.list.iter_mut().find(|capture| capture.id == id)
    }

    /// Takes a capture out.
    pub fn remove(&mut self, id: CaptureId) -> Option<Capture> {
        let index = self.list.iter().position(|capture| capture.id == id)?;
        Some(self.list.remove(index))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Capture> {
        self.list.iter_mut()
    }

    /// All of them, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Capture> {
        self.list.iter()
    }

    /// How much payload of a message on `topic` is worth keeping.
    pub fn wanted_payload_bytes(&self, topic: &str) -> usize {
        if self.hides(topic) {
            return 0;
        }
        let matching = self.list.iter().filter(|capture| capture.takes(topic));
        matching.map(|capture| capture.recorder.borrow().wanted_payload_bytes()).max().unwrap_or(0)
    }

    /// Gives a message to those it is for. True when a call wants to know of it at once.
    pub fn dispatch(&mut self, message: &Publish<'_>, now: Now) -> bool {
        if self.hides(message.topic) {
            self.hidden += 1;
            return false;
        }
        let (mut wanted, mut is_new) = (false, false);
        let (mut topic, mut mark) = (None, None);
        for capture in self.list.iter_mut().filter(|capture| capture.takes(message.topic)) {
            let taken = match (message.retain, capture.retained) {
                (true, _) => capture.awaits_retained(now.at),
                (false, wanted) => wanted != Retained::Only,
            };
            // Hashed only where it is remembered.
            let mut is_news = || {
                if !message.retain && capture.seen.is_empty() {
                    return true;
                }
                let topic = *topic.get_or_insert_with(|| self.hasher.hash_one(message.topic) & TOPIC_BITS);
                let mark = || *mark.get_or_insert_with(|| fingerprint(&self.hasher, message) & !TOPIC_BITS);
                capture.is_news(topic, mark, message.retain)
            };
            let taken = taken && (is_news() || !message.retain);
            if taken {
                let flow = capture.record(message, now);
                wanted |= matches!(flow, Flow::Look | Flow::Enough);
                is_new |= flow != Flow::Known;
            }
        }
        if is_new {
            self.seen.note(message.topic);
        }
        wanted
    }

    /// Topics on which a capture was given something.
    pub fn topics_seen(&self) -> impl Iterator<Item = &str> {
        self.seen.iter()
    }

    /// The same for messages of the same topic and content.
    pub(super) fn fingerprint(&self, message: &Publish<'_>) -> u64 {
        fingerprint(&self.hasher, message)
    }

    /// A SUBSCRIBE for `filter` goes out: retained messages come again to all whose filters overlap.
    pub(super) fn note_subscribe(&mut self, filter: &str) {
        for capture in self.list.iter_mut().filter(|capture| topic::overlap(&capture.filter, filter)) {
            capture.foreign = true;
        }
    }

    /// A round trip is done: from now on it must be quiet for a while.
    pub(super) fn note_pong(&mut self, pongs: u64, now: Instant) {
        for capture in &mut self.list {
            if let Burst::Open { fence: Some(fence), last } = &mut capture.burst
                && *fence == pongs
            {
                *last = now;
            }
        }
    }

    /// Ends the retained phase of captures for which nothing retained has come for a while; true when there was one.
    pub(super) fn close_bursts(&mut self, pongs: u64, now: Instant) -> bool {
        let mut any = false;
        for capture in self.list.iter_mut().filter(|capture| capture.quiet_at(pongs).is_some_and(|at| at <= now)) {
            capture.close_burst();
            any = true;
        }
        any
    }

    /// When [`Captures::close_bursts`] may have something to end.
    pub(super) fn next_quiet(&self, pongs: u64) -> Option<Instant> {
        self.list.iter().filter_map(|capture| capture.quiet_at(pongs)).min()
    }
}

/// Of [`Capture::seen`].
const TOPIC_BITS: u64 = !0 << 32;

fn fingerprint(hasher: &RandomState, message: &Publish<'_>) -> u64 {
    // The same for a packet that came in one piece and one that was cut while it was read.
    let prefix = &message.payload[..message.payload.len().min(MARK_PREFIX_BYTES)];
    hasher.hash_one((message.topic, prefix, message.payload_bytes))
}

impl Capture {
    fn takes(&self, topic: &str) -> bool {
        !self.done && self.grant != Grant::Rejected && topic::matches(&self.pattern, topic)
    }

    fn awaits_retained(&mut self, now: Instant) -> bool {
        if self.retained == Retained::Exclude {
            return false;
        }
        match &mut self.burst {
            Burst::Open { last, .. } => *last = now,
            Burst::Closed if self.foreign => return false,
            Burst::Closed => {}
        }
        true
    }

    /// Whether a message is another one than the last on its topic, which is remembered where that was retained.
    fn is_news(&mut self, topic: u64, mark: impl FnOnce() -> u64, is_retained: bool) -> bool {
        let index = self.seen.partition_point(|known| *known < topic);
        match self.seen.get_mut(index).filter(|known| **known & TOPIC_BITS == topic) {
            Some(known) => {
                let last = topic | mark();
                std::mem::replace(known, last) != last
            }
            None => {
                if is_retained && self.seen.len() < RETAINED_SEEN_MAX {
                    self.seen.insert(index, topic | mark());
                }
                true
            }
        }
    }

    fn record(&mut self, message: &Publish<'_>, now: Now) -> Flow {
        // A panic in a recorder is a bug of one call; the session and its other calls go on.
        let recorded = catch_unwind(AssertUnwindSafe(|| self.recorder.borrow_mut().record(message, now)));
        self.broken |= recorded.is_err();
        let flow = recorded.unwrap_or(Flow::Enough);
        self.done |= flow == Flow::Enough;
        flow
    }

    /// A SUBSCRIBE for this capture goes out: retained messages are expected.
    pub(super) fn subscribed(&mut self, now: Now, pid: u16) {
        self.waits_for = Some(pid);
        self.burst = Burst::Open { fence: None, last: now.at };
        self.foreign = false;
    }

    /// The subscription is in force.
    pub(super) fn granted(&mut self, now: Now, qos: u8, fence: Option<u64>) {
        self.waits_for = None;
        self.grant = Grant::Granted(qos);
        self.burst = match fence {
            Some(_) => Burst::Open { fence, last: now.at },
            None => Burst::Closed,
        };
        if let Some(last) = self.interruptions.last_mut() {
            last.to.get_or_insert(now.timestamp());
        }
    }

    /// The connection was lost.
    pub(super) fn interrupted(&mut self, now: Now) {
        self.waits_for = None;
        if self.interruptions.last().is_some_and(|last| last.to.is_none()) {
            return;
        }
        if self.interruptions.len() < INTERRUPTIONS_MAX {
            self.interruptions.push(Interruption { from: now.timestamp(), to: None });
        } else if let Some(last) = self.interruptions.last_mut() {
            last.to = None;
        }
    }

    /// When the retained messages may be complete; `None` while that cannot be said.
    fn quiet_at(&self, pongs: u64) -> Option<Instant> {
        match self.burst {
            Burst::Open { fence: Some(fence), last } if fence <= pongs => Some(last + RETAINED_QUIET),
            _ => None,
        }
    }

    /// The retained messages are complete.
    fn close_burst(&mut self) {
        self.burst = Burst::Closed;
        self.done |= self.retained == Retained::Only;
    }

    /// Whether the retained messages of its own SUBSCRIBE are complete.
    pub fn retained_complete(&self) -> bool {
        self.burst == Burst::Closed
    }
}
