//! Tool calls in one line each, and waiting for what a session's counters show.

use serde_json::{Value, json};

use super::fake_broker::{FakeBroker, Peer};
use super::server::Server;
use super::wait_for;

/// A SUBACK of one filter, as `bytes_in` counts it.
pub const SUBACK_BYTES: u64 = 5;
pub const CONNACK_BYTES: u64 = 4;

/// Whether this build has that tool.
pub fn is_built(tool: &str) -> bool {
    const OF_ANALYSIS: [&str; 5] =
        ["debug_device", "get_topic_schema", "monitor_performance", "request_response", "test_connection"];
    cfg!(feature = "analysis") || !OF_ANALYSIS.contains(&tool)
}

/// Whether files that are written from the tools are to be written anew.
pub fn updates_snapshots() -> bool {
    let asked = std::env::var_os("UPDATE_SNAPSHOTS").is_some_and(|value| value == "1");
    assert!(!asked || cfg!(feature = "analysis"), "a build without some of the tools cannot write what is of all");
    asked
}

impl Server {
    /// Starts a tool call and gives its id.
    pub fn start_call(&mut self, tool: &str, arguments: Value) -> Value {
        self.request("tools/call", json!({"name": tool, "arguments": arguments}))
    }

    /// The same with a progress token.
    pub fn start_call_with_progress(&mut self, tool: &str, arguments: Value, token: Value) -> Value {
        let params = json!({"name": tool, "arguments": arguments, "_meta": {"progressToken": token}});
        self.request("tools/call", params)
    }

    /// The result object of a call that must succeed.
    pub fn outcome(&mut self, id: &Value) -> Value {
        let mut result = self.result(id);
        assert!(result.get("isError").is_none(), "{result}");
        result["structuredContent"].take()
    }

    /// The error object of a call that must fail.
    pub fn failure(&mut self, id: &Value) -> Value {
        let mut result = self.result(id);
        assert_eq!(result["isError"], true, "{result}");
        let mut content = result["structuredContent"].take();
        assert_eq!(content["status"], "error");
        let error = content["error"].take();
        assert!(!error["message"].as_str().expect("a message").is_empty(), "{error}");
        assert!(!error["hint"].as_str().expect("a hint").is_empty(), "{error}");
        assert!(error["retryable"].is_boolean(), "{error}");
        error
    }

    /// Calls a tool that must succeed.
    pub fn call(&mut self, tool: &str, arguments: Value) -> Value {
        let id = self.start_call(tool, arguments);
        self.outcome(&id)
    }

    /// Calls a tool that must fail; gives the error object.
    pub fn fail(&mut self, tool: &str, arguments: Value) -> Value {
        let id = self.start_call(tool, arguments);
        self.failure(&id)
    }

    /// Calls a tool by its bare method; gives the whole response.
    pub fn bare(&mut self, tool: &str, params: Value) -> Value {
        let id = self.request(tool, params);
        self.response(&id).json
    }

    /// Calls a tool that must fail by its bare method; gives the error.
    pub fn fail_bare(&mut self, tool: &str, params: Value) -> Value {
        let mut response = self.bare(tool, params);
        assert!(response.get("result").is_none(), "{response}");
        response["error"].take()
    }

    /// Opens a session and gives its id.
    pub fn connect(&mut self, url: &str) -> String {
        let opened = self.call("establish_connection", json!({"connection_string": url}));
        opened["session_id"].as_str().expect("a session id").to_owned()
    }

    /// Opens a session on a fake broker.
    pub fn meet(&mut self, broker: &FakeBroker) -> (String, Peer) {
        let id = self.start_call("establish_connection", json!({"connection_string": broker.url()}));
        let peer = broker.welcome();
        (self.outcome(&id)["session_id"].as_str().expect("a session id").to_owned(), peer)
    }

    /// Starts to collect from a fake broker, which grants the subscription.
    pub fn collect_from(&mut self, peer: &mut Peer, session: &str, mut arguments: Value) -> Value {
        arguments["session_id"] = json!(session);
        let id = self.start_call("subscribe_and_collect", arguments);
        peer.grant();
        id
    }

    /// A session as list_active_connections shows it.
    pub fn row(&mut self, session: &str) -> Value {
        let list = self.call("list_active_connections", json!({}));
        let rows = list["active_connections"].as_array().expect("rows").clone();
        rows.into_iter().find(|row| row["session_id"] == session).unwrap_or_else(|| panic!("{session} is not listed"))
    }

    pub fn bytes_in(&mut self, session: &str) -> u64 {
        self.row(session)["bytes_in"].as_u64().expect("a count")
    }

    pub fn wait_for_bytes_in(&mut self, session: &str, at_least: u64) {
        wait_for("bytes from the broker", || (self.bytes_in(session) >= at_least).then_some(()));
    }

    pub fn wait_for_state(&mut self, session: &str, state: &str) -> Value {
        wait_for(state, || Some(self.row(session)).filter(|row| row["state"] == state))
    }

    /// Starts a call that listens, and comes back when the broker has granted its subscription.
    pub fn listen(&mut self, session: &str, tool: &str, mut arguments: Value) -> Value {
        arguments["session_id"] = json!(session);
        let before = self.bytes_in(session);
        let id = self.start_call(tool, arguments);
        self.wait_for_bytes_in(session, before + SUBACK_BYTES);
        id
    }
}

/// Whether a method is a tool's name: the protocol's own have a slash, but for the two oldest.
pub fn is_bare(method: &str) -> bool {
    !method.contains('/') && method != "ping" && method != "initialize"
}

/// The payloads of collected messages.
pub fn payloads(collected: &Value) -> Vec<Value> {
    messages(collected).iter().map(|message| message["payload"].clone()).collect()
}

pub fn messages(collected: &Value) -> &Vec<Value> {
    collected["messages"].as_array().expect("messages")
}

/// The tools that are offered.
pub fn listed(server: &mut Server) -> Vec<Value> {
    let id = server.request("tools/list", json!({}));
    server.result(&id)["tools"].as_array().expect("tools").clone()
}

/// Parameters that name topics, in whatever tool.
const TOPICS: [&str; 6] = ["topic", "topic_pattern", "pattern", "request_topic", "response_topic", "probe_topic"];

/// Arguments for any tool: short, on this session, and on this topic wherever one can be given.
pub fn arguments(tool: &Value, session: &str, topic: &str) -> Value {
    let mut arguments = json!({});
    for name in tool["inputSchema"]["properties"].as_object().expect("parameters").keys() {
        let value = match name.as_str() {
            "session_id" => json!(session),
            "payload" => json!("x"),
            "device_id" => json!("d"),
            "dry_run" => json!(false),
            "duration_seconds" | "timeout_seconds" => json!(1),
            "wait_ms" => json!(300),
            name if TOPICS.contains(&name) => json!(topic),
            _ => continue,
        };
        arguments[name] = value;
    }
    arguments
}

/// Tools that subscribe or publish on topics that their arguments name.
pub fn with_topics(tools: &[Value]) -> Vec<Value> {
    let concerns = |tool: &&Value| {
        let properties = tool["inputSchema"]["properties"].as_object().expect("parameters");
        properties.contains_key("session_id") && TOPICS.iter().any(|name| properties.contains_key(*name))
    };
    let found: Vec<_> = tools.iter().filter(concerns).cloned().collect();
    assert!(found.len() >= 5, "{found:?}");
    found
}
