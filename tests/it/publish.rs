//! publish_message: what arrives, and an honest word on whether it did.

use serde_json::{Value, json};

use crate::support::client::{Client, Message};
use crate::support::fake_broker::FakeBroker;
use crate::support::mosquitto::Mosquitto;
use crate::support::packets::*;
use crate::support::server::Server;

fn setup() -> (Mosquitto, Server, String, Client) {
    let (broker, mut server) = (Mosquitto::start(), Server::start());
    let session = server.connect(&broker.url());
    let client = Client::connect(broker.port());
    (broker, server, session, client)
}

fn arrived(topic: &str, payload: &[u8], qos: u8) -> Message {
    Message { topic: topic.into(), payload: payload.into(), qos, retain: false }
}

/// Starts to publish at this QoS.
fn start(server: &mut Server, session: &str, qos: u8) -> Value {
    server.start_call("publish_message", json!({"session_id": session, "topic": "t", "payload": "x", "qos": qos}))
}

#[test]
fn each_qos_arrives_and_says_how_far_it_is_known() {
    let (_broker, mut server, session, mut client) = setup();
    client.subscribe("q/#", 2);
    for (qos, delivery) in [(0, "sent"), (1, "acknowledged"), (2, "completed")] {
        let topic = format!("q/{qos}");
        let arguments = json!({"session_id": session, "topic": topic, "payload": "grün", "qos": qos});
        let published = server.call("publish_message", arguments);
        let expected = json!({"status": "success", "topic": topic, "payload_bytes": 5, "qos": qos, "retain": false, "delivery": delivery});
        for (name, value) in expected.as_object().expect("an object") {
            assert_eq!(&published[name], value, "{name}");
        }
        assert_eq!(published["round_trip_ms"].is_number(), qos > 0);
        assert!(published["published_at"].as_str().is_some_and(|time| time.ends_with('Z')));
        assert_eq!(client.receive(), arrived(&topic, "grün".as_bytes(), qos));
    }
}

#[test]
fn a_retained_message_stays_until_an_empty_one_deletes_it() {
    let (broker, mut server, session, _) = setup();
    let mut retain = |payload: &str| {
        let arguments = json!({"session_id": session, "topic": "r", "payload": payload, "retain": true, "qos": 1});
        assert_eq!(server.call("publish_message", arguments)["retain"], true);
        let mut late = Client::connect(broker.port());
        late.subscribe("r", 0);
        late.received_so_far()
    };
    let kept = retain("kept");
    assert_eq!((kept.len(), &kept[0].payload[..], kept[0].retain), (1, &b"kept"[..], true));
    assert_eq!(retain(""), []);
}

