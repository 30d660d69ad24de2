use super::*;
use crate::analysis::payload;

fn filters(messages: &[(&str, &str)]) -> Vec<String> {
    let mut names: Vec<&str> = messages.iter().map(|(topic, _)| *topic).collect();
    names.sort();
    names.dedup();
    let traits: Vec<Traits> = names
        .iter()
        .map(|name| {
            let mut traits = Traits::default();
            for (topic, payload) in messages.iter().filter(|(topic, _)| topic == name) {
                let payload = payload.as_bytes();
                let kind = payload::inspect(payload, true).kind;
                let sample = Sample { topic, payload, payload_bytes: payload.len(), kind, unix_ms: 0 };
                traits.add(&sample, sample.value().as_ref());
            }
            traits
        })
        .collect();
    let topics: Vec<_> = names.iter().copied().zip(&traits).collect();
    let groups = groups(&topics);
    let mut seen: Vec<usize> = groups.iter().flat_map(|group| group.topics.clone()).collect();
    seen.sort();
    assert_eq!(seen, (0..names.len()).collect::<Vec<_>>(), "each topic is in one group");
    for group in &groups {
        assert!(group.topics.iter().all(|index| covers(&group.filter, names[*index])), "{group:?}");
    }
    groups.into_iter().map(|group| format!("{} {}", group.filter, group.topics.len())).collect()
}

#[test]
fn places_become_wildcards_and_measures_do_not() {
    let grid: Vec<_> = ["kitchen", "bath", "hall"]
        .iter()
        .flat_map(|room| ["temperature", "humidity"].map(|what| format!("sensors/{room}/{what}")))
        .collect();
    let messages: Vec<_> = grid.iter().map(|topic| (topic.as_str(), "21.5")).collect();
    assert_eq!(filters(&messages), ["sensors/+/humidity 3", "sensors/+/temperature 3"]);
    let one = filters(&[("device/a/rpm", "1"), ("device/a/torque", "2")]);
    assert_eq!(one, ["device/a/rpm 1", "device/a/torque 1"], "one device's numbers are no group");
    let middle = filters(&[("home/a/temperature/v", "1"), ("home/b/humidity/v", "2"), ("home/b/temperature/v", "2")]);
    assert_eq!(middle, ["home/+/temperature/v 2", "home/b/humidity/v 1"]);
}

