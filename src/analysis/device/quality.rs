//! What is said of a value beside it: servers of OPC UA's values tell whether they could read them.

use serde_json::{Map, Value};

/// The member of an object that is said to be bad, and whether in words that mean nothing else.
pub(super) fn bad_value(members: &Map<String, Value>) -> Option<(&'static str, bool)> {
    let is_bad = |code: u64| code >> 30 == 2;
    let is_opc = || ["sourceTimestamp", "SourceTimestamp", "nodeId"].iter().any(|name| members.contains_key(*name));
    let named = if members.contains_key("v") { "v" } else { "value" };
    members.iter().find_map(|(name, value)| match (name.as_str(), value) {
        ("q", Value::Bool(false)) => Some(("v", false)),
        ("StatusCode" | "statusCode", Value::String(text)) => text.starts_with("Bad").then_some((named, true)),
        // Air may be bad, too.
        ("quality" | "Quality", Value::String(text)) => {
            let is_code = text.starts_with("BAD") || (text.starts_with("Bad") && text.len() > "Bad".len());
            (is_code && !text.contains(' ')).then_some((named, true))
        }
        ("StatusCode" | "statusCode", Value::Number(code)) => {
            code.as_u64().is_some_and(is_bad).then_some((named, true))
        }
        // OPC before UA: good from 192 on, uncertain from 64 on.
        ("quality" | "Quality", Value::Number(code)) if is_opc() => {
            code.as_u64().is_some_and(|code| code < 64).then_some((named, true))
        }
        ("StatusCode", Value::Object(code)) => code.get("Code")?.as_u64().is_some_and(is_bad).then_some((named, true)),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::device::At;
    use crate::analysis::device::fields::Fields;
    use serde_json::json;

    #[test]
    fn what_is_said_to_be_bad_is_none() {
        let value = |status: Value| json!({"Torque": {"Value": 12.5, "StatusCode": status}});
        let bad = [json!("BadCommunicationError"), json!(2_147_483_648_u32), json!({"Code": 2_147_483_648_u32})];
        let good = [json!("Good"), json!(0), json!({"Code": 0, "Symbol": "Good"}), json!(1_073_741_824)];
        for (status, expected) in bad.into_iter().map(|bad| (bad, 1)).chain(good.into_iter().map(|good| (good, 0))) {
            let mut fields = Fields::default();
            fields.record(At::default(), &json!({"Torque": {"Value": 12.5}}), 100);
            fields.record(At::default(), &value(status.clone()), 100);
            let told: Vec<_> = fields.iter().map(|field| (&*field.path, field.lost, field.is_bad)).collect();
            assert_eq!(told[0], ("Torque.Value", expected, expected > 0), "{status}");
        }
    }

    #[test]
    fn what_is_bad_from_the_start_is_told_as_such() {
        for (quality, expected) in [(24, 4), (64, 0), (192, 0)] {
            let mut fields = Fields::default();
            let value = json!({"nodeId": "ns=2;s=Flow", "value": 0.0, "quality": quality});
            (0..4).for_each(|_| _ = fields.record(At::default(), &value, 100));
            let value = fields.iter().find(|field| &*field.path == "value").expect("a field");
            assert_eq!((value.lost, value.is_bad), (expected, expected > 0), "{quality}");
        }
    }

    #[test]
    fn a_quality_that_is_a_code_is_told_from_that_of_air() {
        for (quality, expected) in [("BAD", 1), ("BadNotConnected", 1), ("Bad", 0), ("bad", 0), ("Good", 0)] {
            let mut fields = Fields::default();
            fields.record(At::default(), &json!({"value": 900}), 100);
            fields.record(At::default(), &json!({"value": 901, "quality": quality}), 100);
            fields.record(At::default(), &json!({"v": 900}), 100);
            fields.record(At::default(), &json!({"v": 901, "quality": quality}), 100);
            assert_eq!(fields.iter().map(|field| field.lost).collect::<Vec<_>>(), [expected; 2], "{quality}");
        }
    }
}
