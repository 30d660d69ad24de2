//! A pump with a bad bearing. It beats, runs hot, reports an error and drops off the network, so that its last will is
//! published; then it comes back. A look of 30 s sees all of it.

use super::broker::Broker;
use super::devices::{PER_SECOND, connect, publish, tenths, wobble};
use super::session::{Key, Message};
use crate::clock::Timestamp;
use crate::rpc::outgoing::to_json;

/// The pump.
#[derive(Default)]
pub(super) struct Pump {
    /// Its connection while it is on the network.
    key: Option<Key>,
    /// Counts telemetry since it came up.
    sequence: u64,
    up_since: u64,
}

const CYCLE: u64 = 20 * PER_SECOND;
const HEATS_AT: u64 = 6 * PER_SECOND;
const WARNS_AT: u64 = 10 * PER_SECOND;
const FAILS_AT: u64 = 12 * PER_SECOND;
const LOST_AT: u64 = 13 * PER_SECOND;
const BACK_AT: u64 = 17 * PER_SECOND;

impl Pump {
    /// What happens at a tick.
    pub(super) fn tick(&mut self, broker: &mut Broker, tick: u64, time: Timestamp) {
        let phase = tick % CYCLE;
        if (LOST_AT..BACK_AT).contains(&phase) {
            if let Some(key) = self.key.take() {
                // The network is gone, as for any client whose socket dies: the broker publishes the will.
                broker.end(key, false);
            }
            return;
        }
        let time = String::from_utf8(to_json(&time)).unwrap_or_default();
        if self.key.is_none() {
            self.key = connect(broker, "demo-pump1", "plant/pump1/status");
            (self.sequence, self.up_since) = (0, tick);
            if tick > 0 {
                event(broker, "info", "I01", "restarted after a bearing fault", &time);
            }
        }
        let heat = if phase < BACK_AT { phase.saturating_sub(HEATS_AT) } else { 0 };
        let bearing = 552 + heat as i64 * 360 / (FAILS_AT - HEATS_AT) as i64 + wobble(tick, 31, 5);
        if tick.is_multiple_of(PER_SECOND) {
            let stops = (FAILS_AT..BACK_AT).contains(&phase);
            let rpm = if stops { 0 } else { 1480 + wobble(tick, 32, 8) };
            let pressure = tenths(if stops { 2 } else { 41 + wobble(tick, 33, 1) });
            let bearing = tenths(bearing);
            let sequence = self.sequence;
            self.sequence += 1;
            let json = format!(
                "{{\"seq\":{sequence},\"ts\":{time},\"rpm\":{rpm},\"pressure_bar\":{pressure},\"bearing_c\":{bearing}}}"
            );
            publish(broker, "plant/pump1/telemetry", json);
        }
        if tick.is_multiple_of(2 * PER_SECOND) {
            let uptime = (tick - self.up_since) / PER_SECOND;
            publish(broker, "plant/pump1/heartbeat", format!("{{\"uptime_s\":{uptime}}}"));
        }
        if phase == WARNS_AT {
            let text = format!("bearing at {} °C, limit 75 °C", tenths(bearing));
            event(broker, "warning", "W17", &text, &time);
        } else if phase == FAILS_AT {
            let text = format!("bearing at {} °C, limit 90 °C: motor stopped", tenths(bearing));
            event(broker, "error", "E42", &text, &time);
        }
    }
}

fn event(broker: &mut Broker, level: &str, code: &str, message: &str, time: &str) {
    let json = format!("{{\"level\":\"{level}\",\"code\":\"{code}\",\"message\":\"{message}\",\"ts\":{time}}}");
    broker.publish(Message { topic: "plant/pump1/event".into(), payload: json.into(), qos: 1, retain: false });
}
