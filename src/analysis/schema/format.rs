//! String formats of JSON Schema. Each is told by a check that its own specification would pass.

/// Formats that may still be those of all strings seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Formats(u8);

const DATE_TIME: u8 = 1;
const UUID: u8 = 2;
const IPV4: u8 = 4;
const URI: u8 = 8;

impl Formats {
    /// Before any string.
    pub const ALL: Self = Self(15);
    /// Fits none.
    pub const NONE: Self = Self(0);

    /// Those that fit `text`.
    pub fn of(text: &str) -> Self {
        let mut fits = 0;
        for (format, check) in
            [(DATE_TIME, is_date_time as fn(&str) -> bool), (UUID, is_uuid), (IPV4, is_ipv4), (URI, is_uri)]
        {
            fits |= if check(text) { format } else { 0 };
        }
        Self(fits)
    }

    /// Those that fit both.
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// JSON Schema's name of the one that is left.
    pub fn name(self) -> Option<&'static str> {
        [(DATE_TIME, "date-time"), (UUID, "uuid"), (IPV4, "ipv4"), (URI, "uri")]
            .into_iter()
            .find(|(format, _)| self.0 & format != 0)
            .map(|(_, name)| name)
    }
}

/// RFC 3339.
fn is_date_time(text: &str) -> bool {
    let bytes = text.as_bytes();
    let number = |from: usize, to: usize| {
        let digits = bytes.get(from..to).filter(|digits| digits.iter().all(u8::is_ascii_digit))?;
        Some(digits.iter().fold(0u32, |number, digit| number * 10 + u32::from(digit - b'0')))
    };
    let is = |at: usize, set: &[u8]| bytes.get(at).is_some_and(|byte| set.contains(byte));
    let (Some(year), Some(month), Some(day)) = (number(0, 4), number(5, 7), number(8, 10)) else { return false };
    let (Some(hour), Some(minute), Some(second)) = (number(11, 13), number(14, 16), number(17, 19)) else {
        return false;
    };
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return false,
    };
    let separators = is(4, b"-") && is(7, b"-") && is(10, b"Tt") && is(13, b":") && is(16, b":");
    if !separators || day == 0 || day > days || hour > 23 || minute > 59 || second > 59 {
        return false;
    }
    let mut at = 19;
    if is(at, b".") {
        let digits = bytes[at + 1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 {
            return false;
        }
        at += 1 + digits;
    }
    match bytes.len() - at {
        1 => is(at, b"Zz"),
        6 => {
            let offset = (number(at + 1, at + 3), number(at + 4, at + 6));
            is(at, b"+-") && is(at + 3, b":") && matches!(offset, (Some(0..=23), Some(0..=59)))
        }
        _ => false,
    }
}

fn is_uuid(text: &str) -> bool {
    let is_right = |(at, byte): (usize, u8)| match at {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    };
    text.len() == 36 && text.bytes().enumerate().all(is_right)
}

fn is_ipv4(text: &str) -> bool {
    text.parse::<std::net::Ipv4Addr>().is_ok()
}

/// Only those with an authority: any `name:value` is a URI to the letter, and few mean one.
fn is_uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else { return false };
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/?#@!$&'()*+,;=%".contains(&byte);
    let escapes =
        rest.split('%').skip(1).all(|part| part.len() >= 2 && part.as_bytes()[..2].iter().all(u8::is_ascii_hexdigit));
    is_scheme && !rest.is_empty() && rest.bytes().all(allowed) && escapes && rest.matches('#').count() < 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_by_what_their_specifications_allow() {
        for (text, expected) in [
            ("2024-02-29T23:59:59Z", Some("date-time")),
            ("2024-02-29t23:59:59.123456+05:30", Some("date-time")),
            ("2023-02-29T00:00:00Z", None),
            ("2024-01-01 00:00:00Z", None),
            ("2024-01-01T00:00:00", None),
            ("2024-01-01T24:00:00Z", None),
            ("2024-01-01T00:00:00.Z", None),
            ("2024-01-01T00:00:00+0530", None),
            ("2024-01-01T00:00:00Zä", None),
            ("6ba7b810-9dad-11d1-80b4-00c04fd430c8", Some("uuid")),
            ("6ba7b810-9dad-11d1-80b4-00c04fd430cg", None),
            ("192.168.0.1", Some("ipv4")),
            ("192.168.00.1", None),
            ("1.2.3", None),
            ("http://a.b/c?d=e%20f#g", Some("uri")),
            ("mqtt://broker:1883", Some("uri")),
            ("http://a b", None),
            ("http://a/%zz", None),
            ("zigbee:0x00158d", None),
            ("://x", None),
            ("", None),
            ("ON", None),
        ] {
            assert_eq!(Formats::of(text).name(), expected, "{text}");
        }
    }
}
