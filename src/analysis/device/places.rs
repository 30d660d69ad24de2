//! What a topic is for, and which convention it follows: told from its name.

use serde::Serialize;

use super::answers::ANSWERS;
use crate::analysis::words::is_in;

/// What a topic is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// The device tells something.
    State,
    /// Somebody tells the device something.
    Command,
    /// Describes the device: discovery, attributes.
    Description,
}

/// A convention of topics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Convention {
    /// zigbee2mqtt/NAME.
    #[serde(rename = "Zigbee2MQTT")]
    Zigbee2Mqtt,
    /// tele/NAME/STATE, stat/NAME/RESULT, cmnd/NAME/POWER.
    Tasmota,
    /// shellies/ID/… (first generation), ID/events/rpc (later ones).
    Shelly,
    /// homeassistant/COMPONENT/…/config.
    #[serde(rename = "Home Assistant")]
    HomeAssistant,
    /// homie/ID/$state.
    Homie,
    /// spBv1.0/GROUP/TYPE/NODE.
    #[serde(rename = "Sparkplug B")]
    SparkplugB,
    /// NAME/COMPONENT/OBJECT/state.
    #[serde(rename = "ESPHome")]
    EspHome,
    /// Topics of the maker's own.
    #[serde(rename = "plain")]
    Plain,
}

/// What a topic is for.
pub fn place(topic: &str) -> Place {
    const COMMANDS: &[&str] =
        &["set", "get", "cmd", "command", "commands", "cmnd", "request", "req", "rpc", "write", "control"];
    let levels: Vec<&str> = topic.split('/').collect();
    let (first, last) = (levels[0], levels[levels.len() - 1]);
    let describes = crate::analysis::alarm::role_of_topic(topic).is_none()
        || topic.starts_with("tasmota/discovery/")
        || topic == "shellies/announce";
    if describes {
        Place::Description
    } else if last == "rpc" && levels.len() > 1 && levels[levels.len() - 2] == "events" {
        Place::State
    } else if first == "cmnd"
        || is_in(COMMANDS, last)
        || (levels.len() > 2 && matches!(levels[levels.len() - 2], "set" | "get"))
        // A component of a Shelly, ID/command/switch:0, and what ChirpStack sends down to a device.
        || (levels.len() > 2 && levels[levels.len() - 2] == "command" && (last.contains(':') || last == "down"))
        // The Things Stack: devices/ID/down/push.
        || (levels.len() > 3 && levels[levels.len() - 2] == "down" && is_in(&["push", "replace"], last))
        || super::answers::is_below_commands(topic)
        || levels[1..].contains(&"request")
        || (levels.len() > 3 && matches!(levels[1], "set" | "get"))
        || is_to_victron(&levels)
        || super::answers::is_wled(topic)
        || (first == "spBv1.0" && levels.get(2).is_some_and(|kind| kind.ends_with("CMD")))
    {
        Place::Command
    } else {
        Place::State
    }
}

/// Whether it is one of those on which some devices are asked for a value, BASE/get/NAME.
pub(super) fn is_asked(topic: &str) -> bool {
    topic.rsplit('/').nth(1) == Some("get")
}

/// Whether it is one of those on which something is called, BASE/call/NAME, or told of a call other than its answer.
pub(super) fn is_call(topic: &str) -> bool {
    topic.rsplit('/').nth(1) == Some("call") && !is_in(ANSWERS, last_level(topic))
}

/// What a topic ends with.
pub(in crate::analysis) fn last_level(topic: &str) -> &str {
    topic.rsplit('/').next().unwrap_or_default()
}

/// W/PORTAL/… and R/PORTAL/…, where the portal's name is that of its network card.
fn is_to_victron(levels: &[&str]) -> bool {
    let is_portal = |name: &str| name.len() == 12 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    levels.len() > 2 && matches!(levels[0], "W" | "R") && is_portal(levels[1])
}

