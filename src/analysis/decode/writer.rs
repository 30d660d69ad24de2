//! Writes items as JSON text, as they are taken.

use std::io::Write;
use std::ops::Range;

use base64ct::{Base64, Encoding};

use super::{Decoded, Form, Magic, SELF_DESCRIBED, cbor, message_pack};
use crate::analysis::payload::{JSON_DEPTH_MAX, readable};
use crate::analysis::sort::sort_by;
use crate::limits::{DECODED_FACTOR_MAX, DECODED_MIN_BYTES, DECODED_PAYLOAD_MAX_BYTES, PACKED_DEPTH_MAX};

const _: () = assert!(3 * (PACKED_DEPTH_MAX + 1) < JSON_DEPTH_MAX);

/// What a whole payload says, if it is CBOR or MessagePack.
pub fn decode(payload: &[u8], form: Form) -> Option<Decoded> {
    if !(4..=DECODED_PAYLOAD_MAX_BYTES).contains(&payload.len()) {
        return None;
    }
    let (magic, next, text_keys): (_, Next, _) = match payload[0] {
        0xa1..=0xbb | 0xbf => (Magic::Cbor, cbor::next, true),
        0xd9 if payload.starts_with(SELF_DESCRIBED) => (Magic::Cbor, cbor::next, false),
        0x81..=0x8f | 0xde | 0xdf => (Magic::MessagePack, message_pack::next, true),
        _ => return None,
    };
    let rest = if text_keys { payload } else { &payload[SELF_DESCRIBED.len()..] };
    let limit = (payload.len() * DECODED_FACTOR_MAX).max(DECODED_MIN_BYTES);
    let mut writer = Writer { rest, next, text_keys, form, limit, out: Vec::new() };
    writer.value(0)?;
    // A map of nothing is one head, which chance makes: 223 in four bytes and a zero is one.
    let is_told = writer.rest.is_empty() && !(text_keys && writer.out == b"{}");
    let json = String::from_utf8(writer.out).ok().filter(|_| is_told)?;
    Some(Decoded { magic, json })
}

/// Takes an item off the front.
pub(super) type Next = for<'a> fn(&mut &'a [u8]) -> Option<Item<'a>>;

