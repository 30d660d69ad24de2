//! Resources: what is listed, what reading gives, and updates in the way of the handshake's revisions.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::fake_broker::FakeBroker;
use crate::support::mosquitto::Mosquitto;
use crate::support::packets::*;
use crate::support::server::Server;
use crate::support::wait_for;

const UPDATED: &str = "notifications/resources/updated";

struct Play {
    server: Server,
    client: Client,
    session: String,
    // Lives as long as the play.
    _broker: Mosquitto,
}

impl Play {
    fn new() -> Self {
        let (mut server, broker) = (Server::start(), Mosquitto::start());
        let (session, client) = (server.connect(&broker.url()), Client::connect(broker.port()));
        Self { server, client, session, _broker: broker }
    }

    fn uri(&self, topic: &str) -> String {
        format!("mqtt://{}/topic/{topic}", self.session)
    }

    fn read(&mut self, uri: &str) -> Value {
        let id = self.server.request("resources/read", json!({"uri": uri}));
        let mut result = self.server.result(&id);
        let contents = result["contents"].as_array_mut().expect("contents");
        assert_eq!((contents.len(), &contents[0]["uri"]), (1, &json!(uri)));
        contents[0].take()
    }

    fn refused(&mut self, uri: &str) -> Value {
        let id = self.server.request("resources/read", json!({"uri": uri}));
        self.server.response(&id).json["error"].take()
    }

    fn subscribe(&mut self, topic: &str) -> String {
        let uri = self.uri(topic);
        let id = self.server.request("resources/subscribe", json!({"uri": uri}));
        assert_eq!(self.server.result(&id), json!({}));
        uri
    }
}

#[test]
fn sessions_and_their_brokers_are_listed_and_can_be_read() {
    let mut play = Play::new();
    let id = play.server.request("resources/list", json!({}));
    let list = play.server.result(&id)["resources"].clone();
    let uris: Vec<_> = list.as_array().expect("a list").iter().map(|row| row["uri"].clone()).collect();
    let broker = format!("mqtt://{}/broker", play.session);
    assert_eq!(uris, [json!("mqtt://sessions"), json!(broker)]);
    assert!(list[1]["description"].as_str().expect("a description").contains("$SYS"));

    let sessions = play.read("mqtt://sessions");
    assert_eq!(sessions["mimeType"], "application/json");
    let table: Value = serde_json::from_str(sessions["text"].as_str().expect("text")).expect("JSON");
    assert_eq!(table["active_connections"][0]["session_id"], play.session.as_str());

    let told = play.read(&broker);
    let told: Value = serde_json::from_str(told["text"].as_str().expect("text")).expect("JSON");
    assert!(told["topics"]["$SYS/broker/version"].as_str().expect("a version").contains("mosquitto"), "{told}");
    assert_eq!(told["topic_count"], told["topics"].as_object().expect("topics").len());

    let id = play.server.request("resources/templates/list", json!({}));
    let template = play.server.result(&id)["resourceTemplates"][0].clone();
    assert_eq!(template["uriTemplate"], "mqtt://{session_id}/topic/{+topic}");
}

#[test]
fn a_retained_message_is_read_as_what_it_is() {
    let mut play = Play::new();
    let binary: &[u8] = &[0xff, 0x00, 0x80];
    for (topic, payload, mime_type, encoded) in [
        ("r/json", &b"{\"value\": 21.50}"[..], "application/json", "r/json"),
        ("r/number", b"21.50", "application/json", "r%2Fnumber"),
        ("r/text", "gr\u{fc}n\n".as_bytes(), "text/plain", "r/text"),
        ("r/xml", b"<a>1</a>", "application/xml", "r/xml"),
        ("r/binary", binary, "application/octet-stream", "r/binary"),
        ("r/with space?100%", b"x", "text/plain", "r/with%20space?100%25"),
        ("/k\u{fc}che//", b"x", "text/plain", "/k%C3%BCche//"),
    ] {
        play.client.retain(topic, payload);
        let uri = play.uri(encoded);
        let content = play.read(&uri);
        assert_eq!(content["mimeType"], mime_type, "{topic}");
        match std::str::from_utf8(payload) {
            Ok(text) => assert_eq!((&content["text"], content.get("blob")), (&json!(text), None), "{topic}"),
            Err(_) => assert_eq!((&content["blob"], content.get("text")), (&json!("/wCA"), None), "{topic}"),
        }
    }
}

