//! Calls that share a session: what each sees, what each leaves behind, and whom a refusal concerns.

use serde_json::{Value, json};

use super::{assert_usable, start_publish};
use crate::support::client::Client;
use crate::support::fake_broker::{FakeBroker, Peer, packet_of};
use crate::support::mosquitto::{Mosquitto, Setup};
use crate::support::packets::*;
use crate::support::server::Server;
use crate::support::tools::{messages, payloads};

/// Topics of the live messages, twelve of them, two messages on each.
fn topics() -> Vec<String> {
    (0..12).map(|n| if n % 2 == 0 { format!("h/a/{n}") } else { format!("h/b/{n}") }).collect()
}

/// Filters that are equal, overlap and contain one another, with what they match of `topics`.
const FILTERS: [(&str, &str); 6] =
    [("h/#", "h/"), ("h/#", "h/"), ("h/a/#", "h/a/"), ("h/+/+", "h/"), ("h/b/+", "h/b/"), ("+/a/+", "h/a/")];

/// Topic, payload and whether it is retained, sorted.
fn seen(collected: &Value) -> Vec<(String, String, bool)> {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let of = |message: &Value| (text(&message["topic"]), text(&message["payload"]), message["retain"] == true);
    let mut seen: Vec<_> = messages(collected).iter().map(of).collect();
    seen.sort();
    seen
}

fn expected(prefix: &str, retained: bool) -> Vec<(String, String, bool)> {
    let matching = topics().into_iter().filter(|topic| topic.starts_with(prefix));
    let live = matching.clone().flat_map(|topic| ["live 0", "live 1"].map(|text| (topic.clone(), text.into(), false)));
    let kept = matching.filter(|_| retained).map(|topic| (topic, "kept".into(), true));
    let mut all: Vec<_> = live.chain(kept).collect();
    all.sort();
    all
}

fn collect(filter: &str, seconds: u64) -> Value {
    json!({"topic_pattern": filter, "duration_seconds": seconds, "keep": 500})
}

/// The live messages come in two bursts, the first before anything is known of the broker.
fn run_on_mosquitto(copies: bool, qos: u8) {
    let extra = if copies { "allow_duplicate_messages true" } else { "allow_duplicate_messages false" };
    let (broker, mut server) = (Mosquitto::with(&Setup { extra, ..Setup::default() }), Server::start());
    let session = server.connect(&broker.url());
    let mut client = Client::connect(broker.port());
    topics().iter().for_each(|topic| client.retain(topic, "kept"));
    let calls = FILTERS.map(|(filter, prefix)| {
        let mut arguments = collect(filter, 2);
        arguments["qos"] = json!(qos);
        (filter, prefix, server.listen(&session, "subscribe_and_collect", arguments))
    });
    for text in ["live 0", "live 1"] {
        client.publish_all(topics().into_iter().map(|topic| (topic, text.into())));
    }
    for (filter, prefix, id) in calls {
        assert_eq!(seen(&server.outcome(&id)), expected(prefix, true), "{filter}, copies {copies}, QoS {qos}");
    }
}

#[test]
fn nested_filters_see_everything_once_where_mosquitto_sends_one_copy() {
    run_on_mosquitto(false, 0);
}

#[test]
fn nested_filters_see_everything_once_where_mosquitto_sends_a_copy_each() {
    run_on_mosquitto(true, 1);
}

/// Sends a message once for each of the distinct filters that match it, as 3.3.5 allows.
fn send_copies(peer: &mut Peer, filters: &[(&str, &str)], topic: &str, text: &str) {
    let mut distinct: Vec<_> = filters.iter().filter(|(_, prefix)| topic.starts_with(prefix)).collect();
    distinct.sort();
    distinct.dedup();
    for _ in distinct {
        peer.send(&publish(topic, text.as_bytes(), 0, 0, false));
    }
}

/// The fake broker answers the PINGREQ behind a SUBACK, and gives what it keeps for that filter.
fn grant_with_retained(peer: &mut Peer, prefix: &str) {
    peer.grant();
    for topic in topics().iter().filter(|topic| topic.starts_with(prefix)) {
        peer.send(&publish(topic, b"kept", 0, 0, true));
    }
    peer.expect(PINGREQ);
    peer.send(&packet_of(PINGRESP));
}

