//! A number that counts: its gaps, repetitions and beginnings anew.

use std::time::Duration;

use super::At;
use crate::analysis::words::is_called;

/// How a number moved, if it is a counter.
#[derive(Clone, Copy, Default)]
pub struct Steps {
    highest: f64,
    /// All steps.
    pub all: u32,
    /// Steps to the next number.
    pub ones: u32,
    /// Numbers that were left out, and did not come later.
    pub missing: u64,
    /// Numbers that came after a higher one.
    pub late: u32,
    /// Numbers that came again.
    pub repeated: u32,
    /// Numbers that came a third time, or again no sooner than another would have come: what counts something else
    /// than messages does that with nearly all of them.
    slow: u32,
    /// Steps over numbers that were left out for as long as it takes to send them.
    timed: u32,
    /// How long the latest step to the next number took.
    one_took: Duration,
    /// Beginnings anew, at 0 or 1 …
    pub resets: u32,
    /// … behind this number …
    reset_at: f64,
    /// … or behind others as well.
    resets_differ: bool,
    /// The first step that was not to the next number: when, from, to.
    pub example: Option<(At, f64, f64)>,
    /// The connection was away since the latest number.
    is_behind_gap: bool,
    /// How often the latest number came again.
    again: u32,
    is_slow: bool,
    last_at: Duration,
    /// Between the latest two.
    pub(super) last_interval: Duration,
}

impl Steps {
    /// Counting begins at a value.
    pub(super) fn from(at: At, value: f64) -> Self {
        Self { highest: value, last_at: at.elapsed, ..Self::default() }
    }

    /// Whether they are of messages: by the name of what steps, or because it nearly always steps to the next number.
    pub(super) fn count_messages(&self, name: &str) -> bool {
        const LIKELY: &[&str] = &[
            "counter",
            "count",
            "cnt",
            "n",
            "i",
            "id",
            "index",
            "nr",
            "no",
            "num",
            "number",
            "tick",
            "cycle",
            "packet",
            "frame",
            "heartbeat",
            "beat",
            "alive",
            TEXT,
        ];
        let Self { all, ones, repeated, slow, timed, .. } = *self;
        // Each number may come twice, when each message does, and every other one may be another sender's.
        let counts = ones >= 2 && (ones + repeated + 1) * 2 >= all && ones > slow * 2;
        (is_called(SURE, name) && counts) || (is_called(LIKELY, name) && ones >= 8 && (ones + timed) * 100 >= all * 85)
    }

    /// How often the device began anew. What only beats does so behind the same number again and again.
    pub(super) fn restarts(&self, name: &str) -> u32 {
        let wraps = self.resets > 1 || [8.0, 10.0, 16.0, 32.0, 60.0, 64.0].contains(&(self.reset_at + 1.0));
        if is_called(SURE, name) || self.resets_differ || !wraps { self.resets } else { 0 }
    }

    /// Counting begins, or begins anew.
    pub(super) fn begin(&mut self, value: f64) {
        self.highest = value;
    }

    /// The connection was away: what was left out may have come meanwhile.
    pub(super) fn interrupted(&mut self) {
        self.is_behind_gap = true;
    }

    /// Takes a step.
    pub(super) fn add(&mut self, at: At, from: f64, to: f64) {
        self.note_slow(at.elapsed, from == to);
        if std::mem::take(&mut self.is_behind_gap) && to > 1.0 {
            return self.begin(to);
        }
        self.all += 1;
        // The greatest number of some bytes may stand for none.
        let is_spared = || self.highest > 250.0 && is_power(2.0, 256.0, self.highest + 2.0);
        let is_end = || is_limit(self.highest + 1.0) || is_limit(self.highest + 1.0 - to);
        let wraps = to <= 1.0 && (is_end() || is_spared());
        if to == self.highest + 1.0 || wraps {
            self.ones += 1;
            self.one_took = self.last_interval;
            self.highest = to;
            return;
        }
        if to > self.highest {
            let took = self.last_interval.as_secs_f64() / self.one_took.as_secs_f64();
            self.timed += u32::from((took - (to - self.highest)).abs() < 0.5);
            self.missing += (to - self.highest - 1.0) as u64;
            self.highest = to;
        } else if to == from {
            self.repeated += 1;
        } else if to <= 1.0 && !self.is_lost_end(to) {
            self.resets_differ |= self.resets > 0 && self.reset_at != self.highest;
            (self.resets, self.reset_at) = (self.resets + 1, self.highest);
            self.highest = to;
        } else if let Some(left_out) = self.past_end(to) {
            self.missing += left_out;
            self.highest = to;
        } else {
            // What was set back goes on from there.
            self.ones += u32::from(to == from + 1.0);
            self.late += 1;
            self.missing = self.missing.saturating_sub(1);
        }
        self.example.get_or_insert((at, from, to));
    }

