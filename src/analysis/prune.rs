//! Which of many messages are worth returning: chosen while they arrive, so that memory follows what is kept and never
//! what was seen. Deterministic: the same messages at the same times give the same choice.
//!
//! In this order of claim: the first and the last; those that report an error or warning, newest first; one per topic, of
//! more topics than there is room for those that chance picks; one per payload shape; the rest spread evenly over time.

use std::cell::Cell;
use std::collections::VecDeque;
use std::time::Duration;

use serde::Serialize;

use super::alarm::Severity;
use super::payload::Inspection;
use super::store::{Facts, Slot, Store};
use crate::limits::SHAPES_MAX;
use crate::{eight, hash, sorted};

/// Keeps candidates while messages pass.
pub struct Pruner {
    keep: usize,
    duration: Duration,
    store: Store,
    last: Last,
    seen: u64,
    errors: VecDeque<u64>,
    /// Those with the least hash, and the message of each. Every n-th may always be of one kind, and the first of one branch.
    topics: Vec<(u64, u64)>,
    /// Sorted.
    shapes: Vec<u64>,
    last_shape: Option<u64>,
    /// Never more parts than messages to keep: then one of them can always be thinned.
    spread: Vec<Bucket>,
    spread_total: usize,
    /// The time of the last message and the part that it is in.
    place: (Duration, usize),
}

/// The newest message, outside the store until another claim holds it.
#[derive(Default)]
struct Last {
    facts: Facts,
    /// Topic and payload; behind them what is left of longer ones.
    bytes: Vec<u8>,
    topic_bytes: usize,
    payload_bytes: usize,
    stored: bool,
}

/// A part of the call's time, of which every `stride`-th message is a candidate.
struct Bucket {
    /// A power of two.
    stride: u64,
    seen: u64,
    kept: Vec<u64>,
}

/// Counts of what was chosen, by the claim that chose it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct KeptBy {
    /// The first and the last.
    pub first_and_last: usize,
    /// Reports of errors and warnings.
    pub errors: usize,
    /// One per topic.
    pub topics: usize,
    /// One per payload shape.
    pub shapes: usize,
    /// Spread over time.
    pub spread: usize,
}

const BUCKETS_MAX: usize = 32;
const FIRST: u8 = 1;
const LAST: u8 = 2;
const ERROR: u8 = 4;
const TOPIC: u8 = 8;
const SHAPE: u8 = 16;
const SPREAD: u8 = 32;

impl Pruner {
    /// Keeps `keep` of the messages of a call that lasts `duration`, at most `payload_limit` of each payload and about
    /// `max_bytes` of all.
    pub fn new(keep: usize, duration: Duration, payload_limit: usize, max_bytes: usize) -> Self {
        Self {
            keep,
            duration: duration.max(Duration::from_millis(1)),
            store: Store::new(payload_limit, max_bytes),
            last: Last { stored: true, ..Last::default() },
            seen: 0,
            errors: VecDeque::new(),
            topics: Vec::new(),
            shapes: Vec::new(),
            last_shape: None,
            spread: (0..keep.clamp(1, BUCKETS_MAX)).map(|_| Bucket { stride: 1, seen: 0, kept: Vec::new() }).collect(),
            spread_total: 0,
            place: (Duration::ZERO, 0),
        }
    }

    /// Messages seen.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// How much of a payload is worth handing over.
    pub fn payload_limit(&self) -> usize {
        self.store.payload_limit()
    }

