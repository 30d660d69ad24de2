//! JSON-RPC 2.0 over lines: bytes to lines to messages, and lines on their way out. It knows neither MCP nor MQTT.

pub mod error;
pub mod line;
pub mod message;
pub mod outgoing;
