//! What a broker tells of itself on `$SYS`: a few topics, their first and last value. Their names differ between
//! brokers, their endings hardly.

use serde::Serialize;

use crate::analysis::decimal;
use crate::analysis::sort::sort_by;
use crate::limits::{BROKER_FACT_MAX_BYTES, BROKER_FACTS_MAX};

/// First and last values of chosen `$SYS` topics.
#[derive(Default)]
pub struct BrokerFacts {
    facts: Vec<Fact>,
    live: u64,
}

/// One topic of them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Fact {
    /// The whole topic.
    pub topic: Box<str>,
    /// The first value.
    pub before: Box<str>,
    /// The last value.
    pub after: Box<str>,
    /// By how much a number grew.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub difference: Option<f64>,
}

/// Endings of the topics that are worth knowing (Mosquitto, EMQX, VerneMQ, NanoMQ).
const ENDINGS: &[&str] = &[
    "/version",
    "/uptime",
    "/clients/connected",
    "/connections/count",
    "/subscriptions/count",
    "/retained messages/count",
    "/store/messages/count",
    "/messages/received",
    "/messages/sent",
    "/messages/dropped",
    "/bytes/received",
    "/bytes/sent",
    "/load/messages/received/1min",
    "/load/messages/sent/1min",
    "/heap/current",
];

/// What a broker is, in short. Values are as it tells them.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    /// Name and version.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uptime: Option<Box<str>>,
    /// Connected clients.
    #[serde(skip_serializing_if = "Option::is_none")]
    clients: Option<Box<str>>,
    #[serde(skip_serializing_if = "Load::is_unknown")]
    load: Load,
}

/// Messages per minute.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
struct Load {
    #[serde(skip_serializing_if = "Option::is_none")]
    messages_received_1min: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    messages_sent_1min: Option<Box<str>>,
}

impl Load {
    fn is_unknown(&self) -> bool {
        *self == Self::default()
    }
}

impl BrokerFacts {
    /// The last values of what most brokers tell; `None` when there is nothing of it.
    pub fn summary(&self) -> Option<Summary> {
        let of = |ending: &str| {
            let fact = self.facts.iter().find(|fact| fact.topic.ends_with(ending));
            fact.map(|fact| fact.after.clone())
        };
        let load = Load {
            messages_received_1min: of("/load/messages/received/1min"),
            messages_sent_1min: of("/load/messages/sent/1min"),
        };
        let clients = of("/clients/connected").or_else(|| of("/connections/count"));
        let summary = Summary { version: of("/version"), uptime: of("/uptime"), clients, load };
        (summary != Summary::default()).then_some(summary)
    }

    /// Takes a message on a `$SYS` topic.
    pub fn record(&mut self, topic: &str, payload: &[u8], retain: bool) {
        self.live += u64::from(!retain);
        if !ENDINGS.iter().any(|ending| topic.ends_with(ending)) {
            return;
        }
        let Ok(value) = std::str::from_utf8(payload) else { return };
        let value = &value[..value.floor_char_boundary(BROKER_FACT_MAX_BYTES)];
        if let Some(fact) = self.facts.iter_mut().find(|fact| *fact.topic == *topic) {
            fact.after = value.into();
        } else if self.facts.len() < BROKER_FACTS_MAX && topic.len() <= BROKER_FACT_MAX_BYTES {
            let (before, after) = (value.into(), value.into());
            self.facts.push(Fact { topic: topic.into(), before, after, difference: None });
        }
    }

    /// Messages that the broker published meanwhile; the others are what it had told before.
    pub fn live_messages(&self) -> u64 {
        self.live
    }

    /// The facts, sorted by topic.
    pub fn facts(&self) -> Vec<Fact> {
        let mut facts = self.facts.clone();
        for fact in &mut facts {
            let difference = number(&fact.after).zip(number(&fact.before)).map(|(after, before)| after - before);
            fact.difference = difference.map(|difference| (difference * 1e3).round() / 1e3);
        }
        sort_by(&mut facts, |a, b| a.topic.cmp(&b.topic));
        facts
    }
}

/// A number, also with a unit behind it as in `93 seconds`; not the beginning of a version.
fn number(text: &str) -> Option<f64> {
    let first = text.split_ascii_whitespace().next()?;
    decimal::read(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_differences_and_texts_have_none() {
        let mut facts = BrokerFacts::default();
        for (topic, value, retain) in [
            ("$SYS/broker/version", "mosquitto version 2.0.11", true),
            ("$SYS/broker/uptime", "93 seconds", true),
            ("$SYS/broker/messages/received", "100", true),
            ("$SYS/broker/load/connections/1min", "1.0", true),
            ("$SYS/broker/uptime", "104 seconds", false),
            ("$SYS/broker/messages/received", "175", false),
            ("$SYS/broker/bytes/sent", "\u{ff}", false),
        ] {
            facts.record(topic, value.as_bytes(), retain);
        }
        let shown: Vec<_> = facts.facts().into_iter().map(|fact| (fact.topic.to_string(), fact.difference)).collect();
        let expected = [
            ("$SYS/broker/bytes/sent", None),
            ("$SYS/broker/messages/received", Some(75.0)),
            ("$SYS/broker/uptime", Some(11.0)),
            ("$SYS/broker/version", None),
        ];
        assert_eq!(shown, expected.map(|(topic, difference)| (topic.to_owned(), difference)));
        assert_eq!(facts.live_messages(), 3);
    }

    #[test]
    fn what_is_kept_has_a_bound() {
        let mut facts = BrokerFacts::default();
        for n in 0..10_000 {
            facts.record(&format!("$SYS/brokers/node{n}/version"), &[b'5'; 10_000], false);
        }
        assert_eq!(facts.facts().len(), BROKER_FACTS_MAX);
        assert!(facts.facts().iter().all(|fact| fact.after.len() <= BROKER_FACT_MAX_BYTES));
    }
}
