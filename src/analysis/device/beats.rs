//! Topics that beat: those that have stopped, and those that skipped beats. A few messages that happen to come evenly
//! are no beat.

use std::time::Duration;

use super::At;
use super::fields::Field;
use super::findings::{Finding, Grade, span};
use super::meaning;
use super::model::{Device, TopicModel};
use super::places::{Place, last_level};
use super::presence::Means;
use super::rest::{has_ended, has_fallen};
use super::timing::Rhythm;
use super::{sparkplug, stuck};
use crate::analysis::words::count;
use crate::clock::Timestamp;

/// The topics that beat.
pub fn heartbeats(device: &Device, end: Duration) -> impl Iterator<Item = (&str, Rhythm)> {
    device.topics().filter(|(topic, model)| may_beat(topic, model)).filter_map(move |(topic, model)| {
        let rhythm = model.timing.rhythm(end).filter(|rhythm| is_beat(topic, model, rhythm))?;
        let missed = if misses(topic, model, &rhythm) { rhythm.missed } else { 0 };
        Some((topic, Rhythm { missed, ..rhythm }))
    })
}

/// All that beats has stopped.
pub(super) struct Stop {
    /// A sentence of it.
    pub(super) told: String,
    /// Whether it went on for long enough to say that the device is gone.
    pub(super) is_sure: bool,
}

/// When the topics that beat have all stopped.
pub(super) fn stopped(device: &Device, end: Duration) -> Option<Stop> {
    let mut longest: Option<(&str, Rhythm, Duration)> = None;
    for (topic, model) in device.topics().filter(|(topic, model)| may_beat(topic, model)) {
        let Some(rhythm) = model.timing.rhythm(end).filter(|rhythm| rhythm.is_regular) else { continue };
        let silent = rhythm.silent?;
        if has_stopped(device, topic, model, &rhythm) == Some(silent)
            && longest.as_ref().is_none_or(|(_, other, _)| other.median > rhythm.median)
        {
            longest = Some((topic, rhythm, silent));
        }
    }
    let (topic, rhythm, silent) = longest?;
    // Something else may still come.
    let since = end.saturating_sub(device.last_told?.elapsed);
    let told = || format!("{topic} came every {} and stopped {} before the end", span(rhythm.median), span(silent));
    (since * 3 >= silent).then(|| Stop { told: told(), is_sure: went_on_long(&rhythm, silent) })
}

/// When nothing comes of a device any more whose messages came often, on whatever topics and however unevenly.
pub(super) fn silent(device: &Device, end: At) -> Option<Stop> {
    let (silent, longest) = device.pulse.silence(end.elapsed)?;
    let last = end.elapsed.saturating_sub(silent);
    let may_rest = |(topic, model): (&str, &TopicModel)| {
        model.rest.is_of_events || model.fields.iter().any(|field| has_ended(field, topic))
    };
    let measures = device
        .topics()
        .filter(|(topic, model)| !tells_changes(topic, model, |_| true))
        .any(|(topic, model)| model.fields.iter().any(|field| moves_by_itself(field, topic)));
    // What sleeps or is gone says so.
    let is_there = device.presences.of_whole().all(|presence| presence.means == Means::Online);
    (measures && is_there && !device.topics().any(may_rest) && !device.rests(last.saturating_sub(longest))).then(|| {
        Stop {
            told: format!(
                "the device is silent since {}: nothing for {}, and never before for more than {}",
                clock_time(last, end),
                span(silent),
                span(longest)
            ),
            is_sure: false,
        }
    })
}

/// Whether a number changes with most messages, and is none that somebody sets or that tells where something is.
fn moves_by_itself(field: &Field, topic: &str) -> bool {
    const OFTEN: u32 = 4;
    let is_other = || meaning::is_setting(&field.path, topic) || meaning::is_place(&field.path, topic);
    field.seen >= OFTEN && field.changes * 2 >= field.seen && !is_other()
}

