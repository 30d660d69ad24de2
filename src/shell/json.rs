//! Results as they came, for showing them: payloads keep the order of their members and the digits of their numbers.

use serde_json::value::RawValue;

use crate::analysis::decimal;
use crate::rpc::message::fields;

/// A value, or nothing.
#[derive(Clone, Copy)]
pub struct Json<'a>(Option<&'a RawValue>);

impl<'a> Json<'a> {
    /// Reads a text.
    pub fn read(text: &'a str) -> Self {
        Self(serde_json::from_str(text).ok())
    }

    /// A member of an object.
    pub fn get(self, name: &str) -> Self {
        Self(self.0.and_then(fields).and_then(|fields| fields.get(name)))
    }

    /// The items of an array.
    pub fn rows(self) -> Vec<Json<'a>> {
        let rows: Option<Vec<&RawValue>> = self.0.and_then(|raw| serde_json::from_str(raw.get()).ok());
        rows.unwrap_or_default().into_iter().map(|raw| Self(Some(raw))).collect()
    }

    /// The members of an object.
    pub fn members(self) -> Vec<(String, Json<'a>)> {
        let names: Vec<_> = self
            .0
            .and_then(fields)
            .iter()
            .flat_map(|fields| fields.names().map(str::to_owned).collect::<Vec<_>>())
            .collect();
        names
            .into_iter()
            .map(|name| {
                let value = self.get(&name);
                (name, value)
            })
            .collect()
    }

    /// Whether there is anything.
    pub fn is_some(self) -> bool {
        self.0.is_some_and(|raw| raw.get() != "null")
    }

    /// Whether it is this JSON text.
    pub fn is(self, json: &str) -> bool {
        self.0.is_some_and(|raw| raw.get() == json)
    }

    /// The text it came as.
    pub fn as_json(self) -> &'a str {
        self.0.map_or("", RawValue::get)
    }

    /// A number, or 0.
    pub fn number(self) -> f64 {
        self.0.and_then(|raw| decimal::read(raw.get())).unwrap_or(0.0)
    }
}

/// A string as it is, anything else as the JSON it came as.
impl std::fmt::Display for Json<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Some(raw) = self.0 else { return Ok(()) };
        match serde_json::from_str::<String>(raw.get()) {
            Ok(text) => f.write_str(&text),
            Err(_) => f.write_str(raw.get()),
        }
    }
}
