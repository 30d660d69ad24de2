//! Brokers that send without end: memory stays bounded, and everybody else is served meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use super::{assert_answers, assert_usable, last_error, meet_with_keep_alive};
use crate::support::fake_broker::{FakeBroker, Peer, packet_of};
use crate::support::memory::peak_kb;
use crate::support::packets::*;
use crate::support::server::Server;
use crate::support::tools::messages;

/// What a debug build may grow by, however much comes: 2 MiB of acknowledgements may wait to be written, and a call holds
/// as much of what it was sent.
const GROWTH_MAX_KB: u64 = 4096;

/// Answers what has come so far; gives the number of PINGREQs.
fn answer_pings(peer: &mut Peer) -> usize {
    let mut pings = 0;
    while peer.has_input() {
        let packet = peer.next().expect("the connection stands");
        assert_eq!(packet.kind(), PINGREQ);
        peer.send(&packet_of(PINGRESP));
        pings += 1;
    }
    pings
}

/// Numbered messages in one piece of bytes.
fn burst(numbers: std::ops::Range<usize>, message: impl Fn(usize) -> Vec<u8>) -> Vec<u8> {
    numbers.flat_map(message).collect()
}

fn assert_grown_little(server: &Server, before_kb: u64) {
    let grown_kb = peak_kb(server.pid()) - before_kb;
    assert!(grown_kb < GROWTH_MAX_KB, "{grown_kb} kB");
}

/// A session with a call that takes what matches `#` until the message "over" has come.
fn start_listening(server: &mut Server, peer: &mut Peer, session: &str) -> Value {
    let arguments = json!({"topic_pattern": "#", "max_messages": 1_000_000, "duration_seconds": 300, "until": "over"});
    server.collect_from(peer, session, arguments)
}

/// Sends at least `least` small messages, and on until its keep-alive was seen and answered, and others were served
/// meanwhile; gives their number.
fn flood(mut peer: Peer, least: usize, running: &AtomicBool, served: &AtomicBool) -> (Peer, usize) {
    // What waits for others to be served fails where it is waited for.
    const MOST: usize = 900_000;
    let (mut sent, mut pings) = (0, 0);
    let piece = burst(0..1000, |n| publish(&format!("f/{}", n % 50), b"0123456789", 0, 0, false));
    while sent < least || pings == 0 || (sent < MOST && !served.load(Ordering::Relaxed)) {
        peer.send(&piece);
        sent += 1000;
        pings += answer_pings(&mut peer);
    }
    running.store(false, Ordering::Relaxed);
    (peer, sent)
}

#[test]
fn a_flood_leaves_memory_bounded_and_everybody_else_served() {
    let (mut server, broker, other) = (Server::start(), FakeBroker::new(), FakeBroker::new());
    let (witness, mut witnessed) = server.meet(&other);
    let (session, mut peer) = meet_with_keep_alive(&mut server, &broker, 1);
    let id = start_listening(&mut server, &mut peer, &session);
    let before_kb = peak_kb(server.pid());
    let (running, served) = (AtomicBool::new(true), AtomicBool::new(false));
    let (mut peer, sent) = std::thread::scope(|scope| {
        let flooding = scope.spawn(|| flood(peer, 200_000, &running, &served));
        let mut rounds = 0;
        while running.load(Ordering::Relaxed) {
            assert_answers(&mut server);
            assert_usable(&mut server, &witness, &mut witnessed);
            served.store(true, Ordering::Relaxed);
            rounds += 1;
        }
        assert!(rounds > 0, "the flood was over too soon");
        flooding.join().expect("the flood")
    });
    peer.send(&publish("f/last", b"over", 0, 0, false));
    let collected = server.outcome(&id);
    assert_eq!((&collected["original_message_count"], &collected["stopped_by"]), (&json!(sent + 1), &json!("until")));
    assert_eq!(server.row(&session)["reconnects"], 0);
    assert_grown_little(&server, before_kb);
}

#[test]
fn a_broker_that_does_not_read_its_acknowledgements_is_no_longer_read_itself() {
    const ENOUGH: usize = 64 << 20;
    let (mut server, broker, other) = (Server::start(), FakeBroker::new(), FakeBroker::new());
    let (witness, mut witnessed) = server.meet(&other);
    let (session, mut peer) = server.meet(&broker);
    let before_kb = peak_kb(server.pid());
    let piece = burst(0..10_000, |_| publish("q", b"", 1, 7, false));
    let mut sent = 0;
    loop {
        let count = peer.send_until_blocked(&piece);
        sent += count;
        assert_answers(&mut server);
        assert!(sent < ENOUGH, "{sent} bytes were read, and acknowledged in vain");
        if count < piece.len() {
            break;
        }
    }
    assert_usable(&mut server, &witness, &mut witnessed);
    assert_eq!(server.row(&session)["state"], "connected");
    assert_grown_little(&server, before_kb);
    // What was sent whole is acknowledged when the broker reads again.
    for _ in 0..sent / publish("q", b"", 1, 7, false).len() {
        assert_eq!(peer.expect(PUBACK).pid(), 7);
    }
}

