//! Moves bytes between a session and its socket: connect, pump, wait, connect again. All decisions are the session's.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io::ErrorKind;
use std::pin::Pin;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Instant;

use async_io::Timer;
use smol::future::{or, yield_now};

use super::budget::Budget;
use super::error::Trouble;
use super::guard::Guard;
use super::link::{self, Endpoint, Link, Observer, Stage, Stages};
use super::liveness::RoundTrip;
use super::pace::Pace;
use super::session::Session;
use super::state::State;
use super::wire::{self, ConnectInfo};
use crate::clock::Now;
use crate::limits::{DISCONNECT_WAIT, LOOKS_FOR, READ_CHUNK_BYTES, READS_PER_TURN, RECONNECT_ATTEMPT};
use crate::notify::Notify;
use crate::task;
use crate::vault::{Sealed, Vault};

/// What a connection is made with. Credentials stay sealed between connects.
pub struct Identity {
    /// Where.
    pub endpoint: Endpoint,
    /// As which client.
    pub client_id: String,
    /// Whether the broker forgets the session with the connection.
    pub clean_session: bool,
    /// 0 turns keep-alive off.
    pub keep_alive_seconds: u16,
    /// User name and password.
    pub credentials: Rc<Sealed>,
    /// Who is told how connecting goes on.
    pub observer: Option<Observer>,
}

/// A session with its driver's signals. Calls change the session through [`Connection::with`] and wait through
/// [`Connection::until`].
pub struct Connection {
    /// What it is connected with.
    pub identity: Identity,
    /// What may be done on it.
    pub guard: Rc<Guard>,
    /// This connection was greeted with CONNACK.
    greeted: Cell<bool>,
    /// What was published on it.
    pub budget: RefCell<Budget>,
    session: RefCell<Session>,
    changed: Notify,
    wake: Notify,
    ended: Cell<bool>,
}

/// The read buffer that all drivers share: one read is handled before the next one begins.
pub type ReadBuffer = Rc<RefCell<Vec<u8>>>;

impl Connection {
    /// A connection that is not made yet.
    pub fn new(identity: Identity, guard: Rc<Guard>) -> Self {
        let mut session = Session::new(identity.keep_alive_seconds);
        session.captures.obey(&guard.policy);
        let (session, ended) = (RefCell::new(session), Cell::new(false));
        let (changed, wake, budget) = (Notify::default(), Notify::default(), RefCell::default());
        Self { identity, guard, greeted: Cell::new(false), budget, session, changed, wake, ended }
    }

    /// Changes or reads the session, and lets the driver look at what became of it.
    pub fn with<T>(&self, change: impl FnOnce(&mut Session) -> T) -> T {
        let value = {
            let mut session = self.session.borrow_mut();
            let before = session.next_deadline();
            let value = change(&mut session);
            // Each turn of the driver costs system calls.
            if !session.output().is_empty() || session.next_deadline() != before || *session.state() == State::Closed {
                self.wake.notify();
            }
            value
        };
        self.tell_changes();
        value
    }

    /// Reads the session.
    pub fn look<T>(&self, read: impl FnOnce(&Session) -> T) -> T {
        read(&self.session.borrow())
    }

    /// Waits until `condition` gives a value or the deadline has come.
    pub async fn until<T>(&self, deadline: Instant, mut condition: impl FnMut(&Session) -> Option<T>) -> Option<T> {
        let mut value = None;
        let mut is_met = || {
            value = condition(&self.session.borrow());
            value.is_some()
        };
        self.wait(deadline, &mut is_met).await;
        value
    }

    /// Once for all conditions.
    async fn wait(&self, deadline: Instant, is_met: &mut dyn FnMut() -> bool) {
        let met = pin!(self.changed.until(|| is_met().then_some(())));
        self.guard.deadlines.until(deadline, met).await;
    }

    /// A PINGREQ and its PINGRESP; `None` when there is no connection, or none any more, or no answer by the deadline.
    pub async fn round_trip(&self, by: Instant) -> Option<RoundTrip> {
        let stands = |session: &Session| *session.state() == State::Connected;
        let reconnects = |session: &Session| session.counters().reconnects;
        let sent = self.with(|session| stands(session).then(|| (session.ping(Now::read()), reconnects(session))));
        let (number, connection) = sent?;
        let answered = self.until(by, |session| match stands(session) && reconnects(session) == connection {
            true => session.liveness.round_trip(number).map(Some),
            false => Some(None),
        });
        answered.await.flatten()
    }

