//! Units that a topic's messages name. A number whose unit changes on the way is read wrongly by whoever does not look.

use serde_json::{Map, Value};

use super::At;
use super::findings::{Finding, Grade, time};
use super::labels::label;
use crate::analysis::words::{count, is_in};
use crate::limits::UNITS_PER_TOPIC_MAX;

/// The units of one topic.
#[derive(Default)]
pub struct Units(Vec<Named>);

/// The unit of a quantity, as far as other members tell what is measured.
struct Named {
    label: u64,
    quantity: usize,
    system: usize,
    first: Box<str>,
    seen: u32,
    other: Option<Other>,
}

/// A unit of the same quantity in another system.
pub(super) struct Other {
    unit: Box<str>,
    count: u32,
    at: At,
}

/// Members that name a unit.
const MEMBERS: [&str; 6] = ["unit", "units", "unit_of_measurement", "uom", "temp_unit", "TempUnit"];

/// Quantities with their units by system. What only differs in its prefix, as W and kW do, is chosen by range.
const QUANTITIES: [&[&str]; 7] = [
    &["c celsius", "f fahrenheit", KELVIN],
    &["pa hpa kpa mbar bar", "psi inhg"],
    &["km/h kmh m/s", "mph kn kt"],
    &["mm cm m km", "in inch ft mi"],
    &["ml l m3 m\u{b3}", "gal"],
    &["g kg", "lb oz"],
    &["l/min lpm", "ml/s l/s", "l/h m3/h m\u{b3}/h", "gpm"],
];
const KELVIN: &str = "k kelvin";
/// Light is called so many kelvins and more.
const LIGHT_KELVIN: f64 = 1000.0;

impl Units {
    /// Takes a message's value.
    pub(super) fn record(&mut self, at: At, value: &Value) {
        let Some(members) = value.as_object() else { return };
        let Some(unit) = MEMBERS.iter().find_map(|name| members.get(*name)?.as_str()) else { return };
        let Some((quantity, system)) = place(unit).filter(|place| !is_light(*place, members)) else { return };
        let label = label(members, true);
        if let Some(named) = self.0.iter_mut().find(|named| named.label == label && named.quantity == quantity) {
            named.seen += 1;
            if named.system != system {
                named.other.get_or_insert_with(|| Other { unit: unit.into(), count: 0, at }).count += 1;
            }
        } else if self.0.len() < UNITS_PER_TOPIC_MAX {
            self.0.push(Named { label, quantity, system, first: unit.into(), seen: 1, other: None });
        }
    }

    /// Whether one changed: what it was called first, how many messages named it, and what it was called then.
    pub(super) fn changed(&self) -> Option<(&str, u32, &Other)> {
        self.0.iter().find_map(|named| Some((&*named.first, named.seen, named.other.as_ref()?)))
    }

    pub(super) fn judge(&self, topic: &str, found: &mut Vec<Finding>) {
        let Some((first, seen, Other { unit, count: number, at })) = self.changed() else { return };
        found.push(Finding {
            kind: "unit_changed",
            severity: Grade::Warning,
            finding: format!("the unit of {topic} changes: {first}, and {unit} in {} of {seen}", count((*number).into(), "message")),
            evidence: vec![format!("first at {}: {unit} after {first}", time(*at))],
            advice: "to receivers that do not look at the unit the values jump: find out what switches it, or whether two senders share the topic",
        });
    }
}

/// Whether it is a unit of what is measured.
pub(super) fn is_unit(text: &str) -> bool {
    const OTHERS: &[&str] =
        &["%", "v", "mv", "a", "ma", "w", "kw", "va", "wh", "kwh", "db", "dbm", "ppm", "lx", "lux", "hz", "rpm"];
    place(text).is_some() || is_in(OTHERS, text.trim())
}

