//! The topics that a session has shown, by name: what completion offers. Bounded, and cheap enough to be asked for every
//! message.

use crate::eight::equal;
use crate::hash;
use crate::limits::{TOPICS_SEEN_MAX, TOPICS_SEEN_MAX_BYTES};

/// Topics in the order in which they were first seen. When it is full, new ones are not taken.
#[derive(Default)]
pub struct Seen {
    names: Vec<u8>,
    /// Where each name begins and ends.
    bounds: Vec<[u16; 2]>,
    /// Number + 1 of a name at its hash's place, or 0; its length is a power of two, at most half full.
    index: Vec<u16>,
    full: bool,
    /// The number of the last message's topic, if it was known: many in a row are on one.
    recent: usize,
}

impl Seen {
    /// Takes note of a topic.
    pub fn note(&mut self, topic: &str) {
        let topic = topic.as_bytes();
        if self.full || self.recent < self.bounds.len() && equal(self.name(self.recent), topic) {
            return;
        }
        if let Some(number) = self.find(topic) {
            self.recent = number;
            return;
        }
        self.full = self.bounds.len() == TOPICS_SEEN_MAX || self.names.len() + topic.len() > TOPICS_SEEN_MAX_BYTES;
        if self.full {
            return;
        }
        let start = self.names.len() as u16;
        self.names.extend_from_slice(topic);
        self.bounds.push([start, self.names.len() as u16]);
        if self.index.len() < self.bounds.len() * 2 {
            self.index = vec![0; (self.bounds.len() * 4).next_power_of_two().max(32)];
            (0..self.bounds.len()).for_each(|number| self.place(number));
        } else {
            self.place(self.bounds.len() - 1);
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.bounds.len()).map(|number| std::str::from_utf8(self.name(number)).unwrap_or_default())
    }

    fn name(&self, number: usize) -> &[u8] {
        let [start, end] = self.bounds[number];
        &self.names[start.into()..end.into()]
    }

    fn find(&self, topic: &[u8]) -> Option<usize> {
        let mask = self.index.len().checked_sub(1)?;
        let mut at = hash(topic) & mask;
        while let Some(number) = usize::from(self.index[at]).checked_sub(1) {
            if equal(self.name(number), topic) {
                return Some(number);
            }
            at = (at + 1) & mask;
        }
        None
    }

    fn place(&mut self, number: usize) {
        let mask = self.index.len() - 1;
        let mut at = hash(self.name(number)) & mask;
        while self.index[at] != 0 {
            at = (at + 1) & mask;
        }
        self.index[at] = number as u16 + 1;
    }
}

/// Where a topic is looked for. Whoever makes topics that collide makes us compare a thousand lengths, no more.
fn hash(topic: &[u8]) -> usize {
    (hash::of_bytes(topic) >> 32) as usize
}

const _: () = assert!(TOPICS_SEEN_MAX_BYTES <= u16::MAX as usize);
const _: () = assert!(TOPICS_SEEN_MAX < u16::MAX as usize);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_topic_is_kept_once_in_the_order_of_first_sight() {
        let mut seen = Seen::default();
        let topics: Vec<_> = (0..300).map(|n| format!("plant/line{}/sensor/{n}", n % 7)).collect();
        for _ in 0..3 {
            topics.iter().for_each(|topic| seen.note(topic));
        }
        assert_eq!(seen.iter().collect::<Vec<_>>(), topics);
        assert_eq!(seen.find(b"plant"), None);
    }

    #[test]
    fn beyond_its_bounds_it_takes_no_more() {
        let mut seen = Seen::default();
        (0..TOPICS_SEEN_MAX + 100).for_each(|n| seen.note(&n.to_string()));
        assert_eq!(seen.iter().count(), TOPICS_SEEN_MAX);
        let mut seen = Seen::default();
        (0..100).for_each(|n| seen.note(&format!("{n}{}", "x".repeat(1000))));
        assert!(seen.names.len() <= TOPICS_SEEN_MAX_BYTES && seen.iter().count() > 10);
        seen.note(&"y".repeat(65_535));
        assert!(seen.names.len() <= TOPICS_SEEN_MAX_BYTES);
    }

    #[test]
    fn topics_that_collide_are_told_apart() {
        let mut seen = Seen::default();
        for topic in ["", "a", "a/", "/a", "a/b/c/d/", "a/b/c/d/\0", "ü"] {
            seen.note(topic);
            seen.note(topic);
        }
        assert_eq!(seen.iter().count(), 7);
    }
}
