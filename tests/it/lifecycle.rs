//! The protocol's lifecycle in both eras, and the ways in which a client goes.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::fake_broker::FakeBroker;
use crate::support::packets::*;
use crate::support::server::{Server, command, envelope};

const HANDSHAKE_REVISIONS: [&str; 4] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"];

#[test]
fn initialize_agrees_on_each_revision_that_has_a_handshake() {
    for revision in HANDSHAKE_REVISIONS {
        let mut server = Server::spawn(command(&[]));
        let result = server.initialize(revision);
        assert_eq!(result["protocolVersion"], revision);
        assert_eq!(result["serverInfo"]["name"], "mqtt-mcp");
        assert_eq!(result["serverInfo"]["version"], env!("CARGO_PKG_VERSION"));
        assert!(result["capabilities"]["tools"].is_object());
        assert!(result["instructions"].as_str().expect("instructions").contains("untrusted"));
    }
}

#[test]
fn initialize_offers_the_newest_it_has_for_a_revision_it_does_not_know() {
    for wish in ["2099-12-31", "1.0.0", "", "2026-07-28"] {
        assert_eq!(Server::spawn(command(&[])).initialize(wish)["protocolVersion"], "2025-11-25", "{wish}");
    }
    let mut server = Server::spawn(command(&[]));
    let id = server.request("initialize", json!({"protocolVersion": 5}));
    assert_eq!(server.response(&id).json["error"]["code"], -32602);
}

#[test]
fn each_revision_sees_what_it_knows_of_a_tool() {
    for (revision, title, annotations) in [
        ("2024-11-05", false, false),
        ("2025-03-26", false, true),
        ("2025-06-18", true, true),
        ("2025-11-25", true, true),
    ] {
        let mut server = Server::spawn(command(&[]));
        server.initialize(revision);
        let id = server.request("tools/list", json!({}));
        let tools = server.result(&id)["tools"].as_array().expect("tools").clone();
        assert!(tools.len() >= 6);
        for tool in tools {
            assert!(tool["inputSchema"].is_object() && tool["description"].is_string());
            assert_eq!(tool.get("title").is_some(), title, "{revision}");
            assert_eq!(tool.get("outputSchema").is_some(), title, "{revision}");
            assert_eq!(tool.get("annotations").is_some(), annotations, "{revision}");
        }
        // The harness checks that only newer revisions have a structured result.
        let id = server.start_call("list_active_connections", json!({}));
        assert!(server.result(&id)["content"][0]["text"].as_str().expect("text").contains("\"total_count\":0"));
    }
}

#[test]
fn a_tool_answers_to_its_older_name_which_the_list_does_not_show() {
    let mut server = Server::start();
    assert_eq!(server.call("mqtt_list_active_connections", json!({}))["total_count"], 0);
    assert_eq!(server.bare("mqtt_list_active_connections", json!({}))["result"]["total_count"], 0);
    let id = server.request("tools/list", json!({}));
    assert!(!server.response(&id).raw.contains("\"name\":\"mqtt_"));
}

#[test]
fn a_bare_method_works_before_any_handshake_and_the_protocols_own_wait_for_it() {
    let mut server = Server::spawn(command(&[]));
    let result = &server.bare("list_active_connections", json!({}))["result"];
    assert_eq!((&result["total_count"], &result["status"]), (&json!(0), &json!("success")));
    for method in ["tools/list", "tools/call"] {
        let id = server.request(method, json!({"name": "list_active_connections"}));
        let error = &server.response(&id).json["error"];
        assert_eq!(error["code"], -32602);
        assert!(error["message"].as_str().expect("a message").contains("initialize"), "{error}");
    }
    let id = server.request("ping", json!({}));
    assert_eq!(server.result(&id), json!({}));
}

#[test]
fn discover_tells_all_revisions() {
    let mut server = Server::spawn(command(&[]));
    let result = server.modern("server/discover", json!({})).json["result"].clone();
    let versions: Vec<_> = result["supportedVersions"].as_array().expect("versions").iter().collect();
    assert_eq!(versions[0], "2026-07-28");
    assert!(HANDSHAKE_REVISIONS.iter().all(|revision| versions.contains(&&json!(revision))), "{versions:?}");
    assert_eq!(result["resultType"], "complete");
    assert!(result["capabilities"]["tools"].is_object() && result["instructions"].is_string());
}

#[test]
fn a_request_with_an_envelope_needs_no_handshake() {
    let mut server = Server::spawn(command(&[]));
    let list = server.modern("tools/list", json!({})).json;
    assert!(list["result"]["ttlMs"].is_u64() && list["result"]["cacheScope"].is_string(), "{list}");
    let call = server.modern("tools/call", json!({"name": "list_active_connections", "arguments": {}})).json;
    assert_eq!(call["result"]["resultType"], "complete");
    assert_eq!(call["result"]["structuredContent"]["total_count"], 0);
    let bare = server.modern("list_active_connections", json!({})).json;
    assert_eq!(bare["result"]["total_count"], 0);
}

