//! What a payload is: its type, its shape, whether it reports an error.

use serde::Serialize;
use serde_json::value::RawValue;

use super::alarm::{self, Role, Severity};
use super::decode::{Form, decode};
use super::look::inspect_json;
use crate::eight::{HIGH, below};
use crate::hash::mix;

/// What a payload is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Hash)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// No bytes; on a retained topic it means "deleted".
    Empty,
    /// A JSON object, array, string or null.
    Json,
    /// A JSON number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// Looks like XML.
    Xml,
    /// Any other UTF-8 text.
    Text,
    /// Bytes that are no text.
    Binary,
}

/// What one look at a payload tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// Its type.
    pub kind: Kind,
    /// Equal for payloads of the same structure: member names and types, not values. Two that meet by chance cost one
    /// example message.
    pub shape: u64,
    /// Whether it reports an error or warning.
    pub severity: Option<Severity>,
}

/// JSON nested deeper is shown as text: not every client parses more, and it stands inside our own result.
pub const JSON_DEPTH_MAX: usize = 64;

/// Looks at a payload. With `whole` false only its beginning is there, and the type is judged from that.
pub fn inspect(payload: &[u8], whole: bool) -> Inspection {
    inspect_as(Role::Plain, payload, whole)
}

/// Looks at no more than `limit` bytes of a message's payload, as [`inspect_prefix`] does, in the light of its topic:
/// on `pump/error` anything but an "all is well" value is a report, and what describes a device reports nothing.
pub fn inspect_message(topic: &str, payload: &[u8], payload_bytes: usize, limit: usize) -> Inspection {
    inspect_under(alarm::role_of_topic(topic), payload, payload_bytes, limit)
}

/// The same with what [`alarm::role_of_topic`] says, for those who keep it.
pub fn inspect_under(role: Option<Role>, payload: &[u8], payload_bytes: usize, limit: usize) -> Inspection {
    let part = &payload[..payload.len().min(limit)];
    let inspection = inspect_as(role.unwrap_or(Role::Plain), part, part.len() == payload_bytes);
    Inspection { severity: inspection.severity.filter(|_| role.is_some()), ..inspection }
}

