//! Findings from the numbers in a device's messages: lost and repeated messages, restarts, frozen and missing values.

use super::At;
use super::fields::{DISCONNECTED, Field, Fields, POWER_ON};
use super::findings::{Finding, Grade, time};
use super::model::{Device, TopicModel};
use super::places::Place;
use super::steps::Steps;
use super::{breaks, impossible, meaning, rest, sparkplug, steps, stuck, supply, twins};
use crate::analysis::decimal::Decimal;
use crate::analysis::words::{count, is_called};

/// Adds what the numbers of all topics show.
pub(super) fn judge(device: &Device, found: &mut Vec<Finding>) {
    let is_shared = device.sequence.is_shared();
    if is_shared {
        let steps = &device.sequence.steps;
        counter("the number of its messages over all topics", steps, (steps.resets, ""), found);
    }
    for (topic, model) in device.topics().filter(|(_, model)| model.place == Place::State) {
        let before = found.len();
        let of_all = |field: &&Field| is_shared && steps::is_sequence(field.name(topic));
        let fields = model.fields.iter().filter(|field| !of_all(field));
        fields.for_each(|field| number(topic, model, field, (before, found)));
        if found[before..].iter().all(|finding| finding.kind != "several_senders") {
            found.extend(twins::in_turn(topic, model));
        }
        supply::judge_words(topic, &model.fields, found);
        found.extend(model.kept.iter().filter(|_| model.live == 0).map(|finding| (**finding).clone()));
        stuck::judge(device, topic, model, found);
    }
    nodes(device, found);
}

/// A member of a topic's payloads for a sentence.
pub(super) fn of_topic(topic: &str, path: &str) -> String {
    if path.is_empty() { topic.to_owned() } else { format!("{path} of {topic}") }
}

/// Where a topic carries `several` things in turn, a number jumps from one's to the other's. What is found on the same
/// topic begins with `first`.
fn number(topic: &str, model: &TopicModel, field: &Field, (first, found): (usize, &mut Vec<Finding>)) {
    // An uptime is told in two forms by some, and restarts in one.
    let has_restarted = found[first..].iter().any(|finding| finding.kind == "restarted");
    // What could not be read was not left out.
    let (unread, labels) = (model.malformed.count.into(), &model.labels);
    let several = labels.are_several() || labels.has_senders();
    let name = of_topic(topic, &field.path);
    if field.is_counter(topic) {
        if several && field.steps.late > 0 {
            return;
        }
        let mut steps = field.steps;
        steps.missing = steps.missing.saturating_sub(unread);
        let restarts = if has_restarted { 0 } else { steps.restarts(field.name(topic)) };
        counter(&name, &steps, (restarts, ""), found);
    } else if let Some((at, from, to)) = field
        .fell_at
        .filter(|(_, from, _)| !WRAPS.contains(from))
        .filter(|fall| !(several && (field.falls_often() || field.leaps > 0 || is_older(fall))))
        .filter(|_| meaning::is_uptime(&field.path, topic) || (field.grows() && meaning::is_up(&field.path, topic)))
    {
        if field.jumps_back > 0 {
            if field.jumps_back > 1 {
                found.push(senders(&name, field, (at, from, to)));
            }
            return;
        }
        found.extend((!has_restarted).then(|| restarted(&name, field.falls, (at, from, to))));
    }
    if !several {
        impossible::judge(&name, field, topic, found);
        breaks::judge(&name, field, topic, model.units.changed().is_some(), found);
    }
    supply::judge(&name, field, (topic, &model.fields), several, found);
    // No other thing is so often one of those, and then that.
    let fell = field.away.is_some_and(|away| away.value == DISCONNECTED && (-55.0..=125.0).contains(&away.from));
    let is_degrees = fell && !field.is_whole && !meaning::has_part(field.name(topic), NO_DEGREES);
    let may_be_temperature = meaning::may_be_temperature(&field.path, topic) || is_degrees;
    if may_be_temperature && !meaning::is_setting(&field.path, topic) {
        let is_sure = meaning::is_temperature(&field.path, topic) && !several;
        no_temperature(&name, field, !is_sure || meaning::is_hot_by_nature(&field.path, topic), found);
    }
    found.extend(lost(&name, field, (topic, model), several));
}

