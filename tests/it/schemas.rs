//! get_topic_schema: what it says of recorded traffic whose truth is known, and of a real broker's.

// The score is printed for a person.
#![allow(clippy::print_stdout)]

use mqtt_mcp::analysis::payload;
use mqtt_mcp::analysis::schema::Sample;
use mqtt_mcp::analysis::schema::describe::{Analysis, Described};
use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::mosquitto::Mosquitto;
use crate::support::schema;
use crate::support::server::Server;
use crate::support::stream::{self, Recorded};

fn sample(message: &Recorded) -> Sample<'_> {
    let kind = payload::inspect(&message.payload, true).kind;
    let payload_bytes = message.payload.len();
    Sample { topic: &message.topic, payload: &message.payload, payload_bytes, kind, unix_ms: message.ms }
}

/// What was planted and not found, and what was found and not planted.
fn score(groups: &[Described<'_>], truth: &Value) -> (Vec<String>, Vec<String>) {
    let planted = truth["anomalies"].as_array().expect("planted anomalies");
    let found: Vec<_> = groups
        .iter()
        .flat_map(|group| &group.anomalies)
        .map(|anomaly| (anomaly.first.topic, anomaly.reason.as_str()))
        .collect();
    let is = |planted: &Value, (topic, reason): &(&str, &str)| {
        planted["topic"] == *topic && planted["reason"].as_str().is_some_and(|text| reason.contains(text))
    };
    let missed = planted.iter().filter(|planted| !found.iter().any(|found| is(planted, found))).map(Value::to_string);
    let false_alarms = found.iter().filter(|found| !planted.iter().any(|planted| is(planted, found)));
    (missed.collect(), false_alarms.map(|found| format!("{found:?}")).collect())
}

#[test]
fn planted_faults_are_found_and_healthy_traffic_raises_no_alarm() {
    let (mut misses, mut alarms, mut planted) = (0, 0, 0);
    for name in stream::names() {
        let truth = &stream::truth(&name)["get_topic_schema"];
        if truth.is_null() {
            continue;
        }
        let messages = stream::read(&name);
        let mut analysis = Analysis::new(messages.iter().map(sample));
        let groups: Vec<_> = (0..analysis.len()).map(|index| analysis.describe(index)).collect();
        let (missed, false_alarms) = score(&groups, truth);
        let of = truth["anomalies"].as_array().map_or(0, Vec::len);
        let (found, extra) = (of - missed.len(), false_alarms.len());
        println!("{name}: {found} of {of} planted anomalies found, {extra} false alarms, {} groups", groups.len());
        println!("  missed: {missed:?}; false: {false_alarms:?}");
        for (filter, topics) in truth["groups"].as_object().expect("groups") {
            let group = groups.iter().find(|group| group.filter == *filter && json!(group.topics.len()) == *topics);
            let known: Vec<_> = groups.iter().map(|group| format!("{} {}", group.filter, group.topics.len())).collect();
            assert!(group.is_some(), "{name}: {filter} of {topics} topics is not among {known:#?}");
        }
        (misses, alarms, planted) = (misses + missed.len(), alarms + extra, planted + of);
    }
    assert!(planted > 7, "the streams were read");
    assert_eq!((misses, alarms), (0, 0), "misses and false alarms; the output above names them");
}

fn setup() -> (Mosquitto, Server, String, Client) {
    let (broker, mut server) = (Mosquitto::start(), Server::start());
    let session = server.connect(&broker.url());
    let client = Client::connect(broker.port());
    (broker, server, session, client)
}

fn group<'a>(result: &'a Value, filter: &str) -> &'a Value {
    let groups = result["schemas"].as_array().expect("groups");
    groups.iter().find(|group| group["topic_pattern"] == filter).unwrap_or_else(|| panic!("{filter}: {result}"))
}

