use super::*;
use crate::analysis::device::Message;
use crate::analysis::device::names::Name;
use serde_json::json;

const NOW: u64 = 1_740_830_400_000;

#[test]
fn the_offset_of_live_messages_is_told_and_retained_ones_only_while_nothing_else_came() {
    let mut clocks = Clocks::default();
    let at = At { unix_ms: NOW, ..At::default() };
    clocks.record_json(at, "d", &json!({"v": 1, "ts": NOW - 86_400_000}), true);
    assert_eq!(clocks.iter().next().expect("a clock").retained, Some(NOW as i64 - 86_400_000));
    clocks.record_json(at, "d", &json!({"v": 1, "ts": NOW + 2000}), false);
    clocks.record_json(at, "d", &json!({"v": 1, "ts": NOW + 1000}), false);
    let clock = clocks.iter().next().expect("a clock");
    assert_eq!((clock.count, clock.least, clock.greatest, clock.retained), (2, 1000, 2000, None));
    let mut clocks = Clocks::default();
    clocks.record_json(at, "gate/state", &json!({"state": "closed", "ts": NOW}), true);
    assert_eq!(clocks.iter().count(), 0, "it may be closed since then");
    clocks.record_json(at, "silo/state", &json!({"level": 44.1, "ts": NOW}), true);
    assert_eq!(clocks.iter().count(), 1);
}

#[test]
fn local_times_of_another_zone_are_told_from_those_of_others() {
    let told = |hours: i64, others: &[i64]| {
        let (mut clocks, mut all) = (Clocks::default(), Clocks::default());
        let local = |hours: i64| ToldTime::Local(NOW as i64 + hours * 3_600_000);
        let at = At { unix_ms: NOW, ..At::default() };
        for second in 0..3 {
            let at = At { elapsed: Duration::from_secs(second), unix_ms: NOW + second * 1000 };
            let ToldTime::Local(ms) = local(hours) else { return None };
            clocks.record(at, "tele/d/STATE", "Time", ToldTime::Local(ms + second as i64 * 1000), false);
        }
        for (number, hours) in others.iter().enumerate() {
            all.record(at, &format!("tele/o{number}/STATE"), "Time", local(*hours), false);
        }
        all.record(at, "script/utc", "Time", local(0), false);
        clocks.iter().next().expect("a clock").off_zone(&all)
    };
    assert_eq!(told(3, &[1, 1, 1]), Some(8));
    assert_eq!(told(1, &[1, 1]), None);
    assert_eq!(told(3, &[1, 2]), None, "they differ");
    assert_eq!(told(3, &[1]), None, "one is no measure");
}

#[test]
fn days_that_two_clocks_are_both_away_by_are_no_fault_of_either() {
    const DAY: i64 = 86_400;
    let alike = |seconds: i64, other_seconds: i64, is_local: bool| {
        let (mut clocks, mut others) = (Clocks::default(), Clocks::default());
        for second in 0..3 {
            let at = At { elapsed: Duration::from_secs(second), unix_ms: NOW + second * 1000 };
            let by = |seconds: i64| at.unix_ms as i64 + seconds * 1000;
            let own = if is_local { ToldTime::Local } else { ToldTime::Exact }(by(seconds));
            clocks.record(at, "tele/d/STATE", "Time", own, false);
            others.record(at, "plant/p/data", "ts", ToldTime::Exact(by(other_seconds)), false);
        }
        let both = clocks.iter().next().zip(others.iter().next());
        both.is_some_and(|(clock, other)| clock.is_days_away_with(other))
    };
    assert!(alike(-400 * DAY, -400 * DAY + 2, false));
    assert!(alike(-400 * DAY + 7200, -400 * DAY, true), "but for the zone");
    assert!(!alike(-400 * DAY + 7200, -400 * DAY, false));
    assert!(!alike(-400 * DAY, -401 * DAY, true));
    assert!(!alike(-7200, -7200, false), "a zone that both have wrong");
    assert!(!alike(-20_000 * DAY, -20_000 * DAY, false), "1970");
}

#[test]
fn a_clock_goes_neither_faster_nor_slower_than_time() {
    for (step_ms, expected) in [(1000, true), (1010, true), (0, false), (30_000, false), (-1000, false)] {
        let mut clocks = Clocks::default();
        for n in 0..60u64 {
            let at = At { elapsed: Duration::from_secs(n), unix_ms: NOW + n * 1000 };
            clocks.record(at, "d", "ts", ToldTime::Exact(NOW as i64 - 90_000 + n as i64 * step_ms), false);
        }
        assert_eq!(clocks.iter().next().map(Clock::goes), Some(expected), "{step_ms}");
    }
}

