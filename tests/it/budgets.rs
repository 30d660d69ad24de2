//! Bounds on what a conversation may do, and refusals that say which bound and how long to wait.

use serde_json::json;

use crate::support::client::Client;
use crate::support::fake_broker::FakeBroker;
use crate::support::mosquitto::Mosquitto;
use crate::support::packets::*;
use crate::support::server::Server;

#[test]
fn a_session_publishes_so_many_messages_a_minute_and_is_told_when_to_go_on() {
    let broker = Mosquitto::start();
    let mut server = Server::with(&["--max-publishes-per-minute", "3"]);
    let session = server.connect(&broker.url());
    let message = json!({"session_id": session, "topic": "a", "payload": 1});
    for _ in 0..3 {
        server.call("publish_message", message.clone());
    }
    let error = server.fail("publish_message", message.clone());
    assert_eq!((&error["code"], &error["retryable"]), (&json!("too_many_calls"), &json!(true)), "{error}");
    assert_eq!(error["delivery"], "not_sent");
    assert!(error["message"].as_str().expect("words").ends_with("3 messages within a minute"), "{error}");
    let seconds = error["retry_after_seconds"].as_u64().expect("a time");
    assert!((1..=62).contains(&seconds), "{error}");
    assert!(error["hint"].as_str().expect("words").contains(&format!("wait {seconds} s")), "{error}");
    assert_eq!(server.row(&session)["messages_out"], 3);
    let other = server.connect(&broker.url());
    server.call("publish_message", json!({"session_id": other, "topic": "a", "payload": 1}));
}

#[test]
fn clear_retained_stops_at_the_budget_and_says_what_is_left() {
    let broker = Mosquitto::start();
    let mut client = Client::connect(broker.port());
    for topic in ["lab/1", "lab/2", "lab/3"] {
        client.retain(topic, "x");
    }
    let directory = crate::support::Directory::new();
    let config = directory.write("config.json", r#"{"limits": {"max_publishes_per_minute": 2}}"#);
    let mut server = Server::with(&["--config", config.to_str().expect("UTF-8")]);
    let session = server.connect(&broker.url());
    let cleared =
        server.call("clear_retained", json!({"session_id": session, "topic_pattern": "lab/#", "dry_run": false}));
    assert_eq!(cleared["cleared"], 2);
    let why = cleared["failed"].as_str().expect("why");
    assert!(why.contains("2 messages within a minute") && why.contains("left: 1"), "{why}");
}

#[test]
fn calls_and_watches_together_hold_a_bounded_number_of_bytes() {
    let broker = FakeBroker::new();
    let mut server = Server::start();
    let (session, mut peer) = server.meet(&broker);
    let arguments = |filter: &str| json!({"session_id": session, "topic_pattern": filter, "duration_seconds": 60, "max_response_bytes": 1_048_576});
    let mut running = Vec::new();
    let refused = loop {
        let id = server.start_call("subscribe_and_collect", arguments(&format!("f/{}", running.len())));
        // What is refused sends nothing, and its answer is there before that of a later request.
        server.row(&session);
        if server.has_answer(&id) {
            break server.failure(&id);
        }
        peer.grant();
        running.push(id);
        assert!(running.len() < 32, "refused at some time");
    };
    assert!(running.len() >= 5, "{} ran", running.len());
    assert_eq!((&refused["code"], &refused["retryable"]), (&json!("too_many_calls"), &json!(true)), "{refused}");
    assert!(refused["message"].as_str().expect("words").contains("50331648 bytes"), "{refused}");
    server.notify("notifications/cancelled", json!({"requestId": running[0]}));
    peer.expect(UNSUBSCRIBE);
    let id = server.start_call("subscribe_and_collect", arguments("again"));
    assert_eq!(peer.grant(), "again", "what ended gave its share back");
    server.notify("notifications/cancelled", json!({"requestId": id}));
}
