//! Does a payload report an error or a warning? By meaning, not by substring: `{"error":null}`, `{"errors":0}`,
//! `{"mode":"default"}` and "no error" are silent.

/// How bad a report is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Something may go wrong.
    Warning,
    /// Something went wrong.
    Error,
}

/// What a JSON member's name says of its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Names a level, as in `"severity":"warn"`: the value's word decides.
    Level,
    /// Is itself the report, as in `"error":"E42"`: anything but an "all is well" value counts.
    Report(Severity),
    /// Says nothing about errors.
    Plain,
}

/// Reads a member's name.
pub fn role(name: &str) -> Role {
    use Role::{Level, Report};
    use Severity::{Error, Warning};
    // Asked for each member of each message, so only words with the same first letter are compared.
    let (words, role): (&[&str], _) = match first_letter(name) {
        b'l' => (&["level", "loglevel", "log_level"], Level),
        b's' => (&["severity", "status", "state"], Level),
        b'h' => (&["health"], Level),
        b'r' => (&["result"], Level),
        b'e' => (
            &["error", "errors", "err", "error_code", "errorcode", "error_message", "errormessage", "exception"],
            Report(Error),
        ),
        b'f' => (&["fault", "faults", "fault_code", "faultcode", "failure", "failures"], Report(Error)),
        b'a' => (&["alarm", "alarms"], Report(Error)),
        b'w' => (&["warning", "warnings", "warn"], Report(Warning)),
        _ => return Role::Plain,
    };
    if is_in(words, name) { role } else { Role::Plain }
}

/// Whether a value under a reporting name says that all is well.
pub fn is_all_well(text: &str) -> bool {
    const WELL: &[&str] = &[
        "", "0", "none", "ok", "no", "false", "off", "null", "normal", "clear", "cleared", "no error", "no_error",
        "n/a", "inactive",
    ];
    is_in(WELL, text.trim())
}

/// The severity that one word names.
pub fn word(text: &str) -> Option<Severity> {
    use Severity::{Error, Warning};
    // Asked for each word of each text.
    let (words, severity): (&[&str], _) = match first_letter(text) {
        b'e' => (&["error", "errors", "err", "emergency", "emerg", "exception"], Error),
        b'f' => (&["fatal", "fail", "failed", "failure", "failing", "fault", "faulted", "faulty"], Error),
        b'c' => (&["critical", "crit"], Error),
        b'a' => (&["alarm"], Error),
        b'p' => (&["panic"], Error),
        b'w' => (&["warn", "warning", "warnings"], Warning),
        b'd' => (&["degraded"], Warning),
        _ => return None,
    };
    is_in(words, text).then_some(severity)
}

/// The worst report in free text: whole words, unless the words around them deny it ("no errors", "errors: 0").
pub fn text(text: &str) -> Option<Severity> {
    const DENY_BEFORE: &[&str] = &["no", "not", "zero", "without", "0", "never"];
    const DENY_AFTER: &[&str] = &["0", "none", "null", "false", "ok", "cleared", "resolved"];
    let (mut worst, mut before, mut rest) = (None, "", text);
    while let Some(current) = next_word(&mut rest) {
        if let Some(severity) = word(current) {
            let after = next_word(&mut &*rest).unwrap_or_default();
            if !is_in(DENY_BEFORE, before) && !is_in(DENY_AFTER, after) {
                worst = worst.max(Some(severity));
            }
        }
        before = current;
    }
    worst
}

/// Cuts the next word off the front: letters, digits and underscores, and all that is not ASCII.
fn next_word<'a>(rest: &mut &'a str) -> Option<&'a str> {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80;
    let start = rest.bytes().position(is_word)?;
    let length = rest.bytes().skip(start).position(|byte| !is_word(byte)).unwrap_or(rest.len() - start);
    let (word, behind) = rest[start..].split_at(length);
    *rest = behind;
    Some(word)
}

fn is_in(words: &[&str], text: &str) -> bool {
    words.iter().any(|word| word.eq_ignore_ascii_case(text))
}

/// In lower case; 0 for an empty text.
fn first_letter(text: &str) -> u8 {
    text.bytes().next().unwrap_or_default().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_reports_by_whole_words_that_nothing_denies() {
        for (line, expected) in [
            ("ERROR: pump jammed", Some(Severity::Error)),
            ("motor failed", Some(Severity::Error)),
            ("warning low battery", Some(Severity::Warning)),
            ("warn then error", Some(Severity::Error)),
            ("no error", None),
            ("errors: 0", None),
            ("0 errors, 0 warnings", None),
            ("error=none", None),
            ("terror", None),
            ("default mode", None),
            ("all fine", None),
            ("", None),
        ] {
            assert_eq!(text(line), expected, "{line}");
        }
    }
}
