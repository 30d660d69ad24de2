use std::cell::RefCell;

use super::*;
use crate::mqtt::capture::{Flow, Grant, Recorder, Retained};
use crate::mqtt::inflight::Fate;

/// Keeps what a capture gets, as text.
#[derive(Default)]
struct Heard(Vec<String>);

impl Recorder for Heard {
    fn record(&mut self, message: &wire::Publish<'_>, _now: Now) -> Flow {
        let retain = if message.retain { " retained" } else { "" };
        self.0.push(format!("{}={}{retain}", message.topic, String::from_utf8_lossy(message.payload)));
        if message.payload == b"enough" { Flow::Enough } else { Flow::More }
    }

    fn wanted_payload_bytes(&self) -> usize {
        100
    }
}

/// A session with a broker that is played by the test, in virtual time.
struct Play {
    session: Session,
    now: Now,
}

impl Play {
    fn connected() -> Self {
        let mut play = Self { session: Session::new(60), now: Now { at: Instant::now(), unix_ms: 1_000_000 } };
        play.connect(false);
        play
    }

    fn connect(&mut self, session_present: bool) {
        self.session.connection_opened(30, self.now.at + Duration::from_secs(30));
        self.feed(&[0x20, 2, u8::from(session_present), 0]);
        assert_eq!(*self.session.state(), State::Connected);
    }

    fn feed(&mut self, bytes: &[u8]) {
        self.session.handle_bytes(self.now, bytes).expect("accepted");
    }

    fn refused(&mut self, bytes: &[u8]) -> Trouble {
        self.session.handle_bytes(self.now, bytes).expect_err("refused")
    }

    fn message(&mut self, topic: &str, payload: &str, qos: u8, pid: u16, retain: bool, dup: bool) {
        let mut bytes = Vec::new();
        wire::publish_head(&mut bytes, topic, qos, pid, retain, dup, payload.len());
        bytes.extend_from_slice(payload.as_bytes());
        self.feed(&bytes);
    }

    fn live(&mut self, topic: &str, payload: &str) {
        self.message(topic, payload, 0, 0, false, false);
    }

    fn retained(&mut self, topic: &str, payload: &str) {
        self.message(topic, payload, 0, 0, true, false);
    }

    fn lose(&mut self) {
        self.session.connection_lost(self.now, Trouble::Lost("cut".into()));
    }

    fn wait(&mut self, duration: Duration) -> Result<(), Trouble> {
        self.now = self.now.plus(duration);
        self.session.handle_timeout(self.now)
    }

    /// What the session has sent since, as packet types and packet ids.
    fn sent(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        while !self.session.output().is_empty() {
            let chunk = self.session.output().to_vec();
            self.session.wrote(self.now, chunk.len());
            bytes.extend(chunk);
        }
        bytes
    }

    fn capture(&mut self, filter: &str, retained: Retained) -> (CaptureId, Rc<RefCell<Heard>>) {
        let heard = Rc::new(RefCell::new(Heard::default()));
        let id = self.session.capture(self.now, filter, 0, retained, heard.clone());
        (id, heard)
    }

    /// Subscribes and lets the broker grant it.
    fn granted(&mut self, filter: &str, retained: Retained) -> (CaptureId, Rc<RefCell<Heard>>) {
        self.sent();
        let (id, heard) = self.capture(filter, retained);
        self.grant();
        (id, heard)
    }

    fn grant(&mut self) {
        let subscribe = self.sent();
        assert_eq!(subscribe[0], 0x82);
        self.feed(&[0x90, 3, subscribe[2], subscribe[3], 0]);
    }

    fn publish(&mut self, qos: u8) -> Ticket {
        let message = Publish { topic: "t".into(), payload: Rc::from(&b"x"[..]), qos, retain: false };
        self.session.publish(self.now, message).expect("room")
    }
}

fn heard(recorder: &Rc<RefCell<Heard>>) -> Vec<String> {
    recorder.borrow().0.clone()
}

