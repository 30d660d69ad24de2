//! Eight bytes at a time, for what each byte of each message is asked.

use std::hint::black_box;

/// One in each byte.
pub(crate) const EACH: u64 = 0x0101_0101_0101_0101;
/// The high bit of each byte.
pub(crate) const HIGH: u64 = 0x80 * EACH;

/// What is longer is copied faster by a string instruction.
const SHORT_BYTES: usize = 512;

/// The high bits of the bytes below `limit`, which is ASCII. The lowest is exact; above it, where the subtraction may have
/// borrowed, there may be false ones.
#[inline(always)]
pub(crate) fn below(chunk: u64, limit: u8) -> u64 {
    chunk.wrapping_sub(EACH * u64::from(limit)) & !chunk & HIGH
}

/// Whether a byte is below `limit`, which is ASCII.
pub(crate) fn has_below(bytes: &[u8], limit: u8) -> bool {
    let has = |chunk: &[u8; 8]| below(u64::from_ne_bytes(*chunk), limit) != 0;
    // The last eight may be among those before.
    match bytes.last_chunk() {
        Some(last) => has(last) || bytes.as_chunks().0.iter().any(has),
        None => bytes.iter().any(|byte| *byte < limit),
    }
}

/// Whether they are the same: the ends are looked at first, where names differ most often.
pub(crate) fn equal(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    let are_same = |(one, other): (&[u8; 8], &[u8; 8])| u64::from_ne_bytes(*one) == u64::from_ne_bytes(*other);
    match one.last_chunk().zip(other.last_chunk()) {
        Some(last) => are_same(last) && one.as_chunks().0.iter().zip(other.as_chunks().0).all(are_same),
        None => one.iter().zip(other).all(|(one, other)| one == other),
    }
}

/// Copies what is as long. For what is short, as most messages are, musl's `memcpy` takes several times as long: it is one
/// string instruction, which is slow to start. `black_box` keeps the compiler from making a `memcpy` of this one, too.
pub(crate) fn copy(from: &[u8], to: &mut [u8]) {
    let one = |(to, from): (&mut [u8; 8], &[u8; 8])| *to = black_box(u64::from_ne_bytes(*from)).to_ne_bytes();
    if from.len() <= SHORT_BYTES
        && let Some(last) = to.last_chunk_mut().zip(from.last_chunk())
    {
        one(last);
        to.as_chunks_mut().0.iter_mut().zip(from.as_chunks().0).for_each(one);
    } else {
        to.copy_from_slice(from);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_anywhere_is_not_equal() {
        let bytes: Vec<u8> = (0..30).collect();
        for length in 0..=bytes.len() {
            assert!(equal(&bytes[..length], &bytes[..length]));
            assert!(length == 0 || !equal(&bytes[..length], &bytes[..length - 1]));
            for at in 0..length {
                let mut other = bytes[..length].to_vec();
                other[at] ^= 1;
                assert!(!equal(&bytes[..length], &other), "{at} of {length}");
            }
        }
    }

    #[test]
    fn a_copy_is_equal_whatever_its_length() {
        let bytes: Vec<u8> = (0..600_u16).map(|n| n as u8 ^ 0x5a).collect();
        for length in (0..40).chain(SHORT_BYTES - 9..SHORT_BYTES + 9) {
            let mut to = [0; 600];
            copy(&bytes[..length], &mut to[..length]);
            assert_eq!(to[..length], bytes[..length]);
            assert!(to[length..].iter().all(|byte| *byte == 0), "{length}");
        }
    }

    #[test]
    fn a_low_byte_is_found_wherever_it_stands() {
        for limit in [1, b' ', b',', 0x7f] {
            for other in limit..=u8::MAX {
                for at in 0..20 {
                    let mut bytes = [other; 20];
                    assert!(!has_below(&bytes[..at], limit), "{limit} {other}");
                    bytes[at] = limit - 1;
                    assert!(has_below(&bytes[..=at], limit) && has_below(&bytes, limit), "{limit} {other} {at}");
                }
            }
        }
    }
}
