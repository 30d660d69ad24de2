//! Watches: bounded records that fill in the background of a session, so that nothing is missed between calls.

use std::cell::RefCell;
use std::rc::Rc;

use super::failure::Failure;
use super::listen::Listening;
use super::message::facts_of;
use crate::analysis::payload;
use crate::analysis::ring::Ring;
use crate::clock::{Now, Timestamp};
use crate::limits::{WATCH_MAX_BYTES, WATCH_PAYLOAD_MAX_BYTES};
use crate::mqtt::capture::{Flow, Recorder};
use crate::mqtt::driver::Connection;
use crate::mqtt::state::State;
use crate::mqtt::wire::Publish;
use crate::notify::Notify;

/// The running watches, oldest first.
#[derive(Default)]
pub struct Watches(RefCell<Vec<Rc<Watch>>>);

/// One watch. Dropped, it takes its subscription back.
pub struct Watch {
    pub(super) id: String,
    pub(super) session_id: String,
    pub(super) connection: Rc<Connection>,
    pub(super) listening: Listening,
    pub(super) record: Rc<RefCell<Record>>,
    pub(super) listening_since: Timestamp,
}

/// What a watch keeps, and who waits for more.
pub(super) struct Record {
    pub(super) ring: Ring,
    pub(super) bytes_received: u64,
    pub(super) news: Rc<Notify>,
}

impl Watches {
    /// How many run.
    pub(super) fn count(&self) -> usize {
        self.drop_ended();
        self.0.borrow().len()
    }

    pub(super) fn add(&self, watch: Watch) {
        self.0.borrow_mut().push(Rc::new(watch));
    }

    /// The watch of that id.
    pub(super) fn get(&self, id: &str) -> Result<Rc<Watch>, Failure> {
        self.drop_ended();
        let found = self.0.borrow().iter().find(|watch| watch.id == id).cloned();
        found.ok_or_else(|| {
            Failure::invalid("watch_id", "is not that of a running watch: it was stopped, or ended with its session")
        })
    }

    /// Takes a watch out.
    pub(super) fn remove(&self, id: &str) {
        // Dropped outside the borrow: releasing a capture may wake others.
        let ended: Vec<_> = self.0.borrow_mut().extract_if(.., |watch| watch.id == id).collect();
        drop(ended);
    }

    /// Watches end with their session.
    fn drop_ended(&self) {
        let is_over = |watch: &mut Rc<Watch>| watch.connection.look(|session| *session.state() == State::Closed);
        let ended: Vec<_> = self.0.borrow_mut().extract_if(.., is_over).collect();
        drop(ended);
    }
}

impl Recorder for Record {
    fn record(&mut self, message: &Publish<'_>, now: Now) -> Flow {
        let inspection =
            payload::inspect_message(message.topic, message.payload, message.payload_bytes, WATCH_PAYLOAD_MAX_BYTES);
        let kept = &message.payload[..message.payload.len().min(WATCH_PAYLOAD_MAX_BYTES)];
        self.bytes_received += message.payload_bytes as u64;
        self.ring.push(facts_of(message, &inspection, now), message.topic, kept, inspection.severity);
        self.news.notify();
        Flow::More
    }

    fn holds_max_bytes(&self) -> usize {
        WATCH_MAX_BYTES
    }

    fn wanted_payload_bytes(&self) -> usize {
        WATCH_PAYLOAD_MAX_BYTES
    }
}
