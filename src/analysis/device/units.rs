//! Units that a topic's messages name. A number whose unit changes on the way is read wrongly by whoever does not look.

use serde_json::Value;

use super::At;
use super::findings::{Finding, Grade, count, time};

/// The unit of one topic.
#[derive(Default)]
pub struct Units(Option<Box<Named>>);

struct Named {
    first: Box<str>,
    seen: u32,
    other: Option<Other>,
}

/// A unit of the same quantity in another system.
struct Other {
    unit: Box<str>,
    count: u32,
    at: At,
}

/// Members that name a unit.
const MEMBERS: [&str; 6] = ["unit", "units", "unit_of_measurement", "uom", "temp_unit", "TempUnit"];

/// Quantities with their units by system. What only differs in its prefix, as W and kW do, is chosen by range.
const QUANTITIES: [&[&str]; 6] = [
    &["c celsius", "f fahrenheit", "k kelvin"],
    &["pa hpa kpa mbar bar", "psi inhg"],
    &["km/h kmh m/s", "mph kn kt"],
    &["mm cm m km", "in inch ft mi"],
    &["ml l m3 m\u{b3}", "gal"],
    &["g kg", "lb oz"],
];

impl Units {
    /// Takes a message's value.
    pub(super) fn record(&mut self, at: At, value: &Value) {
        let Some(unit) = value.as_object().and_then(|members| {
            MEMBERS.iter().find_map(|name| members.get(*name)?.as_str()).filter(|unit| unit.len() <= 20)
        }) else {
            return;
        };
        let Some(named) = &mut self.0 else {
            self.0 = Some(Box::new(Named { first: unit.into(), seen: 1, other: None }));
            return;
        };
        named.seen += 1;
        if differ(&named.first, unit) {
            named.other.get_or_insert_with(|| Other { unit: unit.into(), count: 0, at }).count += 1;
        }
    }

    pub(super) fn judge(&self, topic: &str, found: &mut Vec<Finding>) {
        let Some(Named { first, seen, other: Some(Other { unit, count: number, at }) }) = self.0.as_deref() else {
            return;
        };
        found.push(Finding {
            kind: "unit_changed",
            severity: Grade::Warning,
            finding: format!("the unit of {topic} changes: {first}, and {unit} in {} of {seen}", count(*number, "message")),
            evidence: vec![format!("first at {}: {unit} after {first}", time(*at))],
            advice: "to receivers that do not look at the unit the values jump: find out what switches it, or whether two senders share the topic",
        });
    }
}

/// Whether they are units of the same quantity in different systems.
fn differ(one: &str, other: &str) -> bool {
    let place = |unit: &str| {
        let unit = unit.trim().to_ascii_lowercase();
        let unit = unit.trim_start_matches(['\u{b0}', '\u{ba}']).trim_start_matches("deg").trim();
        QUANTITIES.iter().enumerate().find_map(|(quantity, systems)| {
            let system = systems.iter().position(|units| units.split(' ').any(|known| known == unit))?;
            Some((quantity, system))
        })
    };
    one != other && place(one).zip(place(other)).is_some_and(|(one, other)| one.0 == other.0 && one.1 != other.1)
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
            (&["°C", "%"], None),
        ] {
            let mut reading = Units::default();
            units.iter().for_each(|unit| reading.record(At::default(), &json!({"value": 1, "unit": unit})));
            let mut found = Vec::new();
            reading.judge("t", &mut found);
            assert_eq!(found.first().map(|finding| finding.finding.as_str()), expected, "{units:?}");
        }
    }
}
