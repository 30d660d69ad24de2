//! Open sessions: ids, limit, life time.

use std::cell::{Cell, RefCell};
use std::pin::pin;
use std::rc::Rc;
use std::time::{Duration, Instant};

use smol::LocalExecutor;

use super::driver::{self, Connection, Identity, ReadBuffer};
use super::error::Trouble;
use super::guard::Guard;
use super::state::State;
use crate::clock::Now;
use crate::limits::DISCONNECT_WAIT;
use crate::notify::Notify;
use crate::task;
use crate::vault::Vault;

/// The sessions of this process.
pub struct Table {
    sessions: RefCell<Vec<Rc<Entry>>>,
    /// Sessions that are being opened count against the limit.
    opening: Cell<usize>,
    max_sessions: usize,
    ttl: Duration,
    vault: Rc<Vault>,
    guard: Rc<Guard>,
    executor: Rc<LocalExecutor<'static>>,
    buffer: ReadBuffer,
    changed: Notify,
}

/// An open session.
pub struct Entry {
    /// UUID, version 4.
    pub id: String,
    /// Its connection.
    pub connection: Rc<Connection>,
    /// When it was opened.
    pub created: Now,
    last_used: Cell<Now>,
    users: Cell<usize>,
}

/// A session in use by a call: it does not expire meanwhile, and its life time starts anew at the end.
pub struct Lease {
    entry: Rc<Entry>,
}

/// Why a session could not be opened.
#[derive(Debug)]
pub enum OpenError {
    /// The limit is reached.
    Limit,
    /// The system has no random numbers.
    NoRandom,
    /// The broker could not be connected to.
    Connect(Trouble),
}

impl Table {
    /// An empty table.
    pub fn new(
        max_sessions: usize,
        ttl: Duration,
        vault: Vault,
        guard: Rc<Guard>,
        executor: Rc<LocalExecutor<'static>>,
    ) -> Self {
        Self {
            sessions: RefCell::default(),
            opening: Cell::new(0),
            max_sessions,
            ttl,
            vault: Rc::new(vault),
            guard,
            executor,
            buffer: ReadBuffer::default(),
            changed: Notify::default(),
        }
    }

    /// Seals credentials for [`Table::open`].
    pub fn vault(&self) -> &Vault {
        &self.vault
    }

    /// What watches over the sessions.
    pub fn guard(&self) -> &Guard {
        &self.guard
    }

    /// The most sessions that may be open.
    pub fn max_sessions(&self) -> usize {
        self.max_sessions
    }

    /// Life time without use.
    pub fn ttl(&self) -> Duration {
        self.ttl
    }

    /// Connects and enters the session. Dropping the future gives up the attempt.
    pub async fn open(&self, identity: Identity, deadline: Instant) -> Result<Lease, OpenError> {
        if self.sessions.borrow().len() + self.opening.get() >= self.max_sessions {
            return Err(OpenError::Limit);
        }
        let id = new_id().ok_or(OpenError::NoRandom)?;
        let _opening = Opening::begin(&self.opening);
        let trial = self.trial(identity);
        trial.connect(deadline).await.map_err(OpenError::Connect)?;
        Ok(self.enter(id, trial.keep()))
    }

