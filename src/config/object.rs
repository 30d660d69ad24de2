//! An object of the configuration file: typed members, and errors that say where.

use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::limits::ECHO_MAX_BYTES;
use crate::rpc::message::{Fields, fields};
use crate::secret::json_text;

pub(super) struct Object<'a> {
    place: String,
    fields: Fields<'a>,
}

impl<'a> Object<'a> {
    /// Reads an object that has no other members than `known`.
    pub(super) fn read(place: &str, raw: &'a RawValue, known: &[&str]) -> Result<Self, String> {
        let fields = members(place, raw)?;
        if let Some(name) = fields.names().find(|name| !known.contains(name)) {
            return Err(format!("{} is not a known key; there are: {}", at(place, name), known.join(", ")));
        }
        Ok(Self { place: place.to_owned(), fields })
    }

    /// The members of an object of any keys: name, place, value.
    pub(super) fn members(place: &str, raw: &'a RawValue) -> Result<Vec<(String, String, &'a RawValue)>, String> {
        let fields = members(place, raw)?;
        let member = |name: &str| Some((name.to_owned(), at(place, name), fields.get(name)?));
        Ok(fields.names().filter_map(member).collect())
    }

    pub(super) fn get(&self, key: &str) -> Option<&'a RawValue> {
        self.fields.get(key)
    }

    /// An error about a member.
    pub(super) fn wrong(&self, key: &str, what: &str) -> String {
        format!("{} {what}", at(&self.place, key))
    }

    pub(super) fn text(&self, key: &str) -> Result<Option<String>, String> {
        Ok(self.secret(key)?.map(|mut text| std::mem::take(&mut *text)))
    }

    /// A text that may be or hold a password.
    pub(super) fn secret(&self, key: &str) -> Result<Option<Zeroizing<String>>, String> {
        let text = |raw: &RawValue| json_text(raw.get()).filter(|text| !text.is_empty());
        self.value(key, "must be a string that is not empty", text)
    }

    pub(super) fn flag(&self, key: &str) -> Result<Option<bool>, String> {
        self.value(key, "must be true or false", |raw| raw.get().parse().ok())
    }

    pub(super) fn number(&self, key: &str, min: u64, max: u64) -> Result<Option<u64>, String> {
        let number = |raw: &RawValue| raw.get().parse().ok().filter(|number| (min..=max).contains(number));
        self.value(key, &format!("must be a whole number from {min} to {max}"), number)
    }

    /// A list of texts with their places. One that allows must not be empty: nobody means that nothing is allowed.
    pub(super) fn texts(&self, key: &str, allows: bool) -> Result<Vec<(String, String)>, String> {
        let list = |raw: &RawValue| serde_json::from_str::<Vec<Box<RawValue>>>(raw.get()).ok();
        let Some(list) = self.value(key, "must be a list of strings", list)? else { return Ok(Vec::new()) };
        if allows && list.is_empty() {
            return Err(self.wrong(key, "must not be empty: leave it out to allow all"));
        }
        let text = |(index, raw): (usize, Box<RawValue>)| {
            let place = format!("{}[{index}]", at(&self.place, key));
            let mut text = json_text(raw.get()).ok_or_else(|| format!("{place} must be a string"))?;
            Ok((place, std::mem::take(&mut *text)))
        };
        list.into_iter().enumerate().map(text).collect()
    }

    fn value<T>(&self, key: &str, what: &str, read: impl Fn(&RawValue) -> Option<T>) -> Result<Option<T>, String> {
        self.get(key).map(|raw| read(raw).ok_or_else(|| self.wrong(key, what))).transpose()
    }
}

fn members<'a>(place: &str, raw: &'a RawValue) -> Result<Fields<'a>, String> {
    let fields = fields(raw).ok_or_else(|| match place {
        "" => "must be a JSON object".to_owned(),
        place => format!("{place} must be an object"),
    })?;
    let names: Vec<_> = fields.names().collect();
    match names.iter().enumerate().find(|(index, name)| names[..*index].contains(name)) {
        Some((_, name)) => Err(format!("{} stands there twice", at(place, name))),
        None => Ok(fields),
    }
}

/// A member's place: `brokers.plant.url`.
fn at(place: &str, key: &str) -> String {
    let key = key[..key.floor_char_boundary(ECHO_MAX_BYTES)].escape_debug();
    if place.is_empty() { key.to_string() } else { format!("{place}.{key}") }
}
