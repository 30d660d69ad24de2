//! Understanding messages: pure functions and accumulators. No I/O, no clock, no protocol; time is an argument.

pub mod alarm;
pub mod correlate;
pub mod expect;
pub mod payload;
pub mod prune;
pub mod ring;
pub mod store;
pub mod topics;
