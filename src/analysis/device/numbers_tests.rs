use super::*;
use crate::analysis::device::Message;
use crate::analysis::device::names::Name;
use serde_json::{Value, json};
use std::time::Duration;

fn kinds(messages: impl Iterator<Item = Value>) -> Vec<&'static str> {
    told(messages.map(|message| (message, false)))
}

/// What is found in messages, of which the broker had kept some.
fn told(messages: impl Iterator<Item = (Value, bool)>) -> Vec<&'static str> {
    let mut device = Device::new(Name::new("gw", false));
    for (second, (message, retain)) in messages.enumerate() {
        let at = At { elapsed: Duration::from_secs(second as u64), unix_ms: 0 };
        let payload = message.to_string();
        let payload = payload.as_bytes();
        device.record(&Message { at, topic: "gw/data", payload, payload_bytes: payload.len(), retain });
    }
    let mut found = Vec::new();
    judge(&device, &mut found);
    found.iter().map(|finding| finding.kind).collect()
}

#[test]
fn a_temperature_that_is_left_out_for_good_is_lost() {
    let with = |is_there: fn(u32) -> bool| {
        (0..30).map(move |n| match is_there(n) {
            true => json!({"Time": n, "DS18B20-1": {"Temperature": 20.0 + f64::from(n % 7) / 10.0}, "n": 1}),
            false => json!({"Time": n, "n": 1}),
        })
    };
    assert_eq!(kinds(with(|n| n < 15)), ["lost_value"]);
    assert_eq!(kinds(with(|n| n < 27)), [""; 0], "not for long");
    assert_eq!(kinds(with(|n| n % 2 == 0 && n < 20)), [""; 0], "was not always there");
    let short = |before: usize, behind: usize| kinds(with(|n| n < 15).skip(15 - before).take(before + behind));
    assert_eq!([short(3, 5), short(4, 4)], [["lost_value"]; 2]);
    assert_eq!([short(2, 9), short(3, 4), short(9, 3)], [[""; 0]; 3]);
}

#[test]
fn a_measurement_that_is_left_out_while_all_else_stays_is_lost() {
    // A number moves, and then there is something else, or nothing, of it.
    let then = |before: Value, behind: Value| {
        let with = |n: u32, mut message: Value| {
            if message["power"].is_f64() {
                message["power"] = json!(120.5 + f64::from(n * 7 % 5));
            }
            message
        };
        kinds((0..20).map(|n| with(n, if n < 12 { before.clone() } else { behind.clone() })))
    };
    assert_eq!(then(json!({"speed": 7.5, "hum": 50}), json!({"speed": 7.5})), ["lost_value"]);
    assert_eq!(then(json!({"hum": 50, "mode": "a"}), json!({"mode": "b"})), ["lost_value"], "air is in any mode");
    for (before, behind, expected) in [
        (json!({"power": 120.5, "mode": "run", "n": 1}), json!({"mode": "run", "n": 1}), true),
        (json!({"power": 120.5, "level": 7, "n": 1}), json!({"n": 1}), true),
        (json!({"power": 120.5, "mode": "run"}), json!({"mode": "off"}), false),
        (json!({"power": 120.5, "on": true}), json!({"on": false}), false),
        (json!({"power": 120.5, "state": 3}), json!({"state": 1}), false),
        (json!({"power": 120.5, "n": 1}), json!({"n": 1, "rssi": -70}), false),
        (json!({"power": 120.5, "n": 1, "x": 2}), json!({"n": 1}), true),
        (json!({"eta": 120.5, "n": 1}), json!({"n": 1}), false),
        (json!({"power": 120.5, "mode": "run"}), json!({"power": null, "mode": "run"}), true),
    ] {
        let told = then(before.clone(), behind.clone());
        assert_eq!(told.contains(&"lost_value"), expected, "{before} {behind}: {told:?}");
    }
    let rests = |n: u32| if n < 14 { json!({"power": 130 - n * 10, "n": 1}) } else { json!({"n": 1}) };
    assert_eq!(kinds((0..24).map(rests)), [""; 0], "next to nothing is left out");
    let turns = |n: u32| if n % 12 < 11 { json!({"power": 120, "n": 1}) } else { json!({"n": 1}) };
    assert_eq!(kinds((0..60).map(turns)), [""; 0], "now and then");
}

