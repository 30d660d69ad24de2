//! Text that is not as text must be: with NUL at its end, as strings in C are, in UTF-16, or in an encoding of one byte a
//! character. Whoever reads UTF-8 sees bytes.

use super::payload::{Kind, inspect, readable};
use super::words::is_in;

/// What is wrong with a whole payload that would be text, and how it reads.
pub fn read(payload: &[u8]) -> Option<(&'static str, String)> {
    let end = payload.iter().rposition(|byte| *byte != 0)? + 1;
    let ended = readable(&payload[..end], true).filter(|text| is_ended(text, payload.len() - end));
    if let Some(text) = ended {
        return Some(("text with NUL at its end", text.to_owned()));
    }
    utf_16(payload).map(|text| ("UTF-16 text", text)).or_else(|| Some(("text that is not UTF-8", one_byte(payload)?)))
}

/// Whether so many NUL are the end of a text. A small integer with its low byte first is a character and NUL, too, and
/// the seconds since 1970 are often four characters.
fn is_ended(text: &str, nuls: usize) -> bool {
    let is_likely = match text.bytes().filter(u8::is_ascii_graphic).count() {
        0..=3 => is_known(text) && !matches!(text.len() + nuls, 4 | 8),
        4 => is_known(text) || nuls < 4 && inspect(text.as_bytes(), true).kind == Kind::Number,
        5 => nuls < 3 || is_known(text),
        _ => true,
    };
    nuls > 0 && is_likely
}

/// Whether a text is one by more than its characters, as which small numbers in two bytes each read as well.
fn is_known(text: &str) -> bool {
    const WORDS: &[&str] = &["on", "off", "open", "closed", "idle", "online", "offline"];
    let is_structured = match inspect(text.as_bytes(), true).kind {
        Kind::Json => text.starts_with(['{', '[']),
        Kind::Number => text.contains('.'),
        Kind::Boolean => true,
        _ => text.starts_with("{\"") && text.contains("\":") || text.starts_with("<?xml "),
    };
    let is_sentence = || {
        let letters = text.bytes().filter(u8::is_ascii_alphabetic).count();
        text.trim_ascii().contains(' ') && letters > 7 && letters * 4 > text.len() * 3
    };
    is_structured && text.len() > 3 || is_in(WORDS, text) || is_sentence()
}

fn utf_16(payload: &[u8]) -> Option<String> {
    let (units, []) = payload.as_chunks::<2>() else { return None };
    let of = |read: fn([u8; 2]) -> u16, units: &[[u8; 2]]| {
        let text: String = char::decode_utf16(units.iter().map(|unit| read(*unit))).collect::<Result<_, _>>().ok()?;
        let ascii = text.bytes().filter(u8::is_ascii).count();
        (readable(text.as_bytes(), true).is_some() && units.len() > 1 && ascii * 2 >= units.len()).then_some(text)
    };
    // Without a mark at its beginning all must be ASCII: other bytes are characters of some script too easily.
    let is_ascii = |high: usize| units.iter().all(|unit| unit[high] == 0);
    let known = |text: Option<String>| text.filter(|text| is_known(text));
    match units {
        [[0xff, 0xfe], rest @ ..] => of(u16::from_le_bytes, rest),
        [[0xfe, 0xff], rest @ ..] => of(u16::from_be_bytes, rest),
        _ if is_ascii(1) => known(of(u16::from_le_bytes, units)),
        _ if is_ascii(0) => known(of(u16::from_be_bytes, units)),
        _ => None,
    }
}

/// Mostly ASCII, and most of that as in words and numbers or begun like JSON or XML, read as Latin-1. What is short must
/// be more than that.
fn one_byte(payload: &[u8]) -> Option<String> {
    let others = payload.iter().filter(|byte| !byte.is_ascii()).count();
    let wordy = payload.iter().filter(|byte| byte.is_ascii_alphanumeric() || **byte == b' ').count();
    let is_structure = matches!(payload, [b'{' | b'[' | b'<', ..]);
    let is_long = payload.len() > 9 && (is_structure || wordy * 4 >= payload.len() * 3);
    let share = if is_long || payload.starts_with(b"{\"") { 8 } else { 4 };
    let mut characters = payload.iter().map(|byte| char::from(*byte));
    let is_text = (share == 8 || are_words(payload) || is_measured(payload))
        && (1..=payload.len() / share).contains(&others)
        && characters.all(|c| !c.is_control() || c.is_ascii_whitespace());
    is_text.then(|| payload.iter().map(|byte| char::from(*byte)).collect())
}

/// Letters alone, capitals only where a word begins: five bytes of any value are that once in 10,000.
fn are_words(payload: &[u8]) -> bool {
    let mut before = b' ';
    payload.len() > 4
        && payload.iter().all(|byte| match (std::mem::replace(&mut before, *byte), *byte) {
            (_, b'a'..=b'z' | 0xdf..=0xf6 | 0xf8..) => true,
            (b' ', b'A'..=b'Z' | 0xc0..=0xd6 | 0xd8..) => true,
            (before, byte) => byte == b' ' && before != b' ',
        })
}

