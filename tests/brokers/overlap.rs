//! Calls side by side on one session, with filters that are the same, overlap or contain each other: each call sees each
//! live message once and each retained message once, however many copies the broker sends.

use serde_json::{Value, json};

use crate::broker::Kind;
use crate::scene::{Scene, on_every_broker, sorted};

on_every_broker!(
    overlapping_filters_begun_one_after_the_other,
    overlapping_filters_begun_at_once,
    nested_filters,
    filters_of_different_qos,
    a_burst_is_seen_once,
    messages_published_again_are_seen_again,
    a_call_that_ends_takes_nothing_from_the_others,
);

const RETAINED: [(&str, &str); 3] = [("s/a", "old 0"), ("s/b", "old 1"), ("s/c", "old 2")];
const LIVE: usize = 12;

/// A filter and its QoS.
type Wish = (&'static str, u8);

fn wish(&(filter, qos): &Wish) -> Value {
    json!({"topic_pattern": filter, "qos": qos, "until": "end", "duration_seconds": 60})
}

/// How often the broker sends a message that all these filters match.
fn copies(kind: Kind, wishes: &[Wish]) -> u64 {
    let mut filters: Vec<_> = wishes.iter().map(|(filter, _)| filter).collect();
    filters.sort_unstable();
    filters.dedup();
    if kind.copies_each_subscription() { filters.len() as u64 } else { 1 }
}

fn live(n: usize) -> String {
    format!("live {n:02}")
}

/// What each call must have seen.
fn everything() -> Vec<String> {
    let live = (0..LIVE).map(live);
    std::iter::once("end".to_owned()).chain(live).chain(RETAINED.map(|(_, payload)| payload.to_owned())).collect()
}

/// Begins the calls; each waits for its retained messages when they are not to begin at once.
fn begin(scene: &mut Scene, wishes: &[Wish], at_once: bool) -> Vec<Value> {
    let retained = RETAINED.len() as u64;
    if !at_once {
        return wishes.iter().map(|one| scene.listen(wish(one), retained)).collect();
    }
    let expected = scene.messages_in() + retained * wishes.len() as u64;
    let calls = wishes.iter().map(|one| scene.start(wish(one))).collect();
    scene.wait_for_messages_in(expected);
    calls
}

fn publish(scene: &mut Scene, qos: u8, payload: &str) {
    match qos {
        0 => scene.client.publish("s/live", payload),
        qos => scene.client.publish_at(qos, "s/live", payload),
    }
}

/// Ends the calls, after all copies of what was published have come.
fn end(scene: &mut Scene, calls: &[Value], sent: u64) -> Vec<Vec<String>> {
    scene.wait_for_messages_in(sent);
    scene.settle();
    assert_eq!(scene.messages_in(), sent, "the copies that {:?} sends", scene.kind);
    publish(scene, 0, "end");
    calls.iter().map(|id| sorted(&scene.server.outcome(id))).collect()
}

fn run(kind: Kind, wishes: &[Wish], at_once: bool) {
    let mut scene = Scene::on(kind);
    scene.retain(&RETAINED);
    for qos in 0..=2 {
        let calls = begin(&mut scene, wishes, at_once);
        let before = scene.messages_in();
        (0..LIVE).for_each(|n| publish(&mut scene, qos, &live(n)));
        let sent = before + LIVE as u64 * copies(kind, wishes);
        for (seen, one) in end(&mut scene, &calls, sent).into_iter().zip(wishes) {
            assert_eq!(seen, everything(), "{one:?} of {wishes:?}, published at QoS {qos}");
        }
        // What these calls gave back is gone before the next ones begin.
        scene.settle();
    }
}

fn overlapping_filters_begun_one_after_the_other(kind: Kind) {
    run(kind, &[("s/#", 0), ("s/+", 0), ("#", 0)], false);
}

fn overlapping_filters_begun_at_once(kind: Kind) {
    run(kind, &[("+/+", 1), ("s/#", 1), ("s/#", 1)], true);
}

fn nested_filters(kind: Kind) {
    run(kind, &[("#", 2), ("s/#", 2), ("+/#", 2), ("s/+", 2)], false);
}

fn filters_of_different_qos(kind: Kind) {
    run(kind, &[("s/+", 1), ("s/#", 0), ("+/+", 2)], false);
}

fn a_burst_is_seen_once(kind: Kind) {
    let mut scene = Scene::on(kind);
    scene.retain(&RETAINED);
    let wishes = [("s/#", 1), ("s/+", 0), ("#", 2)];
    let calls = begin(&mut scene, &wishes, true);
    let before = scene.messages_in();
    scene.client.publish_all((0..LIVE).map(|n| ("s/live".to_owned(), live(n).into_bytes())));
    let sent = before + LIVE as u64 * copies(kind, &wishes);
    for seen in end(&mut scene, &calls, sent) {
        assert_eq!(seen, everything());
    }
}

/// Begins two calls that overlap and lets the server learn how often this broker sends a message.
fn learned(scene: &mut Scene, wishes: &[Wish]) -> Vec<Value> {
    let calls = wishes.iter().map(|one| scene.listen(wish(one), 0)).collect();
    for n in 0..4 {
        let sent = scene.messages_in() + copies(scene.kind, wishes);
        publish(scene, 0, &live(n));
        scene.wait_for_messages_in(sent);
        scene.settle();
    }
    calls
}

fn messages_published_again_are_seen_again(kind: Kind) {
    let mut scene = Scene::on(kind);
    let wishes = [("s/#", 0), ("s/+", 0)];
    let calls = learned(&mut scene, &wishes);
    let sent = scene.messages_in() + 5 * copies(kind, &wishes);
    scene.client.publish_all(vec![("s/live".to_owned(), b"same".to_vec()); 5]);
    let expected: Vec<_> = std::iter::once("end".to_owned()).chain((0..4).map(live)).collect();
    for seen in end(&mut scene, &calls, sent) {
        assert_eq!(seen, [&expected[..], &vec!["same".to_owned(); 5][..]].concat());
    }
}

fn a_call_that_ends_takes_nothing_from_the_others(kind: Kind) {
    let mut scene = Scene::on(kind);
    let wishes = [("s/#", 1), ("+/live", 0)];
    let calls = learned(&mut scene, &wishes);
    let short = json!({"topic_pattern": "s/+", "max_messages": 3, "qos": 2, "duration_seconds": 60});
    let short = scene.listen(short, 0);
    (4..LIVE).for_each(|n| publish(&mut scene, 1, &live(n)));
    assert_eq!(sorted(&scene.server.outcome(&short)), [live(4), live(5), live(6)]);
    publish(&mut scene, 0, "end");
    let expected: Vec<_> = std::iter::once("end".to_owned()).chain((0..LIVE).map(live)).collect();
    for id in calls {
        assert_eq!(sorted(&scene.server.outcome(&id)), expected);
    }
}
