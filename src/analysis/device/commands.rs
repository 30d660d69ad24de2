//! Commands to a device, and the answers that followed.

use std::time::Duration;

use super::{At, sparkplug};
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
    /// The beginning of its payload.
    pub payload: Box<str>,
    /// The broker keeps it: the device gets it again whenever it connects.
    pub retained: bool,
    /// What followed on a topic that belongs to the command's.
    answer: Option<Answer>,
    /// What else came next with something new, the first of each topic.
    next: Vec<Answer>,
}

/// A message that followed a command.
pub struct Answer {
    /// Its topic.
    pub topic: Box<str>,
    /// The beginning of its payload.
    pub payload: Box<str>,
    /// How long it took.
    pub delay: Duration,
    /// On a topic that belongs to the command's; otherwise it only came next, with something new.
    pub sure: bool,
    /// It came late and said nothing new: on a topic that beats it is no answer.
    is_old: bool,
    /// It came long before its topic's next beat was due.
    is_early: bool,
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
                retained,
                answer: None,
                next: Vec::new(),
            });
        }
    }

    /// Takes a live message of the device, which may be an answer. `is_news` when it differs from the one before,
    /// `is_early` when it came long before its topic's beat was due.
    pub fn answer(&mut self, at: At, topic: &str, payload: &str, is_news: bool, is_early: bool) {
        let waits = |command: &&mut Command| {
            let in_time = at.elapsed.saturating_sub(command.at.elapsed) <= LATE_ANSWER_WAIT;
            !command.retained && in_time && command.answer.as_ref().is_none_or(|answer| answer.is_old)
        };
        for command in self.kept.iter_mut().rev().take(WAITING_MAX).filter(waits) {
            let (sure, delay) = (belongs(&command.topic, topic), at.elapsed.saturating_sub(command.at.elapsed));
            let is_old = !is_news && delay > ANSWER_WAIT;
            let answer = || Answer { topic: topic.into(), payload: preview(payload), delay, sure, is_old, is_early };
            if sure && (!is_old || command.answer.is_none()) {
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

    /// The commands that are kept, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Command> {
        self.kept.iter()
    }
}

impl Command {
    /// Whether one of the device's topics is that of its answers.
    pub fn expects_answer<'a>(&self, mut topics: impl Iterator<Item = &'a str>) -> bool {
        topics.any(|topic| belongs(&self.topic, topic))
    }

    /// The answer; when none is sure, what came next on a topic that does not beat anyway.
    pub fn answer(&self, beats: impl Fn(&str) -> bool) -> Option<&Answer> {
        let belonging = self.answer.as_ref().filter(|answer| !(answer.is_old && beats(&answer.topic)));
        belonging.or_else(|| self.next.iter().find(|next| next.is_early || !beats(&next.topic)))
    }

    /// Whether it should have been answered by `end` and was not. When one of the device's topics belongs to the
    /// command's, the answer is expected there.
    pub fn is_unanswered<'a>(
        &self,
        end: Duration,
        topics: impl Iterator<Item = &'a str>,
        beats: impl Fn(&str) -> bool,
    ) -> bool {
        // Remote calls are answered on a topic of the caller's.
        let is_call = self.topic.ends_with("/rpc");
        let is_over = !self.retained && !is_call && end.saturating_sub(self.at.elapsed) > ANSWER_WAIT;
        is_over && self.answer(beats).is_none_or(|answer| !answer.sure && self.expects_answer(topics))
    }
}

/// Topics on which something new came next.
const NEXT_MAX: usize = 4;
/// Commands that wait for an answer at the same time.
const WAITING_MAX: usize = 8;

fn preview(text: &str) -> Box<str> {
    text[..text.floor_char_boundary(PREVIEW_BYTES)].into()
}

