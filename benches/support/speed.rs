//! Latency, rates and CPU time over the pipes.

use std::time::{Duration, Instant};

use serde_json::json;

use super::drain;
use super::fake_broker::{FakeBroker, Flood, reading};
use super::mosquitto::{BareClient, Mosquitto};
use super::options::Subject;
use super::relay::{self, Waits};
use super::server::{Result, Server};
use super::table::{Table, median, quantile, us};
use super::{packets, process};

/// Pings at rest, while a collection drains a broker that is never slower, and while one listens through Mosquitto.
pub fn ping(subject: &Subject, broker: &Mosquitto, fake: &FakeBroker, column: usize, table: &mut Table) -> Result<()> {
    let mut server = Server::ready(subject)?;
    server.list_tools()?;
    let idle = (0..2000).map(|_| server.ping()).collect::<Result<Vec<_>>>()?;
    note(column, table, "ping at rest", &idle);

    let messages = if subject.is_ours { 1_000_000 } else { 20_000 };
    let session = server.connect(fake.port)?;
    fake.prepare(&Flood::readings(messages, 2000, 200));
    let times = ping_while_collecting(&mut server, &session, messages, || Ok(()))?;
    note(column, table, "ping while collecting at full speed", &times);

    let messages = if subject.is_ours { 100_000 } else { 20_000 };
    let session = server.connect(broker.port)?;
    let before = broker.subscriptions();
    let mut publisher = BareClient::connect(broker.port).map_err(|error| error.to_string())?;
    let mut flood = None;
    let times = ping_while_collecting(&mut server, &session, messages, || {
        broker.wait_for_subscription(before);
        let publish = move || publisher.flood("bench/load", &reading(7, 200), messages);
        flood = Some(std::thread::spawn(publish));
        Ok(())
    })?;
    note(column, table, "ping while collecting through Mosquitto", &times);
    match flood.map(std::thread::JoinHandle::join) {
        Some(Ok(Ok(()))) => Ok(()),
        other => Err(format!("the publisher failed: {other:?}")),
    }
}

fn ping_while_collecting(
    server: &mut Server,
    session: &str,
    messages: usize,
    subscribed: impl FnOnce() -> Result<()>,
) -> Result<Vec<Duration>> {
    let arguments = json!({ "session_id": session, "topic_pattern": "#", "duration_seconds": 30,
        "max_messages": messages, "keep": 50 });
    let call = server.begin("subscribe_and_collect", &arguments)?;
    subscribed()?;
    let mut times = Vec::new();
    while !server.has_answer(call) {
        times.push(server.ping()?);
    }
    let result = server.outcome(call)?;
    server.counted(&result, "original_message_count", messages)?;
    Ok(times)
}

fn note(column: usize, table: &mut Table, name: &str, times: &[Duration]) {
    let values = || times.iter().copied().map(us);
    table.set(column, &format!("{name}: median"), "µs", median(values()));
    table.set(column, &format!("{name}: p99"), "µs", quantile(values(), 0.99));
    table.set(column, &format!("{name}: longest"), "µs", quantile(values(), 1.0));
}

/// Requests per second with some in flight.
pub fn rates(subject: &Subject, broker: &Mosquitto, column: usize, table: &mut Table) -> Result<()> {
    let mut server = Server::ready(subject)?;
    server.list_tools()?;
    let ping = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" });
    // That it knows no `ping` is an answer of another server, too.
    let wanted = if subject.is_ours { "\"result\"" } else { "\"id\"" };
    table.set(column, "ping, 16 in flight", "1/s", rate(&mut server, &ping.to_string(), wanted)?);
    server.connect(broker.port)?;
    server.call("list_active_connections", &json!({}))?;
    let list = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": { "name": server.name_of("list_active_connections")?, "arguments": {} } });
    let per_second = rate(&mut server, &list.to_string(), "\"result\"")?;
    table.set(column, "tools/call list_active_connections, 16 in flight", "1/s", per_second);
    Ok(())
}

