//! Black-box tests: the real binary, a real Mosquitto, and a scripted broker for what no real one does on demand.
//!
//! One file per concern. What every line of stdout owes is checked in `support::server`, whatever a test is about.

mod audit;
mod budgets;
mod check_command;
mod checklist;
mod checks;
mod cli;
mod collect;
mod connect_errors;
#[cfg(feature = "demo")]
mod demo;
mod devices;
mod faults;
mod injection;
mod jsonrpc;
mod large;
mod lifecycle;
mod listen;
#[cfg(feature = "binary")]
mod packed;
mod performance;
mod policy;
mod profiles;
mod progress;
mod prompts;
mod publish;
mod readme;
mod reconnect;
mod requests;
mod resources;
mod schemas;
mod secrets;
mod sessions;
mod shared;
mod smoke;
mod snapshots;
mod stdio;
mod streams;
mod support;
mod tidy;
#[cfg(feature = "tls")]
mod tls;
#[cfg(feature = "tls")]
mod tls_profiles;
mod topics;
#[cfg(feature = "demo")]
mod tour;
mod watches;
