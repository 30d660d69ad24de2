//! What understanding costs: messages per second through each accumulator, and its memory at 10,000 topics.
//!
//!     cargo bench --bench analysis
//!     cargo bench --bench analysis -- --json
//!
//! The known thing is plain counting: a `HashMap<String, u64>` with a count per topic, fed with the same messages in
//! the same run. Times are relative to it. Memory is the growth of this program's own resident memory while a child
//! of it feeds one accumulator alone. Each accumulator's count is checked.

// Its output is its purpose.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod support;

use std::collections::HashMap;
use std::hint::black_box;
use std::process::Command;
use std::time::{Duration, Instant};

use mqtt_mcp::analysis::device::model::Device;
use mqtt_mcp::analysis::device::names::Name;
use mqtt_mcp::analysis::device::{At, Message};
use mqtt_mcp::analysis::payload::{Kind, inspect_message};
use mqtt_mcp::analysis::prune::Pruner;
use mqtt_mcp::analysis::schema::Sample;
use mqtt_mcp::analysis::schema::describe::Analysis;
use mqtt_mcp::analysis::store::Facts;
use mqtt_mcp::analysis::topics::Topics;
use mqtt_mcp::analysis::traffic::Traffic;
use mqtt_mcp::limits::INSPECT_MAX_BYTES;
use support::process;
use support::table::{Table, median};

/// Rounds of which the median counts, in turns.
const ROUNDS: usize = 7;
const MESSAGES: usize = 100_000;
const TOPICS: usize = 10_000;

/// A message of the made stream.
struct Made {
    topic: String,
    payload: Vec<u8>,
    at: At,
}

/// Takes all messages and gives how many it counted.
type Feed = fn(&[Made]) -> Fed;

/// What an accumulator counted, and itself, so that its memory can be looked at.
struct Fed {
    count: u64,
    _held: Box<dyn std::any::Any>,
}

const ACCUMULATORS: [(&str, Feed); 7] = [
    ("plain counting", count),
    ("topics", topics),
    ("traffic (monitor_performance)", traffic),
    ("inspection and pruning (subscribe_and_collect)", prune),
    ("device, messages of others (debug_device)", others),
    ("device, its own messages (debug_device)", device),
    ("schema, 1000 samples at a time (get_topic_schema)", schema),
];
/// Those of them that hold what they took: a schema is inferred from samples that the call holds.
const HOLDING: usize = ACCUMULATORS.len() - 1;

fn main() {
    let words: Vec<String> = std::env::args().collect();
    if let Some(index) = words.iter().position(|word| word == "--memory-of") {
        let index: usize = words[index + 1].parse().expect("a number");
        return println!("{}", memory_here(index));
    }
    let mut table = Table::new("Accumulators (medians; ratios to plain counting)", ["value".to_owned()]);
    for topics in [100, TOPICS] {
        speed(topics, &mut table);
    }
    memory(&mut table);
    table.print(words.iter().any(|word| word == "--json"));
}

fn speed(topics: usize, table: &mut Table) {
    let messages = made(topics);
    let mut times = [const { Vec::new() }; ACCUMULATORS.len()];
    for _ in 0..ROUNDS {
        for ((name, feed), times) in ACCUMULATORS.iter().zip(&mut times) {
            let started = Instant::now();
            let fed = feed(&messages);
            times.push(started.elapsed().as_secs_f64());
            assert_eq!(fed.count, MESSAGES as u64, "{name}");
        }
    }
    let medians: Vec<f64> = times.into_iter().map(median).collect();
    for ((name, _), time) in ACCUMULATORS.iter().zip(&medians) {
        table.set(0, &format!("{topics} topics, {name}"), "1/s", MESSAGES as f64 / time);
        table.set(0, &format!("{topics} topics, {name}: time"), "ratio", time / medians[0]);
    }
}

fn memory(table: &mut Table) {
    let of = |index: usize| {
        let program = std::env::current_exe().expect("this program");
        let output = Command::new(program).args(["--memory-of", &index.to_string()]).output().expect("a child");
        String::from_utf8_lossy(&output.stdout).trim().parse::<f64>().expect("a number")
    };
    let known = of(0);
    for (index, (name, _)) in ACCUMULATORS[..HOLDING].iter().enumerate() {
        let kb = of(index);
        table.set(0, &format!("{TOPICS} topics, {name}: memory"), "kB", kb);
        table.set(0, &format!("{TOPICS} topics, {name}: memory"), "ratio", kb / known);
    }
}