fn rate(server: &mut Server, request: &str, wanted: &str) -> Result<f64> {
    const WINDOW: usize = 16;
    const AT_MOST: usize = 40_000;
    let limit = Duration::from_millis(1500);
    // Ids must differ while requests are in flight.
    let line = |n: usize| format!("{}\n", request.replacen("\"id\":1", &format!("\"id\":{}", 1_000_000 + n), 1));
    let window: String = (0..WINDOW).map(line).collect();
    let began = Instant::now();
    let mut done = 0;
    while done < AT_MOST && began.elapsed() < limit {
        server.write(&window)?;
        for _ in 0..WINDOW {
            let answer = server.read_line()?;
            if !answer.contains(wanted) || answer.contains("\"isError\":true") {
                return Err(format!("not a result: {answer}"));
            }
        }
        done += WINDOW;
    }
    Ok(done as f64 / began.elapsed().as_secs_f64())
}

/// publish_message at QoS 1 against the same over a plain socket to the same broker, block by block.
pub fn publish(subject: &Subject, broker: &Mosquitto, column: usize, table: &mut Table) -> Result<()> {
    const BLOCKS: usize = 10;
    const PER_BLOCK: usize = 100;
    let mut server = Server::ready(subject)?;
    server.list_tools()?;
    let session = server.connect(broker.port)?;
    let mut bare = BareClient::connect(broker.port).map_err(|error| error.to_string())?;
    let packet = packets::publish("bench/round/trip", Some(1), &[b'x'; 64]);
    let message = json!({ "session_id": session, "topic": "bench/round/trip", "payload": "x".repeat(64), "qos": 1 });
    let relay = |waits| Server::start(&relay::subject(waits, broker.port));
    let (mut blocking, mut async_io) = (relay(Waits::Blocking)?, relay(Waits::AsyncIo)?);
    let [mut ours, mut plain, mut least, mut least_async] = [const { Vec::new() }; 4];
    for _ in 0..BLOCKS {
        for _ in 0..PER_BLOCK {
            let (took, result) = server.timed_call("publish_message", &message)?;
            ours.push(us(took));
            if result["status"] != "success" {
                return Err(format!("not published: {result}"));
            }
        }
        for _ in 0..PER_BLOCK {
            plain.push(us(bare.round_trip(&packet).map_err(|error| error.to_string())?));
        }
        for (relay, times) in [(&mut blocking, &mut least), (&mut async_io, &mut least_async)] {
            for _ in 0..PER_BLOCK {
                let began = Instant::now();
                relay.write("x\n")?;
                relay.read_line()?;
                times.push(us(began.elapsed()));
            }
        }
    }
    let [ours, plain, least, least_async] = [ours, plain, least, least_async].map(median);
    table.set(column, "publish_message at QoS 1", "µs", ours);
    table.set(column, "  the same over a plain socket", "µs", plain);
    table.set(column, "  publish_message against the plain socket", "ratio", ours / plain);
    table.set(column, "  the least program between pipes and the broker", "µs", least);
    table.set(column, "  the same on async-io", "µs", least_async);
    table.set(column, "  publish_message against that", "ratio", ours / least_async);
    Ok(())
}

/// CPU time per message of a flood that nobody keeps much of.
pub fn cpu(subject: &Subject, fake: &FakeBroker, column: usize, table: &mut Table) -> Result<()> {
    let messages = drain::takes(subject, fake, if subject.is_ours { 500_000 } else { 20_000 })?;
    let mut server = Server::ready(subject)?;
    server.list_tools()?;
    let session = server.connect(fake.port)?;
    let floods = [
        ("JSON of 200 B", Flood::readings(messages, 2000, 200)),
        ("text of 64 B", Flood::of(messages, 2000, 2000, |_| vec![b'x'; 64])),
    ];
    for (name, flood) in floods {
        fake.prepare(&flood);
        let before = process::cpu_us(server.pid);
        let arguments = json!({ "session_id": session, "topic_pattern": "#", "duration_seconds": 30,
            "max_messages": messages, "keep": 1 });
        let result = server.call("subscribe_and_collect", &arguments)?;
        let spent = process::cpu_us(server.pid) - before;
        let counted = server.counted(&result, "original_message_count", messages)?;
        table.set(column, &format!("CPU per message received, {name}, keep 1"), "µs", spent / counted as f64);
    }
    Ok(())
}