#[test]
fn what_says_that_it_failed_is_lost_whatever_it_measures() {
    let then = |name: &'static str, before: Value, behind: Value, times: u32| {
        kinds((0..12 + times).map(move |n| json!({name: if n < 12 { &before } else { &behind }, "n": n})))
    };
    assert_eq!(then("uptime_total", json!(7), json!("FAIL"), 3), ["lost_value"]);
    assert_eq!(then("uptime_total", json!(7), json!("FAIL"), 2), [""; 0], "not for long");
    assert_eq!(then("eta", json!(7), json!("unknown"), 9), [""; 0], "there is none");
    assert_eq!(then("battery", json!(87), json!(null), 5), ["lost_value"]);
    assert_eq!(then("battery", json!(87), json!(null), 4), [""; 0]);
    assert_eq!(then("battery", json!(87), json!(null), 20), ["lost_value"], "longer than it was there");
    assert_eq!(then("user", json!(87), json!(null), 9), [""; 0]);
    assert_eq!(then("energy", json!(87), json!(null), 3), ["lost_value"], "a total is there for ever");
    assert_eq!(then("energy", json!(87), json!(null), 2), [""; 0]);
    assert_eq!(then("energy_today", json!(87), json!(null), 4), [""; 0]);
    assert_eq!(then("uptime", json!(87), json!(null), 3), ["lost_value"]);
    let early = |name: &'static str, value: Value, numbers: u32| {
        kinds((0..5).map(|n| json!({name: if n < numbers { json!(87) } else { value.clone() }, "n": n})))
    };
    assert_eq!(
        (early("energy", json!("NaN"), 2), early("uptime", json!(null), 2)),
        (vec!["lost_value"], vec!["lost_value"])
    );
    assert_eq!((early("energy", json!("NaN"), 0), early("user", json!(null), 2)), (vec![], vec![]));
    let door = |name: &'static str| {
        let message =
            |n: u32| json!({name: if n < 4 { json!(64) } else { json!(null) }, "contact": n.is_multiple_of(2)});
        kinds((0..12).map(message))
    };
    assert_eq!((door("battery"), door("charge_pct")), (vec!["lost_value"], vec![]), "whatever it says beside it");
}

#[test]
fn a_topic_of_one_number_has_lost_it_when_it_says_none_again_and_again() {
    let then = |number: fn(u32) -> Value, times: u32| {
        kinds((0..12 + times).map(move |n| if n < 12 { number(n) } else { json!(null) }))
    };
    let moves = |n: u32| json!(20.5 + f64::from(n * 7 % 5));
    assert_eq!(then(moves, 5), ["lost_value"]);
    assert_eq!(then(moves, 4), [""; 0], "not for long");
    assert_eq!(then(|n| json!(20 + n * 7 % 5), 9), [""; 0], "whole numbers may be of anything");
    assert_eq!(then(|n| json!(200.5 - f64::from(n)), 9), [""; 0], "what is left ends");
    let now_and_then = |n: u32| if n % 9 < 3 { json!(null) } else { moves(n) };
    assert_eq!(kinds((0..48).map(now_and_then)), [""; 0]);
}

#[test]
fn what_is_kept_is_judged_where_nothing_else_came() {
    assert_eq!(told([(json!({"temperature": -999_999}), true)].into_iter()), ["impossible_value"]);
    assert_eq!(told([(json!({"battery": 5, "contact": true}), true)].into_iter()), ["low_battery"]);
    assert_eq!(told([(json!({"battery": 65}), true)].into_iter()), [""; 0]);
    assert_eq!(told([5, 97].map(|n| (json!({"battery": n}), n == 5)).into_iter()), [""; 0]);
}