fn inspect_as(role: Role, payload: &[u8], whole: bool) -> Inspection {
    if whole
        && matches!(
            payload.first(),
            Some(b'{' | b'[' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n' | b' ' | b'\t'..=b'\r')
        )
        && let Some(inspection) = inspect_json(role, payload)
    {
        return inspection;
    }
    let Some(text) = text_bytes(payload, whole) else {
        let kind = if payload.is_empty() { Kind::Empty } else { Kind::Binary };
        return inspect_decoded(kind, role, payload, whole).unwrap_or(plain(kind, None));
    };
    let trimmed = text.trim_ascii();
    if !whole && matches!(trimmed.first(), Some(b'{' | b'[')) {
        return plain(Kind::Json, alarm::text(trimmed));
    }
    let opens_tag = matches!(trimmed, [b'<', b'a'..=b'z' | b'A'..=b'Z' | b'?' | b'!', ..]);
    if opens_tag && (!whole || trimmed.ends_with(b">")) {
        return plain(Kind::Xml, xml_severity(std::str::from_utf8(trimmed).unwrap_or_default()));
    }
    // JSON lines; asked for every text.
    if trimmed.starts_with(b"{")
        && let Some(inspection) = inspect_decoded(Kind::Text, role, trimmed, whole)
    {
        return inspection;
    }
    // The names and half words of JSON that broke off report nothing.
    let is_broken = role == Role::Plain && trimmed.starts_with(b"{\"");
    plain(Kind::Text, if is_broken { None } else { text_severity(role, trimmed) })
}

/// What a payload says that is no JSON, if it is CBOR, MessagePack or JSON lines.
#[cold]
fn inspect_decoded(kind: Kind, role: Role, payload: &[u8], whole: bool) -> Option<Inspection> {
    let decoded = if whole { decode(payload, Form::Plain)? } else { return None };
    let inspection = inspect_json(role, decoded.json.as_bytes())?;
    Some(Inspection { kind, shape: mix(1, inspection.shape), ..inspection })
}

/// What a text reports under a name that names a level, or is that of reports.
pub fn severity_of_state(name: &str, text: &str) -> Option<Severity> {
    let role = alarm::role(name.as_bytes());
    if matches!(role, Role::Level | Role::Report(_)) { text_severity(role, text.as_bytes()) } else { None }
}

/// What a text says under a name of that role.
pub(super) fn text_severity(role: Role, text: &[u8]) -> Option<Severity> {
    let words = || std::str::from_utf8(text).ok();
    match role {
        Role::Level => alarm::state(words()?),
        Role::Report(severity) => (!alarm::is_all_well(words()?)).then_some(severity),
        Role::Flag(severity) | Role::Switch(severity) => alarm::is_set(words()?).then_some(severity),
        Role::Well(severity) => text.eq_ignore_ascii_case(b"false").then_some(severity),
        // A single word may set how much is logged.
        Role::Log if !text.contains(&b' ') => None,
        Role::Log | Role::Plain => alarm::text(text),
    }
}

/// The worst report of XML: text by the role of the element that it stands in; attributes are not looked at.
fn xml_severity(text: &str) -> Option<Severity> {
    let mut worst = None;
    for part in text.split('<').skip(1) {
        let Some((tag, content)) = part.split_once('>') else { continue };
        let name = tag.split_ascii_whitespace().next().unwrap_or_default();
        if !content.trim().is_empty() {
            worst = worst.max(text_severity(alarm::role(name.as_bytes()), content.trim().as_bytes()));
        }
    }
    worst
}

/// Looks at no more than `limit` bytes of a payload of `payload_bytes`, of which at least that many are there: the
/// outcome does not depend on how the packet was split.
pub fn inspect_prefix(payload: &[u8], payload_bytes: usize, limit: usize) -> Inspection {
    let part = &payload[..payload.len().min(limit)];
    inspect(part, part.len() == payload_bytes)
}

/// The payload as text, if that is what it is: UTF-8 without control characters but white space. The end of a payload
/// that was cut may be half a character.
pub fn readable(payload: &[u8], whole: bool) -> Option<&str> {
    let text = match std::str::from_utf8(payload) {
        Ok(text) => text,
        Err(error) if !whole && error.error_len().is_none() => {
            std::str::from_utf8(&payload[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return None,
    };
    (!text.is_empty() && !characters(text.as_bytes()).has_control).then_some(text)
}

/// The bytes of [`readable`]; ASCII, which most payloads are, is looked through once.
fn text_bytes(payload: &[u8], whole: bool) -> Option<&[u8]> {
    let Characters { has_control, is_ascii } = characters(payload);
    if has_control || !is_ascii {
        readable(payload, whole).map(str::as_bytes)
    } else {
        Some(payload).filter(|all| !all.is_empty())
    }
}

struct Characters {
    /// One that text does not have.
    has_control: bool,
    is_ascii: bool,
}

/// What characters there are. Asked for every message, so eight bytes at a time.
fn characters(bytes: &[u8]) -> Characters {
    let is_control = |byte: &u8| *byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r' | 0x1b);
    let (words, rest) = bytes.as_chunks::<8>();
    let mut all = rest.iter().fold(0, |all, byte| all | u64::from(*byte));
    let mut has_control = rest.iter().any(is_control);
    for bytes in words {
        let word = u64::from_ne_bytes(*bytes);
        all |= word;
        if below(word, 0x20) != 0 {
            has_control |= bytes.iter().any(is_control);
        }
    }
    Characters { has_control, is_ascii: all & HIGH == 0 }
}

/// JSON text without white space between its parts; `None` when it is not JSON that every client can read.
pub fn compact_json(text: &str) -> Option<Box<RawValue>> {
    inspect_json(Role::Plain, text.trim_ascii().as_bytes())?;
    RawValue::from_string(without_white_space(text)).ok()
}

/// JSON text without white space between its parts, otherwise as it came.
pub fn without_white_space(text: &str) -> String {
    let mut compact = String::with_capacity(text.len());
    let (mut in_string, mut escaped) = (false, false);
    for c in text.chars() {
        if in_string || !c.is_ascii_whitespace() {
            compact.push(c);
        }
        in_string ^= c == '"' && !escaped;
        escaped = c == '\\' && !escaped && in_string;
    }
    compact
}

fn plain(kind: Kind, severity: Option<Severity>) -> Inspection {
    Inspection { kind, shape: mix(0, kind as u64), severity }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(payload: &[u8]) -> Kind {
        inspect(payload, true).kind
    }

    fn severity(payload: &str) -> Option<Severity> {
        inspect(payload.as_bytes(), true).severity
    }

    #[test]
    fn each_payload_has_its_type() {
        for (payload, expected) in [
            (&b""[..], Kind::Empty),
            (b"{\"a\":1}", Kind::Json),
            (b" [1, 2]\n", Kind::Json),
            (b"\"text\"", Kind::Json),
            (b"null", Kind::Json),
            (b"21.5", Kind::Number),
            (b"-3e2 ", Kind::Number),
            (b"true", Kind::Boolean),
            (b"021", Kind::Text),
            (b"1e999", Kind::Text),
            (b"ON", Kind::Text),
            (b"{broken", Kind::Text),
            (b"<a>1</a>", Kind::Xml),
            (b"<?xml version=\"1.0\"?><a/>", Kind::Xml),
            (b"< 3", Kind::Text),
            (b"\xff\x00", Kind::Binary),
            (b"a\x01b", Kind::Binary),
            (b"{\"a\":\"\\ud800\"}", Kind::Text),
            (b"{\"\xc3\xa9\":\"\xc3\xbc\"}", Kind::Json),
            (b"{\"a\":\"\xff\"}", Kind::Binary),
            (b"{\"\xff\":1}", Kind::Binary),
            (b"{\"a\":\"\x01\"}", Kind::Binary),
            (b"\x0c{}", Kind::Binary),
            (b"{}\x0c", Kind::Binary),
        ] {
            assert_eq!(kind(payload), expected, "{}", String::from_utf8_lossy(payload));
        }
    }

    #[test]
    fn one_look_at_bytes_tells_what_the_library_tells() {
        for byte in 0..=u8::MAX {
            for at in 0..20 {
                let mut payload = *b"Aa9 zZ~!\t\r\n\x1b{}[]<>/.";
                payload[at] = byte;
                for (end, whole) in [(20, true), (20, false), (at + 1, true), (at + 1, false), (at, true)] {
                    let part = &payload[..end];
                    assert_eq!(text_bytes(part, whole), readable(part, whole).map(str::as_bytes), "{part:?}");
                }
            }
        }
    }

    #[test]
    fn json_that_is_too_deep_for_clients_is_text() {
        let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(kind(nested(JSON_DEPTH_MAX).as_bytes()), Kind::Json);
        assert_eq!(kind(nested(JSON_DEPTH_MAX + 1).as_bytes()), Kind::Text);
        assert_eq!(kind("[".repeat(100_000).as_bytes()), Kind::Text);
    }

    #[test]
    fn shapes_follow_structure_and_not_values_or_order() {
        let shape = |text: &str| inspect(text.as_bytes(), true).shape;
        assert_eq!(shape(r#"{"a":1,"b":"x"}"#), shape(r#"{"b":"y","a":2.5}"#));
        assert_ne!(shape(r#"{"a":1}"#), shape(r#"{"a":"1"}"#));
        assert_ne!(shape(r#"{"a":1}"#), shape(r#"{"c":1}"#));
        assert_eq!(shape("[1,2,3]"), shape("[4]"));
        assert_ne!(shape("1"), shape("text"));
    }

    #[test]
    fn errors_are_told_by_meaning() {
        for silent in [
            r#"{"error":null}"#,
            r#"{"error":false,"alarm":0,"fault":"none"}"#,
            r#"{"errors":[],"warnings":{}}"#,
            r#"{"mode":"default"}"#,
            r#"{"state":"running","alarm":nu"#,
            r#"{"state":"running","fail"#,
            r#"{"status":"ok","level":3}"#,
            r#"{"text":"error"}"#,
            r#"{"error":{"code":0,"text":"E0"},"alarm":{"high":false,"low":false}}"#,
            r#"{"alarm":{"threshold":30,"active":false},"errors":{"rx":0,"tx":0},"faults":[0,""]}"#,
            r#"{"error":0.35,"smoke":0.02,"overpower":2500}"#,
            r#"{"crc_error":1,"pump_fault":false,"commError":"none","sensor_ok":true}"#,
            r#"{"update":{"state":"available"},"fault":"No Fault","alarm":{"state":"disarmed"}}"#,
            r#"{"log_level":"error","config":{"advanced":{"level":"error"}}}"#,
            "<status><errors></errors><error>0</error><note>no fault</note></status>",
            r#"{"healthy":true,"ok":3,"success":null,"status":"healthy","valid":false}"#,
            r#"{"leak":0.4,"alert":"lselect"}"#,
            r#"{"log":"error","logs":["INFO 3 values failed before"],"msg":"no error line"}"#,
            r#"{"log":"2026-01-03 10:22:11 [info] poll: 0 errors","text":"ERROR in it"}"#,
            "21.5",
        ] {
            assert_eq!(severity(silent), None, "{silent}");
        }
        for loud in [
            r#"{"error":"E42"}"#,
            r#"{"status":"FAILED"}"#,
            r#"{"a":{"level":"error"}}"#,
            r#"{"alarm":true}"#,
            r#"{"fault":3}"#,
            r#"{"errors":["x"]}"#,
            r#"{"error":{"code":5,"text":"stuck"}}"#,
            r#"{"alarm":{"high":true,"threshold":80}}"#,
            r#"{"errors":{"rx":3}}"#,
            r#"{"state":"sensor failure"}"#,
            r#"{"overtemperature":true}"#,
            r#"{"pump_fault":true}"#,
            r#"{"commError":"active"}"#,
            "<pump><error>E5</error></pump>",
            r#"{"log":"ERROR modbus: slave 3 timeout"}"#,
            r#"{"logs":["INFO started","[E][mqtt] not connected"]}"#,
            "ERROR pump",
        ] {
            assert_eq!(severity(loud), Some(Severity::Error), "{loud}");
        }
        for trouble in [
            r#"{"severity":"warn"}"#,
            r#"{"healthy":false}"#,
            r#"{"ok":false,"a":1}"#,
            r#"{"success":"False"}"#,
            r#"{"sensor_status":"invalid"}"#,
            r#"{"health":"unhealthy"}"#,
            r#"{"status":"NOK"}"#,
            r#"{"leak":true}"#,
            r#"{"sensor_ok":false}"#,
            r#"{"alert":1}"#,
            r#"{"log":"2026-01-03 10:22:11 [warn] poll is slow"}"#,
        ] {
            assert_eq!(severity(trouble), Some(Severity::Warning), "{trouble}");
        }
    }

    #[test]
    fn a_message_is_read_in_the_light_of_its_topic() {
        let severity =
            |topic: &str, payload: &str| inspect_message(topic, payload.as_bytes(), payload.len(), 4096).severity;
        let error = Some(Severity::Error);
        for (topic, payload, expected) in [
            ("pump/error", "overcurrent", error),
            ("pump/error", "E42", error),
            ("pump/fault", "3", error),
            ("pump/alarm", "ON", error),
            ("pump/error", r#"{"code":7}"#, error),
            ("pump/status", "timeout", error),
            ("shelly/overtemperature", "1", error),
            ("pump/warning", "filter", Some(Severity::Warning)),
            ("cars/1/healthy", "false", Some(Severity::Warning)),
            ("cars/1/healthy", "true", None),
            ("pump/error", "none", None),
            ("pump/alarm", "OFF", None),
            ("pump/fault", "0", None),
            ("pump/error", r#"{"code":0}"#, None),
            ("pump/state", "idle", None),
            ("homeassistant/sensor/p/config", r#"{"device_class":"problem","state":"error","fault":"x"}"#, None),
            ("homie/pump/error/$name", "Error", None),
        ] {
            assert_eq!(severity(topic, payload), expected, "{topic} {payload}");
        }
    }
}
