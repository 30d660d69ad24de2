//! Ends a session.

use serde::Serialize;

use super::args::Args;
use super::failure::Failure;
use super::{Context, Effect, Ended, SESSION_ID, Tool};
use crate::clock::{Now, Timestamp};
use crate::mcp::server::body;

pub(super) const TOOL: Tool = Tool {
    name: "close_connection",
    title: "Disconnect",
    description: "Ends a session with DISCONNECT and frees its place. Calls that still run on it end with \
connection_lost. Closing twice gives unknown_session.",
    params: &[SESSION_ID],
    output: r#""session_id":{"type":"string"},"closed_at":{"type":"string"}"#,
    effect: Effect::Session,
    run: |context, args| Box::pin(run(context, args)),
};

#[derive(Serialize)]
struct Closed<'a> {
    status: &'static str,
    session_id: &'a str,
    closed_at: Timestamp,
}

async fn run(context: Context, args: Args) -> Ended {
    let session_id = args.text("session_id");
    if !context.table.close(session_id).await {
        return Err(Failure::unknown_session());
    }
    Ok(body(&Closed { status: "closed", session_id, closed_at: Now::read().timestamp() }))
}