    /// Closes the session with DISCONNECT and waits, shortly, until it has left.
    pub async fn close(&self) {
        self.shut();
        let ended = self.changed.until(|| self.ended.get().then_some(()));
        link::until(Instant::now() + DISCONNECT_WAIT * 2, pin!(ended)).await;
    }

    /// Closes the session; its driver says DISCONNECT when it gets its turn.
    pub fn shut(&self) {
        self.with(|session| session.close(Now::read(), !self.identity.clean_session));
    }

    fn tell_changes(&self) {
        if self.session.borrow_mut().take_changed() {
            self.changed.notify();
        }
    }

    fn is_closed(&self) -> bool {
        *self.session.borrow().state() == State::Closed
    }
}

/// Runs a connection until it is closed or cannot be made. The first attempt ends at `first_deadline`; if it fails
/// there is no second one.
pub async fn run(connection: Rc<Connection>, vault: Rc<Vault>, buffer: ReadBuffer, first_deadline: Instant) {
    let mut deadline = first_deadline;
    loop {
        let trouble = or(closed(&connection), serve(&connection, &vault, &buffer, deadline)).await;
        log::info!("session to {}: {trouble}", connection.identity.endpoint.host);
        if !connection.greeted.take() {
            connection.guard.not_connected(&connection.identity, &trouble);
        }
        connection.session.borrow_mut().connection_lost(Now::read(), trouble);
        connection.tell_changes();
        if !matches!(connection.session.borrow().state(), State::Reconnecting) {
            break;
        }
        let wait = connection.session.borrow().retry_after(random());
        link::until(Instant::now() + wait, pin!(closed(&connection))).await;
        deadline = Instant::now() + RECONNECT_ATTEMPT;
    }
    connection.ended.set(true);
    connection.changed.notify();
}

/// Ready when the session was closed before its connection stood; a standing connection says DISCONNECT first.
async fn closed(connection: &Connection) -> Trouble {
    let standing = || connection.session.borrow().is_on_line();
    connection.wake.until(|| (connection.is_closed() && !standing()).then_some(Trouble::Closed)).await
}

async fn serve(connection: &Connection, vault: &Vault, buffer: &ReadBuffer, deadline: Instant) -> Trouble {
    let mut stages = Stages::new(connection.identity.observer.as_ref());
    let open = link::open(&connection.identity.endpoint, &connection.guard.policy, &mut stages, deadline);
    // Boxed: what connecting needs would otherwise be part of the session's state for its whole life.
    match Box::pin(open).await {
        Ok(mut link) => match say_connect(connection, vault, &mut link, deadline).await {
            Ok(()) => pump(connection, buffer, &mut link, stages).await,
            Err(trouble) => trouble,
        },
        Err(trouble) => trouble,
    }
}

