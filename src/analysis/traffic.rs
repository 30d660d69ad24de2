//! What passes on a broker, as numbers: counts, rates, sizes, intervals and the busiest topics. Memory is bounded by
//! limits, whatever passes.

use std::time::Duration;

use super::heavy::HeavyHitters;
use super::histogram::Histogram;
use super::seconds::Seconds;
use super::topics::Topics;

/// Everything that is counted of a stream of messages.
#[derive(Default)]
pub struct Traffic {
    /// Live messages.
    pub live: Load,
    /// Messages that the broker had kept and sent because of the subscription: not traffic.
    pub retained: Load,
    /// Live messages per second.
    pub seconds: Seconds,
    /// Sizes of live payloads, in bytes.
    pub payload_bytes: Histogram,
    /// Time from one live message to the next, in microseconds.
    pub intervals: Histogram,
    last: Option<Duration>,
    topics: Topics<Load>,
    /// On topics beyond those that are tracked.
    others_by_messages: HeavyHitters,
    others_by_bytes: HeavyHitters,
}

/// Messages and their payload bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Load {
    /// How many.
    pub messages: u64,
    /// Bytes of their payloads.
    pub bytes: u64,
}

/// What topics are ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// Messages.
    Messages,
    /// Payload bytes.
    Bytes,
}

/// A topic among the busiest.
#[derive(Clone, Debug, PartialEq)]
pub struct Busy<'a> {
    /// Its name.
    pub topic: &'a str,
    /// Messages or bytes.
    pub weight: u64,
    /// So much of the weight may belong to others; 0 for topics that are tracked.
    pub error: u64,
    /// Messages and bytes of a topic that is tracked.
    pub load: Option<Load>,
}

/// The busiest topics that can be told.
pub struct Ranking<'a> {
    /// By what is certain of their weight, busiest first.
    pub rows: Vec<Busy<'a>>,
    /// No other topic has more.
    pub rest: u64,
}

impl Busy<'_> {
    /// What is its own for certain.
    fn certain(&self) -> u64 {
        self.weight - self.error
    }
}

impl<'a> Ranking<'a> {
    /// The one that is busier than all others for certain.
    pub fn first(&self) -> Option<&Busy<'a>> {
        let (first, others) = self.rows.split_first()?;
        let certain = first.certain();
        (certain > self.rest && others.iter().all(|other| certain > other.weight)).then_some(first)
    }

    /// What topics behind the first `count` have at most.
    pub fn rest(&self, count: usize) -> u64 {
        self.rows.iter().skip(count).map(|busy| busy.weight).fold(self.rest, u64::max)
    }
}

impl Load {
    fn add(&mut self, bytes: u64) {
        self.messages += 1;
        self.bytes += bytes;
    }
}

impl Traffic {
    /// Counts a message that came `elapsed` after the call began.
    pub fn record(&mut self, elapsed: Duration, topic: &str, bytes: u64, retain: bool) {
        if retain {
            self.retained.add(bytes);
            return;
        }
        self.live.add(bytes);
        self.seconds.add(elapsed);
        self.payload_bytes.add(bytes);
        if let Some(last) = self.last.replace(elapsed) {
            self.intervals.add(elapsed.saturating_sub(last).as_micros() as u64);
        }
        match self.topics.entry(topic, Load::default) {
            Some((load, _)) => load.add(bytes),
            None => {
                self.others_by_messages.add(topic, 1);
                self.others_by_bytes.add(topic, bytes);
            }
        }
    }

    /// The connection was away: what comes next is no interval.
    pub fn interrupted(&mut self) {
        self.last = None;
    }

    /// Distinct topics of live messages that are tracked, and live messages on others. While there are none, the
    /// number of topics is exact.
    pub fn topics(&self) -> (usize, u64) {
        (self.topics.len(), self.topics.untracked_messages())
    }

