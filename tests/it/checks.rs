//! test_connection: how far it gets, why it stops, and that it leaves nothing behind.

use serde_json::{Value, json};

#[cfg(feature = "tls")]
use crate::support::certificates::{Authority, Wanted, trusting};
use crate::support::client::Client;
use crate::support::fake_broker::{FakeBroker, packet_of};
use crate::support::mosquitto::{Mosquitto, Setup};
use crate::support::packets::*;
use crate::support::server::{Server, command};

pub fn names(tested: &Value) -> Vec<(&str, bool)> {
    let steps = tested["steps"].as_array().expect("steps");
    steps.iter().map(|step| (step["name"].as_str().expect("a name"), step["ok"] == true)).collect()
}

pub fn step<'a>(tested: &'a Value, name: &str) -> &'a Value {
    let steps = tested["steps"].as_array().expect("steps");
    steps.iter().find(|step| step["name"] == name).unwrap_or_else(|| panic!("{name}: {tested}"))
}

pub fn assert_poor(tested: &Value, steps: &[(&str, bool)], code: &str, words: &str) {
    assert_eq!((&tested["status"], &tested["overall_health"]), (&json!("success"), &json!("poor")), "{tested}");
    assert_eq!((names(tested), &tested["code"]), (steps.to_vec(), &json!(code)), "{tested}");
    let reasons = tested["reasons"].to_string();
    assert!(reasons.contains(words), "{reasons}");
    assert!(tested["hint"].as_str().is_some_and(|hint| !hint.is_empty()));
}

#[test]
fn a_healthy_broker_passes_all_steps_and_nothing_is_left_of_the_test() {
    let (broker, mut server) = (Mosquitto::start(), Server::start());
    let mut client = Client::connect(broker.port());
    client.subscribe("#", 0);
    let tested = server.call("test_connection", json!({"connection_string": broker.url()}));
    let all = ["dns", "tcp", "connect", "ping", "subscribe"].map(|name| (name, true));
    assert_eq!((names(&tested), &tested["reached"]), (all.to_vec(), &json!("subscribe")), "{tested}");
    assert_ne!(tested["overall_health"], "poor");
    for step in tested["steps"].as_array().expect("steps") {
        assert!(step["ms"].as_f64().is_some_and(|ms| (0.0..10_000.0).contains(&ms)), "{step}");
        assert!(step["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{step}");
    }
    let ping = step(&tested, "ping");
    let pings = ["min_ms", "median_ms", "max_ms"].map(|name| ping[name].as_f64().expect("a time"));
    assert!(pings[0] > 0.0 && pings.is_sorted(), "{pings:?}");
    assert!(tested["broker_info"]["version"].as_str().is_some_and(|version| version.contains("mosquitto")), "{tested}");
    assert!(tested["broker_info"]["uptime"].is_string());
    assert_eq!(client.received_so_far(), [], "nothing is published");
    let open = server.call("list_active_connections", json!({}));
    assert_eq!(open["total_count"], 0, "no session is left");
}

#[test]
fn a_session_is_tested_over_its_own_connection() {
    let (broker, mut server) = (Mosquitto::start(), Server::start());
    let session = server.connect(&broker.url());
    let tested = server.call("test_connection", json!({"session_id": session}));
    assert_eq!(names(&tested), ["connect", "ping", "subscribe"].map(|name| (name, true)), "{tested}");
    assert_eq!(tested["client_id"], server.row(&session)["client_id"]);
    assert_eq!(server.row(&session)["state"], "connected");
}

#[test]
fn a_probe_topic_adds_round_trips_of_each_qos_and_is_all_that_is_published_to() {
    let (broker, mut server) = (Mosquitto::start(), Server::start());
    let mut client = Client::connect(broker.port());
    client.subscribe("#", 0);
    let arguments = json!({"connection_string": broker.url(), "probe_topic": "lab/probe"});
    let tested = server.call("test_connection", arguments);
    let all = ["dns", "tcp", "connect", "ping", "subscribe", "qos_0", "qos_1", "qos_2"].map(|name| (name, true));
    assert_eq!(names(&tested), all, "{tested}");
    assert!(step(&tested, "qos_2")["detail"].as_str().is_some_and(|detail| detail.contains("came back at QoS 2")));
    let published = client.received_so_far();
    assert_eq!(published.len(), 3);
    assert!(published.iter().all(|message| message.topic == "lab/probe" && !message.retain));
    let mut late = Client::connect(broker.port());
    late.subscribe("#", 0);
    assert_eq!(late.received_so_far(), [], "nothing is retained");
}

#[test]
fn it_says_how_far_it_got_and_why_it_stopped() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let url = broker.url();
    // The name does not exist (RFC 6761).
    let tested = server.call("test_connection", json!({"connection_string": "mqtt://no-such-host.invalid:1883"}));
    assert_poor(&tested, &[("dns", false)], "broker_unreachable", "dns failed");
    assert_eq!(tested.get("reached"), None);
    let port = { FakeBroker::new().port() };
    let tested = server.call("test_connection", json!({"connection_string": format!("mqtt://127.0.0.1:{port}")}));
    assert_poor(&tested, &[("dns", true), ("tcp", false)], "broker_unreachable", "refused");
    let to_connect = [("dns", true), ("tcp", true), ("connect", false)];
    for (code, answer) in [("bad_credentials", 4), ("not_authorized", 5), ("broker_unavailable", 3)] {
        let id = server.start_call("test_connection", json!({"connection_string": url}));
        let _peer = broker.welcome_with(connack(false, answer));
        assert_poor(&server.outcome(&id), &to_connect, code, &format!("CONNACK {answer}"));
    }
    let id = server.start_call("test_connection", json!({"connection_string": url}));
    let mut peer = broker.accept();
    peer.expect(CONNECT);
    drop(peer);
    let tested = server.outcome(&id);
    assert_poor(&tested, &to_connect, "connection_lost", "before CONNACK");
    assert!(!tested["hint"].to_string().contains("list_active"), "there is no session: {tested}");
}

