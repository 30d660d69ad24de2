//! Listening for a while: what all tools that subscribe have in common.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::Context;
use super::failure::{Code, Failure};
use crate::clock::{Now, seconds};
use crate::limits::{BACKOFF_MAX, HELD_MAX_BYTES, PROGRESS_EVERY, PROGRESS_FIRST, PROGRESS_QUIET, SUBACK_WAIT};
use crate::mqtt::capture::{CaptureId, Grant, Interruption, Recorder, Retained};
use crate::mqtt::driver::Connection;
use crate::mqtt::error::Trouble;
use crate::mqtt::guard::Held;
use crate::mqtt::session::Session;
use crate::mqtt::state::State;
use crate::mqtt::topic;

/// What is listened for.
pub(crate) struct Wish<'a> {
    /// A filter from the caller, not checked yet.
    pub filter: &'a str,
    /// The parameter it came from.
    pub parameter: &'static str,
    /// QoS of the subscription.
    pub qos: u8,
    /// Which messages.
    pub retained: Retained,
    /// From the moment the subscription is in force.
    pub duration: Duration,
}

/// How the listening went.
pub(crate) struct Heard {
    /// The recorder had enough, or the retained messages were complete, before the time was over.
    pub early: bool,
    /// QoS that the broker granted.
    pub granted_qos: u8,
    /// How long it listened.
    pub elapsed: Duration,
    /// Times without connection.
    pub interruptions: Vec<Interruption>,
}

/// Checks a filter from the caller.
pub(super) fn check_filter(parameter: &str, filter: &str) -> Result<(), Failure> {
    topic::check_filter(filter).map_err(|what| Failure::invalid(parameter, what))
}

/// Subscribes, gives what arrives to `recorder`, and takes the subscription back, whatever ends it. `count` is for
/// progress messages.
pub(crate) async fn listen(
    context: &Context,
    connection: &Rc<Connection>,
    wish: &Wish<'_>,
    recorder: Rc<RefCell<dyn Recorder>>,
    count: impl Fn() -> u64,
) -> Result<Heard, Failure> {
    hear(context, connection, wish, recorder, &count).await
}

/// The same, once in the binary for all callers.
async fn hear(
    context: &Context,
    connection: &Rc<Connection>,
    wish: &Wish<'_>,
    recorder: Rc<RefCell<dyn Recorder>>,
    count: &dyn Fn() -> u64,
) -> Result<Heard, Failure> {
    let started = Instant::now();
    let capture = Listening::start(connection, wish, recorder)?;
    let mut progress = Progress::new(context, wish.duration);
    let grant_by = started + wish.duration.max(SUBACK_WAIT);
    let granted_qos = capture.grant(grant_by, &mut progress).await?;
    let listening_since = Instant::now();
    progress.total = listening_since - started + wish.duration;
    // A connection that was away delays the call, but not without end: clients give up.
    let end = (listening_since + wish.duration).min(started + wish.duration + SUBACK_WAIT);
    let early = capture.wait(end, &mut progress, count, Listening::finished).await.transpose()?.is_some();
    Ok(Heard { early, granted_qos, elapsed: listening_since.elapsed(), interruptions: capture.interruptions() })
}

fn rejected() -> Failure {
    Failure::new(
        Code::SubscribeRejected,
        "the broker refused the subscription (SUBACK 0x80)",
        "the user may lack the right to read these topics: try a narrower filter or another user",
    )
}

fn too_much_held() -> Failure {
    Failure::new(
        Code::TooManyCalls,
        format!("running calls and watches may hold {HELD_MAX_BYTES} bytes of messages together, which they do"),
        "wait until one of them ends (calls that listen end after their duration_seconds), stop_watch, or ask for a smaller max_response_bytes",
    )
}

/// A capture that is released when the call ends, also when it is cancelled.
pub(crate) struct Listening {
    connection: Rc<Connection>,
    id: CaptureId,
    qos: u8,
    /// As [`losses`] when it began, if it is to end with the connection.
    losses: Option<(u64, bool)>,
    _held: Held,
}

/// Changes when the connection is lost, and when it is back.
pub(super) fn losses(session: &Session) -> (u64, bool) {
    (session.counters().reconnects, *session.state() == State::Connected)
}

/// The connection was lost, and why.
pub(super) fn lost(session: &Session) -> Failure {
    Failure::new(
        Code::ConnectionLost,
        session.last_error().unwrap_or(&Trouble::Closed).to_string(),
        "look at the broker's log and the network; some brokers close the connection of a user who lacks the right to publish to a topic, or to read it",
    )
}

impl Listening {
    /// Subscribes, if the policy allows it.
    pub(crate) fn start(
        connection: &Rc<Connection>,
        wish: &Wish<'_>,
        recorder: Rc<RefCell<dyn Recorder>>,
    ) -> Result<Self, Failure> {
        let Wish { filter, qos, retained, .. } = *wish;
        check_filter(wish.parameter, filter)?;
        connection.guard.check_subscribe(&connection.identity, filter)?;
        let bytes = recorder.borrow().holds_max_bytes();
        let held = connection.guard.hold(bytes).ok_or_else(too_much_held)?;
        let id = connection.with(|session| session.capture(Now::read(), filter, qos, retained, recorder));
        Ok(Self { connection: connection.clone(), id, qos, losses: None, _held: held })
    }

