use super::super::Message;
use super::super::findings::{Connection, connection};
use super::super::names::Name;
use super::*;

fn at(tenth: u64) -> At {
    At { elapsed: Duration::from_millis(tenth * 100), unix_ms: tenth * 100 }
}

/// A device whose messages came at these tenths of a second.
fn device(topic: &str, messages: impl IntoIterator<Item = (u64, String)>) -> Device {
    let mut device = Device::new(Name::new("d", false));
    for (tenth, payload) in messages {
        let payload = payload.as_bytes();
        device.record(&Message { at: at(tenth), topic, payload, payload_bytes: payload.len(), retain: false });
    }
    device
}

/// What is said of it, and whether it is there.
fn told(
    topic: &str,
    messages: impl IntoIterator<Item = (u64, String)>,
    end: u64,
) -> (Vec<(&'static str, Grade)>, Connection) {
    let (device, mut found) = (device(topic, messages), Vec::new());
    judge(&device, at(end), &mut found);
    (found.iter().map(|finding| (finding.kind, finding.severity)).collect(), connection(&device, at(end)).0)
}

fn every(step: u64, number: u64) -> impl Iterator<Item = (u64, String)> {
    (0..number).map(move |n| (n * step, format!("{{\"v\":{}}}", n % 7)))
}

#[test]
fn what_is_listed_as_a_heartbeat_is_what_findings_take_for_one() {
    let listed = |topic: &str, messages: &mut dyn Iterator<Item = (u64, String)>| {
        let device = device(topic, messages);
        heartbeats(&device, at(500).elapsed).map(|(_, rhythm)| rhythm.missed).collect::<Vec<_>>()
    };
    assert_eq!(listed("x/d/code", &mut every(20, 7)), [0; 0]);
    assert_eq!(listed("stat/d/code", &mut every(20, 12)), [0; 0]);
    assert_eq!(listed("x/d/code", &mut every(20, 12)), [0]);
    assert_eq!(listed("x/d/heartbeat", &mut every(20, 20).filter(|(tenth, _)| *tenth != 100)), [1]);
}

#[test]
fn a_few_messages_that_come_evenly_are_no_beat_that_stops() {
    for number in 3..9 {
        assert_eq!(told("x/d/code", every(20, number), 300), (vec![], Connection::Online), "{number}");
    }
    let stopped = (vec![("stopped", Grade::Error)], Connection::Offline);
    assert_eq!(told("x/d/code", every(20, 12), 500), stopped);
    assert_eq!(told("x/d/up", every(600, 7), 9000), stopped, "slow enough");
    assert_eq!(told("x/d/heartbeat", every(20, 5), 240), stopped, "says that it beats");
    let weak = (vec![("stopped", Grade::Warning)], Connection::Unknown);
    assert_eq!(told("x/d/code", every(20, 12), 900), weak, "for a short time");
    assert_eq!(told("x/d/code", every(20, 12), 2000), (vec![], Connection::Online), "for next to none");
}

#[test]
fn two_bursts_and_uneven_or_rare_messages_miss_no_beats() {
    let bursts = || every(20, 5).chain(every(20, 5).map(|(tenth, payload)| (tenth + 300, payload)));
    assert_eq!(told("x/d/code", bursts(), 400).0, []);
    let motion = [0, 300, 600, 900, 2400, 2700, 5100, 5400].map(|tenth| (tenth, "ON".to_owned()));
    assert_eq!(told("x/d/motion", motion, 9000).0, []);
    let scans = [1, 2, 3, 4, 5, 6, 7, 11, 12, 13, 14].map(|scan| (scan * 20, String::new()));
    assert_eq!(told("spBv1.0/g/DDATA/e/d", scans.clone(), 300).0, []);
    assert_eq!(told("x/d/data", scans, 300).0, [("missed_beats", Grade::Warning)]);
    let births = every(50, 30).filter(|(tenth, _)| !(500..700).contains(tenth));
    assert_eq!(told("spBv1.0/g/DBIRTH/e/d", births, 1600).0, []);
}

#[test]
fn a_device_that_falls_silent_is_told_however_unevenly_it_came() {
    let uneven =
        |value: fn(u64) -> u64| (0..60).map(move |n| (n * 50 + n * n * 7 % 40, format!("{{\"power\":{}}}", value(n))));
    let silent = (vec![("stopped", Grade::Warning)], Connection::Unknown);
    let nothing = (vec![], Connection::Online);
    assert_eq!(told("x/d/data", uneven(|n| 50 + n % 7), 6000), silent);
    assert_eq!(told("x/d/data", uneven(|n| 50 + n % 7).take(17), 3300), silent, "a few");
    assert_eq!(told("x/d/data", uneven(|n| 50 + n % 7), 3300), nothing, "not for long");
    assert_eq!(told("x/d/data", uneven(|n| if n < 58 { 50 + n % 7 } else { 0 }), 6000), nothing, "comes to rest");
    assert_eq!(told("x/d/data", uneven(|_| 50), 6000), nothing, "it may come when something happens");
    let seen = uneven(|n| 50 + n % 7).map(|(at, power)| (at, power.replace('{', "{\"occupancy\":true,")));
    assert_eq!(told("x/d/data", seen, 6000), nothing, "somebody has gone");
    let rises = |at: u64| format!("{}.{}", 20 + at / 1000, at / 100 % 10);
    assert_eq!(told("x/d/temperature", every(100, 30).map(|(at, _)| (at, rises(at))), 6000), nothing, "on change");
    assert_eq!(told("x/d/position", uneven(|n| 50 + n % 7).map(|(at, _)| (at, at.to_string())), 6000), nothing);
}

#[test]
fn a_radar_that_sees_somebody_near_has_not_come_to_rest() {
    let near = |n| if n == 36 { 1 } else { 20 + n * 7919 % 300 };
    let radar = |name: &'static str| {
        (0..37).map(move |n| (n * 100 + n * n * 7 % 90, format!("{{\"{name}\":{}.{}}}", near(n) / 100, near(n) % 100)))
    };
    let of = |name| told("z/d", radar(name), 9000).0;
    assert_eq!((of("distance"), of("power")), (vec![("stopped", Grade::Warning)], vec![]));
}

