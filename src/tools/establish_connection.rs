//! Opens a session.

use std::time::Instant;

use serde::Serialize;

use super::args::{Args, Kind, Param};
use super::failure::{Code, Failure};
use super::profile::Profile;
use super::{Context, Effect, Ended, Tool};
use crate::analysis::words::count;
use crate::clock::{Now, Timestamp, millis};
use crate::limits::{CONNECT_TIMEOUT_DEFAULT_SECONDS, KEEP_ALIVE_DEFAULT_SECONDS, TIMEOUT_MAX_SECONDS};
use crate::mcp::server::body;
use crate::mqtt::driver::Identity;
use crate::mqtt::table::OpenError;
use crate::mqtt::wire;

pub(super) const TOOL: Tool = Tool {
    name: "establish_connection",
    title: "Connect to a broker",
    description: "Connects to an MQTT broker and opens a session. Give exactly one of connection_string or broker (the \
name of a configured broker, see list_active_connections; its credentials stay on the server). Returns session_id, \
which the other tools take. Nothing is subscribed or published. The session stays connected, reconnects by itself, and \
expires after some time without use (expires_at). A password in connection_string is never shown again.",
    params: &[
        Param {
            name: "connection_string",
            kind: Kind::Text { max_bytes: 4096, default: None },
            required: false,
            doc: "mqtt://[user[:password]@]host[:port][/client_id] or mqtts://…; percent-encode special characters.",
        },
        Param {
            name: "broker",
            kind: Kind::Text { max_bytes: 128, default: None },
            required: false,
            doc: "Name of a configured broker.",
        },
        Param {
            name: "client_id",
            kind: Kind::Text { max_bytes: 1024, default: None },
            required: false,
            doc: "Default: a random one. A broker disconnects another client that uses the same id.",
        },
        Param {
            name: "keep_alive_seconds",
            kind: Kind::Integer { min: 0, max: 65_535, default: Some(KEEP_ALIVE_DEFAULT_SECONDS) },
            required: false,
            doc: "Silence after which the connection is checked; 0 turns that off.",
        },
        Param {
            name: "clean_session",
            kind: Kind::Flag { default: true },
            required: false,
            doc: "false lets the broker keep the session of the client_id between connections. Messages it kept are acknowledged and counted when they come; only those that a running call collects are shown.",
        },
        Param {
            name: "timeout_seconds",
            kind: Kind::Integer { min: 1, max: TIMEOUT_MAX_SECONDS, default: Some(CONNECT_TIMEOUT_DEFAULT_SECONDS) },
            required: false,
            doc: "For the whole way from name look-up to the broker's answer.",
        },
    ],
    output: r#""session_id":{"type":"string"},"broker":{"type":"string"},"port":{"type":"integer"},"tls":{"type":"boolean"},"client_id":{"type":"string"},"protocol":{"type":"string"},"session_present":{"type":"boolean"},"created_at":{"type":"string"},"expires_at":{"type":"string"},"session_ttl_seconds":{"type":"integer"},"connect_ms":{"type":"number"}"#,
    effect: Effect::Session,
    run: |context, args| Box::pin(run(context, args)),
};

#[derive(Serialize)]
struct Connected<'a> {
    status: &'static str,
    session_id: &'a str,
    broker: &'a str,
    port: u16,
    tls: bool,
    client_id: &'a str,
    protocol: &'static str,
    session_present: bool,
    created_at: Timestamp,
    expires_at: Timestamp,
    session_ttl_seconds: u64,
    connect_ms: f64,
}

async fn run(context: Context, args: Args) -> Ended {
    let started = Now::read();
    let identity = identity(&context, &args)?;
    let deadline = started.at + args.seconds("timeout_seconds");
    let table = &context.table;
    let session = table.open(identity, deadline).await.map_err(|error| failure(&error, table.max_sessions()))?;
    let (now, identity) = (Now::read(), &session.connection.identity);
    Ok(body(&Connected {
        status: "connected",
        session_id: &session.id,
        broker: &identity.endpoint.host,
        port: identity.endpoint.port,
        tls: identity.endpoint.tls.is_some(),
        client_id: &identity.client_id,
        protocol: "MQTT 3.1.1",
        session_present: session.connection.look(|session| session.session_present()),
        created_at: session.created.timestamp(),
        expires_at: now.timestamp_at(now.at + table.ttl()),
        session_ttl_seconds: table.ttl().as_secs(),
        connect_ms: millis(Instant::now() - started.at),
    }))
}

fn failure(error: &OpenError, max_sessions: usize) -> Failure {
    match error {
        OpenError::Connect(trouble) => trouble.into(),
        OpenError::NoRandom => Failure::internal(),
        OpenError::Limit => Failure::new(
            Code::SessionLimit,
            format!("the limit of {} is reached", count(max_sessions as u64, "open session")),
            "use an open session (list_active_connections) or close one (close_connection)",
        ),
    }
}

fn identity(context: &Context, args: &Args) -> Result<Identity, Failure> {
    let profile = Profile::asked_for(context, args)?;
    let client_id = match args.optional_text("client_id").map(str::to_owned).or(profile.client_id) {
        Some(client_id) => client_id,
        None => random_client_id()?,
    };
    let clean_session = args.flag("clean_session");
    wire::check_string(&client_id).map_err(|what| Failure::invalid("client_id", what))?;
    if client_id.is_empty() && !clean_session {
        // Brokers must refuse it (3.1.3.1).
        return Err(Failure::invalid("client_id", "must not be empty with clean_session false"));
    }
    Ok(Identity {
        endpoint: profile.endpoint,
        client_id,
        clean_session,
        keep_alive_seconds: match profile.keep_alive_seconds {
            Some(seconds) if !args.is_given("keep_alive_seconds") => seconds,
            _ => args.integer("keep_alive_seconds") as u16,
        },
        credentials: profile.credentials,
        observer: None,
    })
}

/// `mqtt-mcp-` and 12 hexadecimal digits: 21 of the 23 characters that every broker must take (3.1.3.1).
pub(super) fn random_client_id() -> Result<String, Failure> {
    let mut bytes = [0; 6];
    getrandom::fill(&mut bytes).map_err(|_| Failure::internal())?;
    Ok(format!("mqtt-mcp-{}", base16ct::lower::encode_string(&bytes)))
}
