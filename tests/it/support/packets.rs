//! MQTT 3.1.1 packets as plain bytes, written from the standard and not from the product's code.

use std::io::{self, Read};

pub const CONNECT: u8 = 1;
pub const CONNACK: u8 = 2;
pub const PUBLISH: u8 = 3;
pub const PUBACK: u8 = 4;
pub const PUBREC: u8 = 5;
pub const PUBREL: u8 = 6;
pub const PUBCOMP: u8 = 7;
pub const SUBSCRIBE: u8 = 8;
pub const SUBACK: u8 = 9;
pub const UNSUBSCRIBE: u8 = 10;
pub const UNSUBACK: u8 = 11;
pub const PINGREQ: u8 = 12;
pub const PINGRESP: u8 = 13;
pub const DISCONNECT: u8 = 14;

/// A packet as it came.
#[derive(Debug)]
pub struct Packet {
    pub first: u8,
    pub body: Vec<u8>,
}

impl Packet {
    pub fn kind(&self) -> u8 {
        self.first >> 4
    }

    pub fn qos(&self) -> u8 {
        (self.first >> 1) & 3
    }

    pub fn dup(&self) -> bool {
        self.first & 8 != 0
    }

    pub fn retain(&self) -> bool {
        self.first & 1 != 0
    }

    /// The topic of a PUBLISH.
    pub fn topic(&self) -> String {
        let (topic, _) = take_string(&self.body);
        String::from_utf8(topic.to_vec()).expect("a topic in UTF-8")
    }

    /// The payload of a PUBLISH.
    pub fn payload(&self) -> &[u8] {
        let (_, rest) = take_string(&self.body);
        if self.qos() > 0 { &rest[2..] } else { rest }
    }

    /// The packet id, wherever this type of packet has it.
    pub fn pid(&self) -> u16 {
        let at = if self.kind() == PUBLISH { 2 + usize::from(u16_at(&self.body, 0)) } else { 0 };
        u16_at(&self.body, at)
    }

    /// The filter of a SUBSCRIBE or UNSUBSCRIBE of one filter.
    pub fn filter(&self) -> String {
        let (filter, _) = take_string(&self.body[2..]);
        String::from_utf8(filter.to_vec()).expect("a filter in UTF-8")
    }
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

/// A length-prefixed string and what follows it.
pub fn take_string(bytes: &[u8]) -> (&[u8], &[u8]) {
    bytes[2..].split_at(usize::from(u16_at(bytes, 0)))
}

/// Reads one packet; `None` at the end of the stream.
pub fn read(stream: &mut impl Read) -> io::Result<Option<Packet>> {
    let mut byte = [0];
    if stream.read(&mut byte)? == 0 {
        return Ok(None);
    }
    let first = byte[0];
    let (mut length, mut shift) = (0, 0);
    loop {
        stream.read_exact(&mut byte)?;
        length |= usize::from(byte[0] & 0x7f) << shift;
        shift += 7;
        if byte[0] & 0x80 == 0 {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok(Some(Packet { first, body }))
}

/// The fixed header of a packet whose body has `length` bytes.
pub fn header(first: u8, mut length: usize) -> Vec<u8> {
    let mut bytes = vec![first];
    loop {
        let more = if length > 0x7f { 0x80 } else { 0 };
        bytes.push((length & 0x7f) as u8 | more);
        length >>= 7;
        if length == 0 {
            return bytes;
        }
    }
}

pub fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = header(first, body.len());
    bytes.extend_from_slice(body);
    bytes
}

pub fn string(text: &[u8]) -> Vec<u8> {
    let mut bytes = (text.len() as u16).to_be_bytes().to_vec();
    bytes.extend_from_slice(text);
    bytes
}

pub fn connect(client_id: &str, user: Option<(&str, &str)>) -> Vec<u8> {
    let mut body = string(b"MQTT");
    body.extend([4, if user.is_some() { 0xc2 } else { 0x02 }, 0, 0]);
    body.extend(string(client_id.as_bytes()));
    if let Some((name, password)) = user {
        body.extend(string(name.as_bytes()));
        body.extend(string(password.as_bytes()));
    }
    packet(CONNECT << 4, &body)
}

/// A CONNECT with a retained last will.
#[cfg(feature = "analysis")]
pub fn connect_with_will(topic: &str, payload: &str) -> Vec<u8> {
    let mut body = string(b"MQTT");
    body.extend([4, 0x26, 0, 0]);
    for text in ["", topic, payload] {
        body.extend(string(text.as_bytes()));
    }
    packet(CONNECT << 4, &body)
}

pub fn connack(session_present: bool, code: u8) -> Vec<u8> {
    packet(CONNACK << 4, &[session_present.into(), code])
}

/// PUBACK, PUBREC, PUBREL, PUBCOMP or UNSUBACK.
pub fn ack(kind: u8, pid: u16) -> Vec<u8> {
    packet(kind << 4 | if kind == PUBREL { 2 } else { 0 }, &pid.to_be_bytes())
}

pub fn subscribe(pid: u16, filter: &str, qos: u8) -> Vec<u8> {
    let mut body = pid.to_be_bytes().to_vec();
    body.extend(string(filter.as_bytes()));
    body.push(qos);
    packet(SUBSCRIBE << 4 | 2, &body)
}

pub fn suback(pid: u16, code: u8) -> Vec<u8> {
    let [high, low] = pid.to_be_bytes();
    packet(SUBACK << 4, &[high, low, code])
}

/// A PUBLISH at QoS 0 or, with a packet id, at the QoS given.
pub fn publish(topic: &str, payload: &[u8], qos: u8, pid: u16, retain: bool) -> Vec<u8> {
    let mut body = string(topic.as_bytes());
    if qos > 0 {
        body.extend(pid.to_be_bytes());
    }
    body.extend_from_slice(payload);
    packet(PUBLISH << 4 | qos << 1 | u8::from(retain), &body)
}
