//! Values that stand still while what they measure does not.

use std::time::Duration;

use super::fields::{DISCONNECTED, Field, Fields, Run, decimals};
use super::findings::{Finding, Grade, time};
use super::model::{Device, TopicModel};
use super::numbers::of_topic;
use super::{At, impossible, meaning, totals};
use crate::analysis::decimal::Decimal;
use crate::limits::{NEVER_MOVED_FOR, NEVER_MOVED_MESSAGES};

/// Adds the values of a topic that moved and do no more, or never did.
pub(super) fn judge(device: &Device, topic: &str, model: &TopicModel, found: &mut Vec<Finding>) {
    // As many pictures in a second as are asked for may come for a while.
    let is_rate = |field: &Field| meaning::has_part(field.name(topic), &["fps"]);
    let freezes =
        |field: &&Field| !field.is_counter(topic) && !meaning::is_setting(&field.path, topic) && !is_rate(field);
    let frozen: Vec<(&Field, Run)> = model
        .fields
        .iter()
        .filter(freezes)
        .filter_map(|field| {
            let frozen = field.frozen(meaning::is_gas(&field.path, topic), fineness(field, topic));
            let may_rest = |run: &Run| {
                is_standby(field, run, topic)
                    || is_new_state(field, run, topic, &model.fields)
                    || is_held(field, run, topic)
            };
            let is_stuck = |run: &Run| is_told_anyway(field, model) && !may_rest(run) && !stands_for_none(field, topic);
            let frozen = frozen.filter(is_stuck);
            let frozen = frozen.or_else(|| stands(device, field, (topic, model)));
            let frozen = frozen.or_else(|| totals::stands(device, field, (topic, model)));
            Some((field, frozen.or_else(|| hangs(field, topic))?))
        })
        .collect();
    if let Some((longest, run)) = frozen.iter().max_by_key(|(_, run)| run.length) {
        let names: Vec<_> = frozen.iter().map(|(field, _)| of_topic(topic, &field.path)).collect();
        let value =
            |(_, run): &(&Field, Run)| format!("{} {} times from {}", Decimal(run.value), run.length, time(run.began));
        found.push(Finding {
            kind: "stuck_value",
            severity: Grade::Warning,
            finding: format!("{} moved before and then was the same in {} messages", names.join(", "), run.length),
            evidence: frozen.iter().map(value).collect(),
            advice: match is_sign_of_life(longest, topic) {
                true => "the controller may have stopped while its gateway goes on to send what it said last: look at the controller",
                false if longest.falls == 0 => "what it adds up goes on beside it: look at the meter, differences over that time are wrong",
                false => "the sensor may hang while the device goes on to send its last value: change what it measures and look again",
            },
        });
        return;
    }
    let is_restless = |field: &&Field| {
        meaning::is_restless(&field.path, topic) && field.never_moved(model.last) && !may_rest(field, topic, model)
    };
    let is_stuck = |field: &&Field| {
        // Beside what is told anew only when much has changed, one that did not may be of the same kind.
        is_restless(field) && some_move(device, is_told_anew)
            || is_mains(field, topic, model) && others_move(device)
            || is_gas(field, topic, model)
    };
    let told = |field| never_moved(field, topic, ", while other values moved", found);
    model.fields.iter().filter(is_stuck).for_each(told);
    // Three that are fine and all stand still are not in a quiet room.
    let still = || model.fields.iter().filter(is_restless);
    let for_long = |field: &Field| stood_for(field, model) >= ALL_STILL_FOR;
    let moves = |field: &Field| field.changes > 0 && meaning::is_restless(&field.path, topic);
    let are_all = || still().all(for_long) && !model.fields.iter().any(moves) && !others_move(device);
    if still().count() >= ALL_STILL && are_all() {
        still().take(1).for_each(|field| never_moved(field, topic, ", as were all others beside it", found));
    }
}

/// Whether it is told for what it is: what stands for no value stands still.
fn stands_for_none(field: &Field, topic: &str) -> bool {
    let mut told = Vec::new();
    impossible::judge("", field, topic, &mut told);
    field.last == DISCONNECTED || !told.is_empty()
}

