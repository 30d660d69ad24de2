//! Messages: parsing without losing an id's value or type, and without copying parameters.

use std::borrow::Cow;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use super::error::{PARSE_ERROR, RpcError};
use crate::limits::BATCH_MAX;

/// A request id: `1` and `"1"` are different, `0` and `""` are ids like any other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Id {
    /// An integer that fits 64 signed bits.
    Integer(i64),
    /// A larger one.
    Unsigned(u64),
    /// A string.
    Text(String),
}

impl Id {
    /// Reads an id or progress token; `None` for anything but a string or an integer.
    pub fn read(raw: &RawValue) -> Option<Self> {
        let text = raw.get();
        if text.starts_with('"') {
            return serde_json::from_str(text).ok().map(Self::Text);
        }
        text.parse().map(Self::Integer).ok().or_else(|| text.parse().map(Self::Unsigned).ok())
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Integer(value) => serializer.serialize_i64(*value),
            Self::Unsigned(value) => serializer.serialize_u64(*value),
            Self::Text(value) => serializer.serialize_str(value),
        }
    }
}

/// The members of a JSON object, each as the text it came as. Of members of the same name the last one counts.
#[derive(Default)]
pub struct Fields<'a>(Vec<(Name<'a>, &'a RawValue)>);

/// A copy only where it has escapes: a `Cow` of its own is always a copy to serde.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a> Fields<'a> {
    /// The member of that name.
    pub fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0.iter().rev().find(|(known, _)| known.0 == name).map(|(_, raw)| *raw)
    }

    /// The members' names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.0.as_ref())
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
                let mut fields = Fields::default();
                while let Some(member) = members.next_entry()? {
                    fields.0.push(member);
                }
                Ok(fields)
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// Reads bytes as JSON, or `None` if they are none of that kind.
pub fn json<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Option<T> {
    std::str::from_utf8(bytes).ok().and_then(|text| serde_json::from_str(text).ok())
}

/// Reads an object's members, or `None` if it is not one.
pub fn fields(raw: &RawValue) -> Option<Fields<'_>> {
    serde_json::from_str(raw.get()).ok()
}

/// Reads a string member; `None` when it is missing or no string.
pub fn text(fields: &Fields<'_>, name: &str) -> Option<String> {
    fields.get(name).and_then(|raw| serde_json::from_str(raw.get()).ok())
}

/// One JSON-RPC message. A response to a request that was never sent is dropped by its receiver.
#[derive(Debug)]
pub enum Message<'a> {
    /// Wants an answer under `id`.
    Request {
        /// To be given back unchanged.
        id: Id,
        /// The method.
        method: String,
        /// An object, if there were parameters.
        params: Option<&'a RawValue>,
    },
    /// Wants no answer, whatever happens.
    Notification {
        /// The method.
        method: String,
        /// An object, if there were parameters.
        params: Option<&'a RawValue>,
    },
    /// An answer from the client.
    Response,
}

/// A message that cannot be served, with the id to answer under when one could be read.
#[derive(Debug)]
pub struct Bad {
    /// The request's id.
    pub id: Option<Id>,
    /// What was wrong.
    pub error: RpcError,
}

/// What one line holds.
#[derive(Debug)]
pub enum Incoming<'a> {
    /// Nothing but white space.
    Blank,
    /// A single message.
    One(Result<Message<'a>, Bad>),
    /// An array of messages.
    Batch(Vec<Result<Message<'a>, Bad>>),
}

/// Reads one line.
pub fn parse(line: &[u8]) -> Incoming<'_> {
    let Ok(text) = std::str::from_utf8(line) else {
        return Incoming::One(Err(parse_error("the line is not UTF-8")));
    };
    let text = text.trim_matches([' ', '\t', '\r']);
    if text.is_empty() {
        return Incoming::Blank;
    }
    if text.starts_with('[') {
        return match serde_json::from_str::<Vec<&RawValue>>(text) {
            Err(_) => Incoming::One(Err(parse_error("the line is not JSON"))),
            Ok(members) if members.is_empty() => Incoming::One(Err(invalid(None, "a batch must not be empty"))),
            Ok(members) if members.len() > BATCH_MAX => {
                Incoming::One(Err(invalid(None, format!("a batch has at most {BATCH_MAX} members"))))
            }
            Ok(members) => Incoming::Batch(
                members.into_iter().map(|raw| message(fields(raw).ok_or_else(not_an_object)?)).collect(),
            ),
        };
    }
    Incoming::One(match serde_json::from_str(text) {
        Ok(fields) => message(fields),
        Err(_) if serde_json::from_str::<&RawValue>(text).is_ok() => Err(not_an_object()),
        Err(_) => Err(parse_error("the line is not JSON")),
    })
}

