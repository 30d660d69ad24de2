//! Texts, merged: how many, how long, which ones if they are few, and the format that all of them have.

use super::format::Formats;
use crate::limits::{SCHEMA_ENUM_MAX, SCHEMA_EXAMPLE_BYTES, SCHEMA_EXAMPLES_MAX};
use crate::sorted::Sorted;

/// Texts that were seen at one place.
#[derive(Debug, PartialEq)]
pub struct Strings {
    count: u32,
    /// All of them with how often each came, or the first few in their order, not counted, when there are many.
    values: Sorted<Box<str>, u32>,
    many: bool,
    least: usize,
    most: usize,
    formats: Formats,
}

impl Default for Strings {
    fn default() -> Self {
        let formats = Formats::ALL;
        Self { count: 0, values: Sorted::default(), many: false, least: usize::MAX, most: 0, formats }
    }
}

impl Strings {
    /// Takes a text.
    pub fn add(&mut self, text: &str) {
        self.count += 1;
        let length = text.chars().count();
        (self.least, self.most) = (self.least.min(length), self.most.max(length));
        if self.formats != Formats::NONE {
            self.formats = self.formats.and(Formats::of(text));
        }
        let shown = &text[..text.floor_char_boundary(SCHEMA_EXAMPLE_BYTES)];
        self.many |= shown.len() < text.len();
        match self.values.get_mut(shown) {
            Some(count) => *count += 1,
            None => *self.values.or_default(shown.into()) = 1,
        }
        self.bound();
    }

    /// Takes all that another one has.
    pub fn merge(&mut self, other: &Self) {
        self.count += other.count;
        (self.least, self.most) = (self.least.min(other.least), self.most.max(other.most));
        self.formats = self.formats.and(other.formats);
        self.many |= other.many;
        for (text, count) in other.values.iter() {
            *self.values.or_default(text.clone()) += count;
        }
        self.bound();
    }

    /// Of many, the first few in their order are examples: the same ones, whatever came first.
    fn bound(&mut self) {
        self.many |= self.values.len() > SCHEMA_ENUM_MAX;
        if self.many {
            self.values.values_mut().for_each(|count| *count = 0);
            self.values.truncate(SCHEMA_EXAMPLES_MAX);
        }
    }

    /// How many there were.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Least and most characters.
    pub fn lengths(&self) -> (usize, usize) {
        (self.least, self.most)
    }

    /// The format of all of them.
    pub fn format(&self) -> Option<&'static str> {
        self.formats.name().filter(|_| self.count > 0)
    }

    /// All that were seen, when they are so few and so often repeated that there are hardly others.
    pub fn few(&self) -> Option<impl Iterator<Item = &str>> {
        let repeated = self.count >= 3 && self.count as usize >= 2 * self.values.len();
        // What changes and has so many digits is a time or a number, however often it came: there will be others.
        let is_reading = |(text, _): &(Box<str>, u32)| text.bytes().filter(u8::is_ascii_digit).count() > 5;
        let readings = self.values.len() > 1 && self.values.iter().any(is_reading);
        let few = !self.many && repeated && !readings && self.format().is_none();
        few.then(|| self.values.iter().map(|(text, _)| text.as_ref()))
    }

    /// How often `text` came; `None` when there are too many to know.
    pub fn count_of(&self, text: &str) -> Option<u32> {
        if self.many { None } else { self.values.get(text).copied() }
    }

    /// A few of them.
    pub fn examples(&self) -> impl Iterator<Item = &str> {
        self.values.iter().take(SCHEMA_EXAMPLES_MAX).map(|(text, _)| text.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(texts: &[&str]) -> Strings {
        let mut strings = Strings::default();
        texts.iter().for_each(|text| strings.add(text));
        strings
    }

    #[test]
    fn few_repeated_texts_are_all_there_are() {
        let few = |texts: &[&str]| of(texts).few().map(Iterator::count);
        assert_eq!(few(&["ON", "OFF", "ON", "ON"]), Some(2));
        assert_eq!(few(&["C", "C", "C"]), Some(1));
        assert_eq!(few(&["a", "b", "c"]), None, "never repeated");
        assert_eq!(few(&["127.0.0.1"; 9]), None, "a format says more");
        let times = ["2026-01-01T00:00:00", "2026-01-01T00:00:10"];
        assert_eq!(few(&[times, times, times].concat()), None, "the next one is another");
        assert_eq!(few(&["1.2.10", "1.2.11", "1.2.10", "1.2.11"]), Some(2));
        let long = "x".repeat(500);
        assert_eq!(few(&[long.as_str(); 9]), None);
    }

    #[test]
    fn memory_is_bounded_and_examples_do_not_depend_on_the_order() {
        let texts: Vec<_> = (0..1000).map(|n| format!("{:03}{}", (n * 37) % 1000, "x".repeat(100))).collect();
        let (mut forward, mut backward) = (Strings::default(), Strings::default());
        texts.iter().for_each(|text| forward.add(text));
        let (first, second) = texts.split_at(300);
        second.iter().rev().for_each(|text| backward.add(text));
        let mut rest = Strings::default();
        first.iter().for_each(|text| rest.add(text));
        backward.merge(&rest);
        assert_eq!(forward, backward);
        assert_eq!(forward.values.len(), SCHEMA_EXAMPLES_MAX);
        assert!(forward.examples().next().is_some_and(|text| text.starts_with("000x")));
    }
}
