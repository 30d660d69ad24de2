//! One walk over a JSON text: its type, its structure and what it reports, with nothing built of it.
//!
//! Every payload passes here, which is why this is no visitor of `serde_json`: compiled for size, that needs half as many
//! instructions again. It takes exactly what `serde_json` takes (RFC 8259, numbers that fit an `f64`), and leaves escapes and
//! the value of numbers to it.

use super::alarm::{self, Part, Role, Severity};
use super::decimal;
use super::payload::{Inspection, JSON_DEPTH_MAX, Kind, text_severity};
use crate::eight::{EACH, below};
use crate::hash::{self, mix};
use crate::rpc::message::json;

/// Looks at a payload under a name of that role; `None` when it is not JSON that every client can read.
pub(super) fn inspect_json(role: Role, bytes: &[u8]) -> Option<Inspection> {
    let mut walk = Walk { bytes, at: 0 };
    let inspection = walk.value(role, 0)?;
    walk.peek();
    // What the walk took is UTF-8 but for what stands in strings.
    let is_whole = walk.at == bytes.len() && (bytes.is_ascii() || std::str::from_utf8(bytes).is_ok());
    is_whole.then_some(inspection)
}

/// A string that stands in the text.
enum Text<'a> {
    /// Without its quotes.
    Plain(&'a [u8]),
    /// With its quotes, and with escapes that are still to be checked.
    Escaped(&'a [u8]),
}

/// What an object's members report, by the part that their names play.
#[derive(Default)]
struct Members {
    own: Option<Severity>,
    decided: Option<Option<Severity>>,
    other: Option<Severity>,
    shapes: u64,
}

struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Walk<'a> {
    /// The byte here; 0, which stands nowhere in JSON, behind the end.
    #[inline(always)]
    fn byte(&self) -> u8 {
        if self.at < self.bytes.len() { self.bytes[self.at] } else { 0 }
    }

    /// Goes to the next byte that is no white space.
    #[inline(always)]
    fn peek(&mut self) -> u8 {
        let mut byte = self.byte();
        while matches!(byte, b' ' | b'\n' | b'\t' | b'\r') {
            self.at += 1;
            byte = self.byte();
        }
        byte
    }

    /// Takes the byte here if it is one of the two.
    #[inline(always)]
    fn takes(&mut self, one: u8, other: u8) -> bool {
        let byte = self.byte();
        let is_here = byte == one || byte == other;
        self.at += usize::from(is_here);
        is_here
    }

    #[inline(always)]
    fn value(&mut self, role: Role, depth: usize) -> Option<Inspection> {
        match self.peek() {
            b'{' | b'[' if depth == JSON_DEPTH_MAX => None,
            b'{' => self.object(role, depth + 1),
            b'[' => self.array(role, depth + 1),
            first => self.scalar(first, role),
        }
    }

    /// Takes a value that begins with this byte and has no others in it.
    fn scalar(&mut self, first: u8, role: Role) -> Option<Inspection> {
        match first {
            b'"' => {
                // A text that is a value among others is read only for what its name makes of it.
                let severity = |text: &[u8]| if role == Role::Plain { None } else { text_severity(role, text) };
                let severity = match self.string()? {
                    Text::Plain(text) => severity(text),
                    Text::Escaped(quoted) => severity(&resolved(quoted)?),
                };
                Some(leaf(Kind::Json, 1, severity))
            }
            b't' => self.literal(b"true", leaf(Kind::Boolean, 0, reported(role, true))),
            b'f' => self.literal(b"false", leaf(Kind::Boolean, 0, denied(role))),
            b'n' => self.literal(b"null", leaf(Kind::Json, 2, None)),
            _ => self.number(role),
        }
    }

    fn literal(&mut self, word: &[u8], inspection: Inspection) -> Option<Inspection> {
        let start = self.at;
        self.at += word.len();
        (self.bytes.get(start..self.at) == Some(word)).then_some(inspection)
    }

    /// Takes a string; escapes are not looked at yet.
    #[inline(always)]
    fn string(&mut self) -> Option<Text<'a>> {
        let rest = self.bytes.get(self.at + 1..)?;
        let length = plain_length(rest);
        let (text, behind) = rest.split_at_checked(length)?;
        if behind.first() == Some(&b'"') {
            self.at += length + 2;
            return Some(Text::Plain(text));
        }
        self.escaped(length)
    }

    /// The same where the first `length` bytes are followed by something else than the closing quote.
    #[cold]
    fn escaped(&mut self, length: usize) -> Option<Text<'a>> {
        let open = self.at;
        self.at += 1 + length;
        loop {
            match self.byte() {
                b'"' => break,
                b'\\' if self.at + 1 < self.bytes.len() => self.at += 2,
                // A control character or the end.
                _ => return None,
            }
            self.at += plain_length(&self.bytes[self.at..]);
        }
        self.at += 1;
        Some(Text::Escaped(&self.bytes[open..self.at]))
    }

    fn number(&mut self, role: Role) -> Option<Inspection> {
        let start = self.at;
        self.takes(b'-', b'-');
        let leads_with_zero = self.byte() == b'0';
        let integer = self.digits();
        if integer == 0 || (integer > 1 && leads_with_zero) || (self.takes(b'.', b'.') && self.digits() == 0) {
            return None;
        }
        let has_exponent = self.takes(b'e', b'E');
        if has_exponent {
            self.takes(b'+', b'-');
            if self.digits() == 0 {
                return None;
            }
        }
        // Only then it matters how much it is, or may be too much.
        let is_read = role != Role::Plain || has_exponent || integer > f64::MAX_10_EXP as usize;
        let read = || decimal::read(std::str::from_utf8(&self.bytes[start..self.at]).ok()?);
        let value = if is_read { read()? } else { 0.0 };
        // A count or a code reports; a fraction is a measurement, as a controller's deviation is.
        let is_set = match role {
            Role::Flag(_) => value == 1.0,
            Role::Switch(_) => false,
            _ => value != 0.0 && f64::fract(value) == 0.0,
        };
        Some(leaf(Kind::Number, 0, reported(role, is_set)))
    }

    /// Takes digits and tells how many.
    #[inline(always)]
    fn digits(&mut self) -> usize {
        let start = self.at;
        while self.byte().is_ascii_digit() {
            self.at += 1;
        }
        self.at - start
    }

    fn array(&mut self, role: Role, depth: usize) -> Option<Inspection> {
        let role = if matches!(role, Role::Report(_) | Role::Log) { role } else { Role::Plain };
        let (mut shapes, mut severity) = (0u64, None);
        self.at += 1;
        let mut is_done = self.peek() == b']';
        self.at += usize::from(is_done);
        while !is_done {
            let item = self.value(role, depth)?;
            // Arrays of the same kinds of items have the same shape, however long they are.
            shapes |= 1 << (item.shape >> 58);
            severity = severity.max(item.severity);
            is_done = self.ends(b']')?;
        }
        Some(Inspection { kind: Kind::Json, shape: mix(4, shapes), severity })
    }

    /// Behind an item: whether that was the last one.
    #[inline(always)]
    fn ends(&mut self, close: u8) -> Option<bool> {
        let byte = self.peek();
        (self.takes(b',', close)).then_some(byte == close)
    }

    fn object(&mut self, role: Role, depth: usize) -> Option<Inspection> {
        let mut members = Members::default();
        self.at += 1;
        let mut is_done = self.peek() == b'}';
        self.at += usize::from(is_done);
        while !is_done {
            if self.peek() != b'"' {
                return None;
            }
            let unescaped;
            let name = match self.string()? {
                Text::Plain(name) => name,
                Text::Escaped(quoted) => {
                    unescaped = resolved(quoted)?;
                    &unescaped
                }
            };
            self.member(name, role, depth, &mut members)?;
            is_done = self.ends(b'}')?;
        }
        let severity = members.own.max(members.decided.unwrap_or(members.other));
        Some(Inspection { kind: Kind::Json, shape: mix(5, members.shapes), severity })
    }

    /// Takes what stands behind a member's name, in an object under a name of that role.
    #[inline(always)]
    fn member(&mut self, name: &[u8], role: Role, depth: usize, members: &mut Members) -> Option<()> {
        let part = if matches!(role, Role::Report(_)) { alarm::part(name) } else { Part::Describes };
        let role_of_name = alarm::role(name);
        let is_own = role_of_name != Role::Plain && part != Part::Decides;
        let role = if is_own || part == Part::Describes { role_of_name } else { role };
        if self.peek() != b':' {
            return None;
        }
        self.at += 1;
        let member = self.value(role, depth)?;
        // A sum, since members have no order.
        members.shapes = members.shapes.wrapping_add(mix(member.shape, hash::of_bytes(name)));
        if part == Part::Decides || member.severity.is_some() {
            let severity = member.severity.filter(|_| !alarm::is_about_settings(name));
            match part {
                Part::Decides => members.decided = members.decided.max(Some(severity)),
                Part::Other if !is_own => members.other = members.other.max(severity),
                _ => members.own = members.own.max(severity),
            }
        }
        Some(())
    }
}

