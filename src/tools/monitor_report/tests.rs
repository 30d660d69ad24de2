use super::*;

fn report(traffic: &Traffic, heard: &Heard, top: usize, budget: usize) -> (usize, serde_json::Value) {
    report_after(Duration::from_millis(300), traffic, heard, top, budget)
}

fn report_after(
    before: Duration,
    traffic: &Traffic,
    heard: &Heard,
    top: usize,
    budget: usize,
) -> (usize, serde_json::Value) {
    let pings = [RoundTrip { took: Duration::from_micros(1234), behind_data: true }];
    let mut broker = BrokerFacts::default();
    broker.record("$SYS/broker/version", b"mosquitto version 2.0.11", true);
    let measured = Measured {
        filter: "#",
        traffic,
        before,
        heard,
        ended: Now::read(),
        pings: &pings,
        broker: &broker,
        broker_refused: None,
    };
    let mut bytes = Vec::new();
    assert!(fitting(&measured, top, budget).piece(0, &mut bytes));
    (bytes.len(), serde_json::from_slice(&bytes).expect("JSON"))
}

fn heard(interruptions: Vec<Interruption>) -> Heard {
    Heard { early: false, granted_qos: 0, elapsed: Duration::from_secs(30), interruptions }
}

#[test]
fn the_smallest_budget_has_room_for_the_worst_result() {
    let mut traffic = Traffic::default();
    for n in 0..20_000u64 {
        let topic = format!("{}/{n}", "ü".repeat(if n < 100 { 3000 } else { 20 }));
        traffic.record(Duration::from_millis(n * n % 30_000), &topic, n << 20, n % 50 == 0);
    }
    let gap = Interruption { from: Now::read().timestamp(), to: Some(Now::read().timestamp()) };
    let heard = heard(vec![gap; crate::limits::INTERRUPTIONS_MAX]);
    for budget in [1024, 2048, 8192, 32_768] {
        let (bytes, value) = report(&traffic, &heard, 100, budget);
        assert!(bytes <= budget, "{bytes} of {budget}: {value}");
        assert_eq!(value["messages"], traffic.live.messages);
    }
}

#[test]
fn topics_without_room_are_counted_and_the_room_is_used() {
    let mut traffic = Traffic::default();
    for n in 0..15_000u64 {
        traffic.record(Duration::from_millis(n), &format!("{}/{}", "x".repeat(100), n % 150), n % 150, false);
    }
    let heard = heard(Vec::new());
    for budget in [1024, 1200, 4000, 8000, 32_768, 100_000] {
        let (bytes, value) = report(&traffic, &heard, 100, budget);
        assert!(bytes <= budget && (budget > 50_000 || bytes + 450 > budget), "{bytes} of {budget}");
        assert!(value["summary"].as_str().is_some_and(|text| text.starts_with("15000 messages")), "{value}");
        let top = &value["top_topics"];
        for list in ["by_rate", "by_bytes"] {
            let omitted = top[format!("{list}_omitted")].as_u64().unwrap_or(0) as usize;
            assert_eq!(top[list].as_array().map(Vec::len), Some(100 - omitted), "{value}");
        }
        assert_eq!(top["not_listed_at_most"]["messages"], 100, "{value}");
    }
}

#[test]
fn pings_that_waited_behind_data_are_told_and_used_only_when_there_are_no_others() {
    let (_, value) = report(&Traffic::default(), &heard(Vec::new()), 1, 32_768);
    assert_eq!((&value["ping_ms"]["median"], &value["ping_ms"]["count"]), (&1.234.into(), &1.into()));
    assert!(value["ping_ms"]["note"].as_str().is_some_and(|note| note.contains("wait behind")), "{value}");
}

#[test]
fn rates_are_of_the_time_with_a_connection() {
    let mut traffic = Traffic::default();
    (0..200).for_each(|n| traffic.record(Duration::from_millis(300 + n * 100), "t", 1, false));
    let now = Now::read().unix_ms;
    let gap = Interruption { from: Timestamp(now - 10_000), to: Some(Timestamp(now)) };
    let (_, value) = report(&traffic, &heard(vec![gap]), 1, 32_768);
    let mean = value["rate"]["mean"].as_f64().expect("a number");
    assert!((mean - 10.0).abs() < 0.1, "{value}");
    assert_eq!((&value["rate"]["p95_second"], &value["burst_count"]), (&10.into(), &0.into()));
}

#[test]
fn a_wait_for_the_connection_before_the_subscription_is_no_part_of_the_time() {
    let mut traffic = Traffic::default();
    (0..300).for_each(|n| traffic.record(Duration::from_millis(5000 + n * 100), "t", 1, false));
    let now = Now::read().unix_ms;
    let gap = Interruption { from: Timestamp(now - 36_000), to: Some(Timestamp(now - 30_000)) };
    let (_, value) = report_after(Duration::from_secs(5), &traffic, &heard(vec![gap]), 1, 32_768);
    let mean = value["rate"]["mean"].as_f64().expect("a number");
    assert!((mean - 10.0).abs() < 0.1, "{value}");
}

#[test]
fn what_had_to_wait_for_its_subscription_says_so() {
    let summary = |before: u64| {
        let before = Duration::from_millis(before);
        let (_, value) = report_after(before, &Traffic::default(), &heard(Vec::new()), 1, 32_768);
        value["summary"].as_str().map(str::to_owned).unwrap_or_default()
    };
    assert!(summary(6100).contains("subscription only after 6.1 s"), "{}", summary(6100));
    assert!(!summary(300).contains("only after"), "{}", summary(300));
}

#[test]
fn a_busiest_topic_is_named_only_when_it_is_certain() {
    let summary = |hot: u64| {
        let mut traffic = Traffic::default();
        for n in 0..30_000 {
            traffic.record(Duration::from_millis(n), &format!("once/{n}"), 1, false);
        }
        (0..hot).for_each(|n| traffic.record(Duration::from_millis(n), "hot", 1, false));
        let (_, value) = report(&traffic, &heard(Vec::new()), 20, 32_768);
        value["summary"].as_str().map(str::to_owned).unwrap_or_default()
    };
    assert!(summary(0).contains("No topic is the busiest for certain"), "{}", summary(0));
    assert!(summary(60).contains("The busiest topic, hot,"), "{}", summary(60));
}
