//! A quick hash, the same in every run: for what may meet by chance without harm.

/// One step.
pub fn mix(hash: u64, value: u64) -> u64 {
    (hash.rotate_left(23) ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Of bytes, eight at a time, the last of which may be among those before; the upper half is the better one.
pub fn of_bytes(bytes: &[u8]) -> u64 {
    let length = bytes.len() as u64;
    let Some(last) = bytes.last_chunk() else {
        return mix(0, bytes.iter().fold(length, |word, byte| word << 8 | u64::from(*byte)));
    };
    let (words, _) = bytes.as_chunks();
    let all = words.iter().fold(mix(0, length), |hash, word| mix(hash, u64::from_le_bytes(*word)));
    // What differs is at the end most often, and low bits reach more of the result.
    mix(all, u64::from_be_bytes(*last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_differ_in_one_place_are_spread() {
        let names = [
            |n: u32| format!("device-{n}"),
            |n: u32| format!("plant/line-3/device-{n}"),
            |n: u32| format!("plant/line-{n}/temperature"),
            |n: u32| format!("{n:03}"),
        ];
        for name in names {
            let mut places: Vec<_> = (100..356).map(|n| of_bytes(name(n).as_bytes()) >> 32 & 1023).collect();
            places.sort_unstable();
            places.dedup();
            // By chance, 226 of 256 are distinct in 1024 places.
            assert!(places.len() > 200, "{}: {} places", name(100), places.len());
        }
    }
}