#[test]
fn what_falls_to_nothing_at_once_is_lost_where_nothing_means_that() {
    for (name, before, zeros, expected) in [
        ("temperature", &[20.9, 20.8, 21.0][..], 5, true),
        ("temperature", &[20.9, 20.8, 21.0], 4, false),
        ("pressure", &[1002.8, 1002.6, 1003.1], 5, false),
        ("pressure_bar", &[12.8, 12.6, 13.1], 5, false),
        ("pressure_mmHg", &[752.8, 752.6, 753.1], 5, false),
        ("temperature", &[2.1, 1.4, 0.8], 5, false),
        ("temperature", &[20.0, 21.0, 22.0], 5, false),
        ("target_temperature", &[20.9, 20.8, 21.0], 5, false),
        ("lat", &[48.137_11, 48.137_12, 48.137_14], 5, true),
        ("lat", &[48.137_11, 48.137_12, 48.137_14], 4, false),
        ("lon", &[-2.137_11, 0.137_12, -1.137_14], 5, false),
        ("camera_fps", &[5.0, 4.9], 5, true),
        ("camera_fps", &[0.0], 5, false),
        ("power", &[20.9, 20.8, 21.0], 5, false),
    ] {
        let values = before.iter().copied().cycle().take(12).chain(std::iter::repeat_n(0.0, zeros));
        let told = kinds(values.map(|value| json!({name: value, "x": 1})));
        assert_eq!(told.contains(&"lost_value"), expected, "{name} {before:?} {zeros} {told:?}");
    }
    let weather = |beside: &'static str, pressure: f64| {
        let at = move |n: u32| if n < 12 { pressure + f64::from(n % 3) / 10.0 } else { 0.0 };
        kinds((0..17).map(move |n| json!({"Pressure": at(n), beside: 81 + n % 2})))
    };
    assert_eq!(weather("Humidity", 1002.8), ["lost_value"]);
    assert_eq!((weather("Humidity", 12.8), weather("pump", 1002.8)), (vec![], vec![]), "in a pipe");
}

#[test]
fn numbers_of_several_devices_in_turn_are_not_those_of_one() {
    // Three of the one for each of the other.
    let of = |n: u32| if n % 4 == 3 { ("b", 7 + n / 4, 85.0) } else { ("a", 5000 + n - n / 4, 21.0) };
    let message = |n| {
        let (id, number, temp) = of(n);
        json!({"devEui": id, "fCnt": number, "uptime": number * 60, "temp": temp})
    };
    assert_eq!(kinds((0..60).map(message)), [""; 0]);
    let unnamed = |n| {
        let (_, number, temp) = of(n);
        json!({"fCnt": number, "uptime": number * 60, "temp": temp})
    };
    assert_eq!(kinds((0..60).map(unnamed)), ["counter_backwards", "no_temperature", "several_senders"]);
    let in_turn = |n: u32| json!({"seq": if n.is_multiple_of(2) { 1000 + n / 2 } else { 40 + n / 2 }});
    assert_eq!(kinds((0..40).map(in_turn)), ["counter_backwards"]);
    let loops = |n: u32| json!({"uptime": n % 3 + 5});
    assert_eq!(kinds((0..20).map(loops)), ["restarted"], "again and again");
    let uptimes = |first: u64| kinds((0..20).map(move |n| json!({"uptime": (first + n * 1000) % 4_294_967_296})));
    assert_eq!(uptimes(4_294_960_000), [""; 0], "four bytes of milliseconds");
    let mesh = |n: u32| {
        let (from, started) = [(0, 3000), (1, 90_000), (2, 700)][(n / 2 % 3) as usize];
        json!({"id": n * 7919, "from": from, "uptime": started + n})
    };
    assert_eq!(kinds((0..17).map(mesh)), [""; 0], "each for a while");
    let silent = |n: u32| json!({"id": n, "from": n % 2});
    let once = [(0, 3000), (1, 90_000), (2, 700)].map(|(from, uptime)| json!({"from": from, "uptime": uptime}));
    assert_eq!(kinds((0..8).map(silent).chain(once)), [""; 0], "each once");
    let younger_last = |n: u32| match n {
        19 => json!({"from": 1, "uptime": 700}),
        _ if n.is_multiple_of(2) => json!({"from": 0, "uptime": 3000 + n}),
        _ => json!({"from": 1}),
    };
    assert_eq!(kinds((0..20).map(younger_last)), [""; 0]);
    let each_once = [(0, 311_909), (1, 12_437)].map(|(from, uptime)| json!({"from": from, "uptime": uptime}));
    assert_eq!(kinds(each_once.into_iter()), [""; 0], "none comes back");
    let node = |n: u32| {
        let (from, uptime, battery) = if n.is_multiple_of(3) { (0xbeef, 5000 + n, 4) } else { (n % 3, 70 * n, 90) };
        json!({"from": from, "sender": "!0000beef", "payload": {"uptime": uptime, "battery_level": battery}})
    };
    assert_eq!(kinds((0..30).map(node)), ["low_battery"], "a gateway's own, among those that it passes on");
    let shared = |n: u32| json!({"devEui": of(n).0, "fCnt": n + n / 30, "uptime": n % 40});
    assert_eq!(kinds((0..60).map(shared)), ["counter_gap", "restarted"], "one sequence for all, and one restart");
}

