//! Values that cannot be: outside what any such number may be, or far away for a message or two.

use super::fields::{Away, DISCONNECTED, FAR, Field, POWER_ON};
use super::findings::{Finding, Grade, time};
use super::{meaning, supply};
use crate::analysis::decimal::Decimal;
use crate::analysis::words::{count, is_in};

/// No temperature goes so far away and comes back …
const TEMPERATURE_FAR: f64 = 100.0;
/// … within so many messages.
const SHORT: u32 = 3;

/// So many equal values behind as many changes have no noise.
const STUCK: u32 = 5;

/// What sensors and their drivers say in place of a number: the ends of two bytes, in tenths and hundredths …
const SCALED_ENDS: [f64; 4] = [6553.5, 3276.7, 3276.8, 655.35];
/// … those of LoRa's thermometers, which also say that there is no probe …
const NO_PROBE: [f64; 2] = [327.67, 327.68];
/// … and all nines.
const NINES: [f64; 5] = [999.0, 999.9, 9999.0, 9999.9, 99_999.0];

/// The greatest numbers of two and four bytes, and what KNX has for "invalid data": whatever is measured, it is none.
const ENDS: [f64; 7] = [65_535.0, 32_767.0, 32_768.0, u32::MAX as f64, i32::MAX as f64, 2_147_483_648.0, 670_760.96];

/// What a byte says that has no share to tell.
const NO_SHARE: f64 = 255.0;

/// What ships have for a course that they do not know.
const NO_COURSE: f64 = 409.5;

/// Whether it is told in percent, by a name of its own or of what has the battery.
fn is_share(field: &Field, topic: &str) -> bool {
    meaning::is_share(&field.path, topic) || supply::is_whose(meaning::own_name(&field.path, topic))
}

/// Whether it is far below nothing, and all nines: what programs have in place of a number that they do not know.
fn is_filler(value: f64) -> bool {
    [-9999.0, -99_999.0, -999_999.0, -9_999_999.0].contains(&value)
}

/// Whether it is one of those.
pub(super) fn is_end(value: f64) -> bool {
    ENDS.contains(&value.abs())
}

/// Adds what is impossible in a number of one thing.
pub(super) fn judge(name: &str, field: &Field, topic: &str, found: &mut Vec<Finding>) {
    const AT_FAULT: &str = "the sensor, its wiring or what reads it is at fault: receivers should drop such a value";
    const SCALE: &str = "look up in which scale the device tells it, and what stands for none there";
    let away = field.away.filter(|away| is_impossible(field, away, topic)).or_else(|| outside(field, topic));
    let (severity, finding, value, at, length) = if let Some(away) = away {
        let finding = format!("{name} went from {} to {}, which cannot be", Decimal(away.from), Decimal(away.value));
        (Grade::Warning, finding, away.value, away.at, away.length)
    } else if let Some(severity) = never_was(field, topic) {
        let why = match severity {
            Grade::Info => "no share in percent: it is told in another scale, or this stands for none",
            _ => "which cannot be, and never was anything that can",
        };
        let finding = format!("{name} is {}, {why}", Decimal(field.last));
        (severity, finding, field.last, field.run.began, field.run.length)
    } else {
        return;
    };
    let times = count(length.into(), "message");
    found.push(Finding {
        kind: "impossible_value",
        severity,
        finding,
        evidence: vec![format!("{} {name} = {}, so far in {times}", time(at), Decimal(value))],
        advice: if severity == Grade::Info { SCALE } else { AT_FAULT },
    });
}

