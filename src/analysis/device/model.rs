//! The device as its messages draw it.

use std::time::Duration;

use serde_json::Value;

use super::bridges::Bridges;
use super::clocks::Clocks;
use super::commands::Commands;
use super::fields::Fields;
use super::findings::Finding;
use super::labels::{self, Labels};
use super::malformed::{Malformed, PAYLOAD_PREVIEW_BYTES};
use super::names::{Name, Similar};
use super::nodes::Node;
use super::places::{Convention, Place, convention, is_asked, is_call, place};
use super::presence::{self, Means, Presences};
use super::rest::Rest;
use super::sequence::Sequence;
use super::timing::{Moment, Timing};
use super::units::Units;
use super::{At, Message, refusals, sparkplug, supply, texts};
use crate::analysis::alarm::{Severity, role_of_topic};
use crate::analysis::decode::{Form, decode};
use crate::analysis::payload::{self, Inspection, Kind};
use crate::analysis::topics::Topics;
use crate::hash;
use crate::limits::*;
use crate::rpc::message::json;

/// What is known of a device, and of the rest of the traffic.
pub struct Device {
    /// How it is named.
    pub name: Name,
    /// Its topics.
    pub topics: Topics<TopicModel>,
    /// Live messages of its own, commands left out.
    pub live: u64,
    /// When the device sent something last, other than that it is there or not.
    pub last_told: Option<At>,
    /// When it sent anything that shows that it is there.
    pub(super) pulse: Timing,
    /// Its retained messages.
    pub retained: u64,
    /// Messages on its topics beyond those that are followed.
    pub untracked: u64,
    /// Whether it says that it is there.
    pub presences: Presences,
    /// The bridges that others are behind.
    pub bridges: Bridges,
    /// Commands to it.
    pub commands: Commands,
    /// Its clocks.
    pub clocks: Clocks,
    /// The clocks of others, to compare with.
    pub other_clocks: Clocks,
    /// Its reports of errors and warnings, those that are kept.
    pub reports: Vec<Report>,
    /// All its reports: warnings, errors.
    pub report_counts: [u64; 2],
    /// Conventions that its topics follow, each with one that shows it.
    pub conventions: Vec<(Convention, Box<str>)>,
    /// Numbers of Sparkplug nodes that are the device or have it behind them.
    pub nodes: Vec<Node>,
    /// Whether all messages of a Sparkplug node come here: otherwise its numbers tell nothing.
    pub hears_nodes: bool,
    /// Messages of others.
    pub others: u64,
    others_live: u64,
    /// Topics of others.
    pub other_topics: Topics<()>,
    /// Their names that are like the id.
    pub similar: Similar,
    /// Their messages that name the device.
    pub mentions: Vec<Mention>,
    field_count: usize,
    pub(super) sequence: Sequence,
    aliases: sparkplug::Aliases,
}

/// A topic of the device.
pub struct TopicModel {
    /// What it is for.
    pub place: Place,
    /// Its live messages.
    pub live: u64,
    /// Whether the broker had kept one.
    pub retained: bool,
    /// When its messages came.
    pub timing: Timing,
    /// The latest payload's type.
    pub kind: Kind,
    /// When the latest came.
    pub last: At,
    /// Numbers in its payloads.
    pub fields: Fields,
    /// What is wrong in the payload that the broker had kept.
    pub(super) kept: Option<Box<Finding>>,
    /// Payloads that begin like JSON and are not.
    pub malformed: Malformed,
    /// Units that its payloads name.
    pub units: Units,
    /// Whether it carries several things in turn.
    pub labels: Labels,
    /// Whether it says that its work is done.
    pub(super) rest: Rest,
    payload_hash: u64,
}

/// Reports of the same kind on one topic.
pub struct Report {
    /// How bad.
    pub severity: Severity,
    /// The topic.
    pub topic: Box<str>,
    shape: u64,
    /// How many.
    pub count: u64,
    /// The first.
    pub first: At,
    /// The latest …
    pub last: At,
    /// … the beginning of its payload …
    pub payload: Box<str>,
    /// … of so many bytes.
    pub bytes: usize,
    /// Whether all of them are what the broker had kept.
    pub retained: bool,
}

/// Messages of another topic that name the device.
pub struct Mention {
    /// The topic.
    pub topic: Box<str>,
    /// How many.
    pub count: u64,
    /// The worst that they report.
    pub severity: Option<Severity>,
    /// The beginning of the worst, or of the latest among equals.
    pub payload: Box<str>,
    /// When it came.
    pub at: At,
}