#[test]
fn a_missing_resource_is_told_with_its_name_in_both_eras() {
    let mut play = Play::new();
    let none = "mqtt://00000000-0000-4000-8000-000000000000";
    for uri in [
        "mqtt://no-such-resource-here".to_owned(),
        format!("{none}/broker"),
        format!("{none}/topic/a"),
        play.uri("nothing/here"),
        play.uri("a/%23"),
        "file:///etc/passwd".to_owned(),
    ] {
        let refused = play.refused(&uri);
        assert_eq!((&refused["code"], &refused["data"]["uri"]), (&json!(-32002), &json!(uri)));
        let refused = play.server.modern("resources/read", json!({"uri": uri})).json["error"].take();
        assert_eq!((&refused["code"], &refused["data"]["uri"]), (&json!(-32602), &json!(uri)));
        assert!(!refused["message"].as_str().expect("a sentence").is_empty());
    }
}

#[test]
fn with_nothing_retained_the_next_live_message_is_read() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let (session, mut peer) = server.meet(&broker);
    let id = server.request("resources/read", json!({"uri": format!("mqtt://{session}/topic/live")}));
    assert_eq!(peer.grant(), "live");
    peer.send(&publish("live", b"now", 0, 0, false));
    assert_eq!(server.result(&id)["contents"][0]["text"], "now");
    assert_eq!(peer.expect(UNSUBSCRIBE).filter(), "live");
}

#[test]
fn a_message_that_is_too_large_to_be_read_is_told_and_one_of_the_limit_is_read() {
    let mut play = Play::new();
    play.client.retain("big", vec![b'x'; 1 << 20]);
    let uri = play.uri("big");
    assert_eq!(play.read(&uri)["text"].as_str().map(str::len), Some(1 << 20));
    play.client.retain("big", vec![b'x'; (1 << 20) + 1]);
    let refused = play.refused(&uri);
    assert_eq!(refused["data"]["error"]["code"], "payload_too_large");
    assert!(refused["code"].as_i64().expect("a code") > 0);
}

#[test]
fn a_cancelled_read_is_not_answered_and_gives_its_subscription_back() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let (session, mut peer) = server.meet(&broker);
    let id = server.request("resources/read", json!({"uri": format!("mqtt://{session}/topic/t")}));
    peer.grant();
    server.notify("notifications/cancelled", json!({"requestId": id}));
    assert_eq!(peer.expect(UNSUBSCRIBE).filter(), "t");
    server.call("list_active_connections", json!({}));
    assert!(server.take_kept().is_empty());
}

#[test]
fn a_subscriber_is_told_of_changes_and_reads_the_last_message() {
    let mut play = Play::new();
    play.client.retain("s", "old");
    let uri = play.subscribe("s");
    assert_eq!(play.read(&uri)["text"], "old");
    play.client.publish("s", "new");
    assert_eq!(play.server.notification(UPDATED), json!({"uri": uri}));
    assert_eq!(play.read(&uri)["text"], "new", "live and not retained: only a subscriber has seen it");
    assert!(play.server.take_kept().is_empty(), "what was retained is no change");
}

#[test]
fn many_changes_are_told_as_few_and_the_last_one_always() {
    let mut play = Play::new();
    let uri = play.subscribe("s");
    for n in 0..200 {
        play.client.publish("s", n.to_string());
    }
    let mut told = 0;
    wait_for("the last change", || {
        play.server.notification(UPDATED);
        told += 1;
        (play.read(&uri)["text"] == "199").then_some(())
    });
    assert!(told <= 3, "{told} notifications for 200 messages at once");
}

#[test]
fn after_unsubscribing_nothing_is_told_and_the_broker_is_told() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let (session, mut peer) = server.meet(&broker);
    let uri = format!("mqtt://{session}/topic/s");
    let id = server.request("resources/subscribe", json!({"uri": uri}));
    assert_eq!(peer.grant(), "s");
    assert_eq!(server.result(&id), json!({}));
    let again = server.request("resources/subscribe", json!({"uri": uri}));
    assert_eq!(server.result(&again), json!({}), "once more is no second subscription");
    let id = server.request("resources/unsubscribe", json!({"uri": uri}));
    assert_eq!(server.result(&id), json!({}));
    assert_eq!(peer.expect(UNSUBSCRIBE).filter(), "s");
    peer.send(&publish("s", b"late", 0, 0, false));
    let id = server.request("resources/unsubscribe", json!({"uri": uri}));
    assert_eq!(server.result(&id), json!({}), "what is not there can be ended");
    server.expect_silence(Duration::from_millis(50));
}