    /// Takes a step of what is known to begin anew behind 255: what left out a few numbers on the way lost them.
    pub(super) fn add_within_256(&mut self, at: At, from: f64, to: f64) {
        const FEW: f64 = 64.0;
        if let Some(left_out) = past_end(256.0, FEW, from, to).filter(|_| to < from && self.highest == from) {
            self.all += 1;
            self.note_slow(at.elapsed, false);
            self.missing += left_out;
            self.highest = to;
            self.example.get_or_insert((at, from, to));
        } else {
            self.add(at, from, to);
        }
    }

    /// How many numbers were left out if it began anew behind those of some bytes.
    fn past_end(&self, to: f64) -> Option<u64> {
        const FEW: f64 = 8.0;
        let mut counts = [256.0, 65_536.0].into_iter().filter(|count| self.highest < *count);
        counts.find_map(|count| past_end(count, FEW, self.highest, to))
    }

    /// Whether it rather left out the last few of those than that it began anew: it left out some before.
    fn is_lost_end(&self, to: f64) -> bool {
        self.missing > 0 && self.past_end(to).is_some()
    }

    fn note_slow(&mut self, at: Duration, is_same: bool) {
        let interval = at.saturating_sub(self.last_at);
        let is_late = !self.last_interval.is_zero() && interval * 2 >= self.last_interval;
        (self.last_at, self.last_interval) = (at, interval);
        self.again = if is_same { self.again + 1 } else { 0 };
        let is_slow = is_same && (self.is_slow || is_late || self.again > 1);
        self.slow += u32::from(is_slow && !self.is_slow);
        self.is_slow = is_slow;
    }
}

/// How many numbers were left out by what begins anew behind so many, if it is no more than a few.
fn past_end(count: f64, few: f64, from: f64, to: f64) -> Option<u64> {
    let left_out = to + count - 1.0 - from;
    (left_out > 0.0 && left_out <= few).then_some(left_out as u64)
}

const SURE: &[&str] = &[
    "seq",
    "seqno",
    "seqnr",
    "sequence",
    "sequenceno",
    "sequencenumber",
    "msg",
    "msgid",
    "messageid",
    "msgno",
    "msgcount",
    "messagecount",
    "packetid",
    "packetno",
    "framecounter",
    "fcnt",
    "fcntup",
    "msgseq",
];

/// Whether what is called so numbers messages, also where its digits are written as text.
pub(super) fn is_sequence(name: &str) -> bool {
    is_called(SURE, name) || is_called(&[TEXT], name)
}

/// Printers number their reports so, and answers with the number of the command.
const TEXT: &str = "sequenceid";

/// Whether counters begin anew behind so many numbers: those of some bytes or digits do.
fn is_limit(count: f64) -> bool {
    is_power(2.0, 128.0, count) || is_power(10.0, 100.0, count)
}

