//! Last-will and status topics: whether they say that a device is there, and how that changed.

use std::time::Duration;

use serde_json::Value;

use super::places::last_level;
use super::{At, meaning};
use crate::analysis::words::is_in;
use crate::limits::{PRESENCE_CHANGES_KEPT, PRESENCE_TOPICS_MAX, PREVIEW_BYTES};

/// What a status says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Means {
    /// The device is there.
    Online,
    /// It is not.
    Offline,
    /// Between the two: starting, sleeping.
    Unclear,
}

/// A topic that says whether the device is there.
pub struct Presence {
    /// The topic.
    pub topic: Box<str>,
    /// Its latest value.
    pub value: Box<str>,
    /// What that means.
    pub means: Means,
    /// Whether it is what the broker had kept, and nothing came since.
    pub retained: bool,
    /// When it came.
    pub at: At,
    /// The latest changes: when, and to what.
    pub changes: Vec<(At, Box<str>)>,
    /// All changes.
    pub change_count: u32,
    /// Those to offline.
    pub losses: u32,
    /// Whether the device was there before: it said so, or sent something.
    pub was_there: bool,
    /// Whether nothing but its words tells that it speaks of the device.
    by_words: bool,
    /// Whether the device sent something while this said that it is gone, so that it speaks of something else.
    is_of_other: bool,
}

/// The presence topics of a device.
#[derive(Default)]
pub struct Presences {
    all: Vec<Presence>,
    /// Whether the device sent something else.
    has_told: bool,
}

impl Presences {
    /// Takes what a topic said.
    pub fn record(&mut self, at: At, topic: &str, value: &str, means: Means, retained: bool) {
        let value: Box<str> = value[..value.floor_char_boundary(PREVIEW_BYTES)].into();
        if let Some(known) = self.all.iter_mut().find(|known| *known.topic == *topic) {
            if known.value != value {
                known.change_count += 1;
                known.losses += u32::from(means == Means::Offline && known.means != Means::Offline);
                if known.changes.len() == PRESENCE_CHANGES_KEPT {
                    known.changes.remove(0);
                }
                known.changes.push((at, value.clone()));
            }
            (known.value, known.means, known.retained, known.at) = (value, means, retained, at);
            known.was_there |= means == Means::Online;
        } else if self.all.len() < PRESENCE_TOPICS_MAX {
            let (topic, changes) = (topic.into(), Vec::new());
            let losses = u32::from(means == Means::Offline && !retained);
            let was_there = means == Means::Online || (self.has_told && !retained);
            let (change_count, by_words, is_of_other) = (0, false, false);
            self.all.push(Presence {
                topic,
                value,
                means,
                retained,
                at,
                changes,
                change_count,
                losses,
                was_there,
                by_words,
                is_of_other,
            });
        }
    }

    /// Takes the same from a topic that nothing but its words makes one that speaks of the device.
    pub fn record_words(&mut self, at: At, topic: &str, (value, means): (&str, Means), retained: bool) {
        self.record(at, topic, value, means, retained);
        self.all.iter_mut().filter(|known| *known.topic == *topic).for_each(|known| known.by_words = true);
    }

    /// The device sends something, so it is there: what says by its words alone that it is gone speaks of something else.
    pub fn told(&mut self, at: At) {
        self.has_told = true;
        for known in self.all.iter_mut().filter(|known| known.by_words && known.means == Means::Offline) {
            known.is_of_other |= known.at.elapsed + SETTLED < at.elapsed;
        }
    }

    /// Takes what a topic says that is nothing of that kind: one that was unavailable has become something.
    pub fn record_other(&mut self, at: At, topic: &str, value: &str) {
        let is_gone = |known: &&mut Presence| *known.topic == *topic && known.means == Means::Offline;
        if !value.is_empty() && self.all.iter_mut().find(is_gone).is_some() {
            self.record(at, topic, value, Means::Unclear, false);
        }
    }

