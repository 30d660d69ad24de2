//! Text that is not as text must be: with NUL at its end, as strings in C are, in UTF-16, or in an encoding of one byte a
//! character. Whoever reads UTF-8 sees bytes.

/// What is wrong with a whole payload that would be text, and how it reads.
pub fn read(payload: &[u8]) -> Option<(&'static str, String)> {
    let end = payload.iter().rposition(|byte| *byte != 0)? + 1;
    if let Some(text) = super::payload::readable(&payload[..end], true).filter(|_| end < payload.len()) {
        return Some(("text with NUL at its end", text.to_owned()));
    }
    utf_16(payload).map(|text| ("UTF-16 text", text)).or_else(|| Some(("text that is not UTF-8", one_byte(payload)?)))
}

fn utf_16(payload: &[u8]) -> Option<String> {
    let (units, []) = payload.as_chunks::<2>() else { return None };
    let of = |read: fn([u8; 2]) -> u16, units: &[[u8; 2]]| {
        let text: String = char::decode_utf16(units.iter().map(|unit| read(*unit))).collect::<Result<_, _>>().ok()?;
        super::payload::readable(text.as_bytes(), true).is_some().then_some(text)
    };
    // Without a mark at its beginning all must be ASCII: other bytes are characters of some script too easily.
    let is_ascii = |high: usize| units.len() > 1 && units.iter().all(|unit| unit[high] == 0);
    match units {
        [[0xff, 0xfe], rest @ ..] => of(u16::from_le_bytes, rest),
        [[0xfe, 0xff], rest @ ..] => of(u16::from_be_bytes, rest),
        _ if is_ascii(1) => of(u16::from_le_bytes, units),
        _ if is_ascii(0) => of(u16::from_be_bytes, units),
        _ => None,
    }
}

/// Mostly ASCII, read as Latin-1.
fn one_byte(payload: &[u8]) -> Option<String> {
    let others = payload.iter().filter(|byte| !byte.is_ascii()).count();
    let mut characters = payload.iter().map(|byte| char::from(*byte));
    let is_text = others * 8 <= payload.len() && characters.all(|c| !c.is_control() || c.is_ascii_whitespace());
    is_text.then(|| payload.iter().map(|byte| char::from(*byte)).collect())
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
            (b"\xb0C", None),
            (b"\0\0\0\0", None),
            (b"", None),
            (b"\x01\0\x02\0", None),
            (b"\xff\xfe\x00\xd8", None),
            (b"\x00\x01\x02\x03", None),
            (b"\xa1\x61t\xf9\x4d\x00", None),
        ] {
            let told = read(payload);
            assert_eq!(told.as_ref().map(|(what, text)| (*what, text.as_str())), expected, "{payload:02x?}");
        }
    }
}
