//! Random brokers against the session: whatever bytes come, in whatever pieces, nothing panics and memory stays bounded.
//! `MQTT_MCP_FUZZ_ROUNDS` sets how many (default 3,000); the seed is fixed, so a failure repeats.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::capture::{Flow, Recorder, Retained};
use super::inflight::Publish;
use super::session::Session;
use super::wire::{self, Control};
use crate::analysis::payload::inspect;
use crate::analysis::prune::Pruner;
use crate::analysis::store::Facts;
use crate::clock::Now;

/// xorshift64*: small, fast and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() >> 33) as usize % limit
    }

    fn byte(&mut self) -> u8 {
        (self.next() >> 40) as u8
    }
}

struct Keeper(Pruner);

impl Recorder for Keeper {
    fn record(&mut self, message: &wire::Publish<'_>, _now: Now) -> Flow {
        let whole = message.payload.len() == message.payload_bytes;
        let facts = Facts { payload_bytes: message.payload_bytes as u32, ..Facts::default() };
        let inspection = inspect(message.payload, whole);
        self.0.record(Duration::ZERO, facts, message.topic, message.payload, &inspection, false);
        Flow::More
    }

    fn wanted_payload_bytes(&self) -> usize {
        64
    }
}

/// A stream that mostly makes sense: packets with right and wrong ids, and here and there a flipped byte.
fn stream(random: &mut Random) -> Vec<u8> {
    let mut bytes = if random.below(10) > 0 { vec![0x20, 2, random.byte() & 1, 0] } else { Vec::new() };
    for _ in 0..random.below(30) {
        let pid = 1 + random.below(20) as u16;
        match random.below(12) {
            0..=4 => {
                let topics = ["a", "a/b", "a/b/c", "$SYS/x", "ü/é"];
                let (topic, qos) = (topics[random.below(topics.len())], random.below(3) as u8);
                let size = if random.below(8) == 0 { random.below(70_000) } else { random.below(90) };
                let (retain, dup) = (random.below(2) == 0, qos > 0 && random.below(4) == 0);
                wire::publish_head(&mut bytes, topic, qos, pid, retain, dup, size);
                let fill = random.byte();
                bytes.resize(bytes.len() + size, fill);
            }
            5 => wire::control(&mut bytes, Control::Puback(pid)),
            6 => wire::control(&mut bytes, Control::Pubrec(pid)),
            7 => wire::control(&mut bytes, Control::Pubrel(pid)),
            8 => wire::control(&mut bytes, Control::Pubcomp(pid)),
            9 => bytes.extend([0x90, 3, 0, pid as u8, [0, 1, 2, 0x80][random.below(4)]]),
            10 => bytes.extend([0xb0, 2, 0, pid as u8]),
            _ => bytes.extend([0xd0, 0]),
        }
    }
    if random.below(3) > 0 {
        for _ in 0..random.below(4) {
            if !bytes.is_empty() {
                let at = random.below(bytes.len());
                bytes[at] = random.byte();
            }
        }
    }
    bytes
}

fn round(random: &mut Random) {
    let mut now = Now { at: Instant::now(), unix_ms: 0 };
    let mut session = Session::new(random.below(3) as u16 * 30);
    let keeper = Rc::new(RefCell::new(Keeper(Pruner::new(10, Duration::from_secs(1), 64, 10_000))));
    let mut captures = Vec::new();
    for _ in 0..1 + random.below(3) {
        session.connection_opened(10, now.at + Duration::from_secs(10));
        for filter in ["#", "a/+", "a/#"].iter().take(random.below(4)) {
            let retained = [Retained::Include, Retained::Exclude, Retained::Only][random.below(3)];
            captures.push(session.capture(now, filter, random.below(3) as u8, retained, keeper.clone()));
        }
        let bytes = stream(random);
        let mut rest = bytes.as_slice();
        let mut trouble = super::error::Trouble::Closed;
        while !rest.is_empty() {
            let size = 1 + random.below(rest.len().min(5000));
            let (chunk, later) = rest.split_at(size);
            rest = later;
            if random.below(4) == 0 {
                let message =
                    Publish { topic: "out".into(), payload: Rc::from([1]), qos: random.below(3) as u8, retain: false };
                session.publish(now, message);
            }
            if let Err(reason) = session.handle_bytes(now, chunk) {
                trouble = reason;
                break;
            }
            while random.below(3) > 0 && !session.output().is_empty() {
                let count = 1 + random.below(session.output().len());
                session.wrote(now, count);
            }
            now = now.plus(Duration::from_millis(random.below(9000) as u64));
            if session.handle_timeout(now).is_err() {
                break;
            }
        }
        session.connection_lost(now, trouble);
        if random.below(2) == 0
            && let Some(id) = captures.pop()
        {
            session.release(now, id);
        }
    }
    assert!(keeper.borrow().0.used_bytes() < 100_000);
}

#[test]
fn no_random_broker_makes_the_session_panic() {
    let rounds = std::env::var("MQTT_MCP_FUZZ_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(3_000);
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for _ in 0..rounds {
        round(&mut random);
    }
}