/// How many decimals a value has at least, however round it is: as many as others of what is measured around, and one
/// where whole watts are as fine.
fn fineness(field: &Field, topic: &str) -> u8 {
    match field.is_whole {
        true => is_fine_power(field, topic).into(),
        false if field.has_small_steps() && meaning::is_of_surroundings(&field.path, topic) => field.decimals,
        false => 0,
    }
}

/// Whether it is a power in so many whole watts that they have its noise in them.
fn is_fine_power(field: &Field, topic: &str) -> bool {
    const MANY: f64 = 100.0;
    const NOISE: f64 = 10.0;
    let is_named = || meaning::has_part(meaning::own_name(&field.path, topic), &["power", "apower"]);
    field.is_whole && field.least >= MANY && field.greatest - field.least >= NOISE && is_named()
}

/// Whether a value may well stay where it is, other than what a sensor measures around it: it went there by a step far
/// greater than those before, as when a load goes on at another power, or it is a whole number, as a speed that has settled,
/// or the words beside it are others since.
fn is_new_state(field: &Field, run: &Run, topic: &str, all: &Fields) -> bool {
    let has_turned = || run.length == field.run.length && all.turned_with(field);
    (run.began_far_off || (field.is_whole && !is_fine_power(field, topic)) || has_turned())
        && !meaning::is_of_surroundings(&field.path, topic)
}

/// Whether it is a direct voltage at an end of where it was, as one that a charger holds, or that a battery gives when
/// the sun is down, or a power in whole watts that is at its limit or idle: a sensor that hangs stops anywhere.
fn is_held(field: &Field, run: &Run, topic: &str) -> bool {
    const DIRECT: f64 = 90.0;
    const NEAR_SHARE: f64 = 0.1;
    let near = (field.greatest - field.least) * NEAR_SHARE;
    let is_direct =
        || field.greatest < DIRECT && meaning::has_part(meaning::own_name(&field.path, topic), &["voltage"]);
    (field.greatest - run.value <= near || run.value - field.least <= near)
        && (is_direct() || is_fine_power(field, topic))
}

/// The time until the end in which a fine measurement with noise in it, which had moved both ways with nearly every
/// message, was always the same. Some sensors tell a value anew only when it is far from the one before: what moves by
/// small steps, or tells the same again though it has nothing else to tell, is none of those. Otherwise something beside
/// it must go on to move so.
fn stands(device: &Device, field: &Field, (topic, model): (&str, &TopicModel)) -> Option<Run> {
    const FEWEST: u32 = 15;
    const TIMES: u32 = 5;
    const LONG: Duration = Duration::from_secs(60);
    let run = field.run;
    let before = field.seen - run.length;
    let moved = run.changes_before >= 3 && run.changes_before * 3 >= before * 2 && field.rises > 0 && field.falls > 0;
    let is_long = run.length >= FEWEST.max(TIMES * field.longest.length) && stood_for(field, model) >= LONG;
    let has_noise = || run.changes_before > 3 && (field.path.is_empty() || field.has_small_steps());
    let is_lonely = || {
        run.length >= NEVER_MOVED_MESSAGES
            && meaning::is_restless(&field.path, topic)
            && some_move(device, is_told_anew)
    };
    let is_stuck = || is_of_amount(field, topic) && !rests(run.value) && (has_noise() || is_lonely());
    (field.decimals == 2 && moved && is_long && is_stuck()).then_some(run)
}

/// Since when a sign of life stands that had gone on with each message: a gateway may go on to send what a controller that
/// has stopped said last.
fn hangs(field: &Field, topic: &str) -> Option<Run> {
    const LONG: u32 = 10;
    let run = field.run;
    // The time since it started goes on whatever a device does.
    let least = if meaning::is_uptime(&field.path, topic) { LONG / 2 } else { LONG };
    let went_on = run.changes_before >= least && run.changes_before + run.length == field.seen;
    (went_on && run.length >= LONG && is_sign_of_life(field, topic)).then_some(run)
}

fn is_sign_of_life(field: &Field, topic: &str) -> bool {
    meaning::is_uptime(&field.path, topic)
        || meaning::has_part(field.name(topic), &["heartbeat", "watchdog", "lifebit", "life_bit", "lifesign", "alive"])
}