#[test]
fn a_few_even_messages_of_what_is_measured_are_a_beat() {
    let power = |value: fn(u64) -> u64, number: u64, end: u64| {
        told("x/d", (0..number).map(|n| (n * 20, format!("{{\"power\":{}}}", value(n)))), end).0
    };
    let noise = |n| 50 + n * 5 % 13;
    let stopped = [("stopped", Grade::Error)];
    assert_eq!((power(noise, 7, 300), power(noise, 6, 270)), (stopped.to_vec(), stopped.to_vec()));
    assert_eq!((power(noise, 5, 270), power(noise, 7, 190)), (vec![], vec![]), "too few, not for long");
    let off = |n| if n == 19 { 3 } else { 50 + n * 5 % 13 };
    assert_eq!((power(off, 20, 900), power(off, 19, 900)), (vec![], stopped.to_vec()), "its load went off");
    assert_eq!(power(|n| 50 + n, 7, 300), [], "it may be told when it has changed by so much");
}

#[test]
fn what_says_that_its_work_is_done_has_not_stopped() {
    let phase = |done: &'static str| {
        every(20, 40)
            .map(move |(tenth, _)| (tenth, if tenth < 780 { "wash" } else { done }))
            .map(|(tenth, phase)| (tenth, format!("{{\"phase\":\"{phase}\"}}")))
    };
    assert_eq!(told("x/d/state", phase("done"), 1400), (vec![], Connection::Online));
    assert_eq!(told("x/d/state", phase("wash"), 1400), (vec![("stopped", Grade::Error)], Connection::Offline));
}

/// The kinds of what is found in messages that come so many seconds after the one before.
fn kinds(topic: &str, messages: impl IntoIterator<Item = (u64, String)>, end: u64) -> Vec<&'static str> {
    let mut tenth = 0;
    let at = |(after, payload): (u64, String)| {
        tenth += after * 10;
        (tenth, payload)
    };
    let messages: Vec<_> = messages.into_iter().map(at).collect();
    told(topic, messages, end * 10).0.into_iter().map(|(kind, _)| kind).collect()
}

