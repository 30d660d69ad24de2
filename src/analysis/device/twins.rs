//! Two sensors under one name: the air of two places in turn.

use super::fields::Field;
use super::findings::{Finding, Grade};
use super::meaning;
use super::model::TopicModel;
use crate::analysis::decimal::Decimal;
use crate::analysis::words::count;

/// What to do where two send under one name.
pub(super) const TWO_SENDERS: &str =
    "two devices may have the same name or configuration: compare client ids and where the messages come from";

/// Air that is another with each message, and again what it was, is told of two places by two.
pub(super) fn in_turn(topic: &str, model: &TopicModel) -> Option<Finding> {
    const OFTEN: u32 = 12;
    const NUMBERS: usize = 3;
    let swings = |field: &&Field| {
        let is_far = (field.greatest - field.least) * 10.0 >= field.greatest.abs().max(field.least.abs());
        field.seen >= OFTEN && field.pace.swings * 2 >= field.seen && is_far
    };
    let is_air = |field: &&Field| {
        [meaning::may_be_temperature, meaning::is_humidity, meaning::is_gas].iter().any(|is| is(&field.path, topic))
    };
    let of = || model.fields.iter().filter(swings);
    let is_one = model.labels.are_several() || of().count() < NUMBERS || of().filter(is_air).count() < 2;
    let from_to =
        |field: &Field| format!("{} between {} and {}", field.path, Decimal(field.least), Decimal(field.greatest));
    (!is_one).then(|| Finding {
        kind: "several_senders",
        severity: Grade::Warning,
        finding: format!(
            "{} of {topic} go back and forth: two senders share the topic",
            count(of().count() as u64, "number")
        ),
        evidence: of().take(NUMBERS).map(from_to).collect(),
        advice: TWO_SENDERS,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::super::findings::judge;
    use super::super::model::Device;
    use super::super::names::Name;
    use super::super::{At, Message};

    #[test]
    fn air_of_two_places_in_turn_is_told_by_two() {
        let kinds = |place: fn(u32) -> u32, name: fn(u32) -> &'static str| {
            let mut device = Device::new(Name::new("d", false));
            for n in 0..30 {
                let at = At { elapsed: Duration::from_secs(n.into()), unix_ms: u64::from(n) * 1000 };
                let [temp, share, gas] = if place(n) == 0 { [10, 44, 410] } else { [20, 86, 728] };
                let value = json!({"type": name(n), "temp": temp + n % 3, "humidity": share, "co2": gas + n * 7 % 5});
                let payload = value.to_string();
                let payload = payload.as_bytes();
                device.record(&Message { at, topic: "d", payload, payload_bytes: payload.len(), retain: false });
            }
            judge(&device, At::default()).iter().map(|finding| finding.kind).collect::<Vec<_>>()
        };
        assert_eq!(kinds(|n| n % 2, |_| "a"), ["several_senders"]);
        assert_eq!(kinds(|n| n / 2 % 2, |_| "a"), [""; 0], "each twice");
        assert_eq!(kinds(|n| n % 2, |n| ["a", "b"][n as usize % 2]), [""; 0], "they have names");
    }
}
