//! One MQTT session over any number of connections, as a value: bytes and time in, bytes and changes out. It opens no
//! socket and reads no clock. What calls subscribe is in [`subscribing`].
//!
//! States: connecting (before the first CONNACK), connected, reconnecting (the connection was lost and comes back by
//! itself), failed (trying again cannot help), closed (on purpose). A session keeps its captures, its unacknowledged
//! publishes and its counters over reconnects.

mod subscribing;

use std::rc::Rc;
use std::time::{Duration, Instant};

use super::capture::{Capture, CaptureId, Captures};
use super::copies::{Copies, Decision};
use super::error::Trouble;
use super::inflight::{Acknowledgement, Outbound, Publish, Ticket};
use super::liveness::Liveness;
use super::outbox::Outbox;
use super::state::{Counters, State};
use super::subscriptions::Subscriptions;
use super::timer::{Timer, Timers, back_off};
use super::wire::{self, Control, Framer, Malformed, Packet};
use crate::clock::Now;
use crate::limits::*;

/// An MQTT session.
pub struct Session {
    state: State,
    /// Between CONNECT and the end of the connection.
    on_line: bool,
    session_present: bool,
    /// CONNECT has a user name.
    pub as_user: bool,
    /// Keep-alive and round trips.
    pub liveness: Liveness,
    /// Captures of running calls.
    pub captures: Captures,
    /// Publishes of running calls.
    pub outbound: Outbound,
    subscriptions: Subscriptions,
    copies: Copies,
    /// Inbound QoS 2 messages between PUBLISH and PUBREL.
    received: Vec<u16>,
    framer: Framer,
    outbox: Outbox,
    timers: Timers,
    connected_at: Option<Instant>,
    failures: u32,
    counters: Counters,
    last_error: Option<Trouble>,
    changed: bool,
}

impl Session {
    /// A session before its first connection. A keep-alive of 0 is none.
    pub fn new(keep_alive_seconds: u16) -> Self {
        Self {
            state: State::Connecting,
            on_line: false,
            session_present: false,
            as_user: false,
            liveness: Liveness::new(Duration::from_secs(keep_alive_seconds.into())),
            captures: Captures::default(),
            outbound: Outbound::default(),
            subscriptions: Subscriptions::default(),
            copies: Copies::default(),
            received: Vec::new(),
            framer: Framer::default(),
            outbox: Outbox::default(),
            timers: Timers::default(),
            connected_at: None,
            failures: 0,
            counters: Counters::default(),
            last_error: None,
            changed: false,
        }
    }

    /// Where it stands.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Whether a connection is open that has been greeted with CONNECT.
    pub fn is_on_line(&self) -> bool {
        self.on_line
    }

    /// Whether the broker had kept an earlier session of this client id.
    pub fn session_present(&self) -> bool {
        self.session_present
    }

    /// What passed so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Why the connection was last lost or refused.
    pub fn last_error(&self) -> Option<&Trouble> {
        self.last_error.as_ref()
    }

    /// Whether something changed that a call may wait for, since this was last asked.
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// Whether the broker owes us an answer that a call waits for.
    pub fn awaits_answer(&self) -> bool {
        self.connected_at.is_none()
            || self.liveness.awaits_answer()
            || self.subscriptions.awaits_suback()
            || self.outbound.awaits_acknowledgement()
    }

    /// When [`Session::handle_timeout`] wants to be called.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// CONNECT of `connect_bytes` was written to a new connection.
    pub fn connection_opened(&mut self, connect_bytes: usize, connack_by: Instant) {
        self.on_line = true;
        self.framer.reset();
        self.outbox.clear();
        self.timers.clear_all();
        self.timers.set(Timer::Connack, connack_by);
        self.liveness.reset();
        self.connected_at = None;
        self.counters.bytes_out += connect_bytes as u64;
    }

