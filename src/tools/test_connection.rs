//! Tests a broker step by step: how far a connection gets, why it stops, how well it does.
//!
//! A test that finds a dead broker is a test that succeeded: its result says so. A connection string or a profile is
//! tested over a connection of its own, which is no session: it is neither counted nor listed, and it is gone when the
//! call ends.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::args::{Args, Kind, Param};
use super::establish_connection::random_client_id;
use super::failure::{Code, Failure};
use super::probe::Probe;
use super::profile::Profile;
use super::{Context, Effect, Ended, Tool};
use crate::analysis::broker_facts::Summary;
use crate::analysis::health::{Certificate, Health, Step, judge};
use crate::clock::{Now, millis};
use crate::limits::{CONNECT_TEST_WAIT, ECHO_MAX_BYTES};
use crate::mcp::server::body;
use crate::mqtt::driver::{Connection, Identity};
use crate::mqtt::error::Trouble;
use crate::mqtt::link::{Endpoint, Stage};
use crate::mqtt::state::State;
use crate::mqtt::topic;

pub(super) const TOOL: Tool = Tool {
    name: "test_connection",
    title: "Test a connection",
    description: "Tests a broker step by step (dns, tcp, tls, connect, ping, subscribe, and with probe_topic the round trips \
of each QoS) and says how far it got and why it stopped; a dead broker is a result, not an error. Give exactly one of \
session_id, connection_string, broker. Publishes only to probe_topic. Next: establish_connection.",
    params: &[
        Param {
            name: "session_id",
            kind: Kind::Text { max_bytes: 64, default: None },
            required: false,
            doc: "Tests an open session.",
        },
        Param {
            name: "connection_string",
            kind: Kind::Text { max_bytes: 4096, default: None },
            required: false,
            doc: "mqtt:// or mqtts://, tested over a connection of its own.",
        },
        Param {
            name: "broker",
            kind: Kind::Text { max_bytes: 128, default: None },
            required: false,
            doc: "A configured broker, the same way.",
        },
        Param {
            name: "probe_topic",
            kind: Kind::Text { max_bytes: 65_535, default: None },
            required: false,
            doc: "A topic that may be published to.",
        },
    ],
    output: r#""overall_health":{"enum":["excellent","good","fair","poor"]},"reasons":{"type":"array"},"steps":{"type":"array"},"broker_info":{"type":"object"}"#,
    effect: Effect::Session,
    run: |context, args| Box::pin(run(context, args)),
};

#[derive(Serialize)]
struct Tested<'a> {
    status: &'static str,
    overall_health: Health,
    reasons: Vec<String>,
    /// The last step that passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    reached: Option<&'static str>,
    /// What stopped it.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<Code>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    broker: &'a str,
    port: u16,
    tls: bool,
    client_id: &'a str,
    steps: &'a [Step],
    #[serde(skip_serializing_if = "Option::is_none")]
    broker_info: Option<&'a Summary>,
}

/// What a test has found so far.
#[derive(Default)]
struct Found {
    steps: Vec<Step>,
    stopped: Option<Failure>,
    reconnects: u64,
    info: Option<Summary>,
}

async fn run(context: Context, args: Args) -> Ended {
    let probe_topic = args.optional_text("probe_topic");
    if let Some(topic) = probe_topic {
        topic::check_name(topic).map_err(|what| Failure::invalid("probe_topic", what))?;
        if topic.starts_with('$') {
            return Err(Failure::invalid("probe_topic", "must not begin with $: such topics are the broker's own"));
        }
        context.table.guard().check_publish(None, topic)?;
    }
    let mut found = Found::default();
    if args.optional_text("session_id").is_some() {
        for name in ["connection_string", "broker"] {
            if args.optional_text(name).is_some() {
                return Err(Failure::invalid(name, "must not be given together with session_id"));
            }
        }
        let session = context.session(&args)?;
        found.wait_for_session(&session.connection).await;
        found.reconnects = session.connection.look(|session| session.counters().reconnects);
        found.probe(&context, &session.connection, probe_topic).await;
        return Ok(found.body(&session.connection.identity));
    }
    if ["connection_string", "broker"].iter().all(|name| args.optional_text(name).is_none()) {
        return Err(Failure::invalid("session_id", "or connection_string or broker must be given"));
    }
    let stages = Rc::new(RefCell::new(Vec::new()));
    let identity = identity(&context, &args, stages.clone())?;
    let started = Instant::now();
    let trial = context.table.trial(identity);
    let connected = trial.connect(started + CONNECT_TEST_WAIT).await;
    let identity = &trial.connection().identity;
    found.connecting(stages.take(), started.elapsed(), connected, identity)?;
    found.probe(&context, trial.connection(), probe_topic).await;
    let result = found.body(identity);
    trial.connection().close().await;
    Ok(result)
}

