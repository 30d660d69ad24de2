//! subscribe_and_collect: what is returned, what is counted, and when it ends.

use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::fake_broker::FakeBroker;
use crate::support::mosquitto::Mosquitto;
use crate::support::packets::*;
use crate::support::server::Server;
use crate::support::tools::{messages, payloads};

fn setup() -> (Mosquitto, Server, String, Client) {
    let (broker, mut server) = (Mosquitto::start(), Server::start());
    let session = server.connect(&broker.url());
    let client = Client::connect(broker.port());
    (broker, server, session, client)
}

/// Collects while `publish` runs.
fn collect(server: &mut Server, session: &str, arguments: Value, publish: impl FnOnce()) -> Value {
    let id = server.listen(session, "subscribe_and_collect", arguments);
    publish();
    server.outcome(&id)
}

#[test]
fn messages_come_in_order_with_all_that_is_known_of_them() {
    let (_broker, mut server, session, mut client) = setup();
    let arguments = json!({"topic_pattern": "a/#", "max_messages": 3, "qos": 2});
    let collected = collect(&mut server, &session, arguments, || {
        client.publish("a/zero", "21.5");
        client.publish_at(1, "a/one", r#"{"on":true}"#);
        client.publish_at(2, "a/two", "plain text");
    });
    let seen: Vec<_> = messages(&collected)
        .iter()
        .map(|m| json!([m["topic"], m["qos"], m["payload"], m["encoding"], m["payload_type"], m["payload_bytes"]]))
        .collect();
    let expected = [
        json!(["a/zero", 0, 21.5, "json", "number", 4]),
        json!(["a/one", 1, {"on": true}, "json", "json", 11]),
        json!(["a/two", 2, "plain text", "text", "text", 10]),
    ];
    assert_eq!(seen, expected);
    assert!(messages(&collected).iter().all(|m| m["retain"] == false && m["dup"] == false));
    let times: Vec<_> = messages(&collected).iter().map(|m| m["timestamp"].as_str().expect("a time")).collect();
    assert!(times.is_sorted() && times.iter().all(|time| time.ends_with('Z')), "{times:?}");
    assert_eq!((&collected["stopped_by"], &collected["granted_qos"]), (&json!("max_messages"), &json!(2)));
    assert_eq!((&collected["bytes_received"], &collected["topics_seen"]), (&json!(25), &json!(3)));
    assert_eq!((&collected["pruning"]["applied"], &collected["interruptions"]), (&json!(false), &json!([])));
}

#[test]
fn payloads_of_every_kind_are_told_apart_and_shown_whole() {
    let (_broker, mut server, session, mut client) = setup();
    let kinds: [(&[u8], Value, &str, &str); 9] = [
        (b"", json!(""), "text", "empty"),
        (b"true", json!(true), "json", "boolean"),
        (b"-1e3", json!(-1000.0), "json", "number"),
        (b"[1, \"x\", null]", json!([1, "x", null]), "json", "json"),
        (b"{\"a\": ", json!("{\"a\": "), "text", "text"),
        (b"<root><a/></root>", json!("<root><a/></root>"), "text", "xml"),
        ("grün °C".as_bytes(), json!("grün °C"), "text", "text"),
        (b"\x00\xff\x10", json!("AP8Q"), "base64", "binary"),
        (b"a\x00b", json!("YQBi"), "base64", "binary"),
    ];
    let arguments = json!({"topic_pattern": "k", "max_messages": kinds.len()});
    let collected = collect(&mut server, &session, arguments, || {
        kinds.iter().for_each(|(payload, ..)| client.publish("k", payload));
    });
    for (message, (sent, payload, encoding, kind)) in messages(&collected).iter().zip(kinds) {
        assert_eq!((&message["payload"], &message["encoding"]), (&payload, &json!(encoding)), "{sent:?}");
        assert_eq!(
            (&message["payload_type"], &message["payload_bytes"]),
            (&json!(kind), &json!(sent.len())),
            "{sent:?}"
        );
    }
}

#[test]
fn numbers_and_the_order_of_members_are_the_senders() {
    let (_broker, mut server, session, mut client) = setup();
    let arguments = json!({"topic_pattern": "n", "max_messages": 1});
    let id = server.listen(&session, "subscribe_and_collect", arguments);
    client.publish("n", r#"{"b": 1.10, "a": 2e5, "n": 123456789012345678901234567890, "s" : "x  y"}"#);
    let line = server.response(&id);
    let shown = r#""payload":{"b":1.10,"a":2e5,"n":123456789012345678901234567890,"s":"x  y"}"#;
    assert!(line.raw.contains(shown), "{}", line.raw);
}

#[test]
fn retained_messages_are_taken_left_out_or_all_there_is() {
    let (_broker, mut server, session, mut client) = setup();
    client.retain("r/1", "old 1");
    client.retain("r/2", "old 2");
    let mut run = |retained: &str| {
        let arguments = json!({"topic_pattern": "r/#", "retained": retained, "duration_seconds": 1});
        collect(&mut server, &session, arguments, || client.publish("r/live", "live"))
    };
    let both = run("include");
    assert_eq!(payloads(&both), ["old 1", "old 2", "live"]);
    assert_eq!(messages(&both).iter().map(|m| m["retain"] == true).collect::<Vec<_>>(), [true, true, false]);
    assert_eq!(payloads(&run("exclude")), ["live"]);
    let only = run("only");
    assert_eq!((payloads(&only), &only["stopped_by"]), (vec![json!("old 1"), json!("old 2")], &json!("retained_done")));
    assert!(only["duration_seconds"].as_f64().is_some_and(|seconds| seconds < 0.9), "it ends when they have come");
}

#[test]
fn nothing_retained_ends_at_once_and_says_so() {
    let (_broker, mut server, session, _) = setup();
    let arguments =
        json!({"session_id": session, "topic_pattern": "none", "retained": "only", "duration_seconds": 300});
    let collected = server.call("subscribe_and_collect", arguments);
    assert_eq!((&collected["stopped_by"], &collected["original_message_count"]), (&json!("retained_done"), &json!(0)));
    assert!(collected["note"].as_str().is_some_and(|note| note.contains("QoS 0")), "{collected}");
}

#[test]
fn the_first_message_that_fits_ends_the_call() {
    let (_broker, mut server, session, mut client) = setup();
    let until = json!({"state": {"on": true}, "n": 2});
    let arguments = json!({"topic_pattern": "u", "until": until, "duration_seconds": 300});
    let collected = collect(&mut server, &session, arguments, || {
        for payload in
            [r#"{"n":2}"#, r#"{"state":{"on":false},"n":2}"#, "x", r#"{"n":2.0,"state":{"on":true,"more":1}}"#]
        {
            client.publish("u", payload);
        }
    });
    assert_eq!((&collected["stopped_by"], &collected["original_message_count"]), (&json!("until"), &json!(4)));
    let arguments = json!({"topic_pattern": "u", "until": "READY", "duration_seconds": 300});
    let collected = collect(&mut server, &session, arguments, || {
        client.publish("u", "NOT READY");
        client.publish("u", "READY");
    });
    assert_eq!(payloads(&collected), ["NOT READY", "READY"]);
}

#[test]
fn many_messages_are_pruned_and_counted_exactly() {
    let (_broker, mut server, session, mut client) = setup();
    let message = |n: usize| match n {
        50 => ("p/rare".to_owned(), b"once".to_vec()),
        120 => ("p/a".to_owned(), br#"{"level":"error","text":"jammed"}"#.to_vec()),
        n => (format!("p/{}", if n.is_multiple_of(2) { "a" } else { "b" }), format!("{{\"n\":{n}}}").into_bytes()),
    };
    let arguments = json!({"topic_pattern": "p/#", "keep": 10, "max_messages": 200});
    let collected = collect(&mut server, &session, arguments, || client.publish_all((0..200).map(message)));
    assert_eq!((&collected["original_message_count"], &collected["message_count"]), (&json!(200), &json!(10)));
    let shown = payloads(&collected);
    assert_eq!((shown.len(), &shown[0], &shown[9]), (10, &json!({"n": 0}), &json!({"n": 199})));
    assert!(shown.contains(&json!({"level": "error", "text": "jammed"})) && shown.contains(&json!("once")));
    let sent_bytes: usize = (0..200).map(|n| message(n).1.len()).sum();
    assert_eq!(collected["bytes_received"], sent_bytes);
    let pruning = &collected["pruning"];
    let kept: u64 = pruning["kept_by"].as_object().expect("counts").values().filter_map(Value::as_u64).sum();
    let omitted: u64 =
        pruning["omitted"].as_array().expect("rows").iter().filter_map(|row| row["messages"].as_u64()).sum();
    assert_eq!((&pruning["applied"], kept, omitted), (&json!(true), 10, 190));
    assert!(pruning["summary"].as_str().expect("a sentence").contains("190"), "{pruning}");
}

#[test]
fn of_the_topics_left_out_those_with_most_messages_are_told() {
    let (_broker, mut server, session, mut client) = setup();
    // Topic t/NN has NN messages, in turns.
    let sent = (1..=20).flat_map(|turn| (turn..=20).map(|topic| (format!("t/{topic:02}"), vec![b'x'])));
    let arguments = json!({"topic_pattern": "t/#", "keep": 1, "max_messages": 210});
    let collected = collect(&mut server, &session, arguments, || client.publish_all(sent));
    let rows = collected["pruning"]["omitted"].as_array().expect("rows");
    let told: Vec<_> = rows.iter().map(|row| (row["topic"].as_str(), row["messages"].as_u64())).collect();
    let names: Vec<_> = (11..=20).rev().map(|topic| format!("t/{topic:02}")).collect();
    let expected: Vec<_> =
        names.iter().zip((11..=20).rev()).map(|(name, count)| (Some(name.as_str()), Some(count))).collect();
    // The one that is shown, the first, is of t/01.
    assert_eq!(told, expected);
}

#[test]
fn results_keep_to_every_budget_and_counts_stay_exact() {
    let (_broker, mut server, session, mut client) = setup();
    let text = "\"\\\u{1b}ü".repeat(300);
    for budget in [1024, 4096, 32_768, 300_000] {
        let arguments = json!({"topic_pattern": "b/#", "keep": 500, "max_messages": 300, "max_response_bytes": budget});
        // The harness checks the size.
        let collected = collect(&mut server, &session, arguments, || {
            client.publish_all((0..300).map(|n| (format!("b/{n}"), text.clone().into_bytes())));
        });
        assert_eq!(collected["original_message_count"], 300);
        let shown = messages(&collected).len();
        assert!(shown > 0 && collected["message_count"] == shown, "{budget}");
        let cut = messages(&collected).iter().filter(|message| message["truncated"] == true);
        assert!(cut.clone().count() > 0, "{budget}");
        assert!(cut.clone().all(|message| message["payload_bytes"] == text.len()));
    }
    let arguments = json!({"topic_pattern": "s/#", "max_messages": 60, "max_response_bytes": 1500});
    let collected = collect(&mut server, &session, arguments, || {
        client.publish_all((0..60).map(|n| (format!("s/{}/{n}", "ü".repeat(40)), n.to_string().into_bytes())));
    });
    assert!(messages(&collected).len() > 2, "messages before the report of what was left out: {collected}");
}

#[test]
fn a_long_payload_is_cut_where_asked() {
    let (_broker, mut server, session, mut client) = setup();
    let arguments = json!({"topic_pattern": "c", "max_payload_bytes": 10, "max_messages": 3});
    let collected = collect(&mut server, &session, arguments, || {
        client.publish("c", "0123456789");
        client.publish("c", "0123456789abc");
        client.publish("c", "ä".repeat(10));
    });
    let [whole, cut, half] = &messages(&collected)[..] else { panic!("{collected}") };
    assert!(whole.get("truncated").is_none());
    assert_eq!(
        (&cut["payload"], &cut["truncated"], &cut["payload_bytes"]),
        (&json!("0123456789"), &json!(true), &json!(13))
    );
    assert_eq!((&half["payload"], &half["payload_bytes"]), (&json!("äääää"), &json!(20)));
}

#[test]
fn a_broker_that_refuses_the_subscription_is_an_error() {
    let (broker, mut server) = (FakeBroker::new(), Server::start());
    let (session, mut peer) = server.meet(&broker);
    let id = server.start_call("subscribe_and_collect", json!({"session_id": session, "topic_pattern": "x"}));
    let subscribe = peer.expect(SUBSCRIBE);
    peer.send(&suback(subscribe.pid(), 0x80));
    assert_eq!(server.failure(&id)["code"], "subscribe_rejected");
    // The session goes on, and nothing is left of the filter.
    server.collect_from(&mut peer, &session, json!({"topic_pattern": "y", "duration_seconds": 1}));
    assert_eq!(peer.expect(UNSUBSCRIBE).filter(), "y");
}

#[test]
fn closing_the_session_ends_the_call_at_once() {
    let (broker, mut server) = (FakeBroker::new(), Server::start());
    let (session, mut peer) = server.meet(&broker);
    let id = server.collect_from(&mut peer, &session, json!({"topic_pattern": "x", "duration_seconds": 300}));
    server.call("close_connection", json!({"session_id": session}));
    assert_eq!(server.failure(&id)["code"], "connection_lost");
}

#[test]
fn wrong_arguments_are_named() {
    let (_broker, mut server, session, _) = setup();
    for (name, value) in [
        ("duration_seconds", json!(0)),
        ("duration_seconds", json!(301)),
        ("max_messages", json!(0)),
        ("max_messages", json!(1_000_001)),
        ("keep", json!(501)),
        ("qos", json!(3)),
        ("retained", json!("maybe")),
        ("max_payload_bytes", json!(0)),
        ("max_response_bytes", json!(1023)),
        ("max_response_bytes", json!(1_048_577)),
    ] {
        let mut arguments = json!({"session_id": session, "topic_pattern": "x"});
        arguments[name] = value;
        let id = server.request("subscribe_and_collect", arguments);
        let error = server.response(&id).json["error"]["data"]["error"].clone();
        assert_eq!((&error["code"], &error["parameter"]), (&json!("invalid_argument"), &json!(name)));
    }
    let missing = server.fail("subscribe_and_collect", json!({"session_id": session}));
    assert_eq!(missing["parameter"], "topic_pattern");
}
