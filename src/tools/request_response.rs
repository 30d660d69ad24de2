//! Sends requests, one after the other, and waits for the answer to each.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::Value;

use super::answers::{ALL, Answers, COMPARED, Expected, Row};
use super::args::{Args, Kind, Param};
use super::failure::{Code, Failure};
use super::listen::{Listening, Progress, Wish, losses};
use super::publish_message::{DELIVERY, Flight, PAYLOAD, PAYLOAD_ENCODING, payload};
use super::{Context, Effect, Ended, MAX_RESPONSE_BYTES, SESSION_ID, Tool};
use crate::analysis::correlate;
use crate::analysis::payload::readable;
use crate::analysis::sort::sort_by;
use crate::analysis::words::count;
use crate::clock::{Now, millis};
use crate::limits::{
    ANSWERS_SETTLE_MAX, ANSWERS_SETTLE_MIN, BROKER_SIGN_WAIT, ECHO_MAX_BYTES, PINGRESP_WAIT, TIMEOUT_MAX_SECONDS,
    UNANSWERED_MAX,
};
use crate::mqtt::capture::{Interruption, Retained};
use crate::mqtt::driver::Connection;
use crate::mqtt::inflight::Publish;
use crate::mqtt::state::State;
use crate::mqtt::topic;
use crate::rpc::outgoing::{Body, Whole, is_zero, to_json};

pub(super) const TOOL: Tool = Tool {
    name: "request_response",
    title: "Request and response",
    description: "Publishes a request and waits for its answer: subscribes first, measures the round trip. Retained \
messages and the own request are never the answer; expect or correlation_pointer tell it from what others publish. \
Devices may act: send only what the user asked for.",
    params: &[
        SESSION_ID,
        Param {
            name: "request_topic",
            kind: Kind::Text { max_bytes: 65_535, default: None },
            required: true,
            doc: "Where to.",
        },
        Param { doc: "As in publish_message.", ..PAYLOAD },
        Param { doc: "Of a string.", ..PAYLOAD_ENCODING },
        Param {
            name: "response_topic",
            kind: Kind::Text { max_bytes: 65_535, default: None },
            required: true,
            doc: "Filter for answers.",
        },
        Param {
            name: "expect",
            kind: Kind::Json,
            required: false,
            doc: "The answer contains this; objects match by the given members.",
        },
        Param {
            name: "correlation_pointer",
            kind: Kind::Text { max_bytes: 1024, default: None },
            required: false,
            doc: "JSON pointer to what is equal in both; repeats get their own (text-2, number + 1).",
        },
        Param {
            name: "qos",
            kind: Kind::Integer { min: 0, max: 2, default: Some(0) },
            required: false,
            doc: "Of both.",
        },
        Param {
            name: "timeout_seconds",
            kind: Kind::Integer { min: 1, max: TIMEOUT_MAX_SECONDS, default: Some(10) },
            required: false,
            doc: "For each answer, and for a lost connection to come back.",
        },
        Param {
            name: "repeat",
            kind: Kind::Integer { min: 1, max: 20, default: Some(1) },
            required: false,
            doc: "Requests in a row.",
        },
        MAX_RESPONSE_BYTES,
    ],
    output: r#""responses":{"type":"array"},"sent":{"type":"integer"},"received":{"type":"integer"},"round_trip_ms":{"type":"object"}"#,
    effect: Effect::Publishes,
    run: |context, args| Box::pin(run(context, args)),
};

#[derive(Serialize)]
struct Outcome<'a> {
    status: &'static str,
    sent: u64,
    received: usize,
    round_trip_ms: RoundTrips,
    /// Arrived and did not match.
    #[serde(skip_serializing_if = "is_zero")]
    other_messages: u64,
    /// Those of them that were too large to be compared.
    #[serde(skip_serializing_if = "is_zero")]
    not_compared: u64,
    #[serde(skip_serializing_if = "is_zero")]
    retained_ignored: u64,
    #[serde(skip_serializing_if = "is_zero")]
    own_requests_ignored: u64,
    /// Matched, but came after the answer, or answer an earlier request.
    #[serde(skip_serializing_if = "is_zero")]
    late_or_extra_responses: u64,
    /// Rows that did not fit.
    #[serde(skip_serializing_if = "is_zero")]
    omitted: u64,
    #[serde(skip_serializing_if = "str::is_empty")]
    note: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    interruptions: &'a [Interruption],
    responses: &'a [Row<'a>],
}

#[derive(Serialize)]
struct RoundTrips {
    min: f64,
    median: f64,
    max: f64,
}

