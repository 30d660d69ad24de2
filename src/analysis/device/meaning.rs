//! What a number is, told by the name of its member and by its topic.

use crate::analysis::words::{is_called, is_in};

/// Whether it is measured, and would not stop to be a number.
pub(super) fn is_measurement(path: &str, topic: &str) -> bool {
    const PARTS: &[&str] = &[
        "press",
        "pressure",
        "flow",
        "vibration",
        "level",
        "distance",
        "co2",
        "pm25",
        "pm10",
        "voltage",
        "current",
        "power",
        "apower",
        "speed",
        "rpm",
        "illuminance",
        "lux",
        "moisture",
        "torque",
        "weight",
        "frequency",
        "u1",
        "u2",
        "u3",
    ];
    (has_part(own_name(path, topic), PARTS) || is_of_air(path, topic)) && !is_setting(path, topic)
}

/// Whether noise is in it; a voltage or a level may well stand still.
pub(super) fn is_restless(path: &str, topic: &str) -> bool {
    const PARTS: &[&str] = &["press", "pressure", "flow", "vibration", "co2"];
    (has_part(own_name(path, topic), PARTS) || is_of_air(path, topic)) && !is_setting(path, topic)
}

/// Whether it is one of the air, the water or the ground around.
pub(super) fn is_of_surroundings(path: &str, topic: &str) -> bool {
    const PARTS: &[&str] = &["pm25", "pm10", "pm2", "pm_2", "pm_10", "illuminance", "lux", "moisture", "soil"];
    is_restless(path, topic) || has_part(own_name(path, topic), PARTS)
}

/// Whether it is a gas in the air, in parts per million.
pub(super) fn is_gas(path: &str, topic: &str) -> bool {
    has_part(own_name(path, topic), &["co2", "eco2"])
}

/// Whether it is a voltage, and not a battery's.
pub(super) fn is_voltage(path: &str, topic: &str) -> bool {
    let is_battery = |name: &str| has_part(name, &["bat", "dc", "pv", "solar"]);
    has_part(own_name(path, topic), &["voltage"]) && !is_battery(path) && !is_battery(topic)
}

/// Whether somebody sets it.
pub(in crate::analysis) fn is_setting(path: &str, topic: &str) -> bool {
    const PARTS: &[&str] = &[
        "setpoint",
        "set_point",
        "seltemp",
        "selflow",
        "selroom",
        "selected",
        "target",
        "limit",
        "threshold",
        "calibration",
        "offset",
        "brightness",
        "position",
        "color_temp",
        "startup",
        "interval",
        "max",
        "min",
        "loglevel",
        "log_level",
    ];
    has_part(own_name(path, topic), PARTS)
}

/// Whether it is a temperature.
pub(super) fn is_temperature(path: &str, topic: &str) -> bool {
    let name = own_name(path, topic);
    // Shelly's, in degrees Celsius.
    let is_named = has_part(name, &["temp", "temperat"]) || name.ends_with("temp") || name == "tC";
    is_named && !has_part(name, &["templat", "tempo", "tempt"])
}

/// Whether it is one under a short name, which may also be a time's: where nothing but a temperature does the like.
pub(super) fn may_be_temperature(path: &str, topic: &str) -> bool {
    is_temperature(path, topic) || has_word(own_name(path, topic), &["t"])
}

/// Whether it is a share of water in the air.
pub(super) fn is_humidity(path: &str, topic: &str) -> bool {
    let name = own_name(path, topic);
    has_part(name, &["humid", "humidity", "luftfeucht"]) || is_in(&["hum", "rh"], name)
}

/// Whether it is one of those two, which the air always has; a temperature may be another's.
pub(super) fn is_of_air(path: &str, topic: &str) -> bool {
    is_temperature(path, topic) || is_humidity(path, topic)
}

/// Whether it tells where something is.
pub(super) fn is_place(path: &str, topic: &str) -> bool {
    is_latitude(path, topic) || is_in(&["lon", "lng", "long", "longitude"], own_name(path, topic))
}

/// Whether it is the first half of that.
pub(super) fn is_latitude(path: &str, topic: &str) -> bool {
    is_in(&["lat", "latitude"], own_name(path, topic))
}

/// Between which numbers it must be, whatever is measured with; `None` when nobody can tell.
pub(in crate::analysis) fn range(path: &str, topic: &str) -> Option<std::ops::RangeInclusive<f64>> {
    let name = own_name(path, topic);
    if is_latitude(path, topic) {
        Some(-90.0..=90.0)
    } else if is_place(path, topic) {
        Some(-180.0..=180.0)
    } else if is_humidity(path, topic) || has_part(name, &["moist"]) || is_charge(name) {
        // Not all are calibrated.
        Some(-5.0..=105.0)
    } else if is_in(&["ph"], name) {
        Some(-1.0..=15.0)
    } else if has_part(name, &["pct", "percent"]) {
        // Some go both ways, and some go over.
        Some(-105.0..=f64::INFINITY)
    } else {
        // In thousandths they are all higher.
        is_temperature(path, topic).then_some(-273.15..=10_000.0)
    }
}

/// Whether it is a share in percent, by its name or because nothing else of that name is told.
pub(super) fn is_share(path: &str, topic: &str) -> bool {
    let name = own_name(path, topic);
    has_part(name, &["pct", "percent"])
        || is_called(&["battery", "batt", "bat", "batterylevel"], name)
        || is_charge(name)
}

/// Whether it is a battery's state of charge: `vehicleSoc`, not `soc_temp` or `socket`.
fn is_charge(name: &str) -> bool {
    let end = name.get(name.len().saturating_sub(3)..).unwrap_or_default();
    end.eq_ignore_ascii_case("soc") && has_word(name, &["soc"])
}

