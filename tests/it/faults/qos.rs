//! What the three qualities of service promise, over lost connections, both ways.

use serde_json::{Value, json};

use super::{again, assert_usable, meet_with, start_publish};
use crate::support::fake_broker::{FakeBroker, Peer};
use crate::support::packets::*;
use crate::support::server::Server;
use crate::support::tools::payloads;

/// As many publishes wait for their acknowledgement at once.
const IN_FLIGHT: usize = 16;

fn setup() -> (Server, FakeBroker, String, Peer) {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let (session, peer) = server.meet(&broker);
    (server, broker, session, peer)
}

/// Starts to publish 0, 1, 2 …, each at the QoS that its number picks.
fn start_numbers(server: &mut Server, session: &str, count: usize, qos: impl Fn(usize) -> u8) -> Vec<Value> {
    (0..count).map(|n| start_publish(server, session, "n", &n.to_string(), qos(n))).collect()
}

fn number(publish: &Packet) -> usize {
    String::from_utf8_lossy(publish.payload()).parse().expect("a number")
}

fn delivery(error: &Value) -> (&str, &str, bool) {
    let text = |name: &str| error[name].as_str().expect("a text");
    (text("code"), text("delivery"), error["retryable"] == true)
}

#[test]
fn an_inbound_qos_2_message_that_is_sent_again_with_dup_is_given_out_once() {
    let (mut server, _broker, session, mut peer) = setup();
    let arguments = json!({"topic_pattern": "i", "qos": 2, "max_messages": 2, "duration_seconds": 60});
    let id = server.collect_from(&mut peer, &session, arguments);
    let first = publish("i", b"first", 2, 5, false);
    for packet in [first.clone(), again(first.clone()), again(first)] {
        peer.send(&packet);
        assert_eq!(peer.expect(PUBREC).pid(), 5);
    }
    for _ in 0..2 {
        peer.send(&ack(PUBREL, 5));
        assert_eq!(peer.expect(PUBCOMP).pid(), 5, "also when it is released already");
    }
    peer.send(&again(publish("i", b"second", 2, 5, false)));
    assert_eq!(payloads(&server.outcome(&id)), ["first", "second"], "released, DUP or not, it is another message");
}

#[test]
fn an_inbound_qos_2_message_that_comes_again_over_a_reconnect_is_given_out_once() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let (opened, mut peer) = meet_with(&mut server, &broker, json!({"clean_session": false, "client_id": "kept"}));
    let session = opened["session_id"].as_str().expect("a session id");
    let arguments = json!({"topic_pattern": "i", "qos": 2, "max_messages": 2, "duration_seconds": 60});
    let id = server.collect_from(&mut peer, session, arguments);
    peer.send(&publish("i", b"first", 2, 5, false));
    peer.expect(PUBREC);
    drop(peer);
    let mut peer = broker.welcome_with(connack(true, 0));
    peer.grant();
    peer.send(&again(publish("i", b"first", 2, 5, false)));
    assert_eq!(peer.expect(PUBREC).pid(), 5);
    peer.send(&ack(PUBREL, 5));
    assert_eq!(peer.expect(PUBCOMP).pid(), 5);
    peer.send(&publish("i", b"second", 2, 5, false));
    assert_eq!(payloads(&server.outcome(&id)), ["first", "second"]);
}

#[test]
fn in_a_new_session_of_the_broker_an_inbound_id_is_another_message() {
    let (mut server, broker, session, mut peer) = setup();
    let arguments = json!({"topic_pattern": "i", "qos": 2, "max_messages": 2, "duration_seconds": 60});
    let id = server.collect_from(&mut peer, &session, arguments);
    peer.send(&publish("i", b"first", 2, 5, false));
    peer.expect(PUBREC);
    drop(peer);
    let mut peer = broker.welcome();
    peer.grant();
    peer.send(&publish("i", b"second", 2, 5, false));
    assert_eq!(payloads(&server.outcome(&id)), ["first", "second"]);
}

#[test]
fn a_pubrel_that_nothing_waits_for_is_answered() {
    let (mut server, _broker, session, mut peer) = setup();
    for pid in [1, 77, u16::MAX] {
        peer.send(&ack(PUBREL, pid));
        assert_eq!(peer.expect(PUBCOMP).pid(), pid);
    }
    assert_usable(&mut server, &session, &mut peer);
}

