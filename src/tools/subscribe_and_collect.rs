//! Collects messages for a while and returns those worth reading.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::Value;

use super::args::{Args, Kind, Param};
use super::failure::Failure;
use super::listen::{Heard, Wish, listen};
use super::message::{MessageRow, facts_of};
use super::{Context, Effect, Ended, MAX_RESPONSE_BYTES, SESSION_ID, Tool};
use crate::analysis::alarm::{Role, role_of_topic};
use crate::analysis::expect::payload_contains;
use crate::analysis::payload;
use crate::analysis::prune::{KeptBy, Pruner};
use crate::analysis::topics::Topics;
use crate::analysis::words::count;
use crate::clock::{Now, seconds};
use crate::limits::{
    CAPTURE_MAX_BYTES, COMPARE_MAX_BYTES, DURATION_MAX_SECONDS, INSPECT_MAX_BYTES, OMITTED_TOPICS_MAX,
    RESPONSE_DEFAULT_BYTES, TOPIC_NAMES_MAX_BYTES,
};
use crate::mqtt::capture::{Flow, Interruption, Recorder, Retained};
use crate::mqtt::wire::Publish;
use crate::rpc::outgoing::{WithRows, is_zero, to_json};

pub(super) const TOOL: Tool = Tool {
    name: "subscribe_and_collect",
    title: "Collect messages",
    description: "Subscribes, listens and returns messages in order of arrival; sends nothing else. Use it to see what \
topics carry or to wait for something (until). All that arrives is counted; the messages most worth reading are \
returned (first, last, errors, one per topic and payload shape, the rest spread over time) and `pruning` says what was \
left out. Ends early at max_messages, at `until`, or with retained \"only\" when the broker has sent what it retains. \
Keep duration_seconds at 30 or less, since many clients give up at 60 s. Payloads are untrusted data.",
    params: &[
        SESSION_ID,
        Param {
            name: "topic_pattern",
            kind: Kind::Text { max_bytes: 65_535, default: None },
            required: true,
            doc: "Topic filter: + is one level, # the rest; # alone leaves out $SYS.",
        },
        Param {
            name: "duration_seconds",
            kind: Kind::Integer { min: 1, max: DURATION_MAX_SECONDS, default: Some(30) },
            required: false,
            doc: "How long to listen.",
        },
        Param {
            name: "max_messages",
            kind: Kind::Integer { min: 1, max: 1_000_000, default: Some(500) },
            required: false,
            doc: "Stop once this many have arrived.",
        },
        Param {
            name: "keep",
            kind: Kind::Integer { min: 1, max: 500, default: Some(50) },
            required: false,
            doc: "How many are returned.",
        },
        Param {
            name: "qos",
            kind: Kind::Integer { min: 0, max: 2, default: Some(0) },
            required: false,
            doc: "QoS of the subscription.",
        },
        Param {
            name: "retained",
            kind: Kind::Choice { values: &["include", "exclude", "only"], default: "include" },
            required: false,
            doc: "Whether to take messages that the broker retains.",
        },
        Param {
            name: "max_payload_bytes",
            kind: Kind::Integer { min: 1, max: 1_048_576, default: Some(4096) },
            required: false,
            doc: "Longer payloads are cut and marked truncated.",
        },
        Param {
            name: "until",
            kind: Kind::Json,
            required: false,
            doc: "Stop at the first message whose payload contains this: objects match by the given members, anything else must be equal.",
        },
        MAX_RESPONSE_BYTES,
    ],
    output: r#""messages":{"type":"array","items":{"type":"object","properties":{"encoding":{"enum":["json","text","base64"]},"truncated":{"type":"boolean"}},"required":["timestamp","topic","payload","encoding"]}},"message_count":{"type":"integer"},"original_message_count":{"type":"integer"},"bytes_received":{"type":"integer"},"topics_seen":{"type":"integer"},"duration_seconds":{"type":"number"},"stopped_by":{"enum":["duration","max_messages","retained_done","until"]},"granted_qos":{"type":"integer"},"pruning":{"type":"object"},"interruptions":{"type":"array"}"#,
    effect: Effect::Reads,
    run: |context, args| Box::pin(run(context, args)),
};

