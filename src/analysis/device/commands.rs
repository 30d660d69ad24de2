//! Commands to a device, and the answers that followed.

use std::time::Duration;

use serde_json::Value;

use super::At;
use super::answers::{
    belongs, is_below, is_below_commands, is_response, is_value, is_wled, keeps_alive, names, tasmota, waits_for_uplink,
};
use super::sparkplug;
use super::timing::Moment;
use crate::analysis::decimal;
use crate::analysis::words::is_called;
use crate::limits::{ANSWER_WAIT, COMMANDS_KEPT, LATE_ANSWER_WAIT, PREVIEW_BYTES};

/// The commands of a call.
#[derive(Default)]
pub struct Commands {
    kept: Vec<Command>,
    /// All that were seen.
    pub count: u64,
}

/// A command.
pub struct Command {
    /// When it came.
    pub at: At,
    /// Its topic.
    pub topic: Box<str>,
    /// The beginning of its payload …
    pub payload: Box<str>,
    /// … of so many bytes.
    pub bytes: usize,
    /// The broker keeps it: the device gets it again whenever it connects.
    pub retained: bool,
    /// What it says, if that is JSON and no longer than what is kept of it.
    asked: Value,
    call: Option<Call>,
    /// What followed on a topic that belongs to the command's.
    answer: Option<Answer>,
    /// How often the number that it sets was told as it had been.
    kept_on: u8,
    /// What else came next with something new, the first of each topic.
    next: Vec<Answer>,
}

/// A message that followed a command.
pub struct Answer {
    /// Its topic.
    pub topic: Box<str>,
    /// The beginning of its payload …
    pub payload: Box<str>,
    /// … of so many bytes.
    pub bytes: usize,
    /// How long it took.
    pub delay: Duration,
    /// On a topic that belongs to the command's; otherwise it only came next, with something new.
    pub sure: bool,
    /// It said nothing new, and came late or when it was due, with another value than the one that was asked for: on a
    /// topic that beats it is no answer.
    is_old: bool,
    /// How it stands to its topic's beat.
    moment: Moment,
}

/// A remote call, as Shelly's are: it is answered on a topic of the caller's.
struct Call {
    from: Box<str>,
    id: Value,
    /// Whether messages to that caller come here.
    is_heard: bool,
}

impl Commands {
    /// Takes a command.
    pub fn record(&mut self, at: At, topic: &str, payload: &str, retained: bool) {
        self.count += 1;
        if self.kept.len() < COMMANDS_KEPT {
            let json = read(payload);
            self.kept.push(Command {
                at,
                topic: topic.into(),
                payload: preview(payload),
                bytes: payload.len(),
                retained,
                call: Call::read(topic, &json),
                asked: if payload.len() > PREVIEW_BYTES { Value::Null } else { json },
                answer: None,
                kept_on: 0,
                next: Vec::new(),
            });
        }
    }

