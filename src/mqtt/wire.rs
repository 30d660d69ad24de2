//! MQTT 3.1.1 packets: framing and checks; the only file that names `mqttrs`.
//!
//! The codec panics on short acknowledgements and reads past a packet's end, so each packet is cut out and its lengths
//! and flags are checked before the codec sees it. A PUBLISH larger than what is wanted of it is taken in pieces: head
//! and wanted payload are kept, the rest is skipped and counted.

use mqttrs::{Connect, Packet as Codec, Pid, Protocol, Publish as CodecPublish, QosPid, decode_slice, encode_slice};
use zeroize::Zeroizing;

use super::url::Credentials;
use crate::eight::has_below;
use crate::limits::{CONTROL_PACKET_MAX_BYTES, MARK_PREFIX_BYTES, READ_CHUNK_BYTES, STRING_MAX_BYTES};
use crate::secret::Secret;

/// A packet that a broker may send.
#[derive(Debug, PartialEq)]
pub enum Packet<'a> {
    /// Answer to CONNECT (3.2).
    Connack {
        /// Whether the broker kept our session.
        session_present: bool,
        /// The return code, 0 to 5 (3.2.2.3).
        code: u8,
    },
    /// A message.
    Publish(Publish<'a>),
    /// QoS 1 done.
    Puback(u16),
    /// QoS 2, first answer.
    Pubrec(u16),
    /// QoS 2 inbound, release.
    Pubrel(u16),
    /// QoS 2 done.
    Pubcomp(u16),
    /// Answer to a SUBSCRIBE of one filter: the granted QoS, or `None` for 0x80.
    Suback(u16, Option<u8>),
    /// Answer to UNSUBSCRIBE.
    Unsuback(u16),
    /// Answer to PINGREQ.
    Pingresp,
}

/// A message as it stands in the read buffer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Publish<'a> {
    /// Where it was published.
    pub topic: &'a str,
    /// The payload, or as much of it as was wanted.
    pub payload: &'a [u8],
    /// The payload's true size.
    pub payload_bytes: usize,
    /// 0, 1 or 2.
    pub qos: u8,
    /// The packet id at QoS 1 and 2.
    pub pid: Option<u16>,
    /// Sent because of a new subscription (3.3.1.3).
    pub retain: bool,
    /// Possibly sent before (3.3.1.1).
    pub dup: bool,
}

/// The peer broke the protocol; the connection must be closed (4.8). The words name what was wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

/// Cuts the stream into packets.
#[derive(Default)]
pub struct Framer {
    /// Start of a fixed header that is not whole yet.
    header: Vec<u8>,
    /// A packet that is not whole yet.
    partial: Option<Partial>,
    /// Room for the fixed header, then the kept part of the body.
    body: Vec<u8>,
}

#[derive(Clone, Copy)]
struct Partial {
    first: u8,
    /// Remaining length as declared.
    length: usize,
    /// Bytes of the body seen, kept or skipped.
    seen: usize,
    /// Bytes of the body to keep, as far as is known yet.
    keep: usize,
    /// Where the payload begins, once the topic's length is known.
    payload_at: Option<usize>,
    /// Whether `keep` is final.
    settled: bool,
}

/// The longest fixed header: type, flags and four length bytes (2.2).
const HEADER_ROOM: usize = 5;