/// What became of a message.
pub struct Taken {
    /// What it is.
    pub inspection: Inspection,
    /// The first on its topic.
    pub new_topic: bool,
}

impl Device {
    /// A device of which nothing is known.
    pub fn new(name: Name) -> Self {
        let similar = Similar::new(name.id());
        Self {
            name,
            topics: Topics::default(),
            live: 0,
            last_told: None,
            pulse: Timing::default(),
            retained: 0,
            untracked: 0,
            presences: Presences::default(),
            bridges: Bridges::default(),
            commands: Commands::default(),
            clocks: Clocks::default(),
            other_clocks: Clocks::default(),
            reports: Vec::new(),
            report_counts: [0; 2],
            conventions: Vec::new(),
            nodes: Vec::new(),
            hears_nodes: true,
            others: 0,
            others_live: 0,
            other_topics: Topics::default(),
            similar,
            mentions: Vec::new(),
            field_count: 0,
            sequence: Sequence::default(),
            aliases: sparkplug::Aliases::default(),
        }
    }

    /// Takes a message; `None` when it is not the device's.
    pub fn record(&mut self, message: &Message<'_>) -> Option<Taken> {
        self.follow_node(message);
        if !self.name.is_in(message.topic) {
            self.note_other(message);
            return None;
        }
        let Message { at, topic, payload, payload_bytes, retain } = *message;
        let inspection = payload::inspect_message(topic, payload, payload_bytes, INSPECT_MAX_BYTES);
        let is_full = self.topics.len() >= DEVICE_TOPICS_MAX && self.topics.value(topic).is_none();
        let place = place(topic);
        self.retained += u64::from(retain);
        let is_whole = payload.len() == payload_bytes;
        let decoded = match inspection.kind {
            Kind::Text | Kind::Binary if is_whole && payload_bytes <= INSPECT_MAX_BYTES => decode(payload, Form::Plain),
            _ => None,
        };
        let text = match &decoded {
            Some(decoded) => Some(decoded.json.as_str()),
            None => payload::readable(&payload[..payload.len().min(INSPECT_MAX_BYTES)], is_whole),
        };
        let is_value = decoded.is_some() || matches!(inspection.kind, Kind::Json | Kind::Number | Kind::Boolean);
        let json = text.filter(|_| is_value).and_then(|text| serde_json::from_str(text).ok());
        let json = match sparkplug::parts(topic) {
            Some(parts) if is_whole && json.is_none() => self.aliases.metrics(&parts, payload),
            _ => json,
        };
        let text = text.unwrap_or_default();
        // What is told of a value is no question for it, nor are several: openWB has its state on …/get/NAME.
        let is_told = || json.as_ref().map_or(text.starts_with('['), |json| !json.is_object());
        let place = match place {
            Place::Command if is_asked(topic) && is_told() => Place::State,
            // OCPP's gateways call so: the id is that of the answer.
            Place::State if is_call(topic) && json.as_ref().is_some_and(|json| !json["id"].is_null()) => Place::Command,
            place => place,
        };
        self.live += u64::from(place != Place::Command && !retain);
        let known = self.topics.value(topic).filter(|_| place == Place::State && self.commands.count > 0);
        let moment = known.map_or(Moment::Any, |model| model.timing.moment(at.elapsed));
        let (is_news, new_topic) = match is_full {
            true => {
                self.untracked += 1;
                (false, false)
            }
            false => self.note_topic(message, place, &inspection, text, json.as_ref()),
        };
        if new_topic {
            self.note_convention(topic);
        }
        match place {
            Place::Command => self.commands.record(at, topic, &sparkplug::readable(text, json.as_ref()), retain),
            Place::Description => {}
            Place::State => {
                if !retain && self.commands.count > 0 {
                    let text = sparkplug::readable(text, json.as_ref());
                    self.commands.answer(at, topic, &text, is_news, moment);
                }
                self.note_state(message, text, json.as_ref());
                let refused = || refusals::severity(topic, text, json.as_ref());
                if let Some(severity) = inspection.severity.or_else(refused) {
                    let text = sparkplug::readable(text, json.as_ref());
                    self.report(message, severity, inspection.shape, &text);
                }
            }
        }
        Some(Taken { inspection, new_topic })
    }

    /// Its topics with their names.
    pub fn topics(&self) -> impl Iterator<Item = (&str, &TopicModel)> {
        (0..self.topics.len()).map(|row| self.topics.get(row))
    }

    /// Whether a topic of it beats.
    pub fn beats(&self, topic: &str, end: Duration) -> bool {
        let rhythm = self.topics.value(topic).and_then(|model| model.timing.rhythm(end));
        rhythm.is_some_and(|rhythm| rhythm.is_regular)
    }

