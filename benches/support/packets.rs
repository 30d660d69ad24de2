//! MQTT 3.1.1 bytes, written here by hand so that nothing under test measures itself.

use std::io::{self, Read};

/// Appends a fixed header.
pub fn header(out: &mut Vec<u8>, first: u8, mut length: usize) {
    out.push(first);
    loop {
        let byte = (length % 128) as u8;
        length /= 128;
        out.push(if length > 0 { byte | 128 } else { byte });
        if length == 0 {
            return;
        }
    }
}

/// CONNECT with a clean session.
pub fn connect(client_id: &str) -> Vec<u8> {
    let mut out = Vec::new();
    header(&mut out, 0x10, 12 + client_id.len());
    out.extend([0, 4, b'M', b'Q', b'T', b'T', 4, 2, 0, 60]);
    string(&mut out, client_id);
    out
}

/// SUBSCRIBE to one filter at QoS 0, as packet 1.
pub fn subscribe(filter: &str) -> Vec<u8> {
    let mut out = Vec::new();
    header(&mut out, 0x82, 5 + filter.len());
    out.extend([0, 1]);
    string(&mut out, filter);
    out.push(0);
    out
}

/// PUBLISH; `pid` makes it QoS 1.
pub fn publish(topic: &str, pid: Option<u16>, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    publish_head(&mut out, topic, pid, payload.len());
    out.extend(payload);
    out
}

/// All of a PUBLISH but its payload.
pub fn publish_head(out: &mut Vec<u8>, topic: &str, pid: Option<u16>, payload_bytes: usize) {
    let first = if pid.is_some() { 0x32 } else { 0x30 };
    header(out, first, 2 + topic.len() + pid.map_or(0, |_| 2) + payload_bytes);
    string(out, topic);
    out.extend(pid.into_iter().flat_map(u16::to_be_bytes));
}

/// Reads one packet: its first byte and its body.
pub fn read(from: &mut impl Read) -> io::Result<(u8, Vec<u8>)> {
    let mut first = [0];
    from.read_exact(&mut first)?;
    let (mut length, mut shift) = (0, 0);
    loop {
        let mut byte = [0];
        from.read_exact(&mut byte)?;
        length |= usize::from(byte[0] & 127) << shift;
        shift += 7;
        if byte[0] & 128 == 0 {
            break;
        }
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body)?;
    Ok((first[0], body))
}

fn string(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u16).to_be_bytes());
    out.extend(text.as_bytes());
}
