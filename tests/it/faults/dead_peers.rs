//! Peers that are there and do nothing, and addresses where nobody is.

use std::net::{Ipv6Addr, ToSocketAddrs};
use std::time::Duration;

use serde_json::{Value, json};

use super::{assert_answers, assert_usable, last_error, meet_with_keep_alive, start_publish};
use crate::support::client::Client;
use crate::support::fake_broker::{FakeBroker, Peer};
use crate::support::mosquitto::Mosquitto;
use crate::support::packets::*;
use crate::support::server::Server;
use crate::support::tools::payloads;
use crate::support::{wait_beyond, wait_for};

/// What the server gives a peer to take bytes, and to answer SUBSCRIBE.
const WRITE_STALL: Duration = Duration::from_secs(20);
const SUBACK_WAIT: Duration = Duration::from_secs(10);

/// Answers nothing until the server has had enough.
fn ignore_until_the_end(peer: &mut Peer) -> usize {
    let mut pings = 0;
    while let Some(packet) = peer.next() {
        assert_eq!(packet.kind(), PINGREQ);
        pings += 1;
    }
    pings
}

/// The session's row as soon as it has given its peer up, which is to take `time`.
fn leave(server: &mut Server, session: &str, time: Duration) -> Value {
    wait_beyond(time, "the peer to be left", || Some(server.row(session)).filter(|row| row["state"] == "reconnecting"))
}

#[test]
fn a_peer_that_does_not_answer_a_pingreq_is_left_and_the_session_comes_back() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let (session, mut peer) = meet_with_keep_alive(&mut server, &broker, 1);
    assert!(ignore_until_the_end(&mut peer) > 0, "it was asked");
    let row = server.row(&session);
    assert!(last_error(&row).contains("PINGRESP"), "{row}");
    let mut peer = broker.welcome();
    assert_eq!(server.wait_for_state(&session, "connected")["reconnects"], 1);
    assert_usable(&mut server, &session, &mut peer);
}

#[test]
fn a_peer_that_answers_every_pingreq_is_kept() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let (session, mut peer) = meet_with_keep_alive(&mut server, &broker, 1);
    for _ in 0..3 {
        peer.expect(PINGREQ);
        peer.send(&packet(PINGRESP << 4, &[]));
    }
    assert_eq!(server.row(&session)["reconnects"], 0);
}

#[test]
fn a_broker_that_freezes_is_left_and_found_again_when_it_thaws() {
    let (broker, mut server) = (Mosquitto::start(), Server::start());
    let arguments = json!({"connection_string": broker.url(), "keep_alive_seconds": 1});
    let opened = server.call("establish_connection", arguments);
    let session = opened["session_id"].as_str().expect("a session id");
    broker.signal("STOP");
    let id = start_publish(&mut server, session, "t", "x", 1);
    server.wait_for_state(session, "reconnecting");
    assert_answers(&mut server);
    broker.signal("CONT");
    let published = server.outcome(&id);
    assert_eq!((&published["delivery"], &published["sent_again"]), (&json!("acknowledged"), &json!(true)));
    assert_eq!(server.row(session)["reconnects"], 1);
    let mut client = Client::connect(broker.port());
    client.subscribe("alive", 0);
    start_publish(&mut server, session, "alive", "x", 0);
    assert_eq!(client.receive().topic, "alive");
}

#[test]
fn a_peer_that_closes_only_its_own_half_is_gone() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let (session, mut peer) = server.meet(&broker);
    peer.close_half();
    peer.expect_end();
    let row = server.row(&session);
    assert_eq!(row["state"], "reconnecting");
    assert!(last_error(&row).contains("closed"), "{row}");
    assert_usable(&mut server, &session, &mut broker.welcome());
}

#[test]
fn a_peer_that_takes_the_connection_and_reads_nothing_is_a_timeout() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    // The kernel takes the connection; nobody ever picks it up.
    let arguments = json!({"connection_string": broker.url(), "timeout_seconds": 1});
    assert_eq!(server.fail("establish_connection", arguments)["code"], "connect_timeout");
    assert_eq!(server.call("list_active_connections", json!({}))["total_count"], 0);
}

#[test]
fn a_peer_that_stops_reading_holds_up_nobody_else_and_gets_all_when_it_goes_on() {
    const SIZE: usize = 1 << 20;
    let (mut server, stuck, other) = (Server::start(), FakeBroker::new(), FakeBroker::new());
    let (session, mut peer) = server.meet(&stuck);
    let (witness, mut witnessed) = server.meet(&other);
    let payload = |n: usize| format!("{n:02}").repeat(SIZE / 2);
    let calls: Vec<Value> = (0..14).map(|n| start_publish(&mut server, &session, "big", &payload(n), 0)).collect();
    assert_answers(&mut server);
    assert_usable(&mut server, &witness, &mut witnessed);
    let row = server.row(&session);
    let written = row["bytes_out"].as_u64().expect("a count") as usize;
    assert!(written < calls.len() * SIZE, "the socket took everything: {row}");
    assert_eq!(row["state"], "connected");
    for n in 0..calls.len() {
        let publish = peer.expect(PUBLISH);
        assert!(publish.payload() == payload(n).as_bytes(), "message {n}");
    }
    for id in &calls {
        assert_eq!(server.outcome(id)["delivery"], "sent");
    }
    assert_eq!(server.row(&session)["reconnects"], 0);
}

