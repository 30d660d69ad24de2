//! JSON Schema 2020-12 and statistics of a profile, as compact JSON text.

use serde::Serialize;
use serde_json::Number;

use super::node::{Node, TYPES, Type};
use super::strings::Strings;
use super::{Class, Profile};
use crate::analysis::sort::sort_by;
use crate::limits::SCHEMA_EXAMPLES_MAX;
use crate::rpc::outgoing::{append, to_json};

/// How much of a schema is written.
#[derive(Clone, Copy)]
pub struct Part {
    /// Levels below the payload itself.
    pub depth: usize,
    /// Members of each object on the last of them.
    pub members: usize,
}

impl Part {
    /// All members down to that level.
    pub const fn to_depth(depth: usize) -> Self {
        Self { depth, members: usize::MAX }
    }
}

/// Appends that part of the schema of a profile's payloads; gives whether that is all that is known. An empty payload
/// stands as the empty string.
pub fn schema(profile: &Profile, part: Part, out: &mut Vec<u8>) -> bool {
    let is_binary = profile.count_of(Class::Binary) > 0;
    let is_large = profile.count_of(Class::Large) > 0;
    let empty = profile.count_of(Class::Empty);
    if is_large {
        // What was not looked into may be anything.
        out.extend(b"{}");
    } else if is_binary {
        let only = profile.node.count() == 0;
        out.extend(if only { &b"{\"type\":\"string\",\"contentEncoding\":\"base64\"}"[..] } else { b"{}" });
    } else if profile.count_of(Class::Xml) > 0 && profile.node.count() == profile.count_of(Class::Xml) {
        out.extend(b"{\"type\":\"string\",\"contentMediaType\":\"application/xml\"}");
    } else {
        return node(&profile.node, part, Some(empty), out);
    }
    true
}

/// The root has `empties` beside what its node knows.
fn node(node: &Node, part: Part, empties: Option<u32>, out: &mut Vec<u8>) -> bool {
    let empty = empties.unwrap_or_default();
    let (count, mut is_whole) = (node.count() + empty, true);
    let is_there = |of: &Type| node.count_of(*of) > 0 || *of == Type::String && empty > 0;
    let mut types: Vec<&str> = TYPES.into_iter().filter(is_there).map(|of| name(node, of)).collect();
    sort_by(&mut types, |a, b| a.cmp(b));
    out.push(b'{');
    match &types[..] {
        [] => {}
        [only] => member(out, "type", only),
        several => member(out, "type", &several),
    }
    if let Some(numbers) = node.numbers() {
        member(out, "minimum", &bound(&numbers.least, false));
        member(out, "maximum", &bound(&numbers.most, true));
    }
    let mut with_empty = Strings::default();
    let strings = if empty > 0 {
        (0..empty).for_each(|_| with_empty.add(""));
        node.strings().into_iter().for_each(|own| with_empty.merge(own));
        Some(&with_empty)
    } else {
        node.strings()
    };
    if let Some(strings) = strings {
        let nulls = node.count_of(Type::Null);
        texts(strings, nulls > 0, strings.count() + nulls == count, empties.is_some(), out);
    }
    let below = Part { depth: part.depth.saturating_sub(1), ..part };
    if let Some(items) = node.items() {
        member(out, "minItems", &items.least);
        member(out, "maxItems", &items.most);
        if items.node.count() > 0 && part.depth > 0 {
            key(out, "items");
            is_whole &= self::node(&items.node, below, None, out);
        } else {
            is_whole &= items.most == 0;
        }
    }
    if let Some(object) = node.object() {
        let limit = [0, part.members, usize::MAX][part.depth.min(2)];
        is_whole &= !object.cut && object.members.len() <= limit && (part.depth > 0 || object.open.is_none());
        let members = || object.members.iter().take(limit);
        let always = members().filter(|(_, node)| node.count() == object.count());
        let required: Vec<&str> = always.map(|(name, _)| name.as_ref()).collect();
        if limit > 0 && !object.members.is_empty() {
            key(out, "properties");
            out.push(b'{');
            for (name, node) in members() {
                key(out, name);
                is_whole &= self::node(node, below, None, out);
            }
            out.push(b'}');
        }
        if !required.is_empty() {
            member(out, "required", &required);
        }
        if let Some(open) = object.open.as_ref().filter(|_| part.depth > 0) {
            key(out, "additionalProperties");
            is_whole &= self::node(open, below, None, out);
        }
    }
    out.push(b'}');
    is_whole
}

/// A bound that is not within what it bounds. Decimals of more than fifteen digits are read to within two of the numbers
/// that there are, perhaps as one of fewer digits, and integers of more than 64 bits as a number near them, which the least
/// of 64 bits equals: their bound is the next one of seven digits.
fn bound(number: &Number, is_upper: bool) -> Number {
    let text = number.to_string();
    let written = text.trim_start_matches(['-', '0', '.']).bytes().take_while(|c| *c != b'e');
    let is_near = |value: &f64| match number.is_f64() {
        true => written.filter(u8::is_ascii_digit).count() > 13 || value.abs() > 9e18,
        false => number.as_i64() == Some(i64::MIN),
    };
    let Some(value) = number.as_f64().filter(is_near) else { return number.clone() };
    let (mut digits, mut exponent) = (value.abs(), 0);
    while digits < 1e6 && exponent > -400 {
        (digits, exponent) = (digits * 10.0, exponent - 1);
    }
    while digits >= 1e7 {
        (digits, exponent) = (digits / 10.0, exponent + 1);
    }
    let is_away = is_upper == (value > 0.0);
    // More than all that reading and the steps above may have lost.
    let digits = digits * if is_away { 1.0 + 1e-12 } else { 1.0 - 1e-12 };
    let sign = if value < 0.0 { "-" } else { "" };
    let rounder = format!("{sign}{}e{exponent}", digits as u64 + u64::from(is_away)).parse();
    rounder.unwrap_or_else(|_| number.clone())
}

