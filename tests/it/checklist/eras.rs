//! What takes a conversation to show: both eras on one process, cancellation, capabilities, rules over all that is listed.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::fake_broker::FakeBroker;
use crate::support::mosquitto::Mosquitto;
use crate::support::packets::*;
use crate::support::server::{Server, command, envelope};

const HANDSHAKES: [&str; 4] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"];

fn unopened() -> Server {
    Server::spawn(command(&[]))
}

#[test]
fn capabilities_are_what_is_served_in_each_revision() {
    for revision in HANDSHAKES {
        let result = unopened().initialize(revision);
        let mut declared = json!({"tools": {}, "resources": {"subscribe": true}, "prompts": {}, "completions": {}});
        if revision == "2024-11-05" {
            declared.as_object_mut().expect("an object").remove("completions");
        }
        // No logging, no list that tells of its changes, no tasks.
        assert_eq!(result["capabilities"], declared, "{revision}");
        let titled = revision >= "2025-06-18";
        assert_eq!(result["serverInfo"].get("title").is_some(), titled, "{revision}");
    }
    let discovered = unopened().modern("server/discover", json!({})).json["result"].take();
    let declared = json!({"tools": {}, "resources": {"subscribe": true}, "prompts": {}, "completions": {}});
    assert_eq!(discovered["capabilities"], declared);
}

#[test]
fn requests_before_initialized_are_served() {
    let mut server = unopened();
    let params =
        json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "i", "version": "1"}});
    let opening = server.request("initialize", params);
    let list = server.request("tools/list", json!({}));
    assert_eq!(server.result(&opening)["protocolVersion"], "2025-11-25");
    assert!(server.result(&list)["tools"].is_array());
}

#[test]
fn a_handshake_cannot_be_cancelled() {
    let mut server = unopened();
    let params =
        json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "i", "version": "1"}});
    let id = server.request("initialize", params);
    server.notify("notifications/cancelled", json!({"requestId": id}));
    assert_eq!(server.result(&id)["protocolVersion"], "2025-11-25");
}

#[test]
fn an_envelope_must_be_whole() {
    let mut server = unopened();
    let without = |name: &str| {
        let mut meta = envelope("2026-07-28");
        meta.as_object_mut().expect("an object").remove(&format!("io.modelcontextprotocol/{name}"));
        meta
    };
    for method in ["server/discover", "tools/list", "subscriptions/listen"] {
        let mut wrong =
            vec![without("clientCapabilities"), without("protocolVersion"), json!({}), json!([]), json!("x")];
        for (name, value) in [("protocolVersion", json!(20_260_728)), ("clientCapabilities", json!([]))] {
            let mut meta = envelope("2026-07-28");
            meta[format!("io.modelcontextprotocol/{name}")] = value;
            wrong.push(meta);
        }
        for meta in wrong {
            let id = server.request(method, json!({"_meta": meta, "notifications": {}}));
            assert_eq!(server.response(&id).json["error"]["code"], -32602, "{method} {meta}");
        }
    }
    let id = server.request("tools/list", json!({"_meta": without("clientInfo")}));
    assert!(server.result(&id)["tools"].is_array(), "who the client is need not be said");
}

#[test]
fn eras_interleave_and_leave_nothing_behind() {
    let mut server = unopened();
    let modern = |server: &mut Server| server.modern("tools/call", json!({"name": "list_active_connections"})).json;
    assert_eq!(modern(&mut server)["result"]["resultType"], "complete");
    let id = server.request("tools/list", json!({}));
    assert_eq!(server.response(&id).json["error"]["code"], -32602, "an envelope opens nothing for who has none");
    for revision in HANDSHAKES {
        server.initialize(revision);
        assert_eq!(modern(&mut server)["result"]["resultType"], "complete", "after a handshake for {revision}");
        let id = server.request("tools/list", json!({}));
        let list = server.result(&id);
        assert!(list.get("resultType").is_none(), "{revision}");
        assert_eq!(list["tools"][0].get("title").is_some(), revision >= "2025-06-18", "{revision}");
    }
}

