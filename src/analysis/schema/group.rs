//! Which topics belong together, and the narrowest filter that covers them: same number of levels, same kind of payload,
//! and levels that differ only where an id or a place stands.
//!
//! A level whose names say what is measured (`temperature`, `state`) splits a group; one that names things (`kitchen`,
//! `sensor-17`) becomes `+`. The last level usually says what, so it becomes `+` only where its names are numbered, or
//! where payloads are objects with the same members, which say enough by themselves.

use super::{Class, Sample};
use crate::analysis::sort::sort_by;
use crate::limits::SCHEMA_TOPIC_MEMBERS_MAX;

/// What a topic carries, as far as grouping needs it.
#[derive(Default)]
pub struct Traits {
    counts: Vec<(Class, u32)>,
    objects: u32,
    /// Top-level members of its objects with how many objects have them.
    members: Vec<(Box<str>, u32)>,
}

/// Topics that belong together.
#[derive(Debug, PartialEq)]
pub struct Group {
    /// The narrowest filter that covers them.
    pub filter: String,
    /// What most of their messages are.
    pub class: Class,
    /// Indices of the topics, in their order.
    pub topics: Vec<usize>,
    /// The last level is the same for all, so it says what is measured.
    pub same_end: bool,
}

impl Traits {
    /// What the messages of a topic show.
    pub fn of(samples: &[Sample<'_>]) -> Self {
        let mut traits = Self::default();
        samples.iter().for_each(|sample| traits.add(sample, sample.value().as_ref()));
        traits
    }

    fn add(&mut self, sample: &Sample<'_>, value: Option<&serde_json::Value>) {
        let class = sample.class();
        match self.counts.iter_mut().find(|(known, _)| *known == class) {
            Some((_, count)) => *count += 1,
            None => self.counts.push((class, 1)),
        }
        let Some(members) = value.and_then(serde_json::Value::as_object) else { return };
        self.objects += 1;
        for name in members.keys() {
            match self.members.iter().position(|(known, _)| **known == **name) {
                Some(index) => self.members[index].1 += 1,
                None if self.members.len() < SCHEMA_TOPIC_MEMBERS_MAX => self.members.push((name.as_str().into(), 1)),
                None => {}
            }
        }
    }

    /// What most of its messages are. Empty ones say nothing of the others; of two classes that are equally many the
    /// first counts.
    fn class(&self) -> Class {
        let rank = |(class, count): &&(Class, u32)| (*class != Class::Empty, *count, std::cmp::Reverse(*class));
        self.counts.iter().max_by_key(rank).map_or(Class::Empty, |(class, _)| *class)
    }

    /// Members that at least half of the objects have, sorted.
    fn usual(&self) -> Vec<&str> {
        let usual = self.members.iter().filter(|(_, count)| count * 2 >= self.objects);
        sorted(usual.map(|(name, _)| name.as_ref()).collect())
    }
}

/// Topics of the same make, before their names are looked at.
struct Cluster<'a> {
    levels: usize,
    class: Class,
    fixed: Option<&'a str>,
    members: Vec<&'a str>,
    topics: Vec<usize>,
}

/// Groups topics, which are sorted by name. Every topic is in exactly one group.
pub fn groups(topics: &[(&str, &Traits)]) -> Vec<Group> {
    let mut clusters: Vec<Cluster<'_>> = Vec::new();
    for (index, (topic, traits)) in topics.iter().enumerate() {
        let class = traits.class();
        let (levels, fixed, members) = (topic.split('/').count(), fixed_level(topic), traits.usual());
        let same = |cluster: &&mut Cluster<'_>| {
            (cluster.levels, cluster.class, cluster.fixed) == (levels, class, fixed)
                && alike(&cluster.members, &members)
        };
        match clusters.iter_mut().find(same) {
            Some(cluster) => cluster.topics.push(index),
            None => clusters.push(Cluster { levels, class, fixed, members, topics: vec![index] }),
        }
    }
    let mut found = Vec::new();
    for cluster in clusters {
        let names = cluster.topics.iter().map(|index| topics[*index].0.split('/').collect()).collect();
        let has_members = matches!(cluster.class, Class::Object | Class::Cbor | Class::MessagePack);
        let tells_itself =
            has_members && cluster.members.len() > 1 || cluster.class == Class::Binary && cluster.fixed.is_some();
        split(Part { class: cluster.class, tells_itself, topics: cluster.topics, names }, &mut found);
    }
    adopt(topics, &mut found);
    sort_by(&mut found, |a, b| a.filter.cmp(&b.filter).then(a.topics.cmp(&b.topics)));
    found
}

