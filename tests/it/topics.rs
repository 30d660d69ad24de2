//! list_topics: which topics there are.

use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::mosquitto::{Mosquitto, Setup};
use crate::support::server::Server;

fn names(listed: &Value) -> Vec<&str> {
    listed["topics"].as_array().expect("topics").iter().filter_map(|row| row["topic"].as_str()).collect()
}

fn setup() -> (Mosquitto, Server, String, Client) {
    let (broker, mut server) = (Mosquitto::start(), Server::start());
    let session = server.connect(&broker.url());
    let client = Client::connect(broker.port());
    (broker, server, session, client)
}

#[test]
fn retained_and_live_topics_are_listed_sorted_with_counts() {
    let (_broker, mut server, session, mut client) = setup();
    client.retain("plant/b/state", r#"{"on": true}"#);
    client.retain("plant/a/temp", "21.5");
    let id = server.listen(&session, "list_topics", json!({"duration_seconds": 1}));
    for payload in ["1", "2", "last"] {
        client.publish("lab/x", payload);
    }
    let listed = server.outcome(&id);
    assert_eq!(names(&listed), ["lab/x", "plant/a/temp", "plant/b/state"]);
    assert_eq!((&listed["topic_count"], &listed["message_count"]), (&json!(3), &json!(5)));
    let rows = &listed["topics"];
    assert_eq!((&rows[0]["message_count"], &rows[0]["retained"]), (&json!(3), &json!(false)));
    assert_eq!((&rows[0]["last_payload"], &rows[0]["payload_type"]), (&json!("last"), &json!("text")));
    assert_eq!((&rows[1]["retained"], &rows[1]["payload_type"]), (&json!(true), &json!("number")));
    assert_eq!((&rows[2]["last_payload"], &rows[2]["payload_type"]), (&json!(r#"{"on": true}"#), &json!("json")));
    assert!(rows[0]["first_seen"].as_str() <= rows[0]["last_seen"].as_str());
    assert!(listed["duration_seconds"].as_f64().is_some_and(|seconds| (1.0..1.5).contains(&seconds)), "{listed}");
    let tree = listed["tree"].as_array().expect("a tree");
    let plant = tree.iter().find(|row| row["prefix"] == "plant").expect("the first level");
    assert_eq!((&plant["topics"], &plant["messages"]), (&json!(2), &json!(2)));
}

#[test]
fn broker_topics_are_shown_when_asked_for_and_only_then() {
    let (_broker, mut server, session, mut client) = setup();
    client.retain("plain", "1");
    let everything = server.start_call("list_topics", json!({"session_id": session, "duration_seconds": 1}));
    let arguments = json!({"session_id": session, "pattern": "$SYS/#", "duration_seconds": 1});
    let of_broker = server.start_call("list_topics", arguments);
    assert_eq!(names(&server.outcome(&everything)), ["plain"]);
    let listed = server.outcome(&of_broker);
    assert!(names(&listed).contains(&"$SYS/broker/version"), "{listed}");
    assert!(names(&listed).iter().all(|name| name.starts_with("$SYS/")));
}

#[test]
fn all_topics_are_counted_also_when_few_are_listed() {
    let (_broker, mut server, session, mut client) = setup();
    for n in 0..300 {
        client.retain(&format!("room/{n:03}/a-rather-long-name-for-a-temperature"), n.to_string());
    }
    let limited = server.start_call("list_topics", json!({"session_id": session, "duration_seconds": 1, "limit": 7}));
    // The harness checks the budget.
    let small = json!({"session_id": session, "duration_seconds": 1, "limit": 1000, "max_response_bytes": 2048});
    let budgeted = server.start_call("list_topics", small);
    let limited = server.outcome(&limited);
    assert_eq!((names(&limited).len(), &limited["topic_count"], &limited["omitted"]), (7, &json!(300), &json!(293)));
    let budgeted = server.outcome(&budgeted);
    let listed = names(&budgeted).len() as u64;
    assert!(listed > 0 && listed < 300);
    assert_eq!((&budgeted["topic_count"], &budgeted["omitted"]), (&json!(300), &json!(300 - listed)));
}

#[test]
fn an_empty_list_says_what_it_can() {
    let (_broker, mut server, session, _) = setup();
    let listed = server.call("list_topics", json!({"session_id": session, "pattern": "none/#", "duration_seconds": 1}));
    assert_eq!(
        (&listed["topic_count"], &listed["topics"], &listed["status"]),
        (&json!(0), &json!([]), &json!("success"))
    );
    assert!(listed["note"].as_str().is_some_and(|note| note.contains("QoS 0")), "{listed}");
}

#[test]
fn what_the_user_may_not_read_is_not_seen() {
    let setup = Setup {
        users: &[("reader", "r1"), ("writer", "w1")],
        acl: Some("user reader\ntopic read open/#\nuser writer\ntopic readwrite #\n"),
        ..Setup::default()
    };
    let (broker, mut server) = (Mosquitto::with(&setup), Server::start());
    let mut client = Client::connect_as(broker.port(), Some(("writer", "w1")));
    client.retain("open/a", "1");
    client.retain("shut/a", "1");
    let session = server.connect(&format!("mqtt://reader:r1@127.0.0.1:{}", broker.port()));
    let listed = server.call("list_topics", json!({"session_id": session, "duration_seconds": 1}));
    assert_eq!(names(&listed), ["open/a"]);
}

#[test]
fn a_wrong_filter_is_named() {
    let (_broker, mut server, session, _) = setup();
    for pattern in ["", "a/#/b", "a#", "a+/b", "#/", "a\u{0}"] {
        for (tool, parameter) in [("list_topics", "pattern"), ("subscribe_and_collect", "topic_pattern")] {
            let error = server.fail(tool, json!({"session_id": session, parameter: pattern}));
            let named = (&error["code"], &error["parameter"]);
            assert_eq!(named, (&json!("invalid_argument"), &json!(parameter)), "{pattern:?}");
        }
    }
    assert_eq!(server.row(&session)["state"], "connected");
}
