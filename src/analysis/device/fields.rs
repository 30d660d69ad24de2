//! The numbers in a topic's messages, one by one: counters with their gaps, values that froze, sensors that fell silent.

use std::borrow::Cow;

use serde_json::Value;

use super::breaks::Breaks;
use super::pace::Pace;
use super::places::last_level;
use super::steps::{Steps, is_sequence};
use super::{At, meaning, quality, supply, texts};
use crate::hash;
use crate::limits::{FIELD_DEPTH_MAX, FIELDS_PER_TOPIC_MAX};

/// The numbers of one topic.
#[derive(Default)]
pub struct Fields {
    pub(super) all: Vec<Field>,
    /// Messages that were objects, or numbers.
    pub(super) messages: u32,
    /// What the latest says in words, and the message since which it does.
    words: u64,
    pub(super) words_since: u32,
    /// Whether what comes is said to be bad.
    is_bad: bool,
    /// Whether a unit stands beside what comes.
    has_unit: bool,
    /// What says of a battery that it has little left, and how.
    pub(super) low: Option<(Box<str>, Box<str>)>,
}

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
    pub(super) rises: u32,
    pub(super) falls: u32,
    last_rise: f64,
    /// The smallest change and the greatest.
    least_step: f64,
    pub(super) greatest_step: f64,
    pub(super) pace: Pace,
    /// The number of the latest message that had it.
    pub(super) last_message: u32,
    /// The least value …
    pub least: f64,
    /// … and the greatest.
    pub greatest: f64,
    /// Whether it never had decimals.
    pub is_whole: bool,
    /// The most decimals that it had: 0, 1, or 2 for more.
    pub(super) decimals: u8,
    pub(super) run: Run,
    pub(super) longest: Run,
    pub(super) second: u32,
    /// As a counter.
    pub steps: Steps,
    /// How often it was null, or no number, after it had been one, and when that was last.
    pub lost: u32,
    pub(super) lost_at: At,
    /// Whether its sender said so.
    pub is_bad: bool,
    /// Whether it was a word for that it failed.
    pub(super) is_failure: bool,
    /// When it fell as an uptime does after a restart.
    pub fell_at: Option<(At, f64, f64)>,
    /// How often it jumped back to where it had fallen from, as no uptime does.
    pub jumps_back: u32,
    /// How often it rose faster than time goes, if it is an uptime in seconds.
    pub leaps: u32,
    /// How often it was what a sensor of temperature says when it has none, and when last: disconnected, power on.
    pub no_temperature: [Option<(u32, At)>; 2],
    /// Whether the latest value is far from the one before, if there was one.
    has_jumped: bool,
    /// When it was last far from the values before, and for how long.
    pub away: Option<Away>,
    /// What breaks with what it was.
    pub breaks: Breaks,
}

/// Values far from those before them.
#[derive(Clone, Copy)]
pub struct Away {
    /// What it was before.
    pub from: f64,
    /// The first that was far from it.
    pub value: f64,
    /// When that came.
    pub at: At,
    /// How many there were.
    pub length: u32,
    /// Whether it came back near to what it was before.
    pub is_over: bool,
}

/// An uptime in seconds grows no faster, whatever delays the messages.
const UPTIME_STEP: f64 = 2.0;
const UPTIME_SLACK: f64 = 10.0;
/// So far a value must jump to be looked at as one that cannot be. What then goes so many times as far counts instead …
pub(super) const FAR: f64 = 50.0;
const FARTHER: f64 = 10.0;
/// … and so much of the jump it may stay away from where it was when it is back.
const BACK: f64 = 0.2;

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
    /// Whether it began with a step far greater than all before.
    pub began_far_off: bool,
    /// When it began.
    pub began: At,
}

impl Fields {
    /// Takes a message's value. `room` is how many new fields may be kept; the number of those that were is returned.
    pub fn record(&mut self, at: At, value: &Value, room: usize) -> usize {
        let before = self.all.len();
        let limit = FIELDS_PER_TOPIC_MAX.min(before + room);
        // On a topic of one number alone its other messages have none.
        let is_of_one = || self.all.first().is_none_or(|first| first.path.is_empty());
        self.messages += u32::from(value.is_object() || is_of_one());
        let words = std::mem::take(&mut self.words);
        self.walk(at, value, &mut String::new(), 0, limit);
        if self.words != words {
            self.words_since = self.messages;
        }
        self.all.len() - before
    }