    /// Takes a live message of the device, which may be an answer. `is_news` when it differs from the one before.
    pub fn answer(&mut self, at: At, topic: &str, payload: &str, is_news: bool, moment: Moment) {
        let waits = |command: &&mut Command| {
            let in_time = at.elapsed.saturating_sub(command.at.elapsed) <= LATE_ANSWER_WAIT;
            !command.retained
                && in_time
                && command.answer.as_ref().is_none_or(|answer| answer.is_old || answer.is_due())
        };
        let mut told = None;
        for command in self.kept.iter_mut().rev().take(WAITING_MAX).filter(waits) {
            // Read only where somebody waits.
            let told: &Value = told.get_or_insert_with(|| read(payload));
            if (asks_for_birth(command) && !topic.contains("/NBIRTH/")) || tells_other_metrics(command, topic, told) {
                continue;
            }
            let delay = at.elapsed.saturating_sub(command.at.elapsed);
            let says_again = repeats(&command.asked, told);
            let sure = says_again
                || command.call.is_none()
                    && (belongs(&command.topic, topic) || is_response(payload) || names(&command.payload, topic));
            let is_due_anyway = || moment == Moment::Due && command.asks_for_other(topic, payload);
            let tells_asked = says_again || sure && is_same(&command.payload, payload) == Some(true);
            let moment = if tells_asked { Moment::Any } else { moment };
            let keeps_on = !is_news && command.asks_for_another_number(topic, payload);
            let is_opposite = command.asks_for_opposite(topic, told);
            let is_old =
                is_opposite || !is_news && !tells_asked && (delay > ANSWER_WAIT || keeps_on || is_due_anyway());
            command.kept_on += u8::from((keeps_on || is_opposite) && command.kept_on < KEPT_ON);
            let (preview, bytes) = (|| preview(payload), payload.len());
            let answer = || Answer { topic: topic.into(), payload: preview(), bytes, delay, sure, is_old, moment };
            let is_better = |known: &Answer| !(is_old || known.is_due() && moment == Moment::Due);
            if sure && command.answer.as_ref().is_none_or(is_better) {
                command.answer = Some(answer());
            } else if is_news
                && !is_opposite
                && delay <= ANSWER_WAIT
                && command.next.len() < NEXT_MAX
                && command.next.iter().all(|known| *known.topic != *topic)
            {
                command.next.push(answer());
            }
        }
    }

    /// Takes a message of others, which may be the answer to a call.
    pub(super) fn answer_call(&mut self, at: At, topic: &str, payload: &[u8]) {
        let Some(caller) = topic.strip_suffix("/rpc").filter(|_| !self.kept.is_empty()) else { return };
        let mut json = None;
        for command in self.kept.iter_mut().filter(|command| command.answer.is_none()) {
            let Some(call) = command.call.as_mut().filter(|call| *call.from == *caller) else { continue };
            call.is_heard = true;
            // Read only where somebody waits.
            let text = str::from_utf8(payload).unwrap_or_default();
            let json: &Value = json.get_or_insert_with(|| read(text));
            // Callers count for each device, which is named as its topics are unless these were given another name.
            let device = command.topic.split('/').next().filter(|name| name.starts_with("shelly"));
            let is_own = device.is_none() || json["src"].as_str().is_none_or(|source| Some(source) == device);
            if json["id"] == call.id && is_own {
                let delay = at.elapsed.saturating_sub(command.at.elapsed);
                let (payload, bytes) = (preview(text), text.len());
                let (topic, sure, moment, is_old) = (topic.into(), true, Moment::Any, false);
                command.answer = Some(Answer { topic, payload, bytes, delay, sure, is_old, moment });
            }
        }
    }

    /// Those that should have been answered by `end` and were not.
    pub fn unanswered<'a, I: Iterator<Item = &'a str>>(
        &self,
        end: Duration,
        states: impl Fn() -> I,
        beats: impl Fn(&str) -> bool,
    ) -> Vec<&Command> {
        let others = |command: &Command, is: &dyn Fn(&Command) -> bool| {
            self.kept.iter().any(|other| other.topic == command.topic && is(other))
        };
        let before = |command: &Command| {
            self.kept.iter().rfind(|other| other.topic == command.topic && other.at.elapsed < command.at.elapsed)
        };
        // The same brightness again changes nothing, and who is on may be told so.
        let sets_none = |command: &Command| {
            let differs = |((a, x), (b, y)): ((&str, f64), (&str, f64))| a == b && x != y;
            let numbers = before(command).and_then(Command::number).zip(command.number());
            is_wled(&command.topic) && !numbers.is_some_and(differs)
        };
        // Many devices answer nothing: where topics are only named after what is set, silence shows nothing.
        let is_owed = |command: &Command| {
            !is_value(&command.topic)
                || command.expects_answer(states())
                || others(command, &|other| {
                    other.answer(&beats).is_some_and(|answer| answer.sure || !is_below_commands(&command.topic))
                })
        };
        let is_late = |command: &Command| {
            let late = command.answer.as_ref().filter(|answer| answer.is_due() && beats(&answer.topic));
            let is_fast = |other: &Command, delay| {
                other.answer.as_ref().is_some_and(|answer| !answer.is_due() && answer.delay * 5 < delay)
            };
            // Who is told again what it was told before may have nothing to say, and objects may ask for anything.
            let is_other = |before: &Command| before.payload != command.payload && !command.payload.starts_with('{');
            let is_new = before(command).is_some_and(is_other);
            late.is_some_and(|answer| is_new && others(command, &|other| is_fast(other, answer.delay)))
        };
        let is_unanswered = |command: &&Command| {
            (command.is_unanswered(end, states(), &beats) && is_owed(command) && !sets_none(command))
                || is_late(command)
        };
        self.kept.iter().filter(is_unanswered).collect()
    }

