//! Ends a watch.

use serde::Serialize;

use super::args::Args;
use super::watch::Watch;
use super::{Context, Effect, Ended, Tool, WATCH_ID};
use crate::clock::{Now, Timestamp};
use crate::mcp::server::body;

pub(super) const TOOL: Tool = Tool {
    name: "stop_watch",
    title: "Stop recording",
    description: "Ends a watch, takes its subscription back and returns its totals. Of them `dropped` were given up for room, \
read or not. What was not read is gone.",
    params: &[WATCH_ID],
    output: r#""watch_id":{"type":"string"},"session_id":{"type":"string"},"message_count":{"type":"integer"},"bytes_received":{"type":"integer"},"dropped":{"type":"integer"},"listening_since":{"type":"string"},"stopped_at":{"type":"string"}"#,
    effect: Effect::Session,
    run: |context, args| Box::pin(run(context, args)),
};

#[derive(Serialize)]
struct Stopped<'a> {
    status: &'static str,
    watch_id: &'a str,
    session_id: &'a str,
    message_count: u64,
    bytes_received: u64,
    /// Over its whole life.
    dropped: u64,
    listening_since: Timestamp,
    stopped_at: Timestamp,
}

async fn run(context: Context, args: Args) -> Ended {
    let watch = context.watches.get(args.text("watch_id"))?;
    context.watches.remove(&watch.id);
    Ok(stopped(&watch))
}

fn stopped(watch: &Watch) -> std::rc::Rc<dyn crate::rpc::outgoing::Body> {
    let record = watch.record.borrow();
    body(&Stopped {
        status: "stopped",
        watch_id: &watch.id,
        session_id: &watch.session_id,
        message_count: record.ring.seen(),
        bytes_received: record.bytes_received,
        dropped: record.ring.dropped(),
        listening_since: watch.listening_since,
        stopped_at: Now::read().timestamp(),
    })
}
