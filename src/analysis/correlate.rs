//! One value inside a JSON payload, named by a JSON pointer (RFC 6901): read, or replaced while every other byte stays.

use serde_json::Value;
use serde_json::value::RawValue;

use super::decode::{Form, decode};
use crate::rpc::message::{fields, json};
use crate::rpc::outgoing::to_json;

/// Whether `pointer` is one: empty, or beginning with `/`.
pub fn is_pointer(pointer: &str) -> bool {
    pointer.is_empty() || pointer.starts_with('/')
}

/// The value that `pointer` names in a payload, if it is JSON, or says as much, and has it.
pub fn value_at(payload: &[u8], pointer: &str) -> Option<Value> {
    let decoded = decode(payload, Form::Exact);
    let payload = decoded.as_ref().map_or(payload, |decoded| decoded.json.as_bytes());
    serde_json::from_str(find(payload, pointer)?.get()).ok()
}

/// The payload of request `number`, from 1: its value at `pointer` is made one of its own, a text by an appended `-2`,
/// a whole number by counting up. The first request, and one with another kind of value, stays as it is.
pub fn numbered(payload: &[u8], pointer: &str, number: u64) -> Option<Vec<u8>> {
    let raw = find(payload, pointer)?.get();
    let own = match serde_json::from_str(raw).ok()? {
        Value::String(text) if number > 1 => Value::String(format!("{text}-{number}")),
        Value::Number(base) if number > 1 => base.as_i64()?.checked_add_unsigned(number - 1)?.into(),
        _ => return None,
    };
    let start = raw.as_ptr().addr() - payload.as_ptr().addr();
    Some([&payload[..start], &to_json(&own), &payload[start + raw.len()..]].concat())
}

fn find<'a>(payload: &'a [u8], pointer: &str) -> Option<&'a RawValue> {
    let mut at: &RawValue = json(payload)?;
    for token in pointer.split('/').skip(1) {
        at = if at.get().starts_with('[') {
            let items: Vec<&RawValue> = serde_json::from_str(at.get()).ok()?;
            items.get(token.parse::<usize>().ok()?)?
        } else {
            fields(at)?.get(&token.replace("~1", "/").replace("~0", "~"))?
        };
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_found_by_pointer() {
        let payload = br#" {"a": [1, {"b/c": "x"}], "~": null} "#;
        for (pointer, expected) in [
            ("/a/0", Some(json!(1))),
            ("/a/1/b~1c", Some(json!("x"))),
            ("/~0", Some(json!(null))),
            ("/a", Some(json!([1, {"b/c": "x"}]))),
            ("/a/2", None),
            ("/a/x", None),
            ("/a/0/b", None),
            ("/none", None),
        ] {
            assert_eq!(value_at(payload, pointer), expected, "{pointer}");
        }
        assert_eq!(value_at(b"7", ""), Some(json!(7)));
        assert_eq!(value_at(b"text", ""), None);
        assert_eq!(value_at(b"\xff", "/a"), None);
    }

    #[test]
    fn a_number_of_its_own_changes_nothing_else() {
        let numbered = |payload: &str, number| {
            numbered(payload.as_bytes(), "/id", number).map(|bytes| String::from_utf8(bytes).expect("text"))
        };
        assert_eq!(
            numbered(r#"{"b":1.10, "id":"é\"x","a":2}"#, 3).as_deref(),
            Some(r#"{"b":1.10, "id":"é\"x-3","a":2}"#)
        );
        assert_eq!(numbered(r#"{"id": 41 }"#, 2).as_deref(), Some(r#"{"id": 42 }"#));
        assert_eq!(numbered(r#"{"id": 41 }"#, 1), None);
        assert_eq!(numbered(r#"{"id":9223372036854775807}"#, 2), None);
        assert_eq!(numbered(r#"{"id":1.5}"#, 2), None);
        assert_eq!(numbered(r#"{"id":null}"#, 2), None);
    }
}
