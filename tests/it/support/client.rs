//! An MQTT client that shares no code with the product: what it sees and sends is independent evidence.

use std::collections::VecDeque;
use std::io::{BufReader, Write};
use std::net::{Ipv4Addr, TcpStream};

use super::DEADLINE;
use super::packets::{self, *};

/// A message that arrived.
#[derive(Debug, PartialEq)]
pub struct Message {
    pub topic: String,
    pub payload: Vec<u8>,
    pub qos: u8,
    pub retain: bool,
}

pub struct Client {
    stream: BufReader<TcpStream>,
    arrived: VecDeque<Message>,
    next_pid: u16,
}

impl Client {
    pub fn connect(port: u16) -> Self {
        Self::connect_as(port, None)
    }

    pub fn connect_as(port: u16, user: Option<(&str, &str)>) -> Self {
        Self::greet(port, &packets::connect("", user))
    }

    /// Dropped, it leaves its last will behind.
    #[cfg(feature = "analysis")]
    pub fn connect_with_will(port: u16, topic: &str, payload: &str) -> Self {
        Self::greet(port, &packets::connect_with_will(topic, payload))
    }

    fn greet(port: u16, connect: &[u8]) -> Self {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("the broker accepts");
        stream.set_read_timeout(Some(DEADLINE)).expect("a read timeout");
        stream.set_nodelay(true).expect("no delay");
        let mut client = Self { stream: BufReader::new(stream), arrived: VecDeque::new(), next_pid: 0 };
        client.send(connect);
        let connack = client.next(CONNACK);
        assert_eq!(connack.body[1], 0, "the broker refused the test's own client");
        client
    }

    pub fn subscribe(&mut self, filter: &str, qos: u8) {
        let pid = self.pid();
        self.send(&packets::subscribe(pid, filter, qos));
        let suback = self.next(SUBACK);
        assert_eq!(suback.body[2], qos, "granted QoS of {filter}");
    }

    /// Publishes at QoS 0 and waits until the broker has taken it.
    pub fn publish(&mut self, topic: &str, payload: impl AsRef<[u8]>) {
        self.send(&packets::publish(topic, payload.as_ref(), 0, 0, false));
        self.round_trip();
    }

    /// Publishes all at QoS 0, then waits until the broker has taken them.
    pub fn publish_all(&mut self, messages: impl IntoIterator<Item = (String, Vec<u8>)>) {
        let mut bytes = Vec::new();
        for (topic, payload) in messages {
            bytes.extend(packets::publish(&topic, &payload, 0, 0, false));
        }
        self.send(&bytes);
        self.round_trip();
    }

    /// Publishes a retained message.
    pub fn retain(&mut self, topic: &str, payload: impl AsRef<[u8]>) {
        self.send(&packets::publish(topic, payload.as_ref(), 0, 0, true));
        self.round_trip();
    }

    /// Publishes at QoS 1 or 2 and completes the exchange.
    pub fn publish_at(&mut self, qos: u8, topic: &str, payload: impl AsRef<[u8]>) {
        let pid = self.pid();
        self.send(&packets::publish(topic, payload.as_ref(), qos, pid, false));
        if qos == 2 {
            self.next(PUBREC);
            self.send(&ack(PUBREL, pid));
            self.next(PUBCOMP);
        } else {
            self.next(PUBACK);
        }
    }

    pub fn receive(&mut self) -> Message {
        if self.arrived.is_empty() {
            self.take_packet();
        }
        loop {
            if let Some(message) = self.arrived.pop_front() {
                return message;
            }
            self.take_packet();
        }
    }

    /// What the broker sent before it answered a PINGREQ; packets of one connection keep their order.
    pub fn received_so_far(&mut self) -> Vec<Message> {
        self.round_trip();
        self.arrived.drain(..).collect()
    }

    /// All that comes until the broker ends the connection.
    #[cfg(feature = "demo")]
    pub fn received_to_the_end(&mut self) -> Vec<Message> {
        while let Ok(Some(packet)) = packets::read(&mut self.stream) {
            self.sort(packet);
        }
        self.arrived.drain(..).collect()
    }

    fn round_trip(&mut self) {
        self.send(&packet(PINGREQ << 4, &[]));
        self.next(PINGRESP);
    }

    /// The next packet of `kind`; messages before it are kept.
    fn next(&mut self, kind: u8) -> Packet {
        loop {
            if let Some(packet) = self.take_packet() {
                assert_eq!(packet.kind(), kind, "{packet:?}");
                return packet;
            }
        }
    }

    /// Reads a packet; one that belongs to the arrival of a message is dealt with.
    fn take_packet(&mut self) -> Option<Packet> {
        let packet = packets::read(&mut self.stream).expect("a packet in time").expect("the connection stands");
        self.sort(packet)
    }

    /// Keeps a message; gives back what is none.
    fn sort(&mut self, packet: Packet) -> Option<Packet> {
        match (packet.kind(), packet.qos()) {
            (PUBLISH, qos) => {
                match qos {
                    1 => self.send(&ack(PUBACK, packet.pid())),
                    2 => self.send(&ack(PUBREC, packet.pid())),
                    _ => {}
                }
                let (topic, payload) = (packet.topic(), packet.payload().to_vec());
                self.arrived.push_back(Message { topic, payload, qos, retain: packet.retain() });
                None
            }
            (PUBREL, _) => {
                self.send(&ack(PUBCOMP, packet.pid()));
                None
            }
            _ => Some(packet),
        }
    }

    fn send(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).expect("the broker takes it");
    }

    fn pid(&mut self) -> u16 {
        self.next_pid += 1;
        self.next_pid
    }
}
