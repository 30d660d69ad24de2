//! Is the peer there? Keep-alive, round trips and how long to wait for them (3.1.2.10, 3.12).

use std::time::{Duration, Instant};

use super::timer::{Timer, Timers};
use crate::limits::{PINGRESP_WAIT, PINGRESP_WAIT_MIN, PINGRESP_WAIT_WITH_DATA};

/// PINGREQs and PINGRESPs of one connection.
pub(super) struct Liveness {
    keep_alive: Duration,
    sent: u64,
    answered: u64,
    /// When the oldest PINGREQ without an answer was sent.
    waiting_since: Option<Instant>,
}

impl Liveness {
    /// A keep-alive of zero is none.
    pub(super) fn new(keep_alive: Duration) -> Self {
        Self { keep_alive, sent: 0, answered: 0, waiting_since: None }
    }

    /// A new connection begins.
    pub(super) fn reset(&mut self) {
        *self = Self::new(self.keep_alive);
    }

    /// Something was sent: the next PINGREQ is due a keep-alive later, with a quarter of it to spare.
    pub(super) fn note_sent(&self, now: Instant, timers: &mut Timers) {
        if !self.keep_alive.is_zero() {
            timers.set(Timer::PingDue, now + self.keep_alive * 3 / 4);
        }
    }

    /// A PINGREQ was sent; returns its number.
    pub(super) fn ping(&mut self, now: Instant, timers: &mut Timers) -> u64 {
        self.sent += 1;
        if self.waiting_since.is_none() {
            self.waiting_since = Some(now);
            timers.set(Timer::Pingresp, now + self.patience());
        }
        self.sent
    }

    /// A PINGRESP came.
    pub(super) fn pong(&mut self, now: Instant, timers: &mut Timers) {
        self.answered = self.sent.min(self.answered + 1);
        if self.answered == self.sent {
            self.waiting_since = None;
            timers.clear(Timer::Pingresp);
        } else {
            self.waiting_since = Some(now);
            timers.set(Timer::Pingresp, now + self.patience());
        }
    }

    /// Data came. It shows that the peer lives, also when its PINGRESP queues behind a flood; but not for ever.
    pub(super) fn note_data(&self, now: Instant, timers: &mut Timers) {
        if let Some(since) = self.waiting_since {
            timers.set(Timer::Pingresp, (now + self.patience()).min(since + PINGRESP_WAIT_WITH_DATA));
        }
    }

    /// PINGREQs answered on this connection.
    pub(super) fn answered(&self) -> u64 {
        self.answered
    }

    /// Whether a PINGRESP is due.
    pub(super) fn awaits_answer(&self) -> bool {
        self.waiting_since.is_some()
    }

    fn patience(&self) -> Duration {
        if self.keep_alive.is_zero() {
            PINGRESP_WAIT
        } else {
            PINGRESP_WAIT.min(self.keep_alive.max(PINGRESP_WAIT_MIN))
        }
    }
}
