//! The broker goes away and comes back.

use serde_json::{Value, json};

use crate::broker::Kind;
use crate::scene::{Scene, on_every_broker};
use crate::support::client::Client;
use crate::support::tools::{CONNACK_BYTES, SUBACK_BYTES, payloads};

on_every_broker!(a_collection_goes_on_over_a_restart_of_the_broker, retained_messages_come_again_after_a_restart);

/// Kills the broker and starts it again; comes back when the session has subscribed again.
fn restart(scene: &mut Scene, subscriptions: u64) {
    scene.broker.kill();
    let row = scene.server.wait_for_state(&scene.session, "reconnecting");
    assert!(row["last_error"].is_string(), "{row}");
    scene.broker.restart();
    let back = row["bytes_in"].as_u64().expect("a count") + CONNACK_BYTES + subscriptions * SUBACK_BYTES;
    scene.server.wait_for_bytes_in(&scene.session, back);
    let row = scene.server.row(&scene.session);
    assert_eq!((&row["state"], &row["reconnects"]), (&json!("connected"), &json!(1)));
    scene.client = Client::connect(scene.broker.port());
}

fn assert_one_interruption(collected: &Value) {
    let interruptions = collected["interruptions"].as_array().expect("a list");
    assert_eq!(interruptions.len(), 1);
    let (from, to) = (interruptions[0]["from"].as_str(), interruptions[0]["to"].as_str());
    assert!(from.is_some() && to.is_some() && from < to, "{interruptions:?}");
}

fn a_collection_goes_on_over_a_restart_of_the_broker(kind: Kind) {
    let mut scene = Scene::on(kind);
    let wish = |filter: &str| json!({"topic_pattern": filter, "qos": 1, "max_messages": 2, "duration_seconds": 60});
    let calls = [scene.listen(wish("g/#"), 0), scene.listen(wish("g/x"), 0)];
    let copies = if kind.copies_each_subscription() { 2 } else { 1 };
    let sent = scene.messages_in() + copies;
    scene.client.publish_at(1, "g/x", "before");
    scene.wait_for_messages_in(sent);
    restart(&mut scene, 2);
    scene.client.publish_at(1, "g/x", "after");
    for id in calls {
        let collected = scene.server.outcome(&id);
        assert_eq!(payloads(&collected), ["before", "after"]);
        assert_one_interruption(&collected);
    }
    let arguments = json!({"topic": "t", "payload": "x", "qos": 2});
    assert_eq!(scene.call("publish_message", arguments)["delivery"], "completed");
}

fn retained_messages_come_again_after_a_restart(kind: Kind) {
    let mut scene = Scene::on(kind);
    scene.retain(&[("h/old", "old")]);
    let id = scene.listen(json!({"topic_pattern": "h/#", "until": "end", "duration_seconds": 60}), 1);
    restart(&mut scene, 1);
    // These brokers keep nothing: what is retained now was published after the restart.
    scene.retain(&[("h/new", "new")]);
    scene.client.publish("h/live", "end");
    let collected = scene.server.outcome(&id);
    assert_eq!(payloads(&collected), ["old", "new", "end"]);
    assert_one_interruption(&collected);
    assert_eq!(payloads(&scene.retained("h/#")), ["new"]);
}