/// Adds one finding of each kind, since most often all topics stop and skip together.
pub(super) fn judge(device: &Device, end: At, found: &mut Vec<Finding>) {
    let (mut stopped, mut skipped, mut slower) = (Vec::new(), Vec::new(), Vec::new());
    let (mut missed, mut first, mut first_stopped, mut grade) = (0, None, None, Grade::Warning);
    // One message that got lost on the way is no stall, unless another topic was silent at that time.
    let (mut gaps, mut is_stall): (Vec<(Duration, Duration)>, _) = (Vec::new(), false);
    // A status that changes is told elsewhere.
    let changes = |topic: &str| device.presences.iter().any(|other| *other.topic == *topic && other.change_count > 0);
    for (topic, model) in device.topics().filter(|(topic, model)| may_beat(topic, model) && !changes(topic)) {
        let Some(rhythm) = model.timing.rhythm(end.elapsed) else { continue };
        let goes_on = |after: Duration| rhythm.silent.is_none_or(|silent| silent < after * 3);
        if let Some((before, after)) = slowed(topic, model).filter(|(_, after)| goes_on(*after)) {
            slower.push(format!("{topic} came every {}, and then every {}", span(before), span(after)));
            continue;
        }
        if !is_beat(topic, model, &rhythm) {
            continue;
        }
        let every = span(rhythm.median);
        if let Some((gap, at)) = rhythm.gap.filter(|_| misses(topic, model, &rhythm)) {
            missed += rhythm.missed;
            is_stall |= rhythm.missed > 1
                || is_beat_by_name(topic)
                || arrives_evenly(&rhythm)
                || gaps.iter().any(|(other, from)| *from < at + gap && at < *from + *other);
            gaps.push((gap, at));
            first.get_or_insert_with(|| format!("{topic} comes every {every}, but beats were missed"));
            let times = count(rhythm.missed.into(), "beat");
            skipped.push(format!("{topic} missed {times}; nothing for {} from {}", span(gap), clock_time(at, end)));
        }
        if let Some(silent) = has_stopped(device, topic, model, &rhythm) {
            let last = clock_time(model.last.elapsed, end);
            if went_on_long(&rhythm, silent) {
                grade = Grade::Error;
            }
            first_stopped.get_or_insert(topic);
            stopped.push(format!(
                "{topic} came every {every}; the last one came at {last}, {} before the end",
                span(silent)
            ));
        }
    }
    if let Some(first) = slower.first() {
        found.push(Finding {
            kind: "slower_beat",
            severity: Grade::Warning,
            finding: first.clone(),
            evidence: few(slower),
            advice: "somebody set another interval, or the device is too busy or saves power",
        });
    }
    if let Some(first) = first.filter(|_| is_stall) {
        found.push(Finding {
            kind: "missed_beats",
            severity: Grade::Warning,
            finding: if skipped.len() == 1 {
                first
            } else {
                format!("{} topics missed {}", skipped.len(), count(missed.into(), "beat"))
            },
            evidence: few(skipped),
            advice: "the device or its network stalled: compare with other devices at that time",
        });
    }
    found.extend(match first_stopped {
        Some(topic) => Some(stop(topic, stopped, grade)),
        None => silent(device, end).map(|stop| silence(device, stop)),
    });
}

/// All topics that have stopped, of which `topic` is the first.
fn stop(topic: &str, stopped: Vec<String>, severity: Grade) -> Finding {
    Finding {
        kind: "stopped",
        severity,
        finding: match stopped.len() {
            1 => format!("{topic} came regularly and has stopped"),
            topics => format!("{topics} topics came regularly and have stopped"),
        },
        evidence: few(stopped),
        advice: "check whether the device still runs, and whether only these topics are concerned",
    }
}

fn silence(device: &Device, silent: Stop) -> Finding {
    Finding {
        kind: "stopped",
        severity: Grade::Warning,
        finding: silent.told,
        evidence: vec![format!("{} before that", count(device.live, "message"))],
        advice: "if it tells only what changes, nothing may have changed; otherwise check whether it still runs",
    }
}

/// What the clock showed at a time of the recording that ends at `end`.
fn clock_time(at: Duration, end: At) -> Timestamp {
    Timestamp(end.unix_ms.saturating_sub(end.elapsed.saturating_sub(at).as_millis() as u64))
}

/// Whether enough messages came, evenly enough, that it is hardly chance or a burst; fewer will do for what tells of
/// itself that it comes at its times.
fn is_beat(topic: &str, model: &TopicModel, rhythm: &Rhythm) -> bool {
    const MANY: u32 = 16;
    const SOME: u32 = 8;
    const FEW: u32 = 6;
    const FEWEST: u32 = 5;
    const SLOW: Duration = Duration::from_secs(30);
    // The fewer they are, the less it may be chance. What Sparkplug sends when it changes comes at multiples of a scan.
    let is_even = rhythm.jitter * MANY * 10 <= rhythm.median * rhythm.beats && sparkplug::parts(topic).is_none();
    let few_will_do = || (rhythm.beats >= FEW && rhythm.median >= SLOW) || (is_even && measures(topic, model));
    let is_enough = rhythm.beats >= MANY
        || (rhythm.beats >= SOME && is_even)
        || (rhythm.beats >= FEWEST && rhythm.missed == 0 && few_will_do());
    // Between two bursts there is nothing for most of the time.
    let is_most = rhythm.skips || rhythm.missed * 2 <= rhythm.beats;
    rhythm.is_regular && ((is_enough && is_most) || beats_by_itself(topic, model))
}

