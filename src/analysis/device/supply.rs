//! Batteries that are nearly empty, and signals that barely arrive.

use serde_json::Value;

use super::fields::{Field, Fields};
use super::findings::{Finding, Grade};
use super::meaning::{has_part, has_word, is_uptime, own_name};
use super::numbers::of_topic;
use super::{At, impossible};
use crate::analysis::decimal::Decimal;
use crate::analysis::words::{count, is_called, is_in};
use crate::limits::FIELDS_PER_TOPIC_MAX;

/// Percent: a battery in it should be changed. 1 is a flag of some.
const BATTERY_LOW: std::ops::RangeInclusive<f64> = 2.0..=10.0;
/// Wi-Fi that is weaker, in dBm, loses packets.
const WIFI_WEAK: f64 = -87.0;
/// The same where it is not said to be Wi-Fi's.
const PLAIN_WEAK: f64 = -90.0;
/// Fainter, in dBm, is nothing that any radio but LoRa's hears well, and that tells its distance from the noise.
const FAINT: f64 = -115.0;
/// Zigbee's link quality, of 255.
const LINK_WEAK: f64 = 15.0;
/// Percent, of a signal that is told so.
const PERCENT_WEAK: f64 = 10.0;
/// So far below the noise, in dB, only LoRa's slowest data rates are heard, and barely.
const LORA_WEAK: f64 = -15.0;
/// A lithium cell of 3 V that gives less is empty, also in the cold.
const CELL_LOW: f64 = 2.3;

/// Adds what the latest of a number says of battery and signal. Where a topic tells of `several` things, that is of one of
/// them only when it was said again and again.
pub(super) fn judge(name: &str, field: &Field, (topic, all): (&str, &Fields), several: bool, found: &mut Vec<Finding>) {
    const AGAIN: u32 = 3;
    // What keeps a house is used up to its reserve each night, which is more than that.
    const CHARGE_LOW: f64 = 5.0;
    let own = own_name(&field.path, topic);
    // Z-Wave's and Homie's: battery/level. Shelly's and others': {"battery":{"percent":3}}. Z-Wave numbers it, too.
    // Valetudo's: BatteryStateAttribute/level.
    let is_of_battery = |part: &str| part.get(..7).is_some_and(|begin| begin.eq_ignore_ascii_case("battery"));
    let of_topic =
        || topic.split('/').any(|part| is_of_battery(part) || (part == "128" && topic.starts_with("zwave/")));
    let is_charge = is_in(&["soc"], own) && field.last <= CHARGE_LOW;
    let is_level = is_charge || is_in(&["level", "percent", "percentage", "pct"], own);
    let own = if is_level && (field.path.split('.').any(is_of_battery) || of_topic()) { "batterypercent" } else { own };
    let is_its_own = !several || field.run.length >= AGAIN;
    let (kind, what, advice) = if is_its_own && (is_battery(own, field, topic) || is_cell(own, field, topic)) {
        ("low_battery", "the battery is low", "change or charge it")
    } else if is_weak(own, field, (topic, all)) || !several && is_weak_by_sender(own, field, (topic, all)) {
        (
            "weak_signal",
            "the signal is weak",
            "bring the device and the next access point or router closer together, or look at its antenna",
        )
    } else {
        return;
    };
    let last = Decimal(field.last);
    let evidence = format!("{name} = {last} in the last of {}", count(field.seen.into(), "message"));
    found.push(told(kind, format!("{what}: {name} is {last}"), evidence, advice));
}

/// Adds what the latest message says of a battery in words.
pub(super) fn judge_words(topic: &str, fields: &Fields, found: &mut Vec<Finding>) {
    let Some((path, word)) = fields.low.as_ref().filter(|(path, _)| is_called(&BATTERY, own_name(path, topic))) else {
        return;
    };
    let name = of_topic(topic, path);
    let evidence = format!("{name} = {word:?} in the last message");
    found.push(told("low_battery", format!("the battery is low: {name} is {word:?}"), evidence, "change or charge it"));
}

