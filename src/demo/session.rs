//! What the demo broker knows of one client: subscriptions, messages that wait for it, and what it has not acknowledged.

use std::collections::VecDeque;
use std::rc::Rc;

use crate::limits::{
    DEMO_INFLIGHT_MAX, DEMO_OUTPUT_BYTES, DEMO_QUEUE_MAX_BYTES, DEMO_QUEUE_MAX_MESSAGES, DEMO_SUBSCRIPTIONS_MAX,
};
use crate::mqtt::topic;
use crate::mqtt::wire::{Control, control, publish_head};
#[cfg(test)]
use crate::sorted;

/// A message as it was published.
pub(super) struct Message {
    /// Where.
    pub topic: String,
    /// What.
    pub payload: Vec<u8>,
    /// The publisher's QoS.
    pub qos: u8,
    /// To be kept for later subscribers.
    pub retain: bool,
}

impl Message {
    /// What it counts against the bounds.
    pub(super) fn bytes(&self) -> usize {
        self.topic.len() + self.payload.len()
    }
}

/// Names a connection for as long as it lasts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Key(pub u64);

/// A client's session.
pub(super) struct Session {
    /// Its name.
    pub client_id: String,
    /// Its connection; `None` while a kept session waits for its client.
    pub key: Option<Key>,
    /// Forgotten with the connection.
    pub clean: bool,
    /// Published when the connection ends without DISCONNECT.
    pub will: Option<Message>,
    /// QoS 2 messages received and not released.
    pub inbound: Vec<u16>,
    /// Bytes of messages that wait or are not acknowledged.
    pub held_bytes: usize,
    subscriptions: Vec<(String, u8)>,
    queue: VecDeque<Delivery>,
    sent: Vec<Sent>,
    last_pid: u16,
}

struct Delivery {
    message: Rc<Message>,
    qos: u8,
    retain: bool,
}

/// A QoS 1 or 2 message on its way.
struct Sent {
    pid: u16,
    /// `None` when PUBREC came and PUBCOMP has not.
    delivery: Option<Delivery>,
    /// To be sent again, since the client has come back.
    again: bool,
}

impl Session {
    /// A new session.
    pub(super) fn new(client_id: &str, clean: bool) -> Self {
        Self {
            client_id: client_id.to_owned(),
            key: None,
            clean,
            will: None,
            inbound: Vec::new(),
            held_bytes: 0,
            subscriptions: Vec::new(),
            queue: VecDeque::new(),
            sent: Vec::new(),
            last_pid: 0,
        }
    }

    /// How many filters it has.
    pub(super) fn subscription_count(&self) -> usize {
        self.subscriptions.len()
    }

    /// Enters or replaces a subscription (3.8.4); false when there are too many.
    pub(super) fn subscribe(&mut self, filter: &str, qos: u8) -> bool {
        if let Some(known) = self.subscriptions.iter_mut().find(|(known, _)| known == filter) {
            known.1 = qos;
        } else if self.subscriptions.len() < DEMO_SUBSCRIPTIONS_MAX {
            self.subscriptions.push((filter.to_owned(), qos));
        } else {
            return false;
        }
        true
    }

    /// Ends a subscription.
    pub(super) fn unsubscribe(&mut self, filter: &str) {
        self.subscriptions.retain(|(known, _)| known != filter);
    }

    /// The highest QoS at which it wants messages on `topic`: one copy for all filters that match (3.3.5).
    pub(super) fn wants(&self, topic: &str) -> Option<u8> {
        self.subscriptions.iter().filter(|(filter, _)| topic::matches(filter, topic)).map(|(_, qos)| *qos).max()
    }

