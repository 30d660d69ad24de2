//! Brokers by name: from the configuration file, with credentials from wherever they are kept.

use serde_json::{Value, json};

use crate::support::Directory;
use crate::support::client::Client;
use crate::support::fake_broker::FakeBroker;
use crate::support::mosquitto::{Mosquitto, Setup};
use crate::support::packets::*;
use crate::support::server::{Server, command};
use crate::support::tools::payloads;

const ACL: &str = "user svc\ntopic read sensors/#\ntopic readwrite lab/#\nuser other\ntopic readwrite #\n";

fn guarded() -> Mosquitto {
    Mosquitto::with(&Setup { users: &[("svc", "s3cret pass"), ("other", "x")], acl: Some(ACL), extra: "" })
}

/// A server with this configuration.
fn configured(directory: &Directory, config: &Value, variables: &[(&str, &str)]) -> Server {
    let path = directory.write("config.json", &config.to_string());
    let mut command = command(&["--config", path.to_str().expect("a path in UTF-8")]);
    command.envs(variables.iter().copied());
    let mut server = Server::spawn(command);
    server.initialize("2025-11-25");
    server
}

#[test]
fn credentials_come_from_the_file_itself_another_file_or_a_variable() {
    let (broker, directory) = (guarded(), Directory::new());
    directory.write("password", "s3cret pass\n");
    let url = broker.url();
    let with_user = url.replace("mqtt://", "mqtt://svc:s3cret%20pass@");
    let config = json!({"brokers": {
        "inline": {"url": url, "username": "svc", "password": "s3cret pass"},
        "file": {"url": url, "username": "svc", "password_file": "password"},
        "variable": {"url": url, "username": "svc", "password_env": "PLANT_PASSWORD"},
        "in-url": {"url": with_user},
        "wrong": {"url": url, "username": "svc", "password": "other"},
        "nobody": {"url": url},
    }});
    let mut server = configured(&directory, &config, &[("PLANT_PASSWORD", "s3cret pass")]);
    for (name, code) in [
        ("inline", None),
        ("file", None),
        ("variable", None),
        ("in-url", None),
        ("wrong", Some("not_authorized")),
        ("nobody", Some("not_authorized")),
    ] {
        let id = server.start_call("establish_connection", json!({"broker": name}));
        match code {
            None => assert_eq!(server.outcome(&id)["status"], "connected", "{name}"),
            Some(code) => assert_eq!(server.failure(&id)["code"], code, "{name}"),
        }
    }
}

#[test]
fn what_the_broker_does_not_allow_its_user_is_told_or_does_not_come() {
    let (broker, directory) = (guarded(), Directory::new());
    let config = json!({"brokers": {"plant": {"url": broker.url(), "username": "svc", "password": "s3cret pass"}}});
    let mut server = configured(&directory, &config, &[]);
    let opened = server.call("establish_connection", json!({"broker": "plant"}));
    let session = opened["session_id"].as_str().expect("an id");
    let mut other = Client::connect_as(broker.port(), Some(("other", "x")));
    other.retain("sensors/a", "1");
    other.retain("secret/a", "2");
    let read =
        server.call("subscribe_and_collect", json!({"session_id": session, "topic_pattern": "#", "retained": "only"}));
    assert_eq!(payloads(&read), [json!(1)]);
    let id = server.listen(session, "subscribe_and_collect", json!({"topic_pattern": "lab/#", "max_messages": 1}));
    server.call("publish_message", json!({"session_id": session, "topic": "lab/a", "payload": 3, "qos": 1}));
    assert_eq!(payloads(&server.outcome(&id)), [json!(3)]);
}

#[test]
fn a_profile_gives_client_id_and_keep_alive_unless_the_call_does() {
    let (broker, directory) = (FakeBroker::new(), Directory::new());
    let config = json!({"brokers": {"plant": {"url": broker.url(), "client_id": "press", "keep_alive_seconds": 7}}});
    let mut server = configured(&directory, &config, &[]);
    for (arguments, client_id, keep_alive) in [
        (json!({"broker": "plant"}), "press", 7),
        (json!({"broker": "plant", "client_id": "own", "keep_alive_seconds": 60}), "own", 60),
        (json!({"broker": "plant", "keep_alive_seconds": null}), "press", 7),
    ] {
        let id = server.start_call("establish_connection", arguments);
        let mut peer = broker.accept();
        let connect = peer.expect(CONNECT).body;
        assert_eq!(connect[8..10], u16::to_be_bytes(keep_alive), "{client_id}");
        assert!(connect.ends_with(&string(client_id.as_bytes())), "{client_id}");
        peer.send(&connack(false, 0));
        server.outcome(&id);
    }
}

