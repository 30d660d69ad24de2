//! Payloads that were to be JSON and are not.

use std::borrow::Cow;

use base64ct::{Base64, Encoding};
use serde_json::Value;

use super::findings::{Finding, Grade, time};
use super::model::TopicModel;
use super::places::Place;
use super::{At, Message, presence};
use crate::analysis::decode::is_well_formed;
use crate::analysis::garbled;
use crate::analysis::payload::Kind;
use crate::analysis::words::count;
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
    /// Messages that were JSON objects or arrays, or said as much.
    structured: u32,
    /// Whether the latest of these was CBOR or MessagePack.
    packed: bool,
}

/// A topic with so many objects has only such.
const STRUCTURED_FROM: u32 = 3;
/// So much is shown of bytes that are no text.
const BYTES_SHOWN: usize = 48;
pub(super) const PAYLOAD_PREVIEW_BYTES: usize = 200;

impl Malformed {
    /// Notes what begins like JSON and is none, or comes where there was nothing but JSON; what was cut cannot be judged.
    pub(super) fn note(&mut self, message: &Message<'_>, kind: Kind, text: &str, json: Option<&Value>) {
        if json.is_some_and(|json| json.is_object() || json.is_array()) {
            self.structured += 1;
            self.packed = kind == Kind::Binary;
        }
        let is_whole = message.payload.len() == message.payload_bytes && message.payload_bytes <= INSPECT_MAX_BYTES;
        let is_presence = || presence::read(message.topic, text, None).is_some();
        if json.is_some() || !is_whole || message.payload.is_empty() || is_presence() {
            return;
        }
        // Not all that is well-formed is decoded.
        if self.packed && kind == Kind::Binary && is_well_formed(message.payload) {
            return;
        }
        let (garbled, text) = if kind == Kind::Binary { read(message) } else { (None, Cow::Borrowed(text)) };
        let unmarked = text.trim_start_matches('\u{feff}').trim_ascii();
        let inside = unmarked.strip_prefix(['{', '[']).map(str::trim_ascii_start);
        let begins = inside.is_some_and(|inside| inside.is_empty() || inside.starts_with(['"', '{', '\'']));
        let sum = sum(unmarked);
        self.structured += u32::from(sum == Some(true));
        if begins || sum == Some(false) || self.structured >= STRUCTURED_FROM && sum.is_none() {
            self.count += 1;
            self.at = message.at;
            self.payload = unmarked[..unmarked.floor_char_boundary(PAYLOAD_PREVIEW_BYTES)].into();
            let marked = text.starts_with('\u{feff}').then_some("a byte order mark before it");
            self.garbled = garbled.or(marked);
        }
    }
}

/// Whether the sum at the end of a sentence of NMEA 0183 fits, if it is one: all that stands between `$` and `*`.
fn sum(text: &str) -> Option<bool> {
    let (sentence, sum) = text.strip_prefix(['$', '!'])?.rsplit_once('*')?;
    let told = u8::from_str_radix(sum, 16).ok().filter(|_| sum.len() == 2)?;
    Some(sentence.bytes().fold(0, |sum, byte| sum ^ byte) == told)
}

/// Bytes that are no text, as it reads: what is wrong with it, or nothing where it is none at all.
fn read(message: &Message<'_>) -> (Option<&'static str>, Cow<'static, str>) {
    if let Some((what, text)) = garbled::read(message.payload) {
        return (Some(what), text.into());
    }
    let shown = &message.payload[..message.payload.len().min(BYTES_SHOWN)];
    (None, format!("{}, base64 {}", count(message.payload_bytes as u64, "byte"), Base64::encode_string(shown)).into())
}

pub(super) fn judge(topic: &str, model: &TopicModel, found: &mut Vec<Finding>) {
    let Malformed { count: number, at, payload, garbled, packed, .. } = &model.malformed;
    if *number == 0 || model.place != Place::State {
        return;
    }
    let what = garbled.map_or_else(String::new, |what| format!("{what}: "));
    found.push(Finding {
        kind: "malformed_json",
        severity: Grade::Error,
        finding: format!(
            "{} on {topic}, of {} in all, cannot be read as {}, which they seem to be meant as",
            count((*number).into(), "payload"),
            model.live,
            match *packed {
                _ if topic.starts_with("spBv1.0/") => "Sparkplug's Protobuf",
                true => "CBOR or MessagePack",
                false if sum(payload).is_some() => "NMEA 0183",
                false => "JSON",
            }
        ),
        evidence: vec![format!("{} {what}{payload}", time(*at))],
        advice: "receivers drop such messages: look for a cut buffer, a missing quote, NaN where JSON has none, or an encoding other than UTF-8",
    });
}

#[cfg(all(test, feature = "binary"))]
mod tests {
    use super::*;
    use crate::analysis::device::findings::judge;
    use crate::analysis::device::model::Device;
    use crate::analysis::device::names::Name;

    #[test]
    fn a_sentence_whose_sum_does_not_fit_is_malformed() {
        let first = b"$WIMWV,072,R,11.1,M,A*0A";
        for (last, expected) in [
            (&first[..], 0),
            (b"$WIMWV,073,R,11.1,M,A*0A", 1),
            (b"!WIMWV,072,R,11.1,M,A*0a", 0),
            (b"WIMWV,072,R,11.1,M", 1),
            (b"", 0),
        ] {
            let mut device = Device::new(Name::new("d", false));
            for payload in [first; 3].iter().map(|payload| &payload[..]).chain([last]) {
                let at = At::default();
                device.record(&Message { at, topic: "d/nmea", payload, payload_bytes: payload.len(), retain: false });
            }
            let told = judge(&device, At::default());
            let told: Vec<_> = told.iter().filter(|finding| finding.kind == "malformed_json").collect();
            assert_eq!(told.len(), expected, "{last:?}");
            let names_it = |finding: &&Finding| finding.finding.contains(if last[0] == b'$' { "NMEA" } else { "JSON" });
            assert!(told.iter().all(names_it), "{told:?}");
        }
    }

    #[test]
    fn what_is_well_formed_and_not_decoded_is_not_malformed() {
        let deep = [&b"\xa1\x61t"[..], &[0x81].repeat(30), &[1]].concat();
        for (odd, expected) in [
            (&b"\xa1\x61t\xa1\x01\x02"[..], 0),
            (&deep, 0),
            (b"\x81\xa1t\x81\x01\x02", 0),
            (b"\xa1\x61t\xfa\x41", 1),
            (b"\xa1\x61t\xa1\x01\x02\x00", 1),
        ] {
            let mut device = Device::new(Name::new("d", false));
            for payload in [b"\xa1\x61t\x15"; 4].iter().map(|payload| &payload[..]).chain([odd]) {
                let at = At::default();
                device.record(&Message { at, topic: "d/data", payload, payload_bytes: payload.len(), retain: false });
            }
            let told = judge(&device, At::default()).iter().filter(|finding| finding.kind == "malformed_json").count();
            assert_eq!(told, expected, "{odd:02x?}");
        }
    }
}
