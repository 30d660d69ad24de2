//! `subscriptions/listen`: acknowledged, told on its own stream, silent after its cancel, ended in order.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::fake_broker::FakeBroker;
use crate::support::mosquitto::Mosquitto;
use crate::support::packets::*;
use crate::support::server::{Server, command};

const UPDATED: &str = "notifications/resources/updated";
const ACKNOWLEDGED: &str = "notifications/subscriptions/acknowledged";

fn listen(server: &mut Server, notifications: Value) -> Value {
    server.start_modern("subscriptions/listen", json!({"notifications": notifications}))
}

fn stream(id: &Value) -> Value {
    json!({"io.modelcontextprotocol/subscriptionId": id})
}

#[test]
fn a_stream_without_wishes_is_acknowledged_held_and_ended_at_the_end_of_input() {
    let mut server = Server::spawn(command(&[]));
    let all = json!({"toolsListChanged": true, "promptsListChanged": true, "resourcesListChanged": true});
    let first = listen(&mut server, json!({}));
    let second = listen(&mut server, all);
    for id in [&first, &second] {
        assert_eq!(server.next_line().json["params"], json!({"_meta": stream(id), "notifications": {}}));
    }
    assert!(server.modern("tools/list", json!({})).json["result"].is_object(), "others are served meanwhile");
    server.close_stdin();
    let ends = server.lines_to_end();
    for (id, end) in [first, second].iter().zip(&ends) {
        assert_eq!(&end.json["id"], id);
        let result = &end.json["result"];
        assert_eq!(result["resultType"], "complete");
        assert_eq!(result["_meta"]["io.modelcontextprotocol/subscriptionId"], *id);
    }
    assert_eq!(ends.len(), 2);
    assert!(server.process.wait_exit().success());
}

#[test]
fn a_signal_ends_streams_in_order() {
    let mut server = Server::spawn(command(&[]));
    let id = listen(&mut server, json!({}));
    server.notification(ACKNOWLEDGED);
    server.process.signal("TERM");
    let ends = server.lines_to_end();
    assert_eq!(ends.iter().map(|end| &end.json["id"]).collect::<Vec<_>>(), [&id]);
}

#[test]
fn updates_come_on_the_stream_that_asked_and_only_for_what_was_acknowledged() {
    let (mut server, broker) = (Server::spawn(command(&[])), Mosquitto::start());
    let session =
        server.bare("establish_connection", json!({"connection_string": broker.url()}))["result"]["session_id"]
            .as_str()
            .expect("an id")
            .to_owned();
    let mut client = Client::connect(broker.port());
    let uri = |topic: &str| format!("mqtt://{session}/topic/{topic}");
    let id = listen(
        &mut server,
        json!({"resourceSubscriptions": [uri("a"), "mqtt://sessions", uri("b"), uri("+"), "mqtt://x/topic/a"]}),
    );
    let acknowledged = server.notification(ACKNOWLEDGED);
    let honoured = json!({"resourceSubscriptions": [uri("a"), uri("b")]});
    assert_eq!(acknowledged, json!({"_meta": stream(&id), "notifications": honoured}));
    client.publish("b", "1");
    assert_eq!(server.notification(UPDATED), json!({"_meta": stream(&id), "uri": uri("b")}));
    let read = server.modern("resources/read", json!({"uri": uri("b")})).json["result"].take();
    assert_eq!((&read["contents"][0]["text"], &read["ttlMs"]), (&json!("1"), &json!(0)));

    let other = listen(&mut server, json!({"resourceSubscriptions": [uri("a")]}));
    server.notification(ACKNOWLEDGED);
    client.publish("a", "1");
    let streams = [server.notification(UPDATED), server.notification(UPDATED)].map(|params| params["_meta"].clone());
    assert!(streams.contains(&stream(&id)) && streams.contains(&stream(&other)), "each stream of its own");
}

#[test]
fn after_its_cancel_a_stream_is_silent_and_gives_back_what_it_subscribed_to() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let (session, mut peer) = server.meet(&broker);
    let uri = format!("mqtt://{session}/topic/s");
    let id = listen(&mut server, json!({"resourceSubscriptions": [uri]}));
    peer.grant();
    server.notification(ACKNOWLEDGED);
    // A change and the cancel at once: whichever comes first, nothing follows the cancel.
    peer.send(&publish("s", b"1", 0, 0, false));
    server.notify("notifications/cancelled", json!({"requestId": id, "_meta": {}}));
    let after = server.request("ping", json!({}));
    server.response(&after);
    server.take_kept();
    assert_eq!(peer.expect(UNSUBSCRIBE).filter(), "s");
    peer.send(&publish("s", b"2", 0, 0, false));
    server.expect_silence(Duration::from_millis(50));
    assert!(server.modern("tools/list", json!({})).json["result"].is_object());
}

#[test]
fn a_stream_that_is_cancelled_before_the_broker_has_granted_is_never_acknowledged() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let (session, mut peer) = server.meet(&broker);
    let uri = format!("mqtt://{session}/topic/s");
    let id = listen(&mut server, json!({"resourceSubscriptions": [uri]}));
    let subscribe = peer.expect(SUBSCRIBE);
    server.notify("notifications/cancelled", json!({"requestId": id}));
    assert_eq!(peer.expect(UNSUBSCRIBE).filter(), "s");
    peer.send(&suback(subscribe.pid(), 0));
    server.expect_silence(Duration::from_millis(50));
}

#[test]
fn both_eras_are_told_of_the_same_topic_and_each_ends_by_itself() {
    let (mut server, broker) = (Server::start(), Mosquitto::start());
    let (session, mut client) = (server.connect(&broker.url()), Client::connect(broker.port()));
    let uri = format!("mqtt://{session}/topic/s");
    let id = server.request("resources/subscribe", json!({"uri": uri}));
    server.result(&id);
    let stream_id = listen(&mut server, json!({"resourceSubscriptions": [uri]}));
    server.notification(ACKNOWLEDGED);
    client.publish("s", "1");
    let told = [server.notification(UPDATED), server.notification(UPDATED)];
    assert!(told.contains(&json!({"uri": uri})) && told.contains(&json!({"_meta": stream(&stream_id), "uri": uri})));
    let id = server.request("resources/unsubscribe", json!({"uri": uri}));
    server.result(&id);
    client.publish("s", "2");
    assert_eq!(server.notification(UPDATED), json!({"_meta": stream(&stream_id), "uri": uri}));
    server.call("close_connection", json!({"session_id": session}));
    assert_eq!(server.notification(UPDATED), json!({"_meta": stream(&stream_id), "uri": uri}), "its end is a change");
    assert!(server.take_kept().is_empty(), "the stream itself stays open");
}

#[test]
fn streams_are_limited() {
    let mut server = Server::spawn(command(&[]));
    for _ in 0..8 {
        listen(&mut server, json!({}));
        server.notification(ACKNOWLEDGED);
    }
    let id = listen(&mut server, json!({}));
    assert_eq!(server.response(&id).json["error"]["data"]["error"]["code"], "too_many_calls");
    let answer = server.modern("tools/call", json!({"name": "list_active_connections"}));
    assert_eq!(answer.json["result"]["structuredContent"]["total_count"], 0, "calls have their own limit");
}
