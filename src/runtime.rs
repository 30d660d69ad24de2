//! The one thread: lines to the protocol, its effects to calls, answers to stdout; and the orderly end.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::time::Instant;

use async_signal::{Signal, Signals};
use smol::future::{or, yield_now, zip};
use smol::stream::StreamExt;
use smol::{LocalExecutor, Task};

use crate::config::{Broker, Config};
#[cfg(feature = "library")]
use crate::library::Library;
use crate::limits::*;
use crate::mcp::server::{Call, CallKey, Effect, Outcome, Server, Work, body};
use crate::mcp::types::Empty;
use crate::mqtt::guard::Guard;
use crate::mqtt::link::{Endpoint, until};
use crate::mqtt::table::Table;
use crate::notify::Notify;
use crate::resources::updates::{Subscription, Updates};
use crate::resources::{self, Refusal};
use crate::rpc::line::{Line, LineBuffer};
use crate::rpc::outgoing::OutLine;
use crate::stdio::{Ends, Input, Output};
use crate::task;
use crate::tools::failure::{Code, Failure};
use crate::tools::profile::{Profile, Profiles};
use crate::tools::schema::Tools;
use crate::tools::watch::Watches;
use crate::tools::{self, Context, Ended, Tool};
use crate::vault::Vault;

/// The signals that end a server.
pub const SIGNALS: [Signal; 3] = [Signal::Term, Signal::Int, Signal::Hup];

/// Serves on stdin and stdout, or what stands for them, until the input ends, one of the `signals` asks to stop, or nobody
/// reads the output any more.
pub fn run(config: Config, ends: Ends, signals: &'static [Signal]) -> io::Result<()> {
    let Parts { executor, table, profiles, guard } = Parts::of(config)?;
    let server = Server::new(Box::new(Tools(guard)));
    #[cfg(feature = "library")]
    let server = server.with_offers(Box::new(Library { table: table.clone(), profiles: profiles.clone() }));
    let runtime = Rc::new(Runtime {
        executor: executor.clone(),
        table,
        profiles,
        watches: Rc::default(),
        updates: Updates::default(),
        server: RefCell::new(server),
        calls: RefCell::default(),
        listens: RefCell::default(),
        subscribed: RefCell::default(),
        calls_changed: Notify::default(),
        lines: Lines::default(),
        line_at: Cell::new(Instant::now()),
    });
    let outcome = Rc::new(Cell::new(Ok(())));
    let served = task::spawn(&executor, task::into_cell(&outcome, runtime.serve(ends, signals)));
    drive(&executor, served);
    outcome.replace(Ok(()))
}

/// Runs one tool outside of the protocol, for a person at a shell.
pub fn call_once(config: Config, tool: &'static Tool, arguments: &str) -> io::Result<Ended> {
    let Parts { executor, table, profiles, .. } = Parts::of(config)?;
    let context = Context { table: table.clone(), profiles, watches: Rc::default(), progress: Rc::new(|_, _, _| ()) };
    let (ended, arguments) = (Rc::new(Cell::new(None)), arguments.to_owned());
    let called = async move {
        let ended = tools::call(tool, context, &arguments).await;
        table.close_all().await;
        Some(ended)
    };
    let call = task::spawn(&executor, task::into_cell(&ended, called));
    drive(&executor, call);
    Ok(ended.take().expect("the call has ended"))
}

/// Runs all tasks until one of them has ended.
fn drive(executor: &LocalExecutor<'static>, until: Task<()>) {
    smol::block_on(async {
        // Tasks run for a bounded time between looks at the system's events: the executor's own loop runs 200, and
        // with a session that reads a flood in each of them, requests would wait a tenth of a second.
        while !until.is_finished() {
            executor.tick().await;
            let since = Instant::now();
            while executor.try_tick() {
                if since.elapsed() >= EVENTS_EVERY {
                    yield_now().await;
                    break;
                }
            }
        }
        until.await;
    });
}

/// What a configuration becomes.
struct Parts {
    executor: Rc<LocalExecutor<'static>>,
    table: Rc<Table>,
    profiles: Rc<Profiles>,
    guard: Rc<Guard>,
}

impl Parts {
    fn of(mut config: Config) -> io::Result<Self> {
        let executor = Rc::new(LocalExecutor::new());
        add_demo(&mut config, &executor)?;
        let vault = Vault::new().map_err(no_random)?;
        let profiles = Rc::new(seal(config.brokers, &vault).map_err(no_random)?);
        let guard = Rc::new(Guard::new(config.policy, config.audit, config.publishes_per_minute));
        let watch = guard.clone();
        task::spawn(&executor, async move { watch.deadlines.keep().await }).detach();
        let table = Table::new(config.max_sessions, config.session_ttl, vault, guard.clone(), executor.clone());
        Ok(Self { executor, table: Rc::new(table), profiles, guard })
    }
}

