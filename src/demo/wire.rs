//! Packets that clients of the demo broker may send: framing, checks and the codec.
//!
//! Beside `mqtt::wire`, which knows what brokers send, this is the only file that names `mqttrs`. The codec panics on
//! short packets and reads past a packet's end, so every length inside a packet is walked through before it sees it.

use mqttrs::{decode_slice, encode_slice};

pub(super) use mqttrs::{Connect, LastWill, Packet, Protocol, Publish, QoS, QosPid, SubscribeReturnCodes};

use crate::limits::{DEMO_PACKET_MAX_BYTES, DEMO_SUBSCRIPTIONS_MAX};
use crate::mqtt::topic;
use crate::mqtt::wire::Malformed;

/// CONNECT of another version of MQTT: refused with a CONNACK that says so (3.1.2.2).
pub(super) const OTHER_VERSION: Malformed = Malformed("CONNECT of another version than MQTT 3.1.1 (3.1.2.2)");

/// Sizes of the fixed header and of the whole packet at the front of `bytes`; `None` while they are not known.
pub(super) fn frame(bytes: &[u8]) -> Result<Option<(usize, usize)>, Malformed> {
    let Some(first) = bytes.first().copied() else { return Ok(None) };
    let flags = first & 0x0f;
    match (first >> 4, flags) {
        (PUBLISH, _) if flags & 0x06 == 0x06 => return Err(Malformed("PUBLISH with QoS 3 (3.3.1.2)")),
        (PUBLISH, _) if flags & 0x0e == 0x08 => return Err(Malformed("PUBLISH with DUP at QoS 0 (3.3.1.1)")),
        (PUBLISH, _) | (CONNECT | 4 | 5 | 7 | 12 | 14, 0) | (6 | SUBSCRIBE | UNSUBSCRIBE, 2) => {}
        _ => return Err(Malformed("a packet that a client must not send (2.2)")),
    }
    let mut length = 0;
    for (index, byte) in bytes[1..].iter().take(4).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * index);
        if length > DEMO_PACKET_MAX_BYTES {
            return Err(Malformed("a packet larger than the demo broker takes"));
        }
        if byte & 0x80 == 0 {
            return Ok(Some((index + 2, index + 2 + length)));
        }
    }
    if bytes.len() > 4 { Err(Malformed("a remaining length of more than four bytes (2.2.3)")) } else { Ok(None) }
}

/// Decodes the packet that [`frame`] found.
pub(super) fn decode(packet: &[u8], header_size: usize) -> Result<Packet<'_>, Malformed> {
    let body = &packet[header_size..];
    let fits = match packet[0] >> 4 {
        CONNECT if is_other_version(body) => return Err(OTHER_VERSION),
        CONNECT => connect_fits(body),
        PUBLISH => {
            let topic_end = string_end(body, 0).filter(|end| *end > 2);
            topic_end.is_some_and(|end| end + if packet[0] & 0x06 == 0 { 0 } else { 2 } <= body.len())
        }
        SUBSCRIBE => filters_fit(body, 1),
        UNSUBSCRIBE => filters_fit(body, 0),
        4..=7 => body.len() == 2,
        _ => body.is_empty(),
    };
    if !fits {
        return Err(Malformed("a packet whose parts do not fit its length (chapter 3)"));
    }
    match decode_slice(packet) {
        Ok(Some(Packet::Connect(connect))) if !connect.last_will.as_ref().is_none_or(|will| is_name(will.topic)) => {
            Err(Malformed("CONNECT with a will to what is no topic name (3.1.3.2)"))
        }
        Ok(Some(Packet::Publish(publish))) if !is_name(publish.topic_name) => {
            Err(Malformed("PUBLISH to what is no topic name (3.3.2.1)"))
        }
        Ok(Some(packet)) => Ok(packet),
        _ => Err(Malformed("a packet that cannot be decoded")),
    }
}

/// Appends CONNACK.
pub(super) fn connack(out: &mut Vec<u8>, session_present: bool, code: u8) {
    out.extend_from_slice(&[0x20, 2, session_present.into(), code]);
}

/// Appends SUBACK, one code for each filter asked for.
pub(super) fn suback(out: &mut Vec<u8>, pid: mqttrs::Pid, codes: Vec<SubscribeReturnCodes>) {
    let start = out.len();
    out.resize(start + 8 + codes.len(), 0);
    let size = encode_slice(&Packet::Suback(mqttrs::Suback { pid, return_codes: codes }), &mut out[start..]);
    out.truncate(start + size.unwrap_or(0));
}

/// Appends UNSUBACK.
pub(super) fn unsuback(out: &mut Vec<u8>, pid: u16) {
    let [high, low] = pid.to_be_bytes();
    out.extend_from_slice(&[0xb0, 2, high, low]);
}

/// Appends PINGRESP.
pub(super) fn pingresp(out: &mut Vec<u8>) {
    out.extend_from_slice(&[0xd0, 0]);
}

fn is_name(topic: &str) -> bool {
    topic::check_name(topic).is_ok()
}

const CONNECT: u8 = 1;
const PUBLISH: u8 = 3;
const SUBSCRIBE: u8 = 8;
const UNSUBSCRIBE: u8 = 10;

fn is_other_version(body: &[u8]) -> bool {
    body.starts_with(b"\0\x06MQIsdp")
        || (body.starts_with(b"\0\x04MQTT") && body.get(6).is_some_and(|level| *level != 4))
}

