//! What was done stands in the audit, one line each, without what was said.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::fake_broker::FakeBroker;
use crate::support::mosquitto::{Mosquitto, Setup};
use crate::support::packets::*;
use crate::support::server::{Server, command};
use crate::support::{Directory, wait_for};

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).expect("the audit");
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"))).collect()
}

/// Event, topic or client, and outcome of each line.
fn told(lines: &[Value]) -> Vec<String> {
    let word = |line: &Value, name: &str| line[name].as_str().unwrap_or("-").to_owned();
    lines.iter().map(|line| ["event", "topic", "outcome"].map(|name| word(line, name)).join(" ")).collect()
}

#[test]
fn each_connect_publish_clear_and_refusal_has_a_line_with_its_outcome() {
    let directory = Directory::new();
    let broker = Mosquitto::with(&Setup { users: &[("svc", "s3cret pass")], ..Setup::default() });
    let path = directory.file("audit");
    let flags = ["--audit", path.to_str().expect("UTF-8"), "--deny-publish", "door/#", "--deny-subscribe", "secret/#"];
    let mut server = Server::with(&flags);
    let url = broker.url().replace("mqtt://", "mqtt://svc:s3cret%20pass@");
    server.fail("establish_connection", json!({"connection_string": broker.url(), "client_id": "nobody"}));
    let opened = server.call("establish_connection", json!({"connection_string": url, "client_id": "press"}));
    let session = opened["session_id"].as_str().expect("an id");
    for qos in 0..=2 {
        let message = json!({"session_id": session, "topic": format!("lab/{qos}"), "payload": "payl0ad", "qos": qos,
            "retain": qos == 2});
        server.call("publish_message", message);
    }
    server.fail("publish_message", json!({"session_id": session, "topic": "door/1", "payload": "payl0ad"}));
    server.fail("list_topics", json!({"session_id": session, "pattern": "secret/a"}));
    let clear = json!({"session_id": session, "topic_pattern": "lab/#", "dry_run": false});
    assert_eq!(server.call("clear_retained", clear)["cleared"], 1);
    let lines = lines(&path);
    assert_eq!(
        told(&lines)[..6],
        [
            "connect - not_authorized",
            "connect - connected",
            "publish lab/0 sent",
            "publish lab/1 acknowledged",
            "publish lab/2 completed",
            "refusal door/1 policy_denied",
        ]
    );
    assert_eq!(told(&lines)[6..], ["refusal secret/a policy_denied", "clear lab/2 acknowledged"]);
    let why = |line: &Value| line["why"].as_str().expect("why").to_owned();
    assert!(why(&lines[5]).contains("--deny-publish door/# (command line)"), "{}", lines[5]);
    assert!(why(&lines[6]).contains("--deny-subscribe secret/# (command line)"), "{}", lines[6]);
    for line in &lines[1..] {
        assert_eq!((&line["broker"], &line["client_id"]), (&json!("127.0.0.1"), &json!("press")), "{line}");
        assert!(line["time"].as_str().is_some_and(|time| time.ends_with('Z')), "{line}");
    }
    assert_eq!(
        (&lines[3]["qos"], &lines[3]["payload_bytes"], &lines[4]["retain"]),
        (&json!(1), &json!(7), &json!(true))
    );
    let text = std::fs::read_to_string(&path).expect("the audit");
    assert!(!text.contains("payl0ad") && !text.contains("s3cret") && !text.contains("svc"), "{text}");
}

#[test]
fn a_publish_whose_end_nobody_saw_is_told_as_unknown_or_not_sent() {
    let (directory, broker) = (Directory::new(), FakeBroker::new());
    let path = directory.file("audit");
    let mut server = Server::with(&["--audit", path.to_str().expect("UTF-8")]);
    let (session, mut peer) = server.meet(&broker);
    let message = |topic: &str, seconds: u32| json!({"session_id": session, "topic": topic, "payload": "x", "qos": 1, "timeout_seconds": seconds});
    let id = server.start_call("publish_message", message("cancelled", 30));
    peer.expect(PUBLISH);
    server.notify("notifications/cancelled", json!({"requestId": id}));
    wait_for("its line", || (lines(&path).len() == 2).then_some(()));
    assert_eq!(server.fail("publish_message", message("late", 1))["code"], "publish_timeout");
    drop(peer);
    // Before the server knows of that, it writes the message.
    wait_for("the loss to be seen", || (server.row(&session)["state"] != "connected").then_some(()));
    let id = server.start_call("publish_message", message("at the end", 30));
    server.row(&session);
    server.close_stdin();
    server.lines_to_end();
    assert!(server.process.wait_exit().success());
    let _ = id;
    let expected = ["publish cancelled unknown", "publish late unknown", "publish at the end not_sent"];
    let all = told(&lines(&path));
    let publishes: Vec<_> = all.iter().filter(|line| line.starts_with("publish")).collect();
    assert_eq!(publishes, expected.iter().collect::<Vec<_>>());
}

