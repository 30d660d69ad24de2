//! Passwords: in no output, no log line, and not in memory between connects.

use serde_json::{Value, json};

use crate::support::fake_broker::{FakeBroker, Peer};
use crate::support::memory::find_in_memory;
use crate::support::packets::*;
use crate::support::server::{Server, command};

/// Distinctive enough to stand nowhere by chance. With this user name before it, it is one block of the cipher that
/// seals it: what a cipher leaves behind of a block would be all of it.
const PASSWORD: &str = "Zq8wXj4vKp2nRt6s";
const USER: &str = "svc-account";

fn percent_encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

fn json_escaped(text: &str) -> String {
    text.bytes().map(|byte| format!("\\u{byte:04x}")).collect()
}

/// Opens a session with the password written as `form` says in the JSON text of the request.
fn connect(server: &mut Server, broker: &FakeBroker, form: &str) -> Peer {
    let url = format!("mqtt://{USER}:{form}@127.0.0.1:{}", broker.port());
    server.raw(format!(
        r#"{{"jsonrpc":"2.0","id":"secret","method":"establish_connection","params":{{"connection_string":"{url}"}}}}"#
    ));
    let mut peer = broker.accept();
    let connect = peer.expect(CONNECT);
    assert!(connect.body.ends_with(&string(PASSWORD.as_bytes())), "the broker gets the password");
    peer.send(&connack(false, 0));
    let answer = server.response(&json!("secret"));
    assert_eq!(answer.json["result"]["status"], "connected", "{}", answer.raw);
    assert!(!answer.raw.contains(form) && !answer.raw.contains(PASSWORD));
    peer
}

fn forms() -> [String; 4] {
    let (percent, escaped) = (percent_encoded(PASSWORD), json_escaped(PASSWORD));
    [PASSWORD.into(), percent.clone(), escaped, json_escaped(&percent)]
}

#[test]
fn a_password_is_not_in_memory_between_connects() {
    for form in forms() {
        let (mut server, broker) = (Server::start(), FakeBroker::new());
        let _peer = connect(&mut server, &broker, &form);
        let (percent, escaped) = (percent_encoded(PASSWORD), json_escaped(PASSWORD));
        let needles = [PASSWORD, &form, &percent, &escaped];
        assert_eq!(find_in_memory(server.pid(), &needles), Vec::<&str>::new(), "given as {form}");
        assert!(!find_in_memory(server.pid(), &["127.0.0.1"]).is_empty(), "the search finds what is there");
    }
}

#[test]
fn a_password_is_not_in_memory_after_a_reconnect_either() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    drop(connect(&mut server, &broker, PASSWORD));
    let mut peer = broker.accept();
    assert!(peer.expect(CONNECT).body.ends_with(&string(PASSWORD.as_bytes())), "it can still be opened to connect");
    peer.send(&connack(false, 0));
    let list = server.call("list_active_connections", json!({}));
    let session = list["active_connections"][0]["session_id"].as_str().expect("an id").to_owned();
    server.wait_for_state(&session, "connected");
    assert_eq!(find_in_memory(server.pid(), &[PASSWORD]), Vec::<&str>::new());
}

#[test]
fn a_refused_password_is_not_in_memory_output_or_log() {
    let mut server = Server::spawn(command(&["--log", "trace"]));
    let broker = FakeBroker::new();
    let url = format!("mqtt://{USER}:{PASSWORD}@127.0.0.1:{}", broker.port());
    let id = server.request("establish_connection", json!({"connection_string": url}));
    broker.welcome_with(connack(false, 4)).expect_end();
    let answer = server.response(&id);
    assert_eq!(answer.json["error"]["data"]["error"]["code"], "bad_credentials");
    assert!(!answer.raw.contains(PASSWORD));
    assert_eq!(find_in_memory(server.pid(), &[PASSWORD]), Vec::<&str>::new());
    assert!(!server.stderr_at_end().contains(PASSWORD));
}

#[test]
fn no_log_line_and_no_answer_holds_a_password() {
    let broker = FakeBroker::new();
    let url = format!("mqtt://{USER}:{PASSWORD}@127.0.0.1:{}", broker.port());
    let mut command = command(&["--log", "trace"]);
    command.env("MQTT_MCP_BROKER_PLANT", &url);
    let mut server = Server::spawn(command);
    server.initialize("2025-11-25");
    drop(connect(&mut server, &broker, PASSWORD));
    let _peer = broker.welcome();
    let mut answers: Vec<Value> = vec![server.call("list_active_connections", json!({}))];
    for wrong in ["mqtt://u:Zq8wXj4vKp2nRt6s@", "Zq8wXj4vKp2nRt6s", "mqtt://u:Zq8wXj4vKp2nRt6s@h:99999"] {
        answers.push(server.fail("establish_connection", json!({"connection_string": wrong})));
        answers.push(server.fail("establish_connection", json!({"broker": wrong, "connection_string": wrong})));
        answers.push(server.fail_bare("establish_connection", json!({"connection_string": wrong})));
    }
    for answer in answers {
        assert!(!answer.to_string().contains(PASSWORD), "{answer}");
    }
    let log = server.stderr_at_end();
    assert!(log.contains("session to"), "there is a log: {log}");
    assert!(!log.contains(PASSWORD), "{log}");
}
