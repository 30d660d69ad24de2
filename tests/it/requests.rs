//! request_response: which message is the answer, how long it took, and what is told when none comes.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::fake_broker::{FakeBroker, Peer, packet_of};
use crate::support::mosquitto::Mosquitto;
use crate::support::packets::*;
use crate::support::server::Server;
use crate::support::wait_for;

/// A broker with a device on it that hears `ask`.
fn setup() -> (Mosquitto, Server, String, Client) {
    let (broker, mut server) = (Mosquitto::start(), Server::start());
    let session = server.connect(&broker.url());
    let mut device = Client::connect(broker.port());
    device.subscribe("ask", 0);
    (broker, server, session, device)
}

fn ask(server: &mut Server, session: &str, mut arguments: Value) -> Value {
    arguments["session_id"] = json!(session);
    for (name, value) in [("request_topic", json!("ask")), ("response_topic", json!("answer/#"))] {
        if arguments.get(name).is_none() {
            arguments[name] = value;
        }
    }
    server.start_call("request_response", arguments)
}

fn mismatches(rows: &Value) -> Vec<Value> {
    rows.as_array().expect("rows").iter().map(|row| row.get("mismatches").cloned().unwrap_or_default()).collect()
}

#[test]
fn the_answer_comes_back_with_its_round_trip() {
    let (_broker, mut server, session, mut device) = setup();
    for qos in 0..3 {
        let id = ask(&mut server, &session, json!({"payload": {"get": 1.5}, "qos": qos}));
        assert_eq!(device.receive().payload, br#"{"get":1.5}"#);
        device.publish("answer/1", r#"{"value":21.50}"#);
        let answered = server.outcome(&id);
        assert_eq!(
            (&answered["status"], &answered["sent"], &answered["received"]),
            (&json!("success"), &json!(1), &json!(1))
        );
        let row = &answered["responses"][0];
        assert_eq!(
            (&row["topic"], &row["payload"], &row["matched"]),
            (&json!("answer/1"), &json!({"value": 21.5}), &json!(true))
        );
        let took = row["round_trip_ms"].as_f64().expect("a time");
        assert!(took > 0.0 && took < 10_000.0, "{took}");
        assert_eq!(answered["round_trip_ms"], json!({"min": took, "median": took, "max": took}));
        assert_eq!(device.received_so_far(), [], "one request");
    }
}

#[test]
fn what_does_not_match_is_shown_with_what_differs_and_is_no_answer() {
    let (_broker, mut server, session, mut device) = setup();
    let arguments = json!({"payload": {"id": "a1"}, "correlation_pointer": "/id", "expect": {"state": {"on": true}}});
    let id = ask(&mut server, &session, arguments);
    device.receive();
    for payload in [
        r#"{"id":"zz","state":{"on":true}}"#,
        r#"{"id":"a1","state":{"on":false}}"#,
        "busy",
        r#"{"id":"a1","state":{"on":true},"more":1}"#,
    ] {
        device.publish("answer", payload);
    }
    let answered = server.outcome(&id);
    let rows = &answered["responses"];
    assert_eq!(mismatches(rows), [json!(["/id"]), json!(["/state/on"]), json!([""]), json!(null)]);
    assert_eq!(rows[3]["matched"], true);
    assert_eq!((&answered["received"], &answered["other_messages"]), (&json!(1), &json!(3)));
}

#[test]
fn repeated_requests_have_values_of_their_own_and_statistics() {
    let (_broker, mut server, session, mut device) = setup();
    let arguments = json!({"payload": r#"{"x":1.10,"id":"r"}"#, "correlation_pointer": "/id", "repeat": 5});
    let id = ask(&mut server, &session, arguments);
    for expected in ["r", "r-2", "r-3", "r-4", "r-5"] {
        let request = device.receive().payload;
        assert_eq!(String::from_utf8_lossy(&request), format!(r#"{{"x":1.10,"id":"{expected}"}}"#));
        // An answer that comes twice is not taken for that of the next request.
        device.publish("answer", &request);
        device.publish("answer", &request);
    }
    let answered = server.outcome(&id);
    assert_eq!((&answered["sent"], &answered["received"], answered.get("note")), (&json!(5), &json!(5), None));
    // The call may end before the last one comes again.
    let extra = answered["late_or_extra_responses"].as_u64();
    assert!(extra.is_some_and(|extra| (4..=5).contains(&extra)), "{answered}");
    assert_eq!(answered.get("other_messages"), None);
    let times = &answered["round_trip_ms"];
    let times = ["min", "median", "max"].map(|name| times[name].as_f64().expect("a time"));
    assert!(times[0] > 0.0 && times.is_sorted(), "{times:?}");
}

#[test]
fn what_came_before_a_request_was_sent_never_answers_it_and_alike_requests_are_told_as_such() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let (session, mut peer) = server.meet(&broker);
    let id = ask(&mut server, &session, json!({"payload": "x", "repeat": 2, "expect": "y"}));
    peer.grant();
    peer.expect(PUBLISH);
    let answer = publish("answer/1", b"y", 0, 0, false);
    let answer_at = Instant::now() + Duration::from_millis(100);
    wait_for("the answer's time", || (Instant::now() >= answer_at).then_some(()));
    peer.send(&[answer.clone(), answer.clone()].concat());
    peer.expect(PINGREQ);
    assert!(answer_at.elapsed() >= Duration::from_millis(100), "another may take as long again");
    peer.send(&[answer.clone(), packet_of(PINGRESP)].concat());
    peer.expect(PUBLISH);
    peer.send(&publish("answer/2", b"y", 0, 0, false));
    let answered = server.outcome(&id);
    assert_eq!((&answered["received"], &answered["late_or_extra_responses"]), (&json!(2), &json!(2)), "{answered}");
    let rows = &answered["responses"];
    assert_eq!((&rows[0]["topic"], &rows[1]["topic"]), (&json!("answer/1"), &json!("answer/2")));
    assert!(answered["note"].as_str().is_some_and(|note| note.contains("alike")), "{answered}");
    let unsubscribe = peer.expect(UNSUBSCRIBE);
    peer.send(&ack(UNSUBACK, unsubscribe.pid()));
    // A pointer to what cannot be counted up tells nothing apart, either.
    let id = ask(&mut server, &session, json!({"payload": {"id": true}, "correlation_pointer": "/id", "repeat": 2}));
    peer.grant();
    for _ in 0..2 {
        peer.expect(PUBLISH);
        peer.send(&publish("answer", br#"{"id":true}"#, 0, 0, false));
    }
    assert!(server.outcome(&id)["note"].is_string());
}

#[test]
fn retained_answers_and_the_own_request_are_ignored_and_told() {
    let (_broker, mut server, session, mut device) = setup();
    device.retain("answer/old", "stale");
    let arguments = json!({"payload": "x", "response_topic": "#", "timeout_seconds": 1});
    let id = ask(&mut server, &session, arguments.clone());
    device.receive();
    let error = server.failure(&id);
    assert_eq!((&error["code"], &error["retryable"]), (&json!("no_response"), &json!(true)));
    let message = error["message"].as_str().expect("a message");
    assert!(message.contains("1 that is retained") && message.contains("1 that is the request itself"), "{message}");
    let rows = error["arrived"].as_array().expect("rows");
    let shown: Vec<_> = rows.iter().map(|row| ["topic", "payload", "ignored"].map(|name| &row[name])).collect();
    assert_eq!(json!(shown), json!([["answer/old", "stale", "retained"], ["ask", "x", "own_request"]]));
    assert!(error["hint"].as_str().is_some_and(|hint| hint.starts_with("check both topics")), "{error}");
    assert_eq!(error.get("omitted"), None, "{error}");
    let id = ask(&mut server, &session, arguments);
    device.receive();
    device.publish("answer/new", "fresh");
    let answered = server.outcome(&id);
    assert_eq!((&answered["retained_ignored"], &answered["own_requests_ignored"]), (&json!(1), &json!(1)));
    assert_eq!(answered["responses"][0]["payload"], "fresh");
    assert_eq!((answered["responses"].as_array().map(Vec::len), answered.get("omitted")), (Some(1), None));
}

#[test]
fn without_an_answer_it_says_what_did_arrive_and_sends_no_more() {
    let (_broker, mut server, session, mut device) = setup();
    let arguments =
        json!({"payload": "x", "expect": {"ok": 1}, "timeout_seconds": 1, "repeat": 20, "max_response_bytes": 1024});
    let id = ask(&mut server, &session, arguments);
    device.receive();
    for n in 0..50 {
        device.publish("answer/wrong", format!(r#"{{"ok":1{n},"text":"{}"}}"#, "x".repeat(200)));
    }
    // The harness checks the budget.
    let error = server.failure(&id);
    assert_eq!(error["code"], "no_response");
    assert!(error["message"].as_str().expect("a message").contains("50 that did not match"), "{error}");
    assert!(error["message"].as_str().is_some_and(|message| message.ends_with("; not sent: 19 more")), "{error}");
    let arrived = &error["arrived"];
    let shown = arrived.as_array().map_or(0, Vec::len) as u64;
    assert_eq!(error["omitted"].as_u64(), Some(50 - shown), "{error}");
    assert_eq!((&arrived[0]["topic"], &arrived[0]["mismatches"]), (&json!("answer/wrong"), &json!(["/ok"])));
    assert!(error["hint"].as_str().is_some_and(|hint| hint.starts_with("compare what arrived with expect")), "{error}");
    assert_eq!(device.received_so_far(), [], "a request that nobody answers is not repeated");
    let silent = ask(&mut server, &session, json!({"payload": "x", "timeout_seconds": 1}));
    assert_eq!(server.failure(&silent).get("arrived"), None);
}

#[test]
fn requests_stop_when_several_in_a_row_stay_without_answer() {
    let (_broker, mut server, session, mut device) = setup();
    let id = ask(&mut server, &session, json!({"payload": "x", "timeout_seconds": 1, "repeat": 20}));
    device.receive();
    device.publish("answer", "y");
    (0..3).for_each(|_| drop(device.receive()));
    let answered = server.outcome(&id);
    assert_eq!((&answered["sent"], &answered["received"]), (&json!(4), &json!(1)));
    assert!(answered["note"].as_str().is_some_and(|note| note.contains("not sent: 16 more")), "{answered}");
}

#[test]
fn nothing_is_sent_before_the_subscription_is_granted() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let (session, mut peer) = server.meet(&broker);
    let id = ask(&mut server, &session, json!({"payload": "x"}));
    let subscribe = peer.expect(SUBSCRIBE);
    assert_eq!(subscribe.filter(), "answer/#");
    peer.send(&publish("answer/early", b"before the request", 0, 0, false));
    peer.send(&suback(subscribe.pid(), 0));
    assert_eq!(peer.expect(PUBLISH).topic(), "ask");
    peer.send(&publish("answer/1", b"y", 0, 0, false));
    let answered = server.outcome(&id);
    assert_eq!((&answered["responses"][0]["topic"], &answered["other_messages"]), (&json!("answer/1"), &json!(1)));
    let unsubscribe = peer.expect(UNSUBSCRIBE);
    assert_eq!(unsubscribe.filter(), "answer/#");
    peer.send(&ack(UNSUBACK, unsubscribe.pid()));
    let id = ask(&mut server, &session, json!({"payload": "x"}));
    let pid = peer.expect(SUBSCRIBE).pid();
    peer.send(&suback(pid, 0x80));
    let error = server.failure(&id);
    assert_eq!((&error["code"], &error["delivery"]), (&json!("subscribe_rejected"), &json!("not_sent")));
}

#[test]
fn a_broker_that_does_not_acknowledge_the_request_is_what_is_told() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let (session, mut peer) = server.meet(&broker);
    let id = ask(&mut server, &session, json!({"payload": "x", "qos": 1, "timeout_seconds": 1}));
    peer.grant();
    peer.expect(PUBLISH);
    let error = server.failure(&id);
    assert_eq!((&error["code"], &error["delivery"]), (&json!("publish_timeout"), &json!("unknown")));
    let id = ask(&mut server, &session, json!({"payload": "x", "qos": 1, "timeout_seconds": 1}));
    let unsubscribe = peer.expect(UNSUBSCRIBE);
    peer.send(&ack(UNSUBACK, unsubscribe.pid()));
    peer.grant();
    peer.expect(PUBLISH);
    drop(peer);
    let error = server.failure(&id);
    assert_eq!((&error["code"], &error["delivery"]), (&json!("publish_timeout"), &json!("unknown")));
    assert!(error["message"].as_str().is_some_and(|message| message.starts_with("the connection was lost")), "{error}");
    assert_eq!(error["interruptions"].as_array().map(Vec::len), Some(1), "{error}");
}

#[test]
fn an_answer_behind_another_message_is_not_held_back_by_our_own_delay() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let (session, mut peer) = server.meet(&broker);
    peer.delay();
    let arguments = json!({"payload": {"id": 1}, "correlation_pointer": "/id", "response_topic": "#", "repeat": 5});
    let id = ask(&mut server, &session, arguments);
    peer.grant();
    for _ in 0..5 {
        let request = peer.expect(PUBLISH).payload().to_vec();
        peer.send(&publish("ask", &request, 0, 0, false));
        peer.send(&publish("answer", &request, 0, 0, false));
    }
    let unsubscribe = peer.expect(UNSUBSCRIBE);
    peer.send(&ack(UNSUBACK, unsubscribe.pid()));
    let answered = server.outcome(&id);
    let took = answered["round_trip_ms"]["median"].as_f64().expect("a time");
    assert!(took < 35.0, "{answered}");
}

#[test]
fn an_answer_after_a_reconnect_counts_and_the_gap_is_told() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let (session, mut peer) = server.meet(&broker);
    let id = ask(&mut server, &session, json!({"payload": "x"}));
    peer.grant();
    peer.expect(PUBLISH);
    drop(peer);
    let mut peer = broker.welcome();
    peer.grant();
    peer.send(&publish("answer", b"late", 0, 0, false));
    let answered = server.outcome(&id);
    assert_eq!(answered["responses"][0]["payload"], "late");
    assert_eq!(answered["interruptions"].as_array().map(Vec::len), Some(1));
}

#[test]
fn a_connection_that_is_lost_while_an_answer_is_waited_for_is_what_is_told() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let (session, mut peer) = server.meet(&broker);
    let id = ask(&mut server, &session, json!({"payload": "x", "qos": 1, "timeout_seconds": 5}));
    peer.grant();
    let pid = peer.expect(PUBLISH).pid();
    // What is retained is no answer, and long enough to tell when all was read.
    peer.send(&[ack(PUBACK, pid), publish("answer/old", &[b'x'; 200], 0, 0, true)].concat());
    server.wait_for_bytes_in(&session, 200);
    drop(peer);
    let mut peer = broker.welcome();
    peer.grant();
    let error = server.failure(&id);
    assert_eq!((&error["code"], &error["delivery"]), (&json!("connection_lost"), &json!("acknowledged")), "{error}");
    assert_eq!(error["retryable"], false, "the device may have done it");
    let message = error["message"].as_str().expect("a message");
    assert!(message.contains("after the request had been acknowledged"), "{message}");
    assert!(error["interruptions"][0]["to"].is_string(), "{error}");
    let unsubscribe = peer.expect(UNSUBSCRIBE);
    peer.send(&ack(UNSUBACK, unsubscribe.pid()));
    // One that was sent after that is not concerned.
    let id = ask(&mut server, &session, json!({"payload": "x", "timeout_seconds": 1}));
    peer.grant();
    peer.expect(PUBLISH);
    peer.expect(PINGREQ);
    peer.send(&packet_of(PINGRESP));
    assert_eq!(server.failure(&id)["code"], "no_response");
    let unsubscribe = peer.expect(UNSUBSCRIBE);
    peer.send(&ack(UNSUBACK, unsubscribe.pid()));
    let id = ask(&mut server, &session, json!({"payload": "x", "timeout_seconds": 1}));
    peer.grant();
    peer.expect(PUBLISH);
    drop(peer);
    let error = server.failure(&id);
    assert_eq!((&error["code"], &error["delivery"]), (&json!("connection_lost"), &json!("sent")), "{error}");
    assert_eq!((error["interruptions"].as_array().map(Vec::len), error["interruptions"][0].get("to")), (Some(1), None));
}

#[test]
fn a_broker_that_falls_silent_is_not_taken_for_a_device_that_does_not_answer() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let (session, mut peer) = server.meet(&broker);
    let mut failed = |qos: u8, answers: fn(&mut Peer)| {
        let started = Instant::now();
        let id = ask(&mut server, &session, json!({"payload": "x", "qos": qos, "timeout_seconds": 1}));
        peer.grant();
        let request = peer.expect(PUBLISH);
        if qos > 0 {
            peer.send(&ack(PUBACK, request.pid()));
        }
        // Nothing that the broker does answers the request, and the connection stands.
        let ping = peer.next().expect("a packet");
        assert_eq!(ping.kind(), PINGREQ, "{ping:?}");
        answers(&mut peer);
        let error = server.failure(&id);
        assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
        let unsubscribe = peer.expect(UNSUBSCRIBE);
        peer.send(&ack(UNSUBACK, unsubscribe.pid()));
        error
    };
    let error = failed(1, |peer| peer.send(&packet_of(PINGRESP)));
    assert_eq!((&error["code"], error.get("delivery")), (&json!("no_response"), None), "{error}");
    let error = failed(0, |peer| peer.send(&publish("answer/old", b"y", 0, 0, true)));
    assert_eq!(error["code"], "no_response", "whatever comes is a sign of life: {error}");
    for (qos, delivery) in [(0, "sent"), (1, "acknowledged")] {
        let error = failed(qos, |_| ());
        assert_eq!((&error["code"], &error["delivery"]), (&json!("connection_lost"), &json!(delivery)), "{error}");
        let message = error["message"].as_str().expect("a message");
        assert!(message.starts_with("the broker itself fell silent"), "{message}");
        assert_eq!((&error["retryable"], error.get("interruptions")), (&json!(false), None), "{error}");
    }
}

#[test]
fn no_more_is_sent_to_a_broker_that_falls_silent_between_requests() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let (session, mut peer) = server.meet(&broker);
    for (repeat, left) in [(2, ""), (3, "; not sent: 1 more")] {
        let payload = json!({"id": "a"});
        let arguments =
            json!({"payload": payload, "correlation_pointer": "/id", "repeat": repeat, "timeout_seconds": 1});
        let id = ask(&mut server, &session, arguments);
        peer.grant();
        let request = peer.expect(PUBLISH);
        peer.send(&publish("answer", request.payload(), 0, 0, false));
        peer.expect(PUBLISH);
        let answered = server.outcome(&id);
        assert_eq!((&answered["sent"], &answered["received"]), (&json!(2), &json!(1)), "{answered}");
        let note = answered["note"].as_str().expect("a note");
        assert!(
            note.starts_with("an answer may have been missed") && note.ends_with(&format!("neither){left}")),
            "{note}"
        );
        let unsubscribe = peer.expect(UNSUBSCRIBE);
        peer.send(&ack(UNSUBACK, unsubscribe.pid()));
    }
}

#[test]
fn the_timeout_holds_when_nothing_can_be_sent_and_that_is_told() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let (session, mut peer) = server.meet(&broker);
    let unsent = |server: &mut Server| {
        let started = Instant::now();
        let id = ask(server, &session, json!({"payload": "x", "timeout_seconds": 1}));
        let error = server.failure(&id);
        assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
        assert_eq!((&error["delivery"], &error["retryable"]), (&json!("not_sent"), &json!(true)), "{error}");
        assert!(error["message"].as_str().is_some_and(|message| message.ends_with("nothing was sent")), "{error}");
        error["code"].clone()
    };
    assert_eq!(unsent(&mut server), "no_response", "the broker is silent");
    peer.expect(SUBSCRIBE);
    drop(peer);
    server.wait_for_state(&session, "reconnecting");
    assert_eq!(unsent(&mut server), "connection_lost");
}

#[test]
fn wrong_arguments_are_named_and_nothing_is_sent() {
    let (_broker, mut server, session, mut device) = setup();
    for (name, value) in [
        ("request_topic", json!("ask/+")),
        ("response_topic", json!("a/#/b")),
        ("correlation_pointer", json!("id")),
        ("correlation_pointer", json!("/none")),
        ("repeat", json!(21)),
        ("qos", json!(3)),
        ("payload_encoding", json!("hex")),
    ] {
        let mut arguments = json!({"payload": {"id": 1}});
        arguments[name] = value;
        let id = ask(&mut server, &session, arguments);
        let error = server.failure(&id);
        let parameter = if name == "payload_encoding" { "payload" } else { name };
        assert_eq!((&error["code"], &error["parameter"]), (&json!("invalid_argument"), &json!(parameter)));
    }
    assert_eq!(device.received_so_far(), []);
}
