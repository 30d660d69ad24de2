//! TLS against real brokers: who is trusted, what each refusal says, and that a session is the same as without it.

use std::path::Path;

use rcgen::ExtendedKeyUsagePurpose;
use serde_json::{Value, json};

use crate::support::certificates::{Authority, Wanted, trusting};
use crate::support::memory::{find_in_memory, peak_kb};
use crate::support::mosquitto::{Mosquitto, Setup};
use crate::support::server::Server;
use crate::support::tools::payloads;

fn url(host: &str, broker: &Mosquitto) -> String {
    format!("mqtts://{host}:{}", broker.port())
}

fn refused(server: &mut Server, url: &str) -> Value {
    let error = server.fail("establish_connection", json!({"connection_string": url, "timeout_seconds": 5}));
    assert_eq!(error["code"], "tls_failed", "{error}");
    error
}

#[test]
fn a_session_over_tls_is_a_session() {
    let ca = Authority::new("Plant CA");
    let broker = ca.issue("broker", &Wanted::default()).serve("");
    let mut server = trusting(&ca.file());
    let opened = server.call("establish_connection", json!({"connection_string": url("localhost", &broker)}));
    assert_eq!((&opened["status"], &opened["tls"]), (&json!("connected"), &json!(true)));
    let session = opened["session_id"].as_str().expect("a session id").to_owned();
    let id = server.listen(&session, "subscribe_and_collect", json!({"topic_pattern": "t/#", "max_messages": 1}));
    let publish = json!({"session_id": session, "topic": "t/1", "payload": "over TLS", "qos": 2});
    assert_eq!(server.call("publish_message", publish)["delivery"], "completed");
    assert_eq!(payloads(&server.outcome(&id)), ["over TLS"]);
    assert_eq!(server.call("close_connection", json!({"session_id": session}))["status"], "closed");
}

#[test]
fn certificates_are_checked_and_each_refusal_says_what_is_wrong() {
    let ca = Authority::new("Plant CA");
    let mut server = trusting(&ca.file());
    for (wanted, words) in [
        (
            Wanted { names: &["plant.example", "192.0.2.7"], ..Wanted::default() },
            "plant.example, 192.0.2.7, not for localhost",
        ),
        (Wanted { names: &[], ..Wanted::default() }, "subjectAltName"),
        (Wanted { years: (2000, 2001), ..Wanted::default() }, "expired: it was valid until 2001-01-01T00:00:00.000Z"),
        (
            Wanted { years: (2099, 2100), ..Wanted::default() },
            "not valid yet: it will be from 2099-01-01T00:00:00.000Z",
        ),
        (Wanted { purpose: ExtendedKeyUsagePurpose::ClientAuth, ..Wanted::default() }, "not meant for servers"),
    ] {
        let broker = ca.issue("broker", &wanted).serve("");
        let error = refused(&mut server, &url("localhost", &broker));
        assert!(error["message"].as_str().expect("a message").contains(words), "{error}");
        assert_eq!(error["retryable"], false, "{error}");
    }
}

