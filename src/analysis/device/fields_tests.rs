use super::*;
use serde_json::json;

fn of(name: &str, values: impl IntoIterator<Item = f64>) -> Fields {
    let mut fields = Fields::default();
    values.into_iter().for_each(|value| _ = fields.record(At::default(), &json!({name: value}), 100));
    fields
}

#[test]
fn what_a_sensor_says_without_a_temperature_is_told_from_heat() {
    for (values, expected) in [
        (&[21.0, 21.1, -127.0, 21.1][..], [1, 0]),
        (&[-127.0, -127.0], [2, 0]),
        (&[85.0, 21.1, 21.2], [0, 1]),
        (&[21.0, 85.0, 21.1, 85.0, 21.2], [0, 2]),
        (&[21.0, 85.0, -127.0, -127.0, 21.2], [2, 1]),
        (&[70.0, 79.0, 85.0, 79.0], [0, 0]),
        (&[70.0, 79.0, 85.0, 21.0], [0, 0]),
        (&[21.0, 85.0, 79.0], [0, 0]),
        (&[85.0, 85.0, 85.0, 85.0, 60.0], [0, 0]),
    ] {
        let fields = of("t", values.iter().copied());
        let told = fields.iter().next().expect("a field").no_temperature;
        assert_eq!(told.map(|told| told.map_or(0, |(count, _)| count)), expected, "{values:?}");
    }
}

#[test]
fn a_temperature_that_jumps_to_where_sensors_start_and_stays_is_none() {
    for (values, expected) in [
        (&[22.9, 23.0, 85.0, 85.0, 85.0][..], Some(3)),
        (&[22.9, 23.0, 85.0, 85.0], None),
        (&[70.0, 80.0, 85.0, 85.0, 85.0], None),
        (&[85.0, 85.0, 85.0], None),
    ] {
        let fields = of("t", values.iter().copied());
        let stays = fields.iter().next().expect("a field").stays_at_power_on();
        assert_eq!(stays.map(|(count, _)| count), expected, "{values:?}");
    }
}

#[test]
fn numbers_are_found_in_lists_with_names_and_in_text() {
    let list =
        |v: f64, q: bool| json!({"values": [{"id": "P.Temp", "v": v, "q": q}, {"id": "P.Flow", "v": 1, "q": true}]});
    let (mut fields, at) = (Fields::default(), At::default());
    fields.record(at, &list(20.5, true), 100);
    fields.record(at, &list(20.5, false), 100);
    fields.record(
        at,
        &json!({"Messages": [{"SequenceNumber": 7}], "outTemp": "4.25", "version": "1.4.2", "id": "82007"}),
        100,
    );
    fields.record(at, &json!({"pairs": [[1, 2], [3, 4]], "list": [1, 2], "outTemp": "N/A"}), 100);
    let told: Vec<_> = fields.iter().map(|field| (&*field.path, field.seen, field.lost)).collect();
    let expected =
        [("values.P.Temp.v", 1, 1), ("values.P.Flow.v", 2, 0), ("Messages.0.SequenceNumber", 1, 0), ("outTemp", 1, 1)];
    assert_eq!(told, expected);
    let mut fields = Fields::default();
    for n in 0..12 {
        fields.record(at, &if n == 7 { json!({"seq": "7"}) } else { json!({"seq": n}) }, 100);
    }
    assert_eq!(fields.iter().next().expect("a field").steps.missing, 0, "a number as text is there");
}

#[test]
fn uptimes_and_sequence_numbers_are_read_from_text() {
    let of = |values: &[(&str, &str)]| {
        let mut fields = Fields::default();
        values.iter().for_each(|(name, text)| _ = fields.record(At::default(), &json!({*name: text}), 100));
        fields.iter().next().map(|field| (field.seen, field.last, field.fell_at.is_some()))
    };
    for (values, expected) in [
        (&[("Uptime", "3T04:05:06"), ("Uptime", "0T00:00:21")][..], Some((2, 21.0, true))),
        (&[("Uptime", "3T04:05:06"), ("Uptime", "3T04:05:05")], Some((1, 273_906.0, false))),
        (&[("sequence_id", "2021"), ("sequence_id", "77"), ("sequence_id", "2022")], Some((2, 2022.0, false))),
        (&[("sequence_id", "2021"), ("sequence_id", "0")], Some((1, 2021.0, false))),
        (&[("serial", "2021")], None),
        (&[("starts", "3T04:05:06")], None),
    ] {
        assert_eq!(of(values), expected, "{values:?}");
    }
    let wrapped = of_numbers(&[65_510, 65_520, 65_530, 4, 14]);
    assert_eq!((wrapped, of_numbers(&[65_490, 65_500, 4, 14])), (false, true));
    assert!(of_numbers(&[11_946, 42_953, 11_951, 42_958]), "two in turn");
}

fn of_numbers(values: &[u32]) -> bool {
    let fields = of("uptime", values.iter().copied().map(f64::from));
    fields.iter().next().is_some_and(|field| field.fell_at.is_some())
}

#[test]
fn a_number_that_is_lost_is_counted_and_memory_has_a_bound() {
    let mut fields = of("t", [20.0, 21.0, 22.0]);
    for value in [json!({"t": null}), json!({"t": "nan"}), json!({"other": null})] {
        fields.record(At::default(), &value, 100);
    }
    assert_eq!(fields.iter().next().expect("a field").lost, 2);
    let wide: serde_json::Map<_, _> = (0..1000).map(|n| (format!("{n}"), json!(n))).collect();
    assert_eq!(fields.record(At::default(), &Value::Object(wide.clone()), 5), 5);
    fields.record(At::default(), &Value::Object(wide), 10_000);
    assert_eq!(fields.iter().count(), FIELDS_PER_TOPIC_MAX);
}

#[test]
fn lists_of_phases_and_of_what_a_charger_measures_have_their_numbers() {
    let mut fields = Fields::default();
    let phases = json!({"Power": [588, 458.5, 268], "Period": [0, 0, 0], "temps": [1, 2, 3, 4, 5], "box": [7, 8]});
    fields.record(At::default(), &phases, 100);
    let sampled = json!([
        {"value": "3189069", "measurand": "Energy.Active.Import.Register", "unit": "Wh"},
        {"value": "231.6", "measurand": "Voltage", "phase": "L1-N", "unit": "V"},
        {"value": "17", "measurand": "Status"},
    ]);
    fields.record(At::default(), &json!({"meterValue": [{"sampledValue": sampled}]}), 100);
    let told: Vec<_> = fields.iter().map(|field| (&*field.path, field.last)).collect();
    let energy = "meterValue.0.sampledValue.Energy_Active_Import_Register.value";
    assert_eq!(told, [("Power.0", 588.0), ("Power.1", 458.5), ("Power.2", 268.0), (energy, 3_189_069.0)]);
}