/// How bad it is that a number has been none from the first message on, in any scale in which its like are told: hundredths
/// of a degree, thousandths of a share, counts of a converter and millivolts of a battery are numbers.
fn never_was(field: &Field, topic: &str) -> Option<Grade> {
    let (least, greatest) = (field.least, field.greatest);
    let is = |is: fn(&str, &str) -> bool| is(&field.path, topic);
    let is_same = |numbers: &[f64]| least == greatest && numbers.contains(&least.abs());
    let is_none = || least == greatest && (is_end(least) || is_filler(least)) || is_same(&SCALED_ENDS);
    let is_no_temperature = || {
        // In thousandths, too, it would be colder than anything.
        let is_too_cold = greatest < if field.is_whole { -273_150.0 } else { -273.15 };
        is_too_cold || is_none() || field.seen > 1 && is_same(&NINES)
    };
    let is_bad = if is(meaning::is_setting) {
        false
    } else if is(meaning::is_temperature) {
        is_no_temperature()
    } else if is(meaning::is_latitude) {
        // In millionths, or written as degrees and minutes, it is far more.
        least > 90.0 && greatest <= 360.0 || greatest < -90.0 && least >= -360.0
    } else if is_in(&["ph"], field.name(topic)) {
        least > 15.0 && greatest <= 100.0 && !field.is_whole
    } else {
        is(meaning::is_humidity) && greatest < -5.0
            || is(meaning::is_restless) && is_none()
            || is(meaning::is_measurement) && is_filler(least) && least == greatest
    };
    // Zigbee counts halves.
    let is_no_share = is_share(field, topic)
        && !is(meaning::is_setting)
        && (least > 105.0 && greatest <= 200.0 && field.is_whole || is_same(&[NO_SHARE]));
    match is_bad {
        true => Some(Grade::Warning),
        false => is_no_share.then_some(Grade::Info),
    }
}

/// What went out of a narrow range by a step far greater than all before, however small that is, and stays there.
fn outside(field: &Field, topic: &str) -> Option<Away> {
    const WIDEST: f64 = 180.0;
    const BEFORE: u32 = 3;
    let range = meaning::range(&field.path, topic).filter(|range| *range.end() <= WIDEST)?;
    let run = field.run;
    let from = [field.least, field.greatest].into_iter().find(|from| range.contains(from))?;
    let is_there = run.began_far_off && run.length >= 2 && field.seen - run.length >= BEFORE;
    let away = Away { from, value: run.value, at: run.began, length: run.length, is_over: false };
    (is_there && !range.contains(&run.value)).then_some(away)
}

