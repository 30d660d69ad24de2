//! What debug_device returns.

use std::fmt::Write;
use std::rc::Rc;

use serde::Serialize;

use super::fitting;
use super::listen::Heard;
use super::message::MessageRow;
use crate::analysis::alarm::Severity;
use crate::analysis::decimal::Decimal;
use crate::analysis::device::At;
use crate::analysis::device::beats::heartbeats;
use crate::analysis::device::commands::{Answer, Command};
use crate::analysis::device::findings::{self, Connection, Finding, Grade};
use crate::analysis::device::model::{Device, Mention, Report as Reported, TopicModel};
use crate::analysis::device::places::{Convention, Place};
use crate::analysis::device::presence::{Means, Presence};
use crate::analysis::device::timing::Rhythm;
use crate::analysis::payload::Kind;
use crate::analysis::prune::Pruner;
use crate::analysis::shown::{ShownPayload, show};
use crate::analysis::words::count;
use crate::clock::{Timestamp, millis, seconds};
use crate::limits::{DEVICE_TOPICS_MAX, RECENT_MESSAGES, RECENT_PAYLOAD_BYTES};
use crate::mqtt::capture::Interruption;
use crate::rpc::outgoing::{Body, is_zero, to_json};

/// All that was seen.
pub(super) struct Seen<'a> {
    pub device: &'a Device,
    pub recent: &'a Pruner,
    pub heard: &'a Heard,
    pub end: At,
    pub filter: &'a str,
}

/// How much of it is shown.
#[derive(Clone, Copy)]
struct Detail {
    recent: usize,
    payload_bytes: usize,
    rows: usize,
    findings: usize,
    words: bool,
}

/// The result, shortened until it fits: payloads first, then messages and rows of each list, findings last.
pub(super) fn fitting(seen: &Seen<'_>, budget: usize) -> Rc<dyn Body> {
    let connection = findings::connection(seen.device, seen.end);
    let found = findings::judge_as(seen.device, connection.0, seen.end);
    let shown =
        |step: usize, rows: usize| to_json(&Report::new(seen, &connection, &found, Detail { rows, ..DETAILS[step] }));
    fitting::fitting(budget, &DETAILS.map(|detail| detail.rows), ROWS_MAX, &shown)
}

/// From all that is known to the least, each with so many rows of each list at least, and more where there is room.
const DETAILS: [Detail; 9] = [
    ALL,
    Detail { rows: 60, payload_bytes: 256, ..ALL },
    Detail { rows: 30, ..SHORT },
    Detail { rows: 10, recent: 10, ..SHORT },
    Detail { rows: 10, recent: 5, ..SHORT },
    Detail { rows: 4, recent: 2, findings: 10, ..SHORT },
    Detail { rows: 0, recent: 0, findings: 4, ..SHORT },
    Detail { rows: 0, recent: 0, findings: 0, ..SHORT },
    Detail { rows: 0, recent: 0, findings: 0, words: false, ..SHORT },
];
const ALL: Detail = Detail {
    recent: RECENT_MESSAGES,
    payload_bytes: RECENT_PAYLOAD_BYTES,
    rows: ROWS_MAX,
    findings: FINDINGS_MAX,
    words: true,
};
const SHORT: Detail = Detail { payload_bytes: 128, ..ALL };

/// Rows of each list at most.
const ROWS_MAX: usize = DEVICE_TOPICS_MAX;
/// Findings at most.
const FINDINGS_MAX: usize = 40;
/// Interruptions that are shown when there is room for nothing else.
const INTERRUPTIONS_WITHOUT_ROOM: usize = 3;
/// Topics are cut here.
const TOPIC_BYTES: usize = 200;