#[test]
fn a_certificate_of_an_unknown_issuer_is_shown_for_comparison() {
    let broker = Authority::new("Strangers CA").issue("broker", &Wanted::default()).serve("");
    let error = refused(&mut trusting(&Authority::new("Plant CA").file()), &url("localhost", &broker));
    let message = error["message"].as_str().expect("a message");
    assert!(message.contains(r#"issuer "CN=Strangers CA", SHA-256 "#), "{error}");
    assert!(error["hint"].as_str().expect("a hint").contains("ca_file"), "{error}");
}

#[test]
fn a_system_without_ca_certificates_is_named() {
    let ca = Authority::new("Plant CA");
    let broker = ca.issue("broker", &Wanted::default()).serve("");
    let error = refused(&mut trusting(Path::new("/nonexistent")), &url("localhost", &broker));
    assert!(error["message"].as_str().expect("a message").contains("no CA certificates"), "{error}");
}

#[test]
fn an_address_is_a_name_like_any_other() {
    let ca = Authority::new("Plant CA");
    let mut server = trusting(&ca.file());
    let broker = ca.issue("broker", &Wanted { names: &["127.0.0.1"], ..Wanted::default() }).serve("");
    assert!(!server.connect(&url("127.0.0.1", &broker)).is_empty());
    let error = refused(&mut server, &url("localhost", &broker));
    assert!(error["message"].as_str().expect("a message").contains("for 127.0.0.1, not for localhost"), "{error}");
}

#[test]
fn tls_1_2_is_spoken_too() {
    let ca = Authority::new("Plant CA");
    let broker = ca.issue("broker", &Wanted::default()).serve("tls_version tlsv1.2");
    let mut server = trusting(&ca.file());
    let session = server.connect(&url("localhost", &broker));
    let publish = json!({"session_id": session, "topic": "t", "payload": "x", "qos": 1});
    assert_eq!(server.call("publish_message", publish)["delivery"], "acknowledged");
}

#[test]
fn a_broker_that_wants_a_client_certificate_is_understood_in_both_versions() {
    let ca = Authority::new("Plant CA");
    let mut server = trusting(&ca.file());
    for version in ["tlsv1.2", "tlsv1.3"] {
        let broker = ca.demanding(version);
        let error = refused(&mut server, &url("localhost", &broker));
        assert!(error["message"].as_str().expect("a message").contains("client certificate"), "{version}: {error}");
        assert!(error["hint"].as_str().expect("a hint").contains("key_file"), "{version}: {error}");
    }
}

#[test]
fn a_port_without_tls_is_told_from_one_with_it() {
    let broker = Mosquitto::start();
    let error = refused(&mut Server::start(), &url("127.0.0.1", &broker));
    assert!(error["message"].as_str().expect("a message").contains("port without TLS"), "{error}");
    assert!(error["hint"].as_str().expect("a hint").contains("mqtt://"), "{error}");
}

#[test]
fn a_session_over_tls_comes_back_and_stops_at_a_certificate_it_does_not_trust() {
    let (ca, strangers) = (Authority::new("Plant CA"), Authority::new("Strangers CA"));
    let files = ca.issue("broker", &Wanted::default());
    let (mut broker, mut server) = (files.serve(""), trusting(&ca.file()));
    let session = server.connect(&url("localhost", &broker));
    broker.kill();
    server.wait_for_state(&session, "reconnecting");
    broker.restart();
    assert_eq!(server.wait_for_state(&session, "connected")["reconnects"], 1);
    broker.kill();
    server.wait_for_state(&session, "reconnecting");
    let other = strangers.issue("broker", &Wanted::default());
    for (from, to) in [(other.certificate, files.certificate), (other.key, files.key)] {
        std::fs::copy(from, to).expect("a copy");
    }
    broker.restart();
    let row = server.wait_for_state(&session, "failed");
    assert!(row["last_error"].as_str().expect("a reason").contains("Strangers CA"), "{row}");
}

#[test]
fn large_payloads_come_and_go_whole_over_tls() {
    let ca = Authority::new("Plant CA");
    let broker = ca.issue("broker", &Wanted::default()).serve("");
    let mut server = trusting(&ca.file());
    let session = server.connect(&url("localhost", &broker));
    let text = "0123456789abcdef".repeat(1 << 16);
    let arguments = json!({"topic_pattern": "m", "max_messages": 3, "max_payload_bytes": 1_048_576, "keep": 1});
    let id = server.listen(&session, "subscribe_and_collect", arguments);
    for qos in 0..3 {
        let publish = json!({"session_id": session, "topic": "m", "payload": text, "qos": qos});
        assert_eq!(server.call("publish_message", publish)["payload_bytes"], 1 << 20);
    }
    let collected = server.outcome(&id);
    assert_eq!(collected["bytes_received"], 3 << 20);
    let part = payloads(&collected)[0].as_str().expect("a text").to_owned();
    assert!(part.len() > 10_000 && text.starts_with(&part), "{} bytes", part.len());
}

#[test]
fn a_password_that_went_through_tls_is_not_in_memory() {
    const PASSWORD: &str = "Zq8wXj4vKp2nRt6s";
    let ca = Authority::new("Plant CA");
    for version in ["tlsv1.2", "tlsv1.3"] {
        let extra = ca.issue("broker", &Wanted::default()).listener() + "tls_version " + version;
        let broker = Mosquitto::with(&Setup { users: &[("svc", PASSWORD)], extra: &extra, ..Setup::default() });
        let mut server = trusting(&ca.file());
        let session = server.connect(&format!("mqtts://svc:{PASSWORD}@localhost:{}", broker.port()));
        assert_eq!(find_in_memory(server.pid(), &[PASSWORD]), Vec::<&str>::new(), "{version}");
        assert!(!find_in_memory(server.pid(), &[&session]).is_empty(), "the search finds what is there");
    }
}

#[test]
fn each_session_over_tls_costs_little_memory() {
    let ca = Authority::new("Plant CA");
    let (broker, mut server) = (ca.issue("broker", &Wanted::default()).serve(""), trusting(&ca.file()));
    server.connect(&url("localhost", &broker));
    let before_kb = peak_kb(server.pid());
    for _ in 0..4 {
        server.connect(&url("localhost", &broker));
    }
    let grown_kb = peak_kb(server.pid()) - before_kb;
    assert!(grown_kb < 512, "{grown_kb} kB");
}
