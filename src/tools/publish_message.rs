//! Publishes one message.

use std::rc::Rc;
use std::time::{Duration, Instant};

use base64ct::{Base64, Encoding};
use serde::Serialize;

use super::args::{Args, Kind, Param};
use super::failure::{Code, Failure};
use super::{Context, Effect, Ended, SESSION_ID, Tool};
use crate::analysis::payload::without_white_space;
use crate::analysis::words::count;
use crate::audit::Message;
use crate::clock::{Now, Timestamp, millis};
use crate::limits::{PUBLISH_PAYLOAD_MAX_BYTES, TIMEOUT_MAX_SECONDS};
use crate::mcp::server::body;
use crate::mqtt::driver::Connection;
use crate::mqtt::inflight::{Fate, Publish, Ticket};
use crate::mqtt::session::Session;
use crate::mqtt::state::State;
use crate::mqtt::topic;

pub(super) const TOOL: Tool = Tool {
    name: "publish_message",
    title: "Publish a message",
    description: "Publishes one message to one topic. Devices may act on it: publish only what the user asked for. \
delivery tells what is known: sent (QoS 0: handed to the network, nobody confirmed), acknowledged (QoS 1) or completed \
(QoS 2) by the broker, which says nothing about subscribers. If the connection drops first, the error says whether it \
was sent. retain true lets the broker keep it for later subscribers; an empty payload with retain true deletes what it \
keeps.",
    params: &[
        SESSION_ID,
        Param {
            name: "topic",
            kind: Kind::Text { max_bytes: 65_535, default: None },
            required: true,
            doc: "Where to; without wildcards.",
        },
        PAYLOAD,
        PAYLOAD_ENCODING,
        Param {
            name: "qos",
            kind: Kind::Integer { min: 0, max: 2, default: Some(0) },
            required: false,
            doc: "1 and 2 wait for the broker's word.",
        },
        Param {
            name: "retain",
            kind: Kind::Flag { default: false },
            required: false,
            doc: "Whether the broker keeps it as the topic's last value.",
        },
        Param {
            name: "timeout_seconds",
            kind: Kind::Integer { min: 1, max: TIMEOUT_MAX_SECONDS, default: Some(30) },
            required: false,
            doc: "For a lost connection to come back and for the acknowledgement.",
        },
    ],
    output: r#""topic":{"type":"string"},"payload_bytes":{"type":"integer"},"qos":{"type":"integer"},"retain":{"type":"boolean"},"delivery":{"enum":["sent","acknowledged","completed"]},"sent_again":{"type":"boolean"},"round_trip_ms":{"type":"number"},"published_at":{"type":"string"}"#,
    effect: Effect::Publishes,
    run: |context, args| Box::pin(run(context, args)),
};

/// What is published.
pub(super) const PAYLOAD: Param = Param {
    name: "payload",
    kind: Kind::Json,
    required: true,
    doc: "A string is sent as it is, anything else as compact JSON (null as the text null).",
};

/// How it is written.
pub(super) const PAYLOAD_ENCODING: Param = Param {
    name: "payload_encoding",
    kind: Kind::Choice { values: &["text", "base64", "hex"], default: "text" },
    required: false,
    doc: "How a string payload stands for bytes.",
};

#[derive(Serialize)]
struct Published<'a> {
    status: &'static str,
    topic: &'a str,
    payload_bytes: usize,
    qos: u8,
    retain: bool,
    delivery: &'static str,
    /// Sent a second time after a reconnect: subscribers may see it twice at QoS 1.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    sent_again: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    round_trip_ms: Option<f64>,
    published_at: Timestamp,
}