/// A number with its unit, of which ° and µ or a power is not ASCII.
fn is_measured(payload: &[u8]) -> bool {
    let is_number = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'.' | b',' | b'-');
    let unit = payload.iter().position(|byte| !is_number(byte)).unwrap_or(0);
    let is_unit = |byte: &u8| byte.is_ascii_alphabetic() || matches!(byte, b' ' | b'/' | 0xb0 | 0xb2 | 0xb3 | 0xb5);
    unit > 1 && payload[unit..].iter().all(is_unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_is_not_as_it_must_be_is_told_with_what_is_wrong() {
        for (payload, expected) in [
            (&b"{\"t\":1}\0"[..], Some(("text with NUL at its end", "{\"t\":1}"))),
            (b"ON\0\0\0", Some(("text with NUL at its end", "ON"))),
            (b"\xff\xfeO\0N\0", Some(("UTF-16 text", "ON"))),
            (b"\xfe\xff\0O\0N", Some(("UTF-16 text", "ON"))),
            (b"O\0N\0", Some(("UTF-16 text", "ON"))),
            (b"\0O\0N", Some(("UTF-16 text", "ON"))),
            (b"{\"unit\":\"\xb0C\"}", Some(("text that is not UTF-8", "{\"unit\":\"\u{b0}C\"}"))),
            (b"{}\0", None),
            (b"21.5\0", Some(("text with NUL at its end", "21.5"))),
            (b"[1]x\0", None),
            (b"[12]\0", Some(("text with NUL at its end", "[12]"))),
            (b"Hello\0", Some(("text with NUL at its end", "Hello"))),
            (b"pump-1 x\0\0\0\0\0\0\0\0", Some(("text with NUL at its end", "pump-1 x"))),
            (b"1\x000\0.\x005\0", Some(("UTF-16 text", "10.5"))),
            (b"\0{\0\"\0t\0\"\0:", Some(("UTF-16 text", "{\"t\":"))),
            (b"p\0u\0m\0p\0 \0s\0t\0o\0p\0s\0", Some(("UTF-16 text", "pump stops"))),
            (b"\xb0C", None),
            (b"\0\0\0\0", None),
            (b"", None),
            (b"\x01\0\x02\0", None),
            (b"\xff\xfe\x00\xd8", None),
            (b"\xff\xfeT\0", None),
            (b"outside 21.5 \xb0C", Some(("text that is not UTF-8", "outside 21.5 \u{b0}C"))),
            (b"{ \"u\": \"\xb0C\", \"v\": 1 }", Some(("text that is not UTF-8", "{ \"u\": \"\u{b0}C\", \"v\": 1 }"))),
            (b"Ger\xe4t aus", Some(("text that is not UTF-8", "Ger\u{e4}t aus"))),
            (b"K\xfcche", Some(("text that is not UTF-8", "K\u{fc}che"))),
            (b"\xd6lstand zu tief", Some(("text that is not UTF-8", "\u{d6}lstand zu tief"))),
            (b"21.5 \xb0C", Some(("text that is not UTF-8", "21.5 \u{b0}C"))),
            (b"12\xb5g/m\xb3", None),
            (b"12.5 \xb5g/m\xb3", Some(("text that is not UTF-8", "12.5 \u{b5}g/m\u{b3}"))),
            (b"K\xdcche", None),
            (b"T\xfcr", None),
            (b"1\xb0", None),
            (b"\xdbl?bFKS<", None),
            (b"\xde\x93nN\xc2\xabPTZ\0", Some(("text with NUL at its end", "\u{793}nN\u{ab}PTZ"))),
            (b"\xfe\xff\x7f\0", None),
            (b"\x00\x01\x02\x03", None),
            (b"\xa1\x61t\xf9\x4d\x00", None),
        ] {
            let told = read(payload);
            assert_eq!(told.as_ref().map(|(what, text)| (*what, text.as_str())), expected, "{payload:02x?}");
        }
    }

    #[test]
    fn numbers_in_binary_are_no_text() {
        for payload in [
            &b"\x41\0\0\0"[..],
            b"\x0a\0\0\0",
            b"\x41\0",
            b"\x41\0\0\0\0\0\0\0",
            b"\0\x2d\0\x3c",
            b"\x2d\0\x3c\0",
            b"\x41\x42\0\0",
            b"ON\0\0",
            b"OFF\0\0\0\0\0",
            // Seconds since 1970 in eight bytes, and in four before a flag; 21.25 with its high byte first.
            b"\x31\x54\x33\x69\0\0\0\0",
            b"\x31\x54\x33\x69\0",
            b"soai\0",
            b"\x40\x35\x40\0\0\0\0\0",
            // Ten readings of two bytes each, of a heart, of humidity.
            b"a\0b\0d\0c\0c\0e\0f\0e\0e\0d\0",
            b"\0\x30\0\x31\0\x31\0\x32\0\x30",
            // Only a form feed is between it and text.
            b"page one\x0cpage two",
        ] {
            assert_eq!(read(payload), None, "{payload:02x?}");
        }
    }
}
