use super::super::{Command, read as read_all};
use std::ffi::OsString;

use super::*;

/// A directory of the test's own.
struct Files(PathBuf);

impl Files {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("mqtt-mcp-config-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a directory");
        Self(path)
    }

    fn write(&self, name: &str, text: &str, mode: u32) {
        let path = self.0.join(name);
        std::fs::write(&path, text).expect("written");
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("permissions");
    }

    /// What the program makes of this file, with flags and variables beside it.
    fn config(&self, text: &str, flags: &[&str], variables: &[(&str, &str)]) -> Result<Config, String> {
        self.write("config.json", text, 0o600);
        let path = self.0.join("config.json").display().to_string();
        let flags = ["mqtt-mcp", "--config", &path].into_iter().chain(flags.iter().copied());
        let variables = variables.iter().map(|(name, value)| (name.into(), value.into()));
        match read_all(flags.map(Into::into), variables)? {
            Command::Serve(config) => Ok(*config),
            _ => Err("something else than serving".into()),
        }
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn password(broker: &Broker) -> Option<&[u8]> {
    broker.target.credentials.password.as_ref().map(Secret::expose)
}

#[test]
fn everything_that_may_stand_in_it_is_read() {
    let files = Files::new("all");
    for name in ["ca.pem", "cert.pem", "key.pem"] {
        files.write(name, "-", 0o600);
    }
    files.write("password", "from a file\r\n", 0o600);
    let digits = "ab:".repeat(31) + "CD";
    let text = format!(
        r#"{{ "brokers": {{
            "plant": {{ "url": "mqtts://plant.example:8884/in-url", "description": "press line 2, not mqtt://u:p@h", "username": "svc",
                "password_file": "password", "ca_file": "ca.pem", "cert_file": "cert.pem", "key_file": "key.pem",
                "server_name": "other.example", "fingerprint_sha256": "{digits}", "alpn": true, "client_id": "id",
                "keep_alive_seconds": 7 }},
            "lab": {{ "url": "mqtt://lab", "username": "u", "password": "in\u002dline" }},
            "env": {{ "url": "mqtt://u@lab", "password_env": "SECRET" }} }},
          "policy": {{ "read_only": false, "profiles_only": true, "brokers": ["plant.example:8884"],
            "publish": {{ "allow": ["lab/#"], "deny": ["lab/door/#"] }},
            "subscribe": {{ "allow": ["a/#"], "deny": [] }} }},
          "limits": {{ "max_sessions": 6, "session_ttl_seconds": 7 }} }}"#
    );
    let config = files.config(&text, &[], &[("SECRET", "from env")]).expect("a configuration");
    let names: Vec<_> = config.brokers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["env", "lab", "plant"]);
    let (env, lab, plant) = (&config.brokers[0].1, &config.brokers[1].1, &config.brokers[2].1);
    assert_eq!((password(env), password(lab)), (Some(&b"from env"[..]), Some(&b"in-line"[..])));
    assert_eq!(password(plant), Some(&b"from a file"[..]));
    assert_eq!((plant.target.host.as_str(), plant.target.port, plant.target.tls), ("plant.example", 8884, true));
    assert_eq!(plant.target.client_id.as_deref(), Some("id"));
    assert_eq!(
        (plant.keep_alive_seconds, plant.description.as_deref()),
        (Some(7), Some("press line 2, not mqtt://***@h"))
    );
    let mut fingerprint = [0xab; 32];
    fingerprint[31] = 0xcd;
    let tls = TlsOptions {
        ca_file: Some(files.0.join("ca.pem")),
        cert_file: Some(files.0.join("cert.pem")),
        key_file: Some(files.0.join("key.pem")),
        server_name: Some("other.example".into()),
        fingerprint_sha256: Some(fingerprint),
        alpn: true,
    };
    assert_eq!(plant.tls, tls);
    assert_eq!((config.max_sessions, config.session_ttl.as_secs()), (6, 7));
    let policy = &config.policy;
    assert!(policy.check_connection_string().is_err() && policy.check_publishing().is_ok());
    assert!(policy.check_publish("lab/a").is_ok() && policy.check_publish("lab/door/a").is_err());
    assert!(policy.check_subscribe("a/b").is_ok() && policy.check_subscribe("b").is_err());
    assert!(policy.check_broker("plant.example", 8884).is_ok() && policy.check_broker("lab", 1883).is_err());
}

