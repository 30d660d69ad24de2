use serde_json::Value;

use super::*;
use crate::rpc::outgoing::text;

/// What is shown within `budget` of the groups of these topics, each with its payload.
fn shown(topics: &[(&str, &str)], budget: usize) -> (Value, usize) {
    let samples = topics.iter().map(|(topic, payload)| {
        let (kind, payload) = (payload::inspect(payload.as_bytes(), true).kind, payload.as_bytes());
        Sample { topic, payload, payload_bytes: payload.len(), kind, unix_ms: 0 }
    });
    let mut analysis = Analysis::new(samples);
    let groups: Vec<_> = (0..analysis.len()).map(|index| analysis.describe(index)).collect();
    let head = Head {
        status: "success",
        sample_count: topics.len(),
        message_count: 0,
        topic_count: topics.len(),
        topics_in_no_group: 0,
        untracked_messages: 0,
        group_count: groups.len(),
        groups_omitted: 0,
        omitted_topic_patterns: Vec::new(),
        schemas_truncated: 0,
        field_stats_omitted: 0,
        anomaly_count: 0,
        duration_seconds: 1.0,
        granted_qos: 0,
        confidence_rule: "",
        note: None,
        shortened: None,
        interruptions: &[],
    };
    let json = text(&fitting(&groups, head, budget));
    (serde_json::from_str(&json).expect("JSON"), json.len())
}

#[test]
fn no_group_has_statistics_at_the_cost_of_the_schema_of_another() {
    let members: Vec<_> = (0..60).map(|n| format!("\"member_{n:02}\":{n}")).collect();
    let wide = format!("{{{}}}", members.join(","));
    let deep = format!(
        "{{\"a\":{{\"b\":{{\"c\":{{\"d\":{{{}}}}},\"e\":{{{}}}}}}}}}",
        members[..9].join(","),
        members[..9].join(",")
    );
    let small = r#"{"temperature":20.5,"humidity":50}"#;
    let topics = [("a/1", small), ("b/hub", &wide), ("c/site", &deep)];
    let mut cut = 0;
    for budget in (1024..12_000).step_by(40) {
        let (result, size) = shown(&topics, budget);
        assert!(size <= budget, "{size} of {budget}");
        let groups = result["schemas"].as_array().expect("groups");
        let of_statistics = |group: &Value| group.get("field_stats").map_or(0, |stats| stats.to_string().len());
        let statistics: usize = groups.iter().map(of_statistics).sum();
        for group in groups.iter().filter(|group| statistics > 0 && group["schema_truncated"] == true) {
            cut += 1;
            // Twice as much of the schema, or four members of an object, would not have fitted in their place, either.
            let schema = group["schema"].to_string().len().max(400);
            assert!(budget - size + statistics < schema + 100, "{budget}: {result}");
        }
    }
    assert!(cut > 10, "some are cut beside statistics: {cut}");
}

fn devices(count: usize) -> Vec<(String, String)> {
    let payload = |n: usize| {
        format!(
            r#"{{"field_{n}_a":0.123456789012345{n},"field_{n}_b":{{"nested":0.5,"state":"idle"}},"seq":{n},"opt{n}":{{"x":[1.5],"label":"L"}}}}"#
        )
    };
    (0..count).map(|n| (format!("house/room/device{n}"), payload(n))).collect()
}

#[test]
fn no_group_is_without_its_member_names_while_another_has_bounds_to_its_depth() {
    let devices = devices(60);
    let topics: Vec<_> = devices.iter().map(|(topic, payload)| (topic.as_str(), payload.as_str())).collect();
    let (result, size) = shown(&topics, 32_768);
    let groups = result["schemas"].as_array().expect("groups");
    assert!(size > 30_000 && groups.len() == 60, "{size}: {}", groups.len());
    let is_bare = |group: &&Value| group["schema"]["properties"].as_object().is_none_or(|all| all.len() < 4);
    assert_eq!(groups.iter().filter(is_bare).count(), 0, "{result}");
}

#[test]
fn groups_without_room_are_named_by_their_filters() {
    let devices = devices(60);
    let topics: Vec<_> = devices.iter().map(|(topic, payload)| (topic.as_str(), payload.as_str())).collect();
    for (budget, least) in [(1024, 2), (1500, 10), (4000, 30), (8000, 45)] {
        let (result, size) = shown(&topics, budget);
        assert!(size <= budget, "{size} of {budget}");
        let named = result["omitted_topic_patterns"].as_array().expect("filters");
        let listed = result["schemas"].as_array().expect("groups");
        let is_listed = |filter: &Value| listed.iter().any(|group| group["topic_pattern"] == *filter);
        assert!(!named.iter().any(is_listed) && named[0].as_str().is_some_and(|name| name.starts_with("house/room/")));
        assert!(named.len() + listed.len() >= least, "{budget}: {result}");
        assert_eq!(result["groups_omitted"].as_u64(), Some(60 - listed.len() as u64), "{result}");
    }
    let (result, _) = shown(&topics, 100_000);
    assert_eq!(result.get("omitted_topic_patterns"), None);
}

#[test]
fn an_anomaly_whose_payload_is_not_shown_says_so() {
    let members: Vec<_> = (0..20).map(|n| format!("\"member_{n}\":{n}")).collect();
    let usual = format!(r#"{{"temperature":20.5,{}}}"#, members.join(","));
    let odd = usual.replace("20.5", "\"ERR\"");
    let mut topics = vec![("a/x", usual.as_str()); 30];
    topics.push(("a/x", &odd));
    let mut unseen = 0;
    for budget in (1024..4000).step_by(100) {
        let (result, _) = shown(&topics, budget);
        let anomaly = &result["schemas"][0]["anomalies"][0];
        unseen += u32::from(anomaly.get("payload").is_none());
        assert_eq!(anomaly["truncated"] == true, anomaly["encoding"] != "json", "{budget}: {result}");
    }
    assert!(unseen > 0, "some have no room for it");
}

#[test]
fn what_is_too_deep_to_be_described_is_told() {
    let nested = |open: &str, inner: &str, close: &str, depth| open.repeat(depth) + inner + &close.repeat(depth);
    for (depth, truncated) in [(SCHEMA_DEPTH_MAX - 1, false), (SCHEMA_DEPTH_MAX, true)] {
        for payload in [nested("{\"a\":", "{\"b\":1}", "}", depth), nested("[", "[1]", "]", depth)] {
            let (result, _) = shown(&[("t", &payload)], 32_768);
            let group = &result["schemas"][0];
            assert_eq!(group.get("schema_truncated").is_some(), truncated, "{result}");
            assert_eq!(result.get("schemas_truncated").is_some(), truncated);
        }
    }
}
