//! What bytes that are no text may be. A guess needs good evidence: a signature, or that every byte has its place in a
//! structure that chance does not make.

use super::decode::{Form, SELF_DESCRIBED, decode};
use super::garbled;

/// A format that bytes look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Magic {
    /// RFC 1952.
    Gzip,
    /// RFC 1950.
    Zlib,
    /// RFC 8878.
    Zstandard,
    /// PNG.
    Png,
    /// JPEG.
    Jpeg,
    /// RFC 8949.
    Cbor,
    /// MessagePack.
    MessagePack,
    /// A Sparkplug B topic, and Protobuf below it.
    SparkplugB,
    /// Protocol Buffers.
    Protobuf,
    /// One JSON text on each line.
    JsonLines,
    /// Text, but for what is named.
    Garbled(&'static str),
}

impl Magic {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zlib => "zlib",
            Self::Zstandard => "zstd",
            Self::Png => "PNG",
            Self::Jpeg => "JPEG",
            Self::Cbor => "CBOR",
            Self::MessagePack => "MessagePack",
            Self::SparkplugB => "Sparkplug B (Protobuf)",
            Self::Protobuf => "Protobuf",
            Self::JsonLines => "JSON lines",
            Self::Garbled(what) => what,
        }
    }
}

/// What a payload looks like. With `whole` false only its beginning is there, and signatures alone are looked for.
pub fn guess(topic: &str, payload: &[u8], whole: bool) -> Option<Magic> {
    const SIGNATURES: &[(&[u8], Magic)] = &[
        (b"\x1f\x8b\x08", Magic::Gzip),
        (b"\x28\xb5\x2f\xfd", Magic::Zstandard),
        (b"\x89PNG\r\n\x1a\n", Magic::Png),
        (b"\xff\xd8\xff", Magic::Jpeg),
        (SELF_DESCRIBED, Magic::Cbor),
    ];
    if let Some((_, magic)) = SIGNATURES.iter().find(|(signature, _)| payload.starts_with(signature)) {
        return Some(*magic);
    }
    let fields = if whole { protobuf(payload) } else { None };
    if topic.starts_with("spBv1.0/") && fields.is_some() {
        return Some(Magic::SparkplugB);
    }
    if is_zlib(payload) {
        return Some(Magic::Zlib);
    }
    if !whole {
        return None;
    }
    if let Some(decoded) = decode(payload, Form::Plain) {
        return Some(decoded.magic);
    }
    let protobuf = fields.filter(|fields| fields.texts > 0 && fields.count > 1).map(|_| Magic::Protobuf);
    protobuf.or_else(|| garbled::read(payload).map(|(what, _)| Magic::Garbled(what)))
}

/// The default window, one of the four levels that go with it, and a first block of a kind that there is; one that is
/// stored has its length twice.
fn is_zlib(payload: &[u8]) -> bool {
    let [0x78, 0x01 | 0x5e | 0x9c | 0xda, block, a, b, c, d, _, _, ..] = *payload else { return false };
    match block & 6 {
        0 => a ^ c == 0xff && b ^ d == 0xff,
        kind => kind != 6,
    }
}

/// The first bytes, which are no longer the rest; `None` when there are fewer.
pub(super) fn take<'a>(rest: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, behind) = rest.split_at_checked(count)?;
    *rest = behind;
    Some(taken)
}

struct Fields {
    count: usize,
    /// Fields with text of at least three characters.
    texts: usize,
}

