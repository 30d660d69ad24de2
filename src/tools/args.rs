//! One declaration per parameter gives its schema, its validation and its default.

use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::failure::Failure;
use crate::rpc::message::Fields;
use crate::secret::json_text;

/// A parameter of a tool.
pub struct Param {
    /// Its name.
    pub name: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// Whether it must be given.
    pub required: bool,
    /// For a model: what it means, in one sentence.
    pub doc: &'static str,
}

/// What a parameter takes.
pub enum Kind {
    /// Text.
    Text {
        /// The most UTF-8 bytes.
        max_bytes: usize,
        /// Used when it is not given.
        default: Option<&'static str>,
    },
    /// A whole number.
    Integer {
        /// The least.
        min: i64,
        /// The most.
        max: i64,
        /// Used when it is not given.
        default: Option<i64>,
    },
    /// `true` or `false`.
    Flag {
        /// Used when it is not given.
        default: bool,
    },
    /// One of a few words.
    Choice {
        /// The words.
        values: &'static [&'static str],
        /// Used when it is not given.
        default: &'static str,
    },
    /// Any JSON value.
    Json,
}

/// Arguments that were checked against the declaration.
pub struct Args {
    given: Vec<(&'static str, Value)>,
    defaults: Vec<(&'static str, Value)>,
}

enum Value {
    Text(Zeroizing<String>),
    Integer(i64),
    Flag(bool),
    Choice(&'static str),
    Json(Box<RawValue>),
}

impl std::fmt::Debug for Args {
    /// Names alone: a value may be a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.given.iter().map(|(name, _)| name)).finish()
    }
}

impl Args {
    /// Checks `json`, an object, against `params` and fills in defaults.
    pub fn check(params: &'static [Param], json: &str) -> Result<Self, Failure> {
        let fields: Fields<'_> = serde_json::from_str(json)
            .map_err(|_| Failure::invalid("arguments", "must be a JSON object without invalid strings"))?;
        for name in fields.names() {
            // `_meta` belongs to the protocol: a bare method has it among its parameters.
            if name != "_meta" && !params.iter().any(|param| param.name == name) {
                let known: Vec<_> = params.iter().map(|param| param.name).collect();
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                let name = &name[..name.floor_char_boundary(crate::limits::ECHO_MAX_BYTES)];
                return Err(Failure::invalid(name, &format!("is not a parameter of this tool; it takes: {known}")));
            }
        }
        let mut args = Self { given: Vec::new(), defaults: Vec::new() };
        for param in params {
            // Models write null for what they leave out; only a parameter of any type means it.
            let is_given = |raw: &&RawValue| matches!(param.kind, Kind::Json) || raw.get() != "null";
            match fields.get(param.name).filter(is_given) {
                Some(raw) => args.given.push((param.name, param.read(raw)?)),
                None if param.required => {
                    return Err(Failure::invalid(param.name, &format!("is missing: it {}", param.wants())));
                }
                None => args.defaults.extend(param.default().map(|value| (param.name, value))),
            }
        }
        Ok(args)
    }

    /// A text that was given.
    pub fn optional_text(&self, name: &str) -> Option<&str> {
        match self.get(name) {
            Some(Value::Text(text)) => Some(text),
            Some(Value::Choice(text)) => Some(text),
            _ => None,
        }
    }

    /// A required text, or a choice.
    pub fn text(&self, name: &str) -> &str {
        self.optional_text(name).unwrap_or_default()
    }

    /// A whole number with a default.
    pub fn integer(&self, name: &str) -> i64 {
        match self.get(name) {
            Some(Value::Integer(value)) => *value,
            _ => 0,
        }
    }

    /// Whether the caller gave it, so that no other default is to be used.
    pub fn is_given(&self, name: &str) -> bool {
        self.given.iter().any(|(known, _)| *known == name)
    }

    /// A size or count with a default.
    pub fn size(&self, name: &str) -> usize {
        usize::try_from(self.integer(name)).unwrap_or(0)
    }

    /// A duration in seconds with a default.
    pub fn seconds(&self, name: &str) -> std::time::Duration {
        std::time::Duration::from_secs(self.size(name) as u64)
    }

    /// A flag.
    pub fn flag(&self, name: &str) -> bool {
        matches!(self.get(name), Some(Value::Flag(true)))
    }

    /// A JSON value that was given, as the text it came as.
    pub fn json(&self, name: &str) -> Option<&RawValue> {
        match self.get(name) {
            Some(Value::Json(raw)) => Some(raw),
            _ => None,
        }
    }

    fn get(&self, name: &str) -> Option<&Value> {
        self.given.iter().chain(&self.defaults).find(|(known, _)| *known == name).map(|(_, value)| value)
    }
}

impl Param {
    /// Appends this parameter's JSON Schema.
    pub fn write_schema(&self, out: &mut String) {
        let (doc, mut rest) = (quoted(self.doc), String::new());
        let kind = match &self.kind {
            Kind::Text { max_bytes, default } => {
                if *max_bytes <= 256 {
                    rest = format!(",\"maxLength\":{max_bytes}");
                }
                rest.extend(default.iter().map(|default| format!(",\"default\":{}", quoted(default))));
                "\"type\":\"string\","
            }
            Kind::Integer { min, max, default } => {
                rest = format!(",\"minimum\":{min},\"maximum\":{max}");
                rest.extend(default.iter().map(|default| format!(",\"default\":{default}")));
                "\"type\":\"integer\","
            }
            Kind::Flag { default } => {
                rest = format!(",\"default\":{default}");
                "\"type\":\"boolean\","
            }
            Kind::Choice { values, default } => {
                let values: Vec<_> = values.iter().map(|value| quoted(value)).collect();
                rest = format!(",\"enum\":[{}],\"default\":{}", values.join(","), quoted(default));
                "\"type\":\"string\","
            }
            Kind::Json => "",
        };
        out.push_str(&format!("{}:{{{kind}\"description\":{doc}{rest}}}", quoted(self.name)));
    }

    fn read(&self, raw: &RawValue) -> Result<Value, Failure> {
        let wrong = || Failure::invalid(self.name, &self.wants());
        match &self.kind {
            Kind::Text { max_bytes, .. } => {
                let text = json_text(raw.get()).ok_or_else(wrong)?;
                if text.len() > *max_bytes { Err(wrong()) } else { Ok(Value::Text(text)) }
            }
            Kind::Integer { min, max, .. } => {
                let value = whole_number(raw).filter(|value| (min..=max).contains(&value));
                value.map(Value::Integer).ok_or_else(wrong)
            }
            Kind::Flag { .. } => match raw.get() {
                "true" => Ok(Value::Flag(true)),
                "false" => Ok(Value::Flag(false)),
                _ => Err(wrong()),
            },
            Kind::Choice { values, .. } => {
                let text = json_text(raw.get()).ok_or_else(wrong)?;
                values.iter().find(|value| **value == *text).map(|value| Value::Choice(value)).ok_or_else(wrong)
            }
            Kind::Json => Ok(Value::Json(raw.to_owned())),
        }
    }

    fn default(&self) -> Option<Value> {
        match &self.kind {
            Kind::Integer { default, .. } => default.map(Value::Integer),
            Kind::Flag { default } => Some(Value::Flag(*default)),
            Kind::Choice { default, .. } => Some(Value::Choice(default)),
            Kind::Text { default, .. } => default.map(|text| Value::Text(Zeroizing::new(text.to_owned()))),
            Kind::Json => None,
        }
    }

    /// What would be right, to stand behind the name.
    fn wants(&self) -> String {
        match &self.kind {
            Kind::Text { max_bytes, .. } => format!("must be a string of at most {max_bytes} bytes"),
            Kind::Integer { min, max, .. } => format!("must be a whole number from {min} to {max}"),
            Kind::Flag { .. } => "must be true or false".into(),
            Kind::Choice { values, .. } => format!("must be one of \"{}\"", values.join("\", \"")),
            Kind::Json => "may be any JSON value".into(),
        }
    }
}

/// A JSON string for a schema.
pub fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

/// JSON Schema counts 5.0 as an integer.
fn whole_number(raw: &RawValue) -> Option<i64> {
    let text = raw.get();
    text.parse().ok().or_else(|| {
        let value: f64 = serde_json::from_str(text).ok()?;
        (value.fract() == 0.0 && value.abs() < 9e15).then_some(value as i64)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARAMS: &[Param] = &[
        Param { name: "topic", kind: Kind::Text { max_bytes: 10, default: None }, required: true, doc: "Where." },
        Param { name: "qos", kind: Kind::Integer { min: 0, max: 2, default: Some(0) }, required: false, doc: "How." },
        Param { name: "retain", kind: Kind::Flag { default: false }, required: false, doc: "Keep." },
        Param {
            name: "mode",
            kind: Kind::Choice { values: &["a", "b"], default: "a" },
            required: false,
            doc: "Which.",
        },
        Param { name: "any", kind: Kind::Json, required: false, doc: "Anything." },
    ];

    #[test]
    fn defaults_fill_what_is_not_given() {
        let args = Args::check(PARAMS, r#"{"topic":"t","_meta":{}}"#).expect("args");
        assert_eq!(
            (args.text("topic"), args.integer("qos"), args.flag("retain"), args.text("mode")),
            ("t", 0, false, "a")
        );
        assert!(args.json("any").is_none());
    }

    #[test]
    fn values_are_taken_as_they_are() {
        let json = r#"{"topic":"t","qos":2.0,"retain":true,"mode":"b","any":{"n": 1.10}}"#;
        let args = Args::check(PARAMS, json).expect("args");
        assert_eq!((args.integer("qos"), args.flag("retain"), args.text("mode")), (2, true, "b"));
        assert_eq!(args.json("any").map(RawValue::get), Some(r#"{"n": 1.10}"#));
    }

    #[test]
    fn each_wrong_argument_is_named_with_what_would_be_right() {
        for (json, parameter, right) in [
            ("{}", "topic", "string"),
            (r#"{"topic":1}"#, "topic", "string"),
            (r#"{"topic":null}"#, "topic", "string"),
            (r#"{"topic":"12345678901"}"#, "topic", "10 bytes"),
            (r#"{"topic":"\ud800"}"#, "topic", "string"),
            (r#"{"topic":"t","qos":3}"#, "qos", "from 0 to 2"),
            (r#"{"topic":"t","qos":"1"}"#, "qos", "from 0 to 2"),
            (r#"{"topic":"t","qos":1.5}"#, "qos", "from 0 to 2"),
            (r#"{"topic":"t","qos":1e99}"#, "qos", "from 0 to 2"),
            (r#"{"topic":"t","retain":"yes"}"#, "retain", "true or false"),
            (r#"{"topic":"t","mode":"c"}"#, "mode", "\"a\", \"b\""),
            (r#"{"topic":"t","typo":1}"#, "typo", "topic, qos, retain"),
        ] {
            let failure = Args::check(PARAMS, json).expect_err(json);
            assert_eq!(failure.parameter(), Some(parameter), "{json}");
            assert!(failure.message().contains(right), "{json}: {}", failure.message());
        }
    }
}