    /// A connection beside the sessions: neither counted nor listed, and closed when it is dropped.
    pub fn trial(&self, identity: Identity) -> Trial<'_> {
        let connection = Rc::new(Connection::new(identity, self.guard.clone()));
        Trial { table: self, connection, kept: false }
    }

    fn enter(&self, id: String, connection: Rc<Connection>) -> Lease {
        let now = Now::read();
        let (last_used, users) = (Cell::new(now), Cell::new(0));
        let entry = Rc::new(Entry { id, connection, created: now, last_used, users });
        self.sessions.borrow_mut().push(entry.clone());
        self.changed.notify();
        Lease::new(entry)
    }

    /// The session of that id, in use until the lease is dropped.
    pub fn lease(&self, id: &str) -> Option<Lease> {
        let entry = self.sessions.borrow().iter().find(|entry| entry.id == id).cloned()?;
        Some(Lease::new(entry))
    }

    /// All open sessions, oldest first.
    pub fn list(&self) -> Vec<Rc<Entry>> {
        self.sessions.borrow().clone()
    }

    /// Takes a session out and closes it; false when there is none of that id.
    pub async fn close(&self, id: &str) -> bool {
        let Some(index) = self.sessions.borrow().iter().position(|entry| entry.id == id) else { return false };
        let entry = self.sessions.borrow_mut().remove(index);
        entry.connection.close().await;
        true
    }

    /// Closes all sessions, at the same time.
    pub async fn close_all(&self) {
        let entries = std::mem::take(&mut *self.sessions.borrow_mut());
        let closing: Vec<_> = entries
            .iter()
            .map(|entry| {
                let connection = entry.connection.clone();
                task::spawn(&self.executor, async move { connection.close().await })
            })
            .collect();
        for task in closing {
            task.await;
        }
    }

    /// Closes sessions whose life time is over; runs as long as the process.
    pub async fn expire(&self) {
        loop {
            let seen = self.changed.epoch();
            let now = Instant::now();
            let idle: Vec<_> = self.list().into_iter().filter(|entry| entry.users.get() == 0).collect();
            if let Some(entry) = idle.iter().find(|entry| entry.expires_at(self.ttl) <= now) {
                log::info!("session {} expired after {} s without use", entry.id, self.ttl.as_secs());
                self.close(&entry.id).await;
                continue;
            }
            let next = idle.iter().map(|entry| entry.expires_at(self.ttl)).min();
            // A session in use is looked at again when its life time would be over at the earliest.
            let wake_at = next.unwrap_or(now + self.ttl).min(now + self.ttl);
            let changed = std::future::poll_fn(|cx| self.changed.poll_changed(seen, cx));
            super::link::until(wake_at, pin!(changed)).await;
        }
    }
}

impl Entry {
    /// When it was last used; a session in use is used now.
    pub fn last_used(&self, now: Now) -> Now {
        if self.users.get() > 0 { now } else { self.last_used.get() }
    }

    fn expires_at(&self, ttl: Duration) -> Instant {
        self.last_used.get().at + ttl
    }
}

impl Lease {
    fn new(entry: Rc<Entry>) -> Self {
        entry.users.set(entry.users.get() + 1);
        Self { entry }
    }
}

impl std::ops::Deref for Lease {
    type Target = Entry;

    fn deref(&self) -> &Entry {
        &self.entry
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.entry.users.set(self.entry.users.get() - 1);
        self.entry.last_used.set(Now::read());
    }
}

/// A connection that is closed when it is dropped, unless it becomes a session.
pub struct Trial<'a> {
    table: &'a Table,
    connection: Rc<Connection>,
    kept: bool,
}

impl Trial<'_> {
    /// Its connection.
    pub fn connection(&self) -> &Rc<Connection> {
        &self.connection
    }

    /// Connects. Dropping the future gives up the attempt with the trial.
    pub async fn connect(&self, deadline: Instant) -> Result<(), Trouble> {
        let Table { vault, buffer, executor, .. } = self.table;
        task::spawn(executor, driver::run(self.connection.clone(), vault.clone(), buffer.clone(), deadline)).detach();
        // The driver has the same deadline and tells what it was waiting for: give it a moment for that.
        let settled = self.connection.until(deadline + DISCONNECT_WAIT, |session| match session.state() {
            State::Connecting => None,
            State::Connected => Some(Ok(())),
            State::Failed(trouble) => Some(Err(trouble.clone())),
            _ => Some(Err(session.last_error().cloned().unwrap_or(Trouble::Closed))),
        });
        settled.await.unwrap_or(Err(Trouble::Timeout("the connection")))
    }

    fn keep(mut self) -> Rc<Connection> {
        self.kept = true;
        self.connection.clone()
    }
}

impl Drop for Trial<'_> {
    fn drop(&mut self) {
        if !self.kept {
            self.connection.shut();
        }
    }
}

/// Counts a session that is being opened against the limit.
struct Opening<'a>(&'a Cell<usize>);

impl<'a> Opening<'a> {
    fn begin(count: &'a Cell<usize>) -> Self {
        count.set(count.get() + 1);
        Self(count)
    }
}

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// A random id (UUID version 4); `None` when the system has no random numbers.
pub fn new_id() -> Option<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).ok()?;
    Some(uuid::Builder::from_random_bytes(bytes).into_uuid().to_string())
}