/// A value that does not come any more, in one of the ways in which sensors are lost.
fn lost(name: &str, field: &Field, (topic, model): (&str, &TopicModel), several: bool) -> Option<Finding> {
    let measures = meaning::is_measurement(&field.path, topic);
    // A sensor in the air always has a value.
    let (behind, from) = match meaning::is_of_air(&field.path, topic) {
        true => (3, if field.seen > 3 { 4 } else { ABSENT_FROM }),
        false => (8, ABSENT_FROM),
    };
    let absent = model.fields.absent(field, behind);
    let messages = |number: u32| count(number.into(), "message");
    let sensor = "the sensor or camera behind it does not answer: check wiring and power of the sensor itself";
    let (finding, advice) = if measures && absent >= from && !several && is_lost_for_good(field, model, topic) {
        (format!("{name} was in all of {} and then in none of {absent}", messages(field.seen)), sensor)
    } else if !several && is_dead(field, &model.fields, topic) {
        let zeros = messages(field.run.length);
        (format!("{name} fell to 0 at once and was that in {zeros} from {}", time(field.run.began)), sensor)
    } else if field.is_bad && field.lost >= 3 {
        (
            format!("{name} is bad, says its sender in {}", messages(field.lost)),
            "what reads it does not reach the controller or the sensor: look at the gateway's log and at the wiring",
        )
    } else if (measures && field.lost > 0 || is_lost_otherwise(field, model, topic)) && field.seen >= 3
        || (field.is_failure || always_is(field, topic)) && field.lost >= 3 && field.seen + field.lost >= 5
    {
        (format!("{name} was a number and was none in {}", messages(field.lost)), sensor)
    } else {
        return None;
    };
    let until = if field.lost > 0 { format!("; no number at {}", time(field.lost_at)) } else { String::new() };
    let evidence = vec![format!("the last number was {}{until}", Decimal(field.last))];
    Some(Finding { kind: "lost_value", severity: Grade::Warning, finding, evidence, advice })
}

fn restarted(name: &str, falls: u32, (at, from, to): (At, f64, f64)) -> Finding {
    let (from, to) = (Decimal(from), Decimal(to));
    let times = if falls > 1 { format!(" {}, the last time", count(falls.into(), "time")) } else { String::new() };
    Finding {
        kind: "restarted",
        severity: Grade::Warning,
        finding: format!("the device restarted{times}: {name} fell from {from} to {to}"),
        evidence: vec![format!("{} {name} = {to}", time(at))],
        advice: "if nobody restarted it, look for its reset reason: power, watchdog, crash",
    }
}

/// Whether an uptime is longer than anything that restarted has been listened to since.
fn is_older((at, _, to): &(At, f64, f64)) -> bool {
    *to > at.elapsed.as_secs_f64()
}

/// Whether it is one that a device always has: what it counted since ever, and for how long it runs.
fn always_is(field: &Field, topic: &str) -> bool {
    breaks::is_total(&field.path, topic) || meaning::is_uptime(&field.path, topic)
}

/// What its sender says is bad, or a tracker that finds no satellites any more.
fn is_lost_otherwise(field: &Field, model: &TopicModel, topic: &str) -> bool {
    // Sparkplug says so: is_null.
    let without = model.fields.without(field);
    let is_null = || sparkplug::parts(topic).is_some() && field.lost >= 3 && without >= 3;
    // A fine number that moved with most messages, and of which there is none since, while all else goes on.
    let own = meaning::own_name(&field.path, topic);
    let is_measured = || {
        let moves = field.rises > 0 && field.falls > 0 && field.changes * 2 >= field.seen;
        let is_share = || meaning::has_part(own, &["batt", "pct", "percent", "energy"]);
        // What has a battery has one whatever it says beside it.
        let is_alone = || supply::is_battery_of_its_own(own) || model.fields.is_alone(field);
        (field.decimals > 0 && moves || is_share()) && field.lost == without && is_alone()
    };
    field.is_bad
        || is_null()
        || (field.lost > 0 && without >= ABSENT_FROM && (meaning::is_latitude(&field.path, topic) || is_measured()))
}

/// Whether it is nothing where nothing means that there is none: the pictures of cameras, a place that is none on land, and
/// air with decimals that were lost in one step.
fn is_dead(field: &Field, all: &Fields, topic: &str) -> bool {
    const FAR: f64 = 10.0;
    const WEATHER: std::ops::RangeInclusive<f64> = 850.0..=1100.0;
    // What tells the humidity, too, is in no pipe.
    let is_of_weather = || {
        WEATHER.contains(&field.greatest)
            && meaning::has_part(meaning::own_name(&field.path, topic), &["pressure"])
            && all.iter().any(|other| meaning::is_humidity(&other.path, topic))
    };
    let is_of_air = meaning::is_of_air(&field.path, topic) || is_of_weather();
    let was_measured =
        || field.decimals > 0 && field.run.changes_before > 3 && !meaning::is_setting(&field.path, topic);
    let has_jumped = || field.run.began_far_off && field.greatest - field.least >= FAR;
    let is_video = |name: &str| meaning::has_part(name, &["bitrate", "video", "rtsp", "camera", "cctv"]);
    let has_pictures = || is_called(&["fps", "framerate"], field.name(topic)) && field.run.changes_before > 3;
    let is_camera = field.name(topic) == "camera_fps" && field.changes > 0
        || has_pictures() && (is_video(topic) || all.iter().any(|other| is_video(&other.path)));
    let is_place = || meaning::is_latitude(&field.path, topic) && field.decimals == 2 && field.run.began_far_off;
    let is_none = || is_camera || is_place() || is_of_air && was_measured() && has_jumped();
    field.last == 0.0 && field.run.length >= ABSENT_FROM && is_none()
}

/// Whether a measurement that comes no more was not left out with what it depends on: a sensor in the air always has a
/// value. Some leave out zeros, and Sparkplug's devices what has not changed.
fn is_lost_for_good(field: &Field, model: &TopicModel, topic: &str) -> bool {
    let is_alone = || model.fields.is_alone(field) && !rest::has_ended(field, topic);
    (meaning::is_of_air(&field.path, topic) || is_alone()) && sparkplug::parts(topic).is_none()
}

