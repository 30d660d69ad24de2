//! What calls and sessions carry over lost connections.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{assert_usable, meet_with, start_publish};
use crate::support::client::Client;
use crate::support::fake_broker::{FakeBroker, Peer};
use crate::support::mosquitto::Mosquitto;
use crate::support::packets::*;
use crate::support::server::Server;
use crate::support::tools::payloads;

#[test]
fn calls_that_begin_while_the_broker_is_away_succeed_when_it_is_back() {
    let (mut broker, mut server) = (Mosquitto::start(), Server::start());
    let session = server.connect(&broker.url());
    broker.kill();
    server.wait_for_state(&session, "reconnecting");
    let arguments = json!({"session_id": session, "topic_pattern": "w/#", "qos": 1, "max_messages": 3});
    let collecting = server.start_call("subscribe_and_collect", arguments);
    let publishing: Vec<_> =
        (0..3).map(|qos| start_publish(&mut server, &session, "w/x", &qos.to_string(), qos)).collect();
    // They wait: nothing has been answered when this is.
    assert_eq!(server.row(&session)["state"], "reconnecting");
    assert!(server.take_kept().is_empty());
    broker.restart();
    for (id, delivery) in publishing.iter().zip(["sent", "acknowledged", "completed"]) {
        let published = server.outcome(id);
        assert_eq!((&published["delivery"], published.get("sent_again")), (&json!(delivery), None));
    }
    let collected = server.outcome(&collecting);
    assert_eq!(payloads(&collected), [json!(0), json!(1), json!(2)], "subscribed before anything was published");
}

/// What must be the same on every look at a session.
fn identity(row: &Value) -> Vec<Value> {
    ["session_id", "created_at", "client_id", "broker", "port"].map(|name| row[name].clone()).into()
}

#[test]
fn several_losses_in_a_row_are_counted_and_a_session_stays_the_same() {
    const LOSSES: usize = 3;
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let (session, mut peer) = server.meet(&broker);
    let first = server.row(&session);
    let arguments = json!({"topic_pattern": "c", "max_messages": LOSSES + 1, "duration_seconds": 60});
    let id = server.collect_from(&mut peer, &session, arguments);
    let (mut bytes_in, mut bytes_out) = (0, 0);
    let started = Instant::now();
    for n in 0..=LOSSES {
        peer.send(&publish("c", n.to_string().as_bytes(), 0, 0, false));
        let expected = server.row(&session)["bytes_in"].as_u64().expect("a count").max(bytes_in + 6);
        server.wait_for_bytes_in(&session, expected);
        if n == LOSSES {
            break;
        }
        drop(peer);
        peer = broker.welcome();
        assert_eq!(peer.grant(), "c", "subscribed again");
        let row = server.wait_for_state(&session, "connected");
        assert_eq!((identity(&row), &row["reconnects"]), (identity(&first), &json!(n + 1)));
        assert_eq!(row["messages_in"], n + 1, "counters go on");
        let counts = [&row["bytes_in"], &row["bytes_out"]].map(|count| count.as_u64().expect("a count"));
        assert!(counts[0] > bytes_in && counts[1] > bytes_out, "{row}");
        [bytes_in, bytes_out] = counts;
    }
    // At least half of one, two and four seconds: a broker that keeps hanging up is asked less and less often.
    assert!(started.elapsed() >= Duration::from_millis(3500), "{:?}", started.elapsed());
    let collected = server.outcome(&id);
    assert_eq!(payloads(&collected), (0..=LOSSES).map(|n| json!(n)).collect::<Vec<_>>());
    let gaps = collected["interruptions"].as_array().expect("a list");
    assert_eq!(gaps.len(), LOSSES, "{gaps:?}");
    assert!(gaps.iter().all(|gap| gap["from"].as_str() < gap["to"].as_str()), "{gaps:?}");
    assert!(gaps.windows(2).all(|pair| pair[0]["to"].as_str() < pair[1]["from"].as_str()), "{gaps:?}");
}