fn run_on_a_broker_with_copies(filters: &[(&'static str, &'static str)]) {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let (session, mut peer) = server.meet(&broker);
    let mut calls = Vec::new();
    for (filter, prefix) in filters {
        let mut arguments = collect(filter, 2);
        arguments["session_id"] = json!(session);
        let id = server.start_call("subscribe_and_collect", arguments);
        grant_with_retained(&mut peer, prefix);
        calls.push((*filter, *prefix, id));
    }
    for text in ["live 0", "live 1"] {
        for topic in topics() {
            send_copies(&mut peer, filters, &topic, text);
            // The habit is learned from PINGREQs; whatever else waits is answered too.
            let all_in = server.bytes_in(&session);
            peer.send(&packet_of_unknown_ack());
            server.wait_for_bytes_in(&session, all_in + 4);
            while peer.has_input() {
                assert_eq!(peer.next().expect("the connection stands").kind(), PINGREQ);
                peer.send(&packet_of(PINGRESP));
            }
        }
    }
    for (filter, prefix, id) in calls {
        // Their ends take the subscriptions back, one by one.
        assert_eq!(seen(&server.outcome(&id)), expected(prefix, true), "{filter} of {filters:?}");
    }
    give_back(&mut peer, filters);
}

/// An acknowledgement that nobody waits for: it moves the count of bytes and nothing else.
fn packet_of_unknown_ack() -> Vec<u8> {
    ack(PUBACK, 9999)
}

/// Each distinct filter is unsubscribed exactly once.
fn give_back(peer: &mut Peer, filters: &[(&str, &str)]) {
    let mut wanted: Vec<_> = filters.iter().map(|(filter, _)| (*filter).to_owned()).collect();
    wanted.sort();
    wanted.dedup();
    let mut given: Vec<_> = wanted
        .iter()
        .map(|_| {
            let unsubscribe = peer.expect(UNSUBSCRIBE);
            peer.send(&ack(UNSUBACK, unsubscribe.pid()));
            unsubscribe.filter()
        })
        .collect();
    given.sort();
    assert_eq!(given, wanted);
}

#[test]
fn equal_filters_see_everything_once_on_a_broker_that_sends_a_copy_each() {
    run_on_a_broker_with_copies(&[FILTERS[0], FILTERS[1], FILTERS[1]]);
}

#[test]
fn overlapping_filters_see_everything_once_on_a_broker_that_sends_a_copy_each() {
    run_on_a_broker_with_copies(&[FILTERS[0], FILTERS[3]]);
}

#[test]
fn nested_filters_see_everything_once_on_a_broker_that_sends_a_copy_each() {
    run_on_a_broker_with_copies(&FILTERS);
}

#[test]
fn a_filter_is_given_back_when_its_last_call_ends_and_not_before() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let (session, mut peer) = server.meet(&broker);
    let mut arguments = collect("f", 300);
    arguments["retained"] = json!("exclude");
    let first = server.collect_from(&mut peer, &session, arguments.clone());
    arguments["session_id"] = json!(session);
    arguments["max_messages"] = json!(2);
    let second = server.start_call("subscribe_and_collect", arguments.clone());
    arguments["max_messages"] = json!(1);
    let third = server.start_call("subscribe_and_collect", arguments);
    // Answered behind them: all three listen.
    server.bytes_in(&session);
    peer.send(&publish("f", b"one", 0, 0, false));
    assert_eq!(payloads(&server.outcome(&third)), ["one"]);
    assert_usable(&mut server, &session, &mut peer);
    peer.send(&publish("f", b"two", 0, 0, false));
    assert_eq!(payloads(&server.outcome(&second)), ["one", "two"]);
    assert_usable(&mut server, &session, &mut peer);
    server.notify("notifications/cancelled", json!({"requestId": first}));
    assert_eq!(peer.expect(UNSUBSCRIBE).filter(), "f");
}