/// Whether it stands far below what it was, as the current of a television that is on standby, and not near it, as the
/// last value of a sensor that hangs.
fn is_standby(field: &Field, run: &Run, topic: &str) -> bool {
    const FAR_BELOW: f64 = 4.0;
    let greatest = field.greatest.abs().max(field.least.abs());
    let is_stored = meaning::has_part(meaning::own_name(&field.path, topic), STORED);
    run.value.abs() * FAR_BELOW < greatest && !meaning::is_temperature(&field.path, topic) && !is_stored
}

/// Whether its topic surely goes on when it has not moved: at its times, or with something that moves by small steps. Some
/// sensors tell a value anew only when it is far from the one before.
fn is_told_anyway(field: &Field, model: &TopicModel) -> bool {
    let is_regular = || model.timing.rhythm(model.last.elapsed).is_some_and(|rhythm| rhythm.is_regular);
    field.decimals < 2 || field.has_small_steps() || is_regular()
}

/// Whether it is measured anew each time, and neither set nor switched off.
fn is_of_amount(field: &Field, topic: &str) -> bool {
    meaning::is_restless(&field.path, topic) || meaning::has_part(meaning::own_name(&field.path, topic), STORED)
}

/// How much is in a tank, and how that is measured.
const STORED: &[&str] = &["level", "height", "depth", "distance"];

/// Values at which things are switched off, closed or full.
fn rests(value: f64) -> bool {
    matches!(value, 0.0 | 1.0 | 100.0 | 255.0)
}

/// So many values of one topic …
const ALL_STILL: usize = 3;
/// … that stand still for so long.
const ALL_STILL_FOR: Duration = Duration::from_secs(240);

fn never_moved(field: &Field, topic: &str, beside: &str, found: &mut Vec<Finding>) {
    found.push(Finding {
        kind: "stuck_value",
        severity: Grade::Info,
        finding: format!(
            "{} was {} in all of {} messages{beside}",
            of_topic(topic, &field.path),
            Decimal(field.last),
            field.seen
        ),
        evidence: vec![format!("{} times {}", field.seen, Decimal(field.last))],
        advice: "may be true for a slow value; if not, the sensor hangs: change what it measures and look again",
    });
}

/// Whether it is the temperature of the air in a room or outside, which rests for minutes where it has one decimal.
fn may_rest(field: &Field, topic: &str, model: &TopicModel) -> bool {
    const AIR: &[&str] = &["outdoor", "outside", "aussen", "ambient"];
    const HEATED: &[&str] = &["room", "indoor", "currtemp", "local_temp"];
    let name = meaning::own_name(&field.path, topic);
    let moves = |other: &Field| other.changes > 0 && meaning::is_humidity(&other.path, topic);
    let is_heated = meaning::has_part(name, HEATED);
    let is_of_air = || is_heated || meaning::has_part(name, AIR) || model.fields.iter().any(moves);
    field.decimals < 2
        && stood_for(field, model) < if is_heated { HEATED_RESTS_FOR } else { AIR_RESTS_FOR }
        && meaning::is_temperature(&field.path, topic)
        && is_of_air()
}

const AIR_RESTS_FOR: Duration = Duration::from_secs(480);
/// A room that a thermostat keeps as it is.
const HEATED_RESTS_FOR: Duration = Duration::from_secs(900);

fn stood_for(field: &Field, model: &TopicModel) -> Duration {
    model.last.elapsed.saturating_sub(field.run.began.elapsed)
}

/// Whether it is the voltage of the mains with two decimals, which always moves, and did not.
fn is_mains(field: &Field, topic: &str, model: &TopicModel) -> bool {
    field.changes == 0
        && field.seen >= NEVER_MOVED_MESSAGES
        && field.decimals == 2
        && stood_for(field, model) >= NEVER_MOVED_FOR
        && is_of_mains(field, topic)
}

/// Whether it is the voltage of the mains.
pub(super) fn is_of_mains(field: &Field, topic: &str) -> bool {
    MAINS.iter().any(|mains| mains.contains(&field.last)) && meaning::is_voltage(&field.path, topic)
}

