//! Passwords: in no output, no log line, and not in memory between connects.

use serde_json::{Value, json};

use crate::support::Directory;
use crate::support::fake_broker::{FakeBroker, Peer};
use crate::support::memory::find_in_memory;
use crate::support::mosquitto::{Mosquitto, Setup};
use crate::support::packets::*;
use crate::support::server::{Server, command};
use crate::support::tools::{arguments, listed};

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

/// Credentials of a profile that no variable holds: the environment of a process stays as it was started with.
fn profiles(url: &str) -> [Value; 3] {
    let with_user = url.replace("mqtt://", &format!("mqtt://{USER}:{PASSWORD}@"));
    [
        json!({"url": url, "username": USER, "password": PASSWORD}),
        json!({"url": url, "username": USER, "password_file": "password"}),
        json!({"url": with_user}),
    ]
}

#[test]
fn a_password_of_a_profile_is_not_in_memory_before_between_and_after_connects() {
    for profile in profiles("mqtt://127.0.0.1:1") {
        let (directory, broker) = (Directory::new(), FakeBroker::new());
        directory.write("password", &format!("{PASSWORD}\n"));
        let text = json!({"brokers": {"plant": profile}}).to_string();
        let path =
            directory.write("config.json", &text.replace("127.0.0.1:1\"", &format!("127.0.0.1:{}\"", broker.port())));
        let mut server = Server::with(&["--log", "trace", "--config", path.to_str().expect("UTF-8")]);
        let nowhere = |server: &Server, when: &str| {
            assert_eq!(find_in_memory(server.pid(), &[PASSWORD]), Vec::<&str>::new(), "{when}: {profile}");
        };
        nowhere(&server, "before");
        let id = server.start_call("establish_connection", json!({"broker": "plant"}));
        broker.welcome_with(connack(false, 5)).expect_end();
        assert_eq!(server.failure(&id)["code"], "not_authorized");
        nowhere(&server, "refused");
        let id = server.start_call("establish_connection", json!({"broker": "plant"}));
        let mut peer = broker.accept();
        assert!(peer.expect(CONNECT).body.ends_with(&string(PASSWORD.as_bytes())), "the broker gets the password");
        peer.send(&connack(false, 0));
        let session = server.outcome(&id)["session_id"].as_str().expect("an id").to_owned();
        nowhere(&server, "connected");
        drop(peer);
        let _peer = broker.welcome();
        server.wait_for_state(&session, "connected");
        nowhere(&server, "connected again");
        assert!(!server.stderr_at_end().contains(PASSWORD));
    }
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

/// Wherever a text can stand: in each argument of each tool, in names, in what else the server offers.
fn requests_with(server: &mut Server, session: &str, text: &str) -> Vec<Value> {
    let mut ids = Vec::new();
    for tool in listed(server) {
        let name = tool["name"].as_str().expect("a name");
        for (parameter, rules) in tool["inputSchema"]["properties"].as_object().expect("parameters") {
            let mut arguments = arguments(&tool, session, "a");
            arguments[parameter] = json!(text);
            if name == "establish_connection" && parameter != "broker" {
                arguments["timeout_seconds"] = json!(1);
                arguments["connection_string"] = json!("mqtt://127.0.0.1:1");
                arguments[parameter] = json!(text);
            }
            // What is published is no secret of ours, and its topic is part of the result.
            if !(rules["type"] == "string" && parameter == "topic") {
                ids.push(server.start_call(name, arguments.clone()));
                ids.push(server.request(name, arguments));
            }
        }
        ids.push(server.start_call(name, json!({text: 1})));
    }
    ids.push(server.start_call(text, json!({})));
    ids.push(server.request(text, json!({})));
    ids.push(server.request("resources/read", json!({"uri": text})));
    ids.push(server.request("resources/subscribe", json!({"uri": text})));
    ids.push(server.request("prompts/get", json!({"name": text})));
    ids.push(server.request("prompts/get", json!({"name": "explore", "arguments": {text: text}})));
    let reference = json!({"type": "ref/prompt", "name": text});
    ids.push(server.request("completion/complete", json!({"ref": reference, "argument": {"name": "x", "value": "y"}})));
    ids.push(server.request("tools/list", json!({"cursor": text})));
    ids.push(server.request("ping", json!({"_meta": {"io.modelcontextprotocol/protocolVersion": text}})));
    ids
}

#[test]
fn no_error_of_any_tool_and_no_log_line_at_any_level_repeats_a_password() {
    for level in ["error", "warn", "info", "debug", "trace"] {
        let broker = Mosquitto::with(&Setup { users: &[(USER, PASSWORD)], ..Setup::default() });
        let mut server = Server::spawn(command(&["--log", level, "--max-sessions", "64"]));
        server.initialize("2025-11-25");
        let session = server.connect(&broker.url().replace("mqtt://", &format!("mqtt://{USER}:{PASSWORD}@")));
        let (mut errors, forms) = (0, ["mqtt://u:P@127.0.0.1:port", "mqtts://u:P/x@127.0.0.1:1", "x mqtt://u:P@h/ y"]);
        for form in forms {
            let ids = requests_with(&mut server, &session, &form.replace('P', PASSWORD));
            for id in ids {
                let answer = server.response(&id);
                if answer.json.get("error").is_some() || answer.json["result"]["isError"] == true {
                    errors += 1;
                    assert!(!answer.raw.contains(PASSWORD), "{}", answer.raw);
                }
            }
        }
        assert!(errors > 100, "{errors} errors were looked at");
        let log = server.stderr_at_end();
        assert!(!log.contains(PASSWORD), "{log}");
        assert!(level != "trace" || !log.is_empty());
    }
}

#[test]
fn the_memory_does_not_go_into_core_files() {
    let server = Server::start();
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", server.pid())).expect("the process's limits");
    let line = limits.lines().find(|line| line.starts_with("Max core file size")).expect("a limit");
    let most: Vec<_> = line.split_whitespace().filter_map(|word| word.parse::<u64>().ok()).collect();
    assert!(most.len() == 2 && most.iter().all(|bytes| *bytes <= 1), "{line}");
}
