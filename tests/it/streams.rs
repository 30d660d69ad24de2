//! Recorded streams with the truth beside them: what debug_device says of healthy devices (nothing) and of planted
//! faults (those, and no others). The streams are played in virtual time; the score is printed.
//!
//! `tests/data/streams/NAME.jsonl` has a message a line: `ms` since the start, topic `t`, payload `p` or as base64 `b`,
//! `r` when retained, `q` its QoS. `NAME.truth.json` has the cases: a device, edits that plant a fault, and what is
//! true then. `also` may be found and need not.
#![allow(clippy::print_stdout)]

use std::collections::BTreeSet;
use std::time::Duration;

use base64ct::{Base64, Encoding};
use mqtt_mcp::analysis::device::beats::heartbeats;
use mqtt_mcp::analysis::device::findings::{connection, judge};
use mqtt_mcp::analysis::device::model::Device;
use mqtt_mcp::analysis::device::names::Name;
use mqtt_mcp::analysis::device::{At, Message};
use mqtt_mcp::analysis::payload;
use mqtt_mcp::analysis::traffic::Traffic;
use serde_json::{Value, json};

use crate::support::root;

const STREAMS: [&str; 17] = [
    "zigbee2mqtt",
    "tasmota",
    "sparkplug",
    "homie",
    "noisy",
    "shelly_esphome",
    "mixed",
    "lorawan",
    "gateways",
    "chargers",
    "sparkplug_metrics",
    "makers",
    "meters",
    "answers",
    "values",
    "states",
    "presence",
];

