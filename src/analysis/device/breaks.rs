//! Numbers that break with what they were: in another unit, begun anew though they are totals, or no numbers any more.

use std::time::Duration;

use super::At;
use super::fields::{Field, decimals};
use super::findings::{Finding, Grade, time};
use super::places::last_level;
use super::{impossible, meaning};
use crate::analysis::decimal::Decimal;
use crate::analysis::words::count;

/// What a number did that breaks with its past.
#[derive(Clone, Copy, Default)]
pub struct Breaks {
    as_text: Option<AsText>,
    /// Objects, words or truth values since the last number, when the first of them came, and whether all are objects.
    others: Option<(u32, At, bool)>,
    shift: Option<Shift>,
    /// When it fell, for the first time and by far more than it had grown.
    back: Option<(At, f64, f64)>,
}

/// Values that came as text.
#[derive(Clone, Copy)]
struct AsText {
    count: u32,
    /// Values before the first of them …
    before: u32,
    /// … and all of them until the latest.
    until: u32,
    /// The latest.
    at: At,
}

/// A step as the change of a unit makes it.
#[derive(Clone, Copy)]
struct Shift {
    at: At,
    from: f64,
    to: f64,
    /// Values that stayed there.
    after: u32,
    /// Whether it has as many more decimals, or fewer, as a prefix of its unit makes.
    has_moved_point: bool,
}

impl Shift {
    /// Whether a value is where it went, and not on the way back; a load may go on to change a lot.
    fn lasts(&self, value: f64) -> bool {
        const FAR: f64 = 20.0;
        let is_far = match self.to < self.from {
            true => value * FAR <= self.from,
            false => self.from * FAR <= value,
        };
        self.has_moved_point && is_far || (value - self.to).abs() * 4.0 <= (self.to - self.from).abs()
    }
}

/// So many values on each side of a step tell two levels from a spike.
const ENOUGH: u32 = 5;
/// Nothing is heated from one scale to the other so fast.
const FAST: Duration = Duration::from_secs(60);
/// A step of a temperature that warmth alone does not make.
const FAR: f64 = 20.0;
/// What differs by so much, and no less, is hardly chance: minutes and hours, bar and psi, hPa and Pa, bar and mbar.
const FACTORS: [f64; 4] = [60.0, 14.5038, 100.0, 1000.0];
/// The noise from one value to the next, as a share …
const NOISE: f64 = 0.03;
/// … that of a load …
const NOISE_OF_LOADS: f64 = 0.5;
/// … and the growth of a total.
const GROWTH: f64 = 0.005;
/// A total that is corrected falls by less than so many times what it grew …
const GROWTHS: f64 = 4.0;
/// … and where it grew but a few times, by less than so many.
const GROWTHS_OF_FEW: f64 = 100.0;
/// With fewer values nobody knows how a member is usually written.
const ENOUGH_TO_COMPARE: u32 = 8;

impl Breaks {
    /// Takes note that the latest of `seen` values came as text.
    pub(super) fn note_text(&mut self, at: At, seen: u32) {
        let texts = self.as_text.get_or_insert(AsText { count: 0, before: seen - 1, until: seen, at });
        (texts.count, texts.until, texts.at) = (texts.count + 1, seen, at);
    }

    /// Takes note of what is no number, in whatever form.
    pub(super) fn note_other(&mut self, at: At, is_object: bool) {
        let (others, _, are_objects) = self.others.get_or_insert((0, at, true));
        (*others, *are_objects) = (*others + 1, *are_objects && is_object);
    }

    /// Takes the value that follows those of a field, which has counted it.
    pub(super) fn note(&mut self, at: At, value: f64, field: &Field) {
        let (from, spread) = (field.last, field.greatest - field.least);
        self.others = None;
        let times = if field.rises < ENOUGH { GROWTHS_OF_FEW } else { GROWTHS };
        if field.falls == 0 && field.rises > 1 && from - value > spread * times {
            self.back = Some((at, from, value));
        }
        match &mut self.shift {
            Some(shift) if shift.lasts(value) => {
                shift.after += 1;
                shift.has_moved_point &= (decimals(value) == 2) == (shift.to < shift.from);
            }
            Some(shift) if shift.after < ENOUGH => self.shift = None,
            Some(_) => {}
            None if field.seen > ENOUGH && is_conversion(from, value, field) => {
                let [before, now] = [field.decimals, decimals(value)];
                let has_moved_point = before.max(now) == 2 && before.min(now) < 2 && (now == 2) == (value < from);
                if has_moved_point || spread * 2.0 <= (value - from).abs() {
                    self.shift = Some(Shift { at, from, to: value, after: 1, has_moved_point });
                }
            }
            None => {}
        }
    }
}

