//! Messages that are numbered through over several topics, as gateways number what they read.

use serde_json::Value;

use super::At;
use super::steps::{Steps, is_sequence};
use crate::hash;

/// The numbers of all messages of a device, whatever their topics.
#[derive(Default)]
pub(super) struct Sequence {
    /// The latest number, and its topic.
    last: Option<(f64, u64)>,
    pub(super) steps: Steps,
    /// Steps to the next number that were from one topic to another.
    across: u32,
}

impl Sequence {
    /// Takes a message.
    pub(super) fn record(&mut self, at: At, topic: &str, json: &Value) {
        let number = |(name, value): (&String, &Value)| value.as_f64().filter(|_| is_sequence(name));
        let Some(number) = json.as_object().and_then(|members| members.iter().find_map(number)) else { return };
        let topic = hash::of_bytes(topic.as_bytes());
        match self.last.replace((number, topic)) {
            None => self.steps = Steps::from(at, number),
            Some((last, before)) => {
                self.across += u32::from(before != topic && number == last + 1.0);
                self.steps.add(at, last, number);
            }
        }
    }

    /// Whether several topics share the numbers.
    pub(super) fn is_shared(&self) -> bool {
        const OFTEN: u32 = 8;
        self.across >= OFTEN && self.steps.ones * 10 >= self.steps.all * 6
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::Message;
    use super::super::findings::judge;
    use super::super::model::Device;
    use super::super::names::Name;
    use super::*;

    /// What is found where messages with these numbers come on so many topics in turn.
    fn found(topics: u64, numbers: impl IntoIterator<Item = u64>) -> Vec<&'static str> {
        let mut device = Device::new(Name::new("plc", false));
        for (n, number) in (0..).zip(numbers) {
            let at = At { elapsed: Duration::from_millis(n * 700), unix_ms: n * 700 };
            let (topic, payload) = (format!("plc/{}", n % topics), format!("{{\"seq\":{number},\"value\":{}}}", n % 5));
            let payload = payload.as_bytes();
            device.record(&Message { at, topic: &topic, payload, payload_bytes: payload.len(), retain: false });
        }
        judge(&device, At::default()).iter().map(|finding| finding.kind).collect()
    }

    #[test]
    fn what_is_numbered_over_several_topics_left_out_what_none_has() {
        for topics in [1, 2, 3] {
            assert_eq!(found(topics, 500..560), [""; 0], "{topics}");
            assert_eq!(found(topics, (500..560).filter(|n| *n != 520)), ["counter_gap"], "{topics}");
        }
        assert_eq!(found(3, (0..60).map(|n| 500 + n / 3)), [""; 0], "each for itself");
    }
}