/// A call under way.
struct Exchange<'a> {
    connection: &'a Rc<Connection>,
    capture: Listening,
    answers: Rc<RefCell<Answers>>,
    progress: Progress<'a>,
    request: Request<'a>,
    sent: u64,
    /// As [`losses`] when the last request was sent.
    losses: (u64, bool),
    /// The broker was asked for a sign of life at the end of the last request's time, and gave none for so long.
    silence: Option<Duration>,
}

/// What is asked, and how.
struct Request<'a> {
    topic: &'a str,
    payload: Rc<[u8]>,
    pointer: Option<&'a str>,
    qos: u8,
    timeout: Duration,
    repeat: u64,
    /// The requests are all the same, so their answers cannot be told apart.
    alike: bool,
}

async fn run(context: Context, args: Args) -> Ended {
    let session = context.session(&args)?;
    let filter = args.text("response_topic");
    let request = request(&args)?;
    Flight::check(&session.connection, request.topic)?;
    let budget = args.size("max_response_bytes");
    let expected = Expected { content: content(&args)?, pointer: request.pointer.map(str::to_owned) };
    let answers = Rc::new(RefCell::new(Answers::new(expected, budget / request.repeat as usize)));
    let (qos, duration) = (request.qos, request.timeout * request.repeat as u32);
    let wish = Wish { filter, parameter: "response_topic", qos, retained: Retained::Include, duration };
    let capture = Listening::start(&session.connection, &wish, answers.clone())?;
    let mut progress = Progress::new(&context, duration);
    let granted = capture.grant(Instant::now() + request.timeout, &mut progress).await;
    granted.map_err(|failure| failure.before_sending().with_interruptions(capture.interruptions()))?;
    let connection = &session.connection;
    let losses = connection.look(losses);
    let mut exchange =
        Exchange { connection, capture, answers: answers.clone(), progress, request, sent: 0, losses, silence: None };
    let stopped = exchange.run().await;
    let answers = answers.borrow();
    let none_came = answers.round_trips().is_empty();
    match stopped {
        Err(failure) if none_came => Err(failure.with_interruptions(exchange.capture.interruptions())),
        Err(failure) => Ok(exchange.body(&answers, Some(failure.message().to_owned()), budget)),
        Ok(_) if none_came => Err(exchange.no_response(&answers, filter, budget)),
        Ok(stopped) => Ok(exchange.body(&answers, stopped, budget)),
    }
}

fn request(args: &Args) -> Result<Request<'_>, Failure> {
    let topic = args.text("request_topic");
    topic::check_name(topic).map_err(|what| Failure::invalid("request_topic", what))?;
    let payload = payload(args)?;
    let pointer = args.optional_text("correlation_pointer");
    let repeat = args.integer("repeat") as u64;
    if let Some(pointer) = pointer {
        if !correlate::is_pointer(pointer) {
            return Err(Failure::invalid("correlation_pointer", "must begin with /, as in /id"));
        }
        if correlate::value_at(&payload, pointer).is_none() {
            let what = "names nothing in the payload, which has no such value or is not JSON";
            return Err(Failure::invalid("correlation_pointer", what));
        }
        if repeat > 1 && readable(&payload, true).is_none() {
            let what = "must be 1 with correlation_pointer and a payload in CBOR or MessagePack, which cannot be given a \
                        value of its own for each request: send one after the other, or JSON";
            return Err(Failure::invalid("repeat", what));
        }
    }
    let numbered = pointer.and_then(|pointer| correlate::numbered(&payload, pointer, repeat));
    Ok(Request {
        topic,
        alike: repeat > 1 && numbered.is_none(),
        payload,
        pointer,
        qos: args.integer("qos") as u8,
        timeout: args.seconds("timeout_seconds"),
        repeat,
    })
}

fn content(args: &Args) -> Result<Option<Value>, Failure> {
    let Some(raw) = args.json("expect") else { return Ok(None) };
    let value = serde_json::from_str(raw.get());
    value.map(Some).map_err(|_| Failure::invalid("expect", "is nested too deeply or has an invalid string"))
}

