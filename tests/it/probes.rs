//! test_connection on a connection that stands: pings, and what comes of messages to the probe topic.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::checks::{names, step};
use crate::support::fake_broker::{FakeBroker, Peer, packet_of};
use crate::support::mosquitto::{Mosquitto, Setup};
use crate::support::packets::*;
use crate::support::server::Server;
use crate::support::wait_for;

fn start(server: &mut Server, broker: &FakeBroker) -> (Value, Peer) {
    let arguments = json!({"connection_string": broker.url(), "probe_topic": "lab/x"});
    (server.start_call("test_connection", arguments), broker.welcome())
}

/// Serves until the client says goodbye or hangs up: grants QoS `granted`, and answers a PUBLISH with `published`.
fn serve(peer: &mut Peer, granted: u8, mut published: impl FnMut(&mut Peer, Packet)) {
    while let Some(packet) = peer.next() {
        match packet.kind() {
            PINGREQ => peer.send(&packet_of(PINGRESP)),
            SUBSCRIBE => peer.send(&suback(packet.pid(), granted)),
            UNSUBSCRIBE => peer.send(&ack(UNSUBACK, packet.pid())),
            PUBLISH => published(peer, packet),
            PUBREL => peer.send(&ack(PUBCOMP, packet.pid())),
            DISCONNECT => break,
            _ => {}
        }
    }
}

/// Gives a message back, at QoS 1 at most.
fn echo(peer: &mut Peer, packet: Packet) {
    let back = publish(&packet.topic(), packet.payload(), packet.qos().min(1), 9, false);
    peer.send(&match packet.qos() {
        0 => back,
        1 => [ack(PUBACK, packet.pid()), back].concat(),
        _ => [ack(PUBREC, packet.pid()), back].concat(),
    });
}

fn told<'a>(tested: &'a Value, name: &str) -> &'a str {
    step(tested, name)["detail"].as_str().expect("a detail")
}

fn assert_fair(tested: &Value, code: &str, hint: &str) {
    assert_eq!((&tested["overall_health"], &tested["code"]), (&json!("fair"), &json!(code)), "{tested}");
    assert!(tested["hint"].as_str().is_some_and(|shown| shown.contains(hint)), "{tested}");
}

#[test]
fn a_probe_that_is_dropped_at_one_qos_and_not_acknowledged_at_another_lacks_a_right() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let (id, mut peer) = start(&mut server, &broker);
    serve(&mut peer, 2, |_, _| ());
    let tested = server.outcome(&id);
    let failed = [("subscribe", true), ("qos_0", false), ("qos_1", false), ("qos_2", false)];
    assert_eq!(&names(&tested)[4..], failed, "{tested}");
    assert!(told(&tested, "qos_0").contains("did not come back within"), "{tested}");
    assert_fair(&tested, "no_response", "lack the right to publish");
}

#[test]
fn a_broker_that_hangs_up_at_a_probe_is_told_and_not_made_to_do_it_again() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let (session, mut peer) = server.meet(&broker);
    let started = Instant::now();
    let id = server.start_call("test_connection", json!({"session_id": session, "probe_topic": "lab/x"}));
    assert_eq!(peer.grant(), "$SYS/#");
    let unsubscribe = peer.expect(UNSUBSCRIBE);
    peer.send(&ack(UNSUBACK, unsubscribe.pid()));
    assert_eq!(peer.grant(), "lab/x");
    peer.expect(PUBLISH);
    drop(peer);
    let tested = server.outcome(&id);
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    let all = ["connect", "ping", "subscribe"].map(|name| (name, true));
    assert_eq!(names(&tested), [&all[..], &[("qos_0", false)]].concat(), "{tested}");
    assert_eq!(told(&tested, "qos_0"), "the connection was lost: the broker closed it");
    assert_fair(&tested, "connection_lost", "lacks the right to publish");
    // The session comes back, once, and publishes nothing more.
    let mut peer = broker.welcome();
    assert_eq!(server.wait_for_state(&session, "connected")["reconnects"], 1);
    server.call("close_connection", json!({"session_id": session}));
    peer.expect(DISCONNECT);
}

#[test]
fn a_broker_that_hangs_up_at_qos_2_and_granted_less_seems_to_allow_no_more() {
    let (broker, mut server) = (Mosquitto::with(&Setup { extra: "max_qos 1\n", ..Setup::default() }), Server::start());
    let tested = server.call("test_connection", json!({"connection_string": broker.url(), "probe_topic": "lab/x"}));
    let steps = [("subscribe", true), ("qos_0", true), ("qos_1", true), ("qos_2", false)];
    assert_eq!(&names(&tested)[4..], steps, "{tested}");
    assert_fair(&tested, "connection_lost", "publish at most at QoS 1");
    assert!(tested["broker_info"]["version"].is_string(), "{tested}");
    // What is granted is for what is read: others take more.
    let broker = FakeBroker::new();
    let (id, mut peer) = start(&mut server, &broker);
    serve(&mut peer, 1, echo);
    let tested = server.outcome(&id);
    assert_eq!((names(&tested).last(), tested.get("code")), (Some(&("qos_2", true)), None), "{tested}");
    assert!(told(&tested, "qos_2").contains("came back at QoS 1"), "{tested}");
}