/// Sparkplug B names the type of a message in its third level.
fn fixed_level(topic: &str) -> Option<&str> {
    if topic.starts_with("spBv1.0/") || topic.starts_with('$') {
        return topic.split('/').nth(if topic.starts_with('$') { 0 } else { 2 });
    }
    None
}

fn sorted(mut names: Vec<&str>) -> Vec<&str> {
    sort_by(&mut names, |a, b| a.cmp(b));
    names
}

/// Three quarters of all members are common.
fn alike(a: &[&str], b: &[&str]) -> bool {
    let common = a.iter().filter(|name| b.binary_search(name).is_ok()).count();
    4 * common >= 3 * (a.len() + b.len() - common)
}

struct Part<'a> {
    class: Class,
    /// The payload shows what it is about without the topic's last level.
    tells_itself: bool,
    topics: Vec<usize>,
    /// Their levels.
    names: Vec<Vec<&'a str>>,
}

impl<'a> Part<'a> {
    /// What its topics are called at that level, sorted.
    fn names_at(&self, level: usize) -> Vec<&'a str> {
        let mut names = sorted(self.names.iter().map(|names| names[level]).collect());
        names.dedup();
        names
    }

    /// Its topics, those together that a level keeps together. One that says nothing of them keeps all.
    fn kinds_at(&self, level: usize, is_alone: bool) -> Vec<Vec<usize>> {
        let levels = self.names[0].len();
        let names = self.names_at(level);
        let is_last = level + 1 == levels;
        let numbered = names.iter().all(|name| is_numbered(name));
        // Where only numbers follow, it is what stands before them that says what they are of.
        let is_before_numbers = level + 2 == levels
            && !self.tells_itself
            && !names.iter().any(|name| is_numbered(name))
            && self.names.iter().all(|names| is_numbered(names[levels - 1]))
            && self.names_at(levels - 1).len() > 1;
        // What kind of thing it is stands before its name, and behind that is what is told.
        let is_component = level + 2 < levels && names.iter().all(|name| is_word(COMPONENTS, name));
        let says_what = is_component
            || is_before_numbers
            || names.iter().any(|name| is_word(SAYS_WHAT, name))
            || self.is_sensor_of_esphome(level);
        let is_whole_end = is_last && !numbered && !(self.tells_itself && is_alone);
        // Systems side by side are no places of one system, unless their messages show it.
        let is_apart = level == 0 && !is_alone && !self.tells_itself;
        if !(says_what || is_whole_end || is_apart) {
            return Vec::new();
        }
        let mut kinds: Vec<(Vec<String>, Vec<usize>)> = Vec::new();
        for name in names {
            let own: Vec<usize> = (0..self.topics.len()).filter(|index| self.names[*index][level] == name).collect();
            let key = match () {
                // Nor where the same is below them, as with devices of one make.
                () if is_apart && !is_word(SAYS_WHAT, name) => self.below(&own),
                // Registers, relays, phases: numbers are of one kind, whatever else is beside them.
                () if is_last && name.bytes().all(|byte| byte.is_ascii_digit()) => vec![String::new()],
                () if is_last && self.are_among_numbered(&own) => vec![String::new()],
                () => vec![name.to_owned()],
            };
            match kinds.iter_mut().find(|(known, _)| is_shared(known, &key)) {
                Some((known, topics)) => {
                    known.extend(key);
                    topics.extend(own);
                }
                None => kinds.push((key, own)),
            }
        }
        kinds.into_iter().map(|(_, topics)| topics).collect()
    }

    /// `NODE/sensor/ID/state`: numbers of one ID are not those of another.
    fn is_sensor_of_esphome(&self, level: usize) -> bool {
        let is = |names: &Vec<&str>| level == 2 && matches!(names[..], [_, "sensor", _, "state"]);
        self.class == Class::Number && self.names.iter().all(is)
    }

    /// Whether what is beside each of these topics is numbered, too.
    fn are_among_numbered(&self, topics: &[usize]) -> bool {
        topics.iter().all(|index| {
            let parent = |names: &[&'a str]| names[..names.len() - 1] == self.names[*index][..names.len() - 1];
            let mut beside = self.names.iter().filter(|names| parent(names)).filter_map(|names| names.last());
            beside.clone().count() > 1 && beside.all(|name| is_numbered(name) && !is_word(SAYS_WHAT, name))
        })
    }

    /// What these topics are called below their first level.
    fn below(&self, topics: &[usize]) -> Vec<String> {
        topics.iter().map(|index| self.names[*index][1..].join("/")).collect()
    }
}

