//! Bridges that devices are behind: where one is gone, so are they, whatever was kept of them. Zigbee2MQTT tells it on
//! BASE/bridge/state for all of BASE; others have such a topic too, and speak for nobody else.

use serde_json::Value;

use super::Message;
use super::findings::{Finding, Grade, shown, told_after};
use super::model::Device;
use super::presence::{self, Means, Presence, Presences};
use crate::analysis::payload;
use crate::limits::{INSPECT_MAX_BYTES, PRESENCE_TOPICS_MAX};

/// What the bridges say of themselves.
#[derive(Default)]
pub struct Bridges {
    states: Presences,
    /// Bases, each with the slash at its end, where Zigbee2MQTT has shown itself.
    bases: Vec<Box<str>>,
}

const LEVEL: &str = "bridge/";

impl Bridges {
    /// Takes a message of others, if it is a bridge's of itself.
    pub(super) fn record(&mut self, message: &Message<'_>) {
        let Some((base, name)) = split(message.topic) else { return };
        let part = &message.payload[..message.payload.len().min(INSPECT_MAX_BYTES)];
        let Some(text) = payload::readable(part, part.len() == message.payload_bytes) else { return };
        let is_state = name == "state";
        let json = if is_state { serde_json::from_str(text).ok() } else { None };
        let state = if is_state { presence::read(message.topic, text, json.as_ref()) } else { None };
        if let Some((value, means)) = state {
            self.states.record(message.at, message.topic, value, means, message.retain);
        }
        let is_known = self.bases.iter().any(|known| **known == *base);
        if !is_known && self.bases.len() < PRESENCE_TOPICS_MAX && is_zigbee(base, text, json.as_ref()) {
            self.bases.push(base.into());
        }
    }
}

/// The bridge of a device, if it is gone.
pub(super) fn offline(device: &Device) -> Option<&Presence> {
    let Bridges { states, bases } = &device.bridges;
    states.iter().find(|bridge| {
        let base = split(&bridge.topic).map_or("", |(base, _)| base);
        bridge.means == Means::Offline
            && bases.iter().any(|known| **known == *base)
            && device.topics().any(|(topic, _)| topic.starts_with(base))
            && !told_after(device, bridge)
            && !device.presences.iter().any(|own| own.means == Means::Online && !is_of_bridge(&own.topic, base))
    })
}

/// BASE/ and what follows BASE/bridge/.
fn split(topic: &str) -> Option<(&str, &str)> {
    let at = topic.rfind(LEVEL)?;
    topic[..at].ends_with('/').then(|| (&topic[..at], &topic[at + LEVEL.len()..]))
}

/// Whether it is Zigbee2MQTT that says this: it speaks of Zigbee, and wraps its state as no other bridge does.
fn is_zigbee(base: &str, text: &str, json: Option<&Value>) -> bool {
    const WORDS: [&str; 4] = ["\"coordinator\"", "\"ieee", "zigbee", "Zigbee"];
    let is_state =
        |json: &Value| json.as_object().is_some_and(|members| members.len() == 1 && json["state"].is_string());
    base.contains("zigbee") || json.is_some_and(is_state) || WORDS.iter().any(|word| text.contains(word))
}

/// Whether the bridge speaks there for a device: what is kept there is as old as the bridge's last word.
fn is_of_bridge(topic: &str, base: &str) -> bool {
    topic.starts_with(base) && topic.ends_with("/availability")
}

pub(super) fn judge(device: &Device, found: &mut Vec<Finding>) {
    found.extend(offline(device).map(|bridge| Finding {
        kind: "bridge_offline",
        severity: Grade::Error,
        finding: format!("the bridge that the device is behind is offline, says {}", bridge.topic),
        evidence: vec![shown(bridge)],
        advice: "start the bridge, or find out why it stopped: until then nothing reaches the device, and what the broker keeps of it is old",
    }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::device::At;
    use crate::analysis::device::findings::{Connection, connection, judge};
    use crate::analysis::device::names::Name;

    /// What is said of a device of which and of whose bridge the broker keeps this.
    fn said(id: &str, kept: &[(&str, &str)]) -> (Connection, bool) {
        let mut device = Device::new(Name::new(id, false));
        for (topic, payload) in kept {
            let payload = payload.as_bytes();
            let at = At::default();
            device.record(&Message { at, topic, payload, payload_bytes: payload.len(), retain: true });
        }
        let is_told = judge(&device, At::default()).iter().any(|finding| finding.kind == "bridge_offline");
        (connection(&device, At::default()).0, is_told)
    }

    #[test]
    fn a_bridge_speaks_for_others_only_where_it_is_zigbee2mqtt() {
        let plain = ("home/bridge/state", "offline");
        for (sign, expected) in [
            (("home/bridge/info", r#"{"version":"1.40.1","coordinator":{"type":"zStack3x0"}}"#), true),
            (("home/bridge/config", r#"{"version":"1.13.0","coordinator":20190608,"permit_join":false}"#), true),
            (("home/bridge/devices", r#"[{"ieee_address":"0x00158d0000000000"}]"#), true),
            (("home/bridge/logging", r#"{"level":"info","message":"zigbee-herdsman started"}"#), true),
            (("home/bridge/info", r#"{"model":"LoRa bridge","ip":"10.0.0.7"}"#), false),
            (("other/bridge/info", r#"{"coordinator":{}}"#), false),
            (("home/lamp2/availability", "online"), false),
        ] {
            let (state, is_told) = said("lamp", &[plain, sign, ("home/lamp", r#"{"brightness":100}"#)]);
            assert_eq!((state == Connection::Offline, is_told), (expected, expected), "{sign:?}");
        }
        for state in [("home/bridge/state", r#"{"state":"offline"}"#), ("home/zigbee2mqtt/bridge/state", "offline")] {
            let topic = state.0.replace("bridge/state", "lamp");
            assert!(said("lamp", &[state, (&topic, "{}")]).1, "{state:?}");
        }
        assert!(!said("lamp", &[("zigbee2mqtt/bridge/state", "offline"), ("home/lamp", "{}")]).1, "elsewhere");
    }

    #[test]
    fn a_device_that_says_itself_that_it_is_there_is_behind_no_bridge() {
        let info = ("home/bridge/info", r#"{"coordinator":{}}"#);
        let gone = ("home/bridge/state", r#"{"state":"offline"}"#);
        for (own, expected) in [
            (("home/pump9/state", "online"), Connection::Online),
            (("tele/pump9/LWT", "Online"), Connection::Online),
            (("home/pump9/availability", r#"{"state":"online"}"#), Connection::Offline),
        ] {
            let (state, is_told) = said("pump9", &[info, gone, own]);
            let tele = ("home/pump9", "{}");
            assert_eq!((state, is_told), (expected, expected == Connection::Offline), "{own:?}");
            assert_eq!(said("pump9", &[info, gone, own, tele]).0, expected, "{own:?}");
        }
    }
}
