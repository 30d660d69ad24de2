//! Why a broker cannot be connected to: each reason has its code, and both ways to call say the same.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::fake_broker::FakeBroker;
use crate::support::mosquitto::{Mosquitto, Setup};
use crate::support::packets::*;
use crate::support::server::Server;
use crate::support::tools::is_built;

fn to(url: impl std::fmt::Display) -> Value {
    json!({"connection_string": url.to_string(), "timeout_seconds": 5})
}

fn closed_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr()).expect("a port").port()
}

#[test]
fn a_closed_port_is_unreachable() {
    let error = Server::start().fail("establish_connection", to(format!("mqtt://127.0.0.1:{}", closed_port())));
    assert_eq!((&error["code"], &error["retryable"]), (&json!("broker_unreachable"), &json!(true)));
}

#[test]
fn a_name_without_address_is_unreachable() {
    let error = Server::start().fail("establish_connection", to("mqtt://nonexistent.invalid"));
    assert_eq!(error["code"], "broker_unreachable", "{error}");
}

#[test]
fn a_host_name_is_looked_up_and_every_address_tried() {
    // On many machines localhost is ::1 first, where nobody listens.
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let id = server.start_call("establish_connection", to(format!("mqtt://localhost:{}", broker.port())));
    let _peer = broker.welcome();
    assert_eq!(server.outcome(&id)["broker"], "localhost");
}

#[test]
fn each_refusal_in_connack_has_its_code() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    for (number, code) in [
        (1, "protocol_rejected"),
        (2, "identifier_rejected"),
        (3, "broker_unavailable"),
        (4, "bad_credentials"),
        (5, "not_authorized"),
    ] {
        let id = server.start_call("establish_connection", to(broker.url()));
        broker.welcome_with(connack(false, number)).expect_end();
        let error = server.failure(&id);
        assert_eq!((&error["code"], &error["retryable"]), (&json!(code), &json!(number == 3)));
    }
    assert_eq!(server.call("list_active_connections", json!({}))["total_count"], 0);
}

#[test]
fn a_refusal_is_told_for_what_it_is_and_neither_password_nor_the_peers_bytes_are_shown() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let (nobody, user) = (broker.url(), broker.url().replace("//", "//svc:s3cr3t-word@"));
    for (url, answer, message, hint) in [
        (&user, connack(false, 1), "the broker refuses the protocol version MQTT 3.1.1", "takes 3.1.1"),
        (&user, b"\x20\x03\x00\x84\x00".into(), "the broker refuses the protocol version MQTT 3.1.1", "takes 3.1.1"),
        (&nobody, connack(false, 5), "(CONNACK 5)", "none were given"),
        (&user, connack(false, 5), "(CONNACK 5)", "may be wrong, or this user may not connect"),
        (&user, b"HTTP/1.1 400 Bad Request\r\n\r\n".into(), "it sent the answer of an HTTP server", "MQTT port"),
        (&user, b"SSH-2.0-OpenSSH_9.6\r\n".into(), "it sent the greeting of an SSH server", "MQTT port"),
        (&user, b"\x15\x03\x01\x00\x02\x02\x0a".into(), "it sent an alert of TLS", "mqtts://"),
        (&user, b"Hello\r\n".into(), "it sent a packet with reserved flags", "MQTT port"),
    ] {
        for tool in ["establish_connection", "test_connection"].into_iter().filter(|tool| is_built(tool)) {
            let id = server.start_call(tool, json!({"connection_string": url}));
            broker.welcome_with(answer.clone()).expect_end();
            let told = if tool == "establish_connection" { server.failure(&id) } else { server.outcome(&id) };
            let why = if tool == "establish_connection" { &told["message"] } else { &told["reasons"][0] };
            assert!(why.as_str().is_some_and(|why| why.contains(message)), "{tool}: {told}");
            assert!(told["hint"].as_str().is_some_and(|shown| shown.contains(hint)), "{tool}: {told}");
            let shown = ["s3cr3t-word", "Bad Request", "OpenSSH", "Hello"].map(|word| told.to_string().contains(word));
            assert_eq!(shown, [false; 4], "{told}");
        }
    }
    assert!(!server.stderr_at_end().contains("s3cr3t-word"));
}

#[test]
fn mosquitto_refuses_wrong_credentials_and_takes_the_right_ones() {
    let broker = Mosquitto::with(&Setup { users: &[("svc", "p@ss:w/rd%")], ..Setup::default() });
    let mut server = Server::start();
    let url = |user: &str| format!("mqtt://{user}127.0.0.1:{}", broker.port());
    for user in ["", "svc:wrong@", "svc@"] {
        let error = server.fail("establish_connection", to(url(user)));
        assert_eq!(error["code"], "not_authorized", "Mosquitto 2 says 5 to all of these: {error}");
    }
    assert_eq!(server.call("establish_connection", to(url("svc:p%40ss%3Aw%2Frd%25@")))["status"], "connected");
}

