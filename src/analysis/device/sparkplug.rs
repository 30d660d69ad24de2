//! Sparkplug B from outside: what its topics say, and time and sequence number of a payload.

/// The parts of a topic `spBv1.0/GROUP/TYPE/NODE[/DEVICE]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parts<'a> {
    /// Group.
    pub group: &'a str,
    /// NBIRTH, NDATA, DDEATH and so on.
    pub kind: &'a str,
    /// Edge node.
    pub node: &'a str,
    /// A device behind the node.
    pub device: Option<&'a str>,
}

/// Reads a topic.
pub fn parts(topic: &str) -> Option<Parts<'_>> {
    let mut levels = topic.strip_prefix("spBv1.0/")?.split('/');
    let (group, kind, node) = (levels.next()?, levels.next()?, levels.next()?);
    Some(Parts { group, kind, node, device: levels.next() })
}

/// What a payload says of itself: milliseconds since 1970, and the sequence number.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Header {
    /// Field 1.
    pub timestamp: Option<u64>,
    /// Field 3.
    pub seq: Option<u64>,
}

/// Walks over a Protobuf message and picks its time and sequence number. `None` when it is not one, as far as it is there.
pub fn header(mut payload: &[u8]) -> Option<Header> {
    let mut header = Header::default();
    while !payload.is_empty() {
        let key = varint(&mut payload)?;
        let skip = match key & 7 {
            0 => {
                let value = varint(&mut payload)?;
                match key >> 3 {
                    1 => header.timestamp = Some(value),
                    3 => header.seq = Some(value),
                    _ => {}
                }
                0
            }
            1 => 8,
            2 => usize::try_from(varint(&mut payload)?).ok()?,
            5 => 4,
            _ => return None,
        };
        payload = payload.get(skip..)?;
    }
    Some(header)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_and_sequence_number_are_found_between_other_fields() {
        // timestamp 300, a metric of three bytes, seq 7.
        let payload = [0x08, 0xac, 0x02, 0x12, 3, 1, 2, 3, 0x18, 7];
        assert_eq!(header(&payload), Some(Header { timestamp: Some(300), seq: Some(7) }));
        assert_eq!(header(b""), Some(Header::default()));
        for broken in [
            &[0x08][..],
            &[0x12, 200, 1],
            b"{\"a\":1}",
            &[0xff; 30],
            &[0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
        ] {
            assert_eq!(header(broken), None, "{broken:?}");
        }
    }

    #[test]
    fn topics_have_their_parts() {
        let expected = Parts { group: "G", kind: "DDATA", node: "edge", device: Some("d") };
        assert_eq!(parts("spBv1.0/G/DDATA/edge/d"), Some(expected));
        assert_eq!(parts("spBv1.0/STATE/host"), None);
        assert_eq!(parts("home/x"), None);
    }
}
