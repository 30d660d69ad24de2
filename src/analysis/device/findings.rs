//! What is wrong with a device, in sentences that carry their evidence; and whether it is there at all. Nothing is
//! guessed without saying so.

use std::time::Duration;

use serde::Serialize;

use super::model::{Device, TopicModel};
use super::places::{Place, last_level};
use super::presence::{Means, Presence, SETTLED};
use super::{At, beats, bridges, clocks, malformed, meaning, numbers, sparkplug};
use crate::analysis::alarm::Severity;
use crate::analysis::decimal::{Decimal, tenths};
use crate::analysis::sort::sort_by;
use crate::analysis::words::{count, is_in};
use crate::clock::Timestamp;

/// Something that is worth telling.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// What kind it is, in one word.
    pub kind: &'static str,
    /// How bad.
    pub severity: Grade,
    /// For a person.
    pub finding: String,
    /// What shows it.
    pub evidence: Vec<String>,
    /// What to do.
    pub advice: &'static str,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Grade {
    /// Does not work as it should.
    Error,
    /// May not work as it should.
    Warning,
    /// Good to know.
    Info,
}

/// Whether the device is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Connection {
    /// It is.
    Online,
    /// It is not.
    Offline,
    /// The messages do not tell.
    Unknown,
}

/// Whether the device is there, and what shows it.
pub fn connection(device: &Device, end: At) -> (Connection, Vec<String>) {
    let speaks = |presence: &&Presence| !is_behind_gateway(device, presence);
    let says = |means: Means| device.presences.of_whole().filter(move |it| it.means == means).filter(speaks);
    let mut evidence: Vec<String> = device.presences.iter().map(shown).collect();
    let stopped = beats::stopped(device, end.elapsed).or_else(|| beats::silent(device, end));
    if let Some(last) = device.last_told {
        let ago = end.elapsed.saturating_sub(last.elapsed).as_secs_f64();
        evidence.push(format!(
            "{}, the last of its state {} s before the end",
            count(device.live, "live message"),
            tenths(ago)
        ));
    } else {
        evidence.push(format!("no live message of its state in {} s", tenths(end.elapsed.as_secs_f64())));
    }
    evidence.extend(stopped.iter().map(|stop| stop.told.clone()));
    let offline = says(Means::Offline).max_by_key(|presence| presence.at.elapsed);
    let online = says(Means::Online).max_by_key(|presence| presence.at.elapsed);
    let bridge = bridges::offline(device);
    evidence.extend(bridge.map(shown));
    let state = match (offline, online) {
        _ if bridge.is_some() => Connection::Offline,
        (Some(offline), _) if told_after(device, offline) => Connection::Online,
        // Of two that differ the newer one counts; of those that were kept nobody knows the age.
        (Some(offline), Some(online)) if !online.retained && online.at.elapsed > offline.at.elapsed => {
            Connection::Online
        }
        (Some(_), _) => Connection::Offline,
        (None, Some(_)) if stopped.is_some() => Connection::Unknown,
        (None, Some(_)) => Connection::Online,
        (None, None) if stopped.as_ref().is_some_and(|stop| stop.is_sure) => Connection::Offline,
        (None, None) if stopped.is_some() => Connection::Unknown,
        (None, None) if device.last_told.is_some() => Connection::Online,
        (None, None) => Connection::Unknown,
    };
    (state, evidence)
}

/// All findings, the worst first.
pub fn judge(device: &Device, end: At) -> Vec<Finding> {
    judge_as(device, connection(device, end).0, end)
}

/// The same of a device that is known to be there or not.
pub fn judge_as(device: &Device, state: Connection, end: At) -> Vec<Finding> {
    let mut found = Vec::new();
    presences(device, state, end, &mut found);
    alerts(device, &mut found);
    reports(device, &mut found);
    beats::judge(device, end, &mut found);
    bridges::judge(device, &mut found);
    for (topic, model) in device.topics() {
        malformed::judge(topic, model, &mut found);
        model.units.judge(topic, &mut found);
    }
    numbers::judge(device, &mut found);
    clocks::judge(device, end, &mut found);
    commands(device, end, &mut found);
    sort_by(&mut found, |a, b| a.severity.cmp(&b.severity));
    found
}

pub(super) fn time(at: At) -> Timestamp {
    Timestamp(at.unix_ms)
}

pub(super) fn shown(presence: &Presence) -> String {
    let since = match presence.retained {
        true => "kept by the broker, since when is not known".to_owned(),
        false => time(presence.at).to_string(),
    };
    format!("{} says {:?} ({since})", presence.topic, presence.value)
}

