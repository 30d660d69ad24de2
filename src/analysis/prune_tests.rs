use super::*;
use crate::analysis::payload::inspect;
use std::collections::HashSet;

struct Stream {
    pruner: Pruner,
    topics: HashSet<String>,
}

impl Stream {
    fn new(keep: usize) -> Self {
        let pruner = Pruner::new(keep, Duration::from_secs(32), 4096, 1 << 20);
        Self { pruner, topics: HashSet::new() }
    }

    fn add(&mut self, at_ms: u64, topic: &str, payload: &str) {
        let new_topic = self.topics.insert(topic.to_owned());
        let facts = Facts { payload_bytes: payload.len() as u32, unix_ms: at_ms, ..Facts::default() };
        let inspection = inspect(payload.as_bytes(), true);
        self.pruner.record(Duration::from_millis(at_ms), facts, topic, payload.as_bytes(), &inspection, new_topic);
    }

    fn chosen(&mut self, keep: usize) -> (Vec<(u64, String, String)>, KeptBy) {
        self.pruner.finish();
        let (chosen, kept) = self.pruner.choose(keep);
        let show = |index| {
            let (slot, topic, payload) = self.pruner.message(index);
            (slot.facts.sequence, topic.to_owned(), String::from_utf8_lossy(payload).into_owned())
        };
        (chosen.into_iter().map(show).collect(), kept)
    }
}

#[test]
fn few_messages_are_all_kept_in_order() {
    let mut stream = Stream::new(50);
    for n in 0..50 {
        stream.add(n, "t", &n.to_string());
    }
    let (messages, _) = stream.chosen(50);
    assert_eq!(messages.iter().map(|m| m.0).collect::<Vec<_>>(), (0..50).collect::<Vec<_>>());
}

#[test]
fn many_messages_give_exactly_as_many_as_asked_with_first_and_last() {
    for total in [51, 99, 100, 101, 1000, 12_345] {
        let mut stream = Stream::new(50);
        for n in 0..total {
            stream.add(n * 32_000 / total, "t", &n.to_string());
        }
        let (messages, kept) = stream.chosen(50);
        assert_eq!(messages.len(), 50, "of {total}");
        assert_eq!((messages[0].0, messages[49].0), (0, total - 1));
        assert_eq!(kept.first_and_last + kept.errors + kept.topics + kept.shapes + kept.spread, 50);
    }
}

#[test]
fn the_last_one_is_whole_whatever_came_before_it() {
    for (long, short) in [(600, 3), (90, 0), (3, 600), (40, 41)] {
        let mut stream = Stream::new(1);
        for n in 0..99 {
            stream.add(n, "längere/topic", &"b".repeat(long));
        }
        let last = "e".repeat(short);
        stream.add(100, "töp", &last);
        let (slot, topic, payload) = {
            stream.pruner.finish();
            let last = stream.pruner.store.slots().len() - 1;
            stream.pruner.message(last)
        };
        assert_eq!((slot.facts.sequence, topic, payload), (99, "töp", last.as_bytes()));
    }
}

#[test]
fn errors_win_over_noise_and_the_newest_win_among_errors() {
    let mut stream = Stream::new(10);
    for n in 0..5000u64 {
        let payload = if n % 100 == 7 { format!("{{\"error\":\"E{n}\"}}") } else { "21.5".into() };
        stream.add(n * 6, "t", &payload);
    }
    let (messages, kept) = stream.chosen(10);
    assert_eq!(kept.errors, 8);
    assert!(messages.iter().any(|m| m.2 == "{\"error\":\"E4907\"}"));
    assert!(messages.iter().any(|m| m.2 == "{\"error\":\"E4207\"}"));
}