    /// All of them, in the order in which they were first seen.
    pub fn iter(&self) -> impl Iterator<Item = &Presence> {
        self.all.iter().filter(|presence| !presence.is_of_other)
    }

    /// Those that speak of the device as a whole: whose topic is below what another one speaks of tells of a part, as
    /// that a car is at the charger.
    pub fn of_whole(&self) -> impl Iterator<Item = &Presence> {
        let of = |topic: &Presence| topic.topic.rfind('/').unwrap_or(0);
        // In Sparkplug the node is above its devices, and what each says is of itself.
        let is_above = move |above: &Presence, part: &Presence| {
            let (end, shared) = (of(part), of(above));
            !part.topic.starts_with("spBv1.0/")
                && shared > 0
                && shared < end
                && above.topic.as_bytes()[..=shared] == part.topic.as_bytes()[..=shared]
        };
        self.iter().filter(move |part| !self.iter().any(|above| is_above(above, part)))
    }
}

/// What comes within this time of a last will was on its way.
pub(super) const SETTLED: Duration = Duration::from_secs(1);

/// Whether a topic is called as those are that say whether a device is there.
pub fn is_name(topic: &str) -> bool {
    let last = last_level(topic);
    is_in(STRONG, last) || is_in(WEAK, last) || topic.starts_with("spBv1.0/STATE/")
}

/// Levels that mean nothing else …
const STRONG: &[&str] = &[
    "lwt",
    "availability",
    "available",
    "online",
    "connected",
    "connection",
    "alive",
    "will",
    "last_will",
    "reachable",
    "$state",
    "$online",
];
/// … and levels that may.
const WEAK: &[&str] = &["status", "state"];

/// What a message says of its sender's presence, with the value that says it; `None` when that is not what it is about.
pub fn read<'a>(topic: &str, text: &'a str, json: Option<&'a Value>) -> Option<(&'a str, Means)> {
    const MEMBERS: &[&str] = &["state", "status", "online", "connected", "availability", "available", "alive"];
    let last = last_level(topic);
    let strong = is_in(STRONG, last) || topic.starts_with("spBv1.0/STATE/");
    if !strong && !is_in(WEAK, last) {
        // Some have the device's name last: stat/NAME. Nothing but the word itself tells what that is about.
        let before = topic.rsplit('/').nth(1).unwrap_or_default();
        let is_plain = json.is_none() && text.len() <= PLAIN_MAX_BYTES;
        let is_named = is_plain && (is_in(STRONG, before) || is_in(WEAK, before) || is_in(&["stat"], before));
        return if is_named && is_in(&["online", "offline"], text.trim()) { word(text, false, false) } else { None }
            .map(|means| (text, means));
    }
    let is_homie = last == "$state";
    match json {
        Some(Value::Object(members)) => {
            members.iter().filter(|(name, _)| is_in(MEMBERS, name)).find_map(|(name, value)| {
                let flag = is_in(STRONG, name);
                match value {
                    Value::String(value) => word(value, strong || flag, is_homie).map(|means| (value.as_str(), means)),
                    Value::Bool(value) if strong || flag => Some(of_flag(*value)),
                    _ => None,
                }
            })
        }
        Some(Value::Bool(value)) => strong.then(|| of_flag(*value)),
        Some(Value::String(value)) => word(value, strong, is_homie).map(|means| (value.as_str(), means)),
        _ => word(text, strong, is_homie).map(|means| (text, means)),
    }
}

