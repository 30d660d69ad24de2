//! Does a message report an error or a warning? By meaning, not by substring: `{"error":null}`, `{"errors":0}`,
//! `{"mode":"default"}`, "no error" and a discovery message about a sensor of class `problem` are silent.

use super::words::{any_word, is_called_but_for, is_in, is_one_of, next_word};

/// How bad a report is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Something may go wrong.
    Warning,
    /// Something went wrong.
    Error,
}

/// What a name, of a JSON member or of a topic's last level, says of the value behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Names a level, as in `"severity":"warn"`: the value's words decide.
    Level,
    /// Is itself the report, as in `"error":"E42"`: anything but an "all is well" value counts.
    Report(Severity),
    /// Is a flag, as in `"battery_low":true`: numbers other than 1 are measurements.
    Flag(Severity),
    /// Is a flag whose numbers are counts or measurements, as in `"crc_error":1` and `"position_error":1`.
    Switch(Severity),
    /// Says that all is well, as in `"healthy":true`: false reports.
    Well(Severity),
    /// Has lines of a log: what they say of themselves counts.
    Log,
    /// Says nothing about errors.
    Plain,
}

/// What a member of an object under a reporting name is there for, as in `"error":{"code":0,"text":"fine"}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Decides, as `code` does.
    Decides,
    /// Only describes, as `threshold` does.
    Describes,
    /// Counts unless another decides.
    Other,
}

/// Reads a name. Case, `_`, `-` and blanks do not matter.
pub fn role(name: &[u8]) -> Role {
    use Role::{Flag, Level, Report, Switch, Well};
    use Severity::{Error, Warning};
    // Asked for each member of each message, so only words with the same first letter are compared, and short names,
    // which many devices have, with none.
    if name.len() < "ok".len() {
        return Role::Plain;
    }
    let groups: &[(&[&str], Role)] = match first_letter(name) {
        b'l' => &[
            (&["level"], Level),
            (&["log", "logs"], Role::Log),
            (&["lasterror"], Report(Warning)),
            (&["lowbattery", "lowbat", "lowbatt", "leak", "leakage"], Flag(Warning)),
        ],
        b's' => &[
            (&["severity", "status", "state", "statustext", "statusmessage", "selftest"], Level),
            (&["stoerung", "störung", "stoerungen", "störungen"], Report(Error)),
            (&["smoke"], Flag(Warning)),
            (&["success"], Well(Warning)),
        ],
        b'h' => &[(&["health"], Level), (&["healthy"], Well(Warning)), (&["haserror", "hasfault"], Report(Error))],
        b'r' => &[(&["result", "restartreason", "resetreason", "raid"], Level)],
        b'c' => &[(&["condition"], Level), (&["carbonmonoxide"], Flag(Warning))],
        b'e' => &[(&["error", "errors", "err", "errorcode", "errormessage", "errormsg", "exception"], Report(Error))],
        b'f' => &[(
            &["fault", "faults", "faultcode", "faultmessage", "failure", "failures", "fehler", "fehlermeldung"],
            Report(Error),
        )],
        b'a' => &[(&["alarm", "alarms", "alarmcode"], Report(Error)), (&["alert"], Flag(Warning))],
        b'm' => &[(&["malfunction"], Report(Error))],
        b'w' => &[(&["warning", "warnings", "warn"], Report(Warning)), (&["waterleak"], Flag(Warning))],
        b'o' => &[
            (&["ok"], Well(Warning)),
            (&["overtemperature", "overtemp", "overpower", "overcurrent", "overvoltage", "overload"], Flag(Error)),
        ],
        b'u' => &[(&["undervoltage"], Flag(Error))],
        // Of a battery, most often.
        b'i' => &[(&["islow"], Flag(Warning)), (&["inalarm", "infault", "inerror"], Switch(Error))],
        b'p' => &[(&["problem"], Flag(Error)), (&["printerror"], Report(Error))],
        b'b' => &[(&["batterylow", "batlow", "batterycritical"], Flag(Warning))],
        b't' => &[(&["tamper"], Flag(Warning))],
        _ => &[],
    };
    groups.iter().find(|(words, _)| is_named(words, name)).map_or_else(|| role_of_end(name), |(_, role)| *role)
}

