//! Which topics carry the answers to which commands.

use super::sparkplug;
use crate::analysis::words::is_in;

/// Levels below which answers come.
/// How topics of answers end.
pub(super) const ANSWERS: &[&str] = &[
    "state",
    "status",
    "result",
    "response",
    "resp",
    "rsp",
    "value",
    "reply",
    "ack",
    "get_result",
    "rpc",
    "answer",
    "out",
    "res",
    "report",
    "txack",
];

/// Whether a message on `answer` is one to a command on `command`: `x/set` and `x`, `x/set` and `x/state`, `cmnd/x/POWER`
/// and `stat/x/RESULT`.
pub(super) fn belongs(command: &str, answer: &str) -> bool {
    if let Some(name) = tasmota(command) {
        return is_below(answer, "stat/", name);
    }
    if let (Some(command), Some(answer)) = (sparkplug::parts(command), sparkplug::parts(answer)) {
        let is_told = answer.kind.ends_with("DATA") || answer.kind.ends_with("BIRTH");
        return is_told && (command.group, command.node, command.device) == (answer.group, answer.node, answer.device);
    }
    if let Some((name, item)) = item(command) {
        return answer.strip_prefix(name).and_then(|rest| rest.strip_prefix("/status/")) == Some(item);
    }
    // Victron's gateways.
    if let Some(item) = command.strip_prefix("W/").or_else(|| command.strip_prefix("R/")) {
        return answer.strip_prefix("N/") == Some(item);
    }
    if is_wled(command) {
        let base = command.strip_suffix("/api").unwrap_or(command);
        return answer.strip_prefix(base).is_some_and(|rest| is_in(&["/g", "/c", "/v"], rest));
    }
    let mut base = command;
    while let Some((before, last)) = base.rsplit_once('/') {
        base = before;
        if matches!(last, "set" | "get" | "cmd" | "command" | "commands" | "cmnd" | "request" | "req" | "rpc" | "call")
        {
            break;
        }
    }
    let behind = match answer.strip_prefix(base) {
        Some("") => return true,
        Some(rest) => rest.strip_prefix('/'),
        None => None,
    };
    behind.is_some_and(|rest| rest.split('/').any(|level| is_in(ANSWERS, level)))
}

/// NAME of cmnd/NAME/….
pub(super) fn tasmota(command: &str) -> Option<&str> {
    command.strip_prefix("cmnd/")?.rsplit_once('/').map(|(name, _)| name)
}

/// Whether a topic is `first`, then that name, then more.
pub(super) fn is_below(topic: &str, first: &str, name: &str) -> bool {
    topic.strip_prefix(first).and_then(|rest| rest.strip_prefix(name)).is_some_and(|rest| rest.starts_with('/'))
}

/// Whether an object begins with what says that it is a response, as trackers send theirs among their positions.
pub(super) fn is_response(payload: &str) -> bool {
    let name = payload.trim_start().strip_prefix('{').and_then(|rest| rest.trim_start().strip_prefix('"'));
    let name = name.and_then(|rest| rest.split('"').next());
    name.is_some_and(|name| is_in(&["rsp", "response", "reply", "answer", "ack"], name))
}

/// Whether a command names the topic as the one to answer on: `"replyTo":"press/resp"`.
pub(super) fn names(payload: &str, topic: &str) -> bool {
    payload
        .match_indices(topic)
        .any(|(at, _)| payload[..at].ends_with('"') && payload[at + topic.len()..].starts_with('"'))
}

/// Whether a command's topic is that of a value, and says nothing of answers.
pub(super) fn is_value(command: &str) -> bool {
    is_below_commands(command) || item(command).is_some() || ["W/", "R/"].iter().any(|first| command.starts_with(first))
}

/// Whether it is one of several below the device's: OpenDTU's INVERTER/cmd/restart.
pub(super) fn is_below_commands(topic: &str) -> bool {
    let mut levels = topic.rsplit('/');
    let last = levels.next().unwrap_or_default();
    levels.next() == Some("cmd") && levels.next().is_some() && !is_in(ANSWERS, last)
}