#[test]
fn a_broker_that_dies_after_connecting_is_told_with_the_steps_before() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let id = server.start_call("test_connection", json!({"connection_string": broker.url()}));
    let mut peer = broker.welcome();
    assert_eq!(peer.next().map(|packet| packet.kind()), Some(PINGREQ));
    drop(peer);
    let tested = server.outcome(&id);
    let steps = [("dns", true), ("tcp", true), ("connect", true), ("ping", false)];
    assert_poor(&tested, &steps, "connection_lost", "no PINGRESP");
    assert_eq!(tested["reached"], "connect");
}

#[test]
fn what_may_not_be_read_or_published_lowers_the_health_and_stops_nothing_before() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let id = server.start_call("test_connection", json!({"connection_string": broker.url()}));
    let mut peer = broker.welcome();
    let pid = peer.expect(SUBSCRIBE).pid();
    peer.send(&suback(pid, 0x80));
    let tested = server.outcome(&id);
    assert_eq!(
        (&tested["overall_health"], &tested["code"]),
        (&json!("fair"), &json!("subscribe_rejected")),
        "{tested}"
    );
    assert_eq!(names(&tested).last(), Some(&("subscribe", false)));
    assert!(step(&tested, "subscribe")["ms"].as_f64() > Some(0.0), "{tested}");
    assert_eq!(tested.get("broker_info"), None);
    assert_eq!(peer.next().map(|packet| packet.kind()), Some(DISCONNECT));
    let acl = Setup { acl: Some("topic read lab/#\ntopic read $SYS/#\n"), ..Setup::default() };
    let broker = Mosquitto::with(&acl);
    let tested = server.call("test_connection", json!({"connection_string": broker.url(), "probe_topic": "lab/x"}));
    // Some versions of Mosquitto hang up at once; others take the message, and drop it.
    assert_eq!(&names(&tested)[4..6], [("subscribe", true), ("qos_0", false)]);
    assert_eq!(tested["overall_health"], "fair");
    assert!(tested["hint"].as_str().is_some_and(|hint| hint.contains("lack")), "{tested}");
}

#[test]
fn it_needs_no_place_among_the_sessions_and_disturbs_none() {
    let broker = Mosquitto::start();
    let mut server = Server::with(&["--max-sessions", "1"]);
    let url = format!("{}/press-2", broker.url());
    let session = server.connect(&url);
    let tested = server.call("test_connection", json!({"connection_string": url}));
    assert_ne!(tested["overall_health"], "poor", "{tested}");
    assert_ne!(tested["client_id"], "press-2", "which would push the session out");
    let row = server.row(&session);
    assert_eq!((&row["state"], &row["reconnects"]), (&json!("connected"), &json!(0)));
    server.call("close_connection", json!({"session_id": session}));
    assert_eq!(server.call("test_connection", json!({"connection_string": url}))["client_id"], "press-2");
}

#[test]
fn a_cancelled_test_lets_go_of_its_connection() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let id = server.start_call("test_connection", json!({"connection_string": broker.url()}));
    let mut peer = broker.welcome();
    assert_eq!(peer.next().map(|packet| packet.kind()), Some(PINGREQ));
    server.notify("notifications/cancelled", json!({"requestId": id}));
    while peer.next().is_some_and(|packet| packet.kind() != DISCONNECT) {}
    assert!(peer.read_to_end().is_empty());
}

