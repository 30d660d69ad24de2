//! What monitor_performance returns: figures, and a paragraph that a person understands.

mod summary;

use std::rc::Rc;
use std::time::Duration;

use serde::Serialize;

use super::listen::Heard;
use crate::analysis::broker_facts::{BrokerFacts, Fact};
use crate::analysis::histogram::RELATIVE_ERROR;
use crate::analysis::seconds::{Burst, Rates, Window};
use crate::analysis::sort::sort_by;
use crate::analysis::traffic::{Busy, By, Load, Traffic};
use crate::analysis::words::count;
use crate::clock::{Now, Timestamp, millis, seconds};
use crate::limits::{BURSTS_SHOWN_MAX, TOPICS_TRACKED_MAX};
use crate::mqtt::capture::Interruption;
use crate::mqtt::liveness::RoundTrip;
use crate::rpc::outgoing::{Body, Whole, to_json};

/// All that was measured.
pub(super) struct Measured<'a> {
    pub filter: &'a str,
    pub traffic: &'a Traffic,
    /// How long the traffic's clock ran before the subscription was in force.
    pub before: Duration,
    pub heard: &'a Heard,
    pub ended: Now,
    pub pings: &'a [RoundTrip],
    pub broker: &'a BrokerFacts,
    pub broker_refused: Option<&'a str>,
}

/// How much of it is shown.
#[derive(Clone, Copy)]
struct Detail {
    top: usize,
    name_bytes: usize,
    facts: bool,
    bursts: usize,
    words: bool,
}

/// The result with at most `top` topics, fewer when it would pass `budget`.
pub(super) fn fitting(measured: &Measured<'_>, top: usize, budget: usize) -> Rc<dyn Body> {
    let mut detail = Detail { top, name_bytes: LONG_NAME_BYTES, facts: true, bursts: BURSTS_SHOWN_MAX, words: true };
    loop {
        let json = to_json(&Report::new(measured, detail));
        if json.len() <= budget || !detail.words {
            return Rc::new(Whole::from_json(json));
        }
        // Names get shorter first; then topics, what the broker tells, bursts and at last words give way.
        match detail {
            Detail { name_bytes: LONG_NAME_BYTES, .. } => detail.name_bytes = SHORT_NAME_BYTES,
            Detail { top: 4.., .. } => detail.top = detail.top * 3 / 4,
            Detail { facts: true, .. } => detail.facts = false,
            Detail { bursts: 1.., .. } => detail.bursts /= 2,
            Detail { top: 1.., .. } => detail.top -= 1,
            _ => detail.words = false,
        }
    }
}

/// Longer topics are cut …
const LONG_NAME_BYTES: usize = 1024;
/// … and in a small result these.
const SHORT_NAME_BYTES: usize = 100;

/// Instead of words that have no room.
const NO_ROOM: &str = "max_response_bytes has no room for it";

/// So many of the latest are shown even then.
const INTERRUPTIONS_WITHOUT_ROOM: usize = 3;

#[derive(Serialize)]
struct Report<'a> {
    status: &'static str,
    summary: String,
    duration_seconds: f64,
    messages: u64,
    bytes: u64,
    rate: Rate,
    payload_bytes: Option<Sizes>,
    interval_ms: Option<Intervals>,
    topics_seen: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    topics_note: Option<String>,
    top_topics: TopTopics<'a>,
    burst_count: usize,
    bursts: Vec<BurstRow>,
    ping_ms: Ping,
    broker: Broker<'a>,
    /// Sent because of the subscription: no traffic.
    retained: Load,
    interruptions: &'a [Interruption],
    #[serde(skip_serializing_if = "is_none_left_out")]
    interruptions_omitted: usize,
    granted_qos: u8,
    /// Of the quantiles of payload_bytes and interval_ms.
    quantile_error: f64,
}

#[derive(Serialize)]
struct Rate {
    mean: f64,
    peak_second: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    peak_at: Option<Timestamp>,
    p95_second: u32,
    bytes_mean: f64,
}

#[derive(Serialize)]
struct Sizes {
    min: u64,
    median: u64,
    mean: f64,
    p95: u64,
    max: u64,
}