struct Runtime {
    executor: Rc<LocalExecutor<'static>>,
    table: Rc<Table>,
    profiles: Rc<Profiles>,
    watches: Rc<Watches>,
    updates: Updates,
    server: RefCell<Server>,
    calls: RefCell<Vec<(CallKey, Task<()>)>>,
    /// Calls without an end: they are no reason to wait.
    listens: RefCell<Vec<(CallKey, Task<()>)>>,
    /// What `resources/subscribe` subscribed to.
    subscribed: RefCell<Vec<(String, Task<()>)>>,
    calls_changed: Notify,
    lines: Lines,
    /// When the last line came or left.
    line_at: Cell<Instant>,
}

/// Lines that wait to be written.
#[derive(Default)]
struct Lines {
    waiting: RefCell<VecDeque<OutLine>>,
    held_bytes: Cell<usize>,
    /// A line is being written.
    writing: Cell<bool>,
    changed: Notify,
}

impl Runtime {
    async fn serve(self: Rc<Self>, ends: Ends, signals: &[Signal]) -> io::Result<()> {
        let input = Input::open(ends.stdin)?;
        let output = Rc::new(Output::open(ends.stdout)?);
        let mut signals = Signals::new(signals)?;
        // Tasks of their own: what happens to one of them is no reason to ask for the others.
        let (this, to) = (self.clone(), output.clone());
        let mut writing = task::spawn(&self.executor, async move { this.write(&to).await });
        let read = Rc::new(Cell::new(Ok(())));
        let this = self.clone();
        let reading = task::spawn(&self.executor, task::into_cell(&read, async move { this.read(&input).await }));
        let table = self.table.clone();
        let _expiry = task::spawn(&self.executor, async move { table.expire().await });
        let stop = async {
            signals.next().await;
            log::info!("ending on a signal");
        };
        let gone = async {
            or(output.closed(), &mut writing).await;
            log::info!("nobody reads stdout any more");
        };
        let ended = or(
            async {
                reading.await;
                true
            },
            async {
                or(stop, gone).await;
                false
            },
        );
        let may_finish = ended.await;
        read.replace(Ok(()))?;
        self.shut_down(may_finish).await;
        Ok(())
    }

    /// Reads lines until the end of input.
    async fn read(self: &Rc<Self>, input: &Input) -> io::Result<()> {
        let mut buffer = LineBuffer::default();
        loop {
            self.lines.have_room().await;
            let count = input.read(buffer.space(), || self.line_at.get() + LOOKS_FOR).await?;
            self.line_at.set(Instant::now());
            if count == 0 {
                if let Some(line) = buffer.last_line() {
                    self.handle(line);
                }
                buffer.wipe();
                return Ok(());
            }
            buffer.filled(count);
            while let Some(line) = buffer.next_line() {
                self.handle(line);
            }
        }
    }

    fn handle(self: &Rc<Self>, line: Line<'_>) {
        {
            let mut server = self.server.borrow_mut();
            match line {
                Line::Whole(line) => server.handle_line(line),
                Line::TooLong => server.handle_too_long(),
            }
        }
        self.apply_effects();
    }

    fn apply_effects(self: &Rc<Self>) {
        loop {
            let Some(effect) = self.server.borrow_mut().next_effect() else { return };
            match effect {
                Effect::Send(line) => self.lines.push(line),
                Effect::Start(call) => self.start(call),
                Effect::Cancel(key) => {
                    // Dropping the task drops the call; what it holds is given back.
                    drop(self.take_task(key));
                    self.calls_changed.notify();
                }
                Effect::Unsubscribe(uri) => {
                    let ends = |(known, _): &mut (String, _)| uri.as_ref().is_none_or(|uri| uri == known);
                    let ended: Vec<_> = self.subscribed.borrow_mut().extract_if(.., ends).collect();
                    drop(ended);
                }
            }
        }
    }

    fn start(self: &Rc<Self>, call: Call) {
        let key = call.key;
        let list = if matches!(call.work, Work::Listen { .. }) { &self.listens } else { &self.calls };
        let full = match &call.work {
            Work::Tool { tool, .. } => list.borrow().len() >= CALLS_MAX && !tools::is_brief(tool),
            Work::Listen { .. } => list.borrow().len() >= LISTENS_MAX,
            _ => list.borrow().len() >= CALLS_MAX,
        };
        let this = self.clone();
        let task = task::spawn(&self.executor, async move {
            let outcome = if full { this.refuse(&call) } else { this.call(call).await };
            this.finish(key, outcome);
        });
        list.borrow_mut().push((key, task));
    }

