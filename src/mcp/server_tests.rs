use super::super::offers::Completion;
use super::*;
use serde_json::{Value, json};

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
fn offers_are_declared_as_each_revision_has_them_and_not_served_without() {
    for revision in Revision::ALL.into_iter().filter(|revision| !revision.is_modern()) {
        let mut play = Play::with_offers();
        let params = json!({"protocolVersion": revision.name()});
        let declared = play.request(json!(0), "initialize", params)[0]["result"]["capabilities"].clone();
        let mut expected = json!({"tools": {}, "resources": {"subscribe": true}, "prompts": {}, "completions": {}});
        if revision == Revision::V2024_11_05 {
            expected.as_object_mut().expect("object").remove("completions");
        }
        assert_eq!(declared, expected);
    }
    let mut play = Play::with_offers();
    let discovered = &play.request(json!(0), "server/discover", json!({"_meta": meta("2026-07-28")}))[0]["result"];
    assert_eq!(discovered["capabilities"]["resources"]["subscribe"], true);
    let mut play = Play::handshake("2025-11-25");
    for method in ["prompts/list", "prompts/get", "resources/list", "resources/read", "completion/complete"] {
        assert_eq!(play.error_code(method, json!({})), -32601, "{method}");
    }
}

#[test]
fn lists_have_one_page_and_live_ones_are_not_cached() {
    let mut play = Play::with_offers();
    for (method, ttl) in [("prompts/list", 3_600_000), ("resources/list", 0), ("resources/templates/list", 3_600_000)] {
        let answer = &play.request(json!(1), method, json!({"_meta": meta("2026-07-28")}))[0]["result"];
        assert_eq!((&answer["ttlMs"], &answer["cacheScope"]), (&json!(ttl), &json!("private")), "{method}");
        for cursor in [json!(""), json!("x"), json!(1)] {
            assert_eq!(play.error_code(method, json!({"_meta": meta("2026-07-28"), "cursor": cursor})), -32602);
        }
    }
    let answer = &play.request(json!(1), "prompts/get", json!({"name": "p", "_meta": meta("2026-07-28")}))[0]["result"];
    assert!(answer.get("ttlMs").is_none(), "{answer}");
}

#[test]
fn prompts_and_completions_are_asked_for_by_name() {
    let mut play = Play::with_offers();
    play.request(json!(0), "initialize", json!({"protocolVersion": "2025-06-18"}));
    let got = &play.request(json!(1), "prompts/get", json!({"name": "p", "arguments": {"a": "b"}}))[0]["result"];
    assert_eq!(got["a"], "b");
    for wrong in [json!({}), json!({"name": 1}), json!({"name": "q"}), json!({"name": "p", "arguments": []})] {
        assert_eq!(play.error_code("prompts/get", wrong), -32602);
    }
    let argument = json!({"name": "n", "value": "v"});
    let asked = json!({"ref": {"type": "ref/prompt", "name": "p"}, "argument": argument,
        "context": {"arguments": {"s": "chosen"}}});
    let found = &play.request(json!(1), "completion/complete", asked)[0]["result"]["completion"]["values"][0];
    assert_eq!(found, "Prompt(\"p\") n v Some(\"chosen\")");
    for wrong in [
        json!({"argument": argument}),
        json!({"ref": {"type": "ref/other", "name": "p"}, "argument": argument}),
        json!({"ref": {"type": "ref/resource", "name": "p"}, "argument": argument}),
        json!({"ref": {"type": "ref/prompt", "name": "p"}}),
        json!({"ref": {"type": "ref/prompt", "name": "p"}, "argument": {"name": "n"}}),
        json!({"ref": {"type": "ref/prompt", "name": "p"}, "argument": {"name": "n", "value": 1}}),
    ] {
        assert_eq!(play.error_code("completion/complete", wrong), -32602);
    }
}

#[test]
fn a_missing_resource_has_the_number_of_its_era() {
    let mut play = Play::with_offers();
    play.request(json!(0), "initialize", json!({"protocolVersion": "2025-11-25"}));
    for (params, expected) in
        [(json!({"uri": "u"}), -32002), (json!({"uri": "u", "_meta": meta("2026-07-28")}), -32602)]
    {
        assert!(play.request(json!(1), "resources/read", params).is_empty());
        let key = play.started.remove(0).key;
        play.server.finish(key, Outcome::Missing("nothing there".into()));
        let answer = &play.effects()[0];
        assert_eq!((code(answer), &answer["error"]["data"]["uri"]), (expected, &json!("u")));
    }
    assert_eq!(play.error_code("resources/read", json!({"uri": 1})), -32602);
    play.request(json!(1), "resources/read", json!({"uri": "u", "_meta": meta("2026-07-28")}));
    assert_eq!(play.finish(json!({"contents": []}))[0]["result"]["ttlMs"], 0);
}