#[test]
fn connack_must_come_first_and_once() {
    let mut play = Play { session: Session::new(60), now: Now { at: Instant::now(), unix_ms: 0 } };
    play.session.connection_opened(30, play.now.at + Duration::from_secs(5));
    assert_eq!(play.refused(&[0xd0, 0]).code(), "protocol_rejected");
    let mut play = Play::connected();
    assert_eq!(play.refused(&[0x20, 2, 0, 0]).code(), "protocol_rejected");
}

#[test]
fn each_connack_code_is_its_own_trouble_and_only_refusals_end_the_retries() {
    for (code, expected, is_final) in [
        (1, "protocol_rejected", false),
        (2, "identifier_rejected", true),
        (3, "broker_unavailable", false),
        (4, "bad_credentials", true),
        (5, "not_authorized", true),
    ] {
        let mut play = Play::connected();
        play.lose();
        play.session.connection_opened(30, play.now.at + Duration::from_secs(5));
        let trouble = play.refused(&[0x20, 2, 0, code]);
        assert_eq!((trouble.code(), trouble.is_final()), (expected, is_final));
        play.session.connection_lost(play.now, trouble);
        assert_eq!(matches!(play.session.state(), State::Failed(_)), is_final);
    }
}

#[test]
fn silence_before_connack_ends_at_the_deadline() {
    let mut play = Play { session: Session::new(60), now: Now { at: Instant::now(), unix_ms: 0 } };
    play.session.connection_opened(30, play.now.at + Duration::from_secs(5));
    assert_eq!(play.wait(Duration::from_millis(4999)), Ok(()));
    assert_eq!(play.wait(Duration::from_millis(1)).expect_err("over").code(), "connect_timeout");
}

#[test]
fn an_idle_connection_is_pinged_and_lives_while_the_peer_answers() {
    let mut play = Play::connected();
    for _ in 0..3 {
        assert_eq!(play.wait(Duration::from_secs(44)), Ok(()));
        assert!(play.sent().is_empty());
        assert_eq!(play.wait(Duration::from_secs(1)), Ok(()));
        assert_eq!(play.sent(), [0xc0, 0]);
        play.feed(&[0xd0, 0]);
    }
}

#[test]
fn a_missing_pingresp_ends_the_connection() {
    let mut play = Play::connected();
    play.wait(Duration::from_secs(45)).expect("pinged");
    play.wait(PINGRESP_WAIT - Duration::from_millis(1)).expect("in time");
    assert_eq!(play.wait(Duration::from_millis(1)).expect_err("dead").code(), "connection_lost");
}

#[test]
fn data_stands_in_for_a_pingresp_that_queues_behind_it_but_not_for_ever() {
    let mut play = Play::connected();
    play.wait(Duration::from_secs(45)).expect("pinged");
    for _ in 0..6 {
        play.live("t", "x");
        play.wait(Duration::from_secs(9)).expect("alive");
    }
    play.live("t", "x");
    assert!(play.wait(Duration::from_secs(9)).is_err());
}

#[test]
fn without_keep_alive_nothing_is_pinged() {
    let mut play = Play { session: Session::new(0), now: Now { at: Instant::now(), unix_ms: 0 } };
    play.connect(false);
    assert_eq!(play.session.next_deadline(), None);
}

#[test]
fn a_missing_suback_ends_the_connection() {
    let mut play = Play::connected();
    play.capture("a/#", Retained::Include);
    assert_eq!(play.wait(SUBACK_WAIT).expect_err("dead").code(), "connection_lost");
}

#[test]
fn a_socket_that_takes_nothing_ends_the_connection() {
    let mut play = Play::connected();
    play.publish(1);
    play.session.write_blocked(play.now);
    assert!(play.wait(WRITE_STALL).is_err());
}

#[test]
fn inbound_qos_1_is_acknowledged_and_qos_2_delivered_exactly_once() {
    let mut play = Play::connected();
    let (_, recorder) = play.granted("#", Retained::Exclude);
    play.sent();
    play.message("t", "one", 1, 5, false, false);
    assert_eq!(play.sent(), [0x40, 2, 0, 5]);
    play.message("t", "two", 2, 6, false, false);
    play.message("t", "two", 2, 6, false, true);
    assert_eq!(play.sent(), [0x50, 2, 0, 6, 0x50, 2, 0, 6]);
    play.feed(&[0x62, 2, 0, 6, 0x62, 2, 0, 9]);
    assert_eq!(play.sent(), [0x70, 2, 0, 6, 0x70, 2, 0, 9], "PUBREL for an unknown id is answered as well");
    play.message("t", "again", 2, 6, false, false);
    assert_eq!(heard(&recorder), ["t=one", "t=two", "t=again"]);
}