/// Whether the device sent something of its state after it was said to be gone.
pub(super) fn told_after(device: &Device, offline: &Presence) -> bool {
    let settled = offline.at.elapsed + SETTLED;
    device.last_told.is_some_and(|last| last.elapsed > settled) && !rests_without_sun(device, offline)
}

/// Whether it speaks of an inverter that its gateway had not reached when this began: it has no power at night, and the
/// gateway goes on to tell what it was.
fn rests_without_sun(device: &Device, presence: &Presence) -> bool {
    let is_solar = |topic: &str| meaning::has_part(topic, &["solar", "inverter", "producing", "yield"]);
    presence.change_count <= u32::from(presence.means != Means::Offline)
        && is_in(&["reachable", "available"], last_level(&presence.topic))
        && device.topics().any(|(topic, _)| is_solar(topic))
}

/// Whether that inverter is but a part of the device: its gateway, which speaks on a topic nearer to the root, is there.
fn is_behind_gateway(device: &Device, presence: &Presence) -> bool {
    let levels = |it: &Presence| it.topic.split('/').count();
    rests_without_sun(device, presence)
        && device.presences.of_whole().any(|it| it.means == Means::Online && levels(it) < levels(presence))
}

/// Whether it speaks of a device behind a Sparkplug node, and that has sent nothing since: its node goes on without it.
fn is_silent_part(device: &Device, presence: &Presence) -> bool {
    let Some(part) = sparkplug::parts(&presence.topic).filter(|part| part.device.is_some()) else { return false };
    let told = |(topic, model): (&str, &TopicModel)| {
        let is_of_it =
            sparkplug::parts(topic).is_some_and(|parts| sparkplug::Parts { kind: part.kind, ..parts } == part);
        is_of_it && model.last.elapsed > presence.at.elapsed
    };
    !device.topics().any(told)
}

pub(super) fn span(duration: Duration) -> String {
    match duration.as_secs_f64() {
        seconds if seconds < 1.0 => format!("{} ms", Decimal((seconds * 1e3).round())),
        seconds if seconds < 120.0 => format!("{} s", tenths(seconds)),
        seconds if seconds < 7200.0 => format!("{} min", Decimal((seconds / 60.0).round())),
        seconds if seconds < 172_800.0 => format!("{} h", tenths(seconds / 3600.0)),
        seconds => format!("{} days", tenths(seconds / 86_400.0)),
    }
}

fn presences(device: &Device, state: Connection, end: At, found: &mut Vec<Finding>) {
    for presence in device.presences.of_whole() {
        let changes = presence.changes.iter().map(|(at, value)| format!("{} {value:?}", time(*at)));
        let evidence: Vec<_> = std::iter::once(shown(presence)).chain(changes).collect();
        let (topic, rests) = (&presence.topic, rests_without_sun(device, presence));
        if presence.losses >= 2 {
            found.push(Finding {
                kind: "flapping",
                severity: Grade::Warning,
                finding: format!(
                    "{topic} changed {}: the device comes and goes",
                    count(presence.change_count.into(), "time")
                ),
                evidence: evidence.clone(),
                advice: "check power and network, and that no second client uses the same client id",
            });
        } else if presence.losses == 1 && presence.means != Means::Offline && !rests {
            found.push(Finding {
                kind: "was_offline",
                severity: Grade::Warning,
                finding: format!("the device was offline for a time, says {topic}"),
                evidence: evidence.clone(),
                advice: "its connection broke or it restarted: look for its reset reason and its signal",
            });
        }
        let is_silent = is_silent_part(device, presence);
        let has_told = state == Connection::Online && told_after(device, presence) && !is_silent;
        // That it comes and goes is said.
        if presence.means == Means::Offline && has_told && presence.losses < 2 {
            found.push(Finding {
                kind: "offline_but_sending",
                severity: Grade::Warning,
                finding: format!("{topic} says the device is offline, yet it sends"),
                evidence,
                advice: "the last will of an earlier connection was not replaced: the device should publish that it is online, retained, whenever it connects",
            });
        } else if presence.means == Means::Offline && (state == Connection::Offline || is_silent) {
            let has_gone = presence.was_there && !(presence.retained && presence.change_count == 0) && !rests;
            let (kind, what) = match has_gone {
                false => ("offline", "is offline"),
                true => ("went_offline", "went offline while this was recorded"),
            };
            found.push(Finding {
                kind,
                severity: if rests { Grade::Info } else { Grade::Error },
                finding: format!("the device {what}, says {topic}"),
                evidence,
                advice: match rests {
                    true => "an inverter is away while there is no sun; by day look at its power, and how far its gateway is",
                    false => "if it did not say so itself, this is its last will: it lost power or network, or its client crashed",
                },
            });
        }
    }
    let says_online = device.presences.of_whole().find(|presence| presence.means == Means::Online);
    if let (Some(presence), Some(stopped)) = (says_online, beats::stopped(device, end.elapsed))
        && state == Connection::Unknown
    {
        found.push(Finding {
            kind: "online_but_silent",
            severity: Grade::Error,
            finding: format!("{} says the device is online, but it has stopped to send", presence.topic),
            evidence: vec![shown(presence), stopped.told],
            advice: "it may hang with its connection open, or the broker has not noticed yet that it is gone: wait one and a half keep-alives and look again",
        });
    }
}

