//! The numbers in a topic's messages, one by one: counters with their gaps, values that froze, sensors that fell silent.

use std::time::Duration;

use serde_json::Value;

use super::At;
use super::steps::Steps;
use crate::limits::{FIELD_DEPTH_MAX, FIELDS_PER_TOPIC_MAX, NEVER_MOVED_FOR, NEVER_MOVED_MESSAGES};

/// The numbers of one topic.
#[derive(Default)]
pub struct Fields(Vec<Field>);

/// One number over time.
pub struct Field {
    /// Its members' names, joined by dots; empty when the whole payload is the number.
    pub path: Box<str>,
    /// How often it was there.
    pub seen: u32,
    /// The latest value.
    pub last: f64,
    /// How often it changed.
    pub changes: u32,
    rises: u32,
    falls: u32,
    least: f64,
    greatest: f64,
    run: Run,
    longest: Run,
    second: u32,
    /// As a counter.
    pub steps: Steps,
    /// How often it was null, or no number, after it had been one.
    pub lost: u32,
    /// When that was last.
    pub lost_at: At,
    /// When it fell as an uptime does after a restart.
    pub fell_at: Option<(At, f64, f64)>,
    /// How often it was what a sensor of temperature says when it has none, and when last: disconnected, power on.
    pub no_temperature: [Option<(u32, At)>; 2],
    /// Whether the latest value is far from the one before, if there was one.
    has_jumped: bool,
}

/// A DS18B20 that does not answer, as its libraries tell it …
pub const DISCONNECTED: f64 = -127.0;
/// … and one that was not asked to measure since it has power.
pub const POWER_ON: f64 = 85.0;
/// Water that is really that hot gets there by steps.
const JUMP: f64 = 20.0;

/// Equal values in a row.
#[derive(Clone, Copy, Default)]
pub struct Run {
    /// How many.
    pub length: u32,
    /// The value.
    pub value: f64,
    /// Changes before it.
    pub changes_before: u32,
    /// When it began.
    pub began: At,
}

impl Fields {
    /// Takes a message's value. `room` is how many new fields may be kept; the number of those that were is returned.
    pub fn record(&mut self, at: At, value: &Value, room: usize) -> usize {
        let before = self.0.len();
        let limit = FIELDS_PER_TOPIC_MAX.min(before + room);
        self.walk(at, value, &mut String::new(), 0, limit);
        self.0.len() - before
    }

    /// All of them, in the order in which they were first seen.
    pub fn iter(&self) -> impl Iterator<Item = &Field> {
        self.0.iter()
    }

    fn walk(&mut self, at: At, value: &Value, path: &mut String, depth: usize, limit: usize) {
        match value {
            Value::Number(number) => self.number(at, path, number.as_f64().unwrap_or_default(), limit),
            Value::Null => self.lost(at, path),
            Value::String(text) if is_no_number(text) => self.lost(at, path),
            Value::Object(members) if depth < FIELD_DEPTH_MAX => {
                for (name, value) in members {
                    let end = path.len();
                    if end > 0 {
                        path.push('.');
                    }
                    path.push_str(&name[..name.floor_char_boundary(40)]);
                    self.walk(at, value, path, depth + 1, limit);
                    path.truncate(end);
                }
            }
            _ => {}
        }
    }

    fn number(&mut self, at: At, path: &str, value: f64, limit: usize) {
        if let Some(field) = self.0.iter_mut().find(|field| *field.path == *path) {
            field.add(at, value);
        } else if self.0.len() < limit {
            self.0.push(Field::new(at, path, value));
        }
    }

    fn lost(&mut self, at: At, path: &str) {
        if let Some(field) = self.0.iter_mut().find(|field| *field.path == *path) {
            field.lost += 1;
            field.lost_at = at;
        }
    }
}

