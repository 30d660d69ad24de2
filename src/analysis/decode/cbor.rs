//! CBOR (RFC 8949), item by item.

use minicbor::data::Type;
use minicbor::decode::Decoder;

use super::writer::Item;

/// Takes the next item; `None` when the bytes are none.
pub(super) fn next<'a>(rest: &mut &'a [u8]) -> Option<Item<'a>> {
    let mut decoder = Decoder::new(rest);
    let mut length = 0;
    let item = match decoder.datatype().ok()? {
        Type::Bool => Item::Boolean(decoder.bool().ok()?),
        Type::Null => {
            length = 1;
            Item::Null
        }
        Type::Undefined => {
            length = 1;
            Item::Undefined
        }
        Type::U8 | Type::U16 | Type::U32 | Type::U64 | Type::I8 | Type::I16 | Type::I32 | Type::I64 | Type::Int => {
            Item::Integer(decoder.int().ok()?.into())
        }
        Type::F16 => {
            length = 3;
            Item::Single(half(u16::from_be_bytes(rest.get(1..3)?.try_into().ok()?)))
        }
        Type::F32 => Item::Single(decoder.f32().ok()?),
        Type::F64 => Item::Double(decoder.f64().ok()?),
        // The longer form of those below 32 is not well-formed (RFC 8949, section 3.3).
        Type::Simple => Item::Simple(decoder.simple().ok().filter(|value| *value >= 32 || rest[0] != 0xf8)?),
        Type::Bytes => Item::Bytes(decoder.bytes().ok()?),
        Type::String => Item::Text(decoder.str().ok()?),
        Type::Array => Item::Array(decoder.array().ok()?),
        Type::Map => Item::Map(decoder.map().ok()?),
        Type::Tag => Item::Tag(decoder.tag().ok()?.as_u64()),
        other => {
            length = 1;
            match other {
                Type::BytesIndef => Item::BytesInPieces,
                Type::StringIndef => Item::TextInPieces,
                Type::ArrayIndef => Item::Array(None),
                Type::MapIndef => Item::Map(None),
                Type::Break => Item::Break,
                _ => return None,
            }
        }
    };
    *rest = rest.get(decoder.position().max(length)..)?;
    Some(item)
}

/// A number in half precision (IEEE 754 binary16): sign, five bits of exponent, ten of fraction.
fn half(bits: u16) -> f32 {
    let (exponent, fraction) = (u32::from(bits >> 10 & 31), u32::from(bits & 1023));
    let value = match exponent {
        0 => fraction as f32 / 16_777_216.0,
        31 => f32::from_bits(0x7f80_0000 | fraction << 13),
        _ => f32::from_bits((exponent + 112) << 23 | fraction << 13),
    };
    if bits >> 15 == 1 { -value } else { value }
}