#[test]
fn each_topic_and_each_shape_has_its_message_while_room_lasts() {
    let mut stream = Stream::new(20);
    for n in 0..3000u64 {
        stream.add(n * 10, "busy", "1");
    }
    for n in 0..10 {
        stream.add(30_001 + n, &format!("rare/{n}"), "1");
    }
    stream.add(30_100, "busy", "{\"new\":\"shape\"}");
    for n in 0..1000 {
        stream.add(30_200 + n, "busy", "1");
    }
    let (messages, kept) = stream.chosen(20);
    assert_eq!(kept.topics, 10);
    assert_eq!(kept.shapes, 1);
    assert_eq!(messages.iter().filter(|m| m.1.starts_with("rare/")).count(), 10);
    assert!(messages.iter().any(|m| m.2 == "{\"new\":\"shape\"}"));
}

#[test]
fn the_rest_is_spread_over_time_and_not_over_the_count() {
    let mut stream = Stream::new(42);
    for n in 0..5000 {
        stream.add(0, "t", &n.to_string());
    }
    for second in 1..32u64 {
        stream.add(second * 1000, "t", "live");
    }
    let (messages, _) = stream.chosen(42);
    assert_eq!(messages.len(), 42);
    assert_eq!(messages.iter().filter(|m| m.2 == "live").count(), 31, "a burst does not crowd out what came later");
}

#[test]
fn the_same_stream_gives_the_same_choice() {
    let run = || {
        let mut stream = Stream::new(30);
        for n in 0..4000u64 {
            stream.add((n * n) % 32_000, &format!("t/{}", n % 90), &format!("{{\"n\":{n}}}"));
        }
        stream.chosen(30)
    };
    assert_eq!(run(), run());
}

#[test]
fn memory_follows_what_is_kept_and_not_what_was_seen() {
    let mut stream = Stream::new(50);
    let payload = "x".repeat(200);
    for n in 0..100_000u64 {
        stream.add(n / 4, "t", &payload);
        assert!(stream.pruner.used_bytes() < 200_000, "after {n}: {}", stream.pruner.used_bytes());
    }
    let mut stream = Stream::new(50);
    for n in 0..20_000u64 {
        stream.add(n, &format!("t/{n}"), "{\"error\":\"always\"}");
    }
    assert!(stream.pruner.used_bytes() < 200_000, "{}", stream.pruner.used_bytes());
    let lists = 8 * (50 + 2 * 50);
    assert!(stream.pruner.used_bytes() >= stream.pruner.store.used_bytes() + lists, "errors and topics count, too");
}

#[test]
fn fewer_can_be_chosen_from_the_same_recording() {
    let mut stream = Stream::new(50);
    for n in 0..1000 {
        stream.add(n, &format!("t/{}", n % 7), "1");
    }
    for keep in [1, 2, 3, 25] {
        assert_eq!(stream.chosen(keep).0.len(), keep);
    }
}

#[test]
fn topics_that_take_turns_are_all_among_the_rest() {
    let mut stream = Stream::new(80);
    for n in 0..100 {
        stream.add(n / 4 * 1280, ["stuck", "a", "b", "c"][n as usize % 4], "42");
    }
    let (chosen, _) = stream.chosen(20);
    let counts = ["stuck", "a", "b", "c"].map(|topic| chosen.iter().filter(|message| message.1 == topic).count());
    assert!(chosen.len() == 20 && counts.iter().all(|count| *count >= 4), "{counts:?}");
}

#[test]
fn of_more_topics_than_there_is_room_for_some_of_everywhere_and_of_all_kinds_are_kept() {
    let mut stream = Stream::new(50);
    for n in 0..1000 {
        let kind = ["a", "b", "c", "d"][n as usize % 4];
        stream.add(n / 100, &format!("t/{n}/{kind}"), "1");
    }
    for keep in [50, 20] {
        let (chosen, _) = stream.chosen(keep);
        let topics: HashSet<&str> = chosen.iter().map(|message| message.1.as_str()).collect();
        assert_eq!((chosen.len(), topics.len()), (keep, keep));
        let early = chosen.iter().filter(|message| message.0 < 500).count();
        assert!((keep / 3..=keep * 2 / 3).contains(&early), "{early} of {keep}");
        for kind in ["a", "b", "c", "d"] {
            let of_kind = chosen.iter().filter(|message| message.1.ends_with(kind)).count();
            assert!(of_kind * 10 >= keep, "{of_kind} of {kind}");
        }
    }
}