#[derive(Serialize)]
struct Report<'a> {
    status: &'static str,
    device_id: &'a str,
    connection_state: Connection,
    evidence: &'a [String],
    summary: String,
    findings: &'a [Finding],
    errors: Vec<ReportRow<'a>>,
    error_count: u64,
    warnings: Vec<ReportRow<'a>>,
    warning_count: u64,
    availability: Vec<PresenceRow<'a>>,
    heartbeats: Vec<Heartbeat<'a>>,
    commands: Vec<CommandRow<'a>>,
    command_count: u64,
    topics: Vec<TopicRow<'a>>,
    topic_count: usize,
    conventions: Vec<Convention>,
    recent_messages: Vec<MessageRow<'a>>,
    messages: u64,
    /// Messages that are not among them.
    #[serde(skip_serializing_if = "is_zero")]
    messages_omitted: u64,
    /// Entries of all other lists that had no room.
    omitted: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    similar_ids: Vec<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mentions: Vec<MentionRow<'a>>,
    other_messages: u64,
    duration_seconds: f64,
    interruptions: &'a [Interruption],
    granted_qos: u8,
}

#[derive(Serialize)]
struct ReportRow<'a> {
    topic: &'a str,
    count: u64,
    last_seen: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_seen: Option<Timestamp>,
    payload: ShownPayload<'a>,
    encoding: &'static str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    truncated: bool,
    retained: bool,
}

#[derive(Serialize)]
struct PresenceRow<'a> {
    topic: &'a str,
    value: &'a str,
    means: Means,
    retained: bool,
    /// Of what the broker had kept nobody knows since when it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<Timestamp>,
    change_count: u32,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    changes: Vec<Change<'a>>,
}

#[derive(Serialize)]
struct Change<'a> {
    at: Timestamp,
    value: &'a str,
}

#[derive(Serialize)]
struct Heartbeat<'a> {
    topic: &'a str,
    period_ms: f64,
    jitter_ms: f64,
    missed: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    silent_ms: Option<f64>,
}

#[derive(Serialize)]
struct CommandRow<'a> {
    topic: &'a str,
    payload: ShownPayload<'a>,
    encoding: &'static str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    truncated: bool,
    at: Timestamp,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    retained: bool,
    answer: Option<AnswerRow<'a>>,
}

#[derive(Serialize)]
struct AnswerRow<'a> {
    topic: &'a str,
    payload: ShownPayload<'a>,
    encoding: &'static str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    truncated: bool,
    delay_ms: f64,
    /// Its topic belongs to the command's; otherwise it is only what came next.
    sure: bool,
}

#[derive(Serialize)]
struct TopicRow<'a> {
    topic: &'a str,
    place: Place,
    messages: u64,
    rate: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    interval_ms: Option<Interval>,
    /// Of live messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_seen: Option<Timestamp>,
    payload_type: Kind,
    retained: bool,
}

#[derive(Serialize)]
struct Interval {
    median: f64,
    jitter: f64,
}

#[derive(Serialize)]
struct MentionRow<'a> {
    topic: &'a str,
    count: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    severity: Option<Severity>,
    payload: ShownPayload<'a>,
    encoding: &'static str,
}

/// What is kept of a payload of so many bytes, as messages have it, with its encoding and whether it was cut.
fn payload(kept: &str, payload_bytes: usize) -> (ShownPayload<'_>, &'static str, bool) {
    let shown = show(kept.as_bytes(), payload_bytes, kept.len());
    (shown.payload, shown.encoding, shown.truncated)
}

fn cut(topic: &str) -> &str {
    &topic[..topic.floor_char_boundary(TOPIC_BYTES)]
}

