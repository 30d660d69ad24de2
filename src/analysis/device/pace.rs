//! Whether a number is told at its times whatever it is, or only when it has changed by so much.

use std::time::Duration;

/// How far a number goes from one message to the next, by how soon that comes.
#[derive(Clone, Copy)]
pub struct Pace {
    soonest: Duration,
    /// The least that it went when the next message came as soon as any, and that may be nothing.
    least: f64,
    /// How far it went until all that came soon, and how many they were.
    soon: (f64, u32),
    /// The same until those that came late since then …
    late: (f64, u32),
    /// … and how many of them went farther than that least.
    farther: u32,
    /// How far it went, and which way.
    went: f64,
    /// The farthest that it ever went.
    farthest: f64,
    /// How often it went that far, or nearly, and at once back to where it had been.
    pub(super) swings: u32,
}

impl Default for Pace {
    fn default() -> Self {
        let (none, least) = ((0.0, 0), f64::INFINITY);
        Self { soonest: Duration::MAX, least, soon: none, late: none, farther: 0, went: 0.0, farthest: 0.0, swings: 0 }
    }
}

impl Pace {
    /// Takes how far it went from one message to the next, or fell when that is less than nothing, and in which time.
    pub(super) fn add(&mut self, interval: Duration, went: f64) {
        const LATE: f64 = 1.5;
        const SOON: f64 = 1.25;
        const BACK: f64 = 4.0;
        let before = std::mem::replace(&mut self.went, went);
        let is_back = (went + before).abs() * BACK <= went.abs();
        let went = went.abs();
        self.farthest = self.farthest.max(went);
        self.swings += u32::from(went > 0.0 && went * 2.0 >= self.farthest && is_back);
        self.soonest = self.soonest.min(interval);
        if interval <= self.soonest.mul_f64(SOON) {
            self.least = self.least.min(went);
            self.soon = (self.soon.0 + went, self.soon.1 + 1);
            (self.late, self.farther) = ((0.0, 0), 0);
        } else if interval >= self.soonest.mul_f64(LATE) {
            self.late = (self.late.0 + went, self.late.1 + 1);
            self.farther += u32::from(went > self.least);
        }
    }

    /// Whether it was told late again and again though it had gone farther than before messages that came soon: who
    /// tells what has changed would not have waited. Another number may have made those come, so it must also go on as
    /// it went.
    pub(super) fn is_free_of_change(&self) -> bool {
        const OFTEN: u32 = 3;
        const LESS: f64 = 0.5;
        let mean = |(went, times): (f64, u32)| went / f64::from(times);
        self.farther >= OFTEN && mean(self.late) >= mean(self.soon) * LESS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_back_and_forth_between_two_levels_swings() {
        let of = |values: &[f64]| {
            let mut pace = Pace::default();
            values.windows(2).for_each(|pair| pace.add(Duration::from_secs(10), pair[1] - pair[0]));
            pace.swings
        };
        assert_eq!(of(&[10.2, 20.6, 10.3, 20.4, 10.4, 10.5, 20.5]), 3);
        assert_eq!(of(&[10.2, 10.3, 20.6, 20.4, 10.4, 10.5]), 0);
        assert_eq!(of(&[10.2; 5]), 0);
        assert_eq!(of(&[10.0, 20.0, 10.0, 11.0, 10.0, 11.0]), 1, "the rest is little beside that");
    }

    #[test]
    fn who_tells_a_small_change_soon_and_a_large_one_late_tells_at_its_times() {
        let of = |steps: &[(u64, f64)]| {
            let mut pace = Pace::default();
            steps.iter().for_each(|(seconds, went)| pace.add(Duration::from_secs(*seconds), *went));
            pace.is_free_of_change()
        };
        let soon = [(10, 0.3), (10, 0.1), (11, 0.2)];
        assert!(of(&[&soon[..], &[(20, 0.4), (20, 0.2), (20, 0.7)]].concat()));
        assert!(!of(&[&soon[..], &[(60, 0.05), (60, 0.1), (60, 0.0)]].concat()), "less than it would tell");
        assert!(!of(&[&soon[..], &[(60, 0.05), (60, 0.4), (60, 0.0)]].concat()), "once it jumped");
        assert!(!of(&[&soon[..], &[(14, 0.4); 5]].concat()), "hardly late");
        let late = [(20, 0.4); 3];
        assert!(!of(&[&soon[..], &late, &[(10, 0.1)]].concat()), "it came in time again");
        let by_another = [(10, 4.0), (10, 0.0), (10, 3.0)];
        assert!(!of(&[&by_another[..], &late].concat()), "it rests, and another number made those come");
        assert!(!of(&[(10, 0.4); 9]));
    }
}
