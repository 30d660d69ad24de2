//! Between TCP and CONNACK, on the first connection and on every later one.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{assert_usable, last_error};
use crate::support::fake_broker::{FakeBroker, Peer, packet_of};
use crate::support::packets::*;
use crate::support::server::Server;

/// A broker sends these, but none of them first.
fn not_connack() -> Vec<Vec<u8>> {
    let mut packets = vec![suback(1, 0), packet_of(PINGRESP)];
    packets.extend([PUBACK, PUBREC, PUBREL, PUBCOMP, UNSUBACK].map(|kind| ack(kind, 1)));
    packets.extend([0, 1, 2].map(|qos| publish("t", b"x", qos, 1, false)));
    packets
}

fn start(server: &mut Server, broker: &FakeBroker) -> (Value, Peer) {
    let id =
        server.start_call("establish_connection", json!({"connection_string": broker.url(), "timeout_seconds": 5}));
    let mut peer = broker.accept();
    peer.expect(CONNECT);
    (id, peer)
}

fn assert_no_session(server: &mut Server) {
    assert_eq!(server.call("list_active_connections", json!({}))["total_count"], 0);
}

/// Sessions, one after the other on one broker, that have all lost their connection.
fn lost(server: &mut Server, broker: &FakeBroker, count: usize) -> Vec<String> {
    let met: Vec<_> = (0..count).map(|_| server.meet(broker)).collect();
    let sessions: Vec<_> = met.iter().map(|(session, _)| session.clone()).collect();
    drop(met);
    for session in &sessions {
        server.wait_for_state(session, "reconnecting");
    }
    sessions
}

#[test]
fn a_connack_cut_after_any_byte_is_a_lost_connection_and_leaves_no_session() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    for count in 0..4 {
        let started = Instant::now();
        let (id, mut peer) = start(&mut server, &broker);
        peer.send(&connack(false, 0)[..count]);
        drop(peer);
        assert_eq!(server.failure(&id)["code"], "connection_lost", "after {count} bytes");
        assert!(started.elapsed() < Duration::from_secs(5), "not the deadline");
    }
    assert_no_session(&mut server);
}

#[test]
fn a_connack_that_stays_incomplete_is_a_timeout() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let arguments = json!({"connection_string": broker.url(), "timeout_seconds": 1});
    let started: Vec<_> = (0..4)
        .map(|count| {
            let id = server.start_call("establish_connection", arguments.clone());
            let mut peer = broker.accept();
            peer.expect(CONNECT);
            peer.send(&connack(false, 0)[..count]);
            (id, peer)
        })
        .collect();
    for (id, mut peer) in started {
        assert_eq!(server.failure(&id)["code"], "connect_timeout");
        peer.expect_end();
    }
    assert_no_session(&mut server);
}

#[test]
fn a_connack_byte_by_byte_is_understood_on_the_first_and_on_later_connections() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let (id, mut peer) = start(&mut server, &broker);
    for byte in connack(false, 0) {
        peer.send(&[byte]);
        // Its answer shows that the server has had a turn; what it lists is another test's concern.
        server.call("list_active_connections", json!({}));
    }
    let session = server.outcome(&id)["session_id"].as_str().expect("a session id").to_owned();
    drop(peer);
    let mut peer = broker.accept();
    peer.expect(CONNECT);
    let before = server.bytes_in(&session);
    for (count, byte) in (1..).zip(connack(false, 0)) {
        peer.send(&[byte]);
        server.wait_for_bytes_in(&session, before + count);
    }
    assert_eq!(server.wait_for_state(&session, "connected")["reconnects"], 1);
    assert_usable(&mut server, &session, &mut peer);
}

#[test]
fn refused_credentials_on_a_later_connection_stop_the_retries() {
    let mut server = Server::start();
    let refused: Vec<_> = [2, 4, 5]
        .map(|code| {
            let broker = FakeBroker::new();
            let session = lost(&mut server, &broker, 1).remove(0);
            broker.welcome_with(connack(false, code)).expect_end();
            let row = server.wait_for_state(&session, "failed");
            assert!(last_error(&row).contains(&format!("CONNACK {code}")), "{row}");
            (session, broker)
        })
        .into();
    // The next attempt would come within two seconds.
    server.expect_silence(Duration::from_millis(2500));
    for (session, broker) in refused {
        assert!(broker.nobody_calls());
        let publish = json!({"session_id": session, "topic": "t", "payload": "x"});
        let error = server.fail("publish_message", publish);
        assert_eq!((&error["code"], &error["delivery"]), (&json!("connection_lost"), &json!("not_sent")));
        assert_eq!(server.call("close_connection", json!({"session_id": session}))["status"], "closed");
    }
}

#[test]
fn a_broker_that_is_not_available_for_now_is_asked_again() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let session = lost(&mut server, &broker, 1).remove(0);
    broker.welcome_with(connack(false, 3)).expect_end();
    let row = server.row(&session);
    assert_eq!(row["state"], "reconnecting");
    let mut peer = broker.welcome();
    let row = server.wait_for_state(&session, "connected");
    assert_eq!(row["reconnects"], 1, "a refusal is no reconnect");
    assert_usable(&mut server, &session, &mut peer);
}

#[test]
fn a_refused_protocol_version_on_a_later_connection_is_named() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let session = lost(&mut server, &broker, 1).remove(0);
    broker.welcome_with(connack(false, 1)).expect_end();
    let row = server.row(&session);
    assert!(last_error(&row).contains("CONNACK 1"), "{row}");
}

#[test]
fn anything_else_before_connack_is_a_protocol_error() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    for packet in not_connack() {
        let (id, mut peer) = start(&mut server, &broker);
        peer.send(&packet);
        assert_eq!(server.failure(&id)["code"], "protocol_rejected", "{packet:x?}");
        assert!(peer.read_to_end().is_empty(), "{packet:x?} is not answered");
    }
    assert_no_session(&mut server);
}

#[test]
fn anything_else_before_connack_on_a_later_connection_ends_it_and_the_session_comes_back() {
    let (mut server, broker) = (Server::with(&["--max-sessions", "64"]), FakeBroker::new());
    let packets = not_connack();
    let sessions = lost(&mut server, &broker, packets.len());
    for packet in &packets {
        let mut peer = broker.accept();
        peer.expect(CONNECT);
        peer.send(packet);
        assert!(peer.read_to_end().is_empty(), "{packet:x?} is not answered");
    }
    for session in &sessions {
        let row = server.row(session);
        assert!(last_error(&row).contains("before CONNACK"), "{row}");
    }
    let _peers: Vec<_> = sessions.iter().map(|_| broker.welcome()).collect();
    for session in &sessions {
        assert_eq!(server.wait_for_state(session, "connected")["reconnects"], 1);
    }
}

#[test]
fn a_second_connack_ends_the_connection_and_the_session_comes_back() {
    let (mut server, broker, elsewhere) = (Server::start(), FakeBroker::new(), FakeBroker::new());
    let (witness, mut witnessed) = server.meet(&elsewhere);
    let (session, mut peer) = server.meet(&broker);
    peer.send(&connack(false, 0));
    let row = server.wait_for_state(&session, "reconnecting");
    assert!(last_error(&row).contains("second CONNACK"), "{row}");
    peer.expect_end();
    assert_usable(&mut server, &witness, &mut witnessed);
    let mut peer = broker.welcome();
    assert_eq!(server.wait_for_state(&session, "connected")["reconnects"], 1);
    assert_usable(&mut server, &session, &mut peer);
    assert_eq!(server.row(&witness)["reconnects"], 0);
}