#[test]
fn calls_of_tools_that_the_policy_leaves_out_and_of_other_brokers_are_refusals() {
    let (directory, broker) = (Directory::new(), FakeBroker::new());
    let path = directory.file("audit");
    let mut server = Server::with(&[
        "--audit",
        path.to_str().expect("UTF-8"),
        "--read-only",
        "--allow-broker",
        "plant.example",
        "--profiles-only",
        "--broker",
        &format!("lab={}", broker.url()),
    ]);
    server.fail_bare("publish_message", json!({}));
    server.fail("establish_connection", json!({"connection_string": "mqtt://u:s3cret@h"}));
    server.fail("establish_connection", json!({"broker": "lab"}));
    let lines = lines(&path);
    let refused: Vec<_> = lines.iter().map(|line| (&line["event"], &line["refused"])).collect();
    let refusal = json!("refusal");
    assert_eq!(
        refused,
        [(&refusal, &json!("publish_message")), (&refusal, &json!("connect")), (&refusal, &json!("connect"))]
    );
    assert!(lines[0]["why"].as_str().expect("why").contains("--read-only"));
    assert!(lines[1]["why"].as_str().expect("why").contains("--profiles-only"));
    assert!(lines[2]["why"].as_str().expect("why").contains("--allow-broker plant.example"));
    assert_eq!(lines[2]["broker"], "127.0.0.1");
}

#[test]
fn a_reconnect_is_a_connect_as_well() {
    let (directory, broker) = (Directory::new(), FakeBroker::new());
    let path = directory.file("audit");
    let mut server = Server::with(&["--audit", path.to_str().expect("UTF-8")]);
    let (session, peer) = server.meet(&broker);
    drop(peer);
    broker.welcome_with(connack(false, 3)).expect_end();
    let _peer = broker.welcome();
    server.wait_for_state(&session, "connected");
    assert_eq!(told(&lines(&path)), ["connect - connected", "connect - broker_unavailable", "connect - connected"]);
}

#[test]
fn a_full_disk_stops_nothing_and_is_told_once() {
    let broker = Mosquitto::start();
    let mut listener = Client::connect(broker.port());
    listener.subscribe("lab/#", 0);
    let mut server = Server::with(&["--audit", "/dev/full"]);
    let session = server.connect(&broker.url());
    for number in 0..20 {
        let message = json!({"session_id": session, "topic": "lab/a", "payload": number});
        assert_eq!(server.call("publish_message", message)["delivery"], "sent");
    }
    for number in 0..20 {
        assert_eq!(listener.receive().payload, number.to_string().as_bytes());
    }
    let said = server.stderr_at_end();
    assert_eq!(said.matches("audit").count(), 2, "one line, with its module: {said}");
    assert!(said.contains("no space left on device"), "{said}");
}

#[test]
fn a_file_that_cannot_be_opened_ends_the_program() {
    let directory = Directory::new();
    let output =
        command(&["--audit", directory.file("none/audit").to_str().expect("UTF-8")]).output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((output.status.code(), said.lines().count()), (Some(2), 1), "{said}");
    assert!(said.contains("audit"), "{said}");
}

#[test]
fn lines_are_appended_to_a_file_that_only_its_owner_can_read() {
    use std::os::unix::fs::PermissionsExt;
    let (directory, broker) = (Directory::new(), FakeBroker::new());
    let config = directory.write("config.json", r#"{"audit": "audit"}"#);
    for count in 1..=2 {
        let mut server = Server::with(&["--config", config.to_str().expect("UTF-8")]);
        let _peer = server.meet(&broker);
        assert_eq!(lines(&directory.file("audit")).len(), count);
    }
    let mode = std::fs::metadata(directory.file("audit")).expect("the audit").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn what_a_limit_refuses_has_its_line_too() {
    let (directory, broker) = (Directory::new(), Mosquitto::start());
    let path = directory.file("audit");
    let flags = ["--audit", path.to_str().expect("UTF-8"), "--max-sessions", "1", "--max-publishes-per-minute", "1"];
    let mut server = Server::with(&flags);
    let connect = json!({"connection_string": broker.url()});
    let opened = server.call("establish_connection", connect.clone());
    server.fail("establish_connection", connect);
    let publish = json!({"session_id": opened["session_id"], "topic": "a", "payload": "b"});
    server.call("publish_message", publish.clone());
    server.fail("publish_message", publish);
    for watch in 0..6 {
        let arguments = json!({"session_id": opened["session_id"], "topic_pattern": format!("w/{watch}")});
        if watch < 5 {
            server.call("start_watch", arguments)
        } else {
            server.fail("start_watch", arguments)
        };
    }
    let lines = lines(&path);
    let refused: Vec<_> = lines.iter().filter(|line| line["event"] == "refusal").collect();
    let told: Vec<_> = refused.iter().map(|line| (line["refused"].as_str(), line["outcome"].as_str())).collect();
    let expected = [
        (Some("establish_connection"), Some("session_limit")),
        (Some("publish"), Some("too_many_calls")),
        (Some("start_watch"), Some("too_many_calls")),
    ];
    assert_eq!(told, expected, "{lines:#?}");
}
