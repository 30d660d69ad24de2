//! What goes wrong in messages that have no word for an error in the usual place: commands that are refused or not
//! understood, a bus that is away, alarms in lists.

use serde_json::{Map, Value};

use super::sparkplug::UNNAMED;
use crate::analysis::alarm::{self, Role, Severity};
use crate::analysis::look::inspect_json;
use crate::analysis::words::is_in;
use crate::rpc::outgoing::to_json;

/// How bad it is, if the message says so.
pub(super) fn severity(topic: &str, text: &str, json: Option<&Value>) -> Option<Severity> {
    match json {
        Some(Value::Object(metrics)) if text.is_empty() => metrics.iter().filter_map(of_metric).max(),
        Some(Value::Object(members)) => members.iter().filter_map(|member| of_member(topic, members, member)).max(),
        // Nuki's locks number what hinders them; others answer as HTTP does.
        Some(Value::Number(code)) if topic.ends_with("/commandResponse") => {
            code.as_u64().filter(|code| (1..256).contains(code) && *code != 200).map(|_| Severity::Warning)
        }
        Some(Value::String(text)) => of_text(topic, text),
        None => of_text(topic, text),
        _ => None,
    }
}

/// A metric of Sparkplug's, in the light of its name, or of what it says itself.
fn of_metric((name, value): (&String, &Value)) -> Option<Severity> {
    if name.starts_with(UNNAMED) {
        return alarm::text(value.as_str()?.as_bytes());
    }
    inspect_json(alarm::role_of_topic(name)?, &to_json(value))?.severity
}

fn of_text(topic: &str, text: &str) -> Option<Severity> {
    (is_no(text) && is_answer(topic)).then_some(Severity::Warning)
}

fn of_member(topic: &str, all: &Map<String, Value>, (name, value): (&String, &Value)) -> Option<Severity> {
    let has_words = || ["message", "msg", "text", "error", "reason"].iter().any(|name| is_text(all.get(*name)));
    let (is_bad, severity) = match (name.as_str(), value) {
        // As HTTP has them, with words for it.
        ("code" | "statusCode" | "status_code", Value::Number(code)) => {
            (code.as_u64().is_some_and(|code| (400..600).contains(&code)) && has_words(), Severity::Error)
        }
        // Fronius.
        ("Head", Value::Object(head)) => {
            let status = head.get("Status");
            let code = status.and_then(|status| status["Code"].as_i64());
            (code.is_some_and(|code| code != 0) && is_text(status.map(|status| &status["Reason"])), Severity::Error)
        }
        // Kepware's list of tags.
        ("values", Value::Array(tags)) => (tags.iter().any(is_alarm), Severity::Error),
        ("Command", Value::String(what)) => {
            (matches!(what.as_str(), "Unknown" | "Error") && topic.ends_with("/RESULT"), Severity::Warning)
        }
        ("bus_status" | "busStatus" | "modbus_status", Value::String(how)) => {
            (["disconnected", "offline", "txerror"].contains(&how.as_str()), Severity::Warning)
        }
        ("success" | "ok" | "accepted" | "acknowledged" | "ack", Value::Bool(false)) => {
            (is_answer(topic) || (name == "success" && has_words()), Severity::Warning)
        }
        ("status", Value::String(how)) if how.eq_ignore_ascii_case("nok") => (true, Severity::Warning),
        ("status" | "result" | "response" | "ack", Value::String(answer)) => {
            (is_no(answer) && is_answer(topic), Severity::Warning)
        }
        // Of what was read from a controller, as OPC has it.
        ("q", Value::String(how)) => (is_in(&["bad"], how), Severity::Warning),
        ("healthy", Value::Bool(false)) => (true, Severity::Warning),
        ("health", Value::String(how)) => (is_in(&["unhealthy", "degraded"], how), Severity::Warning),
        _ => return None,
    };
    is_bad.then_some(severity)
}

fn is_text(value: Option<&Value>) -> bool {
    value.is_some_and(Value::is_string)
}

fn is_no(text: &str) -> bool {
    const NO: [&str; 7] = ["nack", "nak", "rejected", "refused", "denied", "forbidden", "unsupported"];
    is_in(&NO, text.trim())
}