/// What falls and jumps back to where it was is told by two.
fn senders(name: &str, field: &Field, (at, from, to): (At, f64, f64)) -> Finding {
    let from = Decimal(from);
    Finding {
        kind: "several_senders",
        severity: Grade::Warning,
        finding: format!(
            "{name} jumped back and forth {}: two senders share the topic",
            count(field.jumps_back.into(), "time")
        ),
        evidence: vec![format!(
            "{} {name} fell from {from} to {}, and then went on from {from}",
            time(at),
            Decimal(to)
        )],
        advice: twins::TWO_SENDERS,
    }
}

/// So many messages without a number that had been in each: some programs leave out a sensor that fails.
const ABSENT_FROM: u32 = 5;

/// Sensors of the DS18B20 kind are in most things that measure a temperature.
fn no_temperature(name: &str, field: &Field, is_hot: bool, found: &mut Vec<Finding>) {
    const SAID: [(f64, &str); 2] = [
        (DISCONNECTED, "a sensor of the DS18B20 kind that does not answer: check its wiring, pull-up and supply"),
        (POWER_ON, "a sensor of the DS18B20 kind that had just lost power: check its wiring, pull-up and supply"),
    ];
    let [disconnected, power_on] = field.no_temperature;
    for ((value, advice), told) in SAID.into_iter().zip([disconnected, power_on.or_else(|| field.stays_at_power_on())])
    {
        let Some((times, at)) = told.filter(|_| value == DISCONNECTED || !is_hot) else { continue };
        found.push(Finding {
            kind: "no_temperature",
            severity: Grade::Warning,
            finding: format!(
                "{name} was {} in {}: sensors tell that without a temperature",
                Decimal(value),
                count(times.into(), "message")
            ),
            evidence: vec![format!("{} {name} = {}", time(at), Decimal(value))],
            advice,
        });
    }
}

/// What may well be -127 and is no temperature.
const NO_DEGREES: &[&str] = &["rssi", "signal", "dbm", "power", "lat", "lon", "lng", "latitude", "longitude", "angle"];

/// Milliseconds in four bytes begin anew behind seven weeks: an uptime that falls from there, less a few hours, goes on.
const WRAPS: std::ops::Range<f64> = 4_280_000_000.0..4_294_967_296.0;

fn counter(name: &str, steps: &Steps, (restarts, wrap): (u32, &str), found: &mut Vec<Finding>) {
    let evidence = || {
        let step = |(at, from, to): (At, f64, f64)| {
            format!("first at {}: {} was followed by {}", time(at), Decimal(from), Decimal(to))
        };
        steps.example.map(step).into_iter().collect::<Vec<_>>()
    };
    let mut push = |kind, finding, advice| {
        found.push(Finding { kind, severity: Grade::Warning, finding, evidence: evidence(), advice });
    };
    // Between the numbers of two senders nothing was left out.
    if steps.missing > 0 && steps.late * 4 < steps.all {
        let finding = format!("{name} left out {}{wrap}: messages were lost", count(steps.missing, "number"));
        push(
            "counter_gap",
            finding,
            "messages got lost on the way: a full queue, QoS 0 over a weak network, or the device dropped them",
        );
    }
    if steps.late > 0 {
        let finding = format!("{name} came out of order {}", count(steps.late.into(), "time"));
        push(
            "counter_backwards",
            finding,
            "messages overtook each other: look for two publishers, or for a resend after a reconnect",
        );
    }
    if steps.repeated > 0 {
        let finding = format!("{name} repeated a number {}", count(steps.repeated.into(), "time"));
        push(
            "counter_repeat",
            finding,
            "the same message was sent again: QoS 1 after a reconnect, or two bridges that forward the same",
        );
    }
    if restarts > 0 {
        let finding = format!("{name} began anew {}: the device probably restarted", count(restarts.into(), "time"));
        push("restarted", finding, "if nobody restarted it, look for its reset reason: power, watchdog, crash");
    }
}

fn nodes(device: &Device, found: &mut Vec<Finding>) {
    for node in &device.nodes {
        // A gateway that numbers the messages of several nodes in one sequence leaves gaps in each.
        if node.steps.ones * 10 >= node.steps.all * 6 {
            counter(
                &format!("seq of Sparkplug node {}", node.name),
                &node.steps,
                (node.steps.resets, " (0 to 255)"),
                found,
            );
        }
        if node.rebirths > 0 {
            found.push(Finding {
                kind: "restarted",
                severity: Grade::Warning,
                finding: format!(
                    "Sparkplug node {} died and was born again {}",
                    node.name,
                    count(node.rebirths.into(), "time")
                ),
                evidence: vec![format!("{} behind an NDEATH", count(node.rebirths.into(), "NBIRTH"))],
                advice: "its connection broke: look for power, network and keep-alive of the edge node",
            });
        }
    }
}

#[cfg(test)]
#[path = "numbers_tests.rs"]
mod tests;
