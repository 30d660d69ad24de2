//! The demo broker as its clients see it: ours, Mosquitto's, and hostile ones.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::process::Command;

use serde_json::{Value, json};

use crate::support::DEADLINE;
use crate::support::client::Client;
use crate::support::memory::peak_kb;
use crate::support::packets::{self, CONNACK, CONNECT, PINGREQ, PINGRESP, ack, packet, string};
use crate::support::server::Server;
use crate::support::tools::messages;
use crate::support::wait_for;

/// A server with a session on its demo broker.
struct Demo {
    server: Server,
    session: String,
    port: u16,
}

impl Demo {
    fn start() -> Self {
        let mut server = Server::with(&["--demo"]);
        let opened = server.call("establish_connection", json!({"broker": "demo"}));
        let session = opened["session_id"].as_str().expect("an id").to_owned();
        let port = opened["port"].as_u64().expect("a port") as u16;
        Self { server, session, port }
    }

    /// Runs one of Mosquitto's own clients; gives its standard output.
    fn mosquitto(&self, program: &str, arguments: &[&str]) -> String {
        let mut command = Command::new(program);
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string()]).args(arguments);
        let output = command.output().expect("these tests need mosquitto-clients: apt-get install mosquitto-clients");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{program} {arguments:?}: {said}");
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    /// A connection without a word yet.
    fn socket(&self) -> TcpStream {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).expect("it accepts");
        stream.set_read_timeout(Some(DEADLINE)).expect("a read timeout");
        stream
    }

    /// A connection of that name, with a keep-alive and a retained will on a topic.
    fn join(&self, client_id: &str, keep_alive_seconds: u8, will_topic: &str) -> TcpStream {
        let mut stream = self.socket();
        let mut body = string(b"MQTT");
        body.extend([4, 0x2e, 0, keep_alive_seconds]);
        for part in [client_id, will_topic, "gone"] {
            body.extend(string(part.as_bytes()));
        }
        stream.write_all(&packet(CONNECT << 4, &body)).expect("it takes CONNECT");
        let connack = packets::read(&mut stream).expect("in time").expect("an answer");
        assert_eq!((connack.kind(), connack.body), (CONNACK, vec![0, 0]));
        stream
    }

    /// It still serves others.
    fn is_well(&mut self) {
        let mut client = Client::connect(self.port);
        client.subscribe("probe", 1);
        client.publish_at(1, "probe", "x");
        assert_eq!(client.receive().payload, b"x");
        assert_eq!(self.server.row(&self.session)["state"], "connected");
    }
}

/// The broker ends the connection, after `answer`.
fn is_closed(stream: &mut TcpStream, answer: &[u8]) {
    let mut rest = Vec::new();
    // A reset is an end like any other when bytes of ours were not read.
    let end = stream.read_to_end(&mut rest);
    let reset = |kind| kind == std::io::ErrorKind::ConnectionReset;
    assert!(end.is_ok() || end.is_err_and(|error| reset(error.kind())), "it is still open");
    assert_eq!(rest, answer);
}

#[test]
fn the_profile_is_there_with_the_flag_alone() {
    let mut plain = Server::start();
    assert_eq!(plain.call("list_active_connections", json!({}))["brokers"], json!([]));
    assert_eq!(plain.fail("establish_connection", json!({"broker": "demo"}))["code"], "invalid_argument");
    let mut demo = Server::with(&["--demo", "--broker", "lab=mqtt://127.0.0.1:1"]);
    assert_eq!(demo.call("list_active_connections", json!({}))["brokers"], json!(["demo", "lab"]));
}

#[test]
fn it_listens_on_loopback_alone() {
    let demo = Demo::start();
    let table = std::fs::read_to_string("/proc/net/tcp").expect("the kernel's table");
    let port = format!(":{:04X}", demo.port);
    let listens = |line: &&str| line.split_whitespace().nth(3) == Some("0A");
    let local = |line: &str| line.split_whitespace().nth(1).unwrap_or_default().to_owned();
    let sockets: Vec<_> = table.lines().filter(listens).map(local).filter(|local| local.ends_with(&port)).collect();
    assert_eq!(sockets, [format!("0100007F{port}")]);
}

