//! Black-box tests over the real binary.
fn main() {}
