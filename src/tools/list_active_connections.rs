//! Shows the open sessions.

use std::rc::Rc;

use serde::Serialize;

use super::args::Args;
use super::profile::Profile;
use super::{Context, Effect, Ended, Tool};
use crate::clock::{Now, Timestamp};
use crate::mcp::server::body;
use crate::mqtt::session::Session;
use crate::mqtt::state::State;
use crate::mqtt::table::Entry;
use crate::rpc::outgoing::is_zero;
use crate::secret::redacted;

pub(super) const TOOL: Tool = Tool {
    name: "list_active_connections",
    title: "List sessions",
    description: "Shows the open sessions with their state, traffic and last error, and the configured brokers with \
what their keeper says of them. Sends nothing. state is connected, reconnecting (lost, coming back by itself) or failed (the broker refuses \
it: close it and connect anew).",
    params: &[],
    output: r#""active_connections":{"type":"array","items":{"type":"object","properties":{"session_id":{"type":"string"},"state":{"enum":["connected","reconnecting","failed"]}},"required":["session_id","state"]}},"total_count":{"type":"integer"},"max_connections":{"type":"integer"},"brokers":{"type":"array","items":{"type":"string"}},"broker_profiles":{"type":"array"}"#,
    effect: Effect::Local,
    run: |context, args| Box::pin(run(context, args)),
};

#[derive(Serialize)]
struct Sessions<'a> {
    status: &'static str,
    active_connections: Vec<Row<'a>>,
    total_count: usize,
    max_connections: usize,
    brokers: Vec<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    broker_profiles: Vec<Configured<'a>>,
}

/// A configured broker, without its credentials.
#[derive(Serialize)]
struct Configured<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    broker: &'a str,
    port: u16,
    tls: bool,
}

#[derive(Serialize)]
struct Row<'a> {
    session_id: &'a str,
    broker: &'a str,
    port: u16,
    tls: bool,
    client_id: &'a str,
    state: &'static str,
    created_at: Timestamp,
    last_used_at: Timestamp,
    expires_at: Timestamp,
    reconnects: u64,
    messages_in: u64,
    /// Received, and not shown to any tool.
    #[serde(skip_serializing_if = "is_zero")]
    messages_denied: u64,
    messages_out: u64,
    bytes_in: u64,
    bytes_out: u64,
    last_error: Option<String>,
}

async fn run(context: Context, _args: Args) -> Ended {
    let now = Now::read();
    let entries = context.table.list();
    let active_connections: Vec<_> = entries.iter().map(|entry| row(&context, entry, now)).collect();
    Ok(body(&Sessions {
        status: "success",
        total_count: active_connections.len(),
        active_connections,
        max_connections: context.table.max_sessions(),
        brokers: context.profiles.iter().map(|(name, _)| name.as_str()).collect(),
        broker_profiles: context.profiles.iter().map(|(name, profile)| configured(name, profile)).collect(),
    }))
}

fn configured<'a>(name: &'a str, profile: &'a Profile) -> Configured<'a> {
    let Profile { endpoint, description, .. } = profile;
    let tls = endpoint.tls.is_some();
    Configured { name, description: description.as_deref(), broker: &endpoint.host, port: endpoint.port, tls }
}

fn row<'a>(context: &Context, entry: &'a Rc<Entry>, now: Now) -> Row<'a> {
    let identity = &entry.connection.identity;
    let last_used = entry.last_used(now);
    let (state, counters, messages_denied, last_error) = entry.connection.look(|session| {
        let last_error = session.last_error().map(|trouble| redacted(trouble.to_string()));
        (state_name(session), session.counters(), session.captures.hidden(), last_error)
    });
    Row {
        session_id: &entry.id,
        broker: &identity.endpoint.host,
        port: identity.endpoint.port,
        tls: identity.endpoint.tls.is_some(),
        client_id: &identity.client_id,
        state,
        created_at: entry.created.timestamp(),
        last_used_at: last_used.timestamp(),
        expires_at: now.timestamp_at(last_used.at + context.table.ttl()),
        reconnects: counters.reconnects,
        messages_in: counters.messages_in,
        messages_denied,
        messages_out: counters.messages_out,
        bytes_in: counters.bytes_in,
        bytes_out: counters.bytes_out,
        last_error,
    }
}

fn state_name(session: &Session) -> &'static str {
    match session.state() {
        State::Connected => "connected",
        State::Connecting | State::Reconnecting => "reconnecting",
        State::Failed(_) | State::Closed => "failed",
    }
}