#[derive(Clone)]
struct Recorded {
    ms: u64,
    topic: String,
    payload: Vec<u8>,
    retain: bool,
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn file(name: &str) -> String {
    std::fs::read_to_string(root().join("tests/data/streams").join(name)).expect("a stream")
}

fn recorded(line: &Value) -> Recorded {
    let payload = match line["b"].as_str() {
        Some(base64) => Base64::decode_vec(base64).expect("base64"),
        None => text(&line["p"]).as_bytes().to_vec(),
    };
    Recorded {
        ms: line["ms"].as_u64().expect("a time"),
        topic: text(&line["t"]).to_owned(),
        payload,
        retain: line["r"] == 1,
    }
}

fn stream(name: &str) -> Vec<Recorded> {
    file(&format!("{name}.jsonl")).lines().map(|line| recorded(&serde_json::from_str(line).expect("JSON"))).collect()
}

fn truth(name: &str) -> Value {
    serde_json::from_str(&file(&format!("{name}.truth.json"))).expect("JSON")
}

/// Plants a fault; gives by how much the device's clock is behind.
fn edit(messages: &mut Vec<Recorded>, edit: &Value) -> i64 {
    let (from, to) = (edit["from"].as_u64().unwrap_or(0), edit["to"].as_u64().unwrap_or(u64::MAX));
    let is_of = |message: &Recorded, topic: &Value| {
        let topic = text(topic);
        let named = message.topic == topic || (topic.ends_with('/') && message.topic.starts_with(topic));
        named && (from..to).contains(&message.ms)
    };
    if let Some(shift) = edit["clock"].as_i64() {
        return shift;
    }
    let before = messages.clone();
    if edit["drop"].is_string() {
        messages.retain(|message| !is_of(message, &edit["drop"]));
        assert!(messages.len() < before.len(), "{edit} drops nothing");
    } else if edit["add"].is_string() {
        let mut line = edit.clone();
        line["t"] = edit["add"].clone();
        let place = messages.partition_point(|message| message.ms <= edit["ms"].as_u64().expect("a time"));
        messages.insert(place, recorded(&line));
    } else {
        let mut touched = 0;
        for message in messages.iter_mut() {
            let now = String::from_utf8_lossy(&message.payload).into_owned();
            let new = if is_of(message, &edit["sub"]) {
                now.replacen(text(&edit["find"]), text(&edit["with"]), 1)
            } else if is_of(message, &edit["number"]) {
                with_number(&now, text(&edit["path"]), &edit["value"])
            } else {
                continue;
            };
            touched += u32::from(new != now);
            message.payload = new.into_bytes();
        }
        assert!(touched > 0, "{edit} changes nothing");
    }
    0
}

/// The payload with one member, or all of it, replaced.
fn with_number(payload: &str, path: &str, value: &Value) -> String {
    if path.is_empty() {
        return value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    }
    let mut json: Value = serde_json::from_str(payload).expect("JSON");
    let pointer = format!("/{}", path.replace('.', "/"));
    if let Some(member) = json.pointer_mut(&pointer) {
        *member = value.clone();
    }
    json.to_string()
}

/// Plays a stream to a device in virtual time, while the wall clock differs from the device's by `shift` ms.
fn play(messages: &[Recorded], device: &mut Device, start_ms: u64, seconds: u64, shift: i64) -> At {
    for message in messages {
        let shift = if device.name.is_in(&message.topic) { shift } else { 0 };
        let unix_ms = (start_ms + message.ms).saturating_add_signed(shift);
        let at = At { elapsed: Duration::from_millis(message.ms), unix_ms };
        let (topic, payload) = (message.topic.as_str(), message.payload.as_slice());
        device.record(&Message { at, topic, payload, payload_bytes: payload.len(), retain: message.retain });
    }
    At { elapsed: Duration::from_secs(seconds), unix_ms: start_ms + 1000 * seconds }
}

fn words(list: &Value) -> BTreeSet<String> {
    list.as_array().into_iter().flatten().map(|word| text(word).to_owned()).collect()
}

/// What is wrong with what was said of a case: false alarms, misses, and other mistakes.
fn compare(name: &str, case: &Value, start_ms: u64, seconds: u64) -> [Vec<String>; 3] {
    let mut messages = stream(name);
    let edits = case["edits"].as_array().into_iter().flatten();
    let shift: i64 = edits.map(|planted| edit(&mut messages, planted)).sum();
    let id = text(&case["device"]);
    let mut device = Device::new(Name::new(id, case["match"] == "contains"));
    let end = play(&messages, &mut device, start_ms, seconds, shift);
    let findings = judge(&device, end);
    let found: BTreeSet<_> = findings.iter().map(|finding| finding.kind.to_owned()).collect();
    let (expected, also) = (words(&case["findings"]), words(&case["also"]));
    let mut wrong = Vec::new();
    let mut check = |what: &str, fits: bool, shown: Value| {
        if !fits {
            wrong.push(format!("{what}: {shown}"));
        }
    };
    let (state, evidence) = connection(&device, end);
    check("state", json!(state) == case["state"], json!([state, evidence]));
    let conventions = json!(device.conventions.iter().map(|(convention, _)| *convention).collect::<Vec<_>>());
    let shown = if conventions == json!([]) { json!(["plain"]) } else { conventions };
    check("conventions", words(&case["conventions"]).is_subset(&words(&shown)), shown);
    let beats = json!(heartbeats(&device, end.elapsed).map(|(topic, _)| topic).collect::<Vec<_>>());
    check("heartbeats", words(&case["heartbeats"]).is_subset(&words(&beats)), beats);
    let answered = device.commands.iter().filter(|command| command.answer(|_| true).is_some());
    let answered = answered.count() as u64;
    check("answered", case["commands"].as_u64().is_none_or(|count| count == answered), json!(answered));
    let similar = device.similar.names().next().unwrap_or_default();
    check("similar", case["similar"].is_null() || case["similar"] == similar, json!(similar));
    let told = |kind: &String| {
        let of_kind = findings.iter().filter(|finding| finding.kind == *kind);
        of_kind
            .map(|finding| format!("{kind}: {} {:?}", finding.finding, finding.evidence))
            .collect::<Vec<_>>()
            .join("; ")
    };
    let alarms = found.difference(&expected).filter(|kind| !also.contains(*kind)).map(told).collect();
    [alarms, expected.difference(&found).cloned().collect(), wrong]
}

#[test]
fn healthy_devices_are_silent_and_planted_faults_are_found() {
    let mut all_wrong = Vec::new();
    println!("{:<16}{:>6}{:>8}{:>14}{:>8}{:>8}", "stream", "cases", "faults", "false alarms", "misses", "other");
    for name in STREAMS {
        let truth = truth(name);
        let cases = truth["cases"].as_array().expect("cases");
        let (start_ms, seconds) =
            (truth["start_ms"].as_u64().expect("a time"), truth["seconds"].as_u64().expect("a time"));
        let mut counts = [0; 3];
        let faults: usize = cases.iter().map(|case| words(&case["findings"]).len()).sum();
        for case in cases {
            let mistakes = compare(name, case, start_ms, seconds);
            for (kind, mistakes) in ["false alarm", "missed", "wrong"].into_iter().zip(&mistakes) {
                all_wrong
                    .extend(mistakes.iter().map(|what| format!("{name}, {}: {kind}: {what}", text(&case["name"]))));
            }
            counts.iter_mut().zip(&mistakes).for_each(|(count, mistakes)| *count += mistakes.len());
        }
        println!("{name:<16}{:>6}{faults:>8}{:>14}{:>8}{:>8}", cases.len(), counts[0], counts[1], counts[2]);
    }
    assert!(all_wrong.is_empty(), "{}", all_wrong.join("\n"));
}

#[test]
fn a_recording_that_is_played_later_is_not_taken_for_a_wrong_clock() {
    const LATER_MS: u64 = 400 * 86_400_000;
    let devices = [
        ("noisy", "pump1"),
        ("tasmota", "compressor"),
        ("zigbee2mqtt", "bathroom_sensor"),
        ("zigbee2mqtt", "hallway_door"),
    ];
    for (name, id) in devices {
        // Thirty times as fast.
        let mut messages = stream(name);
        messages.retain(|message| !(id == "hallway_door" && message.topic.ends_with(id) && !message.retain));
        messages.iter_mut().for_each(|message| message.ms /= 30);
        let mut device = Device::new(Name::new(id, false));
        let end = play(&messages, &mut device, truth(name)["start_ms"].as_u64().expect("a time") + LATER_MS, 10, 0);
        let kinds: Vec<_> = judge(&device, end).iter().map(|finding| finding.kind).collect();
        assert_eq!(kinds, Vec::<&str>::new(), "{name}");
    }
    for (name, id, expected) in [
        ("tasmota", "compressor", "clock_of_this_machine"),
        ("sparkplug_metrics", "Press1", "clock_of_this_machine"),
        // All are of one node, and its clock.
        ("sparkplug", "press7", "clock_offset"),
    ] {
        let mut device = Device::new(Name::new(id, false));
        let (start_ms, seconds) =
            (truth(name)["start_ms"].as_u64().expect("a time"), truth(name)["seconds"].as_u64().expect("a time"));
        let end = play(&stream(name), &mut device, start_ms + LATER_MS, seconds, 0);
        let kinds: Vec<_> = judge(&device, end).iter().map(|finding| finding.kind).collect();
        assert_eq!(kinds, [expected], "as fast as it was: {name}");
    }
}

#[test]
fn no_message_of_a_healthy_stream_reports_an_error() {
    for name in STREAMS {
        for Recorded { topic, payload, .. } in stream(name) {
            let severity = payload::inspect_message(&topic, &payload, payload.len(), 4096).severity;
            assert_eq!(severity, None, "{topic} {}", String::from_utf8_lossy(&payload));
        }
    }
}

#[test]
fn each_message_is_counted_once() {
    for name in STREAMS {
        let (messages, mut traffic) = (stream(name), Traffic::default());
        for message in &messages {
            let at = Duration::from_millis(message.ms);
            traffic.record(at, &message.topic, message.payload.len() as u64, message.retain);
        }
        let retained = messages.iter().filter(|message| message.retain).count() as u64;
        let live = messages.iter().filter(|message| !message.retain);
        assert_eq!(traffic.live.messages, messages.len() as u64 - retained);
        assert_eq!(traffic.live.bytes, live.clone().map(|message| message.payload.len() as u64).sum::<u64>());
        assert_eq!(traffic.topics().0, live.map(|message| &message.topic).collect::<BTreeSet<_>>().len());
    }
}