impl Exchange<'_> {
    /// Sends all requests. Gives a sentence when it stopped before the last one.
    async fn run(&mut self) -> Result<Option<String>, Failure> {
        let mut unanswered = 0;
        for number in 1..=self.request.repeat {
            unanswered = if self.ask(number).await? { 0 } else { unanswered + 1 };
            if let Some(silence) = self.silence {
                return Ok(Some(format!("an answer may have been missed: {}", fell_silent(silence))));
            }
            // Where nobody answers, more requests are only noise, or commands.
            let is_last = number == self.request.repeat;
            if !is_last && (unanswered == number || unanswered == UNANSWERED_MAX) && unanswered > 0 {
                return Ok(Some(format!("the last {} got no answer", count(unanswered, "request"))));
            }
        }
        Ok(None)
    }

    /// Sends request `number`; whether it was answered in time.
    async fn ask(&mut self, number: u64) -> Result<bool, Failure> {
        let Request { topic, pointer, qos, timeout, .. } = self.request;
        let own = pointer.and_then(|pointer| correlate::numbered(&self.request.payload, pointer, number));
        let payload: Rc<[u8]> = own.map_or_else(|| self.request.payload.clone(), Into::into);
        let message = Publish { topic: topic.to_owned(), payload: payload.clone(), qos, retain: false };
        if number > 1 && self.request.alike {
            self.settle().await?;
        }
        let deadline = Instant::now() + timeout;
        let flight = Flight::start(self.connection, message)?;
        // A lost connection or a full queue may hold it back: its time runs from when it leaves.
        let left = |_: &Listening| self.connection.look(|session| flight.is_sent(session).then_some(Ok(())));
        let count = || self.answers.borrow().round_trips().len() as u64;
        match self.capture.wait(deadline, &mut self.progress, &count, left).await {
            Some(left) => left?,
            None => return Err(flight.late()),
        }
        self.answers.borrow_mut().sent(number, Instant::now(), topic, payload);
        self.sent += 1;
        self.losses = self.connection.look(losses);
        let answered = |_: &Listening| match self.connection.look(|session| flight.end(session)) {
            Some(Err(failure)) => Some(Err(failure)),
            _ => self.answers.borrow().is_answered().then_some(Ok(())),
        };
        let mut asked = None;
        // No answer means something only from a broker that is there: at the end of the time it is asked, too.
        for by in [deadline - (timeout / 2).min(BROKER_SIGN_WAIT), deadline] {
            match self.capture.wait(by, &mut self.progress, &count, &answered).await {
                Some(answered) => return answered.map(|()| true),
                None => asked = asked.or_else(|| Some(SignOfLife::ask(self.connection))),
            }
        }
        if self.connection.look(|session| flight.end(session)).is_none() {
            // The broker's own word is missing: that is what is wrong.
            return Err(flight.late());
        }
        self.silence = asked.and_then(|asked| asked.silence(self.connection, timeout / 4));
        Ok(false)
    }

    /// Lets further answers to the request before come, as far as they can be waited for.
    async fn settle(&mut self) -> Result<(), Failure> {
        let took = self.answers.borrow().round_trips().last().copied().unwrap_or_default();
        let end = Instant::now() + took.clamp(ANSWERS_SETTLE_MIN, ANSWERS_SETTLE_MAX);
        let count = || self.answers.borrow().round_trips().len() as u64;
        self.capture.wait(end, &mut self.progress, &count, |_| None::<Result<(), Failure>>).await.transpose()?;
        // What the broker has of them comes before its own answer.
        self.connection.round_trip(Instant::now() + self.request.timeout.min(PINGRESP_WAIT)).await;
        Ok(())
    }

    fn body(&self, answers: &Answers, stopped: Option<String>, budget: usize) -> Rc<dyn Body> {
        let mut round_trips = answers.round_trips();
        let received = round_trips.len();
        sort_by(&mut round_trips, Ord::cmp);
        let at = |index: usize| round_trips.get(index).copied().unwrap_or_default();
        let doubt = (self.request.alike && self.sent > 1).then_some(ALIKE);
        let mut note = stopped.unwrap_or_default();
        self.add_unsent(&mut note);
        if let Some(doubt) = doubt {
            note.push_str(if note.is_empty() { "" } else { "; " });
            note.push_str(doubt);
        }
        let interruptions = self.capture.interruptions();
        let json = fitting(answers, COMPARED, budget, &|responses| {
            let outcome = Outcome {
                status: "success",
                sent: self.sent,
                received,
                round_trip_ms: RoundTrips {
                    min: millis(at(0)),
                    median: millis((at((received - 1) / 2) + at(received / 2)) / 2),
                    max: millis(at(received - 1)),
                },
                other_messages: answers.others,
                not_compared: answers.uncompared,
                retained_ignored: answers.retained,
                own_requests_ignored: answers.echoes,
                late_or_extra_responses: answers.late_or_extra,
                omitted: received as u64 + answers.others - responses.len() as u64,
                note: &note,
                interruptions: &interruptions,
                responses,
            };
            to_json(&outcome)
        });
        Rc::new(Whole::from_json(json))
    }

    /// Says how many requests were left.
    fn add_unsent(&self, note: &mut String) {
        let left = self.request.repeat - self.sent;
        if left > 0 {
            note.push_str(&format!("; not sent: {left} more"));
        }
    }

    fn no_response(&self, answers: &Answers, filter: &str, budget: usize) -> Failure {
        let filter = &filter[..filter.floor_char_boundary(ECHO_MAX_BYTES)];
        let seconds = self.request.timeout.as_secs();
        let qos = usize::from(self.request.qos);
        let cut = match self.silence {
            _ if self.connection.look(losses) != self.losses => Some("the connection was lost".to_owned()),
            Some(silence) => Some(fell_silent(silence)),
            None => None,
        };
        let known = ["sent, which nobody confirmed", "acknowledged by the broker", "taken by the broker"][qos];
        let (code, mut message) = match &cut {
            Some(cut) => (
                Code::ConnectionLost,
                format!("{cut} after the request had been {known}: an answer may have been missed; none came"),
            ),
            None => (Code::NoResponse, "the request was sent, but no answer came".to_owned()),
        };
        message.push_str(&format!(" on {filter} within {seconds} s"));
        for (count, what) in [
            (answers.others - answers.uncompared, "that did not match what was expected"),
            (answers.uncompared, "that is too large to be compared with it"),
            (answers.retained, "that is retained, so older than the request"),
            (answers.echoes, "that is the request itself, which is no answer"),
        ] {
            if count > 0 {
                message.push_str(&format!("; arrived: {count} {what}"));
            }
        }
        self.add_unsent(&mut message);
        let hint = match answers.others {
            0 => {
                "check both topics with subscribe_and_collect, and that the device runs; sending the request again may \
                 make it act twice"
            }
            _ => {
                "compare what arrived with expect and correlation_pointer: the answer may be among it, and sending the \
                 request again may make the device act twice"
            }
        };
        let mut gaps = self.capture.interruptions();
        gaps.drain(..gaps.len().saturating_sub(budget / GAP_ROOM_BYTES));
        let mut failure = Failure::new(code, message, hint).with_interruptions(gaps);
        if cut.is_some() {
            failure = failure.with_delivery(DELIVERY[qos]);
        }
        if answers.rows(ALL, 0).next().is_none() {
            return failure;
        }
        let room = budget.saturating_sub(failure.size() + ",\"arrived\":,\"omitted\":1234567890".len());
        let shown = Cell::new(0);
        let rows = fitting(answers, ALL, room, &|rows| {
            shown.set(rows.len() as u64);
            to_json(&rows)
        });
        failure.with_arrived(rows, answers.no_answers() - shown.get())
    }
}

