//! Understanding messages: pure functions and accumulators. No I/O, no clock, no protocol; time is an argument.

pub mod alarm;
pub mod binary;
pub mod broker_facts;
pub mod correlate;
pub mod decimal;
pub mod decode;
pub mod device;
pub mod expect;
pub mod garbled;
pub mod health;
pub mod heavy;
pub mod histogram;
mod lines;
mod look;
pub mod payload;
pub mod prune;
pub mod ring;
pub mod schema;
pub mod seconds;
pub mod shown;
pub mod sort;
pub mod store;
pub mod topics;
pub mod traffic;
pub mod words;