    /// All of them, in the order in which they were first seen.
    pub fn iter(&self) -> impl Iterator<Item = &Field> {
        self.all.iter()
    }

    /// The connection was away.
    pub(super) fn interrupted(&mut self) {
        self.all.iter_mut().for_each(|field| field.steps.interrupted());
    }

    fn walk(&mut self, at: At, value: &Value, path: &mut String, depth: usize, limit: usize) {
        let is_word = |text: &str| !texts::is_no_number(text) && texts::number(text).is_none();
        match value {
            // What has many digits may be a time, or a name that is another each time.
            Value::String(text) if text.bytes().filter(u8::is_ascii_digit).count() < 3 => {
                self.word(text);
                self.note_low(path, text);
            }
            Value::Bool(value) => self.word(if *value { "true" } else { "false" }),
            _ => {}
        }
        let is_other = match value {
            Value::Bool(_) | Value::Object(_) => true,
            Value::String(text) => is_word(text),
            _ => false,
        };
        if is_other && let Some(field) = self.field(path) {
            field.breaks.note_other(at, value.is_object());
        }
        match value {
            Value::Number(number) => self.number(at, path, number.as_f64().unwrap_or_default(), limit),
            Value::Null => _ = self.lost(at, path),
            Value::String(text) if texts::is_no_number(text) => {
                self.lost(at, path).into_iter().for_each(|field| field.is_failure = texts::is_failure(text));
            }
            Value::String(text) => self.text(at, path, text, limit),
            Value::Object(members) if depth < FIELD_DEPTH_MAX => {
                let bad = quality::bad_value(members);
                let has_unit = members.contains_key("unit");
                for (name, value) in members {
                    self.has_unit = has_unit;
                    let is_bad = bad.is_some_and(|(bad, _)| bad.eq_ignore_ascii_case(name));
                    self.is_bad = is_bad && bad.is_some_and(|(_, is_told)| is_told);
                    let is_none = is_bad && !self.is_bad;
                    self.below(at, name, if is_none { &Value::Null } else { value }, path, depth, limit);
                    self.is_bad = false;
                }
            }
            Value::Array(items) if depth < FIELD_DEPTH_MAX => {
                let are_phases = (2..=PHASES.len()).contains(&items.len()) && meaning::is_measurement(path, "");
                for (place, item) in items.iter().enumerate() {
                    let name = match list_name(item) {
                        Some(name) => name,
                        None if items.len() == 1 && item.is_object() => "0".into(),
                        None if are_phases && item.is_number() => PHASES[place].into(),
                        None => continue,
                    };
                    // A list is no level of its own.
                    self.below(at, &name, item, path, depth.saturating_sub(1), limit);
                }
            }
            _ => {}
        }
    }

    fn note_low(&mut self, path: &str, text: &str) {
        if supply::is_low(text) && (path.is_empty() || supply::is_of_battery(path.rsplit('.').next().unwrap_or(path))) {
            self.low = Some((path.into(), text.into()));
        } else if self.low.as_ref().is_some_and(|(low, _)| **low == *path) {
            self.low = None;
        }
    }

    fn word(&mut self, word: &str) {
        self.words = self.words.rotate_left(5) ^ hash::of_bytes(word.as_bytes());
    }

    fn below(&mut self, at: At, name: &str, value: &Value, path: &mut String, depth: usize, limit: usize) {
        let end = path.len();
        if end > 0 {
            path.push('.');
        }
        path.push_str(&name[..name.floor_char_boundary(40)]);
        self.walk(at, value, path, depth + 1, limit);
        path.truncate(end);
    }

    fn field(&mut self, path: &str) -> Option<&mut Field> {
        self.all.iter_mut().find(|field| *field.path == *path)
    }

    fn number(&mut self, at: At, path: &str, value: f64, limit: usize) {
        let (messages, is_bad) = (self.messages, self.is_bad);
        if let Some(field) = self.field(path) {
            if !is_bad {
                field.add(at, value);
                field.last_message = messages;
            }
        } else if self.all.len() < limit {
            self.all.push(Field { last_message: messages, ..Field::new(at, path, value) });
        }
        if is_bad {
            self.lost(at, path);
        }
    }

