//! The README tells the truth: its conversation happens as written, and its tool table is the tools'.

use serde_json::{Value, json};

use crate::support::mosquitto::Mosquitto;
use crate::support::root;
use crate::support::server::{Server, command};
use crate::support::tools::{is_built, updates_snapshots};

fn readme() -> String {
    std::fs::read_to_string(root().join("README.md")).expect("README.md")
}

/// The parts of an answer as the README shows it, between the places where it was shortened.
fn parts(answer: &str) -> Vec<&str> {
    answer.split('…').map(|part| part.trim_matches(',')).collect()
}

#[test]
fn the_conversation_happens_as_written() {
    let (mut server, broker) = (Server::start(), Mosquitto::start());
    let text = readme();
    let mut session = String::new();
    let mut answer = String::new();
    let mut steps = 0;
    for line in text.lines() {
        if let Some(request) = line.strip_prefix("→ ") {
            let request = request.replace("mqtt://localhost:1883", &broker.url()).replace("SESSION", &session);
            let id = serde_json::from_str::<Value>(&request).expect("JSON")["id"].clone();
            server.raw(&request);
            let line = server.response(&id);
            if let Some(id) = line.json["result"]["session_id"].as_str() {
                session = id.to_owned();
            }
            answer = line.raw.replace(&session, "SESSION").replace("127.0.0.1", "localhost");
        } else if let Some(shown) = line.strip_prefix("← ") {
            let mut rest = answer.as_str();
            for part in parts(shown) {
                let at = rest.find(part).unwrap_or_else(|| panic!("{part} is not in its place in {answer}"));
                rest = &rest[at + part.len()..];
            }
            steps += 1;
        }
    }
    assert_eq!(steps, 5, "all of it was played");
}

#[test]
fn the_tool_table_is_generated_from_the_tools() {
    const BEGIN: &str = "<!-- tools: written by UPDATE_SNAPSHOTS=1 cargo test --test it readme -->\n";
    const END: &str = "<!-- /tools -->";
    let mut server = Server::start();
    let id = server.request("tools/list", json!({}));
    let list = server.result(&id);
    let mut table = String::from("| tool | parameters | what it does |\n|---|---|---|\n");
    for tool in list["tools"].as_array().expect("tools") {
        let required: Vec<_> = tool["inputSchema"]["required"].as_array().into_iter().flatten().collect();
        let names = tool["inputSchema"]["properties"].as_object().expect("parameters").keys();
        let show =
            |name: &String| if required.iter().any(|r| *r == name) { format!("**{name}**") } else { name.clone() };
        let parameters: Vec<_> = names.map(show).collect();
        let description = tool["description"].as_str().expect("description");
        let sentence = description.split_once(". ").map_or(description, |(first, _)| first).trim_end_matches('.');
        let name = tool["name"].as_str().expect("name");
        table.push_str(&format!("| `{name}` | {} | {sentence} |\n", parameters.join(", ")));
    }
    let text = readme();
    let (before, rest) = text.split_once(BEGIN).expect("the table's place");
    let (known, after) = rest.split_once(END).expect("the table's end");
    if updates_snapshots() {
        std::fs::write(root().join("README.md"), [before, BEGIN, &table, END, after].concat()).expect("written");
        return;
    }
    let is_built = |line: &&str| line.split('`').nth(1).is_none_or(is_built);
    let known: String = known.split_inclusive('\n').filter(is_built).collect();
    assert_eq!(known, table, "UPDATE_SNAPSHOTS=1 writes it anew");
}

#[test]
fn the_registry_entry_is_this_packages() {
    let text = readme();
    let entry = text.split("```json\n").find(|block| block.contains("server.schema.json")).expect("the entry");
    let entry: Value = serde_json::from_str(entry.split("```").next().expect("its end")).expect("JSON");
    let package = &entry["packages"][0];
    for version in [&entry["version"], &package["version"]] {
        assert_eq!(*version, env!("CARGO_PKG_VERSION"));
    }
    assert_eq!(package["identifier"], env!("CARGO_PKG_NAME"));
    // The registry looks for its name in the README as it is shown, and takes 100 characters of description.
    let name = entry["name"].as_str().expect("a name");
    assert!(text.contains(&format!("`mcp-name: {name}`")), "{name}");
    assert!(entry["description"].as_str().is_some_and(|description| description.len() <= 100));
}

#[test]
fn every_error_code_has_its_row_and_number() {
    let source = std::fs::read_to_string(root().join("src/tools/failure.rs")).expect("the codes");
    let (_, rest) = source.split_once("pub enum Code {").expect("the enum");
    let (body, _) = rest.split_once('}').expect("its end");
    let variants = body.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//"));
    let text = readme();
    let mut count = 0;
    for (index, variant) in variants.enumerate() {
        let mut code = String::new();
        for letter in variant.trim_end_matches(',').chars() {
            if letter.is_ascii_uppercase() && !code.is_empty() {
                code.push('_');
            }
            code.push(letter.to_ascii_lowercase());
        }
        let number = match code.as_str() {
            "invalid_argument" => "-32602".to_owned(),
            "internal_error" => "-32603".to_owned(),
            _ => (1000 + index).to_string(),
        };
        assert!(text.contains(&format!("| `{code}` | {number} | ")), "{code} {number}");
        count += 1;
    }
    assert_eq!(count, text.lines().filter(|line| line.starts_with("| `") && line.contains("` | 10")).count() + 2);
}

#[test]
fn configurations_are_json_and_start_the_server() {
    let text = readme();
    let blocks: Vec<_> = text.split("```json\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    let mut started = 0;
    for block in blocks {
        let value: Value = serde_json::from_str(block).unwrap_or_else(|why| panic!("{block}: {why}"));
        let servers = value.get("mcpServers").or_else(|| value.get("servers"));
        let Some(entry) = servers.map(|servers| &servers["mqtt"]) else { continue };
        let args = entry["args"].as_array().cloned().unwrap_or_default();
        let words = std::iter::once(&entry["command"]).chain(&args).map(|word| word.as_str().expect("a string"));
        let words: Vec<_> = words.collect();
        let at = words.iter().rposition(|word| *word == "mqtt-mcp").expect("our command");
        let mut command = command(&words[at + 1..]);
        for (name, value) in entry["env"].as_object().into_iter().flatten() {
            command.env(name, value.as_str().expect("a string"));
        }
        let output = command.stdin(std::process::Stdio::null()).output().expect("the binary starts");
        assert!(output.status.success() && output.stderr.is_empty(), "{block}: {output:?}");
        started += 1;
    }
    assert_eq!(started, 3, "all of them");
}