/// Whether answers to commands come on a topic, and little else.
fn is_answer(topic: &str) -> bool {
    // A result may be that of a test, which somebody else fails.
    const ANSWERS: [&str; 6] = ["ack", "response", "reply", "res", "answer", "resp"];
    topic.split('/').any(|level| is_in(&ANSWERS, level))
}

/// Whether a tag is called as alarms are, and set.
fn is_alarm(tag: &Value) -> bool {
    let name = tag["id"].as_str().and_then(|id| id.rsplit('.').next()).unwrap_or_default();
    tag["v"] == true && tag["q"] == true && matches!(alarm::role(name.as_bytes()), Role::Report(Severity::Error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn refusals_are_told_from_what_only_has_their_words() {
        use Severity::{Error, Warning};
        let tags = |alarm: bool, good: bool| json!({"values": [{"id": "L1.Alarm", "v": alarm, "q": good}]});
        let head = |code: i32| json!({"Head": {"Status": {"Code": code, "Reason": ""}}});
        for (topic, json, expected) in [
            ("d/x", json!({"code": 409, "message": "Version conflict"}), Some(Error)),
            ("d/x", json!({"code": 200, "message": "OK"}), None),
            ("d/x", json!({"code": 450}), None),
            ("d/x", json!(409), None),
            ("d/x", head(8), Some(Error)),
            ("d/x", head(0), None),
            ("d/x", tags(true, true), Some(Error)),
            ("d/x", tags(true, false), None),
            ("d/x", tags(false, true), None),
            ("stat/d/RESULT", json!({"Command": "Unknown", "Input": "POWR2"}), Some(Warning)),
            ("stat/d/RESULT", json!({"Command": "Power"}), None),
            ("ems-esp/heartbeat", json!({"bus_status": "disconnected"}), Some(Warning)),
            ("ems-esp/heartbeat", json!({"bus_status": "connected"}), None),
            ("d/state", json!({"healthy": false}), Some(Warning)),
            ("d/state", json!({"healthy": true}), None),
            ("d/data", json!({"temperature": 0.0, "q": "BAD"}), Some(Warning)),
            ("d/data", json!({"temperature": 21.0, "q": "GOOD"}), None),
            ("d/state", json!({"health": "unhealthy"}), Some(Warning)),
            ("d/state", json!({"health": "healthy"}), None),
            ("d/state", json!({"status": "NOK"}), Some(Warning)),
            ("inspection/cam1/part", json!({"result": "NOK"}), None),
            ("car/state", json!({"charger_status": "disconnected"}), None),
            ("application/1/device/d/event/ack", json!({"acknowledged": false}), Some(Warning)),
            ("application/1/device/d/event/ack", json!({"acknowledged": true}), None),
            ("d/alarm", json!({"acknowledged": false}), None),
            ("d/response", json!({"success": false}), Some(Warning)),
            ("d/backup", json!({"success": false, "reason": "disk full"}), Some(Warning)),
            ("d/backup", json!({"success": false}), None),
            ("d/ack", json!({"id": 7, "status": "NACK"}), Some(Warning)),
            ("d/ack", json!("rejected"), Some(Warning)),
            ("line/parts", json!({"result": "rejected"}), None),
            ("nuki/d/commandResponse", json!(133), Some(Warning)),
            ("nuki/d/commandResponse", json!(0), None),
            ("d/commandResponse", json!(200), None),
            ("inspection/cam1/result", json!({"ok": false, "status": "rejected"}), None),
            ("nuki/d/state", json!(3), None),
        ] {
            assert_eq!(severity(topic, &json.to_string(), Some(&json)), expected, "{topic} {json}");
        }
        for (metrics, expected) in [
            (json!({"Fault Text": "pump tripped", "Flow": 3}), Some(Error)),
            (json!({"Alarms/Level High": true}), Some(Error)),
            (json!({"alias 7": "pump fault", "alias 8": true, "Name": "fault"}), Some(Error)),
            (json!({"alias 7": "no fault", "Name": "fault"}), None),
            (json!({"Fault Text": "", "Alarms/Level High": false, "State": "running"}), None),
        ] {
            assert_eq!(severity("spBv1.0/G/DDATA/n/d", "", Some(&metrics)), expected, "{metrics}");
        }
        for (topic, text, expected) in
            [("d/ack", "NACK", Some(Warning)), ("d/ack", "ok", None), ("d/state", "rejected", None)]
        {
            assert_eq!(severity(topic, text, None), expected, "{topic} {text}");
        }
    }
}