    /// The connection ended, or could not be made.
    pub fn connection_lost(&mut self, now: Now, trouble: Trouble) {
        self.outbound.connection_lost(self.outbox.written());
        self.on_line = false;
        self.outbox.clear();
        self.timers.clear_all();
        self.subscriptions.connection_lost();
        self.copies.connection_lost();
        self.captures.iter_mut().for_each(|capture| capture.interrupted(now));
        if self.connected_at.take().is_some_and(|since| now.at - since >= BACKOFF_RESET_AFTER) {
            self.failures = 0;
        }
        self.failures += 1;
        if self.state != State::Closed {
            let for_good = trouble.is_final() || self.state == State::Connecting;
            self.state = if for_good { State::Failed(trouble.clone()) } else { State::Reconnecting };
            self.last_error = Some(trouble);
        }
        self.changed = true;
    }

    /// How long to wait before the next attempt; `random` spreads it over half to all of the back-off.
    pub fn retry_after(&self, random: u32) -> Duration {
        back_off(self.failures, random)
    }

    /// Ends the session: what waits is sent, then DISCONNECT (3.14). A session that the broker keeps is left without the
    /// filters of calls that still ran.
    pub fn close(&mut self, now: Now, is_kept: bool) {
        if self.on_line && self.state == State::Connected {
            for filter in self.subscriptions.filters().iter().filter(|_| is_kept) {
                self.unsubscribe(now, filter);
            }
            self.outbox.push(|out| wire::control(out, Control::Disconnect));
        }
        self.state = State::Closed;
        self.last_error.get_or_insert(Trouble::Closed);
        self.changed = true;
    }

    /// Bytes to write next.
    pub fn output(&self) -> &[u8] {
        self.outbox.front()
    }

    /// `count` bytes of the output were written.
    pub fn wrote(&mut self, now: Now, count: usize) {
        self.outbox.wrote(count);
        self.counters.bytes_out += count as u64;
        self.timers.clear(Timer::WriteStall);
        // No PINGREQ is due behind bytes that are still leaving.
        self.note_sent(now.at);
        let written = self.outbox.written();
        self.liveness.wrote(now.at, written);
        self.changed |= self.outbound.written(written);
        self.start_publishes(now.at);
    }

    /// The socket takes no bytes although some wait.
    pub fn write_blocked(&mut self, now: Now) {
        self.timers.set_if_idle(Timer::WriteStall, now.at + WRITE_STALL);
    }

    /// Whether bytes should be read: not while too many answers wait to be written.
    pub fn wants_input(&self) -> bool {
        self.outbox.unsent_bytes() < 2 * (UNSENT_MAX_BYTES + PUBLISH_PAYLOAD_MAX_BYTES) as u64
    }

    /// Takes bytes from the broker. An error is the reason to close the connection.
    pub fn handle_bytes(&mut self, now: Now, bytes: &[u8]) -> Result<(), Trouble> {
        self.counters.bytes_in += bytes.len() as u64;
        self.liveness.note_data(now.at, bytes.len(), &mut self.timers);
        let mut framer = std::mem::take(&mut self.framer);
        let mut input = bytes;
        let result = loop {
            let captures = &self.captures;
            match framer.next(&mut input, |topic| captures.wanted_payload_bytes(topic)) {
                Ok(Some(packet)) => {
                    if let Err(trouble) = self.handle_packet(now, packet) {
                        break Err(trouble);
                    }
                }
                Ok(None) => break Ok(()),
                Err(_) if self.connected_at.is_none() && wire::refuses_version(bytes) => break Err(Trouble::Version),
                Err(Malformed(why)) => {
                    let stranger = wire::stranger(bytes).filter(|_| self.connected_at.is_none());
                    break Err(Trouble::sent(stranger.unwrap_or(why)));
                }
            }
        };
        self.framer = framer;
        self.start_publishes(now.at);
        result
    }