#[test]
fn a_legacy_subscription_is_acknowledged_told_and_ended() {
    let mut play = Play::with_offers();
    play.request(json!(0), "initialize", json!({"protocolVersion": "2025-11-25"}));
    assert!(play.request(json!(1), "resources/subscribe", json!({"uri": "u"})).is_empty());
    assert_eq!(play.finish(json!({}))[0]["result"], json!({}));
    play.server.updated(None, "u");
    let note = &play.effects()[0];
    assert_eq!((&note["method"], &note["params"]), (&json!("notifications/resources/updated"), &json!({"uri": "u"})));
    assert_eq!(play.request(json!(2), "resources/unsubscribe", json!({"uri": "u"}))[0]["result"], json!({}));
    assert_eq!(play.unsubscribed, [Some("u".to_owned())]);
    play.request(json!(0), "initialize", json!({"protocolVersion": "2025-11-25"}));
    assert_eq!(play.unsubscribed[1..], [None], "a client that starts anew has none");
    for method in ["resources/subscribe", "resources/unsubscribe"] {
        assert_eq!(play.error_code(method, json!({"uri": "u", "_meta": meta("2026-07-28")})), -32601, "{method}");
        assert_eq!(play.error_code(method, json!({})), -32602, "{method}");
    }
}

#[test]
fn unsubscribing_ends_a_subscription_that_is_still_being_made_and_both_are_answered() {
    let mut play = Play::with_offers();
    play.request(json!(0), "initialize", json!({"protocolVersion": "2025-11-25"}));
    play.request(json!(1), "resources/subscribe", json!({"uri": "u"}));
    play.request(json!(2), "resources/subscribe", json!({"uri": "other"}));
    let answers = play.request(json!(3), "resources/unsubscribe", json!({"uri": "u"}));
    assert_eq!(answers.iter().map(|answer| &answer["id"]).collect::<Vec<_>>(), [&json!(1), &json!(3)]);
    assert_eq!(play.cancelled, [play.started[0].key]);
    assert_eq!(play.server.calls_in_flight(), 1);
}

#[test]
fn a_listen_is_acknowledged_told_on_its_own_stream_and_silent_after_its_cancel() {
    let mut play = Play::with_offers();
    let wishes = json!({"toolsListChanged": true, "resourceSubscriptions": ["u", "v"]});
    let params = json!({"notifications": wishes, "_meta": meta("2026-07-28")});
    assert!(play.request(json!("listen:0"), "subscriptions/listen", params.clone()).is_empty());
    let key = play.started[0].key;
    assert!(matches!(&play.started[0].work, Work::Listen { uris } if uris == &["u", "v"]));
    play.server.acknowledge(key, &["u"]);
    play.server.updated(Some(key), "u");
    let lines = play.effects();
    let stream = json!({"io.modelcontextprotocol/subscriptionId": "listen:0"});
    assert_eq!(lines[0]["method"], "notifications/subscriptions/acknowledged");
    assert_eq!(lines[0]["params"], json!({"_meta": stream, "notifications": {"resourceSubscriptions": ["u"]}}));
    assert_eq!(lines[1]["params"], json!({"_meta": stream, "uri": "u"}));
    assert_eq!(play.request(json!("listen:0"), "ping", json!({}))[0]["error"]["code"], -32600, "the id is in flight");
    play.say(json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "listen:0"}}));
    assert_eq!(play.cancelled, [key]);
    play.server.acknowledge(key, &["u"]);
    play.server.updated(Some(key), "u");
    play.server.end_listens();
    assert!(play.effects().is_empty(), "nothing follows a cancel");
}

#[test]
fn a_listen_without_wishes_is_held_open_and_ended_in_order() {
    let mut play = Play::with_offers();
    play.request(json!(5), "subscriptions/listen", json!({"notifications": {}, "_meta": meta("2026-07-28")}));
    let key = play.started[0].key;
    play.server.acknowledge(key, &[]);
    assert_eq!(play.effects()[0]["params"]["notifications"], json!({}));
    play.server.end_listens();
    let end = &play.effects()[0];
    assert_eq!((&end["id"], &end["result"]["resultType"]), (&json!(5), &json!("complete")));
    assert_eq!(end["result"]["_meta"]["io.modelcontextprotocol/subscriptionId"], 5);
    assert_eq!((play.cancelled.as_slice(), play.server.calls_in_flight()), (&[key][..], 0));
}

#[test]
fn a_listen_that_is_no_listen_is_refused() {
    let mut play = Play::with_offers();
    assert_eq!(play.error_code("subscriptions/listen", json!({"notifications": {}})), -32602, "no envelope");
    for wrong in [json!(null), json!([]), json!({"resourceSubscriptions": "u"}), json!({"resourceSubscriptions": [1]})]
    {
        let params = json!({"notifications": wrong, "_meta": meta("2026-07-28")});
        assert_eq!(play.error_code("subscriptions/listen", params), -32602);
    }
    assert_eq!(play.error_code("subscriptions/listen", json!({"_meta": meta("2026-07-28")})), -32602);
    let member = json!({"jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen",
        "params": {"notifications": {}, "_meta": meta("2026-07-28")}});
    assert_eq!(code(&play.one(json!([member]))[0]), -32600);
    play.request(json!(0), "initialize", json!({"protocolVersion": "2025-11-25"}));
    assert_eq!(play.error_code("subscriptions/listen", json!({"notifications": {}})), -32602, "still no envelope");
    assert!(play.started.is_empty());
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
