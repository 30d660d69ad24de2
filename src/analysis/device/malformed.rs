//! Payloads that were to be JSON and are not.

use serde_json::Value;

use super::findings::{Finding, Grade, count, time};
use super::model::TopicModel;
use super::places::Place;
use super::{At, Message, presence};
use crate::analysis::garbled;
use crate::limits::INSPECT_MAX_BYTES;

/// Broken payloads of a topic.
#[derive(Default)]
pub struct Malformed {
    /// How many.
    pub count: u32,
    /// When the latest came.
    pub at: At,
    /// Its beginning.
    pub payload: Box<str>,
    /// What is wrong with it as text.
    pub garbled: Option<&'static str>,
    /// Messages that were JSON objects or arrays.
    structured: u32,
}

/// A topic with so many objects has only such.
const STRUCTURED_FROM: u32 = 3;
pub(super) const PAYLOAD_PREVIEW_BYTES: usize = 200;

impl Malformed {
    /// Notes what begins like JSON and is none, or comes where there was nothing but JSON; what was cut cannot be judged.
    pub(super) fn note(&mut self, message: &Message<'_>, text: &str, json: Option<&Value>) {
        if json.is_some_and(|json| json.is_object() || json.is_array()) {
            self.structured += 1;
        }
        let is_whole = message.payload.len() == message.payload_bytes && message.payload_bytes <= INSPECT_MAX_BYTES;
        let is_presence = || presence::read(message.topic, text, None).is_some();
        if json.is_some() || !is_whole || message.payload.is_empty() || is_presence() {
            return;
        }
        let garbled = if text.is_empty() { garbled::read(message.payload) } else { None };
        let text = garbled.as_ref().map_or(text, |(_, text)| text.as_str());
        let unmarked = text.trim_start_matches('\u{feff}').trim_ascii();
        let inside = unmarked.strip_prefix(['{', '[']).map(str::trim_ascii_start);
        let begins = inside.is_some_and(|inside| inside.is_empty() || inside.starts_with(['"', '{', '\'']));
        if begins || self.structured >= STRUCTURED_FROM {
            self.count += 1;
            self.at = message.at;
            self.payload = unmarked[..unmarked.floor_char_boundary(PAYLOAD_PREVIEW_BYTES)].into();
            let marked = text.starts_with('\u{feff}').then_some("a byte order mark before it");
            self.garbled = garbled.map(|(what, _)| what).or(marked);
        }
    }
}

pub(super) fn judge(topic: &str, model: &TopicModel, found: &mut Vec<Finding>) {
    let Malformed { count: number, at, payload, garbled, .. } = &model.malformed;
    if *number == 0 || model.place != Place::State {
        return;
    }
    let what = garbled.map_or_else(String::new, |what| format!("{what}: "));
    found.push(Finding {
        kind: "malformed_json",
        severity: Grade::Error,
        finding: format!(
            "{} on {topic}, of {} in all, cannot be read as JSON, which they seem to be meant as",
            count(*number, "payload"),
            model.live
        ),
        evidence: vec![format!("{} {what}{payload}", time(*at))],
        advice: "receivers drop such messages: look for a cut buffer, a missing quote, NaN where JSON has none, or an encoding other than UTF-8",
    });
}
