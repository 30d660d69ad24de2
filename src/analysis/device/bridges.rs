//! Bridges that devices are behind: where one is gone, so are they, whatever was kept of them. Zigbee2MQTT tells it on
//! BASE/bridge/state for all of BASE.

use super::Message;
use super::findings::{Finding, Grade, shown, told_after};
use super::model::Device;
use super::presence::{self, Means, Presence, Presences};

const TELLS: &str = "bridge/state";

/// Takes a message of others, if a bridge tells with it whether it is there.
pub(super) fn record(bridges: &mut Presences, message: &Message<'_>) {
    if base(message.topic).is_none() {
        return;
    }
    let Ok(text) = std::str::from_utf8(message.payload) else { return };
    let json = serde_json::from_str(text).ok();
    if let Some((value, means)) = presence::read(message.topic, text, json.as_ref()) {
        bridges.record(message.at, message.topic, value, means, message.retain);
    }
}

/// The bridge of a device, if it is gone.
pub(super) fn offline(device: &Device) -> Option<&Presence> {
    device.bridges.iter().find(|bridge| {
        let base = base(&bridge.topic).unwrap_or_default();
        bridge.means == Means::Offline
            && !told_after(device, bridge)
            && device.topics().any(|(topic, _)| topic.starts_with(base))
    })
}

/// With the slash at its end.
fn base(topic: &str) -> Option<&str> {
    topic.strip_suffix(TELLS).filter(|base| base.ends_with('/'))
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