#[derive(Serialize)]
struct Intervals {
    median: f64,
    p95: f64,
}

#[derive(Serialize)]
struct TopTopics<'a> {
    by_rate: Vec<TopRow<'a>>,
    by_bytes: Vec<TopRow<'a>>,
}

#[derive(Serialize)]
struct TopRow<'a> {
    topic: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    messages: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    /// Per second: messages, or bytes.
    rate: f64,
    /// Of all messages, or of all bytes.
    share: f64,
    #[serde(skip_serializing_if = "is_zero")]
    may_be_less_by: u64,
}

#[derive(Serialize)]
struct BurstRow {
    start: Timestamp,
    length_seconds: usize,
    messages: u64,
    rate: f64,
    times_mean: f64,
}

#[derive(Serialize)]
struct Ping {
    min: Option<f64>,
    median: Option<f64>,
    max: Option<f64>,
    count: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

#[derive(Serialize)]
struct Broker<'a> {
    facts: Vec<Fact>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'a str>,
}

fn is_none_left_out(count: &usize) -> bool {
    *count == 0
}

fn is_zero(value: &u64) -> bool {
    *value == 0
}

fn rounded(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

impl<'a> Report<'a> {
    fn new(measured: &Measured<'a>, detail: Detail) -> Self {
        let Measured { traffic, heard, .. } = *measured;
        let window = measured.window();
        let rates = traffic.seconds.rates(&window);
        let bursts = traffic.seconds.bursts(&window);
        let (topics_seen, untracked) = traffic.topics();
        let sizes = &traffic.payload_bytes;
        let quantile_ms = |q| traffic.intervals.quantile(q).map(|micros| micros as f64 / 1e3);
        let ping = measured.ping(detail.words);
        let left_out =
            if detail.words { 0 } else { heard.interruptions.len().saturating_sub(INTERRUPTIONS_WITHOUT_ROOM) };
        let Detail { top, name_bytes, words, .. } = detail;
        Self {
            status: "success",
            summary: if words { measured.summary(rates, &bursts, &ping) } else { NO_ROOM.into() },
            duration_seconds: seconds(heard.elapsed),
            messages: traffic.live.messages,
            bytes: traffic.live.bytes,
            rate: measured.rate(rates),
            payload_bytes: sizes.min().zip(sizes.max()).zip(sizes.mean()).map(|((min, max), mean)| Sizes {
                min,
                median: sizes.quantile(0.5).unwrap_or(min),
                mean: rounded(mean),
                p95: sizes.quantile(0.95).unwrap_or(max),
                max,
            }),
            interval_ms: quantile_ms(0.5).zip(quantile_ms(0.95)).map(|(median, p95)| Intervals { median, p95 }),
            topics_seen,
            topics_note: (untracked > 0 && words).then(|| {
                format!(
                    "{TOPICS_TRACKED_MAX} topics at most are told apart: {} came on further ones; rows with \
                     may_be_less_by are of those, counted by estimate",
                    count(untracked, "message")
                )
            }),
            top_topics: TopTopics {
                by_rate: measured.top(By::Messages, top, name_bytes),
                by_bytes: measured.top(By::Bytes, top, name_bytes),
            },
            burst_count: bursts.len(),
            bursts: measured.burst_rows(bursts, detail.bursts),
            ping_ms: ping,
            broker: measured.broker(detail),
            retained: traffic.retained,
            interruptions: &heard.interruptions[left_out..],
            interruptions_omitted: left_out,
            granted_qos: heard.granted_qos,
            quantile_error: RELATIVE_ERROR,
        }
    }
}

impl<'a> Measured<'a> {
    /// The whole seconds after the subscription was in force, and which of them had no connection.
    fn window(&self) -> Window {
        let first = self.before.as_secs() as usize;
        let last = first + (self.heard.elapsed.as_secs() as usize).max(1);
        let second = |time: Timestamp| self.of_run(time).as_secs_f64();
        let gap = |gap: &Interruption| {
            second(gap.from) as usize..gap.to.map_or(last, |to| second(to).ceil() as usize).min(last)
        };
        Window { seconds: first..last, gaps: self.heard.interruptions.iter().map(gap).collect() }
    }

    /// When the traffic's clock began.
    fn began_ms(&self) -> u64 {
        self.ended.unix_ms.saturating_sub((self.before + self.heard.elapsed).as_millis() as u64)
    }

    fn of_run(&self, time: Timestamp) -> Duration {
        Duration::from_millis(time.0.saturating_sub(self.began_ms()))
    }

    fn time_of(&self, second: usize) -> Timestamp {
        Timestamp(self.began_ms() + 1000 * second as u64)
    }

    /// Seconds with a connection.
    fn connected_seconds(&self) -> f64 {
        let total = self.before + self.heard.elapsed;
        let away =
            |gap: &Interruption| gap.to.map_or(total, |to| self.of_run(to)).saturating_sub(self.of_run(gap.from));
        let away: Duration = self.heard.interruptions.iter().map(away).sum();
        self.heard.elapsed.saturating_sub(away).max(Duration::from_millis(1)).as_secs_f64()
    }

    fn rate(&self, rates: Option<Rates>) -> Rate {
        let connected = self.connected_seconds();
        Rate {
            mean: rounded(self.traffic.live.messages as f64 / connected),
            peak_second: rates.map_or(0, |rates| rates.peak),
            peak_at: rates.filter(|rates| rates.peak > 0).map(|rates| self.time_of(rates.peak_at)),
            p95_second: rates.map_or(0, |rates| rates.p95),
            bytes_mean: rounded(self.traffic.live.bytes as f64 / connected),
        }
    }

    fn top(&self, by: By, count: usize, name_bytes: usize) -> Vec<TopRow<'a>> {
        let connected = self.connected_seconds();
        let total = if by == By::Messages { self.traffic.live.messages } else { self.traffic.live.bytes };
        let row = |busy: Busy<'a>| {
            let alone = |by_it: By| (by == by_it).then_some(busy.weight);
            TopRow {
                topic: &busy.topic[..busy.topic.floor_char_boundary(name_bytes)],
                messages: busy.load.map(|load| load.messages).or(alone(By::Messages)),
                bytes: busy.load.map(|load| load.bytes).or(alone(By::Bytes)),
                rate: rounded(busy.weight as f64 / connected),
                share: rounded(busy.weight as f64 / total.max(1) as f64),
                may_be_less_by: busy.error,
            }
        };
        self.traffic.busiest(by, count).into_iter().map(row).collect()
    }

    fn burst_rows(&self, mut bursts: Vec<Burst>, count: usize) -> Vec<BurstRow> {
        let mean = self.traffic.live.messages as f64 / self.connected_seconds();
        // The largest are worth showing, in order of time.
        sort_by(&mut bursts, |a, b| b.messages.cmp(&a.messages).then(a.start.cmp(&b.start)));
        bursts.truncate(count);
        sort_by(&mut bursts, |a, b| a.start.cmp(&b.start));
        let row = |burst: Burst| {
            let rate = burst.messages as f64 / burst.length as f64;
            BurstRow {
                start: self.time_of(burst.start),
                length_seconds: burst.length,
                messages: burst.messages,
                rate: rounded(rate),
                times_mean: rounded(rate / mean),
            }
        };
        bursts.into_iter().map(row).collect()
    }

    /// Round trips; those that waited behind data count only when there are no others.
    fn ping(&self, words: bool) -> Ping {
        let took = |behind: bool| -> Vec<f64> {
            let of_kind = self.pings.iter().filter(|ping| ping.behind_data == behind);
            of_kind.map(|ping| millis(ping.took)).collect()
        };
        let (clean, behind) = (took(false), took(true));
        let note = match (clean.len(), behind.len()) {
            (0, 0) => Some("no PINGRESP came in the time".to_owned()),
            (0, _) => Some(
                "each answer had to wait behind messages that this client was still reading: the broker itself is quicker"
                    .to_owned(),
            ),
            (_, 0) => None,
            (_, behind) => {
                let answers = count(behind as u64, "more answer");
                Some(format!("left out: {answers} that waited behind messages on their way here"))
            }
        };
        let note = note.filter(|_| words);
        let mut shown = if clean.is_empty() { behind } else { clean };
        sort_by(&mut shown, f64::total_cmp);
        let median = shown.get(shown.len().saturating_sub(1) / 2).copied();
        Ping { min: shown.first().copied(), median, max: shown.last().copied(), count: shown.len(), note }
    }

    fn broker(&self, detail: Detail) -> Broker<'a> {
        let facts = self.broker.facts();
        let note = if let Some(why) = self.broker_refused {
            Some(why)
        } else if facts.is_empty() {
            Some("no $SYS topics came: this broker has none, or the user may not read them")
        } else if !detail.facts {
            Some("left out: the result would be too large")
        } else if self.broker.live_messages() == 0 {
            Some(
                "the broker published no new $SYS figures in the time (Mosquitto does every 10 s): before and after are the same",
            )
        } else {
            Some("before is what the broker had published last; it publishes at its own pace (Mosquitto every 10 s)")
        };
        Broker { facts: if detail.facts { facts } else { Vec::new() }, note: note.filter(|_| detail.words) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(traffic: &Traffic, heard: &Heard, top: usize, budget: usize) -> (usize, serde_json::Value) {
        let pings = [RoundTrip { took: Duration::from_micros(1234), behind_data: true }];
        let mut broker = BrokerFacts::default();
        broker.record("$SYS/broker/version", b"mosquitto version 2.0.11", true);
        let measured = Measured {
            filter: "#",
            traffic,
            before: Duration::from_millis(300),
            heard,
            ended: Now::read(),
            pings: &pings,
            broker: &broker,
            broker_refused: None,
        };
        let mut bytes = Vec::new();
        assert!(fitting(&measured, top, budget).piece(0, &mut bytes));
        (bytes.len(), serde_json::from_slice(&bytes).expect("JSON"))
    }

    fn heard(interruptions: Vec<Interruption>) -> Heard {
        Heard { early: false, granted_qos: 0, elapsed: Duration::from_secs(30), interruptions }
    }

    #[test]
    fn the_smallest_budget_has_room_for_the_worst_result() {
        let mut traffic = Traffic::default();
        for n in 0..20_000u64 {
            let topic = format!("{}/{n}", "ü".repeat(if n < 100 { 3000 } else { 20 }));
            traffic.record(Duration::from_millis(n * n % 30_000), &topic, n << 20, n % 50 == 0);
        }
        let gap = Interruption { from: Now::read().timestamp(), to: Some(Now::read().timestamp()) };
        let heard = heard(vec![gap; crate::limits::INTERRUPTIONS_MAX]);
        for budget in [1024, 2048, 8192, 32_768] {
            let (bytes, value) = report(&traffic, &heard, 100, budget);
            assert!(bytes <= budget, "{bytes} of {budget}: {value}");
            assert_eq!(value["messages"], traffic.live.messages);
        }
    }

    #[test]
    fn pings_that_waited_behind_data_are_told_and_used_only_when_there_are_no_others() {
        let (_, value) = report(&Traffic::default(), &heard(Vec::new()), 1, 32_768);
        assert_eq!((&value["ping_ms"]["median"], &value["ping_ms"]["count"]), (&1.234.into(), &1.into()));
        assert!(value["ping_ms"]["note"].as_str().is_some_and(|note| note.contains("wait behind")), "{value}");
    }

    #[test]
    fn rates_are_of_the_time_with_a_connection() {
        let mut traffic = Traffic::default();
        (0..200).for_each(|n| traffic.record(Duration::from_millis(300 + n * 100), "t", 1, false));
        let now = Now::read().unix_ms;
        let gap = Interruption { from: Timestamp(now - 10_000), to: Some(Timestamp(now)) };
        let (_, value) = report(&traffic, &heard(vec![gap]), 1, 32_768);
        let mean = value["rate"]["mean"].as_f64().expect("a number");
        assert!((mean - 10.0).abs() < 0.1, "{value}");
        assert_eq!((&value["rate"]["p95_second"], &value["burst_count"]), (&10.into(), &0.into()));
    }
}
