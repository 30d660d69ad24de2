use super::super::offers::Completion;
use super::*;
use serde_json::{Value, json};

#[path = "offers_tests.rs"]
mod offers;

struct Fake;

impl Catalog for Fake {
    fn find(&self, name: &str) -> Option<&'static str> {
        (name == "echo").then_some("echo")
    }

    fn list(&self, _revision: Revision) -> Rc<dyn Body> {
        body(&json!({"tools": []}))
    }

    fn absence(&self, name: &str) -> Option<String> {
        (name == "hidden").then(|| "left out".to_owned())
    }

    fn instructions(&self) -> Cow<'static, str> {
        "how".into()
    }
}

struct Shelf;

impl Offers for Shelf {
    fn prompts(&self, _revision: Revision) -> Rc<dyn Body> {
        body(&json!({"prompts": []}))
    }

    fn prompt(&self, name: &str, arguments: &Fields<'_>) -> Result<Rc<dyn Body>, String> {
        if name != "p" {
            return Err("unknown prompt".into());
        }
        Ok(body(&json!({"messages": [], "a": text(arguments, "a")})))
    }

    fn resources(&self, _revision: Revision) -> Rc<dyn Body> {
        body(&json!({"resources": []}))
    }

    fn templates(&self, _revision: Revision) -> Rc<dyn Body> {
        body(&json!({"resourceTemplates": []}))
    }

    fn complete(&self, asked: &Completion<'_>) -> Result<Rc<dyn Body>, String> {
        let of = format!("{:?} {} {} {:?}", asked.of, asked.argument, asked.value, text(&asked.chosen, "s"));
        Ok(body(&json!({"completion": {"values": [of]}})))
    }
}

/// A server with its effects as values.
struct Play {
    server: Server,
    started: Vec<Call>,
    cancelled: Vec<CallKey>,
    unsubscribed: Vec<Option<String>>,
}

impl Play {
    fn new() -> Self {
        let (started, cancelled, unsubscribed) = (Vec::new(), Vec::new(), Vec::new());
        Self { server: Server::new(Box::new(Fake)), started, cancelled, unsubscribed }
    }

    fn with_offers() -> Self {
        let mut play = Self::new();
        play.server = play.server.with_offers(Box::new(Shelf));
        play
    }

