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
    if let Some(first) = first {
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
/// So does what measures the mains, while as much is drawn from them.
fn slowed(topic: &str, model: &TopicModel) -> Option<(Duration, Duration)> {
    const REST: u32 = 4;
    const LESS: f64 = 4.0;
    let rests = |field: &Field| field.run.length >= REST && field.changes >= REST;
    let is_free = |field: &Field| field.pace.is_free_of_change() && meaning::is_of_surroundings(&field.path, topic);
    let is_of_mains = |field: &Field| field.pace.is_free_of_change() && stuck::is_of_mains(field, topic);
    let any = |is: &dyn Fn(&Field) -> bool| model.fields.iter().any(is);
    let is_at_its_times =
        || (any(&is_free) && !any(&rests)) || (any(&is_of_mains) && !any(&|field| has_fallen(field, topic, LESS)));
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
mod tests {
    use super::super::Message;
    use super::super::findings::{Connection, connection};
    use super::super::names::Name;
    use super::*;

    fn at(tenth: u64) -> At {
        At { elapsed: Duration::from_millis(tenth * 100), unix_ms: tenth * 100 }
    }

    /// A device whose messages came at these tenths of a second.
    fn device(topic: &str, messages: impl IntoIterator<Item = (u64, String)>) -> Device {
        let mut device = Device::new(Name::new("d", false));
        for (tenth, payload) in messages {
            let payload = payload.as_bytes();
            device.record(&Message { at: at(tenth), topic, payload, payload_bytes: payload.len(), retain: false });
        }
        device
    }

    /// What is said of it, and whether it is there.
    fn told(
        topic: &str,
        messages: impl IntoIterator<Item = (u64, String)>,
        end: u64,
    ) -> (Vec<(&'static str, Grade)>, Connection) {
        let (device, mut found) = (device(topic, messages), Vec::new());
        judge(&device, at(end), &mut found);
        (found.iter().map(|finding| (finding.kind, finding.severity)).collect(), connection(&device, at(end)).0)
    }

    fn every(step: u64, number: u64) -> impl Iterator<Item = (u64, String)> {
        (0..number).map(move |n| (n * step, format!("{{\"v\":{}}}", n % 7)))
    }

    #[test]
    fn what_is_listed_as_a_heartbeat_is_what_findings_take_for_one() {
        let listed = |topic: &str, messages: &mut dyn Iterator<Item = (u64, String)>| {
            let device = device(topic, messages);
            heartbeats(&device, at(500).elapsed).map(|(_, rhythm)| rhythm.missed).collect::<Vec<_>>()
        };
        assert_eq!(listed("x/d/code", &mut every(20, 7)), [0; 0]);
        assert_eq!(listed("stat/d/code", &mut every(20, 12)), [0; 0]);
        assert_eq!(listed("x/d/code", &mut every(20, 12)), [0]);
        assert_eq!(listed("x/d/heartbeat", &mut every(20, 20).filter(|(tenth, _)| *tenth != 100)), [1]);
    }

    #[test]
    fn a_few_messages_that_come_evenly_are_no_beat_that_stops() {
        for number in 3..9 {
            assert_eq!(told("x/d/code", every(20, number), 300), (vec![], Connection::Online), "{number}");
        }
        let stopped = (vec![("stopped", Grade::Error)], Connection::Offline);
        assert_eq!(told("x/d/code", every(20, 12), 500), stopped);
        assert_eq!(told("x/d/up", every(600, 7), 9000), stopped, "slow enough");
        assert_eq!(told("x/d/heartbeat", every(20, 5), 240), stopped, "says that it beats");
        let weak = (vec![("stopped", Grade::Warning)], Connection::Unknown);
        assert_eq!(told("x/d/code", every(20, 12), 900), weak, "for a short time");
        assert_eq!(told("x/d/code", every(20, 12), 2000), (vec![], Connection::Online), "for next to none");
    }

    #[test]
    fn two_bursts_and_uneven_or_rare_messages_miss_no_beats() {
        let bursts = || every(20, 5).chain(every(20, 5).map(|(tenth, payload)| (tenth + 300, payload)));
        assert_eq!(told("x/d/code", bursts(), 400).0, []);
        let motion = [0, 300, 600, 900, 2400, 2700, 5100, 5400].map(|tenth| (tenth, "ON".to_owned()));
        assert_eq!(told("x/d/motion", motion, 9000).0, []);
        let scans = [1, 2, 3, 4, 5, 6, 7, 11, 12, 13, 14].map(|scan| (scan * 20, String::new()));
        assert_eq!(told("spBv1.0/g/DDATA/e/d", scans.clone(), 300).0, []);
        assert_eq!(told("x/d/data", scans, 300).0, [("missed_beats", Grade::Warning)]);
        let births = every(50, 30).filter(|(tenth, _)| !(500..700).contains(tenth));
        assert_eq!(told("spBv1.0/g/DBIRTH/e/d", births, 1600).0, []);
    }

    #[test]
    fn a_device_that_falls_silent_is_told_however_unevenly_it_came() {
        let uneven = |value: fn(u64) -> u64| {
            (0..60).map(move |n| (n * 50 + n * n * 7 % 40, format!("{{\"power\":{}}}", value(n))))
        };
        let silent = (vec![("stopped", Grade::Warning)], Connection::Unknown);
        let nothing = (vec![], Connection::Online);
        assert_eq!(told("x/d/data", uneven(|n| 50 + n % 7), 6000), silent);
        assert_eq!(told("x/d/data", uneven(|n| 50 + n % 7).take(17), 3300), silent, "a few");
        assert_eq!(told("x/d/data", uneven(|n| 50 + n % 7), 3300), nothing, "not for long");
        assert_eq!(told("x/d/data", uneven(|n| if n < 58 { 50 + n % 7 } else { 0 }), 6000), nothing, "comes to rest");
        assert_eq!(told("x/d/data", uneven(|_| 50), 6000), nothing, "it may come when something happens");
        let seen = uneven(|n| 50 + n % 7).map(|(at, power)| (at, power.replace('{', "{\"occupancy\":true,")));
        assert_eq!(told("x/d/data", seen, 6000), nothing, "somebody has gone");
        let rises = |at: u64| format!("{}.{}", 20 + at / 1000, at / 100 % 10);
        assert_eq!(told("x/d/temperature", every(100, 30).map(|(at, _)| (at, rises(at))), 6000), nothing, "on change");
        assert_eq!(told("x/d/position", uneven(|n| 50 + n % 7).map(|(at, _)| (at, at.to_string())), 6000), nothing);
    }

    #[test]
    fn a_radar_that_sees_somebody_near_has_not_come_to_rest() {
        let near = |n| if n == 36 { 1 } else { 20 + n * 7919 % 300 };
        let radar = |name: &'static str| {
            (0..37)
                .map(move |n| (n * 100 + n * n * 7 % 90, format!("{{\"{name}\":{}.{}}}", near(n) / 100, near(n) % 100)))
        };
        let of = |name| told("z/d", radar(name), 9000).0;
        assert_eq!((of("distance"), of("power")), (vec![("stopped", Grade::Warning)], vec![]));
    }

    #[test]
    fn a_few_even_messages_of_what_is_measured_are_a_beat() {
        let power = |value: fn(u64) -> u64, number: u64, end: u64| {
            told("x/d", (0..number).map(|n| (n * 20, format!("{{\"power\":{}}}", value(n)))), end).0
        };
        let noise = |n| 50 + n * 5 % 13;
        let stopped = [("stopped", Grade::Error)];
        assert_eq!((power(noise, 7, 300), power(noise, 6, 270)), (stopped.to_vec(), stopped.to_vec()));
        assert_eq!((power(noise, 5, 270), power(noise, 7, 190)), (vec![], vec![]), "too few, not for long");
        let off = |n| if n == 19 { 3 } else { 50 + n * 5 % 13 };
        assert_eq!((power(off, 20, 900), power(off, 19, 900)), (vec![], stopped.to_vec()), "its load went off");
        assert_eq!(power(|n| 50 + n, 7, 300), [], "it may be told when it has changed by so much");
    }

    #[test]
    fn what_says_that_its_work_is_done_has_not_stopped() {
        let phase = |done: &'static str| {
            every(20, 40)
                .map(move |(tenth, _)| (tenth, if tenth < 780 { "wash" } else { done }))
                .map(|(tenth, phase)| (tenth, format!("{{\"phase\":\"{phase}\"}}")))
        };
        assert_eq!(told("x/d/state", phase("done"), 1400), (vec![], Connection::Online));
        assert_eq!(told("x/d/state", phase("wash"), 1400), (vec![("stopped", Grade::Error)], Connection::Offline));
    }

    /// The kinds of what is found in messages that come so many seconds after the one before.
    fn kinds(topic: &str, messages: impl IntoIterator<Item = (u64, String)>, end: u64) -> Vec<&'static str> {
        let mut tenth = 0;
        let at = |(after, payload): (u64, String)| {
            tenth += after * 10;
            (tenth, payload)
        };
        let messages: Vec<_> = messages.into_iter().map(at).collect();
        told(topic, messages, end * 10).0.into_iter().map(|(kind, _)| kind).collect()
    }

    #[test]
    fn what_is_told_while_it_rises_neither_stops_nor_misses_a_beat_when_it_rests() {
        let topic = "home/d/temperature";
        let values = |values: [u32; 9]| values.map(|tenths| (10, format!("{}.{}", tenths / 10, tenths % 10)));
        let rises = || values([192, 194, 196, 198, 201, 202, 204, 206, 208]);
        assert_eq!(kinds(topic, rises(), 300), [""; 0]);
        assert_eq!(kinds(topic, values([192, 194, 191, 196, 193, 197, 195, 198, 192]), 300), ["stopped"], "noise");
        assert_eq!(kinds(topic, values([192, 192, 194, 194, 196, 196, 198, 201, 203]), 300), ["stopped"], "tells all");
        let rests = || rises().into_iter().chain([(90, "20.7".to_owned()), (10, "20.8".to_owned())]);
        assert_eq!(kinds(topic, rests(), 195), [""; 0]);
        let same = values([191; 9]).into_iter().chain(rests());
        assert_eq!(kinds(topic, same, 285), ["missed_beats"]);
    }

    #[test]
    fn what_gateways_hear_over_the_air_is_missed_only_for_long() {
        let heard = |topic: &str, gap: u64| {
            let tag = |n| (if n == 6 { gap } else { 10 }, format!("{{\"tempc\": 21.{n}}}"));
            kinds(topic, (0..12).map(tag), 115 + gap)
        };
        assert_eq!(heard("home/gw/BTtoMQTT/d", 20), [""; 0]);
        assert_eq!(heard("home/gw/BTtoMQTT/d", 60), ["missed_beats"]);
        assert_eq!(heard("ruuvi/gw/d", 40), [""; 0]);
        assert_eq!(heard("d/SYStoMQTT", 20), ["missed_beats"], "the gateway itself");
    }

    #[test]
    fn what_is_switched_off_is_told_less_often_from_then_on() {
        let plug = |rests: bool| {
            let message = |n: u64| {
                let power = if n < 30 || !rests { 1800 + n * 7919 % 13 } else { 0 };
                (if n > 30 { 30 } else { 5 }, format!("{{\"power\": {power}}}"))
            };
            kinds("plugs/d/state", (0..33).map(message), 225)
        };
        assert_eq!((plug(true), plug(false)), (vec![], vec!["missed_beats"]));
    }
}