/// What the ends of a longer name say: `pvfaultcode`, `fault_state`, `gcode_state`.
fn role_of_end(name: &[u8]) -> Role {
    // Asked for each member of each message: few names end like one of these.
    let last = name.last().map_or(0, u8::to_ascii_lowercase);
    if name.len() < "xState".len() || !matches!(last, b'e' | b's' | b't' | b'r' | b'n' | b'd' | b'g' | b'k') {
        return Role::Plain;
    }
    let part = |range: std::ops::Range<usize>| name.get(range).unwrap_or_default();
    let ends = |end: &str| part(name.len().saturating_sub(end.len())..name.len()).eq_ignore_ascii_case(end.as_bytes());
    let tells = || ["text", "str", "state", "status", "description"].into_iter().any(ends);
    let is_code = || ends("code") && ["errorcode", "error_code", "faultcode", "fault_code"].into_iter().any(ends);
    // Where each bit is one of them.
    let has_bits = || ["word", "bits", "flags"].into_iter().any(ends);
    // As a word of its own: `pump_fault`, `pumpFault`, not `default`.
    let joins =
        |end: &str| ends(end) && (name.ends_with(end.as_bytes()) || part(0..name.len() - end.len()).ends_with(b"_"));
    // Not what happened once, nor what shall be done then.
    let is_other = || {
        const OTHERS: [&str; 12] =
            ["last", "old", "prev", "no", "clear", "reset", "ack", "ignore", "test", "mask", "enable", "stop"];
        let begins = |other: &str| part(0..other.len()).eq_ignore_ascii_case(other.as_bytes());
        OTHERS.iter().any(|other| begins(other)) || name.windows(3).any(|at| matches!(at, b"_on" | [_, b'O', b'n']))
    };
    let begins = |words: &[&str]| matches!(first_letter(name), b'e' | b'f' | b'a') && is_one_of(words, part(0..5));
    if begins(&["error", "fault"]) && tells()
        || begins(&["error", "fault", "alarm"]) && has_bits()
        || !matches!(first_letter(name), b'l' | b'o') && is_code()
    {
        Role::Report(Severity::Error)
    } else if ["State", "Status"].into_iter().any(joins) {
        Role::Level
    } else if ["Fault", "Error", "Failure"].into_iter().any(joins) && !is_other()
        || begins(&["error", "fault", "alarm"]) && ["active", "present", "flag"].into_iter().any(ends)
    {
        Role::Switch(Severity::Error)
    } else if joins("Ok") {
        Role::Well(Severity::Warning)
    } else {
        Role::Plain
    }
}

/// What a topic says of its payload by its last level; `None` for topics whose messages describe a device rather than
/// report on it (discovery, Homie attributes): those report no error, whatever words they have.
pub fn role_of_topic(topic: &str) -> Option<Role> {
    let (before, last) = topic.rsplit_once('/').unwrap_or(("", topic));
    let is_discovery = last == "config" && (before.starts_with("homeassistant/") || before.starts_with("tasmota/"));
    let tells = |level: &str| matches!(level, "$state" | "$stats" | "$log" | "$alert");
    // Azure has properties in the topic: `$.ct=application%2Fjson`.
    let describes = |level: &str| level.starts_with('$') && !level.starts_with("$.") && !tells(level);
    let is_attribute = topic.contains("/$") && topic.split('/').skip(1).any(describes);
    // `Alarms/HighTemperature` is one of several; `alarm/battery` is most likely the battery of an alarm.
    let of_list = || match before.rsplit('/').next().map(|list| role(list.as_bytes())) {
        Some(report @ Role::Report(_)) if before.ends_with('s') && part(last.as_bytes()) != Part::Describes => report,
        _ => Role::Plain,
    };
    // Homie 5: ID/$alert/NAME says what is wrong.
    if before.ends_with("/$alert") {
        return Some(Role::Report(Severity::Warning));
    }
    if last == "rejected" && before.starts_with("$aws/") {
        return Some(Role::Report(Severity::Error));
    }
    let own = |role: Role| if role == Role::Plain { of_list() } else { role };
    (!is_discovery && !is_attribute).then(|| own(role(last.as_bytes())))
}

/// Reads the name of a member of an object under a reporting name.
pub fn part(name: &[u8]) -> Part {
    const DECIDE: &[&str] =
        &["code", "active", "state", "status", "value", "count", "raised", "set", "triggered", "level"];
    const DESCRIBE: &[&str] = &[
        "threshold",
        "limit",
        "min",
        "max",
        "lowlimit",
        "highlimit",
        "delay",
        "hysteresis",
        "enabled",
        "time",
        "timestamp",
        "ts",
        "since",
        "id",
        "name",
        "type",
        "unit",
        "source",
    ];
    if is_named(DECIDE, name) {
        Part::Decides
    } else if is_named(DESCRIBE, name) {
        Part::Describes
    } else {
        Part::Other
    }
}

