//! Any stream: bounds hold and nothing panics. What is said of real ones is in tests/it/streams.rs.

use std::time::Duration;

use super::*;
use crate::analysis::alarm::Severity;
use crate::analysis::device::findings::{connection, judge};

/// A random number from the one before: the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }

    fn pick<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.below(list.len())]
    }

    fn topic(&mut self) -> String {
        const LEVELS: &[&str] = &[
            "d",
            "d",
            "spBv1.0",
            "NDATA",
            "NBIRTH",
            "DDEATH",
            "status",
            "LWT",
            "set",
            "cmnd",
            "error",
            "$state",
            "homie",
            "rpc",
            "",
            "ü",
            "config",
            "homeassistant",
            "x",
        ];
        let mut topic = self.pick(LEVELS).to_owned();
        (0..self.below(6)).for_each(|_| topic = format!("{topic}/{}", self.pick(LEVELS)));
        if self.below(4) == 0 { format!("{topic}/{}", self.below(3000)) } else { topic }
    }

    fn payload(&mut self) -> Vec<u8> {
        const PARTS: &[&str] = &[
            "{\"seq\":",
            "1",
            "}",
            "online",
            "offline",
            "ERROR",
            "[",
            "]",
            "null",
            "\"ts\":\"2025-03-01T12:00:00\"",
            ",",
            "{\"a\":{\"b\":",
            "21.55",
            "-1e300",
            "\u{1b}[E]",
            "nan",
            " ",
            "ü",
            "<error>5</error>",
            "1e999",
            "18446744073709551615",
        ];
        if self.below(8) == 0 {
            return (0..self.below(40)).map(|_| self.below(256) as u8).collect();
        }
        (0..self.below(8)).map(|_| self.pick(PARTS)).collect::<String>().into_bytes()
    }
}

#[test]
fn bounds_hold_for_any_stream_and_every_finding_has_its_evidence() {
    for seed in 1..40 {
        let mut random = Random(seed);
        let mut device = Device::new(Name::new("d", seed % 3 == 0));
        let (mut at, mut own) = (At { elapsed: Duration::ZERO, unix_ms: 1_760_000_000_000 }, 0);
        for _ in 0..3000 {
            let step = random.below(2000) as u64;
            at = At { elapsed: at.elapsed + Duration::from_millis(step), unix_ms: at.unix_ms + step };
            let (topic, payload) = (random.topic(), random.payload());
            let payload_bytes = payload.len() + if random.below(9) == 0 { random.below(9000) } else { 0 };
            let retain = random.below(5) == 0;
            let message = Message { at, topic: &topic, payload: &payload, payload_bytes, retain };
            own += u64::from(device.record(&message).is_some());
            if random.below(500) == 0 {
                device.interrupted();
            }
        }
        assert_eq!(own + device.others, 3000);
        assert!(device.topics.len() <= DEVICE_TOPICS_MAX && device.field_count <= FIELDS_MAX);
        assert!(device.reports.len() <= REPORTS_KEPT && device.mentions.len() <= MENTIONS_KEPT);
        assert!(device.commands.iter().count() <= COMMANDS_KEPT && device.nodes.len() <= DEVICE_CLOCKS_MAX);
        for finding in judge(&device, at) {
            assert!(!finding.evidence.is_empty() && !finding.advice.is_empty(), "{finding:?}");
        }
        connection(&device, at);
    }
}

#[test]
fn what_is_beyond_the_limits_is_counted() {
    let mut device = Device::new(Name::new("d", false));
    for n in 0..DEVICE_TOPICS_MAX + 7 {
        let topic = format!("d/{n}");
        let payload = br#"{"a":1,"b":2,"c":3,"d":4,"e":5,"f":6}"#;
        device.record(&Message {
            at: At::default(),
            topic: &topic,
            payload,
            payload_bytes: payload.len(),
            retain: false,
        });
    }
    assert_eq!((device.topics.len(), device.untracked), (DEVICE_TOPICS_MAX, 7));
    assert_eq!((device.live, device.field_count), (DEVICE_TOPICS_MAX as u64 + 7, FIELDS_MAX));
}