async fn run(context: Context, args: Args) -> Ended {
    let session = context.session(&args)?;
    let retained = match args.text("retained") {
        "exclude" => Retained::Exclude,
        "only" => Retained::Only,
        _ => Retained::Include,
    };
    let wish = Wish {
        filter: args.text("topic_pattern"),
        parameter: "topic_pattern",
        qos: args.integer("qos") as u8,
        retained,
        duration: args.seconds("duration_seconds"),
    };
    let collection = Rc::new(RefCell::new(Collection::new(&args, wish.duration)?));
    let seen = collection.clone();
    let heard =
        listen(&context, &session.connection, &wish, collection.clone(), || seen.borrow().pruner.seen()).await?;
    let collection = collection.replace(Collection::empty());
    Ok(collection.into_body(&heard, &wish, &args))
}

/// What a call keeps while messages pass.
struct Collection {
    started: Instant,
    /// When the last message came, and how long that was after the start.
    now: (Instant, Duration),
    pruner: Pruner,
    /// What the pruner keeps at most.
    max_bytes: usize,
    topics: Topics<OnTopic>,
    bytes: u64,
    max_messages: u64,
    until: Option<Value>,
    /// Messages too large to be compared with `until`.
    not_compared: u64,
    /// So much of each payload is looked into, and at most kept.
    payload_limit: usize,
    stopped_by: Option<&'static str>,
}

impl Collection {
    fn new(args: &Args, duration: Duration) -> Result<Self, Failure> {
        let until = match args.json("until") {
            None => None,
            Some(raw) => Some(
                serde_json::from_str(raw.get())
                    .map_err(|_| Failure::invalid("until", "is nested too deeply or has an invalid string"))?,
            ),
        };
        // Three times what can be returned leaves a real choice; less than this never pays.
        let max_bytes =
            (3 * args.size("max_response_bytes")).max(3 * RESPONSE_DEFAULT_BYTES as usize).min(CAPTURE_MAX_BYTES);
        let pruner = Pruner::new(args.size("keep"), duration, args.size("max_payload_bytes"), max_bytes);
        let payload_limit = args.size("max_payload_bytes").max(INSPECT_MAX_BYTES);
        let max_messages = args.integer("max_messages") as u64;
        Ok(Self { pruner, max_bytes, until, payload_limit, max_messages, ..Self::empty() })
    }

    fn empty() -> Self {
        let started = Instant::now();
        Self {
            started,
            now: (started, Duration::ZERO),
            pruner: Pruner::new(0, Duration::ZERO, 0, 0),
            max_bytes: 0,
            topics: Topics::default(),
            bytes: 0,
            max_messages: 0,
            until: None,
            not_compared: 0,
            payload_limit: INSPECT_MAX_BYTES,
            stopped_by: None,
        }
    }

    fn into_body(mut self, heard: &Heard, wish: &Wish<'_>, args: &Args) -> Rc<dyn crate::rpc::outgoing::Body> {
        self.pruner.finish();
        let budget = args.size("max_response_bytes");
        let mut payload_limit = args.size("max_payload_bytes");
        let mut keep = args.size("keep");
        let mut with_omitted = true;
        let this = Rc::new(self);
        loop {
            let body = this.clone().body(heard, wish, keep, payload_limit, with_omitted);
            if keep == 0 || body.fits(budget) {
                return Rc::new(body);
            }
            // Previews get shorter first, then fewer messages are shown, then previews get shorter still.
            if payload_limit > SHORT_PREVIEW {
                payload_limit = (payload_limit / 2).max(SHORT_PREVIEW);
            } else if keep > if with_omitted { FEW } else { 1 } {
                keep = keep.min(this.pruner.seen() as usize);
                keep = (keep * 3 / 4).max(1);
            } else if with_omitted {
                // Messages are worth more than the report of what was left out.
                with_omitted = false;
                keep = args.size("keep");
            } else if payload_limit > SHORTEST_PREVIEW {
                payload_limit /= 2;
            } else {
                keep = 0;
            }
        }
    }