#[test]
fn a_restart_is_told_once_and_also_where_the_uptime_is_called_up() {
    let uptime = |n: u32| n % 10 + if n < 10 { 5000 } else { 0 };
    let both =
        |n| json!({"Uptime": format!("0T{:02}:00:{:02}", uptime(n) / 3600, uptime(n) % 60), "UptimeSec": uptime(n)});
    assert_eq!(kinds((0..20).map(both)), ["restarted"]);
    assert_eq!(kinds((0..20).map(|n| json!({"up": uptime(n)}))), ["restarted"]);
    let told = |falls| restarted("up", falls, (At::default(), 9.0, 1.0)).finding;
    assert_eq!(told(1), "the device restarted: up fell from 9 to 1");
    assert_eq!(told(6), "the device restarted 6 times, the last time: up fell from 9 to 1");
    assert_eq!(kinds((0..20).map(|n| json!({"up": 3 - n / 15}))), [""; 0], "of three links one is down");
}

#[test]
fn what_is_lost_beyond_measurements_takes_more() {
    let place = |lost: u32| move |n: u32| json!({"lat": if n < 20 - lost { json!(48.1) } else { json!(null) }});
    assert_eq!((kinds((0..20).map(place(5))), kinds((0..20).map(place(4)))), (vec!["lost_value"], vec![]));
    let reading = |n: u32| 24.5 + f64::from(n * 7 % 5) / 10.0;
    let null = |behind: u32| move |n: u32| json!({"t": if n < 15 { json!(reading(n)) } else { json!(null) }, "on": n < behind});
    assert_eq!((kinds((0..20).map(null(99))), kinds((0..20).map(null(15)))), (vec!["lost_value"], vec![]));
    assert_eq!(kinds((0..19).map(null(99))), [""; 0], "not for long");
    let pictures = |name: &'static str| move |n: u32| json!({"fps": if n < 15 { reading(n) } else { 0.0 }, name: n});
    assert_eq!(kinds((0..20).map(pictures("bitrate_kbps"))), ["lost_value"]);
    assert_eq!(kinds((0..20).map(pictures("gpu_load"))), [""; 0], "of a game that is over");
    let away = |name: &'static str| move |n: u32| json!({name: if n < 15 { reading(n) } else { DISCONNECTED }, "n": n});
    assert_eq!(kinds((0..20).map(away("t"))), ["no_temperature"]);
    assert_eq!(kinds((0..20).map(away("probe2_c"))), ["no_temperature"]);
    assert_eq!(kinds((0..20).map(away("rssi"))), [""; 0]);
    let rests = |n: u32| json!({"t": 110 - n % 3 * 25});
    assert_eq!(kinds((0..20).map(rests)), [""; 0], "a time");
    let fades = |n: u32| json!({"lat": if n % 9 < 7 { json!(48.1) } else { json!(null) }});
    assert_eq!(kinds((0..60).map(fades)), [""; 0]);
    let tag = |n: u32| json!({"Tag17": {"Value": n, "StatusCode": if n < 10 { "Good" } else { "BadNoCommunication" }}});
    assert_eq!(kinds((0..12).map(tag)), ["lost_value"]);
}

#[test]
fn what_stands_for_no_value_is_not_stuck_as_well() {
    let then = |value: f64| {
        let at = move |n: u32| if n < 30 { 20.0 + f64::from(n * 7919 % 13) / 10.0 } else { value };
        kinds((0..60).map(move |n| json!({"temperature": at(n), "x": n * 7 % 5})))
    };
    assert_eq!((then(21.3), then(-999.9)), (vec!["stuck_value"], vec!["impossible_value"]));
    assert_eq!(then(DISCONNECTED), ["no_temperature"]);
}