#[test]
fn a_session_is_named_by_its_id_in_both_eras() {
    let (mut server, broker) = (Server::start(), Mosquitto::start());
    let session = server.connect(&broker.url());
    let list = server.modern("tools/call", json!({"name": "list_active_connections"})).json;
    assert_eq!(list["result"]["structuredContent"]["active_connections"][0]["session_id"], session.as_str());
    let closing = json!({"name": "close_connection", "arguments": {"session_id": session}});
    let closed = server.modern("tools/call", closing.clone()).json;
    assert_eq!(closed["result"]["structuredContent"]["status"], "closed");
    let again = server.modern("tools/call", closing).json;
    assert_eq!(again["result"]["isError"], true, "an unknown id is an error of the tool");
}

#[test]
fn a_bare_progress_token_is_no_envelope() {
    let mut server = unopened();
    let id = server.request("tools/list", json!({"_meta": {"progressToken": 0}}));
    assert_eq!(server.response(&id).json["error"]["code"], -32602);
    server.initialize("2025-06-18");
    let id = server.request("tools/list", json!({"_meta": {"progressToken": 0}}));
    assert!(server.result(&id).get("resultType").is_none());
}

#[test]
fn an_answer_to_a_probe_that_comes_after_the_handshake_does_no_harm() {
    let mut server = unopened();
    server.raw(json!({"jsonrpc": "2.0", "id": "probe", "method": "server/discover", "params": {"_meta": envelope("2026-07-28")}}).to_string());
    server.initialize("2025-11-25");
    assert!(server.response(&json!("probe")).json["result"]["supportedVersions"].is_array());
    let id = server.request("tools/list", json!({}));
    assert!(server.result(&id)["tools"].is_array());
}

#[test]
fn an_initialize_with_an_envelope_is_the_handshake_only_with_its_own_parameter() {
    let mut server = unopened();
    let id = server.request("initialize", json!({"_meta": envelope("2026-07-28")}));
    assert_eq!(server.response(&id).json["error"]["code"], -32601);
    let id = server.request("initialize", json!({"_meta": envelope("2026-07-28"), "protocolVersion": "2025-06-18"}));
    let result = server.result(&id);
    assert_eq!((&result["protocolVersion"], result.get("resultType")), (&json!("2025-06-18"), None));
}

#[test]
fn the_lists_do_not_change_with_what_was_asked_before() {
    let (mut server, broker) = (Server::start(), Mosquitto::start());
    for method in ["tools/list", "prompts/list", "resources/templates/list"] {
        let list = |server: &mut Server| server.modern(method, json!({})).json["result"].take();
        let before = list(&mut server);
        server.connect(&broker.url());
        assert_eq!(list(&mut server), before, "{method}");
        assert_eq!(list(&mut unopened()), before, "{method} of another process");
    }
}

#[test]
fn every_tool_keeps_the_rules_in_every_revision() {
    let mut server = unopened();
    for revision in HANDSHAKES.into_iter().chain(["2026-07-28"]) {
        let answer = if revision == "2026-07-28" {
            server.modern("tools/list", json!({}))
        } else {
            server.initialize(revision);
            let id = server.request("tools/list", json!({}));
            server.response(&id)
        };
        assert!(answer.raw.len() < 24_000, "{revision}: {} bytes", answer.raw.len());
        let tools = answer.json["result"]["tools"].as_array().expect("tools").clone();
        let mut names: Vec<_> = tools.iter().map(|tool| tool["name"].to_string()).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), tools.len(), "names are unique");
        tools.iter().for_each(|tool| keeps_the_rules(tool, revision));
    }
}

