//! What the brokers do differently, seen by the independent client alone: the lines at the top of `main.rs` are true.

use serde_json::json;

use crate::broker::{Broker, Kind};
use crate::scene::{Scene, on_every_broker};
use crate::support::client::{Client, Message};

on_every_broker!(
    copies_of_overlapping_subscriptions,
    qos_of_live_messages,
    qos_of_retained_messages,
    retained_messages_nobody_asked_for
);

impl Kind {
    /// Whether a message comes once per matching subscription.
    pub fn copies_each_subscription(self) -> bool {
        self == Kind::Amqtt
    }

    /// Whether a new connection gets retained messages that match others' filters.
    pub fn sends_retained_unasked(self) -> bool {
        self == Kind::Amqtt
    }

    /// The QoS of a live message on a subscription with a wildcard.
    pub fn live_qos(self, subscribed: u8, published: u8) -> u8 {
        match self {
            Kind::Mosquitto => subscribed.min(published),
            Kind::Amqtt => subscribed,
            Kind::Aedes if subscribed == 0 => 0,
            Kind::Aedes => published,
        }
    }

    /// The QoS of a retained message on a subscription with a wildcard.
    fn retained_qos(self, subscribed: u8, published: u8) -> u8 {
        match self {
            Kind::Mosquitto => subscribed.min(published),
            // A message retained at QoS 0 comes at the subscription's.
            Kind::Amqtt if published == 0 => subscribed,
            Kind::Amqtt => subscribed.min(published),
            Kind::Aedes => published,
        }
    }
}

/// The messages that come to the client before its own one on `until`.
fn before_own(client: &mut Client, until: &str) -> Vec<Message> {
    client.subscribe(until, 0);
    client.publish(until, "own");
    let mut seen = Vec::new();
    loop {
        match client.receive() {
            message if message.topic == until => return seen,
            message => seen.push(message),
        }
    }
}

fn copies_of_overlapping_subscriptions(kind: Kind) {
    let broker = Broker::start(kind);
    let mut client = Client::connect(broker.port());
    client.subscribe("c/#", 2);
    client.subscribe("c/x", 0);
    client.publish_at(2, "c/x", "one");
    let qos: Vec<_> = before_own(&mut client, "own").iter().map(|message| message.qos).collect();
    // Where one message stands for both, the filter without a wildcard decides.
    assert_eq!(qos, if kind.copies_each_subscription() { vec![2, 0] } else { vec![0] });
}

fn qos_of_live_messages(kind: Kind) {
    let broker = Broker::start(kind);
    let mut client = Client::connect(broker.port());
    for subscribed in 0..=2 {
        for (filter, topic) in [(format!("w{subscribed}/#"), format!("w{subscribed}/x")), exact(subscribed)] {
            client.subscribe(&filter, subscribed);
            for published in 0..=2 {
                match published {
                    0 => client.publish(&topic, "x"),
                    qos => client.publish_at(qos, &topic, "x"),
                }
                let expected = match kind {
                    // Without a wildcard it lowers the QoS.
                    Kind::Aedes if filter == topic => subscribed.min(published),
                    kind => kind.live_qos(subscribed, published),
                };
                assert_eq!(client.receive().qos, expected, "{filter} at {subscribed}, published at {published}");
            }
        }
    }
}

fn exact(subscribed: u8) -> (String, String) {
    let topic = format!("e{subscribed}");
    (topic.clone(), topic)
}

fn qos_of_retained_messages(kind: Kind) {
    let mut scene = Scene::on(kind);
    for qos in 0..=2 {
        let arguments = json!({"topic": format!("r/{qos}"), "payload": "x", "retain": true, "qos": qos});
        scene.call("publish_message", arguments);
    }
    // Once the server has got them all, the broker has stored them all.
    assert_eq!(scene.retained("r/#")["original_message_count"], 3);
    for subscribed in 0..=2 {
        let mut client = Client::connect(scene.broker.port());
        let unasked = before_own(&mut client, "own").len();
        assert_eq!(unasked, if kind.sends_retained_unasked() { 3 } else { 0 });
        client.subscribe("r/#", subscribed);
        for _ in 0..3 {
            let Message { topic, qos, retain, .. } = client.receive();
            let published = topic.as_bytes()[2] - b'0';
            let expected = kind.retained_qos(subscribed, published);
            assert_eq!((qos, retain), (expected, true), "{topic} subscribed at {subscribed}");
        }
    }
}

fn retained_messages_nobody_asked_for(kind: Kind) {
    let broker = Broker::start(kind);
    let mut first = Client::connect(broker.port());
    first.subscribe("r/#", 0);
    first.retain("r/x", "kept");
    // It was delivered, so it is stored.
    assert!(!first.receive().retain);
    let unasked = before_own(&mut Client::connect(broker.port()), "own");
    let message = Message { topic: "r/x".into(), payload: b"kept".into(), qos: 0, retain: true };
    assert_eq!(unasked, if kind.sends_retained_unasked() { vec![message] } else { vec![] });
}