#[test]
fn a_kept_session_remembers_qos_2_ids_and_a_new_one_does_not() {
    for (session_present, expected) in [(true, 1), (false, 2)] {
        let mut play = Play::connected();
        let (_, recorder) = play.granted("#", Retained::Exclude);
        play.message("t", "x", 2, 6, false, false);
        play.lose();
        play.connect(session_present);
        play.message("t", "x", 2, 6, false, true);
        assert_eq!(heard(&recorder).len(), expected);
    }
}

#[test]
fn too_many_open_qos_2_messages_end_the_connection() {
    let mut play = Play::connected();
    for pid in 1..=INBOUND_QOS2_MAX as u16 {
        play.message("t", "x", 2, pid, false, false);
    }
    let mut bytes = Vec::new();
    wire::publish_head(&mut bytes, "t", 2, 60_000, false, false, 0);
    assert_eq!(play.refused(&bytes).code(), "protocol_rejected");
}

#[test]
fn unknown_acknowledgements_are_survived() {
    let mut play = Play::connected();
    play.feed(&[0x40, 2, 0, 7, 0x70, 2, 0, 7, 0x90, 3, 0, 7, 0, 0xb0, 2, 0, 7, 0xd0, 0]);
    play.feed(&[0x50, 2, 0, 7]);
    assert_eq!(play.sent(), [0x62, 2, 0, 7], "a PUBREC is answered, or the broker would wait for ever");
}

#[test]
fn two_captures_of_one_filter_see_each_message_once_and_share_the_subscription() {
    let mut play = Play::connected();
    let (first, a) = play.granted("a/#", Retained::Include);
    play.retained("a/x", "1");
    let (second, b) = play.granted("a/#", Retained::Include);
    play.retained("a/x", "1");
    play.live("a/x", "2");
    assert_eq!(heard(&a), ["a/x=1 retained", "a/x=2"]);
    assert_eq!(heard(&b), ["a/x=1 retained", "a/x=2"]);
    play.sent();
    play.session.release(play.now, first);
    assert!(play.sent().is_empty(), "the other one still wants it");
    play.session.release(play.now, second);
    assert_eq!(play.sent()[0], 0xa2);
}

#[test]
fn overlapping_captures_do_not_see_each_others_retained_messages_again() {
    let mut play = Play::connected();
    let (_, wide) = play.granted("#", Retained::Include);
    play.retained("a/x", "1");
    play.feed(&[0xd0, 0]);
    play.wait(RETAINED_QUIET).expect("quiet");
    play.live("a/x", "2");
    let (_, narrow) = play.granted("a/+", Retained::Include);
    play.retained("a/x", "2");
    assert_eq!(heard(&wide), ["a/x=1 retained", "a/x=2"]);
    assert_eq!(heard(&narrow), ["a/x=2 retained"]);
}

#[test]
fn a_capture_that_excludes_retained_joins_an_active_subscription_in_silence() {
    let mut play = Play::connected();
    play.granted("a", Retained::Include);
    play.sent();
    let (id, recorder) = play.capture("a", Retained::Exclude);
    assert!(play.sent().is_empty());
    assert_eq!(play.session.captures.get(id).expect("capture").grant, Grant::Granted(0));
    play.retained("a", "old");
    play.live("a", "new");
    assert_eq!(heard(&recorder), ["a=new"]);
}

