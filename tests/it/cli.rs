//! What a person or a script at a shell sees.

use std::process::Output;

use serde_json::json;

use crate::support::server::{Server, command};

fn run(flags: &[&str]) -> Output {
    command(flags).stdin(std::process::Stdio::null()).output().expect("the binary starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

#[test]
fn help_fits_a_screen_and_names_every_option() {
    for flag in ["--help", "-h"] {
        let output = run(&[flag]);
        assert!(output.status.success() && output.stderr.is_empty());
        let help = text(&output.stdout);
        assert!(help.lines().count() <= 24, "{help}");
        assert!(help.lines().all(|line| line.chars().count() <= 80), "{help}");
        for option in [
            "mqtt-mcp tools",
            "--json",
            "--demo",
            "--broker",
            "--max-sessions",
            "--session-ttl",
            "--log",
            "--version",
            "--help",
            "MQTT_MCP_BROKER_",
        ] {
            assert!(help.contains(option), "{option}");
        }
    }
}

#[test]
fn version_is_the_packages() {
    let output = run(&["--version"]);
    assert!(output.status.success() && output.stderr.is_empty());
    assert_eq!(text(&output.stdout), format!("mqtt-mcp {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_wrong_flag_ends_with_code_2_and_one_line_that_names_it() {
    for (flags, named) in [
        (&["--nonsense"][..], "--nonsense"),
        (&["-x"], "-x"),
        (&["--max-sessions"], "--max-sessions"),
        (&["--max-sessions", "0"], "--max-sessions"),
        (&["--max-sessions", "65"], "--max-sessions"),
        (&["--max-sessions", "many"], "--max-sessions"),
        (&["--session-ttl", "0"], "--session-ttl"),
        (&["--session-ttl", "86401"], "--session-ttl"),
        (&["--log", "loud"], "--log"),
        (&["--broker", "plant"], "--broker"),
        (&["--broker", "plant=http://h"], "plant"),
        (&["--broker", "a b=mqtt://h"], "--broker"),
        (&["stray"], "argument"),
    ] {
        let output = run(flags);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{flags:?}");
        assert!(output.stdout.is_empty(), "{flags:?}");
        assert_eq!(said.lines().count(), 1, "{flags:?}: {said}");
        assert!(said.contains(named), "{flags:?}: {said}");
    }
}

#[test]
fn a_wrong_variable_ends_with_code_2_and_is_named() {
    for (name, value) in
        [("MQTT_MCP_LOG", "loud"), ("MQTT_MCP_BROKER_LAB", "http://h"), ("MQTT_MCP_BROKER_", "mqtt://h")]
    {
        let output = command(&[]).env(name, value).stdin(std::process::Stdio::null()).output().expect("it starts");
        let said = text(&output.stderr);
        assert_eq!((output.status.code(), said.lines().count()), (Some(2), 1), "{name}: {said}");
        assert!(said.contains(name), "{said}");
    }
}

#[test]
fn a_password_in_a_wrong_flag_is_not_repeated() {
    for url in ["mqtt://u:Zq8Secret@host:port", "mqtt//u:Zq8Secret@host", "mqtt://u:Zq8Secret%@host"] {
        for output in [
            run(&["--broker", &format!("lab={url}")]),
            run(&["--broker", url]),
            run(&[url]),
            command(&[]).env("MQTT_MCP_BROKER_LAB", url).output().expect("it starts"),
        ] {
            assert_eq!(output.status.code(), Some(2));
            assert!(!text(&output.stderr).contains("Zq8Secret"), "{}", text(&output.stderr));
        }
    }
}

#[test]
fn the_hint_for_a_person_is_not_shown_to_a_program() {
    let mut server = Server::start();
    server.call("list_active_connections", json!({}));
    assert_eq!(server.stderr(), "");
}

#[test]
fn the_log_goes_to_stderr_at_the_level_asked_for() {
    for (flag, variable, logs) in
        [(Some("info"), None, true), (None, Some("info"), true), (Some("error"), Some("info"), false)]
    {
        let mut command = command(&flag.map_or(vec![], |level| vec!["--log", level]));
        if let Some(level) = variable {
            command.env("MQTT_MCP_LOG", level);
        }
        let mut server = Server::spawn(command);
        server.fail_bare("establish_connection", json!({"connection_string": "mqtt://127.0.0.1:1"}));
        assert_eq!(server.stderr_at_end().contains("INFO"), logs, "{flag:?} {variable:?}");
    }
}

#[test]
fn tools_are_shown_for_a_person_and_as_a_client_gets_them() {
    let mut server = Server::start();
    let id = server.request("tools/list", json!({}));
    let list = server.result(&id);
    let output = run(&["tools", "--json"]);
    assert!(output.status.success() && output.stderr.is_empty());
    let shown: serde_json::Value = serde_json::from_str(&text(&output.stdout)).expect("JSON");
    assert_eq!(shown, list);

    let output = run(&["tools"]);
    assert!(output.status.success() && output.stderr.is_empty());
    let shown = text(&output.stdout);
    assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
    for tool in list["tools"].as_array().expect("tools") {
        let title = format!("{}: {}\n", tool["name"].as_str().expect("name"), tool["title"].as_str().expect("title"));
        let (_, behind) = shown.split_once(&title).unwrap_or_else(|| panic!("{title} in {shown}"));
        let own = behind.split("\n\n").next().unwrap_or_default();
        for parameter in tool["inputSchema"]["properties"].as_object().expect("parameters").keys() {
            assert!(own.contains(&format!("\n    {parameter} ")), "{parameter} in {own}");
        }
    }
}

#[test]
fn tools_that_the_policy_leaves_out_are_not_shown() {
    for flags in [&["tools", "--read-only"][..], &["--read-only", "tools", "--json"]] {
        let shown = text(&run(flags).stdout);
        assert!(shown.contains("list_topics") && !shown.contains("clear_retained:"), "{shown}");
        assert!(!shown.contains("\"name\":\"publish_message\"") && !shown.contains("publish_message: "), "{shown}");
    }
}

#[test]
fn words_that_mean_nothing_are_usage_errors_and_are_not_repeated() {
    for words in [
        &["Zq8Secret"][..],
        &["tools", "Zq8Secret"],
        &["--json"],
        &["demo", "--read-only"],
        &["demo", "Zq8Secret"],
        &["Zq8Secret", "--json"],
    ] {
        let output = run(words);
        let said = text(&output.stderr);
        assert_eq!((output.status.code(), said.lines().count()), (Some(2), 1), "{words:?}: {said}");
        assert!(output.stdout.is_empty() && !said.contains("Zq8Secret"), "{words:?}: {said}");
    }
}
