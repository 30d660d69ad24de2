//! The same flood through a real Mosquitto: what a message costs the one who receives it, system calls included.

use std::io::{Read, Write};
use std::time::Instant;

use serde_json::json;

use super::drain::{Drain, count_messages};
use super::mosquitto::{BareClient, Mosquitto};
use super::options::Subject;
use super::packets;
use super::process;
use super::server::{Result, Server};

/// Messages of one flood.
pub const MESSAGES: usize = 100_000;
const TOPIC: &str = "bench/flood";

/// A loop that decodes each packet with mqttrs and counts.
pub fn bare(broker: &Mosquitto, payload: &[u8]) -> Result<Drain> {
    let before = broker.subscriptions();
    let mut client = BareClient::connect(broker.port).map_err(|error| error.to_string())?;
    let socket = client.socket();
    socket.write_all(&packets::subscribe(TOPIC)).map_err(|error| error.to_string())?;
    packets::read(socket).map_err(|error| error.to_string())?;
    broker.wait_for_subscription(before);
    let flood = start(broker, payload, MESSAGES);
    let (began, cpu) = (Instant::now(), process::own_thread_cpu_us());
    let mut buffer = vec![0; 64 << 10];
    let (mut filled, mut messages) = (0, 0);
    while messages < MESSAGES {
        let count = socket.read(&mut buffer[filled..]).map_err(|error| error.to_string())?;
        assert!(count > 0, "Mosquitto hung up");
        filled += count;
        let used = count_messages(&buffer[..filled], &mut messages);
        buffer.copy_within(used..filled, 0);
        filled -= used;
    }
    let drain = Drain::since(began, MESSAGES, process::own_thread_cpu_us() - cpu);
    flood.join().map_err(|_| "the publisher failed")?;
    Ok(drain)
}

/// A server with `subscribe_and_collect`, which counts all and keeps one.
pub fn collect(subject: &Subject, broker: &Mosquitto, payload: &[u8], messages: usize) -> Result<Drain> {
    let mut server = Server::ready(subject)?;
    server.list_tools()?;
    let session = server.connect(broker.port)?;
    let before = broker.subscriptions();
    let arguments = json!({ "session_id": session, "topic_pattern": TOPIC, "duration_seconds": 50,
        "max_messages": messages, "keep": 1 });
    let call = server.begin("subscribe_and_collect", &arguments)?;
    broker.wait_for_subscription(before);
    let flood = start(broker, payload, messages);
    let (began, cpu) = (Instant::now(), process::cpu_us(server.pid));
    let result = server.outcome(call)?;
    let counted = server.counted(&result, "original_message_count", messages)?;
    let drain = Drain::since(began, counted, process::cpu_us(server.pid) - cpu);
    flood.join().map_err(|_| "the publisher failed")?;
    Ok(drain)
}

fn start(broker: &Mosquitto, payload: &[u8], messages: usize) -> std::thread::JoinHandle<()> {
    let (port, payload) = (broker.port, payload.to_vec());
    std::thread::spawn(move || {
        let mut publisher = BareClient::connect(port).expect("Mosquitto runs");
        publisher.flood(TOPIC, &payload, messages).expect("Mosquitto reads");
    })
}
