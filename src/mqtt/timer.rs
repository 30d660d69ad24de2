//! The deadlines of a session: each has a name, all stand in one table.

use std::time::{Duration, Instant};

use crate::limits::{BACKOFF_MAX, BACKOFF_MIN};

/// What a session may be waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// CONNACK must have come.
    Connack,
    /// Nothing was sent for a keep-alive interval: PINGREQ is due.
    PingDue,
    /// PINGRESP must have come.
    Pingresp,
    /// SUBACK must have come.
    Suback,
    /// Bytes wait and the socket takes none.
    WriteStall,
    /// A capture's retained messages may be complete.
    RetainedQuiet,
}

/// Deadlines by name.
#[derive(Default)]
pub struct Timers([Option<Instant>; 6]);

impl Timers {
    /// Sets or moves a deadline.
    pub fn set(&mut self, timer: Timer, at: Instant) {
        self.0[timer as usize] = Some(at);
    }

    /// Sets a deadline unless it runs already.
    pub fn set_if_idle(&mut self, timer: Timer, at: Instant) {
        self.0[timer as usize].get_or_insert(at);
    }

    /// Takes a deadline away.
    pub fn clear(&mut self, timer: Timer) {
        self.0[timer as usize] = None;
    }

    /// Takes all away.
    pub fn clear_all(&mut self) {
        self.0 = Default::default();
    }

    /// The earliest deadline.
    pub fn next(&self) -> Option<Instant> {
        self.0.iter().flatten().min().copied()
    }

    /// Takes a deadline that is over.
    pub fn expired(&mut self, now: Instant) -> Option<Timer> {
        let all =
            [Timer::Connack, Timer::PingDue, Timer::Pingresp, Timer::Suback, Timer::WriteStall, Timer::RetainedQuiet];
        let timer = all.into_iter().find(|timer| self.0[*timer as usize].is_some_and(|at| at <= now))?;
        self.clear(timer);
        Some(timer)
    }
}

/// How long to wait after so many failures in a row: doubling to a limit, and spread by `random` over half to all of it,
/// so that the clients of a broker that comes back do not come all at once.
pub fn back_off(failures: u32, random: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let full = BACKOFF_MIN.saturating_mul(1 << doublings).min(BACKOFF_MAX);
    full / 2 + (full / 2).mul_f64(f64::from(random) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_deadline_is_next_and_expires_once() {
        let start = Instant::now();
        let mut timers = Timers::default();
        timers.set(Timer::Pingresp, start + Duration::from_secs(2));
        timers.set(Timer::PingDue, start + Duration::from_secs(1));
        timers.set_if_idle(Timer::PingDue, start);
        assert_eq!(timers.next(), Some(start + Duration::from_secs(1)));
        assert_eq!(timers.expired(start), None);
        assert_eq!(timers.expired(start + Duration::from_secs(3)), Some(Timer::PingDue));
        assert_eq!(timers.expired(start + Duration::from_secs(3)), Some(Timer::Pingresp));
        assert_eq!(timers.next(), None);
    }
}
