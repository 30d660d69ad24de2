//! debug_device: what is wrong with one device.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::fake_broker::{FakeBroker, packet_of};
use crate::support::mosquitto::Mosquitto;
use crate::support::packets::*;
use crate::support::server::Server;
use crate::support::{DEADLINE, wait_for};

fn setup() -> (Mosquitto, Server, String, Client) {
    let (broker, mut server) = (Mosquitto::start(), Server::start());
    let session = server.connect(&broker.url());
    let client = Client::connect(broker.port());
    (broker, server, session, client)
}

fn kinds(debugged: &Value) -> Vec<&str> {
    let findings = debugged["findings"].as_array().expect("findings");
    for finding in findings {
        assert!(finding["evidence"].as_array().is_some_and(|evidence| !evidence.is_empty()), "{finding}");
        assert!(finding["advice"].as_str().is_some_and(|advice| !advice.is_empty()), "{finding}");
    }
    findings.iter().filter_map(|finding| finding["kind"].as_str()).collect()
}

fn names<'a>(list: &'a Value, name: &str) -> Vec<&'a str> {
    list.as_array().expect("a list").iter().filter_map(|row| row[name].as_str()).collect()
}

/// Waits a little, as a device does between two beats.
fn pause(ms: u64) {
    let until = std::time::Instant::now() + Duration::from_millis(ms);
    wait_for("the next beat", || (std::time::Instant::now() >= until).then_some(()));
}

