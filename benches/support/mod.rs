//! What the benchmarks share: the server under test, brokers, floods, /proc and the table.

// Each benchmark uses a part of it.
#![allow(dead_code)]

pub mod drain;
pub mod fake_broker;
pub mod hour;
pub mod memory;
pub mod mosquitto;
pub mod options;
pub mod packets;
pub mod process;
pub mod relay;
pub mod server;
pub mod speed;
pub mod startup;
pub mod table;
pub mod through;
