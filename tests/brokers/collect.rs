//! subscribe_and_collect of one call: live and retained messages.

use serde_json::{Value, json};

use crate::broker::Kind;
use crate::scene::{Scene, on_every_broker, sorted};
use crate::support::client::Client;
use crate::support::tools::{messages, payloads};

on_every_broker!(
    live_messages_of_each_qos_come_in_order,
    retained_messages_are_taken_left_out_or_all_there_is,
    an_empty_payload_deletes_what_is_retained,
    retained_messages_come_once_to_a_later_session,
    a_filter_given_back_and_wanted_again_at_once_is_in_force,
);

fn live_messages_of_each_qos_come_in_order(kind: Kind) {
    for subscribed in 0..=2 {
        let mut scene = Scene::on(kind);
        let wish = json!({"topic_pattern": "a/#", "qos": subscribed, "max_messages": 3, "duration_seconds": 60});
        let id = scene.listen(wish, 0);
        scene.client.publish("a/zero", "21.5");
        scene.client.publish_at(1, "a/one", r#"{"on":true}"#);
        scene.client.publish_at(2, "a/two", "plain text");
        let collected = scene.server.outcome(&id);
        let seen: Vec<_> = messages(&collected).iter().map(|m| json!([m["topic"], m["qos"], m["payload"]])).collect();
        let qos = |published| kind.live_qos(subscribed, published);
        let expected = [
            json!(["a/zero", qos(0), 21.5]),
            json!(["a/one", qos(1), {"on": true}]),
            json!(["a/two", qos(2), "plain text"]),
        ];
        assert_eq!(seen, expected);
        assert!(messages(&collected).iter().all(|m| m["retain"] == false && m["dup"] == false), "{collected}");
        assert_eq!((&collected["granted_qos"], &collected["interruptions"]), (&json!(subscribed), &json!([])));
    }
}

/// Collects `r/#` while a live message comes, until a last one.
fn with_live(scene: &mut Scene, retained: &str) -> Value {
    // An earlier call may have just given this filter back.
    scene.settle();
    let wish = json!({"topic_pattern": "r/#", "retained": retained, "until": "end", "duration_seconds": 60});
    let id = scene.listen(wish, 2);
    // Aedes sends what it retains before the subscription takes live messages.
    scene.settle();
    scene.client.publish("r/live", "live");
    scene.client.publish("r/live", "end");
    scene.server.outcome(&id)
}

fn retained_messages_are_taken_left_out_or_all_there_is(kind: Kind) {
    let mut scene = Scene::on(kind);
    scene.retain(&[("r/1", "old 1"), ("r/2", "old 2")]);
    let both = with_live(&mut scene, "include");
    assert_eq!(sorted(&both), ["end", "live", "old 1", "old 2"]);
    assert_eq!(messages(&both).iter().map(|m| m["retain"] == true).collect::<Vec<_>>(), [true, true, false, false]);
    assert_eq!(payloads(&with_live(&mut scene, "exclude")), ["live", "end"]);
    let only = scene.retained("r/#");
    assert_eq!((sorted(&only), &only["stopped_by"]), (vec!["old 1".into(), "old 2".into()], &json!("retained_done")));
}

fn an_empty_payload_deletes_what_is_retained(kind: Kind) {
    let mut scene = Scene::on(kind);
    for qos in 0..=2 {
        for topic in ["d/gone", "d/kept"] {
            let arguments = json!({"topic": topic, "payload": topic, "retain": true, "qos": qos});
            assert_eq!(scene.call("publish_message", arguments)["retain"], true);
        }
        assert_eq!(sorted(&scene.retained("d/#")), ["d/gone", "d/kept"]);
        scene.call("publish_message", json!({"topic": "d/gone", "payload": "", "retain": true, "qos": qos}));
        assert_eq!(sorted(&scene.retained("d/#")), ["d/kept"]);
        assert_eq!(seen_by_a_late_client(&scene), ["d/kept"]);
    }
}

/// The retained payloads that a new client gets.
fn seen_by_a_late_client(scene: &Scene) -> Vec<String> {
    let mut late = Client::connect(scene.broker.port());
    late.subscribe("d/#", 0);
    late.publish("d/live", "live");
    let mut seen = Vec::new();
    // The retained message that is there and the live one, in whatever order they come.
    while !(seen.iter().any(|payload| payload == "live") && seen.iter().any(|payload| payload == "d/kept")) {
        seen.push(String::from_utf8(late.receive().payload).expect("text"));
    }
    seen.retain(|payload| payload != "live");
    // A broker may send retained messages to a client before it asks for any.
    seen.dedup();
    seen
}

/// amqtt sends a new connection retained messages of filters that others have subscribed.
fn retained_messages_come_once_to_a_later_session(kind: Kind) {
    let mut scene = Scene::on(kind);
    scene.retain(&[("r/1", "old 1"), ("r/2", "old 2")]);
    let first = scene.listen(json!({"topic_pattern": "r/#", "until": "end", "duration_seconds": 60}), 2);
    let earlier = std::mem::replace(&mut scene.session, scene.server.connect(&scene.broker.url()));
    scene.settle();
    assert_eq!(scene.messages_in(), if kind.sends_retained_unasked() { 4 } else { 0 });
    assert_eq!(sorted(&scene.retained("r/#")), ["old 1", "old 2"]);
    assert_eq!(payloads(&with_live(&mut scene, "exclude")), ["live", "end"]);
    assert_eq!(sorted(&scene.server.outcome(&first)), ["end", "live", "old 1", "old 2"], "{earlier}");
}

/// The UNSUBSCRIBE of one call and the SUBSCRIBE of the next follow each other closely. aedes does not keep their order:
/// it answers SUBSCRIBE first and then drops the filter.
fn a_filter_given_back_and_wanted_again_at_once_is_in_force(kind: Kind) {
    let mut scene = Scene::on(kind);
    for round in ["first", "second", "third"] {
        let wish = json!({"topic_pattern": "v/#", "max_messages": 1, "duration_seconds": 5});
        let given_back = scene.listen(wish.clone(), 0);
        scene.server.notify("notifications/cancelled", json!({"requestId": given_back}));
        let id = scene.start(wish);
        scene.settle();
        scene.client.publish("v/live", round);
        assert_eq!(payloads(&scene.server.outcome(&id)), [round]);
        scene.settle();
    }
}
