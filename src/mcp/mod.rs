//! The Model Context Protocol over JSON-RPC, as values: lines go in, effects come out. It knows no MQTT and does no I/O.

mod answer;
pub mod offers;
pub mod server;
pub mod types;
pub mod version;