#[test]
fn a_subscription_that_is_still_being_made_can_be_ended_and_cancelled() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let (session, mut peer) = server.meet(&broker);
    let uri = format!("mqtt://{session}/topic/s");
    let subscribing = server.request("resources/subscribe", json!({"uri": uri}));
    peer.expect(SUBSCRIBE);
    let ending = server.request("resources/unsubscribe", json!({"uri": uri}));
    assert_eq!((server.result(&subscribing), server.result(&ending)), (json!({}), json!({})));
    assert_eq!(peer.expect(UNSUBSCRIBE).filter(), "s");
    let other = format!("mqtt://{session}/topic/other");
    let subscribing = server.request("resources/subscribe", json!({"uri": other}));
    peer.expect(SUBSCRIBE);
    server.notify("notifications/cancelled", json!({"requestId": subscribing}));
    assert_eq!(peer.expect(UNSUBSCRIBE).filter(), "other");
    server.expect_silence(Duration::from_millis(50));
}

#[test]
fn the_end_of_a_session_is_told_as_a_change_and_the_resource_is_gone() {
    let mut play = Play::new();
    let uri = play.subscribe("s");
    play.server.call("close_connection", json!({"session_id": play.session}));
    assert_eq!(play.server.notification(UPDATED), json!({"uri": uri}));
    assert_eq!(play.refused(&uri)["code"], -32002);
    play.server.expect_silence(Duration::from_millis(50));
}

#[test]
fn what_cannot_be_subscribed_to_is_refused_with_the_reason() {
    let mut play = Play::new();
    let broker = format!("mqtt://{}/broker", play.session);
    for (uri, code) in
        [("mqtt://sessions", -32602), (&broker, -32602), (&play.uri("a/+"), -32002), ("mqtt://x/topic/a", -32002)]
    {
        let id = play.server.request("resources/subscribe", json!({"uri": uri}));
        assert_eq!(play.server.response(&id).json["error"]["code"], code, "{uri}");
    }
}

#[test]
fn subscriptions_are_limited_and_there_is_room_again() {
    let mut play = Play::new();
    let uris: Vec<_> = (0..32).map(|n| play.subscribe(&format!("s/{n}"))).collect();
    let more = json!({"uri": play.uri("s/more")});
    let id = play.server.request("resources/subscribe", more.clone());
    assert_eq!(play.server.response(&id).json["error"]["data"]["error"]["code"], "too_many_calls");
    let id = play.server.request("resources/unsubscribe", json!({"uri": uris[7]}));
    play.server.result(&id);
    let id = play.server.request("resources/subscribe", more);
    assert_eq!(play.server.result(&id), json!({}));
}

#[test]
fn a_new_handshake_begins_without_the_subscriptions_of_the_one_before() {
    let mut play = Play::new();
    play.subscribe("s");
    play.server.initialize("2025-06-18");
    play.client.publish("s", "x");
    let uri = play.subscribe("t");
    play.client.publish("t", "x");
    assert_eq!(play.server.notification(UPDATED), json!({"uri": uri}));
    assert!(play.server.take_kept().is_empty());
}

#[test]
fn after_a_reconnect_only_what_has_changed_is_told() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let (session, mut peer) = server.meet(&broker);
    let uri = |topic: &str| format!("mqtt://{session}/topic/{topic}");
    for topic in ["same", "new"] {
        let id = server.request("resources/subscribe", json!({"uri": uri(topic)}));
        peer.grant();
        server.result(&id);
        peer.send(&publish(topic, b"1", 0, 0, true));
    }
    wait_for("both messages", || (server.row(&session)["messages_in"] == 2).then_some(()));
    drop(peer);
    let mut peer = broker.welcome();
    for _ in 0..2 {
        let topic = peer.grant();
        peer.send(&publish(&topic, if topic == "same" { b"1" } else { b"2" }, 0, 0, true));
    }
    assert_eq!(server.notification(UPDATED), json!({"uri": uri("new")}));
    server.call("list_active_connections", json!({}));
    assert!(server.take_kept().is_empty());
}