/// Whether it measures something that goes up and down with nearly every message: what is told when it has changed by so
/// much goes one way for a while.
fn measures(topic: &str, model: &TopicModel) -> bool {
    let is_measured = |field: &Field| !field.is_whole || meaning::is_measurement(&field.path, topic);
    let has_noise = |field: &Field| field.rises.min(field.falls) > 0 && moves_by_itself(field, topic);
    !tells_changes(topic, model, |_| true) && model.fields.iter().any(|field| has_noise(field) && is_measured(field))
}

/// Whether a topic with a gap in its beat should have sent something then.
fn misses(topic: &str, model: &TopicModel, rhythm: &Rhythm) -> bool {
    const SELDOM: u32 = 5;
    let is_told = !rhythm.skips || never_skips(topic, model);
    // What came to rest is told less often from then on.
    let rests = |field: &Field| {
        let before = field.seen - field.run.length;
        let moved = field.changes >= 4 && field.changes * 3 >= before * 2;
        moved && field.run.length >= 2 && field.run.began.elapsed <= rhythm.gaps_from
    };
    is_told
        && !is_unheard(topic, rhythm)
        && !model.fields.iter().any(rests)
        && !tells_changes(topic, model, |field| field.seen >= SELDOM)
}

/// Whether a topic has what a gateway hears over the air, not all of which arrives, and no more was missed than that.
fn is_unheard(topic: &str, rhythm: &Rhythm) -> bool {
    const UNHEARD: u32 = 5;
    let is_of_air = |level: &str| level.ends_with("toMQTT") && level != "SYStoMQTT";
    let is_short = rhythm.gap.is_some_and(|(gap, _)| gap < rhythm.median * UNHEARD);
    is_short && (topic.starts_with("rtl_433/") || topic.starts_with("ruuvi/") || topic.split('/').any(is_of_air))
}

/// Whether messages came so much at their times that they hardly come over a link that loses any now and then.
fn arrives_evenly(rhythm: &Rhythm) -> bool {
    const OFTEN: u32 = 20;
    rhythm.beats >= OFTEN && rhythm.jitter * 100 <= rhythm.median
}

/// For how long a beat has stopped, if it went on for a good part of that time, and nothing says that the work is done.
fn has_stopped(device: &Device, topic: &str, model: &TopicModel, rhythm: &Rhythm) -> Option<Duration> {
    const SHARE: u32 = 5;
    const BEATS: u32 = 30;
    let has_gone_on = |silent: &Duration| rhythm.lasted * SHARE >= *silent;
    // The fewer came, the more must be missing.
    let is_long = |silent: &Duration| *silent * rhythm.beats >= rhythm.median * BEATS || beats_by_itself(topic, model);
    let last = model.last.elapsed.saturating_sub(rhythm.median * 2);
    // What is told when it changes comes no more when a load has gone off.
    let is_off = |field: &Field| field.run.began_far_off && field.run.length <= 2 && has_fallen(field, topic, 4.0);
    let is_over = || device.rests(last) || model.fields.iter().any(is_off);
    let silent = rhythm.silent.filter(|_| is_beat(topic, model, rhythm))?;
    Some(silent).filter(has_gone_on).filter(is_long).filter(|_| !is_over())
}

/// Whether a beat went on for so long that its silence means more than that of a burst.
fn went_on_long(rhythm: &Rhythm, silent: Duration) -> bool {
    rhythm.lasted * 2 >= silent
}

/// Whether a topic says that it beats, or tells how the device itself is: it does not come when something happens, unless
/// it is where it moves.
fn beats_by_itself(topic: &str, model: &TopicModel) -> bool {
    let any = |is: fn(&str, &str) -> bool| model.fields.iter().any(|field| is(&field.path, topic));
    is_beat_by_name(topic) || (any(meaning::is_uptime) && !any(meaning::is_place))
}