    fn refuse(&self, call: &Call) -> Outcome {
        let failure = too_many_calls();
        if let Work::Tool { tool, .. } = call.work {
            tools::audit_limit(&self.table, tool, &failure);
        }
        failed(failure)
    }

    async fn call(self: &Rc<Self>, call: Call) -> Outcome {
        let context = self.context(&call);
        match call.work {
            Work::Tool { tool, arguments } => {
                let Some(tool) = tools::find(tool) else { return failed(Failure::internal()) };
                tools::call(tool, context, &arguments).await.map_or_else(failed, Outcome::Done)
            }
            Work::Read { uri } => {
                resources::read(context, &self.updates, &uri).await.map_or_else(Outcome::from, Outcome::Done)
            }
            Work::Subscribe { uri } => match self.subscribe(&context, uri).await {
                Ok(()) => Outcome::Done(body(&Empty {})),
                Err(refusal) => refusal.into(),
            },
            Work::Listen { uris } => self.listen(call.key, &context, &uris).await,
        }
    }

    fn context(self: &Rc<Self>, call: &Call) -> Context {
        let (this, key, wants_progress) = (Rc::downgrade(self), call.key, call.wants_progress);
        let progress = move |progress: f64, total: f64, message: &str| {
            // A client that does not read gets no progress: answers have the room that is left.
            if let Some(this) = this.upgrade().filter(|this| wants_progress && this.lines.is_flowing()) {
                this.server.borrow_mut().progress(key, progress, total, message);
                this.apply_effects();
            }
        };
        Context {
            table: self.table.clone(),
            profiles: self.profiles.clone(),
            watches: self.watches.clone(),
            progress: Rc::new(progress),
        }
    }

    /// Subscribes to a resource until it is unsubscribed from.
    async fn subscribe(self: &Rc<Self>, context: &Context, uri: String) -> Result<(), Refusal> {
        let is_subscribed = || self.subscribed.borrow().iter().any(|(known, _)| *known == uri);
        if is_subscribed() {
            return Ok(());
        }
        let subscription = self.updates.begin(context, &uri)?;
        subscription.granted(context).await?;
        // The same may have been asked for twice at once.
        if !is_subscribed() {
            let task = self.follow(None, subscription);
            self.subscribed.borrow_mut().push((uri, task));
        }
        Ok(())
    }

    /// Subscribes to what can be, says so, and tells of updates until the call is cancelled.
    async fn listen(self: &Rc<Self>, key: CallKey, context: &Context, uris: &[String]) -> Outcome {
        let begun: Vec<_> = uris.iter().filter_map(|uri| self.updates.begin(context, uri).ok()).collect();
        let mut honoured = Vec::new();
        for subscription in begun {
            if subscription.granted(context).await.is_ok() {
                honoured.push(subscription);
            }
        }
        let uris: Vec<_> = honoured.iter().map(|subscription| subscription.uri.as_str()).collect();
        self.server.borrow_mut().acknowledge(key, &uris);
        self.apply_effects();
        let following: Vec<_> = honoured.into_iter().map(|subscription| self.follow(Some(key), subscription)).collect();
        for one in following {
            one.await;
        }
        std::future::pending().await
    }

    /// Tells of updates until the subscription's end.
    fn follow(self: &Rc<Self>, listen: Option<CallKey>, subscription: Rc<Subscription>) -> Task<()> {
        let this = self.clone();
        task::spawn(&self.executor, async move {
            let tell = |uri: &str| {
                // What a client that does not read has missed is told when it reads again, once.
                let can = this.lines.is_flowing();
                if can {
                    this.server.borrow_mut().updated(listen, uri);
                    this.apply_effects();
                }
                can
            };
            subscription.follow(tell).await;
            if listen.is_none() {
                let ended = |(uri, _): &mut (String, _)| *uri == subscription.uri;
                let over = this.subscribed.borrow_mut().extract_if(.., ended).next();
                over.into_iter().for_each(|(_, task)| task.detach());
            }
        })
    }

    fn finish(self: &Rc<Self>, key: CallKey, outcome: Outcome) {
        self.server.borrow_mut().finish(key, outcome);
        self.apply_effects();
        if let Some(task) = self.take_task(key) {
            task.detach();
        }
        self.calls_changed.notify();
    }

    fn take_task(&self, key: CallKey) -> Option<Task<()>> {
        let take = |list: &RefCell<Vec<(CallKey, Task<()>)>>| {
            let index = list.borrow().iter().position(|(running, _)| *running == key)?;
            Some(list.borrow_mut().swap_remove(index).1)
        };
        take(&self.calls).or_else(|| take(&self.listens))
    }

    /// Writes lines as they come, until nobody reads them.
    async fn write(&self, output: &Output) {
        if let Err(error) = self.write_lines(output).await {
            log::debug!("stdout: {error}");
        }
    }

