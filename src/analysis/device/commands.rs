//! Commands to a device, and the answers that followed.

use std::time::Duration;

use serde_json::Value;

use super::At;
use super::answers::{
    belongs, is_below, is_below_commands, is_response, is_value, is_wled, keeps_alive, names, tasmota, waits_for_uplink,
};
use super::timing::Moment;
use crate::analysis::decimal;
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
    call: Option<Call>,
    /// What followed on a topic that belongs to the command's.
    answer: Option<Answer>,
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
            self.kept.push(Command {
                at,
                topic: topic.into(),
                payload: preview(payload),
                bytes: payload.len(),
                retained,
                call: Call::read(topic, payload),
                answer: None,
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
        for command in self.kept.iter_mut().rev().take(WAITING_MAX).filter(waits) {
            if asks_for_birth(command) && !topic.contains("/NBIRTH/") {
                continue;
            }
            let delay = at.elapsed.saturating_sub(command.at.elapsed);
            let sure = command.call.is_none()
                && (belongs(&command.topic, topic) || is_response(payload) || names(&command.payload, topic));
            let is_due_anyway = || moment == Moment::Due && command.asks_for_other(topic, payload);
            let tells_asked = sure && is_same(&command.payload, payload) == Some(true);
            let moment = if tells_asked { Moment::Any } else { moment };
            let is_old = !is_news && !tells_asked && (delay > ANSWER_WAIT || is_due_anyway());
            let (preview, bytes) = (|| preview(payload), payload.len());
            let answer = || Answer { topic: topic.into(), payload: preview(), bytes, delay, sure, is_old, moment };
            let is_better = |known: &Answer| !(is_old || known.is_due() && moment == Moment::Due);
            if sure && command.answer.as_ref().is_none_or(is_better) {
                command.answer = Some(answer());
            } else if is_news
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
            let json: &Value = json.get_or_insert_with(|| serde_json::from_str(text).unwrap_or_default());
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

    /// Whether it sets what is told on that topic, to another value than this one.
    fn asks_for_other(&self, topic: &str, value: &str) -> bool {
        let base = ["/set", "/command"].iter().find_map(|end| self.topic.strip_suffix(end));
        base == Some(topic)
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
        let belonging = self.answer.as_ref().filter(|answer| !(answer.is_old && beats(&answer.topic)));
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
    fn read(topic: &str, payload: &str) -> Option<Self> {
        let json: Value = topic.ends_with("/rpc").then(|| serde_json::from_str(payload).ok()).flatten()?;
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

/// Whether a Sparkplug node is to be born again: its data are no answer to that.
fn asks_for_birth(command: &Command) -> bool {
    command.topic.contains("/NCMD/") && command.payload.contains("Rebirth\":true")
}

/// What follows so soon was not waited for.
const AT_ONCE: Duration = Duration::from_secs(1);

/// Topics on which something new came next.
const NEXT_MAX: usize = 4;
/// Commands that wait for an answer at the same time.
const WAITING_MAX: usize = 8;

fn preview(text: &str) -> Box<str> {
    text[..text.floor_char_boundary(PREVIEW_BYTES)].into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> At {
        At { elapsed: Duration::from_millis(ms), unix_ms: 1_000_000 + ms }
    }

    #[test]
    fn the_answer_that_belongs_wins_over_the_one_that_came_next() {
        let mut commands = Commands::default();
        commands.record(at(0), "p/cmd", "on", false);
        commands.answer(at(10), "p/beat", "tick", false, Moment::Any);
        commands.answer(at(20), "p/temperature", "21", true, Moment::Any);
        commands.answer(at(90), "p/status", "on", false, Moment::Any);
        commands.answer(at(120), "p/status", "off", true, Moment::Any);
        let answer = commands.iter().next().and_then(|command| command.answer(|_| false)).expect("an answer");
        assert_eq!((&*answer.topic, answer.delay, answer.sure), ("p/status", Duration::from_millis(90), true));
        commands.record(at(200), "x/cmd", "on", false);
        commands.answer(at(210), "p/temperature", "22", true, Moment::Any);
        commands.answer(at(220), "p/door", "open", true, Moment::Any);
        let command = commands.iter().last().expect("a command");
        assert_eq!(command.answer(|topic| topic == "p/temperature").map(|answer| &*answer.topic), Some("p/door"));
        assert!(command.answer(|_| true).is_none());
        commands.record(at(300), "x/cmd", "off", false);
        commands.answer(at(310), "p/door", "closed", true, Moment::Early);
        let command = commands.iter().last().expect("a command");
        assert_eq!(command.answer(|_| true).map(|answer| &*answer.payload), Some("closed"), "before the next beat");
    }

    #[test]
    fn what_comes_anyway_and_says_nothing_new_is_no_answer() {
        let late = 1 + ANSWER_WAIT.as_millis() as u64;
        for (delay, is_news, beats, expected) in [
            (late, false, true, true),
            (late, false, false, false),
            (late, true, true, false),
            (late - 1, false, true, false),
        ] {
            let mut commands = Commands::default();
            commands.record(at(0), "s/relay/0/command", "off", false);
            commands.answer(at(delay), "s/relay/0", "on", is_news, Moment::Any);
            let command = commands.iter().next().expect("a command");
            let told = command.is_unanswered(at(60_000).elapsed, ["s/relay/0"].into_iter(), |_| beats);
            assert_eq!(told, expected, "{delay} {is_news} {beats}");
            commands.answer(at(delay + 10), "s/relay/0", "off", true, Moment::Any);
            assert!(commands.iter().next().and_then(|command| command.answer(|_| beats)).is_some());
        }
    }

    #[test]
    fn a_beat_that_still_tells_the_old_value_is_no_answer_and_a_response_is_one_anywhere() {
        for (asked, told, moment, expected) in [
            ("now", "pv", Moment::Due, true),
            ("now", "pv", Moment::Any, false),
            ("now", "NOW", Moment::Due, false),
            ("60", "60.0", Moment::Due, false),
            ("60", "80", Moment::Due, true),
            ("1", "true", Moment::Due, false),
            ("", "pv", Moment::Due, false),
            ("{\"mode\":\"now\"}", "pv", Moment::Due, false),
        ] {
            let mut commands = Commands::default();
            commands.record(at(0), "e/1/mode/set", asked, false);
            commands.answer(at(3000), "e/1/mode", told, false, moment);
            let command = commands.iter().next().expect("a command");
            let is = command.is_unanswered(at(60_000).elapsed, ["e/1/mode"].into_iter(), |_| true);
            assert_eq!(is, expected, "{asked} {told} {moment:?}");
        }
        let late = 1 + ANSWER_WAIT.as_millis() as u64;
        for (told, expected) in [("50", false), ("48", true)] {
            let mut commands = Commands::default();
            commands.record(at(100), "h/water/set", "50", false);
            commands.answer(at(late + 100), "h/water", told, false, Moment::Due);
            let command = commands.iter().last().expect("a command");
            let is = command.is_unanswered(at(60_000).elapsed, ["h/water"].into_iter(), |_| true);
            assert_eq!(is, expected, "{told}, as before");
        }
        let mut commands = Commands::default();
        commands.record(at(0), "d/commands", "{\"CMD\":\"getinfo\"}", false);
        commands.answer(at(900), "d/data", "{\"state\":{}}", true, Moment::Any);
        commands.answer(at(1000), "d/data", "{\"RSP\":\"fine\"}", true, Moment::Any);
        let command = commands.iter().next().expect("a command");
        assert_eq!(command.answer(|_| true).map(|answer| &*answer.payload), Some("{\"RSP\":\"fine\"}"));
    }

    #[test]
    fn an_answer_comes_where_the_command_wants_it_and_a_birth_where_births_do() {
        for (topic, payload, told, expected) in [
            ("press/req", r#"{"id":7,"replyTo":"app/7"}"#, "app/7", true),
            ("press/req", r#"{"id":7,"replyTo":"app/77"}"#, "app/7", false),
            ("spBv1.0/g/NCMD/n", r#"{"Node Control/Rebirth":true}"#, "spBv1.0/g/NBIRTH/n", true),
            ("spBv1.0/g/NCMD/n", r#"{"Node Control/Rebirth":true}"#, "spBv1.0/g/NDATA/n", false),
            ("spBv1.0/g/NCMD/n", r#"{"Mode":2}"#, "spBv1.0/g/NDATA/n", true),
        ] {
            let mut commands = Commands::default();
            commands.record(at(0), topic, payload, false);
            commands.answer(at(100), told, "{}", false, Moment::Any);
            let answer = commands.iter().next().and_then(|command| command.answer(|_| false));
            assert_eq!(answer.is_some_and(|answer| answer.sure), expected, "{topic} {payload} {told}");
        }
    }

    #[test]
    fn a_command_without_an_answer_is_told_when_its_time_is_over() {
        let mut commands = Commands::default();
        commands.record(at(0), "p/set", "on", false);
        commands.record(at(0), "p/set", "kept", true);
        commands.answer(at(1 + LATE_ANSWER_WAIT.as_millis() as u64), "p", "late", true, Moment::Any);
        let unanswered =
            |end| commands.iter().filter(|command| command.is_unanswered(end, ["p"].into_iter(), |_| false)).count();
        assert_eq!((unanswered(ANSWER_WAIT), unanswered(ANSWER_WAIT * 2)), (0, 1));
    }

    /// How many of the commands are told to be unanswered where there are these topics, of which those that end so beat.
    fn told(commands: &Commands, topics: &[&str], beating: &str) -> usize {
        let beats = |topic: &str| topic.ends_with(beating);
        commands.unanswered(at(600_000).elapsed, || topics.iter().copied(), beats).len()
    }

    #[test]
    fn what_was_never_answered_and_has_no_topic_for_answers_owes_none() {
        let value = "openWB/set/chargepoint/2/set/manual_lock";
        for (topic, topics, expected) in [
            (value, &["openWB/chargepoint/2/get/power"][..], 0),
            (value, &["openWB/status/chargepoint/2/set/manual_lock"], 1),
            ("R/c0619ab2f1e4/keepalive", &["N/c0619ab2f1e4/heartbeat"], 0),
            ("W/c0619ab2f1e4/vebus/276/Mode", &["N/c0619ab2f1e4/vebus/276/Mode"], 1),
            ("line2/press/cmd", &["line2/press/telemetry"], 1),
            ("application/1/device/a840/command/down", &["application/1/device/a840/event/ack"], 0),
        ] {
            let mut commands = Commands::default();
            commands.record(at(0), topic, "1", false);
            assert_eq!(told(&commands, topics, ""), expected, "{topic}");
        }
        let mut commands = Commands::default();
        commands.record(at(0), "R/c0619ab2f1e4/keepalive", "", false);
        commands.answer(at(100), "N/c0619ab2f1e4/keepalive", "1", true, Moment::Any);
        commands.record(at(100_000), "R/c0619ab2f1e4/keepalive", "", false);
        assert_eq!(told(&commands, &["N/c0619ab2f1e4/keepalive"], ""), 0, "it only keeps alive");
        let mut commands = Commands::default();
        commands.record(at(0), value, "true", false);
        commands.answer(at(100), "openWB/chargepoint/2/log", "locked", true, Moment::Any);
        commands.record(at(100_000), value, "false", false);
        assert_eq!(told(&commands, &["openWB/chargepoint/2/get/power"], "power"), 1, "it was answered before");
    }

    #[test]
    fn who_tells_its_state_as_tasmota_does_owes_an_answer_as_it_gives_them() {
        for (own, expected) in [("tele/rf/STATE", 1), ("tele/rf2/STATE", 0), ("rf/state", 0)] {
            let mut commands = Commands::default();
            commands.record(at(0), "cmnd/rf/RfCode", "#2E54A8", false);
            commands.answer(at(900), "tele/rf/RESULT", "{\"RfReceived\":{}}", true, Moment::Any);
            assert_eq!(told(&commands, &[own], "STATE"), expected, "{own}");
        }
    }

    #[test]
    fn a_light_that_is_told_what_it_is_owes_no_answer() {
        for (topic, first, second, expected) in [
            ("wled/desk", "40", "138", 1),
            ("wled/desk", "40", "40.0", 0),
            ("wled/desk", "40", "ON", 0),
            ("wled/desk", "OFF", "7", 0),
            ("wled/desk/api", "A=40", "A=138", 1),
            ("wled/desk/api", "A=40", "T=1", 0),
        ] {
            let mut commands = Commands::default();
            commands.record(at(0), topic, first, false);
            commands.answer(at(100), "wled/desk/g", first, true, Moment::Any);
            commands.record(at(100_000), topic, second, false);
            let told = told(&commands, &["wled/desk/status", "wled/desk/g"], "status");
            assert_eq!(told, expected, "{first} {second}");
        }
    }

    #[test]
    fn the_next_beat_is_no_answer_where_others_were_answered_at_once() {
        for (first, second, moment, expected) in [
            (80, "off", Moment::Due, 1),
            (80, "on", Moment::Due, 0),
            (80, "{\"get\":\"all\"}", Moment::Due, 0),
            (80, "off", Moment::Any, 0),
            (3000, "off", Moment::Due, 0),
            (80, "off", Moment::Early, 0),
        ] {
            let mut commands = Commands::default();
            commands.record(at(0), "s/command/switch:0", "on", false);
            commands.answer(at(first), "s/status/switch:0", "{}", true, Moment::Any);
            commands.record(at(100_000), "s/command/switch:0", second, false);
            commands.answer(at(104_000), "s/status/switch:0", "{}", true, moment);
            assert_eq!(told(&commands, &["s/status/switch:0"], ":0"), expected, "{first} {second} {moment:?}");
            commands.answer(at(106_000), "s/status/switch:0", "{}", true, Moment::Early);
            assert_eq!(told(&commands, &["s/status/switch:0"], ":0"), 0, "it took its time");
        }
    }

    #[test]
    fn a_call_is_answered_where_it_came_from_by_its_number() {
        for (to, answers, expected) in [
            ("s/rpc", &[][..], 0),
            ("s/rpc", &[("mon/rpc", r#"{"id":12,"src":"s","result":{}}"#)], 0),
            ("s/rpc", &[("mon/rpc", r#"{"id":11,"src":"s","result":{}}"#)], 1),
            ("s/rpc", &[("other/rpc", r#"{"id":11}"#), ("s/rpc", r#"{"id":12}"#)], 0),
            ("s/rpc", &[("mon/rpc", r#"{"id":12,"src":"shellyplus1-a8"}"#)], 0),
            ("shellyplus1-a8/rpc", &[("mon/rpc", r#"{"id":12,"src":"shellyplus1-a8"}"#)], 0),
            ("shellyplus1-a8/rpc", &[("mon/rpc", r#"{"id":12,"src":"shellyplus1-b9"}"#)], 1),
        ] {
            let mut commands = Commands::default();
            commands.record(at(0), to, r#"{"id":12,"src":"mon","method":"Switch.Set"}"#, false);
            answers.iter().for_each(|(topic, payload)| commands.answer_call(at(90), topic, payload.as_bytes()));
            assert_eq!(told(&commands, &["s/events/rpc"], "rpc"), expected, "{to} {answers:?}");
        }
    }
}
