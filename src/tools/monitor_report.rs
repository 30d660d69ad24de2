//! What monitor_performance returns: figures, and a paragraph that a person understands.

mod summary;

use std::rc::Rc;
use std::time::Duration;

use serde::Serialize;

use super::fitting;
use super::listen::Heard;
use crate::analysis::broker_facts::{BrokerFacts, Fact};
use crate::analysis::histogram::RELATIVE_ERROR;
use crate::analysis::seconds::{Burst, Rates, Window};
use crate::analysis::sort::sort_by;
use crate::analysis::traffic::{Busy, By, Load, Ranking, Traffic};
use crate::analysis::words::count;
use crate::clock::{Now, Timestamp, millis, seconds};
use crate::limits::{BURSTS_SHOWN_MAX, TOPICS_TRACKED_MAX};
use crate::mqtt::capture::Interruption;
use crate::mqtt::liveness::RoundTrip;
use crate::rpc::outgoing::{Body, is_zero, to_json};

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
    notes: bool,
    /// Of the summary at most so much, in whole sentences.
    summary_bytes: usize,
}

/// From all that is known to the least: names get shorter first; then topics, what the broker tells, bursts, notes and at
/// last the summary give way. Each has so many topics at least, and more where there is room.
const DETAILS: [Detail; 8] = [
    ALL,
    Detail { top: 3, ..SHORT },
    Detail { top: 3, facts: false, ..SHORT },
    Detail { top: 1, facts: false, bursts: 5, ..SHORT },
    Detail { top: 1, ..WITHOUT_NOTES },
    WITHOUT_NOTES,
    Detail { summary_bytes: 250, ..WITHOUT_NOTES },
    Detail { summary_bytes: 0, ..WITHOUT_NOTES },
];
const ALL: Detail = Detail {
    top: usize::MAX,
    name_bytes: LONG_NAME_BYTES,
    facts: true,
    bursts: BURSTS_SHOWN_MAX,
    notes: true,
    summary_bytes: usize::MAX,
};
const SHORT: Detail = Detail { name_bytes: SHORT_NAME_BYTES, ..ALL };
const WITHOUT_NOTES: Detail = Detail { top: 0, facts: false, bursts: 0, notes: false, ..SHORT };

/// The result with at most `top` topics, fewer when it would pass `budget`.
pub(super) fn fitting(measured: &Measured<'_>, top: usize, budget: usize) -> Rc<dyn Body> {
    let ranked = [By::Messages, By::Bytes].map(|by| measured.traffic.busiest(by, top));
    let shown = |step: usize, top: usize| to_json(&Report::new(measured, &ranked, Detail { top, ..DETAILS[step] }));
    fitting::fitting(budget, &DETAILS.map(|detail| detail.top), top, &shown)
}

/// Longer topics are cut …
const LONG_NAME_BYTES: usize = 1024;
/// … and in a small result these.
const SHORT_NAME_BYTES: usize = 100;

/// Instead of words that have no room.
const NO_ROOM: &str = "max_response_bytes has no room for it";

/// So many of the latest are shown even then.
const INTERRUPTIONS_WITHOUT_ROOM: usize = 2;

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
    #[serde(skip_serializing_if = "is_zero")]
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
    /// Rows that were asked for and had no room.
    #[serde(skip_serializing_if = "is_zero")]
    by_rate_omitted: usize,
    #[serde(skip_serializing_if = "is_zero")]
    by_bytes_omitted: usize,
    /// What a topic that is not listed has at most.
    not_listed_at_most: Load,
}

#[derive(Serialize)]
struct TopRow<'a> {
    topic: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    messages: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    messages_per_second: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_per_second: Option<f64>,
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

/// As many whole sentences as have room.
fn sentences(text: String, limit: usize) -> String {
    let end = text[..text.floor_char_boundary(limit)].rfind(". ");
    if text.len() <= limit { text } else { end.map_or(NO_ROOM, |end| &text[..=end]).into() }
}

fn rounded(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

impl<'a> Report<'a> {
    fn new(measured: &Measured<'a>, ranked: &[Ranking<'a>; 2], detail: Detail) -> Self {
        let Measured { traffic, heard, .. } = *measured;
        let window = measured.window();
        let rates = traffic.seconds.rates(&window);
        let bursts = traffic.seconds.bursts(&window);
        let (topics_seen, untracked) = traffic.topics();
        let sizes = &traffic.payload_bytes;
        let quantile_ms = |q| traffic.intervals.quantile(q).map(|micros| micros as f64 / 1e3);
        let ping = measured.ping(detail.notes);
        let left_out =
            if detail.notes { 0 } else { heard.interruptions.len().saturating_sub(INTERRUPTIONS_WITHOUT_ROOM) };
        let Detail { top, name_bytes, .. } = detail;
        let [by_rate, by_bytes] = ranked;
        Self {
            status: "success",
            summary: sentences(measured.summary(rates, &bursts, &ping, ranked), detail.summary_bytes),
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
            topics_note: (untracked > 0 && detail.notes).then(|| {
                format!(
                    "{TOPICS_TRACKED_MAX} topics at most are told apart: {} came on further ones; rows with \
                     may_be_less_by are of those, counted by estimate, and what cannot be told apart has no row",
                    count(untracked, "message")
                )
            }),
            top_topics: TopTopics {
                by_rate: measured.top(By::Messages, by_rate, top, name_bytes),
                by_bytes: measured.top(By::Bytes, by_bytes, top, name_bytes),
                by_rate_omitted: by_rate.rows.len().saturating_sub(top),
                by_bytes_omitted: by_bytes.rows.len().saturating_sub(top),
                not_listed_at_most: Load { messages: by_rate.rest(top), bytes: by_bytes.rest(top) },
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
        // Before the subscription was in force, a time without connection is none of the time that counts.
        let away = |gap: &Interruption| {
            gap.to.map_or(total, |to| self.of_run(to)).saturating_sub(self.of_run(gap.from).max(self.before))
        };
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

    fn top(&self, by: By, ranking: &Ranking<'a>, count: usize, name_bytes: usize) -> Vec<TopRow<'a>> {
        let connected = self.connected_seconds();
        let row = |busy: &Busy<'a>| {
            let alone = |by_it: By| (by == by_it).then_some(busy.weight);
            let rate = rounded(busy.weight as f64 / connected);
            TopRow {
                topic: &busy.topic[..busy.topic.floor_char_boundary(name_bytes)],
                messages: busy.load.map(|load| load.messages).or(alone(By::Messages)),
                bytes: busy.load.map(|load| load.bytes).or(alone(By::Bytes)),
                messages_per_second: alone(By::Messages).map(|_| rate),
                bytes_per_second: alone(By::Bytes).map(|_| rate),
                share: rounded(self.share(by, busy)),
                may_be_less_by: busy.error,
            }
        };
        ranking.rows.iter().take(count).map(row).collect()
    }

    /// Of all messages, or of all bytes.
    fn share(&self, by: By, busy: &Busy<'_>) -> f64 {
        let total = if by == By::Messages { self.traffic.live.messages } else { self.traffic.live.bytes };
        busy.weight as f64 / total.max(1) as f64
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
    fn ping(&self, notes: bool) -> Ping {
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
        let note = note.filter(|_| notes);
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
            Some(
                "published at the broker's own pace (Mosquitto every 10 s), before from before this call: a difference is of \
                 another time than the run, about that of uptime; what was sent includes these figures and what was measured",
            )
        };
        Broker { facts: if detail.facts { facts } else { Vec::new() }, note: note.filter(|_| detail.notes) }
    }
}

#[cfg(test)]
mod tests;
