//! What a connection that stands does when it is tested: pings, a subscription, the broker's own figures, and round trips
//! of each QoS where a topic for them is given.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::Context;
use super::failure::{Code, Failure};
use super::listen::{Listening, Progress, Wish, losses, lost};
use super::publish_message::Flight;
use crate::analysis::broker_facts::{BrokerFacts, Summary};
use crate::analysis::decimal::Decimal;
use crate::analysis::health::Step;
use crate::analysis::sort::sort_by;
use crate::analysis::words::count;
use crate::clock::{Now, millis};
use crate::limits::{
    BROKER_FACT_MAX_BYTES, BROKER_INFO_WAIT, PING_TEST_WAIT, PINGS_PER_TEST, QOS_PROBE_WAIT, SUBSCRIBE_TEST_WAIT,
    TEST_WAIT,
};
use crate::mqtt::capture::{Flow, Recorder, Retained};
use crate::mqtt::driver::Connection;
use crate::mqtt::inflight;
use crate::mqtt::session::Session;
use crate::mqtt::state::State;
use crate::mqtt::table::new_id;
use crate::mqtt::wire::Publish;

/// A test under way.
pub(super) struct Probe<'a> {
    connection: &'a Rc<Connection>,
    progress: Progress<'a>,
    facts: BrokerFacts,
}

impl<'a> Probe<'a> {
    pub(super) fn new(context: &'a Context, connection: &'a Rc<Connection>) -> Self {
        Self { connection, progress: Progress::new(context, TEST_WAIT), facts: BrokerFacts::default() }
    }

    /// What the broker told of itself.
    pub(super) fn info(&self) -> Option<Summary> {
        self.facts.summary()
    }

    /// Appends its steps. An error is what stopped it, and is the last step's.
    pub(super) async fn run(&mut self, topic: Option<&str>, steps: &mut Vec<Step>) -> Result<(), Failure> {
        let (step, failure) = self.ping().await;
        steps.push(step);
        if let Some(failure) = failure {
            return Err(failure);
        }
        let started = Instant::now();
        let told = self.broker_info().await;
        let was_lost = matches!(&told, Err(failure) if failure.code() == Code::ConnectionLost);
        let mut stopped = Ok(());
        // Who asks for a probe did not ask for this: that it is refused is no step.
        if topic.is_none() || was_lost {
            let (step, failure) = subscribe_step("$SYS/#", started, told);
            steps.push(step);
            stopped = failure.map_or(Ok(()), Err);
        }
        let Some(topic) = topic else { return stopped };
        if was_lost {
            let is_back = |session: &Session| (*session.state() == State::Connected).then_some(());
            self.connection.until(Instant::now() + SUBSCRIBE_TEST_WAIT, is_back).await;
        }
        stopped.and(self.round_trips(topic, steps).await)
    }

    async fn ping(&self) -> (Step, Option<Failure>) {
        let (by, before) = (Instant::now() + PING_TEST_WAIT, self.connection.look(losses));
        let (mut took, mut queued, mut silence) = (Vec::new(), 0, None);
        while took.len() < PINGS_PER_TEST && silence.is_none() {
            let since = Instant::now();
            match self.connection.round_trip(by).await {
                Some(round_trip) => {
                    queued += usize::from(round_trip.behind_data);
                    took.push(round_trip.took);
                }
                None => silence = Some(since.elapsed()),
            }
        }
        let mut step = timed(&mut took, queued);
        let Some(silence) = silence else { return (step, None) };
        let (is_lost, lost) = self.connection.look(|session| (losses(session) != before, lost(session)));
        let why = match is_lost {
            true => format!(": {}", lost.message()),
            false => format!(" within {} ms", silence.as_millis()),
        };
        let behind = if took.is_empty() { "" } else { "; " };
        let number = took.len() + 1;
        step.detail.push_str(&format!("{behind}no PINGRESP to PINGREQ {number} of {PINGS_PER_TEST}{why}"));
        // One that may take little longer than those before is slow and not dead.
        step.ok = !is_lost && took.last().is_some_and(|longest| silence <= *longest * 2);
        let failure = (!step.ok).then(|| if is_lost { lost } else { silent() });
        if took.is_empty() {
            step.ms = millis(silence);
        }
        (step, failure)
    }

