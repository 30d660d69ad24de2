//! Watches: recorded in the background, read by an exact cursor, nothing lost but what the bound forces.

use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::fake_broker::FakeBroker;
use crate::support::mosquitto::{Mosquitto, Setup};
use crate::support::packets::*;
use crate::support::server::Server;
use crate::support::tools::payloads;
use crate::support::wait_for;

struct Play {
    server: Server,
    client: Client,
    session: String,
    broker: Mosquitto,
}

impl Play {
    fn new() -> Self {
        let (mut server, broker) = (Server::start(), Mosquitto::start());
        let (session, client) = (server.connect(&broker.url()), Client::connect(broker.port()));
        Self { server, client, session, broker }
    }

    fn watch(&mut self, filter: &str, mut options: Value) -> String {
        options["session_id"] = json!(self.session);
        options["topic_pattern"] = json!(filter);
        let started = self.server.call("start_watch", options);
        assert!(started["listening_since"].is_string(), "{started}");
        started["watch_id"].as_str().expect("an id").to_owned()
    }

    fn read(&mut self, watch: &str, mut options: Value) -> Value {
        options["watch_id"] = json!(watch);
        self.server.call("read_watch", options)
    }

    /// Publishes at QoS 1, so that the broker has passed it on when this returns, and waits until the watch has it.
    fn publish(&mut self, watch: &str, topic: &str, payload: &str) {
        let before = self.read(watch, json!({"limit": 500}))["next"].as_u64().expect("a cursor");
        self.client.publish_at(1, topic, payload);
        wait_for("the message to be recorded", || {
            let read = self.read(watch, json!({"since": before, "limit": 500}));
            (read["next"].as_u64() > Some(before)).then_some(())
        });
    }
}

#[test]
fn a_conversation_of_short_reads_sees_each_message_once_in_order() {
    let mut play = Play::new();
    let watch = play.watch("w/#", json!({}));
    let (mut next, mut seen) = (0, Vec::new());
    for n in 0..30 {
        play.client.publish_at(1, &format!("w/{}", n % 3), n.to_string());
        let read = play.read(&watch, json!({"since": next, "wait_seconds": 10, "limit": 1}));
        assert_eq!(read["dropped"], 0);
        seen.extend(payloads(&read));
        next = read["next"].as_u64().expect("a cursor");
    }
    assert_eq!(seen, (0..30).map(|n| json!(n)).collect::<Vec<_>>());
}

#[test]
fn what_the_bound_forced_out_is_counted_exactly() {
    let mut play = Play::new();
    let watch = play.watch("w", json!({"capacity": 10}));
    for n in 0..25 {
        play.publish(&watch, "w", &n.to_string());
    }
    let first = play.read(&watch, json!({"limit": 4}));
    assert_eq!((&first["dropped"], &first["next"], &first["has_more"]), (&json!(15), &json!(19), &json!(true)));
    let rest = play.read(&watch, json!({"since": first["next"]}));
    assert_eq!((&rest["dropped"], &rest["next"], &rest["has_more"]), (&json!(0), &json!(25), &json!(false)));
    let middle = play.read(&watch, json!({"since": 10}));
    assert_eq!((&middle["dropped"], &middle["message_count"]), (&json!(5), &json!(10)));
    let totals = play.server.call("stop_watch", json!({"watch_id": watch}));
    assert_eq!((&totals["message_count"], &totals["dropped"]), (&json!(25), &json!(15)));
}

#[test]
fn a_pruned_watch_keeps_errors_and_counts_the_rest() {
    let mut play = Play::new();
    let watch = play.watch("w", json!({"capacity": 10, "on_full": "prune"}));
    for n in 0..40 {
        play.publish(&watch, "w", &if n == 3 { "error: jammed".to_owned() } else { n.to_string() });
    }
    let read = play.read(&watch, json!({"limit": 500}));
    assert!(payloads(&read).iter().any(|payload| *payload == "error: jammed"), "{read}");
    let shown = read["message_count"].as_u64().expect("a count");
    assert_eq!(read["dropped"].as_u64().expect("a count") + shown, 40);
}