fn keeps_the_rules(tool: &Value, revision: &str) {
    let name = tool["name"].as_str().expect("a name");
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    assert!((1..=64).contains(&name.len()) && name.chars().all(is_plain), "{name}");
    let described = |schema: &Value| schema["description"].as_str().is_some_and(|text| text.ends_with('.'));
    assert!(described(tool), "{name}");
    let text = tool.to_string();
    for never in ["$ref", "$schema", "x-mcp-header", "patternProperties"] {
        assert!(!text.contains(&format!("\"{never}\"")), "{name} has {never}");
    }
    for schema in ["inputSchema", "outputSchema"].map(|key| &tool[key]).into_iter().filter(|schema| !schema.is_null()) {
        assert_eq!(schema["type"], "object", "{name}");
        for combinator in ["anyOf", "oneOf", "allOf", "not", "if", "enum"] {
            assert!(schema.get(combinator).is_none(), "{name} has a top-level {combinator}");
        }
    }
    for (parameter, schema) in tool["inputSchema"]["properties"].as_object().expect("parameters") {
        assert!(described(schema), "{name}.{parameter}");
    }
    if revision >= "2025-03-26" {
        let hints = ["readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"];
        let hint = |name: &str| tool["annotations"][name].as_bool().unwrap_or_else(|| panic!("{tool} has no {name}"));
        let [read_only, destructive, ..] = hints.map(hint);
        assert!(!(read_only && destructive), "{name}");
    }
}

#[test]
fn every_tool_refuses_what_it_does_not_take() {
    let mut server = Server::start();
    let id = server.request("tools/list", json!({}));
    for tool in server.result(&id)["tools"].as_array().expect("tools") {
        let name = tool["name"].as_str().expect("a name");
        let unknown = server.fail(name, json!({"no_such_parameter": 1}));
        assert_eq!(unknown["code"], "invalid_argument", "{name}");
        for required in tool["inputSchema"]["required"].as_array().into_iter().flatten() {
            let required = required.as_str().expect("a name");
            assert_eq!(server.fail(name, json!({}))["code"], "invalid_argument", "{name}");
            if tool["inputSchema"]["properties"][required]["type"] == "string" {
                assert_eq!(server.fail(name, json!({required: [7]}))["code"], "invalid_argument", "{name}.{required}");
            }
        }
    }
}

#[test]
fn what_is_said_to_be_read_only_sends_no_message() {
    let (mut server, broker) = (Server::start(), Mosquitto::start());
    let mut client = Client::connect(broker.port());
    client.subscribe("#", 0);
    let session = server.connect(&broker.url());
    let id = server.request("tools/list", json!({}));
    let tools = server.result(&id)["tools"].as_array().expect("tools").clone();
    let mut running = Vec::new();
    for tool in tools.iter().filter(|tool| tool["annotations"]["readOnlyHint"] == true) {
        let mut arguments = json!({});
        for (name, schema) in tool["inputSchema"]["properties"].as_object().expect("parameters") {
            match name.as_str() {
                "session_id" => arguments[name] = json!(session),
                "duration_seconds" | "timeout_seconds" | "wait_seconds" => arguments[name] = json!(1),
                "topic_pattern" | "pattern" => arguments[name] = json!("#"),
                "device_id" => arguments[name] = json!("x"),
                _ if schema.get("default").is_some() => {}
                _ => {}
            }
        }
        running.push(server.start_call(tool["name"].as_str().expect("a name"), arguments));
    }
    assert!(running.len() >= 3);
    running.iter().for_each(|id| drop(server.result(id)));
    let seen: Vec<_> = client.received_so_far().into_iter().map(|message| message.topic).collect();
    assert_eq!(seen, Vec::<String>::new());
}

#[test]
fn what_publishes_is_what_read_only_leaves_out() {
    let names = |flags: &[&str], keep: fn(&Value) -> bool| -> Vec<Value> {
        let mut server = Server::with(flags);
        let id = server.request("tools/list", json!({}));
        let tools = server.result(&id)["tools"].as_array().expect("tools").clone();
        tools.iter().filter(|tool| keep(tool)).map(|tool| tool["name"].clone()).collect()
    };
    let harmless = names(&[], |tool| tool["annotations"]["destructiveHint"] == false);
    assert_eq!(names(&["--read-only"], |_| true), harmless);
}