/// Keywords for strings. `enum` binds values of all types, so it is for strings and nulls alone.
fn texts(strings: &Strings, with_null: bool, alone: bool, is_root: bool, out: &mut Vec<u8>) {
    if let Some(format) = strings.format() {
        member(out, "format", &format);
    } else if let Some(few) = strings.few().filter(|_| alone) {
        let mut values: Vec<Option<&str>> = few.map(Some).collect();
        values.extend(with_null.then_some(None));
        member(out, "enum", &values);
    } else if is_root {
        let (least, most) = strings.lengths();
        member(out, "minLength", &least);
        member(out, "maxLength", &most);
    }
}

fn name(node: &Node, of: Type) -> &'static str {
    match of {
        Type::Null => "null",
        Type::Boolean => "boolean",
        Type::Number if node.numbers().is_some_and(|numbers| numbers.whole) => "integer",
        Type::Number => "number",
        Type::String => "string",
        Type::Array => "array",
        Type::Object => "object",
    }
}

/// Appends statistics of up to `limit` fields, keyed by JSON pointer (`*` is any item or key, and a payload that is
/// neither object nor array is a field itself); gives how many are shown and how many were left out.
pub fn field_stats(profile: &Profile, limit: usize, examples: usize, out: &mut Vec<u8>) -> (usize, usize) {
    let mut stats = Stats { left: limit, omitted: 0, examples, at: String::new() };
    out.push(b'{');
    let (node, binaries) = (&profile.node, profile.count_of(Class::Binary));
    let count = node.count() - node.count_of(Type::Object) - node.count_of(Type::Array) + binaries;
    if count > 0 && stats.begin(count, profile.count(), node, out) {
        if let Some((min, max)) = profile.bytes.filter(|_| binaries > 0) {
            // Of bytes that nothing is known about, their number is what there is to tell.
            member(out, "payload_bytes", &Bytes { min, max });
        }
        out.push(b'}');
    }
    stats.walk(node, out);
    out.push(b'}');
    (limit - stats.left, stats.omitted)
}

/// Least and most bytes of payloads.
#[derive(Serialize)]
pub struct Bytes {
    /// The least.
    pub min: usize,
    /// The most.
    pub max: usize,
}

struct Stats {
    left: usize,
    omitted: usize,
    examples: usize,
    at: String,
}

impl Stats {
    fn walk(&mut self, node: &Node, out: &mut Vec<u8>) {
        let length = self.at.len();
        if let Some(object) = node.object() {
            for (name, member) in object.members.iter() {
                self.at.push('/');
                self.at.push_str(&name.replace('~', "~0").replace('/', "~1"));
                self.field(member, object.count(), out);
                self.at.truncate(length);
            }
            if let Some(open) = &object.open {
                self.any(open, out);
            }
        }
        if let Some(items) = node.items().filter(|items| items.node.count() > 0) {
            self.any(&items.node, out);
        }
    }

    fn any(&mut self, node: &Node, out: &mut Vec<u8>) {
        let length = self.at.len();
        self.at.push_str("/*");
        self.field(node, node.count(), out);
        self.at.truncate(length);
    }

    fn field(&mut self, node: &Node, of: u32, out: &mut Vec<u8>) {
        if self.begin(node.count(), of, node, out) {
            out.push(b'}');
        }
        self.walk(node, out);
    }

    /// Begins the entry of the field where we are, if there is room for it.
    fn begin(&mut self, count: u32, of: u32, node: &Node, out: &mut Vec<u8>) -> bool {
        if self.left == 0 {
            self.omitted += 1;
            return false;
        }
        self.left -= 1;
        key(out, &self.at);
        out.push(b'{');
        let presence = f64::from(count) / f64::from(of.max(1));
        member(out, "presence", &((presence * 1e3).round() / 1e3));
        let values = examples(node, self.examples);
        if !values.is_empty() {
            key(out, "examples");
            out.push(b'[');
            for (index, value) in values.iter().enumerate() {
                out.extend(if index > 0 { &b","[..] } else { b"" });
                out.extend_from_slice(value);
            }
            out.push(b']');
        }
        true
    }
}

fn examples(node: &Node, limit: usize) -> Vec<Vec<u8>> {
    let mut values = Vec::new();
    if let Some(numbers) = node.numbers() {
        values.push(to_json(&numbers.least));
        values.push(to_json(&numbers.most));
        values.dedup();
    }
    values.extend(node.strings().into_iter().flat_map(Strings::examples).map(|text| to_json(&text)));
    values.truncate(limit.min(SCHEMA_EXAMPLES_MAX));
    values
}

/// Appends a member of the object that `out` ends with.
pub fn member(out: &mut Vec<u8>, name: &str, value: &impl Serialize) {
    key(out, name);
    append(out, value);
}

/// Appends a member's name.
pub fn key(out: &mut Vec<u8>, name: &str) {
    if out.last() != Some(&b'{') {
        out.push(b',');
    }
    append(out, &name);
    out.push(b':');
}
