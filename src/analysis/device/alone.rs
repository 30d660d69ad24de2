//! What a topic's numbers are to each other: which of them come no more while all else goes on.

use super::fields::{Field, Fields};

impl Fields {
    /// Messages without a number that had been in each of no fewer than `least`, from the first to the last that had it.
    pub fn absent(&self, field: &Field, least: u32) -> u32 {
        let was_always = field.seen >= least && field.seen == field.last_message;
        if was_always { self.without(field) } else { 0 }
    }

    /// Messages since the last that had a number.
    pub fn without(&self, field: &Field) -> u32 {
        self.messages - field.last_message
    }

    /// Whether all else is as it was when a number was there last: the same numbers come, and what the messages say in
    /// words, or by a number that is rarely another, has not changed.
    pub fn is_alone(&self, field: &Field) -> bool {
        let since = self.without(field);
        let is_same = |other: &Field| {
            let turns = other.changes > 0 && other.changes * 4 <= other.seen;
            let has_turned = other.is_whole && turns && other.run.length <= since;
            let has_come = other.last_message == self.messages || other.last_message == field.last_message;
            // The power factor of nothing is none.
            let has_ended = other.last == 0.0 && other.changes > 0 && other.run.length <= since + 1;
            other.seen == other.last_message && has_come && !has_turned && !has_ended
        };
        self.words_since <= field.last_message && self.all.iter().all(is_same)
    }

    /// Whether the messages began to say something else in words when a number came to its latest value, as a robot that is
    /// back in its dock.
    pub(super) fn turned_with(&self, field: &Field) -> bool {
        let first = self.messages.saturating_sub(field.run.length) + 1;
        self.words_since > 1 && self.words_since.abs_diff(first) <= 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::device::At;
    use serde_json::json;

    #[test]
    fn what_falls_to_nothing_takes_with_it_what_is_told_of_it() {
        for (behind, expected) in [(0, false), (90, true), (30, true)] {
            let mut fields = Fields::default();
            for n in 0..20u32 {
                let (factor, power) = if n < 12 { (json!(0.98), 90 + n * 7 % 5) } else { (json!(null), behind) };
                fields.record(At::default(), &json!({"factor": factor, "power": power}), 100);
            }
            let factor = fields.iter().next().expect("a field");
            assert_eq!(fields.is_alone(factor), expected, "{behind}");
        }
    }
}