    /// A number, an uptime or a sequence number that is written as text. Digits alone may be a name, unless they stand
    /// where there was a number, or beside a unit.
    fn text(&mut self, at: At, path: &str, text: &str, limit: usize) {
        const NEAR: f64 = 100.0;
        if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '.')) {
            return;
        }
        let last = self.field(path).map(|field| field.last);
        let number = match texts::number(text) {
            // What is far away is the number of some command, of which this is the answer.
            Some(number) if is_sequence(path.rsplit('.').next().unwrap_or(path)) => {
                let is_next = |last: f64| (number - last).abs() <= NEAR && (number > 1.0 || last <= 2.0);
                Some(number).filter(|_| last.map_or(number > 1.0, is_next))
            }
            Some(number) => {
                let is_amount = || text.contains(|c: char| !c.is_ascii_digit() && c != '-');
                Some(number).filter(|_| last.is_some() || self.has_unit || is_amount())
            }
            // What restarts begins near nothing.
            None if meaning::is_uptime(path, "") => {
                texts::span(text).filter(|span| last.is_none_or(|last| *span >= last || span * 2.0 < last))
            }
            None => None,
        };
        let Some(number) = number else { return };
        self.number(at, path, number, limit);
        if let Some(field) = self.field(path) {
            field.breaks.note_text(at, field.seen);
        }
    }

    fn lost(&mut self, at: At, path: &str) -> Option<&mut Field> {
        let is_bad = self.is_bad;
        let field = self.field(path)?;
        field.lost += 1;
        field.is_bad |= is_bad;
        field.lost_at = at;
        Some(field)
    }
}

/// The numbers of a list of what is measured.
const PHASES: [&str; 4] = ["0", "1", "2", "3"];

/// How an object in a list is called, where the list has one for each of several things. OCPP has `Power.Active.Import`
/// for the whole, and the same again for each phase.
fn list_name(item: &Value) -> Option<Cow<'_, str>> {
    let named = |name: &str| item.get(name)?.as_str();
    let measurand =
        || named("measurand").filter(|_| named("phase").is_none()).map(|name| name.replace('.', "_").into());
    ["id", "name", "n", "tag", "key"].into_iter().find_map(named).map(Cow::from).or_else(measurand)
}

impl Field {
    fn new(at: At, path: &str, value: f64) -> Self {
        let run = Run { length: 1, value, began: at, ..Run::default() };
        Self {
            path: path.into(),
            seen: 1,
            last: value,
            changes: 0,
            rises: 0,
            falls: 0,
            last_rise: 0.0,
            least_step: f64::INFINITY,
            greatest_step: 0.0,
            pace: Pace::default(),
            last_message: 0,
            least: value,
            greatest: value,
            is_whole: value.fract() == 0.0,
            decimals: decimals(value),
            run,
            longest: Run::default(),
            second: 0,
            steps: Steps::from(at, value),
            lost: 0,
            lost_at: at,
            is_bad: false,
            is_failure: false,
            fell_at: None,
            jumps_back: 0,
            leaps: 0,
            no_temperature: [(value == DISCONNECTED).then_some((1, at)), None],
            has_jumped: true,
            away: None,
            breaks: Breaks::default(),
        }
    }

    fn add(&mut self, at: At, value: f64) {
        self.seen += 1;
        self.steps.add(at, self.last, value);
        self.pace.add(self.steps.last_interval, value - self.last);
        let mut breaks = self.breaks;
        breaks.note(at, value, self);
        self.breaks = breaks;
        self.is_whole &= value.fract() == 0.0;
        if self.decimals < 2 && !self.is_whole {
            self.decimals = self.decimals.max(decimals(value));
        }
        self.note_away(at, value);
        if value == DISCONNECTED {
            self.has_no_temperature(0, at);
        }
        if value == self.last {
            self.run.length += 1;
            return;
        }
        const FAR_OFF: f64 = 2.5;
        let step = (value - self.last).abs();
        let began_far_off = step > FAR_OFF * self.greatest_step;
        (self.least_step, self.greatest_step) = (self.least_step.min(step), self.greatest_step.max(step));
        let jumps = (value - self.last).abs() > JUMP;
        if self.last == POWER_ON && self.run.length <= 2 && self.has_jumped && jumps {
            self.has_no_temperature(1, self.run.began);
        }
        self.has_jumped = jumps;
        self.rises += u32::from(value > self.last);
        // A device that restarts with each message comes back too, no faster than time goes.
        let is_fast = value - self.last > UPTIME_STEP * self.steps.last_interval.as_secs_f64() + UPTIME_SLACK;
        self.leaps += u32::from(is_fast);
        let has_returned =
            |(_, from, to): (At, f64, f64)| is_fast && value >= from && (value - self.last) * 2.0 > from - to;
        self.jumps_back += u32::from(self.fell_at.is_some_and(has_returned));
        if value > self.last {
            self.last_rise = value - self.last;
        } else {
            self.falls += 1;
            if !self.wraps(value) {
                self.fell_at = Some((at, self.last, value));
            }
        }
        (self.least, self.greatest) = (self.least.min(value), self.greatest.max(value));
        self.end_run();
        self.changes += 1;
        self.run = Run { length: 1, value, changes_before: self.changes, began_far_off, began: at };
        self.last = value;
    }