#[test]
fn everything_that_is_listed_describes_itself() {
    let (mut server, broker) = (Server::start(), Mosquitto::start());
    server.connect(&broker.url());
    for (method, list) in [
        ("tools/list", "tools"),
        ("prompts/list", "prompts"),
        ("resources/list", "resources"),
        ("resources/templates/list", "resourceTemplates"),
    ] {
        let id = server.request(method, json!({}));
        for entry in server.result(&id)[list].as_array().expect("a list") {
            for text in ["name", "title", "description"] {
                assert!(entry[text].as_str().is_some_and(|text| !text.is_empty()), "{method}: {entry} has no {text}");
            }
        }
    }
}

#[test]
fn how_long_waits_work_is_said_where_a_model_reads_it() {
    let mut server = unopened();
    let instructions = server.initialize("2025-11-25")["instructions"].as_str().expect("text").to_owned();
    for word in ["60 s", "30 s", "start_watch", "read_watch"] {
        assert!(instructions.contains(word), "{word}");
    }
    let id = server.request("tools/list", json!({}));
    for tool in server.result(&id)["tools"].as_array().expect("tools") {
        let properties = &tool["inputSchema"]["properties"];
        for (name, most_by_default) in [("duration_seconds", 60), ("timeout_seconds", 30), ("wait_seconds", 30)] {
            if let Some(default) = properties[name]["default"].as_i64() {
                assert!(default <= most_by_default, "{}: {name} is {default} by default", tool["name"]);
            }
        }
    }
}

#[test]
fn a_policy_holds_for_resources_and_completion() {
    let broker = Mosquitto::start();
    let mut server = Server::with(&["--deny-subscribe", "secret/#", "--deny-subscribe", "$SYS/#"]);
    let mut client = Client::connect(broker.port());
    client.retain("secret/door", "1234");
    client.retain("open/door", "shut");
    let session = server.connect(&broker.url());
    let denied = format!("mqtt://{session}/topic/secret/door");
    for (method, uri) in [
        ("resources/read", denied.clone()),
        ("resources/subscribe", denied.clone()),
        ("resources/read", format!("mqtt://{session}/broker")),
    ] {
        let id = server.request(method, json!({"uri": uri}));
        let error = server.response(&id).json["error"].take();
        assert_eq!(error["data"]["error"]["code"], "policy_denied", "{method} {uri}: {error}");
    }
    let wishes = json!({"notifications": {"resourceSubscriptions": [denied]}});
    server.start_modern("subscriptions/listen", wishes);
    let acknowledged = server.notification("notifications/subscriptions/acknowledged");
    assert_eq!(acknowledged["notifications"], json!({}));
    server.call("subscribe_and_collect", json!({"session_id": session, "topic_pattern": "#", "retained": "only"}));
    let id = server.request(
        "completion/complete",
        json!({"ref": {"type": "ref/resource", "uri": "mqtt://{session_id}/topic/{+topic}"},
            "argument": {"name": "topic", "value": "door"}}),
    );
    assert_eq!(server.result(&id)["completion"]["values"], json!(["open/door"]));
}

#[test]
fn progress_has_words_in_the_revisions_that_know_them() {
    let (mut server, broker) = (unopened(), Mosquitto::start());
    let connected = server.bare("establish_connection", json!({"connection_string": broker.url()}));
    let arguments = json!({"session_id": connected["result"]["session_id"], "duration_seconds": 1});
    for revision in HANDSHAKES.into_iter().chain(["2026-07-28"]) {
        let mut meta = json!({});
        if revision == "2026-07-28" {
            meta = envelope(revision);
        } else {
            server.initialize(revision);
        }
        meta["progressToken"] = json!(0);
        let params = json!({"name": "list_topics", "arguments": arguments, "_meta": meta});
        let id = server.request("tools/call", params);
        let told = server.notification("notifications/progress");
        assert_eq!(told["progressToken"], 0, "{revision}");
        assert_eq!(told.get("message").is_some(), revision != "2024-11-05", "{revision}: {told}");
        server.result(&id);
        server.take_kept();
    }
}