/// Adds what breaks in a number of one thing. Where units are named, those tell.
pub(super) fn judge(name: &str, field: &Field, topic: &str, names_units: bool, found: &mut Vec<Finding>) {
    let mut push = |kind, (did, more): (&str, &str), (at, from, to): (At, f64, f64), advice| {
        let (from, to) = (Decimal(from), Decimal(to));
        let finding = format!("{name} {did} from {from} to {to}{more}");
        let evidence = vec![format!("{} {name} = {to} after {from}", time(at))];
        found.push(Finding { kind, severity: Grade::Warning, finding, evidence, advice });
    };
    if let Some(Shift { at, from, to, .. }) =
        field.breaks.shift.filter(|shift| !names_units && is_of_units(shift, field, topic))
    {
        push(
            "unit_changed",
            ("went", ", which is the same in another unit, and stayed there"),
            (at, from, to),
            "to receivers the value jumps: find out what switches its unit, or whether two senders share the topic",
        );
        return;
    }
    let fell = field.fell_at.filter(|(_, from, to)| (0.0..from / 2.0).contains(to));
    // What grew little must have fallen to next to nothing, and stay there.
    let is_all = |(_, from, to): &(At, f64, f64)| *to * 50.0 < *from && field.last * 50.0 < *from && field.rises > 1;
    let is_enough = |fall: &(At, f64, f64)| field.rises >= ENOUGH || (is_all(fall) && field.run.length > 1);
    let only_grew = field.falls == 1 && field.jumps_back == 0;
    if let Some(fall) = fell.filter(|fall| only_grew && is_enough(fall) && is_total(&field.path, topic)) {
        push(
            "counter_reset",
            ("only grew, and then began anew: it fell", ""),
            fall,
            "the device lost what it had counted, by a restart or a reset, or it was replaced: differences over that time are wrong",
        );
    }
    // What is told once more shows that it stays there.
    let stays = |to: f64, from: f64| field.last < from && (field.last > to || field.run.length > 1);
    let back = field.breaks.back.filter(|(_, from, to)| *to >= from / 2.0 && stays(*to, *from));
    if let Some(fall) = back.filter(|_| only_grew && is_total(&field.path, topic)) {
        push(
            "counter_backwards",
            ("only grew, and then fell", ""),
            fall,
            "the meter was set back or replaced, or two send under the same name: differences over that time are wrong",
        );
    }
    mixed(name, field, topic, found);
}

/// Adds a number that is something else now and then, or since some time.
fn mixed(name: &str, field: &Field, topic: &str, found: &mut Vec<Finding>) {
    let turned = |before: u32, behind: u32| before >= ENOUGH_TO_COMPARE && behind >= ENOUGH;
    let mut push = |how: String, evidence| {
        found.push(Finding {
            kind: "mixed_types",
            severity: Grade::Warning,
            finding: format!("{name} is a number, but {how}"),
            evidence: vec![evidence],
            advice: "receivers that take it for a number fail: look for another sender, or for what was changed on this one",
        });
    };
    // What is none may be off, or have a word for some of its steps; but no number becomes several.
    let is_told = |are_objects| meaning::is_measurement(&field.path, topic) || (are_objects && !field.path.is_empty());
    if let Some((others, at, are_objects)) = field.breaks.others
        && turned(field.seen, others)
        && is_told(are_objects)
    {
        let messages = count(others.into(), "message");
        push(
            format!("something else in the last {messages}"),
            format!("the last number was {}; none from {}", Decimal(field.last), time(at)),
        );
    }
    let Some(AsText { count: texts, before, until, at }) = field.breaks.as_text else { return };
    let since = before >= ENOUGH && texts >= ENOUGH && texts == field.seen - before;
    let no_more = turned(texts, field.seen - texts) && until == texts;
    if field.seen >= ENOUGH_TO_COMPARE && (texts * 4 <= field.seen || since || no_more) {
        let of = match (since, no_more) {
            (true, _) => format!("all of the last {texts} messages"),
            (_, true) => format!("the first {texts} of {} messages, and no more since", field.seen),
            _ => format!("{texts} of {}", count(field.seen.into(), "message")),
        };
        push(format!("came as text in {of}"), format!("the latest at {}", time(at)));
    }
}