    async fn write_lines(&self, output: &Output) -> io::Result<()> {
        let mut chunk = Vec::with_capacity(WRITE_CHUNK_BYTES);
        loop {
            let mut line = self.lines.changed.until(|| self.lines.take()).await;
            while line.fill(&mut chunk, WRITE_CHUNK_BYTES) {
                output.write_all(&chunk).await?;
                chunk.clear();
            }
            drop(line);
            // Many short lines leave in one write.
            if chunk.len() < WRITE_CHUNK_BYTES && !self.lines.waiting.borrow().is_empty() {
                continue;
            }
            output.write_all(&chunk).await?;
            chunk.clear();
            chunk.shrink_to(2 * WRITE_CHUNK_BYTES);
            self.lines.written();
            self.line_at.set(Instant::now());
        }
    }

    /// Lets calls finish for a moment if they may, then closes sessions with DISCONNECT while the last lines leave.
    async fn shut_down(self: &Rc<Self>, may_finish: bool) {
        self.server.borrow_mut().end_listens();
        self.apply_effects();
        self.subscribed.take().clear();
        if may_finish {
            let done = self.calls_changed.until(|| self.calls.borrow().is_empty().then_some(()));
            until(Instant::now() + EOF_GRACE, pin!(done)).await;
        }
        let unfinished = std::mem::take(&mut *self.calls.borrow_mut());
        for (_, task) in unfinished {
            task.cancel().await;
        }
        let drained = self.lines.changed.until(|| self.lines.is_empty().then_some(()));
        until(Instant::now() + SHUTDOWN_WAIT, pin!(zip(self.table.close_all(), drained))).await;
    }
}

impl Lines {
    fn push(&self, line: OutLine) {
        self.held_bytes.set(self.held_bytes.get() + line.held_bytes());
        self.waiting.borrow_mut().push_back(line);
        self.changed.notify();
    }

    fn take(&self) -> Option<OutLine> {
        let line = self.waiting.borrow_mut().pop_front()?;
        self.held_bytes.set(self.held_bytes.get() - line.held_bytes());
        self.writing.set(true);
        Some(line)
    }

    fn written(&self) {
        self.writing.set(false);
        self.changed.notify();
    }

    fn is_empty(&self) -> bool {
        !self.writing.get() && self.waiting.borrow().is_empty()
    }

    /// Waits while too much waits to be written.
    async fn have_room(&self) {
        self.changed.until(|| self.is_flowing().then_some(())).await;
    }

    fn is_flowing(&self) -> bool {
        self.waiting.borrow().len() < OUTBOX_MAX_LINES && self.held_bytes.get() < OUTBOX_MAX_BYTES
    }
}

fn failed(failure: Failure) -> Outcome {
    Outcome::Failed(failure.body(), failure.rpc_error())
}

fn too_many_calls() -> Failure {
    let message = format!("{CALLS_MAX} calls are running, which is the limit");
    Failure::new(
        Code::TooManyCalls,
        message,
        "wait until one of them ends (calls that listen end after their duration_seconds), or cancel one",
    )
}

/// The demo broker is a broker like any other; it begins when it is first connected to.
#[cfg(feature = "demo")]
fn add_demo(config: &mut Config, executor: &Rc<LocalExecutor<'static>>) -> io::Result<()> {
    if config.demo {
        let (host, port) = ("127.0.0.1".into(), crate::demo::listen(executor)?);
        let target =
            crate::mqtt::url::Target { host, port, tls: false, client_id: None, credentials: Default::default() };
        config.set_broker(crate::demo::PROFILE.into(), target.into());
    }
    Ok(())
}

#[cfg(not(feature = "demo"))]
fn add_demo(_: &mut Config, _: &Rc<LocalExecutor<'static>>) -> io::Result<()> {
    Ok(())
}

/// A static glibc program opens a file for them, which an empty root directory lacks.
fn no_random(error: getrandom::Error) -> io::Error {
    io::Error::other(format!("no random numbers for sealing credentials, from getrandom or /dev/urandom: {error}"))
}

/// From here on the credentials of configured brokers are sealed.
fn seal(brokers: Vec<(String, Broker)>, vault: &Vault) -> Result<Profiles, getrandom::Error> {
    let profile = |(name, broker): (String, Broker)| {
        let Broker { target, tls, description, keep_alive_seconds } = broker;
        let credentials = Rc::new(vault.seal(&target.credentials)?);
        let tls = target.tls.then(|| Rc::new(tls));
        let endpoint = Endpoint { host: target.host, port: target.port, tls };
        let client_id = target.client_id;
        Ok((name, Profile { endpoint, client_id, keep_alive_seconds, description, credentials }))
    };
    brokers.into_iter().map(profile).collect()
}
