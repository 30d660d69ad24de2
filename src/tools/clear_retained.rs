//! Lists retained messages and, if asked, deletes them.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::args::{Args, Kind, Param};
use super::failure::{Code, Failure};
use super::listen::{Wish, listen};
use super::message::{MessageRow, facts_of};
use super::publish_message::Flight;
use super::{Context, Effect, Ended, MAX_RESPONSE_BYTES, SESSION_ID, TOPIC_PATTERN, Tool};
use crate::analysis::payload;
use crate::analysis::ring::{Kept, OnFull, Ring};
use crate::analysis::sort::sort_by;
use crate::clock::Now;
use crate::limits::{CAPTURE_MAX_BYTES, CLEAR_ACKNOWLEDGE_WAIT, RESPONSE_MAX_BYTES};
use crate::mqtt::capture::{Flow, Recorder, Retained};
use crate::mqtt::inflight::Publish;
use crate::mqtt::wire;
use crate::rpc::outgoing::{WithRows, is_zero, to_json};

pub(super) const TOOL: Tool = Tool {
    name: "clear_retained",
    title: "Delete retained messages",
    description: "Lists the retained messages that match a filter and, only with dry_run false, deletes them, no more \
than it lists, by publishing an empty retained message to each topic (QoS 1). Subscribers see that. Call it first as a \
dry run and show the user what would go. Each row has payload and QoS, so that publish_message with retain true can \
restore it. Never touches $ topics.",
    params: &[
        SESSION_ID,
        TOPIC_PATTERN,
        Param {
            name: "dry_run",
            kind: Kind::Flag { default: true },
            required: false,
            doc: "true lists, false deletes.",
        },
        Param {
            name: "limit",
            kind: Kind::Integer { min: 1, max: 1000, default: Some(100) },
            required: false,
            doc: "The most that are listed or deleted; all are counted.",
        },
        MAX_RESPONSE_BYTES,
        Param {
            name: "wait_ms",
            kind: Kind::Integer { min: 100, max: 60_000, default: Some(1500) },
            required: false,
            doc: "How long the broker may take to send them.",
        },
    ],
    output: r#""topics":{"type":"array","items":{"type":"object","required":["topic","payload","encoding","qos"]}},"topic_count":{"type":"integer"},"listed":{"type":"integer"},"omitted":{"type":"integer"},"cleared":{"type":"integer"},"dry_run":{"type":"boolean"},"failed":{"type":"string"}"#,
    effect: Effect::Publishes,
    run: |context, args| Box::pin(run(context, args)),
};

#[derive(Serialize)]
struct Cleared {
    status: &'static str,
    dry_run: bool,
    topic_count: u64,
    listed: usize,
    /// More are retained than are listed, and deleted.
    #[serde(skip_serializing_if = "is_zero")]
    omitted: u64,
    cleared: usize,
    /// Why not all that are listed were deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    failed: Option<String>,
    /// What an empty list may mean.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'static str>,
}

/// Retained messages, one per topic; what does not fit is counted.
struct Found {
    ring: Ring,
    limit: usize,
    others: u64,
}

