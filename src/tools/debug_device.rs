//! Finds out what is wrong with one device.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use smol::future::or;

use super::args::{Args, Kind, Param};
use super::device_report::{self, Seen};
use super::failure::Failure;
use super::listen::{Heard, Wish, listen};
use super::message::facts_of;
use super::{Context, Effect, Ended, MAX_RESPONSE_BYTES, SESSION_ID, Tool};
use crate::analysis::device::model::Device;
use crate::analysis::device::names::Name;
use crate::analysis::device::{At, Message};
use crate::analysis::prune::Pruner;
use crate::clock::Now;
use crate::limits::{
    DEBUG_DURATION_MAX_SECONDS, DEVICE_ID_MAX_BYTES, INSPECT_MAX_BYTES, RECENT_CANDIDATES, RECENT_MAX_BYTES,
    RECENT_PAYLOAD_BYTES,
};
use crate::mqtt::capture::{Flow, Recorder, Retained};
use crate::mqtt::driver::Connection;
use crate::mqtt::session::Session;
use crate::mqtt::state::State;
use crate::mqtt::wire::Publish;

pub(super) const TOOL: Tool = Tool {
    name: "debug_device",
    title: "Examine device",
    description: "Listens to all traffic and judges one device: online or not, heartbeats, errors, command answers, \
and `findings` with evidence (gaps, stuck values, bad JSON, wrong clock, stale data). If it is silent, similar ids are \
named. Publishes nothing. Payloads are untrusted.",
    params: &[
        SESSION_ID,
        Param {
            name: "device_id",
            kind: Kind::Text { max_bytes: DEVICE_ID_MAX_BYTES, default: None },
            required: true,
            doc: "As in topics.",
        },
        Param {
            name: "match",
            kind: Kind::Choice { values: &["level", "contains"], default: "level" },
            required: false,
            doc: "Level or part.",
        },
        Param {
            name: "topic_pattern",
            kind: Kind::Text { max_bytes: 65_535, default: Some("#") },
            required: false,
            doc: "Narrower.",
        },
        Param {
            name: "duration_seconds",
            kind: Kind::Integer { min: 1, max: DEBUG_DURATION_MAX_SECONDS, default: Some(30) },
            required: false,
            doc: "Several of its intervals.",
        },
        MAX_RESPONSE_BYTES,
    ],
    output: r#""findings":{"type":"array"}"#,
    effect: Effect::Reads,
    run: |context, args| Box::pin(run(context, args)),
};

async fn run(context: Context, args: Args) -> Ended {
    let session = context.session(&args)?;
    let connection = &session.connection;
    let id = args.text("device_id");
    check_id(id)?;
    let wish = Wish {
        filter: args.text("topic_pattern"),
        parameter: "topic_pattern",
        qos: 0,
        retained: Retained::Include,
        duration: args.seconds("duration_seconds"),
    };
    let mut device = Device::new(Name::new(id, args.text("match") == "contains"));
    device.hears_nodes = wish.filter == "#" || wish.filter == "spBv1.0/#";
    let recent = Pruner::new(RECENT_CANDIDATES, wish.duration, RECENT_PAYLOAD_BYTES, RECENT_MAX_BYTES);
    let watched = Rc::new(RefCell::new(Watched { started: Instant::now(), device, recent }));
    let count = || watched.borrow().recent.seen();
    let heard =
        or(listen(&context, connection, &wish, watched.clone(), count), note_gaps(connection, &watched)).await?;
    let now = Now::read();
    let mut watched = watched.borrow_mut();
    watched.recent.finish();
    let end = At { elapsed: watched.started.elapsed(), unix_ms: now.unix_ms };
    let seen = Seen { device: &watched.device, recent: &watched.recent, heard: &heard, end, filter: wish.filter };
    Ok(device_report::fitting(&seen, args.size("max_response_bytes")))
}

fn check_id(id: &str) -> Result<(), Failure> {
    let is_name = !id.trim_matches('/').is_empty() && !id.contains(['+', '#', '\0']);
    is_name.then_some(()).ok_or_else(|| {
        Failure::invalid(
            "device_id",
            "must be a name as it stands in topics, without wildcards: pump1, not home/pump1/#",
        )
    })
}

/// Notes when the connection goes, for as long as somebody else lets it run: times without it are no silence.
async fn note_gaps(connection: &Connection, watched: &RefCell<Watched>) -> Result<Heard, Failure> {
    const LONG: Duration = Duration::from_secs(DEBUG_DURATION_MAX_SECONDS as u64);
    let away = |session: &Session| *session.state() != State::Connected;
    loop {
        let until = Instant::now() + LONG;
        if connection.until(until, |session| away(session).then_some(())).await.is_some() {
            watched.borrow_mut().device.interrupted();
            connection.until(until, |session| (!away(session)).then_some(())).await;
        }
    }
}

/// What passes, and what of it is the device's.
struct Watched {
    started: Instant,
    device: Device,
    recent: Pruner,
}

impl Recorder for Watched {
    fn record(&mut self, message: &Publish<'_>, now: Now) -> Flow {
        let at = At { elapsed: now.at.saturating_duration_since(self.started), unix_ms: now.unix_ms };
        let Publish { topic, payload, payload_bytes, retain, .. } = *message;
        if let Some(taken) = self.device.record(&Message { at, topic, payload, payload_bytes, retain }) {
            let facts = facts_of(message, &taken.inspection, now);
            self.recent.record(at.elapsed, facts, topic, payload, &taken.inspection, taken.new_topic);
        }
        Flow::More
    }

    fn wanted_payload_bytes(&self) -> usize {
        INSPECT_MAX_BYTES
    }
}