#[test]
fn a_cancelled_call_leaves_nothing_behind() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let (session, mut peer) = server.meet(&broker);
    let id = server.collect_from(&mut peer, &session, collect("f", 300));
    server.notify("notifications/cancelled", json!({"requestId": id}));
    let unsubscribe = peer.expect(UNSUBSCRIBE);
    assert_eq!(unsubscribe.filter(), "f");
    peer.send(&ack(UNSUBACK, unsubscribe.pid()));
    drop(peer);
    // A SUBSCRIBE would come before the message.
    assert_usable(&mut server, &session, &mut broker.welcome());
}

#[test]
fn a_call_cancelled_before_its_suback_leaves_nothing_behind() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let (session, mut peer) = server.meet(&broker);
    let mut arguments = collect("f", 300);
    arguments["session_id"] = json!(session);
    let id = server.start_call("subscribe_and_collect", arguments);
    let subscribe = peer.expect(SUBSCRIBE);
    server.notify("notifications/cancelled", json!({"requestId": id}));
    assert_eq!(peer.expect(UNSUBSCRIBE).filter(), "f");
    peer.send(&suback(subscribe.pid(), 0));
    assert_usable(&mut server, &session, &mut peer);
    drop(peer);
    assert_usable(&mut server, &session, &mut broker.welcome());
}

#[test]
fn a_refused_subscription_fails_its_call_and_no_other() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let (session, mut peer) = server.meet(&broker);
    let mut arguments = collect("allowed/#", 60);
    arguments["max_messages"] = json!(2);
    let allowed = server.collect_from(&mut peer, &session, arguments);
    let mut arguments = collect("#", 60);
    arguments["session_id"] = json!(session);
    let refused = server.start_call("subscribe_and_collect", arguments);
    let pid = peer.expect(SUBSCRIBE).pid();
    peer.send(&suback(pid, 0x80));
    assert_eq!(server.failure(&refused)["code"], "subscribe_rejected");
    peer.send(&publish("allowed/x", b"one", 0, 0, false));
    let published = start_publish(&mut server, &session, "t", "x", 0);
    assert_eq!(peer.expect(PUBLISH).topic(), "t", "nothing is unsubscribed that was never granted");
    server.outcome(&published);
    drop(peer);
    let mut peer = broker.welcome();
    assert_eq!(peer.grant(), "allowed/#", "what was refused is not asked for again");
    peer.send(&publish("allowed/x", b"two", 0, 0, false));
    assert_eq!(payloads(&server.outcome(&allowed)), ["one", "two"]);
}

#[test]
fn a_subscription_refused_after_a_reconnect_ends_its_call_and_no_other() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let (session, mut peer) = server.meet(&broker);
    let mut arguments = collect("kept", 60);
    arguments["max_messages"] = json!(1);
    let kept = server.collect_from(&mut peer, &session, arguments);
    let lost = server.collect_from(&mut peer, &session, collect("lost", 60));
    drop(peer);
    let mut peer = broker.welcome();
    for _ in 0..2 {
        let subscribe = peer.expect(SUBSCRIBE);
        peer.send(&suback(subscribe.pid(), if subscribe.filter() == "lost" { 0x80 } else { 0 }));
    }
    assert_eq!(server.failure(&lost)["code"], "subscribe_rejected");
    peer.send(&publish("kept", b"x", 0, 0, false));
    assert_eq!(payloads(&server.outcome(&kept)), ["x"]);
}

#[test]
fn a_filter_refused_at_a_higher_qos_goes_on_for_the_call_that_has_it() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let (session, mut peer) = server.meet(&broker);
    let mut arguments = collect("f", 60);
    arguments["max_messages"] = json!(1);
    let granted = server.collect_from(&mut peer, &session, arguments);
    let mut arguments = collect("f", 60);
    (arguments["session_id"], arguments["qos"]) = (json!(session), json!(2));
    let refused = server.start_call("subscribe_and_collect", arguments);
    let pid = peer.expect(SUBSCRIBE).pid();
    peer.send(&suback(pid, 0x80));
    assert_eq!(server.failure(&refused)["code"], "subscribe_rejected");
    peer.send(&publish("f", b"x", 0, 0, false));
    assert_eq!(payloads(&server.outcome(&granted)), ["x"]);
    assert_eq!(peer.expect(UNSUBSCRIBE).filter(), "f");
}