    /// The commands that are kept, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Command> {
        self.kept.iter()
    }
}

impl Command {
    /// The number that it sets, and of what: `A=128`.
    fn number(&self) -> Option<(&str, f64)> {
        let (name, value) = self.payload.rsplit_once('=').unwrap_or(("", &self.payload));
        Some((name, decimal::read(value.trim())?))
    }

    /// Whether it sets what is told on that topic, to a number that is far from this one.
    fn asks_for_another_number(&self, topic: &str, value: &str) -> bool {
        const NEAR: f64 = 0.05;
        let numbers = decimal::read(self.payload.trim()).zip(decimal::read(value.trim()));
        numbers.is_some_and(|(asked, told)| (asked - told).abs() > NEAR * asked.abs().max(told.abs()))
            && self.asks_for_other(topic, value)
    }

    /// Whether it switches on or off what is told there, in a member of the same name, to be off or on.
    fn asks_for_opposite(&self, topic: &str, told: &Value) -> bool {
        let asked = self.asked.as_object().filter(|_| self.base() == Some(topic));
        let is_on = |value: &Value| match value {
            Value::Bool(is_on) => Some(*is_on),
            Value::String(word) => [("on", true), ("off", false)]
                .into_iter()
                .find_map(|(on, is_on)| word.eq_ignore_ascii_case(on).then_some(is_on)),
            _ => None,
        };
        asked.into_iter().flatten().any(|(name, asked)| {
            let told = told.get(name).and_then(is_on);
            is_on(asked).zip(told).is_some_and(|(asked, told)| asked != told)
        })
    }

    /// The topic on which what it sets is told, if it is named after that.
    fn base(&self) -> Option<&str> {
        ["/set", "/command"].iter().find_map(|end| self.topic.strip_suffix(end))
    }

    /// Whether it sets what is told on that topic, to another value than this one.
    fn asks_for_other(&self, topic: &str, value: &str) -> bool {
        self.base() == Some(topic)
            && is_same(&self.payload, value) == Some(false)
            && !self.payload.is_empty()
            && !self.payload.starts_with('{')
    }

    /// Whether one of the device's topics is that of its answers, or shows that it has such: who tells its state on
    /// tele/NAME answers on stat/NAME.
    pub fn expects_answer<'a>(&self, mut topics: impl Iterator<Item = &'a str>) -> bool {
        let name = tasmota(&self.topic);
        topics.any(|topic| name.is_some_and(|name| is_below(topic, "tele/", name)) || belongs(&self.topic, topic))
    }

    /// The answer; when none is sure, what came next on a topic that does not beat anyway.
    pub fn answer(&self, beats: impl Fn(&str) -> bool) -> Option<&Answer> {
        let is_none = |answer: &&Answer| answer.is_old && (self.kept_on == KEPT_ON || beats(&answer.topic));
        let belonging = self.answer.as_ref().filter(|answer| !is_none(answer));
        belonging.or_else(|| self.next.iter().find(|next| next.moment == Moment::Early || !beats(&next.topic)))
    }

    /// Whether it should have been answered by `end` and was not. When one of the device's topics belongs to the
    /// command's, the answer is expected there.
    pub fn is_unanswered<'a>(
        &self,
        end: Duration,
        topics: impl Iterator<Item = &'a str>,
        beats: impl Fn(&str) -> bool,
    ) -> bool {
        let owes_none = || waits_for_uplink(&self.topic) || keeps_alive(&self.topic);
        if self.retained || owes_none() || end.saturating_sub(self.at.elapsed) <= ANSWER_WAIT {
            return false;
        }
        if self.topic.ends_with("/rpc") {
            return self.answer.is_none() && self.call.as_ref().is_some_and(|call| call.is_heard);
        }
        self.answer(beats).is_none_or(|answer| !answer.sure && self.expects_answer(topics))
    }
}

