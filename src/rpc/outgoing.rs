//! Lines on their way out. A large result is never built as a whole: its body gives JSON in pieces, and a line is
//! produced while it is written.

use std::borrow::Cow;
use std::rc::Rc;
use std::vec::IntoIter;

use serde::Serialize;
use serde_json::Serializer;

use super::error::RpcError;
use super::message::Id;

/// A JSON object in pieces; the same pieces each time. The first piece starts with `{`, followed by `"`.
pub trait Body {
    /// Appends piece `index` to `out`; `false` when there is none. Pieces are compact JSON: no raw control characters.
    fn piece(&self, index: usize, out: &mut Vec<u8>) -> bool;
    /// Memory that is given back when the line has been written.
    fn held_bytes(&self) -> usize {
        0
    }
}

/// A body as one text, for whoever is not a client.
pub fn text(body: &dyn Body) -> String {
    String::from_utf8(whole(body)).unwrap_or_default()
}

/// A body that fits in memory.
pub struct Whole(Vec<u8>);

impl Whole {
    /// Serialises `value`, which must be a non-empty JSON object.
    pub fn new(value: &impl Serialize) -> Self {
        Self(to_json(value))
    }

    /// Takes JSON text over: a non-empty object without raw control characters.
    pub fn from_json(json: Vec<u8>) -> Self {
        Self(json)
    }
}

impl Body for Whole {
    fn piece(&self, index: usize, out: &mut Vec<u8>) -> bool {
        if index == 0 {
            out.extend_from_slice(&self.0);
        }
        index == 0
    }

    fn held_bytes(&self) -> usize {
        self.0.len()
    }
}

/// An object whose last member is a long list: `head` is serialised at once, rows when they are written.
pub struct WithRows<R> {
    head: Vec<u8>,
    count: usize,
    held_bytes: usize,
    row: R,
}

impl<R: Fn(usize, &mut Vec<u8>)> WithRows<R> {
    /// `head` is a non-empty JSON object to which the member `name` is added, with `count` rows that `row` appends
    /// and that hold on to `held_bytes`.
    pub fn new(mut head: Vec<u8>, name: &str, count: usize, held_bytes: usize, row: R) -> Self {
        head.pop();
        head.push(b',');
        head.extend(to_json(&name));
        head.extend_from_slice(b":[");
        Self { head, count, held_bytes, row }
    }

    /// Whether the whole has at most `budget` bytes as JSON. Rows are looked at no further than that takes.
    pub fn fits(&self, budget: usize) -> bool {
        let mut row = Vec::new();
        let mut size = self.head.len() + 2;
        for index in 0..self.count {
            if size > budget {
                return false;
            }
            row.clear();
            (self.row)(index, &mut row);
            size += row.len() + 1;
        }
        size <= budget
    }
}

impl<R: Fn(usize, &mut Vec<u8>)> Body for WithRows<R> {
    fn piece(&self, index: usize, out: &mut Vec<u8>) -> bool {
        match index {
            0 => out.extend_from_slice(&self.head),
            n if n <= self.count => {
                if n > 1 {
                    out.push(b',');
                }
                (self.row)(n - 1, out);
            }
            n if n == self.count + 1 => out.extend_from_slice(b"]}"),
            _ => return false,
        }
        true
    }

    fn held_bytes(&self) -> usize {
        self.head.len() + self.held_bytes
    }
}

/// Whether a count is 0: members for what did not happen are left out.
pub fn is_zero<T: Default + PartialEq>(count: &T) -> bool {
    *count == T::default()
}

/// Compact JSON in which all control characters are escaped. Our own types cannot fail to serialise: they have string
/// keys and no fallible parts.
pub fn to_json(value: &impl Serialize) -> Vec<u8> {
    written(&mut |out| append(out, value))
}

/// Appends a value as [`to_json`] gives it, but for the control characters: the whole is for [`escaped`].
pub fn append(out: &mut Vec<u8>, value: &impl Serialize) -> bool {
    went_well(value.serialize(&mut Serializer::new(out)))
}

/// Once for all types, as the next.
fn written(append: &mut dyn FnMut(&mut Vec<u8>) -> bool) -> Vec<u8> {
    let mut json = Vec::with_capacity(128);
    if append(&mut json) { escaped(json) } else { b"null".to_vec() }
}

#[inline(never)]
fn went_well(written: serde_json::Result<()>) -> bool {
    written.is_ok()
}

