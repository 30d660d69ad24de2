//! A table of topics with something kept for each: flat memory that goes back to the system as a whole.

use std::hash::BuildHasher;

use foldhash::quality::RandomState;

use crate::analysis::sort::order;
use crate::eight::equal;
use crate::limits::{TOPIC_NAMES_MAX_BYTES, TOPICS_TRACKED_MAX};

/// Topics by name, in the order in which they were first seen. Beyond its limits new topics are only counted.
pub struct Topics<T> {
    names: Vec<u8>,
    rows: Vec<Row<T>>,
    /// Row number + 1 at the hash's place, or 0; its length is a power of two, at most half full.
    index: Vec<u32>,
    hasher: RandomState,
    untracked_messages: u64,
    /// The row of the last message: many in a row are on one topic.
    recent: usize,
}

struct Row<T> {
    hash: u32,
    start: u32,
    length: u32,
    value: T,
}

impl<T> Default for Topics<T> {
    fn default() -> Self {
        let (names, rows, index) = (Vec::new(), Vec::new(), Vec::new());
        Self { names, rows, index, hasher: RandomState::default(), untracked_messages: 0, recent: 0 }
    }
}

impl<T> Topics<T> {
    /// The value for `topic`, made by `new` when it is seen for the first time (then the flag is true). `None` when
    /// the limits are reached; such messages are counted.
    pub fn entry(&mut self, topic: &str, new: impl FnOnce() -> T) -> Option<(&mut T, bool)> {
        if self.rows.get(self.recent).is_some_and(|row| equal(self.name_bytes(row), topic.as_bytes())) {
            return Some((&mut self.rows[self.recent].value, false));
        }
        let hash = self.hasher.hash_one(topic) as u32;
        if let Some(row) = self.find(topic, hash) {
            self.recent = row;
            return Some((&mut self.rows[row].value, false));
        }
        if self.rows.len() >= TOPICS_TRACKED_MAX || self.names.len() + topic.len() > TOPIC_NAMES_MAX_BYTES {
            self.untracked_messages += 1;
            return None;
        }
        if self.index.len() < (self.rows.len() + 1) * 2 {
            self.grow();
        }
        let start = self.names.len() as u32;
        self.names.extend_from_slice(topic.as_bytes());
        self.rows.push(Row { hash, start, length: topic.len() as u32, value: new() });
        self.place(self.rows.len() - 1);
        self.rows.last_mut().map(|row| (&mut row.value, true))
    }

    /// Topics tracked by name.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Bytes in use.
    pub fn used_bytes(&self) -> usize {
        self.names.capacity() + self.rows.capacity() * size_of::<Row<T>>() + self.index.capacity() * 4
    }

    /// Whether no topic was seen.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Messages on topics beyond the limits; while it is 0, [`Topics::len`] is exact.
    pub fn untracked_messages(&self) -> u64 {
        self.untracked_messages
    }

    /// Name and value of row `index`, in the order of first sight.
    pub fn get(&self, index: usize) -> (&str, &T) {
        let row = &self.rows[index];
        (self.name(row), &row.value)
    }

    /// The value of row `index`.
    pub fn get_mut(&mut self, index: usize) -> &mut T {
        &mut self.rows[index].value
    }

    /// The value of a topic that is tracked.
    pub fn value(&self, topic: &str) -> Option<&T> {
        self.find(topic, self.hasher.hash_one(topic) as u32).map(|row| &self.rows[row].value)
    }

    /// Row numbers sorted by name.
    pub fn sorted(&self) -> Vec<u32> {
        let name = |row: u32| self.name(&self.rows[row as usize]);
        order(self.rows.len(), &mut |a, b| name(a).cmp(name(b)))
    }

    fn name(&self, row: &Row<T>) -> &str {
        std::str::from_utf8(self.name_bytes(row)).unwrap_or_default()
    }

    fn name_bytes(&self, row: &Row<T>) -> &[u8] {
        &self.names[row.start as usize..(row.start + row.length) as usize]
    }

    fn find(&self, topic: &str, hash: u32) -> Option<usize> {
        let mask = self.index.len().checked_sub(1)?;
        let mut at = hash as usize & mask;
        loop {
            let row = (self.index[at] as usize).checked_sub(1)?;
            if self.rows[row].hash == hash && equal(self.name_bytes(&self.rows[row]), topic.as_bytes()) {
                return Some(row);
            }
            at = (at + 1) & mask;
        }
    }

    fn place(&mut self, row: usize) {
        let mask = self.index.len() - 1;
        let mut at = self.rows[row].hash as usize & mask;
        while self.index[at] != 0 {
            at = (at + 1) & mask;
        }
        self.index[at] = row as u32 + 1;
    }

    fn grow(&mut self) {
        self.index = vec![0; (self.index.len() * 2).max(32)];
        (0..self.rows.len()).for_each(|row| self.place(row));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_counted_by_name_and_sorted() {
        let mut topics = Topics::<u32>::default();
        for round in 0..3 {
            for n in (0..500).rev() {
                let (count, new) = topics.entry(&format!("t/{n:03}"), || 0).expect("tracked");
                *count += 1;
                assert_eq!(new, round == 0);
            }
        }
        assert_eq!((topics.len(), topics.untracked_messages()), (500, 0));
        let sorted = topics.sorted();
        assert_eq!(topics.get(sorted[7] as usize), ("t/007", &3));
        assert_eq!(topics.value("t/499"), Some(&3));
        assert_eq!(topics.value("other"), None);
    }

    #[test]
    fn beyond_the_limits_messages_are_counted_and_memory_stays() {
        let mut topics = Topics::<()>::default();
        for n in 0..TOPICS_TRACKED_MAX + 10 {
            topics.entry(&format!("{n}"), || ());
        }
        assert_eq!((topics.len(), topics.untracked_messages()), (TOPICS_TRACKED_MAX, 10));
        let mut topics = Topics::<()>::default();
        for n in 0..30 {
            topics.entry(&format!("{n}{}", "x".repeat(60_000)), || ());
        }
        assert!(topics.names.len() <= TOPIC_NAMES_MAX_BYTES && topics.untracked_messages() > 0);
    }
}
