//! Wire structs of MCP results and notifications.

use std::borrow::Cow;

use serde::Serialize;

use super::version::Revision;
use crate::rpc::message::Id;

/// Names the protocol reserves in `_meta` (2026-07-28 "_meta").
pub mod meta_key {
    /// The revision a request speaks.
    pub const PROTOCOL_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
    /// What the client can do.
    pub const CLIENT_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
    /// Asks for progress notifications.
    pub const PROGRESS_TOKEN: &str = "progressToken";
}

/// Who answers (schema `Implementation`).
#[derive(Serialize)]
pub struct ServerInfo {
    name: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'static str>,
    version: &'static str,
}

impl ServerInfo {
    /// As `revision` has it: the title came with 2025-06-18.
    pub fn of(revision: Revision) -> Self {
        let title = revision.has_structured_results().then_some("MQTT");
        Self { name: "mqtt-mcp", title, version: env!("CARGO_PKG_VERSION") }
    }
}

/// An object without members.
#[derive(Serialize)]
pub struct Empty {}

/// What is served (schema `ServerCapabilities`).
#[derive(Serialize)]
pub struct Capabilities {
    /// `tools/list` and `tools/call`; the list never changes while the server runs.
    pub tools: Empty,
}

/// The answer to `initialize`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InitializeResult {
    /// The revision agreed on.
    pub protocol_version: Revision,
    /// What is served.
    pub capabilities: Capabilities,
    /// Who answers.
    pub server_info: ServerInfo,
    /// How to work with the tools.
    pub instructions: Cow<'static, str>,
}

/// The answer to `server/discover` (2026-07-28).
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DiscoverResult {
    /// All revisions, newest first.
    pub supported_versions: [Revision; 5],
    /// What is served.
    pub capabilities: Capabilities,
    /// How to work with the tools.
    pub instructions: Cow<'static, str>,
}

/// Members that every result of a modern request has (2026-07-28 "ResultType", "Per-response fields", "Caching").
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ModernMembers {
    /// Always `complete`.
    pub result_type: &'static str,
    /// How long a client may keep the result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl_ms: Option<u64>,
    /// Who may keep it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_scope: Option<&'static str>,
    /// Who answered.
    #[serde(rename = "_meta")]
    pub meta: ResultMeta,
}

/// `_meta` of a modern result.
#[derive(Serialize)]
pub struct ResultMeta {
    /// Who answered.
    #[serde(rename = "io.modelcontextprotocol/serverInfo")]
    pub server_info: ServerInfo,
}

/// `data` of the error for a revision that is not served.
#[derive(Serialize)]
pub struct UnsupportedVersion<'a> {
    /// What is served.
    pub supported: &'a [Revision],
    /// What was asked for.
    pub requested: &'a str,
}

/// A notification.
#[derive(Serialize)]
pub struct Notification<P: Serialize> {
    /// Always `2.0`.
    pub jsonrpc: &'static str,
    /// The method.
    pub method: &'static str,
    /// Its parameters.
    pub params: P,
}

/// `notifications/progress`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress<'a> {
    /// The request's token, in value and type.
    pub progress_token: &'a Id,
    /// Grows with each notification.
    pub progress: f64,
    /// What it grows to, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<f64>,
    /// For a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<&'a str>,
}
