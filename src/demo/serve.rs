//! Sockets of the demo broker: loopback only, bounded in number, each a task that moves bytes between client and broker.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use async_io::{Async, Timer};
use smol::LocalExecutor;
use smol::future::yield_now;

use super::broker::Broker;
use super::session::Key;
use super::wire::{self, OTHER_VERSION, Packet};
use crate::limits::{
    DEMO_ACCEPT_RETRY, DEMO_CLIENTS_MAX, DEMO_CONNECT_WAIT, DEMO_OUTPUT_BYTES, DEMO_OUTPUT_MAX_BYTES, DEMO_READ_BYTES,
};
use crate::mqtt::link::plain;
use crate::mqtt::wire::Malformed;
use crate::notify::Notify;
use crate::task;

/// The broker with what its tasks have in common.
#[derive(Default)]
pub(super) struct Shared {
    broker: RefCell<Broker>,
    changed: Notify,
    clients: Cell<usize>,
}

impl Shared {
    /// Changes or reads the broker, and lets the tasks of its clients look at what became of it.
    pub(super) fn with<T>(&self, change: impl FnOnce(&mut Broker) -> T) -> T {
        let mut broker = self.broker.borrow_mut();
        let value = change(&mut broker);
        if broker.take_changed() {
            self.changed.notify();
        }
        value
    }

    /// Waits until `condition` gives a value.
    pub(super) async fn until<T>(&self, mut condition: impl FnMut(&mut Broker) -> Option<T>) -> T {
        self.changed.until(|| condition(&mut self.broker.borrow_mut())).await
    }
}

/// A loopback port of the system's choice.
pub(super) fn bind() -> io::Result<(Async<TcpListener>, u16)> {
    let listener = Async::<TcpListener>::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.get_ref().local_addr()?.port();
    Ok((listener, port))
}

/// Accepts clients for ever; `begin` makes the broker when the first one comes.
pub(super) async fn accept(
    listener: Async<TcpListener>,
    executor: Rc<LocalExecutor<'static>>,
    begin: impl Fn() -> Rc<Shared>,
) {
    let mut begun = None;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let shared: &Rc<Shared> = begun.get_or_insert_with(&begin);
                if shared.clients.get() < DEMO_CLIENTS_MAX {
                    shared.clients.set(shared.clients.get() + 1);
                    task::spawn(&executor, attend(shared.clone(), stream)).detach();
                } else {
                    log::info!("a client too many: {DEMO_CLIENTS_MAX} are connected");
                }
            }
            Err(error) => {
                log::warn!("accept: {}", plain(&error));
                Timer::after(DEMO_ACCEPT_RETRY).await;
            }
        }
    }
}

/// A client's connection.
struct Visit {
    shared: Rc<Shared>,
    stream: Async<TcpStream>,
    input: Vec<u8>,
    output: Vec<u8>,
    /// From CONNECT on.
    key: Option<Key>,
    said_disconnect: bool,
    /// Silence after which the client is given up; `None` when it asked for no keep-alive (3.1.2.10).
    patience: Option<Duration>,
    deadline: Option<Instant>,
}

/// Serves one client from its first byte to its last.
async fn attend(shared: Rc<Shared>, stream: Async<TcpStream>) {
    // Without it answers come later; nothing else changes.
    let _ = stream.get_ref().set_nodelay(true);
    let patience = Some(DEMO_CONNECT_WAIT);
    let deadline = Some(Instant::now() + DEMO_CONNECT_WAIT);
    let (input, output) = (Vec::new(), Vec::new());
    let mut visit = Visit { shared, stream, input, output, key: None, said_disconnect: false, patience, deadline };
    let why = visit.pump().await;
    log::debug!("a client left: {why}");
    // What was answered last, a refusal for one, is still sent if the socket takes it.
    let _ = visit.write();
}

impl Drop for Visit {
    fn drop(&mut self) {
        let (key, said_disconnect) = (self.key, self.said_disconnect);
        if let Some(key) = key {
            self.shared.with(|broker| broker.end(key, said_disconnect));
        }
        self.shared.clients.set(self.shared.clients.get() - 1);
    }
}

