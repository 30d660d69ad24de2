//! The same black-box tests against several real brokers: Mosquitto 2.0, amqtt 0.12 and aedes 1.2. They are no part of
//! `cargo test`: `tests/brokers.sh` installs the brokers and runs them.
//!
//! What these brokers do differently, as found by running them (`habits.rs` holds what the tests rely on):
//! - Overlapping subscriptions: amqtt sends a message once per matching filter, each at that filter's QoS. The others
//!   send it once: Mosquitto at the QoS of the more exact filter; aedes at 0 or as published, depending on which filter
//!   it meets first, and never above the QoS of a filter that is the topic itself.
//! - Live messages: Mosquitto sends the lower of the two QoS. amqtt sends the subscription's, so that it raises it as
//!   well. aedes sends as published unless the filter asks for QoS 0 or has no wildcard: a QoS 1 subscription to `a/#`
//!   gets QoS 2.
//! - Retained messages: Mosquitto lowers their QoS to the subscription's. aedes sends them as published to a filter with
//!   a wildcard, also when QoS 0 was granted. amqtt lowers 1 and 2, and raises 0 to the subscription's.
//! - All send SUBACK before the retained messages of a filter. amqtt sends some of them after the answer to a PINGREQ
//!   that followed the SUBSCRIBE; aedes may answer such a PINGREQ before SUBACK; Mosquitto keeps the order.
//! - aedes handles a SUBSCRIBE right behind the UNSUBSCRIBE of the same filter first: it grants the filter and then drops
//!   it. Behind UNSUBACK it does not.
//! - amqtt greets every new connection with the retained messages of all filters that anybody has ever subscribed. They
//!   come unasked, at QoS 0, and once per such filter.
//! - `clean_session` false: all find the session again, but aedes only when it has a subscription in it. Mosquitto and
//!   aedes keep QoS 1 messages for a client that is away; amqtt drops them when the client is anonymous.
//! - Started again without persistence, none of them knows a session or a retained message.

mod broker;
mod collect;
mod connect;
mod habits;
mod overlap;
mod publish;
mod reconnect;
mod scene;
#[expect(dead_code, reason = "shared with the tests of `it`, which need more of it")]
#[path = "../it/support/mod.rs"]
mod support;