fn fell_silent(silence: Duration) -> String {
    format!("the broker itself fell silent (nothing came for the last {} ms, PINGRESP neither)", silence.as_millis())
}

/// A PINGREQ, since when, and how many bytes had come before.
struct SignOfLife {
    since: Instant,
    bytes_in: u64,
}

impl SignOfLife {
    fn ask(connection: &Connection) -> Self {
        let bytes_in = connection.with(|session| {
            if *session.state() == State::Connected {
                session.ping(Now::read());
            }
            session.counters().bytes_in
        });
        Self { since: Instant::now(), bytes_in }
    }

    /// How long nothing came since then, if that is so and long enough to say so.
    fn silence(&self, connection: &Connection, enough: Duration) -> Option<Duration> {
        let silence = self.since.elapsed();
        let is_silent = connection.look(|session| session.counters().bytes_in) == self.bytes_in;
        (is_silent && silence >= enough.min(BROKER_SIGN_WAIT / 2)).then_some(silence)
    }
}

/// The largest result that fits: previews shrink first, then rows of low rank are left out, then answers.
fn fitting(answers: &Answers, mut rank: u8, budget: usize, write: &dyn Fn(&[Row<'_>]) -> Vec<u8>) -> Vec<u8> {
    let (mut limit, mut keep) = (budget, usize::MAX);
    loop {
        let rows: Vec<_> = answers.rows(rank, limit).take(keep).collect();
        let json = write(&rows);
        if json.len() <= budget || rows.is_empty() {
            return json;
        }
        if limit > SHORTEST_PREVIEW {
            limit /= 2;
        } else if answers.rows(rank + 1, 0).next().is_some() {
            rank += 1;
        } else {
            keep = rows.len() * 3 / 4;
        }
    }
}

/// Of requests that are all the same.
const ALIKE: &str = "the requests were alike: an answer that came after the next one had been sent is counted for that, \
since nothing tells it apart; correlation_pointer to a text or whole number in the payload would";

/// Of a failure's times without connection one is shown for so many bytes of the budget, so that all else has its place.
const GAP_ROOM_BYTES: usize = 500;

/// Payloads are shown this far before messages are left out.
const SHORTEST_PREVIEW: usize = 32;