impl Framer {
    /// Takes the next packet from the front of `input`; `None` when it is not whole yet. `want` says how much payload
    /// of a message on that topic anyone wants; it is asked only for packets that do not arrive in one piece.
    pub fn next<'s, 'i: 's>(
        &'s mut self,
        input: &mut &'i [u8],
        want: impl FnOnce(&str) -> usize,
    ) -> Result<Option<Packet<'s>>, Malformed> {
        if self.partial.is_none() {
            if self.header.is_empty() {
                match read_header(input)? {
                    Some((_, length, size)) if input.len() >= size + length => {
                        let (packet, rest) = input.split_at(size + length);
                        *input = rest;
                        return decode(packet, size, None).map(Some);
                    }
                    Some((first, length, size)) => {
                        *input = &input[size..];
                        self.begin(first, length);
                    }
                    None => {
                        self.header.extend_from_slice(input);
                        *input = &[];
                        return Ok(None);
                    }
                }
            } else if !self.complete_header(input)? {
                return Ok(None);
            }
        }
        if !self.take_body(input, want)? {
            return Ok(None);
        }
        self.emit().map(Some)
    }

    /// Forgets everything: a new connection begins.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    fn begin(&mut self, first: u8, length: usize) {
        let is_publish = first >> 4 == PUBLISH;
        // Both checks of `read_header` passed: a control packet is small and a PUBLISH has room for a topic.
        let keep = if is_publish { 2 } else { length };
        self.partial = Some(Partial { first, length, seen: 0, keep, payload_at: None, settled: !is_publish });
        self.body.clear();
        self.body.shrink_to(READ_CHUNK_BYTES);
        self.body.resize(HEADER_ROOM, 0);
    }

    fn complete_header(&mut self, input: &mut &[u8]) -> Result<bool, Malformed> {
        while let Some((byte, rest)) = input.split_first() {
            self.header.push(*byte);
            *input = rest;
            let header = std::mem::take(&mut self.header);
            if let Some((first, length, _)) = read_header(&header)? {
                self.begin(first, length);
                return Ok(true);
            }
            self.header = header;
        }
        Ok(false)
    }

    /// Moves bytes from `input`; true when the packet is whole.
    fn take_body(&mut self, input: &mut &[u8], want: impl FnOnce(&str) -> usize) -> Result<bool, Malformed> {
        let Some(partial) = &mut self.partial else { return Ok(false) };
        let mut want = Some(want);
        loop {
            let count = (partial.keep - (self.body.len() - HEADER_ROOM)).min(input.len());
            self.body.extend_from_slice(&input[..count]);
            partial.seen += count;
            *input = &input[count..];
            if self.body.len() - HEADER_ROOM < partial.keep {
                return Ok(false);
            }
            if partial.settled {
                break;
            }
            let body = &self.body[HEADER_ROOM..];
            match partial.payload_at {
                None => {
                    let payload_at = payload_offset(partial.first, body, partial.length)?;
                    partial.payload_at = Some(payload_at);
                    partial.keep = payload_at;
                }
                Some(payload_at) => {
                    let topic = &body[2..2 + usize::from(u16::from_be_bytes([body[0], body[1]]))];
                    let topic = std::str::from_utf8(topic).map_err(|_| NOT_UTF8)?;
                    let wanted = want.take().map_or(0, |want| want(topic)).max(MARK_PREFIX_BYTES);
                    partial.keep = payload_at + wanted.min(partial.length - payload_at);
                    partial.settled = true;
                    self.body.reserve_exact(partial.keep - payload_at);
                }
            }
        }
        let skipped = (partial.length - partial.seen).min(input.len());
        partial.seen += skipped;
        *input = &input[skipped..];
        Ok(partial.seen == partial.length)
    }

    fn emit(&mut self) -> Result<Packet<'_>, Malformed> {
        let Some(partial) = self.partial.take() else { return Err(Malformed("no packet")) };
        let kept = self.body.len() - HEADER_ROOM;
        let (header, size) = fixed_header(partial.first, kept);
        let start = HEADER_ROOM - size;
        self.body[start..HEADER_ROOM].copy_from_slice(&header[..size]);
        let payload_bytes = partial.payload_at.map(|at| partial.length - at);
        decode(&self.body[start..], size, payload_bytes)
    }
}

const PUBLISH: u8 = 3;
const NOT_UTF8: Malformed = Malformed("a topic is not UTF-8 (1.5.3)");

/// What a peer sent that speaks something else, as its first bytes tell; none of them is shown.
pub fn stranger(first: &[u8]) -> Option<&'static str> {
    match first {
        [b'H', b'T', b'T', b'P', b'/', ..] => Some("the answer of an HTTP server"),
        [b'S', b'S', b'H', b'-', ..] => Some("the greeting of an SSH server"),
        [0x15, 3, ..] => Some("an alert of TLS, as a port for mqtts:// does"),
        _ => None,
    }
}