    /// Looks at the deadlines. An error is the reason to close the connection.
    pub fn handle_timeout(&mut self, now: Now) -> Result<(), Trouble> {
        while let Some(timer) = self.timers.expired(now.at) {
            match timer {
                Timer::Connack => {
                    return Err(Trouble::Timeout("CONNACK: the peer took the connection and said nothing"));
                }
                Timer::Pingresp => return Err(Trouble::Lost("no PINGRESP: the peer is silent".into())),
                Timer::Suback => return Err(Trouble::Lost("no SUBACK: the broker did not answer SUBSCRIBE".into())),
                Timer::WriteStall => return Err(Trouble::Lost("the peer takes no data".into())),
                Timer::PingDue => _ = self.ping(now),
                Timer::RetainedQuiet => self.close_bursts(now),
            }
        }
        Ok(())
    }

    /// Asks for a round trip; returns the number of the PINGREQ on this connection.
    pub fn ping(&mut self, now: Now) -> u64 {
        self.send(now.at, Control::Pingreq);
        self.liveness.ping(now.at, self.outbox.enqueued(), &mut self.timers)
    }

    /// Queues a message; `None` when too many wait already.
    pub fn publish(&mut self, now: Now, message: Publish) -> Option<Ticket> {
        let ticket = self.outbound.push(message)?;
        self.start_publishes(now.at);
        Some(ticket)
    }

    fn unsubscribe(&mut self, now: Now, filter: &Rc<str>) {
        let pid = self.free_pid();
        self.subscriptions.left(pid, filter);
        self.outbox.push(|out| wire::unsubscribe(out, pid, filter));
        self.note_sent(now.at);
    }

    fn handle_packet(&mut self, now: Now, packet: Packet<'_>) -> Result<(), Trouble> {
        let connected = self.connected_at.is_some();
        match packet {
            Packet::Connack { session_present, code } if !connected => self.connack(now, session_present, code),
            Packet::Connack { .. } => Err(Trouble::sent("a second CONNACK (3.2)")),
            _ if !connected => Err(Trouble::sent("something else before CONNACK (3.2)")),
            Packet::Publish(message) => self.message(now, &message),
            Packet::Puback(pid) => {
                let known = self.outbound.acknowledged(now.at, pid, Acknowledgement::Puback);
                self.note_ack(known, "PUBACK", pid)
            }
            Packet::Pubrec(pid) => {
                let known = self.outbound.received(pid, &mut self.outbox);
                self.note_sent(now.at);
                self.note_ack(known, "PUBREC", pid)
            }
            Packet::Pubcomp(pid) => {
                let known = self.outbound.acknowledged(now.at, pid, Acknowledgement::Pubcomp);
                self.note_ack(known, "PUBCOMP", pid)
            }
            Packet::Pubrel(pid) => {
                self.received.retain(|open| *open != pid);
                self.send(now.at, Control::Pubcomp(pid));
                Ok(())
            }
            Packet::Suback(pid, granted) => self.suback(now, pid, granted),
            Packet::Unsuback(pid) => {
                let gone = self.subscriptions.gone(pid);
                // Wanted again meanwhile: not before this, or a broker that works side by side may mix up the order.
                if let Some(filter) = gone.iter().find(|filter| self.subscriptions.is_wanted(filter)) {
                    self.subscribe(now, filter, None);
                }
                self.note_ack(gone.is_some(), "UNSUBACK", pid)
            }
            Packet::Pingresp => {
                let answered = self.liveness.pong(now.at, &mut self.timers);
                self.captures.note_pong(answered, now.at);
                for held in self.copies.answered(answered) {
                    self.captures.dispatch(&held.message(), held.now);
                }
                self.watch_bursts();
                self.changed = true;
                Ok(())
            }
        }
    }

    fn connack(&mut self, now: Now, session_present: bool, code: u8) -> Result<(), Trouble> {
        Trouble::refused(code, self.as_user)?;
        self.timers.clear(Timer::Connack);
        self.note_sent(now.at);
        self.session_present = session_present;
        self.connected_at = Some(now.at);
        if self.state != State::Closed {
            self.counters.reconnects += u64::from(self.state == State::Reconnecting);
            self.state = State::Connected;
        }
        if !session_present {
            self.received.clear();
        }
        for filter in self.subscriptions.take_owed(session_present) {
            self.unsubscribe(now, &filter);
        }
        for filter in self.subscriptions.filters() {
            self.subscribe(now, &filter, None);
        }
        self.counters.messages_out += self.outbound.resume(now.at, session_present, &mut self.outbox);
        self.changed = true;
        Ok(())
    }

