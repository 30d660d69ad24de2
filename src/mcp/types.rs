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

/// What is served (schema `ServerCapabilities`). No list tells of its changes.
#[derive(Serialize)]
pub struct Capabilities {
    tools: Empty,
    #[serde(skip_serializing_if = "Option::is_none")]
    resources: Option<ResourcesCapability>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompts: Option<Empty>,
    #[serde(skip_serializing_if = "Option::is_none")]
    completions: Option<Empty>,
}

#[derive(Serialize)]
struct ResourcesCapability {
    subscribe: bool,
}

impl Capabilities {
    /// Tools, and the other offers if there are any, as `revision` has them.
    pub fn of(revision: Revision, offers: bool) -> Self {
        Self {
            tools: Empty {},
            resources: offers.then_some(ResourcesCapability { subscribe: true }),
            prompts: offers.then_some(Empty {}),
            completions: (offers && revision.has_completions_capability()).then_some(Empty {}),
        }
    }
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
pub struct ModernMembers<'a> {
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
    pub meta: ResultMeta<'a>,
}

/// `_meta` of a modern result.
#[derive(Serialize)]
pub struct ResultMeta<'a> {
    /// Who answered.
    #[serde(rename = "io.modelcontextprotocol/serverInfo")]
    pub server_info: ServerInfo,
    /// The subscription that this result ends.
    #[serde(rename = "io.modelcontextprotocol/subscriptionId", skip_serializing_if = "Option::is_none")]
    pub subscription_id: Option<&'a Id>,
}

/// `data` of the error for a resource that is not there.
#[derive(Serialize)]
pub struct NamedResource<'a> {
    /// Which one.
    pub uri: &'a str,
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

/// `_meta` of a notification on the stream of a `subscriptions/listen` (2026-07-28).
#[derive(Serialize)]
pub struct SubscriptionMeta<'a> {
    /// The request's id, in value and type.
    #[serde(rename = "io.modelcontextprotocol/subscriptionId")]
    pub subscription_id: &'a Id,
}

/// `notifications/resources/updated`.
#[derive(Serialize)]
pub struct Updated<'a> {
    /// The stream, where there is one.
    #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
    pub meta: Option<SubscriptionMeta<'a>>,
    /// The resource, named as the client did.
    pub uri: &'a str,
}

/// `notifications/subscriptions/acknowledged`.
#[derive(Serialize)]
pub struct Acknowledged<'a> {
    /// The stream.
    #[serde(rename = "_meta")]
    pub meta: SubscriptionMeta<'a>,
    /// What of the wishes will be told.
    pub notifications: Honoured<'a>,
}

/// The wishes that are honoured (schema `SubscriptionFilter`).
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Honoured<'a> {
    /// Updates of these resources.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub resource_subscriptions: &'a [&'a str],
}