impl Answer {
    /// Whether it came no sooner than the topic's next message would have come anyway.
    fn is_due(&self) -> bool {
        self.moment == Moment::Due && self.delay > AT_ONCE
    }
}

impl Call {
    fn read(topic: &str, json: &Value) -> Option<Self> {
        topic.ends_with("/rpc").then_some(())?;
        Some(Self { from: json["src"].as_str()?.into(), id: json.get("id")?.clone(), is_heard: false })
    }
}

/// Whether what was asked for and what is told are the same number, or the same word.
fn is_same(asked: &str, told: &str) -> Option<bool> {
    let (asked, told) = (asked.trim(), told.trim());
    match (decimal::read(asked), decimal::read(told)) {
        (Some(asked), Some(told)) => Some(asked == told),
        (None, None) => Some(asked.eq_ignore_ascii_case(told)),
        _ => None,
    }
}

/// Whether an object says again all that was asked for, in an object or a list of one, or what the two are matched by.
fn repeats(asked: &Value, told: &Value) -> bool {
    const MATCHED_BY: &[&str] = &["corr", "correlation", "correlationid", "requestid", "reqid", "transactionid"];
    let asked = match asked.as_array().map(Vec::as_slice) {
        Some([one]) => one,
        _ => asked,
    };
    let is_again = |(name, value): (&String, &Value)| told.get(name) == Some(value);
    let is_match = |(name, value): (&String, &Value)| is_called(MATCHED_BY, name) && is_again((name, value));
    asked.as_object().is_some_and(|asked| asked.iter().any(is_match) || asked.len() > 1 && asked.iter().all(is_again))
}

fn read(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}

/// Whether a Sparkplug node is to be born again: its data are no answer to that.
fn asks_for_birth(command: &Command) -> bool {
    command.topic.contains("/NCMD/") && command.payload.contains("Rebirth\":true")
}

/// Whether a Sparkplug command sets numbers, and data tell others, as they do at their times. Metrics whose names are not
/// known are told apart by their values; one alone is told because it has changed.
fn tells_other_metrics(command: &Command, topic: &str, told: &Value) -> bool {
    const NEAR: f64 = 1e-6;
    let (Some(asked), Some(told)) = (command.asked.as_object(), told.as_object()) else { return false };
    let mut numbers = asked.iter().filter_map(|(name, value)| Some((name, value.as_f64()?))).peekable();
    if numbers.peek().is_none() || sparkplug::parts(topic).is_none() {
        return false;
    }
    let is_unnamed = |name: &str| name.starts_with(sparkplug::UNNAMED);
    let is_near =
        |value: &Value, asked: f64| value.as_f64().is_some_and(|value| (value - asked).abs() <= asked.abs() * NEAR);
    let is_single = told.len() == 1 && told.keys().any(|name| is_unnamed(name));
    let tells = |name: &str, asked| {
        told.iter().any(|(other, value)| other == name || (is_unnamed(other) && is_near(value, asked)))
    };
    let may_answer = is_single || told.is_empty() || numbers.any(|(name, asked)| tells(name, asked));
    !may_answer
}

/// What follows so soon was not waited for.
const AT_ONCE: Duration = Duration::from_secs(1);

/// Who tells the old number so often does not take the new one.
const KEPT_ON: u8 = 2;

/// Topics on which something new came next.
const NEXT_MAX: usize = 4;
/// Commands that wait for an answer at the same time.
const WAITING_MAX: usize = 8;

fn preview(text: &str) -> Box<str> {
    text[..text.floor_char_boundary(PREVIEW_BYTES)].into()
}

#[cfg(test)]
#[path = "commands_tests.rs"]
mod tests;