/// The quantity of a unit and its system.
fn place(unit: &str) -> Option<(usize, usize)> {
    let unit = unit.trim().to_ascii_lowercase();
    let unit = unit.trim_start_matches(['\u{b0}', '\u{ba}']).trim_start_matches("deg").trim();
    QUANTITIES.iter().enumerate().find_map(|(quantity, systems)| {
        let system = systems.iter().position(|units| units.split(' ').any(|known| known == unit))?;
        Some((quantity, system))
    })
}

/// Whether the colour of light is told in kelvins, which is no temperature of a thing: only a number that is too low for
/// it shows that it is none.
fn is_light((quantity, system): (usize, usize), members: &Map<String, Value>) -> bool {
    const VALUES: [&str; 5] = ["value", "val", "temperature", "temp", "reading"];
    let mut values = VALUES.iter().filter_map(|name| members.get(*name)?.as_f64());
    QUANTITIES[quantity][system] == KELVIN && !values.any(|value| value < LIGHT_KELVIN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_unit_of_another_system_is_told_and_one_of_another_range_is_not() {
        for (units, expected) in [
            (&["°C", "°F", "°C", "°F"][..], Some("the unit of t changes: °C, and °F in 2 messages of 4")),
            (&["C", "F"], Some("the unit of t changes: C, and F in 1 message of 2")),
            (&["hPa", "psi"], Some("the unit of t changes: hPa, and psi in 1 message of 2")),
            (&["°C", "C", "Celsius", "degC"], None),
            (&["W", "kW"], None),
            (&["hPa", "kPa"], None),
            (&["l/min", "ml/s"], Some("the unit of t changes: l/min, and ml/s in 1 message of 2")),
            (&["l/h", "m³/h"], None),
            (&["°C", "%"], None),
            (&["%", "°C", "°F"], Some("the unit of t changes: °C, and °F in 1 message of 2")),
            (&["°C", "hPa", "psi"], Some("the unit of t changes: hPa, and psi in 1 message of 2")),
        ] {
            let messages = units.iter().map(|unit| json!({"value": 1, "unit": unit}));
            assert_eq!(told(messages).as_deref(), expected, "{units:?}");
        }
    }

    #[test]
    fn units_are_compared_where_other_members_say_that_the_same_is_measured() {
        for (messages, expected) in [
            (
                json!([{"register": 1, "unit": "°C"}, {"register": 2, "unit": "°F"}, {"register": 1, "unit": "°C"}]),
                false,
            ),
            (json!([{"sensorName": "in", "unit": "bar"}, {"sensorName": "out", "unit": "psi"}]), false),
            (
                json!([{"register": 1, "unit": "°C"}, {"register": 2, "unit": "°F"}, {"register": 1, "unit": "°F"}]),
                true,
            ),
            (json!([{"message_id": 1, "unit": "°C"}, {"message_id": 2, "unit": "°F"}]), true),
            (json!([{"sensor_value": 21, "unit": "°C"}, {"sensor_value": 70, "unit": "°F"}]), true),
            (json!([{"value": 21, "unit": "°C"}, {"value": 2700, "unit": "K"}]), false),
            (json!([{"unit": "°C"}, {"unit": "K"}]), false),
            (json!([{"value": 21, "unit": "°C"}, {"value": 294.1, "unit": "K"}]), true),
        ] {
            let messages = messages.as_array().expect("messages").clone();
            assert_eq!(told(messages.clone().into_iter()).is_some(), expected, "{messages:?}");
        }
    }

    fn told(messages: impl Iterator<Item = Value>) -> Option<String> {
        let (mut units, mut found) = (Units::default(), Vec::new());
        messages.for_each(|message| units.record(At::default(), &message));
        assert!(units.0.len() <= UNITS_PER_TOPIC_MAX);
        units.judge("t", &mut found);
        found.pop().map(|finding| finding.finding)
    }

    #[test]
    fn memory_has_a_bound() {
        assert_eq!(told((0..1000).map(|n| json!({"sensor": n, "unit": if n % 2 == 0 { "C" } else { "F" }}))), None);
    }
}