#[test]
fn a_connection_that_is_lost_at_a_subscription_is_told() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let id = server.start_call("test_connection", json!({"connection_string": broker.url()}));
    broker.welcome().expect(SUBSCRIBE);
    let tested = server.outcome(&id);
    assert_eq!(told(&tested, "subscribe"), "$SYS/#: the connection was lost: the broker closed it");
    assert_fair(&tested, "connection_lost", "or to read it");
    // A probe is done all the same: it needs no such subscription.
    let (id, mut peer) = start(&mut server, &broker);
    peer.expect(SUBSCRIBE);
    drop(peer);
    serve(&mut broker.welcome(), 1, echo);
    let tested = server.outcome(&id);
    let steps = [("subscribe", false), ("subscribe", true), ("qos_0", true), ("qos_1", true), ("qos_2", true)];
    assert_eq!(&names(&tested)[4..], steps, "{tested}");
    assert_fair(&tested, "connection_lost", "or to read it");
}

#[test]
fn a_probe_that_the_policy_forbids_is_told_as_not_done() {
    let (broker, mut server) = (Mosquitto::start(), Server::with(&["--deny-subscribe", "secret/#"]));
    let tested = server.call("test_connection", json!({"connection_string": broker.url(), "probe_topic": "secret/x"}));
    assert_eq!(names(&tested).last(), Some(&("subscribe", false)), "{tested}");
    assert!(tested["reasons"].to_string().contains("the probe was not done: the policy"), "{tested}");
    assert_fair(&tested, "policy_denied", "stay within what is allowed");
    assert!(tested["broker_info"]["version"].is_string(), "{tested}");
}

/// Answers `count` PINGREQs, each after `pause`, and no other.
fn pings(server: &mut Server, count: usize, pause: Duration) -> Value {
    let broker = FakeBroker::new();
    let id = server.start_call("test_connection", json!({"connection_string": broker.url()}));
    let (mut peer, mut left) = (broker.welcome(), count);
    while let Some(packet) = peer.next() {
        match packet.kind() {
            PINGREQ if left > 0 => {
                let at = Instant::now() + pause;
                wait_for("the answer's time", || (Instant::now() >= at).then_some(()));
                peer.send(&packet_of(PINGRESP));
                left -= 1;
            }
            SUBSCRIBE => peer.send(&suback(packet.pid(), 0)),
            DISCONNECT => break,
            _ => {}
        }
    }
    server.outcome(&id)
}

#[test]
fn slow_pings_are_measured_as_far_as_they_come_and_are_not_a_lost_connection() {
    let mut server = Server::start();
    let tested = pings(&mut server, usize::MAX, Duration::from_millis(1500));
    let ping = step(&tested, "ping");
    assert_eq!((&ping["ok"], tested.get("code")), (&json!(true), None), "{tested}");
    assert!(ping["min_ms"].as_f64() >= Some(1500.0) && ping["max_ms"].as_f64() < Some(2500.0), "{ping}");
    assert!(told(&tested, "ping").contains("over 3 pings; no PINGRESP to PINGREQ 4 of 5 within"), "{ping}");
    assert_eq!((names(&tested).last(), &tested["overall_health"]), (Some(&("subscribe", true)), &json!("poor")));
    assert!(tested["reasons"].to_string().contains("the ping is far too slow"), "{tested}");
}

#[test]
fn a_broker_that_stops_to_answer_pings_is_told_with_those_before() {
    let tested = pings(&mut Server::start(), 2, Duration::ZERO);
    let ping = step(&tested, "ping");
    assert_eq!((&ping["ok"], &tested["code"]), (&json!(false), &json!("no_response")), "{tested}");
    assert!(ping["min_ms"].as_f64() > Some(0.0), "{ping}");
    assert!(told(&tested, "ping").contains("over 2 pings; no PINGRESP to PINGREQ 3 of 5 within"), "{ping}");
    assert_eq!((&tested["overall_health"], &tested["reached"]), (&json!("poor"), &json!("connect")));
}

#[test]
fn a_session_that_comes_back_while_it_is_tested_has_reconnected() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let (session, peer) = server.meet(&broker);
    drop(peer);
    server.wait_for_state(&session, "reconnecting");
    let id = server.start_call("test_connection", json!({"session_id": session}));
    // Answered behind the call's beginning.
    assert_eq!(server.call("list_active_connections", json!({}))["total_count"], 1);
    let mut peer = broker.welcome();
    while let Some(packet) = peer.next() {
        match packet.kind() {
            PINGREQ => peer.send(&packet_of(PINGRESP)),
            SUBSCRIBE => peer.send(&suback(packet.pid(), 0)),
            UNSUBSCRIBE => break,
            _ => {}
        }
    }
    let tested = server.outcome(&id);
    assert_eq!(tested["overall_health"], "good", "{tested}");
    assert!(tested["reasons"].to_string().contains("the session had to reconnect (reconnects: 1)"), "{tested}");
}