#[test]
fn a_revision_that_is_not_served_is_refused_with_those_that_are() {
    let mut server = Server::spawn(command(&[]));
    for revision in ["2099-01-01", "2025-11-25"] {
        let id = server.request("tools/list", json!({"_meta": envelope(revision)}));
        let error = server.response(&id).json["error"].clone();
        assert_eq!(error["code"], -32022, "{revision}");
        assert_eq!(error["data"]["requested"], revision);
        assert!(error["data"]["supported"].as_array().expect("a list").contains(&json!("2026-07-28")));
    }
}

#[test]
fn an_envelope_without_the_clients_capabilities_is_refused() {
    let mut server = Server::spawn(command(&[]));
    let mut meta = envelope("2026-07-28");
    meta.as_object_mut().expect("an object").remove("io.modelcontextprotocol/clientCapabilities");
    let id = server.request("tools/list", json!({"_meta": meta}));
    assert_eq!(server.response(&id).json["error"]["code"], -32602);
}

#[test]
fn neither_era_locks_out_the_other() {
    let mut server = Server::spawn(command(&[]));
    let is_modern = |answer: &serde_json::Value| answer["result"].get("resultType").is_some();
    assert!(is_modern(&server.modern("tools/list", json!({})).json));
    server.initialize("2025-06-18");
    for _ in 0..2 {
        let id = server.request("tools/list", json!({}));
        assert!(!is_modern(&server.response(&id).json));
        assert!(is_modern(&server.modern("tools/list", json!({})).json));
    }
    assert_eq!(server.initialize("2024-11-05")["protocolVersion"], "2024-11-05", "a client may start anew");
}

#[test]
fn the_end_of_input_ends_the_server_within_a_second_with_its_answers_written() {
    let (broker, mut server) = (FakeBroker::new(), Server::start());
    let (session, mut peer) = server.meet(&broker);
    server.collect_from(&mut peer, &session, json!({"topic_pattern": "t", "duration_seconds": 300}));
    let last: Vec<_> = (0..3).map(|_| server.request("list_active_connections", json!({}))).collect();
    let closed_at = Instant::now();
    server.close_stdin();
    let answered: Vec<_> = server.lines_to_end().into_iter().map(|line| line.json["id"].clone()).collect();
    assert_eq!(answered, last);
    assert!(server.process.wait_exit().success());
    assert!(closed_at.elapsed() < Duration::from_secs(1), "{:?}", closed_at.elapsed());
    assert!(peer.read_to_end().ends_with(&crate::support::fake_broker::packet_of(DISCONNECT)));
}

#[test]
fn a_last_line_without_its_newline_is_served() {
    let mut server = Server::spawn(command(&[]));
    server.raw_without_end(r#"{"jsonrpc":"2.0","id":"last","method":"ping"}"#);
    server.close_stdin();
    let lines = server.lines_to_end();
    assert_eq!(lines.iter().map(|line| &line.json["id"]).collect::<Vec<_>>(), [&json!("last")]);
    assert!(server.process.wait_exit().success());
}

#[test]
fn a_call_that_was_read_before_the_end_of_input_is_answered_when_it_ends_soon() {
    let (broker, mut server) = (FakeBroker::new(), Server::start());
    let id = server.start_call("establish_connection", json!({"connection_string": broker.url()}));
    let mut peer = broker.accept();
    peer.expect(CONNECT);
    server.close_stdin();
    peer.send(&connack(false, 0));
    let lines = server.lines_to_end();
    assert_eq!(lines.first().map(|line| &line.json["id"]), Some(&id));
    peer.expect(DISCONNECT);
}

#[test]
fn signals_end_the_server_in_order() {
    for signal in ["TERM", "INT", "HUP"] {
        let (broker, mut server) = (FakeBroker::new(), Server::start());
        let (_, mut peer) = server.meet(&broker);
        server.process.signal(signal);
        peer.expect(DISCONNECT);
        peer.expect_end();
        assert_eq!(server.process.wait_exit().code(), Some(0), "{signal}");
    }
}

#[test]
fn a_start_without_use_leaves_no_trace() {
    let mut server = Server::spawn(command(&["--broker", "x=mqtt://127.0.0.1:1"]));
    server.close_stdin();
    assert!(server.lines_to_end().is_empty());
    assert_eq!(server.process.wait_exit().code(), Some(0));
    assert_eq!(server.stderr(), "");
}