#[test]
fn a_peer_that_stops_reading_for_good_is_left_and_the_session_comes_back() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let (session, peer) = server.meet(&broker);
    let payload = "x".repeat(1 << 20);
    let calls: Vec<Value> = (0..14).map(|_| start_publish(&mut server, &session, "big", &payload, 0)).collect();
    let row = leave(&mut server, &session, WRITE_STALL);
    assert!(last_error(&row).contains("takes no data"), "{row}");
    let mut next = broker.welcome();
    start_publish(&mut server, &session, "end", "x", 0);
    while next.expect(PUBLISH).topic() != "end" {}
    let mut is_unknown = |id| server.result(id)["structuredContent"]["error"]["delivery"] == "unknown";
    assert_eq!(calls.iter().filter(|id| is_unknown(id)).count(), 1, "the one that was being written");
    assert_usable(&mut server, &session, &mut next);
    drop(peer);
}

#[test]
fn a_peer_that_never_answers_a_subscribe_is_left_and_its_call_goes_on_with_the_next() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let (session, mut peer) = server.meet(&broker);
    let arguments = json!({"session_id": session, "topic_pattern": "t", "duration_seconds": 60, "max_messages": 1});
    let call = server.start_call("subscribe_and_collect", arguments);
    peer.expect(SUBSCRIBE);
    let row = leave(&mut server, &session, SUBACK_WAIT);
    assert!(last_error(&row).contains("no SUBACK"), "{row}");
    let mut next = broker.welcome();
    assert_eq!(next.grant(), "t");
    next.send(&publish("t", b"here", 0, 0, false));
    let collected = server.outcome(&call);
    assert_eq!(payloads(&collected), ["here"]);
}

#[test]
fn a_message_that_was_cut_while_it_was_written_is_unknown_and_those_behind_it_are_sent_whole() {
    const SIZE: usize = 1 << 20;
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let (session, peer) = server.meet(&broker);
    let calls: Vec<Value> =
        (0..14).map(|n| start_publish(&mut server, &session, "big", &format!("{n:02}").repeat(SIZE / 2), 0)).collect();
    let mut seen = 0;
    let written = wait_for("the socket to be full", || {
        let now = server.row(&session)["bytes_out"].as_u64().expect("a count") as usize;
        (std::mem::replace(&mut seen, now) == now).then_some(now)
    });
    assert!(written < calls.len() * SIZE, "the socket took everything");
    drop(peer);
    let mut peer = broker.welcome();
    let (mut sent, mut unknown) = (0, 0);
    for id in &calls {
        if sent + unknown > written / SIZE {
            // Not a byte of it went to the first connection.
            let whole = peer.expect(PUBLISH);
            assert_eq!((whole.payload().len(), whole.dup()), (SIZE, false));
        }
        let mut result = server.result(id);
        let content = result["structuredContent"].take();
        if content["status"] == "success" {
            sent += 1;
        } else {
            assert_eq!(content["error"]["delivery"], "unknown", "{content}");
            unknown += 1;
        }
    }
    assert_eq!((sent, unknown), (calls.len() - 1, 1), "one was being written");
}

#[test]
fn a_host_name_is_tried_at_each_of_its_addresses() {
    let mut server = Server::start();
    // The second is no address by itself, so the resolver is asked for it, which reads it as 127.0.0.1 on every system.
    for name in ["localhost", "127.1"] {
        let mut tried = 0;
        for address in (name, 0).to_socket_addrs().expect("an address") {
            // A name may have an IPv6 address on a machine that has no IPv6.
            let Ok(broker) = FakeBroker::on(address.ip()) else { continue };
            tried += 1;
            let url = format!("mqtt://{name}:{}", broker.port());
            let id = server.start_call("establish_connection", json!({"connection_string": url}));
            let _peer = broker.welcome();
            assert_eq!(server.outcome(&id)["broker"], name, "{address}");
        }
        assert!(tried > 0, "{name}");
    }
}

#[test]
fn an_ipv6_address_in_brackets_is_connected_to() {
    // Without IPv6 on the machine the address cannot be had, and that is what is told.
    let broker = FakeBroker::on(Ipv6Addr::LOCALHOST.into());
    let mut server = Server::start();
    let Ok(broker) = broker else {
        let error = server.fail("establish_connection", json!({"connection_string": "mqtt://[::1]:1"}));
        assert_eq!(error["code"], "broker_unreachable");
        return;
    };
    let url = format!("mqtt://[::1]:{}", broker.port());
    let id = server.start_call("establish_connection", json!({"connection_string": url}));
    let mut peer = broker.welcome();
    let opened = server.outcome(&id);
    assert_eq!(opened["port"], broker.port());
    assert_usable(&mut server, opened["session_id"].as_str().expect("a session id"), &mut peer);
}
