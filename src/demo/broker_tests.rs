//! The demo broker against packets, without a socket.

use super::super::wire::{LastWill, Protocol, decode, frame};
use super::*;
use crate::limits::*;

fn connect_as(broker: &mut Broker, client_id: &str, clean_session: bool, will: Option<(&str, &str)>) -> (Key, bool) {
    let will = will.map(|(topic, message)| LastWill {
        topic,
        message: message.as_bytes(),
        qos: wire::QoS::AtLeastOnce,
        retain: true,
    });
    let connect = Connect {
        protocol: Protocol::MQTT311,
        keep_alive: 0,
        client_id,
        clean_session,
        last_will: will,
        username: None,
        password: None,
    };
    broker.connect(&connect).expect("accepted")
}

/// Hands one packet over and gives what the broker sends after it, as hexadecimal digits and text.
fn exchange(broker: &mut Broker, key: Key, packet: &[u8]) -> String {
    let mut out = Vec::new();
    let (header, size) = frame(packet).expect("a client's packet").expect("whole");
    assert_eq!(size, packet.len());
    broker.handle(key, decode(packet, header).expect("decoded"), &mut out).expect("taken");
    broker.fill(key, &mut out);
    out.escape_ascii().to_string()
}

fn sent(broker: &mut Broker, key: Key) -> String {
    let mut out = Vec::new();
    broker.fill(key, &mut out);
    out.escape_ascii().to_string()
}

fn message(topic: &str, payload: &[u8], qos: u8, retain: bool) -> Message {
    Message { topic: topic.into(), payload: payload.into(), qos, retain }
}

#[test]
fn a_message_comes_once_at_the_highest_qos_asked_and_never_above_its_own() {
    let mut broker = Broker::default();
    let (key, _) = connect_as(&mut broker, "c", true, None);
    let suback = exchange(&mut broker, key, b"\x82\x0e\0\x01\0\x01a\x02\0\x01+\x00\0\x01b\x01");
    assert_eq!(suback, r"\x90\x05\x00\x01\x02\x00\x01");
    broker.publish(message("a", b"0", 0, false));
    broker.publish(message("a", b"1", 1, false));
    broker.publish(message("a", b"2", 2, false));
    broker.publish(message("b", b"2", 2, false));
    let expected =
        [r"0\x04\x00\x01a0", r"2\x06\x00\x01a\x00\x011", r"4\x06\x00\x01a\x00\x022", r"2\x06\x00\x01b\x00\x032"];
    assert_eq!(sent(&mut broker, key), expected.concat());
}

#[test]
fn retained_messages_come_with_the_subscription_and_an_empty_one_deletes() {
    let mut broker = Broker::default();
    broker.publish(message("a", b"x", 0, true));
    broker.publish(message("b", b"y", 0, true));
    broker.publish(message("b", b"", 0, true));
    let (key, _) = connect_as(&mut broker, "c", true, None);
    assert_eq!(exchange(&mut broker, key, b"\x82\x06\0\x01\0\x01#\x01"), r"\x90\x03\x00\x01\x011\x04\x00\x01ax");
    broker.publish(message("a", b"z", 0, true));
    assert_eq!(sent(&mut broker, key), r"0\x04\x00\x01az", "live messages are not marked as retained");
}

#[test]
fn what_was_sent_at_qos_2_twice_is_published_once() {
    let mut broker = Broker::default();
    let (key, _) = connect_as(&mut broker, "c", true, None);
    exchange(&mut broker, key, b"\x82\x06\0\x01\0\x01a\x00");
    assert_eq!(exchange(&mut broker, key, b"\x34\x06\0\x01a\0\x07x"), r"P\x02\x00\x070\x04\x00\x01ax");
    assert_eq!(exchange(&mut broker, key, b"\x3c\x06\0\x01a\0\x07x"), r"P\x02\x00\x07");
    assert_eq!(exchange(&mut broker, key, b"\x62\x02\0\x07"), r"p\x02\x00\x07");
    assert_eq!(exchange(&mut broker, key, b"\x34\x06\0\x01a\0\x07y"), r"P\x02\x00\x070\x04\x00\x01ay");
}

#[test]
fn a_kept_session_gets_what_it_missed_and_what_it_had_not_acknowledged() {
    let mut broker = Broker::default();
    let (key, present) = connect_as(&mut broker, "c", false, None);
    assert!(!present);
    exchange(&mut broker, key, b"\x82\x06\0\x01\0\x01a\x02");
    broker.publish(message("a", b"1", 1, false));
    broker.publish(message("a", b"2", 2, false));
    assert_eq!(sent(&mut broker, key), r"2\x06\x00\x01a\x00\x0114\x06\x00\x01a\x00\x022");
    assert_eq!(exchange(&mut broker, key, b"\x50\x02\0\x02"), r"b\x02\x00\x02", "PUBREC is answered with PUBREL");
    broker.end(key, false);
    broker.publish(message("a", b"0", 0, false));
    broker.publish(message("a", b"3", 1, false));
    let (key, present) = connect_as(&mut broker, "c", false, None);
    assert!(present);
    let again = r":\x06\x00\x01a\x00\x011b\x02\x00\x022\x06\x00\x01a\x00\x033";
    assert_eq!(sent(&mut broker, key), again, "DUP, PUBREL, and what came meanwhile at QoS 1");
    for ack in [&b"\x40\x02\0\x01"[..], b"\x70\x02\0\x02", b"\x40\x02\0\x03"] {
        assert_eq!(exchange(&mut broker, key, ack), "");
    }
    assert_eq!(broker.session(key).expect("it is open").held_bytes, 0);
    broker.end(key, true);
    let (_, present) = connect_as(&mut broker, "c", true, None);
    assert!(!present, "a clean session forgets");
}