/// Whether what stands under a member of that name is how something is set, and reports nothing: `"config":{"level":"error"}`.
pub fn is_about_settings(name: &[u8]) -> bool {
    name.len() >= "config".len()
        && matches!(first_letter(name), b'c' | b's' | b'o' | b'd')
        && is_named(&["config", "configuration", "settings", "options", "definition"], name)
}

/// Whether a value under a reporting name says that all is well.
pub fn is_all_well(text: &str) -> bool {
    const WELL: &[&str] = &[
        "",
        "none",
        "ok",
        "okay",
        "no",
        "false",
        "off",
        "null",
        "nil",
        "normal",
        "clear",
        "cleared",
        "noerror",
        "nofault",
        "noalarm",
        "n/a",
        "na",
        "inactive",
        "idle",
        "good",
        "healthy",
        "fine",
        "nominal",
        "ready",
        "success",
        "resolved",
        "unknown",
        "unavailable",
        "armed",
        "disarmed",
        "kein",
        "keine",
        "nein",
        "aus",
        "inaktiv",
        "gut",
        "fehlerfrei",
        "störungsfrei",
    ];
    // What should have come and did not is an error, other than one that did not come.
    const MISSED: &[&str] = &[
        "response",
        "reply",
        "answer",
        "ack",
        "acknowledgement",
        "connection",
        "communication",
        "signal",
        "data",
        "contact",
        "link",
        "antwort",
        "verbindung",
        "kommunikation",
    ];
    let text = text.trim();
    let mut words = text.split(|c: char| !c.is_ascii_alphanumeric());
    let opening = words.next().unwrap_or_default();
    is_named(WELL, text.as_bytes())
        || is_zero(text)
        || (opening.len() < text.len()
            && is_in(&["no", "ok", "none", "kein", "keine"], opening)
            && !words.next().is_some_and(|missed| is_in(MISSED, missed)))
}

/// Whether a value is that of a flag that is set.
pub fn is_set(text: &str) -> bool {
    is_in(&["true", "on", "yes", "1", "active", "detected", "set", "alarm", "low"], text.trim())
}

/// The severity that one word names.
pub fn word(text: &[u8]) -> Option<Severity> {
    use Severity::{Error, Warning};
    // Asked for each word of each text.
    let (words, severity): (&[&str], _) = match first_letter(text) {
        b'e' => (&["error", "errors", "err", "emergency", "emerg", "exception"], Error),
        b'f' => (&["fatal", "fail", "failed", "failure", "failing", "fault", "faulted", "faulty", "fehler"], Error),
        b'c' => (&["critical", "crit"], Error),
        b'a' => (&["alarm"], Error),
        b'p' => (&["panic"], Error),
        b's' => (&["störung", "stoerung"], Error),
        b'w' => (&["warn", "warning", "warnings", "warnung"], Warning),
        b'd' => (&["degraded"], Warning),
        _ => return None,
    };
    is_one_of(words, text).then_some(severity)
}

/// The severity of a value under a name that names a level: states that would mean little in a longer text count too.
pub fn state(value: &str) -> Option<Severity> {
    const ERRORS: &[&str] = &[
        "problem",
        "timeout",
        "unreachable",
        "overheated",
        "overheating",
        "overload",
        "overloaded",
        "jammed",
        "stalled",
        "tripped",
        "broken",
        "crashed",
        "aborted",
        "stuck",
        "jam",
        "obstructed",
        "lockout",
    ];
    const WARNINGS: &[&str] = &["bad", "unstable", "watchdog", "brownout", "unhealthy", "nok", "invalid"];
    let words = || value.split(|c: char| !c.is_ascii_alphanumeric());
    if is_in(ERRORS, value.trim()) || is_error_code(value.trim()) {
        Some(Severity::Error)
    } else {
        let is_joined = |pair: &[u8]| pair[0] == b'_' || (pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase());
        let has_joined = || value.as_bytes().windows(2).any(is_joined);
        text(value.as_bytes())
            .or_else(|| if has_joined() { text(spaced(value).as_bytes()) } else { None })
            .or_else(|| words().any(|word| is_in(WARNINGS, word)).then_some(Severity::Warning))
    }
}

/// With a blank between the words of a name: `check_failure`, `SensorFault`.
fn spaced(name: &str) -> String {
    let mut spaced = String::with_capacity(name.len());
    for c in name.chars() {
        if c.is_ascii_uppercase() && spaced.ends_with(|before: char| before.is_ascii_lowercase()) {
            spaced.push(' ');
        }
        spaced.push(if c == '_' { ' ' } else { c });
    }
    spaced
}

