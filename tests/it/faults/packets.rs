//! Every packet that a broker may send, in pieces and cut off, and every one that it must not send.

use serde_json::{Value, json};

use super::{again, assert_usable, last_error, start_publish};
use crate::support::fake_broker::{FakeBroker, Peer, packet_of};
use crate::support::packets::*;
use crate::support::root;
use crate::support::server::Server;
use crate::support::tools::messages;

const MANY: [&str; 2] = ["--max-sessions", "64"];

/// A session with its connection, on which packets are sent in two pieces.
struct Split {
    server: Server,
    session: String,
    peer: Peer,
}

impl Split {
    fn new() -> Self {
        let (mut server, broker) = (Server::start(), FakeBroker::new());
        let (session, peer) = server.meet(&broker);
        Self { server, session, peer }
    }

    /// The second piece follows when the server has taken the first one.
    fn send(&mut self, packet: &[u8], at: usize) {
        let before = self.server.bytes_in(&self.session);
        self.peer.send(&packet[..at]);
        self.server.wait_for_bytes_in(&self.session, before + at as u64);
        self.peer.send(&packet[at..]);
    }

    fn publish(&mut self, qos: u8) -> (Value, u16) {
        let id = start_publish(&mut self.server, &self.session, "t", "x", qos);
        (id, self.peer.expect(PUBLISH).pid())
    }

    /// All bytes so far were packets: an unknown one would have ended the connection.
    fn assert_in_step(mut self) {
        assert_usable(&mut self.server, &self.session, &mut self.peer);
        assert_eq!(self.server.row(&self.session)["reconnects"], 0);
    }
}

#[test]
fn a_publish_split_anywhere_is_understood() {
    let mut split = Split::new();
    let packets = [0, 1, 2].map(|qos| publish("a/b", b"text", qos, 0x0102, false));
    let count: usize = packets.iter().map(|packet| packet.len() - 1).sum();
    let arguments = json!({"topic_pattern": "a/b", "qos": 2, "max_messages": count + 1, "duration_seconds": 60});
    let id = split.server.collect_from(&mut split.peer, &split.session, arguments);
    for packet in &packets {
        for at in 1..packet.len() {
            split.send(packet, at);
            match packet[0] >> 1 & 3 {
                0 => {}
                1 => assert_eq!(split.peer.expect(PUBACK).pid(), 0x0102),
                _ => {
                    assert_eq!(split.peer.expect(PUBREC).pid(), 0x0102);
                    split.peer.send(&ack(PUBREL, 0x0102));
                    assert_eq!(split.peer.expect(PUBCOMP).pid(), 0x0102);
                }
            }
        }
    }
    split.peer.send(&packets[0]);
    let collected = split.server.outcome(&id);
    assert_eq!(messages(&collected).len(), count + 1);
    for message in messages(&collected) {
        assert_eq!((&message["topic"], &message["payload"]), (&json!("a/b"), &json!("text")));
    }
}

#[test]
fn a_puback_split_anywhere_is_understood() {
    let mut split = Split::new();
    for at in 1..4 {
        let (id, pid) = split.publish(1);
        split.send(&ack(PUBACK, pid), at);
        assert_eq!(split.server.outcome(&id)["delivery"], "acknowledged");
    }
}

#[test]
fn a_pubrec_and_a_pubcomp_split_anywhere_are_understood() {
    let mut split = Split::new();
    for at in 1..4 {
        let (id, pid) = split.publish(2);
        split.send(&ack(PUBREC, pid), at);
        assert_eq!(split.peer.expect(PUBREL).pid(), pid);
        split.send(&ack(PUBCOMP, pid), at);
        assert_eq!(split.server.outcome(&id)["delivery"], "completed");
    }
}

#[test]
fn a_pubrel_split_anywhere_is_understood() {
    let mut split = Split::new();
    for at in 1..4 {
        split.send(&ack(PUBREL, 7), at);
        assert_eq!(split.peer.expect(PUBCOMP).pid(), 7);
    }
}

#[test]
fn a_suback_and_an_unsuback_split_anywhere_are_understood() {
    let mut split = Split::new();
    for at in 1..5 {
        let arguments = json!({"session_id": split.session, "topic_pattern": "s", "max_messages": 1});
        let id = split.server.start_call("subscribe_and_collect", arguments);
        let pid = split.peer.expect(SUBSCRIBE).pid();
        split.send(&suback(pid, 0), at);
        split.peer.send(&publish("s", b"x", 0, 0, false));
        split.server.outcome(&id);
        let pid = split.peer.expect(UNSUBSCRIBE).pid();
        split.send(&ack(UNSUBACK, pid), at.min(3));
    }
    split.assert_in_step();
}

#[test]
fn a_pingresp_split_in_two_is_understood() {
    let mut split = Split::new();
    let arguments = json!({"topic_pattern": "r", "retained": "only"});
    let id = split.server.collect_from(&mut split.peer, &split.session, arguments);
    // A PINGREQ behind SUBACK tells when the retained messages are complete.
    split.peer.expect(PINGREQ);
    split.send(&packet_of(PINGRESP), 1);
    assert_eq!(split.server.outcome(&id)["stopped_by"], "retained_done");
}

/// One of each type that a broker sends to a session at any time.
fn all_types() -> Vec<Vec<u8>> {
    let mut packets: Vec<_> = [0, 1, 2].map(|qos| publish("t", b"x", qos, 1, false)).into();
    packets.push(again(publish("t", b"x", 1, 1, true)));
    packets.extend([PUBACK, PUBREC, PUBREL, PUBCOMP, UNSUBACK].map(|kind| ack(kind, 1)));
    packets.extend([suback(1, 0), packet_of(PINGRESP)]);
    packets
}

