//! The devices' common ground: each is a client within this process, with a session and a will like any other; time comes
//! in ticks. What they publish depends on the tick alone (but for the time of day in some payloads), so that every
//! start is the same.

use std::rc::Rc;
use std::time::Instant;

use async_io::Timer;
use smol::LocalExecutor;

use super::broker::Broker;
use super::serve::Shared;
use super::session::{Key, Message};
use super::wire::{Connect, LastWill, Protocol, QoS};
use super::{house::House, pump::Pump, scope::Scope, sys, valve};
use crate::clock::{Now, Timestamp};
use crate::limits::DEMO_TICK;
use crate::task;

/// Ticks in a second.
pub(super) const PER_SECOND: u64 = 1000 / DEMO_TICK.as_millis() as u64;

/// All devices that act by themselves.
#[derive(Default)]
pub(super) struct Devices {
    house: House,
    pump: Pump,
    scope: Scope,
}

impl Devices {
    /// What happens at a tick.
    pub(super) fn tick(&mut self, broker: &mut Broker, tick: u64, time: Timestamp) {
        self.house.tick(broker, tick, time);
        self.pump.tick(broker, tick, time);
        self.scope.tick(broker, tick);
        sys::tick(broker, tick);
    }
}

/// Connects all devices and lets them live.
pub(super) fn begin(shared: &Rc<Shared>, executor: &LocalExecutor<'static>) {
    let mut devices = Devices::default();
    if let Some(key) = shared.with(valve::connect_valve) {
        task::spawn(executor, valve::run(shared.clone(), key)).detach();
    }
    // The first visitor finds what is retained.
    shared.with(|broker| devices.tick(broker, 0, Now::read().timestamp()));
    task::spawn(executor, live(shared.clone(), devices)).detach();
}

async fn live(shared: Rc<Shared>, mut devices: Devices) {
    let start = Instant::now();
    loop {
        // A process that was stopped for a while does not make up for the ticks it missed.
        let tick = start.elapsed().as_millis() as u64 / DEMO_TICK.as_millis() as u64 + 1;
        Timer::at(start + DEMO_TICK * tick as u32).await;
        shared.with(|broker| devices.tick(broker, tick, Now::read().timestamp()));
    }
}

/// Connects a device, whose will says that it is offline.
pub(super) fn connect(broker: &mut Broker, client_id: &str, status_topic: &str) -> Option<Key> {
    let will = LastWill { topic: status_topic, message: b"offline", qos: QoS::AtLeastOnce, retain: true };
    let connect = Connect {
        protocol: Protocol::MQTT311,
        keep_alive: 0,
        client_id,
        clean_session: true,
        last_will: Some(will),
        username: None,
        password: None,
    };
    let (key, _) = broker.connect(&connect).ok()?;
    state(broker, status_topic, "online");
    Some(key)
}

/// Publishes a reading.
pub(super) fn publish(broker: &mut Broker, topic: &str, payload: impl Into<Vec<u8>>) {
    broker.publish(Message { topic: topic.to_owned(), payload: payload.into(), qos: 0, retain: false });
}

/// Publishes a state that later subscribers are to see.
pub(super) fn state(broker: &mut Broker, topic: &str, payload: impl Into<Vec<u8>>) {
    broker.publish(Message { topic: topic.to_owned(), payload: payload.into(), qos: 1, retain: true });
}

/// A whole number from `-reach` to `reach` that looks random and is the same for the same tick and salt.
pub(super) fn wobble(tick: u64, salt: u64, reach: i64) -> i64 {
    let mut mixed = (tick ^ (salt << 32)).wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed >> 33) as i64 % (2 * reach + 1) - reach
}

/// A number of tenths as a decimal number.
pub(super) fn tenths(value: i64) -> String {
    let sign = if value < 0 { "-" } else { "" };
    format!("{sign}{}.{}", value.abs() / 10, value.abs() % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All that a watcher of `filter` sees in a number of seconds, with the tick at which it came.
    fn seen(filter: &str, seconds: u64) -> Vec<(u64, String, String)> {
        let (mut broker, mut devices, mut all) = (Broker::default(), Devices::default(), Vec::new());
        let watcher = connect(&mut broker, "watcher", "watcher/status").expect("connected");
        broker.listen(watcher, filter);
        for tick in 0..seconds * PER_SECOND {
            devices.tick(&mut broker, tick, Timestamp(tick));
            while let Some(message) = broker.take(watcher) {
                let payload = String::from_utf8_lossy(&message.payload).into_owned();
                all.push((tick, message.topic.clone(), payload));
            }
        }
        all
    }

    #[test]
    fn every_start_is_the_same() {
        assert_eq!(seen("#", 60), seen("#", 60));
        assert!(seen("#", 60).len() > 200);
    }

    #[test]
    fn any_30_seconds_show_the_pump_fail_and_come_back() {
        let all = seen("plant/pump1/#", 80);
        for start in 0..50 * PER_SECOND {
            let window = all.iter().filter(|(tick, ..)| (start..start + 30 * PER_SECOND).contains(tick));
            let window: Vec<_> = window.map(|(_, topic, payload)| format!("{topic} {payload}")).collect();
            for sign in ["event {\"level\":\"error\"", "status offline", "status online", "heartbeat", "\"rpm\":0"] {
                assert!(window.iter().any(|line| line.contains(sign)), "{sign} from tick {start}");
            }
        }
    }

    #[test]
    fn json_payloads_are_json_and_frames_are_cbor_maps() {
        for (_, topic, payload) in seen("#", 40) {
            if topic.ends_with("frame") {
                continue;
            }
            if payload.starts_with('{') {
                serde_json::from_str::<serde_json::Value>(&payload).unwrap_or_else(|why| panic!("{topic}: {why}"));
            } else {
                assert!(topic.ends_with("status") || topic.ends_with("light") || topic.ends_with("temperature"));
            }
        }
        assert!(seen("lab/scope/frame", 4).len() == 2);
    }

    #[test]
    fn numbers_of_tenths_are_written_as_decimals() {
        assert_eq!([tenths(0), tenths(7), tenths(-7), tenths(-213)], ["0.0", "0.7", "-0.7", "-21.3"]);
        assert!((0..1000).all(|tick| wobble(tick, 3, 4).abs() <= 4));
    }
}
