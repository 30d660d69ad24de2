//! When a socket is left alone for a moment. A broker in a flood writes message by message, and a reader that is woken
//! by each pays a wake-up and two system calls for it, several times what the message itself costs. Half a millisecond
//! later many of them lie there for one read.

use std::time::Instant;

use crate::limits::{FLOOD_PER_MS, FLOOD_REST, FLOOD_WINDOW, NO_REST_AFTER_SENDING};
use crate::mqtt::state::Counters;

/// The pace of what comes on one connection.
pub struct Pace {
    since: Instant,
    messages: u64,
    is_flood: bool,
    sent_at: Instant,
    sent_bytes: u64,
    rest: Option<Instant>,
}

impl Pace {
    /// A connection stands at `now`.
    pub fn new(now: Instant) -> Self {
        Self { since: now, messages: 0, is_flood: false, sent_at: now, sent_bytes: 0, rest: None }
    }

    /// When to look at the socket again. `None`: as soon as it has something. A rest begins when the socket was read
    /// empty, and ends at its time, or when something is waited for: its time would be told too long.
    pub fn rest(&mut self, now: Instant, counters: &Counters, is_empty: bool, awaits_answer: bool) -> Option<Instant> {
        let window = now - self.since;
        if window >= FLOOD_WINDOW {
            let came = counters.messages_in.saturating_sub(self.messages);
            self.is_flood = came * 1000 >= FLOOD_PER_MS * window.as_micros() as u64;
            (self.since, self.messages) = (now, counters.messages_in);
        }
        if awaits_answer || counters.bytes_out != self.sent_bytes {
            (self.sent_at, self.sent_bytes) = (now, counters.bytes_out);
        }
        let may_rest = self.is_flood && now - self.sent_at >= NO_REST_AFTER_SENDING;
        let rest = if is_empty { Some(now + FLOOD_REST) } else { self.rest };
        self.rest = rest.filter(|_| may_rest);
        self.rest
    }
}

const _: () = assert!(FLOOD_WINDOW.as_micros() > 2 * FLOOD_REST.as_micros());
const _: () = assert!(NO_REST_AFTER_SENDING.as_micros() >= 100 * FLOOD_REST.as_micros());

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Messages come at a steady pace from a second after the beginning; at which of the looks, 0.1 ms apart, is there a rest?
    fn rests(per_ms: u64, looks: u32, mut sent: impl FnMut(u32) -> u64) -> Vec<bool> {
        let began = Instant::now();
        let mut pace = Pace::new(began);
        let look = |n: u32| {
            let messages_in = per_ms * u64::from(n) / 10;
            let now = began + NO_REST_AFTER_SENDING + MS * n / 10;
            let counters = Counters { messages_in, bytes_out: sent(n), ..Counters::default() };
            let rest = pace.rest(now, &counters, true, false);
            assert!(rest.is_none_or(|rest| rest == now + FLOOD_REST));
            rest.is_some()
        };
        (0..looks).map(look).collect()
    }

    #[test]
    fn only_a_flood_has_rests_from_its_second_window_on() {
        assert!(!rests(FLOOD_PER_MS - 1, 1000, |_| 0).contains(&true));
        let rests = rests(FLOOD_PER_MS, 1000, |_| 0);
        let first = rests.iter().position(|rest| *rest).expect("a rest");
        assert!(first as u32 <= 2 * FLOOD_WINDOW.as_micros() as u32 / 100, "{first}");
        assert!(rests[first..].iter().all(|rest| *rest));
    }

    #[test]
    fn none_is_taken_while_an_answer_to_what_was_sent_may_come() {
        let looks = |time: Duration| (time.as_micros() / 100) as u32;
        let (sent, all) = (looks(MS * 100), looks(MS * 200 + NO_REST_AFTER_SENDING));
        let rests = rests(FLOOD_PER_MS, all, |n| u64::from(n >= sent));
        let until = sent + looks(NO_REST_AFTER_SENDING);
        assert!(rests[sent as usize - 1] && !rests[sent as usize..until as usize].contains(&true));
        assert!(rests[until as usize]);
        let acknowledging = self::rests(FLOOD_PER_MS, 1000, u64::from);
        assert!(!acknowledging.contains(&true), "QoS 1 has answers of its own that somebody waits for");
    }

    #[test]
    fn a_rest_keeps_its_end_unless_an_answer_is_waited_for() {
        let (mut pace, at, counters) = flooded();
        let rest = pace.rest(at, &counters, true, false);
        assert_eq!(rest, Some(at + FLOOD_REST));
        assert_eq!(pace.rest(at + MS / 10, &counters, false, false), rest, "another call woke the driver");
        assert_eq!(pace.rest(at + MS / 10, &counters, false, true), None);
        assert_eq!(pace.rest(at + MS / 5, &counters, true, false), None, "the answer may still come");
    }

    #[test]
    fn a_flood_that_ends_has_no_further_rest_after_its_window() {
        let (mut pace, at, counters) = flooded();
        assert!(pace.rest(at, &counters, true, false).is_some());
        assert!(pace.rest(at + FLOOD_WINDOW, &counters, true, false).is_none());
    }

    fn flooded() -> (Pace, Instant, Counters) {
        let began = Instant::now();
        let counters = Counters { messages_in: 1_000_000, ..Counters::default() };
        (Pace::new(began), began + NO_REST_AFTER_SENDING, counters)
    }
}