#[test]
fn nothing_follows_a_cancel_whatever_the_race() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let (session, mut peer) = server.meet(&broker);
    let keep = server.start_call("start_watch", json!({"session_id": session, "topic_pattern": "t"}));
    peer.grant();
    let watch = server.outcome(&keep)["watch_id"].clone();
    let mut cancelled = Vec::new();
    for round in 0..60 {
        // A read that a message ends at about the time at which it is cancelled, in either era.
        let meta = if round % 2 == 0 { envelope("2026-07-28") } else { json!({}) };
        let id = json!(format!("race-{round}"));
        let arguments = json!({"watch_id": watch, "since": round, "wait_seconds": 60});
        let params = json!({"name": "read_watch", "arguments": arguments, "_meta": meta});
        let read = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params});
        let cancel =
            json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id, "_meta": {}}});
        let after = json!({"jsonrpc": "2.0", "id": format!("after-{round}"), "method": "ping"});
        server.raw(read.to_string());
        peer.send(&publish("t", round.to_string().as_bytes(), 0, 0, false));
        server.raw(format!("{cancel}\n{after}"));
        server.response(&json!(format!("after-{round}")));
        // Whatever was said of it was said before the cancel was read.
        server.take_kept();
        cancelled.push(id);
    }
    let last = server.call("read_watch", json!({"watch_id": watch, "wait_seconds": 1}));
    assert_eq!(last["dropped"], 0);
    let late: Vec<_> = server.take_kept();
    assert!(late.iter().all(|line| !cancelled.contains(&line.json["id"])), "{late:?}");
}

#[test]
fn a_cancel_of_what_is_not_there_is_ignored() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let (session, mut peer) = server.meet(&broker);
    let id = server.collect_from(&mut peer, &session, json!({"topic_pattern": "t", "duration_seconds": 300}));
    let as_text = json!(id.to_string());
    for odd in [
        json!({}),
        json!({"requestId": null}),
        json!({"requestId": {"a": 1}}),
        json!({"requestId": as_text, "reason": "another type is another id"}),
        json!({"requestId": "never issued"}),
        json!({"requestId": -1}),
    ] {
        server.notify("notifications/cancelled", odd);
    }
    server.raw(r#"{"jsonrpc":"2.0","method":"notifications/cancelled"}"#);
    server.raw(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":[1]}"#);
    server.expect_silence(Duration::from_millis(50));
    server.call("close_connection", json!({"session_id": session}));
    assert_eq!(server.failure(&id)["code"], "connection_lost", "it still ran");
    server.notify("notifications/cancelled", json!({"requestId": id}));
    server.expect_silence(Duration::from_millis(50));
}

#[test]
fn the_reason_of_a_cancel_is_logged() {
    let (mut server, broker) = (Server::with(&["--log", "info"]), FakeBroker::new());
    let (session, mut peer) = server.meet(&broker);
    let id = server.collect_from(&mut peer, &session, json!({"topic_pattern": "t", "duration_seconds": 300}));
    server.notify("notifications/cancelled", json!({"requestId": id, "reason": "the user\nlost patience"}));
    let log = server.stderr_at_end();
    assert!(log.contains(r#""the user\nlost patience""#), "{log}");
}

#[test]
fn end_of_input_and_a_signal_at_once_end_it_in_order() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let (_session, mut peer) = server.meet(&broker);
    server.close_stdin();
    // It may be gone before the signal comes.
    let _ = std::process::Command::new("kill").arg("-TERM").arg(server.pid().to_string()).output();
    peer.expect(DISCONNECT);
    assert_eq!(server.process.wait_exit().code(), Some(0));
}