#[test]
fn a_connection_that_ends_inside_a_packet_comes_back_and_forgets_the_piece() {
    let (mut server, broker) = (Server::with(&MANY), FakeBroker::new());
    let packets = all_types();
    let pieces: Vec<_> = packets.iter().flat_map(|packet| (1..packet.len()).map(|at| &packet[..at])).collect();
    let met: Vec<_> = pieces.iter().map(|_| server.meet(&broker)).collect();
    let mut sessions = Vec::new();
    for ((session, mut peer), piece) in met.into_iter().zip(&pieces) {
        peer.send(piece);
        sessions.push(session);
    }
    let mut peers: Vec<_> = sessions.iter().map(|_| broker.welcome()).collect();
    for (session, piece) in sessions.iter().zip(&pieces) {
        let row = server.wait_for_state(session, "connected");
        assert_eq!(row["reconnects"], 1, "{piece:x?}");
        let publish = json!({"session_id": session, "topic": session, "payload": "x"});
        assert_eq!(server.call("publish_message", publish)["delivery"], "sent", "{piece:x?}");
    }
    // Which connection is whose, the broker does not know; each brings the message of one session.
    let mut heard: Vec<_> = peers.iter_mut().map(|peer| peer.expect(PUBLISH).topic()).collect();
    heard.sort();
    sessions.sort();
    assert_eq!(heard, sessions);
}

#[test]
fn a_connection_that_ends_inside_a_large_message_comes_back_and_is_in_step() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let (session, mut peer) = server.meet(&broker);
    let arguments = json!({"topic_pattern": "big", "max_messages": 1, "duration_seconds": 60});
    let id = server.collect_from(&mut peer, &session, arguments);
    let large = publish("big", &vec![b'x'; 4 << 20], 0, 0, false);
    peer.send(&large[..large.len() / 2]);
    drop(peer);
    let mut peer = broker.welcome();
    peer.grant();
    peer.send(&publish("big", b"whole", 0, 0, false));
    let collected = server.outcome(&id);
    assert_eq!(messages(&collected)[0]["payload"], "whole", "nothing of the piece is given out");
}

/// A line of the tables of packets.
struct Frame {
    what: String,
    bytes: Vec<u8>,
    /// Why the connection is closed; nothing when it is not.
    reason: Option<String>,
}

fn frames() -> Vec<Frame> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root().join("tests/data/packets")).expect("the tables") {
        let path = entry.expect("a table").path();
        let text = std::fs::read_to_string(&path).expect("a table");
        for line in text.lines().filter(|line| line.split('|').count() == 4) {
            let columns: Vec<_> = line.split('|').map(str::trim).collect();
            let bytes = columns[2].split(' ').map(|byte| u8::from_str_radix(byte, 16).expect("a byte")).collect();
            let reason = (columns[3] != "ok").then(|| columns[3].to_owned());
            found.push(Frame { what: format!("{}: {}", columns[0], columns[1]), bytes, reason });
        }
    }
    assert!(found.len() > 80, "the tables were read");
    found
}

/// Sends each frame to a session of its own, all at once; the sessions come back and a witness elsewhere notices nothing.
fn send_malformed(frames: &[Frame]) {
    let (mut server, broker, elsewhere) = (Server::with(&MANY), FakeBroker::new(), FakeBroker::new());
    let (witness, mut witnessed) = server.meet(&elsewhere);
    let mut met: Vec<_> = frames.iter().map(|_| server.meet(&broker)).collect();
    for ((_, peer), frame) in met.iter_mut().zip(frames) {
        peer.send(&frame.bytes);
    }
    for ((session, peer), Frame { what, reason, .. }) in met.iter_mut().zip(frames) {
        peer.expect_end();
        let row = server.row(session);
        let reason = reason.as_ref().expect("a reason");
        assert!(last_error(&row).contains(reason), "{what}: {row}");
    }
    assert_usable(&mut server, &witness, &mut witnessed);
    let _peers: Vec<_> = met.iter().map(|_| broker.welcome()).collect();
    for ((session, _), Frame { what, .. }) in met.iter().zip(frames) {
        assert_eq!(server.wait_for_state(session, "connected")["reconnects"], 1, "{what}");
    }
    assert_usable(&mut server, &witness, &mut witnessed);
    assert_eq!(server.row(&witness)["reconnects"], 0);
}

#[test]
fn every_malformed_packet_ends_its_connection_with_a_reason_and_no_other() {
    let malformed: Vec<_> = frames().into_iter().filter(|frame| frame.reason.is_some()).collect();
    assert!(malformed.len() > 50, "{}", malformed.len());
    malformed.chunks(48).for_each(send_malformed);
}

#[test]
fn every_packet_that_a_broker_may_send_leaves_the_connection_alone() {
    let mut split = Split::new();
    // A CONNACK may come once, and did.
    let may: Vec<_> = frames().into_iter().filter(|f| f.reason.is_none() && f.bytes[0] >> 4 != CONNACK).collect();
    assert!(may.len() > 10, "{}", may.len());
    for Frame { what, bytes, .. } in &may {
        let before = split.server.bytes_in(&split.session);
        split.peer.send(bytes);
        split.server.wait_for_bytes_in(&split.session, before + bytes.len() as u64);
        assert_eq!(split.server.row(&split.session)["state"], "connected", "{what}");
    }
}