/// With the client id that is asked for or configured, as establish_connection would. Where one of our own sessions has
/// it, the test must not push that session out.
fn identity(context: &Context, args: &Args, stages: Rc<RefCell<Vec<(Stage, Duration)>>>) -> Result<Identity, Failure> {
    let profile = Profile::asked_for(context, args)?;
    let is_ours = |client_id: &String| {
        let same = |own: &Identity| {
            own.client_id == *client_id
                && (&own.endpoint.host, own.endpoint.port) == (&profile.endpoint.host, profile.endpoint.port)
        };
        context.table.list().iter().any(|entry| same(&entry.connection.identity))
    };
    let client_id = match profile.client_id.as_ref().filter(|client_id| !is_ours(client_id)) {
        Some(client_id) => client_id.clone(),
        None => random_client_id()?,
    };
    Ok(Identity {
        endpoint: profile.endpoint,
        client_id,
        clean_session: true,
        keep_alive_seconds: profile.keep_alive_seconds.unwrap_or(60),
        credentials: profile.credentials,
        observer: Some(Rc::new(move |stage, took| stages.borrow_mut().push((stage, took)))),
    })
}

impl Found {
    /// A session that is away may come back.
    async fn wait_for_session(&mut self, connection: &Connection) {
        let started = Instant::now();
        let settled = connection.until(started + CONNECT_TEST_WAIT, |session| match session.state() {
            State::Connected => Some(Ok(())),
            State::Failed(trouble) => Some(Err(trouble.clone())),
            State::Closed => Some(Err(Trouble::Closed)),
            _ => None,
        });
        let outcome = match settled.await {
            Some(outcome) => outcome,
            None => Err(connection
                .look(|session| session.last_error().cloned())
                .unwrap_or(Trouble::Timeout("the connection to come back"))),
        };
        let detail = match &outcome {
            Ok(()) => "the session is connected".to_owned(),
            Err(trouble) => trouble.to_string(),
        };
        self.steps.push(Step::new("connect", outcome.is_ok(), millis(started.elapsed()), detail));
        self.stopped = outcome.err().map(|trouble| advised((&trouble).into(), false));
    }

    /// What the attempt to connect told.
    fn connecting(
        &mut self,
        stages: Vec<(Stage, Duration)>,
        all: Duration,
        connected: Result<(), Trouble>,
        identity: &Identity,
    ) -> Result<(), Failure> {
        let told: Duration = stages.iter().map(|(_, took)| *took).sum();
        self.steps.extend(stages.into_iter().map(|(stage, took)| step(stage, took, identity)));
        let Err(trouble) = connected else { return Ok(()) };
        if matches!(trouble, Trouble::Denied(_)) {
            return Err((&trouble).into());
        }
        self.stopped = Some(advised((&trouble).into(), true));
        let name = failed(&trouble, &self.steps, &identity.endpoint);
        let why = match trouble {
            // The step has its name.
            Trouble::Tls(tls) => tls.why,
            trouble => trouble.to_string(),
        };
        match self.steps.last_mut().filter(|last| last.name == name) {
            // What the broker showed is told before TLS fails, which may be when the handshake is done on this side.
            Some(last) => (last.ok, last.detail) = (false, why),
            None => self.steps.push(Step::new(name, false, millis(all.saturating_sub(told)), why)),
        }
        Ok(())
    }

    /// What a connection that stands does.
    async fn probe(&mut self, context: &Context, connection: &Rc<Connection>, topic: Option<&str>) {
        if self.stopped.is_none() {
            let mut probe = Probe::new(context, connection);
            self.stopped = probe.run(topic, &mut self.steps).await.err();
            self.info = probe.info();
        }
    }

    fn body(&self, identity: &Identity) -> Rc<dyn crate::rpc::outgoing::Body> {
        let (overall_health, reasons) = judge(&self.steps, self.reconnects);
        body(&Tested {
            status: "success",
            overall_health,
            reasons,
            reached: self.steps.iter().rev().find(|step| step.ok).map(|step| step.name),
            code: self.stopped.as_ref().map(Failure::code),
            hint: self.stopped.as_ref().map(|failure| failure.hint().to_owned()),
            broker: &identity.endpoint.host,
            port: identity.endpoint.port,
            tls: identity.endpoint.tls.is_some(),
            client_id: &identity.client_id[..identity.client_id.floor_char_boundary(ECHO_MAX_BYTES)],
            steps: &self.steps,
            broker_info: self.info.as_ref(),
        })
    }
}

