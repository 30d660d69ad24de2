//! Whether a device says that its work is done, and that nothing more comes.

use std::time::Duration;

use serde_json::Value;

use crate::analysis::words::is_in;

/// Since when a topic's messages say so.
#[derive(Default)]
pub(super) struct Rest(Option<Duration>);

impl Rest {
    /// Takes a message's text, or its value.
    pub(super) fn note(&mut self, at: Duration, text: &str, json: Option<&Value>) {
        let is_rest = match json {
            Some(Value::Object(members)) => members.values().any(|value| value.as_str().is_some_and(is_word)),
            Some(Value::String(text)) => is_word(text),
            Some(_) => false,
            None => is_word(text),
        };
        self.0 = is_rest.then(|| self.0.unwrap_or(at));
    }

    /// Whether they say so, and have not for longer than since `begin`: what always said so explains no silence.
    pub(super) fn began_after(&self, begin: Duration) -> bool {
        self.0.is_some_and(|since| since >= begin)
    }
}

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
        let mut plain = Rest::default();
        plain.note(second(5), "Standby", None);
        assert!(plain.began_after(second(4)));
    }
}
