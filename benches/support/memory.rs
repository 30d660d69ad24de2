//! Memory at rest, under load and afterwards.

use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::fake_broker::{FakeBroker, Flood};
use super::mosquitto::Mosquitto;
use super::options::Subject;
use super::process;
use super::server::{Result, Server};
use super::table::{Table, median};

/// Starts of which the median counts.
const STARTS: usize = 3;
/// Rest before memory is read.
const REST: Duration = Duration::from_millis(800);

/// After `initialize`, and with one and five sessions that were used.
pub fn at_rest(subject: &Subject, broker: &Mosquitto, column: usize, table: &mut Table) -> Result<()> {
    let url = format!("mqtt://127.0.0.1:{}", broker.port);
    for (when, sessions) in [("after initialize", 0), ("1 session", 1), ("5 sessions", 5)] {
        rest_with(subject, sessions, (&url, broker.port), when, column, table)?;
    }
    Ok(())
}

/// The same with five sessions over TLS, and the time that each took to connect.
pub fn over_tls(subject: &Subject, broker: &Mosquitto, column: usize, table: &mut Table) -> Result<()> {
    let subject = subject.with_env("SSL_CERT_FILE", &broker.certificate().to_string_lossy());
    let url = format!("mqtts://localhost:{}", broker.tls_port);
    match rest_with(&subject, 5, (&url, broker.tls_port), "5 TLS sessions", column, table) {
        Ok(connect_ms) => table.set(column, "connect over TLS", "ms", connect_ms),
        // A gap in the table tells it.
        Err(why) if why.contains("this build has no TLS") => {}
        Err(why) => return Err(why),
    }
    Ok(())
}

/// With so many sessions at this URL and its port; the median time of their connects, in milliseconds.
fn rest_with(
    subject: &Subject,
    sessions: usize,
    (url, port): (&str, u16),
    when: &str,
    column: usize,
    table: &mut Table,
) -> Result<f64> {
    let (mut seen, mut connects) = ([const { Vec::new() }; 5], Vec::new());
    for _ in 0..STARTS {
        let mut server = Server::ready(subject)?;
        if sessions > 0 {
            server.list_tools()?;
        }
        for _ in 0..sessions {
            let began = Instant::now();
            let session = server.connect_to(url)?;
            connects.push(began.elapsed().as_secs_f64() * 1e3);
            for n in 0..3 {
                let message = json!({ "session_id": session, "topic": "bench/rest", "payload": n, "qos": 1 });
                server.call("publish_message", &message)?;
            }
        }
        sleep(if sessions > 0 { REST } else { REST / 4 });
        let read = |field| process::status(server.pid, field);
        let open = process::connections_to(port);
        if subject.is_ours && open != sessions {
            return Err(format!("{open} connections are open instead of {sessions}"));
        }
        let now = [read("VmRSS"), read("RssAnon"), process::pss_kb(server.pid), read("Threads"), open as f64];
        seen.iter_mut().zip(now).for_each(|(values, value)| values.push(value));
    }
    let names = [("RSS", "kB"), ("RssAnon", "kB"), ("Pss", "kB"), ("threads", ""), ("connections open", "")];
    // Without a session there is no connection to speak of.
    for ((name, unit), values) in names.into_iter().zip(seen).take(if sessions > 0 { 5 } else { 4 }) {
        table.set(column, &format!("{when}: {name}"), unit, median(values));
    }
    Ok(median(connects))
}

/// A call whose memory is watched.
struct Load {
    name: &'static str,
    flood: Flood,
    tool: &'static str,
    arguments: Value,
    /// Numbers that its result must have; the messages first.
    exact: &'static [(&'static str, usize)],
}

