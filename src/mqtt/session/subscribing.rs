//! What calls want of a session: a capture with its subscription, the broker's word on it, and its end.

use std::cell::RefCell;
use std::rc::Rc;

use super::Session;
use crate::clock::Now;
use crate::limits::SUBACK_WAIT;
use crate::mqtt::capture::{Capture, CaptureId, Grant, Recorder, Retained};
use crate::mqtt::error::Trouble;
use crate::mqtt::state::State;
use crate::mqtt::timer::Timer;

impl Session {
    /// Begins to give messages that match `filter` to `recorder`, over reconnects, until it is released.
    pub fn capture(
        &mut self,
        now: Now,
        filter: &str,
        qos: u8,
        retained: Retained,
        recorder: Rc<RefCell<dyn Recorder>>,
    ) -> CaptureId {
        let id = self.captures.add(now, filter, qos, retained, recorder);
        let same = |other: &&Capture| *other.filter == *filter;
        let granted = self.captures.iter().filter(same).find_map(|other| match other.grant {
            Grant::Granted(granted) => Some(granted),
            _ => None,
        });
        let served = self.subscriptions.want(filter, qos);
        if self.state != State::Connected {
            // What comes before it is back is missed as well.
            let capture = self.captures.get_mut(id).filter(|_| self.state == State::Reconnecting);
            capture.into_iter().for_each(|capture| capture.interrupted(now));
            return id;
        }
        // An active subscription serves at once if its retained messages are not wanted again.
        match (granted, self.captures.get_mut(id)) {
            (Some(granted), Some(capture)) if served && retained == Retained::Exclude => {
                capture.granted(now, granted, None)
            }
            _ if self.subscriptions.is_leaving(filter) => self.timers.set_if_idle(Timer::Suback, now.at + SUBACK_WAIT),
            _ => self.subscribe(now, &Rc::from(filter), Some(id)),
        }
        id
    }

    /// Ends a capture; the filter is unsubscribed when nobody wants it any more.
    pub fn release(&mut self, now: Now, id: CaptureId) {
        let Some(capture) = self.captures.remove(id) else { return };
        let wanted = self.captures.iter().any(|other| other.filter == capture.filter && other.grant != Grant::Rejected);
        if wanted || !self.subscriptions.remove(&capture.filter) || capture.grant == Grant::Rejected {
            return;
        }
        match self.state {
            State::Connected => self.unsubscribe(now, &capture.filter),
            _ => self.subscriptions.left(0, &capture.filter),
        }
    }

    pub(super) fn suback(&mut self, now: Now, pid: u16, granted: Option<u8>) -> Result<(), Trouble> {
        let Some(filter) = self.subscriptions.acknowledged(pid) else { return self.note_ack(false, "SUBACK", pid) };
        // An answer shows that the broker gets there; the next one has its time from now.
        self.timers.clear(Timer::Suback);
        if self.subscriptions.awaits_suback() {
            self.timers.set(Timer::Suback, now.at + SUBACK_WAIT);
        }
        if granted.is_some() {
            self.subscriptions.granted(&filter);
        }
        let waits = |capture: &Capture| capture.waits_for == Some(pid);
        let wants_retained = self.captures.iter().any(|c| waits(c) && c.retained != Retained::Exclude);
        let fence = (granted.is_some() && wants_retained).then(|| self.ping(now));
        for capture in self.captures.iter_mut().filter(|capture| waits(capture)) {
            match granted {
                Some(qos) => capture.granted(now, qos, fence.filter(|_| capture.retained != Retained::Exclude)),
                None => {
                    capture.waits_for = None;
                    capture.grant = Grant::Rejected;
                }
            }
        }
        let wanted = |capture: &Capture| capture.filter == filter && capture.grant != Grant::Rejected;
        if granted.is_none() && !self.captures.iter().any(wanted) {
            self.subscriptions.remove(&filter);
        }
        self.changed = true;
        Ok(())
    }
}
