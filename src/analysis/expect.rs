//! Does a payload contain what was expected? Objects match when every expected member matches; arrays match item by
//! item; numbers match by value; a string matches a JSON string or a text payload equal to it. CBOR, MessagePack
//! and JSON lines are compared as what they say.

use serde_json::Value;

use super::decode::{Form, decode};

/// JSON pointers (RFC 6901) to what differs; empty when `actual` contains `expected`.
pub fn mismatches(expected: &Value, actual: &Value) -> Vec<String> {
    let mut found = Vec::new();
    compare(expected, actual, &mut String::new(), &mut found);
    found
}

/// Whether two values are equal.
pub fn is_same(a: &Value, b: &Value) -> bool {
    mismatches(a, b).is_empty() && mismatches(b, a).is_empty()
}

/// The same for a payload: all of it differs when it is neither JSON nor the text that was expected.
pub fn payload_mismatches(expected: &Value, payload: &[u8]) -> Vec<String> {
    let text = std::str::from_utf8(payload).ok();
    if text.is_some() && expected.as_str() == text {
        return Vec::new();
    }
    let decoded = || serde_json::from_str(&decode(payload, Form::Exact)?.json).ok();
    match text.and_then(|text| serde_json::from_str(text).ok()).or_else(decoded) {
        Some(actual) => mismatches(expected, &actual),
        None => vec![String::new()],
    }
}

/// Whether a payload contains `expected`.
pub fn payload_contains(expected: &Value, payload: &[u8]) -> bool {
    payload_mismatches(expected, payload).is_empty()
}

fn compare(expected: &Value, actual: &Value, at: &mut String, found: &mut Vec<String>) {
    let length = at.len();
    match (expected, actual) {
        (Value::Object(expected), Value::Object(actual)) => {
            for (name, value) in expected {
                at.push('/');
                at.push_str(&name.replace('~', "~0").replace('/', "~1"));
                match actual.get(name) {
                    Some(other) => compare(value, other, at, found),
                    None => found.push(at.clone()),
                }
                at.truncate(length);
            }
        }
        (Value::Array(expected), Value::Array(actual)) if expected.len() == actual.len() => {
            for (index, (value, other)) in expected.iter().zip(actual).enumerate() {
                at.push_str(&format!("/{index}"));
                compare(value, other, at, found);
                at.truncate(length);
            }
        }
        (Value::Number(expected), Value::Number(actual)) if same_number(expected, actual) => {}
        _ if expected == actual => {}
        _ => found.push(at.clone()),
    }
}

/// 1 and 1.0 are the same; integers beyond 2⁵³ are compared as integers.
fn same_number(a: &serde_json::Number, b: &serde_json::Number) -> bool {
    a == b || ((a.is_f64() || b.is_f64()) && a.as_f64() == b.as_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_differs_is_named_by_pointers() {
        let actual = json!({"a": 1.0, "b": {"c": [1, 2], "d/e": "x"}, "more": true});
        assert!(mismatches(&json!({"a": 1, "b": {"c": [1, 2]}}), &actual).is_empty());
        assert_eq!(mismatches(&json!({"b": {"c": [1, 3], "d/e": 1}, "z": 0}), &actual), ["/b/c/1", "/b/d~1e", "/z"]);
        assert_eq!(mismatches(&json!([1]), &json!([1, 2])), [""]);
        assert_eq!(mismatches(&json!(9007199254740993u64), &json!(9007199254740992u64)), [""]);
        assert!(is_same(&json!({"a": [1]}), &json!({"a": [1.0]})));
        assert!(
            !is_same(&json!({"a": 1}), &json!({"a": 1, "b": 2}))
                && !is_same(&json!({"a": 1, "b": 2}), &json!({"a": 1}))
        );
    }

    #[test]
    fn text_payloads_match_equal_strings() {
        assert!(payload_contains(&json!("ON"), b"ON"));
        assert!(payload_contains(&json!("ON"), b"\"ON\""));
        assert!(!payload_contains(&json!("ON"), b"NOT ON"));
        assert!(payload_contains(&json!(21), b"21.0"));
        assert!(!payload_contains(&json!({"a": 1}), b"\xff"));
        assert!(payload_contains(&json!([{"a": 1}, {"b": 2}]), b"{\"a\":1}\n{\"b\":2,\"c\":3}\n"));
    }
}