/// Whether it is the brightness, or a request, to a WLED, which tells what that changes.
pub(super) fn is_wled(command: &str) -> bool {
    command.strip_prefix("wled/").is_some_and(|rest| !rest.contains('/') || rest.ends_with("/api"))
}

/// Whether a command asks only to go on, as Victron's `R/…/keepalive` does: that others were answered says nothing of it.
pub(super) fn keeps_alive(command: &str) -> bool {
    command.ends_with("/keepalive")
}

/// Whether a command is sent only when the device has sent something, as in most of LoRaWAN: that may take hours.
pub(super) fn waits_for_uplink(command: &str) -> bool {
    command.ends_with("/command/down") || command.rsplit('/').nth(1) == Some("down")
}

/// NAME and what is set of it by NAME/set/…, which mqtt-smarthome's devices answer on NAME/status/….
fn item(command: &str) -> Option<(&str, &str)> {
    let (name, item) = command.split_once('/')?;
    let item = item.strip_prefix("set/").or_else(|| item.strip_prefix("get/"))?;
    item.contains('/').then_some((name, item))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_belong_to_commands_by_their_topics() {
        for (command, answer, expected) in [
            ("zigbee2mqtt/lamp/set", "zigbee2mqtt/lamp", true),
            ("zigbee2mqtt/lamp/set/state", "zigbee2mqtt/lamp", true),
            ("zigbee2mqtt/lamp/set", "zigbee2mqtt/lamp/availability", false),
            ("cmnd/plug/POWER", "stat/plug/RESULT", true),
            ("cmnd/plug/POWER", "stat/plug2/RESULT", false),
            ("shellies/s/relay/0/command", "shellies/s/relay/0", true),
            ("home/pump1/cmd", "home/pump1/status", true),
            ("zigbee2mqtt/bridge/request/permit_join", "zigbee2mqtt/bridge/response/permit_join", true),
            ("home/pump1/request", "home/pump1/response", true),
            ("home/pump1/cmd", "home/pump1/temperature", false),
            ("cmd/site/pump1/req", "cmd/site/pump1/res", true),
            ("cmd/site/pump1/req", "cmd/site/pump1/resp", true),
            ("x/pump1/get", "x/pump1/value", true),
            ("device/01S00C/request", "device/01S00C/report", true),
            ("application/1/device/a840/command/down", "application/1/device/a840/event/txack", true),
            ("application/1/device/a840/command/down", "application/1/device/a840/event/up", false),
            ("homie/d/n/p/set", "homie/d/n/p", true),
            ("hm/set/Bath/SET_TEMPERATURE", "hm/status/Bath/SET_TEMPERATURE", true),
            ("hm/set/Bath/SET_TEMPERATURE", "hm/status/Bath/ACTUAL_TEMPERATURE", false),
            ("spBv1.0/g/DCMD/n/d", "spBv1.0/g/DDATA/n/d", true),
            ("spBv1.0/g/DCMD/n/d", "spBv1.0/g/DDATA/n/e", false),
            ("boiler/switch/heat/command", "boiler/switch/heat/state", true),
            ("W/c0619ab2f1e4/vebus/276/Mode", "N/c0619ab2f1e4/vebus/276/Mode", true),
            ("W/c0619ab2f1e4/vebus/276/Mode", "N/c0619ab2f1e4/vebus/276/State", false),
            ("ocpp/cp1/call/Reset", "ocpp/cp1/result/Reset", true),
            ("ocpp/cp1/call/Reset", "ocpp/cp1/heartbeat", false),
            ("wled/desk", "wled/desk/g", true),
            ("wled/desk/api", "wled/desk/g", true),
            ("wled/desk/api", "wled/desk/status", false),
            ("wled/desk", "wled/desk2/g", false),
        ] {
            assert_eq!(belongs(command, answer), expected, "{command} {answer}");
        }
    }
}
