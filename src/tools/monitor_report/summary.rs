//! The paragraph that a person understands.

use std::fmt::Write;
use std::time::Duration;

use super::{Measured, Ping, SHORT_NAME_BYTES};
use crate::analysis::decimal::{Decimal, tenths};
use crate::analysis::seconds::{Burst, Rates};
use crate::analysis::traffic::{Busy, By, Ranking};
use crate::analysis::words::count;
use crate::clock::seconds;

impl Measured<'_> {
    /// What was measured, said in sentences.
    pub(super) fn summary(
        &self,
        rates: Option<Rates>,
        bursts: &[Burst],
        ping: &Ping,
        ranked: &[Ranking<'_>; 2],
    ) -> String {
        let (live, mut text) = (self.traffic.live, String::new());
        let duration = seconds(self.heard.elapsed);
        // Writing to a string cannot fail.
        let out = &mut text;
        if live.messages == 0 {
            let filter = &self.filter[..self.filter.floor_char_boundary(SHORT_NAME_BYTES)];
            let _ = write!(
                out,
                "No message was published on {filter} in {} s, although the broker granted the subscription; the \
                 traffic may be rarer than that, or the user may not read it: brokers do not tell.",
                Decimal(duration)
            );
        } else {
            self.describe_traffic(out, rates, bursts, ranked);
        }
        if self.before >= SLOW {
            let _ = write!(
                out,
                " The broker had granted the subscription only after {} s.",
                tenths(self.before.as_secs_f64())
            );
        }
        if let (Some(median), Some(max)) = (ping.median, ping.max) {
            let _ = write!(
                out,
                " The broker answered pings in {} ms (median of {}, at most {}).",
                Decimal(median),
                ping.count,
                Decimal(max)
            );
        }
        if self.traffic.retained.messages > 0 {
            let _ = write!(
                out,
                " {} came with the subscription, not counted as traffic.",
                count(self.traffic.retained.messages, "retained message")
            );
        }
        if !self.heard.interruptions.is_empty() {
            let away = tenths(duration - self.connected_seconds());
            let _ = write!(
                out,
                " The connection was lost {}, for {away} s of the time measured; rates are of the time with a connection.",
                count(self.heard.interruptions.len() as u64, "time")
            );
        }
        text
    }

    fn describe_traffic(
        &self,
        out: &mut String,
        rates: Option<Rates>,
        bursts: &[Burst],
        [by_rate, by_bytes]: &[Ranking<'_>; 2],
    ) {
        let (live, rate) = (self.traffic.live, self.rate(rates));
        let (topics, untracked) = self.traffic.topics();
        let more = if untracked > 0 { "more than " } else { "" };
        let _ = write!(
            out,
            "{} with {} of payload arrived in {} s on {more}{}: {} a second on average, {} in \
             the busiest second of the run's clock, {} or fewer in 95 % of the seconds.",
            count(live.messages, "message"),
            count(live.bytes, "byte"),
            Decimal(seconds(self.heard.elapsed)),
            count(topics as u64, "topic"),
            Decimal(rate.mean),
            rate.peak_second,
            rate.p95_second
        );
        let name = |busy: &Busy<'_>| busy.topic[..busy.topic.floor_char_boundary(SHORT_NAME_BYTES)].to_owned();
        match (by_rate.first(), by_bytes.first()) {
            _ if topics < 2 => {}
            (None, _) => out.push_str(" No topic is the busiest for certain."),
            (Some(first), heavy) => {
                let share = percent(self.share(By::Messages, first));
                let _ = write!(out, " The busiest topic, {}, has {share} of the messages", name(first));
                if let Some(heavy) = heavy.filter(|heavy| heavy.topic != first.topic) {
                    let share = percent(self.share(By::Bytes, heavy));
                    let _ = write!(out, "; most bytes, {share}, are of {}", name(heavy));
                }
                out.push('.');
            }
        }
        match bursts.iter().max_by_key(|burst| burst.messages) {
            None => out.push_str(" There was no burst."),
            Some(burst) => {
                let _ = write!(
                    out,
                    " Bursts: {}, the largest of {} in {} s, {} times the mean.",
                    bursts.len(),
                    count(burst.messages, "message"),
                    burst.length,
                    tenths(burst.messages as f64 / burst.length as f64 / rate.mean)
                );
            }
        }
    }
}

/// A subscription that takes longer is told: the connection was away, or the broker is slow.
const SLOW: Duration = Duration::from_secs(1);

/// What is there is never nothing.
fn percent(share: f64) -> String {
    if share < 0.01 { "under 1 %".into() } else { format!("{} %", Decimal((100.0 * share).round())) }
}

#[cfg(test)]
mod tests {
    use super::percent;

    #[test]
    fn a_small_share_is_not_nothing() {
        assert_eq!([0.0001, 0.0099, 0.01, 0.254, 1.0].map(percent), ["under 1 %", "under 1 %", "1 %", "25 %", "100 %"]);
    }
}