    /// Whether it says that its work is done, and has said so no earlier than since `begin`.
    pub fn rests(&self, begin: Duration) -> bool {
        self.topics().any(|(_, model)| model.rest.began_after(begin))
    }

    /// Whether nothing of it was seen.
    pub fn is_silent(&self) -> bool {
        self.topics.is_empty() && self.untracked == 0
    }

    /// Notes a message on its topic: whether it differs from the one before, and whether the topic is new.
    fn note_topic(
        &mut self,
        message: &Message<'_>,
        place: Place,
        inspection: &Inspection,
        text: &str,
        json: Option<&Value>,
    ) -> (bool, bool) {
        let Message { at, topic, payload, retain, .. } = *message;
        let room = FIELDS_MAX - self.field_count;
        let Some((model, new)) = self.topics.entry(topic, || TopicModel::new(place, at)) else {
            self.untracked += 1;
            return (false, false);
        };
        let hash = hash::of_bytes(payload);
        let is_news = new || hash != model.payload_hash;
        model.payload_hash = hash;
        let was_empty = model.kind == Kind::Empty && model.live > 0;
        (model.kind, model.last) = (inspection.kind, at);
        if retain {
            model.retained = true;
            let told = json.filter(|_| place == Place::State && sparkplug::parts(topic).is_none());
            model.kept = told.and_then(|json| supply::judge_kept(topic, json));
            return (is_news, new);
        }
        model.live += 1;
        if !is_news {
            model.timing.note_same(at.elapsed);
        }
        model.timing.add(at.elapsed);
        if place == Place::State {
            model.malformed.note(message, inspection.kind, text, json);
            model.rest.note(at.elapsed, text, json);
            // The numbers of others, which a gateway passes on, tell nothing of it.
            let own = json.filter(|json| !labels::is_passed_on(json));
            // A Sparkplug payload has all of its sender's metrics, or some of them, in any order.
            own.filter(|_| sparkplug::parts(topic).is_none()).into_iter().for_each(|json| {
                self.sequence.record(at, topic, json);
                model.units.record(at, json);
                model.labels.record(json);
            });
            let written = json.is_none().then(|| texts::value(topic, text, was_empty && payload.is_empty())).flatten();
            let value = own.or(written.as_ref());
            self.field_count += value.map_or(0, |value| model.fields.record(at, value, room));
        }
        (is_news, new)
    }

    fn note_state(&mut self, message: &Message<'_>, text: &str, json: Option<&Value>) {
        let Message { at, topic, payload, retain, .. } = *message;
        if let Some((value, means)) = presence::read(topic, text, json) {
            self.presences.record(at, topic, value, means, retain);
            if !retain && means == Means::Online {
                self.pulse.add(at.elapsed);
            }
        } else {
            let said = presence::read_words(topic, text, json);
            if let Some(said) = said.filter(|_| self.is_near(topic)) {
                self.presences.record_words(at, topic, said, retain);
            } else if !retain && !topic.contains("DEATH/") {
                self.presences.record_other(at, topic, text);
                // A last will is no sign of life, whatever it is of.
                if said.is_none_or(|(_, means)| means != Means::Offline) {
                    self.presences.told(at);
                    self.last_told = Some(at);
                    self.pulse.add(at.elapsed);
                }
            }
        }
        if let Some(parts) = sparkplug::parts(topic) {
            let means = match parts.kind {
                "NBIRTH" | "DBIRTH" => Some(Means::Online),
                "NDEATH" | "DDEATH" => Some(Means::Offline),
                _ => None,
            };
            if let Some(means) = means {
                let of = format!("{}/{}", parts.node, parts.device.unwrap_or_default());
                let key = format!("spBv1.0/{}/+/{}", parts.group, of.trim_end_matches('/'));
                self.presences.record(at, &key, parts.kind, means, retain);
            }
            if !retain {
                self.beat_by_birth(at, topic);
            }
            let time = sparkplug::time(payload).into_iter();
            time.for_each(|time| self.clocks.record(at, topic, "timestamp", time, retain));
        } else if let Some(json) = json.filter(|json| json.is_object()) {
            self.clocks.record_json(at, topic, json, retain);
        } else if !retain {
            // What is kept so may be the time of some event.
            self.clocks.record_text(at, topic, text);
        }
    }

    /// Whether a topic is no more than one level below the device's name.
    fn is_near(&self, topic: &str) -> bool {
        let above = topic.rmatch_indices('/').nth(1).map_or("", |(end, _)| &topic[..end]);
        !self.name.is_in(above)
    }

