//! Eight bytes at a time, for what each byte of each message is asked.

/// One in each byte.
pub(crate) const EACH: u64 = 0x0101_0101_0101_0101;
/// The high bit of each byte.
pub(crate) const HIGH: u64 = 0x80 * EACH;

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

#[cfg(test)]
mod tests {
    use super::*;

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
