//! Whether bytes are one whole item, decoded or not: its keys may be of any kind, and it may be deeper than what is shown.

use super::writer::{Item, Next};
use super::{cbor, message_pack};

/// Whether a whole payload is one array, map or tagged item of CBOR or MessagePack; others are too easily made by chance.
pub fn is_well_formed(payload: &[u8]) -> bool {
    is_one_item(payload, cbor::next) || is_one_item(payload, message_pack::next)
}

fn is_one_item(mut rest: &[u8], next: Next) -> bool {
    // Items that are still to come, of what is open: so many, or up to a break. Each level has a byte at least.
    let Some(first) = next(&mut rest).and_then(|item| inside(&item)) else { return false };
    let mut open = vec![first];
    while let Some(left) = open.last_mut() {
        if *left == Some(0) {
            open.pop();
            continue;
        }
        let Some(item) = next(&mut rest) else { return false };
        match (left, item) {
            (None, Item::Break) => _ = open.pop(),
            (Some(_), Item::Break) => return false,
            (left, item) => {
                *left = left.map(|left| left - 1);
                open.extend(inside(&item));
            }
        }
    }
    rest.is_empty()
}

/// How many items belong to an item.
fn inside(item: &Item<'_>) -> Option<Option<u64>> {
    match item {
        Item::Array(count) => Some(*count),
        Item::Map(count) => Some(count.map(|count| count.saturating_mul(2))),
        Item::Tag(_) => Some(Some(1)),
        Item::TextInPieces | Item::BytesInPieces => Some(None),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_whole_is_told_from_what_was_cut_whether_it_is_decoded_or_not() {
        let deep = [[0x81].repeat(40), vec![1]].concat();
        for whole in [
            &b"\xa1\x61t\xa1\x01\x02"[..],
            b"\xbf\x61t\x9f\x01\xff\xff",
            b"\xbf\x61t\x7f\x61a\x61b\xff\xff",
            b"\xd9\xd9\xf7\xa1\x01\x02",
            b"\x81\xa1t\x81\x01\x02",
            b"\x82\x01\xca\x41\xac\x00\x00\x02\xc0",
            &deep,
        ] {
            assert!(is_well_formed(whole), "{whole:02x?}");
            assert!(!is_well_formed(&whole[..whole.len() - 1]), "{whole:02x?} cut");
            assert!(!is_well_formed(&[whole, &[0]].concat()), "{whole:02x?} and more");
        }
        for other in [&b""[..], b"\x00", b"\x63abc", b"\xa1\xff\xff", b"\xbb\xff\xff\xff\xff\xff\xff\xff\xff", b"{}"] {
            assert!(!is_well_formed(other), "{other:02x?}");
        }
    }
}
