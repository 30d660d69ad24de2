//! Long calls: progress while they run, and an end at once when they are cancelled.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::fake_broker::FakeBroker;
use crate::support::mosquitto::Mosquitto;
use crate::support::packets::*;
use crate::support::server::{Line, Server};

fn numbers(lines: &[Line], token: &Value) -> Vec<f64> {
    let of_call = |line: &&Line| line.json["params"]["progressToken"] == *token;
    let notes = lines.iter().filter(of_call).inspect(|line| {
        assert_eq!(line.json["method"], "notifications/progress");
        assert!(line.json.get("id").is_none());
        assert!(line.json["params"]["total"].is_number());
    });
    notes.map(|line| line.json["params"]["progress"].as_f64().expect("a number")).collect()
}

#[test]
fn progress_starts_within_a_second_grows_and_ends_with_the_answer() {
    let (broker, mut server) = (Mosquitto::start(), Server::start());
    let session = server.connect(&broker.url());
    let arguments = json!({"session_id": session, "topic_pattern": "t", "duration_seconds": 2});
    let started = Instant::now();
    let text = server.start_call_with_progress("subscribe_and_collect", arguments.clone(), json!("1"));
    let number =
        server.start_call_with_progress("list_topics", json!({"session_id": session, "duration_seconds": 2}), json!(1));
    let silent = server.start_call("subscribe_and_collect", arguments);
    let first = server.next_line();
    assert_eq!(first.json["method"], "notifications/progress", "{}", first.raw);
    assert!(started.elapsed() < Duration::from_millis(1500), "clients wait a second for it");
    let mut lines = vec![first];
    for id in [&text, &number, &silent] {
        server.outcome(id);
    }
    lines.extend(server.take_kept());
    for token in [json!("1"), json!(1)] {
        let seen = numbers(&lines, &token);
        assert!((2..=4).contains(&seen.len()), "{token}: {seen:?}");
        assert!(seen.windows(2).all(|pair| pair[0] < pair[1]), "{token}: {seen:?}");
    }
    assert!(lines.iter().all(|line| !line.json["params"]["progressToken"].is_null()), "nobody else asked");
    let ping = server.request("ping", json!({}));
    assert_eq!(server.next_line().json["id"], ping, "no progress behind the answer");
}

#[test]
fn a_progress_token_must_be_a_string_or_an_integer() {
    let mut server = Server::start();
    for token in [json!(true), json!(1.5), json!({})] {
        let id = server.start_call_with_progress("list_active_connections", json!({}), token);
        assert_eq!(server.response(&id).json["error"]["code"], -32602);
    }
}

#[test]
fn a_cancelled_call_is_not_answered_and_gives_its_subscription_back() {
    let (broker, mut server) = (FakeBroker::new(), Server::start());
    let (session, mut peer) = server.meet(&broker);
    let id = server.collect_from(&mut peer, &session, json!({"topic_pattern": "a/#", "duration_seconds": 300}));
    server.notify("notifications/cancelled", json!({"requestId": id, "reason": "enough"}));
    let unsubscribe = peer.expect(UNSUBSCRIBE);
    assert_eq!(unsubscribe.filter(), "a/#");
    peer.send(&ack(UNSUBACK, unsubscribe.pid()));
    server.notify("notifications/cancelled", json!({"requestId": id}));
    let ping = server.request("ping", json!({}));
    assert_eq!(server.next_line().json["id"], ping);
    server.expect_silence(Duration::from_millis(300));
}

#[test]
fn a_cancelled_connect_leaves_no_session_and_no_connection() {
    let (broker, mut server) = (FakeBroker::new(), Server::with(&["--max-sessions", "1"]));
    let id = server.start_call("establish_connection", json!({"connection_string": broker.url()}));
    let mut peer = broker.accept();
    peer.expect(CONNECT);
    server.notify("notifications/cancelled", json!({"requestId": id}));
    // It may or may not say DISCONNECT: the broker has not taken it in yet.
    peer.read_to_end();
    assert_eq!(server.call("list_active_connections", json!({}))["total_count"], 0);
    let _opened = server.meet(&broker);
}

#[test]
fn a_call_that_ends_gives_its_subscription_back() {
    let (broker, mut server) = (FakeBroker::new(), Server::start());
    let (session, mut peer) = server.meet(&broker);
    for tool in ["subscribe_and_collect", "list_topics"] {
        let filter = if tool == "list_topics" { "pattern" } else { "topic_pattern" };
        let id = server.start_call(tool, json!({"session_id": session, filter: "b/+", "duration_seconds": 1}));
        assert_eq!(peer.grant(), "b/+");
        let unsubscribe = peer.expect(UNSUBSCRIBE);
        assert_eq!(unsubscribe.filter(), "b/+");
        peer.send(&ack(UNSUBACK, unsubscribe.pid()));
        server.outcome(&id);
    }
}