#[test]
fn devices_are_there_at_once_and_live() {
    let mut demo = Demo::start();
    let found = demo.server.call("list_topics", json!({"session_id": demo.session, "duration_seconds": 3}));
    let topics = found["topics"].as_array().expect("topics");
    for (name, payload_type) in [
        ("home/kitchen/temperature", "number"),
        ("home/gateway/status", "text"),
        ("home/power", "json"),
        ("plant/pump1/telemetry", "json"),
        ("plant/pump1/heartbeat", "json"),
        ("plant/valve1/state", "json"),
        ("lab/scope/frame", "binary"),
    ] {
        let row = topics.iter().find(|row| row["topic"] == name).unwrap_or_else(|| panic!("{name} in {found}"));
        assert_eq!(row["payload_type"], payload_type, "{row}");
    }
    let system = json!({"session_id": demo.session, "topic_pattern": "$SYS/#", "retained": "only"});
    let system = demo.server.call("subscribe_and_collect", system);
    let version = |row: &&Value| row["topic"] == "$SYS/broker/version";
    let version = messages(&system).iter().find(version).expect("a version")["payload"].clone();
    assert_eq!(version, concat!("mqtt-mcp demo broker ", env!("CARGO_PKG_VERSION")));
}

#[test]
fn the_valve_answers_under_the_id_it_was_asked_with() {
    let demo = Demo::start();
    let mut client = Client::connect(demo.port);
    client.subscribe("plant/valve1/response", 0);
    client.publish("plant/valve1/command", r#"{"id":"it-1","command":"set","position":70}"#);
    assert_eq!(client.receive().payload, br#"{"id":"it-1","ok":true,"position":70}"#);
    client.publish("plant/valve1/command", b"\xff\0");
    assert_eq!(client.receive().payload, br#"{"ok":false,"error":"not a JSON object"}"#);
    client.subscribe("plant/valve1/state", 0);
    assert_eq!(client.receive().payload, br#"{"position":70}"#, "its state is retained");
}

#[test]
fn mosquittos_own_clients_agree_with_it() {
    let demo = Demo::start();
    for qos in ["0", "1", "2"] {
        let topic = format!("it/{qos}");
        demo.mosquitto("mosquitto_pub", &["-q", qos, "-r", "-t", &topic, "-m", "kept"]);
        let seen = demo.mosquitto("mosquitto_sub", &["-q", "2", "-C", "1", "-F", "%t %q %r %p", "-t", &topic]);
        assert_eq!(seen, format!("it/{qos} {qos} 1 kept\n"));
    }
    // A session that is kept collects while its client is away.
    let kept = ["-c", "-i", "it-kept", "-q", "2", "-t", "it/away"];
    demo.mosquitto("mosquitto_sub", &[&kept[..], &["-E"]].concat());
    for (qos, text) in [("1", "one"), ("0", "lost"), ("2", "two")] {
        demo.mosquitto("mosquitto_pub", &["-q", qos, "-t", "it/away", "-m", text]);
    }
    let seen = demo.mosquitto("mosquitto_sub", &[&kept[..], &["-C", "2", "-F", "%q %p"]].concat());
    assert_eq!(seen, "1 one\n2 two\n");
}

#[test]
fn another_version_of_mqtt_is_refused_with_the_code_for_it() {
    let mut demo = Demo::start();
    let mut stream = demo.socket();
    stream.write_all(b"\x10\x0e\0\x04MQTT\x05\x02\0\x0a\0\0\x01c").expect("it takes CONNECT");
    is_closed(&mut stream, &[CONNACK << 4, 2, 0, 1]);
    demo.is_well();
}

#[test]
fn wills_are_published_when_a_client_is_lost_silent_or_taken_over() {
    let demo = Demo::start();
    let mut watcher = Client::connect(demo.port);
    watcher.subscribe("wills/#", 1);
    drop(demo.join("it-lost", 60, "wills/lost"));
    assert_eq!(watcher.receive().topic, "wills/lost");
    let mut silent = demo.join("it-silent", 1, "wills/silent");
    assert_eq!(watcher.receive().topic, "wills/silent", "after one and a half times the keep-alive");
    is_closed(&mut silent, b"");
    let mut first = demo.join("it-twice", 60, "wills/first");
    let mut second = demo.join("it-twice", 60, "wills/second");
    let will = watcher.receive();
    assert_eq!((will.topic.as_str(), will.payload.as_slice(), will.qos), ("wills/first", &b"gone"[..], 1));
    is_closed(&mut first, b"");
    second.write_all(&packet(PINGREQ << 4, &[])).expect("it is open");
    assert_eq!(packets::read(&mut second).expect("in time").expect("an answer").kind(), PINGRESP);
    second.write_all(&packet(14 << 4, &[])).expect("DISCONNECT");
    is_closed(&mut second, b"");
    assert!(watcher.received_so_far().is_empty(), "a client that says DISCONNECT leaves no will");
}

#[test]
fn hostile_bytes_end_their_own_connection_alone() {
    let mut demo = Demo::start();
    let connect = packets::connect("it-hostile", None);
    for bytes in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"\0\0\0\0",
        b"\x10\xff\xff\xff\xff\x01",
        b"\x10\xff\xff\xff\x7f",
        b"\x10\0",
        b"\x10\x04\0\x04MQ",
        b"\xc0\0",
        b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03",
    ] {
        let mut stream = demo.socket();
        stream.write_all(bytes).expect("it reads");
        is_closed(&mut stream, b"");
    }
    for bytes in [
        &connect[..],
        b"\x30\xff\xff\xff\x7f",
        b"\x30\x05\0\x09abc",
        b"\x32\x04\0\x01a\0",
        b"\x32\x05\0\x01a\0\0",
        b"\x36\x05\0\x01a\0\x01",
        b"\x30\x06\0\x03a/#x",
        b"\x82\x02\0\x01",
        b"\x82\x06\0\x01\0\x09a\x01",
        b"\xa2\x02\0\x01",
        b"\x40\0",
        b"\x62\x01\0",
        b"\x70\x02\0\0",
        b"\x20\x02\0\0",
        b"\xd0\0",
        b"\xf0\0",
    ] {
        let mut stream = demo.socket();
        stream.write_all(&connect).expect("it reads");
        assert_eq!(packets::read(&mut stream).expect("in time").expect("CONNACK").body, [0, 0]);
        stream.write_all(bytes).expect("it reads");
        is_closed(&mut stream, b"");
    }
    // Acknowledgements of what was never sent are nothing to hang up about.
    let mut stream = demo.join("it-eager", 0, "wills/eager");
    for kind in [packets::PUBACK, packets::PUBREC, packets::PUBREL, packets::PUBCOMP] {
        stream.write_all(&ack(kind, 9)).expect("it reads");
    }
    stream.write_all(&packet(PINGREQ << 4, &[])).expect("it reads");
    let answers: Vec<_> = (0..3).map(|_| packets::read(&mut stream).expect("in time").expect("open").kind()).collect();
    assert_eq!(answers, [packets::PUBREL, packets::PUBCOMP, PINGRESP]);
    demo.is_well();
}

#[test]
fn packets_may_come_byte_by_byte() {
    let demo = Demo::start();
    let mut stream = demo.socket();
    stream.set_nodelay(true).expect("no delay");
    let bytes = [packets::connect("it-slow", None), packets::subscribe(7, "it/slow", 1)].concat();
    for byte in bytes {
        stream.write_all(&[byte]).expect("it reads");
    }
    let answers: Vec<_> = (0..2).map(|_| packets::read(&mut stream).expect("in time").expect("open").body).collect();
    assert_eq!(answers, [vec![0, 0], vec![0, 7, 1]]);
}

#[test]
fn floods_that_nobody_reads_and_crowds_do_not_make_it_grow() {
    let mut demo = Demo::start();
    let mut stalled: Vec<_> = (0..6).map(|n| demo.join(&format!("it-stalled-{n}"), 0, "wills/stalled")).collect();
    for stream in &mut stalled {
        stream.write_all(&packets::subscribe(1, "flood", 1)).expect("it reads");
        packets::read(stream).expect("in time").expect("SUBACK");
    }
    let mut client = Client::connect(demo.port);
    let before_kb = peak_kb(demo.server.pid());
    for _ in 0..10 {
        client.publish_all((0..100).map(|_| ("flood".to_owned(), vec![b'x'; 60_000])));
    }
    // Half of a large packet each, and then nothing more.
    let mut halves: Vec<_> = (0..6).map(|n| demo.join(&format!("it-half-{n}"), 0, "wills/half")).collect();
    for stream in &mut halves {
        stream.write_all(&packets::publish("a", &[0; 120_000], 0, 0, false)[..100_000]).expect("it reads");
    }
    let crowd: Vec<_> = (0..40).map(|_| demo.socket()).collect();
    // What found no room is told.
    client.subscribe("$SYS/broker/publish/messages/dropped", 0);
    while client.receive().payload == b"0" {}
    let grown_kb = peak_kb(demo.server.pid()) - before_kb;
    assert!(grown_kb < 12_000, "60 MB to six clients that do not read cost {grown_kb} kB");
    drop((stalled, halves, crowd));
    wait_for("room for a client", || {
        let mut stream = demo.socket();
        stream.write_all(&packets::connect("it-after", None)).ok()?;
        packets::read(&mut stream).ok()?
    });
    demo.is_well();
}