    /// The `count` busiest topics. One of which no more than half is certain may be any: it has no place.
    pub fn busiest(&self, by: By, count: usize) -> Ranking<'_> {
        let tracked = (0..self.topics.len()).map(|row| self.topics.get(row)).map(|(topic, load)| {
            let weight = if by == By::Messages { load.messages } else { load.bytes };
            Busy { topic, weight, error: 0, load: Some(*load) }
        });
        let others = if by == By::Messages { &self.others_by_messages } else { &self.others_by_bytes };
        let mut rest = others.others_at_most();
        let others = others.kept().iter().map(|heavy| Busy {
            topic: &heavy.name,
            weight: heavy.weight,
            error: heavy.error,
            load: None,
        });
        let order = |a: &Busy<'_>, b: &Busy<'_>| b.certain().cmp(&a.certain()).then(a.topic.cmp(b.topic));
        let mut rows: Vec<Busy<'_>> = Vec::with_capacity(count + 1);
        // A place among `count` for each: no list of all topics is made.
        for busy in tracked.chain(others) {
            let place = rows.partition_point(|other| order(other, &busy).is_lt());
            if busy.error >= busy.certain().max(1) || place == count {
                rest = rest.max(busy.weight);
                continue;
            }
            if rows.len() == count {
                rest = rest.max(rows.pop().map_or(0, |last| last.weight));
            }
            rows.insert(place, busy);
        }
        // Nor has one that others may be twice as busy as.
        while let Some(last) = rows.pop_if(|last| 2 * last.certain() < rest) {
            rest = rest.max(last.weight);
        }
        Ranking { rows, rest }
    }

    /// Bytes in use.
    pub fn used_bytes(&self) -> usize {
        self.topics.used_bytes() + self.payload_bytes.used_bytes() + self.intervals.used_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::TOPICS_TRACKED_MAX;

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn retained_messages_are_counted_apart_and_are_no_traffic() {
        let mut traffic = Traffic::default();
        traffic.record(at(1), "a", 100, true);
        traffic.record(at(2), "a", 10, false);
        traffic.record(at(7), "b", 30, false);
        assert_eq!(traffic.retained, Load { messages: 1, bytes: 100 });
        assert_eq!(traffic.live, Load { messages: 2, bytes: 40 });
        assert_eq!((traffic.payload_bytes.max(), traffic.intervals.max()), (Some(30), Some(5000)));
        traffic.interrupted();
        traffic.record(at(60_000), "b", 1, false);
        assert_eq!(traffic.intervals.total(), 1, "a gap is no interval");
    }

    #[test]
    fn the_busiest_topics_are_exact_while_all_are_tracked() {
        let mut traffic = Traffic::default();
        for n in 0..1000u64 {
            (0..n % 37).for_each(|_| traffic.record(at(n), &format!("t/{n:04}"), n, false));
        }
        let ranking = traffic.busiest(By::Messages, 3);
        let top = &ranking.rows;
        let shown: Vec<_> = top.iter().map(|busy| (busy.topic, busy.weight, busy.error)).collect();
        assert_eq!(shown, [("t/0036", 36, 0), ("t/0073", 36, 0), ("t/0110", 36, 0)]);
        assert_eq!(top[1].load, Some(Load { messages: 36, bytes: 36 * 73 }));
        assert!(ranking.first().is_none() && ranking.rest == 36, "others are as busy: {}", ranking.rest);
        let by_bytes = traffic.busiest(By::Bytes, 1);
        assert_eq!(by_bytes.first().map(|busy| busy.topic), Some("t/0998"));
        let (all, heaviest) = (traffic.busiest(By::Bytes, 5000), by_bytes.rows[0].weight);
        assert_eq!((all.rows.len(), all.rest, all.rest(0)), (traffic.topics().0, 0, heaviest));
    }

    #[test]
    fn beyond_the_tracked_topics_a_busy_one_is_found_with_its_bound() {
        let mut traffic = Traffic::default();
        (0..TOPICS_TRACKED_MAX).for_each(|n| traffic.record(at(0), &format!("{n}"), 1, false));
        for n in 0..2000 {
            traffic.record(at(n), &format!("more/{n}"), 1, false);
            traffic.record(at(n), "late but busy", 1000, false);
        }
        assert_eq!(traffic.topics(), (TOPICS_TRACKED_MAX, 4000));
        let ranking = traffic.busiest(By::Messages, 1);
        let top = &ranking.rows;
        assert_eq!(ranking.first(), Some(&top[0]));
        assert_eq!((top[0].topic, top[0].load), ("late but busy", None));
        assert!(top[0].weight >= 2000 && top[0].weight - top[0].error <= 2000, "{top:?}");
        assert_eq!(traffic.live.messages, 4000 + TOPICS_TRACKED_MAX as u64);
    }

    #[test]
    fn a_topic_that_cannot_be_told_from_others_has_no_place() {
        let mut traffic = Traffic::default();
        for n in 0..40_000 {
            traffic.record(at(n), &format!("once/{n}"), 1, false);
            if n > 15_000 && n % 400 == 0 {
                traffic.record(at(n), "hot", 1, false);
            }
        }
        let ranking = traffic.busiest(By::Messages, 20);
        let [hot] = &ranking.rows[..] else { panic!("{:?}", ranking.rows) };
        assert_eq!((hot.topic, ranking.first()), ("hot", Some(hot)));
        assert!(hot.weight >= 62 && hot.weight - hot.error <= 62, "{hot:?}");
        assert!(ranking.rest >= 1 && ranking.rest < hot.weight - hot.error, "{}", ranking.rest);
    }
}
