//! What is large or fast costs little: a message is taken in pieces, a flood is counted.

use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::fake_broker::FakeBroker;
use crate::support::memory::peak_kb;
use crate::support::mosquitto::Mosquitto;
use crate::support::packets::*;
use crate::support::server::Server;
use crate::support::tools::{messages, payloads};

#[test]
fn a_message_of_64_mib_costs_little_memory() {
    const SIZE: usize = 64 << 20;
    let (broker, mut server) = (FakeBroker::new(), Server::start());
    let (session, mut peer) = server.meet(&broker);
    let arguments = json!({"topic_pattern": "big", "max_messages": 2, "max_payload_bytes": 1000});
    let id = server.collect_from(&mut peer, &session, arguments);
    let before_kb = peak_kb(server.pid());
    let mut head = string(b"big");
    head.splice(0..0, header(PUBLISH << 4, SIZE + head.len()));
    peer.send(&head);
    let piece = vec![b'x'; 1 << 20];
    for _ in 0..SIZE / piece.len() {
        peer.send(&piece);
    }
    peer.send(&publish("big", b"behind it", 0, 0, false));
    let collected = server.outcome(&id);
    let message = &messages(&collected)[0];
    assert_eq!((&message["payload_bytes"], &message["truncated"]), (&json!(SIZE), &json!(true)));
    assert_eq!(message["payload"].as_str().map(str::len), Some(1000));
    assert_eq!(payloads(&collected)[1], "behind it", "the stream is in step");
    assert_eq!(collected["bytes_received"], SIZE + 9);
    let grown_kb = peak_kb(server.pid()) - before_kb;
    assert!(grown_kb < 4096, "{grown_kb} kB");
}

#[test]
fn a_flood_is_counted_exactly_and_costs_little_memory() {
    const COUNT: usize = 50_000;
    let (broker, mut server) = (FakeBroker::new(), Server::start());
    let (session, mut peer) = server.meet(&broker);
    let arguments = json!({"topic_pattern": "#", "max_messages": COUNT, "duration_seconds": 60});
    let id = server.collect_from(&mut peer, &session, arguments);
    let before_kb = peak_kb(server.pid());
    let payload = [b'x'; 200];
    for chunk in 0..COUNT / 1000 {
        let bytes: Vec<_> =
            (0..1000).flat_map(|n| publish(&format!("f/{}", (chunk + n) % 50), &payload, 0, 0, false)).collect();
        peer.send(&bytes);
    }
    let collected = server.outcome(&id);
    assert_eq!((&collected["original_message_count"], &collected["topics_seen"]), (&json!(COUNT), &json!(50)));
    assert_eq!(collected["bytes_received"], COUNT * payload.len());
    let grown_kb = peak_kb(server.pid()) - before_kb;
    assert!(grown_kb < 6144, "{grown_kb} kB");
}

#[test]
fn a_payload_of_a_mebibyte_comes_and_goes_whole() {
    let (broker, mut server) = (Mosquitto::start(), Server::start());
    let session = server.connect(&broker.url());
    let mut client = Client::connect(broker.port());
    client.subscribe("m/#", 1);
    let text = "0123456789abcdef".repeat(1 << 16);
    let publish = json!({"session_id": session, "topic": "m/out", "payload": text, "qos": 1});
    assert_eq!(server.call("publish_message", publish)["payload_bytes"], 1 << 20);
    assert_eq!(client.receive().payload, text.as_bytes());
    let arguments = json!({"topic_pattern": "m/in", "max_messages": 1, "max_payload_bytes": 900_000, "max_response_bytes": 1_048_576});
    let id = server.listen(&session, "subscribe_and_collect", arguments);
    client.publish("m/in", &text[..900_000]);
    assert_eq!(payloads(&server.outcome(&id)), [Value::from(&text[..900_000])]);
}