/// From which beat to which a topic slowed down, if it is one that does not come when something happens. What measures
/// its surroundings, and has nothing beside it that has come to rest, comes no more often for anything that the device does.
/// So does what measures the mains, while as much is drawn from them, and what tells several values that all go on to
/// move, or one alone with noise in it.
fn slowed(topic: &str, model: &TopicModel) -> Option<(Duration, Duration)> {
    const REST: u32 = 4;
    const LESS: f64 = 4.0;
    const MANY: usize = 3;
    const WHOLE: f64 = 100.0;
    let rests = |field: &Field| field.run.length >= REST && field.changes >= REST;
    let is_free = |field: &Field| field.pace.is_free_of_change() && meaning::is_of_surroundings(&field.path, topic);
    let is_of_mains = |field: &Field| field.pace.is_free_of_change() && stuck::is_of_mains(field, topic);
    let any = |is: &dyn Fn(&Field) -> bool| model.fields.iter().any(is);
    let has_less = || any(&|field| has_fallen(field, topic, LESS));
    let is_less = |field: &Field| field.greatest > field.last.abs() * LESS;
    let moves = |field: &&Field| field.pace.is_free_of_change() && moves_by_itself(field, topic);
    // Nothing else can have made a message come, and this has noise in it.
    let is_alone = |field: &Field| {
        model.fields.all.len() == 1
            && moves(&field)
            && field.rises.min(field.falls) > 0
            && (field.decimals > 0 || field.least >= WHOLE)
    };
    let is_at_its_times = || {
        (any(&is_free) && !any(&rests))
            || (any(&is_of_mains) && !has_less())
            || ((model.fields.iter().filter(moves).count() >= MANY || any(&is_alone)) && !any(&rests) && !any(&is_less))
    };
    let slowed = model.timing.slowed(false).filter(|_| beats_by_itself(topic, model));
    slowed.or_else(|| model.timing.slowed(true).filter(|_| is_at_its_times()))
}

/// Whether a topic leaves out no beat on purpose, though many are missing.
fn never_skips(topic: &str, model: &TopicModel) -> bool {
    let moves = |field: &Field| field.changes > 0 && meaning::is_of_surroundings(&field.path, topic);
    is_beat_by_name(topic) || (model.timing.was_even() && model.fields.iter().any(moves))
}

/// Tasmota's stat/ has answers to commands and buttons, and what is told when it has changed comes when it changes, however
/// evenly they come. A birth comes when a Sparkplug node connects.
fn may_beat(topic: &str, model: &TopicModel) -> bool {
    const OFTEN: u32 = 12;
    const SELDOM: u32 = 7;
    let is_birth = || sparkplug::parts(topic).is_some_and(|parts| parts.kind.ends_with("BIRTH"));
    // It comes with each look at the sensor while it rises or falls, and goes one way then.
    let goes_one_way = |field: &Field| field.rises.min(field.falls) * 6 <= field.changes;
    let is_often = |field: &Field| field.seen >= if goes_one_way(field) { SELDOM } else { OFTEN };
    model.place == Place::State && !topic.starts_with("stat/") && !is_birth() && !tells_changes(topic, model, is_often)
}

/// Whether a topic with nothing but a coarse temperature or humidity that was told so often never told the same twice:
/// most likely it is told only when it has changed, and rests with the room.
fn tells_changes(topic: &str, model: &TopicModel, is_often: impl Fn(&Field) -> bool) -> bool {
    let is_slow = |field: &Field| {
        let is_named = meaning::is_temperature(&field.path, topic) || meaning::is_humidity(&field.path, topic);
        field.path.is_empty() && field.decimals < 2 && is_often(field) && is_named
    };
    model.timing.tells_news() && model.fields.iter().any(is_slow)
}

/// Whether a topic says of itself that it beats.
fn is_beat_by_name(topic: &str) -> bool {
    let last = last_level(topic).to_ascii_lowercase();
    ["beat", "alive", "ping", "tick", "watchdog"].iter().any(|word| last.contains(word))
}

/// The first of many, and how many more there are.
fn few(mut evidence: Vec<String>) -> Vec<String> {
    let more = evidence.len().saturating_sub(EVIDENCE_MAX);
    evidence.truncate(EVIDENCE_MAX);
    if more > 0 {
        evidence.push(format!("and {more} more"));
    }
    evidence
}

/// Pieces of evidence for one finding.
const EVIDENCE_MAX: usize = 4;

#[cfg(test)]
#[path = "beats_tests.rs"]
mod tests;