/// What both formats are made of.
#[derive(Debug, PartialEq)]
pub(super) enum Item<'a> {
    Null,
    Undefined,
    Boolean(bool),
    Integer(i128),
    Single(f32),
    Double(f64),
    Simple(u8),
    Text(&'a str),
    Bytes(&'a [u8]),
    TextInPieces,
    BytesInPieces,
    /// Items follow: so many, or up to a break.
    Array(Option<u64>),
    /// Keys and values follow.
    Map(Option<u64>),
    /// Belongs to the item that follows.
    Tag(u64),
    Extension(i8, &'a [u8]),
    Timestamp {
        seconds: i64,
        nanoseconds: u32,
    },
    Break,
}

struct Writer<'a> {
    rest: &'a [u8],
    next: Next,
    /// Whether other keys show that it is something else.
    text_keys: bool,
    form: Form,
    /// The text becomes no longer than about this.
    limit: usize,
    out: Vec<u8>,
}

impl<'a> Writer<'a> {
    fn item(&mut self) -> Option<Item<'a>> {
        if self.out.len() > self.limit {
            return None;
        }
        (self.next)(&mut self.rest)
    }

    fn value(&mut self, depth: usize) -> Option<()> {
        let item = self.item()?;
        self.write(item, depth)
    }

    fn write(&mut self, item: Item<'a>, depth: usize) -> Option<()> {
        if depth > PACKED_DEPTH_MAX {
            return None;
        }
        let exact = self.form == Form::Exact;
        match item {
            Item::Null => self.put(format_args!("null")),
            Item::Undefined if exact => self.put(format_args!("{{\"$undefined\":true}}")),
            Item::Simple(value) if exact => self.put(format_args!("{{\"$simple\":{value}}}")),
            Item::Undefined | Item::Simple(_) => self.put(format_args!("null")),
            Item::Boolean(value) => self.put(format_args!("{value}")),
            Item::Integer(value) => self.put(format_args!("{value}")),
            Item::Single(value) if value.is_finite() => serde_json::to_writer(&mut self.out, &value).ok(),
            Item::Single(value) => self.no_number(value.into()),
            Item::Double(value) if value.is_finite() => serde_json::to_writer(&mut self.out, &value).ok(),
            Item::Double(value) => self.no_number(value),
            Item::Text(text) => self.text(text),
            Item::Bytes(bytes) => self.bytes(bytes),
            Item::TextInPieces => {
                let text =
                    self.pieces(|item| if let Item::Text(piece) = item { Some(piece.as_bytes()) } else { None })?;
                self.text(std::str::from_utf8(&text).ok()?)
            }
            Item::BytesInPieces => {
                let bytes = self.pieces(|item| if let Item::Bytes(piece) = item { Some(piece) } else { None })?;
                self.bytes(&bytes)
            }
            Item::Array(count) => self.array(count, depth),
            Item::Map(count) => self.map(count, depth),
            Item::Tag(tag) => self.tagged(tag, depth),
            Item::Extension(kind, bytes) if exact => {
                self.put(format_args!("{{\"$ext\":{kind},\"$base64\":\"{}\"}}", Base64::encode_string(bytes)))
            }
            Item::Extension(_, bytes) => self.bytes(bytes),
            Item::Timestamp { seconds, nanoseconds } => self.timestamp(seconds, nanoseconds),
            Item::Break => None,
        }
    }

    fn put(&mut self, text: std::fmt::Arguments<'_>) -> Option<()> {
        self.out.write_fmt(text).ok()
    }

    fn no_number(&mut self, value: f64) -> Option<()> {
        if self.form == Form::Plain {
            return self.put(format_args!("null"));
        }
        let name = if value.is_nan() { "NaN" } else { "Infinity" };
        let sign = if value == f64::NEG_INFINITY { "-" } else { "" };
        self.put(format_args!("{{\"$float\":\"{sign}{name}\"}}"))
    }

    fn text(&mut self, text: &str) -> Option<()> {
        serde_json::to_writer(&mut self.out, text).ok()
    }

    fn bytes(&mut self, bytes: &[u8]) -> Option<()> {
        let text = Base64::encode_string(bytes);
        match self.form {
            Form::Exact => self.put(format_args!("{{\"$base64\":\"{text}\"}}")),
            Form::Plain => self.put(format_args!("\"{text}\"")),
        }
    }

    /// All pieces of a string, up to the break.
    fn pieces(&mut self, piece: fn(Item<'a>) -> Option<&'a [u8]>) -> Option<Vec<u8>> {
        let mut all = Vec::new();
        loop {
            match self.item()? {
                Item::Break => return Some(all),
                item => all.extend_from_slice(piece(item)?),
            }
        }
    }

    /// The next of `left` items, or `None` at their end.
    fn member(&mut self, left: &mut Option<u64>) -> Option<Option<Item<'a>>> {
        if *left == Some(0) {
            return Some(None);
        }
        let item = self.item()?;
        match left {
            None if item == Item::Break => return Some(None),
            None => {}
            Some(left) => *left -= 1,
        }
        Some(Some(item))
    }

    fn array(&mut self, mut left: Option<u64>, depth: usize) -> Option<()> {
        self.out.push(b'[');
        let start = self.out.len();
        while let Some(item) = self.member(&mut left)? {
            if self.out.len() > start {
                self.out.push(b',');
            }
            self.write(item, depth + 1)?;
        }
        self.out.push(b']');
        Some(())
    }

    fn map(&mut self, mut left: Option<u64>, depth: usize) -> Option<()> {
        let start = self.out.len();
        let (mut keys, mut is_object) = (Vec::new(), true);
        self.out.push(b'{');
        while let Some(key) = self.member(&mut left)? {
            if !keys.is_empty() {
                self.out.push(b',');
            }
            let from = self.out.len();
            match key {
                // Zeros and the like make such a name easily.
                Item::Text(name) if self.text_keys && readable(name.as_bytes(), true).is_none() => return None,
                Item::Text(_) | Item::TextInPieces => {}
                _ if self.text_keys => return None,
                _ => is_object = false,
            }
            self.write(key, depth + 1)?;
            is_object &= self.out.get(from + 1) != Some(&b'$');
            keys.push(from..self.out.len());
            self.out.push(b':');
            self.value(depth + 1)?;
        }
        self.out.push(b'}');
        if !is_object || self.has_twice(&keys) {
            self.as_pairs(start, &keys);
        }
        Some(())
    }

    fn has_twice(&self, keys: &[Range<usize>]) -> bool {
        let mut keys: Vec<_> = keys.iter().map(|key| &self.out[key.clone()]).collect();
        sort_by(&mut keys, |a, b| a.cmp(b));
        keys.windows(2).any(|pair| pair[0] == pair[1])
    }

    /// Makes what looks like an object, but has keys that none has, an array of pairs.
    fn as_pairs(&mut self, start: usize, keys: &[Range<usize>]) {
        let written = self.out.split_off(start);
        let mut separator = "{\"$map\":[[";
        for (index, key) in keys.iter().enumerate() {
            // Before the next key is a comma, and behind the last value a brace.
            let end = keys.get(index + 1).map_or(start + written.len(), |next| next.start) - 1;
            self.out.extend_from_slice(separator.as_bytes());
            self.out.extend_from_slice(&written[key.start - start..key.end - start]);
            self.out.push(b',');
            self.out.extend_from_slice(&written[key.end + 1 - start..end - start]);
            separator = "],[";
        }
        self.out.extend_from_slice(b"]]}");
    }

    fn tagged(&mut self, tag: u64, depth: usize) -> Option<()> {
        if let Some(value) = self.big(tag) {
            return self.put(format_args!("{value}"));
        }
        if self.form == Form::Plain {
            return self.value(depth + 1);
        }
        self.put(format_args!("{{\"$tag\":{tag},\"$value\":"))?;
        self.value(depth + 1)?;
        self.out.push(b'}');
        Some(())
    }

    /// A big integer; one of more than 127 bits stays the bytes that it is.
    fn big(&mut self, tag: u64) -> Option<i128> {
        if !matches!(tag, 2 | 3) {
            return None;
        }
        let mut rest = self.rest;
        let Some(Item::Bytes(bytes)) = (self.next)(&mut rest) else { return None };
        let value = bytes.iter().try_fold(0i128, |value, byte| value.checked_mul(256)?.checked_add((*byte).into()))?;
        self.rest = rest;
        Some(if tag == 2 { value } else { -1 - value })
    }

    fn timestamp(&mut self, seconds: i64, nanoseconds: u32) -> Option<()> {
        let all = i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds);
        let sign = if all < 0 { "-" } else { "" };
        let (whole, part) = (all.unsigned_abs() / 1_000_000_000, all.unsigned_abs() % 1_000_000_000);
        let text = format!("{sign}{whole}.{part:09}");
        let text = text.trim_end_matches('0').trim_end_matches('.');
        match self.form {
            Form::Exact => self.put(format_args!("{{\"$timestamp\":{text}}}")),
            Form::Plain => self.put(format_args!("{text}")),
        }
    }
}
