//! `mqtt-mcp check`: what it says of brokers that are well, and of others.

use std::process::{Output, Stdio};

use crate::support::mosquitto::{Mosquitto, Setup};
use crate::support::server::command;

fn check(words: &[&str]) -> Output {
    let words = [&["check"], words].concat();
    command(&words).stdin(Stdio::null()).output().expect("the binary starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// Its report, which must fit a terminal.
fn report(output: &Output, code: i32) -> String {
    let shown = text(&output.stdout);
    assert_eq!(output.status.code(), Some(code), "{shown} {}", text(&output.stderr));
    assert_eq!(text(&output.stderr), "");
    assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
    shown
}

/// The steps with their marks, in their order.
fn steps(shown: &str) -> Vec<(&str, &str)> {
    let is_step = |line: &&str| line.starts_with("  ok ") || line.starts_with("  failed ");
    shown
        .lines()
        .filter(is_step)
        .map(|line| {
            let mut words = line.split_whitespace();
            (words.next().expect("a mark"), words.next().expect("a step"))
        })
        .collect()
}

#[test]
fn a_broker_that_is_well_gives_0_and_its_facts() {
    let broker = Mosquitto::start();
    for words in [&[broker.url().as_str()][..], &["lab", "--broker", &format!("lab={}", broker.url())]] {
        assert_well(words, "version mosquitto version ");
    }
}

#[cfg(feature = "demo")]
#[test]
fn the_demo_broker_is_well() {
    assert_well(&["demo"], "version mqtt-mcp demo broker ");
}

fn assert_well(words: &[&str], version: &str) {
    let shown = report(&check(words), 0);
    let names: Vec<_> = steps(&shown).into_iter().map(|(mark, name)| (mark == "ok", name)).collect();
    let expected = ["dns", "tcp", "connect", "ping", "subscribe"].map(|name| (true, name));
    assert_eq!(names, expected, "{shown}");
    assert!(shown.contains(version), "{shown}");
}

#[test]
fn a_broker_that_is_not_gives_1_and_says_how_far_it_got() {
    let shown = report(&check(&["mqtt://127.0.0.1:1"]), 1);
    assert_eq!(steps(&shown), [("ok", "dns"), ("failed", "tcp")]);
    assert!(shown.contains("127.0.0.1:1 is poor") && shown.contains("refused") && shown.contains("  next "), "{shown}");

    let broker = Mosquitto::with(&Setup { users: &[("ann", "right")], ..Setup::default() });
    let shown = report(&check(&[&format!("mqtt://ann:Zq8Secret@127.0.0.1:{}", broker.port())]), 1);
    assert_eq!(steps(&shown), [("ok", "dns"), ("ok", "tcp"), ("failed", "connect")]);
    assert!(!shown.contains("Zq8Secret"), "{shown}");
    report(&check(&[&format!("mqtt://ann:right@127.0.0.1:{}", broker.port())]), 0);
}

#[test]
fn what_cannot_be_checked_gives_2_and_one_line() {
    for words in [
        &[][..],
        &["nosuch"],
        &["mqtt://u:Zq8Secret@"],
        &["http://u:Zq8Secret@h"],
        &["mqtt://h", "mqtt://u:Zq8Secret@h"],
        &["--json", "demo"],
    ] {
        let output = check(words);
        let said = text(&output.stderr);
        assert_eq!((output.status.code(), said.lines().count()), (Some(2), 1), "{words:?}: {said}");
        assert!(output.stdout.is_empty() && !said.contains("Zq8Secret"), "{words:?}: {said}");
    }
}

#[test]
fn a_broker_that_the_policy_denies_is_not_tried() {
    let output = check(&["mqtt://127.0.0.1:1", "--allow-broker", "other.example"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty() && text(&output.stderr).contains("--allow-broker"), "{}", text(&output.stderr));
}
