//! When a topic's messages came: interval, jitter, regular beat, missed beats. Bounded, whatever comes.

use std::time::Duration;

use crate::analysis::sort::sort_by;
use crate::limits::{GAPS_KEPT, INTERVALS_KEPT};

/// The rhythm of one topic's live messages.
#[derive(Default)]
pub struct Timing {
    first: Option<Duration>,
    last: Option<Duration>,
    count: u32,
    /// The latest intervals in microseconds, oldest first.
    intervals: Vec<u32>,
    /// The first of all.
    earliest: [u32; EARLIEST_KEPT],
    /// The longest of all, with the time at which each began.
    longest: Vec<(u32, Duration)>,
    /// The shortest.
    shortest: Option<u32>,
    /// Messages that told the same as the one before, no later than any other.
    repeats: u32,
}

/// What the rhythm was.
#[derive(Clone, Debug, PartialEq)]
pub struct Rhythm {
    /// The median interval.
    pub median: Duration,
    /// The median distance from it.
    pub jitter: Duration,
    /// Whether it is a beat: most intervals are near the median.
    pub is_regular: bool,
    /// Intervals, all of them.
    pub beats: u32,
    /// From the first message to the last.
    pub lasted: Duration,
    /// Beats that were missed between messages.
    pub missed: u32,
    /// Whether they were missed so often that messages may rather be left out on purpose, as when nothing changed.
    pub skips: bool,
    /// The longest time between two messages that is no beat, and when it began.
    pub gap: Option<(Duration, Duration)>,
    /// When the first of those began.
    pub gaps_from: Duration,
    /// How long nothing has come, when that is longer than a beat allows.
    pub silent: Option<Duration>,
}

/// When a message came, seen from the beat of its topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Moment {
    /// There is no beat, or it came between two.
    #[default]
    Any,
    /// More than a little early.
    Early,
    /// It was due.
    Due,
}

/// An interval of this many medians has a missed beat in it, unless it is so short that networks make such …
const MISSED_FROM: f64 = 1.75;
const GAP_MIN: Duration = Duration::from_millis(500);
/// … and silence of this many medians at the end is more than a late beat.
const SILENT_FROM: f64 = 3.0;
const SILENT_MIN: Duration = Duration::from_secs(3);
/// What begins within this time, or within as many medians as silence takes, was there from the start.
const START_MIN: Duration = Duration::from_secs(1);
/// … also where it paused for longer already, as what slows down does: that many times as long.
const LATEST_FROM: f64 = 1.5;
/// Both are longer by so many times the jitter: what comes by chance, as where motion is seen, may look even for a while.
const MISSED_JITTERS: f64 = 3.0;
const SILENT_JITTERS: f64 = 10.0;

impl Timing {
    /// Notes a message.
    pub fn add(&mut self, at: Duration) {
        self.first.get_or_insert(at);
        let Some(last) = self.last.replace(at) else { return };
        let interval = micros_of(at.saturating_sub(last));
        self.earliest.get_mut(self.count as usize).into_iter().for_each(|kept| *kept = interval);
        self.count += 1;
        self.shortest = Some(self.shortest.map_or(interval, |shortest| shortest.min(interval)));
        if self.intervals.len() == INTERVALS_KEPT {
            self.intervals.remove(0);
        }
        self.intervals.push(interval);
        let place = self.longest.partition_point(|(other, _)| *other >= interval);
        if place < GAPS_KEPT {
            self.longest.truncate(GAPS_KEPT - 1);
            self.longest.insert(place, (interval, last));
        }
    }

    /// Notes that the message that comes now tells the same as the one before. Who tells only what has changed does that
    /// later than anything else, if at all.
    pub fn note_same(&mut self, at: Duration) {
        let since = self.last.map(|last| micros_of(at.saturating_sub(last)));
        let is_soon = since.zip(self.shortest).is_some_and(|(since, shortest)| since / 5 * 4 <= shortest);
        self.repeats += u32::from(is_soon);
    }