fn is_of_units(shift: &Shift, field: &Field, topic: &str) -> bool {
    let Shift { from, to, .. } = *shift;
    let is = |is: fn(&str, &str) -> bool| is(&field.path, topic);
    let fits = || match is(meaning::may_be_temperature) {
        true => is_between_scales(from, to) && !is(meaning::is_setting),
        false if is(is_total) => is_by(1000.0, from, to, GROWTH) && from.min(to) >= 1.0,
        false if is(meaning::is_restless) => is_by_factor(from, to) && !is(meaning::is_humidity),
        false => shift.has_moved_point && is(meaning::is_measurement) && is_by(1000.0, from, to, NOISE_OF_LOADS),
    };
    shift.after >= ENOUGH && !impossible::is_end(to) && !is(meaning::is_hot_by_nature) && fits()
}

fn is_conversion(from: f64, to: f64, field: &Field) -> bool {
    (field.steps.last_interval <= FAST && is_between_scales(from, to))
        || is_by_factor(from, to)
        || is_by(1000.0, from, to, NOISE_OF_LOADS)
}

/// Whether one is the other in degrees Fahrenheit.
fn is_between_scales(from: f64, to: f64) -> bool {
    let is = |celsius: f64, other: f64| {
        let expected = celsius * 1.8 + 32.0;
        (other - expected).abs() <= (expected.abs() * NOISE / 2.0).max(1.0)
    };
    (to - from).abs() >= FAR && (is(from, to) || is(to, from))
}

fn is_by_factor(from: f64, to: f64) -> bool {
    FACTORS.iter().any(|factor| is_by(*factor, from, to, NOISE))
}

/// Whether one is so many times the other, but for some noise.
fn is_by(factor: f64, from: f64, to: f64, noise: f64) -> bool {
    let ratio = if from.abs() < to.abs() { to / from } else { from / to };
    (ratio / factor - 1.0).abs() <= noise
}

/// Whether it counts what was used or made since ever: what is of a day, a month or a charge begins anew.
pub(super) fn is_total(path: &str, topic: &str) -> bool {
    let place = if path.is_empty() { last_level(topic) } else { path };
    let any_of = |is: fn(&str) -> bool| is(path) || topic.rsplit('/').take(2).any(is);
    // The total of what flows now is that of several, added up.
    let is_sum = || any_of(|name| meaning::has_part(name, &["power", "current"]));
    let is_meter = || meaning::has_part(place, &["delivered", "meter_reading", "meterreading", "pulses"]);
    let is_volume = || meaning::has_word(place, &["m3"]) && !meaning::has_part(place, &["flow", "rate", "density"]);
    let is_total = meaning::has_part(place, &["energy", "aenergy", "kwh", "odometer"])
        || is_volume()
        || (is_meter() && !is_sum() && !meaning::has_part(place, &["currently"]))
        || (meaning::has_part(place, &["total"]) || place.to_ascii_lowercase().ends_with("total")) && !is_sum();
    is_total && !any_of(is_of_period)
}

/// Whether a name has that of a time in it, or of what ends: as a word, or joined to others where it means nothing else.
fn is_of_period(name: &str) -> bool {
    const WORDS: &[&str] = &[
        "day", "days", "hour", "hours", "hourly", "year", "years", "yearly", "tag", "period", "trip", "minute",
        "minutes", "last", "since", "shift", "batch", "cycle", "job", "run",
    ];
    const JOINED: [&str; 6] = ["today", "daily", "week", "month", "session", "heut"];
    let small = name.to_ascii_lowercase();
    meaning::has_word(name, WORDS)
        || meaning::has_part(name, &["tages", "charg"])
        || JOINED.iter().any(|period| small.contains(period))
}

#[cfg(test)]
mod tests {
    use super::super::fields::Fields;
    use super::*;
    use serde_json::{Value, json};