#[test]
fn a_will_is_published_on_loss_and_on_take_over_but_not_after_disconnect() {
    let mut broker = Broker::default();
    let will = || Some(("w", "gone"));
    let (first, _) = connect_as(&mut broker, "c", true, will());
    broker.end(first, true);
    assert!(broker.retained("w").is_none());
    let (second, _) = connect_as(&mut broker, "c", true, will());
    let (third, _) = connect_as(&mut broker, "c", true, Some(("$SYS/x", "no")));
    assert!(!broker.is_open(second) && broker.is_open(third));
    assert_eq!(broker.retained("w").map(|will| will.payload.as_slice()), Some(&b"gone"[..]));
    broker.end(third, false);
    assert!(broker.retained("$SYS/x").is_none(), "the broker's own topics are not for clients");
}

#[test]
fn refusals_are_honest() {
    let mut broker = Broker::default();
    let (key, _) = connect_as(&mut broker, "c", true, None);
    assert_eq!(exchange(&mut broker, key, b"\x82\x0d\0\x01\0\x08$share/a\x00"), r"\x90\x03\x00\x01\x80");
    assert_eq!(exchange(&mut broker, key, b"\x82\x07\0\x01\0\x02a#\x00"), r"\x90\x03\x00\x01\x80");
    assert_eq!(exchange(&mut broker, key, b"\x32\x06\0\x02$a\0\x01"), r"@\x02\x00\x01", "taken, and published nowhere");
    assert_eq!(broker.counts.received, 0);
}

#[test]
fn what_it_holds_is_bounded_and_what_does_not_fit_is_counted() {
    let mut broker = Broker::default();
    for index in 0..DEMO_RETAINED_MAX + 10 {
        broker.publish(message(&format!("r/{index}"), b"x", 0, true));
    }
    assert_eq!((broker.sizes()[0], broker.counts.dropped), (DEMO_RETAINED_MAX, 10));
    let keys: Vec<_> = (0..DEMO_SESSIONS_MAX)
        .map(|index| {
            let (key, _) = connect_as(&mut broker, &format!("c{index}"), true, None);
            broker.listen(key, "flood");
            key
        })
        .collect();
    assert!(matches!(broker.enter(Session::new("one more", true)), Err(3)));
    for _ in 0..100 {
        broker.publish(message("flood", &[0; DEMO_PACKET_MAX_BYTES - 100], 0, false));
    }
    let held: usize = keys.iter().map(|key| broker.session(*key).map_or(0, |session| session.held_bytes)).sum();
    assert!(held <= DEMO_QUEUES_MAX_BYTES && held > DEMO_QUEUES_MAX_BYTES / 2, "{held}");
    assert!(broker.counts.dropped > 1000);
    broker.end(keys[0], true);
    let (kept, _) = connect_as(&mut broker, "kept", false, None);
    broker.end(kept, true);
    connect_as(&mut broker, "one more", true, None);
    assert!(broker.named("kept").is_none(), "a session that waits makes room");
}

#[test]
fn subscriptions_of_a_client_are_bounded() {
    let mut broker = Broker::default();
    let (key, _) = connect_as(&mut broker, "c", true, None);
    for index in 0..DEMO_SUBSCRIPTIONS_MAX + 1 {
        let code = broker.subscribe(key, &format!("s/{index}"), wire::QoS::AtMostOnce);
        assert_eq!(code == SubscribeReturnCodes::Failure, index == DEMO_SUBSCRIPTIONS_MAX, "{index}");
    }
    let long = "x".repeat(DEMO_FILTER_MAX_BYTES + 1);
    assert_eq!(broker.subscribe(key, &long, wire::QoS::AtMostOnce), SubscribeReturnCodes::Failure);
}

#[test]
fn random_clients_do_not_upset_its_books() {
    let mut state = 11u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let mut broker = Broker::default();
    let mut keys: Vec<Key> = Vec::new();
    for round in 0..30_000 {
        let (pid, qos) = ([0, random(6) as u8 + 1], random(3) as u8);
        let topic = [b"a", b"b", b"c"][random(3)];
        let key = keys.get(random(6)).copied();
        let bytes = match (random(9), key) {
            (0 | 1, _) | (_, None) => {
                let (name, clean) = (format!("c{}", random(4)), random(2) == 0);
                let (key, _) = connect_as(&mut broker, &name, clean, Some(("w", "gone")));
                keys.insert(0, key);
                keys.truncate(6);
                continue;
            }
            (2, Some(key)) => {
                broker.end(key, random(2) == 0);
                continue;
            }
            (3, _) => [&[0x82, 6][..], &pid, &[0, 1], topic, &[qos]].concat(),
            (4, _) => [&[0xa2, 5][..], &pid, &[0, 1], topic].concat(),
            (5, _) => [&[[0x40, 0x50, 0x62, 0x70][random(4)], 2][..], &pid].concat(),
            _ if qos == 0 => [&[0x30 | random(2) as u8, 4, 0, 1][..], topic, b"x"].concat(),
            _ => [&[0x30 | qos << 1 | random(2) as u8, 6, 0, 1][..], topic, &pid, b"x"].concat(),
        };
        let key = key.expect("others had none");
        let mut out = Vec::new();
        let (header, _) = frame(&bytes).expect("well-formed").expect("whole");
        let packet = decode(&bytes, header).unwrap_or_else(|why| panic!("{bytes:x?}: {why:?}"));
        broker.handle(key, packet, &mut out).expect("taken");
        if random(3) > 0 {
            broker.fill(key, &mut out);
        }
        assert!(broker.sessions.iter().all(Session::is_consistent), "round {round}");
        assert!(broker.sessions.len() <= 4);
    }
    assert!(broker.counts.received > 5000 && broker.counts.sent > 1000);
}