/// What a string in quotes says that has escapes.
#[cold]
fn resolved(quoted: &[u8]) -> Option<Vec<u8>> {
    json::<String>(quoted).map(String::into_bytes)
}

fn leaf(kind: Kind, tag: u64, severity: Option<Severity>) -> Inspection {
    Inspection { kind, shape: mix(1 + tag, kind as u64), severity }
}

/// What a value under a name of that role reports when it is set.
fn reported(role: Role, is_set: bool) -> Option<Severity> {
    match role {
        Role::Report(severity) | Role::Flag(severity) | Role::Switch(severity) if is_set => Some(severity),
        _ => None,
    }
}

/// What `false` reports under a name of that role.
fn denied(role: Role) -> Option<Severity> {
    if let Role::Well(severity) = role { Some(severity) } else { None }
}

/// How many bytes there are before a quote, a backslash or a control character.
fn plain_length(bytes: &[u8]) -> usize {
    let is_byte = |chunk: u64, byte: u8| below(chunk ^ (EACH * u64::from(byte)), 1);
    let (chunks, _) = bytes.as_chunks();
    let mut length = 0;
    for chunk in chunks {
        let chunk = u64::from_le_bytes(*chunk);
        let found = below(chunk, 0x20) | is_byte(chunk, b'"') | is_byte(chunk, b'\\');
        if found != 0 {
            return length + found.trailing_zeros() as usize / 8;
        }
        length += 8;
    }
    while length < bytes.len() && !matches!(bytes[length], b'"' | b'\\' | 0..0x20) {
        length += 1;
    }
    length
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXTS: [&str; 5] = [
        r#"{"a":[1,-2.5e3,{"b":null}],"c":"x\"\\\u00e9\ud83d\ude00y","d":{"e":true,"f":[]}}"#,
        r#" [ "" , 0 , 1E5 , false , { } ,"längere Texte – mit allem"] "#,
        r#"{"long name of a member":"a text of more than eight bytes","n":-0.0,"1e308":1e308}"#,
        "123456789012345678901234567890.5e-7",
        "[[[[]]],\"\\ud83d\",1e309]",
    ];

    fn is_taken(text: &str) -> bool {
        inspect_json(Role::Plain, text.as_bytes()).is_some()
    }

    #[test]
    fn it_takes_what_the_library_takes_whatever_is_wrong() {
        let mut state = 88_172_645_463_325_252_u64;
        let mut random = |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state % below as u64) as usize
        };
        let others: Vec<char> = "{}[]\",:\\-+.eE019tfnu \n\t\u{1b}\u{7f}éx".chars().collect();
        let mut taken = [0; 2];
        for round in 0..60_000 {
            let mut text: Vec<char> = TEXTS[round % TEXTS.len()].chars().collect();
            for _ in 0..random(3) {
                let at = random(text.len());
                match random(3) {
                    0 => text[at] = others[random(others.len())],
                    1 => text.insert(at, others[random(others.len())]),
                    _ => drop(text.remove(at)),
                }
            }
            let text: String = text.into_iter().collect();
            let expected = serde_json::from_str::<serde_json::Value>(&text).is_ok();
            assert_eq!(is_taken(&text), expected, "{text}");
            taken[usize::from(expected)] += 1;
        }
        assert!(taken.iter().all(|count| *count > 10_000), "{taken:?}");
    }

    #[test]
    fn a_text_that_ends_anywhere_is_refused() {
        for text in &TEXTS[..3] {
            let whole = text.trim_end().len();
            let ends = (0..=text.len()).filter(|end| text.is_char_boundary(*end));
            assert!(ends.clone().all(|end| is_taken(&text[..end]) == (end >= whole)), "{text}");
        }
    }

    #[test]
    fn numbers_have_the_form_and_the_range_that_every_client_reads() {
        for (number, expected) in [
            ("0", true),
            ("-0", true),
            ("10", true),
            ("0.10", true),
            ("1e+5", true),
            ("01", false),
            ("-", false),
            ("+1", false),
            (".5", false),
            ("5.", false),
            ("1e", false),
            ("1e999", false),
            ("-1E-999", true),
        ] {
            assert_eq!(is_taken(number), expected, "{number}");
        }
        assert!(is_taken(&"9".repeat(308)) && !is_taken(&"9".repeat(310)));
        assert!(is_taken(&format!("0.{}", "9".repeat(1000))));
    }

    #[test]
    fn escapes_in_a_name_hide_nothing() {
        let look = |text: &str| inspect_json(Role::Plain, text.as_bytes()).expect("JSON");
        assert_eq!(look(r#"{"\u0065rror":5}"#), look(r#"{"error":5}"#));
        assert_eq!(look(r#"{"error":"\u006fk"}"#).severity, None);
    }

    #[test]
    fn a_string_ends_where_it_ends_whatever_stands_around_it() {
        for special in [b'"', b'\\', 0, 0x1f] {
            for other in (0x20..=u8::MAX).filter(|other| !matches!(other, b'"' | b'\\')) {
                for at in 0..20 {
                    let mut bytes = [other; 20];
                    bytes[at] = special;
                    assert_eq!(plain_length(&bytes), at, "{special:#x} among {other:#x}");
                    assert_eq!(plain_length(&bytes[..at]), at);
                }
            }
        }
    }
}
