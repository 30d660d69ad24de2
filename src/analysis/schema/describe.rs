//! From samples to groups with their schema, statistics and what does not fit. Group by group, so that a caller may do
//! other things between them.

use super::group::{Group, Traits, covers, groups};
use super::node::Room;
use super::odd::Context;
use super::{Profile, Sample};
use crate::analysis::sort::sort_by;
use crate::limits::SCHEMA_ANOMALIES_MAX;
use crate::sorted::Sorted;

/// Samples by topic and group.
pub struct Analysis<'a> {
    /// Topics, sorted, each with its samples in order of arrival.
    topics: Vec<(&'a str, Vec<Sample<'a>>)>,
    groups: Vec<Group>,
    room: Room,
}

/// What is known of a group.
pub struct Described<'a> {
    /// The narrowest filter that covers its topics.
    pub filter: String,
    /// Its topics, sorted.
    pub topics: Vec<&'a str>,
    /// Topics without a sample that its filter alone covers.
    pub unsampled: usize,
    /// Topics of other groups that the filter matches as well.
    pub also: Vec<&'a str>,
    /// All its messages.
    pub sample_count: u32,
    /// By `payload_type`.
    pub kinds: Sorted<super::Kind, u32>,
    /// Those that fit.
    pub profile: Profile,
    /// Those that do not, by topic and reason.
    pub anomalies: Vec<Anomaly<'a>>,
    /// How many do not fit.
    pub anomaly_count: u32,
}

/// Messages that do not fit for the same reason.
pub struct Anomaly<'a> {
    /// Why.
    pub reason: String,
    /// How many.
    pub count: u32,
    /// The first of them.
    pub first: Sample<'a>,
}

impl<'a> Analysis<'a> {
    /// Sorts samples into groups.
    pub fn new(samples: impl IntoIterator<Item = Sample<'a>>) -> Self {
        let mut samples: Vec<_> = samples.into_iter().collect();
        sort_by(&mut samples, |a, b| a.topic.cmp(b.topic));
        let by_topic = samples.chunk_by(|a, b| a.topic == b.topic);
        let topics: Vec<_> = by_topic.map(|own| (own[0].topic, own.to_vec())).collect();
        let traits: Vec<_> = topics.iter().map(|(_, own)| Traits::of(own)).collect();
        let named: Vec<_> = topics.iter().zip(&traits).map(|((topic, _), traits)| (*topic, traits)).collect();
        let groups = groups(&named);
        Self { topics, groups, room: Room::default() }
    }

    /// How many groups there are.
    pub fn len(&self) -> usize {
        self.groups.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Whether a topic has samples.
    pub fn has(&self, topic: &str) -> bool {
        self.topics.binary_search_by(|(known, _)| (*known).cmp(topic)).is_ok()
    }

    /// Whether all fields found room; if not, the last ones are not described.
    pub fn is_complete(&self) -> bool {
        self.room.sufficed()
    }

    /// Describes group `index`.
    pub fn describe(&mut self, index: usize) -> Described<'a> {
        let group = &self.groups[index];
        let all = self.profile(group.topics.iter().flat_map(|topic| &self.topics[*topic].1));
        let mut described = Described {
            filter: group.filter.clone(),
            topics: group.topics.iter().map(|topic| self.topics[*topic].0).collect(),
            unsampled: 0,
            also: self.also(group),
            sample_count: all.count(),
            kinds: all.kinds.clone(),
            profile: Profile::default(),
            anomalies: Vec::new(),
            anomaly_count: 0,
        };
        for topic in &group.topics {
            let samples = &self.topics[*topic].1;
            let own = self.profile(samples);
            let context = Context { group, all: &all, own: &own };
            for sample in samples {
                let value = sample.value();
                match context.reason(sample, value.as_ref()) {
                    Some(reason) => described.note(reason, sample),
                    None => described.profile.add(sample, value.as_ref(), &mut self.room),
                }
            }
        }
        described
    }

    /// What is needed for a moment has the same room as what stays.
    fn profile<'b>(&self, samples: impl IntoIterator<Item = &'b Sample<'b>>) -> Profile {
        let (mut profile, mut room) = (Profile::default(), Room::default());
        for sample in samples {
            profile.add(sample, sample.value().as_ref(), &mut room);
        }
        profile
    }

    fn also(&self, group: &Group) -> Vec<&'a str> {
        let is_own = |index: &usize| group.topics.binary_search(index).is_ok();
        let names = self.topics.iter().enumerate().filter(|(index, _)| !is_own(index));
        names.map(|(_, (topic, _))| *topic).filter(|topic| covers(&group.filter, topic)).collect()
    }
}

/// Counts a topic without a sample to the only group that covers it; false when there is none, or more than one.
pub fn count_unsampled(groups: &mut [Described<'_>], topic: &str) -> bool {
    let mut covering = groups.iter_mut().filter(|group| covers(&group.filter, topic));
    let only = covering.next().filter(|_| covering.next().is_none());
    only.map(|group| group.unsampled += 1).is_some()
}

impl<'a> Described<'a> {
    fn note(&mut self, reason: String, sample: &Sample<'a>) {
        self.anomaly_count += 1;
        let same = |known: &Anomaly<'_>| known.first.topic == sample.topic && known.reason == reason;
        match self.anomalies.iter().position(same) {
            Some(index) => self.anomalies[index].count += 1,
            None if self.anomalies.len() < SCHEMA_ANOMALIES_MAX => {
                self.anomalies.push(Anomaly { reason, count: 1, first: *sample });
            }
            None => {}
        }
    }

    /// How far the schema is to be trusted: see [`CONFIDENCE_RULE`].
    pub fn confidence(&self) -> f64 {
        let fitting = f64::from(self.profile.count());
        let trust = fitting / (fitting + 10.0) * fitting / f64::from(self.sample_count.max(1));
        (trust * 100.0).round() / 100.0
    }
}

/// The rule behind [`Described::confidence`].
pub const CONFIDENCE_RULE: &str = "n / (n + 10) × the share that fits, with n messages that fit";
