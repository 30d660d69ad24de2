//! The part of JSON Schema that the tools' schemas use. A keyword it does not know fails the test: a check that skips
//! what it cannot read would hold nothing.

use serde_json::Value;

const ANNOTATIONS: [&str; 3] = ["description", "title", "default"];

/// Whether `value` conforms to `schema`; the error names the place.
pub fn check(schema: &Value, value: &Value) -> Result<(), String> {
    at("", schema, value)
}

fn at(place: &str, schema: &Value, value: &Value) -> Result<(), String> {
    let rules = schema.as_object().ok_or_else(|| format!("{place}: the schema is no object"))?;
    for (keyword, rule) in rules {
        let holds = match keyword.as_str() {
            "type" => is_of_type(rule, value),
            "enum" => rule.as_array().is_some_and(|known| known.contains(value)),
            "minimum" => value.as_f64().is_none_or(|number| rule.as_f64().is_some_and(|least| number >= least)),
            "maximum" => value.as_f64().is_none_or(|number| rule.as_f64().is_some_and(|most| number <= most)),
            "maxLength" => value.as_str().is_none_or(|text| text.chars().count() as u64 <= rule.as_u64().unwrap_or(0)),
            "required" => has_members(rule, value),
            "properties" => return_members(place, rule, value)?,
            "additionalProperties" => *rule == true || only_known(rules, value),
            "items" => return_items(place, rule, value)?,
            known if ANNOTATIONS.contains(&known) => true,
            other => return Err(format!("{place}: the keyword {other} is not known to this check")),
        };
        if !holds {
            return Err(format!("{place}: {keyword} {rule} does not hold for {value}"));
        }
    }
    Ok(())
}

fn is_of_type(rule: &Value, value: &Value) -> bool {
    match rule.as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("null") => value.is_null(),
        Some("number") => value.is_number(),
        Some("integer") => value.is_i64() || value.is_u64(),
        _ => rule.as_array().is_some_and(|types| types.iter().any(|rule| is_of_type(rule, value))),
    }
}

fn has_members(rule: &Value, value: &Value) -> bool {
    let mut names = rule.as_array().into_iter().flatten().filter_map(Value::as_str);
    value.as_object().is_none_or(|object| names.all(|name| object.contains_key(name)))
}

fn only_known(rules: &serde_json::Map<String, Value>, value: &Value) -> bool {
    let known = |name: &String| rules.get("properties").is_some_and(|known| known.get(name).is_some());
    value.as_object().is_none_or(|object| object.keys().all(known))
}

fn return_members(place: &str, rule: &Value, value: &Value) -> Result<bool, String> {
    for (name, schema) in rule.as_object().into_iter().flatten() {
        if let Some(member) = value.get(name) {
            at(&format!("{place}/{name}"), schema, member)?;
        }
    }
    Ok(true)
}

fn return_items(place: &str, rule: &Value, value: &Value) -> Result<bool, String> {
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        at(&format!("{place}/{index}"), rule, item)?;
    }
    Ok(true)
}

#[test]
fn the_check_finds_what_does_not_conform() {
    use serde_json::json;
    let schema = json!({
        "type": "object", "required": ["a"], "additionalProperties": false,
        "properties": {"a": {"type": "integer", "minimum": 1, "maximum": 3}, "b": {"enum": ["x", "y"]},
            "c": {"type": "array", "items": {"type": ["string", "null"]}}}
    });
    assert_eq!(check(&schema, &json!({"a": 3, "b": "y", "c": ["s", null]})), Ok(()));
    for wrong in [
        json!([]),
        json!({}),
        json!({"a": 0}),
        json!({"a": 4}),
        json!({"a": 1.5}),
        json!({"a": 1, "b": "z"}),
        json!({"a": 1, "c": [1]}),
        json!({"a": 1, "d": 1}),
    ] {
        assert!(check(&schema, &wrong).is_err(), "{wrong}");
    }
    assert!(check(&json!({"oneOf": []}), &json!(1)).is_err());
}
