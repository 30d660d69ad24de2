//! What the messages of topics look like: topics of the same kind form a group, and each group has a JSON Schema that
//! accepts every message it was inferred from. Messages that do not fit the rest of their group are set apart first.
//!
//! `node` merges JSON values, `strings` texts; `group` finds the groups and the filter that covers each; `odd` says what
//! does not fit; `write` gives JSON Schema and statistics.

pub mod describe;
mod format;
pub mod group;
pub mod node;
pub mod odd;
pub mod strings;
pub mod write;

use serde_json::Value;

use super::binary::{self, Magic};
use super::decode::{Decoded, Form, decode};
use super::payload::Kind;
use crate::sorted::Sorted;
use node::{Node, Room};
use strings::Strings;

/// A message to learn from.
#[derive(Clone, Copy, Debug)]
pub struct Sample<'a> {
    /// Its topic.
    pub topic: &'a str,
    /// What is kept of its payload.
    pub payload: &'a [u8],
    /// The payload's true size.
    pub payload_bytes: usize,
    /// What the payload was taken for.
    pub kind: Kind,
    /// When it came, milliseconds since 1970.
    pub unix_ms: u64,
}

/// What a payload is in the eyes of a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// A JSON object.
    Object,
    /// A JSON array.
    Array,
    /// A JSON number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// Text, a JSON string, or `null`.
    Text,
    /// XML.
    Xml,
    /// CBOR, whose values are looked at as those of JSON.
    Cbor,
    /// MessagePack, likewise.
    MessagePack,
    /// JSON lines, likewise: an array of them.
    JsonLines,
    /// Other bytes that are no text.
    Binary,
    /// No bytes: what a retained message was is deleted.
    Empty,
    /// JSON or text that is too large to be looked into.
    Large,
}

impl Class {
    /// In a sentence.
    pub fn words(self) -> &'static str {
        match self {
            Self::Object => "a JSON object",
            Self::Array => "a JSON array",
            Self::Number => "a number",
            Self::Boolean => "true or false",
            Self::Text => "text",
            Self::Xml => "XML",
            Self::Cbor => "CBOR",
            Self::MessagePack => "MessagePack",
            Self::JsonLines => "JSON lines",
            Self::Binary => "binary",
            Self::Empty => "empty",
            Self::Large => "too large to be looked into",
        }
    }
}

impl Sample<'_> {
    /// The value that the schema speaks of: JSON as it is, what CBOR, MessagePack and JSON lines say, other text as a
    /// string.
    pub fn value(&self) -> Option<Value> {
        if !self.is_whole() {
            return None;
        }
        if let Some(decoded) = self.decoded() {
            return serde_json::from_str(&decoded.json).ok();
        }
        let text = std::str::from_utf8(self.payload).ok()?;
        match self.kind {
            Kind::Json | Kind::Number | Kind::Boolean => serde_json::from_str(text).ok(),
            Kind::Text | Kind::Xml => Some(Value::String(text.to_owned())),
            Kind::Binary | Kind::Empty => None,
        }
    }

    fn decoded(&self) -> Option<Decoded> {
        let is_read = self.is_whole() && matches!(self.kind, Kind::Text | Kind::Binary);
        if is_read { decode(self.payload, Form::Exact) } else { None }
    }

    fn is_whole(&self) -> bool {
        self.payload.len() == self.payload_bytes
    }

    /// What it is.
    pub fn class(&self) -> Class {
        match self.kind {
            Kind::Empty => Class::Empty,
            Kind::Number => Class::Number,
            Kind::Boolean => Class::Boolean,
            Kind::Xml => Class::Xml,
            Kind::Text if !self.is_whole() => Class::Large,
            Kind::Text | Kind::Binary => match self.decoded().map(|decoded| decoded.magic) {
                None if self.kind == Kind::Text => Class::Text,
                None => Class::Binary,
                Some(Magic::Cbor) => Class::Cbor,
                Some(Magic::JsonLines) => Class::JsonLines,
                Some(_) => Class::MessagePack,
            },
            Kind::Json if !self.is_whole() => Class::Large,
            Kind::Json => match self.payload.trim_ascii_start().first() {
                Some(b'{') => Class::Object,
                Some(b'[') => Class::Array,
                _ => Class::Text,
            },
        }
    }
}

/// Everything that is known of the messages of a group.
#[derive(Default)]
pub struct Profile {
    /// Messages by what they are.
    pub classes: Sorted<Class, u32>,
    /// Messages by `payload_type`.
    pub kinds: Sorted<Kind, u32>,
    /// JSON values and texts, merged.
    pub node: Node,
    /// Names of the root elements.
    pub roots: Strings,
    /// Least and most bytes.
    pub bytes: Option<(usize, usize)>,
    /// What binary payloads and JSON lines look like, when all look the same.
    pub magic: Option<Magic>,
    /// How many these are.
    pub binaries: u32,
}

impl Profile {
    /// Learns from a message.
    pub fn add(&mut self, sample: &Sample<'_>, value: Option<&Value>, room: &mut Room) {
        let class = sample.class();
        *self.classes.or_default(class) += 1;
        *self.kinds.or_default(sample.kind) += 1;
        let (least, most) = self.bytes.unwrap_or((usize::MAX, 0));
        self.bytes = Some((least.min(sample.payload_bytes), most.max(sample.payload_bytes)));
        match class {
            Class::Cbor | Class::MessagePack | Class::JsonLines | Class::Binary => {
                let magic = binary::guess(sample.topic, sample.payload, sample.is_whole());
                self.magic = magic.filter(|_| self.binaries == 0 || self.magic == magic);
                self.binaries += 1;
            }
            Class::Xml => {
                if let Some(root) = std::str::from_utf8(sample.payload).ok().and_then(root_element) {
                    self.roots.add(root);
                }
            }
            _ => {}
        }
        if let Some(value) = value {
            self.node.add(value, room);
        }
    }

    /// Messages.
    pub fn count(&self) -> u32 {
        self.classes.iter().map(|(_, count)| count).sum()
    }

    /// Messages of a class.
    pub fn count_of(&self, class: Class) -> u32 {
        self.classes.get(&class).copied().unwrap_or(0)
    }

    /// What most are, empty ones aside; of two that are equally many the first.
    pub fn majority(&self) -> Option<(Class, u32)> {
        let counted = self.classes.iter().filter(|(class, _)| *class != Class::Empty);
        counted.copied().max_by_key(|(class, count)| (*count, std::cmp::Reverse(*class)))
    }
}

/// The name of an XML document's root element.
fn root_element(text: &str) -> Option<&str> {
    let mut rest = text;
    loop {
        rest = &rest[rest.find('<')? + 1..];
        // Declarations and comments come before it.
        if !rest.starts_with(['?', '!']) {
            let end = rest.find(|c: char| c.is_whitespace() || matches!(c, '>' | '/')).unwrap_or(rest.len());
            return Some(&rest[..end]).filter(|name| !name.is_empty());
        }
        if let Some(comment) = rest.strip_prefix("!--") {
            rest = &comment[comment.find("-->")?..];
        }
    }
}

#[cfg(test)]
mod accept_tests;
#[cfg(test)]
mod line_tests;
#[cfg(test)]
#[path = "tests.rs"]
mod tests;