    /// Takes a message that arrived `elapsed` after the call began; `facts.sequence` is given here.
    pub fn record(
        &mut self,
        elapsed: Duration,
        facts: Facts,
        topic: &str,
        payload: &[u8],
        inspection: &Inspection,
        new_topic: bool,
    ) {
        let facts = Facts { sequence: self.seen, ..facts };
        self.seen += 1;
        let mut claims = if facts.sequence == 0 { FIRST } else { 0 };
        if inspection.severity >= Some(Severity::Warning) {
            claims |= ERROR;
        }
        if new_topic && self.topic_claim(topic, facts.sequence) {
            claims |= TOPIC;
        }
        // Most messages have the shape of the one before.
        let other_shape = self.last_shape.replace(inspection.shape) != Some(inspection.shape);
        if other_shape
            && self.shapes.len() < self.keep.min(SHAPES_MAX)
            && sorted::insert(&mut self.shapes, inspection.shape)
        {
            claims |= SHAPE;
        }
        claims |= self.spread_claim(elapsed, facts.sequence);
        self.last.stored = claims != 0;
        if claims != 0 {
            self.store.push(facts, topic, payload, claims);
        } else {
            self.last.set(facts, topic, &payload[..payload.len().min(self.store.payload_limit())]);
        }
        if claims & ERROR != 0 {
            self.errors.push_back(facts.sequence);
            if self.errors.len() > self.keep
                && let Some(oldest) = self.errors.pop_front()
            {
                self.store.release(oldest, ERROR);
            }
        }
        if self.spread_total > 2 * self.keep {
            self.thin();
        }
    }

    /// Ends the recording: the last message is kept as well.
    pub fn finish(&mut self) {
        if !std::mem::replace(&mut self.last.stored, true) {
            let (topic, rest) = self.last.bytes.split_at(self.last.topic_bytes);
            let topic = str::from_utf8(topic).unwrap_or_default();
            self.store.push(self.last.facts, topic, &rest[..self.last.payload_bytes], LAST);
        } else if let Some(last) = self.seen.checked_sub(1) {
            self.store.claim(last, LAST);
        }
    }

    /// Chooses at most `keep` messages, in order of arrival, and counts why.
    pub fn choose(&self, keep: usize) -> (Vec<usize>, KeptBy) {
        let slots = self.store.slots();
        let keep = keep.min(self.keep);
        if self.seen <= keep as u64 {
            return ((0..slots.len()).collect(), KeptBy { spread: slots.len(), ..KeptBy::default() });
        }
        let mut chosen = vec![false; slots.len()];
        let room = Cell::new(keep);
        let take = |chosen: &mut Vec<bool>, index: usize| {
            let free = room.get() > 0 && !chosen[index];
            if free {
                chosen[index] = true;
                room.set(room.get() - 1);
            }
            usize::from(free)
        };
        let mut kept = KeptBy::default();
        let having = |claim: u8| (0..slots.len()).filter(move |index| slots[*index].claims & claim != 0);
        kept.first_and_last = having(FIRST | LAST).map(|index| take(&mut chosen, index)).sum();
        kept.errors = having(ERROR).rev().map(|index| take(&mut chosen, index)).sum();
        let of = |(_, sequence): &(u64, u64)| slots.binary_search_by_key(sequence, |slot| slot.facts.sequence).ok();
        kept.topics = self.topics.iter().filter_map(of).map(|index| take(&mut chosen, index)).sum();
        kept.shapes = having(SHAPE).map(|index| take(&mut chosen, index)).sum();
        let rest = self.evenly(&chosen, room.get());
        kept.spread = rest.into_iter().map(|index| take(&mut chosen, index)).sum();
        ((0..slots.len()).filter(|index| chosen[*index]).collect(), kept)
    }

    /// The kept message at a place that [`Pruner::choose`] gave.
    pub fn message(&self, index: usize) -> (&Slot, &str, &[u8]) {
        let slot = &self.store.slots()[index];
        let (topic, payload) = self.store.message(slot);
        (slot, topic, payload)
    }

    /// Bytes in use, for tests of the bound.
    pub fn used_bytes(&self) -> usize {
        let spread: usize = self.spread.iter().map(|bucket| bucket.kept.len()).sum();
        self.store.used_bytes() + 8 * (spread + self.errors.len() + self.shapes.len() + 2 * self.topics.len())
    }

