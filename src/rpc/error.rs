//! JSON-RPC errors; the only place that names the standard's numbers (JSON-RPC 2.0 section 5.1, MCP "Error Codes").

use serde::Serialize;
use serde_json::value::RawValue;

use crate::secret::redacted;

/// The line is not JSON.
pub const PARSE_ERROR: i64 = -32700;
/// JSON, but not a request, notification or response.
pub const INVALID_REQUEST: i64 = -32600;
/// No such method.
pub const METHOD_NOT_FOUND: i64 = -32601;
/// Parameters that do not fit the method.
pub const INVALID_PARAMS: i64 = -32602;
/// Our own failure.
pub const INTERNAL_ERROR: i64 = -32603;
/// There is no such resource (MCP up to 2025-11-25 "Resources"; later it is [`INVALID_PARAMS`]).
pub const RESOURCE_NOT_FOUND: i64 = -32002;
/// The request names an MCP revision that is not served (MCP 2026-07-28 "Protocol Version Negotiation").
pub const UNSUPPORTED_VERSION: i64 = -32022;

/// The `error` member of a response: a code, one sentence, and what a program can use.
#[derive(Debug, Serialize)]
pub struct RpcError {
    /// One of the constants here, or a positive code of this server's own.
    pub code: i64,
    /// One sentence.
    pub message: String,
    /// Details as JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Box<RawValue>>,
}

impl RpcError {
    /// An error without data.
    pub fn new(code: i64, message: impl Into<String>) -> Self {
        Self { code, message: redacted(message), data: None }
    }

    /// Adds details.
    pub fn with_data(mut self, data: &impl Serialize) -> Self {
        self.data = serde_json::value::to_raw_value(data).ok();
        self
    }

    /// [`INVALID_PARAMS`] with a sentence.
    pub fn invalid_params(message: impl Into<String>) -> Self {
        Self::new(INVALID_PARAMS, message)
    }

    /// [`INVALID_REQUEST`] with a sentence.
    pub fn invalid_request(message: impl Into<String>) -> Self {
        Self::new(INVALID_REQUEST, message)
    }
}