/// A Sparkplug payload with nothing but its number.
fn numbered(seq: u8) -> [u8; 3] {
    // Field 3 as a varint of two bytes.
    [0x18, seq | 0x80, seq >> 7]
}

#[test]
fn numbers_that_a_gateway_shares_among_its_nodes_leave_no_gap_in_any() {
    for (nodes, expected) in [(1, 1), (3, 0)] {
        let mut device = Device::new(Name::new("n0", false));
        for seq in (0..200).filter(|seq| *seq != 90) {
            let at = At { elapsed: Duration::from_millis(u64::from(seq) * 1000), unix_ms: 0 };
            let (topic, payload) = (format!("spBv1.0/g/NDATA/n{}", seq % nodes), numbered(seq));
            device.record(&Message { at, topic: &topic, payload: &payload, payload_bytes: 3, retain: false });
        }
        let end = At { elapsed: Duration::from_secs(200), unix_ms: 0 };
        let kinds: Vec<_> = judge(&device, end).iter().map(|finding| finding.kind).collect();
        assert_eq!(kinds.iter().filter(|kind| **kind == "counter_gap").count(), expected, "{kinds:?}");
    }
}

/// The kinds of what is found in messages of device `d`, one a second.
fn kinds(messages: &[(&str, &[u8])]) -> Vec<&'static str> {
    let mut device = Device::new(Name::new("d", false));
    let mut at = At::default();
    for (topic, payload) in messages {
        at.elapsed += Duration::from_secs(1);
        device.record(&Message { at, topic, payload, payload_bytes: payload.len(), retain: false });
    }
    at.elapsed += Duration::from_secs(60);
    judge(&device, at).iter().map(|finding| finding.kind).collect()
}

