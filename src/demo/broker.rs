//! The demo broker as a value: packets of its clients go in, packets for them come out. It has no socket and no clock.
//!
//! MQTT 3.1.1 with retained messages, QoS 0 to 2 both ways, wills, kept sessions and take-over. All it holds is bounded
//! (`DEMO_…` in `limits`); what does not fit is dropped and counted in `$SYS/broker/publish/messages/dropped`.

use std::rc::Rc;

use super::session::{Key, Message, Session};
use super::wire::{self, Connect, Packet, QosPid, SubscribeReturnCodes};
use crate::limits::{
    DEMO_FILTER_MAX_BYTES, DEMO_INBOUND_MAX, DEMO_QUEUES_MAX_BYTES, DEMO_RETAINED_MAX, DEMO_RETAINED_MAX_BYTES,
    DEMO_SESSIONS_MAX,
};
use crate::mqtt::topic;
use crate::mqtt::wire::{Control, Malformed, check_string, control};

/// All sessions and retained messages.
#[derive(Default)]
pub(super) struct Broker {
    /// What `$SYS` tells.
    pub counts: Counts,
    sessions: Vec<Session>,
    /// Sorted by topic.
    retained: Vec<Rc<Message>>,
    last_key: u64,
    changed: bool,
}

/// Since the start.
#[derive(Default)]
pub(super) struct Counts {
    /// Messages published by clients and by the broker itself.
    pub received: u64,
    /// Messages sent to clients.
    pub sent: u64,
    /// Messages that found no room.
    pub dropped: u64,
    /// From sockets.
    pub bytes_received: u64,
    /// To sockets.
    pub bytes_sent: u64,
}

impl Broker {
    /// Takes CONNECT. Returns the connection's key and whether a session was kept, or the code of a refusal.
    pub(super) fn connect(&mut self, connect: &Connect<'_>) -> Result<(Key, bool), u8> {
        let refused = |text: &str| check_string(text).is_err();
        if refused(connect.client_id) || (connect.client_id.is_empty() && !connect.clean_session) {
            return Err(2);
        }
        self.last_key += 1;
        let key = Key(self.last_key);
        let made_up = format!("demo-client-{}", self.last_key);
        let client_id = if connect.client_id.is_empty() { &made_up } else { connect.client_id };
        // A second connection of the same name ends the first (3.1.4).
        if let Some(taken_over) = self.named(client_id).and_then(|index| self.sessions[index].key) {
            self.end(taken_over, false);
        }
        let kept = self.named(client_id);
        if let Some(index) = kept.filter(|_| connect.clean_session) {
            self.sessions.remove(index);
        }
        let kept = kept.filter(|_| !connect.clean_session);
        let index = match kept {
            Some(index) => index,
            None => self.enter(Session::new(client_id, connect.clean_session))?,
        };
        let session = &mut self.sessions[index];
        session.key = Some(key);
        session.will = connect.last_will.as_ref().map(|will| Message {
            topic: will.topic.to_owned(),
            payload: will.message.to_vec(),
            qos: will.qos as u8,
            retain: will.retain,
        });
        session.resume();
        self.changed = true;
        Ok((key, kept.is_some()))
    }

    /// Takes any packet but CONNECT and DISCONNECT, and appends the answer to `out`.
    pub(super) fn handle(&mut self, key: Key, packet: Packet<'_>, out: &mut Vec<u8>) -> Result<(), Malformed> {
        let Some(session) = self.session(key) else { return Ok(()) };
        match packet {
            Packet::Publish(publish) => return self.take_publish(key, &publish, out),
            Packet::Puback(pid) | Packet::Pubcomp(pid) => session.done(pid.get()),
            Packet::Pubrec(pid) => {
                session.received(pid.get());
                control(out, Control::Pubrel(pid.get()));
            }
            Packet::Pubrel(pid) => {
                session.inbound.retain(|known| *known != pid.get());
                control(out, Control::Pubcomp(pid.get()));
            }
            Packet::Subscribe(subscribe) => {
                let codes = subscribe.topics.iter().map(|topic| self.subscribe(key, &topic.topic_path, topic.qos));
                let codes = codes.collect();
                wire::suback(out, subscribe.pid, codes);
            }
            Packet::Unsubscribe(unsubscribe) => {
                unsubscribe.topics.iter().for_each(|filter| session.unsubscribe(filter));
                wire::unsuback(out, unsubscribe.pid.get());
            }
            Packet::Pingreq => wire::pingresp(out),
            _ => return Err(Malformed("a second CONNECT (3.1)")),
        }
        Ok(())
    }

    /// Encodes messages that wait for a client.
    pub(super) fn fill(&mut self, key: Key, out: &mut Vec<u8>) {
        if let Some(session) = self.session(key) {
            self.counts.sent += session.fill(out);
        }
    }

    /// Subscribes a client within this process.
    pub(super) fn listen(&mut self, key: Key, filter: &str) {
        self.subscribe(key, filter, wire::QoS::AtMostOnce);
    }

    /// The next message for a client within this process.
    pub(super) fn take(&mut self, key: Key) -> Option<Rc<Message>> {
        self.session(key).and_then(Session::take)
    }

    /// Whether the connection stands: another one may have taken its session over.
    pub(super) fn is_open(&self, key: Key) -> bool {
        self.sessions.iter().any(|session| session.key == Some(key))
    }

    /// Ends a connection, by DISCONNECT or without; its will is published unless it said DISCONNECT (3.1.2.5).
    pub(super) fn end(&mut self, key: Key, said_disconnect: bool) {
        let Some(index) = self.sessions.iter().position(|session| session.key == Some(key)) else { return };
        self.changed = true;
        let session = &mut self.sessions[index];
        session.key = None;
        let will = session.will.take().filter(|will| !said_disconnect && !is_own(&will.topic));
        if session.clean {
            self.sessions.remove(index);
        }
        if let Some(will) = will {
            self.publish(will);
        }
    }

