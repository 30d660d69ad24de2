//! Memory and speed of the release binary.
fn main() {}