/// It has a number, as names of one kind have.
fn is_numbered(name: &str) -> bool {
    name.bytes().any(|byte| byte.is_ascii_digit())
}

/// Half of the shorter list, or more, is in both.
fn is_shared(a: &[String], b: &[String]) -> bool {
    2 * a.iter().filter(|name| b.contains(name)).count() >= a.len().min(b.len())
}

fn split(part: Part<'_>, found: &mut Vec<Group>) {
    let levels = part.names[0].len();
    let varies = |level: usize| part.names.iter().any(|names| names[level] != part.names[0][level]);
    let varying: Vec<usize> = (0..levels).filter(|level| varies(*level)).collect();
    let kinds_at = |level: &usize| part.kinds_at(*level, varying.len() == 1);
    let Some(kinds) = varying.iter().rev().map(kinds_at).find(|kinds| kinds.len() > 1) else {
        let name = |level: usize| if varying.contains(&level) { "+" } else { part.names[0][level] };
        let filter = (0..levels).map(name).collect::<Vec<_>>().join("/");
        let same_end = !varying.contains(&(levels - 1));
        found.push(Group { filter, class: part.class, topics: part.topics, same_end });
        return;
    };
    for mut own in kinds {
        sort_by(&mut own, usize::cmp);
        split(
            Part {
                class: part.class,
                tells_itself: part.tells_itself,
                topics: own.iter().map(|index| part.topics[*index]).collect(),
                names: own.iter().map(|index| part.names[*index].clone()).collect(),
            },
            found,
        );
    }
}

/// A topic with text where all its like have numbers is one of them, and does not fit.
fn adopt(topics: &[(&str, &Traits)], groups: &mut Vec<Group>) {
    let lonely = |group: &Group| group.class == Class::Text && group.topics.len() == 1;
    let (lone, mut others): (Vec<_>, Vec<_>) = std::mem::take(groups).into_iter().partition(lonely);
    for group in lone {
        let topic = topics[group.topics[0]].0;
        let parent = others.iter_mut().find(|other| {
            other.class == Class::Number && other.same_end && other.topics.len() >= 4 && covers(&other.filter, topic)
        });
        match parent {
            Some(parent) => {
                parent.topics.extend(group.topics);
                sort_by(&mut parent.topics, usize::cmp);
            }
            None => others.push(group),
        }
    }
    *groups = others;
}

/// Whether a filter with `+` alone matches a topic. A leading wildcard leaves out `$` topics.
pub fn covers(filter: &str, topic: &str) -> bool {
    if topic.starts_with('$') && !filter.starts_with('$') {
        return false;
    }
    let (mut filter, mut topic) = (filter.split('/'), topic.split('/'));
    loop {
        match (filter.next(), topic.next()) {
            (None, None) => return true,
            (Some(level), Some(name)) if level == "+" || level == name => {}
            _ => return false,
        }
    }
}

/// Names that say what is told rather than of whom or where.
const SAYS_WHAT: &str = "temperature temp humidity pressure power voltage current energy battery co2 pm25 pm2_5 pm10 \
voc noise illuminance lux light brightness motion occupancy contact door window state status set get cmd cmnd command \
commands value availability available online lwt config event events log logs error errors alarm alarms speed flow \
level uptime rssi linkquality telemetry tele stat sensor sensors result info info1 info2 info3 version heartbeat \
vibration frequency position mode request response attributes count total";

/// Components of Home Assistant, which ESPHome has in its topics, too. Where things are only called after what they are,
/// as in `home/fan/state` and `home/pump/state`, they are places like others.
const COMPONENTS: &str = "alarm_control_panel binary_sensor button camera climate cover date datetime device_automation \
device_tracker event fan humidifier image lawn_mower light lock media_player notify number scene select sensor siren \
speaker switch tag text text_sensor time update vacuum valve water_heater";

