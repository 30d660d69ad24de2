//! Connections that are lost: sessions come back by themselves, and what was missed is told.

use serde_json::json;

use crate::support::client::Client;
use crate::support::fake_broker::FakeBroker;
use crate::support::mosquitto::Mosquitto;
use crate::support::packets::*;
use crate::support::server::Server;
use crate::support::tools::{CONNACK_BYTES, SUBACK_BYTES, payloads};

#[test]
fn a_collection_goes_on_over_a_restart_of_the_broker_and_names_the_gap() {
    let (mut broker, mut server) = (Mosquitto::start(), Server::start());
    let session = server.connect(&broker.url());
    let arguments = json!({"topic_pattern": "g/#", "max_messages": 2, "duration_seconds": 60});
    let id = server.listen(&session, "subscribe_and_collect", arguments);
    Client::connect(broker.port()).publish("g/x", "before");
    broker.kill();
    let row = server.wait_for_state(&session, "reconnecting");
    assert!(row["last_error"].is_string(), "{row}");
    broker.restart();
    let back = row["bytes_in"].as_u64().expect("a count") + CONNACK_BYTES + SUBACK_BYTES;
    server.wait_for_bytes_in(&session, back);
    let row = server.row(&session);
    assert_eq!((&row["state"], &row["reconnects"]), (&json!("connected"), &json!(1)));
    Client::connect(broker.port()).publish("g/x", "after");
    let collected = server.outcome(&id);
    assert_eq!(
        (payloads(&collected), &collected["stopped_by"]),
        (vec![json!("before"), json!("after")], &json!("max_messages"))
    );
    let interruptions = collected["interruptions"].as_array().expect("a list");
    assert_eq!(interruptions.len(), 1);
    let (from, to) = (interruptions[0]["from"].as_str(), interruptions[0]["to"].as_str());
    assert!(from.is_some() && to.is_some() && from < to, "{interruptions:?}");
    let publish = json!({"session_id": session, "topic": "t", "payload": "x", "qos": 1});
    assert_eq!(server.call("publish_message", publish)["delivery"], "acknowledged");
}

#[test]
fn a_call_on_a_lost_connection_waits_for_it() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let (session, peer) = server.meet(&broker);
    drop(peer);
    server.wait_for_state(&session, "reconnecting");
    let arguments = json!({"session_id": session, "topic_pattern": "w", "max_messages": 1});
    let id = server.start_call("subscribe_and_collect", arguments);
    let mut peer = broker.welcome();
    assert_eq!(peer.grant(), "w");
    peer.send(&publish("w", b"now", 0, 0, false));
    let collected = server.outcome(&id);
    assert_eq!(payloads(&collected), ["now"]);
    let gap = &collected["interruptions"][0];
    assert!(gap["from"].as_str() < gap["to"].as_str(), "what came before the call heard anything is told: {collected}");
}

#[test]
fn refused_credentials_stop_the_retries_and_end_running_calls() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let (session, mut peer) = server.meet(&broker);
    let id = server.collect_from(&mut peer, &session, json!({"topic_pattern": "x", "duration_seconds": 300}));
    drop(peer);
    broker.welcome_with(connack(false, 5)).expect_end();
    assert_eq!(server.failure(&id)["code"], "connection_lost");
    let row = server.wait_for_state(&session, "failed");
    assert!(row["last_error"].as_str().expect("a reason").contains("CONNACK 5"), "{row}");
    server.call("close_connection", json!({"session_id": session}));
}

#[test]
fn a_malformed_packet_ends_the_connection_and_the_session_comes_back() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    // A session each: the second loss of one would be followed by a longer wait.
    for malformed in [
        &b"\x40\x00"[..],
        b"\x20\x02\x00\x00",
        b"\x32\x02\x00\x00",
        b"\x30\x05\x00\x09abc",
        b"\x30\x04\x00\x02a+",
        b"\x36\x05\x00\x01t\x00\x01",
        b"\xf0\x00",
    ] {
        let (session, mut peer) = server.meet(&broker);
        peer.send(malformed);
        let row = server.wait_for_state(&session, "reconnecting");
        assert!(row["last_error"].as_str().expect("a reason").contains("sent"), "{malformed:?}: {row}");
        peer.expect_end();
        let _peer = broker.welcome();
        assert_eq!(server.wait_for_state(&session, "connected")["reconnects"], 1);
        server.call("close_connection", json!({"session_id": session}));
    }
}

#[test]
fn closing_while_the_connection_is_away_works_at_once() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let (session, peer) = server.meet(&broker);
    drop(peer);
    server.wait_for_state(&session, "reconnecting");
    assert_eq!(server.call("close_connection", json!({"session_id": session}))["status"], "closed");
    assert_eq!(server.call("list_active_connections", json!({}))["total_count"], 0);
    assert!(broker.nobody_calls(), "a closed session connects no more");
}

#[test]
fn inbound_messages_are_acknowledged_and_qos_2_is_delivered_once() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let (session, mut peer) = server.meet(&broker);
    let arguments = json!({"topic_pattern": "i", "qos": 2, "max_messages": 3, "duration_seconds": 60});
    let id = server.collect_from(&mut peer, &session, arguments);
    peer.send(&publish("i", b"one", 1, 7, false));
    assert_eq!(peer.expect(PUBACK).pid(), 7);
    for _ in 0..2 {
        peer.send(&publish("i", b"two", 2, 9, false));
        assert_eq!(peer.expect(PUBREC).pid(), 9);
    }
    peer.send(&ack(PUBREL, 9));
    assert_eq!(peer.expect(PUBCOMP).pid(), 9);
    peer.send(&publish("i", b"two", 2, 9, false));
    assert_eq!(peer.expect(PUBREC).pid(), 9, "released, the id is free for another message");
    assert_eq!(payloads(&server.outcome(&id)), ["one", "two", "two"]);
}

#[test]
fn acknowledgements_that_nobody_waits_for_are_ignored() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let (session, mut peer) = server.meet(&broker);
    for kind in [PUBACK, PUBREC, PUBCOMP, UNSUBACK] {
        peer.send(&ack(kind, 99));
    }
    peer.send(&suback(99, 0));
    server.call("publish_message", json!({"session_id": session, "topic": "t", "payload": "x"}));
    assert_eq!(server.row(&session)["state"], "connected");
}