#[test]
fn qos_2_cut_before_pubrec_is_sent_again_with_dup_in_a_kept_session() {
    let (mut server, broker, session, mut peer) = setup();
    let id = start_publish(&mut server, &session, "t", "x", 2);
    let first = peer.expect(PUBLISH);
    drop(peer);
    let mut peer = broker.welcome_with(connack(true, 0));
    let second = peer.expect(PUBLISH);
    assert_eq!((second.pid(), second.dup(), second.qos(), second.payload()), (first.pid(), true, 2, &b"x"[..]));
    peer.send(&ack(PUBREC, second.pid()));
    assert_eq!(peer.expect(PUBREL).pid(), first.pid());
    peer.send(&ack(PUBCOMP, second.pid()));
    let published = server.outcome(&id);
    assert_eq!((&published["delivery"], &published["sent_again"]), (&json!("completed"), &json!(true)));
}

#[test]
fn qos_2_cut_before_pubcomp_in_a_lost_session_is_unknown() {
    let (mut server, broker, session, mut peer) = setup();
    let id = start_publish(&mut server, &session, "t", "x", 2);
    let pid = peer.expect(PUBLISH).pid();
    peer.send(&ack(PUBREC, pid));
    peer.expect(PUBREL);
    drop(peer);
    let mut peer = broker.welcome();
    assert_eq!(delivery(&server.failure(&id)), ("connection_lost", "unknown", false));
    // Neither the message nor its PUBREL: the next packet is the next message.
    assert_usable(&mut server, &session, &mut peer);
}

#[test]
fn a_pubrec_that_comes_twice_is_answered_twice() {
    let (mut server, _broker, session, mut peer) = setup();
    let id = start_publish(&mut server, &session, "t", "x", 2);
    let pid = peer.expect(PUBLISH).pid();
    for _ in 0..2 {
        peer.send(&ack(PUBREC, pid));
        assert_eq!(peer.expect(PUBREL).pid(), pid);
    }
    peer.send(&ack(PUBCOMP, pid));
    assert_eq!(server.outcome(&id)["delivery"], "completed");
}

#[test]
fn acknowledgements_of_the_wrong_kind_end_nothing() {
    let (mut server, _broker, session, mut peer) = setup();
    let one = start_publish(&mut server, &session, "t", "x", 1);
    let one_pid = peer.expect(PUBLISH).pid();
    let two = start_publish(&mut server, &session, "t", "x", 2);
    let two_pid = peer.expect(PUBLISH).pid();
    peer.send(&ack(PUBCOMP, one_pid));
    peer.send(&ack(PUBACK, two_pid));
    peer.send(&suback(one_pid, 0));
    peer.send(&ack(PUBREC, two_pid));
    assert_eq!(peer.expect(PUBREL).pid(), two_pid);
    peer.send(&ack(PUBCOMP, two_pid));
    assert_eq!(server.outcome(&two)["delivery"], "completed");
    peer.send(&ack(PUBACK, one_pid));
    assert_eq!(server.outcome(&one)["delivery"], "acknowledged");
}

#[test]
fn at_most_16_wait_for_acknowledgement_and_the_rest_follows_in_order() {
    let (mut server, _broker, session, mut peer) = setup();
    let calls = start_numbers(&mut server, &session, IN_FLIGHT + 6, |n| 1 + (n % 2) as u8);
    let first: Vec<_> = (0..IN_FLIGHT).map(|_| peer.expect(PUBLISH)).collect();
    assert!(first.iter().map(number).eq(0..IN_FLIGHT));
    // All calls were read before this one is answered.
    assert_eq!(server.row(&session)["messages_out"], IN_FLIGHT);
    assert!(!peer.has_input());
    let mut open: std::collections::VecDeque<_> = first.into();
    let mut next = IN_FLIGHT;
    while let Some(publish) = open.pop_back() {
        if publish.qos() == 1 {
            peer.send(&ack(PUBACK, publish.pid()));
        } else {
            peer.send(&ack(PUBREC, publish.pid()));
            peer.expect(PUBREL);
            peer.send(&ack(PUBCOMP, publish.pid()));
        }
        if next < calls.len() {
            let publish = peer.expect(PUBLISH);
            assert_eq!(number(&publish), next);
            open.push_front(publish);
            next += 1;
        }
    }
    calls.iter().for_each(|id| drop(server.outcome(id)));
}