    /// Reads what the broker retains on `$SYS`; how long the subscription took to be granted, and its QoS.
    async fn broker_info(&mut self) -> Result<(Duration, u8), Failure> {
        let told = Rc::new(RefCell::new(Told::default()));
        let wish = Wish {
            filter: "$SYS/#",
            parameter: "probe_topic",
            qos: 0,
            retained: Retained::Only,
            duration: BROKER_INFO_WAIT,
        };
        let started = Instant::now();
        let listening = Listening::start(self.connection, &wish, told.clone())?.on_this_connection();
        let granted = listening.grant(started + SUBSCRIBE_TEST_WAIT, &mut self.progress).await?;
        let took = started.elapsed();
        let end = Instant::now() + BROKER_INFO_WAIT;
        let complete = listening.wait(end, &mut self.progress, &|| 0, Listening::finished).await;
        complete.transpose()?;
        self.facts = std::mem::take(&mut told.borrow_mut().0);
        Ok((took, granted))
    }

    async fn round_trips(&mut self, topic: &str, steps: &mut Vec<Step>) -> Result<(), Failure> {
        let echo = Rc::new(RefCell::new(Echo::default()));
        let wish = Wish {
            filter: topic,
            parameter: "probe_topic",
            qos: 2,
            retained: Retained::Exclude,
            duration: QOS_PROBE_WAIT,
        };
        let started = Instant::now();
        let listening = match Listening::start(self.connection, &wish, echo.clone()) {
            Ok(listening) => listening.on_this_connection(),
            Err(failure) => {
                let detail = format!("the probe was not done: {}", failure.message());
                steps.push(Step::new("subscribe", false, millis(started.elapsed()), detail));
                return Err(failure);
            }
        };
        let granted = listening.grant(started + SUBSCRIBE_TEST_WAIT, &mut self.progress).await;
        let highest = granted.as_ref().copied().unwrap_or_default();
        let (step, failure) = subscribe_step(topic, started, granted.map(|qos| (started.elapsed(), qos)));
        steps.push(step);
        if let Some(failure) = failure {
            return Err(failure);
        }
        let mut stopped = Ok(());
        for qos in 0..3 {
            let (step, failure) = self.round_trip(topic, qos, &listening, &echo).await;
            steps.push(step);
            let Some(failure) = failure else { continue };
            let was_lost = failure.code() == Code::ConnectionLost;
            // What stops the simplest one is most likely what stops the others.
            stopped = stopped.and(Err(if was_lost && qos > highest { above(highest, failure) } else { failure }));
            if was_lost {
                // It would be lost again.
                break;
            }
        }
        stopped
    }

    /// One message to ourselves.
    async fn round_trip(
        &mut self,
        topic: &str,
        qos: u8,
        listening: &Listening,
        echo: &RefCell<Echo>,
    ) -> (Step, Option<Failure>) {
        let name = ["qos_0", "qos_1", "qos_2"][usize::from(qos)];
        let payload: Rc<[u8]> = format!("mqtt-mcp test {}", new_id().unwrap_or_default()).into_bytes().into();
        echo.replace(Echo { wanted: payload.clone(), arrived: None });
        let message = inflight::Publish { topic: topic.to_owned(), payload, qos, retain: false };
        let started = Instant::now();
        let failed = |failure: Failure| {
            let step = Step::new(name, false, millis(started.elapsed()), failure.message());
            (step, Some(failure))
        };
        let flight = match Flight::start(self.connection, message) {
            Ok(flight) => flight,
            Err(failure) => return failed(failure),
        };
        let done = |_: &Listening| match self.connection.look(|session| flight.end(session)) {
            Some(Err(failure)) => Some(Err(failure)),
            Some(Ok(_)) => echo.borrow().arrived.map(Ok),
            None => None,
        };
        match listening.wait(started + QOS_PROBE_WAIT, &mut self.progress, &|| 0, done).await {
            Some(Ok((at, delivered))) => {
                let ms = millis(at.saturating_duration_since(started));
                (Step::new(name, true, ms, format!("published at QoS {qos}, came back at QoS {delivered}")), None)
            }
            Some(Err(failure)) => failed(failure),
            None if self.connection.look(|session| flight.end(session)).is_none() => failed(flight.late().with_hint(
                "the user may lack the right to publish to probe_topic, or the broker is slow or stuck: look at its log",
            )),
            None => failed(Failure::new(
                Code::NoResponse,
                format!("published at QoS {qos}, and it did not come back within {} ms", QOS_PROBE_WAIT.as_millis()),
                "the user may lack the right to publish to probe_topic, or to read it: brokers do not tell",
            )),
        }
    }
}