/// By how much one accumulator makes this process grow.
fn memory_here(index: usize) -> f64 {
    let messages = made(TOPICS);
    // What the allocator has kept from making them would hide what comes.
    let pid = std::process::id();
    let before = process::status(pid, "VmRSS");
    let fed = (ACCUMULATORS[index].1)(&messages);
    let grown = process::status(pid, "VmRSS") - before;
    assert_eq!(fed.count, MESSAGES as u64);
    grown
}

/// Telemetry of a plant, the same in every run.
fn made(topics: usize) -> Vec<Made> {
    let message = |n: usize| {
        let elapsed = Duration::from_micros(n as u64 * 500);
        let value = 20.0 + (n * 7919 % 1000) as f64 / 100.0;
        Made {
            topic: format!("plant/line{}/cell{:05}/telemetry", n % 10, n * 7 % topics),
            payload: format!(r#"{{"seq":{n},"temperature":{value},"state":"running","error":null}}"#).into_bytes(),
            at: At { elapsed, unix_ms: 1_760_000_000_000 + elapsed.as_millis() as u64 },
        }
    };
    (0..MESSAGES).map(message).collect()
}

fn count(messages: &[Made]) -> Fed {
    let mut counts = HashMap::<String, u64>::new();
    for message in messages {
        match counts.get_mut(&message.topic) {
            Some(count) => *count += 1,
            None => _ = counts.insert(message.topic.clone(), 1),
        }
    }
    Fed { count: counts.values().sum(), _held: Box::new(counts) }
}

fn topics(messages: &[Made]) -> Fed {
    let mut topics = Topics::<u64>::default();
    for message in messages {
        topics.entry(&message.topic, || 0).into_iter().for_each(|(count, _)| *count += 1);
    }
    let count = (0..topics.len()).map(|row| topics.get(row).1).sum();
    Fed { count, _held: Box::new(topics) }
}

fn traffic(messages: &[Made]) -> Fed {
    let mut traffic = Traffic::default();
    for message in messages {
        traffic.record(message.at.elapsed, &message.topic, message.payload.len() as u64, false);
    }
    Fed { count: traffic.live.messages, _held: Box::new(traffic) }
}

fn prune(messages: &[Made]) -> Fed {
    let mut pruner = Pruner::new(50, Duration::from_secs(60), 4096, 96 << 10);
    for Made { topic, payload, at } in messages {
        let inspection = inspect_message(topic, payload, payload.len(), INSPECT_MAX_BYTES);
        pruner.record(at.elapsed, Facts::default(), topic, payload, &inspection, false);
    }
    Fed { count: pruner.seen(), _held: Box::new(pruner) }
}

/// As many samples at once as one call looks at.
fn schema(messages: &[Made]) -> Fed {
    for part in messages.chunks(1000) {
        let mut analysis = Analysis::new(part.iter().map(sample));
        (0..analysis.len()).for_each(|index| drop(black_box(analysis.describe(index))));
    }
    Fed { count: messages.len() as u64, _held: Box::new(()) }
}

fn sample(made: &Made) -> Sample<'_> {
    Sample {
        topic: &made.topic,
        payload: &made.payload,
        payload_bytes: made.payload.len(),
        kind: Kind::Json,
        unix_ms: made.at.unix_ms,
    }
}

fn others(messages: &[Made]) -> Fed {
    let device = examine("pump1", false, messages);
    Fed { count: device.others, _held: Box::new(device) }
}

/// Far more topics than a device has: those beyond the limit are counted.
fn device(messages: &[Made]) -> Fed {
    let device = examine("cell", true, messages);
    Fed { count: device.live, _held: Box::new(device) }
}

fn examine(id: &str, contains: bool, messages: &[Made]) -> Device {
    let mut device = Device::new(Name::new(id, contains));
    for Made { topic, payload, at } in messages {
        device.record(&Message { at: *at, topic, payload, payload_bytes: payload.len(), retain: false });
    }
    device
}