#[test]
fn two_publishers_keep_their_own_order_over_a_reconnect() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let (session, mut peer) = server.meet(&broker);
    let mut calls = Vec::new();
    let publish_both = |server: &mut Server, numbers: std::ops::Range<usize>, calls: &mut Vec<Value>| {
        for n in numbers {
            calls.push(start_publish(server, &session, "one", &n.to_string(), 1));
            calls.push(start_publish(server, &session, "two", &n.to_string(), (n % 2) as u8));
        }
    };
    publish_both(&mut server, 0..4, &mut calls);
    // The last of them has come; none is acknowledged.
    while peer.expect(PUBLISH).payload() != b"3" {}
    drop(peer);
    server.wait_for_state(&session, "reconnecting");
    publish_both(&mut server, 4..10, &mut calls);
    let mut peer = broker.welcome();
    let mut heard = [const { Vec::new() }; 2];
    while heard.iter().any(|heard| heard.last() != Some(&9)) {
        let publish = peer.expect(PUBLISH);
        let number: usize = String::from_utf8_lossy(publish.payload()).parse().expect("a number");
        heard[usize::from(publish.topic() == "two")].push(number);
        if publish.qos() == 1 {
            peer.send(&ack(PUBACK, publish.pid()));
        }
    }
    assert!(heard[0].iter().copied().eq(0..10), "{heard:?}");
    // At QoS 0 what was sent before the loss is not sent again.
    assert_eq!(heard[1], [1, 3, 4, 5, 6, 7, 8, 9]);
    calls.iter().for_each(|id| drop(server.outcome(id)));
}

#[test]
fn a_session_closed_while_a_reconnect_waits_for_connack_leaves_at_once() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let (session, peer) = server.meet(&broker);
    drop(peer);
    let mut peer = broker.accept();
    peer.expect(CONNECT);
    let waiting = start_publish(&mut server, &session, "t", "x", 1);
    let started = Instant::now();
    assert_eq!(server.call("close_connection", json!({"session_id": session}))["status"], "closed");
    assert!(started.elapsed() < Duration::from_secs(1), "not the reconnect's own deadline");
    let error = server.failure(&waiting);
    assert_eq!((&error["code"], &error["delivery"]), (&json!("connection_lost"), &json!("not_sent")));
    assert!(peer.read_to_end().is_empty(), "nothing is said to a broker that has not accepted");
    assert_eq!(server.fail("close_connection", json!({"session_id": session}))["code"], "unknown_session");
}

#[test]
fn a_collection_whose_time_ends_while_the_connection_is_away_gives_what_it_has() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let (session, mut peer) = server.meet(&broker);
    let arguments = json!({"topic_pattern": "c", "duration_seconds": 1});
    let id = server.collect_from(&mut peer, &session, arguments);
    let before = server.bytes_in(&session);
    peer.send(&publish("c", b"before", 0, 0, false));
    server.wait_for_bytes_in(&session, before + 1);
    drop(peer);
    // The reconnect finds nobody who answers.
    let collected = server.outcome(&id);
    assert_eq!((payloads(&collected), &collected["stopped_by"]), (vec![json!("before")], &json!("duration")));
    let gap = &collected["interruptions"][0];
    assert!(gap["from"].is_string() && gap.get("to").is_none(), "{gap}");
}

#[test]
fn a_collection_that_ended_while_the_connection_was_away_is_not_subscribed_again() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let (session, mut peer) = server.meet(&broker);
    let ending = server.collect_from(&mut peer, &session, json!({"topic_pattern": "ends", "duration_seconds": 300}));
    let going = server.collect_from(&mut peer, &session, json!({"topic_pattern": "goes on", "max_messages": 1}));
    drop(peer);
    server.wait_for_state(&session, "reconnecting");
    server.notify("notifications/cancelled", json!({"requestId": ending}));
    let mut peer = broker.welcome();
    assert_eq!(peer.grant(), "goes on");
    peer.send(&publish("goes on", b"x", 0, 0, false));
    assert_eq!(payloads(&server.outcome(&going)), ["x"]);
    assert_eq!(peer.expect(UNSUBSCRIBE).filter(), "goes on");
    assert_usable(&mut server, &session, &mut peer);
}

