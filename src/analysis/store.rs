//! Kept messages in one flat piece of memory, which goes back to the system as a whole.

use super::payload::Kind;

/// What is known of a message besides its topic and payload.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Facts {
    /// What the payload was taken for when it was there as a whole.
    pub kind: Kind,
    /// Its place in the order of arrival, from 0.
    pub sequence: u64,
    /// When it arrived, milliseconds since 1970.
    pub unix_ms: u64,
    /// The payload's true size.
    pub payload_bytes: u32,
    /// 0, 1 or 2.
    pub qos: u8,
    /// Sent because of a new subscription.
    pub retain: bool,
    /// Possibly sent before.
    pub dup: bool,
}

impl Default for Facts {
    fn default() -> Self {
        let kind = Kind::Empty;
        Self { kind, sequence: 0, unix_ms: 0, payload_bytes: 0, qos: 0, retain: false, dup: false }
    }
}

/// A message in the store.
#[derive(Clone, Copy)]
pub struct Slot {
    /// What is known of it.
    pub facts: Facts,
    start: u32,
    topic_bytes: u16,
    kept_bytes: u32,
    /// Why it is kept; 0 frees the slot at the next sweep.
    pub claims: u8,
}

/// Messages in order of arrival.
pub struct Store {
    bytes: Vec<u8>,
    slots: Vec<Slot>,
    freed_bytes: usize,
    payload_limit: usize,
    max_bytes: usize,
}

/// Sweeping waits for this much that can be freed.
const SWEEP_BYTES: usize = 8 << 10;
/// Payloads are not shortened below this.
const PAYLOAD_LIMIT_MIN: usize = 64;

impl Store {
    /// A store that keeps at most `payload_limit` of each payload and about `max_bytes` of all; payloads are kept
    /// shorter when that does not suffice.
    pub fn new(payload_limit: usize, max_bytes: usize) -> Self {
        Self { bytes: Vec::new(), slots: Vec::new(), freed_bytes: 0, payload_limit, max_bytes }
    }

    /// How much of a payload is worth handing over.
    pub fn payload_limit(&self) -> usize {
        self.payload_limit
    }

    /// Keeps a message.
    pub fn push(&mut self, facts: Facts, topic: &str, payload: &[u8], claims: u8) {
        let kept = &payload[..payload.len().min(self.payload_limit)];
        if self.bytes.len() + topic.len() + kept.len() > self.max_bytes
            || self.freed_bytes > SWEEP_BYTES + self.bytes.len() / 2
        {
            self.sweep();
            while self.bytes.len() > self.max_bytes / 4 * 3 {
                if self.payload_limit > PAYLOAD_LIMIT_MIN {
                    self.payload_limit /= 2
                } else {
                    self.shed()
                }
                self.sweep();
            }
        }
        let kept = &payload[..payload.len().min(self.payload_limit)];
        let start = self.bytes.len() as u32;
        self.bytes.extend_from_slice(topic.as_bytes());
        self.bytes.extend_from_slice(kept);
        let (topic_bytes, kept_bytes) = (topic.len() as u16, kept.len() as u32);
        self.slots.push(Slot { facts, start, topic_bytes, kept_bytes, claims });
    }

    /// All slots, also those without claims.
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// Topic and kept payload of a slot.
    pub fn message(&self, slot: &Slot) -> (&str, &[u8]) {
        let middle = slot.start as usize + usize::from(slot.topic_bytes);
        let topic = std::str::from_utf8(&self.bytes[slot.start as usize..middle]).unwrap_or_default();
        (topic, &self.bytes[middle..middle + slot.kept_bytes as usize])
    }

    /// Adds a claim to the message of that sequence number, if it is here.
    pub fn claim(&mut self, sequence: u64, claim: u8) {
        if let Some(index) = self.find(sequence) {
            self.slots[index].claims |= claim;
        }
    }

    /// Takes a claim away; a message without claims is freed in time.
    pub fn release(&mut self, sequence: u64, claim: u8) {
        let Some(index) = self.find(sequence) else { return };
        let slot = &mut self.slots[index];
        let had = slot.claims;
        slot.claims &= !claim;
        if had != 0 && slot.claims == 0 {
            self.freed_bytes += usize::from(slot.topic_bytes) + slot.kept_bytes as usize + size_of::<Slot>();
        }
    }

    /// Bytes in use, for tests of the bound.
    pub fn used_bytes(&self) -> usize {
        self.bytes.len() + self.slots.len() * size_of::<Slot>()
    }

    fn find(&self, sequence: u64) -> Option<usize> {
        self.slots.binary_search_by_key(&sequence, |slot| slot.facts.sequence).ok()
    }

    /// Gives up every other message: even without payloads their topics are too long.
    fn shed(&mut self) {
        self.slots.iter_mut().skip(1).step_by(2).for_each(|slot| slot.claims = 0);
    }

    /// Moves what is claimed to the front, shortened to the payload limit.
    fn sweep(&mut self) {
        let mut end = 0;
        for slot in self.slots.iter_mut().filter(|slot| slot.claims != 0) {
            slot.kept_bytes = slot.kept_bytes.min(self.payload_limit as u32);
            let from = slot.start as usize;
            let length = usize::from(slot.topic_bytes) + slot.kept_bytes as usize;
            self.bytes.copy_within(from..from + length, end);
            slot.start = end as u32;
            end += length;
        }
        self.bytes.truncate(end);
        self.slots.retain(|slot| slot.claims != 0);
        self.freed_bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(sequence: u64) -> Facts {
        Facts { sequence, ..Facts::default() }
    }

    #[test]
    fn released_messages_make_room() {
        let mut store = Store::new(1000, 1 << 20);
        for n in 0..100_000 {
            store.push(facts(n), "topic", &[b'x'; 200], 1);
            if n >= 10 {
                store.release(n - 10, 1);
            }
        }
        assert!(store.used_bytes() < 400_000, "{}", store.used_bytes());
        let last = store.slots().last().expect("slot");
        assert_eq!(store.message(last), ("topic", &[b'x'; 200][..]));
        assert_eq!(store.slots().iter().filter(|slot| slot.claims != 0).count(), 10);
    }

    #[test]
    fn long_topics_do_not_pass_the_bound() {
        let mut store = Store::new(1000, 500_000);
        for n in 0..1000 {
            store.push(facts(n), &"t".repeat(60_000), b"x", 1);
            assert!(store.used_bytes() < 600_000, "{}", store.used_bytes());
        }
        assert_eq!(store.slots()[0].facts.sequence, 0, "the first one stays");
    }

    #[test]
    fn payloads_get_shorter_before_the_bound_is_passed() {
        let mut store = Store::new(100_000, 200_000);
        for n in 0..500 {
            store.push(facts(n), "topic", &vec![b'x'; 50_000], 1);
        }
        assert!(store.used_bytes() < 250_000, "{}", store.used_bytes());
        assert_eq!(store.slots().len(), 500);
    }
}