#[test]
fn flags_win_over_variables_and_both_over_the_file_broker_by_broker() {
    let files = Files::new("order");
    let text = r#"{"brokers": {
        "a": {"url": "mqtt://u:p@file-a", "keep_alive_seconds": 5, "description": "file"},
        "b": {"url": "mqtt://u:p@file-b"}, "c": {"url": "mqtt://file-c"}},
        "policy": {"publish": {"allow": ["file/#"]}}, "limits": {"max_sessions": 6, "session_ttl_seconds": 7}}"#;
    let flags = ["--broker", "a=mqtt://flag-a", "--session-ttl", "9", "--allow-publish", "flag/#"];
    let variables = [("MQTT_MCP_BROKER_A", "mqtt://env-a"), ("MQTT_MCP_BROKER_B", "mqtt://env-b")];
    let config = files.config(text, &flags, &variables).expect("a configuration");
    let hosts: Vec<_> = config.brokers.iter().map(|(_, broker)| broker.target.host.as_str()).collect();
    assert_eq!(hosts, ["flag-a", "env-b", "file-c"]);
    for (name, broker) in &config.brokers[..2] {
        let whole = password(broker).is_none() && broker.keep_alive_seconds.is_none() && broker.description.is_none();
        assert!(whole, "{name} has nothing of the file's");
    }
    assert_eq!((config.max_sessions, config.session_ttl.as_secs()), (6, 9));
    for topic in ["file/a", "flag/a"] {
        assert!(config.policy.check_publish(topic).is_ok(), "rules add up: {topic}");
    }
    assert!(config.policy.check_publish("other").is_err());
}

