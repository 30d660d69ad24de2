use super::*;
use crate::analysis::device::Message;
use crate::analysis::device::fields::Fields;
use crate::analysis::device::names::Name;
use serde_json::{Value, json};

fn frozen(values: Vec<f64>) -> bool {
    frozen_as(false, values)
}

fn frozen_as(is_gas: bool, values: Vec<f64>) -> bool {
    let mut fields = Fields::default();
    values.into_iter().for_each(|value| _ = fields.record(At::default(), &json!({"v": value}), 100));
    fields.iter().next().expect("a field").frozen(is_gas, 0).is_some()
}

#[test]
fn a_gas_that_stands_still_is_told_sooner() {
    let moving = || (0..12u32).map(|n| 700.0 + f64::from(n * 5 % 13));
    let then = |value: f64, times: usize| moving().chain(std::iter::repeat_n(value, times)).collect::<Vec<_>>();
    assert!(frozen_as(true, then(707.0, 14)) && !frozen_as(false, then(707.0, 14)));
    assert!(!frozen_as(true, then(400.0, 14)) && !frozen_as(true, then(2000.0, 14)), "at its end");
    assert!(!frozen_as(true, then(707.0, 9)));
    let ramp = (0..12).map(|n| 500.0 + f64::from(n)).chain(std::iter::repeat_n(511.0, 14));
    assert!(!frozen_as(true, ramp.collect()), "it rose and is there");
}

/// What is said of a device that tells this every ten seconds.
fn told(message: impl Fn(u32) -> Value, times: u32) -> usize {
    told_every(10, message, times)
}

fn told_every(seconds: u64, message: impl Fn(u32) -> Value, times: u32) -> usize {
    let mut device = Device::new(Name::new("d", false));
    for n in 0..times {
        let at = At { elapsed: Duration::from_secs(u64::from(n) * seconds), unix_ms: 0 };
        let payload = message(n).to_string();
        let payload = payload.as_bytes();
        device.record(&Message { at, topic: "d/data", payload, payload_bytes: payload.len(), retain: false });
    }
    let mut found = Vec::new();
    device.topics().for_each(|(topic, model)| judge(&device, topic, model, &mut found));
    found.len()
}

#[test]
fn what_goes_on_in_another_state_may_rest_there() {
    let then = |path: &'static str, moving: fn(u32) -> f64, still: f64| {
        let whole = moving(1).fract() == 0.0;
        move |n| {
            let value = if n < 30 { moving(n) } else { still };
            if whole { json!({path: value as i64}) } else { json!({path: value}) }
        }
    };
    let noise = |n| 812.4 + f64::from(n * 7919 % 97) / 10.0;
    assert_eq!(told(then("power", noise, 815.3), 80), 1);
    assert_eq!(told(then("power", noise, 402.7), 80), 0, "half of it");
    let watts = |n| f64::from(400 + n * 7919 % 97);
    assert_eq!(told(then("homePower", watts, 447.0), 80), 1, "fine, though whole");
    assert_eq!((told(then("homePower", watts, 494.0), 80), told(then("homePower", watts, 402.0), 80)), (0, 0));
    assert_eq!(told(then("power", |n| f64::from(50 + n * 7919 % 97), 97.0), 80), 0, "coarse");
    let whole = |n| f64::from(40 + n * 7919 % 13);
    assert_eq!(told(then("humidity", whole, 46.0), 80), 1);
    assert_eq!(told(then("frequency", whole, 46.0), 80), 0, "a compressor that has settled");
    let direct = |n| (2400.0 + f64::from(n * 7919 % 97)) / 100.0;
    assert_eq!(told(then("voltage", direct, 24.29), 80), 1, "in the middle");
    assert_eq!(told(then("voltage", direct, 24.93), 80), 0, "a charger that holds it");
    assert_eq!(told(then("pv_voltage", direct, 24.01), 80), 0, "what is left of the sun");
    let mains = |n| (2300.0 + f64::from(n * 7919 % 97)) / 10.0;
    assert_eq!(told(then("voltage", mains, 239.5), 80), 1, "of the mains");
}

