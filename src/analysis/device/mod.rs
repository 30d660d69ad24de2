//! What a device's messages tell of its health: fed while they pass, judged at the end. It takes all messages of a call
//! and picks the device's; memory is bounded by limits, whatever passes.

mod alone;
mod answers;
pub mod beats;
pub mod breaks;
mod bridges;
pub mod clocks;
pub mod commands;
pub mod fields;
pub mod findings;
mod impossible;
pub mod labels;
pub mod malformed;
pub(in crate::analysis) mod meaning;
pub mod model;
pub mod names;
mod nodes;
mod numbers;
mod pace;
pub mod places;
pub mod presence;
mod quality;
mod refusals;
mod rest;
mod sequence;
pub mod sparkplug;
pub mod steps;
mod stuck;
mod supply;
mod texts;
pub mod timing;
pub mod told_time;
mod totals;
mod twins;
pub mod units;
mod witnesses;

use std::time::Duration;

/// When something happened: since the call began, and on the wall.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct At {
    /// Since the call began.
    pub elapsed: Duration,
    /// Milliseconds since 1970.
    pub unix_ms: u64,
}

/// A message as it came.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// When.
    pub at: At,
    /// Its topic.
    pub topic: &'a str,
    /// What is there of its payload.
    pub payload: &'a [u8],
    /// The payload's true size.
    pub payload_bytes: usize,
    /// Sent because of the subscription.
    pub retain: bool,
}
