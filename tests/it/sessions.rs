//! Sessions: their number, their life time, and what is shown of them.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::fake_broker::FakeBroker;
use crate::support::mosquitto::Mosquitto;
use crate::support::packets::*;
use crate::support::server::{Server, command};
use crate::support::tools::is_built;
use crate::support::wait_for;

/// RFC 3339 in UTC with milliseconds.
fn is_timestamp(value: &Value) -> bool {
    let pattern = "dddd-dd-ddTdd:dd:dd.dddZ";
    let fits =
        |(expected, actual): (char, char)| if expected == 'd' { actual.is_ascii_digit() } else { expected == actual };
    value.as_str().is_some_and(|text| text.len() == pattern.len() && pattern.chars().zip(text.chars()).all(fits))
}

#[test]
fn a_new_session_tells_what_was_agreed() {
    let (mut server, broker) = (Server::start(), Mosquitto::start());
    let opened = server.call("establish_connection", json!({"connection_string": broker.url()}));
    let id = opened["session_id"].as_str().expect("an id");
    assert_eq!((id.len(), &id[14..15]), (36, "4"), "UUID, version 4: {id}");
    assert!(matches!(&id[19..20], "8" | "9" | "a" | "b"), "{id}");
    let client_id = opened["client_id"].as_str().expect("a client id");
    let random = client_id.strip_prefix("mqtt-mcp-").expect("our prefix");
    assert!(random.len() == 12 && random.bytes().all(|byte| byte.is_ascii_hexdigit()), "{client_id}");
    let expected = json!({
        "status": "connected", "broker": "127.0.0.1", "port": broker.port(), "tls": false, "protocol": "MQTT 3.1.1",
        "session_present": false, "session_ttl_seconds": 3600,
    });
    for (name, value) in expected.as_object().expect("an object") {
        assert_eq!(&opened[name], value, "{name}");
    }
    assert!(is_timestamp(&opened["created_at"]) && is_timestamp(&opened["expires_at"]), "{opened}");
    assert!(opened["connect_ms"].as_f64().is_some_and(|ms| ms > 0.0));
}

#[test]
fn connect_says_what_was_asked_for() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let url = format!("mqtt://us%40er:p%3Aw@127.0.0.1:{}/from-url", broker.port());
    for (extra, flags, keep_alive, client_id) in [
        (json!({}), 0xc2, 60, "from-url"),
        (json!({"client_id": "given", "keep_alive_seconds": 7, "clean_session": false}), 0xc0, 7, "given"),
        (json!({"client_id": "", "keep_alive_seconds": 0}), 0xc2, 0, ""),
    ] {
        let mut arguments = extra.clone();
        arguments["connection_string"] = json!(url);
        let id = server.start_call("establish_connection", arguments);
        let mut peer = broker.accept();
        let connect = peer.expect(CONNECT);
        peer.send(&connack(flags == 0xc0, 0));
        assert_eq!(server.outcome(&id)["session_present"], flags == 0xc0);
        let mut expected = string(b"MQTT");
        expected.extend([4, flags, 0, keep_alive]);
        for part in [client_id, "us@er", "p:w"] {
            expected.extend(string(part.as_bytes()));
        }
        assert_eq!((connect.first, &connect.body), (CONNECT << 4, &expected), "{extra}");
    }
}

#[test]
fn no_more_sessions_open_than_may() {
    let (mut server, broker) = (Server::with(&["--max-sessions", "1"]), Mosquitto::start());
    let session = server.connect(&broker.url());
    let error = server.fail("establish_connection", json!({"connection_string": broker.url()}));
    assert_eq!(error["code"], "session_limit");
    server.call("close_connection", json!({"session_id": session}));
    server.connect(&broker.url());
}

#[test]
fn a_session_that_is_being_opened_counts_against_the_limit() {
    let (mut server, broker) = (Server::with(&["--max-sessions", "1"]), FakeBroker::new());
    let first = server.start_call("establish_connection", json!({"connection_string": broker.url()}));
    let mut peer = broker.accept();
    assert_eq!(
        server.fail("establish_connection", json!({"connection_string": broker.url()}))["code"],
        "session_limit"
    );
    peer.expect(CONNECT);
    peer.send(&connack(false, 0));
    server.outcome(&first);
}

#[test]
fn a_session_expires_without_use_and_use_moves_its_end() {
    let (mut server, broker) = (Server::with(&["--session-ttl", "1"]), FakeBroker::new());
    let (session, mut peer) = server.meet(&broker);
    let opened_at = Instant::now();
    let publish = json!({"session_id": session, "topic": "t", "payload": "x"});
    let expires_at = server.row(&session)["expires_at"].clone();
    // Used for longer than its life time, it lives.
    while opened_at.elapsed() < Duration::from_millis(1400) {
        server.call("publish_message", publish.clone());
        peer.expect(PUBLISH);
        server.expect_silence(Duration::from_millis(200));
    }
    assert!(server.row(&session)["expires_at"].as_str() > expires_at.as_str(), "use moves it");
    let last_use = Instant::now();
    peer.expect(DISCONNECT);
    peer.expect_end();
    assert!(last_use.elapsed() < Duration::from_millis(1500), "{:?}", last_use.elapsed());
    assert_eq!(server.fail("publish_message", publish)["code"], "unknown_session");
    assert_eq!(server.call("list_active_connections", json!({}))["total_count"], 0);
}