    fn handshake(revision: &str) -> Self {
        let mut play = Self::new();
        let answer = play.one(json!({"jsonrpc": "2.0", "id": 0, "method": "initialize",
            "params": {"protocolVersion": revision, "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}}}));
        assert_eq!(answer["result"]["protocolVersion"], revision);
        play
    }

    fn effects(&mut self) -> Vec<Value> {
        let mut lines = Vec::new();
        while let Some(effect) = self.server.next_effect() {
            match effect {
                Effect::Send(mut line) => {
                    let mut bytes = Vec::new();
                    assert!(!line.fill(&mut bytes, usize::MAX));
                    assert_eq!(bytes.iter().filter(|byte| **byte == b'\n').count(), 1, "one line");
                    lines.push(serde_json::from_slice(&bytes).expect("json"));
                }
                Effect::Start(call) => self.started.push(call),
                Effect::Cancel(key) => self.cancelled.push(key),
                Effect::Unsubscribe(uri) => self.unsubscribed.push(uri),
            }
        }
        lines
    }

    fn say(&mut self, message: Value) -> Vec<Value> {
        self.server.handle_line(message.to_string().as_bytes());
        self.effects()
    }

    fn one(&mut self, message: Value) -> Value {
        let lines = self.say(message);
        assert_eq!(lines.len(), 1, "{lines:?}");
        lines.into_iter().next().unwrap_or_default()
    }

    fn request(&mut self, id: Value, method: &str, params: Value) -> Vec<Value> {
        self.say(json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}))
    }

    fn error_code(&mut self, method: &str, params: Value) -> i64 {
        let lines = self.request(json!("e"), method, params);
        lines[0]["error"]["code"].as_i64().unwrap_or_else(|| panic!("{method}: {lines:?}"))
    }

    fn finish(&mut self, value: Value) -> Vec<Value> {
        let key = self.started.remove(0).key;
        self.server.finish(key, Outcome::Done(body(&value)));
        self.effects()
    }

    fn fail(&mut self) -> Vec<Value> {
        let key = self.started.remove(0).key;
        let error = RpcError::new(1001, "unknown");
        self.server.finish(key, Outcome::Failed(body(&json!({"status": "error"})), error));
        self.effects()
    }
}

fn meta(version: &str) -> Value {
    json!({"io.modelcontextprotocol/protocolVersion": version, "io.modelcontextprotocol/clientCapabilities": {}})
}

#[test]
fn a_handshake_answers_the_revision_capabilities_and_who_answers() {
    let mut play = Play::new();
    let answer = play
        .one(json!({"jsonrpc": "2.0", "id": "i", "method": "initialize", "params": {"protocolVersion": "2099-01-01"}}));
    assert_eq!(answer["id"], "i");
    assert_eq!(answer["result"]["protocolVersion"], "2025-11-25");
    assert_eq!(answer["result"]["capabilities"], json!({"tools": {}}));
    assert_eq!(answer["result"]["serverInfo"]["name"], "mqtt-mcp");
    assert_eq!(answer["result"]["instructions"], "how");
    assert_eq!(play.error_code("initialize", json!({"protocolVersion": 5})), -32602);
    assert!(play.say(json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).is_empty());
}

#[test]
fn before_a_handshake_only_ping_and_tools_as_methods_are_served() {
    let mut play = Play::new();
    assert_eq!(play.request(json!(1), "ping", json!({}))[0]["result"], json!({}));
    assert_eq!(play.error_code("tools/list", json!({})), -32602);
    assert_eq!(play.error_code("server/discover", json!({})), -32602);
    assert_eq!(play.error_code("no/such", json!({})), -32602);
    assert!(play.request(json!(2), "echo", json!({"x": 1})).is_empty());
    assert!(matches!(&play.started[0].work, Work::Tool { arguments, .. } if arguments.as_str() == "{\"x\":1}"));
    let answer = play.finish(json!({"status": "success"}));
    assert_eq!(answer[0], json!({"jsonrpc": "2.0", "id": 2, "result": {"status": "success"}}));
}

#[test]
fn a_modern_request_brings_its_own_revision_and_gets_the_modern_members() {
    let mut play = Play::handshake("2025-06-18");
    let answer = &play.request(json!(1), "server/discover", json!({"_meta": meta("2026-07-28")}))[0]["result"];
    assert_eq!(answer["supportedVersions"].as_array().map(Vec::len), Some(5));
    for member in ["resultType", "ttlMs", "cacheScope", "capabilities", "_meta"] {
        assert!(answer.get(member).is_some(), "{member}");
    }
    assert!(answer["_meta"]["io.modelcontextprotocol/serverInfo"]["version"].is_string());
    let legacy = &play.request(json!(2), "tools/list", json!({}))[0]["result"];
    assert_eq!(*legacy, json!({"tools": []}), "the other era is not touched");
    for method in ["ping", "initialize", "logging/setLevel", "resources/subscribe"] {
        assert_eq!(play.error_code(method, json!({"_meta": meta("2026-07-28")})), -32601, "{method}");
    }
}

#[test]
fn a_revision_that_is_not_served_is_told_with_those_that_are() {
    let mut play = Play::new();
    for (asked, supported) in [("2099-01-01", 5), ("2025-11-25", 1), ("", 5)] {
        let answer = &play.request(json!(1), "tools/list", json!({"_meta": meta(asked)}))[0]["error"];
        assert_eq!((answer["code"].as_i64(), &answer["data"]["requested"]), (Some(-32022), &json!(asked)));
        assert_eq!(answer["data"]["supported"].as_array().map(Vec::len), Some(supported));
    }
    let version = "io.modelcontextprotocol/protocolVersion";
    for wrong in [json!({version: "2026-07-28"}), json!({version: 5}), json!(3)] {
        assert_eq!(play.error_code("tools/list", json!({"_meta": wrong})), -32602);
    }
}

#[test]
fn tool_results_have_the_text_copy_and_what_the_revision_knows() {
    for (revision, structured) in
        [("2024-11-05", false), ("2025-03-26", false), ("2025-06-18", true), ("2025-11-25", true)]
    {
        let mut play = Play::handshake(revision);
        play.request(json!(7), "tools/call", json!({"name": "echo", "arguments": {"a": "\"\\"}}));
        let value = json!({"status": "success", "text": "quote \" backslash \\ newline \n"});
        let result = &play.finish(value.clone())[0]["result"];
        let text = result["content"][0]["text"].as_str().expect("text");
        assert_eq!(serde_json::from_str::<Value>(text).expect("json"), value);
        assert_eq!(result.get("structuredContent"), structured.then_some(&value));
        assert!(result.get("isError").is_none());
    }
}

#[test]
fn failures_are_results_for_tools_call_and_errors_for_bare_methods() {
    let mut play = Play::handshake("2025-11-25");
    play.request(json!(1), "tools/call", json!({"name": "echo"}));
    let answer = &play.fail()[0];
    assert_eq!((&answer["result"]["isError"], &answer["id"]), (&json!(true), &json!(1)));
    play.request(json!(2), "echo", json!({}));
    assert_eq!(play.fail()[0]["error"]["code"], 1001);
}

#[test]
fn wrong_calls_are_protocol_errors() {
    let mut play = Play::handshake("2025-11-25");
    for params in [json!({}), json!({"name": 1}), json!({"name": "nope"}), json!({"name": "echo", "arguments": []})] {
        assert_eq!(play.error_code("tools/call", params), -32602);
    }
    assert_eq!(play.error_code("tools/list", json!({"cursor": ""})), -32602);
    assert_eq!(play.error_code("no/such", json!({})), -32601);
    assert!(play.started.is_empty());
}

#[test]
fn an_id_in_flight_cannot_be_used_again_and_its_type_matters() {
    let mut play = Play::handshake("2025-11-25");
    play.request(json!(1), "tools/call", json!({"name": "echo"}));
    assert_eq!(play.request(json!(1), "ping", json!({}))[0]["error"]["code"], -32600);
    assert_eq!(play.request(json!("1"), "ping", json!({}))[0]["id"], "1");
    play.finish(json!({"status": "success"}));
    assert_eq!(play.request(json!(1), "ping", json!({}))[0]["result"], json!({}));
}

#[test]
fn a_cancelled_call_is_stopped_and_never_answered() {
    let mut play = Play::handshake("2025-11-25");
    play.request(json!(1), "tools/call", json!({"name": "echo", "_meta": {"progressToken": 0}}));
    let cancel =
        |id: Value| json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}});
    assert!(play.say(cancel(json!("1"))).is_empty());
    assert!(play.cancelled.is_empty(), "another type is another id");
    assert!(play.say(cancel(json!(1))).is_empty());
    assert_eq!(play.cancelled, [play.started[0].key]);
    let key = play.started[0].key;
    play.server.progress(key, 1.0, 2.0, "late");
    assert!(play.finish(json!({"status": "success"})).is_empty());
    for odd in [json!({}), json!({"requestId": null}), json!({"requestId": 1})] {
        assert!(play.say(json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": odd})).is_empty());
    }
}

#[test]
fn progress_grows_echoes_its_token_and_ends_with_the_call() {
    let mut play = Play::handshake("2025-11-25");
    play.request(json!(1), "tools/call", json!({"name": "echo", "_meta": {"progressToken": 0}}));
    let key = play.started[0].key;
    assert!(play.started[0].wants_progress);
    for (progress, told) in [(1.0, true), (1.0, false), (0.5, false), (2.0, true)] {
        play.server.progress(key, progress, 5.0, "words");
        let lines = play.effects();
        assert_eq!(lines.len(), usize::from(told));
        for line in lines {
            assert_eq!(
                line["params"],
                json!({"progressToken": 0, "progress": progress, "total": 5.0, "message": "words"})
            );
        }
    }
    play.finish(json!({"status": "success"}));
    play.server.progress(key, 3.0, 5.0, "late");
    assert!(play.effects().is_empty());
    assert_eq!(play.error_code("tools/call", json!({"name": "echo", "_meta": {"progressToken": 1.5}})), -32602);
}

#[test]
fn the_oldest_revision_has_no_progress_message() {
    let mut play = Play::handshake("2024-11-05");
    play.request(json!(1), "tools/call", json!({"name": "echo", "_meta": {"progressToken": "t"}}));
    let key = play.started[0].key;
    play.server.progress(key, 1.0, 5.0, "words");
    assert!(play.effects()[0]["params"].get("message").is_none());
}

#[test]
fn batches_are_answered_as_one_array_when_all_members_are_done() {
    let mut play = Play::handshake("2025-03-26");
    let lines = play.say(json!([
        {"jsonrpc": "2.0", "id": 1, "method": "ping"},
        {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 9}},
        {"jsonrpc": "2.0", "id": 2, "method": "echo"},
        3
    ]));
    assert!(lines.is_empty(), "one call still runs");
    let answers = play.finish(json!({"status": "success"}));
    let codes: Vec<_> =
        answers[0].as_array().expect("array").iter().map(|a| (a["id"].clone(), a["error"]["code"].clone())).collect();
    assert_eq!(codes, [(json!(1), Value::Null), (Value::Null, json!(-32600)), (json!(2), Value::Null)]);
    assert!(play.say(json!([{"jsonrpc": "2.0", "method": "x"}])).is_empty());
    assert_eq!(play.one(json!([]))["error"]["code"], -32600);
    let answer = play
        .one(json!([{"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-03-26"}}]));
    assert_eq!(answer[0]["error"]["code"], -32600);
}

