//! Time as a value: read by the runtime, the driver and the tools, handed to everything else.

use std::fmt;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Serialize, Serializer};

/// One moment on both clocks: `at` for waiting, `unix_ms` for showing. They are read together because a gateway
/// without a battery-backed clock may step its wall clock by years while a call runs.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// Monotonic time.
    pub at: Instant,
    /// Milliseconds since 1970 in UTC.
    pub unix_ms: u64,
}

impl Now {
    /// Reads both clocks.
    pub fn read() -> Self {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { at: Instant::now(), unix_ms: unix.as_millis() as u64 }
    }

    /// This moment, `later` on.
    pub fn plus(self, later: Duration) -> Self {
        Self { at: self.at + later, unix_ms: self.unix_ms + later.as_millis() as u64 }
    }

    /// The wall-clock time that `at` has or will have if the clock is not set meanwhile.
    pub fn timestamp_at(self, at: Instant) -> Timestamp {
        match at.checked_duration_since(self.at) {
            Some(ahead) => Timestamp(self.unix_ms + ahead.as_millis() as u64),
            None => Timestamp(self.unix_ms.saturating_sub((self.at - at).as_millis() as u64)),
        }
    }

    /// This moment for a result.
    pub fn timestamp(self) -> Timestamp {
        Timestamp(self.unix_ms)
    }
}

/// Milliseconds since 1970, shown as RFC 3339 in UTC with milliseconds and `Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(pub u64);

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Beyond the year 9999 the formatter refuses; a broken clock must not cost the result.
        let last_valid_ms = 253_402_300_799_999;
        let time = UNIX_EPOCH + Duration::from_millis(self.0.min(last_valid_ms));
        humantime::format_rfc3339_millis(time).fmt(f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A duration in milliseconds with three decimals, for `_ms` fields.
pub fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

/// A duration in seconds with three decimals, for `_seconds` fields.
pub fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e3).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_are_rfc3339_utc_with_milliseconds() {
        let shown = |ms| serde_json::to_string(&Timestamp(ms)).expect("json");
        assert_eq!(shown(1_519_777_668_133), "\"2018-02-28T00:27:48.133Z\"");
        assert_eq!(shown(0), "\"1970-01-01T00:00:00.000Z\"");
        assert_eq!(shown(u64::MAX), "\"9999-12-31T23:59:59.999Z\"");
    }

    #[test]
    fn a_moment_maps_monotonic_time_to_the_wall_clock_both_ways() {
        let now = Now { at: Instant::now(), unix_ms: 10_000 };
        let later = now.plus(Duration::from_millis(1500));
        assert_eq!(now.timestamp_at(later.at), Timestamp(11_500));
        assert_eq!(later.timestamp_at(now.at), Timestamp(10_000));
    }
}
