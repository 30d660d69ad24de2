//! Black-box tests: the real binary, a real Mosquitto, and a scripted broker for what no real one does on demand.
//!
//! One file per concern. What every line of stdout owes is checked in `support::server`, whatever a test is about.

mod audit;
mod budgets;
#[cfg(feature = "analysis")]
mod check_command;
#[cfg(feature = "library")]
mod checklist;
#[cfg(feature = "analysis")]
mod checks;
mod cli;
mod collect;
mod connect_errors;
#[cfg(feature = "demo")]
mod demo;
#[cfg(feature = "analysis")]
mod devices;
mod faults;
mod injection;
mod jsonrpc;
mod large;
mod lifecycle;
#[cfg(feature = "library")]
mod listen;
#[cfg(all(feature = "analysis", feature = "binary"))]
mod packed;
#[cfg(feature = "analysis")]
mod performance;
mod policy;
#[cfg(feature = "analysis")]
mod probes;
mod profiles;
mod progress;
#[cfg(feature = "library")]
mod prompts;
mod publish;
mod readme;
mod reconnect;
#[cfg(feature = "analysis")]
mod requests;
#[cfg(feature = "library")]
mod resources;
#[cfg(feature = "analysis")]
mod schemas;
mod secrets;
mod sessions;
mod shared;
mod smoke;
mod snapshots;
mod stdio;
#[cfg(feature = "analysis")]
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