/// What a message says in words that are hardly for anything but a presence, on a topic that is the device's own and has
/// any name: `octoPrint/mqtt` connected, `gw/gw_status` {"state":"offline"}.
pub fn read_words<'a>(topic: &str, text: &'a str, json: Option<&'a Value>) -> Option<(&'a str, Means)> {
    const LINKS: &[&str] = &["mqtt", "conn", "connection", "link", "broker", "client", "network", "net"];
    // Cars are connected, too.
    const PLUGS: &[&str] = &["car", "plug", "vehicle", "cable", "usb", "ev", "connector", "socket", "charger", "door"];
    let name = last_level(topic);
    let is = |words: &[&str], value: &str| is_in(words, value.trim());
    let (value, is_plain) = match json {
        None if text.len() <= PLAIN_MAX_BYTES => (text, true),
        Some(Value::String(value)) => (value.as_str(), true),
        Some(Value::Object(members)) => {
            let member = ["state", "status"].into_iter().find_map(|name| members.get(name));
            (member?.as_str()?, false)
        }
        _ => return None,
    };
    let is_known = is(&["online", "offline"], value)
        || (is(&["connected", "disconnected"], value)
            && (is_in(LINKS, name) || (is_plain && !meaning::has_part(name, PLUGS))))
        || (is(&["up", "down"], value) && is_in(LINKS, name));
    word(value, true, false).filter(|_| is_known).map(|means| (value, means))
}

/// Longer than any word that says whether a device is there.
const PLAIN_MAX_BYTES: usize = 16;

fn of_flag(value: bool) -> (&'static str, Means) {
    if value { ("true", Means::Online) } else { ("false", Means::Offline) }
}

