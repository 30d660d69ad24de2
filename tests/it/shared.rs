//! Calls side by side on one session: each sees each live message once and each retained message once, whether the broker
//! sends one copy per matching subscription or one for all.

use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::fake_broker::FakeBroker;
use crate::support::mosquitto::{Mosquitto, Setup};
use crate::support::packets::*;
use crate::support::server::Server;
use crate::support::tools::payloads;

const RETAINED: [&str; 3] = ["old 0", "old 1", "old 2"];
const LIVE: [&str; 3] = ["live 0", "live 1", "live 2"];

fn sorted(collected: &Value) -> Vec<String> {
    let mut seen: Vec<_> =
        payloads(collected).iter().map(|payload| payload.as_str().expect("text").to_owned()).collect();
    seen.sort();
    seen
}

/// Runs a call per filter on one session; `settled` lets each see its retained messages before the next one begins.
fn run(setup: &Setup<'_>, filters: &[&str], qos: u8, settled: bool) {
    let (broker, mut server) = (Mosquitto::with(setup), Server::start());
    let session = server.connect(&broker.url());
    let mut client = Client::connect(broker.port());
    for (n, payload) in RETAINED.iter().enumerate() {
        client.retain(&format!("s/{n}"), payload);
    }
    let mut calls = Vec::new();
    for filter in filters {
        let arguments = json!({"topic_pattern": filter, "qos": qos, "duration_seconds": 2});
        calls.push((*filter, server.listen(&session, "subscribe_and_collect", arguments)));
        if settled {
            // Takes as long as the retained messages of a call need to be complete.
            let only = json!({"session_id": session, "topic_pattern": "elsewhere", "retained": "only"});
            server.call("subscribe_and_collect", only);
        }
    }
    for payload in LIVE {
        match qos {
            0 => client.publish("s/live", payload),
            qos => client.publish_at(qos, "s/live", payload),
        }
    }
    let expected: Vec<_> = LIVE.iter().chain(&RETAINED).copied().collect();
    for (filter, id) in calls {
        assert_eq!(sorted(&server.outcome(&id)), expected, "{filter} of {filters:?}, QoS {qos}, settled {settled}");
    }
}

fn one_copy() -> Setup<'static> {
    Setup { extra: "allow_duplicate_messages false", ..Setup::default() }
}

fn copy_per_subscription() -> Setup<'static> {
    Setup { extra: "allow_duplicate_messages true", ..Setup::default() }
}

#[test]
fn two_calls_on_one_filter_see_everything_once() {
    run(&one_copy(), &["s/#", "s/#"], 0, false);
    run(&copy_per_subscription(), &["s/#", "s/#"], 1, true);
}

#[test]
fn calls_on_overlapping_filters_see_everything_once_where_the_broker_sends_one_copy() {
    run(&one_copy(), &["s/#", "s/+", "#"], 0, false);
    run(&one_copy(), &["+/+", "s/#", "s/#"], 1, true);
}

#[test]
fn calls_on_overlapping_filters_see_everything_once_where_the_broker_sends_a_copy_each() {
    run(&copy_per_subscription(), &["s/#", "s/+", "#"], 0, false);
    run(&copy_per_subscription(), &["+/+", "s/#", "s/#"], 0, true);
}

#[test]
fn calls_on_overlapping_filters_see_everything_once_at_higher_qos() {
    run(&copy_per_subscription(), &["s/#", "s/+", "#"], 1, true);
    run(&copy_per_subscription(), &["s/#", "s/+"], 2, false);
}

/// How often a message is sent for overlapping filters has to be learned from one; what follows is then told apart from
/// copies, however equal it is.
#[test]
fn a_message_that_is_published_again_is_seen_again() {
    const LEARNED_BYTES: u64 = 2 + 2 + 3 + 5 + 2;
    let (broker, mut server) = (Mosquitto::with(&one_copy()), Server::start());
    let session = server.connect(&broker.url());
    let mut client = Client::connect(broker.port());
    let listen = |server: &mut Server, filter: &str| {
        let arguments = json!({"topic_pattern": filter, "duration_seconds": 2, "retained": "exclude"});
        server.listen(&session, "subscribe_and_collect", arguments)
    };
    let calls = [listen(&mut server, "t/#"), listen(&mut server, "t/+")];
    let before = server.bytes_in(&session);
    client.publish("t/x", "first");
    server.wait_for_bytes_in(&session, before + LEARNED_BYTES);
    client.publish_all(vec![("t/x".to_owned(), b"same".to_vec()); 5]);
    for id in calls {
        assert_eq!(sorted(&server.outcome(&id)), ["first", "same", "same", "same", "same", "same"]);
    }
}

#[test]
fn a_filter_wanted_twice_is_given_back_when_nobody_wants_it_any_more() {
    let (broker, mut server) = (FakeBroker::new(), Server::start());
    let (session, mut peer) = server.meet(&broker);
    let arguments = json!({"topic_pattern": "f", "duration_seconds": 300, "retained": "exclude"});
    let first = server.collect_from(&mut peer, &session, arguments.clone());
    // It asks the broker for nothing: the subscription stands.
    let second = server.start_call("subscribe_and_collect", {
        let mut arguments = arguments;
        arguments["session_id"] = json!(session);
        arguments["max_messages"] = json!(1);
        arguments
    });
    // Another call's answer: the second one listens by now.
    server.bytes_in(&session);
    server.notify("notifications/cancelled", json!({"requestId": first}));
    peer.send(&publish("f", b"for the second", 0, 0, false));
    assert_eq!(payloads(&server.outcome(&second)), ["for the second"]);
    assert_eq!(peer.expect(UNSUBSCRIBE).filter(), "f");
}