#[test]
fn retained_messages_are_complete_after_a_round_trip_and_a_quiet_moment() {
    let mut play = Play::connected();
    let (id, recorder) = play.granted("#", Retained::Only);
    assert_eq!(play.sent(), [0xc0, 0]);
    let done = |play: &Play| play.session.captures.get(id).expect("capture").done;
    play.wait(RETAINED_QUIET * 4).expect("waiting");
    assert!(!done(&play), "not before the round trip");
    play.feed(&[0xd0, 0]);
    play.retained("a", "1");
    play.live("a", "live");
    play.wait(RETAINED_QUIET - Duration::from_millis(1)).expect("waiting");
    assert!(!done(&play));
    play.wait(Duration::from_millis(1)).expect("quiet");
    assert!(done(&play));
    assert_eq!(heard(&recorder), ["a=1 retained"]);
}

#[test]
fn a_refused_subscription_fails_its_capture_alone() {
    let mut play = Play::connected();
    let (good, _) = play.granted("a", Retained::Include);
    play.sent();
    let (bad, _) = play.capture("b", Retained::Include);
    let subscribe = play.sent();
    play.feed(&[0x90, 3, subscribe[2], subscribe[3], 0x80]);
    assert_eq!(play.session.captures.get(bad).expect("capture").grant, Grant::Rejected);
    assert_eq!(play.session.captures.get(good).expect("capture").grant, Grant::Granted(0));
    play.session.release(play.now, bad);
    assert!(play.sent().is_empty(), "what was refused is not unsubscribed");
}

#[test]
fn a_reconnect_subscribes_again_reports_the_gap_and_shows_retained_messages_once() {
    let mut play = Play::connected();
    let (id, recorder) = play.granted("a", Retained::Include);
    play.retained("a", "1");
    play.lose();
    assert_eq!(*play.session.state(), State::Reconnecting);
    play.now = play.now.plus(Duration::from_secs(3));
    play.connect(false);
    play.grant();
    play.retained("a", "1");
    play.live("a", "2");
    assert_eq!(heard(&recorder), ["a=1 retained", "a=2"]);
    let gaps = &play.session.captures.get(id).expect("capture").interruptions;
    assert_eq!(gaps.len(), 1);
    assert_eq!(gaps[0].to.map(|to| to.0 - gaps[0].from.0), Some(3000));
    assert_eq!(play.session.counters().reconnects, 1);
}

#[test]
fn a_retained_message_that_is_not_what_its_topic_said_last_is_shown() {
    let mut play = Play::connected();
    let (_, recorder) = play.granted("#", Retained::Include);
    ["a", "b", "c"].into_iter().for_each(|topic| play.retained(topic, "1"));
    ["b", "c"].into_iter().for_each(|topic| play.live(topic, "2"));
    play.lose();
    play.connect(false);
    play.grant();
    [("a", "2"), ("b", "1"), ("c", "2")].into_iter().for_each(|(topic, kept)| play.retained(topic, kept));
    assert_eq!(heard(&recorder)[5..], ["a=2 retained", "b=1 retained"]);
}

#[test]
fn a_recorder_that_has_enough_gets_no_more() {
    let mut play = Play::connected();
    let (id, recorder) = play.granted("#", Retained::Exclude);
    play.live("a", "enough");
    play.live("a", "more");
    assert_eq!(heard(&recorder), ["a=enough"]);
    assert!(play.session.captures.get(id).expect("capture").done);
    assert!(play.session.take_changed());
}

#[test]
fn publishes_wait_for_the_connection_and_keep_their_order() {
    let mut play = Play::connected();
    play.lose();
    let first = play.publish(0);
    let second = play.publish(1);
    assert!(play.session.output().is_empty());
    play.connect(false);
    let bytes = play.sent();
    assert_eq!((bytes[0], bytes[6]), (0x30, 0x32));
    assert!(matches!(play.session.outbound.fate(first), crate::mqtt::inflight::Fate::Done { .. }));
    assert!(matches!(play.session.outbound.fate(second), crate::mqtt::inflight::Fate::InFlight { .. }));
}

