//! How far the times that a device tells are from those at which its messages came.

use std::time::Duration;

use super::findings::{Finding, Grade, span, time};
use super::model::Device;
use super::numbers::of_topic;
use super::places::last_level;
use super::told_time::{self, ToldTime};
use super::{At, meaning, presence, witnesses};
use crate::analysis::decimal::{self, Decimal};
use crate::analysis::words::count;
use crate::clock::Timestamp;
use crate::limits::{CLOCK_OFFSET_MAX, DEVICE_CLOCKS_MAX, STALE_AFTER};

/// The clocks that a device's messages show.
#[derive(Default)]
pub struct Clocks {
    all: Vec<Clock>,
    /// Whether a live message told the time that it is here, on whatever topic.
    pub(super) are_some_right: bool,
}

/// What a clock that goes as it should may differ in, beside a tenth: messages wait, and some tell whole seconds.
const UNEVEN: Duration = Duration::from_secs(5);

const DAY_MS: i64 = 86_400_000;

/// What tells when something else was last read is behind by no more.
const READ_LATE_MS: i64 = 900_000;

/// One member of one topic that tells the time.
pub struct Clock {
    /// The topic.
    pub topic: Box<str>,
    /// The member.
    pub path: Box<str>,
    /// Live messages that told it, since it jumped if it did so once.
    pub count: u32,
    /// Whether it was suddenly far from what it had been.
    has_jumped: bool,
    /// Offsets in milliseconds, positive when ahead: the least …
    pub least: i64,
    /// … and the greatest.
    pub greatest: i64,
    /// Whether its name means nothing else.
    is_sure: bool,
    /// The first live time, and when it came.
    first: (i64, At),
    /// Whether the time came without its zone.
    pub is_local: bool,
    /// The latest time that was told, in milliseconds since 1970, and when.
    pub latest: (i64, At),
    /// The time in the retained message, while no live one came.
    pub retained: Option<i64>,
}

impl Clocks {
    /// Takes the time in a message.
    pub fn record(&mut self, at: At, topic: &str, path: &str, time: ToldTime, retain: bool) {
        let offset = time.offset_from(at.unix_ms);
        let (ToldTime::Exact(ms) | ToldTime::Local(ms)) = time;
        self.are_some_right |=
            !retain && offset.abs() <= CLOCK_OFFSET_MAX.as_millis() as i64 && offset == ms - at.unix_ms as i64;
        let has_room = self.all.len() < DEVICE_CLOCKS_MAX;
        let known = self.all.iter_mut().find(|clock| *clock.topic == *topic && *clock.path == *path);
        match known {
            Some(clock) if !retain => {
                let jumps = clock.count > 0 && !clock.has_jumped && clock.is_far(offset);
                if clock.count == 0 || jumps {
                    (clock.count, clock.has_jumped) = (0, jumps);
                    (clock.least, clock.greatest, clock.first) = (offset, offset, (ms, at));
                }
                clock.count += 1;
                (clock.least, clock.greatest) = (clock.least.min(offset), clock.greatest.max(offset));
                (clock.latest, clock.retained) = ((ms, at), None);
            }
            None if has_room => self.all.push(Clock {
                topic: topic.into(),
                path: path.into(),
                is_sure: told_time::is_name(if path.is_empty() { last_level(topic) } else { path }),
                count: u32::from(!retain),
                has_jumped: false,
                first: (ms, at),
                least: offset,
                greatest: offset,
                is_local: matches!(time, ToldTime::Local(_)),
                latest: (ms, at),
                retained: retain.then_some(ms),
            }),
            _ => {}
        }
    }

    /// Takes the first time that a payload tells.
    pub fn record_json(&mut self, at: At, topic: &str, value: &serde_json::Value, retain: bool) {
        if retain && is_status(topic, value) {
            return;
        }
        let mut perhaps = None;
        if let Some((path, time)) = first_time(value, "", &mut perhaps).or(perhaps) {
            self.record(at, topic, &path, time, retain);
        }
    }

