//! Which topics belong together, and the narrowest filter that covers them: same number of levels, same kind of payload,
//! and levels that differ only where an id or a place stands.
//!
//! A level whose names say what is measured (`temperature`, `state`) splits a group; one that names things (`kitchen`,
//! `sensor-17`) becomes `+`. The last level usually says what, so it becomes `+` only where its names are numbered, or
//! where payloads are objects with the same members, which say enough by themselves.

use super::{Class, Sample};
use crate::analysis::sort::sort_by;
use crate::hash;
use crate::limits::SCHEMA_TOPIC_MEMBERS_MAX;

/// What a topic carries, as far as grouping needs it.
#[derive(Default)]
pub struct Traits {
    counts: Vec<(Class, u32)>,
    objects: u32,
    /// Top-level members of its objects with how many objects have them.
    members: Vec<(Box<str>, u32)>,
    /// Its texts, each as one bit.
    texts: u64,
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
        if let Some(text) = value.and_then(serde_json::Value::as_str) {
            self.texts |= 1 << (hash::of_bytes(text.as_bytes()) >> 58);
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
        let has_members = matches!(cluster.class, Class::Object | Class::Cbor | Class::MessagePack);
        let tells_itself =
            has_members && cluster.members.len() > 1 || cluster.class == Class::Binary && cluster.fixed.is_some();
        let of = |index: &usize| {
            let (whole, traits) = topics[*index];
            Topic { index: *index, whole, levels: whole.split('/').collect(), texts: traits.texts }
        };
        let topics = cluster.topics.iter().map(of).collect();
        split(Part { class: cluster.class, tells_itself, topics }, &mut found);
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
    topics: Vec<Topic<'a>>,
}

#[derive(Default)]
struct Topic<'a> {
    index: usize,
    whole: &'a str,
    levels: Vec<&'a str>,
    texts: u64,
}

