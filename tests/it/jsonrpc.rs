//! JSON-RPC 2.0 line by line: what is malformed has its error, and whatever came before, the next line is served.

use serde_json::{Value, json};

use crate::support::fake_broker::FakeBroker;
use crate::support::server::{Server, command};

fn unopened() -> Server {
    Server::spawn(command(&[]))
}

/// The id and error code of the answer to a line.
fn refused(server: &mut Server, line: &str) -> (Option<Value>, i64) {
    server.raw(line);
    let answer = server.next_line().json;
    (answer.get("id").cloned(), answer["error"]["code"].as_i64().unwrap_or_else(|| panic!("{line}: {answer}")))
}

#[test]
fn each_malformed_line_has_its_error_and_the_next_one_is_served() {
    let mut server = unopened();
    for (line, id, code) in [
        ("this is not json", None, -32700),
        (r#"{"jsonrpc":"2.0","id":1,"method":"#, None, -32700),
        ("[1,", None, -32700),
        ("{}{}", None, -32700),
        ("42", None, -32600),
        ("\"hello\"", None, -32600),
        ("null", None, -32600),
        ("{}", None, -32600),
        ("[]", None, -32600),
        (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, None, -32600),
        (r#"{"jsonrpc":"2.0","id":{"a":1},"method":"ping"}"#, None, -32600),
        (r#"{"jsonrpc":"2.0","id":true,"method":"ping"}"#, None, -32600),
        (r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, None, -32600),
        (r#"{"jsonrpc":"2.0","id":"m","method":7}"#, Some(json!("m")), -32600),
        (r#"{"id":"v","method":"ping"}"#, Some(json!("v")), -32600),
        (r#"{"jsonrpc":"1.0","id":3,"method":"ping"}"#, Some(json!(3)), -32600),
        (r#"{"jsonrpc":"2.0","id":"p","method":"ping","params":[1]}"#, Some(json!("p")), -32602),
        (r#"{"jsonrpc":"2.0","id":"n","method":"no/such"}"#, Some(json!("n")), -32602),
    ] {
        assert_eq!(refused(&mut server, line), (id, code), "{line}");
    }
    server.raw(r#"{"jsonrpc":"2.0","id":"next","method":"ping"}"#);
    assert_eq!(server.next_line().json, json!({"jsonrpc": "2.0", "id": "next", "result": {}}));
}

#[test]
fn an_unknown_method_is_named_after_the_handshake() {
    let mut server = Server::start();
    let id = server.request("no/such/method", json!({}));
    let answer = server.response(&id).json;
    assert_eq!(answer["error"]["code"], -32601);
    assert!(answer["error"]["message"].as_str().expect("a message").contains("no/such/method"));
}

#[test]
fn ids_keep_value_and_type() {
    let mut server = unopened();
    for id in ["1", "\"1\"", "0", "\"\"", "-7", "9007199254740991", "18446744073709551615", r#""ué😀\"\\""#] {
        server.raw(format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#));
        let line = server.next_line();
        assert_eq!(crate::support::server::member(&line.raw, "id"), id);
    }
}

#[test]
fn a_line_beyond_the_limit_is_refused_and_the_next_one_is_served() {
    let mut server = unopened();
    let (code, id) = {
        server.raw(vec![b'x'; 9 << 20]);
        let answer = server.next_line().json;
        (answer["error"]["code"].clone(), answer.get("id").cloned())
    };
    assert_eq!((code, id), (json!(-32600), None));
    let padding = " ".repeat(1 << 20);
    server.raw(format!(r#"{{"jsonrpc":"2.0","id":1,{padding}"method":"ping"}}"#));
    assert_eq!(server.next_line().json["result"], json!({}), "a megabyte is no trouble");
}

#[test]
fn carriage_returns_blanks_and_blank_lines_do_not_matter() {
    let mut server = unopened();
    server.raw("\r\n\n  \t \r\n  {\"jsonrpc\":\"2.0\",\"id\":\"ws\",\"method\":\"ping\"} \r");
    let answer = server.next_line().json;
    assert_eq!((&answer["id"], &answer["result"]), (&json!("ws"), &json!({})));
}

#[test]
fn bytes_that_are_not_utf_8_are_a_parse_error() {
    let mut server = unopened();
    server.raw(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xff\"}");
    assert_eq!(server.next_line().json["error"]["code"], -32700);
    server.raw(b"\0\0\0");
    assert_eq!(server.next_line().json["error"]["code"], -32700);
}

const PING_BATCH: &str = r#"[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","method":"note"},
{"jsonrpc":"2.0","id":"b","method":"ping"},7,{"jsonrpc":"2.0","id":3,"method":"list_active_connections"}]"#;

fn answers_a_batch(server: &mut Server) {
    server.raw(PING_BATCH.replace('\n', ""));
    let answer = server.next_line().json;
    let members = answer.as_array().expect("one array");
    let find = |id: Value| members.iter().find(|member| member["id"] == id).expect("an answer");
    assert_eq!(members.len(), 4, "a notification has no answer: {answer}");
    assert_eq!(find(json!(1))["result"], json!({}));
    assert_eq!(find(json!("b"))["result"], json!({}));
    assert_eq!(find(json!(3))["result"]["total_count"], 0);
    assert!(members.iter().any(|member| member["error"]["code"] == -32600 && member.get("id").is_none()));
}

#[test]
fn a_batch_is_answered_as_one_line_before_any_handshake() {
    answers_a_batch(&mut unopened());
}

#[test]
fn a_batch_is_answered_in_the_revision_that_has_batches() {
    let mut server = unopened();
    server.initialize("2025-03-26");
    answers_a_batch(&mut server);
    server.raw(r#"[{"jsonrpc":"2.0","method":"notifications/none"}]"#);
    server.raw(r#"{"jsonrpc":"2.0","id":"after","method":"ping"}"#);
    assert_eq!(server.next_line().json["id"], "after", "a batch of notifications has no answer");
}

#[test]
fn a_batch_is_refused_in_revisions_without_batches() {
    for revision in ["2024-11-05", "2025-06-18", "2025-11-25"] {
        let mut server = unopened();
        server.initialize(revision);
        server.raw(PING_BATCH.replace('\n', ""));
        assert_eq!(server.next_line().json["error"]["code"], -32600, "{revision}");
    }
}

#[test]
fn a_handshake_is_never_part_of_a_batch() {
    let mut server = unopened();
    let params =
        json!({"protocolVersion": "2025-03-26", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
    let batch = json!([{"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}]).to_string();
    for opened in [false, true] {
        if opened {
            server.initialize("2025-03-26");
        }
        server.raw(&batch);
        assert_eq!(server.next_line().json[0]["error"]["code"], -32600);
    }
}

#[test]
fn a_notification_is_never_answered() {
    let mut server = Server::start();
    for method in ["ping", "tools/list", "list_active_connections", "notifications/no/such", "initialize"] {
        server.notify(method, json!({}));
    }
    server.raw(r#"{"jsonrpc":"2.0","id":"stray","result":{}}"#);
    server.raw(r#"{"jsonrpc":"2.0","id":"stray","error":{"code":-1,"message":"x"}}"#);
    server.notify("notifications/cancelled", json!({"requestId": "never issued"}));
    let id = server.request("ping", json!({}));
    assert_eq!(server.next_line().json["id"], id);
}

#[test]
fn an_id_that_is_still_in_flight_is_refused_and_the_first_call_goes_on() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let connecting = server.start_call("establish_connection", json!({"connection_string": broker.url()}));
    let mut peer = broker.accept();
    server.raw(json!({"jsonrpc": "2.0", "id": connecting, "method": "ping"}).to_string());
    let refused = server.next_line().json;
    assert_eq!((&refused["id"], &refused["error"]["code"]), (&connecting, &json!(-32600)));
    peer.expect(crate::support::packets::CONNECT);
    peer.send(&crate::support::packets::connack(false, 0));
    assert_eq!(server.response(&connecting).json["result"]["structuredContent"]["status"], "connected");
}

#[test]
fn many_calls_run_at_once_and_those_beyond_the_limit_are_told() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let collect = |session: &str| json!({"session_id": session, "topic_pattern": "t", "duration_seconds": 300});
    let (session, mut peer) = server.meet(&broker);
    let running: Vec<_> = (0..32).map(|_| server.start_call("subscribe_and_collect", collect(&session))).collect();
    let refused = server.fail("subscribe_and_collect", collect(&session));
    assert_eq!((&refused["code"], &refused["retryable"]), (&json!("too_many_calls"), &json!(true)));
    peer.grant();
    for id in &running {
        server.notify("notifications/cancelled", json!({"requestId": id}));
    }
    assert_eq!(server.call("list_active_connections", json!({}))["total_count"], 1, "there is room again");
    assert!(server.take_kept().is_empty(), "a cancelled call is not answered");
}

#[test]
fn answers_come_when_they_are_ready_and_not_in_the_order_of_requests() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let connecting = server.start_call("establish_connection", json!({"connection_string": broker.url()}));
    let ping = server.request("ping", json!({}));
    assert_eq!(server.next_line().json["id"], ping);
    let _peer = broker.welcome();
    server.outcome(&connecting);
}

#[test]
fn a_tool_that_does_not_exist_is_an_error_of_the_request() {
    let mut server = Server::start();
    for params in [
        json!({"name": "no_such_tool"}),
        json!({"name": 7}),
        json!({}),
        json!({"name": "list_topics", "arguments": []}),
    ] {
        let id = server.request("tools/call", params);
        assert_eq!(server.response(&id).json["error"]["code"], -32602);
    }
}