fn loads() -> [Load; 4] {
    let many = || Flood::readings(100_000, 2000, 200);
    [
        // So few that a server with narrow limits can do the same.
        Load {
            name: "collect 500 × 1 KiB, keep 50",
            flood: Flood::readings(500, 50, 1024),
            tool: "subscribe_and_collect",
            arguments: json!({ "topic_pattern": "#", "duration_seconds": 20, "max_messages": 500, "keep": 50,
                "max_response_bytes": 1_048_576 }),
            exact: &[("original_message_count", 500), ("message_count", 50)],
        },
        Load {
            name: "collect 1000 × 1 KiB, keep 500",
            flood: Flood::readings(1000, 50, 1024),
            tool: "subscribe_and_collect",
            arguments: json!({ "topic_pattern": "#", "duration_seconds": 20, "max_messages": 1000, "keep": 500,
                "max_response_bytes": 1_048_576 }),
            exact: &[("original_message_count", 1000), ("message_count", 500)],
        },
        Load {
            name: "collect 100,000 × 200 B on 2000 topics",
            flood: many(),
            tool: "subscribe_and_collect",
            arguments: json!({ "topic_pattern": "#", "duration_seconds": 20, "max_messages": 100_000, "keep": 50 }),
            exact: &[("original_message_count", 100_000), ("topics_seen", 2000)],
        },
        Load {
            name: "list_topics over the same",
            flood: many(),
            tool: "list_topics",
            arguments: json!({ "pattern": "#", "duration_seconds": 2 }),
            exact: &[("message_count", 100_000), ("topic_count", 2000)],
        },
    ]
}

/// Peak and what stays for calls that see many messages.
pub fn under_load(subject: &Subject, fake: &FakeBroker, column: usize, table: &mut Table) -> Result<()> {
    for load in loads() {
        let mut seen = [const { Vec::new() }; 6];
        for _ in 0..STARTS {
            let now = watch(subject, fake, &load)?;
            seen.iter_mut().zip(now).for_each(|(values, value)| values.push(value));
        }
        let names = [
            ("peak above idle", "kB"),
            ("RSS afterwards above idle", "kB"),
            ("RSS afterwards", "% of idle"),
            ("answer", "KiB"),
            ("messages counted", ""),
            ("messages or topics in the answer", ""),
        ];
        for ((what, unit), values) in names.into_iter().zip(seen) {
            table.set(column, &format!("{}: {what}", load.name), unit, median(values));
        }
    }
    Ok(())
}

fn watch(subject: &Subject, fake: &FakeBroker, load: &Load) -> Result<[f64; 6]> {
    let mut server = Server::ready(subject)?;
    server.list_tools()?;
    let session = server.connect(fake.port)?;
    fake.prepare(&load.flood);
    let mut arguments = load.arguments.clone();
    arguments["session_id"] = session.into();
    sleep(Duration::from_millis(300));
    let idle = process::status(server.pid, "VmRSS");
    process::reset_peak(server.pid);
    let result = server.call(load.tool, &arguments)?;
    let peak = process::status(server.pid, "VmHWM");
    let counts = load.exact.iter().map(|(field, value)| match result.get(field) {
        // It did the work, and does not say how much.
        None if !subject.is_ours => Ok(f64::NAN),
        _ => server.counted(&result, field, *value).map(|count| count as f64),
    });
    // What another server counts besides the messages is its own affair.
    let counts = counts.take(if subject.is_ours { usize::MAX } else { 1 });
    let counts = counts.collect::<Result<Vec<_>>>().map_err(|why| format!("{}: {why}", load.name))?;
    sleep(Duration::from_millis(500));
    let after = process::status(server.pid, "VmRSS");
    let answer_bytes = result.to_string().len() as f64;
    let listed = ["messages", "topics"].iter().find_map(|list| result[list].as_array());
    let entries = listed.map_or(f64::NAN, |list| list.len() as f64);
    Ok([peak - idle, after - idle, after / idle * 100.0, answer_bytes / 1024.0, counts[0], entries])
}

/// What a thousand connections that were closed leave behind.
pub fn connect_cycles(subject: &Subject, broker: &Mosquitto, column: usize, table: &mut Table) -> Result<()> {
    const CYCLES: usize = 1000;
    let mut server = Server::ready(subject)?;
    server.list_tools()?;
    let mut cycle = || -> Result<f64> {
        let session = server.connect(broker.port)?;
        let closed = server.call("close_connection", &json!({ "session_id": session }))?;
        if closed["status"] != "closed" {
            return Err(format!("not closed: {closed}"));
        }
        Ok(process::status(server.pid, "VmRSS"))
    };
    let before = cycle()?;
    let began = std::time::Instant::now();
    let mut after = before;
    for _ in 1..CYCLES {
        after = cycle()?;
    }
    let name = "1000 × connect and close";
    table.set(column, &format!("{name}: RSS after the first"), "kB", before);
    table.set(column, &format!("{name}: growth by the last"), "kB", after - before);
    table.set(column, &format!("{name}: each"), "ms", began.elapsed().as_secs_f64() * 1000.0 / (CYCLES - 1) as f64);
    Ok(())
}
