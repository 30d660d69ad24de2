//! `mqtt-mcp`: an MCP server that lets AI assistants work with MQTT, small enough for edge gateways.
//!
//! One thread. A request's way: [`stdio`] reads bytes, [`rpc`] cuts lines and parses messages, [`mcp`] decides, and
//! [`runtime`] runs the tool it asks for, or reads what is offered beside tools ([`library`]); the answer goes back
//! through [`mcp`] and is written piece by piece. A message's way: the [`mqtt::driver`] reads from a broker,
//! [`mqtt::wire`] checks and decodes, [`mqtt::session`] acknowledges and gives it to the captures of running calls, whose
//! accumulators live in [`analysis`].
//!
//! Protocols are values: they take bytes and time and give bytes and effects. Sockets are opened in [`mqtt::link`]
//! alone, stdin and stdout are touched in [`stdio`] alone. Every bound and wait is named in [`limits`].

#![forbid(unsafe_code)]

pub mod audit;
pub mod clock;
mod eight;
pub mod hash;
pub mod limits;
pub mod log;
pub mod notify;
pub mod secret;
pub mod sorted;
pub mod stdio;
pub mod task;

pub mod rpc;
pub mod vault;

pub mod analysis;
pub mod mcp;
pub mod mqtt;

pub mod tools;

#[cfg(feature = "library")]
pub mod completion;
#[cfg(feature = "library")]
pub mod library;
#[cfg(feature = "library")]
pub mod prompts;
pub mod resources;

pub mod config;
#[cfg(feature = "demo")]
pub mod demo;
pub mod runtime;
pub mod shell;