#[test]
fn exactly_one_target_is_wanted_and_secrets_stay_secret() {
    let broker = Mosquitto::with(&Setup { users: &[("u", "right")], ..Setup::default() });
    let mut command = command(&[]);
    let url = format!("mqtt://u:s3cr3t-word@127.0.0.1:{}", broker.port());
    command.env("MQTT_MCP_BROKER_PLANT", &url);
    let mut server = Server::spawn(command);
    server.initialize("2025-11-25");
    for (arguments, parameter) in [
        (json!({}), "session_id"),
        (json!({"connection_string": url, "broker": "plant"}), "broker"),
        (json!({"session_id": "x", "broker": "plant"}), "broker"),
        (json!({"broker": "other"}), "broker"),
        (json!({"broker": "plant", "probe_topic": "a/+"}), "probe_topic"),
        (json!({"broker": "plant", "probe_topic": "$SYS/x"}), "probe_topic"),
    ] {
        let error = server.fail("test_connection", arguments);
        assert_eq!((&error["code"], &error["parameter"]), (&json!("invalid_argument"), &json!(parameter)));
    }
    assert_eq!(server.fail("test_connection", json!({"session_id": "x"}))["code"], "unknown_session");
    for arguments in [json!({"broker": "plant"}), json!({"connection_string": url})] {
        let tested = server.call("test_connection", arguments);
        assert_eq!(tested["code"], "not_authorized", "{tested}");
        assert!(!tested.to_string().contains("s3cr3t-word"));
    }
    assert!(!server.stderr_at_end().contains("s3cr3t-word"));
}

#[test]
fn the_policy_is_kept() {
    let broker = Mosquitto::start();
    let url = broker.url();
    let mut server = Server::with(&["--deny-publish", "plant/#", "--allow-subscribe", "lab/#"]);
    let denied = server.fail("test_connection", json!({"connection_string": url, "probe_topic": "plant/x"}));
    assert_eq!(denied["code"], "policy_denied");
    let tested = server.call("test_connection", json!({"connection_string": url}));
    assert_eq!(names(&tested).last(), Some(&("subscribe", false)), "{tested}");
    assert_ne!(tested["overall_health"], "poor");
    assert_eq!(tested.get("code"), None, "our own rules say nothing of the broker");
    let tested = server.call("test_connection", json!({"connection_string": url, "probe_topic": "lab/x"}));
    assert_eq!(names(&tested).last(), Some(&("qos_2", true)), "{tested}");
    let mut server = Server::with(&["--allow-broker", "other.example"]);
    assert_eq!(server.fail("test_connection", json!({"connection_string": url}))["code"], "policy_denied");
}

#[test]
fn a_silent_peer_does_not_keep_the_caller_waiting_for_ever() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let id = server.start_call("test_connection", json!({"connection_string": broker.url()}));
    let mut peer = broker.welcome();
    while let Some(packet) = peer.next() {
        match packet.kind() {
            PINGREQ => peer.send(&packet_of(PINGRESP)),
            DISCONNECT => break,
            _ => {}
        }
    }
    let tested = server.outcome(&id);
    assert_eq!(names(&tested).last(), Some(&("subscribe", false)), "{tested}");
    assert_ne!(tested["overall_health"], "excellent");
}

#[cfg(feature = "tls")]
#[test]
fn tls_is_a_step_with_what_the_certificate_says() {
    let ca = Authority::new("Plant CA");
    let broker = ca.issue("broker", &Wanted::default()).serve("");
    let mut server = trusting(&ca.file());
    let url = format!("mqtts://localhost:{}", broker.port());
    let tested = server.call("test_connection", json!({"connection_string": url}));
    let all = ["dns", "tcp", "tls", "connect", "ping", "subscribe"].map(|name| (name, true));
    assert_eq!((names(&tested), &tested["tls"]), (all.to_vec(), &json!(true)), "{tested}");
    let certificate = &step(&tested, "tls")["certificate"];
    assert_eq!((&certificate["subject"], &certificate["issuer"]), (&json!("CN=broker"), &json!("CN=Plant CA")));
    assert!(certificate["days_to_expiry"].as_i64().is_some_and(|days| days > 7000), "{certificate}");
    assert!(step(&tested, "tls")["detail"].as_str().is_some_and(|detail| detail.contains("TLS 1.")), "{tested}");
    let expired = Wanted { years: (2000, 2001), ..Wanted::default() };
    let broker = ca.issue("broker", &expired).serve("");
    let url = format!("mqtts://localhost:{}", broker.port());
    let tested = server.call("test_connection", json!({"connection_string": url}));
    let to_tls = [("dns", true), ("tcp", true), ("tls", false)];
    assert_poor(&tested, &to_tls, "tls_failed", "expired");
    let certificate = &step(&tested, "tls")["certificate"];
    assert_eq!((&certificate["subject"], &certificate["issuer"]), (&json!("CN=broker"), &json!("CN=Plant CA")));
    assert!(certificate["days_to_expiry"].as_i64().is_some_and(|days| days < -7000), "{certificate}");
    assert!(!tested.to_string().contains("TLS failed"), "said once, by the step's name: {tested}");
}

#[cfg(feature = "tls")]
#[test]
fn a_client_certificate_that_is_missing_is_one_step_that_failed() {
    let ca = Authority::new("Plant CA");
    let mut server = trusting(&ca.file());
    for version in ["tlsv1.2", "tlsv1.3"] {
        let broker = ca.demanding(version);
        let url = format!("mqtts://localhost:{}", broker.port());
        let tested = server.call("test_connection", json!({"connection_string": url}));
        let to_tls = [("dns", true), ("tcp", true), ("tls", false)];
        assert_poor(&tested, &to_tls, "tls_failed", "client certificate");
        assert_eq!(tested["reached"], "tcp", "{version}");
    }
}