#[test]
fn back_off_doubles_to_its_limit_and_starts_again_after_a_long_connection() {
    let mut play = Play::connected();
    let mut waits = Vec::new();
    for _ in 0..9 {
        play.lose();
        waits.push(play.session.retry_after(u32::MAX).as_secs());
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    assert_eq!(play.session.retry_after(0), BACKOFF_MAX / 2);
    play.connect(false);
    play.now = play.now.plus(BACKOFF_RESET_AFTER);
    play.lose();
    assert_eq!(play.session.retry_after(u32::MAX), BACKOFF_MIN);
}

#[test]
fn closing_says_disconnect_behind_what_waits() {
    let mut play = Play::connected();
    play.publish(0);
    play.session.close(play.now, false);
    let bytes = play.sent();
    assert_eq!((bytes[0], &bytes[bytes.len() - 2..]), (0x30, &[0xe0, 0][..]));
    assert_eq!(*play.session.state(), State::Closed);
    play.session.connection_lost(play.now, Trouble::Closed);
    assert_eq!(*play.session.state(), State::Closed);
}

#[test]
fn reading_pauses_while_too_many_answers_wait() {
    let mut play = Play::connected();
    assert!(play.session.wants_input());
    let mut bytes = Vec::new();
    wire::publish_head(&mut bytes, "t", 1, 1, false, false, 0);
    let many = bytes.repeat(10_000);
    let mut rounds = 0;
    while play.session.wants_input() {
        play.feed(&many);
        rounds += 1;
        assert!(rounds < 100, "unbounded");
    }
    play.sent();
    assert!(play.session.wants_input());
}

#[test]
fn on_a_broker_that_sends_a_copy_per_subscription_each_call_sees_each_message_once() {
    let mut play = Play::connected();
    let (_, wide) = play.granted("a/#", Retained::Exclude);
    let (_, narrow) = play.granted("a/+", Retained::Exclude);
    for n in 0..20 {
        play.live("a/x", &n.to_string());
        play.live("a/x", &n.to_string());
        play.live("a/x/y", &n.to_string());
        play.feed(&[0xd0, 0]);
    }
    assert_eq!((heard(&wide).len(), heard(&narrow).len()), (40, 20));
}

#[test]
fn on_a_broker_that_sends_single_messages_equal_ones_are_all_seen() {
    let mut play = Play::connected();
    let (_, wide) = play.granted("a/#", Retained::Exclude);
    let (_, narrow) = play.granted("a/+", Retained::Exclude);
    play.live("a/x", "first");
    for _ in 0..5 {
        play.live("a/x", "same");
    }
    play.feed(&[0xd0, 0]);
    for _ in 0..5 {
        play.live("a/x", "same");
    }
    assert_eq!((heard(&wide).len(), heard(&narrow).len()), (11, 11));
}

#[test]
fn closing_a_session_that_the_broker_keeps_takes_its_filters_back() {
    let mut play = Play::connected();
    play.granted("a", Retained::Include);
    play.sent();
    play.session.close(play.now, true);
    let bytes = play.sent();
    assert_eq!((bytes[0], &bytes[bytes.len() - 2..]), (0xa2, &[0xe0, 0][..]));
}

#[test]
fn a_filter_wanted_again_is_subscribed_when_its_unsubscribe_is_answered() {
    let mut play = Play::connected();
    let (first, _) = play.granted("a", Retained::Exclude);
    play.sent();
    play.session.release(play.now, first);
    let unsubscribe = play.sent();
    let (second, _) = play.capture("a", Retained::Exclude);
    assert!(play.sent().is_empty());
    play.feed(&[0xb0, 2, unsubscribe[2], unsubscribe[3]]);
    play.grant();
    assert_eq!(play.session.captures.get(second).expect("capture").grant, Grant::Granted(0));
}

#[test]
fn a_message_that_waited_for_room_is_told_to_have_left_the_queue() {
    let mut play = Play::connected();
    let mut publish = |payload: &[u8]| {
        let message = Publish { topic: "t".into(), payload: payload.into(), qos: 1, retain: false };
        let ticket = play.session.publish(play.now, message).expect("room");
        (ticket, play.session.take_changed())
    };
    let large = publish(&vec![b'x'; 2 * UNSENT_MAX_BYTES]);
    let (waits, changed) = publish(b"ask");
    assert!(large.1 && !changed);
    assert_eq!(play.session.outbound.fate(waits), Fate::Waiting);
    play.sent();
    assert_ne!(play.session.outbound.fate(waits), Fate::Waiting);
    assert!(play.session.take_changed());
}