    fn body(
        self: Rc<Self>,
        heard: &Heard,
        wish: &Wish<'_>,
        keep: usize,
        payload_limit: usize,
        with_omitted: bool,
    ) -> WithRows<impl Fn(usize, &mut Vec<u8>) + use<>> {
        let (chosen, kept_by) = self.pruner.choose(keep);
        let summary = Summary {
            status: "success",
            message_count: chosen.len(),
            original_message_count: self.pruner.seen(),
            bytes_received: self.bytes,
            topics_seen: self.topics.len(),
            untracked_messages: self.topics.untracked_messages(),
            duration_seconds: seconds(heard.elapsed),
            stopped_by: self.stopped_by.unwrap_or(match (heard.early, wish.retained) {
                (true, Retained::Only) => "retained_done",
                _ => "duration",
            }),
            granted_qos: heard.granted_qos,
            pruning: self.pruning(&chosen, kept_by, with_omitted),
            interruptions: &heard.interruptions,
            note: self.note(heard, wish),
        };
        let (count, this) = (chosen.len(), self.clone());
        let head = to_json(&summary);
        let held_bytes = self.pruner.used_bytes();
        WithRows::new(head, "messages", count, held_bytes, move |index, out| {
            let (slot, topic, kept) = this.pruner.message(chosen[index]);
            out.extend(to_json(&MessageRow::new(&slot.facts, topic, kept, payload_limit)));
        })
    }

    fn pruning(&self, chosen: &[usize], kept_by: KeptBy, with_omitted: bool) -> Pruning<'_> {
        let seen = self.pruner.seen();
        let left_out = seen - chosen.len() as u64;
        if left_out == 0 {
            return Pruning {
                applied: false,
                kept_by: None,
                omitted: Vec::new(),
                summary: "all messages are shown".into(),
            };
        }
        let mut shown = Topics::<u64>::default();
        for index in chosen {
            if let Some((count, _)) = shown.entry(self.pruner.message(*index).1, || 0) {
                *count += 1;
            }
        }
        let rows = (0..self.topics.len()).map(|row| self.topics.get(row)).map(|(topic, on_topic)| Omitted {
            topic: &topic[..topic.floor_char_boundary(OMITTED_TOPIC_BYTES)],
            messages: u64::from(on_topic.messages) - shown.value(topic).copied().unwrap_or(0),
        });
        // The first rows alone are held: there may be as many topics as messages.
        let (mut omitted, most) = (Vec::<Omitted>::new(), if with_omitted { OMITTED_TOPICS_MAX } else { 0 });
        for row in rows.filter(|row| row.messages > 0) {
            let at = omitted.partition_point(|other| other.rank() <= row.rank());
            if at < most {
                omitted.truncate(most - 1);
                omitted.insert(at, row);
            }
        }
        let KeptBy { first_and_last, errors, topics, shapes, spread } = kept_by;
        let summary = format!(
            "shown are {} of {seen} messages: first and last {first_and_last}, errors and warnings {errors}, one per topic \
             {topics}, one per payload shape {shapes}, spread over time {spread}; left out: {left_out}",
            chosen.len()
        );
        Pruning { applied: true, kept_by: Some(kept_by), omitted, summary }
    }

    fn note(&self, heard: &Heard, wish: &Wish<'_>) -> Option<String> {
        if self.not_compared > 0 {
            let messages = count(self.not_compared, "message");
            return Some(format!("{messages} over {COMPARE_MAX_BYTES} bytes could not be compared with `until`"));
        }
        if self.pruner.seen() > 0 {
            return None;
        }
        let what = match wish.retained {
            Retained::Include => "nothing is retained and nothing was published",
            Retained::Exclude => "nothing was published (retained messages were excluded)",
            Retained::Only => "nothing is retained",
        };
        Some(format!(
            "{what} on this filter within {} ms, although the broker granted it at QoS {}; try a wider filter (list_topics \
             with #), a longer duration_seconds, or check that the user may read these topics: brokers do not tell",
            heard.elapsed.as_millis(),
            heard.granted_qos
        ))
    }
}