/// Whether it is a gas in a room that did not move while others in the same messages did, each of which has its number
/// and so was measured anew.
fn is_gas(field: &Field, topic: &str, model: &TopicModel) -> bool {
    let moves = |other: &Field| other.seen >= field.seen && other.changes * 2 >= other.seen;
    field.changes == 0
        && field.seen >= GAS_MESSAGES
        && is_live_gas(field.last)
        && stood_for(field, model) >= GAS_FOR
        && meaning::is_gas(&field.path, topic)
        && model.fields.iter().any(|other| other.is_counter(topic))
        && model.fields.iter().any(|other| moves(other) && meaning::is_restless(&other.path, topic))
}

const MAINS: [std::ops::RangeInclusive<f64>; 2] = [95.0..=135.0, 205.0..=265.0];
/// A gas in a room is told in whole parts per million, and not the same in so many messages …
const GAS_MESSAGES: u32 = 15;
/// … and for so long.
const GAS_FOR: Duration = Duration::from_secs(480);

/// What is neither the least that some know, as of air outside, nor round, as where they end.
fn is_live_gas(ppm: f64) -> bool {
    ppm > 420.0 && ppm % 50.0 != 0.0
}

/// Whether some other measurement of the device moves with nearly every message.
fn others_move(device: &Device) -> bool {
    some_move(device, |_, _| true)
}

/// Whether it is surely told with each message, and not only when much has changed, as sensors of rooms may do.
fn is_told_anew(topic: &str, field: &Field) -> bool {
    field.has_small_steps() || !meaning::is_restless(&field.path, topic)
}

fn some_move(device: &Device, is: fn(&str, &Field) -> bool) -> bool {
    let moves = |topic: &str, field: &Field| {
        !field.is_counter(topic)
            && field.seen >= NEVER_MOVED_MESSAGES
            && field.changes * 2 >= field.seen
            && is(topic, field)
            && meaning::is_measurement(&field.path, topic)
    };
    device.topics().any(|(topic, model)| model.fields.iter().any(|field| moves(topic, field)))
}

impl Field {
    /// The time in which a value that had moved was always the same, if that is too long to be chance. A gas has noise in
    /// its whole numbers.
    pub fn frozen(&self, is_gas: bool, fineness: u8) -> Option<Run> {
        let (longest, second) = match self.run.length > self.longest.length {
            true => (self.run, self.longest.length),
            false => (self.longest, self.second.max(self.run.length)),
        };
        // What only grows, as a total does, may rest.
        let moves_both_ways = self.rises.min(self.falls) > self.rises.max(self.falls) / 12;
        // The finer the value, the less often it is the same by chance.
        let (moved, least, times, step) = match decimals(longest.value).max(fineness) {
            0 if is_gas && is_live_gas(longest.value) && self.rises > 2 && self.falls > 2 => (8, 12, 8, 1.0),
            0 => (15, 20, 8, 1.0),
            // What has stood for a while before is quiet, and may settle.
            1 if second >= 8 => (8, 12, 10, 0.1),
            1 => (8, 12, 5, 0.1),
            _ if second >= 4 => (4, 10, 8, 0.01),
            _ => (4, 10, 4, 0.01),
        };
        let is_fine = self.greatest - self.least >= 5.0 * step;
        let is_long = longest.length >= least && longest.length >= times * second.max(1);
        (!rests(longest.value) && moves_both_ways && is_fine && is_long && longest.changes_before >= moved)
            .then_some(longest)
    }

    /// Whether it is fine enough to move and never did, until `end`.
    pub fn never_moved(&self, end: At) -> bool {
        // The greatest number of two bytes stands for none.
        if [327.67, 327.68, 3276.7, 3276.8].contains(&self.last.abs()) {
            return false;
        }
        let (messages, time) = match decimals(self.last) {
            0 => return false,
            1 => (NEVER_MOVED_MESSAGES * 3 / 2, NEVER_MOVED_FOR),
            _ => (NEVER_MOVED_MESSAGES, Duration::ZERO),
        };
        self.changes == 0 && self.seen >= messages && end.elapsed.saturating_sub(self.run.began.elapsed) >= time
    }
}

#[cfg(test)]
#[path = "stuck_tests.rs"]
mod tests;