/// The step of pings that were answered.
fn timed(took: &mut [Duration], queued: usize) -> Step {
    sort_by(took, Duration::cmp);
    let mut step = Step::new("ping", true, 0.0, "");
    let (Some(min), Some(max)) = (took.first(), took.last()) else { return step };
    let of = [*min, took[took.len() / 2], *max].map(millis);
    [step.min_ms, step.median_ms, step.max_ms] = of.map(Some);
    step.ms = of[1];
    let [min, median, max] = of.map(Decimal);
    step.detail = format!("min {min}, median {median}, max {max} ms over {}", count(took.len() as u64, "ping"));
    if queued > 0 {
        step.detail.push_str(&format!("; {queued} of them queued behind messages"));
    }
    step
}

/// A refusal by our own policy says nothing of the broker, and stops nothing.
fn subscribe_step(filter: &str, started: Instant, granted: Result<(Duration, u8), Failure>) -> (Step, Option<Failure>) {
    let filter = &filter[..filter.floor_char_boundary(crate::limits::ECHO_MAX_BYTES)];
    match granted {
        Ok((took, qos)) => (Step::new("subscribe", true, millis(took), format!("{filter} granted at QoS {qos}")), None),
        Err(failure) => {
            let is_our_own = failure.code() == Code::PolicyDenied;
            let detail = format!("{filter}: {}", failure.message());
            let step = Step::new("subscribe", false, millis(started.elapsed()), detail);
            let step = Step { is_our_own, ..step };
            (step, Some(failure).filter(|_| !is_our_own))
        }
    }
}

/// Hung up at a message of a QoS above what it granted.
fn above(granted: u8, failure: Failure) -> Failure {
    failure.with_hint(&format!(
        "the broker granted only QoS {granted}, and seems to close the connection at a message above that: publish at most at QoS {granted}"
    ))
}

fn silent() -> Failure {
    Failure::new(
        Code::NoResponse,
        "the broker does not answer PINGREQ",
        "the broker or the network is stuck: look at the broker's log and its load",
    )
}

/// Keeps what the broker tells of itself.
#[derive(Default)]
struct Told(BrokerFacts);

impl Recorder for Told {
    fn record(&mut self, message: &Publish<'_>, _now: Now) -> Flow {
        self.0.record(message.topic, message.payload, message.retain);
        Flow::More
    }

    fn wanted_payload_bytes(&self) -> usize {
        BROKER_FACT_MAX_BYTES
    }
}

/// Waits for our own message.
struct Echo {
    wanted: Rc<[u8]>,
    arrived: Option<(Instant, u8)>,
}

impl Default for Echo {
    fn default() -> Self {
        Self { wanted: Rc::from([]), arrived: None }
    }
}

impl Recorder for Echo {
    fn record(&mut self, message: &Publish<'_>, now: Now) -> Flow {
        if self.arrived.is_none() && *message.payload == *self.wanted {
            self.arrived = Some((now.at, message.qos));
            return Flow::Look;
        }
        Flow::More
    }

    fn wanted_payload_bytes(&self) -> usize {
        self.wanted.len()
    }
}
