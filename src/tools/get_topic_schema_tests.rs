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
        untracked_messages: 0,
        group_count: groups.len(),
        groups_omitted: 0,
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
