//! monitor_performance: what passes, counted.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::fake_broker::FakeBroker;
use crate::support::mosquitto::{Mosquitto, Setup};
use crate::support::packets::*;
use crate::support::server::Server;
use crate::support::wait_for;

fn setup(setup: &Setup<'_>) -> (Mosquitto, Server, String, Client) {
    let (broker, mut server) = (Mosquitto::with(setup), Server::start());
    let session = server.connect(&broker.url());
    let client = Client::connect(broker.port());
    (broker, server, session, client)
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

/// Publishes `per_second` messages, evenly, until `seconds` are over; gives how many.
fn pace(client: &mut Client, seconds: f64, per_second: f64, topic: impl Fn(u64) -> &'static str) -> u64 {
    let started = Instant::now();
    let count = (seconds * per_second) as u64;
    for n in 0..count {
        let due = started + Duration::from_secs_f64(n as f64 / per_second);
        wait_for("the next message's time", || (Instant::now() >= due).then_some(()));
        client.publish(topic(n), "x".repeat(10 + (n % 10) as usize * 10));
    }
    count
}

#[test]
fn counts_are_exact_and_rates_are_those_of_the_traffic() {
    let (_broker, mut server, session, mut client) = setup(&Setup::default());
    client.retain("kept/a", "old");
    let id = server.listen(&session, "monitor_performance", json!({"duration_seconds": 3}));
    let sent = pace(&mut client, 2.5, 40.0, |n| if n % 4 == 0 { "b" } else { "a" });
    let measured = server.outcome(&id);
    assert_eq!(measured["messages"], sent, "{measured}");
    let bytes: u64 = (0..sent).map(|n| 10 + n % 10 * 10).sum();
    assert_eq!(measured["bytes"], bytes);
    assert_eq!(measured["retained"], json!({"messages": 1, "bytes": 3}));
    let duration = number(&measured["duration_seconds"]);
    assert!((number(&measured["rate"]["mean"]) - sent as f64 / duration).abs() < 0.1, "{measured}");
    let peak = measured["rate"]["peak_second"].as_u64().expect("a count");
    assert!(peak >= sent / 3 && peak <= sent, "{measured}");
    let sizes = &measured["payload_bytes"];
    assert_eq!((&sizes["min"], &sizes["max"]), (&json!(10), &json!(100)));
    assert!((number(&sizes["median"]) - 50.0).abs() <= 10.0, "{sizes}");
    let interval = number(&measured["interval_ms"]["median"]);
    assert!((10.0..50.0).contains(&interval), "{measured}");
    assert_eq!(measured["topics_seen"], 2, "what is only retained is no traffic");
    let heaviest = &measured["top_topics"]["by_bytes"][0];
    let per_second = number(&heaviest["bytes"]) / duration;
    assert!((number(&heaviest["bytes_per_second"]) - per_second).abs() < per_second / 100.0, "{measured}");
    let top = &measured["top_topics"]["by_rate"];
    assert!(number(&top[0]["messages_per_second"]) <= 40.0, "{top}");
    assert_eq!((&top[0]["topic"], &top[0]["messages"]), (&json!("a"), &json!(sent - sent.div_ceil(4))));
    let ping = &measured["ping_ms"];
    assert!(ping["count"].as_u64().is_some_and(|count| (2..=4).contains(&count)), "{ping}");
    assert!(number(&ping["min"]) > 0.0 && number(&ping["median"]) < 1000.0, "{ping}");
    assert!(
        measured["summary"].as_str().is_some_and(|text| text.starts_with(&format!("{sent} messages"))),
        "{measured}"
    );
}

#[test]
fn a_burst_is_told_and_steady_traffic_has_none() {
    let (_broker, mut server, session, mut client) = setup(&Setup::default());
    let id = server.listen(&session, "monitor_performance", json!({"topic_pattern": "t/#", "duration_seconds": 5}));
    pace(&mut client, 3.0, 10.0, |_| "t/steady");
    client.publish_all((0..400).map(|n| (format!("t/{}", n % 3), b"burst".to_vec())));
    let measured = server.outcome(&id);
    assert_eq!(measured["burst_count"], 1, "{measured}");
    let burst = &measured["bursts"][0];
    assert!(burst["messages"].as_u64().is_some_and(|count| count >= 400), "{burst}");
    assert!(number(&burst["times_mean"]) > 2.0, "{burst}");
    let id = server.listen(&session, "monitor_performance", json!({"duration_seconds": 3}));
    pace(&mut client, 3.1, 20.0, |_| "t/steady");
    let measured = server.outcome(&id);
    assert_eq!((&measured["burst_count"], &measured["bursts"]), (&json!(0), &json!([])), "{measured}");
}

#[test]
fn the_broker_tells_its_own_figures_before_and_after() {
    let (_broker, mut server, session, mut client) = setup(&Setup { extra: "sys_interval 1", ..Setup::default() });
    let id = server.listen(&session, "monitor_performance", json!({"duration_seconds": 4, "topic_pattern": "t"}));
    client.publish_all((0..50).map(|_| ("t".to_owned(), b"x".to_vec())));
    let measured = server.outcome(&id);
    assert_eq!(measured["messages"], 50);
    let facts = measured["broker"]["facts"].as_array().expect("facts");
    let fact = |ending: &str| {
        let found = facts.iter().find(|fact| fact["topic"].as_str().is_some_and(|topic| topic.ends_with(ending)));
        found.unwrap_or_else(|| panic!("{ending} is missing in {facts:?}"))
    };
    assert!(fact("/version")["after"].as_str().is_some_and(|version| version.contains("mosquitto")));
    assert!(number(&fact("publish/messages/received")["difference"]) >= 50.0, "{facts:?}");
    assert!(measured["broker"]["note"].as_str().is_some_and(|note| note.contains("another time")), "{measured}");
}

#[test]
fn a_broker_without_figures_and_without_traffic_says_so() {
    let setup = Setup { users: &[("u", "p")], acl: Some("user u\ntopic readwrite #\n"), ..Setup::default() };
    let (broker, mut server) = (Mosquitto::with(&setup), Server::start());
    let session = server.connect(&format!("mqtt://u:p@127.0.0.1:{}", broker.port()));
    let measured = server.call("monitor_performance", json!({"session_id": session, "duration_seconds": 1}));
    assert_eq!((&measured["messages"], &measured["rate"]["mean"]), (&json!(0), &json!(0.0)));
    assert_eq!((&measured["payload_bytes"], &measured["interval_ms"]), (&Value::Null, &Value::Null));
    assert!(measured["broker"]["note"].as_str().is_some_and(|note| note.contains("no $SYS")), "{measured}");
    assert!(measured["summary"].as_str().is_some_and(|text| text.starts_with("No message")), "{measured}");
}

#[test]
fn a_lost_connection_is_named_and_does_not_spoil_the_rates() {
    let (broker, mut server) = (FakeBroker::new(), Server::start());
    let (session, mut peer) = server.meet(&broker);
    let arguments = json!({"session_id": session, "topic_pattern": "t", "duration_seconds": 6});
    let id = server.start_call("monitor_performance", arguments);
    let mut filters = vec![peer.grant(), peer.grant()];
    filters.sort();
    assert_eq!(filters, ["$SYS/#", "t"]);
    peer.send(&publish("t", b"1", 0, 0, false));
    drop(peer);
    let mut peer = broker.welcome();
    assert_eq!(peer.grant(), "t", "$SYS is not asked for again");
    peer.send(&publish("t", b"2", 0, 0, false));
    let unsubscribe = peer.expect(UNSUBSCRIBE);
    assert_eq!(unsubscribe.filter(), "t");
    peer.send(&ack(UNSUBACK, unsubscribe.pid()));
    let measured = server.outcome(&id);
    assert_eq!((&measured["messages"], measured["interruptions"].as_array().map(Vec::len)), (&json!(2), Some(1)));
    assert_eq!(measured["interval_ms"], Value::Null, "the gap is no interval: {measured}");
    assert!(measured["summary"].as_str().is_some_and(|text| text.contains("lost 1 time,")), "{measured}");
}

#[test]
fn results_keep_to_their_budget_and_wrong_arguments_are_named() {
    let (_broker, mut server, session, mut client) = setup(&Setup::default());
    let arguments = json!({"duration_seconds": 1, "top": 100, "max_response_bytes": 1024});
    let id = server.listen(&session, "monitor_performance", arguments);
    client.publish_all((0..300).map(|n| (format!("a/{}/{n}", "long".repeat(100)), vec![b'x'; n])));
    let measured = server.outcome(&id);
    assert_eq!((&measured["messages"], &measured["topics_seen"]), (&json!(300), &json!(300)));
    let top = &measured["top_topics"];
    let rows = top["by_rate"].as_array().expect("rows").len() as u64;
    assert_eq!(top["by_rate_omitted"].as_u64(), Some(100 - rows), "{measured}");
    assert!(measured["summary"].as_str().is_some_and(|text| text.starts_with("300 messages")), "{measured}");
    for (name, value) in [("duration_seconds", json!(1801)), ("top", json!(0)), ("topic_pattern", json!("a#"))] {
        let error = server.fail("monitor_performance", json!({"session_id": session, name: value}));
        assert_eq!(error["parameter"], name);
    }
}

#[test]
fn a_policy_that_hides_the_brokers_figures_is_named() {
    let (broker, mut server) = (Mosquitto::start(), Server::with(&["--deny-subscribe", "$SYS/#"]));
    let session = server.connect(&broker.url());
    let measured = server.call("monitor_performance", json!({"session_id": session, "duration_seconds": 1}));
    let broker = &measured["broker"];
    assert_eq!(broker["facts"], json!([]));
    assert!(broker["note"].as_str().is_some_and(|note| note.contains("$SYS")), "{broker}");
}