#[test]
fn a_clock_that_jumps_once_and_goes_on_from_there_is_wrong_where_it_is() {
    let told = |off_s: fn(u64) -> i64| {
        let mut device = Device::new(Name::new("d", false));
        for n in 0..10u64 {
            let at = At { elapsed: Duration::from_secs(n * 10), unix_ms: NOW + n * 10_000 };
            let payload = format!("{{\"ts\":{}}}", at.unix_ms as i64 + off_s(n) * 1000);
            let payload = payload.as_bytes();
            device.record(&Message { at, topic: "d", payload, payload_bytes: payload.len(), retain: false });
        }
        let mut found = Vec::new();
        judge(&device, At { elapsed: Duration::from_secs(100), unix_ms: NOW + 100_000 }, &mut found);
        found.len()
    };
    assert_eq!(told(|n| if n < 3 { 0 } else { -7200 }), 1);
    assert_eq!(told(|n| if n < 3 { -7200 } else { 0 }), 0, "it was set");
    assert_eq!(told(|n| if n == 4 { -7200 } else { 0 }), 0, "one that waited");
    assert_eq!(told(|n| if n < 7 { 0 } else { -7200 }), 0, "few");
    assert_eq!(told(|n| if n < 3 { 0 } else { -300 * (n as i64 - 2) }), 0, "of other events");
}

#[test]
fn what_tells_the_time_of_something_else_is_a_clock_when_it_goes_and_is_far_off() {
    let told = |name: &str, off_ms: i64, step_ms: i64| {
        let mut device = Device::new(Name::new("d", false));
        for n in 0..10u64 {
            let at = At { elapsed: Duration::from_secs(n), unix_ms: NOW + n * 1000 };
            let payload = format!("{{\"{name}\":{}}}", NOW as i64 + off_ms + n as i64 * step_ms);
            let payload = payload.as_bytes();
            let retain = n == 0;
            device.record(&Message { at, topic: "d", payload, payload_bytes: payload.len(), retain });
        }
        let mut found = Vec::new();
        judge(&device, At { elapsed: Duration::from_secs(10), unix_ms: NOW + 10_000 }, &mut found);
        !found.is_empty()
    };
    for (name, off_ms, step_ms, expected) in [
        ("last_updated", -3 * 3_600_000, 1000, true),
        ("enqueuedTime", 3_600_000, 1000, true),
        ("updated", -3 * 3_600_000, 0, false),
        ("updated", -60_000, 1000, false),
        ("ts", -60_000, 1000, true),
    ] {
        assert_eq!(told(name, off_ms, step_ms), expected, "{name} {off_ms} {step_ms}");
    }
}

#[test]
fn a_topic_may_tell_nothing_but_the_time() {
    let mut clocks = Clocks::default();
    let at = At { unix_ms: NOW, ..At::default() };
    for (topic, text) in [
        ("d/timestamp", "2025-03-01T12:00:07Z"),
        ("d/utc", "\"2025-03-01T12:00:07.000\""),
        ("d/ts", "1740830407"),
        ("d/uptime", "1740830407"),
        ("d/time", "12:00"),
        ("d/loc", "\"2025-02-28T11:00:07+00:00\""),
        ("d/end", "2025-03-01T13:00:07Z"),
    ] {
        clocks.record_text(at, topic, text);
    }
    let told: Vec<_> = clocks.iter().map(|clock| (&*clock.topic, clock.least)).collect();
    assert_eq!(told, [("d/timestamp", 7000), ("d/utc", 7000), ("d/ts", 7000), ("d/loc", 7000 - 25 * 3_600_000)]);
}

#[test]
fn times_of_other_events_are_no_clock() {
    let mut clocks = Clocks::default();
    for value in [json!({"last_boot": NOW}), json!({"time": 12}), json!({"a": {"b": {"ts": NOW}}}), json!([NOW])] {
        clocks.record_json(At::default(), "d", &value, false);
    }
    assert_eq!(clocks.iter().count(), 0);
    clocks.record_json(At::default(), "d", &json!({"params": {"ts": NOW as f64 / 1e3}}), false);
    assert_eq!(clocks.iter().next().map(|clock| &*clock.path), Some("params.ts"));
    let list = json!({"Messages": [{"Timestamp": "2025-03-01T12:00:07Z"}]});
    for value in [list, json!({"dateTime": "1740830407.0"}), json!({"unixtime": 40})] {
        let mut clocks = Clocks::default();
        clocks.record_json(At::default(), "d", &value, false);
        assert_eq!(clocks.iter().count(), 1, "{value}");
    }
}