    /// Gives a message to all that want it, and keeps it if it is to be retained.
    pub(super) fn publish(&mut self, message: Message) {
        self.counts.received += 1;
        let message = Rc::new(message);
        if message.retain {
            self.retain(&message);
        }
        let mut room = self.room();
        for session in &mut self.sessions {
            let Some(qos) = session.wants(&message.topic) else { continue };
            if session.push(&message, qos, false, room) {
                room = room.saturating_sub(message.bytes());
                self.changed = true;
            } else {
                self.counts.dropped += 1;
            }
        }
    }

    /// The retained message on a topic.
    pub(super) fn retained(&self, topic: &str) -> Option<&Message> {
        self.retained_at(topic).ok().map(|index| &*self.retained[index])
    }

    /// Retained messages, subscriptions, connected and all clients.
    pub(super) fn sizes(&self) -> [usize; 4] {
        let subscriptions = self.sessions.iter().map(Session::subscription_count).sum();
        let connected = self.sessions.iter().filter(|session| session.key.is_some()).count();
        [self.retained.len(), subscriptions, connected, self.sessions.len()]
    }

    /// Whether something happened that others wait for, since this was asked last.
    pub(super) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    fn take_publish(&mut self, key: Key, publish: &wire::Publish<'_>, out: &mut Vec<u8>) -> Result<(), Malformed> {
        let Some(session) = self.session(key) else { return Ok(()) };
        let (qos, is_new) = match publish.qospid {
            QosPid::AtMostOnce => (0, true),
            QosPid::AtLeastOnce(pid) => {
                control(out, Control::Puback(pid.get()));
                (1, true)
            }
            QosPid::ExactlyOnce(pid) => {
                control(out, Control::Pubrec(pid.get()));
                let is_new = !session.inbound.contains(&pid.get());
                if is_new && session.inbound.len() >= DEMO_INBOUND_MAX {
                    return Err(Malformed("more QoS 2 messages without PUBREL than the demo broker takes"));
                }
                if is_new {
                    session.inbound.push(pid.get());
                }
                (2, is_new)
            }
        };
        if is_new && !is_own(publish.topic_name) {
            let (topic, payload) = (publish.topic_name.to_owned(), publish.payload.to_vec());
            self.publish(Message { topic, payload, qos, retain: publish.retain });
        }
        Ok(())
    }

    /// Subscribes and queues the retained messages that match.
    fn subscribe(&mut self, key: Key, filter: &str, qos: wire::QoS) -> SubscribeReturnCodes {
        let mut room = self.room();
        let Some(session) = self.sessions.iter_mut().find(|session| session.key == Some(key)) else {
            return SubscribeReturnCodes::Failure;
        };
        let refused = filter.len() > DEMO_FILTER_MAX_BYTES
            || topic::check_filter(filter).is_err()
            // Shared subscriptions are not part of 3.1.1: better refused than taken for a filter that matches nothing.
            || filter.starts_with("$share/");
        if refused || !session.subscribe(filter, qos as u8) {
            return SubscribeReturnCodes::Failure;
        }
        for message in self.retained.iter().filter(|message| topic::matches(filter, &message.topic)) {
            if session.push(message, qos as u8, true, room) {
                room = room.saturating_sub(message.bytes());
            } else {
                self.counts.dropped += 1;
            }
        }
        SubscribeReturnCodes::Success(qos)
    }

    fn retain(&mut self, message: &Rc<Message>) {
        let held: usize = self.retained.iter().map(|message| message.bytes()).sum();
        match self.retained_at(&message.topic) {
            Ok(index) if message.payload.is_empty() => drop(self.retained.remove(index)),
            Ok(index) if held - self.retained[index].bytes() + message.bytes() <= DEMO_RETAINED_MAX_BYTES => {
                self.retained[index] = message.clone();
            }
            Err(_) if message.payload.is_empty() => {}
            Err(index)
                if self.retained.len() < DEMO_RETAINED_MAX && held + message.bytes() <= DEMO_RETAINED_MAX_BYTES =>
            {
                self.retained.insert(index, message.clone());
            }
            _ => self.counts.dropped += 1,
        }
    }

    fn retained_at(&self, topic: &str) -> Result<usize, usize> {
        self.retained.binary_search_by(|message| message.topic.as_str().cmp(topic))
    }

    /// Bytes that may still be queued for all clients together.
    fn room(&self) -> usize {
        let held: usize = self.sessions.iter().map(|session| session.held_bytes).sum();
        DEMO_QUEUES_MAX_BYTES.saturating_sub(held)
    }

    fn session(&mut self, key: Key) -> Option<&mut Session> {
        self.sessions.iter_mut().find(|session| session.key == Some(key))
    }

    fn named(&self, client_id: &str) -> Option<usize> {
        self.sessions.iter().position(|session| session.client_id == client_id)
    }

    /// Enters a session; when there are too many, the oldest one that waits for its client makes room.
    fn enter(&mut self, session: Session) -> Result<usize, u8> {
        if self.sessions.len() >= DEMO_SESSIONS_MAX {
            let waiting = self.sessions.iter().position(|session| session.key.is_none());
            self.sessions.remove(waiting.ok_or(3)?);
        }
        self.sessions.push(session);
        Ok(self.sessions.len() - 1)
    }
}

/// Topics with `$` are the broker's (4.7.2): what a client publishes there is acknowledged, since 3.1.1 has no other
/// answer, and goes nowhere.
fn is_own(topic: &str) -> bool {
    topic.starts_with('$')
}

#[cfg(test)]
#[path = "broker_tests.rs"]
mod tests;
