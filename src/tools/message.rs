//! A message as results show it.

use serde::Serialize;

use crate::analysis::payload::{Inspection, Kind};
use crate::analysis::shown::{Says, Shown, ShownPayload, show};
use crate::analysis::store::Facts;
use crate::clock::{Now, Timestamp};
use crate::mqtt::wire::Publish;

/// One message of a result.
#[derive(Serialize)]
pub(super) struct MessageRow<'a> {
    timestamp: Timestamp,
    topic: &'a str,
    payload: ShownPayload<'a>,
    encoding: &'static str,
    #[serde(flatten)]
    says: Says,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    truncated: bool,
    payload_type: Kind,
    payload_bytes: u32,
    qos: u8,
    retain: bool,
    dup: bool,
}

impl<'a> MessageRow<'a> {
    /// Shows at most `payload_limit` bytes of what was kept of the payload.
    pub(super) fn new(facts: &Facts, topic: &'a str, kept: &'a [u8], payload_limit: usize) -> Self {
        let Shown { payload, encoding, truncated, says } = show(kept, facts.payload_bytes as usize, payload_limit);
        Self {
            timestamp: Timestamp(facts.unix_ms),
            topic,
            payload,
            encoding,
            says,
            truncated,
            payload_type: facts.kind,
            payload_bytes: facts.payload_bytes,
            qos: facts.qos,
            retain: facts.retain,
            dup: facts.dup,
        }
    }
}

/// What is worth keeping of a message besides topic and payload; its number is given by who keeps it.
pub(super) fn facts_of(message: &Publish<'_>, inspection: &Inspection, now: Now) -> Facts {
    Facts {
        kind: inspection.kind,
        sequence: 0,
        unix_ms: now.unix_ms,
        payload_bytes: message.payload_bytes as u32,
        qos: message.qos,
        retain: message.retain,
        dup: message.dup,
    }
}
