//! What the demo broker says of itself, under the names that Mosquitto uses.

use super::broker::Broker;
use super::devices::PER_SECOND;
use super::session::Message;

/// Publishes what has changed, now and then.
pub(super) fn tick(broker: &mut Broker, tick: u64) {
    if tick == 0 {
        tell(broker, "version", concat!("mqtt-mcp demo broker ", env!("CARGO_PKG_VERSION")).into());
    }
    if !tick.is_multiple_of(5 * PER_SECOND) {
        return;
    }
    let [retained, subscriptions, connected, total] = broker.sizes();
    let counts = &broker.counts;
    let rows = [
        ("clients/connected", connected as u64),
        ("clients/total", total as u64),
        ("subscriptions/count", subscriptions as u64),
        ("retained messages/count", retained as u64),
        ("messages/received", counts.received),
        ("messages/sent", counts.sent),
        ("publish/messages/dropped", counts.dropped),
        ("bytes/received", counts.bytes_received),
        ("bytes/sent", counts.bytes_sent),
    ];
    tell(broker, "uptime", format!("{} seconds", tick / PER_SECOND));
    for (name, value) in rows {
        tell(broker, name, value.to_string());
    }
}

fn tell(broker: &mut Broker, name: &str, value: String) {
    let topic = format!("$SYS/broker/{name}");
    if broker.retained(&topic).is_none_or(|known| known.payload != value.as_bytes()) {
        broker.publish(Message { topic, payload: value.into(), qos: 0, retain: true });
    }
}
