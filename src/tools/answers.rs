//! What arrives on the filter of a request's answers: which of it answers, and in what it differs if it does not.

use std::rc::Rc;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::Value;

use crate::analysis::correlate;
use crate::analysis::expect::{is_same, payload_mismatches};
use crate::analysis::shown::{Says, Shown, ShownPayload, show};
use crate::clock::{Now, millis};
use crate::limits::{COMPARE_MAX_BYTES, IGNORED_KEPT_MAX, MISMATCHES_SHOWN_MAX, OTHERS_KEPT_MAX};
use crate::mqtt::capture::{Flow, Recorder};
use crate::mqtt::wire::Publish;

/// What an answer must be like.
#[derive(Default)]
pub(super) struct Expected {
    /// It contains this.
    pub(super) content: Option<Value>,
    /// Its value here is the request's.
    pub(super) pointer: Option<String>,
}

/// Everything that arrived, bounded, and counted beyond that.
pub(super) struct Answers {
    expected: Expected,
    /// The request that is out, if one is.
    request: Option<Request>,
    arrivals: Vec<Arrival>,
    /// So much is kept of an answer.
    answer_bytes: usize,
    /// Messages that do not match what was expected.
    pub(super) others: u64,
    /// Those of them that were too large to be compared.
    pub(super) uncompared: u64,
    /// Retained messages: older than any request.
    pub(super) retained: u64,
    /// Our own requests, since the filter matches their topic.
    pub(super) echoes: u64,
    /// Messages that match but came after the answer, or that answer an earlier request.
    pub(super) late_or_extra: u64,
    /// What earlier requests have where the pointer points.
    earlier: Vec<Value>,
}

struct Request {
    number: u64,
    sent_at: Instant,
    topic: String,
    payload: Rc<[u8]>,
    correlation: Option<Value>,
    echoed: bool,
    answered: bool,
}

struct Arrival {
    /// The request that was out, and how long; none before the first one.
    request: Option<(u64, Duration)>,
    /// Why it can answer nothing.
    ignored: Option<&'static str>,
    topic: String,
    payload: Vec<u8>,
    payload_bytes: usize,
    /// JSON pointers; `None` when it was too large to be compared.
    mismatches: Option<Vec<String>>,
}

/// An arrival for a result.
#[derive(Serialize)]
pub(super) struct Row<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    round_trip_ms: Option<f64>,
    matched: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    ignored: Option<&'static str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    mismatches: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    mismatch_count: Option<usize>,
    topic: &'a str,
    payload: ShownPayload<'a>,
    encoding: &'static str,
    #[serde(flatten)]
    says: Says,
    payload_bytes: usize,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    truncated: bool,
}

impl Answers {
    pub(super) fn new(expected: Expected, answer_bytes: usize) -> Self {
        Self {
            expected,
            request: None,
            arrivals: Vec::new(),
            answer_bytes,
            others: 0,
            uncompared: 0,
            retained: 0,
            echoes: 0,
            late_or_extra: 0,
            earlier: Vec::new(),
        }
    }

    /// A request was sent: what matches from now on is its answer.
    pub(super) fn sent(&mut self, number: u64, sent_at: Instant, topic: &str, payload: Rc<[u8]>) {
        let correlation = self.expected.pointer.as_ref().and_then(|at| correlate::value_at(&payload, at));
        let topic = topic.to_owned();
        self.earlier.extend(self.request.take().and_then(|request| request.correlation));
        self.request = Some(Request { number, sent_at, topic, payload, correlation, echoed: false, answered: false });
    }

    /// Whether the request that is out was answered.
    pub(super) fn is_answered(&self) -> bool {
        self.request.as_ref().is_some_and(|request| request.answered)
    }

    /// From request to answer, in order.
    pub(super) fn round_trips(&self) -> Vec<Duration> {
        self.arrivals
            .iter()
            .filter(|arrival| arrival.rank() == ANSWERS)
            .filter_map(|answer| Some(answer.request?.1))
            .collect()
    }

    /// All that arrived and is no answer.
    pub(super) fn no_answers(&self) -> u64 {
        self.others + self.retained + self.echoes
    }

