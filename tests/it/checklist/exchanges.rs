//! Requests that are answered at once, with what their answers owe, played in every revision that they concern.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::server::{Server, command};

/// All revisions, oldest first; an exchange names those that it concerns by their letters.
const REVISIONS: [(char, &str); 5] =
    [('A', "2024-11-05"), ('B', "2025-03-26"), ('C', "2025-06-18"), ('D', "2025-11-25"), ('E', "2026-07-28")];
const ALL: &str = "ABCDE";
const LEGACY: &str = "ABCD";

struct Exchange {
    /// The rows of the checklist that it shows.
    rows: &'static str,
    revisions: &'static str,
    method: &'static str,
    params: Value,
    /// What stands where in the answer, by JSON pointers.
    owes: Vec<(&'static str, Owed)>,
}

#[derive(Debug)]
enum Owed {
    Is(Value),
    There,
    Absent,
}
use Owed::{Absent, Is, There};

fn exchange(
    rows: &'static str,
    revisions: &'static str,
    method: &'static str,
    params: Value,
    owes: Vec<(&'static str, Owed)>,
) -> Exchange {
    Exchange { rows, revisions, method, params, owes }
}

fn error(code: i64) -> Vec<(&'static str, Owed)> {
    vec![("/error/code", Is(json!(code))), ("/error/message", There), ("/result", Absent)]
}

const LISTS: [(&str, &str); 4] = [
    ("tools/list", "/result/tools/0"),
    ("resources/list", "/result/resources/0"),
    ("resources/templates/list", "/result/resourceTemplates/0"),
    ("prompts/list", "/result/prompts/0"),
];

fn lists() -> Vec<Exchange> {
    let mut table = Vec::new();
    for (method, first) in LISTS {
        table.push(exchange(
            "T1 R1 Q1 G1",
            ALL,
            method,
            json!({}),
            vec![(first, There), ("/result/nextCursor", Absent)],
        ));
        let title =
            |owed| vec![(first, There), (if method == "tools/list" { "/result/tools/0/title" } else { "/x" }, owed)];
        table.push(exchange("T9", "AB", method, json!({}), title(Absent)));
        for cursor in [json!(""), json!("no-such-cursor"), json!(7)] {
            table.push(exchange("G2 G3", ALL, method, json!({"cursor": cursor}), error(-32602)));
        }
        let cached = vec![("/result/ttlMs", There), ("/result/cacheScope", Is(json!("private")))];
        table.push(exchange("H1 H3 G4", "E", method, json!({}), cached));
        let plain = [("/result/ttlMs", Absent), ("/result/cacheScope", Absent), ("/result/resultType", Absent)];
        table.push(exchange("H4", LEGACY, method, json!({}), plain.into()));
        // Unknown keys of `_meta` mean nothing.
        let meta = json!({"_meta": {"progressToken": 7, "traceparent": "00-x", "claudecode/toolUseId": [1]}});
        table.push(exchange("N3 N4", ALL, method, meta, vec![(first, There)]));
    }
    table.push(exchange("R8", "CDE", "resources/list", json!({}), vec![("/result/resources/0/title", There)]));
    table.push(exchange("R8", "AB", "resources/list", json!({}), vec![("/result/resources/0/title", Absent)]));
    table
}

fn tools() -> Vec<Exchange> {
    let call = |rows, revisions, params, owes| exchange(rows, revisions, "tools/call", params, owes);
    let idle = "list_active_connections";
    let text = || ("/result/content/0/type", Is(json!("text")));
    let structured = ("/result/structuredContent/total_count", Is(json!(0)));
    let failed = || vec![text(), ("/result/isError", Is(json!(true))), ("/error", Absent)];
    let task = json!({"name": idle, "arguments": {}, "task": {"ttl": 60_000}});
    vec![
        call("T13 T23", ALL, json!({"name": idle}), vec![text(), ("/result/isError", Absent)]),
        call("T12", "CDE", json!({"name": idle, "arguments": {}}), vec![text(), structured]),
        call("T13", "AB", json!({"name": idle}), vec![text(), ("/result/structuredContent", Absent)]),
        call("T15", ALL, json!({"name": "no_such_tool"}), error(-32602)),
        call("T15", ALL, json!({"name": "LIST_TOPICS"}), error(-32602)),
        call("T16", ALL, json!({}), error(-32602)),
        call("T16", ALL, json!({"name": 7}), error(-32602)),
        call("T16", ALL, json!({"name": idle, "arguments": []}), error(-32602)),
        call("T16", ALL, json!({"name": idle, "arguments": "x"}), error(-32602)),
        call("T17", ALL, json!({"name": "list_topics", "arguments": {"session_id": 7}}), failed()),
        call("T17", ALL, json!({"name": "list_topics", "arguments": {"no_such": 7}}), failed()),
        call("T18", ALL, json!({"name": "list_topics", "arguments": {"session_id": "x"}}), failed()),
        call(
            "T18",
            ALL,
            json!({"name": "establish_connection", "arguments": {"connection_string": "mqtt://127.0.0.1:1"}}),
            failed(),
        ),
        call("T21 A1", ALL, task, vec![text(), ("/result/task", Absent)]),
        exchange("A1", ALL, "tasks/get", json!({"taskId": "x"}), error(-32601)),
        exchange("A1", ALL, "tasks/list", json!({}), error(-32601)),
    ]
}

fn others() -> Vec<Exchange> {
    let topic = json!({"uri": "mqtt://00000000-0000-4000-8000-000000000000/topic/a"});
    let device = json!({"type": "ref/prompt", "name": "debug_device"});
    let complete = |rows, params, owes| exchange(rows, ALL, "completion/complete", params, owes);
    let message = vec![
        ("/result/messages/0/role", Is(json!("user"))),
        ("/result/messages/0/content/type", Is(json!("text"))),
        ("/result/messages/0/content/text", There),
    ];
    let mut missing = error(-32002);
    missing.push(("/error/data/uri", Is(topic["uri"].clone())));
    let table = [
        exchange(
            "R3",
            ALL,
            "resources/read",
            json!({"uri": "mqtt://sessions"}),
            vec![("/result/contents/0/text", There)],
        ),
        exchange("R4", LEGACY, "resources/read", topic.clone(), missing),
        exchange("R5", "E", "resources/read", topic.clone(), error(-32602)),
        exchange("R4", LEGACY, "resources/subscribe", topic.clone(), error(-32002)),
        exchange("R7", LEGACY, "resources/unsubscribe", topic, vec![("/result", Is(json!({})))]),
        exchange("R6", ALL, "resources/read", json!({"uri": 7}), error(-32602)),
        exchange("H1", "E", "resources/read", json!({"uri": "mqtt://sessions"}), vec![("/result/ttlMs", Is(json!(0)))]),
        exchange("Q2", ALL, "prompts/get", json!({"name": "no_such_prompt"}), error(-32602)),
        exchange("Q2", ALL, "prompts/get", json!({"name": "debug_device"}), error(-32602)),
        exchange("Q3", ALL, "prompts/get", json!({"name": "explore_broker"}), message),
        complete("C3", json!({"ref": device}), error(-32602)),
        complete(
            "C3",
            json!({"ref": {"type": "ref/prompt", "name": "x"}, "argument": {"name": "x", "value": ""}}),
            error(-32602),
        ),
        complete(
            "C2",
            json!({"ref": device, "argument": {"name": "session_id", "value": ""}}),
            vec![("/result/completion/values", Is(json!([]))), ("/result/completion/hasMore", Is(json!(false)))],
        ),
        exchange("P1", LEGACY, "ping", json!({}), vec![("/result", Is(json!({})))]),
        exchange("O2", ALL, "logging/setLevel", json!({"level": "info"}), error(-32601)),
        exchange("V13", ALL, "no/such/method", json!({}), error(-32601)),
        exchange("V13", ALL, "roots/list", json!({}), error(-32601)),
        exchange("S7", "E", "subscriptions/listen", json!({}), error(-32602)),
        exchange("S7", "E", "subscriptions/listen", json!({"notifications": []}), error(-32602)),
        exchange("S7", LEGACY, "subscriptions/listen", json!({"notifications": {}}), error(-32602)),
        exchange("V2", LEGACY, "server/discover", json!({}), error(-32602)),
        exchange(
            "V9",
            "E",
            "server/discover",
            json!({}),
            [
                "/result/supportedVersions/4",
                "/result/capabilities",
                "/result/instructions",
                "/result/ttlMs",
                "/result/cacheScope",
            ]
            .map(|pointer| (pointer, There))
            .into(),
        ),
    ];
    table.into_iter().chain(modern()).collect()
}

fn modern() -> Vec<Exchange> {
    let mut table: Vec<_> = [
        ("initialize", json!({})),
        ("ping", json!({})),
        ("logging/setLevel", json!({"level": "info"})),
        ("resources/subscribe", json!({"uri": "mqtt://sessions"})),
        ("resources/unsubscribe", json!({"uri": "mqtt://sessions"})),
    ]
    .map(|(method, params)| exchange("V12 P2", "E", method, params, error(-32601)))
    .into();
    let own = || {
        vec![
            ("/result/resultType", Is(json!("complete"))),
            ("/result/_meta/io.modelcontextprotocol~1serverInfo/name", Is(json!("mqtt-mcp"))),
            ("/result/_meta/io.modelcontextprotocol~1serverInfo/version", There),
            ("/result/serverInfo", Absent),
        ]
    };
    for (method, params) in [
        ("server/discover", json!({})),
        ("tools/list", json!({})),
        ("tools/call", json!({"name": "list_active_connections"})),
        ("tools/call", json!({"name": "list_topics"})),
        ("list_active_connections", json!({})),
        ("resources/list", json!({})),
        ("resources/templates/list", json!({})),
        ("resources/read", json!({"uri": "mqtt://sessions"})),
        ("prompts/list", json!({})),
        ("prompts/get", json!({"name": "audit_traffic"})),
        (
            "completion/complete",
            json!({"ref": {"type": "ref/prompt", "name": "audit_traffic"}, "argument": {"name": "session_id", "value": ""}}),
        ),
    ] {
        table.push(exchange("V7 V8", "E", method, params, own()));
    }
    table
}

fn table() -> Vec<Exchange> {
    lists().into_iter().chain(tools()).chain(others()).collect()
}

/// The rows that the table shows.
pub fn rows_shown() -> BTreeSet<String> {
    table().iter().flat_map(|exchange| exchange.rows.split(' ')).map(str::to_owned).collect()
}

impl Exchange {
    fn play(&self, server: &mut Server, letter: char) {
        let mut params = self.params.clone();
        if letter == 'E' {
            let envelope = crate::support::server::envelope("2026-07-28");
            let meta = params["_meta"].take();
            params["_meta"] = envelope;
            for (key, value) in meta.as_object().into_iter().flatten() {
                params["_meta"][key] = value.clone();
            }
        }
        let id = server.request(self.method, params);
        let answer = server.response(&id);
        let what = format!("{} in {letter}: {} {}: {}", self.rows, self.method, self.params, answer.raw);
        for (pointer, owed) in &self.owes {
            let found = answer.json.pointer(pointer);
            let is_right = match owed {
                Is(value) => found == Some(value),
                There => found.is_some(),
                Absent => found.is_none(),
            };
            assert!(is_right, "{pointer} should be {owed:?}; {what}");
        }
    }
}

#[test]
fn every_exchange_of_the_table_in_every_revision() {
    let table = table();
    for (letter, revision) in REVISIONS {
        let mut server = Server::spawn(command(&[]));
        if letter != 'E' {
            server.initialize(revision);
        }
        let concerned: Vec<_> = table.iter().filter(|exchange| exchange.revisions.contains(letter)).collect();
        assert!(concerned.len() > 40, "{letter}");
        for exchange in concerned {
            exchange.play(&mut server, letter);
        }
        assert!(server.take_kept().is_empty(), "every answer is to a request");
    }
}

#[test]
fn the_two_eras_interleave_exchange_by_exchange() {
    let table = table();
    let mut server = Server::spawn(command(&[]));
    for (letter, revision) in REVISIONS.into_iter().filter(|(letter, _)| *letter != 'E') {
        server.initialize(revision);
        for exchange in &table {
            for letter in [letter, 'E'].into_iter().filter(|letter| exchange.revisions.contains(*letter)) {
                exchange.play(&mut server, letter);
            }
        }
    }
}