/// Flags that agree with each other, and exactly the strings they announce (3.1.2, 3.1.3).
fn connect_fits(body: &[u8]) -> bool {
    let Some(flags) = body.get(7).copied().filter(|_| body.starts_with(b"\0\x04MQTT")) else { return false };
    let (will, user, password) = (flags & 0x04 != 0, flags & 0x80 != 0, flags & 0x40 != 0);
    if flags & 0x01 != 0 || flags & 0x18 == 0x18 || (!will && flags & 0x38 != 0) || (password && !user) {
        return false;
    }
    let strings = 1 + 2 * usize::from(will) + usize::from(user) + usize::from(password);
    let end = (0..strings).try_fold(10, |at, _| string_end(body, at));
    end == Some(body.len())
}

/// A packet id, then filters, at least one and no more than a client may have, each with `behind` bytes behind it.
fn filters_fit(body: &[u8], behind: usize) -> bool {
    let (mut at, mut count) = (2, 0);
    while at < body.len() {
        match string_end(body, at) {
            Some(end) if end + behind <= body.len() => at = end + behind,
            _ => return false,
        }
        count += 1;
    }
    (1..=DEMO_SUBSCRIPTIONS_MAX).contains(&count)
}

/// Where the length-prefixed string at `at` ends, if it does.
fn string_end(body: &[u8], at: usize) -> Option<usize> {
    let prefix = body.get(at..at + 2)?;
    let end = at + 2 + usize::from(u16::from_be_bytes([prefix[0], prefix[1]]));
    Some(end).filter(|end| *end <= body.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(bytes: &[u8]) -> Result<Option<Packet<'_>>, Malformed> {
        match frame(bytes)? {
            Some((header, size)) if bytes.len() >= size => decode(&bytes[..size], header).map(Some),
            _ => Ok(None),
        }
    }

    #[test]
    fn well_formed_packets_are_taken() {
        for bytes in [
            &b"\x10\x0d\0\x04MQTT\x04\x02\0\x0a\0\x01c"[..],
            b"\x10\x19\0\x04MQTT\x04\xee\0\0\0\x01c\0\x01w\0\x01m\0\x01u\0\x01p",
            b"\x30\x04\0\x01ab",
            b"\x34\x05\0\x01a\0\x07",
            b"\x82\x06\0\x01\0\x01a\x02",
            b"\xa2\x05\0\x01\0\x01a",
            b"\x40\x02\0\x01",
            b"\x62\x02\0\x01",
            b"\xc0\0",
            b"\xe0\0",
        ] {
            assert!(matches!(take(bytes), Ok(Some(_))), "{bytes:x?}");
            for end in 0..bytes.len() {
                assert_eq!(take(&bytes[..end]), Ok(None), "{bytes:x?} cut to {end}");
            }
        }
    }

    #[test]
    fn packets_that_do_not_fit_are_refused_and_none_panics() {
        for bytes in [
            &b"\x00\0"[..],
            b"\x20\x02\0\0",
            b"\x31\xff\xff\xff\xff",
            b"\x30\xff\xff\xff\x7f",
            b"\x30\0",
            b"\x30\x02\0\0",
            b"\x30\x02\0\x05",
            b"\x32\x03\0\x01a",
            b"\x32\x05\0\x01a\0\0",
            b"\x36\x05\0\x01a\0\x01",
            b"\x38\x03\0\x01a",
            b"\x82\0",
            b"\x82\x02\0\x01",
            b"\x82\x05\0\x01\0\x01a",
            b"\x82\x06\0\x01\0\x01a\x03",
            b"\x82\x06\0\0\0\x01a\x01",
            b"\x82\x06\0\x01\0\x09a\x01",
            b"\x80\x06\0\x01\0\x01a\x01",
            b"\xa2\x02\0\x01",
            b"\x40\0",
            b"\x40\x02\0\0",
            b"\x60\x02\0\x01",
            b"\xc0\x01a",
            b"\xf0\0",
            b"\x10\0",
            b"\x10\x07\0\x04MQTT\x04",
            b"\x10\x0a\0\x04MQTT\x04\x02\0\x0a",
            b"\x10\x0d\0\x04MQTT\x04\x03\0\x0a\0\x01c",
            b"\x10\x0d\0\x04MQTT\x04\x42\0\x0a\0\x01c",
            b"\x10\x0d\0\x04MQTT\x04\x22\0\x0a\0\x01c",
            b"\x10\x0d\0\x04MQTT\x04\x06\0\x0a\0\x01c",
            b"\x10\x0e\0\x04MQTT\x04\x02\0\x0a\0\x01cX",
        ] {
            assert!(take(bytes).is_err(), "{bytes:x?}");
        }
        assert_eq!(take(b"\x10\x0e\0\x04MQTT\x05\x02\0\x0a\0\0\x01c"), Err(OTHER_VERSION));
    }

    #[test]
    fn random_bytes_never_panic() {
        let mut state = 7u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as u8
        };
        let firsts = [0x10, 0x30, 0x32, 0x3b, 0x3d, 0x40, 0x62, 0x82, 0xa2, 0xc0, 0xe0];
        let mut taken = 0;
        for round in 0..200_000 {
            let length = random() % 24;
            let mut bytes = vec![firsts[round % firsts.len()], length];
            bytes.extend((0..length).map(|_| random() % 8));
            if bytes[0] == 0x10 && length > 10 {
                bytes[2..9].copy_from_slice(b"\0\x04MQTT\x04");
            }
            taken += usize::from(matches!(take(&bytes), Ok(Some(_))));
        }
        assert!(taken > 1000, "{taken}");
    }
}
