//! How results show a payload.

use std::borrow::Cow;

use base64ct::{Base64, Encoding};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::binary::Magic;
use super::decode::{Decoded, Form, decode};
use super::payload::{compact_json, readable};
use super::{garbled, lines};

/// A payload for a result.
pub struct Shown<'a> {
    /// The JSON value as it came, or text, or base64.
    pub payload: ShownPayload<'a>,
    /// `json`, `text` or `base64`.
    pub encoding: &'static str,
    /// Whether less than all of it is shown.
    pub truncated: bool,
    /// What CBOR, MessagePack or garbled text say.
    pub says: Says,
}

/// What a binary payload says: the members of a row. None of them is there where it says nothing.
#[derive(Default, Serialize)]
pub struct Says {
    /// The format's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub looks_like: Option<&'static str>,
    /// The value …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decoded: Option<Box<RawValue>>,
    /// … or its size as JSON text, when there is no room for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decoded_bytes: Option<usize>,
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

/// Shows at most `limit` bytes of a payload of `payload_bytes`, of which `kept` are there; and as many at most of what it
/// says, if that is another thing.
pub fn show(kept: &[u8], payload_bytes: usize, limit: usize) -> Shown<'_> {
    let part = &kept[..kept.len().min(limit)];
    let whole = part.len() == payload_bytes;
    let (payload, encoding, says) = match readable(part, whole) {
        Some(text) => match compact_json(text).filter(|_| whole) {
            Some(raw) => (ShownPayload::Json(raw), "json", None),
            None => (ShownPayload::Text(text.into()), "text", are_lines(kept, payload_bytes)),
        },
        None if part.is_empty() && whole => (ShownPayload::Text("".into()), "text", None),
        None => {
            let says = if kept.len() == payload_bytes { says(kept, limit) } else { None };
            (ShownPayload::Binary(Base64::encode_string(part)), "base64", says)
        }
    };
    Shown { payload, encoding, truncated: !whole, says: says.unwrap_or_default() }
}

/// JSON lines are read as they are; only their name is told.
fn are_lines(kept: &[u8], payload_bytes: usize) -> Option<Says> {
    (kept.len() == payload_bytes && lines::read(kept).is_some()).then_some(())?;
    Some(Says { looks_like: Some(Magic::JsonLines.name()), ..Says::default() })
}

#[cold]
fn says(payload: &[u8], limit: usize) -> Option<Says> {
    let (looks_like, json) = match decode(payload, Form::Exact) {
        Some(Decoded { magic, json }) => (magic.name(), json),
        None => garbled::read(payload).and_then(|(what, text)| Some((what, serde_json::to_string(&text).ok()?)))?,
    };
    let fits = json.len() <= limit;
    let decoded_bytes = (!fits).then_some(json.len());
    let decoded = if fits { Some(RawValue::from_string(json).ok()?) } else { None };
    Some(Says { looks_like: Some(looks_like), decoded, decoded_bytes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::payload::{Kind, inspect};

    fn json(shown: &Shown<'_>) -> String {
        let cut = if shown.truncated { " cut" } else { "" };
        format!("{}{cut} {}", shown.encoding, serde_json::to_string(&shown.payload).expect("json"))
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
        let garbled = show(b"ON\0", 3, 100).says;
        assert_eq!(
            (garbled.looks_like, garbled.decoded.as_ref().map(|value| value.get())),
            (Some("text with NUL at its end"), Some("\"ON\""))
        );
        assert_eq!(shown(b""), "text \"\"");
    }

    #[test]
    fn a_cut_payload_says_so_and_ends_with_a_whole_character() {
        assert_eq!(json(&show("aüb".as_bytes(), 4, 2)), "text cut \"a\"");
        assert_eq!(json(&show(b"{\"a\"", 900, 100)), "text cut \"{\\\"a\\\"\"");
        assert_eq!(inspect(b"{\"a\"", false).kind, Kind::Json);
    }
}
