//! What a payload is: its type, its shape, whether it reports an error; and how to show it.

use std::borrow::Cow;

use base64ct::{Base64, Encoding};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::alarm::{self, Role, Severity};

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
    /// Equal for payloads of the same structure: member names and types, not values.
    pub shape: u64,
    /// Whether it reports an error or warning.
    pub severity: Option<Severity>,
}

/// JSON nested deeper is shown as text: not every client parses more, and it stands inside our own result.
pub const JSON_DEPTH_MAX: usize = 64;

/// Looks at a payload. With `whole` false only its beginning is there, and the type is judged from that.
pub fn inspect(payload: &[u8], whole: bool) -> Inspection {
    let Some(text) = readable(payload, whole) else {
        return plain(if payload.is_empty() { Kind::Empty } else { Kind::Binary }, None);
    };
    let trimmed = text.trim_ascii();
    match trimmed.as_bytes().first() {
        Some(b'{' | b'[' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n') if whole => {
            if let Some(inspection) = inspect_json(trimmed) {
                return inspection;
            }
        }
        Some(b'{' | b'[') => return plain(Kind::Json, alarm::text(trimmed)),
        _ => {}
    }
    let second = trimmed.as_bytes().get(1);
    let opens_tag =
        trimmed.starts_with('<') && second.is_some_and(|c| c.is_ascii_alphabetic() || matches!(c, b'?' | b'!'));
    let kind = if opens_tag && (!whole || trimmed.ends_with('>')) { Kind::Xml } else { Kind::Text };
    plain(kind, alarm::text(trimmed))
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
    (!text.is_empty() && !has_control(text.as_bytes())).then_some(text)
}

/// Whether there is a control character that text does not have. Asked for every message, so eight bytes at a time.
fn has_control(bytes: &[u8]) -> bool {
    let is_control = |byte: &u8| *byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r' | 0x1b);
    let (words, rest) = bytes.as_chunks::<8>();
    let may_have = |word: &[u8; 8]| {
        let word = u64::from_ne_bytes(*word);
        word.wrapping_sub(0x2020_2020_2020_2020) & !word & 0x8080_8080_8080_8080 != 0
    };
    words.iter().any(|word| may_have(word) && word.iter().any(is_control)) || rest.iter().any(is_control)
}

/// A payload for a result: `payload` and `encoding`.
pub struct Shown<'a> {
    /// The JSON value as it came, or text, or base64.
    pub payload: ShownPayload<'a>,
    /// `json`, `text` or `base64`.
    pub encoding: &'static str,
    /// Whether less than all of it is shown.
    pub truncated: bool,
}

/// The three ways to show a payload.
pub enum ShownPayload<'a> {
    /// JSON text, without white space between its parts; numbers and member order are the sender's.
    Json(Box<RawValue>),
    /// Text.
    Text(Cow<'a, str>),
    /// Base64.
    Binary(String),
}

impl Serialize for ShownPayload<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Json(raw) => raw.serialize(serializer),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Binary(text) => serializer.serialize_str(text),
        }
    }
}

/// Shows at most `limit` bytes of a payload of `payload_bytes`, of which `kept` are there.
pub fn show(kept: &[u8], payload_bytes: usize, limit: usize) -> Shown<'_> {
    let part = &kept[..kept.len().min(limit)];
    let whole = part.len() == payload_bytes;
    let truncated = !whole;
    let Some(text) = readable(part, whole) else {
        if part.is_empty() && whole {
            return Shown { payload: ShownPayload::Text("".into()), encoding: "text", truncated };
        }
        let payload = ShownPayload::Binary(Base64::encode_string(part));
        return Shown { payload, encoding: "base64", truncated };
    };
    match compact_json(text).filter(|_| whole) {
        Some(raw) => Shown { payload: ShownPayload::Json(raw), encoding: "json", truncated },
        None => Shown { payload: ShownPayload::Text(text.into()), encoding: "text", truncated },
    }
}

/// JSON text without white space between its parts; `None` when it is not JSON that every client can read.
pub fn compact_json(text: &str) -> Option<Box<RawValue>> {
    inspect_json(text.trim_ascii())?;
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

fn inspect_json(text: &str) -> Option<Inspection> {
    let mut look = Look { severity: None };
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let node = Node { look: &mut look, depth: 0, role: Role::Plain };
    let (kind, shape) = node.deserialize(&mut deserializer).ok()?;
    deserializer.end().ok()?;
    Some(Inspection { kind, shape, severity: look.severity })
}

struct Look {
    severity: Option<Severity>,
}

/// One JSON value: gives its type and the hash of its structure without building it.
struct Node<'a> {
    look: &'a mut Look,
    depth: usize,
    role: Role,
}

