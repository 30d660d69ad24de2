//! Totals that stand while what they add up goes on.

use super::fields::{Field, Run};
use super::model::{Device, TopicModel};
use super::{breaks, meaning};
use crate::analysis::words::is_called;

/// The messages at the end in which a total that had grown did not, though the power or the flow beside it was always
/// some and goes on to move: as much must have come as several of its greatest steps. Where two totals grow, a tariff or
/// a direction may have changed.
pub(super) fn stands(device: &Device, field: &Field, (topic, model): (&str, &TopicModel)) -> Option<Run> {
    const ENOUGH: u32 = 5;
    const LEAST: u32 = 8;
    const TIMES: u32 = 4;
    const STEPS: f64 = 2.0;
    let run = field.run;
    let grew = field.falls == 0 && field.rises >= ENOUGH && run.length >= LEAST.max(field.longest.length * TIMES);
    if !grew || !breaks::is_total(&field.path, topic) {
        return None;
    }
    let is_energy = [topic, &field.path]
        .iter()
        .any(|name| meaning::has_part(name, &["energy", "aenergy", "emeter", "kwh", "yield"]));
    // What says of what it is may be another's.
    let of_all: &[&str] = if is_energy { &["power", "apower", "activepower"] } else { &["flow", "flowrate"] };
    let (mut least_share, mut totals) = (f64::INFINITY, 0);
    for (other_topic, other) in beside(device, &field.path, (topic, model)).filter(|(_, other)| other.changes > 0) {
        totals += u32::from(other.falls == 0 && breaks::is_total(&other.path, other_topic));
        if is_called(of_all, meaning::own_name(&other.path, other_topic)) {
            let goes_on = other.run.began.elapsed > run.began.elapsed;
            least_share = least_share.min(if goes_on { other.least / other.greatest } else { 0.0 });
        }
    }
    let missing = (field.greatest - field.least) * f64::from(run.length) / f64::from(field.seen - run.length);
    let is_missing = least_share <= 1.0 && missing * least_share >= field.greatest_step * STEPS;
    (is_missing && totals == 1).then_some(run)
}

/// The numbers in the same messages, or, where each has a topic of its own, of those next to it.
fn beside<'a>(
    device: &'a Device,
    path: &str,
    (topic, model): (&'a str, &'a TopicModel),
) -> impl Iterator<Item = (&'a str, &'a Field)> {
    fn above(topic: &str) -> &str {
        topic.rsplit_once('/').map_or("", |(above, _)| above)
    }
    let is_alone = path.is_empty();
    device
        .topics()
        .filter(move |(other, it)| std::ptr::eq(*it, model) || is_alone && above(other) == above(topic))
        .flat_map(|(topic, model)| model.fields.iter().map(move |field| (topic, field)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use crate::analysis::device::model::Device;
    use crate::analysis::device::names::Name;
    use crate::analysis::device::{At, Message, findings};

    /// What is said of a device that tells these on these topics every ten seconds.
    fn told(messages: impl Fn(u32) -> Vec<(&'static str, Value)>) -> Vec<&'static str> {
        let mut device = Device::new(Name::new("d", false));
        let at = |n: u32| At { elapsed: Duration::from_secs(10 * u64::from(n)), unix_ms: 0 };
        for n in 0..40 {
            for (topic, value) in messages(n) {
                let payload = value.to_string();
                let payload = payload.as_bytes();
                let message = Message { at: at(n), topic, payload, payload_bytes: payload.len(), retain: false };
                device.record(&message);
            }
        }
        findings::judge(&device, at(40)).iter().map(|finding| finding.kind).collect()
    }

    const NOT: [&str; 0] = [];

    #[test]
    fn a_total_that_stands_while_power_goes_on_is_told() {
        let power = |n: u32| 300 + n * 7919 % 97;
        let until = |end: u32| move |n: u32| f64::from(4000 + 2 * n.min(end)) / 1000.0;
        let plug = |power: &dyn Fn(u32) -> i64, total: &dyn Fn(u32) -> f64| {
            told(|n| vec![("tele/d/SENSOR", json!({"ENERGY": {"Total": total(n), "Power": power(n), "Today": 1.5}}))])
        };
        let on = |n| i64::from(power(n));
        assert_eq!(plug(&on, &until(22)), ["stuck_value"]);
        assert_eq!(plug(&on, &until(34)), NOT, "not for long");
        assert_eq!(plug(&on, &until(3)), NOT, "it grew a few times");
        assert_eq!(plug(&|n| if n < 22 { on(n) } else { 0 }, &until(22)), NOT, "the load went off");
        assert_eq!(plug(&|n| if n < 22 { on(n) } else { 2 + i64::from(n % 3) }, &until(22)), NOT, "next to nothing");
        assert_eq!(plug(&|n| on(n.min(22)), &until(22)), NOT, "nothing goes on");
        assert_eq!(plug(&on, &|n| f64::from(400 + n / 9) / 100.0), NOT, "coarse");
    }

    #[test]
    fn another_direction_and_what_power_of_others_does_is_no_fault() {
        let total = |n: u32| f64::from(4000 + 2 * n.min(22)) / 1000.0;
        let meter = |name: &'static str, other: &dyn Fn(u32) -> f64| {
            told(|n| {
                let power = 300 + n * 7919 % 97;
                vec![("d/data", json!({"energy_in": total(n), "energy_out": other(n), name: power}))]
            })
        };
        assert_eq!(meter("power", &|_| 17.25), ["stuck_value"]);
        assert_eq!(meter("power", &|n| f64::from(1725 + n) / 100.0), NOT, "the other tariff counts");
        assert_eq!(meter("pv_power", &|_| 17.25), NOT);
        let beside = |power: &'static str| {
            told(|n| vec![("d/0/yieldtotal", json!(total(n))), (power, json!(300 + n * 7919 % 97))])
        };
        assert_eq!((beside("d/0/power"), beside("d/1/power")), (vec!["stuck_value"], vec![]));
    }
}