    /// What is kept and of a rank of at least `rank`, in order of arrival, with at most `payload_limit` bytes of each
    /// payload.
    pub(super) fn rows(&self, rank: u8, payload_limit: usize) -> impl Iterator<Item = Row<'_>> {
        let wanted = move |arrival: &&Arrival| arrival.rank() >= rank;
        self.arrivals.iter().filter(wanted).map(move |arrival| arrival.row(payload_limit))
    }

    /// Whether what differs is only that it answers an earlier request.
    fn is_late(&self, mismatches: &[String], message: &Publish<'_>) -> bool {
        let Some(pointer) = self.expected.pointer.as_ref().filter(|pointer| mismatches == [pointer.as_str()]) else {
            return false;
        };
        correlate::value_at(message.payload, pointer)
            .is_some_and(|theirs| self.earlier.iter().any(|own| is_same(own, &theirs)))
    }

    fn keep(
        &mut self,
        message: &Publish<'_>,
        now: Now,
        mismatches: Option<Vec<String>>,
        ignored: Option<&'static str>,
    ) {
        let matched = mismatches.as_ref().is_some_and(Vec::is_empty);
        let limit = if matched { self.answer_bytes } else { self.answer_bytes / OTHERS_KEPT_MAX };
        self.arrivals.push(Arrival {
            request: self.request.as_ref().map(|request| (request.number, now.at - request.sent_at)),
            ignored,
            topic: message.topic.to_owned(),
            payload: message.payload[..message.payload.len().min(limit)].to_vec(),
            payload_bytes: message.payload_bytes,
            mismatches,
        });
    }

    fn mismatches(&self, request: &Request, message: &Publish<'_>) -> Option<Vec<String>> {
        let mut found = Vec::new();
        if self.expected.content.is_none() && request.correlation.is_none() {
            return Some(found);
        }
        if message.payload.len() < message.payload_bytes {
            return None;
        }
        if let Some(content) = &self.expected.content {
            found = payload_mismatches(content, message.payload);
        }
        if let (Some(pointer), Some(own)) = (&self.expected.pointer, &request.correlation) {
            let theirs = correlate::value_at(message.payload, pointer);
            // What is no JSON differs as a whole.
            let is_json = || theirs.is_some() || correlate::value_at(message.payload, "").is_some();
            let at = if is_json() { pointer.as_str() } else { "" };
            if !theirs.as_ref().is_some_and(|theirs| is_same(own, theirs)) && !found.iter().any(|known| known == at) {
                found.push(at.to_owned());
            }
        }
        Some(found)
    }
}

impl Recorder for Answers {
    fn record(&mut self, message: &Publish<'_>, now: Now) -> Flow {
        let is_echo = |request: &&mut Request| {
            !request.echoed && *message.payload == *request.payload && message.topic == request.topic
        };
        let ignored = if message.retain {
            self.retained += 1;
            Some("retained")
        } else if let Some(request) = self.request.as_mut().filter(is_echo) {
            request.echoed = true;
            self.echoes += 1;
            Some("own_request")
        } else {
            None
        };
        if ignored.is_some() {
            if self.retained + self.echoes <= IGNORED_KEPT_MAX {
                self.keep(message, now, None, ignored);
            }
            return Flow::More;
        }
        let Some(request) = &self.request else {
            self.others += 1;
            return Flow::More;
        };
        let mismatches = self.mismatches(request, message);
        let matched = mismatches.as_ref().is_some_and(Vec::is_empty);
        let is_late = || mismatches.as_ref().is_some_and(|mismatches| self.is_late(mismatches, message));
        if matched && request.answered || !matched && is_late() {
            self.late_or_extra += 1;
            return Flow::More;
        }
        self.others += u64::from(!matched);
        self.uncompared += u64::from(mismatches.is_none());
        if matched || self.others <= OTHERS_KEPT_MAX as u64 {
            self.keep(message, now, mismatches, None);
        }
        if let Some(request) = self.request.as_mut().filter(|_| matched) {
            request.answered = true;
        }
        if matched { Flow::Look } else { Flow::More }
    }

    fn wanted_payload_bytes(&self) -> usize {
        COMPARE_MAX_BYTES
    }
}

/// Of [`Answers::rows`]: all that is no answer, too …
pub(super) const ALL: u8 = 0;
/// … what was compared …
pub(super) const COMPARED: u8 = 1;
/// … and nothing but answers.
pub(super) const ANSWERS: u8 = 2;

impl Arrival {
    fn rank(&self) -> u8 {
        match self.mismatches.as_deref() {
            _ if self.ignored.is_some() => ALL,
            Some([]) => ANSWERS,
            _ => COMPARED,
        }
    }

