//! MQTT 3.1.1 as a client. Everything but `link` and `driver` is a value: bytes and time go in, bytes and events come out.

pub mod budget;
pub mod capture;
mod copies;
pub mod deadlines;
pub mod driver;
pub mod error;
pub mod guard;
pub mod inflight;
pub mod link;
pub mod liveness;
pub mod outbox;
mod pace;
pub mod policy;
pub mod seen;
pub mod session;
pub mod state;
mod subscriptions;
pub mod table;
pub mod timer;
pub mod tls;
pub mod topic;
pub mod url;
pub mod wire;

#[cfg(test)]
mod fuzz_tests;
