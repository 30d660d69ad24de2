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
    const LEVELS: &[&str] = &["level", "loglevel", "log_level", "severity", "status", "state", "health", "result"];
    const ERRORS: &[&str] = &[
        "error",
        "errors",
        "err",
        "error_code",
        "errorcode",
        "error_message",
        "errormessage",
        "fault",
        "faults",
        "fault_code",
        "faultcode",
        "alarm",
        "alarms",
        "failure",
        "failures",
        "exception",
    ];
    const WARNINGS: &[&str] = &["warning", "warnings", "warn"];
    let is_in = |names: &[&str]| names.iter().any(|known| known.eq_ignore_ascii_case(name));
    if is_in(LEVELS) {
        Role::Level
    } else if is_in(ERRORS) {
        Role::Report(Severity::Error)
    } else if is_in(WARNINGS) {
        Role::Report(Severity::Warning)
    } else {
        Role::Plain
    }
}

/// Whether a value under a reporting name says that all is well.
pub fn is_all_well(text: &str) -> bool {
    const WELL: &[&str] = &[
        "", "0", "none", "ok", "no", "false", "off", "null", "normal", "clear", "cleared", "no error", "no_error",
        "n/a", "inactive",
    ];
    let text = text.trim();
    WELL.iter().any(|well| well.eq_ignore_ascii_case(text))
}

/// The severity that one word names.
pub fn word(text: &str) -> Option<Severity> {
    const ERRORS: &[&str] = &[
        "error",
        "errors",
        "err",
        "fatal",
        "critical",
        "crit",
        "emergency",
        "emerg",
        "fail",
        "failed",
        "failure",
        "failing",
        "fault",
        "faulted",
        "faulty",
        "alarm",
        "exception",
        "panic",
    ];
    const WARNINGS: &[&str] = &["warn", "warning", "warnings", "degraded"];
    let is_in = |words: &[&str]| words.iter().any(|known| known.eq_ignore_ascii_case(text));
    if is_in(ERRORS) {
        Some(Severity::Error)
    } else if is_in(WARNINGS) {
        Some(Severity::Warning)
    } else {
        None
    }
}

/// The worst report in free text: whole words, unless the words around them deny it ("no errors", "errors: 0").
pub fn text(text: &str) -> Option<Severity> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut words = text.split(|c| !is_word(c)).filter(|word| !word.is_empty()).peekable();
    let mut before = "";
    let mut worst = None;
    while let Some(current) = words.next() {
        if let Some(severity) = word(current) {
            let denied_before =
                ["no", "not", "zero", "without", "0", "never"].iter().any(|no| no.eq_ignore_ascii_case(before));
            let denied_after = words.peek().is_some_and(|next| {
                ["0", "none", "null", "false", "ok", "cleared", "resolved"]
                    .iter()
                    .any(|no| no.eq_ignore_ascii_case(next))
            });
            if !denied_before && !denied_after {
                worst = worst.max(Some(severity));
            }
        }
        before = current;
    }
    worst
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