#[test]
fn what_is_told_while_it_rises_neither_stops_nor_misses_a_beat_when_it_rests() {
    let topic = "home/d/temperature";
    let values = |values: [u32; 9]| values.map(|tenths| (10, format!("{}.{}", tenths / 10, tenths % 10)));
    let rises = || values([192, 194, 196, 198, 201, 202, 204, 206, 208]);
    assert_eq!(kinds(topic, rises(), 300), [""; 0]);
    assert_eq!(kinds(topic, values([192, 194, 191, 196, 193, 197, 195, 198, 192]), 300), ["stopped"], "noise");
    assert_eq!(kinds(topic, values([192, 192, 194, 194, 196, 196, 198, 201, 203]), 300), ["stopped"], "tells all");
    let rests = || rises().into_iter().chain([(90, "20.7".to_owned()), (10, "20.8".to_owned())]);
    assert_eq!(kinds(topic, rests(), 195), [""; 0]);
    let same = values([191; 9]).into_iter().chain(rests());
    assert_eq!(kinds(topic, same, 285), ["missed_beats"]);
}

#[test]
fn what_gateways_hear_over_the_air_is_missed_only_for_long() {
    let heard = |topic: &str, gap: u64| {
        let tag = |n| (if n == 6 { gap } else { 10 }, format!("{{\"tempc\": 21.{n}}}"));
        kinds(topic, (0..12).map(tag), 115 + gap)
    };
    assert_eq!(heard("home/gw/BTtoMQTT/d", 20), [""; 0]);
    assert_eq!(heard("home/gw/BTtoMQTT/d", 60), ["missed_beats"]);
    assert_eq!(heard("ruuvi/gw/d", 40), [""; 0]);
    assert_eq!(heard("d/SYStoMQTT", 30), ["missed_beats"], "the gateway itself");
}

#[test]
fn a_message_that_got_lost_is_told_where_another_topic_was_silent_too() {
    let missed = |first: &'static str, wobble: u64, lost: [std::ops::Range<u64>; 2]| {
        let mut device = Device::new(Name::new("d", false));
        for n in 0..40 {
            for (topic, _) in [first, "d/b"].into_iter().zip(&lost).filter(|(_, lost)| !lost.contains(&n)) {
                device.record(&Message {
                    at: at(n * 50 + n * n % 7 * wobble),
                    topic,
                    payload: b"x",
                    payload_bytes: 1,
                    retain: false,
                });
            }
        }
        let mut found = Vec::new();
        judge(&device, at(2000), &mut found);
        !found.is_empty()
    };
    assert!(missed("d/a", 1, [10..11, 10..11]));
    assert!(!missed("d/a", 1, [10..11, 20..21]));
    assert!(!missed("d/a", 1, [10..11, 0..0]));
    assert!(missed("d/a", 1, [10..12, 0..0]));
    assert!(missed("d/alive", 1, [10..11, 0..0]));
    assert!(missed("d/a", 0, [10..11, 0..0]), "very even");
}

#[test]
fn what_is_switched_off_is_told_less_often_from_then_on() {
    let plug = |rests: bool| {
        let message = |n: u64| {
            let power = if n < 30 || !rests { 1800 + n * 7919 % 13 } else { 0 };
            (if n > 30 { 30 } else { 5 }, format!("{{\"power\": {power}}}"))
        };
        kinds("plugs/d/state", (0..33).map(message), 225)
    };
    assert_eq!((plug(true), plug(false)), (vec![], vec!["missed_beats"]));
}

#[test]
fn a_number_alone_that_goes_on_to_move_as_far_slows_down_by_itself() {
    let slows = |slow: &[u64], value: &dyn Fn(u64) -> f64| {
        let mut tenth = 0;
        let steps = [50; 12].iter().chain(slow).chain(&[300; 4]);
        let messages = steps.enumerate().map(|(n, step)| {
            tenth += step;
            (tenth, format!("{}", value(n as u64)))
        });
        let messages: Vec<_> = messages.collect();
        told("x/d/q", messages, 1900).0 == [("slower_beat", Grade::Warning)]
    };
    let noise = |n: u64| 20.0 + (n * n * 2 % 19) as f64 / 10.0;
    assert!(slows(&[], &noise) && slows(&[150], &noise), "also when it changes between two");
    assert!(!slows(&[50, 310, 150], &noise), "later it is uneven");
    assert!(!slows(&[], &|n| 20.0 + (n * n * 2 % 19) as f64), "coarse");
    assert!(!slows(&[], &|n| 20.0 + (if n < 13 { n * 5 % 13 } else { n % 2 }) as f64 / 10.0), "told when it changes");
    assert!(!slows(&[], &|n| 20.0 + n as f64 / 10.0), "it may count");
}
