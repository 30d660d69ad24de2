//! A bounded record of messages with an exact cursor: what a watch keeps between reads.

use std::collections::VecDeque;

use super::alarm::Severity;
use super::store::Facts;

/// What gives way when the record is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFull {
    /// The oldest message.
    DropOldest,
    /// Every other message that reports no error; the oldest only when all do.
    Prune,
}

/// Messages in order of arrival, numbered from 0 without a gap: a cursor is the number of the next one.
pub struct Ring {
    kept: VecDeque<Kept>,
    capacity: usize,
    max_bytes: usize,
    on_full: OnFull,
    bytes: usize,
    seen: u64,
    dropped: u64,
}

/// A kept message.
pub struct Kept {
    /// What is known of it; `sequence` is its number.
    pub facts: Facts,
    topic_bytes: usize,
    bytes: Box<[u8]>,
    reports: bool,
}

impl Kept {
    /// Its topic.
    pub fn topic(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.topic_bytes]).unwrap_or_default()
    }

    /// What was kept of its payload.
    pub fn payload(&self) -> &[u8] {
        &self.bytes[self.topic_bytes..]
    }
}

impl Ring {
    /// A record of at most `capacity` messages and about `max_bytes`.
    pub fn new(capacity: usize, max_bytes: usize, on_full: OnFull) -> Self {
        Self { kept: VecDeque::new(), capacity, max_bytes, on_full, bytes: 0, seen: 0, dropped: 0 }
    }

    /// Takes a message; its number is given here.
    pub fn push(&mut self, facts: Facts, topic: &str, payload: &[u8], severity: Option<Severity>) {
        let facts = Facts { sequence: self.seen, ..facts };
        self.seen += 1;
        let bytes: Box<[u8]> = [topic.as_bytes(), payload].concat().into();
        self.bytes += bytes.len();
        self.kept.push_back(Kept { facts, topic_bytes: topic.len(), bytes, reports: severity.is_some() });
        while self.kept.len() > self.capacity || (self.bytes > self.max_bytes && self.kept.len() > 1) {
            self.make_room();
        }
    }

    /// Messages seen.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// Messages given up.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// What is kept, oldest first.
    pub fn kept(&self) -> impl Iterator<Item = &Kept> {
        self.kept.iter()
    }

    fn make_room(&mut self) {
        let before = self.kept.len();
        if self.on_full == OnFull::Prune {
            let newest = self.seen - 1;
            let mut turn = false;
            self.kept.retain(|kept| {
                turn ^= !kept.reports;
                let keep = kept.reports || turn || kept.facts.sequence == newest;
                if !keep {
                    self.bytes -= kept.bytes.len();
                }
                keep
            });
        }
        if self.kept.len() == before
            && let Some(oldest) = self.kept.pop_front()
        {
            self.bytes -= oldest.bytes.len();
        }
        self.dropped += (before - self.kept.len()) as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(on_full: OnFull, count: u64) -> Ring {
        let mut ring = Ring::new(10, 1000, on_full);
        for n in 0..count {
            let severity = n.is_multiple_of(7).then_some(Severity::Error);
            ring.push(Facts::default(), "t", n.to_string().as_bytes(), severity);
        }
        ring
    }

    #[test]
    fn the_oldest_give_way_and_are_counted() {
        let ring = filled(OnFull::DropOldest, 25);
        assert_eq!((ring.seen(), ring.dropped()), (25, 15));
        let shown: Vec<_> = ring.kept().map(|kept| (kept.facts.sequence, kept.topic(), kept.payload())).collect();
        assert_eq!(shown[0], (15, "t", &b"15"[..]));
    }

    #[test]
    fn pruning_keeps_what_reports_errors_and_counts_exactly() {
        let ring = filled(OnFull::Prune, 40);
        let kept: Vec<_> = ring.kept().map(|kept| kept.facts.sequence).collect();
        assert!(kept.len() <= 10 && kept.contains(&39));
        for error in [0, 7, 14, 21, 28, 35] {
            assert!(kept.contains(&error), "{kept:?}");
        }
        assert_eq!(ring.dropped() + kept.len() as u64, 40);
    }

    #[test]
    fn bytes_are_bounded_like_messages() {
        for on_full in [OnFull::DropOldest, OnFull::Prune] {
            let mut ring = Ring::new(10_000, 5000, on_full);
            for _ in 0..1000 {
                ring.push(Facts::default(), "topic", &[b'x'; 200], Some(Severity::Error));
                assert!(ring.bytes <= 5000);
            }
            ring.push(Facts::default(), "topic", &[b'x'; 9000], None);
            assert_eq!(ring.kept().count(), 1, "a message that is larger than all is kept alone");
        }
    }
}