#[test]
fn objects_with_the_same_members_are_a_group_whatever_they_are_called() {
    let lamp = r#"{"state":"ON","brightness":9,"linkquality":1}"#;
    let sensor = r#"{"temperature":20.5,"humidity":50,"battery":9,"linkquality":1}"#;
    let found = filters(&[("z/lamp_a", lamp), ("z/lamp b", lamp), ("z/th1", sensor), ("z/th2", sensor)]);
    assert_eq!(found, ["z/+ 2", "z/+ 2"]);
    let envelope = filters(&[("p/a/temp", r#"{"v":1,"ts":2}"#), ("p/a/pressure", r#"{"v":1,"ts":2}"#)]);
    assert_eq!(envelope, ["p/a/pressure 1", "p/a/temp 1"]);
}

#[test]
fn components_stay_apart_and_things_called_after_what_they_are_do_not() {
    let esphome = [
        ("boiler-room/switch/pump/state", "ON"),
        ("boiler-room/switch/valve/state", "OFF"),
        ("boiler-room/binary_sensor/leak/state", "OFF"),
        ("boiler-room/text_sensor/version/state", "2025.1"),
    ];
    let apart = [
        "boiler-room/binary_sensor/leak/state 1",
        "boiler-room/switch/+/state 2",
        "boiler-room/text_sensor/version/state 1",
    ];
    assert_eq!(filters(&esphome), apart);
    let config = r#"{"name":"x","state_topic":"t","unique_id":"u"}"#;
    let discovery = [
        ("homeassistant/switch/a/config", config),
        ("homeassistant/binary_sensor/b/config", config),
        ("homeassistant/switch/c/config", config),
    ];
    assert_eq!(filters(&discovery), ["homeassistant/binary_sensor/b/config 1", "homeassistant/switch/+/config 2"]);
    let things = filters(&[("home/fan/state", "ON"), ("home/pump/state", "ON"), ("home/lock/state", "ON")]);
    assert_eq!(things, ["home/+/state 3"]);
    let rooms = filters(&[("home/hall/fan/a/rpm", "1"), ("home/bath/fan/a/rpm", "1"), ("home/bath/heater/a/rpm", "1")]);
    assert_eq!(rooms, ["home/+/+/a/rpm 3"]);
}

#[test]
fn what_is_beside_devices_does_not_take_them_apart() {
    let mut messages = vec![];
    for topic in ["esp-a/switch/relay/state", "esp-a/switch/lamp/state", "esp-b/switch/relay/state"] {
        messages.push((topic, "ON"));
    }
    for topic in ["esp-a/sensor/soil_moisture/state", "esp-b/sensor/soil_moisture/state", "esp-b/sensor/light_in/state"]
    {
        messages.push((topic, "7"));
    }
    let devices = ["+/sensor/soil_moisture/state 2", "+/switch/+/state 3", "esp-b/sensor/light_in/state 1"];
    assert_eq!(filters(&messages), devices);
    messages.extend([("frigate/yard/detect/state", "ON"), ("solar/1121/0/power", "7"), ("x/pump/a/rpm", "9")]);
    let others = ["frigate/yard/detect/state 1", "solar/1121/0/power 1", "x/pump/a/rpm 1"];
    assert_eq!(filters(&messages), [&devices[..], &others].concat());
    let registers = [("modbus/1/40001", "1"), ("modbus/1/40002", "1"), ("dsmr/gas/total", "1"), ("s/1/l2", "1")];
    assert_eq!(filters(&registers), ["dsmr/gas/total 1", "modbus/1/+ 2", "s/1/l2 1"]);
}

#[test]
fn numbered_ends_become_wildcards() {
    assert_eq!(filters(&[("temp/1", "1"), ("temp/2", "1"), ("temp/17", "1")]), ["temp/+ 3"]);
    assert_eq!(filters(&[("air/co2", "400"), ("air/pm25", "3")]), ["air/co2 1", "air/pm25 1"]);
}

#[test]
fn numbered_ends_are_of_the_kind_that_stands_before_them() {
    let numbers = |topics: &[&'static str]| filters(&topics.iter().map(|topic| (*topic, "1")).collect::<Vec<_>>());
    let shelly = ["s/a/input/0", "s/a/input/1", "s/b/input/0", "s/a/emeter/0", "s/b/emeter/0"];
    assert_eq!(numbers(&shelly), ["s/+/emeter/0 2", "s/+/input/+ 3"]);
    let things = ["plant/tank/1", "plant/tank/2", "plant/pump/1"];
    assert_eq!(numbers(&things), ["plant/pump/1 1", "plant/tank/+ 2"]);
    let lines = ["modbus/1/40001", "modbus/2/40001", "modbus/2/40002"];
    assert_eq!(numbers(&lines), ["modbus/+/+ 3"]);
    let beside = ["x/meters/A8F2", "x/meters/B771", "x/rooms/bath", "x/rooms/hall", "x/air/co2", "x/air/pm25"];
    let apart = ["x/air/co2 1", "x/air/pm25 1", "x/meters/+ 2", "x/rooms/bath 1", "x/rooms/hall 1"];
    assert_eq!(numbers(&beside), apart);
    let envelopes = [("q/a/1", r#"{"v":1,"ts":2}"#), ("q/b/1", r#"{"v":1,"ts":2}"#), ("q/b/2", r#"{"v":1,"ts":2}"#)];
    assert_eq!(filters(&envelopes), ["q/+/+ 3"]);
}

#[test]
fn systems_side_by_side_stay_apart() {
    assert_eq!(filters(&[("home/x/rpm", "1"), ("plant/y/rpm", "1")]), ["home/x/rpm 1", "plant/y/rpm 1"]);
    assert_eq!(filters(&[("kitchen/temperature", "1"), ("bath/temperature", "1")]), ["+/temperature 2"]);
    let sparkplug =
        filters(&[("spBv1.0/g/NDATA/a", "\u{1}"), ("spBv1.0/g/NDATA/b", "\u{1}"), ("spBv1.0/g/NBIRTH/a", "\u{1}")]);
    assert_eq!(sparkplug, ["spBv1.0/g/NBIRTH/a 1", "spBv1.0/g/NDATA/+ 2"]);
}

#[test]
fn text_among_numbers_belongs_to_them() {
    let numbers = ["a", "b", "c", "d"].map(|place| format!("s/{place}/temperature"));
    let mut messages: Vec<_> = numbers.iter().map(|topic| (topic.as_str(), "1.5")).collect();
    messages.push(("s/e/temperature", "unavailable"));
    assert_eq!(filters(&messages), ["s/+/temperature 5"]);
    messages.push(("s/e/name", "kitchen"));
    assert_eq!(filters(&messages), ["s/+/temperature 5", "s/e/name 1"]);
}

#[test]
fn kinds_of_things_stay_apart() {
    let state = |kind: &str, says: &[&'static str]| -> Vec<(String, &'static str)> {
        let rooms = ["kitchen", "bath"].iter().enumerate();
        let said = |(n, room): (usize, &&str)| {
            let topic = format!("h/{kind}/{room}/state");
            says.iter().map(|text| (topic.clone(), *text)).skip(n).collect::<Vec<_>>()
        };
        rooms.flat_map(said).collect()
    };
    let found = |messages: &[Vec<(String, &'static str)>]| {
        filters(&messages.iter().flatten().map(|(topic, text)| (topic.as_str(), *text)).collect::<Vec<_>>())
    };
    let plural = [state("lights", &["on"; 2]), state("blinds", &["open"; 2])];
    assert_eq!(found(&plural), ["h/blinds/+/state 2", "h/lights/+/state 2"]);
    let said = [state("licht", &["on", "off"]), state("rollo", &["open", "closed"])];
    assert_eq!(found(&said), ["h/licht/+/state 2", "h/rollo/+/state 2"]);
    let places = [state("north", &["on", "off"]), state("south", &["on", "fault"])];
    assert_eq!(found(&places), ["h/+/+/state 4"]);
    let still = [state("north", &["on"; 2]), state("south", &["off"; 2])];
    assert_eq!(found(&still), ["h/+/+/state 4"], "all of a place may be in one state");
    let sites = ["site/a/pump/1/flow", "site/a/pump/2/flow", "site/b/pump/1/flow"].map(|topic| (topic, "1.5"));
    assert_eq!(filters(&sites), ["site/+/pump/+/flow 3"]);
}

#[test]
fn what_has_the_same_numbered_names_is_of_one_kind() {
    let numbers = |topics: &[&'static str]| filters(&topics.iter().map(|topic| (*topic, "1")).collect::<Vec<_>>());
    let phases = ["em/main/L1", "em/main/L2", "em/main/L3", "em/pump/L1", "em/pump/L2", "em/pump/L3"];
    assert_eq!(numbers(&phases), ["em/+/+ 6"]);
    assert_eq!(numbers(&["x/meters/A8F2", "x/pumps/B771"]), ["x/meters/A8F2 1", "x/pumps/B771 1"]);
}