    fn note_away(&mut self, at: At, value: f64) {
        let far = self.away.map_or(FAR, |away| (away.value - away.from).abs());
        match &mut self.away {
            Some(away) if !away.is_over && (value - self.last).abs() < FARTHER * far => {
                away.is_over = (value - away.from).abs() <= BACK * (away.value - away.from).abs();
                away.length += u32::from(!away.is_over);
            }
            _ if (value - self.last).abs() >= far => {
                self.away = Some(Away { from: self.last, value, at, length: 1, is_over: false });
            }
            _ => {}
        }
    }

    fn has_no_temperature(&mut self, which: usize, at: At) {
        let count = self.no_temperature[which].map_or(0, |(count, _)| count);
        self.no_temperature[which] = Some((count + 1, at));
    }

    /// Whether it goes on behind the greatest number of some bytes as it went before.
    fn wraps(&self, to: f64) -> bool {
        const FAST: f64 = 8.0;
        [16, 24, 32].iter().any(|bits| {
            let limit = f64::powi(2.0, *bits);
            let step = to + limit - self.last;
            step > 0.0 && step <= 2.0 * self.last_rise && step * FAST <= limit
        })
    }

    /// How often it was 85 in a row and since when, if it jumped there and stayed.
    pub(super) fn stays_at_power_on(&self) -> Option<(u32, At)> {
        let stays = self.last == POWER_ON && self.has_jumped && self.changes > 0 && self.run.length > 2;
        stays.then_some((self.run.length, self.run.began))
    }

    /// Whether it has grown with each message, but for a fall or two.
    pub fn grows(&self) -> bool {
        const OFTEN: u32 = 8;
        self.seen >= OFTEN && self.changes + 1 == self.seen && self.falls <= 2
    }

    /// Whether it falls more often than anything that restarts.
    pub fn falls_often(&self) -> bool {
        self.falls * 4 >= self.seen
    }

    /// Whether it moved by steps that are small for its decimals: some sensors tell a value anew only when it is far from
    /// the one that they told before.
    pub(super) fn has_small_steps(&self) -> bool {
        const OFTEN: u32 = 12;
        let small = if self.changes < OFTEN { [5.5, 0.55, 0.055] } else { [5.5, 0.15, 0.045] };
        self.least_step < small[usize::from(self.decimals.min(2))]
    }

    fn end_run(&mut self) {
        if self.run.length > self.longest.length {
            self.second = self.longest.length;
            self.longest = self.run;
        } else {
            self.second = self.second.max(self.run.length);
        }
    }

    /// Whether it counts messages.
    pub fn is_counter(&self, topic: &str) -> bool {
        self.steps.count_messages(self.name(topic))
    }

    /// Its own name: the whole payload is called as its topic is.
    pub fn name<'a>(&'a self, topic: &'a str) -> &'a str {
        if self.path.is_empty() { last_level(topic) } else { self.path.rsplit('.').next().unwrap_or_default() }
    }
}

/// How many decimals a number has: 0, 1, or 2 for more.
pub(super) fn decimals(value: f64) -> u8 {
    let has = |factor: f64| (value * factor - (value * factor).round()).abs() > 1e-6;
    u8::from(has(1.0)) + u8::from(has(10.0))
}

#[cfg(test)]
#[path = "fields_tests.rs"]
mod tests;