    /// Whether a new topic is among those that have a message.
    fn topic_claim(&mut self, topic: &str, sequence: u64) -> bool {
        let place = (hash::mix(hash::of_bytes(topic.as_bytes()), 0), sequence);
        let at = self.topics.partition_point(|known| *known < place);
        if at >= self.keep {
            return false;
        }
        if self.topics.len() == self.keep
            && let Some((_, other)) = self.topics.pop()
        {
            self.store.release(other, TOPIC);
        }
        self.topics.insert(at, place);
        true
    }

    fn spread_claim(&mut self, elapsed: Duration, sequence: u64) -> u8 {
        // All messages of one read have the same time.
        if self.place.0 != elapsed {
            let parts = self.spread.len();
            let micros = |duration: Duration| duration.as_secs() * 1_000_000 + u64::from(duration.subsec_micros());
            let place = micros(elapsed) * parts as u64 / micros(self.duration);
            self.place = (elapsed, (place as usize).min(parts - 1));
        }
        let bucket = &mut self.spread[self.place.1];
        let turn = bucket.seen & (bucket.stride - 1) == 0;
        bucket.seen += 1;
        if !turn {
            return 0;
        }
        bucket.kept.push(sequence);
        self.spread_total += 1;
        SPREAD
    }

    /// Halves the fullest part of the time.
    fn thin(&mut self) {
        let Some(bucket) = self.spread.iter_mut().max_by_key(|bucket| bucket.kept.len()) else { return };
        bucket.stride *= 2;
        let mut index = 0;
        let store = &mut self.store;
        bucket.kept.retain(|sequence| {
            index += 1;
            let keep = index % 2 == 1;
            if !keep {
                store.release(*sequence, SPREAD);
            }
            keep
        });
        self.spread_total -= index / 2;
    }

    /// `room` candidates that are not chosen yet, spread over the parts of the time and evenly within each; of those near
    /// each other one on the topic of which least are chosen, as topics that take turns may all fall on one.
    fn evenly(&self, chosen: &[bool], room: usize) -> Vec<usize> {
        let slots = self.store.slots();
        let free = |sequence: &u64| {
            let index = slots.binary_search_by_key(sequence, |slot| slot.facts.sequence).ok()?;
            (!chosen[index]).then_some(index)
        };
        let parts: Vec<Vec<usize>> =
            self.spread.iter().map(|bucket| bucket.kept.iter().filter_map(free).collect()).collect();
        let mut shares = vec![0; parts.len()];
        let mut left = room;
        // One more for each part that has more, until the room is used up.
        while left > 0 {
            let before = left;
            for (share, part) in shares.iter_mut().zip(&parts) {
                if left > 0 && *share < part.len() {
                    *share += 1;
                    left -= 1;
                }
            }
            if left == before {
                break;
            }
        }
        let topic = |index: usize| self.store.message(&slots[index]).0;
        let mut taken: Vec<usize> = (0..slots.len()).filter(|index| chosen[*index]).collect();
        let before = taken.len();
        for (share, part) in shares.iter().zip(&parts) {
            for n in 0..*share {
                let near = &part[n * part.len() / share..(n + 1) * part.len() / share];
                let of_topic = |index: &&usize| taken.iter().filter(|other| topic(**other) == topic(**index)).count();
                taken.extend(near.iter().min_by_key(of_topic).copied());
            }
        }
        taken.split_off(before)
    }
}

impl Last {
    fn set(&mut self, facts: Facts, topic: &str, payload: &[u8]) {
        (self.facts, self.topic_bytes, self.payload_bytes) = (facts, topic.len(), payload.len());
        let bytes = topic.len() + payload.len();
        if self.bytes.len() < bytes {
            self.bytes.resize(bytes, 0);
        }
        let (to_topic, to_payload) = self.bytes[..bytes].split_at_mut(topic.len());
        eight::copy(topic.as_bytes(), to_topic);
        eight::copy(payload, to_payload);
    }
}

#[cfg(test)]
#[path = "prune_tests.rs"]
mod tests;