    /// How a message that comes now stands to the beat, of which some may have been missed.
    pub fn moment(&self, at: Duration) -> Moment {
        const EARLY: f64 = 0.6;
        const MISSED_MAX: u32 = 3;
        let Some(since) = self.last.map(|last| at.saturating_sub(last)) else { return Moment::Any };
        match self.rhythm(at).filter(|rhythm| rhythm.is_regular) {
            Some(rhythm) if since < rhythm.median.mul_f64(EARLY) => Moment::Early,
            Some(rhythm) => {
                let beats = (since.as_secs_f64() / rhythm.median.as_secs_f64()).round() as u32;
                let is_due = since.abs_diff(rhythm.median * beats) * 10 <= rhythm.median;
                if is_due && beats <= MISSED_MAX { Moment::Due } else { Moment::Any }
            }
            _ => Moment::Any,
        }
    }

    /// Whether the beat became slower on the way and stayed so: from which interval to which. `clearly` when it was very
    /// even for longer, before and after.
    pub fn slowed(&self, clearly: bool) -> Option<(Duration, Duration)> {
        let (least_before, least_after, tolerance) = if clearly { (EARLIEST_KEPT, 4, 0.1) } else { (5, 3, 0.25) };
        let all = &self.intervals;
        let is_near =
            |interval: &u32, median: u32| f64::from(interval.abs_diff(median)) <= tolerance * f64::from(median);
        let earliest = self.earliest.get(..least_before).filter(|_| all.len() >= least_before)?;
        let before = middle(&mut earliest.to_vec());
        let begin = all.iter().rposition(|interval| is_near(interval, before)).map_or(0, |last| last + 1);
        let (latest, slow) = all.split_at(begin);
        // Those between are forgotten.
        let fast = if latest.is_empty() && self.count as usize > all.len() { earliest } else { latest };
        let after = middle(&mut slow.get(..least_after).map(|_| slow.to_vec())?);
        let is_enough = !clearly || fast.len() >= least_before;
        let was_regular =
            is_enough && fast.iter().filter(|interval| is_near(interval, before)).count() * 5 >= fast.len() * 4;
        // In the first of them it may have changed.
        let is_between = |first: &u32| (before..=after).contains(first) || is_near(first, after);
        let is_regular =
            slow.first().is_some_and(is_between) && slow.iter().skip(1).all(|interval| is_near(interval, after));
        let is_slower = before >= SHORTEST_BEAT_MICROS && f64::from(after) >= MISSED_FROM * f64::from(before);
        let micros = |micros: u32| Duration::from_micros(micros.into());
        (was_regular && is_regular && is_slower).then(|| (micros(before), micros(after)))
    }

    /// Whether beats were missed only after it had been very even for most of the time, though it tells the same again: it
    /// does not leave out what has not changed.
    pub fn was_even(&self) -> bool {
        const EVEN: usize = 8;
        const REPEATS: u32 = 3;
        let mut sorted = self.intervals.clone();
        if sorted.len() < EVEN || self.count as usize > sorted.len() || self.repeats < REPEATS {
            return false;
        }
        let median = middle(&mut sorted);
        let is_even = |interval: &&u32| interval.abs_diff(median) <= median / 10;
        let even = self.intervals.iter().take_while(is_even).count();
        even >= EVEN && even * 5 >= self.intervals.len() * 3
    }

    /// Whether it never told the same again as soon as something else.
    pub fn tells_news(&self) -> bool {
        self.repeats == 0
    }