#[test]
fn refusals_and_calls_for_help_are_reports() {
    for (topic, payload, expected) in [
        ("cmd/d/res", &br#"{"id":"c1","code":500,"message":"actuator jammed"}"#[..], &["reports_errors"][..]),
        ("homie/d/$state", b"alert", &["reports_warnings"]),
        ("homie/d/$state", b"ready", &[]),
        ("homie/5/d/$alert/hot", b"the compressor is overheated", &["reports_warnings"]),
        ("homie/5/d/$alert/hot", b"", &[]),
        ("homie/5/d/$log/error", b"flow sensor does not respond", &["reports_errors"]),
    ] {
        assert_eq!(kinds(&[(topic, payload)]), expected, "{topic}");
    }
}

#[test]
fn an_inverter_that_was_away_from_the_start_is_no_alarm() {
    use crate::analysis::device::findings::{Connection, Grade};
    let told = |base: &str, words: &[&[u8]]| {
        let (mut device, topic) = (Device::new(Name::new("d", false)), |end: &str| format!("{base}/d/{end}"));
        let (reachable, power) = (topic("status/reachable"), topic("0/power"));
        let mut at = At::default();
        for word in words {
            for (topic, payload) in [(&power, &b"0.0"[..]), (&reachable, word), (&power, b"0.0")] {
                at.elapsed += Duration::from_secs(2);
                device.record(&Message { at, topic, payload, payload_bytes: payload.len(), retain: false });
            }
        }
        let found: Vec<_> = judge(&device, at).iter().map(|finding| (finding.kind, finding.severity)).collect();
        (connection(&device, at).0, found)
    };
    let night: [&[u8]; 4] = [b"0"; 4];
    assert_eq!(told("solar", &night), (Connection::Offline, vec![("offline", Grade::Info)]));
    assert_eq!(told("solar", &[b"0", b"0", b"1"]), (Connection::Online, vec![]), "the sun rises");
    assert_eq!(told("house", &night), (Connection::Online, vec![("offline_but_sending", Grade::Warning)]));
    let gone = |base| told(base, &[b"1", b"0"]).1;
    assert_eq!((gone("solar"), gone("house")), (vec![("offline_but_sending", Grade::Warning)], gone("solar")));
    let often = told("house", &[b"1", b"0", b"1", b"0"]).1;
    assert_eq!(often, [("flapping", Grade::Warning)], "that it sends in between is known");
}

#[test]
fn what_is_called_and_has_an_id_is_a_command() {
    let beat = ("ocpp/d/heartbeat", &b"{}"[..]);
    assert_eq!(kinds(&[beat, ("ocpp/d/call/Reset", br#"{"id":"c0","payload":{}}"#), beat]), ["no_answer"]);
    assert_eq!(kinds(&[beat, ("house/d/call/active", br#"{"from":"door"}"#), beat]), [""; 0]);
    assert_eq!(kinds(&[beat, ("lifts/d/call/ack", br#"{"id":"c0","accepted":true}"#), beat]), [""; 0]);
    assert_eq!(kinds(&[beat, ("openWB/d/get/voltages", b"[NaN, 230.1]"), beat]), [""; 0]);
}

#[test]
fn a_gateway_is_there_while_its_inverter_has_no_sun() {
    use crate::analysis::device::findings::Connection;
    for (status, expected) in [("online", Connection::Online), ("offline", Connection::Offline)] {
        let mut device = Device::new(Name::new("solar", false));
        for (topic, payload) in
            [("solar/dtu/status", status), ("solar/1141/status/reachable", "0"), ("solar/1141/0/power", "0.0")]
        {
            let (at, payload) = (At::default(), payload.as_bytes());
            device.record(&Message { at, topic, payload, payload_bytes: payload.len(), retain: true });
        }
        assert_eq!(connection(&device, At::default()).0, expected);
        assert_eq!(judge(&device, At::default()).is_empty(), status == "online");
    }
}

#[test]
fn values_on_topics_called_get_are_told_and_not_asked_for() {
    let (told, asked) = (&b"7300.5"[..], &b""[..]);
    assert_eq!(kinds(&[("d/cp/2/get/power", told), ("d/state", told)]), [""; 0]);
    assert_eq!(kinds(&[("d/get/state", asked), ("d/state", told)]), [""; 0]);
    assert_eq!(kinds(&[("d/state", told), ("d/get/state", asked)]), ["no_answer"]);
}

#[test]
fn what_sent_nothing_has_no_regular_messages() {
    for (retain, expected) in [(true, "1 of 1 command got no answer"), (false, "1 of 1 command got no answer but the")]
    {
        let mut device = Device::new(Name::new("d", false));
        for (topic, payload, retain) in [("d/state", &b"OFF"[..], retain), ("d/set", b"ON", false)] {
            device.record(&Message { at: At::default(), topic, payload, payload_bytes: payload.len(), retain });
        }
        let found = judge(&device, At { elapsed: Duration::from_secs(60), unix_ms: 60_000 });
        let finding = found.iter().find(|finding| finding.kind == "no_answer").expect("a finding");
        let is_all = finding.finding == expected;
        assert!(finding.finding.starts_with(expected) && is_all == retain, "{}", finding.finding);
    }
}

#[test]
fn a_cut_sparkplug_payload_is_told() {
    let whole = [0x12, 7, 0x0a, 1, b'p', 0x20, 3, 0x50, 5];
    let message = |length: usize| ("spBv1.0/g/DDATA/n/d", &whole[..length]);
    for (last, expected) in [(9, false), (6, true)] {
        let found = kinds(&[message(9), message(9), message(9), message(last)]);
        assert_eq!(found.contains(&"malformed_json"), expected, "{found:?}");
    }
}

#[test]
fn what_tells_how_the_device_is_must_not_slow_down_unless_it_tells_where_it_is() {
    for (payload, expected) in [(&br#"{"uptime":5}"#[..], true), (br#"{"uptime":5,"lat":48.1}"#, false), (b"{}", false)]
    {
        let mut device = Device::new(Name::new("d", false));
        let mut at = At::default();
        for step in [5, 5, 5, 5, 5, 5, 5, 5, 5, 15, 15, 15, 15] {
            at.elapsed += Duration::from_secs(step);
            let message = Message { at, topic: "d/info", payload, payload_bytes: payload.len(), retain: false };
            device.record(&message);
        }
        let found: Vec<_> = judge(&device, at).iter().map(|finding| finding.kind).collect();
        assert_eq!(found.contains(&"slower_beat"), expected, "{found:?}");
    }
}

#[test]
fn what_measures_the_mains_must_not_slow_down_while_as_much_is_drawn() {
    let slows = |volts: u64, power: fn(u64) -> u64| {
        let (mut device, mut at) = (Device::new(Name::new("d", false)), At::default());
        for n in 0..24 {
            at.elapsed += Duration::from_secs(if n < 12 { 5 } else { 30 });
            let text = format!(r#"{{"voltage":{volts}.{},"power":{}}}"#, 10 + n * 5 % 13, power(n));
            let payload = text.as_bytes();
            device.record(&Message { at, topic: "d/data", payload, payload_bytes: payload.len(), retain: false });
        }
        judge(&device, at).iter().any(|finding| finding.kind == "slower_beat")
    };
    assert!(slows(230, |n| 800 + n * 5 % 13));
    assert!(!slows(230, |n| if n < 12 { 800 } else { 60 } + n * 5 % 13), "a load that goes off");
    assert!(!slows(52, |n| 800 + n * 5 % 13), "a battery's");
}

#[test]
fn what_tells_several_values_that_go_on_to_move_slows_down_by_itself() {
    let slows = |members: &[&str], value: fn(u64) -> u64| {
        let (mut device, mut at) = (Device::new(Name::new("d", false)), At::default());
        for n in 0..24 {
            at.elapsed += Duration::from_secs(if n < 12 { 5 } else { 30 });
            let of = |(index, name): (u64, &&str)| format!("\"{name}\":{}", value(n) + (n + index) * 5 % 13);
            let text = format!("{{{}}}", (0..).zip(members).map(of).collect::<Vec<_>>().join(","));
            let payload = text.as_bytes();
            device.record(&Message { at, topic: "d/data", payload, payload_bytes: payload.len(), retain: false });
        }
        judge(&device, at).iter().any(|finding| finding.kind == "slower_beat")
    };
    assert!(slows(&["a", "b", "c"], |_| 100));
    assert!(!slows(&["a", "b"], |_| 100), "too few to say");
    assert!(!slows(&["a", "b", "c"], |n| if n < 12 { 900 } else { 100 }), "it has less to do");
}

#[test]
fn a_room_that_is_told_when_it_changes_has_not_stopped() {
    let told = |value: fn(u64) -> f64| {
        let mut device = Device::new(Name::new("d", false));
        for n in 0..14 {
            let at = At { elapsed: Duration::from_secs(n * 10), unix_ms: n * 10_000 };
            let (text, retain) = (format!("{:.1}", value(n)), false);
            let payload = text.as_bytes();
            device.record(&Message { at, topic: "d/temperature", payload, payload_bytes: payload.len(), retain });
        }
        let end = At { elapsed: Duration::from_secs(300), unix_ms: 300_000 };
        judge(&device, end).iter().map(|finding| finding.kind).collect::<Vec<_>>()
    };
    assert_eq!(told(|n| 19.0 + 0.2 * n as f64), [""; 0]);
    assert_eq!(told(|n| 19.0 + 0.2 * (n / 2) as f64), ["stopped"], "it told the same again");
}

#[test]
fn json_lines_are_read_line_by_line_and_are_no_fault() {
    let batch = ("d/batch", &b"{\"t\":1}\n{\"t\":2}\n"[..]);
    assert_eq!(kinds(&[batch; 4]), [""; 0]);
    assert_eq!(kinds(&[batch, batch, batch, ("d/batch", b"{\"t\":1}\n{\"t\":")]), ["malformed_json"]);
    let mut device = Device::new(Name::new("d", false));
    let payload = b"{\"t\":1}\n{\"error\":\"overheated\"}";
    let message = Message { at: At::default(), topic: "d/batch", payload, payload_bytes: payload.len(), retain: false };
    let severity = device.record(&message).and_then(|taken| taken.inspection.severity);
    assert_eq!(severity, Some(Severity::Error));
}