impl<'a> Part<'a> {
    /// What its topics are called at that level, sorted.
    fn names_at(&self, level: usize) -> Vec<&'a str> {
        let mut names = sorted(self.topics.iter().map(|topic| topic.levels[level]).collect());
        names.dedup();
        names
    }

    /// Its topics, those together that a level keeps together. One that says nothing of them keeps all.
    fn kinds_at(&self, level: usize, is_alone: bool) -> Vec<Vec<usize>> {
        let levels = self.topics[0].levels.len();
        let names = self.names_at(level);
        let is_last = level + 1 == levels;
        let numbered = names.iter().all(|name| is_numbered(name));
        // Where only numbers follow, it is what stands before them that says what they are of, unless they have names
        // that are the same everywhere, such as L1.
        let is_before_numbers = level + 2 == levels
            && !self.tells_itself
            && !names.iter().any(|name| is_numbered(name))
            && self.topics.iter().all(|topic| is_numbered(topic.levels[levels - 1]))
            && self.names_at(levels - 1).len() > 1;
        // What kind of thing it is stands before its name, and behind that is what is told.
        let is_kind = |name: &&str| is_word(COMPONENTS, name) || is_plural(name);
        let is_component = level + 2 < levels && names.iter().all(is_kind);
        let says_what = is_component
            || self.says_other_things_by(level, &names)
            || is_before_numbers
            || names.iter().any(|name| is_word(SAYS_WHAT, name))
            || self.is_sensor_of_esphome(level);
        let is_whole_end = is_last && !numbered && !(self.tells_itself && is_alone);
        // Systems side by side are no places of one system, unless their messages show it.
        let is_apart = level == 0 && !is_alone && !self.tells_itself;
        if !(says_what || is_whole_end || is_apart) {
            return Vec::new();
        }
        let mut kinds: Vec<(Vec<&str>, Vec<usize>)> = Vec::new();
        for name in names {
            let is_own = |index: &usize| self.topics[*index].levels[level] == name;
            let own: Vec<usize> = (0..self.topics.len()).filter(is_own).collect();
            let key = match () {
                // Nor where the same is below them, as with devices of one make.
                () if is_apart && !is_word(SAYS_WHAT, name) => self.below(&own),
                // Registers, relays, phases: numbers are of one kind, whatever else is beside them.
                () if is_last && is_digits(name) => vec![""],
                () if is_last && self.are_among_numbered(&own) => vec![""],
                () if is_before_numbers => self.named_ends(name, &own),
                () => vec![name],
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
        let is = |topic: &Topic<'_>| level == 2 && matches!(topic.levels[..], [_, "sensor", _, "state"]);
        self.class == Class::Number && self.topics.iter().all(is)
    }

    /// Whether what is beside each of these topics is numbered, too.
    fn are_among_numbered(&self, topics: &[usize]) -> bool {
        topics.iter().all(|index| {
            let [parent @ .., _] = &self.topics[*index].levels[..] else { return false };
            let mut beside = self.topics.iter().filter_map(|topic| topic.levels.strip_prefix(parent)?.first());
            beside.clone().count() > 1 && beside.all(|name| is_numbered(name) && !is_word(SAYS_WHAT, name))
        })
    }

    /// A thing and the last levels of its topics that are not numbers alone.
    fn named_ends(&self, name: &'a str, topics: &[usize]) -> Vec<&'a str> {
        let mut ends = vec![name];
        for index in topics {
            ends.extend(self.topics[*index].levels.last().filter(|end| !is_digits(end)));
        }
        ends
    }

    /// Whether what is below one name of a level never says what is said below the others, as lights that are `on` or
    /// `off` beside blinds that are `open` or `closed`. Two topics of each that say the same show that it is no chance.
    fn says_other_things_by(&self, level: usize, names: &[&str]) -> bool {
        let mut all = 0;
        names.iter().all(|name| {
            let (mut any, mut twice) = (0u64, 0);
            for topic in self.topics.iter().filter(|topic| topic.levels[level] == *name) {
                twice |= any & topic.texts;
                any |= topic.texts;
            }
            let is_apart = all & any == 0 && twice != 0 && any.count_ones() > 1;
            all |= any;
            is_apart
        })
    }

    /// What these topics are called below their first level.
    fn below(&self, topics: &[usize]) -> Vec<&'a str> {
        let below = |index: &usize| {
            let Topic { whole, levels, .. } = &self.topics[*index];
            &whole[levels[0].len()..]
        };
        topics.iter().map(below).collect()
    }
}

fn is_digits(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_digit())
}

/// It has a number, as names of one kind have.
fn is_numbered(name: &str) -> bool {
    name.bytes().any(|byte| byte.is_ascii_digit())
}

/// Several are of a kind: `lights`, `meters`.
fn is_plural(name: &str) -> bool {
    name.len() > 4 && name.ends_with('s') && !name.ends_with("ss") && !is_numbered(name)
}

/// Half of the shorter list, or more, is in both.
fn is_shared(a: &[&str], b: &[&str]) -> bool {
    2 * a.iter().filter(|name| b.contains(name)).count() >= a.len().min(b.len())
}

fn split(mut part: Part<'_>, found: &mut Vec<Group>) {
    let first = &part.topics[0].levels;
    let varies = |level: &usize| part.topics.iter().any(|topic| topic.levels[*level] != first[*level]);
    let varying: Vec<usize> = (0..first.len()).filter(varies).collect();
    let kinds_at = |level: &usize| part.kinds_at(*level, varying.len() == 1);
    let Some(kinds) = varying.iter().rev().map(kinds_at).find(|kinds| kinds.len() > 1) else {
        let mut levels = first.clone();
        varying.iter().for_each(|level| levels[*level] = "+");
        let same_end = !varying.contains(&(levels.len() - 1));
        let topics = part.topics.iter().map(|topic| topic.index).collect();
        found.push(Group { filter: levels.join("/"), class: part.class, topics, same_end });
        return;
    };
    for mut own in kinds {
        sort_by(&mut own, usize::cmp);
        let topics = own.iter().map(|index| std::mem::take(&mut part.topics[*index])).collect();
        split(Part { topics, ..part }, found);
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
#[path = "group_tests.rs"]
mod tests;