/// What sensors say when they have no number.
pub fn is_no_number(text: &str) -> bool {
    ["nan", "null", "unavailable", "none", "inf", "-inf", "err", "error"]
        .iter()
        .any(|word| word.eq_ignore_ascii_case(text.trim()))
}

impl Field {
    fn new(at: At, path: &str, value: f64) -> Self {
        let run = Run { length: 1, value, changes_before: 0, began: at };
        Self {
            path: path.into(),
            seen: 1,
            last: value,
            changes: 0,
            rises: 0,
            falls: 0,
            least: value,
            greatest: value,
            run,
            longest: Run::default(),
            second: 0,
            steps: Steps::from(at, value),
            lost: 0,
            lost_at: at,
            fell_at: None,
            no_temperature: [(value == DISCONNECTED).then_some((1, at)), None],
            has_jumped: true,
        }
    }

    fn add(&mut self, at: At, value: f64) {
        self.seen += 1;
        self.steps.add(at, self.last, value);
        if value == DISCONNECTED {
            self.has_no_temperature(0, at);
        }
        if value == self.last {
            self.run.length += 1;
            return;
        }
        let jumps = (value - self.last).abs() > JUMP;
        if self.last == POWER_ON && self.run.length <= 2 && self.has_jumped && jumps {
            self.has_no_temperature(1, self.run.began);
        }
        self.has_jumped = jumps;
        self.rises += u32::from(value > self.last);
        if value < self.last {
            self.falls += 1;
            self.fell_at = Some((at, self.last, value));
        }
        (self.least, self.greatest) = (self.least.min(value), self.greatest.max(value));
        self.end_run();
        self.changes += 1;
        self.run = Run { length: 1, value, changes_before: self.changes, began: at };
        self.last = value;
    }

    fn has_no_temperature(&mut self, which: usize, at: At) {
        let count = self.no_temperature[which].map_or(0, |(count, _)| count);
        self.no_temperature[which] = Some((count + 1, at));
    }

    /// Whether it falls more often than anything that restarts.
    pub fn falls_often(&self) -> bool {
        self.falls * 4 >= self.seen
    }

    fn end_run(&mut self) {
        if self.run.length > self.longest.length {
            self.second = self.longest.length;
            self.longest = self.run;
        } else {
            self.second = self.second.max(self.run.length);
        }
    }

    /// The time in which a value that had moved was always the same, if that is too long to be chance.
    pub fn frozen(&self) -> Option<Run> {
        let (longest, second) = match self.run.length > self.longest.length {
            true => (self.run, self.longest.length),
            false => (self.longest, self.second.max(self.run.length)),
        };
        let rests = matches!(longest.value, 0.0 | 1.0 | 100.0 | 255.0);
        // What only grows, as a total does, may rest.
        let moves_both_ways = self.rises > 0 && self.falls > 0;
        // The finer the value, the less often it is the same by chance.
        let (moved, least, times, step) = match decimals(longest.value) {
            0 => (15, 20, 8, 1.0),
            1 => (8, 12, 5, 0.1),
            _ => (4, 10, 4, 0.01),
        };
        let is_fine = self.greatest - self.least >= 5.0 * step;
        let is_long = longest.length >= least && longest.length >= times * second.max(1);
        (!rests && moves_both_ways && is_fine && is_long && longest.changes_before >= moved).then_some(longest)
    }

    /// Whether it is fine enough to move and never did, until `end`.
    pub fn never_moved(&self, end: At) -> bool {
        // The greatest number of two bytes stands for none.
        if [327.67, 327.68, 3276.7, 3276.8].contains(&self.last.abs()) {
            return false;
        }
        let (messages, time) = match decimals(self.last) {
            0 => return false,
            1 => (NEVER_MOVED_MESSAGES * 3 / 2, NEVER_MOVED_FOR),
            _ => (NEVER_MOVED_MESSAGES, Duration::ZERO),
        };
        self.changes == 0 && self.seen >= messages && end.elapsed.saturating_sub(self.run.began.elapsed) >= time
    }

