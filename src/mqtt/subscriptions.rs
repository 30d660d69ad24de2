//! Which filters are subscribed on the wire, and which SUBSCRIBEs and UNSUBSCRIBEs wait for their answer.

use std::rc::Rc;

/// The wire's side of subscriptions; the calls' side is [`super::capture`].
#[derive(Default)]
pub(super) struct Subscriptions {
    /// Filters with the highest QoS that anyone asked for, in the order of their first SUBSCRIBE.
    active: Vec<(Rc<str>, u8)>,
    /// SUBSCRIBEs without SUBACK.
    unacknowledged: Vec<(u16, Rc<str>)>,
    /// UNSUBSCRIBEs without UNSUBACK.
    leaving: Vec<u16>,
}

impl Subscriptions {
    /// Notes that a filter is wanted; true when that needs no new SUBSCRIBE for its QoS.
    pub(super) fn want(&mut self, filter: &str, qos: u8) -> bool {
        match self.active.iter_mut().find(|(known, _)| **known == *filter) {
            Some((_, active)) => {
                let served = *active >= qos;
                *active = (*active).max(qos);
                served && !self.unacknowledged.iter().any(|(_, pending)| **pending == *filter)
            }
            None => {
                self.active.push((filter.into(), qos));
                false
            }
        }
    }

    /// Forgets a filter; true when it was there.
    pub(super) fn remove(&mut self, filter: &str) -> bool {
        let before = self.active.len();
        self.active.retain(|(known, _)| **known != *filter);
        self.active.len() < before
    }

    /// All filters, oldest first.
    pub(super) fn filters(&self) -> Vec<Rc<str>> {
        self.active.iter().map(|(filter, _)| filter.clone()).collect()
    }

    /// The QoS to subscribe a filter with.
    pub(super) fn qos(&self, filter: &str) -> u8 {
        self.active.iter().find(|(known, _)| **known == *filter).map_or(0, |(_, qos)| *qos)
    }

    /// A SUBSCRIBE was sent.
    pub(super) fn sent(&mut self, pid: u16, filter: &Rc<str>) {
        self.unacknowledged.push((pid, filter.clone()));
    }

    /// SUBACK: the filter it speaks of.
    pub(super) fn acknowledged(&mut self, pid: u16) -> Option<Rc<str>> {
        let index = self.unacknowledged.iter().position(|(pending, _)| *pending == pid)?;
        Some(self.unacknowledged.remove(index).1)
    }

    /// An UNSUBSCRIBE was sent.
    pub(super) fn left(&mut self, pid: u16) {
        self.leaving.push(pid);
    }

    /// UNSUBACK; false when nothing waited for it.
    pub(super) fn gone(&mut self, pid: u16) -> bool {
        let before = self.leaving.len();
        self.leaving.retain(|pending| *pending != pid);
        self.leaving.len() < before
    }

    /// Whether a SUBACK is due.
    pub(super) fn awaits_suback(&self) -> bool {
        !self.unacknowledged.is_empty()
    }

    /// Whether a SUBSCRIBE or UNSUBSCRIBE in flight uses this packet id.
    pub(super) fn uses_pid(&self, pid: u16) -> bool {
        self.unacknowledged.iter().any(|(pending, _)| *pending == pid) || self.leaving.contains(&pid)
    }

    /// The connection is gone: no answer will come, and what is wanted is subscribed anew.
    pub(super) fn connection_lost(&mut self) {
        self.unacknowledged.clear();
        self.leaving.clear();
    }
}
