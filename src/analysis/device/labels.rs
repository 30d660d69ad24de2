//! Members that tell whose a message is, or of what, where one topic carries several in turn.

use serde_json::{Map, Value};

use super::meaning::{has_part, is_measurement};
use crate::analysis::words::is_called;
use crate::hash;
use crate::rpc::outgoing::to_json;

/// Whether one topic's messages are of several things in turn.
#[derive(Default)]
pub struct Labels {
    all: Turns,
    /// Without what is just called `id`, which may be the message's.
    others: Turns,
    /// What names the sender.
    sender: Option<u64>,
    has_senders: bool,
}

#[derive(Default)]
struct Turns {
    /// The first few, and how often each came back.
    watched: Vec<(u64, u32)>,
    last: Option<u64>,
}

/// Of several things that send several kinds of messages the very first may not come again for long; one of these does.
const WATCHED_MAX: usize = 4;

impl Labels {
    /// Takes a message's value.
    pub(super) fn record(&mut self, value: &Value) {
        let Some(members) = value.as_object() else { return };
        let [all, others] = labels(members, true);
        self.all.record(all);
        self.others.record(others);
        let is_sender = |(name, value): &(&String, &Value)| is_called(SENDERS, name) && !value.is_object();
        let Some((_, sender)) = members.iter().find(is_sender) else { return };
        let sender = hash::of_bytes(&to_json(sender));
        self.has_senders |= self.sender.replace(sender).is_some_and(|before| before != sender);
    }

    /// Whether a member that names the sender took several values.
    pub(super) fn has_senders(&self) -> bool {
        self.has_senders
    }

    /// What is only numbered through does not come back to a number, or does so when it restarts.
    pub(super) fn are_several(&self) -> bool {
        self.all.watched.iter().chain(&self.others.watched).any(|(_, returns)| *returns >= 2)
    }
}

/// Members that name who sent a message.
const SENDERS: &[&str] =
    &["from", "node", "nodeid", "device", "deviceid", "deveui", "devaddr", "eui", "mac", "src", "source"];

/// Whether a Meshtastic gateway passes on what another node sent: nodes are called by their numbers in hex.
pub(super) fn is_passed_on(value: &Value) -> bool {
    let (Some(from), Some(gateway)) = (value["from"].as_u64(), value["sender"].as_str()) else { return false };
    gateway.strip_prefix('!').and_then(|hex| u64::from_str_radix(hex, 16).ok()).is_some_and(|gateway| gateway != from)
}

impl Turns {
    fn record(&mut self, label: u64) {
        if self.last.replace(label) == Some(label) {
            return;
        }
        if let Some((_, returns)) = self.watched.iter_mut().find(|(watched, _)| *watched == label) {
            *returns += 1;
        } else if self.watched.len() < WATCHED_MAX {
            self.watched.push((label, 0));
        }
    }
}

/// Parts of the names of members that tell things apart …
const PARTS: &[&str] = &[
    "name",
    "sensor",
    "register",
    "reg",
    "type",
    "id",
    "eui",
    "channel",
    "measurement",
    "measurand",
    "quantity",
    "metric",
    "tag",
    "point",
    "key",
    "label",
    "property",
    "param",
    "address",
    "addr",
    "mac",
    "device",
    "node",
    "probe",
    "port",
    "index",
    "object",
    "source",
    "from",
    "src",
    "topic",
    "location",
    "room",
    "zone",
    "kind",
    "variable",
    "field",
    "item",
    "model",
    "class",
];
/// … and of such that are others in each message, or the unit itself.
const OTHERS: &[&str] =
    &["msg", "message", "packet", "request", "event", "uuid", "correlation", "value", "val", "reading", "unit_of"];

/// What they say, as one number; with `deep` also one level below.
pub(super) fn label(members: &Map<String, Value>, deep: bool) -> u64 {
    labels(members, deep)[0]
}

/// The same, and what they say without those that are just called `id`.
fn labels(members: &Map<String, Value>, deep: bool) -> [u64; 2] {
    members.iter().fold([0; 2], |before: [u64; 2], (name, value)| {
        // Not `device_temperature`.
        let is_label = || has_part(name, PARTS) && !has_part(name, OTHERS) && !is_measurement(name, "");
        let own = match value {
            Value::String(value) if is_label() => [hash::of_bytes(value.as_bytes()); 2],
            Value::Number(value) if !value.is_f64() && is_label() => [hash::of_bytes(value.to_string().as_bytes()); 2],
            // By which access point it is heard names nobody.
            Value::Object(members) if deep && !has_part(name, &["wifi"]) => labels(members, false),
            _ => return before,
        };
        let joined = |index: usize| before[index].rotate_left(5) ^ own[index];
        [joined(0), if name == "id" { before[1] } else { joined(1) }]
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn labels(messages: usize, of: fn(usize) -> Value) -> Labels {
        let mut labels = Labels::default();
        (0..messages).for_each(|n| labels.record(&of(n)));
        labels
    }

    #[test]
    fn several_in_turn_are_told_from_one_that_numbers_its_messages() {
        let several = |of| labels(10, of).are_several();
        assert!(several(|n| json!({"devEui": format!("d{}", n % 2), "fCnt": n})));
        assert!(several(|n| json!({"node": n % 3, "v": 1})));
        assert!(several(|n| json!({"deviceInfo": {"devEui": format!("d{}", n % 2)}})));
        assert!(several(|n| json!({"id": n * 7919, "from": n % 2})), "a number of the message's own");
        assert!(several(|n| json!({"from": if n == 0 { 9 } else { n % 2 }})), "the first is heard of once");
        assert!(!several(|n| json!({"id": n, "name": "pump"})));
        assert!(!several(|n| json!({"device_temperature": 31 + n % 2})));
        assert!(!several(|n| json!({"index": n % 5})), "begins anew once, with all its numbers");
        assert!(!several(|n| json!({"sensor": "a", "value": n % 2, "sensor_value": n % 2})));
        assert!(!several(|n| json!({"Wifi": {"Channel": n % 2}})));
        assert!(several(|n| json!({"Line": {"Channel": n % 2}})));
        assert!(!several(|n| json!(n % 2)));
    }

    #[test]
    fn senders_are_told_from_what_else_a_message_names() {
        let senders = |of| labels(3, of).has_senders();
        assert!(senders(|n| json!({"from": n})));
        assert!(senders(|n| json!({"DevAddr": n})));
        assert!(senders(|n| json!({"deviceId": format!("d{}", n / 2)})));
        assert!(!senders(|n| json!({"id": n, "from": 7, "name": format!("{n}")})));
        let from = |from: u32| is_passed_on(&json!({"from": from, "sender": "!c3476069"}));
        assert_eq!((from(0xc347_6069), from(0x6041_0001)), (false, true));
        assert!(!is_passed_on(&json!({"from": 7, "sender": "pump"})));
    }
}
