//! A house: rooms with JSON and plain readings, and states that are retained.

use super::broker::Broker;
use super::devices::{PER_SECOND, connect, publish, state, tenths, wobble};
use crate::clock::Timestamp;
use crate::rpc::outgoing::to_json;

/// The house's gateway, which speaks for its sensors.
#[derive(Default)]
pub(super) struct House {
    energy_wh: i64,
}

/// Rooms with their usual temperature, in tenths of a degree.
const ROOMS: [(&str, i64); 4] = [("bath", 231), ("bedroom", 187), ("kitchen", 214), ("living", 208)];

impl House {
    /// What happens at a tick.
    pub(super) fn tick(&mut self, broker: &mut Broker, tick: u64, time: Timestamp) {
        if tick == 0 {
            connect(broker, "demo-house", "home/gateway/status");
        }
        for (index, (room, usual)) in (0..).zip(ROOMS) {
            if tick == 0 || tick % (3 * PER_SECOND) == index {
                climate(broker, room, usual + wobble(tick, index, 6), wobble(tick, index + 9, 4), time);
            }
            if tick == 0 || tick % (20 * PER_SECOND) == 5 * index {
                let on = wobble(tick, index, 1) > 0;
                state(broker, &format!("home/{room}/light"), if on { "on" } else { "off" });
            }
        }
        if tick.is_multiple_of(2 * PER_SECOND) {
            let watts = 430 + wobble(tick, 21, 180);
            self.energy_wh += watts / 100;
            let total = tenths(12_043 + self.energy_wh);
            publish(broker, "home/power", format!("{{\"watts\":{watts},\"total_kwh\":{total}}}"));
        }
        if tick.is_multiple_of(15 * PER_SECOND) {
            let open = tick / (15 * PER_SECOND) % 3 == 1;
            state(broker, "home/front_door", format!("{{\"open\":{open}}}"));
        }
    }
}

fn climate(broker: &mut Broker, room: &str, tenths_c: i64, damp: i64, time: Timestamp) {
    let (temperature, humidity) = (tenths(tenths_c), 46 + damp);
    let time = String::from_utf8(to_json(&time)).unwrap_or_default();
    let json = format!(
        "{{\"temperature\":{temperature},\"humidity\":{humidity},\"battery\":{},\"ts\":{time}}}",
        88 - room.len()
    );
    publish(broker, &format!("home/{room}/climate"), json);
    state(broker, &format!("home/{room}/temperature"), temperature);
}