    /// Whether it counts messages.
    pub fn is_counter(&self, topic: &str) -> bool {
        self.steps.count_messages(self.name(topic))
    }

    /// Its own name: the whole payload is called as its topic is.
    pub fn name<'a>(&'a self, topic: &'a str) -> &'a str {
        let of = if self.path.is_empty() { topic.rsplit('/').next() } else { self.path.rsplit('.').next() };
        of.unwrap_or_default()
    }
}

/// How many decimals a number has: 0, 1, or 2 for more.
fn decimals(value: f64) -> u8 {
    let has = |factor: f64| (value * factor - (value * factor).round()).abs() > 1e-6;
    u8::from(has(1.0)) + u8::from(has(10.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(name: &str, values: impl IntoIterator<Item = f64>) -> Fields {
        let mut fields = Fields::default();
        values.into_iter().for_each(|value| _ = fields.record(At::default(), &json!({name: value}), 100));
        fields
    }

    #[test]
    fn what_a_sensor_says_without_a_temperature_is_told_from_heat() {
        for (values, expected) in [
            (&[21.0, 21.1, -127.0, 21.1][..], [1, 0]),
            (&[-127.0, -127.0], [2, 0]),
            (&[85.0, 21.1, 21.2], [0, 1]),
            (&[21.0, 85.0, 21.1, 85.0, 21.2], [0, 2]),
            (&[21.0, 85.0, -127.0, -127.0, 21.2], [2, 1]),
            (&[70.0, 79.0, 85.0, 79.0], [0, 0]),
            (&[70.0, 79.0, 85.0, 21.0], [0, 0]),
            (&[21.0, 85.0, 79.0], [0, 0]),
            (&[85.0, 85.0, 85.0, 85.0, 60.0], [0, 0]),
        ] {
            let fields = of("t", values.iter().copied());
            let told = fields.iter().next().expect("a field").no_temperature;
            assert_eq!(told.map(|told| told.map_or(0, |(count, _)| count)), expected, "{values:?}");
        }
    }

    fn frozen(values: Vec<f64>) -> bool {
        of("v", values).iter().next().expect("a field").frozen().is_some()
    }

    #[test]
    fn a_value_that_moved_and_stands_still_is_told_from_one_that_rests() {
        let noise = |n: u32| 20.0 + f64::from(n * 7919 % 13) / 10.0 + 0.05;
        let moving: Vec<f64> = (0..30).map(noise).collect();
        assert!(!frozen(moving.clone()));
        assert!(frozen([moving.clone(), vec![20.35; 20]].concat()));
        assert!(frozen([moving.clone(), vec![20.35; 20], moving.clone()].concat()), "also when it moves again");
        assert!(!frozen([moving.clone(), vec![0.0; 50]].concat()), "switched off");
        assert!(!frozen((0..40).map(|n| f64::from(n / 20)).collect()), "a few steps");
        assert!(!frozen([(0..20).map(|n| f64::from(n) + 0.5).collect(), vec![20.5; 30]].concat()), "a total at rest");
    }

    #[test]
    fn a_number_that_is_lost_is_counted_and_memory_has_a_bound() {
        let mut fields = of("t", [20.0, 21.0, 22.0]);
        for value in [json!({"t": null}), json!({"t": "nan"}), json!({"other": null})] {
            fields.record(At::default(), &value, 100);
        }
        assert_eq!(fields.iter().next().expect("a field").lost, 2);
        let wide: serde_json::Map<_, _> = (0..1000).map(|n| (format!("{n}"), json!(n))).collect();
        assert_eq!(fields.record(At::default(), &Value::Object(wide.clone()), 5), 5);
        fields.record(At::default(), &Value::Object(wide), 10_000);
        assert_eq!(fields.iter().count(), FIELDS_PER_TOPIC_MAX);
    }
}