impl Node<'_> {
    fn report(&mut self, active: bool) {
        if let Role::Report(severity) = self.role
            && active
        {
            self.look.severity = self.look.severity.max(Some(severity));
        }
    }

    fn leaf(kind: Kind, tag: u8) -> (Kind, u64) {
        (kind, mix(1 + u64::from(tag), kind as u64))
    }
}

/// One step of a hash for shapes: quick, and the same in every run. Two shapes that meet cost one example message.
fn mix(hash: u64, value: u64) -> u64 {
    (hash.rotate_left(23) ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn mix_bytes(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let rest = rest.iter().fold(bytes.len() as u64, |word, byte| word << 8 | u64::from(*byte));
    words.iter().fold(mix(0, rest), |hash, word| mix(hash, u64::from_le_bytes(*word)))
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = (Kind, u64);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        if self.depth > JSON_DEPTH_MAX {
            return Err(D::Error::custom("too deep"));
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = (Kind, u64);

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(mut self, value: bool) -> Result<Self::Value, E> {
        self.report(value);
        Ok(Self::leaf(Kind::Boolean, 0))
    }

    fn visit_i64<E>(mut self, value: i64) -> Result<Self::Value, E> {
        self.report(value != 0);
        Ok(Self::leaf(Kind::Number, 0))
    }

    fn visit_u64<E>(mut self, value: u64) -> Result<Self::Value, E> {
        self.report(value != 0);
        Ok(Self::leaf(Kind::Number, 0))
    }

    fn visit_f64<E>(mut self, value: f64) -> Result<Self::Value, E> {
        self.report(value != 0.0);
        Ok(Self::leaf(Kind::Number, 0))
    }

    fn visit_str<E>(mut self, value: &str) -> Result<Self::Value, E> {
        match self.role {
            Role::Level => self.look.severity = self.look.severity.max(alarm::word(value.trim())),
            _ => self.report(!alarm::is_all_well(value)),
        }
        Ok(Self::leaf(Kind::Json, 1))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Self::leaf(Kind::Json, 2))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut shapes = 0u64;
        let mut empty = true;
        let depth = self.depth + 1;
        while let Some((_, shape)) = items.next_element_seed(Node { look: self.look, depth, role: Role::Plain })? {
            // Arrays of the same kinds of items have the same shape, however long they are.
            shapes |= 1 << (shape >> 58);
            empty = false;
        }
        self.report(!empty);
        Ok((Kind::Json, mix(4, shapes)))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut shapes = 0u64;
        let mut empty = true;
        let depth = self.depth + 1;
        while let Some((role, name)) = members.next_key_seed(Name)? {
            let (_, shape) = members.next_value_seed(Node { look: self.look, depth, role })?;
            // A sum, since members have no order.
            shapes = shapes.wrapping_add(mix(shape, name));
            empty = false;
        }
        self.report(!empty);
        Ok((Kind::Json, mix(5, shapes)))
    }
}

/// A member's name: what it says of its value, and its hash. Nothing is allocated for it.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = (Role, u64);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name {
    type Value = (Role, u64);

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a member's name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok((alarm::role(name), mix_bytes(name.as_bytes())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(payload: &[u8]) -> Kind {
        inspect(payload, true).kind
    }

    fn json(shown: &Shown<'_>) -> String {
        let cut = if shown.truncated { " cut" } else { "" };
        format!("{}{cut} {}", shown.encoding, serde_json::to_string(&shown.payload).expect("json"))
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
        ] {
            assert_eq!(kind(payload), expected, "{}", String::from_utf8_lossy(payload));
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
            r#"{"status":"ok","level":3}"#,
            r#"{"text":"error"}"#,
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
            "ERROR pump",
        ] {
            assert_eq!(severity(loud), Some(Severity::Error), "{loud}");
        }
        assert_eq!(severity(r#"{"severity":"warn"}"#), Some(Severity::Warning));
    }

    #[test]
    fn json_is_shown_as_it_came() {
        let shown = |payload: &[u8]| json(&show(payload, payload.len(), 4096));
        assert_eq!(
            shown(b"{ \"b\": 1.10,\n \"a\": [12345678901234567890123, \" x \\\" y\"] }"),
            "json {\"b\":1.10,\"a\":[12345678901234567890123,\" x \\\" y\"]}"
        );
        assert_eq!(shown(b"\"back\\\\\" "), "json \"back\\\\\"");
        assert_eq!(shown(b"plain\ntext"), "text \"plain\\ntext\"");
        assert_eq!(shown(b"\xff\x00"), "base64 \"/wA=\"");
        assert_eq!(shown(b""), "text \"\"");
    }

    #[test]
    fn a_cut_payload_says_so_and_ends_with_a_whole_character() {
        assert_eq!(json(&show("aüb".as_bytes(), 4, 2)), "text cut \"a\"");
        assert_eq!(json(&show(b"{\"a\"", 900, 100)), "text cut \"{\\\"a\\\"\"");
        assert_eq!(inspect(b"{\"a\"", false).kind, Kind::Json);
    }
}
