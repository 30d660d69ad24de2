//! Is the peer there? Keep-alive, round trips and how long to wait for them (3.1.2.10, 3.12).

use std::time::{Duration, Instant};

use super::timer::{Timer, Timers};
use crate::limits::{
    PINGRESP_WAIT, PINGRESP_WAIT_MIN, PINGRESP_WAIT_WITH_DATA, READ_CHUNK_BYTES, ROUND_TRIPS_TIMED_MAX,
};

/// PINGREQs and PINGRESPs of one connection.
pub struct Liveness {
    keep_alive: Duration,
    sent: u64,
    answered: u64,
    /// When the oldest PINGREQ without an answer was sent.
    waiting_since: Option<Instant>,
    /// PINGREQs under way, oldest first.
    under_way: Vec<Timed>,
    /// The latest round trips with their numbers.
    done: Vec<(u64, RoundTrip)>,
}

/// From the moment the PINGREQ was written to the one its PINGRESP was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoundTrip {
    /// How long it took.
    pub took: Duration,
    /// The answer had to queue behind more data than one read takes: the time is more this client's than the broker's.
    pub behind_data: bool,
}

struct Timed {
    number: u64,
    /// Where in the outgoing stream it ends.
    end: u64,
    written_at: Option<Instant>,
    behind_data: bool,
}

impl Liveness {
    /// A keep-alive of zero is none.
    pub(super) fn new(keep_alive: Duration) -> Self {
        let (under_way, done) = (Vec::new(), Vec::new());
        Self { keep_alive, sent: 0, answered: 0, waiting_since: None, under_way, done }
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

    /// A PINGREQ was queued that ends at `end` of the outgoing stream; returns its number.
    pub(super) fn ping(&mut self, now: Instant, end: u64, timers: &mut Timers) -> u64 {
        self.sent += 1;
        if self.under_way.len() < ROUND_TRIPS_TIMED_MAX {
            self.under_way.push(Timed { number: self.sent, end, written_at: None, behind_data: false });
        }
        if self.waiting_since.is_none() {
            self.waiting_since = Some(now);
            timers.set(Timer::Pingresp, now + self.patience());
        }
        self.sent
    }

    /// The outgoing stream is written up to `written`.
    pub(super) fn wrote(&mut self, now: Instant, written: u64) {
        for timed in self.under_way.iter_mut().filter(|timed| timed.end <= written) {
            timed.written_at.get_or_insert(now);
        }
    }

    /// A PINGRESP came; returns how many PINGREQs are answered.
    pub(super) fn pong(&mut self, now: Instant, timers: &mut Timers) -> u64 {
        self.answered = self.sent.min(self.answered + 1);
        let answered = self.under_way.partition_point(|timed| timed.number <= self.answered);
        for timed in self.under_way.drain(..answered) {
            // Of the answers that none was asked for, the time means nothing.
            if let Some(written_at) = timed.written_at.filter(|_| timed.number == self.answered) {
                let took = now.saturating_duration_since(written_at);
                self.done.truncate(ROUND_TRIPS_TIMED_MAX - 1);
                self.done.insert(0, (timed.number, RoundTrip { took, behind_data: timed.behind_data }));
            }
        }
        if self.answered == self.sent {
            self.waiting_since = None;
            timers.clear(Timer::Pingresp);
        } else {
            self.waiting_since = Some(now);
            timers.set(Timer::Pingresp, now + self.patience());
        }
        self.answered
    }

    /// How long the PINGREQ of that number took on this connection, when it is answered and not long ago.
    pub fn round_trip(&self, number: u64) -> Option<RoundTrip> {
        self.done.iter().find(|(known, _)| *known == number).map(|(_, round_trip)| *round_trip)
    }

    /// Data came. It shows that the peer lives, also when its PINGRESP queues behind a flood; but not for ever.
    pub(super) fn note_data(&mut self, now: Instant, bytes: usize, timers: &mut Timers) {
        if bytes >= READ_CHUNK_BYTES {
            self.under_way.iter_mut().for_each(|timed| timed.behind_data = true);
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_round_trip_is_timed_from_the_last_byte_written_to_the_answer() {
        let (mut liveness, mut timers) = (Liveness::new(Duration::ZERO), Timers::default());
        let start = Instant::now();
        let first = liveness.ping(start, 2, &mut timers);
        let second = liveness.ping(start, 4, &mut timers);
        liveness.wrote(start + 5 * MS, 3);
        liveness.wrote(start + 9 * MS, 4);
        liveness.note_data(start + 10 * MS, 100, &mut timers);
        liveness.pong(start + 12 * MS, &mut timers);
        assert_eq!(liveness.round_trip(first), Some(RoundTrip { took: 7 * MS, behind_data: false }));
        assert_eq!(liveness.round_trip(second), None);
        liveness.note_data(start + 13 * MS, READ_CHUNK_BYTES, &mut timers);
        liveness.pong(start + 19 * MS, &mut timers);
        assert_eq!(liveness.round_trip(second), Some(RoundTrip { took: 10 * MS, behind_data: true }));
        liveness.reset();
        assert_eq!(liveness.round_trip(second), None, "numbers begin anew with a connection");
    }

    #[test]
    fn what_is_timed_is_bounded_and_answers_that_nobody_asked_for_are_not() {
        let (mut liveness, mut timers) = (Liveness::new(Duration::ZERO), Timers::default());
        let start = Instant::now();
        liveness.pong(start, &mut timers);
        for n in 0..1000 {
            liveness.ping(start, n, &mut timers);
        }
        liveness.wrote(start, 1000);
        (0..2000).for_each(|_| _ = liveness.pong(start + MS, &mut timers));
        assert_eq!((liveness.under_way.len(), liveness.done.len()), (0, ROUND_TRIPS_TIMED_MAX));
        let last = liveness.ping(start, 1001, &mut timers);
        liveness.pong(start + MS, &mut timers);
        assert_eq!(liveness.round_trip(last), None, "answered before it was written");
    }
}