/// A Homie device that is there and wants help.
fn alerts(device: &Device, found: &mut Vec<Finding>) {
    let is_alert = |presence: &&Presence| presence.topic.ends_with("/$state") && &*presence.value == "alert";
    found.extend(device.presences.iter().find(is_alert).map(|presence| Finding {
        kind: "reports_warnings",
        severity: Grade::Warning,
        finding: "the device is there and says that somebody must look after it".to_owned(),
        evidence: vec![shown(presence)],
        advice: "look up what it reports in the device's manual, and what its other topics say",
    }));
}

fn reports(device: &Device, found: &mut Vec<Finding>) {
    for (severity, kind, grade) in
        [(Severity::Error, "reports_errors", Grade::Error), (Severity::Warning, "reports_warnings", Grade::Warning)]
    {
        let of_kind = || device.reports.iter().filter(move |report| report.severity == severity);
        let Some(latest) = of_kind().max_by_key(|report| report.last.elapsed) else { continue };
        let messages = count(device.report_counts[severity as usize], "message");
        let kept =
            if of_kind().all(|report| report.retained) { " (kept by the broker, so they may be old)" } else { "" };
        found.push(Finding {
            kind,
            severity: grade,
            finding: format!("the device reports {} in {messages}{kept}", &kind[8..]),
            evidence: vec![format!("{} {} {}", time(latest.last), latest.topic, latest.payload)],
            advice: "look up what it reports in the device's manual; `errors` and `warnings` have one message of each kind",
        });
    }
    if let Some(mention) =
        device.mentions.iter().filter(|mention| mention.severity.is_some()).max_by_key(|m| m.severity)
    {
        found.push(Finding {
            kind: "named_in_report",
            severity: Grade::Warning,
            finding: format!("{} reports trouble and names the device", mention.topic),
            evidence: vec![format!("{} {}", time(mention.at), mention.payload)],
            advice: "the gateway or bridge that speaks for the device has trouble with it: read its log",
        });
    }
}

fn commands(device: &Device, end: At, found: &mut Vec<Finding>) {
    let states = || device.topics().filter(|(_, model)| model.place == Place::State).map(|(topic, _)| topic);
    // What comes anyway is no answer.
    let beats = |topic: &str| device.beats(topic, end.elapsed);
    // Who asked for commands alone will see no answers.
    let has_states = states().next().is_some();
    let unanswered = if has_states { device.commands.unanswered(end.elapsed, states, beats) } else { Vec::new() };
    if let Some(last) = unanswered.last() {
        let is_expected = unanswered.iter().any(|command| command.expects_answer(states()));
        found.push(Finding {
            kind: "no_answer",
            severity: if is_expected { Grade::Warning } else { Grade::Info },
            finding: format!(
                "{} of {} got no answer{}",
                unanswered.len(),
                count(device.commands.count, "command"),
                if device.live > 0 { " but the device's regular messages" } else { "" }
            ),
            evidence: vec![format!("{} {} {}", time(last.at), last.topic, last.payload)],
            advice: "the device may not subscribe to that topic, not understand the payload, or be gone; some devices answer no command",
        });
    }
    for command in device.commands.iter().filter(|command| command.retained) {
        found.push(Finding {
            kind: "retained_command",
            severity: Grade::Warning,
            finding: format!(
                "the broker keeps a command on {}: the device gets it again whenever it connects",
                command.topic
            ),
            evidence: vec![format!("retained {} {}", command.topic, command.payload)],
            advice: "delete it with clear_retained unless that is meant; publish commands without retain",
        });
    }
}
