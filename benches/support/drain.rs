//! Readers of a flood: how fast each takes all of it, and what it costs.

use std::hint::black_box;
use std::io::{self, Read, Write};
use std::process::{Command, Stdio};
use std::time::Instant;

use mqttrs::{Packet, decode_slice};
use serde_json::json;

use super::fake_broker::{FakeBroker, Flood};
use super::mosquitto::BareClient;
use super::options::Subject;
use super::packets;
use super::process;
use super::server::{Result, Server};

/// What one reader did.
pub struct Drain {
    /// Messages per second.
    pub rate: f64,
    /// CPU time per message.
    pub cpu_us: f64,
}

impl Drain {
    /// What was done from `began` to now.
    pub fn since(began: Instant, messages: usize, cpu_us: f64) -> Self {
        let messages = messages as f64;
        Self { rate: messages / began.elapsed().as_secs_f64(), cpu_us: cpu_us / messages }
    }
}

/// A loop that reads the socket and looks at nothing.
pub fn read_only(fake: &FakeBroker, flood: &Flood) -> io::Result<Drain> {
    bare(fake, flood, <[u8]>::len)
}

/// A loop that decodes each packet with mqttrs and counts.
pub fn decode(fake: &FakeBroker, flood: &Flood) -> io::Result<Drain> {
    let mut messages = 0;
    let drain = bare(fake, flood, |input| count_messages(input, &mut messages))?;
    assert_eq!(messages, flood.messages, "the bare loop lost messages");
    Ok(drain)
}

/// Decodes the whole packets at the front with mqttrs and counts the messages; says how many bytes they were.
pub fn count_messages(input: &[u8], messages: &mut usize) -> usize {
    let mut used = 0;
    while let Some(length) = whole_packet(&input[used..]) {
        if let Ok(Some(Packet::Publish(publish))) = decode_slice(&input[used..used + length]) {
            *messages += usize::from(!black_box(publish.payload).is_empty());
        }
        used += length;
    }
    used
}

/// Reads a whole flood; `take` gets what is there and says how much of it is done with.
fn bare(fake: &FakeBroker, flood: &Flood, mut take: impl FnMut(&[u8]) -> usize) -> io::Result<Drain> {
    const BUFFER_BYTES: usize = 64 << 10;
    fake.prepare(flood);
    let mut client = BareClient::connect(fake.port)?;
    let socket = client.socket();
    socket.write_all(&packets::subscribe("#"))?;
    packets::read(socket)?;
    let cpu = process::own_thread_cpu_us();
    let mut buffer = vec![0; BUFFER_BYTES];
    let (mut filled, mut left) = (0, flood.wire_bytes());
    while left > 0 {
        let count = socket.read(&mut buffer[filled..])?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        left -= count;
        filled += count;
        let used = take(&buffer[..filled]);
        buffer.copy_within(used..filled, 0);
        filled -= used;
    }
    Ok(Drain::since(fake.began(), flood.messages, process::own_thread_cpu_us() - cpu))
}

/// The length of the packet at the front, when all of it is there.
fn whole_packet(input: &[u8]) -> Option<usize> {
    let (mut length, mut size) = (0, 1);
    loop {
        let byte = *input.get(size)?;
        length |= usize::from(byte & 127) << (7 * (size - 1));
        size += 1;
        if byte & 128 == 0 {
            return (input.len() >= size + length).then_some(size + length);
        }
    }
}

/// A program that takes options as `mosquitto_sub` does, its output thrown away; `None` when it is not installed.
pub fn reader(program: &str, fake: &FakeBroker, flood: &Flood) -> io::Result<Option<Drain>> {
    fake.prepare(flood);
    let cpu = process::ended_children_cpu_us();
    let mut command = Command::new(program);
    command.args(["-h", "127.0.0.1", "-t", "#", "-p", &fake.port.to_string(), "-C", &flood.messages.to_string()]);
    match command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn() {
        Err(_) => Ok(None),
        Ok(mut child) => {
            if !child.wait()?.success() {
                return Err(io::Error::other(format!("{program} failed")));
            }
            Ok(Some(Drain::since(fake.began(), flood.messages, process::ended_children_cpu_us() - cpu)))
        }
    }
}

/// How many of so many messages a server takes in one call: ours all, another as many as it counts before it stops. What it
/// is sent beyond would be work for nothing, and make each that it counts look dear.
pub fn takes(subject: &Subject, fake: &FakeBroker, wanted: usize) -> Result<usize> {
    const TRIED: usize = 2000;
    if subject.is_ours {
        return Ok(wanted);
    }
    let mut server = Server::ready(subject)?;
    server.list_tools()?;
    let session = server.connect(fake.port)?;
    fake.prepare(&Flood::readings(TRIED, 50, 64));
    let arguments = json!({ "session_id": session, "topic_pattern": "#", "duration_seconds": 20, "max_messages": TRIED,
        "keep": 1 });
    let result = server.call("subscribe_and_collect", &arguments)?;
    let counted = server.counted(&result, "original_message_count", TRIED)?;
    Ok(if counted < TRIED { counted } else { wanted })
}

/// A server with `subscribe_and_collect`, which counts all and keeps one; memory above idle at its peak, in kB, too.
pub fn collect(subject: &Subject, fake: &FakeBroker, flood: &Flood) -> Result<(Drain, f64)> {
    let mut server = Server::ready(subject)?;
    server.list_tools()?;
    let session = server.connect(fake.port)?;
    fake.prepare(flood);
    let idle = process::status(server.pid, "VmRSS");
    process::reset_peak(server.pid);
    let cpu = process::cpu_us(server.pid);
    let arguments = json!({ "session_id": session, "topic_pattern": "#", "duration_seconds": 50,
        "max_messages": flood.messages, "keep": 1 });
    let result = server.call("subscribe_and_collect", &arguments)?;
    let counted = server.counted(&result, "original_message_count", flood.messages)?;
    let drain = Drain::since(fake.began(), counted, process::cpu_us(server.pid) - cpu);
    Ok((drain, process::status(server.pid, "VmHWM") - idle))
}