async fn run(context: Context, args: Args) -> Ended {
    let session = context.session(&args)?;
    let topic = args.text("topic");
    topic::check_name(topic).map_err(|what| Failure::invalid("topic", what))?;
    let payload = payload(&args)?;
    let (qos, retain, payload_bytes) = (args.integer("qos") as u8, args.flag("retain"), payload.len());
    let message = Publish { topic: topic.to_owned(), payload, qos, retain };
    let deadline = Instant::now() + args.seconds("timeout_seconds");
    let flight = Flight::start(&session.connection, message)?;
    let (round_trip, sent_again) = flight.wait(deadline).await?;
    let now = Now::read();
    Ok(body(&Published {
        status: "success",
        topic,
        payload_bytes,
        qos,
        retain,
        delivery: DELIVERY[usize::from(qos)],
        sent_again,
        round_trip_ms: round_trip.map(millis),
        published_at: now.timestamp_at(now.at - round_trip.unwrap_or_default()),
    }))
}

/// What is known of a message that went well, by its QoS.
pub(super) const DELIVERY: [&str; 3] = ["sent", "acknowledged", "completed"];

fn too_many(connection: &Connection, wait: Duration) -> Failure {
    let (limit, seconds) = (connection.guard.publishes_per_minute, wait.as_secs() + 1);
    Failure::new(
        Code::TooManyCalls,
        format!("the limit of this session is reached: {} within a minute", count(limit.into(), "message")),
        format!("wait {seconds} s, then call again"),
    )
    .with_delivery("not_sent")
    .with_retry_after(seconds)
}

/// The bytes to publish.
pub(super) fn payload(args: &Args) -> Result<Rc<[u8]>, Failure> {
    let raw = args.json("payload").map_or("\"\"", |raw| raw.get());
    let encoding = args.text("payload_encoding");
    let bytes = if raw.starts_with('"') {
        let text: String =
            serde_json::from_str(raw).map_err(|_| Failure::invalid("payload", "has an invalid \\u escape"))?;
        decode(text, encoding)?
    } else if encoding == "text" {
        without_white_space(raw).into_bytes()
    } else {
        return Err(Failure::invalid("payload", &format!("must be a string when payload_encoding is {encoding}")));
    };
    if bytes.len() > PUBLISH_PAYLOAD_MAX_BYTES {
        return Err(Failure::new(
            Code::PayloadTooLarge,
            format!("the payload has {} bytes; at most {PUBLISH_PAYLOAD_MAX_BYTES} can be published", bytes.len()),
            "publish a shorter payload, or split it",
        ));
    }
    Ok(bytes.into())
}

fn decode(text: String, encoding: &str) -> Result<Vec<u8>, Failure> {
    match encoding {
        "base64" => Base64::decode_vec(&text)
            .map_err(|_| Failure::invalid("payload", "must be base64 with its padding, as in aGVsbG8=")),
        "hex" => base16ct::mixed::decode_vec(&text)
            .map_err(|_| Failure::invalid("payload", "must be an even number of hexadecimal digits, as in 68656c6c6f")),
        _ => Ok(text.into_bytes()),
    }
}

/// A publish in this call's hands; dropped, nobody waits for it any more, and one that was not sent never will be.
pub(super) struct Flight<'a> {
    connection: &'a Connection,
    ticket: Ticket,
    /// What the audit says of it at the end.
    audited: Option<Message>,
}

impl<'a> Flight<'a> {
    /// Whether it may start, for calls that do something else before.
    pub(super) fn check(connection: &Connection, topic: &str) -> Result<(), Failure> {
        Ok(connection.guard.check_publish(Some(&connection.identity), topic)?)
    }

    /// Queues the message behind those before it, if the policy allows it.
    pub(super) fn start(connection: &'a Connection, message: Publish) -> Result<Self, Failure> {
        Self::check(connection, &message.topic)?;
        connection.guard.take_publish(connection, &message.topic).map_err(|wait| too_many(connection, wait))?;
        let audited = connection.guard.audit.is_on().then(|| Message {
            topic: message.topic.clone(),
            payload_bytes: message.payload.len(),
            qos: message.qos,
            retain: message.retain,
        });
        let ticket = connection.with(|session| session.publish(Now::read(), message)).ok_or_else(|| {
            Failure::new(
                Code::TooManyCalls,
                "too many messages wait to be published on this session; this one was not sent",
                "wait for the running calls to end, then call again",
            )
            .with_delivery("not_sent")
        })?;
        Ok(Self { connection, ticket, audited })
    }

