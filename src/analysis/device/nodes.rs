//! Sparkplug nodes: their numbers, their births and deaths.

use super::model::Device;
use super::presence::Means;
use super::sparkplug;
use super::steps::Steps;
use super::{At, Message};
use crate::limits::DEVICE_CLOCKS_MAX;

/// The sequence numbers of a Sparkplug node.
pub struct Node {
    /// GROUP/NODE.
    pub name: Box<str>,
    /// Its steps.
    pub steps: Steps,
    last: Option<f64>,
    /// Births behind a death.
    pub rebirths: u32,
    is_dead: bool,
}

impl Device {
    /// The connection was away: what comes next is no interval, and what was numbered meanwhile is not lost.
    pub fn interrupted(&mut self) {
        for row in 0..self.topics.len() {
            let model = self.topics.get_mut(row);
            model.timing.interrupted();
            model.fields.interrupted();
        }
        self.pulse.interrupted();
        self.sequence.steps.interrupted();
        self.nodes.iter_mut().for_each(|node| node.last = None);
    }

    /// Sparkplug numbers the messages of a node and of the devices behind it in one sequence.
    pub(super) fn follow_node(&mut self, message: &Message<'_>) {
        let parts = sparkplug::parts(message.topic).filter(|_| self.hears_nodes && !message.retain);
        let Some(parts) = parts else { return };
        let key = format!("{}/{}", parts.group, parts.node);
        let index = match self.nodes.iter().position(|node| *node.name == *key) {
            Some(index) => index,
            None if self.nodes.len() < DEVICE_CLOCKS_MAX && self.name.is_in(message.topic) => {
                self.nodes.push(Node {
                    name: key.into(),
                    steps: Steps::default(),
                    last: None,
                    rebirths: 0,
                    is_dead: false,
                });
                self.nodes.len() - 1
            }
            None => return,
        };
        // A node's birth and death are also those of the devices behind it.
        if matches!(parts.kind, "NBIRTH" | "NDEATH") && !self.name.is_in(message.topic) {
            let topic = format!("spBv1.0/{}/+/{}", parts.group, parts.node);
            let means = if parts.kind == "NBIRTH" { Means::Online } else { Means::Offline };
            self.presences.record(message.at, &topic, parts.kind, means, false);
        }
        let node = &mut self.nodes[index];
        match parts.kind {
            // A birth begins the numbers anew: no step leads there.
            "NBIRTH" => {
                node.rebirths += u32::from(std::mem::take(&mut node.is_dead));
                node.last = None;
            }
            "NDEATH" => {
                (node.last, node.is_dead) = (None, true);
                return;
            }
            "NCMD" | "DCMD" | "STATE" => return,
            _ => {}
        }
        let Some(seq) = sparkplug::header(message.payload).and_then(|header| header.seq) else { return };
        let seq = seq as f64;
        match node.last.replace(seq) {
            Some(last) => node.steps.add_within_256(message.at, last, seq),
            None => node.steps.begin(seq),
        }
    }

    /// A birth tells all that its sender's data do, and so is one of their beats.
    pub(super) fn beat_by_birth(&mut self, at: At, topic: &str) {
        let births = sparkplug::parts(topic).filter(|parts| matches!(parts.kind, "NBIRTH" | "DBIRTH"));
        let Some(data) = births.map(|_| topic.replacen("BIRTH/", "DATA/", 1)) else { return };
        if let Some(row) = (0..self.topics.len()).find(|row| self.topics.get(*row).0 == data) {
            let model = self.topics.get_mut(row);
            model.timing.add(at.elapsed);
            model.last = at;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::device::findings::judge;
    use crate::analysis::device::names::Name;
    use std::time::Duration;

    #[test]
    fn a_birth_between_two_data_is_a_beat() {
        let at = |ms| At { elapsed: Duration::from_millis(ms), unix_ms: ms };
        let missed = |birth: Option<u64>| {
            let mut device = Device::new(Name::new("edge7", false));
            let data = (0..20).map(|n| (if n < 12 { n * 3000 } else { n * 3000 + 6800 }, "spBv1.0/P/NDATA/edge7"));
            let mut messages: Vec<_> = birth.map(|ms| (ms, "spBv1.0/P/NBIRTH/edge7")).into_iter().chain(data).collect();
            crate::analysis::sort::sort_by(&mut messages, |a, b| a.0.cmp(&b.0));
            for (ms, topic) in messages {
                device.record(&Message { at: at(ms), topic, payload: b"\x18\x05", payload_bytes: 2, retain: false });
            }
            judge(&device, at(65_000)).iter().any(|finding| finding.kind == "missed_beats")
        };
        assert_eq!((missed(Some(37_900)), missed(None), missed(Some(1000))), (false, true, true));
    }

    #[test]
    fn what_was_numbered_while_nobody_could_hear_it_is_not_lost() {
        for (topic, payload) in
            [("spBv1.0/P/NDATA/d", |n: u8| vec![0x18, n]), ("d/seq", |n: u8| n.to_string().into_bytes())]
                as [(&str, fn(u8) -> Vec<u8>); 2]
        {
            let found = |is_away: bool| {
                let mut device = Device::new(Name::new("d", false));
                device.hears_nodes = true;
                for (ms, n) in (0..).step_by(1000).zip((0..20).chain(40..60)) {
                    let at = At { elapsed: Duration::from_millis(ms), unix_ms: ms };
                    if is_away && n == 40 {
                        device.interrupted();
                    }
                    let payload = &payload(n)[..];
                    device.record(&Message { at, topic, payload, payload_bytes: payload.len(), retain: false });
                }
                let end = At { elapsed: Duration::from_secs(40), unix_ms: 40_000 };
                judge(&device, end).iter().any(|finding| finding.kind == "counter_gap")
            };
            assert_eq!((found(false), found(true)), (true, false), "{topic}");
        }
    }
}