    fn kinds(name: &str, values: &[Value]) -> Vec<&'static str> {
        kinds_of(name, values, 10)
    }

    fn kinds_of(name: &str, values: &[Value], every_seconds: u64) -> Vec<&'static str> {
        let (mut fields, mut found) = (Fields::default(), Vec::new());
        for (number, value) in values.iter().enumerate() {
            let at = At { elapsed: Duration::from_secs(every_seconds * number as u64), unix_ms: 0 };
            fields.record(at, &json!({name: value}), 100);
        }
        judge(name, fields.iter().next().expect("a field"), "t", false, &mut found);
        found.iter().map(|finding| finding.kind).collect()
    }

    fn numbers(name: &str, before: &[f64], after: &[f64]) -> Vec<&'static str> {
        let values: Vec<Value> = before.iter().chain(after).map(|value| json!(value)).collect();
        kinds(name, &values)
    }

    #[test]
    fn a_level_that_is_the_old_one_in_another_unit_is_told_from_other_steps() {
        const ROOM: [f64; 6] = [21.0, 21.1, 21.0, 21.2, 21.1, 21.0];
        let in_fahrenheit = ROOM.map(|value| value * 1.8 + 32.0);
        assert_eq!(numbers("temp", &ROOM, &in_fahrenheit), ["unit_changed"]);
        assert_eq!(numbers("temp", &in_fahrenheit, &ROOM), ["unit_changed"]);
        assert_eq!(numbers("pressure", &[1013.2; 6], &[101_330.0; 6]), ["unit_changed"]);
        assert_eq!(numbers("flow", &[2.1, 2.11, 2.1, 2.09, 2.1], &[126.2; 6]), ["unit_changed"]);
        assert_eq!(numbers("t", &ROOM, &in_fahrenheit), ["unit_changed"]);
        let load = [1271.1, 300.4, 1278.1, 1210.0, 1270.5, 1209.9];
        let in_kilowatts = load.map(|watts| watts / 1000.0 + 0.000_02);
        assert_eq!(numbers("power_total", &load, &in_kilowatts), ["unit_changed"]);
        assert_eq!(numbers("power_total", &in_kilowatts, &load), ["unit_changed"]);
        let grown: Vec<f64> = (0..8).map(|n| 1793.2 + f64::from(n) / 10.0).collect();
        let in_watt_hours: Vec<f64> = grown.iter().map(|energy| (energy + 0.8) * 1000.0).collect();
        assert_eq!(numbers("energy_kWh", &grown, &in_watt_hours), ["unit_changed"]);
        assert_eq!(numbers("energy_kWh", &in_watt_hours, &grown), ["unit_changed"]);
        let slow: Vec<Value> = ROOM.iter().chain(&in_fahrenheit).map(|value| json!(value)).collect();
        assert_eq!(kinds_of("temp", &slow, 300), [""; 0], "time to heat it");
        for (name, before, after) in [
            ("temp", &ROOM[..], &in_fahrenheit[..4]),
            ("temp", &ROOM, &[75.0; 6]),
            ("temp", &ROOM, &[69.8, 78.0, 86.0, 90.0, 60.0, 50.0]),
            ("cpu_temp", &ROOM, &in_fahrenheit),
            ("temp_target", &ROOM, &in_fahrenheit),
            ("power", &[2.0; 6], &[2000.0; 6]),
            ("co2", &[656.0, 655.0, 654.0, 655.0, 656.0], &[65_535.0; 6]),
            ("power", &load, &[1.3, 1.2, 1.3, 1.3, 1.2, 1.3]),
            ("position", &load, &in_kilowatts),
            ("energy_kWh", &[0.1, 0.1, 0.2, 0.2, 0.3, 0.3], &[300.0, 300.1, 300.2, 300.3, 300.4, 300.5]),
            ("humidity", &[44.4, 44.5, 44.4, 44.3, 44.4], &[655.3; 6]),
            ("flow", &[0.0, 2.0, 0.5, 90.0, 2.0], &[120.0; 6]),
        ] {
            assert_eq!(numbers(name, before, after), [""; 0], "{name} {after:?}");
        }
    }

    #[test]
    fn a_total_that_begins_anew_is_told_and_one_of_a_day_is_not() {
        let grown: Vec<f64> = (0..8).map(|n| 412.0 + f64::from(n)).collect();
        for (name, after, expected) in [
            ("energy", &[0.0, 0.1, 0.2][..], true),
            ("Total", &[0.1], true),
            ("yieldtotal", &[0.1], true),
            ("energy", &[418.0, 420.0], false),
            ("energy", &[0.0, 0.1, 0.0, 0.1], false),
            ("energy", &[0.0, 419.5, 419.6], false),
            ("energy_today", &[0.0, 0.1], false),
            ("chargedEnergy", &[0.0], false),
            ("total_power", &[0.0], false),
            ("truncated_energy", &[0.1], true),
            ("energy_running_mode", &[0.1], true),
            ("voltage_monitor.energy", &[0.1], true),
            ("stage_total", &[0.1], true),
            ("power_meter.energy", &[0.1], true),
            ("power_meter.total", &[0.1], false),
            ("last_run.energy", &[0.1], false),
            ("runEnergy", &[0.1], false),
            ("Tagesenergie.energy", &[0.1], false),
            ("energytoday", &[0.1], false),
            ("dayEnergy", &[0.1], false),
            ("level", &[0.0], false),
            ("electricity_delivered_1", &[0.0], true),
            ("water_m3", &[0.0], true),
            ("meter_reading", &[0.0], true),
            ("pulses", &[0.0], true),
            ("power_delivered", &[0.0], false),
            ("electricity_currently_delivered", &[0.0], false),
            ("flow_m3", &[0.0], false),
        ] {
            assert_eq!(!numbers(name, &grown, after).is_empty(), expected, "{name} {after:?}");
        }
    }

    #[test]
    fn a_total_that_falls_by_far_more_than_it_grew_is_told() {
        let grown: Vec<f64> = (0..8).map(|n| 6500.0 + f64::from(n) / 100.0).collect();
        assert_eq!(numbers("energy", &grown, &[6087.3, 6087.31]), ["counter_backwards"]);
        let few = [412.33, 412.33, 412.34, 412.34, 412.35, 412.35];
        assert_eq!(numbers("energy", &few, &[312.34, 312.35]), ["counter_backwards"]);
        assert_eq!(numbers("energy", &few, &[412.0, 412.01]), [""; 0], "by a few times what it grew");
        for (name, after) in [
            ("energy", &[6087.3][..]),
            ("energy", &[6499.9, 6499.91]),
            ("energy", &[6087.3, 6087.31, 6500.2]),
            ("energy", &[6087.3, 6087.31, 6000.0, 6000.1]),
            ("energy_today", &[6087.3, 6087.31]),
            ("weight", &[6087.3, 6087.31]),
        ] {
            assert_eq!(numbers(name, &grown, after), [""; 0], "{name} {after:?}");
        }
    }

    #[test]
    fn a_total_that_hardly_grew_is_told_when_it_is_next_to_nothing() {
        let grown = [412.33, 412.33, 412.34, 412.34, 412.34];
        assert_eq!(numbers("energy", &grown, &[0.34, 0.35, 0.35]), ["counter_reset"]);
        for after in [&[0.34, 0.34][..], &[0.34, 0.35], &[20.34, 20.35, 20.35], &[0.34, 0.35, 412.35, 412.35]] {
            assert_eq!(numbers("energy", &grown, after), [""; 0], "{after:?}");
        }
    }

    #[test]
    fn a_measurement_that_becomes_something_else_for_good_is_told() {
        for (name, others, expected) in [
            ("speed", vec![json!({"v": 1}); 5], &["mixed_types"][..]),
            ("speed", vec![json!(false); 5], &["mixed_types"]),
            ("speed", vec![json!(false); 4], &[]),
            ("speed", [vec![json!(false); 5], vec![json!(17)]].concat(), &[]),
            ("timer", vec![json!(false); 5], &[]),
            ("timer", vec![json!("off"); 5], &[]),
            ("timer", vec![json!({"left": 1}); 5], &["mixed_types"]),
            ("speed", vec![json!("fast"); 5], &["mixed_types"]),
            ("speed", vec![json!("n/a"); 5], &[]),
        ] {
            let values: Vec<_> = (0..8).map(|n| json!(17 + n % 2)).chain(others).collect();
            assert_eq!(kinds(name, &values), expected, "{name} {values:?}");
        }
    }

    #[test]
    fn a_number_that_comes_as_text_now_and_then_is_told() {
        let values = |every: usize| (0..20).map(move |n| if n % every == 3 { json!("17") } else { json!(17) });
        assert_eq!(kinds("level", &values(20).collect::<Vec<_>>()), ["mixed_types"]);
        assert_eq!(kinds("level", &values(2).collect::<Vec<_>>()), [""; 0], "its way");
        let since = |first: usize| (0..20).map(move |n| if n < first { json!(17 + n) } else { json!(format!("{n}")) });
        assert_eq!(kinds("level", &since(10).collect::<Vec<_>>()), ["mixed_types"]);
        assert_eq!(kinds("level", &since(3).collect::<Vec<_>>()), [""; 0], "too few numbers");
        let until = |first: usize| (0..20).map(move |n| if n < first { json!(format!("{n}.5")) } else { json!(n) });
        assert_eq!(kinds("level", &until(12).collect::<Vec<_>>()), ["mixed_types"]);
        assert_eq!(kinds("level", &until(16).collect::<Vec<_>>()), [""; 0], "too few numbers");
        let once_more = until(10).chain([json!("7.5")]).collect::<Vec<_>>();
        assert_eq!(kinds("level", &once_more), [""; 0], "in turn");
    }
}
