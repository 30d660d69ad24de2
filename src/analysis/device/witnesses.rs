//! Whose clock is wrong when a device's and this machine's differ: what the clocks of others say.

use super::clocks::Clock;
use super::model::Device;
use super::sparkplug;
use crate::limits::CLOCK_OFFSET_MAX;

/// So many others must be off as the device is: two devices that share a time server, or lost power together, are off
/// alike too.
const AGREEING: usize = 2;

/// Whether it is rather this machine's clock that is wrong than the device's, which shows `clock`: several others are
/// off alike, hardly any otherwise, and none is right. Where all agree to the second over days, one is enough: then it is
/// most likely a recording that is played again. A date of before there were such is nobody's but the device's.
pub(super) fn blame_this_machine(device: &Device, clock: &Clock) -> bool {
    let mut senders: Vec<(&str, bool)> = Vec::new();
    // Those that told their time more than once, and those of them that agree to the second over days.
    let (mut often, mut over_days) = (0, 0);
    let own = sender(device, &clock.topic, &clock.topic);
    if clock.was_never_set() || device.clocks.are_some_right || device.other_clocks.are_some_right {
        return false;
    }
    for other in device.other_clocks.iter().filter(|other| other.is_witness() && other.tells_of(clock)) {
        let name = sender(device, &clock.topic, &other.topic);
        // A Sparkplug node has one clock for all of its devices.
        if name == own {
            continue;
        }
        if other.is_right() {
            return false;
        }
        let agrees = other.is_off_like(clock);
        often += u32::from(other.count > 1);
        over_days += u32::from(clock.is_days_away_with(other));
        match senders.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known |= agrees,
            None => senders.push((name, agrees)),
        }
    }
    let agreeing = senders.iter().filter(|(_, agrees)| *agrees).count();
    let is_recording = over_days > 0 && over_days == often && clock.may_be_recorded();
    let least = if is_recording { 1 } else { AGREEING };
    agreeing >= least && agreeing * 3 >= senders.len() * 2
}

impl Clock {
    fn is_right(&self) -> bool {
        let limit = CLOCK_OFFSET_MAX.as_millis() as i64;
        self.least <= limit && self.greatest >= -limit
    }

    /// A local time is the same at each quarter of an hour.
    fn tells_of(&self, own: &Self) -> bool {
        const QUARTER_MS: i64 = 900_000;
        let limit = CLOCK_OFFSET_MAX.as_millis() as i64;
        let off = (own.greatest + QUARTER_MS / 2).rem_euclid(QUARTER_MS) - QUARTER_MS / 2;
        !self.is_local || own.is_local || off.abs() > limit || !self.is_right()
    }

    fn is_off_like(&self, own: &Self) -> bool {
        let limit = CLOCK_OFFSET_MAX.as_millis() as i64;
        (self.greatest - own.greatest).abs() <= limit.max(own.greatest.abs() / 100) || own.is_days_away_with(self)
    }
}

