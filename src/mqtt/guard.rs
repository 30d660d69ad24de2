//! What watches over all sessions: the policy, the budgets and the audit. What they refuse is written down here.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::deadlines::Deadlines;
use super::driver::{Connection, Identity};
use super::error::Trouble;
use super::policy::{Denied, Policy};
use crate::audit::{Audit, Subject};
use crate::limits::{HELD_MAX_BYTES, PUBLISHES_PER_MINUTE_DEFAULT};

/// One for the whole process.
#[derive(Debug)]
pub struct Guard {
    /// What may be done.
    pub policy: Rc<Policy>,
    /// What is written down.
    pub audit: Audit,
    /// How many messages a session may publish within a minute.
    pub publishes_per_minute: u32,
    /// Until when calls wait.
    pub deadlines: Deadlines,
    held_bytes: Cell<usize>,
}

/// A share of the memory that calls and watches may hold, given back when it is dropped.
pub struct Held {
    guard: Rc<Guard>,
    bytes: usize,
}

impl Default for Guard {
    fn default() -> Self {
        Self::new(Policy::default(), Audit::default(), PUBLISHES_PER_MINUTE_DEFAULT)
    }
}

impl Guard {
    /// With nothing held.
    pub fn new(policy: Policy, audit: Audit, publishes_per_minute: u32) -> Self {
        Self {
            policy: Rc::new(policy),
            audit,
            publishes_per_minute,
            deadlines: Deadlines::default(),
            held_bytes: Cell::new(0),
        }
    }

    /// Whether a connection may subscribe to a filter.
    pub fn check_subscribe(&self, identity: &Identity, filter: &str) -> Result<(), Denied> {
        let checked = self.policy.check_subscribe(filter);
        checked.inspect_err(|denied| self.denied(Some(identity), ("subscribe", Some(filter)), denied))
    }

    /// Whether a connection, or one that is to be made, may publish to a topic.
    pub fn check_publish(&self, identity: Option<&Identity>, topic: &str) -> Result<(), Denied> {
        let checked = self.policy.check_publish(topic);
        checked.inspect_err(|denied| self.denied(identity, ("publish", Some(topic)), denied))
    }

    /// Takes a message from the budget of a connection, or tells how long to wait.
    pub fn take_publish(&self, connection: &Connection, topic: &str) -> Result<(), Duration> {
        let taken = connection.budget.borrow_mut().take(Instant::now(), self.publishes_per_minute);
        taken.inspect_err(|_| {
            let why = format!("{} messages within a minute are the limit", self.publishes_per_minute);
            let subject = Some(connection.identity.subject());
            self.audit.refusal(subject, ("publish", Some(topic)), "too_many_calls", &why);
        })
    }

    /// Whether a connection string may be used.
    pub fn check_connection_string(&self) -> Result<(), Denied> {
        self.policy.check_connection_string().inspect_err(|denied| self.denied(None, ("connect", None), denied))
    }

    /// Notes that the policy refused something: what, and on which topic.
    pub fn denied(&self, identity: Option<&Identity>, what: (&str, Option<&str>), Denied(why): &Denied) {
        self.audit.refusal(identity.map(Identity::subject), what, "policy_denied", why);
    }

    /// Notes that a broker was not connected to.
    pub fn not_connected(&self, identity: &Identity, trouble: &Trouble) {
        let subject = identity.subject();
        match trouble {
            Trouble::Denied(why) => self.audit.refusal(Some(subject), ("connect", None), trouble.code(), why),
            Trouble::Closed => self.audit.connect(subject, "given_up"),
            trouble => self.audit.connect(subject, trouble.code()),
        }
    }

    /// Sets memory aside; `None` when all calls and watches together would hold too much.
    pub fn hold(self: &Rc<Self>, bytes: usize) -> Option<Held> {
        let sum = self.held_bytes.get() + bytes;
        (sum <= HELD_MAX_BYTES).then(|| {
            self.held_bytes.set(sum);
            Held { guard: self.clone(), bytes }
        })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.guard.held_bytes.set(self.guard.held_bytes.get() - self.bytes);
    }
}

impl Identity {
    /// What the audit names it by.
    pub fn subject(&self) -> Subject<'_> {
        Subject { broker: &self.endpoint.host, port: self.endpoint.port, client_id: &self.client_id }
    }
}