/// A failure whose hint speaks only of what this call has: it takes no timeout, and a trial is no session.
fn advised(failure: Failure, is_trial: bool) -> Failure {
    match failure.code() {
        Code::ConnectTimeout => failure.with_hint("check host, port and firewall; TLS ports need mqtts://"),
        Code::ConnectionLost if is_trial => failure.with_hint(
            "look at the broker's log and the network; one that hangs up at once may want mqtts:// or refuse this address",
        ),
        _ => failure,
    }
}

/// A stage that was reached.
fn step(stage: Stage, took: Duration, identity: &Identity) -> Step {
    let ms = millis(took);
    match stage {
        Stage::Dns(addresses) => {
            let shown: Vec<_> =
                addresses.iter().take(ADDRESSES_SHOWN).map(|address| address.ip().to_string()).collect();
            let detail = match addresses.len() {
                1 if identity.endpoint.host.parse::<std::net::IpAddr>().is_ok() => {
                    "an address: nothing to look up".into()
                }
                count if count > shown.len() => format!("{} and {} more", shown.join(", "), count - shown.len()),
                _ => shown.join(", "),
            };
            Step::new("dns", true, ms, detail)
        }
        Stage::Tcp(address) => Step::new("tcp", true, ms, address.to_string()),
        Stage::Tls(facts) => {
            let certificate = facts.certificate.map(|certificate| Certificate {
                subject: certificate.subject,
                issuer: certificate.issuer,
                not_after: certificate.not_after,
                days_to_expiry: days(Now::read().unix_ms, certificate.not_after.0),
            });
            let detail = format!("{}, {}", facts.protocol, facts.cipher);
            Step { certificate, ..Step::new("tls", true, ms, detail) }
        }
        Stage::Connect => Step::new("connect", true, ms, "the broker accepted the client (CONNACK 0)"),
    }
}

/// Whole days from one moment to another; negative when it is over.
fn days(from_ms: u64, to_ms: u64) -> i64 {
    (to_ms as i64 - from_ms as i64).div_euclid(86_400_000)
}

/// Addresses of one name that are shown.
const ADDRESSES_SHOWN: usize = 4;

/// The step that a trouble ended: the one it belongs to, or the one behind the last that passed.
fn failed(trouble: &Trouble, passed: &[Step], endpoint: &Endpoint) -> &'static str {
    match (trouble, passed.last().map(|step| step.name)) {
        (Trouble::Tls(_), _) => "tls",
        (_, None) => "dns",
        (_, Some("dns")) => "tcp",
        (_, Some("tcp")) if endpoint.tls.is_some() => "tls",
        _ => "connect",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_belongs_to_the_step_behind_the_last_that_passed() {
        let passed =
            |names: &[&'static str]| names.iter().map(|name| Step::new(name, true, 0.0, "")).collect::<Vec<_>>();
        let lost = Trouble::Lost("gone".into());
        for (names, trouble, tls, expected) in [
            (&[][..], &Trouble::NameLookup("x".into()), false, "dns"),
            (&["dns"], &lost, false, "tcp"),
            (&["dns", "tcp"], &lost, false, "connect"),
            (&["dns", "tcp"], &lost, true, "tls"),
            (&["dns", "tcp", "tls"], &Trouble::BadCredentials, true, "connect"),
            (&["dns", "tcp"], &Trouble::Timeout("the TLS handshake"), true, "tls"),
        ] {
            let endpoint = Endpoint { host: "h".into(), port: 1, tls: tls.then(Rc::default) };
            assert_eq!(failed(trouble, &passed(names), &endpoint), expected);
        }
    }

    #[test]
    fn hints_speak_only_of_what_the_call_has() {
        let troubles = [Trouble::Timeout("CONNACK"), Trouble::Lost("gone".into()), Trouble::Protocol("HTTP".into())];
        for (trouble, is_trial) in troubles.iter().flat_map(|trouble| [(trouble, true), (trouble, false)]) {
            let hint = advised(trouble.into(), is_trial).hint().to_owned();
            assert!(!hint.contains("timeout_seconds") && !hint.is_empty(), "{hint}");
            assert_eq!(hint.contains("list_active"), !is_trial && *trouble == troubles[1], "{hint}");
        }
    }

    #[test]
    fn days_are_whole_and_negative_when_over() {
        let day = 86_400_000;
        assert_eq!([days(0, day * 3 / 2), days(day, day), days(day, day - 1), days(3 * day, 0)], [1, 0, -1, -3]);
    }
}