/// The part of a topic that names who sent it, told from where the device's own topics have its name.
fn sender<'a>(device: &Device, own: &str, topic: &'a str) -> &'a str {
    if let Some(parts) = sparkplug::parts(topic) {
        return parts.node;
    }
    let level = own.split('/').position(|level| device.name.is_in(level)).unwrap_or(1);
    let is_alike = own.split('/').next() == topic.split('/').next();
    let levels = if is_alike || level == 0 { level + 1 } else { 2 };
    let end = topic.match_indices('/').nth(levels - 1).map_or(topic.len(), |(end, _)| end);
    &topic[..end]
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::findings::judge;
    use super::super::names::Name;
    use super::super::{At, Message};
    use super::*;

    const NOW: u64 = 1_740_830_400_000;
    const HOUR: i64 = 3_600_000;
    const DAY: i64 = 24 * HOUR;

    /// What is said of `plant/a` whose clock is off by so much, while others are off by theirs.
    fn told(own: i64, others: &[(&str, i64)]) -> Vec<&'static str> {
        told_before(own, others, &[])
    }

    /// The same, and then more messages of others.
    fn told_before(own: i64, others: &[(&str, i64)], then: &[(&str, &str)]) -> Vec<&'static str> {
        let mut device = Device::new(Name::new("a", false));
        for second in 0..5 {
            let at = At { elapsed: Duration::from_secs(second * 10), unix_ms: NOW + second * 10_000 };
            for (topic, off) in others.iter().chain([&("plant/a/data", own)]) {
                let payload = format!("{{\"ts\":{}}}", at.unix_ms as i64 + off);
                let payload = payload.as_bytes();
                device.record(&Message { at, topic, payload, payload_bytes: payload.len(), retain: false });
            }
        }
        let end = At { elapsed: Duration::from_secs(50), unix_ms: NOW + 50_000 };
        for (topic, text) in then {
            let payload = text.as_bytes();
            device.record(&Message { at: end, topic, payload, payload_bytes: payload.len(), retain: false });
        }
        judge(&device, end).iter().map(|finding| finding.kind).collect()
    }

    #[test]
    fn several_others_that_are_off_alike_and_none_that_is_right_blame_this_machine() {
        let ours = ["clock_of_this_machine"];
        let its = ["clock_offset"];
        assert_eq!(told(-HOUR, &[("plant/b/data", -HOUR), ("plant/c/data", -HOUR)]), ours);
        assert_eq!(told(-HOUR, &[("plant/b/data", -HOUR), ("roof/x", -HOUR)]), ours);
        assert_eq!(told(-400 * DAY, &[("plant/b/data", -400 * DAY), ("plant/c/data", -400 * DAY)]), ours);
        assert_eq!(told(-HOUR, &[("plant/b/data", -HOUR)]), its, "one other");
        assert_eq!(told(-400 * DAY, &[("plant/b/data", -400 * DAY)]), ours, "a recording of two");
        assert_eq!(told(-400 * DAY, &[("plant/b/data", -400 * DAY), ("plant/c/data", -9 * HOUR)]), its);
        assert_eq!(told(-400 * DAY, &[("plant/b/data", -400 * DAY), ("plant/c/data", 0)]), its);
        assert_eq!(told(-HOUR, &[("plant/b/data", -HOUR), ("plant/b/state", -HOUR)]), its, "one that tells it twice");
        let beside = |right| told(-400 * DAY, &[("plant/b/data", -400 * DAY), right]);
        assert_eq!(beside(("plant/a/updated", 0)), its, "another time of its own is right");
        let many: Vec<_> = (0..20).map(|n| (format!("plant/b/{n}"), -400 * DAY)).collect();
        let many = || many.iter().map(|(topic, off)| (topic.as_str(), *off));
        assert_eq!(told(-400 * DAY, &many().collect::<Vec<_>>()), ours);
        let others: Vec<_> = many().chain([("plant/c/data", 0)]).collect();
        assert_eq!(told(-400 * DAY, &others), its, "one of many is right");
        let one_is_right = [("plant/b/data", -HOUR), ("plant/c/data", -HOUR), ("plant/d/data", 0)];
        assert_eq!(told(-HOUR, &one_is_right), its);
        let alike = |off, others: usize| {
            told(off, &[("plant/b/data", off), ("plant/c/data", off + 1000), ("plant/d/data", off)][..others])
        };
        let at_2005 = 1_104_537_600_000 - NOW as i64;
        assert_eq!((alike(at_2005, 1), alike(at_2005, 3)), (its.to_vec(), its.to_vec()), "nobody has set them");
        let at_new_year = 1_704_067_200_000 + 500_000 - NOW as i64;
        assert_eq!((alike(at_new_year, 1), alike(at_new_year, 3)), (its.to_vec(), ours.to_vec()), "power came back");
        assert_eq!((alike(400 * DAY, 1), alike(400 * DAY, 2)), (its.to_vec(), ours.to_vec()), "not recorded yet");
        let some_differ =
            [("plant/b/data", -HOUR), ("plant/c/data", -HOUR), ("plant/d/data", DAY), ("plant/e/data", -9 * HOUR)];
        assert_eq!(told(-HOUR, &some_differ), its);
    }

    #[test]
    fn a_time_that_is_right_is_heard_in_a_crowd() {
        let beside = |topic, text| {
            let crowd = [("plant/c/data", "7")].repeat(100);
            told_before(-400 * DAY, &[("plant/b/data", -400 * DAY)], &[&crowd[..], &[(topic, text)]].concat())
        };
        assert_eq!(beside("plant/d/data", r#"{"updated":"2025-03-01T12:00:51Z"}"#), ["clock_offset"]);
        assert_eq!(beside("house/utc", "2025-03-01T12:00:50Z"), ["clock_offset"]);
        assert_eq!(beside("house/utc", "12:00"), ["clock_of_this_machine"], "no time of a day that is told");
    }
}