/// Whether a word says that a battery has little left.
pub(super) fn is_low(word: &str) -> bool {
    is_in(&["low", "critical", "empty", "replace"], word)
}

/// Whether a member may be one that tells of a battery in words.
pub(super) fn is_of_battery(name: &str) -> bool {
    name.get(..3).is_some_and(|begin| begin.eq_ignore_ascii_case("bat"))
}

fn told(kind: &'static str, finding: String, evidence: String, advice: &'static str) -> Finding {
    Finding { kind, severity: Grade::Warning, finding, evidence: vec![evidence], advice }
}

/// What the broker keeps may be all that comes of one that sleeps for hours: whether its battery was low then.
pub(super) fn judge_kept(topic: &str, json: &Value) -> Option<Box<Finding>> {
    let (mut fields, mut found) = (Fields::default(), Vec::new());
    fields.record(At::default(), json, FIELDS_PER_TOPIC_MAX);
    for field in fields.iter() {
        let name = of_topic(topic, &field.path);
        impossible::judge(&name, field, topic, &mut found);
        judge(&name, field, (topic, &fields), false, &mut found);
    }
    judge_words(topic, &fields, &mut found);
    let mut finding = found.pop()?;
    finding.evidence = vec!["kept by the broker, so it may be old".to_owned()];
    Some(Box::new(finding))
}

/// What batteries are called whose charge is told, in percent or in words.
const BATTERY: [&str; 15] = [
    "battery",
    "batterylevel",
    "batterypercent",
    "batterypercentage",
    "batterypct",
    "batterycharge",
    "batterystate",
    "batterystatus",
    "batterysoc",
    "batt",
    "bat",
    "batpct",
    "battpct",
    "batterychargestate",
    "socbattery",
];

/// Only what is called like a share in percent: voltages have decimals, unless there were more than any has, and 0 is told
/// by those who do not know.
fn is_battery(own: &str, field: &Field, topic: &str) -> bool {
    const HIGHER_THAN_VOLTS: f64 = 60.0;
    let is_named_percent = is_called(&["batterypercent", "batterypercentage", "batterypct", "batpct", "battpct"], own);
    // ChirpStack has no whole numbers.
    let is_percent = is_named_percent
        || field.greatest > HIGHER_THAN_VOLTS
        || (topic.starts_with("application/") && topic.ends_with("/event/status"));
    let is_low =
        (BATTERY_LOW.contains(&field.last) && (field.is_whole || is_percent)) || (is_percent && field.last == 1.0);
    (is_low && is_battery_of_its_own(own)) || (is_called(&["batteryok"], own) && field.last == 0.0)
}

/// Whether it is the charge of a device's own battery.
pub(super) fn is_battery_of_its_own(own: &str) -> bool {
    is_called(&BATTERY, own) || is_whose(own)
}

/// Whether a name says whose battery it is, as Home Assistant's do: `phone_battery`, `back_door_battery_level`, and neither
/// what goes in and out of it nor that of a house.
pub(super) fn is_whose(own: &str) -> bool {
    const ENDS: [&str; 4] = ["_battery", "_batt", "_battery_level", "_batt_pct"];
    const OTHERS: &[&str] = &[
        "power", "current", "volt", "energy", "temp", "time", "char", "grid", "pv", "solar", "home", "house", "storage",
    ];
    let ends =
        |end: &str| own.get(own.len().saturating_sub(end.len())..).is_some_and(|last| last.eq_ignore_ascii_case(end));
    ENDS.into_iter().any(ends) && !has_part(own, OTHERS) && !has_word(own, &["to", "from", "in", "out"])
}

/// The voltage of a RuuviTag's cell, which it tells instead of a share.
fn is_cell(own: &str, field: &Field, topic: &str) -> bool {
    field.seen >= 3 && topic.starts_with("ruuvi/") && own == "voltage" && (1.0..CELL_LOW).contains(&field.greatest)
}