#[test]
fn a_cancelled_read_consumes_nothing_and_is_not_answered() {
    let mut play = Play::new();
    let watch = play.watch("w", json!({}));
    let id = play.server.start_call("read_watch", json!({"watch_id": watch, "wait_seconds": 60}));
    play.server.notify("notifications/cancelled", json!({"requestId": id}));
    play.publish(&watch, "w", "1");
    assert_eq!(payloads(&play.read(&watch, json!({}))), [json!(1)]);
    assert!(play.server.take_kept().iter().all(|line| line.json.get("id") != Some(&id)));
}

#[test]
fn reads_can_be_narrowed_to_topics_and_to_changes() {
    let mut play = Play::new();
    let watch = play.watch("w/#", json!({}));
    for (topic, payload) in [("w/a", "1"), ("w/b", "1"), ("w/a", "1"), ("w/a", "2"), ("w/b", "1")] {
        play.publish(&watch, topic, payload);
    }
    let changes = play.read(&watch, json!({"changes_only": true}));
    assert_eq!(payloads(&changes), [json!(1), json!(1), json!(2)]);
    assert_eq!(changes["next"], 5, "what was passed over is not read again");
    let narrow = play.read(&watch, json!({"topic_pattern": "w/b"}));
    assert_eq!(narrow["message_count"], 2);
    assert_eq!(play.read(&watch, json!({"since": 3, "changes_only": true}))["message_count"], 1);
}

#[test]
fn a_read_that_waits_ends_with_its_session_and_at_its_time() {
    let mut play = Play::new();
    let watch = play.watch("w", json!({}));
    let empty = play.read(&watch, json!({"wait_seconds": 1}));
    assert_eq!((&empty["message_count"], &empty["next"]), (&json!(0), &json!(0)));
    let id = play.server.start_call("read_watch", json!({"watch_id": watch, "wait_seconds": 60}));
    play.server.call("close_connection", json!({"session_id": play.session}));
    assert_eq!(play.server.failure(&id)["code"], "connection_lost");
    assert_eq!(play.server.fail("read_watch", json!({"watch_id": watch}))["code"], "invalid_argument");
}

#[test]
fn a_watch_goes_on_over_a_reconnect_and_tells_the_gap() {
    let mut play = Play::new();
    let watch = play.watch("w", json!({}));
    play.publish(&watch, "w", "before");
    play.broker.kill();
    play.broker.restart();
    play.server.wait_for_state(&play.session.clone(), "connected");
    play.client = Client::connect(play.broker.port());
    wait_for("the subscription", || {
        let gap = play.read(&watch, json!({}));
        gap["interruptions"][0]["to"].is_string().then_some(())
    });
    play.publish(&watch, "w", "after");
    assert_eq!(payloads(&play.read(&watch, json!({}))), [json!("before"), json!("after")]);
}

#[test]
fn watches_are_limited_and_give_their_subscription_back() {
    let (mut server, broker) = (Server::start(), FakeBroker::new());
    let (session, mut peer) = server.meet(&broker);
    let mut watches = Vec::new();
    for n in 0..5 {
        let arguments = json!({"session_id": session, "topic_pattern": format!("w/{n}")});
        let id = server.start_call("start_watch", arguments);
        peer.grant();
        watches.push(server.outcome(&id)["watch_id"].as_str().expect("an id").to_owned());
    }
    let sixth = server.fail("start_watch", json!({"session_id": session, "topic_pattern": "w/6"}));
    assert_eq!(sixth["code"], "too_many_calls");
    server.call("stop_watch", json!({"watch_id": watches[0]}));
    assert_eq!(peer.expect(UNSUBSCRIBE).filter(), "w/0");
    assert_eq!(server.fail("stop_watch", json!({"watch_id": watches[0]}))["parameter"], "watch_id");
    for wrong in ["a/#/b", ""] {
        let failure = server.fail("start_watch", json!({"session_id": session, "topic_pattern": wrong}));
        assert_eq!((&failure["code"], &failure["parameter"]), (&json!("invalid_argument"), &json!("topic_pattern")));
    }
}