/// Walks a Protobuf message; field numbers are small and in order, as encoders write them.
fn protobuf(payload: &[u8]) -> Option<Fields> {
    let (mut rest, mut last) = (payload, 0);
    let mut fields = Fields { count: 0, texts: 0 };
    while !rest.is_empty() {
        let tag = varint(&mut rest)?;
        let number = tag >> 3;
        if number < last.max(1) || number > 64 {
            return None;
        }
        match tag & 7 {
            0 => _ = varint(&mut rest)?,
            1 => _ = take(&mut rest, 8)?,
            5 => _ = take(&mut rest, 4)?,
            2 => {
                let count = usize::try_from(varint(&mut rest)?).ok()?;
                let bytes = take(&mut rest, count)?;
                fields.texts += usize::from(count > 2 && super::payload::readable(bytes, true).is_some());
            }
            _ => return None,
        }
        last = number;
        fields.count += 1;
    }
    (fields.count > 0).then_some(fields)
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = *take(rest, 1)?.first()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_by_good_evidence() {
        let sparkplug = b"\x08\xb0\xb9\xf1\xd7\x05\x12\x0d\x0a\x04Temp\x20\x0a\x65\x00\x00\xa8\x41\x18\x02";
        for (topic, payload, expected) in [
            ("t", &b"\x1f\x8b\x08\x00\x00"[..], Some(Magic::Gzip)),
            ("t", b"\x78\x9c\xcbH\xcd\xc9\xc9\x07\x00\x06,", Some(Magic::Zlib)),
            ("t", b"\x78\x01\x01\x02\0\xfd\xffhi\x01\x3b\0\xd2", Some(Magic::Zlib)),
            ("t", b"\x78\x01\x19\x01\x08\x02\x93\0\xc1\0", None),
            ("t", b"\x78\x01\x1e\x01\x08\x02\x93\0\xc1\0", None),
            ("t", b"\x28\xb5\x2f\xfd\x04", Some(Magic::Zstandard)),
            ("t", b"\x89PNG\r\n\x1a\n\0\0", Some(Magic::Png)),
            ("t", b"\xa1\x61t\xf9\x4d\x00", Some(Magic::Cbor)),
            ("t", b"\xbf\x61a\x9f\x01\x02\xff\xff", Some(Magic::Cbor)),
            ("t", b"\xa2\x61t\x18\x2a\x64unit\x61C", Some(Magic::Cbor)),
            ("t", b"\xa2\x61t\x18\x2a\x64unit\x61", None),
            ("t", b"\x82\xa1t\xcb\x40\x35\x00\x00\x00\x00\x00\x00\xa4unit\xa1C", Some(Magic::MessagePack)),
            ("t", b"\x82\xa1t\x01\xa1u\xc1", None),
            ("t", b"\x08\x96\x01\x12\x07testing", Some(Magic::Protobuf)),
            ("t", b"\x08\x96\x01", None),
            ("t", b"{\"t\":1}\0", Some(Magic::Garbled("text with NUL at its end"))),
            ("spBv1.0/g/NDATA/n", sparkplug, Some(Magic::SparkplugB)),
            ("spBv1.0/g/NDATA/n", b"\xff\xff\xff\xff", None),
            ("t", b"\x00\x01\x02\x03", None),
            ("t", b"\xff", None),
            ("t", b"", None),
        ] {
            let is_decoded = matches!(expected, Some(Magic::Cbor | Magic::MessagePack));
            let expected = expected.filter(|_| !is_decoded || cfg!(feature = "binary"));
            assert_eq!(guess(topic, payload, true), expected, "{payload:02x?}");
        }
        assert_eq!(guess("t", b"\xa1\x61t\xf9\x4d\x00", false), None, "not judged by its beginning");
    }

    #[test]
    fn chance_is_hardly_ever_taken_for_a_format_and_never_a_panic() {
        let mut random = 0x9e37_79b9_7f4a_7c15u64;
        let mut next = || {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random
        };
        let mut told = 0;
        for _ in 0..100_000 {
            let bytes: Vec<u8> = (0..1 + next() % 47).map(|_| next() as u8).collect();
            told += u32::from(guess("t", &bytes, true).is_some());
        }
        assert!(told < 20, "{told} of 100,000");
        let nested = [&[0xd8u8; 100_000][..], &[0x91; 100_000], &[0x9f; 100_000]];
        for bytes in nested {
            assert_eq!(guess("t", &[b"\xa1\x61x", bytes].concat(), true), None);
            assert_eq!(guess("t", &[b"\x81\xa1x", bytes].concat(), true), None);
        }
    }
}