fn is_impossible(field: &Field, away: &Away, topic: &str) -> bool {
    let Away { from, value, length, is_over, .. } = *away;
    if value == DISCONNECTED || meaning::is_setting(&field.path, topic) {
        return false;
    }
    // Where most are so, it may rather be its scale, unless it is stuck there.
    let is_odd = length * 3 < field.seen * 2 || length == field.run.length && !is_over;
    let is_outside = |range: std::ops::RangeInclusive<f64>| is_odd && range.contains(&from) && !range.contains(&value);
    let is_temperature =
        || meaning::is_temperature(&field.path, topic) && !meaning::is_hot_by_nature(&field.path, topic);
    let is_spike = || is_over && length <= SHORT && (value - from).abs() >= TEMPERATURE_FAR && is_temperature();
    let is_one_of = |numbers: &[f64]| numbers.contains(&value.abs());
    let stands_in = || is_one_of(&SCALED_ENDS) || is_one_of(&NO_PROBE) || is_one_of(&NINES);
    // Below the lowest temperature that there is.
    let is_end = || is_end(value) || (-273.15..=-273.1).contains(&value);
    let is_measured = || meaning::is_measurement(&field.path, topic) || !field.is_whole;
    let is_stand_in = || {
        let is_restless = || meaning::is_restless(&field.path, topic);
        let is_byte = || value == NO_SHARE && is_share(field, topic) && (0.0..=100.0).contains(&from);
        // Nothing that is counted or set is so far below nothing.
        let is_none = || (is_end() || is_filler(value)) && (is_measured() || value < -9999.0 && from >= 0.0);
        let is_scaled = || is_one_of(&SCALED_ENDS) && meaning::is_voltage(&field.path, topic);
        let is_course = || value == NO_COURSE && meaning::has_word(field.name(topic), &["course", "heading", "cog"]);
        is_odd && (stands_in() && is_restless() || is_none() || is_byte() || is_scaled() || is_course())
    };
    // A sensor at the end of what it can tell: what is really there moves on.
    let is_stuck = || {
        let stands = !is_over && length == field.run.length && length >= STUCK && field.run.changes_before > STUCK;
        let is_sure = || is_temperature() && value != POWER_ON || stands_in();
        stands && (value - from).abs() >= FAR && !field.is_whole && is_sure()
    };
    meaning::range(&field.path, topic).is_some_and(is_outside) || is_spike() || is_stand_in() || is_stuck()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::device::At;
    use crate::analysis::device::fields::Fields;
    use serde_json::json;

    fn told(name: &str, values: &[f64]) -> Option<Grade> {
        let (mut fields, mut found) = (Fields::default(), Vec::new());
        values.iter().for_each(|value| _ = fields.record(At::default(), &json!({name: value}), 100));
        judge(name, fields.iter().next().expect("a field"), "t", &mut found);
        found.first().map(|finding| finding.severity)
    }

    #[test]
    fn what_never_was_anything_else_cannot_be_in_any_scale() {
        use Grade::{Info, Warning};
        for (name, values, expected) in [
            ("temperature", &[-999_999.0, -999_999.0][..], Some(Warning)),
            ("temperature", &[-999_999.0, 21.5], None),
            ("temperature", &[32_767.0], Some(Warning)),
            ("tC", &[-999_999.0, -999_999.0], Some(Warning)),
            ("tc", &[-999_999.0, -999_999.0], None),
            ("temperature", &[3276.7, 3276.7], Some(Warning)),
            ("temperature", &[999.0, 999.0], Some(Warning)),
            ("temperature", &[999.0], None),
            ("temperature", &[-274.5, -274.6], Some(Warning)),
            ("temperature", &[-350.0, -351.0], None),
            ("temperature", &[2150.0, 2151.0], None),
            ("temperature", &[-5000.0, -5100.0], None),
            ("temperature", &[293.1, 293.2], None),
            ("TempC_DS", &[327.67, 327.67], None),
            ("color_temp_startup", &[65_535.0, 65_535.0], None),
            ("humidity", &[-999.0, -999.0], Some(Warning)),
            ("humidity", &[655.35, 655.35], Some(Warning)),
            ("Luftfeuchtigkeit", &[655.35, 655.35], Some(Warning)),
            ("bodenfeuchte", &[655.35, 655.35], None),
            ("humidity", &[445.0, 446.0], None),
            ("battery", &[45.0, 199.0], None),
            ("soil_moisture", &[445.0, 446.0], None),
            ("pressure", &[999.0, 999.0], None),
            ("pressure", &[65_535.0, 65_535.0], Some(Warning)),
            ("power", &[-9999.0, -9999.0], Some(Warning)),
            ("power", &[65_535.0, 65_535.0], None),
            ("alarm_low", &[-9999.0, -9999.0], None),
            ("battery", &[255.0, 255.0], Some(Info)),
            ("battery", &[200.0, 199.0], Some(Info)),
            ("battery", &[3012.0, 3011.0], None),
            ("battery", &[126.5, 126.4], None),
            ("battery_mv", &[255.0, 255.0], None),
            ("lat", &[91.0, 91.0], Some(Warning)),
            ("lat", &[4807.038, 4807.039], None),
            ("lat", &[481_370_000.0, 481_370_001.0], None),
            ("lng", &[200.1, 200.2], None),
            ("ph", &[27.3, 27.3], Some(Warning)),
            ("ph", &[72.0, 71.0], None),
            ("ph", &[231.4, 231.6], None),
        ] {
            assert_eq!(told(name, values), expected, "{name} {values:?}");
        }
    }

    #[test]
    fn what_cannot_be_is_told_from_what_changes_fast() {
        for (name, values, expected) in [
            ("temperature", &[21.0, 21.1, 21.2, 850.0, 21.2][..], true),
            ("temperature", &[21.0, 21.1, 21.2, -999.0, -999.0], true),
            ("temperature", &[21.0, 21.1, 21.2, -127.0, 21.2], false),
            ("temperature", &[21.0, 90.0, 21.2, 21.0, 21.2], false),
            ("temperature", &[21.0, 21.0, 180.0, 181.0, 182.0], false),
            ("cpu_temp", &[21.0, 21.1, 21.2, 850.0, 21.2], false),
            ("target_temperature", &[21.0, 21.1, 21.2, 850.0, 21.2], false),
            ("humidity", &[44.0, 45.0, 46.0, 655.35, 47.0], true),
            ("humidity", &[44.0, 45.0, 46.0, 99.0, 47.0], false),
            ("soil_moisture", &[99.0, 412.0, 430.0, 425.0, 440.0], false),
            ("humidity", &[440.0, 450.0, 512.0, 440.0, 501.0], false),
            ("lat", &[51.0, 51.0, 451.1, 51.0], true),
            ("pressure", &[1012.0, 1012.1, 65_535.0, 1012.0], true),
            ("power", &[10.0, 10.0, 2999.0, 10.0], false),
            ("battery", &[80.0, 80.0, 255.0, 80.0], true),
            ("battery", &[80.0, 80.0, 250.0, 80.0], false),
            ("battery_mv", &[80.0, 80.0, 255.0, 80.0], false),
            ("load_pct", &[41.0, 44.0, 255.0, 255.0], true),
            ("level", &[80.0, 80.0, 255.0, 80.0], false),
            ("power", &[-20.0, 310.0, -999_999.0, -999_999.0], true),
            ("power", &[-20.0, 310.0, -999_998.0, -999_999.0], false),
            ("consPac", &[310.0, 312.0, -999_999.0, -999_999.0], true),
            ("offset_x", &[-310.0, 312.0, -312.0, -999_999.0], false),
            ("lat", &[48.1, 48.1, 48.2, 91.7, 91.7], true),
            ("lat", &[48.1, 48.1, 48.2, 91.7], false),
            ("pH", &[7.2, 7.1, 7.3, 27.3, 27.3], true),
            ("pH", &[720.0, 710.0, 2730.0, 2730.0], false),
            ("ph", &[1.0, 2.0, 3.0, 1.0, 2.0, 3.0], false),
            ("humidity", &[97.0, 99.0, 105.5, 106.0, 98.0], false),
            ("voltage_l1", &[231.0, 230.8, 65_535.0, 65_535.0, 231.0], true),
            ("voltage_l1", &[231.0, 230.8, 999.0, 999.0, 231.0], false),
            ("U1", &[231.0, 230.0, 65_535.0, 231.0], true),
            ("UDC1", &[412.3, 411.8, 2_147_483_648.0, 412.0], true),
            ("distance_mm", &[400.0, 410.0, 65_535.0, 405.0], true),
            ("UL1_voltage", &[231.2, 230.9, 6553.5, 6553.5], true),
            ("pv_voltage", &[231.2, 230.9, 655.35, 655.35], false),
            ("power", &[231.2, 230.9, 6553.5, 6553.5], false),
            ("course", &[231.2, 230.9, 409.5, 409.5], true),
            ("power", &[231.2, 230.9, 409.5, 409.5], false),
            ("phone_battery", &[81.0, 81.0, 255.0, 255.0], true),
            ("home_battery", &[81.0, 81.0, 255.0, 255.0], false),
            ("pulses", &[65_400.0, 65_470.0, 65_535.0, 65_600.0], false),
            ("value", &[21.5, 21.6, 670_760.96, 21.5], true),
            ("device_temperature", &[31.0, 31.0, 214_748_364.0, 31.0], true),
            ("temperature", &[21.1, 21.2, 21.1, 21.3, 21.0, 21.2, -40.0, -40.0, -40.0, -40.0, -40.0], true),
            ("temperature", &[21.1, 21.2, 21.1, 21.3, 21.0, 21.2, -40.0, -40.0, -40.0, -40.0, -40.1], false),
            ("wind", &[2.1, 2.2, 2.1, 2.3, 2.4, 2.2, -999.9, -999.9, -999.9, -999.9, -999.9], true),
            ("wind", &[2.1, 2.2, 2.1, 2.3, 2.4, 2.2, -99.8, -99.8, -99.8, -99.8, -99.8], false),
            ("temperature", &[21.1, 21.2, 21.1, 21.3, 21.0, 21.2, 85.0, 85.0, 85.0, 85.0, 85.0], false),
            ("temperature", &[21.1, 21.1, 21.1, 21.1, 21.1, 21.1, -40.0, -40.0, -40.0, -40.0, -40.0], false),
            ("temperature", &[21.0, 214_748_364.0, 214_748_364.0, 214_748_364.0, 214_748_364.0], true),
            ("humidity", &[99.0, 412.0, 430.0, 425.0, 440.0], false),
            ("actual", &[210.1, 210.2, -273.1, -273.1, 210.2], true),
            ("actual", &[210.1, 210.2, 273.1, 273.1, 210.2], false),
        ] {
            assert_eq!(told(name, values).is_some(), expected, "{name} {values:?}");
        }
    }
}