impl<'a> Report<'a> {
    fn new(
        seen: &Seen<'a>,
        (state, evidence): &'a (Connection, Vec<String>),
        found: &'a [Finding],
        detail: Detail,
    ) -> Self {
        let Seen { device, heard, end, .. } = *seen;
        let state = *state;
        let commands = device.commands.count as usize - device.commands.iter().count();
        let mut list = List { rows: detail.rows, omitted: commands };
        let (chosen, _) = seen.recent.choose(detail.recent);
        let shown_findings = &found[..found.len().min(detail.findings)];
        let left_out =
            if detail.words { 0 } else { heard.interruptions.len().saturating_sub(INTERRUPTIONS_WITHOUT_ROOM) };
        let summary = seen.summary(state, found);
        let report = |severity| device.reports.iter().filter(move |report| report.severity == severity);
        Self {
            status: "success",
            device_id: device.name.id(),
            connection_state: state,
            evidence: if detail.words { evidence } else { &[] },
            summary: if detail.words { summary } else { "max_response_bytes has no room for it".into() },
            findings: shown_findings,
            errors: list.of(report(Severity::Error).map(ReportRow::new)),
            error_count: device.report_counts[Severity::Error as usize],
            warnings: list.of(report(Severity::Warning).map(ReportRow::new)),
            warning_count: device.report_counts[Severity::Warning as usize],
            availability: list.of(device.presences.iter().map(PresenceRow::new)),
            heartbeats: list.of(heartbeats(device, end.elapsed).map(Heartbeat::new)),
            commands: list.of(device.commands.iter().map(|command| CommandRow::new(command, device, end))),
            command_count: device.commands.count,
            topics: list.of(device.topics().map(|(topic, model)| TopicRow::new(topic, model, seen))),
            topic_count: device.topics.len(),
            conventions: seen.conventions(),
            messages: seen.recent.seen(),
            similar_ids: if device.is_silent() { list.of(device.similar.names()) } else { Vec::new() },
            mentions: list.of(device.mentions.iter().map(MentionRow::new)),
            other_messages: device.others,
            duration_seconds: seconds(heard.elapsed),
            interruptions: &heard.interruptions[left_out..],
            granted_qos: heard.granted_qos,
            messages_omitted: seen.recent.seen() - chosen.len() as u64,
            omitted: (list.omitted + left_out + (found.len() - shown_findings.len())) as u64,
            recent_messages: chosen
                .into_iter()
                .map(|index| {
                    let (slot, topic, kept) = seen.recent.message(index);
                    MessageRow::new(&slot.facts, cut(topic), kept, detail.payload_bytes)
                })
                .collect(),
        }
    }
}

/// Cuts lists and counts what they lost.
struct List {
    rows: usize,
    omitted: usize,
}

impl List {
    fn of<T>(&mut self, rows: impl Iterator<Item = T>) -> Vec<T> {
        let mut rows: Vec<T> = rows.collect();
        self.omitted += rows.len().saturating_sub(self.rows);
        rows.truncate(self.rows);
        rows
    }
}

impl Seen<'_> {
    fn conventions(&self) -> Vec<Convention> {
        let known: Vec<_> = self.device.conventions.iter().map(|(convention, _)| *convention).collect();
        if known.is_empty() && !self.device.is_silent() { vec![Convention::Plain] } else { known }
    }

    fn summary(&self, state: Connection, found: &[Finding]) -> String {
        let (device, duration) = (self.device, Decimal(seconds(self.heard.elapsed)));
        let mut text = String::new();
        // Writing to a string cannot fail.
        let out = &mut text;
        if device.is_silent() {
            let _ = write!(
                out,
                "Nothing came from {} in {duration} s on {} and nothing is retained; {} came on {}.",
                device.name.id(),
                cut(self.filter),
                count(device.others, "other message"),
                count(device.other_topics.len() as u64, "topic")
            );
            let similar: Vec<_> = device.similar.names().collect();
            if similar.is_empty() {
                out.push_str(" No similar name was seen.");
            } else {
                let _ = write!(out, " Did you mean {}?", similar.join(", "));
            }
            if let Some(mention) = device.mentions.first() {
                let _ = write!(out, " Messages on {} name it in their payload.", cut(&mention.topic));
            }
            out.push_str(
                " Next: match \"contains\", a longer duration_seconds, or list_topics; the user may also not be allowed to read its topics.",
            );
            return text;
        }
        let state = match state {
            Connection::Online if device.live == 0 => "is online, but only what the broker kept says so",
            Connection::Online => "is online",
            Connection::Offline => "is offline",
            Connection::Unknown => "may or may not be online: its messages do not tell",
        };
        let commands = device.commands.iter().filter(|command| !command.retained).count();
        let _ = write!(
            out,
            "{} {state}. {} and {} on {} in {duration} s.",
            device.name.id(),
            count(device.live + commands as u64, "live message"),
            count(device.retained, "retained message"),
            count(device.topics.len() as u64, "topic")
        );
        let bad = found.iter().filter(|finding| finding.severity != Grade::Info).count() as u64;
        match found.first() {
            None => out.push_str(" Nothing wrong was found."),
            Some(first) if bad == 0 => {
                let _ = write!(out, " Nothing wrong was found; good to know: {}.", first.finding);
            }
            Some(worst) => {
                let _ = write!(out, " {}; the worst: {}.", count(bad, "finding"), worst.finding);
            }
        }
        if device.untracked > 0 {
            let _ = write!(out, " Only counted: {} on further topics.", count(device.untracked, "message"));
        }
        text
    }
}