#[test]
fn payloads_are_sent_as_they_are_meant() {
    let (_broker, mut server, session, mut client) = setup();
    client.subscribe("p", 0);
    for (arguments, sent) in [
        (r#""payload":"as it is\n""#, &b"as it is\n"[..]),
        (r#""payload":"{\"b\": 1.10}""#, br#"{"b": 1.10}"#),
        (r#""payload":{"b": 1.10, "a": 2}"#, br#"{"b":1.10,"a":2}"#),
        (
            r#""payload": [ 1, "x  y", {"big": 123456789012345678901234567890} ]"#,
            br#"[1,"x  y",{"big":123456789012345678901234567890}]"#,
        ),
        (r#""payload":1e2"#, b"1e2"),
        (r#""payload":true"#, b"true"),
        (r#""payload":null"#, b"null"),
        (r#""payload":"""#, b""),
        (r#""payload":"AP8Q","payload_encoding":"base64""#, b"\x00\xff\x10"),
        (r#""payload":"00fF10","payload_encoding":"hex""#, b"\x00\xff\x10"),
    ] {
        let params = format!(r#"{{"session_id":"{session}","topic":"p",{arguments}}}"#);
        server.raw(format!(r#"{{"jsonrpc":"2.0","id":"p","method":"publish_message","params":{params}}}"#));
        assert_eq!(server.response(&json!("p")).json["result"]["payload_bytes"], sent.len(), "{arguments}");
        assert_eq!(client.receive(), arrived("p", sent, 0), "{arguments}");
    }
}

#[test]
fn wrong_arguments_are_named_and_nothing_is_sent() {
    let (_broker, mut server, session, mut client) = setup();
    client.subscribe("#", 0);
    for (name, value) in [
        ("topic", json!("")),
        ("topic", json!("a/+")),
        ("topic", json!("a/#")),
        ("topic", json!("a\u{0}b")),
        ("topic", json!("x".repeat(65_536))),
        ("qos", json!(3)),
        ("retain", json!("yes")),
        ("payload_encoding", json!("utf16")),
        ("timeout_seconds", json!(0)),
        ("typo", json!(1)),
    ] {
        let mut arguments = json!({"session_id": session, "topic": "t", "payload": "x"});
        arguments[name] = value;
        let error = server.fail("publish_message", arguments);
        assert_eq!((&error["code"], &error["parameter"]), (&json!("invalid_argument"), &json!(name)));
    }
    for (encoding, payload) in [
        ("base64", json!("a")),
        ("base64", json!("@@@@")),
        ("hex", json!("abc")),
        ("hex", json!("zz")),
        ("hex", json!(12)),
    ] {
        let arguments = json!({"session_id": session, "topic": "t", "payload": payload, "payload_encoding": encoding});
        assert_eq!(server.fail("publish_message", arguments)["parameter"], "payload", "{encoding} {payload}");
    }
    let missing = server.fail("publish_message", json!({"session_id": session, "topic": "t"}));
    assert_eq!(missing["parameter"], "payload");
    let payload = "x".repeat((1 << 20) + 1);
    let error = server.fail("publish_message", json!({"session_id": session, "topic": "t", "payload": payload}));
    assert_eq!(error["code"], "payload_too_large");
    assert_eq!(client.received_so_far(), []);
}

#[test]
fn messages_keep_their_order() {
    let (_broker, mut server, session, mut client) = setup();
    client.subscribe("o", 2);
    let calls: Vec<_> = (0..30)
        .map(|n| {
            let arguments = json!({"session_id": session, "topic": "o", "payload": n.to_string(), "qos": 1});
            server.start_call("publish_message", arguments)
        })
        .collect();
    for id in &calls {
        server.outcome(id);
    }
    let received: Vec<_> = calls.iter().map(|_| String::from_utf8(client.receive().payload).expect("text")).collect();
    assert_eq!(received, (0..30).map(|n| n.to_string()).collect::<Vec<_>>());
}

#[test]
fn qos_1_is_sent_again_when_the_connection_was_cut_before_its_acknowledgement() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    for session_present in [false, true] {
        let (session, mut peer) = server.meet(&broker);
        let id = start(&mut server, &session, 1);
        let first = peer.expect(PUBLISH);
        assert_eq!((first.dup(), first.qos(), first.pid() > 0), (false, 1, true));
        drop(peer);
        let mut peer = broker.welcome_with(connack(session_present, 0));
        let again = peer.expect(PUBLISH);
        assert_eq!((again.payload(), again.pid(), again.dup()), (first.payload(), first.pid(), true));
        peer.send(&ack(PUBACK, again.pid()));
        let published = server.outcome(&id);
        assert_eq!((&published["delivery"], &published["sent_again"]), (&json!("acknowledged"), &json!(true)));
    }
}

#[test]
fn qos_2_is_completed_in_a_kept_session_without_a_second_delivery() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let (session, mut peer) = server.meet(&broker);
    let id = start(&mut server, &session, 2);
    let pid = peer.expect(PUBLISH).pid();
    peer.send(&ack(PUBREC, pid));
    assert_eq!(peer.expect(PUBREL).pid(), pid);
    drop(peer);
    let mut peer = broker.welcome_with(connack(true, 0));
    assert_eq!(peer.expect(PUBREL).pid(), pid, "not the message itself (4.3.3)");
    peer.send(&ack(PUBCOMP, pid));
    assert_eq!(server.outcome(&id)["delivery"], "completed");
}

#[test]
fn qos_2_in_a_lost_session_is_said_to_be_unknown() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let (session, mut peer) = server.meet(&broker);
    let id = start(&mut server, &session, 2);
    peer.expect(PUBLISH);
    drop(peer);
    let mut peer = broker.welcome();
    let error = server.failure(&id);
    let said = (&error["code"], &error["delivery"], &error["retryable"]);
    assert_eq!(said, (&json!("connection_lost"), &json!("unknown"), &json!(false)));
    assert!(error["message"].as_str().expect("a message").contains("not sent again"), "{error}");
    // Nothing of it comes on the new connection: the next packet is the next message.
    start(&mut server, &session, 0);
    assert_eq!(peer.expect(PUBLISH).qos(), 0);
}

#[test]
fn an_acknowledgement_that_does_not_come_is_a_timeout_with_an_unknown_delivery() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let (session, mut peer) = server.meet(&broker);
    let arguments = json!({"session_id": session, "topic": "t", "payload": "x", "qos": 1, "timeout_seconds": 1});
    let id = server.start_call("publish_message", arguments);
    peer.expect(PUBLISH);
    let error = server.failure(&id);
    let said = (&error["code"], &error["delivery"], &error["retryable"]);
    assert_eq!(said, (&json!("publish_timeout"), &json!("unknown"), &json!(false)));
}

#[test]
fn a_publish_waits_for_the_connection_to_come_back() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    for qos in [0, 1] {
        let (session, peer) = server.meet(&broker);
        drop(peer);
        server.wait_for_state(&session, "reconnecting");
        let id = start(&mut server, &session, qos);
        let mut peer = broker.welcome();
        let publish = peer.expect(PUBLISH);
        assert!(!publish.dup());
        if qos == 1 {
            peer.send(&ack(PUBACK, publish.pid()));
        }
        let published = server.outcome(&id);
        assert_eq!((&published["qos"], published.get("sent_again")), (&json!(qos), None));
    }
}

#[test]
fn a_publish_on_a_connection_that_stays_away_was_not_sent_and_never_will_be() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let (session, peer) = server.meet(&broker);
    drop(peer);
    server.wait_for_state(&session, "reconnecting");
    let arguments = json!({"session_id": session, "topic": "late", "payload": "x", "timeout_seconds": 1});
    let error = server.fail("publish_message", arguments);
    let said = (&error["code"], &error["delivery"], &error["retryable"]);
    assert_eq!(said, (&json!("publish_timeout"), &json!("not_sent"), &json!(true)));
    let mut peer = broker.welcome();
    server.wait_for_state(&session, "connected");
    start(&mut server, &session, 0);
    assert_eq!(peer.expect(PUBLISH).topic(), "t");
}

#[test]
fn packet_ids_in_flight_are_never_shared() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let (session, mut peer) = server.meet(&broker);
    let calls: Vec<_> = (0..10).map(|_| start(&mut server, &session, 1)).collect();
    let mut pids: Vec<_> = calls.iter().map(|_| peer.expect(PUBLISH).pid()).collect();
    pids.iter().rev().for_each(|pid| peer.send(&ack(PUBACK, *pid)));
    calls.iter().for_each(|id| drop(server.outcome(id)));
    pids.sort_unstable();
    pids.dedup();
    assert!(pids.len() == 10 && pids[0] > 0, "{pids:?}");
}