#[test]
fn the_variable_names_the_file_unless_the_flag_does() {
    let files = Files::new("variable");
    files.write("other.json", r#"{"limits": {"max_sessions": 3}}"#, 0o600);
    let other = files.0.join("other.json").display().to_string();
    let variables = || [(OsString::from("MQTT_MCP_CONFIG"), OsString::from(&other))];
    let Ok(Command::Serve(config)) = read_all(["mqtt-mcp".into()], variables()) else { panic!("a configuration") };
    assert_eq!(config.max_sessions, 3);
    let config = files.config(r#"{"limits": {"max_sessions": 4}}"#, &[], &[("MQTT_MCP_CONFIG", &other)]);
    assert_eq!(config.expect("a configuration").max_sessions, 4);
    let Ok(Command::Serve(_)) = read_all(["mqtt-mcp".into()], [("MQTT_MCP_CONFIG".into(), "".into())]) else {
        panic!("an empty variable is none")
    };
}

/// A broker's members, as a whole file.
fn broker(members: &str) -> String {
    format!(r#"{{"brokers": {{"plant": {{{members}}}}}}}"#)
}

#[test]
fn each_fault_is_named_with_its_place_and_no_value_is_repeated() {
    let files = Files::new("faults");
    let url = r#""url": "mqtt://h""#;
    let tls = r#""url": "mqtts://h""#;
    for (text, named) in [
        ("".to_owned(), "line 1"),
        ("[]".into(), "must be a JSON object"),
        (r#"{"brokers": {"plant": {"url": s3cret}}}"#.into(), "line 1, column 31"),
        (r#"{"broker": {}}"#.into(), "broker is not a known key; there are: brokers"),
        (r#"{"brokers": []}"#.into(), "brokers must be an object"),
        (r#"{"brokers": {"a b": {"url": "mqtt://h"}}}"#.into(), "brokers.a b: a broker's name"),
        (r#"{"brokers": {"plant": "mqtt://u:s3cret@h"}}"#.into(), "brokers.plant must be an object"),
        (broker(""), "brokers.plant.url is missing"),
        (broker(r#""url": 1"#), "brokers.plant.url must be a string"),
        (broker(r#""url": "http://s3cret""#), "brokers.plant.url must start with mqtt://"),
        (broker(&format!(r#"{url}, "pasword": "s3cret""#)), "brokers.plant.pasword is not a known key"),
        (broker(&format!(r#"{url}, {url}"#)), "brokers.plant.url stands there twice"),
        (broker(&format!(r#"{url}, "username": "a\u0000b""#)), "brokers.plant.username must not have control"),
        (broker(&format!(r#"{url}, "password": "s3cret""#)), "brokers.plant.password needs a username"),
        (broker(r#""url": "mqtt://u@h", "username": "s3cret""#), "brokers.plant.username is given a second time"),
        (broker(r#""url": "mqtt://u:p@h", "password": "s3cret""#), "brokers.plant.password is given a second time"),
        (
            broker(r#""url": "mqtt://u@h", "password": "s3cret", "password_env": "s3cret""#),
            "brokers.plant.password_env must not be given together with password",
        ),
        (broker(r#""url": "mqtt://u@h", "password_env": "s3cret""#), "brokers.plant.password_env names a variable"),
        (broker(r#""url": "mqtt://u@h", "password_file": "s3cret""#), "password_file cannot be read: no such file"),
        (broker(r#""url": "mqtt://u@h", "password_file": ".""#), "brokers.plant.password_file is a directory"),
        (broker(r#""url": "mqtt://u@h", "password": null"#), "brokers.plant.password must be a string"),
        (broker(r#""url": "mqtt://u@h", "password": """#), "brokers.plant.password must be a string that is not empty"),
        (broker(&format!(r#"{url}, "ca_file": "s3cret""#)), "brokers.plant.ca_file needs a url with mqtts://"),
        (broker(&format!(r#"{tls}, "ca_file": "s3cret""#)), "brokers.plant.ca_file cannot be read"),
        (broker(&format!(r#"{tls}, "cert_file": "config.json""#)), "brokers.plant.cert_file needs a key_file"),
        (broker(&format!(r#"{tls}, "key_file": "config.json""#)), "brokers.plant.key_file needs a cert_file"),
        (broker(&format!(r#"{tls}, "fingerprint_sha256": "s3cret""#)), "brokers.plant.fingerprint_sha256 must be"),
        (broker(&format!(r#"{tls}, "fingerprint_sha256": "abcd""#)), "brokers.plant.fingerprint_sha256 must be"),
        (broker(&format!(r#"{tls}, "alpn": 1"#)), "brokers.plant.alpn must be true or false"),
        (broker(&format!(r#"{url}, "keep_alive_seconds": 65536"#)), "keep_alive_seconds must be a whole number from 0"),
        (broker(&format!(r#"{url}, "keep_alive_seconds": "60""#)), "keep_alive_seconds must be a whole number from 0"),
        (broker(&format!(r#"{url}, "description": "{}""#, "s".repeat(501))), "brokers.plant.description must have"),
        (r#"{"policy": {"readonly": true}}"#.into(), "policy.readonly is not a known key"),
        (r#"{"policy": {"read_only": "yes"}}"#.into(), "policy.read_only must be true or false"),
        (r#"{"policy": {"brokers": []}}"#.into(), "policy.brokers must not be empty"),
        (r#"{"policy": {"brokers": ["a", "u:s3cret@h"]}}"#.into(), "policy.brokers[1] "),
        (r#"{"policy": {"publish": ["a"]}}"#.into(), "policy.publish must be an object"),
        (r#"{"policy": {"publish": {"allow": []}}}"#.into(), "policy.publish.allow must not be empty"),
        (r#"{"policy": {"publish": {"allow": "a"}}}"#.into(), "policy.publish.allow must be a list"),
        (r#"{"policy": {"subscribe": {"deny": ["a", "b#"]}}}"#.into(), "policy.subscribe.deny[1] has a #"),
        (r#"{"policy": {"subscribe": {"deny": [1]}}}"#.into(), "policy.subscribe.deny[0] must be a string"),
        (r#"{"policy": {"subscribe": {"denny": []}}}"#.into(), "policy.subscribe.denny is not a known key"),
        (r#"{"limits": {"max_sessions": 65}}"#.into(), "limits.max_sessions must be a whole number from 1 to 64"),
        (r#"{"limits": {"session_ttl_seconds": -1}}"#.into(), "limits.session_ttl_seconds must be"),
        (" ".repeat(CONFIG_MAX_BYTES + 1), "is too large"),
    ] {
        let why = files.config(&text, &[], &[]).expect_err(&text);
        assert!(why.contains(named), "{text}: {why}");
        assert!(why.contains("config.json: ") && !why.contains("s3cret") && !why.contains('\n'), "{text}: {why}");
    }
}

#[test]
fn a_file_that_is_missing_or_not_text_is_named() {
    let files = Files::new("missing");
    let path = files.0.join("none.json").display().to_string();
    let why = read_all(["mqtt-mcp", "--config", &path].map(Into::into), []).err().expect("refused");
    assert!(why.contains("none.json: cannot be opened: no such file"), "{why}");
    std::fs::write(&path, b"\xff").expect("written");
    let why = read_all(["mqtt-mcp", "--config", &path].map(Into::into), []).err().expect("refused");
    assert!(why.contains("none.json: is not UTF-8"), "{why}");
}

#[test]
fn a_file_with_a_password_that_others_can_read_is_warned_about() {
    let files = Files::new("mode");
    let with = |text: &str, mode: u32| {
        files.write("mode.json", text, mode);
        let path = files.0.join("mode.json").display().to_string();
        match read_all(["mqtt-mcp", "--config", &path].map(Into::into), [("X".into(), "y".into())]) {
            Ok(Command::Serve(config)) => config.warnings,
            _ => panic!("a configuration"),
        }
    };
    let inline = broker(r#""url": "mqtt://u@h", "password": "s3cret""#);
    let in_url = broker(r#""url": "mqtt://u:s3cret@h""#);
    let variable = broker(r#""url": "mqtt://u@h", "password_env": "X""#);
    for (text, mode, warned) in [
        (&inline, 0o644, true),
        (&inline, 0o640, true),
        (&in_url, 0o604, true),
        (&inline, 0o600, false),
        (&inline, 0o400, false),
        (&variable, 0o644, false),
    ] {
        let warnings = with(text, mode);
        assert_eq!(warnings.len(), usize::from(warned), "{text} {mode:o}");
        assert!(warnings.iter().all(|line| line.contains("mode.json") && !line.contains("s3cret")), "{warnings:?}");
    }
}
