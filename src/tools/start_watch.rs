//! Begins to record in the background.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::args::{Args, Kind, Param};
use super::failure::{Code, Failure};
use super::listen::{Listening, Progress, Wish};
use super::watch::{Record, Watch};
use super::{Context, Effect, Ended, SESSION_ID, TOPIC_PATTERN, Tool};
use crate::analysis::ring::{OnFull, Ring};
use crate::clock::{Now, Timestamp};
use crate::limits::{SUBACK_WAIT, WATCH_CAPACITY_MAX, WATCH_MAX_BYTES, WATCHES_MAX};
use crate::mcp::server::body;
use crate::mqtt::capture::Retained;
use crate::mqtt::table::new_id;

pub(super) const TOOL: Tool = Tool {
    name: "start_watch",
    title: "Start recording",
    description: "Subscribes and records messages in the background, so that nothing is missed between calls. Use it for \
waits longer than 30 s and to see what an action causes: start_watch, act, read_watch. Returns watch_id at once. \
Bounded: when full, on_full decides what gives way, and read_watch tells exactly how many were dropped. At most 5 run; \
each ends with stop_watch or its session.",
    params: &[
        SESSION_ID,
        TOPIC_PATTERN,
        Param {
            name: "qos",
            kind: Kind::Integer { min: 0, max: 2, default: Some(0) },
            required: false,
            doc: "QoS of the subscription.",
        },
        Param {
            name: "capacity",
            kind: Kind::Integer { min: 1, max: WATCH_CAPACITY_MAX, default: Some(500) },
            required: false,
            doc: "Messages kept; 512 KiB at most in all, 4 KiB of each payload.",
        },
        Param {
            name: "on_full",
            kind: Kind::Choice { values: &["drop_oldest", "prune"], default: "drop_oldest" },
            required: false,
            doc: "prune thins out evenly and keeps reports of errors.",
        },
    ],
    output: r#""watch_id":{"type":"string"},"listening_since":{"type":"string"},"granted_qos":{"type":"integer"}"#,
    effect: Effect::Session,
    run: |context, args| Box::pin(run(context, args)),
};

#[derive(Serialize)]
struct Started<'a> {
    status: &'static str,
    watch_id: &'a str,
    listening_since: Timestamp,
    granted_qos: u8,
}

async fn run(context: Context, args: Args) -> Ended {
    let session = context.session(&args)?;
    let filter = args.text("topic_pattern");
    limit(&context)?;
    let on_full = if args.text("on_full") == "prune" { OnFull::Prune } else { OnFull::DropOldest };
    let ring = Ring::new(args.size("capacity"), WATCH_MAX_BYTES, on_full);
    let record = Rc::new(RefCell::new(Record { ring, bytes_received: 0, news: Rc::default() }));
    let wish = Wish {
        filter,
        parameter: "topic_pattern",
        qos: args.integer("qos") as u8,
        retained: Retained::Include,
        duration: Duration::ZERO,
    };
    let listening = Listening::start(&session.connection, &wish, record.clone())?;
    let granted_qos = listening.grant(Instant::now() + SUBACK_WAIT, &mut Progress::new(&context, SUBACK_WAIT)).await?;
    // Others may have been started while this one waited.
    limit(&context)?;
    let id = new_id().ok_or_else(Failure::internal)?;
    let listening_since = Now::read().timestamp();
    let (session_id, connection) = (session.id.clone(), session.connection.clone());
    context.watches.add(Watch { id: id.clone(), session_id, connection, listening, record, listening_since });
    Ok(body(&Started { status: "success", watch_id: &id, listening_since, granted_qos }))
}

fn limit(context: &Context) -> Result<(), Failure> {
    if context.watches.count() < WATCHES_MAX {
        return Ok(());
    }
    let message = format!("{WATCHES_MAX} watches are running, which is the limit");
    Err(Failure::new(Code::TooManyCalls, message, "stop_watch ends one"))
}
