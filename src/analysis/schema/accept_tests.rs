//! Whether a schema accepts a message.

use serde_json::{Value, json};

use super::{format, node};

/// A validator of the keywords that are written, and of no other.
pub fn accepts(schema: &Value, value: &Value) -> Result<(), String> {
    let rules = schema.as_object().expect("a schema");
    for (keyword, rule) in rules {
        let number = |name: &Value| serde_json::from_value::<serde_json::Number>(name.clone()).expect("a number");
        let at_least = |length: usize| rule.as_u64().is_some_and(|least| length as u64 >= least);
        let at_most = |length: usize| rule.as_u64().is_some_and(|most| length as u64 <= most);
        let ordered = |wrong: std::cmp::Ordering| match value {
            Value::Number(value) => node::compare(value, &number(rule)) != wrong || value.as_f64() == rule.as_f64(),
            _ => true,
        };
        let holds = match (keyword.as_str(), value) {
            ("type", _) => match rule {
                Value::Array(types) => types.iter().any(|rule| has_type(rule, value)),
                rule => has_type(rule, value),
            },
            ("enum", _) => rule.as_array().expect("values").contains(value),
            ("minimum", _) => ordered(std::cmp::Ordering::Less),
            ("maximum", _) => ordered(std::cmp::Ordering::Greater),
            ("minLength", Value::String(text)) => at_least(text.chars().count()),
            ("maxLength", Value::String(text)) => at_most(text.chars().count()),
            ("minItems", Value::Array(items)) => at_least(items.len()),
            ("maxItems", Value::Array(items)) => at_most(items.len()),
            ("required", Value::Object(members)) => {
                rule.as_array().expect("names").iter().all(|name| members.contains_key(name.as_str().expect("a name")))
            }
            ("properties", Value::Object(members)) => {
                for (name, schema) in rule.as_object().expect("schemas") {
                    members.get(name).map_or(Ok(()), |value| accepts(schema, value))?;
                }
                true
            }
            ("additionalProperties", Value::Object(members)) => {
                let known = |name: &String| schema["properties"].get(name).is_some();
                members.iter().filter(|(name, _)| !known(name)).try_for_each(|(_, value)| accepts(rule, value))?;
                true
            }
            ("items", Value::Array(items)) => {
                items.iter().try_for_each(|value| accepts(rule, value))?;
                true
            }
            ("format", Value::String(text)) => format::Formats::of(text).name() == rule.as_str(),
            ("contentEncoding" | "contentMediaType", _) => true,
            (
                "minLength"
                | "maxLength"
                | "minItems"
                | "maxItems"
                | "required"
                | "properties"
                | "additionalProperties"
                | "items"
                | "format",
                _,
            ) => true,
            (other, _) => panic!("{other} is not known to this check"),
        };
        if !holds {
            return Err(format!("{keyword} {rule} does not hold for {value}"));
        }
    }
    Ok(())
}

fn has_type(rule: &Value, value: &Value) -> bool {
    match rule.as_str().expect("a type") {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("{other}"),
    }
}

/// Prints a schema and what it was inferred from where the environment asks for it, for another validator.
#[expect(clippy::print_stdout, reason = "whoever asks for it reads it there")]
pub fn tell(schema: &Value, values: &[Value]) {
    if std::env::var_os("MQTT_MCP_SCHEMAS").is_some() {
        println!("{}", json!({"schema": schema, "values": values}));
    }
}