#[test]
fn a_live_house_is_described_as_its_truth_has_it() {
    let (_broker, mut server, session, mut client) = setup();
    let messages = stream::read("zigbee_faults");
    messages
        .iter()
        .filter(|message| message.retain)
        .for_each(|message| client.retain(&message.topic, &message.payload));
    let arguments = json!({"topic_pattern": "zigbee2mqtt/#", "duration_seconds": 2, "max_samples": 1000});
    let id = server.listen(&session, "get_topic_schema", arguments);
    let live = messages.iter().filter(|message| !message.retain);
    client.publish_all(live.map(|message| (message.topic.clone(), message.payload.clone())));
    let result = server.outcome(&id);
    assert_eq!((&result["message_count"], &result["sample_count"]), (&json!(messages.len()), &json!(messages.len())));
    assert_eq!(result["anomaly_count"], 4, "{result}");
    let groups = result["schemas"].as_array().expect("groups");
    let thermometers = groups
        .iter()
        .find(|group| group["schema"]["properties"].get("pressure").is_some())
        .expect("the group of the thermometers");
    assert_eq!(thermometers["topics"]["count"], 5);
    let reasons: Vec<_> = thermometers["anomalies"].as_array().expect("rows").iter().map(|row| &row["topic"]).collect();
    assert_eq!(reasons, ["zigbee2mqtt/bad", "zigbee2mqtt/flur", "zigbee2mqtt/keller"]);
    let temperature = &thermometers["schema"]["properties"]["temperature"];
    assert_eq!(temperature["type"], "number");
    assert!(thermometers["also_matches_topics_of_other_groups"]["count"].as_u64() > Some(0));
    assert_eq!(thermometers["field_stats"]["/temperature"]["presence"], 1.0);
    let confidence = thermometers["confidence"].as_f64().expect("a number");
    assert!((0.8..1.0).contains(&confidence), "{confidence}");
}

