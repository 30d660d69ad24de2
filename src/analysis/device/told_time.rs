//! Times that payloads tell of themselves.

use crate::analysis::words::{is_called, is_in};

/// A time in milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ToldTime {
    /// With its zone.
    Exact(i64),
    /// Local time without a zone, read as if it were UTC.
    Local(i64),
}

/// Whether a member of that name tells when its message was made. Names of other events (`last_boot`) do not.
pub fn is_name(path: &str) -> bool {
    const NAMES: &[&str] = &[
        "timestamp",
        "ts",
        "time",
        "datetime",
        "date_time",
        "sent_at",
        "last_seen",
        "unixtime",
        "epoch",
        "utc",
        "time_stamp",
    ];
    let name = path.rsplit('.').next().unwrap_or(path);
    let name = name.strip_suffix("_ms").unwrap_or(name);
    is_in(NAMES, name) && path.matches('.').count() <= 1
}

/// Whether a member of that name may tell the same, or when something else was last: one that goes as the time does, and
/// is far from it, is a clock.
pub fn may_be_name(path: &str) -> bool {
    const NAMES: &[&str] = &[
        "updated",
        "lastupdated",
        "lastupdate",
        "updatedat",
        "createdat",
        "enqueuedtime",
        "tst",
        "eventtime",
        "publishedat",
        "measuredat",
        "recordedat",
        "dateutc",
        "sourcetimestamp",
    ];
    let name = path.rsplit('.').next().unwrap_or(path);
    is_called(NAMES, name) && path.matches('.').count() <= 1
}

/// Seconds, or thousandths, millionths or billionths of one, since 1970, when it can be that: 2001 to 2100.
pub fn of_number(value: f64) -> Option<ToldTime> {
    let ms = [1e3, 1.0, 1e-3, 1e-6].into_iter().map(|unit| value * unit).find(|ms| (1e12..4.1e12).contains(ms))?;
    Some(ToldTime::Exact(ms as i64))
}

/// The same; what is called so and is smaller was counted from 1970 by a clock that nobody has set.
pub fn of_number_called(name: &str, value: f64) -> Option<ToldTime> {
    let is_unix = is_in(&["unixtime", "epoch"], name);
    of_number(value)
        .or_else(|| (is_unix && (0.0..1e9).contains(&value)).then_some(ToldTime::Exact((value * 1e3) as i64)))
}

/// `2025-03-01T12:00:00.5+01:00` and its kin.
pub fn of_text(text: &str) -> Option<ToldTime> {
    let text = text.trim();
    let bytes = text.as_bytes();
    if bytes.len() < 19 || bytes[4] != b'-' || bytes[7] != b'-' || !matches!(bytes[10], b'T' | b't' | b' ') {
        return None;
    }
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok().filter(|number| *number >= 0);
    let days = days_since_1970(number(0, 4)?, number(5, 7)?, number(8, 10)?)?;
    let seconds = number(11, 13)? * 3600 + number(14, 16)? * 60 + number(17, 19)?;
    let mut rest = text.get(19..)?;
    let mut ms = (days * 86_400 + seconds) * 1000;
    if let Some(fraction) = rest.strip_prefix(['.', ',']) {
        let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
        // Of `5`, `50`, `500` and `5009` the same 500 ms.
        ms += fraction
            .bytes()
            .take(digits)
            .zip([100, 10, 1])
            .map(|(digit, of_ms)| i64::from(digit - b'0') * of_ms)
            .sum::<i64>();
        rest = &fraction[digits..];
    }
    let zone = rest.trim();
    if zone.is_empty() {
        return Some(ToldTime::Local(ms));
    }
    if zone.eq_ignore_ascii_case("z") || zone == "UTC" {
        return Some(ToldTime::Exact(ms));
    }
    let sign = if zone.starts_with('-') { -1 } else { 1 };
    let digits: String = zone.strip_prefix(['+', '-'])?.chars().filter(char::is_ascii_digit).collect();
    let (hours, minutes) =
        (digits.get(0..2)?.parse::<i64>().ok()?, digits.get(2..4).unwrap_or("0").parse::<i64>().ok()?);
    Some(ToldTime::Exact(ms - sign * (hours * 60 + minutes) * 60_000))
}

impl ToldTime {
    /// How far it is from `unix_ms`, in milliseconds: positive when it is ahead. The offset of a local time is told up to
    /// whole quarters of an hour, which zones differ by.
    pub fn offset_from(self, unix_ms: u64) -> i64 {
        const QUARTER_MS: i64 = 900_000;
        const ZONES_MS: i64 = 14 * 4 * QUARTER_MS;
        match self {
            Self::Exact(ms) => ms - unix_ms as i64,
            Self::Local(ms) => {
                let offset = ms - unix_ms as i64;
                let within = (offset + QUARTER_MS / 2).rem_euclid(QUARTER_MS) - QUARTER_MS / 2;
                if offset.abs() <= ZONES_MS { within } else { offset }
            }
        }
    }
}

/// Whether it is the first of January in some year that clocks may begin with.
pub(super) fn is_new_year(ms: i64) -> bool {
    (2010..2100).any(|year| days_since_1970(year, 1, 1) == Some(ms.div_euclid(86_400_000)))
}

/// Days from 1970 to a date of the Gregorian calendar.
fn days_since_1970(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Years begin in March: leap days come last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    Some(
        year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + (month * 153 + 2) / 5 + day
            - 719_469,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_their_usual_forms() {
        let noon = 1_740_830_400_000;
        for (text, expected) in [
            ("2025-03-01T12:00:00Z", Some(ToldTime::Exact(noon))),
            ("2025-03-01 12:00:00.250Z", Some(ToldTime::Exact(noon + 250))),
            ("2025-03-01T13:00:00+01:00", Some(ToldTime::Exact(noon))),
            ("2025-03-01T06:30:00-0530", Some(ToldTime::Exact(noon))),
            ("2025-03-01T12:00:00", Some(ToldTime::Local(noon))),
            ("1970-01-01T00:00:00Z", Some(ToldTime::Exact(0))),
            ("12:00", None),
            ("2025-13-01T12:00:00Z", None),
            ("2025-03-01Tüüüüüüüü", None),
        ] {
            assert_eq!(of_text(text), expected, "{text}");
        }
        for value in [1_740_830_400.0, 1_740_830_400_000.0, 1_740_830_400e6, 1_740_830_400e9] {
            assert_eq!(of_number(value), Some(ToldTime::Exact(noon)), "{value}");
        }
        assert_eq!((of_number(21.5), of_number(-1.0)), (None, None));
    }

    #[test]
    fn local_times_are_compared_up_to_their_zone() {
        let noon = 1_740_830_400_000u64;
        let local = |ms: i64| ToldTime::Local(noon as i64 + ms).offset_from(noon);
        assert_eq!(local(3_600_000), 0);
        assert_eq!(local(-5 * 3_600_000 - 1_800_000 + 40_000), 40_000);
        assert_eq!(local(400 * 86_400_000), 400 * 86_400_000);
        assert_eq!(ToldTime::Exact(noon as i64 - 5000).offset_from(noon), -5000);
    }

    #[test]
    fn names_of_other_events_tell_no_time_of_the_message() {
        for name in ["timestamp", "Time", "ts", "params.ts", "last_seen", "ts_ms"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["last_boot", "uptime", "StartTime", "a.b.time", "timer"] {
            assert!(!is_name(name) && !may_be_name(name), "{name}");
        }
        for name in ["last_updated", "lastUpdate", "enqueuedTime", "params.updated"] {
            assert!(!is_name(name) && may_be_name(name), "{name}");
        }
    }
}
