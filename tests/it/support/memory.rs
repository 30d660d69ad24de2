//! What a process holds, as the kernel shows it.

use std::fs::{File, read_to_string};
use std::os::unix::fs::FileExt;

/// Which of `needles` stand anywhere in the writable memory of a process.
pub fn find_in_memory<'a>(pid: u32, needles: &[&'a str]) -> Vec<&'a str> {
    let maps = read_to_string(format!("/proc/{pid}/maps")).expect("the process's maps");
    let memory = File::open(format!("/proc/{pid}/mem")).expect("the memory of our own child");
    let mut found = Vec::new();
    let mut read_bytes = 0;
    for region in maps.lines() {
        let mut words = region.split_whitespace();
        let (range, rights) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        if !rights.starts_with("rw") {
            continue;
        }
        let (from, to) = range.split_once('-').expect("a range");
        let address = |text| u64::from_str_radix(text, 16).expect("an address");
        let mut bytes = vec![0; (address(to) - address(from)) as usize];
        let count = memory.read_at(&mut bytes, address(from)).unwrap_or(0);
        read_bytes += count;
        found.extend(needles.iter().filter(|needle| contains(&bytes[..count], needle.as_bytes())));
    }
    assert!(read_bytes > 100_000, "only {read_bytes} bytes of memory could be read");
    found
}

/// The most memory that a process has used, in kB.
pub fn peak_kb(pid: u32) -> u64 {
    let status = read_to_string(format!("/proc/{pid}/status")).expect("the process's status");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("VmHWM");
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
}

pub fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| *byte == needle[0]) {
        if rest[at..].starts_with(needle) {
            return true;
        }
        rest = &rest[at + 1..];
    }
    false
}