impl<'a> ReportRow<'a> {
    fn new(report: &'a Reported) -> Self {
        let (payload, encoding, truncated) = payload(&report.payload, report.bytes);
        Self {
            topic: cut(&report.topic),
            count: report.count,
            first_seen: (report.count > 1).then_some(Timestamp(report.first.unix_ms)),
            last_seen: Timestamp(report.last.unix_ms),
            payload,
            encoding,
            truncated,
            retained: report.retained,
        }
    }
}

impl<'a> PresenceRow<'a> {
    fn new(presence: &'a Presence) -> Self {
        let change = |(at, value): &'a (At, Box<str>)| Change { at: Timestamp(at.unix_ms), value };
        Self {
            topic: cut(&presence.topic),
            value: &presence.value,
            means: presence.means,
            retained: presence.retained,
            at: (!presence.retained).then_some(Timestamp(presence.at.unix_ms)),
            change_count: presence.change_count,
            changes: presence.changes.iter().map(change).collect(),
        }
    }
}

impl<'a> Heartbeat<'a> {
    fn new((topic, rhythm): (&'a str, Rhythm)) -> Self {
        Self {
            topic: cut(topic),
            period_ms: millis(rhythm.median),
            jitter_ms: millis(rhythm.jitter),
            missed: rhythm.missed,
            silent_ms: rhythm.silent.map(millis),
        }
    }
}

impl<'a> CommandRow<'a> {
    fn new(command: &'a Command, device: &Device, end: At) -> Self {
        let answer = |answer: &'a Answer| {
            let (payload, encoding, truncated) = payload(&answer.payload, answer.bytes);
            let delay_ms = millis(answer.delay);
            AnswerRow { topic: cut(&answer.topic), payload, encoding, truncated, delay_ms, sure: answer.sure }
        };
        let (payload, encoding, truncated) = payload(&command.payload, command.bytes);
        Self {
            topic: cut(&command.topic),
            payload,
            encoding,
            truncated,
            at: Timestamp(command.at.unix_ms),
            retained: command.retained,
            answer: command.answer(|topic| device.beats(topic, end.elapsed)).map(answer),
        }
    }
}

impl<'a> TopicRow<'a> {
    fn new(topic: &'a str, model: &TopicModel, seen: &Seen<'_>) -> Self {
        let rhythm = model.timing.rhythm(seen.end.elapsed);
        let rate = model.live as f64 / seen.heard.elapsed.as_secs_f64().max(1e-3);
        Self {
            topic: cut(topic),
            place: model.place,
            messages: model.live + u64::from(model.retained),
            rate: (rate * 1e3).round() / 1e3,
            interval_ms: rhythm.map(|rhythm| Interval { median: millis(rhythm.median), jitter: millis(rhythm.jitter) }),
            last_seen: (model.live > 0).then_some(Timestamp(model.last.unix_ms)),
            payload_type: model.kind,
            retained: model.retained,
        }
    }
}

impl<'a> MentionRow<'a> {
    fn new(mention: &'a Mention) -> Self {
        // An excerpt around the name.
        let (payload, encoding, _) = payload(&mention.payload, mention.payload.len());
        Self { topic: cut(&mention.topic), count: mention.count, severity: mention.severity, payload, encoding }
    }
}
