//! Numbers that are written as text.

use serde_json::Value;

use super::places::last_level;
use super::{meaning, supply, units};
use crate::analysis::decimal;
use crate::analysis::words::is_in;

/// What a payload that is no JSON tells of its topic: a number, a row of them or the word for one, and null where it has
/// none. A single empty one may only delete what the broker keeps.
pub(super) fn value(topic: &str, text: &str, is_empty_again: bool) -> Option<Value> {
    if is_empty_again || is_no_number(text) {
        return Some(if is_failure(text) { text.into() } else { Value::Null });
    }
    if supply::is_of_battery(last_level(topic)) {
        return Some(text.into());
    }
    if meaning::is_uptime("", topic) {
        let is_span = text.starts_with(|c: char| c.is_ascii_digit());
        return is_span.then(|| span(text)).flatten().map(Value::from);
    }
    // Digits alone that are no JSON may be a name.
    let is_amount = text.contains(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | '-'));
    is_amount.then(|| number(text)).flatten().map(Value::from).or_else(|| row(text))
}

/// The columns of a line, by number, if one of them is a measurement: what has many digits may be a time.
fn row(text: &str) -> Option<Value> {
    const COLUMNS: std::ops::RangeInclusive<usize> = 2..=16;
    let is_measured = |cell: &str| cell.find('.').is_some_and(|digits| digits < 5) && !cell.ends_with('.');
    let cell = |cell: &str| match number(cell).filter(|_| is_measured(cell)) {
        Some(number) => Value::from(number),
        None => Value::from(cell),
    };
    let cells: Vec<Value> = text.split([',', ';']).take(COLUMNS.end() + 1).map(|part| cell(part.trim())).collect();
    let is_row = COLUMNS.contains(&cells.len()) && cells.iter().any(Value::is_number);
    is_row.then(|| cells.into_iter().enumerate().map(|(column, cell)| ((column + 1).to_string(), cell)).collect())
}

/// A decimal number, also one that has a comma for its point, or a unit behind it.
pub(super) fn number(text: &str) -> Option<f64> {
    let digits = text.bytes().take_while(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b',' | b'-')).count();
    let (number, unit) = text.split_at(digits);
    // 3C may be a byte.
    let is_short = unit.len() == 1 && unit != "%" && !number.contains('.');
    if text.len() > 20 || number.is_empty() || !(unit.is_empty() || !is_short && units::is_unit(unit)) {
        return None;
    }
    match number.matches(',').count() {
        0 => decimal::read(number),
        1 if !number.contains('.') => decimal::read(&number.replace(',', ".")),
        _ => None,
    }
}

/// The seconds of a span of time: `3T04:05:06`, `12 days, 3:04`, `1d 2h 3m`. What may be hours and minutes or minutes and
/// seconds is none.
pub(super) fn span(text: &str) -> Option<f64> {
    if text.matches(':').count() == 1 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b':') {
        return None;
    }
    let (mut seconds, mut clock, mut rest) = (0.0, HOUR, text.trim());
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
        let number = decimal::read(&rest[..digits])?;
        rest = rest[digits..].trim_start();
        seconds += number
            * match rest.bytes().next().map(|byte| byte.to_ascii_lowercase()) {
                Some(b't' | b'+' | b'd') => DAY,
                Some(b'h') => HOUR,
                Some(b'm') if !rest.starts_with("mo") => 60.0,
                Some(b's') => 1.0,
                Some(b':') => clock,
                None if clock < HOUR => clock,
                _ => return None,
            };
        if rest.starts_with(':') {
            clock /= 60.0;
        }
        rest = rest.trim_start_matches(|c: char| !c.is_ascii_digit());
    }
    (seconds > 0.0).then_some(seconds)
}

const HOUR: f64 = 3600.0;
const DAY: f64 = 24.0 * HOUR;

/// What sensors say when they have no number.
pub(super) fn is_no_number(text: &str) -> bool {
    const NONE: &[&str] = &["null", "unknown", "n/a", "none", "inf", "-inf"];
    let text = text.trim();
    let is_filled = || !text.is_empty() && text.bytes().all(|byte| matches!(byte, b'-' | b'*' | b'#' | b'?' | b'.'));
    is_in(NONE, text) || is_failure(text) || is_filled()
}

/// What they say when they should have one.
pub(super) fn is_failure(text: &str) -> bool {
    is_in(&["nan", "unavailable", "undef", "err", "error", "fail", "failed"], text.trim())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_payload_that_is_no_json_may_still_tell_a_number_or_none() {
        for (topic, text, is_empty_again, expected) in [
            ("d/temperature", "", false, None),
            ("d/temperature", "", true, Some(Value::Null)),
            ("d/temperature", "N/A", false, Some(Value::Null)),
            ("d/temperature", "---", false, Some(Value::Null)),
            ("d/temperature", "-----", false, Some(Value::Null)),
            ("d/temperature", "FAIL", false, Some("FAIL".into())),
            ("d/temperature", "21,5", false, Some(Value::from(21.5))),
            ("d/signal", "-93 dBm", false, Some(Value::from(-93.0))),
            ("d/code", "0021", false, None),
            (
                "d/gnss",
                "$WIMWV,072,R,-11.1,M;0A",
                false,
                Some(json!({"1": "$WIMWV", "2": "072", "3": "R", "4": -11.1, "5": "M", "6": "0A"})),
            ),
            ("d/zda", "062507.00,31,07", false, None),
            ("d/log", "started, 1.5 s", false, None),
            ("d/battery", "low", false, Some(Value::from("low"))),
            ("d/uptime", "1 day, 2:03:04", false, Some(Value::from(93_784.0))),
            ("d/started", "1 day, 2:03:04", false, None),
        ] {
            assert_eq!(value(topic, text, is_empty_again), expected, "{topic} {text}");
        }
    }

    #[test]
    fn spans_of_time_are_read_in_their_usual_forms() {
        for (text, expected) in [
            ("3T04:05:06", Some(273_906.0)),
            ("012+03:21:04.5", Some(1_048_864.5)),
            ("12 days, 3:04", Some(1_047_840.0)),
            ("1 day, 2:03:04", Some(93_784.0)),
            ("1d 2h 3m 4s", Some(93_784.0)),
            ("00:00:21", Some(21.0)),
            ("21", None),
            ("12 min", Some(720.0)),
            ("59:58", None),
            ("1 month, 2 days", None),
            ("3 weeks", None),
            ("1.2.3", None),
            ("", None),
        ] {
            assert_eq!(span(text), expected, "{text}");
        }
        assert_eq!((number("2021"), number("20x"), number("4.25")), (Some(2021.0), None, Some(4.25)));
        assert_eq!((number("4 %"), number("-4,5°C"), number("1,004.5")), (Some(4.0), Some(-4.5), None));
        assert_eq!(["%", "", "4 pcs", "5,", "2026-01-02", "3C"].map(number), [None; 6]);
    }
}