/// Whether it is one of something that heats itself, and fast.
pub(super) fn is_hot_by_nature(path: &str, topic: &str) -> bool {
    let parts = &["cpu", "gpu", "core", "board", "soc", "chip"];
    has_part(path, parts) || has_part(topic, parts)
}

/// Whether it is the time since the device started.
pub(super) fn is_uptime(path: &str, topic: &str) -> bool {
    has_part(own_name(path, topic), &["uptime", "up_time"])
}

/// Whether it may be that, under a name that also means others.
pub(super) fn is_up(path: &str, topic: &str) -> bool {
    own_name(path, topic).eq_ignore_ascii_case("up")
}

/// The name that tells what a number is: its member's, or the topic's last level that is more than "state" or "value".
pub(super) fn own_name<'a>(path: &'a str, topic: &'a str) -> &'a str {
    let says_something = |name: &&str| !matches!(*name, "" | "v" | "val" | "value" | "Value" | "state" | "status");
    // A phase of three, in a list.
    let is_number = |name: &&str| name.bytes().all(|byte| byte.is_ascii_digit());
    let members = path.rsplit('.').filter(|name| !is_number(name));
    members.chain(topic.rsplit('/')).find(says_something).unwrap_or_default()
}

/// So long a part means the same wherever it stands, as in `watertemperature`.
const LONG: usize = 7;

/// Whether a word of the name begins with one of these: `temp` is in `flowTemp`, `temp_2` and `2temp`, not in `attempts`.
/// Asked for most members of most messages, so it allocates nothing.
pub(super) fn has_part(name: &str, parts: &[&str]) -> bool {
    let name = name.as_bytes();
    let is_part = |at, part: &str| (begins_word(name, at) || part.len() >= LONG) && is_at(name, at, part);
    (0..name.len()).any(|at| parts.iter().any(|part| is_part(at, part)))
}

/// Whether one of these is a word of the name: `run` is in `last_run` and `runEnergy`, not in `running` or `truncated`.
pub(super) fn has_word(name: &str, words: &[&str]) -> bool {
    let name = name.as_bytes();
    let ends = |at: usize| name.get(at).is_none_or(|next| !next.is_ascii_alphabetic()) || begins_word(name, at);
    let is_word = |at, word: &str| begins_word(name, at) && is_at(name, at, word) && ends(at + word.len());
    (0..name.len()).any(|at| words.iter().any(|word| is_word(at, word)))
}

fn is_at(name: &[u8], at: usize, part: &str) -> bool {
    name[at..].get(..part.len()).is_some_and(|here| here.eq_ignore_ascii_case(part.as_bytes()))
}

fn begins_word(name: &[u8], at: usize) -> bool {
    let Some(before) = at.checked_sub(1).map(|before| name[before]) else { return true };
    let is_lower = |index: usize| name.get(index).is_some_and(u8::is_ascii_lowercase);
    // In `CPUTemp` a word begins with the last capital letter.
    let is_camel = name[at].is_ascii_uppercase() && (!before.is_ascii_uppercase() || is_lower(at + 1));
    !before.is_ascii_alphabetic() || is_camel
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_name_begins_a_word() {
        for name in
            ["temp", "temperature", "waterTemp", "CPUTemp", "temp_1", "temp1", "2temp", "water_temp", "sensor-temp"]
        {
            assert!(is_temperature(name, "t"), "{name}");
        }
        for name in
            ["watertemperature", "watertemp", "Temperatur", "Raumtemperatur", "ds18b20.Temperature", "a.temp.value"]
        {
            assert!(is_temperature(name, "t"), "{name}");
        }
        assert!(is_temperature("", "home/boiler/temperature/state") && is_temperature("temps.2", "t"));
        for name in ["attempts", "template", "tempo", "contemporary", "Attempt", "t"] {
            assert!(!is_temperature(name, "t") && !is_measurement(name, "t"), "{name}");
        }
        for (name, expected) in
            [("illuminance", true), ("min_temp", false), ("tempMax", false), ("influx", false), ("compressor", false)]
        {
            assert_eq!(is_measurement(name, "t"), expected, "{name}");
        }
    }

    #[test]
    fn what_bounds_a_number_is_told_by_its_name() {
        for (path, value, expected) in [
            ("relative_humidity", 655.35, Some(false)),
            ("position.lat", 48.1, Some(true)),
            ("lng", 181.0, Some(false)),
            ("Hum_SHT", 50.0, None),
            ("hum", -40.0, Some(false)),
            ("outTemp", -300.0, Some(false)),
            ("power", -1e9, None),
            ("battery.Soc.value", 6553.5, Some(false)),
            ("vehicleSoc", 327.0, Some(false)),
            ("soc_millivolts", 850.0, None),
            ("idsoc", 850.0, None),
            ("load_pct", -273.0, Some(false)),
            ("loadPercent", 130.0, Some(true)),
            ("pool.pH", 27.3, Some(false)),
        ] {
            assert_eq!(range(path, "t").map(|range| range.contains(&value)), expected, "{path}");
        }
    }

    #[test]
    fn what_heats_itself_is_told_by_its_name_or_topic() {
        for (path, topic) in [("cpu_temp", "t"), ("cpu.temp", "t"), ("", "pi/soc/temperature"), ("boardTemp", "t")] {
            assert!(is_hot_by_nature(path, topic), "{path} {topic}");
        }
        assert!(!is_hot_by_nature("score_temp", "switchboard/temperature"));
    }
}
