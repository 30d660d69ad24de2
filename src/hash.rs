//! A quick hash, the same in every run: for what may meet by chance without harm.

/// One step.
pub fn mix(hash: u64, value: u64) -> u64 {
    (hash.rotate_left(23) ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Of bytes, eight at a time; the upper half is the better one.
pub fn of_bytes(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let rest = rest.iter().fold(bytes.len() as u64, |word, byte| word << 8 | u64::from(*byte));
    words.iter().fold(mix(0, rest), |hash, word| mix(hash, u64::from_le_bytes(*word)))
}