    /// For how long nothing has come until `end`, and the longest time before: when many came over a long time, however
    /// unevenly, and the silence is far longer than any before and a good share of all. The fewer they were, the longer
    /// it must be, and the more alike their times.
    pub fn silence(&self, end: Duration) -> Option<(Duration, Duration)> {
        const MANY: u32 = 20;
        const ENOUGH: u32 = 12;
        const SOME: u32 = 7;
        const TIMES: u32 = 5;
        const SHARE: u32 = 5;
        const ALIKE: u32 = 3;
        let (longest, first, last) = (self.longest.first()?.0, self.first?, self.last?);
        let (longest, silent) = (Duration::from_micros(longest.into()), end.saturating_sub(last));
        let few = self.count.min(ENOUGH);
        let is_long = silent * few >= longest * TIMES * ENOUGH && silent >= SILENT_MIN && silent * SHARE >= end;
        let is_alike = self.count >= MANY || (last - first) * ALIKE >= longest * self.count;
        let went_on = self.count >= SOME && first <= longest + START_MIN && (last - first) * SHARE >= silent;
        (is_long && is_alike && went_on).then_some((silent, longest))
    }

    /// The connection was away: what comes next is no interval.
    pub fn interrupted(&mut self) {
        self.last = None;
    }

    /// The rhythm until `end`; `None` with fewer than two intervals.
    pub fn rhythm(&self, end: Duration) -> Option<Rhythm> {
        if self.intervals.len() < 2 {
            return None;
        }
        let mut sorted = self.intervals.clone();
        let median = middle(&mut sorted);
        let mut distances: Vec<u32> = sorted.iter().map(|interval| interval.abs_diff(median)).collect();
        let jitter = middle(&mut distances);
        // Two intervals are a beat only when they are very much alike.
        let (tolerance, share) = if sorted.len() == 2 { (0.1, 1.0) } else { (0.25, 0.7) };
        let near = distances.iter().filter(|distance| f64::from(**distance) <= tolerance * f64::from(median)).count();
        let is_regular = median >= SHORTEST_BEAT_MICROS && near as f64 >= share * sorted.len() as f64;
        let in_medians = |interval: u32| f64::from(interval) / f64::from(median.max(1));
        let micros = |micros: u32| Duration::from_micros(micros.into());
        let is_gap = |interval: u32| in_medians(interval) >= MISSED_FROM && micros(interval) >= GAP_MIN;
        // What leaves out beats now and then, on purpose or by chance, leaves out several in a row some day.
        let lost = |row: usize| self.longest.get(row).map_or(0.0, |(gap, _)| in_medians(*gap).round() - 1.0);
        let is_habit = |gaps: usize, of: usize| {
            const SELDOM: f64 = 0.02;
            const FAR: f64 = 6.0;
            let others = gaps.saturating_sub(1) as f64 / of as f64;
            let is_likely = gaps > 1 && of as f64 * f64::powi(others, lost(0) as i32) >= SELDOM;
            is_likely || (gaps > (of / 10).max(2) && lost(0) < FAR * lost(1))
        };
        let has_habit =
            is_habit(self.longest.iter().filter(|(interval, _)| is_gap(*interval)).count(), self.count as usize)
                || is_habit(sorted.iter().filter(|interval| is_gap(**interval)).count(), sorted.len());
        let is_long = |interval: u32| in_medians(interval) >= MISSED_FROM + MISSED_JITTERS * in_medians(jitter);
        let gaps = || self.longest.iter().filter(|(interval, _)| is_gap(*interval) && is_long(*interval));
        let uneven = micros(jitter).mul_f64(SILENT_JITTERS);
        let mut silence = SILENT_MIN.max(micros(median).mul_f64(SILENT_FROM) + uneven);
        // What begins late is an episode, as the steps of a blind that moves, and may end.
        let mut soon = START_MIN.max(micros(median).mul_f64(SILENT_FROM) + uneven);
        if let Some((longest, _)) = self.longest.first().filter(|(longest, _)| is_gap(*longest)) {
            // What comes in bursts is silent between them, and what paused before may do so again.
            silence = silence.max(micros(*longest).mul_f64(if has_habit { 2.0 } else { LATEST_FROM }));
            let is_even = || self.longest.iter().all(|(gap, _)| !is_gap(*gap) || *longest / 3 * 2 <= *gap);
            soon = soon.max(if has_habit && is_even() { micros(*longest) } else { soon });
        }
        let is_from_start = self.first.is_some_and(|first| first < soon);
        let is_sure = sorted.len() >= 4 || f64::from(jitter) <= 0.05 * f64::from(median);
        let silent = self.last.map(|last| end.saturating_sub(last)).filter(|_| is_from_start && is_sure);
        Some(Rhythm {
            median: micros(median),
            jitter: micros(jitter),
            is_regular,
            beats: self.count,
            lasted: self.last.zip(self.first).map_or(Duration::ZERO, |(last, first)| last.saturating_sub(first)),
            missed: gaps().map(|(interval, _)| in_medians(*interval).round() as u32 - 1).sum(),
            skips: has_habit || !is_from_start,
            gaps_from: gaps().map(|(_, began)| *began).min().unwrap_or_default(),
            gap: gaps().next().map(|(interval, began)| (micros(*interval), *began)),
            silent: silent.filter(|silent| *silent >= silence),
        })
    }
}

