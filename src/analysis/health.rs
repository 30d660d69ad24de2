//! How well a broker does, judged by the steps of a test. Each step lowers the verdict or leaves it; every verdict has its
//! reasons.

use serde::Serialize;

use super::decimal::Decimal;
use super::words::count;
use crate::clock::Timestamp;
use crate::limits::{
    CERTIFICATE_DAYS_FAIR, CERTIFICATE_DAYS_GOOD, PING_MS_EXCELLENT, PING_MS_FAIR, PING_MS_GOOD, SLOW_STEP_MS,
};

/// The verdict, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// Everything works, and fast.
    Excellent,
    /// Everything works.
    Good,
    /// It works with restrictions, or will soon stop.
    Fair,
    /// It cannot be worked with.
    Poor,
}

/// One step of a test.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// `dns`, `tcp`, `tls`, `connect`, `ping`, `subscribe`, `qos_0`, `qos_1`, `qos_2`.
    pub name: &'static str,
    /// Whether it did what it should.
    pub ok: bool,
    /// How long it took; of pings the median.
    pub ms: f64,
    /// What was seen, or why it failed.
    pub detail: String,
    /// Of pings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_ms: Option<f64>,
    /// Of pings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub median_ms: Option<f64>,
    /// Of pings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_ms: Option<f64>,
    /// Of TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<Certificate>,
    /// It says nothing of the broker: this server's own rules forbid it.
    #[serde(skip)]
    pub is_our_own: bool,
}

/// What a certificate says. The texts are the broker's.
#[derive(Clone, Debug, Serialize)]
pub struct Certificate {
    /// Whom it is for.
    pub subject: String,
    /// Who issued it.
    pub issuer: String,
    /// Its last moment.
    pub not_after: Timestamp,
    /// Whole days until then; negative when it is over.
    pub days_to_expiry: i64,
}

impl Step {
    /// A step with its outcome.
    pub fn new(name: &'static str, ok: bool, ms: f64, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        let (min_ms, median_ms, max_ms, certificate) = (None, None, None, None);
        Self { name, ok, ms, detail, min_ms, median_ms, max_ms, certificate, is_our_own: false }
    }
}

/// Judges the steps of a test, and how often the session that it ran on had to reconnect.
pub fn judge(steps: &[Step], reconnects: u64) -> (Health, Vec<String>) {
    let mut verdict = Verdict { health: Health::Excellent, reasons: Vec::new() };
    for step in steps {
        verdict.look_at(step);
    }
    if reconnects > 0 {
        verdict.lower(Health::Good, format!("the session had to reconnect (reconnects: {reconnects})"));
    }
    if verdict.reasons.is_empty() {
        let names: Vec<_> = steps.iter().map(|step| step.name).collect();
        let all = match steps.iter().find_map(|step| step.median_ms) {
            Some(ping) => format!("all steps passed ({}), ping {} ms", names.join(", "), Decimal(ping)),
            None => format!("all steps passed ({})", names.join(", ")),
        };
        verdict.reasons.push(all);
    }
    (verdict.health, verdict.reasons)
}

struct Verdict {
    health: Health,
    reasons: Vec<String>,
}

impl Verdict {
    fn lower(&mut self, to: Health, why: String) {
        self.health = self.health.max(to);
        self.reasons.push(why);
    }

    fn look_at(&mut self, step: &Step) {
        let Step { name, detail, ms, .. } = step;
        if !step.ok {
            let health = match *name {
                _ if step.is_our_own => Health::Excellent,
                "subscribe" | "qos_0" | "qos_1" | "qos_2" => Health::Fair,
                _ => Health::Poor,
            };
            let how = if step.is_our_own { "was not tested" } else { "failed" };
            return self.lower(health, format!("{name} {how}: {detail}"));
        }
        if let Some(median) = step.median_ms {
            let shown = Decimal(median);
            match median {
                _ if median <= PING_MS_EXCELLENT => {}
                _ if median <= PING_MS_GOOD => self.lower(Health::Good, format!("the ping takes {shown} ms")),
                _ if median <= PING_MS_FAIR => self.lower(Health::Fair, format!("the ping is slow: {shown} ms")),
                _ => self.lower(Health::Poor, format!("the ping is far too slow: {shown} ms")),
            }
        } else if *ms > SLOW_STEP_MS {
            self.lower(Health::Good, format!("{name} took {} ms", Decimal(*ms)));
        }
        if let Some(certificate) = &step.certificate {
            let days = certificate.days_to_expiry;
            if days < 0 {
                self.lower(Health::Fair, format!("the certificate expired {} ago", count(days.unsigned_abs(), "day")));
            } else if days <= CERTIFICATE_DAYS_GOOD {
                let health = if days <= CERTIFICATE_DAYS_FAIR { Health::Fair } else { Health::Good };
                self.lower(health, format!("the certificate expires in {}", count(days.unsigned_abs(), "day")));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ping(median: f64) -> Step {
        Step { median_ms: Some(median), ..Step::new("ping", true, median, "") }
    }

    fn tls(days_to_expiry: i64) -> Step {
        let (subject, issuer) = (String::new(), String::new());
        let certificate = Some(Certificate { subject, issuer, not_after: Timestamp(0), days_to_expiry });
        Step { certificate, ..Step::new("tls", true, 1.0, "") }
    }

    #[test]
    fn a_verdict_is_the_worst_of_its_steps_and_says_why() {
        let fails = |name| Step::new(name, false, 1.0, "because");
        for (steps, reconnects, health, reasons) in [
            (
                vec![Step::new("dns", true, 0.1, ""), ping(0.2)],
                0,
                Health::Excellent,
                vec!["all steps passed (dns, ping), ping 0.2 ms"],
            ),
            (vec![ping(PING_MS_EXCELLENT + 1.0)], 0, Health::Good, vec!["the ping takes 51 ms"]),
            (vec![ping(PING_MS_GOOD + 1.0)], 0, Health::Fair, vec!["the ping is slow: 251 ms"]),
            (vec![ping(PING_MS_FAIR + 1.0)], 0, Health::Poor, vec!["the ping is far too slow: 1001 ms"]),
            (vec![Step::new("connect", true, 5000.0, "")], 0, Health::Good, vec!["connect took 5000 ms"]),
            (vec![ping(0.1), fails("subscribe")], 0, Health::Fair, vec!["subscribe failed: because"]),
            (vec![fails("tcp")], 0, Health::Poor, vec!["tcp failed: because"]),
            (
                vec![Step { is_our_own: true, ..fails("subscribe") }],
                0,
                Health::Excellent,
                vec!["subscribe was not tested: because"],
            ),
            (vec![tls(90)], 0, Health::Excellent, vec!["all steps passed (tls)"]),
            (vec![tls(20)], 0, Health::Good, vec!["the certificate expires in 20 days"]),
            (vec![tls(3)], 0, Health::Fair, vec!["the certificate expires in 3 days"]),
            (
                vec![tls(-2), fails("qos_1")],
                0,
                Health::Fair,
                vec!["the certificate expired 2 days ago", "qos_1 failed: because"],
            ),
            (vec![ping(1.0)], 2, Health::Good, vec!["the session had to reconnect (reconnects: 2)"]),
        ] {
            assert_eq!(judge(&steps, reconnects), (health, reasons.into_iter().map(str::to_owned).collect::<Vec<_>>()));
        }
    }
}
