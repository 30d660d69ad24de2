//! The protocol in this process, without pipes: requests per second of `Server::handle_line`.
//!
//!     cargo bench --bench rpc
//!     cargo bench --bench rpc -- --json
//!
//! The known thing beside each number is `serde_json::from_str::<Value>` of the same line: what it costs to read a
//! request before anything is done about it. `answer` includes the reply, written in pieces as to stdout.

// Its output is its purpose.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod support;

use std::hint::black_box;
use std::time::{Duration, Instant};

use mqtt_mcp::limits::WRITE_CHUNK_BYTES;
use mqtt_mcp::mcp::server::{Effect, Server};
use mqtt_mcp::rpc::line::{Line, LineBuffer};
use mqtt_mcp::rpc::message::{Incoming, parse};
use mqtt_mcp::tools::schema::Tools;
use serde_json::{Value, json};
use support::server::INITIALIZE;
use support::table::{Table, median};

/// Times each thing is measured, in turns with the known thing.
const ROUNDS: usize = 9;
const ROUND: Duration = Duration::from_millis(60);

fn main() {
    let json = std::env::args().any(|word| word == "--json");
    let mut table = Table::new("JSON-RPC in process (medians)", ["value".to_owned()]);
    let payload = json!({ "readings": (0..200).map(|n| json!({ "n": n, "t": n % 40 })).collect::<Vec<_>>() });
    let lines = [
        ("ping", json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" })),
        ("tools/list", json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/list", "params": {} })),
        (
            "tools/call of 3 KiB",
            json!({ "jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": { "name": "publish_message",
                "arguments": { "session_id": "x", "topic": "a/b", "payload": payload } } }),
        ),
    ];
    for (name, line) in lines {
        let line = line.to_string();
        compare(name, line.as_bytes(), &mut table);
    }
    table.print(json);
}

fn compare(name: &str, line: &[u8], table: &mut Table) {
    let text = std::str::from_utf8(line).expect("UTF-8");
    let mut server = Server::new(Box::new(Tools::default()));
    let mut reply = Vec::new();
    server.handle_line(INITIALIZE.as_bytes());
    assert!(serve(&mut server, &mut reply));
    let mut buffer = LineBuffer::default();
    let mut with_newline = line.to_vec();
    with_newline.push(b'\n');

    let mut known = || {
        black_box(serde_json::from_str::<Value>(black_box(text)).expect("JSON"));
    };
    let mut reading = || assert!(matches!(parse(black_box(line)), Incoming::One(Ok(_))));
    let mut cutting = || {
        let mut rest = &with_newline[..];
        while !rest.is_empty() {
            let space = buffer.space();
            let count = space.len().min(rest.len());
            space[..count].copy_from_slice(&rest[..count]);
            buffer.filled(count);
            rest = &rest[count..];
        }
        assert!(matches!(buffer.next_line(), Some(Line::Whole(whole)) if whole.len() == line.len()));
        assert!(buffer.next_line().is_none());
    };
    let mut answering = || {
        reply.clear();
        server.handle_line(black_box(line));
        assert!(serve(&mut server, &mut reply));
    };
    let mut costs = [const { Vec::new() }; 4];
    for _ in 0..ROUNDS {
        costs[0].push(nanoseconds(&mut known));
        costs[1].push(nanoseconds(&mut reading));
        costs[2].push(nanoseconds(&mut cutting));
        costs[3].push(nanoseconds(&mut answering));
    }
    let [known, reading, cutting, answering] = costs.map(median);
    table.set(0, &format!("{name}: length of the line"), "bytes", line.len() as f64);
    table.set(0, &format!("{name}: serde_json::from_str::<Value>"), "ns", known);
    for (what, cost) in [("cut", cutting), ("parse", reading), ("answer", answering)] {
        table.set(0, &format!("{name}: {what}"), "ns", cost);
        table.set(0, &format!("{name}: {what}, against from_str"), "ratio", cost / known);
    }
    table.set(0, &format!("{name}: answers"), "1/s", 1e9 / answering);
    if !reply.is_empty() {
        // Writing a `Value` of the same reply is the known thing for long ones.
        let value: Value = serde_json::from_slice(&reply).expect("JSON");
        let cost = nanoseconds(&mut || drop(black_box(serde_json::to_vec(&value).expect("JSON"))));
        table.set(0, &format!("{name}: length of the reply"), "bytes", reply.len() as f64);
        table.set(0, &format!("{name}: serde_json::to_vec of the reply"), "ns", cost);
    }
}

/// Takes the effects of a line; a call is cancelled at once, since nobody runs it here.
fn serve(server: &mut Server, reply: &mut Vec<u8>) -> bool {
    let mut any = false;
    while let Some(effect) = server.next_effect() {
        any = true;
        match effect {
            Effect::Send(mut line) => {
                let mut piece = Vec::with_capacity(WRITE_CHUNK_BYTES);
                while line.fill(&mut piece, WRITE_CHUNK_BYTES) {
                    reply.append(&mut piece);
                }
                reply.append(&mut piece);
            }
            Effect::Start(call) => {
                black_box(&call.work);
                let id = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":3}}"#;
                server.handle_line(id.as_bytes());
            }
            Effect::Cancel(_) | Effect::Unsubscribe(_) => {}
        }
    }
    any
}

fn nanoseconds(step: &mut dyn FnMut()) -> f64 {
    const AT_ONCE: u32 = 16;
    let began = Instant::now();
    let mut count = 0;
    while began.elapsed() < ROUND {
        (0..AT_ONCE).for_each(|_| step());
        count += AT_ONCE;
    }
    began.elapsed().as_nanos() as f64 / f64::from(count)
}