/// JSON text with all control characters escaped.
pub fn escaped(json: Vec<u8>) -> Vec<u8> {
    // ASCII before DEL is nearly all there is, and the quicker look.
    if json.iter().all(|byte| *byte < DELETE) || !has_late_control(&json) { json } else { escape_late_controls(&json) }
}

const DELETE: u8 = 0x7f;

/// The controls that JSON does not ask to be escaped: DEL, and U+0080 to U+009F in their two bytes. They stand in strings
/// alone, and a terminal may obey them.
fn has_late_control(json: &[u8]) -> bool {
    json.last() == Some(&DELETE) || json.windows(2).any(|bytes| matches!(bytes, [DELETE, ..] | [0xc2, 0x80..=0x9f]))
}

fn escape_late_controls(json: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(json.len() + 64);
    let mut rest = json;
    while let Some((first, behind)) = rest.split_first() {
        let (control, behind) = match rest {
            [DELETE, ..] => (Some(DELETE), behind),
            [0xc2, second @ 0x80..=0x9f, behind @ ..] => (Some(*second), behind),
            _ => (None, behind),
        };
        match control {
            Some(control) => escaped.extend_from_slice(format!("\\u00{control:02x}").as_bytes()),
            None => escaped.push(*first),
        }
        rest = behind;
    }
    escaped
}

/// The JSON of a body in one piece.
pub fn whole(body: &dyn Body) -> Vec<u8> {
    let mut json = Vec::new();
    (0..).take_while(|index| body.piece(*index, &mut json)).for_each(drop);
    json
}

/// A part of a line.
pub enum Part {
    /// Bytes as they are.
    Bytes(Cow<'static, [u8]>),
    /// The body as JSON.
    Object(Rc<dyn Body>),
    /// The body as the content of a JSON string: the text copy of a structured result.
    Escaped(Rc<dyn Body>),
    /// The body's members without the opening brace, to be preceded by members of the protocol's.
    Members(Rc<dyn Body>),
}

impl Part {
    /// Text that is the same in every line.
    pub fn text(text: &'static str) -> Self {
        Self::Bytes(text.as_bytes().into())
    }
}

/// One line of output, produced piece by piece.
#[derive(Default)]
pub struct OutLine {
    parts: IntoIter<Part>,
    /// Bytes or pieces of the first part that were given out.
    given: usize,
    ended: bool,
}

impl OutLine {
    /// A line from parts, without its newline.
    pub fn new(parts: Vec<Part>) -> Self {
        Self { parts: parts.into_iter(), given: 0, ended: false }
    }

    /// A line with `value` as JSON.
    pub fn json(value: &impl Serialize) -> Self {
        Self::new(vec![Part::Bytes(to_json(value).into())])
    }

    /// An error response; an id that could not be read is left out (MCP 2025-11-25 "Error Responses").
    pub fn error(id: Option<&Id>, error: &RpcError) -> Self {
        Self::json(&ErrorLine { jsonrpc: "2.0", id, error })
    }

    /// Lines as one JSON array: the answer to a batch (JSON-RPC 2.0 section 6).
    pub fn array(lines: Vec<OutLine>) -> Self {
        let mut parts = Vec::new();
        for (index, line) in lines.into_iter().enumerate() {
            parts.push(Part::text(if index == 0 { "[" } else { "," }));
            parts.extend(line.parts);
        }
        parts.push(Part::text("]"));
        Self::new(parts)
    }

    /// Bytes this line holds on to, for the bound on what may wait.
    pub fn held_bytes(&self) -> usize {
        let held = |part: &Part| match part {
            Part::Bytes(bytes) => bytes.len(),
            // Counted twice where a text copy stands beside the object: the bound is the stricter for it.
            Part::Object(body) | Part::Members(body) | Part::Escaped(body) => body.held_bytes(),
        };
        self.parts.as_slice().iter().map(held).sum()
    }

    /// Appends to `out` until it has about `target` bytes; `false` when the line, with its newline, is finished.
    pub fn fill(&mut self, out: &mut Vec<u8>, target: usize) -> bool {
        while out.len() < target && !self.ended {
            let more = match self.parts.as_slice().first() {
                None => {
                    out.push(b'\n');
                    self.ended = true;
                    return false;
                }
                Some(Part::Bytes(bytes)) => {
                    let rest = &bytes[self.given..];
                    let count = rest.len().min(target - out.len());
                    out.extend_from_slice(&rest[..count]);
                    self.given += count;
                    self.given < bytes.len()
                }
                Some(part) => {
                    self.given += 1;
                    append_piece(part, self.given - 1, out)
                }
            };
            if !more {
                self.parts.next();
                self.given = 0;
            }
        }
        !self.ended
    }
}

#[derive(Serialize)]
struct ErrorLine<'a> {
    jsonrpc: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a Id>,
    error: &'a RpcError,
}