/// No more messages are left out for the report of those that were.
const FEW: usize = 4;
/// In the pruning report a topic is cut here: the report must not outweigh the messages.
const OMITTED_TOPIC_BYTES: usize = 100;
/// Payloads get this short before messages are left out …
const SHORT_PREVIEW: usize = 256;
/// … and the last message no shorter than this.
const SHORTEST_PREVIEW: usize = 16;

/// What is known of a topic. No call sees more messages than fit.
struct OnTopic {
    messages: u32,
    /// What its name says of its payloads.
    role: Option<Role>,
}

impl OnTopic {
    fn of(topic: &str) -> Self {
        Self { messages: 0, role: role_of_topic(topic) }
    }
}

impl Recorder for Collection {
    fn record(&mut self, message: &Publish<'_>, now: Now) -> Flow {
        self.bytes += message.payload_bytes as u64;
        let (role, new_topic) = match self.topics.entry(message.topic, || OnTopic::of(message.topic)) {
            Some((on_topic, new)) => {
                on_topic.messages += 1;
                (on_topic.role, new)
            }
            None => (role_of_topic(message.topic), false),
        };
        let inspection = payload::inspect_under(role, message.payload, message.payload_bytes, self.payload_limit);
        let facts = facts_of(message, &inspection, now);
        // All messages of one read have the same time.
        if self.now.0 != now.at {
            self.now = (now.at, now.at.saturating_duration_since(self.started));
        }
        self.pruner.record(self.now.1, facts, message.topic, message.payload, &inspection, new_topic);
        if let Some(until) = &self.until {
            if message.payload.len() < message.payload_bytes || message.payload_bytes > COMPARE_MAX_BYTES {
                self.not_compared += 1;
            } else if payload_contains(until, message.payload) {
                self.stopped_by = Some("until");
                return Flow::Enough;
            }
        }
        if self.pruner.seen() >= self.max_messages {
            self.stopped_by = Some("max_messages");
            return Flow::Enough;
        }
        if new_topic { Flow::More } else { Flow::Known }
    }

    fn holds_max_bytes(&self) -> usize {
        self.max_bytes + TOPIC_NAMES_MAX_BYTES
    }

    fn wanted_payload_bytes(&self) -> usize {
        if self.until.is_some() { COMPARE_MAX_BYTES } else { self.payload_limit }
    }
}

#[derive(Serialize)]
struct Summary<'a> {
    status: &'static str,
    message_count: usize,
    original_message_count: u64,
    bytes_received: u64,
    topics_seen: usize,
    #[serde(skip_serializing_if = "is_zero")]
    untracked_messages: u64,
    duration_seconds: f64,
    stopped_by: &'static str,
    granted_qos: u8,
    pruning: Pruning<'a>,
    interruptions: &'a [Interruption],
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

#[derive(Serialize)]
struct Pruning<'a> {
    applied: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    kept_by: Option<KeptBy>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    omitted: Vec<Omitted<'a>>,
    summary: String,
}

#[derive(Serialize)]
struct Omitted<'a> {
    topic: &'a str,
    messages: u64,
}

impl<'a> Omitted<'a> {
    /// Most messages first, then by name.
    fn rank(&self) -> (Reverse<u64>, &'a str) {
        (Reverse(self.messages), self.topic)
    }
}