/// Radios of other kinds hear far less than Wi-Fi does.
fn is_weak(own: &str, field: &Field, (topic, all): (&str, &Fields)) -> bool {
    let is_wifi = |name: &str| has_part(name, &["wifi", "wlan"]);
    let is_signal = has_part(own, &["rssi", "signal", "strength"]);
    // The same signal as a share stands beside it; what is negative is another's.
    let is_share = |other: &Field| {
        is_wifi(&other.path) && has_part(&other.path, &["strength", "quality", "signal", "rssi"]) && other.least >= 0.0
    };
    let has_share = || all.iter().any(is_share);
    let is_named = || is_wifi(&field.path) || is_wifi(topic) || is_in(&["rssi"], own) && has_share();
    let is_of_wifi = is_signal && is_named() || is_in(&["srssi"], own);
    // A few may be bars: percent are those that say so, Tasmota's RSSI and EMS-ESP's strength.
    let is_percent =
        is_signal && has_part(own, &["percent", "pct"]) || field.path.ends_with("Wifi.RSSI") || own == "wifistrength";
    let weak = match own {
        // Homie's is a share, too (convention 3 and 4, "Device statistics").
        _ if topic.ends_with("/$stats/signal") => 0.0..=PERCENT_WEAK,
        _ if is_percent => 1.0..=PERCENT_WEAK,
        _ if is_of_wifi => -110.0..=WIFI_WEAK,
        _ if is_called(&["linkquality", "lqi"], own) => 1.0..=LINK_WEAK,
        _ if is_called(&["snr", "lsnr", "lorasnr", "rxsnr"], own) => -30.0..=LORA_WEAK,
        _ => return false,
    };
    field.seen >= 3 && weak.contains(&field.greatest)
}