/// Which convention a topic follows, if it shows that.
pub fn convention(topic: &str) -> Option<Convention> {
    const COMPONENTS: &[&str] = &[
        "sensor",
        "binary_sensor",
        "switch",
        "light",
        "climate",
        "cover",
        "fan",
        "number",
        "select",
        "text_sensor",
        "lock",
    ];
    let levels: Vec<&str> = topic.split('/').collect();
    let level = |index: usize| levels.get(index).copied().unwrap_or_default();
    let last = levels[levels.len() - 1];
    let ends_with = |ends: &[&str]| ends.contains(&last);
    Some(match level(0) {
        "zigbee2mqtt" => Convention::Zigbee2Mqtt,
        "spBv1.0" => Convention::SparkplugB,
        "shellies" => Convention::Shelly,
        "homeassistant" if last == "config" => Convention::HomeAssistant,
        "tasmota" if level(1) == "discovery" => Convention::Tasmota,
        "tele" if ends_with(&["LWT", "STATE", "SENSOR", "INFO1", "INFO2", "INFO3"]) => Convention::Tasmota,
        "stat" if ends_with(&["RESULT", "POWER", "STATUS", "LOGGING"]) || last.starts_with("STATUS") => {
            Convention::Tasmota
        }
        "homie" => Convention::Homie,
        _ if levels[1..].iter().any(|level| matches!(*level, "$state" | "$homie" | "$nodes" | "$properties")) => {
            Convention::Homie
        }
        _ if topic.ends_with("/events/rpc") => Convention::Shelly,
        _ if levels.len() == 4 && COMPONENTS.contains(&level(1)) && ends_with(&["state", "command"]) => {
            Convention::EspHome
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_descriptions_and_states_are_told_apart() {
        for (topic, expected) in [
            ("zigbee2mqtt/lamp/set", Place::Command),
            ("zigbee2mqtt/lamp/set/brightness", Place::Command),
            ("cmnd/plug/POWER", Place::Command),
            ("zigbee2mqtt/bridge/request/permit_join", Place::Command),
            ("zigbee2mqtt/bridge/response/permit_join", Place::State),
            ("shellies/x/relay/0/command", Place::Command),
            ("shellyplus1-1/rpc", Place::Command),
            ("shellyplus1-1/command/switch:0", Place::Command),
            ("shellyplus1-1/command/result", Place::State),
            ("application/1/device/24e124136b502217/command/down", Place::Command),
            ("application/1/device/24e124136b502217/event/up", Place::State),
            ("v3/app@ttn/devices/probe/down/push", Place::Command),
            ("v3/app@ttn/devices/probe/down/sent", Place::State),
            ("spBv1.0/g/NCMD/node", Place::Command),
            ("homie/d/node/prop/set", Place::Command),
            ("shellyplus1-1/events/rpc", Place::State),
            ("zigbee2mqtt/lamp", Place::State),
            ("stat/plug/RESULT", Place::State),
            ("spBv1.0/g/NDATA/node", Place::State),
            ("hm/set/Bath/SET_TEMPERATURE", Place::Command),
            ("hm/status/Bath/SET_TEMPERATURE", Place::State),
            ("cmd/site/pump/req", Place::Command),
            ("cmd/site/pump/resp", Place::State),
            ("solar/114375976848/cmd/restart", Place::Command),
            ("plant/pump/cmd/result", Place::State),
            ("wled/kitchen/api", Place::Command),
            ("plant/pump/control", Place::Command),
            ("set", Place::Command),
            ("W/c0619ab2f1e4/vebus/276/Mode", Place::Command),
            ("R/c0619ab2f1e4/keepalive", Place::Command),
            ("N/c0619ab2f1e4/vebus/276/Mode", Place::State),
            ("R/wing/vebus/276/Mode", Place::State),
            ("wled/desk", Place::Command),
            ("wled/desk/g", Place::State),
            ("homeassistant/light/lamp/config", Place::Description),
            ("homie/d/$name", Place::Description),
            ("homie/d/$state", Place::State),
        ] {
            assert_eq!(place(topic), expected, "{topic}");
        }
    }

    #[test]
    fn conventions_are_known_by_their_topics() {
        for (topic, expected) in [
            ("zigbee2mqtt/lamp", Some(Convention::Zigbee2Mqtt)),
            ("tele/plug/LWT", Some(Convention::Tasmota)),
            ("stat/plug/STATUS8", Some(Convention::Tasmota)),
            ("shellies/shelly1-A/online", Some(Convention::Shelly)),
            ("shellyplus1-a/events/rpc", Some(Convention::Shelly)),
            ("homeassistant/sensor/x/config", Some(Convention::HomeAssistant)),
            ("homie/x/$state", Some(Convention::Homie)),
            ("my/base/x/$state", Some(Convention::Homie)),
            ("spBv1.0/g/NBIRTH/n", Some(Convention::SparkplugB)),
            ("boiler/sensor/flow_temperature/state", Some(Convention::EspHome)),
            ("home/pump1/status", None),
            ("tele/graph", None),
        ] {
            assert_eq!(convention(topic), expected, "{topic}");
        }
    }
}
