//! publish_message, seen by an independent client.

use serde_json::{Value, json};

use crate::broker::Kind;
use crate::scene::{Scene, on_every_broker};
use crate::support::client::Message;
use crate::support::tools::messages;

on_every_broker!(
    each_qos_arrives_and_says_how_far_it_is_known,
    many_publishes_at_once_all_arrive_once,
    binary_payloads_pass_both_ways,
    large_payloads_pass_both_ways
);

fn arrived(topic: &str, payload: &[u8], qos: u8) -> Message {
    Message { topic: topic.into(), payload: payload.into(), qos, retain: false }
}

fn each_qos_arrives_and_says_how_far_it_is_known(kind: Kind) {
    let mut scene = Scene::on(kind);
    for (qos, delivery) in [(0, "sent"), (1, "acknowledged"), (2, "completed")] {
        let topic = format!("q/{qos}");
        scene.client.subscribe(&topic, qos);
        let published = scene.call("publish_message", json!({"topic": topic, "payload": "grün", "qos": qos}));
        let expected = json!({"status": "success", "topic": topic, "payload_bytes": 5, "qos": qos, "retain": false,
            "delivery": delivery});
        for (name, value) in expected.as_object().expect("an object") {
            assert_eq!(&published[name], value, "{name}");
        }
        assert_eq!(published["round_trip_ms"].is_number(), qos > 0);
        assert_eq!(scene.client.receive(), arrived(&topic, "grün".as_bytes(), qos));
    }
}

/// More than may be in flight, so that packet ids and turns are at work.
fn many_publishes_at_once_all_arrive_once(kind: Kind) {
    let mut scene = Scene::on(kind);
    scene.client.subscribe("m", 0);
    let publish = |n: u8| json!({"session_id": scene.session, "topic": "m", "payload": n, "qos": n % 2 + 1});
    let calls: Vec<_> = (0..24).map(|n| scene.server.start_call("publish_message", publish(n))).collect();
    calls.iter().for_each(|id| drop(scene.server.outcome(id)));
    let mut seen: Vec<u8> = (0..24).map(|_| number(&scene.client.receive().payload)).collect();
    seen.sort_unstable();
    assert_eq!(seen, (0..24).collect::<Vec<_>>());
}

fn number(payload: &[u8]) -> u8 {
    serde_json::from_slice(payload).expect("a number")
}

/// Publishes a payload through the server, which collects it as well; gives the collected message.
fn there_and_back(scene: &mut Scene, arguments: Value, sent: &[u8]) -> Value {
    let topic = arguments["topic"].as_str().expect("a topic").to_owned();
    scene.client.subscribe(&topic, 1);
    let wish = json!({"topic_pattern": topic, "qos": 1, "max_messages": 1,
        "max_payload_bytes": 300_000, "max_response_bytes": 1_048_576});
    let id = scene.listen(wish, 0);
    assert_eq!(scene.call("publish_message", arguments)["payload_bytes"], sent.len());
    let seen = scene.client.receive();
    assert!(seen == arrived(&topic, sent, 1), "{} bytes at QoS {} on {}", seen.payload.len(), seen.qos, seen.topic);
    messages(&scene.server.outcome(&id))[0].clone()
}

fn binary_payloads_pass_both_ways(kind: Kind) {
    let mut scene = Scene::on(kind);
    let bytes: Vec<u8> = (0..=255).collect();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let arguments = json!({"topic": "b/all", "payload": hex, "payload_encoding": "hex", "qos": 1});
    let message = there_and_back(&mut scene, arguments, &bytes);
    assert_eq!((&message["encoding"], &message["payload_type"]), (&json!("base64"), &json!("binary")));
    assert_eq!((&message["payload_bytes"], message.get("truncated")), (&json!(256), None));
    let arguments = json!({"topic": "b/few", "payload": "AP8Q", "payload_encoding": "base64", "qos": 1});
    assert_eq!(there_and_back(&mut scene, arguments, b"\x00\xff\x10")["payload"], "AP8Q");
}

fn large_payloads_pass_both_ways(kind: Kind) {
    let mut scene = Scene::on(kind);
    let text: String = (0..40_000).map(|n| format!("{n:05}")).collect();
    let arguments = json!({"topic": "large", "payload": text, "qos": 1});
    let message = there_and_back(&mut scene, arguments, text.as_bytes());
    assert_eq!((&message["payload_bytes"], message.get("truncated")), (&json!(200_000), None));
    assert!(message["payload"] == text, "the payload changed");
}