/// Whether it is the number of an error as displays show it: `E17`, `F.28`, `Err 3`. A single digit may count floors.
fn is_error_code(text: &str) -> bool {
    let split = text.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (letters, rest) = text.split_at(split);
    let digits = rest.trim_start_matches(['-', '.', '_', ' ']);
    let least = if letters.eq_ignore_ascii_case("err") { 1 } else { 2 };
    (least == 1 || matches!(letters, "E" | "F"))
        && (least..=3).contains(&digits.len())
        && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// The worst report in free text: whole words, unless the words around them deny it ("no errors", "errors: 0"). A line
/// of a log reports what its level says.
pub fn text(text: &[u8]) -> Option<Severity> {
    // Few texts have such a word: only then the whole is looked at more closely.
    let has_words = any_word(text, |part| word(part).is_some());
    if !has_words && !matches!(text.first(), Some(b'[' | 0x1b)) {
        return None;
    }
    let text = std::str::from_utf8(text).ok()?;
    log_level(text).unwrap_or_else(|| if has_words { worst_word(text) } else { None })
}

fn worst_word(text: &str) -> Option<Severity> {
    const DENY_BEFORE: &[&str] =
        &["no", "not", "zero", "without", "0", "never", "non", "kein", "keine", "nicht", "ohne"];
    let (mut worst, mut before, mut rest) = (None, ["", ""], text);
    while let Some((current, ends_phrase)) = next_word(&mut rest) {
        if ends_phrase {
            before = ["", ""];
        }
        let denied = || {
            let is_far = is_in(&["no", "zero", "without"], before[0]);
            is_far || is_in(DENY_BEFORE, before[usize::from(!is_in(&["in"], before[1]))])
        };
        let severity = word(current.as_bytes()).filter(|_| !denied() && !is_denied_behind(rest));
        worst = worst.max(severity);
        before = [before[1], current];
    }
    worst
}

/// Whether what follows an alarming word takes it back: "error: 0", "alarm count 0", "fault cleared", "fail-safe".
fn is_denied_behind(mut rest: &str) -> bool {
    const DENY: &[&str] = &[
        "none",
        "null",
        "false",
        "ok",
        "cleared",
        "resolved",
        "off",
        "free",
        "safe",
        "over",
        "normal",
        "inactive",
        "disabled",
        "disarmed",
        "armed",
        "clock",
        "recovered",
        "fixed",
        "gone",
        "clear",
        "secure",
        "behoben",
    ];
    const FILLERS: &[&str] =
        &["count", "counter", "code", "rate", "state", "status", "level", "flag", "flags", "is", "was"];
    while let Some((word, _)) = next_word(&mut rest) {
        if !is_in(FILLERS, word) {
            return is_in(DENY, word) || is_zero(word);
        }
    }
    false
}

/// What a line of a log says of itself near its beginning: `[E][component]`, `2024-05-01 INFO …`.
fn log_level(text: &str) -> Option<Option<Severity>> {
    let mut rest = &text[..text.floor_char_boundary(64)];
    for _ in 0..8 {
        let (word, _) = next_word(&mut rest)?;
        let severity = match word {
            "I" | "D" | "V" | "C" | "E" | "W" if !rest.starts_with(']') => continue,
            "INFO" | "DEBUG" | "TRACE" | "NOTICE" | "VERBOSE" | "I" | "D" | "V" | "C" => None,
            "WARN" | "WARNING" | "W" => Some(Severity::Warning),
            "ERROR" | "ERR" | "CRITICAL" | "FATAL" | "E" => Some(Severity::Error),
            _ => continue,
        };
        // "ERROR: 0" is no log line.
        return (severity.is_none() || !is_denied_behind(rest)).then_some(severity);
    }
    None
}

/// Zero in any of its forms: `0`, `0.0`, `00`, `0x00`.
fn is_zero(text: &str) -> bool {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| matches!(byte, b'0' | b'.')) && digits.contains('0')
}

/// Like [`is_in`], without regard to what separates the parts of a name.
fn is_named(words: &[&str], name: &[u8]) -> bool {
    is_called_but_for(|byte| matches!(byte, b'_' | b'-' | b' '), words, name)
}

/// In lower case; 0 for an empty text.
fn first_letter(text: &[u8]) -> u8 {
    text.first().map_or(0, u8::to_ascii_lowercase)
}

#[cfg(test)]
#[path = "alarm_tests.rs"]
mod tests;
