//! An hour's worth of calls in less than a minute: what an assistant does, again and again, leaves nothing behind.

use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::fake_broker::{FakeBroker, Flood};
use super::mosquitto::Mosquitto;
use super::options::Subject;
use super::process;
use super::server::{Result, Server};
use super::table::Table;

/// Rounds, each the work of ten minutes: a call every six seconds.
const ROUNDS: usize = 6;
/// Calls of a round.
const CALLS: usize = 100;
/// Rest before memory is read.
const REST: Duration = Duration::from_millis(300);
/// A slower server is judged by the rounds it has finished by then.
const ENOUGH: Duration = Duration::from_secs(40);

/// Memory after the first round, and how much it grew by the last.
pub fn measure(
    subject: &Subject,
    broker: &Mosquitto,
    fake: &FakeBroker,
    column: usize,
    table: &mut Table,
) -> Result<()> {
    let mut server = Server::ready(subject)?;
    server.list_tools()?;
    let began = Instant::now();
    let (mut seen, mut calls) = (Vec::new(), 0);
    while seen.len() < ROUNDS && (seen.len() < 2 || began.elapsed() < ENOUGH) {
        calls += round(&mut server, broker, fake)?;
        sleep(REST);
        seen.push(process::status(server.pid, "VmRSS"));
    }
    let name = "an hour of calls";
    table.set(column, &format!("{name}: calls"), "", calls as f64);
    table.set(column, &format!("{name}: RSS after ten minutes' worth"), "kB", seen[0]);
    table.set(column, &format!("{name}: growth by the last"), "kB", seen[seen.len() - 1] - seen[0]);
    Ok(())
}

/// Two sessions, one of them with a flood, and the calls between connect and close; how many it were.
fn round(server: &mut Server, broker: &Mosquitto, fake: &FakeBroker) -> Result<usize> {
    let quiet = server.connect(broker.port)?;
    let busy = server.connect(fake.port)?;
    for n in 0..CALLS - 4 {
        let done = match n % 12 {
            0 => {
                fake.prepare(&Flood::readings(1000, 50, 200));
                let arguments = json!({ "session_id": busy, "topic_pattern": "#", "duration_seconds": 20,
                    "max_messages": 1000 });
                server.call("subscribe_and_collect", &arguments)
            }
            1 => server.send("tools/list", &json!({})).and_then(|id| server.wait_for(id)),
            // Mistakes are part of the work.
            2 => Ok(server.call("close_connection", &json!({ "session_id": "nobody" })).err().into()),
            3 | 4 => server.call("list_active_connections", &json!({})),
            n => {
                let message = json!({ "session_id": quiet, "topic": format!("hour/{n}"), "payload": { "n": n },
                    "qos": n % 2 });
                server.call("publish_message", &message)
            }
        };
        done.map_err(|why| format!("call {n}: {why}"))?;
    }
    for session in [quiet, busy] {
        let closed: Value = server.call("close_connection", &json!({ "session_id": session }))?;
        if closed["status"] != "closed" {
            return Err(format!("not closed: {closed}"));
        }
    }
    Ok(CALLS)
}