#[test]
fn a_fine_value_that_moved_only_a_few_times_is_stuck_where_its_noise_has_ended() {
    let noise = |n: u32| 46.0 + f64::from(n * 7919 % 13) / 100.0;
    let then = |moved: &'static [f64], still: f64| move |n: u32| moved.get(n as usize).map_or(still, |value| *value);
    let fridge = then(&[21.47, 21.2, 20.95], 21.37);
    let beside = |humidity: fn(u32) -> f64| move |n| json!({"temperature": fridge(n), "humidity": humidity(n)});
    assert_eq!(told_every(3, beside(noise), 30), 1);
    assert_eq!(told_every(3, beside(noise), 18), 0, "not for long");
    assert_eq!(
        told_every(3, beside(|n| 46.01 + 0.3 * f64::from(n % 5)), 30),
        0,
        "those that move do so by large steps"
    );
    let level = |moved, still| move |n| json!(then(moved, still)(n));
    let own = |message: &dyn Fn(u32) -> Value| {
        let mut device = Device::new(Name::new("d", false));
        for n in 0..24 {
            let at = At { elapsed: Duration::from_secs(u64::from(n) * 4), unix_ms: 0 };
            let (payload, retain) = (message(n).to_string(), false);
            let payload = payload.as_bytes();
            device.record(&Message { at, topic: "d/level", payload, payload_bytes: payload.len(), retain });
        }
        let mut found = Vec::new();
        device.topics().for_each(|(topic, model)| judge(&device, topic, model, &mut found));
        found.len()
    };
    assert_eq!(own(&level(&[140.14, 139.9, 139.9, 139.92, 139.91], 138.0)), 1);
    assert_eq!(own(&level(&[140.14, 140.2, 140.31, 140.44, 140.5], 140.55)), 0, "it was filled");
    assert_eq!(own(&level(&[140.1, 139.9, 139.9, 139.9, 139.7], 138.0)), 0, "coarse");
    assert_eq!(own(&level(&[140.14, 139.9, 140.2, 139.92], 0.0)), 0, "empty");
}

#[test]
fn what_is_told_only_when_far_from_before_and_what_has_settled_may_rest() {
    let coarse = |n: u32| if n < 9 { 20.0 + f64::from(n * 7 % 9) / 8.0 } else { 21.37 };
    let told_at = |at: &dyn Fn(u32) -> u32| {
        let mut device = Device::new(Name::new("d", false));
        for n in 0..26 {
            let at = At { elapsed: Duration::from_secs(at(n).into()), unix_ms: 0 };
            let payload = json!({"temperature": coarse(n), "linkquality": 60 + n * 7 % 40}).to_string();
            let payload = payload.as_bytes();
            device.record(&Message { at, topic: "z/d", payload, payload_bytes: payload.len(), retain: false });
        }
        let mut found = Vec::new();
        device.topics().for_each(|(topic, model)| judge(&device, topic, model, &mut found));
        found.len()
    };
    assert_eq!((told_at(&|n| n * 10), told_at(&|n| n * 10 + n * n * 7 % 23)), (1, 0));
    let then = |moved: &[f64], value: f64, times: usize| [moved, &vec![value; times]].concat();
    let air = |name: &'static str, step: f64| move |n: u32| json!({name: if n < 14 { 44.5 + step * f64::from(n * n % 13) } else { 45.0 }, "n": n});
    let fine = told(air("humidity", 0.1), 30);
    assert_eq!((fine, told(air("level", 0.1), 30), told(air("humidity", 0.5), 30)), (1, 0, 0), "round, but no rest");
    let noise: Vec<f64> = (0..30).map(|n: u32| 20.0 + f64::from(n * 7919 % 13) / 100.0).collect();
    let quiet = [&noise[..], &[20.05; 5], &noise[..]].concat();
    assert!(frozen(then(&noise, 20.05, 24)) && !frozen(then(&quiet, 20.05, 24)));
    let quiet: Vec<f64> = (0..120).map(|n: u32| 20.0 + f64::from(n / 9 * 7919 % 13) / 10.0).collect();
    assert!(frozen(then(&quiet, 20.3, 120)) && !frozen(then(&quiet, 20.3, 60)));
    let filled: Vec<f64> = (0..30).map(|n: u32| 72.0 + f64::from(n) / 3.0 - f64::from(n / 29)).collect();
    assert!(!frozen(then(&filled, 81.33, 40)));
}

#[test]
fn a_load_on_standby_is_no_sensor_that_hangs() {
    let load = |rest: f64| move |n: u32| if n < 15 { 62.0 + f64::from(n * 7919 % 13) / 10.0 } else { rest };
    let plug = |rest| move |n| json!({"power": load(rest)(n)});
    assert_eq!((told(plug(1.1), 60), told(plug(62.3), 60)), (0, 1));
    assert_eq!(told(|n| json!({"temperature": load(14.3)(n)}), 60), 1);
    let falls = |n: u32| if n < 15 { 62.1 - 4.0 * f64::from(n) + f64::from(n * 5 % 13) } else { 6.1 };
    let tank = |name: &'static str| told(|n| json!({name: falls(n)}), 60);
    assert_eq!((tank("power"), tank("level")), (0, 1), "a tank has none");
}