#[test]
fn the_model_sees_descriptions_and_addresses_and_no_credentials() {
    let directory = Directory::new();
    let config = json!({"brokers": {
        "plant": {"url": "mqtts://plant.example", "description": "press line 2", "username": "svc-user",
                  "password": "s3cret pass"},
        "lab": {"url": "mqtt://[::1]:1884/id"},
    }});
    let mut server = configured(&directory, &config, &[]);
    let list = server.call("list_active_connections", json!({}));
    assert_eq!(list["brokers"], json!(["lab", "plant"]));
    let expected = json!([
        {"name": "lab", "broker": "::1", "port": 1884, "tls": false},
        {"name": "plant", "description": "press line 2", "broker": "plant.example", "port": 8883, "tls": true},
    ]);
    assert_eq!(list["broker_profiles"], expected);
    assert!(!list.to_string().contains("svc-user") && !list.to_string().contains("s3cret"));
    let error = server.fail("establish_connection", json!({"broker": "other"}));
    assert!(error["message"].as_str().expect("words").contains("lab, plant"), "{error}");
}

#[test]
fn policy_and_limits_of_the_file_are_in_force() {
    let (broker, directory) = (Mosquitto::start(), Directory::new());
    let config = json!({
        "brokers": {"plant": {"url": broker.url()}},
        "policy": {"profiles_only": true, "publish": {"deny": ["door/#"]}, "subscribe": {"allow": ["lab/+"]}},
        "limits": {"max_sessions": 1},
    });
    let mut server = configured(&directory, &config, &[]);
    let refused = |server: &mut Server, tool: &str, arguments: Value, rule: &str| {
        let error = server.fail(tool, arguments);
        assert_eq!(error["code"], "policy_denied", "{error}");
        let message = error["message"].as_str().expect("words");
        assert!(message.contains(rule) && message.contains("(configuration file)"), "{message}");
    };
    let url = json!({"connection_string": broker.url()});
    refused(&mut server, "establish_connection", url, "policy.profiles_only");
    let opened = server.call("establish_connection", json!({"broker": "plant"}));
    let session = &opened["session_id"];
    let publish = json!({"session_id": session, "topic": "door/1", "payload": 1});
    refused(&mut server, "publish_message", publish, "policy.publish.deny door/#");
    let listen = json!({"session_id": session, "pattern": "lab/#"});
    refused(&mut server, "list_topics", listen, "policy.subscribe.allow lab/+");
    assert_eq!(server.fail("establish_connection", json!({"broker": "plant"}))["code"], "session_limit");
}

#[test]
fn a_wrong_file_ends_the_program_with_one_line() {
    let directory = Directory::new();
    let path = directory.write("config.json", r#"{"brokers": {"plant": {"url": "mqtt://h", "pasword": "s3cret"}}}"#);
    for variable in [false, true] {
        let mut command = command(&[]);
        match variable {
            true => command.env("MQTT_MCP_CONFIG", &path),
            false => command.arg("--config").arg(&path),
        };
        let output = command.output().expect("the binary starts");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), said.lines().count()), (Some(2), 1), "{said}");
        assert!(said.contains("config.json: brokers.plant.pasword is not a known key"), "{said}");
        assert!(!said.contains("s3cret") && output.stdout.is_empty());
    }
}

#[test]
fn a_file_with_a_password_for_all_to_read_is_warned_about_once() {
    use std::os::unix::fs::PermissionsExt;
    let directory = Directory::new();
    let path = directory.write("config.json", r#"{"brokers": {"a": {"url": "mqtt://u:s3cret@h"}}}"#);
    for (mode, lines) in [(0o644, 1), (0o600, 0)] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("permissions");
        let mut server = Server::with(&["--config", path.to_str().expect("UTF-8")]);
        let said = server.stderr_at_end();
        assert_eq!(said.matches("config.json holds a password").count(), lines, "{said}");
        assert!(!said.contains("s3cret"), "{said}");
    }
}