fn message(fields: Fields<'_>) -> Result<Message<'_>, Bad> {
    let id = match fields.get("id").map(Id::read) {
        Some(None) => return Err(invalid(None, "id must be a string or an integer")),
        known => known.flatten(),
    };
    if fields.get("jsonrpc").is_none_or(|version| version.get() != "\"2.0\"") {
        return Err(invalid(id, "jsonrpc must be \"2.0\""));
    }
    if fields.get("method").is_none() && (fields.get("result").or(fields.get("error"))).is_some() {
        return Ok(Message::Response);
    }
    let Some(method) = text(&fields, "method") else {
        return Err(invalid(id, "method must be a string"));
    };
    // Some clients write null for what is absent.
    let params = fields.get("params").filter(|raw| raw.get() != "null");
    match id {
        None => Ok(Message::Notification { method, params: params.filter(|raw| is_object(raw)) }),
        Some(id) if params.is_some_and(|raw| !is_object(raw)) => {
            Err(Bad { id: Some(id), error: RpcError::invalid_params("params must be an object") })
        }
        Some(id) => Ok(Message::Request { id, method, params }),
    }
}

fn is_object(raw: &RawValue) -> bool {
    raw.get().starts_with('{')
}

fn not_an_object() -> Bad {
    invalid(None, "a message must be a JSON object")
}

fn parse_error(message: &str) -> Bad {
    Bad { id: None, error: RpcError::new(PARSE_ERROR, format!("parse error: {message}")) }
}

fn invalid(id: Option<Id>, message: impl Into<String>) -> Bad {
    Bad { id, error: RpcError::invalid_request(message) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(line: &str) -> (Option<Id>, i64) {
        match parse(line.as_bytes()) {
            Incoming::One(Err(bad)) => (bad.id, bad.error.code),
            other => panic!("{line} gave {other:?}"),
        }
    }

    #[test]
    fn ids_keep_value_and_type() {
        for (text, id) in [
            ("1", Id::Integer(1)),
            ("\"1\"", Id::Text("1".into())),
            ("0", Id::Integer(0)),
            ("\"\"", Id::Text(String::new())),
            ("-7", Id::Integer(-7)),
            ("18446744073709551615", Id::Unsigned(u64::MAX)),
        ] {
            let line = format!(r#"{{"jsonrpc":"2.0","id":{text},"method":"m"}}"#);
            match parse(line.as_bytes()) {
                Incoming::One(Ok(Message::Request { id: read, .. })) => {
                    assert_eq!(read, id);
                    assert_eq!(serde_json::to_string(&read).expect("json"), text);
                }
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn each_malformed_line_has_its_code() {
        assert_eq!(code("not json"), (None, PARSE_ERROR));
        assert_eq!(code("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":"), (None, PARSE_ERROR));
        assert_eq!(code("[1,"), (None, PARSE_ERROR));
        let invalid = RpcError::invalid_request("").code;
        for line in ["42", "\"x\"", "null", "{}", "[]", r#"{"jsonrpc":"2.0","method":7}"#] {
            assert_eq!(code(line), (None, invalid), "{line}");
        }
        for id in ["null", "{\"a\":1}", "true", "1.5", "[]", "1e3", "99999999999999999999999"] {
            assert_eq!(code(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#)), (None, invalid), "{id}");
        }
        let id = Some(Id::Text("v".into()));
        assert_eq!(code(r#"{"id":"v","method":"ping"}"#), (id.clone(), invalid));
        assert_eq!(code(r#"{"jsonrpc":"2.0","id":"v","method":7}"#), (id.clone(), invalid));
        assert_eq!(
            code(r#"{"jsonrpc":"2.0","id":"v","method":"m","params":[1]}"#),
            (id, RpcError::invalid_params("").code)
        );
    }

    #[test]
    fn invalid_utf8_is_a_parse_error() {
        let Incoming::One(Err(bad)) = parse(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xff\"}") else { panic!() };
        assert_eq!(bad.error.code, PARSE_ERROR);
    }

    #[test]
    fn a_notification_with_wrong_params_is_still_a_notification() {
        let Incoming::One(Ok(Message::Notification { params, .. })) =
            parse(br#"{"jsonrpc":"2.0","method":"x","params":3}"#)
        else {
            panic!()
        };
        assert!(params.is_none());
    }

    #[test]
    fn every_line_is_survived() {
        let deep = "[".repeat(100_000);
        for line in [deep.as_str(), &format!("{{\"a\":{deep}"), "\u{0}", "{\"id\":\"\\ud800\"}", "1e999"] {
            assert!(matches!(parse(line.as_bytes()), Incoming::One(Err(_))));
        }
    }

    #[test]
    fn white_space_and_blank_lines_are_accepted() {
        assert!(matches!(parse(b" \t\r"), Incoming::Blank));
        assert!(matches!(parse(b"  {\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\"} \r"), Incoming::One(Ok(_))));
    }

    #[test]
    fn a_batch_holds_its_members_and_their_errors() {
        let Incoming::Batch(members) = parse(br#"[1,{"jsonrpc":"2.0","method":"x"}]"#) else { panic!() };
        assert!(members[0].is_err() && members[1].is_ok());
    }
}