#[test]
fn what_moves_by_its_nature_and_never_did_is_stuck() {
    let noise = |n: u32| 20.0 + f64::from(n * 7919 % 13) / 10.0 + 0.05;
    assert_eq!(told(|n| json!({"power": noise(n), "voltage": 233.11}), 24), 1);
    assert_eq!(told(|n| json!({"power": noise(n), "voltage": 230.0}), 24), 0, "nobody measured that");
    assert_eq!(told_every(1, |n| json!({"power": noise(n), "voltage": 233.11}), 60), 0, "read less often");
    assert_eq!(told(|n| json!({"power": noise(n), "voltage": 52.81}), 24), 0, "a battery's");
    assert_eq!(told(|_| json!({"voltage": 233.11}), 24), 0, "nothing moves");
    let gas = |co2: u32| move |n| json!({"seq": n, "co2": co2, "temperature": noise(n)});
    assert_eq!((told(gas(899), 60), told(gas(400), 60), told(gas(899), 30)), (1, 0, 0));
    assert_eq!(told(|n| json!({"co2": 899, "temperature": noise(n)}), 60), 0, "a bridge may repeat what it knows");
    let bme = |humidity: f64| move |_| json!({"Temperature": -3.2, "Humidity": humidity, "Pressure": 998.1});
    let outside = |name: &'static str| move |n| json!({"power": noise(n), name: 6.2});
    assert_eq!((told(outside("outdoortemp"), 40), told(outside("outdoortemp"), 60)), (0, 1));
    assert_eq!(told(outside("flow_temp"), 40), 1);
    assert_eq!((told(outside("currtemp"), 40), told(outside("local_temperature"), 40)), (0, 0), "of a room");
    assert_eq!((told(outside("currtemp"), 60), told(outside("currtemp"), 100)), (0, 1), "which is heated");
    let air = |n| json!({"temperature": 21.3, "humidity": 46.0 + noise(n) / 10.0});
    assert_eq!((told(air, 40), told(air, 60)), (0, 1), "of a room");
    let far = |by: f64| move |n: u32| 21.05 + by * f64::from(n % 2) + by * 1.5 * f64::from(n % 3);
    let beside = |by| move |n| json!({"temperature": far(by)(n), "humidity": 47.22});
    assert_eq!((told(beside(0.1), 40), told(beside(0.02), 40)), (0, 1), "told when it is far from before");
    assert_eq!((told(bme(81.2), 31), told(bme(81.0), 31), told(bme(81.2), 24)), (1, 0, 0));
}

#[test]
fn what_stands_since_the_words_beside_it_are_others_may_rest() {
    let robot = |state: &'static str| {
        move |n: u32| {
            let (x, state) = if n < 20 { (f64::from(n * 7919 % 97) / 10.0, "cleaning") } else { (4.2, state) };
            json!({"x": x, "state": state})
        }
    };
    assert_eq!((told(robot("docked"), 60), told(robot("cleaning"), 60)), (0, 1));
}

#[test]
fn a_sign_of_life_that_stands_is_told() {
    let counts = |until: u32| move |n: u32| json!({"heartbeat": n.min(until)});
    let toggles = |n: u32| json!({"plc": {"life_bit": n < 30 && n % 2 == 1}, "lifebit": n.min(30) % 2});
    assert_eq!((told(counts(20), 31), told(counts(20), 28), told(counts(99), 40)), (1, 0, 0));
    assert_eq!((told(toggles, 45), told(|_| json!({"heartbeat": 1}), 45)), (1, 0));
    assert_eq!(told(|n| json!({"parts": n.min(20)}), 40), 0, "no sign of life");
    let uptime = |from: u32| move |n: u32| json!({"uptime_s": 9000 + 10 * n.min(from)});
    assert_eq!((told(uptime(7), 17), told(uptime(7), 16), told(uptime(3), 40)), (1, 0, 0));
    assert_eq!(told(|n| json!({"uptime": n / 6}), 16), 0, "in minutes");
}

#[test]
fn a_value_that_moved_and_stands_still_is_told_from_one_that_rests() {
    let noise = |n: u32| 20.0 + f64::from(n * 7919 % 13) / 10.0 + 0.05;
    let moving: Vec<f64> = (0..30).map(noise).collect();
    assert!(!frozen(moving.clone()));
    assert!(frozen([moving.clone(), vec![20.35; 20]].concat()));
    assert!(frozen([moving.clone(), vec![20.35; 20], moving.clone()].concat()), "also when it moves again");
    assert!(!frozen([moving.clone(), vec![0.0; 50]].concat()), "switched off");
    assert!(!frozen((0..40).map(|n| f64::from(n / 20)).collect()), "a few steps");
    assert!(!frozen([(0..20).map(|n| f64::from(n) + 0.5).collect(), vec![20.5; 30]].concat()), "a total at rest");
}
