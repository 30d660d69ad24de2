//! Eight bytes at a time, for what each byte of each message is asked.

/// One in each byte.
pub(super) const EACH: u64 = 0x0101_0101_0101_0101;
/// The high bit of each byte.
pub(super) const HIGH: u64 = 0x80 * EACH;

/// The high bits of the bytes below `limit`, which is ASCII. The lowest is exact; above it, where the subtraction may have
/// borrowed, there may be false ones.
#[inline(always)]
pub(super) fn below(chunk: u64, limit: u8) -> u64 {
    chunk.wrapping_sub(EACH * u64::from(limit)) & !chunk & HIGH
}