/// Whether it is a CONNACK that refuses, in a form that MQTT 5 alone has (MQTT 5, 3.2).
pub fn refuses_version(first: &[u8]) -> bool {
    matches!(first, [0x20, 3..=0x7f, 0, 0x80..=0xff, ..])
}

/// Type and flags, remaining length and size of the fixed header, checked for what a broker may send (2.2.2).
fn read_header(bytes: &[u8]) -> Result<Option<(u8, usize, usize)>, Malformed> {
    let Some(first) = bytes.first().copied() else { return Ok(None) };
    let flags = first & 0x0f;
    match (first >> 4, flags) {
        (PUBLISH, _) if flags & 0x06 == 0x06 => return Err(Malformed("PUBLISH with QoS 3 (3.3.1.2)")),
        (PUBLISH, _) if flags & 0x0e == 0x08 => return Err(Malformed("PUBLISH with DUP at QoS 0 (3.3.1.1)")),
        (PUBLISH, _) | (2 | 4 | 5 | 7 | 9 | 11 | 13, 0) | (6, 2) => {}
        (2 | 4..=7 | 9 | 11 | 13, _) => return Err(Malformed("a packet with reserved flags (2.2.2)")),
        _ => return Err(Malformed("a packet type that a broker must not send (2.2.1)")),
    }
    let mut length = 0;
    for (index, byte) in bytes[1..].iter().take(4).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            check_length(first, length)?;
            return Ok(Some((first, length, index + 2)));
        }
    }
    if bytes.len() > 4 { Err(Malformed("a remaining length of more than four bytes (2.2.3)")) } else { Ok(None) }
}

fn check_length(first: u8, length: usize) -> Result<(), Malformed> {
    let fits = match first >> 4 {
        PUBLISH => length >= if first & 0x06 == 0 { 3 } else { 5 },
        13 => length == 0,
        9 => length == 3,
        _ => length == 2,
    };
    debug_assert!(!fits || first >> 4 == PUBLISH || length <= CONTROL_PACKET_MAX_BYTES);
    if fits { Ok(()) } else { Err(Malformed("a remaining length that the packet type cannot have (chapter 3)")) }
}

/// Where a PUBLISH's payload begins in its body.
fn payload_offset(first: u8, body: &[u8], length: usize) -> Result<usize, Malformed> {
    let topic_bytes = usize::from(u16::from_be_bytes([body[0], body[1]]));
    let offset = 2 + topic_bytes + if first & 0x06 == 0 { 0 } else { 2 };
    if topic_bytes == 0 {
        Err(Malformed("PUBLISH with an empty topic (4.7.3)"))
    } else if offset > length {
        Err(Malformed("PUBLISH with a topic longer than the packet (3.3.2)"))
    } else {
        Ok(offset)
    }
}

/// Decodes one whole packet whose header was checked. `payload_bytes` is the true size when the payload was cut.
fn decode(packet: &[u8], header_size: usize, payload_bytes: Option<usize>) -> Result<Packet<'_>, Malformed> {
    let body = &packet[header_size..];
    if packet[0] >> 4 == PUBLISH {
        payload_offset(packet[0], body, body.len())?;
    } else if packet[0] >> 4 == 2 && (body[0] > 1 || (body[0] == 1 && body[1] != 0)) {
        return Err(Malformed("CONNACK with reserved flags or a session without acceptance (3.2.2)"));
    } else if packet[0] >> 4 == 9 && !matches!(body[2], 0..=2 | 0x80) {
        return Err(Malformed("SUBACK with a reserved return code (3.9.3)"));
    }
    match decode_slice(packet) {
        Ok(Some(Codec::Publish(message))) => publish(message, payload_bytes),
        // The code is taken as it stands: the codec knows the six of the standard only.
        Ok(Some(Codec::Connack(_))) => Ok(Packet::Connack { session_present: body[0] == 1, code: body[1] }),
        Ok(Some(Codec::Puback(pid))) => Ok(Packet::Puback(pid.get())),
        Ok(Some(Codec::Pubrec(pid))) => Ok(Packet::Pubrec(pid.get())),
        Ok(Some(Codec::Pubrel(pid))) => Ok(Packet::Pubrel(pid.get())),
        Ok(Some(Codec::Pubcomp(pid))) => Ok(Packet::Pubcomp(pid.get())),
        Ok(Some(Codec::Suback(suback))) => {
            Ok(Packet::Suback(suback.pid.get(), Some(body[2]).filter(|code| *code != 0x80)))
        }
        Ok(Some(Codec::Unsuback(pid))) => Ok(Packet::Unsuback(pid.get())),
        Ok(Some(Codec::Pingresp)) => Ok(Packet::Pingresp),
        Ok(_) => Err(Malformed("a packet type that a broker must not send (2.2.1)")),
        Err(mqttrs::Error::InvalidPid) => Err(Malformed("packet id 0 (2.3.1)")),
        Err(mqttrs::Error::InvalidString(_)) => Err(NOT_UTF8),
        Err(mqttrs::Error::InvalidConnectReturnCode(_)) => {
            Err(Malformed("CONNACK with a reserved return code (3.2.2.3)"))
        }
        Err(_) => Err(Malformed("a packet that cannot be decoded")),
    }
}

