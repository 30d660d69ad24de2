//! How much may be published: so many messages within any minute.

use std::time::{Duration, Instant};

/// What was published in the last minute, by the second.
#[derive(Default)]
pub struct Budget {
    seconds: Vec<(Instant, u32)>,
    count: u32,
}

const MINUTE: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);

impl Budget {
    /// Takes one of `per_minute`, or tells how long to wait for the next. A second's messages come free together, a
    /// minute after its last moment.
    pub fn take(&mut self, now: Instant, per_minute: u32) -> Result<(), Duration> {
        while let Some((since, count)) = self.seconds.first().filter(|(since, _)| now >= *since + SECOND + MINUTE) {
            let _ = since;
            self.count -= count;
            self.seconds.remove(0);
        }
        if self.count >= per_minute {
            let free_at = self.seconds.first().map_or(now, |(since, _)| *since + SECOND + MINUTE);
            return Err(free_at - now);
        }
        self.count += 1;
        match self.seconds.last_mut() {
            Some((since, count)) if now < *since + SECOND => *count += 1,
            _ => self.seconds.push((now, 1)),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_minute_has_more_than_the_budget_and_the_wait_is_long_enough() {
        for per_minute in [1, 3, 100] {
            let (mut budget, mut now) = (Budget::default(), Instant::now());
            let mut published = Vec::new();
            for step in 0..4000_u64 {
                match budget.take(now, per_minute) {
                    Ok(()) => published.push(now),
                    Err(wait) => {
                        assert!(wait > Duration::ZERO && wait <= MINUTE + SECOND, "{wait:?}");
                        let later = now + wait;
                        assert!(budget.take(later, per_minute).is_ok(), "after the wait there is one");
                        published.push(later);
                        now = later;
                    }
                }
                now += Duration::from_millis(step * 7919 % 900);
            }
            for (index, first) in published.iter().enumerate() {
                let within = published[index..].iter().take_while(|other| **other < *first + MINUTE).count();
                assert!(within <= per_minute as usize, "{within} of {per_minute}");
            }
            assert!(budget.seconds.len() <= 62, "bounded");
        }
    }
}