#[test]
fn endless_topics_are_counted_and_cost_bounded_memory() {
    const COUNT: usize = 30_000;
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let (session, mut peer) = server.meet(&broker);
    let id = server.start_call("list_topics", json!({"session_id": session, "duration_seconds": 3, "limit": 10}));
    peer.grant();
    let before_kb = peak_kb(server.pid());
    for from in (0..COUNT).step_by(1000) {
        // 40 bytes each: more than are tracked, in number and in bytes.
        peer.send(&burst(from..from + 1000, |n| publish(&format!("endless/{n:032}"), b"x", 0, 0, false)));
        answer_pings(&mut peer);
    }
    let listed = server.outcome(&id);
    assert_eq!(listed["message_count"], COUNT, "{listed}");
    let count = listed["topic_count"].as_u64().expect("a count");
    assert!((10_000..=COUNT as u64).contains(&count), "{listed}");
    assert_grown_little(&server, before_kb);
}

#[test]
fn endless_retained_messages_are_counted_and_cost_bounded_memory() {
    const COUNT: usize = 60_000;
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let (session, mut peer) = server.meet(&broker);
    let id = start_listening(&mut server, &mut peer, &session);
    let before_kb = peak_kb(server.pid());
    for from in (0..COUNT).step_by(1000) {
        peer.send(&burst(from..from + 1000, |n| publish(&format!("r/{n}"), n.to_string().as_bytes(), 0, 0, true)));
        answer_pings(&mut peer);
    }
    peer.send(&publish("r/last", b"over", 0, 0, false));
    let collected = server.outcome(&id);
    assert_eq!(collected["original_message_count"], COUNT + 1);
    assert!(messages(&collected).len() <= 50);
    assert_grown_little(&server, before_kb);
}

#[test]
fn a_broker_that_never_stops_sending_what_it_retains_does_not_outlast_the_calls_time() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let (session, mut peer) = server.meet(&broker);
    let arguments = json!({"topic_pattern": "#", "retained": "only", "duration_seconds": 1, "max_messages": 1_000_000});
    let id = server.collect_from(&mut peer, &session, arguments);
    let mut sent = 0;
    // The call's end is the only thing that stops it.
    let unsubscribed = loop {
        peer.send(&publish(&format!("r/{sent}"), b"x", 0, 0, true));
        sent += 1;
        if peer.has_input() {
            let packet = peer.next().expect("the connection stands");
            if packet.kind() == UNSUBSCRIBE {
                break packet;
            }
            peer.send(&packet_of(PINGRESP));
        }
    };
    assert_eq!(unsubscribed.filter(), "#");
    assert_eq!(server.outcome(&id)["stopped_by"], "duration");
    assert_eq!(server.row(&session)["reconnects"], 0);
}

#[test]
fn a_broker_that_leaves_too_many_qos_2_messages_unreleased_is_cut_off() {
    const ACCEPTED: u16 = 1024;
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let (session, mut peer) = server.meet(&broker);
    let id = start_listening(&mut server, &mut peer, &session);
    peer.expect(PINGREQ);
    let all: Vec<_> = (1..=2000).flat_map(|pid| publish("q", &pid.to_string().into_bytes(), 2, pid, false)).collect();
    peer.send(&all);
    let row = server.wait_for_state(&session, "reconnecting");
    assert!(last_error(&row).contains("QoS 2"), "{row}");
    assert_eq!(row["messages_in"], ACCEPTED + 1, "{row}");
    let mut peer = broker.welcome();
    peer.grant();
    assert_usable(&mut server, &session, &mut peer);
    peer.send(&publish("q", b"over", 2, 1, false));
    let collected = server.outcome(&id);
    assert_eq!(collected["original_message_count"], ACCEPTED + 1, "those before it and the last one");
}

#[test]
fn qos_2_messages_that_are_released_may_be_any_number() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let (session, mut peer) = server.meet(&broker);
    let id = start_listening(&mut server, &mut peer, &session);
    peer.expect(PINGREQ);
    peer.send(&packet_of(PINGRESP));
    for pid in 1..=2000 {
        peer.send(&publish("q", b"x", 2, pid, false));
        peer.send(&ack(PUBREL, pid));
    }
    for pid in 1..=2000 {
        assert_eq!(peer.expect(PUBREC).pid(), pid);
        assert_eq!(peer.expect(PUBCOMP).pid(), pid);
    }
    peer.send(&publish("q", b"over", 0, 0, false));
    assert_eq!(server.outcome(&id)["original_message_count"], 2001);
}