    /// Waits for its end: the round trip at QoS 1 and 2, and whether it was sent again after a reconnect.
    pub(super) async fn wait(&self, deadline: Instant) -> Result<(Option<std::time::Duration>, bool), Failure> {
        let ended = self.connection.until(deadline, |session| self.end(session));
        ended.await.unwrap_or_else(|| Err(self.late()))
    }

    /// How it ended, if it did.
    pub(super) fn end(&self, session: &Session) -> Option<Result<(Option<std::time::Duration>, bool), Failure>> {
        match (session.outbound.fate(self.ticket), session.state()) {
            (Fate::Done { round_trip, resent }, _) => Some(Ok((round_trip, resent))),
            (Fate::Unknown { resent }, _) => Some(Err(unknown(resent))),
            (fate, State::Closed | State::Failed(_)) => {
                Some(Err(ended(fate, session.last_error().map(ToString::to_string))))
            }
            _ => None,
        }
    }

    /// Whether it has left the queue.
    #[cfg(feature = "analysis")]
    pub(super) fn is_sent(&self, session: &Session) -> bool {
        session.outbound.fate(self.ticket) != Fate::Waiting
    }

    /// Why it has not ended by now.
    pub(super) fn late(&self) -> Failure {
        let (fate, connected) =
            self.connection.look(|session| (session.outbound.fate(self.ticket), *session.state() == State::Connected));
        match fate {
            Fate::Waiting if !connected => Failure::new(
                Code::PublishTimeout,
                "the connection did not come back in time; nothing was sent, and nothing will be",
                "list_active_connections shows why the connection is down; call again when it is back",
            )
            .with_delivery("not_sent"),
            Fate::Waiting => Failure::new(
                Code::PublishTimeout,
                "messages before this one were not acknowledged in time; this one was not sent, and will not be",
                "the broker is slow or stuck: look at it before sending more",
            )
            .with_delivery("not_sent"),
            fate => Failure::new(
                Code::PublishTimeout,
                format!(
                    "{}sent, but not acknowledged in time: whether it was delivered is unknown; {}",
                    if connected { "" } else { "the connection was lost and did not come back in time: " },
                    again(fate)
                ),
                "check with subscribe_and_collect before sending it again: it may arrive twice",
            )
            .with_delivery("unknown"),
        }
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        if let Some(message) = &self.audited {
            let fate = self.connection.look(|session| session.outbound.fate(self.ticket));
            let outcome = match fate {
                Fate::Done { .. } => DELIVERY[usize::from(message.qos)],
                Fate::Waiting => "not_sent",
                Fate::InFlight { .. } | Fate::Unknown { .. } => "unknown",
            };
            self.connection.guard.audit.publish(self.connection.identity.subject(), message, outcome);
        }
        self.connection.with(|session| session.outbound.forget(self.ticket));
    }
}

/// Whether the message went out more than once.
fn again(fate: Fate) -> &'static str {
    match fate {
        Fate::InFlight { resent: true } | Fate::Unknown { resent: true } => "it was sent again after a reconnect",
        _ => "it was not sent again",
    }
}

fn unknown(resent: bool) -> Failure {
    let again = again(Fate::Unknown { resent });
    Failure::new(
        Code::ConnectionLost,
        format!("the connection was lost before the acknowledgement: whether it was delivered is unknown; {again}"),
        "check with subscribe_and_collect before sending it again: it may arrive twice",
    )
    .with_delivery("unknown")
}

fn ended(fate: Fate, why: Option<String>) -> Failure {
    let why = why.unwrap_or_else(|| "the session ended".into());
    let (known, delivery) = match fate {
        Fate::Waiting => ("nothing was sent".to_owned(), "not_sent"),
        fate => {
            (format!("sent, but not acknowledged: whether it was delivered is unknown; {}", again(fate)), "unknown")
        }
    };
    Failure::new(Code::ConnectionLost, format!("{why}; {known}"), "establish_connection opens a new session")
        .with_delivery(delivery)
}