    /// Takes the time that is the whole of a live payload, also under any other name when it is days away: what comes
    /// soon, as the end of some work, may go as the time does.
    pub fn record_text(&mut self, at: At, topic: &str, text: &str) {
        let (name, text) = (last_level(topic), text.trim_matches('"'));
        let is_known = told_time::is_name(name) || told_time::may_be_name(name);
        let number = || told_time::of_number(decimal::read(text.trim())?).filter(|_| is_known);
        let is_away = |time: &ToldTime| is_known || time.offset_from(at.unix_ms).abs() > DAY_MS;
        if let Some(time) = told_time::of_text(text).or_else(number).filter(is_away) {
            self.record(at, topic, "", time, false);
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Clock> {
        self.all.iter()
    }
}

impl Clock {
    /// By how many quarters of an hour it differs from others that tell their local time in the same way, and agree.
    pub fn off_zone(&self, others: &Clocks) -> Option<i64> {
        const QUARTER_MS: i64 = 900_000;
        let quarters =
            |clock: &Clock| (clock.latest.0 - clock.latest.1.unix_ms as i64 + QUARTER_MS / 2).div_euclid(QUARTER_MS);
        let is_alike = |other: &&Clock| {
            let same_end = last_level(&other.topic) == last_level(&self.topic);
            other.count > 0 && other.is_local && other.path == self.path && same_end
        };
        let alike = || others.iter().filter(is_alike).map(quarters);
        let first = alike().next()?;
        let is_told = self.is_local && self.count > 1 && self.goes() && alike().count() > 1;
        (is_told && alike().all(|other| other == first)).then(|| quarters(self) - first).filter(|off| *off != 0)
    }

    /// Whether it is days away, and another one exactly as far: messages that are played again, or this machine's clock.
    /// One that nobody has set begins with 1970 or 2000.
    pub(super) fn is_days_away_with(&self, other: &Self) -> bool {
        let told = if self.is_local || other.is_local { ToldTime::Local } else { ToldTime::Exact }(self.latest.0);
        let by_other = (self.latest.1.unix_ms as i64 + other.offset()).max(0) as u64;
        let is_set = !self.was_never_set() && !other.was_never_set();
        let is_near = told.offset_from(by_other).abs() <= CLOCK_OFFSET_MAX.as_millis() as i64;
        other.count > 1 && other.goes() && is_set && is_near && self.offset().abs() > DAY_MS
    }

    /// Whether it tells a time before anything could have been recorded: nobody has set it since it has power.
    pub(super) fn was_never_set(&self) -> bool {
        const YEAR_2010_MS: i64 = 1_262_304_000_000;
        self.latest.0 < YEAR_2010_MS
    }

    /// Whether it may be of messages that are played again: they tell the past, and not the day with which clocks of
    /// devices that lost power together begin.
    pub(super) fn may_be_recorded(&self) -> bool {
        self.offset() < 0 && !told_time::is_new_year(self.latest.0)
    }

    fn offset(&self) -> i64 {
        self.latest.0 - self.latest.1.unix_ms as i64
    }

    /// Whether an offset is far from all that were.
    fn is_far(&self, offset: i64) -> bool {
        const FAR_MS: i64 = 60_000;
        offset < self.least - FAR_MS || offset > self.greatest + FAR_MS
    }

    /// Whether enough messages told it: more where it jumped, and may do so again.
    fn is_told_often(&self, least: u32) -> bool {
        const BEHIND_JUMP: u32 = 5;
        self.count >= if self.has_jumped { BEHIND_JUMP } else { least.max(2 - u32::from(self.is_sure)) }
    }

    /// Whether it is surely a clock, and goes.
    pub(super) fn is_witness(&self) -> bool {
        self.count > 0 && self.is_sure && self.goes()
    }

    /// Whether it goes as this machine's does. A time that stands still is that of some event, one that runs faster is
    /// of messages that waited, or are played again.
    pub fn goes(&self) -> bool {
        let passed = self.latest.1.elapsed.saturating_sub(self.first.1.elapsed);
        let uneven = Duration::from_millis(self.greatest.abs_diff(self.least));
        let moves = self.latest.0 != self.first.0;
        self.count == 1 || (moves && uneven <= UNEVEN + passed / 10)
    }
}

/// Adds what the device's times show: a clock that is wrong, and messages that are old.
pub(super) fn judge(device: &Device, end: At, found: &mut Vec<Finding>) {
    let limit = CLOCK_OFFSET_MAX.as_millis() as i64;
    let ahead = |clock: &Clock| clock.least > limit;
    // What was read from elsewhere is told late.
    let behind = |clock: &Clock| clock.greatest < if clock.is_sure { -limit } else { -READ_LATE_MS };
    // A single time is looked at only when there is nothing better.
    let least = if device.clocks.iter().any(|clock| clock.count > 1) { 2 } else { 1 };
    let wrong = device.clocks.iter().filter(|clock| clock.is_told_often(least) && clock.goes());
    // One device has one clock: the topic that tells it most often stands for all.
    if let Some(clock) = wrong.filter(|clock| ahead(clock) || behind(clock)).max_by_key(|clock| clock.count) {
        let nearest = if ahead(clock) { clock.least } else { clock.greatest };
        let is_ours = witnesses::blame_this_machine(device, clock);
        let word = if ahead(clock) { "ahead of" } else { "behind" };
        let zone =
            if clock.is_local { ", not counting whole quarters of an hour, which may be its time zone" } else { "" };
        let told_alike = if is_ours {
            "; other devices tell the same, so it is rather this machine's clock that is wrong"
        } else {
            ""
        };
        found.push(Finding {
            kind: if is_ours { "clock_of_this_machine" } else { "clock_offset" },
            severity: if clock.count > 1 && !is_ours { Grade::Warning } else { Grade::Info },
            finding: format!(
                "the times that the device tells are {} {word} this machine's{zone}{told_alike}",
                span(Duration::from_millis(nearest.unsigned_abs()))
            ),
            evidence: vec![format!(
                "{} told {} in a message that came at {} ({}, offsets {} to {} ms)",
                of_topic(&clock.topic, &clock.path),
                Timestamp(clock.latest.0.max(0) as u64),
                time(clock.latest.1),
                count(clock.count.into(), "message"),
                clock.least,
                clock.greatest
            )],
            advice: if is_ours {
                "check NTP on this machine; if the messages are a recording that is played again, this is no fault"
            } else {
                "check NTP on the device; a queue that delays messages looks the same"
            },
        });
    }
    stale(device, end, found);
    zones(device, found);
}

/// What the broker keeps and nobody has renewed for long.
fn stale(device: &Device, end: At, found: &mut Vec<Finding>) {
    // When every clock here is behind, it is this machine's that is ahead.
    let live = device.clocks.iter().chain(device.other_clocks.iter()).filter(|clock| clock.count > 0);
    let behind_all = live.map(|clock| clock.greatest).max().unwrap_or(0).min(0);
    let age = |ms: i64| end.unix_ms as i64 - ms + behind_all;
    let kept = device.clocks.iter().filter(|clock| clock.is_sure);
    let stale = kept.filter_map(|clock| clock.retained.map(|ms| (clock, ms)));
    for (clock, ms) in stale.filter(|(_, ms)| age(*ms) > STALE_AFTER.as_millis() as i64).take(DEVICE_CLOCKS_MAX) {
        found.push(Finding {
            kind: "stale_retained",
            severity: Grade::Warning,
            finding: format!("what the broker keeps on {} is {} old", clock.topic, span(Duration::from_millis(age(ms) as u64))),
            evidence: vec![format!("{} = {} in the retained message; nothing live came", clock.path, Timestamp(ms.max(0) as u64))],
            advice: "new subscribers take it for the present state: find out why the device no longer publishes it, or delete it with clear_retained",
        });
    }
}

/// Whether a message tells how something is, and perhaps since when, rather than what was measured.
fn is_status(topic: &str, value: &serde_json::Value) -> bool {
    let measures =
        |(name, value): (&String, &serde_json::Value)| value.is_number() && meaning::is_measurement(name, topic);
    presence::is_name(topic) && !value.as_object().is_some_and(|members| members.iter().any(measures))
}

/// A local time in another zone than those that others tell in the same way.
fn zones(device: &Device, found: &mut Vec<Finding>) {
    if let Some((clock, quarters)) =
        device.clocks.iter().find_map(|clock| Some((clock, clock.off_zone(&device.other_clocks)?)))
    {
        found.push(Finding {
            kind: "clock_offset",
            severity: Grade::Warning,
            finding: format!(
                "the local time that {} tells is {} h from that of its kind",
                clock.topic,
                Decimal(quarters as f64 / 4.0)
            ),
            evidence: vec![format!(
                "{} in the message that came at {}",
                Timestamp(clock.latest.0.max(0) as u64),
                time(clock.latest.1)
            )],
            advice: "check the device's time zone and daylight saving",
        });
    }
}

/// The one item of a list, as OPC UA's messages come in.
fn only(value: &serde_json::Value) -> &serde_json::Value {
    match value.as_array().map(Vec::as_slice) {
        Some([item]) => item,
        _ => value,
    }
}

/// The first member that surely tells the time, here or one level below, or two where a shadow of the device tells what it
/// reported; the first that may is left in `perhaps`.
fn first_time(value: &serde_json::Value, prefix: &str, perhaps: &mut Option<Told>) -> Option<Told> {
    let members = value.as_object()?;
    for (name, value) in members {
        let is_sure = told_time::is_name(name);
        if !is_sure && (perhaps.is_some() || !told_time::may_be_name(name)) {
            continue;
        }
        let time = match value {
            serde_json::Value::Number(number) => {
                number.as_f64().and_then(|number| told_time::of_number_called(name, number))
            }
            serde_json::Value::String(text) => {
                told_time::of_text(text).or_else(|| told_time::of_number(decimal::read(text)?))
            }
            _ => None,
        };
        let told = time.map(|time| (format!("{prefix}{name}"), time));
        if is_sure && told.is_some() {
            return told;
        } else if !is_sure {
            *perhaps = told;
        }
    }
    let below = |(name, value)| {
        let value = only(value);
        // Most members have nothing below them.
        if value.is_object() { first_time(value, &format!("{prefix}{name}."), perhaps) } else { None }
    };
    match prefix {
        "" => members.iter().find_map(below),
        "state." => members.get_key_value("reported").and_then(below),
        _ => None,
    }
}

/// The path of a member and the time that it tells.
type Told = (String, ToldTime);

#[cfg(test)]
#[path = "clocks_tests.rs"]
mod tests;