#[test]
fn retained_messages_are_deleted_only_when_that_was_asked_for() {
    let mut play = Play::new();
    for n in 0..3 {
        play.client.retain(&format!("r/{n}"), format!("{{\"n\": {n}}}"));
    }
    let arguments = |limit: u64, dry_run: Option<bool>| {
        let mut arguments = json!({"session_id": play.session, "topic_pattern": "r/#", "limit": limit});
        dry_run.into_iter().for_each(|dry_run| arguments["dry_run"] = json!(dry_run));
        arguments
    };
    let (dry, two, all) = (arguments(100, None), arguments(2, Some(false)), arguments(100, Some(false)));
    let listed = play.server.call("clear_retained", dry.clone());
    assert_eq!((&listed["topic_count"], &listed["cleared"], &listed["dry_run"]), (&json!(3), &json!(0), &json!(true)));
    assert_eq!(listed["topics"][1]["payload"], json!({"n": 1}));
    let some = play.server.call("clear_retained", two);
    assert_eq!(
        (&some["topic_count"], &some["cleared"], &some["topics"][1]["topic"]),
        (&json!(3), &json!(2), &json!("r/1"))
    );
    assert_eq!(play.server.call("clear_retained", dry)["topic_count"], 1);
    assert_eq!(play.server.call("clear_retained", all.clone())["cleared"], 1);
    let none = play.server.call("clear_retained", all);
    assert_eq!(
        (&none["topic_count"], none["note"].is_string()),
        (&json!(0), true),
        "an empty list is explained: {none}"
    );
    let broker_topics = json!({"session_id": play.session, "topic_pattern": "$SYS/#", "dry_run": false});
    assert_eq!(play.server.fail("clear_retained", broker_topics)["parameter"], "topic_pattern");
}

#[test]
fn no_more_is_deleted_than_there_is_room_to_list() {
    let mut play = Play::new();
    for n in 0..30 {
        play.client.retain(&format!("r/{n:02}"), format!("{{\"text\":\"{}\"}}", "x".repeat(100)));
    }
    let call = |play: &mut Play, dry_run: bool, budget: usize| {
        let arguments = json!({"session_id": play.session, "topic_pattern": "r/#", "dry_run": dry_run, "max_response_bytes": budget});
        let result = play.server.call("clear_retained", arguments);
        assert!(result.to_string().len() <= budget, "{result}");
        assert_eq!(result["topics"].as_array().map(Vec::len), result["listed"].as_u64().map(|listed| listed as usize));
        result
    };
    let dry = call(&mut play, true, 4096);
    let omitted = dry["omitted"].as_u64().expect("some are left out");
    assert_eq!((&dry["topic_count"], dry["listed"].as_u64()), (&json!(30), Some(30 - omitted)), "{dry}");
    let first = call(&mut play, false, 4096);
    assert_eq!((&first["topic_count"], &first["cleared"]), (&json!(30), &first["listed"]), "{first}");
    assert!(first["topics"].as_array().expect("rows").iter().all(|row| row.get("truncated").is_none()), "{first}");
    let rest = call(&mut play, false, 32_768);
    assert_eq!((&rest["topic_count"], rest.get("omitted")), (&first["omitted"], None), "{rest}");
    assert_eq!(rest["cleared"], first["omitted"]);
}