    fn row(&self, payload_limit: usize) -> Row<'_> {
        let Shown { payload, encoding, truncated, says } = show(&self.payload, self.payload_bytes, payload_limit);
        let mismatches = self.mismatches.as_deref().unwrap_or_default();
        let shown = &mismatches[..mismatches.len().min(MISMATCHES_SHOWN_MAX)];
        Row {
            request: self.request.map(|(number, _)| number),
            round_trip_ms: self.request.map(|(_, took)| millis(took)),
            matched: self.rank() == ANSWERS,
            ignored: self.ignored,
            mismatches: shown,
            mismatch_count: (shown.len() < mismatches.len()).then_some(mismatches.len()),
            topic: &self.topic,
            payload,
            encoding,
            says,
            payload_bytes: self.payload_bytes,
            truncated,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn message<'a>(topic: &'a str, payload: &'a str, retain: bool) -> Publish<'a> {
        let payload_bytes = payload.len();
        Publish { topic, payload: payload.as_bytes(), payload_bytes, qos: 0, retain, dup: false, pid: None }
    }

    fn asked(expected: Expected, payload: &str) -> Answers {
        let mut answers = Answers::new(expected, 1000);
        answers.sent(1, Instant::now(), "ask", payload.as_bytes().into());
        answers
    }

    fn take(answers: &mut Answers, topic: &str, payload: &str) -> bool {
        answers.record(&message(topic, payload, false), Now::read()) == Flow::Look
    }

    #[test]
    fn retained_messages_and_the_own_request_answer_nothing() {
        let mut answers = asked(Expected::default(), "hello");
        assert_eq!(answers.record(&message("answer", "old", true), Now::read()), Flow::More);
        assert!(!take(&mut answers, "ask", "hello"));
        assert!(take(&mut answers, "ask", "hello"), "the second of its kind is somebody's answer");
        assert!(!take(&mut answers, "answer", "more"));
        assert_eq!((answers.retained, answers.echoes, answers.late_or_extra, answers.others), (1, 1, 1, 0));
        let shown: Vec<_> = answers.rows(ALL, 100).map(|row| (row.topic, row.ignored, row.matched)).collect();
        assert_eq!(
            shown,
            [("answer", Some("retained"), false), ("ask", Some("own_request"), false), ("ask", None, true)]
        );
        for _ in 0..100 {
            answers.record(&message("answer", "old", true), Now::read());
        }
        assert_eq!(answers.no_answers(), 102);
        assert_eq!(answers.rows(ALL, 100).count() as u64, IGNORED_KEPT_MAX + 1, "kept up to a limit");
        assert_eq!(answers.rows(COMPARED, 100).count(), 1, "a result with an answer counts them only");
    }

    #[test]
    fn an_answer_to_an_earlier_request_is_late_and_never_that_of_the_next() {
        let expected = Expected { content: Some(json!({"ok": true})), pointer: Some("/id".into()) };
        let mut answers = asked(expected, r#"{"id":7}"#);
        answers.sent(2, Instant::now(), "ask", br#"{"id":8}"#.as_slice().into());
        for (payload, counts) in [
            (r#"{"id":7,"ok":true}"#, (1, 0)),
            (r#"{"id":7,"ok":false}"#, (1, 1)),
            (r#"{"id":7.0,"ok":true}"#, (2, 1)),
            (r#"{"id":6,"ok":true}"#, (2, 2)),
            // Some devices write all numbers with a fraction.
            (r#"{"id":8.0,"ok":true}"#, (2, 2)),
            (r#"{"id":8,"ok":true}"#, (3, 2)),
        ] {
            take(&mut answers, "a", payload);
            assert_eq!((answers.late_or_extra, answers.others), counts, "{payload}");
        }
        assert_eq!(answers.round_trips().len(), 1);
    }

    #[test]
    fn an_answer_has_the_content_and_the_correlation() {
        let expected = Expected { content: Some(json!({"ok": true})), pointer: Some("/id".into()) };
        let mut answers = asked(expected, r#"{"id":7}"#);
        assert!(!take(&mut answers, "a", r#"{"id":8,"ok":true}"#));
        assert!(!take(&mut answers, "a", r#"{"id":7,"ok":false}"#));
        assert!(!take(&mut answers, "a", "busy"));
        assert!(take(&mut answers, "a", r#"{"id":7,"ok":true,"more":1}"#));
        let mismatches: Vec<_> = answers.rows(COMPARED, 100).map(|row| row.mismatches.to_vec()).collect();
        assert_eq!(mismatches, [vec!["/id"], vec!["/ok"], vec![""], vec![]]);
        assert_eq!((answers.others, answers.round_trips().len()), (3, 1));
    }

    #[test]
    fn what_is_no_json_differs_as_a_whole_and_what_is_too_large_is_not_compared() {
        let mut answers = asked(Expected { content: None, pointer: Some("/id".into()) }, r#"{"id":7}"#);
        let payload = r#"{"id":7,"value":NaN}"#;
        assert!(!take(&mut answers, "a", payload));
        let huge = Publish { payload_bytes: 2 << 20, ..message("a", payload, false) };
        assert_eq!(answers.record(&huge, Now::read()), Flow::More);
        let mismatches: Vec<_> = answers.rows(COMPARED, 100).map(|row| row.mismatches.to_vec()).collect();
        assert_eq!(mismatches, [vec![""], vec![]]);
        assert_eq!((answers.others, answers.uncompared), (2, 1));
    }

    #[test]
    fn others_are_counted_beyond_those_that_are_kept() {
        let mut answers = asked(Expected { content: Some(json!("yes")), pointer: None }, "x");
        for _ in 0..1000 {
            take(&mut answers, "a", "no");
        }
        assert_eq!((answers.others, answers.rows(COMPARED, 100).count()), (1000, OTHERS_KEPT_MAX));
    }
}
