//! Sessions survive every broker: a test for each way in which one can go wrong, and what a caller sees of it.

mod dead_peers;
mod floods;
mod handshake;
mod packets;
mod qos;
mod reconnect;
mod sharing;
#[cfg(feature = "tls")]
mod tls;

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::fake_broker::{FakeBroker, Peer};
use crate::support::packets::*;
use crate::support::server::Server;

/// Opens a session on a fake broker with more arguments of establish_connection; gives what the call gave.
fn meet_with(server: &mut Server, broker: &FakeBroker, mut arguments: Value) -> (Value, Peer) {
    arguments["connection_string"] = json!(broker.url());
    let id = server.start_call("establish_connection", arguments);
    let peer = broker.welcome();
    (server.outcome(&id), peer)
}

/// Opens a session on a fake broker with a short keep-alive, so that what is dead is found out soon.
fn meet_with_keep_alive(server: &mut Server, broker: &FakeBroker, seconds: u16) -> (String, Peer) {
    let (opened, peer) = meet_with(server, broker, json!({"keep_alive_seconds": seconds}));
    (opened["session_id"].as_str().expect("a session id").to_owned(), peer)
}

/// Starts to publish a text.
fn start_publish(server: &mut Server, session: &str, topic: &str, payload: &str, qos: u8) -> Value {
    let arguments = json!({"session_id": session, "topic": topic, "payload": payload, "qos": qos});
    server.start_call("publish_message", arguments)
}

/// A session works: a message at QoS 1 goes out on `peer` and comes back acknowledged.
fn assert_usable(server: &mut Server, session: &str, peer: &mut Peer) {
    let id = start_publish(server, session, "usable", "yes", 1);
    let sent = peer.expect(PUBLISH);
    assert_eq!((sent.topic().as_str(), sent.payload()), ("usable", &b"yes"[..]));
    peer.send(&ack(PUBACK, sent.pid()));
    assert_eq!(server.outcome(&id)["delivery"], "acknowledged");
}

/// A request that needs no broker is answered within a second.
fn assert_answers(server: &mut Server) {
    let started = Instant::now();
    let id = server.request("ping", json!({}));
    assert_eq!(server.result(&id), json!({}));
    let took = started.elapsed();
    assert!(took < Duration::from_secs(1), "{took:?}");
}

/// A PUBLISH that says that it may have been sent before.
fn again(mut publish: Vec<u8>) -> Vec<u8> {
    publish[0] |= 8;
    publish
}

fn last_error(row: &Value) -> &str {
    row["last_error"].as_str().expect("a reason")
}