    /// Nothing is waited for any longer than the connection stands that stands now.
    #[cfg(feature = "analysis")]
    pub(super) fn on_this_connection(mut self) -> Self {
        self.losses = Some(self.connection.look(losses));
        self
    }

    /// Waits until the subscription is in force: the granted QoS.
    pub(crate) async fn grant(&self, by: Instant, progress: &mut Progress<'_>) -> Result<u8, Failure> {
        match self.wait(by, progress, &|| 0, Self::granted).await {
            Some(granted) => granted,
            None => Err(self.never_granted()),
        }
    }

    /// Waits for `condition`, telling progress meanwhile; `None` at `end`.
    pub(super) async fn wait<T>(
        &self,
        end: Instant,
        progress: &mut Progress<'_>,
        count: &dyn Fn() -> u64,
        condition: impl Fn(&Self) -> Option<Result<T, Failure>>,
    ) -> Option<Result<T, Failure>> {
        let mut outcome = None;
        let mut is_over = |session: &Session| {
            outcome = self.trouble(session).map(Err).or_else(|| condition(self));
            outcome.is_some()
        };
        self.pass(end, progress, count, &mut is_over).await;
        outcome
    }

    /// Once in the binary for all conditions.
    async fn pass(
        &self,
        end: Instant,
        progress: &mut Progress<'_>,
        count: &dyn Fn() -> u64,
        is_over: &mut dyn FnMut(&Session) -> bool,
    ) {
        loop {
            let until = end.min(progress.next);
            let is_met = self.connection.until(until, |session| is_over(session).then_some(())).await.is_some();
            if is_met || Instant::now() >= end {
                return;
            }
            progress.tell(end, count());
        }
    }

    fn granted(&self) -> Option<Result<u8, Failure>> {
        self.connection.look(|session| match session.captures.get(self.id)?.grant {
            Grant::Waiting => None,
            Grant::Granted(qos) => Some(Ok(qos)),
            Grant::Rejected => Some(Err(rejected())),
        })
    }

    /// Whether it is done, or why nothing more will come.
    pub(super) fn finished(&self) -> Option<Result<(), Failure>> {
        self.connection.look(|session| {
            let capture = session.captures.get(self.id)?;
            match capture.grant {
                // A broker may refuse after a reconnect what it had granted before.
                Grant::Rejected => Some(Err(rejected())),
                _ if capture.broken => Some(Err(Failure::internal())),
                _ => capture.done.then_some(Ok(())),
            }
        })
    }

    fn trouble(&self, session: &Session) -> Option<Failure> {
        match session.state() {
            State::Closed => Some((&Trouble::Closed).into()),
            State::Failed(trouble) => Some(Failure::new(
                Code::ConnectionLost,
                format!("the session cannot be continued: {trouble}"),
                "close_connection, then establish_connection with what the broker accepts",
            )),
            _ if self.losses.is_some_and(|before| before != losses(session)) => Some(lost(session)),
            _ => None,
        }
    }

    fn never_granted(&self) -> Failure {
        let (state, error) = self.connection.look(|session| (session.state().clone(), session.last_error().cloned()));
        match (state, error) {
            (State::Reconnecting, Some(trouble)) => Failure::new(
                Code::ConnectionLost,
                format!("the connection did not come back within the call's time; last: {trouble}"),
                "the session keeps trying: call again, or look at list_active_connections",
            ),
            _ => Failure::new(
                Code::NoResponse,
                format!("the broker did not confirm the subscription at QoS {}", self.qos),
                "call again; if it stays so, the broker is overloaded or broken",
            ),
        }
    }

    /// Why nothing more will come, if that is so.
    pub(super) fn failure(&self) -> Option<Failure> {
        self.finished().and_then(Result::err)
    }

    /// Waits until nothing more will come: the session has ended, or the broker has taken back its grant.
    pub(crate) async fn over(&self) {
        let is_over = |session: &Session| (self.trouble(session).is_some() || self.failure().is_some()).then_some(());
        while self.connection.until(Instant::now() + BACKOFF_MAX, is_over).await.is_none() {}
    }

    /// Times without connection so far.
    pub(super) fn interruptions(&self) -> Vec<Interruption> {
        self.connection.look(|session| {
            session.captures.get(self.id).map(|capture| capture.interruptions.clone()).unwrap_or_default()
        })
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.connection.with(|session| session.release(Now::read(), self.id));
    }
}

/// Tells how far a call is, about once a second, and not right before its end.
pub(crate) struct Progress<'a> {
    context: &'a Context,
    started: Instant,
    total: Duration,
    next: Instant,
}

impl<'a> Progress<'a> {
    /// From now on, towards `total`.
    pub(crate) fn new(context: &'a Context, total: Duration) -> Self {
        let started = Instant::now();
        Self { context, started, total, next: started + PROGRESS_FIRST }
    }

    fn tell(&mut self, end: Instant, count: u64) {
        let now = Instant::now();
        self.next = now + PROGRESS_EVERY;
        if end.saturating_duration_since(now) > PROGRESS_QUIET {
            let message = format!("{count} message{}", if count == 1 { "" } else { "s" });
            (self.context.progress)(seconds(now - self.started), seconds(self.total), &message);
        }
    }
}