#[test]
fn what_is_still_retained_was_not_deleted_whatever_the_broker_acknowledged() {
    let users = [("keeper", "k"), ("guest", "g")];
    let acl = "user keeper\ntopic readwrite #\nuser guest\ntopic read r/#\ntopic write r/free\n";
    let (broker, mut server) =
        (Mosquitto::with(&Setup { users: &users, acl: Some(acl), ..Setup::default() }), Server::start());
    let [keeper, guest] =
        ["keeper:k", "guest:g"].map(|user| server.connect(&format!("mqtt://{user}@127.0.0.1:{}", broker.port())));
    for topic in ["r/free", "r/held", "r/kept"] {
        let retained = json!({"session_id": keeper, "topic": topic, "payload": "x", "qos": 1, "retain": true});
        assert_eq!(server.call("publish_message", retained)["delivery"], "acknowledged");
    }
    let mut clear = |session: &str| {
        server.call("clear_retained", json!({"session_id": session, "topic_pattern": "r/#", "dry_run": false}))
    };
    let tried = clear(&guest);
    assert_eq!((&tried["listed"], &tried["cleared"]), (&json!(3), &json!(1)), "{tried}");
    let failed = tried["failed"].as_str().expect("why");
    assert!(failed.contains("still retained") && failed.contains("left: 2"), "{failed}");
    assert_eq!(clear(&keeper)["cleared"], 2);
}

/// A conversation over a topic whose messages are numbered: what each read owes, and what came of all of them.
struct Numbered {
    next: u64,
    shown: u64,
    dropped: u64,
}

impl Numbered {
    /// Takes what one read gave: after the cursor first what was dropped, then messages without a gap up to the next cursor.
    fn take(&mut self, read: &Value) {
        let [dropped, next] = ["dropped", "next"].map(|name| read[name].as_u64().expect("a number"));
        let numbers: Vec<_> = payloads(read).iter().map(|payload| payload.as_u64().expect("a number")).collect();
        let expected: Vec<_> = (self.next + dropped..next).collect();
        assert_eq!(numbers, expected, "after {} with {dropped} dropped", self.next);
        (self.next, self.shown, self.dropped) = (next, self.shown + numbers.len() as u64, self.dropped + dropped);
    }
}

#[test]
fn a_long_conversation_loses_what_its_bound_forces_and_says_exactly_how_much() {
    const CAPACITY: u64 = 100;
    let mut play = Play::new();
    let watch = play.watch("busy", json!({"capacity": CAPACITY}));
    let mut so_far = Numbered { next: 0, shown: 0, dropped: 0 };
    let mut published = 0;
    for burst in [30, 100, 101, 7, 1000, 0, 100, 250, 99, 1, 1500, 60] {
        let end = published + burst;
        play.client.publish_all((published..end).map(|n| ("busy".to_owned(), n.to_string().into_bytes())));
        published = end;
        // A read beyond the end shows how far the watch is, and takes nothing.
        wait_for("the burst to be recorded", || {
            let read = play.read(&watch, json!({"since": published}));
            (read["next"] == published).then_some(())
        });
        let forced = (published - so_far.next).saturating_sub(CAPACITY);
        let before = so_far.dropped;
        loop {
            let read = play.read(&watch, json!({"since": so_far.next, "limit": 40}));
            so_far.take(&read);
            if read["has_more"] == false {
                break;
            }
        }
        assert_eq!(so_far.dropped - before, forced, "a burst of {burst}");
    }
    assert_eq!((so_far.next, so_far.shown + so_far.dropped), (published, published));
    let totals = play.server.call("stop_watch", json!({"watch_id": watch}));
    assert_eq!(totals["message_count"], published);
}

#[test]
fn reads_beside_a_busy_publisher_account_for_every_message() {
    const MESSAGES: u64 = 3000;
    let mut play = Play::new();
    let watch = play.watch("busy", json!({"capacity": 200}));
    let mut publisher = Client::connect(play.broker.port());
    let publishing = std::thread::spawn(move || {
        for chunk in (0..MESSAGES).collect::<Vec<_>>().chunks(50) {
            publisher.publish_all(chunk.iter().map(|n| ("busy".to_owned(), n.to_string().into_bytes())));
        }
    });
    let mut so_far = Numbered { next: 0, shown: 0, dropped: 0 };
    wait_for("all messages", || {
        so_far.take(&play.read(&watch, json!({"since": so_far.next, "wait_seconds": 1, "limit": 30})));
        (so_far.next == MESSAGES).then_some(())
    });
    publishing.join().expect("all were published");
    assert_eq!(so_far.shown + so_far.dropped, MESSAGES);
}