    /// Queues a message; false when it had to be dropped. Without its client a session keeps what is acknowledged only.
    pub(super) fn push(&mut self, message: &Rc<Message>, qos: u8, retain: bool, room: usize) -> bool {
        let qos = qos.min(message.qos);
        if self.key.is_none() && qos == 0 {
            return true;
        }
        let room = room.min(DEMO_QUEUE_MAX_BYTES.saturating_sub(self.held_bytes));
        if self.queue.len() >= DEMO_QUEUE_MAX_MESSAGES || message.bytes() > room {
            return false;
        }
        self.held_bytes += message.bytes();
        self.queue.push_back(Delivery { message: message.clone(), qos, retain });
        true
    }

    /// The oldest message that waits, for a client within this process, which subscribes at QoS 0.
    pub(super) fn take(&mut self) -> Option<Rc<Message>> {
        let delivery = self.queue.pop_front()?;
        self.held_bytes -= delivery.message.bytes();
        Some(delivery.message)
    }

    /// Its client is back: what was not acknowledged is sent again (4.4).
    pub(super) fn resume(&mut self) {
        self.sent.iter_mut().for_each(|sent| sent.again = true);
    }

    /// Encodes messages until `out` has enough for one write or too many wait for acknowledgement; returns how many.
    pub(super) fn fill(&mut self, out: &mut Vec<u8>) -> u64 {
        for sent in self.sent.iter_mut().filter(|sent| sent.again) {
            sent.again = false;
            match &sent.delivery {
                Some(delivery) => encode(out, delivery, sent.pid, true),
                None => control(out, Control::Pubrel(sent.pid)),
            }
        }
        let mut count = 0;
        while out.len() < DEMO_OUTPUT_BYTES {
            let Some(next) = self.queue.front() else { break };
            if next.qos > 0 && self.sent.len() >= DEMO_INFLIGHT_MAX {
                break;
            }
            let Some(delivery) = self.queue.pop_front() else { break };
            count += 1;
            if delivery.qos == 0 {
                self.held_bytes -= delivery.message.bytes();
                encode(out, &delivery, 0, false);
            } else {
                let pid = self.free_pid();
                encode(out, &delivery, pid, false);
                self.sent.push(Sent { pid, delivery: Some(delivery), again: false });
            }
        }
        if self.queue.is_empty() {
            self.queue.shrink_to(0);
        }
        count
    }

    /// PUBACK or PUBCOMP: done. Unknown ids are ignored, as answers to what was sent twice.
    pub(super) fn done(&mut self, pid: u16) {
        if let Some(index) = self.sent.iter().position(|sent| sent.pid == pid) {
            let sent = self.sent.remove(index);
            self.held_bytes -= sent.delivery.map_or(0, |delivery| delivery.message.bytes());
        }
    }

    /// PUBREC: the message is not sent again, its release is.
    pub(super) fn received(&mut self, pid: u16) {
        if let Some(sent) = self.sent.iter_mut().find(|sent| sent.pid == pid) {
            self.held_bytes -= sent.delivery.take().map_or(0, |delivery| delivery.message.bytes());
        }
    }

    /// Whether what it counts is what it has.
    #[cfg(test)]
    pub(super) fn is_consistent(&self) -> bool {
        let sent = self.sent.iter().filter_map(|sent| sent.delivery.as_ref());
        let held: usize = self.queue.iter().chain(sent).map(|delivery| delivery.message.bytes()).sum();
        let mut pids = Vec::new();
        let are_own = self.sent.iter().all(|sent| sent.pid != 0 && sorted::insert(&mut pids, sent.pid.into()));
        held == self.held_bytes && are_own
    }

    /// Never 0 and never one in use; there are more ids than messages in flight.
    fn free_pid(&mut self) -> u16 {
        loop {
            self.last_pid = self.last_pid.checked_add(1).unwrap_or(1);
            if self.sent.iter().all(|sent| sent.pid != self.last_pid) {
                return self.last_pid;
            }
        }
    }
}

fn encode(out: &mut Vec<u8>, delivery: &Delivery, pid: u16, dup: bool) {
    let Message { topic, payload, .. } = &*delivery.message;
    publish_head(out, topic, delivery.qos, pid, delivery.retain, dup, payload.len());
    out.extend_from_slice(payload);
}