#[test]
fn a_pump_that_beats_fails_and_dies_with_its_last_will_is_told_in_full() {
    let (broker, mut server, session, mut other) = setup();
    let mut pump = Client::connect_with_will(broker.port(), "plant/hall2/pump1/status", "offline");
    pump.retain("plant/hall2/pump1/status", "online");
    let id = server.listen(&session, "debug_device", json!({"device_id": "pump1", "duration_seconds": 8}));
    for n in 0..12 {
        pump.publish("plant/hall2/pump1/heartbeat", json!({"seq": if n < 7 { n } else { n + 2 }}).to_string());
        other.publish("plant/hall2/pump10/heartbeat", "not it");
        match n {
            3 => other.publish("plant/hall2/pump1/set", r#"{"speed":900}"#),
            4 => pump.publish("plant/hall2/pump1/state", r#"{"speed":900,"error":null,"mode":"default"}"#),
            6 => pump.publish("plant/hall2/pump1/error", "E42 dry run"),
            _ => {}
        }
        pause(200);
    }
    drop(pump);
    let debugged = server.outcome(&id);
    assert_eq!(debugged["connection_state"], "offline", "{debugged}");
    let evidence = debugged["evidence"].to_string();
    assert!(evidence.contains("plant/hall2/pump1/status says"), "{evidence}");
    let found = kinds(&debugged);
    for expected in ["went_offline", "stopped", "reports_errors", "counter_gap"] {
        assert!(found.contains(&expected), "{expected} is missing in {found:?}");
    }
    assert_eq!(found.len(), 4, "{found:?}");
    let availability = &debugged["availability"][0];
    assert_eq!((&availability["value"], &availability["change_count"]), (&json!("offline"), &json!(1)));
    assert_eq!(names(&debugged["heartbeats"], "topic"), ["plant/hall2/pump1/heartbeat"]);
    let period = debugged["heartbeats"][0]["period_ms"].as_f64().expect("a period");
    assert!((190.0..400.0).contains(&period), "{period}");
    assert_eq!(names(&debugged["errors"], "payload"), ["E42 dry run"]);
    assert_eq!((&debugged["error_count"], &debugged["warning_count"]), (&json!(1), &json!(0)));
    let command = &debugged["commands"][0];
    assert_eq!(
        (&command["answer"]["topic"], &command["answer"]["sure"]),
        (&json!("plant/hall2/pump1/state"), &json!(true))
    );
    assert!(names(&debugged["topics"], "topic").iter().all(|topic| topic.contains("/pump1/")), "{debugged}");
    assert_eq!((&debugged["other_messages"], &debugged["conventions"]), (&json!(12), &json!(["plain"])));
}

#[test]
fn a_healthy_device_has_no_findings() {
    let (_broker, mut server, session, mut client) = setup();
    client.retain("home/pump1/status", "online");
    client.retain("home/pump1/alarm", "OFF");
    let id = server.listen(&session, "debug_device", json!({"device_id": "pump1", "duration_seconds": 3}));
    for n in 0..12 {
        let payload =
            json!({"seq": n, "error": null, "errors": 0, "mode": "default", "flow": 12.0 + f64::from(n % 5) / 7.0});
        client.publish("home/pump1/telemetry", payload.to_string());
        pause(200);
    }
    let debugged = server.outcome(&id);
    assert_eq!((&debugged["connection_state"], kinds(&debugged)), (&json!("online"), vec![]), "{debugged}");
    assert_eq!((&debugged["messages"], &debugged["omitted"]), (&json!(14), &json!(0)));
    assert!(debugged["summary"].as_str().is_some_and(|summary| summary.contains("Nothing wrong")), "{debugged}");
}

#[test]
fn what_the_broker_kept_holds_since_nobody_knows_when() {
    let (_broker, mut server, session, mut client) = setup();
    client.retain("site/old/status", "online");
    client.retain("site/new/status", "offline");
    let debugged =
        server.call("debug_device", json!({"session_id": session, "device_id": "old", "duration_seconds": 1}));
    assert_eq!(debugged["connection_state"], "online", "{debugged}");
    let words = r#"site/old/status says "online" (kept by the broker, since when is not known)"#;
    assert_eq!(debugged["evidence"][0], words);
    assert_eq!((&debugged["availability"][0]["retained"], debugged["availability"][0].get("at")), (&json!(true), None));
    assert_eq!((&debugged["topics"][0]["messages"], debugged["topics"][0].get("last_seen")), (&json!(1), None));
    let summary = debugged["summary"].as_str().expect("a summary");
    assert!(summary.starts_with("old is online, but only what the broker kept says so."), "{summary}");
    // What comes while it is looked at has its time.
    let id = server.listen(&session, "debug_device", json!({"device_id": "new", "duration_seconds": 1}));
    client.publish("site/new/status", "online");
    let debugged = server.outcome(&id);
    assert!(
        debugged["availability"][0]["at"].is_string() && debugged["topics"][0]["last_seen"].is_string(),
        "{debugged}"
    );
    assert!(debugged["summary"].as_str().is_some_and(|summary| summary.starts_with("new is online. ")), "{debugged}");
}

#[test]
fn a_silent_device_is_told_with_what_was_heard_instead() {
    let (_broker, mut server, session, mut client) = setup();
    client.retain("home/pump1/status", "online");
    client.retain("bridge/log", r#"{"level":"error","message":"Pump-1 does not answer"}"#);
    let arguments = json!({"session_id": session, "device_id": "Pump-1", "duration_seconds": 1});
    let debugged = server.call("debug_device", arguments);
    assert_eq!((&debugged["connection_state"], &debugged["messages"]), (&json!("unknown"), &json!(0)));
    assert_eq!((&debugged["similar_ids"], &debugged["other_messages"]), (&json!(["pump1"]), &json!(2)));
    assert_eq!(names(&debugged["mentions"], "topic"), ["bridge/log"]);
    let summary = debugged["summary"].as_str().expect("a summary");
    assert!(summary.contains("Did you mean pump1?") && summary.contains("Next:"), "{summary}");
    let arguments = json!({"session_id": session, "device_id": "ump1", "match": "contains", "duration_seconds": 1});
    assert_eq!(server.call("debug_device", arguments)["messages"], 1);
}

#[test]
fn times_without_a_connection_are_no_silence_of_the_device() {
    let (broker, mut server) = (FakeBroker::new(), Server::start());
    let (session, mut peer) = server.meet(&broker);
    let arguments = json!({"session_id": session, "device_id": "d", "duration_seconds": 5});
    let id = server.start_call("debug_device", arguments);
    peer.grant();
    peer.send(&publish("d/status", b"online", 0, 0, true));
    for n in 0..6 {
        peer.send(&publish("d/beat", n.to_string().as_bytes(), 0, 0, false));
        pause(100);
    }
    // The broker tells all last wills when it goes, and the device is back before this client is.
    peer.send(&publish("d/status", b"offline", 0, 0, false));
    drop(peer);
    let mut peer = broker.welcome();
    peer.grant();
    peer.send(&publish("d/status", b"online", 0, 0, true));
    // Until the call ends, in small steps; some came when nobody listened.
    let mut n = 26;
    let unsubscribe = loop {
        peer.send(&publish("d/beat", n.to_string().as_bytes(), 0, 0, false));
        n += 1;
        if peer.has_input() {
            let packet = peer.next().expect("a packet");
            if packet.kind() == UNSUBSCRIBE {
                break packet;
            }
            assert_eq!(packet.kind(), PINGREQ);
            peer.send(&packet_of(PINGRESP));
        }
        assert!(n < DEADLINE.as_millis() as u64 / 100, "the call does not end");
        pause(100);
    };
    peer.send(&ack(UNSUBACK, unsubscribe.pid()));
    let debugged = server.outcome(&id);
    assert_eq!(debugged["interruptions"].as_array().map(Vec::len), Some(1), "{debugged}");
    assert_eq!(debugged["connection_state"], "online", "{debugged}");
    assert_eq!(kinds(&debugged), ["was_offline"], "{debugged}");
}

#[test]
fn results_keep_to_their_budget_whatever_a_device_sends() {
    let (_broker, mut server, session, mut client) = setup();
    for budget in [1024, 4096] {
        let arguments = json!({"device_id": "d", "duration_seconds": 1, "max_response_bytes": budget});
        let id = server.listen(&session, "debug_device", arguments);
        let noise = |n: usize| match n % 4 {
            0 => (format!("d/{}/{n}/error", "long".repeat(200)), "ERROR ".repeat(300).into_bytes()),
            1 => (format!("d/{n}"), vec![0xff; 3000]),
            2 => (format!("d/{n}/set"), "[".repeat(5000).into_bytes()),
            _ => (
                "d/x".to_owned(),
                json!({"seq": n * n, "ts": 1, "a": {"b": [n, null, "\u{7f}"]}}).to_string().into_bytes(),
            ),
        };
        client.publish_all((0..700).map(noise));
        let debugged = server.outcome(&id);
        assert_eq!(debugged["messages"], 700);
        assert_eq!(debugged["error_count"], 175);
        assert!(debugged["omitted"].as_u64().is_some_and(|count| count > 0), "{debugged}");
    }
}

#[test]
fn wrong_arguments_are_named() {
    let (_broker, mut server, session, _) = setup();
    for (name, value) in [
        ("device_id", json!("")),
        ("device_id", json!("home/+/x")),
        ("device_id", json!("x".repeat(301))),
        ("duration_seconds", json!(601)),
        ("match", json!("regex")),
        ("topic_pattern", json!("a#")),
    ] {
        let mut arguments = json!({"session_id": session, "device_id": "d"});
        arguments[name] = value.clone();
        let error = server.fail("debug_device", arguments);
        assert_eq!((&error["code"], &error["parameter"]), (&json!("invalid_argument"), &json!(name)), "{value}");
    }
}

#[test]
fn what_is_left_out_is_counted_and_the_room_is_used() {
    let (_broker, mut server, session, mut client) = setup();
    let arguments = json!({"device_id": "d", "duration_seconds": 2, "max_response_bytes": 32_768});
    let id = server.listen(&session, "debug_device", arguments);
    client.publish("d/log", r#"{"level": "error", "code": 7}"#);
    client.publish_all((0..600).map(|n| (format!("d/{}/state", n % 200), b"{\"n\":1}".to_vec())));
    let debugged = server.outcome(&id);
    let length = |name: &str| debugged[name].as_array().map_or(0, Vec::len) as u64;
    assert_eq!((&debugged["messages"], &debugged["topic_count"]), (&json!(601), &json!(201)));
    assert!(debugged.to_string().len() > 28_000 && length("topics") >= 100, "{debugged}");
    assert_eq!(debugged["messages_omitted"], 601 - length("recent_messages"));
    assert_eq!(debugged["omitted"], 201 - length("topics"));
    let error = &debugged["errors"][0];
    assert_eq!((&error["payload"], &error["encoding"]), (&json!({"level": "error", "code": 7}), &json!("json")));
    assert_eq!(error.get("truncated"), None);
}

#[test]
fn payloads_that_are_cut_say_so() {
    let (_broker, mut server, session, mut client) = setup();
    let id = server.listen(&session, "debug_device", json!({"device_id": "d", "duration_seconds": 2}));
    let long = "9".repeat(300);
    client.publish("d/set", &long);
    client.publish("d/state", &long);
    client.publish("d/log", format!(r#"{{"level":"error","text":"{long}"}}"#));
    client.publish("d/set", "ON");
    client.publish("d/state", "ON");
    let debugged = server.outcome(&id);
    let (commands, error) = (&debugged["commands"], &debugged["errors"][0]);
    let cut = |row: &Value| (row["truncated"].clone(), row["encoding"].clone());
    for row in [error, &commands[0], &commands[0]["answer"]] {
        assert_eq!(cut(row), (json!(true), json!("text")), "a number would be another one: {row}");
    }
    for row in [&commands[1], &commands[1]["answer"]] {
        assert_eq!(cut(row), (json!(null), json!("text")), "{row}");
    }
}