#[test]
fn every_kind_of_payload_is_described() {
    let (_broker, mut server, session, mut client) = setup();
    let messages = stream::read("noisy_binary");
    let id = server.listen(&session, "get_topic_schema", json!({"topic_pattern": "gw/#", "duration_seconds": 1}));
    client.publish_all(messages.iter().map(|message| (message.topic.clone(), message.payload.clone())));
    client.publish_all((0..20).map(|n| ("gw/1/t".to_owned(), format!("{}.5", 20 + n % 3).into_bytes())));
    client.publish_all([("gw/1/map".to_owned(), format!(r#"{{"map":"{}"}}"#, "z".repeat(100_000)).into_bytes())]);
    let result = server.outcome(&id);
    for (topic, looks) in [("gw/1/batch", "gzip"), ("gw/1/proto", "Protobuf"), ("gw/1/raw", "unknown")] {
        let group = group(&result, topic);
        assert_eq!((&group["looks_like"], &group["schema"]["contentEncoding"]), (&json!(looks), &json!("base64")));
        assert!(group["payload_bytes"]["min"].as_u64() <= group["payload_bytes"]["max"].as_u64());
        assert_eq!(group["field_stats"][""]["payload_bytes"], group["payload_bytes"]);
    }
    assert_eq!(group(&result, "gw/1/report")["root_elements"], json!(["report"]));
    let map = group(&result, "gw/1/map");
    assert_eq!((&map["schema"], &map["too_large_to_look_into"]), (&json!({}), &json!(1)), "{map}");
    assert_eq!(group(&result, "gw/1/t")["schema"], json!({"type": "number", "minimum": 20.5, "maximum": 22.5}));
    assert_eq!(group(&result, "gw/1/t")["field_stats"], json!({"": {"presence": 1.0, "examples": [20.5, 22.5]}}));
    assert_eq!(group(&result, "gw/1/t")["payload_types"].as_object().map(serde_json::Map::len), Some(1));
    assert!(result["note"].as_str().is_some_and(|note| note.contains("beyond max_samples")), "{result}");
    assert_eq!((&result["sample_count"], &result["message_count"]), (&json!(200), &json!(messages.len() + 21)));
}

#[test]
fn the_schema_accepts_what_it_was_inferred_from() {
    let (_broker, mut server, session, mut client) = setup();
    let payloads: Vec<Value> = (0..30)
        .map(|n| json!({"n": n, "t": f64::from(n) / 4.0, "mode": (["auto", "off"][n as usize % 2]), "sub": {"list": [n, null]}}))
        .collect();
    let id = server.listen(&session, "get_topic_schema", json!({"topic_pattern": "a", "duration_seconds": 1}));
    payloads.iter().for_each(|payload| client.publish("a", payload.to_string()));
    let result = server.outcome(&id);
    let mut inferred = group(&result, "a")["schema"].clone();
    assert_eq!(inferred["required"], json!(["mode", "n", "sub", "t"]));
    assert_eq!(inferred["properties"]["mode"]["enum"], json!(["auto", "off"]));
    // The check of the tools' own schemas does not know how long an array may be.
    let list = inferred["properties"]["sub"]["properties"]["list"].as_object_mut().expect("a schema");
    assert_eq!((list.remove("minItems"), list.remove("maxItems")), (Some(json!(2)), Some(json!(2))));
    for payload in &payloads {
        schema::check(&inferred, payload).expect("accepted");
    }
    assert!(schema::check(&inferred, &json!({"n": "x"})).is_err());
}

#[test]
fn results_keep_to_their_budget_and_say_what_was_left_out() {
    let (_broker, mut server, session, mut client) = setup();
    for n in 0..300 {
        let fields: Vec<_> = (0..20).map(|field| format!("\"field_{field}_{n}\":{n}")).collect();
        client.retain(&format!("big/{n}/x{}", "y".repeat(n % 50)), format!("{{{}}}", fields.join(",")));
    }
    // The harness checks the budget.
    for budget in [1024, 4096, 32_768, 1_048_576] {
        let arguments = json!({"session_id": session, "topic_pattern": "big/#", "duration_seconds": 1, "max_samples": 1000, "max_response_bytes": budget});
        let result = server.call("get_topic_schema", arguments);
        let shown = result["schemas"].as_array().expect("groups").len();
        let (groups, omitted) = (result["group_count"].as_u64(), result["groups_omitted"].as_u64().unwrap_or(0));
        assert_eq!(groups, Some(shown as u64 + omitted), "{budget}");
        assert_eq!((&result["message_count"], &result["topic_count"]), (&json!(300), &json!(300)));
        let groups = result["schemas"].as_array().expect("groups");
        let is_whole = |group: &&Value| group["schema"]["properties"].as_object().is_some_and(|all| all.len() == 20);
        assert!(budget == 1024 || groups.iter().any(|group| is_whole(&group)), "{budget}: some schema is there");
        check_cuts(&result, is_whole);
    }
}

/// What is cut is marked and counted, and nothing else is.
fn check_cuts(result: &Value, is_whole: impl Fn(&&Value) -> bool) {
    let groups = result["schemas"].as_array().expect("groups");
    let truncated = groups.iter().filter(|group| !is_whole(group)).count();
    let marked = groups.iter().filter(|group| group["schema_truncated"] == true && !is_whole(group)).count();
    let without_stats = groups.iter().filter(|group| group.get("field_stats").is_none()).count();
    let told = |name: &str| result[name].as_u64().unwrap_or(0) as usize;
    assert_eq!((marked, told("schemas_truncated")), (truncated, truncated), "{result}");
    assert_eq!(told("field_stats_omitted"), without_stats, "{result}");
    let omits = |group: &&Value| group["fields_omitted"].as_u64() > Some(0);
    assert!(groups.iter().filter(|group| group.get("field_stats").is_none()).all(|group| omits(&group)), "{result}");
    let is_cut = truncated + without_stats + told("groups_omitted") > 0 || groups.iter().any(|group| omits(&group));
    let advice = result["shortened"].as_str().is_some_and(|text| text.contains("max_response_bytes"));
    assert_eq!(is_cut, advice, "{result}");
}

#[test]
fn schemas_come_before_statistics_and_the_budget_is_used() {
    let (_broker, mut server, session, mut client) = setup();
    for n in 0..40 {
        let fields: Vec<_> = (0..14).map(|field| format!("\"field_{n}_{field}\":{field}")).collect();
        client.retain(&format!("g/{n}/a{n}"), format!("{{{}}}", fields.join(",")));
    }
    for (budget, whole) in [(6000, 3), (20_000, 10), (32_768, 20), (52_000, 40), (1_048_576, 40)] {
        let arguments =
            json!({"session_id": session, "topic_pattern": "g/#", "duration_seconds": 1, "max_response_bytes": budget});
        let result = server.call("get_topic_schema", arguments);
        let is_whole = |group: &&Value| group["schema"]["properties"].as_object().is_some_and(|all| all.len() == 14);
        check_cuts(&result, is_whole);
        let groups = result["schemas"].as_array().expect("groups");
        assert!(groups.iter().filter(is_whole).count() >= whole, "{budget}: {result}");
        let size = result.to_string().len();
        let is_all = result.get("shortened").is_none();
        assert_eq!(is_all, budget > 60_000, "{budget}");
        assert!(is_all || size * 10 >= budget * 9, "{size} of {budget}");
    }
}

#[test]
fn hostile_payloads_and_topics_cost_nothing_but_their_description() {
    let (_broker, mut server, session, mut client) = setup();
    let nested = |depth: usize| format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth)).into_bytes();
    let wide: Vec<_> = (0..3000).map(|n| format!("\"k{n}\":{{\"v{n}\":[{n},\"\\u0000\"]}}")).collect();
    let payloads = [
        nested(60),
        nested(10_000),
        format!("{{{}}}", wide.join(",")).into_bytes(),
        format!("[{}1]", "1,".repeat(1_000_000)).into_bytes(),
        format!("\"{}\"", "x".repeat(20_000)).into_bytes(),
        br#"{"\u0001\"\\":1,"":{"":[[],{}]},"a":-0,"a":1e308,"b":12345678901234567890123}"#.to_vec(),
        b"{\"a\":\xff}".to_vec(),
        vec![0; 5000],
        b"<!--".to_vec(),
        b"<a".to_vec(),
    ];
    let id = server.listen(&session, "get_topic_schema", json!({"topic_pattern": "#", "duration_seconds": 3}));
    for (n, payload) in payloads.iter().enumerate() {
        client.publish(&format!("h/{n}/x"), payload);
        client.publish(&format!("h/{n}/{}", "long/".repeat(190)), payload);
        client.publish(&"y".repeat(60_000), payload);
    }
    let result = server.outcome(&id);
    assert_eq!((&result["message_count"], &result["sample_count"]), (&json!(30), &json!(30)), "{result}");
    assert!(result["schemas"].as_array().is_some_and(|groups| groups.len() > 3), "{result}");
    assert_eq!(server.row(&session)["state"], "connected");
}

#[test]
fn silence_is_explained_and_wrong_arguments_are_named() {
    let (_broker, mut server, session, _) = setup();
    let nothing = json!({"session_id": session, "topic_pattern": "none/#", "duration_seconds": 1});
    let result = server.call("get_topic_schema", nothing);
    assert_eq!((&result["schemas"], &result["sample_count"]), (&json!([]), &json!(0)));
    assert!(result["note"].as_str().is_some_and(|note| note.contains("QoS 0")), "{result}");
    for (name, value) in
        [("topic_pattern", json!("a/#/b")), ("max_samples", json!(1001)), ("duration_seconds", json!(0))]
    {
        let mut arguments = json!({"session_id": session, "topic_pattern": "a"});
        arguments[name] = value;
        assert_eq!(server.fail("get_topic_schema", arguments)["parameter"], name);
    }
}

#[test]
fn topics_without_a_sample_are_counted_to_the_group_that_covers_them() {
    let (_broker, mut server, session, mut client) = setup();
    let kinds = ["rpm", "torque", "flow"];
    let topics = (0..8).flat_map(|room| kinds.map(|kind| format!("house/{room}/{kind}")));
    let lonely = (0..7).map(|n| format!("lonely/a{n}/{}x", "deeper/".repeat(n)));
    let mut listen = |samples: u32| {
        let arguments = json!({"topic_pattern": "#", "duration_seconds": 2, "max_samples": samples});
        let id = server.listen(&session, "get_topic_schema", arguments);
        client.publish_all(
            (0..3).flat_map(|_| topics.clone().chain(lonely.clone())).map(|topic| (topic, b"1.5".to_vec())),
        );
        server.outcome(&id)
    };
    let result = listen(12);
    assert_eq!((&result["topic_count"], &result["message_count"]), (&json!(31), &json!(93)));
    for kind in kinds {
        let topics = &group(&result, &format!("house/+/{kind}"))["topics"];
        assert_eq!(topics["count"], 8, "{result}");
        assert!(topics["not_sampled"].as_u64() >= Some(4), "{result}");
    }
    let groups = result["schemas"].as_array().expect("groups");
    let is_lonely = |group: &&Value| group["topic_pattern"].as_str().is_some_and(|filter| filter.starts_with("lonely"));
    let found = groups.iter().filter(is_lonely).count() as u64;
    assert!(found > 1, "what comes late is looked at, too: {result}");
    assert_eq!(result["topics_in_no_group"].as_u64(), Some(7 - found), "{result}");
    let counted = |name: &str| -> u64 {
        let groups = result["schemas"].as_array().expect("groups");
        groups.iter().filter_map(|group| group["topics"][name].as_u64()).sum()
    };
    assert_eq!(counted("count") + result["topics_in_no_group"].as_u64().unwrap_or(0), 31, "{result}");
    assert!(result["note"].as_str().is_some_and(|note| note.contains("a larger max_samples")), "{result}");
    let all = listen(1000);
    assert_eq!((all.get("topics_in_no_group"), all.get("note")), (None, None), "{all}");
    assert!(
        all["schemas"].as_array().expect("groups").iter().all(|group| group["topics"].get("not_sampled").is_none())
    );
}