#[test]
fn a_session_does_not_expire_under_a_running_call() {
    let (mut server, broker) = (Server::with(&["--session-ttl", "1"]), Mosquitto::start());
    let session = server.connect(&broker.url());
    let collected = server
        .call("subscribe_and_collect", json!({"session_id": session, "topic_pattern": "t", "duration_seconds": 2}));
    assert_eq!(collected["stopped_by"], "duration");
    assert_eq!(server.row(&session)["state"], "connected");
}

#[test]
fn closing_says_disconnect_and_closing_twice_is_unknown() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let (session, mut peer) = server.meet(&broker);
    let closed = server.call("close_connection", json!({"session_id": session}));
    assert_eq!((&closed["session_id"], &closed["status"]), (&json!(session), &json!("closed")));
    assert!(is_timestamp(&closed["closed_at"]));
    peer.expect(DISCONNECT);
    peer.expect_end();
    for tool in ["close_connection", "list_topics"] {
        let error = server.fail(tool, json!({"session_id": session}));
        assert_eq!(error["code"], "unknown_session");
        assert!(error["hint"].as_str().expect("a hint").contains("list_active_connections"));
    }
}

#[test]
fn closing_a_session_ends_all_its_long_calls_at_once() {
    let (mut server, broker) = (Server::start(), Mosquitto::start());
    let session = server.connect(&broker.url());
    let mut calls = Vec::new();
    for (tool, arguments) in [
        ("list_topics", json!({"pattern": "a/#", "duration_seconds": 300})),
        ("subscribe_and_collect", json!({"topic_pattern": "b/#", "duration_seconds": 300})),
        ("get_topic_schema", json!({"topic_pattern": "c/#", "duration_seconds": 300})),
        ("monitor_performance", json!({"topic_pattern": "d/#", "duration_seconds": 300})),
        ("debug_device", json!({"topic_pattern": "e/#", "device_id": "e", "duration_seconds": 300})),
        (
            "request_response",
            json!({"request_topic": "f", "payload": 1, "response_topic": "g", "timeout_seconds": 120}),
        ),
    ] {
        if is_built(tool) {
            calls.push((tool, server.listen(&session, tool, arguments)));
        }
    }
    let closed = Instant::now();
    server.call("close_connection", json!({"session_id": session}));
    for (tool, id) in calls {
        assert_eq!(server.failure(&id)["code"], "connection_lost", "{tool}");
    }
    assert!(closed.elapsed() < Duration::from_secs(2), "{:?}", closed.elapsed());
}

#[test]
fn an_open_session_is_shown_with_its_traffic() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let (session, mut peer) = server.meet(&broker);
    server.call("publish_message", json!({"session_id": session, "topic": "t", "payload": "12345"}));
    let sent = peer.expect(PUBLISH);
    assert_eq!(sent.payload(), b"12345");
    peer.send(&publish("t", b"1", 0, 0, false));
    let row =
        wait_for("the message to be counted", || Some(server.row(&session)).filter(|row| row["messages_in"] == 1));
    let expected = json!({
        "session_id": session, "broker": "127.0.0.1", "port": broker.port(), "tls": false, "state": "connected",
        "reconnects": 0, "messages_in": 1, "messages_out": 1, "bytes_in": 4 + 6, "last_error": null,
    });
    for (name, value) in expected.as_object().expect("an object") {
        assert_eq!(&row[name], value, "{name}");
    }
    assert!(row["bytes_out"].as_u64().is_some_and(|bytes| bytes > 20), "{row}");
    for name in ["created_at", "last_used_at", "expires_at"] {
        assert!(is_timestamp(&row[name]), "{name}: {row}");
    }
    let list = server.call("list_active_connections", json!({}));
    assert_eq!((&list["total_count"], &list["max_connections"], &list["brokers"]), (&json!(1), &json!(5), &json!([])));
}

#[test]
fn a_configured_broker_is_reached_by_its_name() {
    let broker = Mosquitto::start();
    let url = format!("{}/from-profile", broker.url());
    let mut command = command(&["--broker", &format!("flag={url}")]);
    command.env("MQTT_MCP_BROKER_PLANT_1", &url);
    let mut server = Server::spawn(command);
    server.initialize("2025-11-25");
    assert_eq!(server.call("list_active_connections", json!({}))["brokers"], json!(["flag", "plant_1"]));
    for name in ["flag", "plant_1"] {
        let opened = server.call("establish_connection", json!({"broker": name}));
        assert_eq!((&opened["broker"], &opened["client_id"]), (&json!("127.0.0.1"), &json!("from-profile")));
    }
    let error = server.fail("establish_connection", json!({"broker": "other"}));
    assert!(error["message"].as_str().expect("a message").contains("flag, plant_1"), "{error}");
}

#[test]
fn keep_alive_pings_and_a_silent_broker_is_given_up() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let arguments = json!({"connection_string": broker.url(), "keep_alive_seconds": 1});
    let id = server.start_call("establish_connection", arguments);
    let mut peer = broker.welcome();
    let session = server.outcome(&id)["session_id"].as_str().expect("an id").to_owned();
    peer.expect(PINGREQ);
    peer.send(&packet(PINGRESP << 4, &[]));
    let asked = peer.expect(PINGREQ);
    assert!(asked.body.is_empty());
    // Without an answer the connection is dead, and the session comes back on a new one.
    let row = server.wait_for_state(&session, "reconnecting");
    assert!(row["last_error"].as_str().expect("a reason").contains("PINGRESP"), "{row}");
    let _peer = broker.welcome();
    assert_eq!(server.wait_for_state(&session, "connected")["reconnects"], 1);
}