fn word(value: &str, strong: bool, is_homie: bool) -> Option<Means> {
    let value = value.trim();
    let is = |words: &[&str]| is_in(words, value);
    if is(&["online", "connected", "alive"]) || (strong && is(&["true", "1", "yes", "on", "up", "available", "ready"]))
    {
        Some(Means::Online)
    } else if is(&["offline", "disconnected", "dead", "lost", "unavailable", "unreachable", "connection lost"])
        || (strong && is(&["false", "0", "no", "off", "down", "gone", "not connected"]))
    {
        Some(Means::Offline)
    } else if is_homie && is(&["alert"]) {
        Some(Means::Online)
    } else {
        (is_homie || (strong && is(&["init", "sleeping", "connecting"]))).then_some(Means::Unclear)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_unavailable_and_has_a_value_is_there() {
        let mut presences = Presences::default();
        presences.record_other(At::default(), "tv/state", "12");
        assert_eq!(presences.iter().count(), 0);
        presences.record(At::default(), "tv/state", "unavailable", Means::Offline, true);
        presences.record_other(At::default(), "tv/state", "42.0");
        assert_eq!(presences.iter().map(|presence| presence.means).collect::<Vec<_>>(), [Means::Unclear]);
    }

    #[test]
    fn the_presence_of_a_part_is_not_that_of_the_whole() {
        for (topics, expected) in [
            (&["e/status", "e/loadpoints/1/connected"][..], &["e/status"][..]),
            (&["e/loadpoints/1/connected"], &["e/loadpoints/1/connected"]),
            (&["tele/p/LWT", "stat/p/status", "home/p/x/online"], &["tele/p/LWT", "stat/p/status", "home/p/x/online"]),
            (&["p/status", "p/availability", "pp/x/status"], &["p/status", "p/availability", "pp/x/status"]),
            (&["status", "x/status"], &["status", "x/status"]),
            (&["spBv1.0/g/+/n", "spBv1.0/g/+/n/d"], &["spBv1.0/g/+/n", "spBv1.0/g/+/n/d"]),
        ] {
            let mut presences = Presences::default();
            topics.iter().for_each(|topic| presences.record(At::default(), topic, "online", Means::Online, true));
            let whole: Vec<_> = presences.of_whole().map(|presence| &*presence.topic).collect();
            assert_eq!(whole, expected, "{topics:?}");
        }
    }

    #[test]
    fn presence_is_told_from_other_states() {
        for (topic, payload, expected) in [
            ("tele/plug/LWT", "Online", Some(Means::Online)),
            ("tele/plug/LWT", "Offline", Some(Means::Offline)),
            ("zigbee2mqtt/lamp/availability", r#"{"state":"offline"}"#, Some(Means::Offline)),
            ("shellies/x/online", "true", Some(Means::Online)),
            ("shelly/online", "false", Some(Means::Offline)),
            ("homie/d/$state", "lost", Some(Means::Offline)),
            ("homie/d/$state", "alert", Some(Means::Online)),
            ("homie/d/$state", "init", Some(Means::Unclear)),
            ("boiler/status", "offline", Some(Means::Offline)),
            ("d/status", r#"{"online":true,"rssi":-60}"#, Some(Means::Online)),
            ("spBv1.0/STATE/scada", r#"{"online":false,"timestamp":1}"#, Some(Means::Offline)),
            ("d/connection", "\"connected\"", Some(Means::Online)),
            ("lamp/state", "ON", None),
            ("lamp/state", "OFF", None),
            ("pump/status", "running", None),
            ("pump/status", r#"{"flow":3}"#, None),
            ("pump/flow", "online", None),
            ("msh/EU/2/stat/!da5a8c10", "offline", Some(Means::Offline)),
            ("status/pump7", "online", Some(Means::Online)),
            ("status/pump7", "dead", None),
            ("pump/status/door", "lost", None),
            ("blind/state", "down", None),
        ] {
            let json = serde_json::from_str(payload).ok();
            assert_eq!(read(topic, payload, json.as_ref()).map(|(_, means)| means), expected, "{topic} {payload}");
        }
    }

    #[test]
    fn words_of_presence_are_told_from_those_of_plugs_and_blinds() {
        for (topic, payload, expected) in [
            ("octoPrint/mqtt", "disconnected", Some(Means::Offline)),
            ("octoPrint/mqtt", "connected", Some(Means::Online)),
            ("ruuvi/gw/gw_status", r#"{"state":"offline"}"#, Some(Means::Offline)),
            ("d/conn", r#"{"status":"disconnected"}"#, Some(Means::Offline)),
            ("d/link", "down", Some(Means::Offline)),
            ("d/wallbox", r#"{"status":"disconnected","power":0}"#, None),
            ("d/car", "disconnected", None),
            ("d/motor", "down", None),
            ("d/door", r#"{"status":"lost"}"#, None),
            ("d/mode", "on", None),
        ] {
            let json = serde_json::from_str(payload).ok();
            assert_eq!(
                read_words(topic, payload, json.as_ref()).map(|(_, means)| means),
                expected,
                "{topic} {payload}"
            );
        }
    }

    #[test]
    fn who_sends_on_is_there_whatever_words_say_of_something_else() {
        let at = |second| At { elapsed: Duration::from_secs(second), unix_ms: 0 };
        let mut presences = Presences::default();
        presences.record_words(at(1), "d/wifi", ("disconnected", Means::Offline), false);
        presences.record(at(1), "d/lwt", "offline", Means::Offline, false);
        presences.told(at(2));
        assert_eq!(presences.iter().count(), 2, "it was on its way");
        presences.told(at(3));
        assert_eq!(presences.iter().map(|presence| &*presence.topic).collect::<Vec<_>>(), ["d/lwt"]);
    }

    #[test]
    fn changes_are_counted_and_the_latest_kept() {
        let mut presences = Presences::default();
        for n in 0..100 {
            let value = if n % 2 == 0 { "online" } else { "offline" };
            presences.record(At::default(), "d/status", value, Means::Online, n == 0);
            presences.record(At::default(), "d/status", value, Means::Online, false);
        }
        let presence = presences.iter().next().expect("a topic");
        assert_eq!((presence.change_count, presence.changes.len()), (99, PRESENCE_CHANGES_KEPT));
        assert!(!presence.retained);
        (0..1000).for_each(|n| presences.record(At::default(), &format!("{n}"), "x", Means::Online, false));
        assert_eq!(presences.iter().count(), PRESENCE_TOPICS_MAX);
    }
}