fn append_piece(part: &Part, index: usize, out: &mut Vec<u8>) -> bool {
    let start = out.len();
    match part {
        Part::Bytes(_) => false,
        Part::Object(body) => body.piece(index, out),
        Part::Escaped(body) => {
            let more = body.piece(index, out);
            escape_json_in_place(out, start);
            more
        }
        Part::Members(body) => {
            let more = body.piece(index, out);
            if index == 0 {
                out.remove(start);
            }
            more
        }
    }
}

/// Turns JSON text into the content of a JSON string. Compact JSON has no raw control characters, so quotes and
/// backslashes are all there is to escape.
fn escape_json_in_place(out: &mut Vec<u8>, start: usize) {
    let escaped = |byte: &u8| matches!(byte, b'"' | b'\\');
    let mut from = out.len();
    let mut to = from + out[start..].iter().filter(|byte| escaped(byte)).count();
    out.resize(to, 0);
    let out = &mut out[..];
    // From behind, until what is before is where it belongs.
    while to > from {
        (from, to) = (from - 1, to - 1);
        let byte = out[from];
        out[to] = byte;
        if escaped(&byte) {
            to -= 1;
            out[to] = b'\\';
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Numbers(usize);

    impl Body for Numbers {
        fn piece(&self, index: usize, out: &mut Vec<u8>) -> bool {
            match index {
                0 => out.extend_from_slice(b"{\"text\":\"a\\\"b\",\"n\":["),
                n if n <= self.0 => {
                    if n > 1 {
                        out.push(b',');
                    }
                    out.extend_from_slice(n.to_string().as_bytes());
                }
                n if n == self.0 + 1 => out.extend_from_slice(b"]}"),
                _ => return false,
            }
            true
        }
    }

    fn line(target: usize) -> (String, usize) {
        let body: Rc<dyn Body> = Rc::new(Numbers(300));
        let mut line = OutLine::new(vec![
            Part::text("{\"s\":\""),
            Part::Escaped(body.clone()),
            Part::text("\",\"o\":"),
            Part::Object(body.clone()),
            Part::text(",\"m\":{\"x\":1,"),
            Part::Members(body),
            Part::text("}"),
        ]);
        let (mut whole, mut chunk, mut largest) = (Vec::new(), Vec::new(), 0);
        loop {
            let more = line.fill(&mut chunk, target);
            largest = largest.max(chunk.len());
            whole.append(&mut chunk);
            if !more {
                return (String::from_utf8(whole).expect("utf-8"), largest);
            }
        }
    }

    #[test]
    fn a_line_is_the_same_in_whatever_chunks_it_is_taken() {
        let (whole, _) = line(usize::MAX);
        for target in [1, 7, 64, 4096] {
            assert_eq!(line(target).0, whole);
        }
        let value: serde_json::Value = serde_json::from_str(&whole).expect("json");
        let text: serde_json::Value = serde_json::from_str(value["s"].as_str().expect("text")).expect("json in text");
        assert_eq!(text, value["o"]);
        assert_eq!(value["m"]["x"], 1);
        assert_eq!(value["m"]["n"], value["o"]["n"]);
    }

    #[test]
    fn lines_join_to_an_array() {
        let mut array = OutLine::array(vec![OutLine::json(&1), OutLine::json(&"x")]);
        let mut out = Vec::new();
        assert!(!array.fill(&mut out, usize::MAX));
        assert_eq!(out, b"[1,\"x\"]\n");
    }

    #[test]
    fn every_control_character_is_escaped_and_stays_what_it_is() {
        let text: String = (0..=0x2ff).filter_map(char::from_u32).chain(['\u{7f}']).collect();
        let json = String::from_utf8(to_json(&text)).expect("utf-8");
        assert!(!json.chars().any(char::is_control), "{json:?}");
        assert_eq!(serde_json::from_str::<String>(&json).expect("json"), text);
        assert_eq!(to_json(&"\u{80}\u{7f}"), br#""\u0080\u007f""#);
    }

    #[test]
    fn chunks_stay_near_their_target() {
        assert!(line(64).1 < 64 + 40);
    }
}
