//! What must not be told: a value that is wiped on drop, never printed and never serialised; and the one exit for the
//! server's own words.
//!
//! Passwords are kept out of words where the words are made: no error or log line is built from one, and what a caller
//! sent is repeated in a few known places alone. [`redacted`] is the net under that: every error and log line passes it
//! on the way out, and so do a session's last error and a profile's description in results. It does not look for the
//! passwords of open sessions, which are sealed and would have to be opened or marked for that; it looks for what a
//! connection string looks like. Payloads and topics in results are the broker's data and pass as they are.

use std::fmt;

use zeroize::Zeroizing;

/// Bytes of a password or token.
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes the bytes over; the caller keeps no copy.
    pub fn new(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(bytes)
    }

    /// The bytes, for the one place that uses them.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The text with user name and password taken out of all that may be a connection string.
pub fn redacted(text: impl Into<String>) -> String {
    let mut text = text.into();
    let mut from = 0;
    while let Some(found) = text[from..].find("://") {
        let start = from + found + 3;
        let rest = &text[start..];
        let is_end = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '"' | '\'' | '`' | '<' | '>');
        let end = rest.find(is_end).unwrap_or(rest.len());
        // Whatever stands before the last @ may be part of a password that was not encoded as it should be.
        if let Some(at) = rest[..end].rfind('@') {
            text.replace_range(start..start + at, "***");
        }
        from = start;
    }
    text
}

/// Keeps the memory of this process out of core files. A limit of 1 byte is less than any core file has, and the kernel
/// takes it as the word not to hand the memory to a program that collects cores either, which 0 is not. (Making the
/// process undumpable would do both and hide it from its own user's tools as well.)
pub fn keep_out_of_core_files() {
    let limit = rustix::process::Rlimit { current: Some(1), maximum: Some(1) };
    // Where a lower limit is set already it cannot be raised, and is as good.
    let _ = rustix::process::setrlimit(rustix::process::Resource::Core, limit);
}

/// Decodes a JSON string into memory that is wiped: any text may be a connection string with a password in it, and the
/// JSON library would leave a copy of one with escapes behind.
pub fn json_text(json: &str) -> Option<Zeroizing<String>> {
    let inner = json.strip_prefix('"')?.strip_suffix('"')?;
    // Never longer than its JSON text, so it does not move.
    let mut text = Zeroizing::new(String::with_capacity(inner.len()));
    let mut rest = inner;
    while let Some((plain, escape)) = rest.split_once('\\') {
        text.push_str(plain);
        let kind = escape.chars().next()?;
        rest = &escape[kind.len_utf8()..];
        text.push(match kind {
            '"' | '\\' | '/' => kind,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => unicode_escape(&mut rest)?,
            _ => return None,
        });
    }
    text.push_str(rest);
    Some(text)
}

/// The character of `\uXXXX`, or of a surrogate pair.
fn unicode_escape(rest: &mut &str) -> Option<char> {
    let mut unit = || {
        let value = u32::from_str_radix(rest.get(..4)?, 16).ok()?;
        *rest = &rest[4..];
        Some(value)
    };
    let first = unit()?;
    if !(0xd800..0xdc00).contains(&first) {
        return char::from_u32(first);
    }
    *rest = rest.strip_prefix("\\u")?;
    let second = u32::from_str_radix(rest.get(..4)?, 16).ok().filter(|unit| (0xdc00..0xe000).contains(unit))?;
    *rest = &rest[4..];
    char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_prints_as_stars() {
        let secret = Secret::new(Zeroizing::new(b"hunter2".to_vec()));
        assert_eq!(format!("{secret:?}"), "***");
        assert_eq!(secret.expose(), b"hunter2");
    }

    #[test]
    fn user_and_password_are_taken_out_of_connection_strings() {
        for (text, expected) in [
            ("no url", "no url"),
            ("mqtt://h:1 and mqtts://h", "mqtt://h:1 and mqtts://h"),
            ("mqtt://u:p@h", "mqtt://***@h"),
            ("x mqtt://u:p@h/i, mqtts://u@h.", "x mqtt://***@h/i, mqtts://***@h."),
            ("\"mqtt://u:p/w@x@h\" user@host", "\"mqtt://***@h\" user@host"),
            ("mqtt://u:p://q@h", "mqtt://***@h"),
            ("://@", "://***@"),
            ("mqtt://ü:ß@h\nx@y", "mqtt://***@h\nx@y"),
        ] {
            assert_eq!(redacted(text), expected, "{text}");
        }
    }

    #[test]
    fn strings_are_decoded_as_json_says() {
        for json in
            [r#""""#, r#""plain""#, r#""a\"b\\c\/d\n\t\r\b\f""#, r#""ü\u00fc\ud83d\ude00\u0000""#, r#""\\\\u0041""#]
        {
            let expected: String = serde_json::from_str(json).expect("string");
            assert_eq!(json_text(json).as_deref(), Some(&expected));
        }
        for json in [r#""\ud800""#, r#""\ud800x""#, r#""\ud800\u0041""#, r#""\udc00""#, "1", "null"] {
            assert!(json_text(json).is_none(), "{json}");
        }
    }
}
