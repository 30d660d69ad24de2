//! Which filters are subscribed on the wire, and which SUBSCRIBEs and UNSUBSCRIBEs wait for their answer.

use std::rc::Rc;

use super::topic::matches;

/// The wire's side of subscriptions; the calls' side is [`super::capture`].
#[derive(Default)]
pub(super) struct Subscriptions {
    /// In the order of their first SUBSCRIBE.
    active: Vec<Active>,
    /// SUBSCRIBEs without SUBACK.
    unacknowledged: Vec<(u16, Rc<str>)>,
    /// UNSUBSCRIBEs without UNSUBACK; over a lost connection, what a kept session has to be told.
    leaving: Vec<(u16, Rc<str>)>,
}

struct Active {
    filter: Rc<str>,
    /// The highest QoS that anyone asked for.
    qos: u8,
    /// Whether the broker has granted it on this connection.
    in_force: bool,
    /// Whether a SUBSCRIBE for it was sent, on any connection: a broker that keeps the session may know it.
    sent: bool,
}

impl Subscriptions {
    /// Notes that a filter is wanted; true when that needs no new SUBSCRIBE for its QoS.
    pub(super) fn want(&mut self, filter: &str, qos: u8) -> bool {
        match self.active.iter_mut().find(|active| *active.filter == *filter) {
            Some(active) => {
                let served = active.qos >= qos;
                active.qos = active.qos.max(qos);
                served && !self.unacknowledged.iter().any(|(_, pending)| **pending == *filter)
            }
            None => {
                self.active.push(Active { filter: filter.into(), qos, in_force: false, sent: false });
                false
            }
        }
    }

    /// Forgets a filter; true when a broker may know it.
    pub(super) fn remove(&mut self, filter: &str) -> bool {
        let index = self.active.iter().position(|active| *active.filter == *filter);
        index.is_some_and(|index| self.active.remove(index).sent)
    }

    /// Connected again: the filters that a kept session still has and nobody wants any more.
    pub(super) fn take_owed(&mut self, session_present: bool) -> Vec<Rc<str>> {
        let mut owed: Vec<_> = std::mem::take(&mut self.leaving).into_iter().map(|(_, filter)| filter).collect();
        owed.retain(|filter| session_present && !self.active.iter().any(|active| active.filter == *filter));
        owed
    }

    /// All filters, oldest first.
    pub(super) fn filters(&self) -> Vec<Rc<str>> {
        self.active.iter().map(|active| active.filter.clone()).collect()
    }

    /// The QoS to subscribe a filter with.
    pub(super) fn qos(&self, filter: &str) -> u8 {
        self.active.iter().find(|active| *active.filter == *filter).map_or(0, |active| active.qos)
    }

    /// A SUBSCRIBE was sent.
    pub(super) fn sent(&mut self, pid: u16, filter: &Rc<str>) {
        self.active.iter_mut().filter(|active| active.filter == *filter).for_each(|active| active.sent = true);
        self.unacknowledged.push((pid, filter.clone()));
    }

    /// SUBACK: the filter it speaks of.
    pub(super) fn acknowledged(&mut self, pid: u16) -> Option<Rc<str>> {
        let index = self.unacknowledged.iter().position(|(pending, _)| *pending == pid)?;
        Some(self.unacknowledged.remove(index).1)
    }

    /// The broker granted a filter.
    pub(super) fn granted(&mut self, filter: &str) {
        self.active.iter_mut().filter(|active| *active.filter == *filter).for_each(|active| active.in_force = true);
    }

    /// How many filters the broker may send a message on this topic for. 0 and 1 are not told apart.
    pub(super) fn matching(&self, topic: &str) -> usize {
        if self.active.len() + self.leaving.len() < 2 {
            return 0;
        }
        let active = self.active.iter().filter(|active| active.in_force && matches(&active.filter, topic)).count();
        active + self.leaving.iter().filter(|(_, filter)| matches(filter, topic)).count()
    }

    /// An UNSUBSCRIBE was sent.
    pub(super) fn left(&mut self, pid: u16, filter: &Rc<str>) {
        self.leaving.push((pid, filter.clone()));
    }

    /// UNSUBACK: the filter it speaks of.
    pub(super) fn gone(&mut self, pid: u16) -> Option<Rc<str>> {
        let index = self.leaving.iter().position(|(pending, _)| *pending == pid)?;
        Some(self.leaving.remove(index).1)
    }

    /// Whether an UNSUBSCRIBE of this filter waits for its answer.
    pub(super) fn is_leaving(&self, filter: &str) -> bool {
        self.leaving.iter().any(|(_, leaving)| **leaving == *filter)
    }

    /// Whether a call wants this filter.
    pub(super) fn is_wanted(&self, filter: &str) -> bool {
        self.active.iter().any(|active| *active.filter == *filter)
    }

    /// Whether a SUBACK is due, or a SUBSCRIBE waits for an UNSUBACK.
    pub(super) fn awaits_suback(&self) -> bool {
        !self.unacknowledged.is_empty() || self.leaving.iter().any(|(_, filter)| self.is_wanted(filter))
    }

    /// Whether a SUBSCRIBE or UNSUBSCRIBE in flight uses this packet id.
    pub(super) fn uses_pid(&self, pid: u16) -> bool {
        self.unacknowledged.iter().chain(&self.leaving).any(|(pending, _)| *pending == pid)
    }

    /// The connection is gone: no answer will come, and what is wanted is subscribed anew.
    pub(super) fn connection_lost(&mut self) {
        self.unacknowledged.clear();
        self.active.iter_mut().for_each(|active| active.in_force = false);
    }
}
