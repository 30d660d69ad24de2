//! MessagePack, item by item.

use rmp::Marker;

use super::writer::Item;
use crate::analysis::binary;

/// Takes the next item; `None` when the bytes are none.
pub(super) fn next<'a>(rest: &mut &'a [u8]) -> Option<Item<'a>> {
    let marker = Marker::from_u8(*take(rest, 1)?.first()?);
    Some(match marker {
        Marker::FixPos(value) => Item::Integer(value.into()),
        Marker::FixNeg(value) => Item::Integer(value.into()),
        Marker::Null => Item::Null,
        Marker::False => Item::Boolean(false),
        Marker::True => Item::Boolean(true),
        Marker::U8 => Item::Integer(unsigned(rest, 1)?.into()),
        Marker::U16 => Item::Integer(unsigned(rest, 2)?.into()),
        Marker::U32 => Item::Integer(unsigned(rest, 4)?.into()),
        Marker::U64 => Item::Integer(unsigned(rest, 8)?.into()),
        // The casts keep the bits, which have the sign.
        Marker::I8 => Item::Integer((unsigned(rest, 1)? as i8).into()),
        Marker::I16 => Item::Integer((unsigned(rest, 2)? as i16).into()),
        Marker::I32 => Item::Integer((unsigned(rest, 4)? as i32).into()),
        Marker::I64 => Item::Integer((unsigned(rest, 8)? as i64).into()),
        Marker::F32 => Item::Single(f32::from_bits(unsigned(rest, 4)? as u32)),
        Marker::F64 => Item::Double(f64::from_bits(unsigned(rest, 8)?)),
        Marker::FixStr(length) => text(rest, length.into())?,
        Marker::Str8 => text_behind(rest, 1)?,
        Marker::Str16 => text_behind(rest, 2)?,
        Marker::Str32 => text_behind(rest, 4)?,
        Marker::Bin8 => bytes_behind(rest, 1)?,
        Marker::Bin16 => bytes_behind(rest, 2)?,
        Marker::Bin32 => bytes_behind(rest, 4)?,
        Marker::FixArray(count) => Item::Array(Some(count.into())),
        Marker::Array16 => Item::Array(Some(unsigned(rest, 2)?)),
        Marker::Array32 => Item::Array(Some(unsigned(rest, 4)?)),
        Marker::FixMap(count) => Item::Map(Some(count.into())),
        Marker::Map16 => Item::Map(Some(unsigned(rest, 2)?)),
        Marker::Map32 => Item::Map(Some(unsigned(rest, 4)?)),
        Marker::FixExt1 => extension(rest, 1)?,
        Marker::FixExt2 => extension(rest, 2)?,
        Marker::FixExt4 => extension(rest, 4)?,
        Marker::FixExt8 => extension(rest, 8)?,
        Marker::FixExt16 => extension(rest, 16)?,
        Marker::Ext8 => extension_behind(rest, 1)?,
        Marker::Ext16 => extension_behind(rest, 2)?,
        Marker::Ext32 => extension_behind(rest, 4)?,
        Marker::Reserved => return None,
    })
}

fn take<'a>(rest: &mut &'a [u8], count: u64) -> Option<&'a [u8]> {
    binary::take(rest, usize::try_from(count).ok()?)
}

fn unsigned(rest: &mut &[u8], width: u64) -> Option<u64> {
    Some(take(rest, width)?.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
}

fn text<'a>(rest: &mut &'a [u8], length: u64) -> Option<Item<'a>> {
    std::str::from_utf8(take(rest, length)?).ok().map(Item::Text)
}

fn text_behind<'a>(rest: &mut &'a [u8], width: u64) -> Option<Item<'a>> {
    let length = unsigned(rest, width)?;
    text(rest, length)
}

fn bytes_behind<'a>(rest: &mut &'a [u8], width: u64) -> Option<Item<'a>> {
    let length = unsigned(rest, width)?;
    take(rest, length).map(Item::Bytes)
}

fn extension_behind<'a>(rest: &mut &'a [u8], width: u64) -> Option<Item<'a>> {
    let length = unsigned(rest, width)?;
    extension(rest, length)
}

fn extension<'a>(rest: &mut &'a [u8], length: u64) -> Option<Item<'a>> {
    let kind = unsigned(rest, 1)? as i8;
    let bytes = take(rest, length)?;
    Some(timestamp(kind, bytes).unwrap_or(Item::Extension(kind, bytes)))
}

/// The one extension that has a meaning of its own, in its three sizes.
fn timestamp(kind: i8, bytes: &[u8]) -> Option<Item<'static>> {
    if kind != -1 {
        return None;
    }
    let mut rest = bytes;
    let (nanoseconds, seconds) = match bytes.len() {
        4 => (0, unsigned(&mut rest, 4)? as i64),
        8 => {
            let both = unsigned(&mut rest, 8)?;
            (both >> 34, (both & 0x3_ffff_ffff) as i64)
        }
        12 => (unsigned(&mut rest, 4)?, unsigned(&mut rest, 8)? as i64),
        _ => return None,
    };
    (nanoseconds < 1_000_000_000).then_some(Item::Timestamp { seconds, nanoseconds: nanoseconds as u32 })
}