#[test]
fn a_batch_whose_last_call_is_cancelled_is_answered_without_it() {
    let mut play = Play::handshake("2025-03-26");
    play.say(json!([{"jsonrpc": "2.0", "id": 1, "method": "ping"}, {"jsonrpc": "2.0", "id": 2, "method": "echo"}]));
    let lines = play.say(json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 2}}));
    assert_eq!(lines[0].as_array().map(Vec::len), Some(1));
}

#[test]
fn other_revisions_refuse_batches_with_one_error() {
    for revision in ["2024-11-05", "2025-06-18", "2025-11-25"] {
        let mut play = Play::handshake(revision);
        let answer = play.one(json!([{"jsonrpc": "2.0", "id": 1, "method": "ping"}]));
        assert_eq!((answer["error"]["code"].as_i64(), answer.get("id")), (Some(-32600), None));
    }
}

fn code(answer: &Value) -> i64 {
    answer["error"]["code"].as_i64().unwrap_or_else(|| panic!("{answer}"))
}

#[test]
fn whatever_a_request_holds_it_has_one_answer_or_is_started() {
    let odd = [
        json!(null),
        json!(0),
        json!(""),
        json!("x"),
        json!([]),
        json!([null]),
        json!({}),
        json!({"name": {}}),
        json!({"type": "ref/prompt"}),
        json!({"resourceSubscriptions": [{}]}),
        json!({"arguments": 1}),
        json!(true),
    ];
    let members =
        ["uri", "name", "arguments", "ref", "argument", "context", "notifications", "cursor", "_meta", "extra"];
    let methods = [
        "initialize",
        "ping",
        "server/discover",
        "tools/list",
        "tools/call",
        "resources/list",
        "resources/read",
        "resources/templates/list",
        "resources/subscribe",
        "resources/unsubscribe",
        "prompts/list",
        "prompts/get",
        "completion/complete",
        "subscriptions/listen",
        "logging/setLevel",
        "echo",
    ];
    for envelope in [None, Some(meta("2026-07-28"))] {
        let mut play = Play::with_offers();
        play.request(json!(0), "initialize", json!({"protocolVersion": "2025-11-25"}));
        for method in methods {
            for (member, value) in members.iter().flat_map(|member| odd.iter().map(move |value| (member, value))) {
                let mut params = json!({});
                envelope.iter().for_each(|meta| params["_meta"] = meta.clone());
                params[*member] = value.clone();
                let answers = play.request(json!(1), method, params.clone()).len();
                let started = std::mem::take(&mut play.started);
                assert_eq!(answers + started.len(), 1, "{method} {params}");
                started.iter().for_each(|call| play.server.finish(call.key, Outcome::Missing("x".into())));
                play.effects();
            }
        }
        assert_eq!(play.server.calls_in_flight(), 0);
    }
}