    fn message(&mut self, now: Now, message: &wire::Publish<'_>) -> Result<(), Trouble> {
        self.counters.messages_in += 1;
        let pid = message.pid.unwrap_or_default();
        // Exactly once: between PUBLISH and PUBREL an id is delivered once (4.3.3).
        let again = message.qos == 2 && self.received.contains(&pid);
        if message.qos == 2 && !again {
            if self.received.len() == INBOUND_QOS2_MAX {
                return Err(Trouble::sent("more unreleased QoS 2 messages than are accepted"));
            }
            self.received.push(pid);
        }
        self.changed |= !again && !self.is_copy(now, message) && self.captures.dispatch(message, now);
        match message.qos {
            0 => {}
            1 => self.send(now.at, Control::Puback(pid)),
            _ => self.send(now.at, Control::Pubrec(pid)),
        }
        if message.retain {
            self.watch_bursts();
        }
        Ok(())
    }

    /// Whether this is a copy for another of our overlapping filters, or may be one and is held back until that is known.
    fn is_copy(&mut self, now: Now, message: &wire::Publish<'_>) -> bool {
        let subscriptions = if message.retain { 0 } else { self.subscriptions.matching(message.topic) };
        if subscriptions < 2 {
            return false;
        }
        let decision = self.copies.arrived(now, message, self.captures.fingerprint(message), subscriptions);
        if decision == Decision::DeliverAndAsk {
            let ping = self.ping(now);
            self.copies.fence(ping);
        }
        decision == Decision::Skip
    }

    /// Sends SUBSCRIBE for `only`, or for all captures of the filter after a reconnect.
    fn subscribe(&mut self, now: Now, filter: &Rc<str>, only: Option<CaptureId>) {
        let qos = self.subscriptions.qos(filter);
        let pid = self.free_pid();
        self.captures.note_subscribe(filter);
        let same = |capture: &&mut Capture| capture.filter == *filter;
        for capture in self.captures.iter_mut().filter(same) {
            if only.is_none_or(|id| id == capture.id) {
                capture.subscribed(now, pid);
            }
        }
        self.subscriptions.sent(pid, filter);
        self.outbox.push(|out| wire::subscribe(out, pid, filter, qos));
        self.timers.set_if_idle(Timer::Suback, now.at + SUBACK_WAIT);
        self.note_sent(now.at);
    }

    fn close_bursts(&mut self, now: Now) {
        self.changed |= self.captures.close_bursts(self.liveness.answered(), now.at);
        self.watch_bursts();
    }

    fn watch_bursts(&mut self) {
        match self.captures.next_quiet(self.liveness.answered()) {
            Some(at) => self.timers.set(Timer::RetainedQuiet, at),
            None => self.timers.clear(Timer::RetainedQuiet),
        }
    }

    fn start_publishes(&mut self, now: Instant) {
        if self.state == State::Connected {
            let started = self.outbound.start(now, &mut self.outbox, |pid| self.subscriptions.uses_pid(pid));
            if started > 0 {
                self.changed = true;
                self.counters.messages_out += started;
                self.note_sent(now);
            }
        }
    }

    fn send(&mut self, now: Instant, packet: Control) {
        self.outbox.push(|out| wire::control(out, packet));
        self.note_sent(now);
    }

    fn note_sent(&mut self, now: Instant) {
        self.liveness.note_sent(now, &mut self.timers);
    }

    fn note_ack(&mut self, known: bool, name: &str, pid: u16) -> Result<(), Trouble> {
        if !known {
            log::warn!("the broker sent {name} for packet id {pid}, which nothing waits for");
        }
        self.changed = true;
        Ok(())
    }

    fn free_pid(&mut self) -> u16 {
        let subscriptions = &self.subscriptions;
        self.outbound.free_pid(|pid| subscriptions.uses_pid(pid))
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
