//! Messages per second of a call: what is busiest, what is usual, what is a burst. Seconds without a message count as
//! such; those without a connection say nothing and are left out.

use std::ops::Range;
use std::time::Duration;

use crate::analysis::sort::sort_by;
use crate::limits::{BURST_FACTOR, BURST_MORE_MESSAGES, BURST_SPREAD, SECONDS_COUNTED_MAX};

/// Counts per second since a call began.
#[derive(Clone, Debug, Default)]
pub struct Seconds {
    counts: Vec<u32>,
}

/// Which seconds are looked at.
#[derive(Clone, Debug)]
pub struct Window {
    /// From the first whole one to the last.
    pub seconds: Range<usize>,
    /// Those that had no connection for all or some of their time.
    pub gaps: Vec<Range<usize>>,
}

/// How many messages the seconds of a window had.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// The busiest second.
    pub peak: u32,
    /// Which one it was.
    pub peak_at: usize,
    /// Of twenty seconds, nineteen had no more (nearest rank).
    pub p95: u32,
}

/// Consecutive seconds with far more messages than the mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Burst {
    /// Its first second.
    pub start: usize,
    /// How many seconds it lasted.
    pub length: usize,
    /// Its messages.
    pub messages: u64,
}

impl Seconds {
    /// Counts a message that came `elapsed` after the call began.
    pub fn add(&mut self, elapsed: Duration) {
        let second = (elapsed.as_secs() as usize).min(SECONDS_COUNTED_MAX - 1);
        if self.counts.len() <= second {
            self.counts.resize(second + 1, 0);
        }
        self.counts[second] = self.counts[second].saturating_add(1);
    }

    /// Rates of a window; `None` when it has no second that can be told.
    pub fn rates(&self, window: &Window) -> Option<Rates> {
        let (peak_at, peak) = self.known(window).max_by(|a, b| a.1.cmp(&b.1).then(b.0.cmp(&a.0)))?;
        let mut counts: Vec<_> = self.known(window).map(|(_, count)| count).collect();
        let rank = (counts.len() * 95).div_ceil(100) - 1;
        sort_by(&mut counts, |a, b| a.cmp(b));
        Some(Rates { peak, peak_at, p95: counts[rank] })
    }

    /// Bursts of a window, in order: see [`BURST_FACTOR`].
    pub fn bursts(&self, window: &Window) -> Vec<Burst> {
        let (mut seconds, mut messages) = (0u32, 0u64);
        self.known(window).for_each(|(_, count)| (seconds, messages) = (seconds + 1, messages + u64::from(count)));
        let mean = messages as f64 / f64::from(seconds.max(1));
        let least = (BURST_FACTOR * mean).max(mean + BURST_SPREAD * mean.sqrt() + BURST_MORE_MESSAGES);
        let mut bursts: Vec<Burst> = Vec::new();
        for (second, count) in self.known(window).filter(|(_, count)| f64::from(*count) >= least) {
            match bursts.last_mut().filter(|last| last.start + last.length == second) {
                Some(last) => (last.length, last.messages) = (last.length + 1, last.messages + u64::from(count)),
                None => bursts.push(Burst { start: second, length: 1, messages: count.into() }),
            }
        }
        bursts
    }

    fn known(&self, window: &Window) -> impl Iterator<Item = (usize, u32)> {
        let is_known = |second: &usize| !window.gaps.iter().any(|gap| gap.contains(second));
        window.seconds.clone().filter(is_known).map(|second| (second, self.counts.get(second).copied().unwrap_or(0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(counts: &[u32]) -> (Seconds, Window) {
        let mut seconds = Seconds::default();
        for (second, count) in counts.iter().enumerate() {
            (0..*count).for_each(|n| seconds.add(Duration::from_millis(second as u64 * 1000 + u64::from(n) % 1000)));
        }
        (seconds, Window { seconds: 0..counts.len(), gaps: Vec::new() })
    }

    #[test]
    fn empty_seconds_are_seconds() {
        let (seconds, window) = counted(&[0, 0, 7, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(seconds.rates(&window), Some(Rates { peak: 7, peak_at: 2, p95: 7 }));
        let (seconds, window) = counted(&[vec![0; 20], vec![9], vec![0; 9]].concat());
        assert_eq!(seconds.rates(&window), Some(Rates { peak: 9, peak_at: 20, p95: 0 }));
        let (seconds, window) = counted(&[]);
        assert_eq!(seconds.rates(&window), None);
    }

    #[test]
    fn seconds_without_a_connection_say_nothing() {
        let (seconds, mut window) = counted(&[5, 5, 0, 0, 5, 5]);
        window.gaps.push(2..4);
        assert_eq!(seconds.rates(&window), Some(Rates { peak: 5, peak_at: 0, p95: 5 }));
    }

    #[test]
    fn a_burst_stands_out_from_the_mean_and_from_chance() {
        let (seconds, window) = counted(&[10, 11, 9, 10, 200, 150, 10, 10, 9, 11, 90, 10]);
        let found = [Burst { start: 4, length: 2, messages: 350 }, Burst { start: 10, length: 1, messages: 90 }];
        assert_eq!(seconds.bursts(&window), found);
        let (seconds, window) = counted(&[vec![1; 30], vec![31], vec![1; 29]].concat());
        assert_eq!(seconds.bursts(&window), [Burst { start: 30, length: 1, messages: 31 }]);
        let all_topics_each_10_s = [0, 0, 13, 0, 0, 1, 0, 0, 0, 1].repeat(6);
        for calm in [
            &[10u32, 12, 8, 17, 3, 10][..],
            &[0, 0, 1, 0, 4, 0, 0],
            &[30, 0, 30, 0, 30, 0],
            &[500; 9],
            &[0; 5],
            &all_topics_each_10_s,
        ] {
            let (seconds, window) = counted(calm);
            assert_eq!(seconds.bursts(&window), [], "{calm:?}");
        }
    }

    #[test]
    fn memory_has_a_bound_and_late_messages_are_counted_in_the_last_second() {
        let mut seconds = Seconds::default();
        seconds.add(Duration::from_secs(1 << 40));
        assert_eq!(seconds.counts.len(), SECONDS_COUNTED_MAX);
    }
}