fn publish(message: CodecPublish<'_>, payload_bytes: Option<usize>) -> Result<Packet<'_>, Malformed> {
    if has_wildcard(message.topic_name.as_bytes()) {
        return Err(Malformed("PUBLISH with a wildcard or NUL in its topic (3.3.2.1)"));
    }
    let (qos, pid) = match message.qospid {
        QosPid::AtMostOnce => (0, None),
        QosPid::AtLeastOnce(pid) => (1, Some(pid.get())),
        QosPid::ExactlyOnce(pid) => (2, Some(pid.get())),
    };
    Ok(Packet::Publish(Publish {
        topic: message.topic_name,
        payload: message.payload,
        payload_bytes: payload_bytes.unwrap_or(message.payload.len()),
        qos,
        pid,
        retain: message.retain,
        dup: message.dup,
    }))
}

/// Whether there is a byte that no topic has. Few topics have one as low as these, so that is what is asked first.
fn has_wildcard(topic: &[u8]) -> bool {
    has_below(topic, b'+' + 1) && topic.iter().any(|byte| matches!(byte, b'+' | b'#' | 0))
}

fn fixed_header(first: u8, length: usize) -> ([u8; HEADER_ROOM], usize) {
    let (mut header, mut size, mut rest) = ([first, 0, 0, 0, 0], 1, length);
    loop {
        header[size] = (rest & 0x7f) as u8 | if rest > 0x7f { 0x80 } else { 0 };
        size += 1;
        rest >>= 7;
        if rest == 0 || size == HEADER_ROOM {
            return (header, size);
        }
    }
}

/// Checks a string before it is encoded: the codec cuts longer ones in silence and lets NUL through (1.5.3).
pub fn check_string(text: &str) -> Result<(), &'static str> {
    if text.len() > STRING_MAX_BYTES {
        return Err("must be at most 65535 bytes");
    }
    if text.chars().any(char::is_control) {
        return Err("must not have control characters");
    }
    Ok(())
}

/// What CONNECT says.
pub struct ConnectInfo<'a> {
    /// 1 to 65,535 bytes.
    pub client_id: &'a str,
    /// 0 turns keep-alive off.
    pub keep_alive_seconds: u16,
    /// Whether the broker forgets the session with the connection.
    pub clean_session: bool,
    /// The user.
    pub credentials: &'a Credentials,
}

