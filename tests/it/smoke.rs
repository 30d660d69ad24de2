//! The main job in one go, also with a binary that was built for something else than this machine.
//!
//! `MQTT_MCP_TEST_SERVER` replaces the binary under test by any command, so that a static or foreign build is tried
//! before it is copied to a gateway:
//!
//!     MQTT_MCP_TEST_SERVER='qemu-aarch64-static target/aarch64-unknown-linux-musl/release/mqtt-mcp' \
//!         cargo test --test it smoke

use serde_json::json;

#[cfg(feature = "tls")]
use crate::support::certificates::{Authority, Wanted, trusting};
use crate::support::client::Client;
use crate::support::mosquitto::Mosquitto;
use crate::support::server::Server;

#[test]
fn the_main_job_works_from_handshake_to_end() {
    let (broker, mut server) = (Mosquitto::start(), Server::start());
    let session = server.connect(&broker.url());
    let mut client = Client::connect(broker.port());
    client.subscribe("smoke/#", 1);
    let message =
        json!({ "session_id": session, "topic": "smoke/1", "payload": { "t": 21.50 }, "qos": 1, "retain": true });
    let published = server.call("publish_message", message);
    assert_eq!(published["delivery"], "acknowledged", "{published}");
    assert_eq!(client.receive().payload, br#"{"t":21.5}"#);

    let collect =
        json!({ "session_id": session, "topic_pattern": "smoke/#", "duration_seconds": 5, "retained": "only" });
    let collected = server.call("subscribe_and_collect", collect);
    assert_eq!(collected["original_message_count"], 1, "{collected}");
    assert_eq!(collected["messages"][0]["payload"], json!({ "t": 21.5 }), "{collected}");

    assert_eq!(server.call("close_connection", json!({ "session_id": session }))["status"], "closed");
    server.close_stdin();
    server.lines_to_end();
    assert!(server.process.wait_exit().success());
}

#[test]
fn a_host_name_is_looked_up() {
    let (broker, mut server) = (Mosquitto::start(), Server::start());
    // No address by itself: the resolver reads it as 127.0.0.1.
    let url = format!("mqtt://127.1:{}", broker.port());
    let opened = server.call("establish_connection", json!({ "connection_string": url }));
    assert_eq!(opened["status"], "connected", "{opened}");
}

#[cfg(feature = "tls")]
#[test]
fn a_broker_is_reached_over_tls() {
    let ca = Authority::new("Smoke CA");
    let broker = ca.issue("broker", &Wanted::default()).serve("");
    let mut server = trusting(&ca.file());
    let session = server.connect(&format!("mqtts://127.0.0.1:{}", broker.port()));
    let message = json!({ "session_id": session, "topic": "smoke", "payload": "x", "qos": 1 });
    assert_eq!(server.call("publish_message", message)["delivery"], "acknowledged");
}