#[test]
fn order_is_kept_between_qos_0_and_1_also_when_the_broker_is_slow_to_acknowledge() {
    let (mut server, _broker, session, mut peer) = setup();
    let count = 30;
    let calls = start_numbers(&mut server, &session, count, |n| u8::from(n % 3 < 2));
    // The first 16 of QoS 1, with the QoS 0 between them, are all that comes without acknowledgement.
    let ahead = IN_FLIGHT + IN_FLIGHT / 2;
    assert_eq!(server.row(&session)["messages_out"], ahead);
    for n in 0..count {
        let publish = peer.expect(PUBLISH);
        assert_eq!((number(&publish), publish.qos()), (n, u8::from(n % 3 < 2)));
        if publish.qos() == 1 {
            peer.send(&ack(PUBACK, publish.pid()));
        }
    }
    calls.iter().for_each(|id| drop(server.outcome(id)));
}

#[test]
fn what_was_in_flight_is_sent_again_in_its_order_and_before_what_waited() {
    let (mut server, broker, session, mut peer) = setup();
    let calls = start_numbers(&mut server, &session, IN_FLIGHT + 4, |_| 1);
    let pids: Vec<_> = (0..IN_FLIGHT).map(|_| peer.expect(PUBLISH).pid()).collect();
    peer.send(&ack(PUBACK, pids[1]));
    assert_eq!(number(&peer.expect(PUBLISH)), IN_FLIGHT);
    server.outcome(&calls[1]);
    drop(peer);
    let mut peer = broker.welcome_with(connack(true, 0));
    for n in (0..calls.len()).filter(|n| *n != 1) {
        let publish = peer.expect(PUBLISH);
        assert_eq!((number(&publish), publish.dup()), (n, n <= IN_FLIGHT));
        peer.send(&ack(PUBACK, publish.pid()));
    }
    for id in [&calls[..1], &calls[2..]].concat() {
        assert_eq!(server.outcome(&id)["delivery"], "acknowledged");
    }
}

#[test]
fn a_cancelled_publish_that_waits_for_the_connection_is_never_sent() {
    let (mut server, broker, session, peer) = setup();
    drop(peer);
    server.wait_for_state(&session, "reconnecting");
    let calls = start_numbers(&mut server, &session, 6, |n| (n % 3) as u8);
    for id in [&calls[0], &calls[1], &calls[2]] {
        server.notify("notifications/cancelled", json!({"requestId": id}));
    }
    let mut peer = broker.welcome();
    for n in 3..6 {
        let publish = peer.expect(PUBLISH);
        assert_eq!((number(&publish), publish.dup()), (n, false));
    }
    assert_eq!(server.row(&session)["messages_out"], 3);
    assert!(!peer.has_input());
}

#[test]
fn a_cancelled_publish_in_flight_is_not_sent_again_to_a_broker_that_forgot_it() {
    let (mut server, broker, session, mut peer) = setup();
    let id = start_publish(&mut server, &session, "t", "x", 1);
    peer.expect(PUBLISH);
    server.notify("notifications/cancelled", json!({"requestId": id}));
    assert_eq!(server.row(&session)["state"], "connected");
    drop(peer);
    assert_usable(&mut server, &session, &mut broker.welcome());
}

#[test]
fn a_publish_behind_others_that_are_not_acknowledged_was_not_sent_and_never_will_be() {
    let (mut server, _broker, session, mut peer) = setup();
    let calls = start_numbers(&mut server, &session, IN_FLIGHT, |_| 1);
    let arguments = json!({"session_id": session, "topic": "late", "payload": "x", "qos": 1, "timeout_seconds": 1});
    let error = server.fail("publish_message", arguments);
    assert_eq!(delivery(&error), ("publish_timeout", "not_sent", true));
    for id in &calls {
        let pid = peer.expect(PUBLISH).pid();
        peer.send(&ack(PUBACK, pid));
        server.outcome(id);
    }
    assert_usable(&mut server, &session, &mut peer);
}

#[test]
fn a_publish_in_flight_when_its_session_is_closed_is_unknown_and_one_that_waits_was_not_sent() {
    let (mut server, _broker, session, mut peer) = setup();
    let calls = start_numbers(&mut server, &session, IN_FLIGHT + 1, |_| 1);
    peer.expect(PUBLISH);
    server.call("close_connection", json!({"session_id": session}));
    assert_eq!(delivery(&server.failure(&calls[0])), ("connection_lost", "unknown", false));
    assert_eq!(delivery(&server.failure(&calls[IN_FLIGHT])), ("connection_lost", "not_sent", true));
}