    fn note_convention(&mut self, topic: &str) {
        if let Some(found) = convention(topic)
            && !self.conventions.iter().any(|(known, _)| *known == found)
        {
            self.conventions.push((found, topic.into()));
        }
    }

    fn report(&mut self, message: &Message<'_>, severity: Severity, shape: u64, text: &str) {
        let Message { at, topic, retain, .. } = *message;
        self.report_counts[severity as usize] += 1;
        let same = |known: &&mut Report| *known.topic == *topic && (known.severity, known.shape) == (severity, shape);
        let payload: Box<str> = text[..text.floor_char_boundary(PAYLOAD_PREVIEW_BYTES)].into();
        if let Some(known) = self.reports.iter_mut().find(same) {
            known.count += 1;
            known.retained &= retain;
            (known.last, known.payload, known.bytes) = (at, payload, text.len());
        } else if self.reports.len() < REPORTS_KEPT {
            let (topic, first, last, bytes, retained) = (topic.into(), at, at, text.len(), retain);
            self.reports.push(Report { severity, topic, shape, count: 1, first, last, payload, bytes, retained });
        }
    }

    fn note_other_clock(&mut self, Message { at, topic, .. }: &Message<'_>, part: &[u8]) {
        if part.starts_with(b"{") {
            json::<Value>(part).into_iter().for_each(|json| self.other_clocks.record_json(*at, topic, &json, false));
        } else if sparkplug::parts(topic).is_some() {
            let time = sparkplug::time(part).into_iter();
            time.for_each(|time| self.other_clocks.record(*at, topic, "timestamp", time, false));
        } else if let Ok(text) = str::from_utf8(part) {
            self.other_clocks.record_text(*at, topic, text);
        }
    }

    fn note_other(&mut self, message: &Message<'_>) {
        self.others += 1;
        let is_new = self.other_topics.entry(message.topic, || ()).is_some_and(|(_, new)| new);
        if is_new {
            self.similar.look_at(message.topic);
        }
        let part = &message.payload[..message.payload.len().min(INSPECT_MAX_BYTES)];
        self.bridges.record(message);
        self.commands.answer_call(message.at, message.topic, part);
        self.others_live += u64::from(!message.retain);
        // A few show how they go, and one of each topic whether any is right; to read all would cost too much.
        let is_read = is_new || self.others_live < OTHERS_READ || self.others_live.is_multiple_of(OTHERS_READ);
        if is_read && !message.retain {
            self.note_other_clock(message, part);
        }
        let id = self.name.id();
        // Short ids are in everything.
        if id.len() < 3 {
            return;
        }
        let Some(text) = payload::readable(part, part.len() == message.payload_bytes) else { return };
        let Some(place) = whole_word(text, id).filter(|_| role_of_topic(message.topic).is_some()) else { return };
        let severity =
            payload::inspect_message(message.topic, message.payload, message.payload_bytes, INSPECT_MAX_BYTES).severity;
        let start = text.floor_char_boundary(place.saturating_sub(PAYLOAD_PREVIEW_BYTES / 2));
        let payload = text[start..text.floor_char_boundary(start + PAYLOAD_PREVIEW_BYTES)].into();
        let has_room = self.mentions.len() < MENTIONS_KEPT;
        match self.mentions.iter_mut().find(|mention| *mention.topic == *message.topic) {
            Some(mention) => {
                mention.count += 1;
                if severity >= mention.severity {
                    (mention.severity, mention.payload, mention.at) = (severity, payload, message.at);
                }
            }
            None if has_room => {
                self.mentions.push(Mention {
                    topic: message.topic.into(),
                    count: 1,
                    severity,
                    payload,
                    at: message.at,
                });
            }
            None => {}
        }
    }
}

impl TopicModel {
    fn new(place: Place, at: At) -> Self {
        Self {
            place,
            live: 0,
            retained: false,
            timing: Timing::default(),
            kind: Kind::Empty,
            last: at,
            fields: Fields::default(),
            kept: None,
            malformed: Malformed::default(),
            units: Units::default(),
            labels: Labels::default(),
            rest: Rest::default(),
            payload_hash: 0,
        }
    }
}

/// Where `name` stands in a text as a word of its own.
fn whole_word(text: &str, name: &str) -> Option<usize> {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let mut found = text.match_indices(name).map(|(at, _)| at);
    found.find(|at| {
        let (before, behind) = (text.as_bytes()[..*at].last(), text.as_bytes().get(at + name.len()));
        !before.is_some_and(is_part) && !behind.is_some_and(is_part)
    })
}

#[cfg(test)]
#[path = "model_tests.rs"]
mod tests;
