//! Measures traffic: rates, sizes, bursts, the busiest topics, the broker's own round trip and figures.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use smol::future::or;

use super::args::{Args, Kind, Param};
use super::failure::{Code, Failure};
use super::listen::{Heard, Listening, Wish, listen};
use super::monitor_report::{self, Measured};
use super::{Context, Effect, Ended, MAX_RESPONSE_BYTES, SESSION_ID, Tool};
use crate::analysis::broker_facts::BrokerFacts;
use crate::analysis::traffic::Traffic;
use crate::clock::Now;
use crate::limits::{
    BROKER_FACT_MAX_BYTES, MONITOR_DURATION_MAX_SECONDS, PING_EVERY_MIN, PINGRESP_WAIT, PINGS_PER_RUN,
};
use crate::mqtt::capture::{Flow, Recorder, Retained};
use crate::mqtt::driver::Connection;
use crate::mqtt::liveness::RoundTrip;
use crate::mqtt::session::Session;
use crate::mqtt::state::State;
use crate::mqtt::wire::Publish;

pub(super) const TOOL: Tool = Tool {
    name: "monitor_performance",
    title: "Measure traffic",
    description: "Measures traffic; publishes nothing. For \"how busy is this broker, what floods it, is it slow?\": \
rates, sizes, busiest topics, bursts, ping, $SYS figures. Read `summary` first. All matching traffic flows here. \
Many clients give up at 60 s: start with 30. Next: subscribe_and_collect.",
    params: &[
        SESSION_ID,
        Param {
            name: "topic_pattern",
            kind: Kind::Text { max_bytes: 65_535, default: Some("#") },
            required: false,
            doc: "Topic filter.",
        },
        Param {
            name: "duration_seconds",
            kind: Kind::Integer { min: 1, max: MONITOR_DURATION_MAX_SECONDS, default: Some(60) },
            required: false,
            doc: "How long.",
        },
        Param {
            name: "top",
            kind: Kind::Integer { min: 1, max: 100, default: Some(20) },
            required: false,
            doc: "Topics listed.",
        },
        MAX_RESPONSE_BYTES,
    ],
    output: r#""summary":{"type":"string"},"top_topics":{"type":"object"}"#,
    effect: Effect::Reads,
    run: |context, args| Box::pin(run(context, args)),
};

async fn run(context: Context, args: Args) -> Ended {
    let session = context.session(&args)?;
    let connection = &session.connection;
    let wish = Wish {
        filter: args.text("topic_pattern"),
        parameter: "topic_pattern",
        qos: 0,
        retained: Retained::Include,
        duration: args.seconds("duration_seconds"),
    };
    let meter = Rc::new(RefCell::new(Meter { started: Instant::now(), traffic: Traffic::default() }));
    let figures = Rc::new(RefCell::new(Figures::default()));
    let pings = RefCell::new(Vec::new());
    let of_broker = RefCell::new(None);
    let beside = async {
        // Behind the traffic's own subscription, which is what the caller waits for.
        let wish = Wish { filter: "$SYS/#", ..wish };
        of_broker.replace(Some(Listening::start(connection, &wish, figures.clone())));
        look_at_connection(connection, &meter, &pings, &of_broker, wish.duration).await
    };
    let count = || meter.borrow().traffic.live.messages;
    let heard = or(listen(&context, connection, &wish, meter.clone(), count), beside).await?;
    let refused = of_broker.take().and_then(|started| match started {
        Ok(listening) => listening.failure(),
        Err(failure) => Some(failure),
    });
    let measured = Measured {
        filter: wish.filter,
        traffic: &meter.borrow().traffic,
        before: meter.borrow().started.elapsed().saturating_sub(heard.elapsed),
        heard: &heard,
        ended: Now::read(),
        pings: &pings.into_inner(),
        broker: &figures.borrow().0,
        broker_refused: refused.as_ref().map(Failure::message),
    };
    Ok(monitor_report::fitting(&measured, args.size("top"), args.size("max_response_bytes")))
}

/// Times the broker's answers to PINGREQ for as long as somebody else lets it run, and notes when the connection goes.
/// `$SYS` is given up then: some brokers hang up on whoever asks for it.
async fn look_at_connection(
    connection: &Connection,
    meter: &RefCell<Meter>,
    pings: &RefCell<Vec<RoundTrip>>,
    of_broker: &RefCell<Option<Result<Listening, Failure>>>,
    duration: Duration,
) -> Result<Heard, Failure> {
    let every = PING_EVERY_MIN.max(duration / PINGS_PER_RUN);
    let away = |session: &Session| *session.state() != State::Connected;
    loop {
        let next = Instant::now() + every;
        let round_trip = connection.round_trip(Instant::now() + PINGRESP_WAIT).await;
        pings.borrow_mut().extend(round_trip);
        if round_trip.is_none() || connection.until(next, |session| away(session).then_some(())).await.is_some() {
            meter.borrow_mut().traffic.interrupted();
            let given_up = Failure::new(
                Code::ConnectionLost,
                "the connection was lost and $SYS/# not asked for again: some brokers hang up on that",
                "",
            );
            // Dropped outside the borrow: its end may wake others.
            drop(of_broker.replace(Some(Err(given_up))));
            connection.until(next, |session| (!away(session)).then_some(())).await;
        }
    }
}

/// Counts what passes.
struct Meter {
    started: Instant,
    traffic: Traffic,
}

impl Recorder for Meter {
    fn record(&mut self, message: &Publish<'_>, now: Now) -> Flow {
        let elapsed = now.at.saturating_duration_since(self.started);
        self.traffic.record(elapsed, message.topic, message.payload_bytes as u64, message.retain);
        Flow::More
    }

    fn wanted_payload_bytes(&self) -> usize {
        0
    }
}

/// Keeps what the broker tells of itself.
#[derive(Default)]
struct Figures(BrokerFacts);

impl Recorder for Figures {
    fn record(&mut self, message: &Publish<'_>, _now: Now) -> Flow {
        self.0.record(message.topic, message.payload, message.retain);
        Flow::More
    }

    fn wanted_payload_bytes(&self) -> usize {
        BROKER_FACT_MAX_BYTES
    }
}