/// CONNECT, in memory that is wiped. `None` when a part does not fit the protocol.
pub fn connect(info: &ConnectInfo<'_>) -> Option<Zeroizing<Vec<u8>>> {
    let username = info.credentials.username.as_deref();
    let password = info.credentials.password.as_ref().map(Secret::expose).filter(|_| username.is_some());
    let (user_bytes, password_bytes) = (username.map_or(0, str::len), password.map_or(0, <[u8]>::len));
    if info.client_id.len().max(user_bytes).max(password_bytes) > STRING_MAX_BYTES {
        return None;
    }
    let packet = Codec::Connect(Connect {
        protocol: Protocol::MQTT311,
        keep_alive: info.keep_alive_seconds,
        client_id: info.client_id,
        clean_session: info.clean_session,
        last_will: None,
        username,
        password,
    });
    let mut bytes = Zeroizing::new(vec![0; 32 + info.client_id.len() + user_bytes + password_bytes]);
    let size = encode_slice(&packet, &mut bytes).ok()?;
    bytes.truncate(size);
    Some(bytes)
}

/// A packet without topic or payload that we send.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Control {
    /// QoS 1 received.
    Puback(u16),
    /// QoS 2 received.
    Pubrec(u16),
    /// QoS 2 outbound, release.
    Pubrel(u16),
    /// QoS 2 inbound done.
    Pubcomp(u16),
    /// Are you there?
    Pingreq,
    /// Leaving on purpose.
    Disconnect,
}

/// Appends a control packet.
pub fn control(out: &mut Vec<u8>, packet: Control) {
    let pid = |value: u16| Pid::try_from(value).unwrap_or_default();
    append(
        out,
        &match packet {
            Control::Puback(value) => Codec::Puback(pid(value)),
            Control::Pubrec(value) => Codec::Pubrec(pid(value)),
            Control::Pubrel(value) => Codec::Pubrel(pid(value)),
            Control::Pubcomp(value) => Codec::Pubcomp(pid(value)),
            Control::Pingreq => Codec::Pingreq,
            Control::Disconnect => Codec::Disconnect,
        },
        4,
    );
}

/// Appends SUBSCRIBE of one valid filter, so that its SUBACK speaks for it alone.
pub fn subscribe(out: &mut Vec<u8>, pid: u16, filter: &str, qos: u8) {
    let qos = match qos {
        0 => mqttrs::QoS::AtMostOnce,
        1 => mqttrs::QoS::AtLeastOnce,
        _ => mqttrs::QoS::ExactlyOnce,
    };
    let topic = mqttrs::SubscribeTopic { topic_path: filter.into(), qos };
    let pid = Pid::try_from(pid).unwrap_or_default();
    append(out, &Codec::Subscribe(mqttrs::Subscribe { pid, topics: vec![topic] }), filter.len() + 16);
}

/// Appends UNSUBSCRIBE of one valid filter.
pub fn unsubscribe(out: &mut Vec<u8>, pid: u16, filter: &str) {
    let pid = Pid::try_from(pid).unwrap_or_default();
    append(out, &Codec::Unsubscribe(mqttrs::Unsubscribe { pid, topics: vec![filter.into()] }), filter.len() + 16);
}

/// Appends a PUBLISH up to its payload, which follows as it is: the topic and packet id come from the codec, the fixed
/// header counts the payload. `topic` is a valid name.
pub fn publish_head(out: &mut Vec<u8>, topic: &str, qos: u8, pid: u16, retain: bool, dup: bool, payload_bytes: usize) {
    let pid = Pid::try_from(pid).unwrap_or_default();
    let qospid = match qos {
        0 => QosPid::AtMostOnce,
        1 => QosPid::AtLeastOnce(pid),
        _ => QosPid::ExactlyOnce(pid),
    };
    let mut head = Vec::new();
    append(
        &mut head,
        &Codec::Publish(CodecPublish { dup, qospid, retain, topic_name: topic, payload: &[] }),
        topic.len() + 16,
    );
    let Ok(Some((first, length, size))) = read_header(&head) else { return };
    let (header, header_size) = fixed_header(first, length + payload_bytes);
    out.reserve(header_size + head.len());
    out.extend_from_slice(&header[..header_size]);
    out.extend_from_slice(&head[size..]);
}

/// `room` is at least the packet's size, and the guards above leave the codec nothing else to refuse.
fn append(out: &mut Vec<u8>, packet: &Codec<'_>, room: usize) {
    let start = out.len();
    out.resize(start + room, 0);
    let size = encode_slice(packet, &mut out[start..]).unwrap_or(0);
    out.truncate(start + size);
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