#[test]
fn a_kept_session_of_mosquitto_is_used_again_and_completes_what_was_open() {
    let (broker, mut server) = (Mosquitto::start(), Server::start());
    let arguments = json!({"connection_string": broker.url(), "clean_session": false, "client_id": "keeper"});
    let session = server.call("establish_connection", arguments)["session_id"].as_str().expect("an id").to_owned();
    let id =
        server.listen(&session, "subscribe_and_collect", json!({"topic_pattern": "k", "qos": 2, "max_messages": 2}));
    let mut client = Client::connect(broker.port());
    client.publish_at(2, "k", "before");
    // Another client of the same id makes the broker hang up.
    let mut thief = std::net::TcpStream::connect(("127.0.0.1", broker.port())).expect("a connection");
    let mut connect = connect("keeper", None);
    // Clean session off, or the broker would forget.
    connect[9] = 0;
    std::io::Write::write_all(&mut thief, &connect).expect("taken");
    server.wait_for_state(&session, "reconnecting");
    client.publish_at(2, "k", "meanwhile");
    let collected = server.outcome(&id);
    assert_eq!(payloads(&collected), ["before", "meanwhile"]);
}

/// A session that the broker keeps, with a call that collects `f` for long.
fn collect_in_a_kept_session(server: &mut Server, broker: &FakeBroker) -> (String, Peer, Value) {
    let (opened, mut peer) = meet_with(server, broker, json!({"clean_session": false, "client_id": "kept"}));
    let session = opened["session_id"].as_str().expect("a session id").to_owned();
    let id = server.collect_from(&mut peer, &session, json!({"topic_pattern": "f", "duration_seconds": 300}));
    (session, peer, id)
}

#[test]
fn a_call_that_ended_while_the_connection_was_away_is_unsubscribed_from_a_kept_session() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let (session, peer, id) = collect_in_a_kept_session(&mut server, &broker);
    drop(peer);
    server.wait_for_state(&session, "reconnecting");
    server.notify("notifications/cancelled", json!({"requestId": id}));
    // The broker has kept the subscription with the session: without a word it would send for ever.
    let mut peer = broker.welcome_with(connack(true, 0));
    assert_eq!(peer.expect(UNSUBSCRIBE).filter(), "f");
}

#[test]
fn an_unsubscribe_that_was_lost_with_the_connection_is_sent_again_to_a_kept_session() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let (_session, mut peer, id) = collect_in_a_kept_session(&mut server, &broker);
    server.notify("notifications/cancelled", json!({"requestId": id}));
    assert_eq!(peer.expect(UNSUBSCRIBE).filter(), "f");
    drop(peer);
    let mut peer = broker.welcome_with(connack(true, 0));
    assert_eq!(peer.expect(UNSUBSCRIBE).filter(), "f");
}

#[test]
fn a_retained_message_that_comes_again_with_a_new_subscription_is_seen_once() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let (session, mut peer) = server.meet(&broker);
    let arguments = json!({"topic_pattern": "r/+", "max_messages": 3, "duration_seconds": 60});
    let id = server.collect_from(&mut peer, &session, arguments);
    let before = server.bytes_in(&session);
    let first = publish("r/1", b"first", 0, 0, true);
    peer.send(&first);
    server.wait_for_bytes_in(&session, before + first.len() as u64);
    drop(peer);
    let mut peer = broker.welcome();
    peer.grant();
    peer.send(&[first, publish("r/2", b"second", 0, 0, true), publish("r/1", b"live", 0, 0, false)].concat());
    assert_eq!(payloads(&server.outcome(&id)), ["first", "second", "live"]);
}