/// Whether it is a power of `base` that is no less than `least`, which is one.
fn is_power(base: f64, least: f64, number: f64) -> bool {
    let mut power = least;
    while power < number {
        power *= base;
    }
    power == number
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The steps of numbers, each of which comes so many milliseconds behind the one before.
    fn of(values: impl IntoIterator<Item = u32>, interval: impl Fn(usize) -> u64) -> Steps {
        let mut at = At::default();
        let mut values = values.into_iter().map(f64::from);
        let mut last = values.next().expect("a number");
        let mut steps = Steps::from(at, last);
        for (index, value) in values.enumerate() {
            at.elapsed += Duration::from_millis(interval(index));
            steps.add(at, std::mem::replace(&mut last, value), value);
        }
        steps
    }

    #[test]
    fn a_byte_that_began_anew_while_numbers_were_lost_left_them_out() {
        for (numbers, missing, late) in [
            (&[252, 253, 254, 5, 6, 7][..], 6, 0),
            (&[65_533, 65_534, 3, 4], 4, 0),
            (&[252, 253, 254, 100, 101], 0, 2),
            (&[300, 301, 302, 299], 0, 1),
        ] {
            let steps = of(numbers.iter().copied(), |_| 1000);
            assert_eq!((steps.missing, steps.late), (missing, late), "{numbers:?}");
        }
    }

    #[test]
    fn a_gap_across_the_end_of_one_byte_is_no_beginning_anew() {
        for (from, to, expected) in [
            (253.0, 0.0, (2, 0)),
            (254.0, 3.0, (4, 0)),
            (255.0, 0.0, (0, 0)),
            (255.0, 1.0, (1, 0)),
            (90.0, 0.0, (0, 1)),
            (90.0, 93.0, (2, 0)),
        ] {
            let mut steps = Steps::from(At::default(), from);
            steps.add_within_256(At::default(), from, to);
            assert_eq!((steps.missing, steps.resets), expected, "{from} {to}");
        }
    }

    /// Whether a counter is one of messages, with the numbers that came again, when each comes `interval` behind the
    /// one before.
    fn repeats(values: impl IntoIterator<Item = u32>, interval: impl Fn(usize) -> u64) -> Option<u32> {
        let steps = of(values, interval);
        steps.count_messages("seq").then_some(steps.repeated)
    }

    #[test]
    fn what_was_set_back_and_goes_on_numbers_messages() {
        let set_back = of((1467..1482).chain(1442..1480), |_| 1000);
        assert_eq!((set_back.count_messages("seq"), set_back.missing, set_back.late > 0), (true, 0, true));
    }

    #[test]
    fn a_number_that_is_left_out_for_as_long_as_its_message_takes_was_one() {
        let values: Vec<u32> = (0..16).map(|n| n + n / 4).collect();
        let counts = |interval: &dyn Fn(usize) -> u64| of(values.iter().copied(), interval).count_messages("n");
        let in_time = |index: usize| u64::from(values[index + 1] - values[index]) * 1000;
        assert_eq!((counts(&in_time), counts(&|_| 1000)), (true, false));
    }

    #[test]
    fn what_is_told_more_often_than_it_counts_counts_no_messages() {
        let every = |_| 1000;
        for times in 2..12 {
            assert_eq!(repeats((0..120).map(|n| n / times), every), None, "each number {times} times");
        }
        assert_eq!(repeats((0..120).map(|n| n * 3 / 5), every), None, "three steps in five messages");
        assert_eq!(repeats((0..60).map(|n| n / 2), |index| [10, 990][index % 2]), Some(30), "each message twice");
        assert_eq!(repeats((0..60).map(|n| n - n / 20), every), Some(2), "a few sent again");
        assert_eq!(repeats((0..60).map(|n| n.min(20)), every), Some(39), "it hangs");
        assert_eq!(repeats([1, 2, 3, 3, 4], every), Some(1));
    }

    fn steps(name: &str, values: &[u32]) -> Option<(u64, u32, u32, u32)> {
        let steps = of(values.iter().copied(), |_| 0);
        let Steps { missing, late, repeated, .. } = steps;
        steps.count_messages(name).then_some((missing, late, repeated, steps.restarts(name)))
    }

    #[test]
    fn counters_tell_what_is_missing_late_repeated_and_begun_anew() {
        for (values, expected) in [
            (&[1, 2, 3, 4, 5][..], Some((0, 0, 0, 0))),
            (&[1, 2, 3, 7, 8, 9], Some((3, 0, 0, 0))),
            (&[1, 2, 4, 3, 5, 6], Some((0, 1, 0, 0))),
            (&[1, 2, 3, 3, 4], Some((0, 0, 1, 0))),
            (&[1, 1, 2, 2, 3, 3, 4, 4], Some((0, 0, 4, 0))),
            (&[7, 8, 9, 0, 1, 2], Some((0, 0, 0, 1))),
            (&[253, 254, 255, 0, 1], Some((0, 0, 0, 0))),
            (&[253, 254, 255, 1, 2], Some((0, 0, 0, 0))),
            (&[252, 253, 254, 0, 1], Some((0, 0, 0, 0))),
            (&[1021, 1022, 1023, 0, 1], Some((0, 0, 0, 0))),
            (&[65_533, 65_534, 65_535, 0, 1], Some((0, 0, 0, 0))),
            (&[1000, 1001, 1002, 0, 1], Some((0, 0, 0, 1))),
            (&[97, 98, 99, 0, 1], Some((0, 0, 0, 0))),
            (&[998, 999, 1000, 1, 2], Some((0, 0, 0, 0))),
            (&[90, 91, 92, 0, 1], Some((0, 0, 0, 1))),
            (&[240, 241, 244, 245, 252, 0, 1, 2], Some((11, 0, 0, 0))),
            (&[240, 241, 244, 245, 0, 1, 2, 3], Some((2, 0, 0, 1))),
            (&[5, 90, 3, 17, 4], None),
        ] {
            assert_eq!(steps("seq", values), expected, "{values:?}");
        }
        assert_eq!(steps("uptime", &[1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12]), None, "no counter of messages");
        assert_eq!(steps("count", &[1, 2, 2, 2, 3, 3, 4, 4, 4, 5, 6]), None, "counts something else");
        let restarts =
            |name, of: &[u32]| steps(name, &of.iter().flat_map(|n| 0..*n).collect::<Vec<_>>()).map(|all| all.3);
        assert_eq!(restarts("alive", &[16, 16, 16]), Some(0), "four bits");
        assert_eq!(restarts("cycle", &[60, 5]), Some(0));
        assert_eq!(restarts("alive", &[16, 9, 16]), Some(2));
        assert_eq!(restarts("alive", &[17, 9]), Some(1));
        assert_eq!(restarts("seq", &[9, 9, 9]), Some(2), "it crashes at the same place");
        assert!(steps("n", &[1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12]).is_some());
    }
}