/// A plain name says nothing of the radio. One that tells its uptime beside it, or its signal on a topic of its own, is
/// most likely in a Wi-Fi, which no radio hears below a hundred; Bluetooth is named in the topic, or addresses are.
fn is_weak_by_sender(own: &str, field: &Field, (topic, all): (&str, &Fields)) -> bool {
    const OFTEN: u32 = 4;
    const OTHERS: &[&str] =
        &["snr", "lora", "mesh", "uplink", "spreading", "rxinfo", "lte", "gsm", "modem", "cell", "rsrp"];
    let any = |is: fn(&str, &str) -> bool| all.iter().any(|other| is(&other.path, topic));
    let is_lora = |path: &str, topic: &str| [path, topic].iter().any(|name| has_part(name, OTHERS));
    let is_wifi = || field.least >= -100.0 && (field.path.is_empty() || any(is_uptime));
    let is_bluetooth = || {
        let is_address = |level: &str| level.len() == 17 && level.matches(':').count() == 5;
        field.least >= -120.0 && (has_part(topic, &["bt", "ble", "bluetooth"]) || topic.split('/').any(is_address))
    };
    is_called(&["rssi", "signal", "signalstrength", "signaldbm"], own)
        && field.seen >= OFTEN
        && field.greatest <= PLAIN_WEAK
        && !any(is_lora)
        && (is_wifi() || is_bluetooth() || field.greatest <= FAINT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::device::At;
    use crate::analysis::device::fields::Fields;
    use serde_json::json;

    #[test]
    fn empty_batteries_and_weak_signals_are_told_by_names_that_have_a_scale() {
        for (path, values, expected) in [
            ("battery", &[8.0, 7.0, 7.0][..], Some("low_battery")),
            ("batteryLevel", &[3.0], Some("low_battery")),
            ("battery_ok", &[1.0, 0.0], Some("low_battery")),
            ("battery_ok", &[1.0], None),
            ("battery", &[3.1, 3.0], None),
            ("battery", &[88.5, 3.15], Some("low_battery")),
            ("battery_percent", &[3.15], Some("low_battery")),
            ("batteryLevel", &[3.15, 3.1], None),
            ("battery", &[88.0, 1.0], Some("low_battery")),
            ("battery", &[64.0, 11.0], None),
            ("battery", &[0.0], None),
            ("battery", &[1.0, 1.0], None),
            ("battery_voltage", &[3.0], None),
            ("batt1", &[1.0], None),
            ("phone_battery", &[4.0], Some("low_battery")),
            ("door_battery_level", &[4.0], Some("low_battery")),
            ("batt_pct", &[4.0], Some("low_battery")),
            ("power_to_battery", &[4.0], None),
            ("pv_battery", &[4.0], None),
            ("wifi_signal", &[-92.0, -89.0, -90.0], Some("weak_signal")),
            ("wifi_signal", &[-92.0, -70.0, -90.0], None),
            ("rssi", &[-110.0, -109.0, -110.0], None),
            ("linkquality", &[7.0, 9.0, 8.0], Some("weak_signal")),
            ("linkquality", &[7.0, 40.0, 8.0], None),
            ("lqi", &[7.0, 9.0, 8.0], Some("weak_signal")),
            ("link_quality", &[0.0, 0.0, 0.0], None),
            ("srssi", &[-91.0, -90.0, -93.0], Some("weak_signal")),
            ("srssi", &[-71.0, -70.0, -93.0], None),
            ("rssi", &[-118.0, -117.0, -116.0, -118.0], Some("weak_signal")),
            ("rssi", &[-118.0, -117.0, -110.0, -118.0], None),
            ("signal_percent", &[4.0, 5.0, 4.0], Some("weak_signal")),
            ("wifistrength", &[4.0, 5.0, 4.0], Some("weak_signal")),
            ("wifistrength", &[-60.0, -61.0, -60.0], None),
            ("wifi_bars_strength", &[4.0, 5.0, 4.0], None),
            ("signal", &[-92.0, -93.0, -92.0], None),
            ("snr", &[-18.3, -17.2, -19.0], Some("weak_signal")),
            ("snr", &[-18.3, 4.2, -19.0], None),
            ("snr", &[-7.5, -9.2, -8.0], None),
        ] {
            let (mut fields, mut found) = (Fields::default(), Vec::new());
            values.iter().for_each(|value| _ = fields.record(At::default(), &json!({path: value}), 100));
            judge(path, fields.iter().next().expect("a field"), ("t", &fields), false, &mut found);
            assert_eq!(found.pop().map(|finding| finding.kind), expected, "{path} {values:?}");
        }
        for (values, expected) in [(&[6.0, 6.0, 6.0][..], 1), (&[93.0, 6.0, 93.0, 6.0], 0)] {
            let (mut fields, mut found) = (Fields::default(), Vec::new());
            values.iter().for_each(|value| _ = fields.record(At::default(), &json!({"battery_level": value}), 100));
            let battery = fields.iter().next().expect("a field");
            judge("battery_level", battery, ("t", &fields), true, &mut found);
            assert_eq!(found.len(), expected, "of several {values:?}");
        }
    }

    #[test]
    fn a_topic_tells_what_a_plain_name_is() {
        for (topic, value, expected) in [
            ("zwave/attic/battery/endpoint_0/level", json!({"value": 3}), 1),
            ("zwave/nodeID_8/128/0/level", json!({"value": 1}), 1),
            ("lock/status/devicepower:0", json!({"battery": {"percent": 3}}), 1),
            ("lock/battery/percent", json!(3.15), 1),
            ("application/1/device/24e1/event/status", json!({"batteryLevel": 3.15}), 1),
            ("valetudo/robot/BatteryStateAttribute/level", json!(6), 1),
            ("fleet/truck/battery", json!({"soc": 4}), 1),
            ("house/battery", json!({"soc": 8}), 0),
            ("house/inverter", json!({"soc": 4}), 0),
            ("tank/level", json!({"value": 3}), 0),
            ("tank/state", json!({"battery": 80.0, "percent": 3}), 0),
            ("greenhouse/sensor/wifi_signal/state", json!(-91), 1),
            ("homie/pump/$stats/signal", json!(6), 1),
            ("homie/pump/$stats/signal", json!(0), 1),
            ("homie/pump/$stats/signal", json!(40), 0),
            ("tele/plug/STATE", json!({"Wifi": {"RSSI": 6}}), 1),
            ("tele/plug/STATE", json!({"Wifi": {"RSSI": 64}}), 0),
            ("application/1/device/24e1/event/up", json!({"rxInfo": [{"snr": -18.3}]}), 1),
            ("ruuvi/04:81/BE:D7", json!({"voltage": 1.96}), 1),
            ("ruuvi/04:81/BE:D7", json!({"voltage": 2.6}), 0),
            ("bench/psu", json!({"voltage": 1.96}), 0),
        ] {
            let (mut fields, mut found) = (Fields::default(), Vec::new());
            (0..3).for_each(|_| _ = fields.record(At::default(), &value, 100));
            judge(topic, fields.iter().next().expect("a field"), (topic, &fields), false, &mut found);
            assert_eq!(found.len(), expected, "{topic}");
        }
        for (topic, value, expected) in [
            ("site/pump7/data", json!({"rssi": -93, "uptime_s": 5}), 1),
            ("site/pump7/data", json!({"rssi": -89, "uptime_s": 5}), 0),
            ("site/pump7/data", json!({"rssi": -104, "uptime_s": 5}), 0),
            ("node/17/up", json!({"rssi": -93, "uptime_s": 5, "rx": {"snr": 7.5}}), 0),
            ("radio/17/data", json!({"rssi": -93, "temp": 5}), 0),
            ("home/gw/BTtoMQTT/A4C138", json!({"rssi": -102, "batt": 78}), 1),
            ("tags/C4:CD:09:07:18:D8", json!({"rssi": -99}), 1),
            ("boiler/heartbeat", json!({"rssi": -89, "wifistrength": 14}), 1),
            ("node/heartbeat", json!({"rssi": -89, "wifi_rssi": -60}), 0),
            ("node/heartbeat", json!({"rssi": -89, "wifi_channel": 6}), 0),
            ("mesh/17/data", json!({"rssi": -118}), 0),
        ] {
            let (mut fields, mut found) = (Fields::default(), Vec::new());
            (0..10).for_each(|_| _ = fields.record(At::default(), &value, 100));
            let rssi = fields.iter().find(|field| &*field.path == "rssi").expect("a field");
            judge(topic, rssi, (topic, &fields), false, &mut found);
            assert_eq!(found.len(), expected, "{topic} {value}");
        }
    }

    #[test]
    fn a_battery_is_judged_by_a_word_and_a_signal_by_a_number_where_they_stand_alone() {
        use crate::analysis::device::model::Device;
        use crate::analysis::device::names::Name;
        use crate::analysis::device::{Message, findings};
        for (topic, payloads, expected) in [
            ("ws/gw/data", &[r#"{"battery":"low","type":"low"}"#][..], &["low_battery"][..]),
            ("ws/gw/data", &[r#"{"battery":"low"}"#, r#"{"battery":"ok"}"#], &[]),
            ("ws/gw/data", &[r#"{"battery":"low"}"#, r#"{"battery_type":"CR2032"}"#], &["low_battery"]),
            ("ws/gw/data", &[r#"{"batch":"low"}"#], &[]),
            ("ws/gw/battery", &["low"], &["low_battery"]),
            ("ws/gw/battery", &["good"], &[]),
            ("ws/gw/rssi", &["-93", "-95", "-92", "-93"], &["weak_signal"]),
            ("lora/gw/rssi", &["-93", "-95", "-92", "-93"], &[]),
            ("ws/gw/modem/rssi", &["-93", "-95", "-92", "-93"], &[]),
            ("ws/gw/signal", &["-93 dBm", "-95 dBm", "-92 dBm", "-93 dBm"], &["weak_signal"]),
            ("ws/gw/battery/percent", &["4 %"], &["low_battery"]),
        ] {
            let mut device = Device::new(Name::new("gw", false));
            for payload in payloads.iter().map(|payload| payload.as_bytes()) {
                let at = At::default();
                device.record(&Message { at, topic, payload, payload_bytes: payload.len(), retain: false });
            }
            let found = findings::judge(&device, At::default());
            assert_eq!(found.iter().map(|finding| finding.kind).collect::<Vec<_>>(), expected, "{topic} {payloads:?}");
        }
    }
}