impl Visit {
    /// Moves bytes until the connection ends; returns why.
    async fn pump(&mut self) -> String {
        let mut timer = Timer::never();
        loop {
            let seen = self.shared.changed.epoch();
            match self.turn() {
                Ok(true) => {
                    yield_now().await;
                    continue;
                }
                Ok(false) => {}
                Err(why) => return why,
            }
            match self.deadline {
                Some(at) => timer.set_at(at),
                None => timer.clear(),
            }
            let wants_input = self.output.len() < DEMO_OUTPUT_MAX_BYTES;
            let (changed, stream, output) = (&self.shared.changed, &self.stream, &self.output);
            poll_fn(|cx| {
                let ready = changed.poll_changed(seen, cx).is_ready()
                    || (wants_input && stream.poll_readable(cx).is_ready())
                    || (!output.is_empty() && stream.poll_writable(cx).is_ready())
                    || Pin::new(&mut timer).poll(cx).is_ready();
                if ready { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
        }
    }

    /// One turn: what arrived, what is to be sent, and whether the client is still there. True when it moved bytes.
    fn turn(&mut self) -> Result<bool, String> {
        if self.key.is_some_and(|key| !self.shared.broker.borrow().is_open(key)) {
            return Err("another connection took its session over (3.1.4)".into());
        }
        let read = self.output.len() < DEMO_OUTPUT_MAX_BYTES && self.read()?;
        let shared = self.shared.clone();
        if let Some(key) = self.key.filter(|_| self.output.len() < DEMO_OUTPUT_BYTES) {
            shared.with(|broker| broker.fill(key, &mut self.output));
        }
        let wrote = self.write()?;
        if self.deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            return Err("it was silent for too long (3.1.2.10)".into());
        }
        Ok(read || wrote)
    }

    /// Reads once and handles the packets that are whole; false when there was nothing.
    fn read(&mut self) -> Result<bool, String> {
        let held = self.input.len();
        self.input.resize(held + DEMO_READ_BYTES, 0);
        let result = self.stream.get_ref().read(&mut self.input[held..]);
        self.input.truncate(held + *result.as_ref().unwrap_or(&0));
        match result {
            Ok(0) => return Err("it closed the connection".into()),
            Ok(count) => self.shared.broker.borrow_mut().counts.bytes_received += count as u64,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                self.input.shrink_to(0);
                return Ok(false);
            }
            Err(error) => return Err(plain(&error)),
        }
        let input = std::mem::take(&mut self.input);
        let handled = self.handle(&input);
        self.input = input;
        self.input.drain(..handled?);
        Ok(true)
    }

    /// Handles the whole packets at the front of `input`; returns their size.
    fn handle(&mut self, input: &[u8]) -> Result<usize, String> {
        let mut at = 0;
        while let Some((header, size)) = wire::frame(&input[at..]).map_err(why)? {
            if input.len() < at + size {
                break;
            }
            match wire::decode(&input[at..at + size], header) {
                Ok(packet) => self.handle_packet(packet)?,
                Err(error) => {
                    if error == OTHER_VERSION && self.key.is_none() {
                        wire::connack(&mut self.output, false, 1);
                    }
                    return Err(why(error));
                }
            }
            at += size;
        }
        Ok(at)
    }

    fn handle_packet(&mut self, packet: Packet<'_>) -> Result<(), String> {
        let shared = self.shared.clone();
        match (self.key, packet) {
            (None, Packet::Connect(connect)) => match shared.with(|broker| broker.connect(&connect)) {
                Ok((key, session_present)) => {
                    self.key = Some(key);
                    let keep_alive = Duration::from_secs(connect.keep_alive.into());
                    self.patience = Some(keep_alive + keep_alive / 2).filter(|patience| !patience.is_zero());
                    wire::connack(&mut self.output, session_present, 0);
                }
                Err(code) => {
                    wire::connack(&mut self.output, false, code);
                    return Err(format!("refused with code {code}"));
                }
            },
            (None, _) => return Err("its first packet was not CONNECT (3.1)".into()),
            (Some(_), Packet::Disconnect) => {
                self.said_disconnect = true;
                return Err("DISCONNECT".into());
            }
            (Some(key), packet) => {
                shared.with(|broker| broker.handle(key, packet, &mut self.output)).map_err(why)?;
            }
        }
        self.deadline = self.patience.map(|patience| Instant::now() + patience);
        Ok(())
    }

    /// Writes what the socket takes; true when it took something.
    fn write(&mut self) -> Result<bool, String> {
        let mut wrote = 0;
        while wrote < self.output.len() {
            match self.stream.get_ref().write(&self.output[wrote..]) {
                Ok(count) => wrote += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(plain(&error)),
            }
        }
        self.output.drain(..wrote);
        self.output.shrink_to(DEMO_READ_BYTES);
        self.shared.broker.borrow_mut().counts.bytes_sent += wrote as u64;
        Ok(wrote > 0)
    }
}

fn why(malformed: Malformed) -> String {
    format!("it sent {}", malformed.0)
}