/// Opens the sealed credentials for as long as CONNECT takes to be written; both are wiped behind it.
async fn say_connect(
    connection: &Connection,
    vault: &Vault,
    link: &mut Link,
    deadline: Instant,
) -> Result<(), Trouble> {
    let identity = &connection.identity;
    let packet = {
        let credentials =
            vault.open(&identity.credentials).ok_or(Trouble::Lost("credentials cannot be opened".into()))?;
        connection.session.borrow_mut().as_user = credentials.username.is_some();
        let info = ConnectInfo {
            client_id: &identity.client_id,
            keep_alive_seconds: identity.keep_alive_seconds,
            clean_session: identity.clean_session,
            credentials: &credentials,
        };
        wire::connect(&info).ok_or(Trouble::Protocol("client id or credentials are too long for CONNECT".into()))?
    };
    let mut rest = packet.as_slice();
    let written = async {
        while !rest.is_empty() {
            match link.write(rest) {
                Ok(count) => rest = &rest[count..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => poll_fn(|cx| link.poll_writable(cx)).await?,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    };
    let written = link::until(deadline, pin!(written)).await;
    match written {
        Some(Ok(())) => {}
        Some(Err(error)) => return Err(link.broken(&error)),
        None => return Err(Trouble::Timeout("CONNECT to be taken")),
    }
    connection.session.borrow_mut().connection_opened(packet.len(), deadline);
    Ok(())
}

/// Moves bytes until the connection ends; returns why.
async fn pump(connection: &Connection, buffer: &ReadBuffer, link: &mut Link, stages: Stages<'_>) -> Trouble {
    let mut timer = Timer::never();
    let mut timer_at: Option<Instant> = None;
    let mut close_by = None;
    let mut greeting = Some(stages);
    let mut pace = Pace::new(Instant::now());
    let mut readable = true;
    let (mut awaits_since, mut sent_before) = (None, 0);
    loop {
        let seen = connection.wake.epoch();
        let progress = match turn(connection, buffer, link, readable) {
            Ok(progress) => progress,
            Err(trouble) => return trouble,
        };
        if greeting.is_some() && *connection.session.borrow().state() == State::Connected {
            connection.greeted.set(true);
            connection.guard.audit.connect(connection.identity.subject(), "connected");
            greeting.take().iter_mut().for_each(|stages| stages.done(|| Stage::Connect));
        }
        connection.tell_changes();
        let (next, wants_input, has_output, awaits_answer, rest, sent) = {
            let session = connection.session.borrow();
            let (has_output, awaits_answer) = (!session.output().is_empty(), session.awaits_answer());
            let is_empty = readable && !progress;
            let rest = pace.rest(Instant::now(), &session.counters(), is_empty, awaits_answer);
            let sent = session.counters().bytes_out;
            (session.next_deadline(), session.wants_input(), has_output, awaits_answer, rest, sent)
        };
        if connection.is_closed() {
            let close_by = *close_by.get_or_insert_with(|| Instant::now() + DISCONNECT_WAIT);
            if !has_output || Instant::now() >= close_by {
                link.finish();
                return Trouble::Closed;
            }
        }
        if progress {
            yield_now().await;
            continue;
        }
        awaits_since = awaits_answer.then(|| awaits_since.unwrap_or_else(Instant::now));
        if wants_input && awaits_since.is_some_and(|since| since.elapsed() < LOOKS_FOR) {
            task::give_way().await;
            readable = true;
            continue;
        }
        let next = next.into_iter().chain(close_by).chain(rest).min();
        // A deadline that moves away leaves the timer as it is: to set it costs more than to look once too often.
        if let Some(at) = next.filter(|at| timer_at.is_none_or(|timer_at| *at < timer_at)) {
            timer_at = Some(at);
            timer.set_at(at);
        }
        // The kernel begins to put it off where both sides send.
        if awaits_answer || sent != sent_before {
            link.acknowledge_at_once();
        }
        sent_before = sent;
        readable = false;
        poll_fn(|cx| {
            readable |= rest.is_none() && wants_input && link.poll_readable(cx).is_ready();
            let ready = connection.wake.poll_changed(seen, cx).is_ready()
                || (has_output && link.poll_writable(cx).is_ready())
                || Pin::new(&mut timer).poll(cx).is_ready();
            if ready || readable { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        let now = Instant::now();
        timer_at = timer_at.filter(|at| *at > now);
        readable |= rest.is_some_and(|at| at <= now);
    }
}

/// One turn: deadlines, then as much writing and reading as is fair. True when there may be more to read at once.
fn turn(connection: &Connection, buffer: &ReadBuffer, link: &mut Link, readable: bool) -> Result<bool, Trouble> {
    let mut session = connection.session.borrow_mut();
    session.handle_timeout(Now::read())?;
    flush(&mut session, link)?;
    if !readable {
        return Ok(false);
    }
    // Whoever waits for a message to leave hears of that before its answer can be read.
    if session.take_changed() {
        connection.changed.notify();
        return Ok(true);
    }
    let mut buffer = buffer.borrow_mut();
    buffer.resize(READ_CHUNK_BYTES, 0);
    for _ in 0..READS_PER_TURN {
        if !session.wants_input() {
            return Ok(false);
        }
        match link.read(&mut buffer) {
            Ok(0) => return Err(link.ended().unwrap_or_else(|| ended(&session))),
            Ok(count) => {
                session.handle_bytes(Now::read(), &buffer[..count])?;
                // A short read has emptied the socket: no need to ask it again before waiting.
                if count < buffer.len() {
                    flush(&mut session, link)?;
                    return Ok(false);
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                flush(&mut session, link)?;
                return Ok(false);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(link.broken(&error)),
        }
    }
    flush(&mut session, link)?;
    Ok(true)
}

fn flush(session: &mut Session, link: &mut Link) -> Result<(), Trouble> {
    while !session.output().is_empty() {
        // Before the call: the broker may have answered by the time it returns.
        let now = Now::read();
        match link.write(session.output()) {
            Ok(count) => session.wrote(now, count),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                session.write_blocked(Now::read());
                return Ok(());
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(link.broken(&error)),
        }
    }
    Ok(())
}

fn ended(session: &Session) -> Trouble {
    Trouble::Lost(match session.state() {
        State::Connected => "the broker closed it".into(),
        _ => "the broker closed it before CONNACK".into(),
    })
}

/// A random number; without one, the longest wait is as good.
fn random() -> u32 {
    getrandom::u32().unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{Ipv4Addr, TcpListener};
    use std::time::Duration;

    use super::*;
    use crate::mqtt::url::Credentials;

    #[test]
    fn connack_is_the_last_stage_that_is_told() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let broker = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a connection");
            let _ = stream.read(&mut [0; 64]).expect("CONNECT");
            stream.write_all(&[0x20, 2, 0, 0]).expect("CONNACK is taken");
            stream.read_to_end(&mut Vec::new()).expect("its end");
        });
        let told = Rc::new(RefCell::new(Vec::new()));
        let to = told.clone();
        let vault = Rc::new(Vault::new().expect("a vault"));
        let identity = Identity {
            endpoint: Endpoint { host: "127.0.0.1".into(), port, tls: None },
            client_id: "c".into(),
            clean_session: true,
            keep_alive_seconds: 0,
            credentials: Rc::new(vault.seal(&Credentials::default()).expect("sealed")),
            observer: Some(Rc::new(move |stage, _| to.borrow_mut().push(stage))),
        };
        let connection = Rc::new(Connection::new(identity, Rc::default()));
        let deadline = Instant::now() + Duration::from_secs(10);
        let calls = async {
            let connected = |session: &Session| (*session.state() == State::Connected).then_some(());
            connection.until(deadline, connected).await.expect("a session");
            connection.close().await;
        };
        let guard = connection.guard.clone();
        let both = smol::future::zip(run(connection.clone(), vault, ReadBuffer::default(), deadline), calls);
        smol::block_on(or(async { _ = both.await }, guard.deadlines.keep()));
        broker.join().expect("the broker saw the end");
        let told = told.take();
        assert!(matches!(told[..], [Stage::Dns(_), Stage::Tcp(_), Stage::Connect]), "{told:?}");
    }

    #[test]
    fn nothing_is_read_before_the_callers_know_that_their_message_has_left() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let endpoint =
            Endpoint { host: "127.0.0.1".into(), port: listener.local_addr().expect("an address").port(), tls: None };
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut stages = Stages::new(None);
        let policy = crate::mqtt::policy::Policy::default();
        let opened = link::open(&endpoint, &policy, &mut stages, deadline);
        let mut link = smol::block_on(opened).expect("a connection");
        let (mut peer, _) = listener.accept().expect("a connection");
        let vault = Vault::new().expect("a vault");
        let credentials = Rc::new(vault.seal(&Credentials::default()).expect("sealed"));
        let identity = Identity {
            endpoint,
            client_id: "c".into(),
            clean_session: true,
            keep_alive_seconds: 0,
            credentials,
            observer: None,
        };
        let (connection, buffer) = (Connection::new(identity, Rc::default()), ReadBuffer::default());
        connection.with(|session| session.connection_opened(0, deadline));
        let mut heard = |link: &mut Link, packet: &[u8]| {
            peer.write_all(packet).expect("taken");
            smol::block_on(poll_fn(|cx| link.poll_readable(cx))).expect("readable");
        };
        let turn = |link: &mut Link| turn(&connection, &buffer, link, true).expect("a connection");
        heard(&mut link, &[0x20, 2, 0, 0]);
        turn(&mut link);
        connection.tell_changes();
        let payload = Rc::from(*b"?");
        let message = crate::mqtt::inflight::Publish { topic: "ask".into(), payload, qos: 0, retain: false };
        connection.with(|session| session.publish(Now::read(), message)).expect("room");
        heard(&mut link, b"\x30\x04\0\x01ay");
        let received = || connection.look(|session| session.counters().messages_in);
        let before = connection.changed.epoch();
        assert!(turn(&mut link), "there is more to do");
        assert_eq!((connection.changed.epoch(), received()), (before + 1, 0));
        assert!(!turn(&mut link));
        assert_eq!(received(), 1);
    }
}