async fn run(context: Context, args: Args) -> Ended {
    let session = context.session(&args)?;
    let filter = args.text("topic_pattern");
    if filter.starts_with('$') {
        return Err(Failure::invalid("topic_pattern", "must not begin with $: such topics are the broker's own"));
    }
    let limit = args.size("limit");
    let found = Rc::new(RefCell::new(Found {
        ring: Ring::new(limit, CAPTURE_MAX_BYTES, OnFull::DropOldest),
        limit,
        others: 0,
    }));
    let wish = Wish {
        filter,
        parameter: "topic_pattern",
        // The highest, so that each message tells the QoS that it is retained with.
        qos: 2,
        retained: Retained::Only,
        duration: Duration::from_millis(args.integer("wait_ms") as u64),
    };
    listen(&context, &session.connection, &wish, found.clone(), || found.borrow().ring.seen()).await?;
    let found = found.replace(Found { ring: Ring::new(0, 0, OnFull::DropOldest), limit: 0, others: 0 });
    let dry_run = args.flag("dry_run");
    let (mut cleared, mut trouble) = (0, None);
    let rows = rows(&found.ring, dry_run, args.size("max_response_bytes") - HEAD_BYTES);
    let mut topics: Vec<_> = found.ring.kept().take(rows.len()).map(|kept| kept.topic().to_owned()).collect();
    sort_by(&mut topics, |a, b| a.cmp(b));
    topics.dedup();
    for topic in topics.iter().filter(|_| !dry_run) {
        match clear(&session.connection, topic).await {
            Ok(()) => cleared += 1,
            Err(failure) => {
                // What the policy says of one topic it does not say of the next.
                let goes_on = failure.code() == Code::PolicyDenied;
                trouble = Some(failure);
                if !goes_on {
                    break;
                }
            }
        }
    }
    let mut failed = trouble.map(|failure| failure.message().to_owned());
    if cleared > 0 {
        // Brokers acknowledge what the user may not do.
        let left = Rc::new(RefCell::new(Left { topics: topics.clone(), found: 0 }));
        match listen(&context, &session.connection, &wish, left.clone(), || left.borrow().found as u64).await {
            Ok(_) if topics.len() - left.borrow().found < cleared => {
                cleared = topics.len() - left.borrow().found;
                failed.get_or_insert_with(|| STILL_RETAINED.into());
            }
            Ok(_) => {}
            Err(failure) => failed = Some(format!("nobody looked whether they are gone: {}", failure.message())),
        }
    }
    let failed = failed.map(|why| format!("{why}; left: {}", topics.len() - cleared));
    let topic_count = found.ring.seen() + found.others;
    let (listed, note) = (rows.len(), (topic_count == 0).then_some(NOTHING));
    let omitted = topic_count - listed as u64;
    let head = to_json(&Cleared { status: "success", dry_run, topic_count, listed, omitted, cleared, failed, note });
    let held = rows.iter().map(Vec::len).sum();
    Ok(Rc::new(WithRows::new(head, "topics", listed, held, move |index, out| out.extend(&rows[index]))))
}

const NOTHING: &str = "nothing is retained on this filter, or the user may not read it: brokers do not tell";
const STILL_RETAINED: &str = "the broker acknowledged all and has some still retained: the user may lack the right to \
publish there, or they were published anew";

/// Of these topics, sorted, those with a retained message are counted and taken out.
struct Left {
    topics: Vec<String>,
    found: usize,
}

impl Recorder for Left {
    fn record(&mut self, message: &wire::Publish<'_>, _now: Now) -> Flow {
        if let Ok(index) = self.topics.binary_search_by(|topic| (**topic).cmp(message.topic)) {
            self.topics.remove(index);
            self.found += 1;
        }
        Flow::More
    }

    fn wanted_payload_bytes(&self) -> usize {
        0
    }
}

/// Payloads are shown at least this far.
const SHORTEST_PREVIEW: usize = 32;
/// Room for what stands beside the list.
const HEAD_BYTES: usize = 512;

async fn clear(connection: &crate::mqtt::driver::Connection, topic: &str) -> Result<(), Failure> {
    let message = Publish { topic: topic.to_owned(), payload: Rc::from([]), qos: 1, retain: true };
    Flight::start(connection, message)?.wait(Instant::now() + CLEAR_ACKNOWLEDGE_WAIT).await.map(|_| ())
}

/// As many as there is room for, and one in any case. A dry run cuts previews for that; what is deleted is told whole, so
/// that it can be restored, unless it alone is too large.
fn rows(ring: &Ring, dry_run: bool, room: usize) -> Vec<Vec<u8>> {
    let mut limit = room;
    loop {
        let row = |kept: &Kept| to_json(&MessageRow::new(&kept.facts, kept.topic(), kept.payload(), limit));
        let mut rows: Vec<Vec<u8>> = ring.kept().map(row).collect();
        let mut used = 0;
        let fits = |row: &&Vec<u8>| {
            used += row.len() + 1;
            used <= room
        };
        let fitting = rows.iter().take_while(fits).count();
        if fitting == rows.len() || limit < SHORTEST_PREVIEW || fitting > 0 && !dry_run {
            let is_cut = !dry_run && limit < room;
            rows.truncate(if is_cut { 1 } else { fitting.max(1) });
            return rows;
        }
        limit /= 2;
    }
}

impl Recorder for Found {
    fn record(&mut self, message: &wire::Publish<'_>, now: Now) -> Flow {
        if message.topic.starts_with('$') || self.ring.kept().any(|kept| kept.topic() == message.topic) {
            return Flow::More;
        }
        if self.ring.kept().count() >= self.limit {
            self.others += 1;
            return Flow::More;
        }
        let inspection = payload::inspect(message.payload, message.payload.len() == message.payload_bytes);
        self.ring.push(facts_of(message, &inspection, now), message.topic, message.payload, None);
        Flow::More
    }

    fn holds_max_bytes(&self) -> usize {
        CAPTURE_MAX_BYTES
    }

    fn wanted_payload_bytes(&self) -> usize {
        RESPONSE_MAX_BYTES as usize
    }
}
