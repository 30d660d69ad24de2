//! Whether a device says that its work is done, and that nothing more comes, or that it tells what somebody does.

use std::time::Duration;

use serde_json::Value;

use super::fields::Field;
use super::meaning;
use crate::analysis::words::is_in;

/// Since when a topic's messages say so.
#[derive(Default)]
pub(super) struct Rest {
    since: Option<Duration>,
    /// Whether they tell what somebody does, and come no more when nobody is there.
    pub(super) is_of_events: bool,
}

impl Rest {
    /// Takes a message's text, or its value.
    pub(super) fn note(&mut self, at: Duration, text: &str, json: Option<&Value>) {
        let text = match json {
            Some(Value::Object(members)) => {
                self.is_of_events |= members.keys().any(|name| is_in(EVENTS, name));
                members.values().filter_map(Value::as_str).find(|text| is_word(text)).unwrap_or_default()
            }
            Some(value) => value.as_str().unwrap_or_default(),
            None => text,
        };
        self.since = is_word(text).then(|| self.since.unwrap_or(at));
    }

    /// Whether they say so, and have not for longer than since `begin`: what always said so explains no silence.
    pub(super) fn began_after(&self, begin: Duration) -> bool {
        self.since.is_some_and(|since| since >= begin)
    }
}

/// Whether a number of something that runs has come down to next to nothing: what is told when it changes comes no more.
pub(super) fn has_ended(field: &Field, topic: &str) -> bool {
    has_fallen(field, topic, 20.0)
}

/// Whether it is so many times less than it was.
pub(super) fn has_fallen(field: &Field, topic: &str, times: f64) -> bool {
    const RUNS: &[&str] = &["power", "apower", "current", "flow", "speed", "rpm", "torque", "vibration", "frequency"];
    let is_less = field.last.abs() * times <= field.greatest && field.changes > 0;
    is_less && meaning::has_part(meaning::own_name(&field.path, topic), RUNS)
}

const EVENTS: &[&str] = &["action", "click", "button", "contact", "motion", "occupancy"];

fn is_word(text: &str) -> bool {
    const WORDS: &[&str] = &[
        "done",
        "finished",
        "complete",
        "completed",
        "ended",
        "standby",
        "idle",
        "sleep",
        "sleeping",
        "asleep",
        "inactive",
        "parked",
        "charged",
    ];
    is_in(WORDS, text.trim())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn rest_begins_with_its_word_and_ends_with_another() {
        let second = Duration::from_secs;
        let mut rest = Rest::default();
        let mut after = |at, word: &str, begin| {
            rest.note(second(at), "", Some(&json!({"phase": word, "n": 1})));
            rest.began_after(second(begin))
        };
        assert!(!after(1, "wash", 0));
        assert!(after(2, "done", 2));
        assert!(!after(3, "done", 3), "it said so before");
        assert!(!after(4, "spin", 0));
        assert!(!rest.is_of_events);
        let mut plain = Rest::default();
        plain.note(second(5), "Standby", None);
        assert!(plain.began_after(second(4)));
    }
}