/// Whether a message on `answer` is one to a command on `command`: `x/set` and `x`, `x/set` and `x/state`, `cmnd/x/POWER`
/// and `stat/x/RESULT`.
fn belongs(command: &str, answer: &str) -> bool {
    const ANSWERS: &[&str] = &[
        "state",
        "status",
        "result",
        "response",
        "reply",
        "ack",
        "get_result",
        "rpc",
        "answer",
        "out",
        "res",
        "report",
    ];
    if let Some(name) = command.strip_prefix("cmnd/").and_then(|rest| rest.rsplit_once('/')).map(|(name, _)| name) {
        return answer
            .strip_prefix("stat/")
            .and_then(|rest| rest.strip_prefix(name))
            .is_some_and(|rest| rest.starts_with('/'));
    }
    if let (Some(command), Some(answer)) = (sparkplug::parts(command), sparkplug::parts(answer)) {
        let is_told = answer.kind.ends_with("DATA") || answer.kind.ends_with("BIRTH");
        return is_told && (command.group, command.node, command.device) == (answer.group, answer.node, answer.device);
    }
    // NAME/set/… and NAME/status/…, as mqtt-smarthome has them.
    let (name, item) = command.split_once('/').unwrap_or_default();
    if let Some(item) =
        item.strip_prefix("set/").or_else(|| item.strip_prefix("get/")).filter(|item| item.contains('/'))
    {
        return answer.strip_prefix(name).and_then(|rest| rest.strip_prefix("/status/")) == Some(item);
    }
    let mut base = command;
    while let Some((before, last)) = base.rsplit_once('/') {
        base = before;
        if matches!(last, "set" | "get" | "cmd" | "command" | "commands" | "cmnd" | "request" | "req" | "rpc") {
            break;
        }
    }
    let behind = match answer.strip_prefix(base) {
        Some("") => return true,
        Some(rest) => rest.strip_prefix('/'),
        None => None,
    };
    behind.is_some_and(|rest| rest.split('/').any(|level| ANSWERS.iter().any(|word| word.eq_ignore_ascii_case(level))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> At {
        At { elapsed: Duration::from_millis(ms), unix_ms: 1_000_000 + ms }
    }

    #[test]
    fn answers_belong_to_commands_by_their_topics() {
        for (command, answer, expected) in [
            ("zigbee2mqtt/lamp/set", "zigbee2mqtt/lamp", true),
            ("zigbee2mqtt/lamp/set/state", "zigbee2mqtt/lamp", true),
            ("zigbee2mqtt/lamp/set", "zigbee2mqtt/lamp/availability", false),
            ("cmnd/plug/POWER", "stat/plug/RESULT", true),
            ("cmnd/plug/POWER", "stat/plug2/RESULT", false),
            ("shellies/s/relay/0/command", "shellies/s/relay/0", true),
            ("home/pump1/cmd", "home/pump1/status", true),
            ("zigbee2mqtt/bridge/request/permit_join", "zigbee2mqtt/bridge/response/permit_join", true),
            ("home/pump1/request", "home/pump1/response", true),
            ("home/pump1/cmd", "home/pump1/temperature", false),
            ("cmd/site/pump1/req", "cmd/site/pump1/res", true),
            ("device/01S00C/request", "device/01S00C/report", true),
            ("homie/d/n/p/set", "homie/d/n/p", true),
            ("hm/set/Bath/SET_TEMPERATURE", "hm/status/Bath/SET_TEMPERATURE", true),
            ("hm/set/Bath/SET_TEMPERATURE", "hm/status/Bath/ACTUAL_TEMPERATURE", false),
            ("spBv1.0/g/DCMD/n/d", "spBv1.0/g/DDATA/n/d", true),
            ("spBv1.0/g/DCMD/n/d", "spBv1.0/g/DDATA/n/e", false),
            ("boiler/switch/heat/command", "boiler/switch/heat/state", true),
        ] {
            assert_eq!(belongs(command, answer), expected, "{command} {answer}");
        }
    }

    #[test]
    fn the_answer_that_belongs_wins_over_the_one_that_came_next() {
        let mut commands = Commands::default();
        commands.record(at(0), "p/cmd", "on", false);
        commands.answer(at(10), "p/beat", "tick", false, false);
        commands.answer(at(20), "p/temperature", "21", true, false);
        commands.answer(at(90), "p/status", "on", false, false);
        commands.answer(at(120), "p/status", "off", true, false);
        let answer = commands.iter().next().and_then(|command| command.answer(|_| false)).expect("an answer");
        assert_eq!((&*answer.topic, answer.delay, answer.sure), ("p/status", Duration::from_millis(90), true));
        commands.record(at(200), "x/cmd", "on", false);
        commands.answer(at(210), "p/temperature", "22", true, false);
        commands.answer(at(220), "p/door", "open", true, false);
        let command = commands.iter().last().expect("a command");
        assert_eq!(command.answer(|topic| topic == "p/temperature").map(|answer| &*answer.topic), Some("p/door"));
        assert!(command.answer(|_| true).is_none());
        commands.record(at(300), "x/cmd", "off", false);
        commands.answer(at(310), "p/door", "closed", true, true);
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
            commands.answer(at(delay), "s/relay/0", "on", is_news, false);
            let command = commands.iter().next().expect("a command");
            let told = command.is_unanswered(at(60_000).elapsed, ["s/relay/0"].into_iter(), |_| beats);
            assert_eq!(told, expected, "{delay} {is_news} {beats}");
            commands.answer(at(delay + 10), "s/relay/0", "off", true, false);
            assert!(commands.iter().next().and_then(|command| command.answer(|_| beats)).is_some());
        }
    }

    #[test]
    fn a_command_without_an_answer_is_told_when_its_time_is_over() {
        let mut commands = Commands::default();
        commands.record(at(0), "p/set", "on", false);
        commands.record(at(0), "p/set", "kept", true);
        commands.answer(at(1 + LATE_ANSWER_WAIT.as_millis() as u64), "p", "late", true, false);
        let unanswered =
            |end| commands.iter().filter(|command| command.is_unanswered(end, ["p"].into_iter(), |_| false)).count();
        assert_eq!((unanswered(ANSWER_WAIT), unanswered(ANSWER_WAIT * 2)), (0, 1));
    }
}