fn is_word(words: &str, name: &str) -> bool {
    words.split(' ').any(|word| word.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::payload;

    fn filters(messages: &[(&str, &str)]) -> Vec<String> {
        let mut names: Vec<&str> = messages.iter().map(|(topic, _)| *topic).collect();
        names.sort();
        names.dedup();
        let traits: Vec<Traits> = names
            .iter()
            .map(|name| {
                let mut traits = Traits::default();
                for (topic, payload) in messages.iter().filter(|(topic, _)| topic == name) {
                    let payload = payload.as_bytes();
                    let kind = payload::inspect(payload, true).kind;
                    let sample = Sample { topic, payload, payload_bytes: payload.len(), kind, unix_ms: 0 };
                    traits.add(&sample, sample.value().as_ref());
                }
                traits
            })
            .collect();
        let topics: Vec<_> = names.iter().copied().zip(&traits).collect();
        let groups = groups(&topics);
        let mut seen: Vec<usize> = groups.iter().flat_map(|group| group.topics.clone()).collect();
        seen.sort();
        assert_eq!(seen, (0..names.len()).collect::<Vec<_>>(), "each topic is in one group");
        for group in &groups {
            assert!(group.topics.iter().all(|index| covers(&group.filter, names[*index])), "{group:?}");
        }
        groups.into_iter().map(|group| format!("{} {}", group.filter, group.topics.len())).collect()
    }

    #[test]
    fn places_become_wildcards_and_measures_do_not() {
        let grid: Vec<_> = ["kitchen", "bath", "hall"]
            .iter()
            .flat_map(|room| ["temperature", "humidity"].map(|what| format!("sensors/{room}/{what}")))
            .collect();
        let messages: Vec<_> = grid.iter().map(|topic| (topic.as_str(), "21.5")).collect();
        assert_eq!(filters(&messages), ["sensors/+/humidity 3", "sensors/+/temperature 3"]);
        let one = filters(&[("device/a/rpm", "1"), ("device/a/torque", "2")]);
        assert_eq!(one, ["device/a/rpm 1", "device/a/torque 1"], "one device's numbers are no group");
        let middle =
            filters(&[("home/a/temperature/v", "1"), ("home/b/humidity/v", "2"), ("home/b/temperature/v", "2")]);
        assert_eq!(middle, ["home/+/temperature/v 2", "home/b/humidity/v 1"]);
    }

    #[test]
    fn objects_with_the_same_members_are_a_group_whatever_they_are_called() {
        let lamp = r#"{"state":"ON","brightness":9,"linkquality":1}"#;
        let sensor = r#"{"temperature":20.5,"humidity":50,"battery":9,"linkquality":1}"#;
        let found = filters(&[("z/lamp_a", lamp), ("z/lamp b", lamp), ("z/th1", sensor), ("z/th2", sensor)]);
        assert_eq!(found, ["z/+ 2", "z/+ 2"]);
        let envelope = filters(&[("p/a/temp", r#"{"v":1,"ts":2}"#), ("p/a/pressure", r#"{"v":1,"ts":2}"#)]);
        assert_eq!(envelope, ["p/a/pressure 1", "p/a/temp 1"]);
    }

    #[test]
    fn components_stay_apart_and_things_called_after_what_they_are_do_not() {
        let esphome = [
            ("boiler-room/switch/pump/state", "ON"),
            ("boiler-room/switch/valve/state", "OFF"),
            ("boiler-room/binary_sensor/leak/state", "OFF"),
            ("boiler-room/text_sensor/version/state", "2025.1"),
        ];
        let apart = [
            "boiler-room/binary_sensor/leak/state 1",
            "boiler-room/switch/+/state 2",
            "boiler-room/text_sensor/version/state 1",
        ];
        assert_eq!(filters(&esphome), apart);
        let config = r#"{"name":"x","state_topic":"t","unique_id":"u"}"#;
        let discovery = [
            ("homeassistant/switch/a/config", config),
            ("homeassistant/binary_sensor/b/config", config),
            ("homeassistant/switch/c/config", config),
        ];
        assert_eq!(filters(&discovery), ["homeassistant/binary_sensor/b/config 1", "homeassistant/switch/+/config 2"]);
        let things = filters(&[("home/fan/state", "ON"), ("home/pump/state", "ON"), ("home/lock/state", "ON")]);
        assert_eq!(things, ["home/+/state 3"]);
        let rooms =
            filters(&[("home/hall/fan/a/rpm", "1"), ("home/bath/fan/a/rpm", "1"), ("home/bath/heater/a/rpm", "1")]);
        assert_eq!(rooms, ["home/+/+/a/rpm 3"]);
    }

    #[test]
    fn what_is_beside_devices_does_not_take_them_apart() {
        let mut messages = vec![];
        for topic in ["esp-a/switch/relay/state", "esp-a/switch/lamp/state", "esp-b/switch/relay/state"] {
            messages.push((topic, "ON"));
        }
        for topic in
            ["esp-a/sensor/soil_moisture/state", "esp-b/sensor/soil_moisture/state", "esp-b/sensor/light_in/state"]
        {
            messages.push((topic, "7"));
        }
        let devices = ["+/sensor/soil_moisture/state 2", "+/switch/+/state 3", "esp-b/sensor/light_in/state 1"];
        assert_eq!(filters(&messages), devices);
        messages.extend([("frigate/yard/detect/state", "ON"), ("solar/1121/0/power", "7"), ("x/pump/a/rpm", "9")]);
        let others = ["frigate/yard/detect/state 1", "solar/1121/0/power 1", "x/pump/a/rpm 1"];
        assert_eq!(filters(&messages), [&devices[..], &others].concat());
        let registers = [("modbus/1/40001", "1"), ("modbus/1/40002", "1"), ("dsmr/gas/total", "1"), ("s/1/l2", "1")];
        assert_eq!(filters(&registers), ["dsmr/gas/total 1", "modbus/1/+ 2", "s/1/l2 1"]);
    }

    #[test]
    fn numbered_ends_become_wildcards() {
        assert_eq!(filters(&[("temp/1", "1"), ("temp/2", "1"), ("temp/17", "1")]), ["temp/+ 3"]);
        assert_eq!(filters(&[("air/co2", "400"), ("air/pm25", "3")]), ["air/co2 1", "air/pm25 1"]);
    }

    #[test]
    fn numbered_ends_are_of_the_kind_that_stands_before_them() {
        let numbers = |topics: &[&'static str]| filters(&topics.iter().map(|topic| (*topic, "1")).collect::<Vec<_>>());
        let shelly = ["s/a/input/0", "s/a/input/1", "s/b/input/0", "s/a/emeter/0", "s/b/emeter/0"];
        assert_eq!(numbers(&shelly), ["s/+/emeter/0 2", "s/+/input/+ 3"]);
        let things = ["plant/tank/1", "plant/tank/2", "plant/pump/1"];
        assert_eq!(numbers(&things), ["plant/pump/1 1", "plant/tank/+ 2"]);
        let lines = ["modbus/1/40001", "modbus/2/40001", "modbus/2/40002"];
        assert_eq!(numbers(&lines), ["modbus/+/+ 3"]);
        let beside = ["x/meters/A8F2", "x/meters/B771", "x/rooms/bath", "x/rooms/hall", "x/air/co2", "x/air/pm25"];
        let apart = ["x/air/co2 1", "x/air/pm25 1", "x/meters/+ 2", "x/rooms/bath 1", "x/rooms/hall 1"];
        assert_eq!(numbers(&beside), apart);
        let envelopes =
            [("q/a/1", r#"{"v":1,"ts":2}"#), ("q/b/1", r#"{"v":1,"ts":2}"#), ("q/b/2", r#"{"v":1,"ts":2}"#)];
        assert_eq!(filters(&envelopes), ["q/+/+ 3"]);
    }

    #[test]
    fn systems_side_by_side_stay_apart() {
        assert_eq!(filters(&[("home/x/rpm", "1"), ("plant/y/rpm", "1")]), ["home/x/rpm 1", "plant/y/rpm 1"]);
        assert_eq!(filters(&[("kitchen/temperature", "1"), ("bath/temperature", "1")]), ["+/temperature 2"]);
        let sparkplug =
            filters(&[("spBv1.0/g/NDATA/a", "\u{1}"), ("spBv1.0/g/NDATA/b", "\u{1}"), ("spBv1.0/g/NBIRTH/a", "\u{1}")]);
        assert_eq!(sparkplug, ["spBv1.0/g/NBIRTH/a 1", "spBv1.0/g/NDATA/+ 2"]);
    }

    #[test]
    fn text_among_numbers_belongs_to_them() {
        let numbers = ["a", "b", "c", "d"].map(|place| format!("s/{place}/temperature"));
        let mut messages: Vec<_> = numbers.iter().map(|topic| (topic.as_str(), "1.5")).collect();
        messages.push(("s/e/temperature", "unavailable"));
        assert_eq!(filters(&messages), ["s/+/temperature 5"]);
        messages.push(("s/e/name", "kitchen"));
        assert_eq!(filters(&messages), ["s/+/temperature 5", "s/e/name 1"]);
    }
}
