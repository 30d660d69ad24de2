//! establish_connection and close_connection.

use std::io::Write;
use std::net::{Ipv4Addr, TcpStream};

use serde_json::{Value, json};

use crate::broker::{Broker, Kind};
use crate::scene::{Scene, on_every_broker};
use crate::support::client::Client;
use crate::support::packets::{self, CONNACK, SUBACK};
use crate::support::server::Server;
use crate::support::tools::payloads;
use crate::support::{DEADLINE, wait_for};

on_every_broker!(
    a_connection_tells_what_it_is,
    a_client_id_of_its_own_is_made_up,
    a_kept_session_is_found_again,
    a_kept_session_without_subscriptions,
    a_clean_session_is_not_found_again,
    closing_leaves_no_subscription_behind,
);

fn open(server: &mut Server, broker: &Broker, mut arguments: Value) -> Value {
    arguments["connection_string"] = json!(broker.url());
    server.call("establish_connection", arguments)
}

fn a_connection_tells_what_it_is(kind: Kind) {
    let (broker, mut server) = (Broker::start(kind), Server::start());
    let opened = open(&mut server, &broker, json!({"client_id": "it-is-me", "keep_alive_seconds": 30}));
    let expected = json!({"status": "connected", "broker": "127.0.0.1", "port": broker.port(), "tls": false,
        "client_id": "it-is-me", "protocol": "MQTT 3.1.1", "session_present": false});
    for (name, value) in expected.as_object().expect("an object") {
        assert_eq!(&opened[name], value, "{name}");
    }
    let session = opened["session_id"].as_str().expect("a session id").to_owned();
    assert_eq!(server.row(&session)["state"], "connected");
    assert_eq!(server.call("close_connection", json!({"session_id": session}))["status"], "closed");
    assert_eq!(server.fail("close_connection", json!({"session_id": session}))["code"], "unknown_session");
}

fn a_client_id_of_its_own_is_made_up(kind: Kind) {
    let mut scene = Scene::on(kind);
    let row = scene.server.row(&scene.session);
    let digits = row["client_id"].as_str().and_then(|id| id.strip_prefix("mqtt-mcp-")).expect("our kind of id");
    assert!(digits.len() == 12 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()), "{digits}");
}

/// Opens a session of a fixed client id that the broker is to keep; gives its id and whether the broker had kept one.
fn open_kept(server: &mut Server, broker: &Broker) -> (String, bool) {
    let opened = open(server, broker, json!({"client_id": "again", "clean_session": false}));
    let session = opened["session_id"].as_str().expect("a session id").to_owned();
    (session, opened["session_present"].as_bool().expect("yes or no"))
}

/// Subscribes with the same client id and without a clean session, and leaves without a word.
fn leave_a_subscription(broker: &Broker) {
    const CLEAN_SESSION: u8 = 2;
    let mut connect = packets::connect("again", None);
    let flags = connect.iter().position(|byte| *byte == CLEAN_SESSION).expect("the flags");
    connect[flags] = 0;
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, broker.port())).expect("the broker accepts");
    stream.set_read_timeout(Some(DEADLINE)).expect("a read timeout");
    for (packet, answer) in [(connect, CONNACK), (packets::subscribe(1, "left", 1), SUBACK)] {
        stream.write_all(&packet).expect("the broker takes it");
        let packet = packets::read(&mut stream).expect("an answer in time").expect("the connection stands");
        assert_eq!(packet.kind(), answer);
    }
}

fn a_kept_session_is_found_again(kind: Kind) {
    let (broker, mut server) = (Broker::start(kind), Server::start());
    leave_a_subscription(&broker);
    assert!(open_kept(&mut server, &broker).1);
}

fn a_kept_session_without_subscriptions(kind: Kind) {
    let (broker, mut server) = (Broker::start(kind), Server::start());
    let (session, present) = open_kept(&mut server, &broker);
    assert!(!present);
    server.call("close_connection", json!({"session_id": session}));
    let (_, present) = open_kept(&mut server, &broker);
    assert_eq!(present, kind != Kind::Aedes, "aedes forgets a session that has nothing in it");
}

fn a_clean_session_is_not_found_again(kind: Kind) {
    let (broker, mut server) = (Broker::start(kind), Server::start());
    leave_a_subscription(&broker);
    assert_eq!(open(&mut server, &broker, json!({"client_id": "again"}))["session_present"], false);
}

/// A call gives back what it subscribed, also when its session is closed under it: in a session that the broker keeps,
/// the filter would go on without anybody who wants it.
fn closing_leaves_no_subscription_behind(kind: Kind) {
    let (broker, mut server) = (Broker::start(kind), Server::start());
    let before = broker.connections();
    let (session, _) = open_kept(&mut server, &broker);
    let id = server.listen(&session, "subscribe_and_collect", json!({"topic_pattern": "u/#", "duration_seconds": 60}));
    server.call("close_connection", json!({"session_id": session}));
    assert_eq!(server.failure(&id)["code"], "connection_lost");
    // amqtt closes a new connection of the same client id together with the old one.
    wait_for("the broker to let go", || (broker.connections() <= before).then_some(()));
    let (session, _) = open_kept(&mut server, &broker);
    let wish = json!({"topic_pattern": "u/x", "until": "end", "duration_seconds": 60});
    let id = server.listen(&session, "subscribe_and_collect", wish);
    let mut client = Client::connect(broker.port());
    for (topic, payload) in [("u/y", "unwanted"), ("u/x", "one"), ("u/x", "end")] {
        client.publish(topic, payload);
    }
    assert_eq!(payloads(&server.outcome(&id)), ["one", "end"]);
    assert_eq!(server.row(&session)["messages_in"], 2, "what was subscribed is given back");
}