/// Intervals that tell from which beat it came.
const EARLIEST_KEPT: usize = 8;

/// Faster than this it is a stream, not a beat.
const SHORTEST_BEAT_MICROS: u32 = 20_000;

fn micros_of(interval: Duration) -> u32 {
    u32::try_from(interval.as_micros()).unwrap_or(u32::MAX)
}

fn middle(values: &mut [u32]) -> u32 {
    let at = values.len() / 2;
    sort_by(values, |a, b| a.cmp(b));
    values[at]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(times_ms: &[u64], end_ms: u64) -> Option<Rhythm> {
        let mut timing = Timing::default();
        times_ms.iter().for_each(|ms| timing.add(Duration::from_millis(*ms)));
        timing.rhythm(Duration::from_millis(end_ms))
    }

    #[test]
    fn a_beat_is_told_with_its_period_and_jitter() {
        let rhythm = of(&[0, 1000, 2010, 2990, 4000, 5020], 6000).expect("a rhythm");
        assert!(rhythm.is_regular);
        assert_eq!((rhythm.median, rhythm.jitter), (Duration::from_millis(1010), Duration::from_millis(10)));
        assert_eq!((rhythm.missed, rhythm.gap, rhythm.silent), (0, None, None));
    }

    #[test]
    fn missed_beats_are_counted_and_silence_is_told() {
        let rhythm = of(&[0, 1000, 2000, 3000, 7000, 8000, 10_000, 11_000, 12_000, 13_000], 20_000).expect("a rhythm");
        assert!(rhythm.is_regular);
        assert_eq!(rhythm.missed, 4);
        assert_eq!(rhythm.gap, Some((Duration::from_secs(4), Duration::from_secs(3))));
        assert_eq!(rhythm.silent, Some(Duration::from_secs(7)));
    }

    #[test]
    fn an_episode_and_a_habit_of_leaving_out_are_no_faults() {
        let blind: Vec<u64> = (0..12).map(|n| 60_000 + n * 1000).collect();
        let rhythm = of(&blind, 300_000).expect("a rhythm");
        assert_eq!((rhythm.silent, rhythm.skips), (None, true));
        let on_change = [0u64, 10, 20, 40, 50, 60, 70, 90, 100, 110, 120, 150, 160, 170].map(|s| s * 1000);
        assert!(of(&on_change, 175_000).expect("a rhythm").skips);
        let one_gap = [0u64, 10, 20, 30, 50, 60, 70, 80].map(|s| s * 1000);
        assert!(!of(&one_gap, 85_000).expect("a rhythm").skips);
    }

    #[test]
    fn what_loses_beats_by_chance_has_no_habit_of_long_holes() {
        let heard = |loses: u64, hole: u64| {
            let times = (0..90).filter(|n| n % loses != 5 && !(60..60 + hole).contains(n));
            of(&times.map(|n| n * 1300).collect::<Vec<_>>(), 117_000).expect("a rhythm").skips
        };
        assert_eq!((heard(17, 0), heard(17, 2), heard(17, 6)), (true, true, false));
        assert_eq!((heard(7, 0), heard(7, 4), heard(7, 12)), (true, true, false));
    }

    #[test]
    fn bursts_miss_no_beats_between_them_and_end_when_none_comes_for_long() {
        let bursts: Vec<u64> = (0..120).map(|n| n / 6 * 5000 + n % 6 * 20).collect();
        let rhythm = of(&bursts, 99_000).expect("a rhythm");
        assert_eq!((rhythm.skips, rhythm.silent), (true, None));
        assert!(of(&bursts, 120_000).expect("a rhythm").silent.is_some());
    }

    #[test]
    fn what_networks_do_to_a_fast_beat_is_no_gap() {
        let mut times: Vec<u64> = (0..50).map(|n| n * 20).collect();
        times.extend((0..50).map(|n| 1300 + n * 20));
        let rhythm = of(&times, 3500).expect("a rhythm");
        assert_eq!((rhythm.is_regular, rhythm.missed, rhythm.silent), (true, 0, None));
    }

    #[test]
    fn silence_is_long_only_beside_what_came_before() {
        let silence = |number: u64, end: u64| {
            let mut timing = Timing::default();
            (0..number).for_each(|n| timing.add(Duration::from_secs(n * 10 + n * n * 7 % 9)));
            timing.silence(Duration::from_secs(end)).map(|(silent, longest)| (silent.as_secs(), longest.as_secs()))
        };
        assert_eq!(silence(41, 600), Some((196, 17)));
        assert_eq!(silence(41, 480), None, "less than five times the longest gap");
        assert_eq!(silence(20, 400), Some((203, 17)));
        assert_eq!(silence(12, 204), Some((93, 17)));
        assert_eq!(silence(11, 200), None, "long enough only after more");
        assert_eq!(silence(8, 400), Some((329, 17)));
        assert_eq!(silence(7, 400), None, "too few");
        let mut bursts = Timing::default();
        (0..12).for_each(|n| bursts.add(Duration::from_secs(n / 4 * 30 + n % 4)));
        assert_eq!(bursts.silence(Duration::from_secs(330)), None, "not alike");
        assert_eq!(silence(41, 3000), None, "it went on for too short a time");
    }

    #[test]
    fn a_beat_that_slowed_down_long_ago_is_told_from_its_first_times() {
        let slowed = |fast: u64, slow: u64| {
            let mut timing = Timing::default();
            let mut at = 0;
            (0..fast + slow).for_each(|n| {
                at += if n < fast { 2 } else { 12 };
                timing.add(Duration::from_secs(at));
            });
            timing.slowed(true).map(|(before, after)| (before.as_secs(), after.as_secs()))
        };
        let is_slower = Some((2, 12));
        assert_eq!((slowed(150, 49), slowed(90, 64), slowed(90, 500)), (is_slower, is_slower, is_slower));
        assert_eq!((slowed(5, 500), slowed(90, 2), slowed(90, 0)), (None, None, None));
    }

    #[test]
    fn what_has_slowed_down_is_silent_for_longer() {
        let slowed = [0u64, 5, 10, 15, 20, 25, 30, 35, 65].map(|s| s * 1000);
        let silent = |end_ms| of(&slowed, end_ms).expect("a rhythm").silent.is_some();
        assert_eq!((silent(100_000), silent(111_000)), (false, true));
    }

    #[test]
    fn what_comes_between_two_beats_is_early() {
        let mut timing = Timing::default();
        [0, 10, 20, 30, 40].into_iter().for_each(|second| timing.add(Duration::from_secs(second)));
        for (second, expected) in [
            (42, Moment::Early),
            (47, Moment::Any),
            (49, Moment::Due),
            (52, Moment::Any),
            (60, Moment::Due),
            (65, Moment::Any),
            (90, Moment::Any),
        ] {
            assert_eq!(timing.moment(Duration::from_secs(second)), expected, "{second}");
        }
    }

    #[test]
    fn a_beat_that_becomes_slower_is_told_from_one_with_gaps() {
        let slowed = |seconds: &[u64]| {
            let (mut timing, mut at) = (Timing::default(), Duration::ZERO);
            timing.add(at);
            for second in seconds {
                at += Duration::from_secs(*second);
                timing.add(at);
            }
            timing.slowed(false).map(|(before, after)| (before.as_secs(), after.as_secs()))
        };
        assert_eq!(slowed(&[5, 5, 5, 5, 5, 5, 15, 15, 15]), Some((5, 15)));
        assert_eq!(slowed(&[5, 5, 5, 5, 5, 5, 15, 15, 5]), None, "gaps");
        assert_eq!(slowed(&[5, 5, 5, 5, 5, 5, 15, 15]), None, "too few");
        assert_eq!(slowed(&[5, 5, 5, 5, 5, 5, 5, 5]), None);
        assert_eq!(slowed(&[15, 15, 15, 15, 15, 5, 5, 5]), None, "faster");
        assert_eq!(slowed(&[5, 5, 5, 5, 5, 10, 20, 40]), None, "backs off");
    }

    #[test]
    fn a_beat_that_was_clearly_even_has_no_habit_of_leaving_out() {
        let of = |gaps_from: u64, is_same: fn(u64) -> bool| {
            let mut timing = Timing::default();
            for n in (0..27).filter(|n| *n < gaps_from || n % 3 == 0) {
                let at = Duration::from_secs(n * 10);
                if is_same(n) {
                    timing.note_same(at);
                }
                timing.add(at);
            }
            (timing.was_even(), timing.slowed(true).is_some())
        };
        assert_eq!(of(15, |n| n % 2 == 0), (true, false), "slow for too short a time");
        assert_eq!(of(10, |n| n % 2 == 0), (true, true));
        assert_eq!(of(15, |_| false), (false, false), "it may tell what changes");
        assert_eq!(of(15, |n| n >= 16), (false, false), "it tells again what has not changed for long");
        assert_eq!(of(6, |n| n % 2 == 0), (false, false), "not even for long");
    }

    #[test]
    fn what_comes_by_chance_is_no_beat() {
        assert!(!of(&[0, 100, 1700, 1900, 5000, 5100, 9000], 9000).expect("a rhythm").is_regular);
        assert!(!of(&[0, 1000, 2500], 3000).expect("a rhythm").is_regular);
        assert!(!of(&[0, 0, 0, 0, 0], 1000).expect("a rhythm").is_regular, "one burst");
        assert_eq!(of(&[0, 1000], 3000), None);
    }

    #[test]
    fn chance_that_looks_even_for_a_while_neither_misses_beats_nor_stops() {
        let motion = [46, 71, 124, 186, 264, 315, 393, 456, 531, 596, 733, 793].map(|tenth| tenth * 100);
        let rhythm = of(&motion, 100_000).expect("a rhythm");
        assert_eq!((rhythm.is_regular, rhythm.gap, rhythm.silent), (true, None, None));
        assert!(of(&motion, 120_000).expect("a rhythm").silent.is_some());
    }

    #[test]
    fn memory_has_a_bound_and_an_early_gap_is_remembered() {
        let mut timing = Timing::default();
        timing.add(Duration::ZERO);
        (0..100_000).for_each(|n| timing.add(Duration::from_secs(50) + Duration::from_secs(n)));
        assert_eq!((timing.intervals.len(), timing.longest.len()), (INTERVALS_KEPT, GAPS_KEPT));
        assert_eq!(timing.rhythm(Duration::from_secs(100_050)).expect("a rhythm").missed, 49);
        timing.interrupted();
        timing.add(Duration::from_secs(200_000));
        assert_eq!(timing.rhythm(Duration::from_secs(200_000)).expect("a rhythm").missed, 49, "the gap was ours");
    }
}