#[test]
fn a_silent_peer_is_a_timeout_within_the_time_given() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let started = Instant::now();
    let arguments = json!({"connection_string": broker.url(), "timeout_seconds": 1});
    let id = server.start_call("establish_connection", arguments);
    let mut peer = broker.accept();
    peer.expect(CONNECT);
    assert_eq!(server.failure(&id)["code"], "connect_timeout");
    let took = started.elapsed();
    assert!(took >= Duration::from_secs(1) && took < Duration::from_millis(1500), "{took:?}");
    peer.expect_end();
}

#[test]
fn a_peer_that_speaks_something_else_is_a_protocol_error() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    for answer in [
        &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
        b"220 mail.example ESMTP\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"\x20\x00",
        b"\x20\x03\x00\x00\x00",
        b"\x20\x02\x01\x01",
        b"\x20\x02\x00\x06",
        &packet(PINGRESP << 4, &[]),
        &suback(1, 0),
    ] {
        let id = server.start_call("establish_connection", to(broker.url()));
        let mut peer = broker.accept();
        peer.expect(CONNECT);
        peer.send(answer);
        assert_eq!(server.failure(&id)["code"], "protocol_rejected", "{answer:?}");
        peer.expect_end();
    }
}

#[test]
fn a_peer_that_hangs_up_is_a_lost_connection() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let id = server.start_call("establish_connection", to(broker.url()));
    broker.accept().expect(CONNECT);
    assert_eq!(server.failure(&id)["code"], "connection_lost");
}

#[test]
fn tls_fails_against_a_port_without_it() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    // A TLS client gets an answer that is none; a build without TLS never comes here. The thread ends with the process.
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let _ = stream.read(&mut [0; 16]).and_then(|_| stream.write_all(&connack(false, 0)));
        }
    });
    let error = Server::start().fail("establish_connection", to(format!("mqtts://127.0.0.1:{port}")));
    assert_eq!(error["code"], "tls_failed", "{error}");
    let says_what_is_missing = error["message"].as_str().expect("a message").contains("this build has no TLS");
    assert_eq!(says_what_is_missing, !cfg!(feature = "tls"), "{error}");
}

#[test]
fn wrong_arguments_are_named_in_both_ways_to_call() {
    let mut server = Server::start();
    for (arguments, parameter) in [
        (json!({}), "connection_string"),
        (json!({"connection_string": "mqtt://h", "broker": "b"}), "broker"),
        (json!({"broker": "none"}), "broker"),
        (json!({"connection_string": 7}), "connection_string"),
        (json!({"connection_string": "localhost:1883"}), "connection_string"),
        (json!({"connection_string": "http://h"}), "connection_string"),
        (json!({"connection_string": "mqtt://"}), "connection_string"),
        (json!({"connection_string": "mqtt://h:0"}), "connection_string"),
        (json!({"connection_string": "mqtt://h:65536"}), "connection_string"),
        (json!({"connection_string": "mqtt://u:p%zz@h"}), "connection_string"),
        (json!({"connection_string": "mqtt://:p@h"}), "connection_string"),
        (json!({"connection_string": "mqtt://h", "keep_alive_seconds": 65536}), "keep_alive_seconds"),
        (json!({"connection_string": "mqtt://h", "timeout_seconds": 0}), "timeout_seconds"),
        (json!({"connection_string": "mqtt://h", "timeout_seconds": 121}), "timeout_seconds"),
        (json!({"connection_string": "mqtt://h", "clean_session": "no"}), "clean_session"),
        (json!({"connection_string": "mqtt://h", "client_id": "", "clean_session": false}), "client_id"),
        (json!({"connection_string": "mqtt://h", "client_id": "a\u{0}b"}), "client_id"),
        (json!({"connection_string": "mqtt://h", "conection": 1}), "conection"),
    ] {
        let error = server.fail("establish_connection", arguments.clone());
        assert_eq!(
            (&error["code"], &error["parameter"]),
            (&json!("invalid_argument"), &json!(parameter)),
            "{arguments}"
        );
        assert!(error["message"].as_str().expect("a message").contains(parameter), "{error}");
        let bare = server.bare("establish_connection", arguments);
        assert_eq!(bare["error"]["code"], -32602, "{bare}");
        assert_eq!(bare["error"]["data"], json!({"status": "error", "error": error}));
    }
}

#[test]
fn a_bare_method_has_a_positive_code_for_everything_else() {
    let mut server = Server::start();
    let mut numbers = Vec::new();
    for (tool, params) in [
        ("close_connection", json!({"session_id": "none"})),
        ("establish_connection", to(format!("mqtt://127.0.0.1:{}", closed_port()))),
    ] {
        let error = server.bare(tool, params)["error"].clone();
        assert_eq!(error["message"], error["data"]["error"]["message"]);
        numbers.push(error["code"].as_i64().expect("a code"));
    }
    assert!(numbers.iter().all(|number| *number > 0) && numbers[0] != numbers[1], "{numbers:?}");
}
