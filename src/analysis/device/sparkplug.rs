//! Sparkplug B from outside: what its topics say, time and sequence number of a payload, and the numbers in it.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::told_time::{self, ToldTime};
use crate::analysis::alarm::{Role, role_of_topic};
use crate::limits::SPARKPLUG_ALIASES_MAX;
use crate::rpc::outgoing::to_json;

/// The parts of a topic `spBv1.0/GROUP/TYPE/NODE[/DEVICE]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parts<'a> {
    /// Group.
    pub group: &'a str,
    /// NBIRTH, NDATA, DDEATH and so on.
    pub kind: &'a str,
    /// Edge node.
    pub node: &'a str,
    /// A device behind the node.
    pub device: Option<&'a str>,
}

/// Reads a topic.
pub fn parts(topic: &str) -> Option<Parts<'_>> {
    let mut levels = topic.strip_prefix("spBv1.0/")?.split('/');
    let (group, kind, node) = (levels.next()?, levels.next()?, levels.next()?);
    Some(Parts { group, kind, node, device: levels.next() })
}

/// What a payload says of itself: milliseconds since 1970, and the sequence number.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Header {
    /// Field 1.
    pub timestamp: Option<u64>,
    /// Field 3.
    pub seq: Option<u64>,
}

/// Walks over a Protobuf message and picks its time and sequence number. `None` when it is not one, as far as it is there.
pub fn header(mut payload: &[u8]) -> Option<Header> {
    let mut header = Header::default();
    while !payload.is_empty() {
        match part(&mut payload)? {
            (1, Part::Number(value)) => header.timestamp = Some(value),
            (3, Part::Number(value)) => header.seq = Some(value),
            _ => {}
        }
    }
    Some(header)
}

/// When a payload says that it was made.
pub(super) fn time(payload: &[u8]) -> Option<ToldTime> {
    told_time::of_number(header(payload)?.timestamp? as f64)
}

/// How a metric is called whose name was told before anybody listened.
pub(super) const UNNAMED: &str = "alias ";

/// The names of metrics, which births tell and data leave out.
#[derive(Default)]
pub struct Aliases(Vec<(Box<str>, u64, Box<str>)>);

impl Aliases {
    /// The metrics of a node's payload that are numbers, or are none for now, or say how it is, by name. `None` when it is
    /// no Protobuf message.
    pub fn metrics(&mut self, of: &Parts<'_>, mut payload: &[u8]) -> Option<Value> {
        let mut metrics = Map::new();
        while !payload.is_empty() {
            if let (2, Part::Bytes(metric)) = part(&mut payload)?
                && let (Some(name), value) = self.metric(of, metric)?
            {
                metrics.insert(name, value);
            }
        }
        Some(Value::Object(metrics))
    }

    fn metric(&mut self, of: &Parts<'_>, mut payload: &[u8]) -> Option<(Option<String>, Value)> {
        let (mut name, mut alias, mut datatype, mut value, mut is_bad) = (None, None, 0, None, false);
        let mut text = None;
        while !payload.is_empty() {
            match part(&mut payload)? {
                (1, Part::Bytes(bytes)) => name = std::str::from_utf8(bytes).ok(),
                (2, Part::Number(number)) => alias = Some(number),
                (4, Part::Number(number)) => datatype = number,
                (7, Part::Number(1)) => value = Some(Value::Null),
                (9, Part::Bytes(properties)) => is_bad = is_bad_quality(properties) == Some(true),
                (10, Part::Number(bits)) if datatype <= 3 => value = Some((bits as u32 as i32).into()),
                (11, Part::Number(bits)) if datatype == 4 => value = Some((bits as i64).into()),
                // Dates are no measurements.
                (10 | 11, Part::Number(number)) if datatype != 13 => value = Some(number.into()),
                (14, Part::Number(number)) => value = Some((number == 1).into()),
                (12, Part::Four(bits)) => value = Some(f64::from(f32::from_le_bytes(bits)).into()),
                (13, Part::Eight(bits)) => value = Some(f64::from_le_bytes(bits).into()),
                (15, Part::Bytes(bytes)) => text = std::str::from_utf8(bytes).ok(),
                _ => {}
            }
        }
        let name = match (name.filter(|name| !name.is_empty()), alias) {
            (Some(name), Some(alias)) => {
                self.learn(of.node, alias, name);
                Some(name.to_owned())
            }
            (Some(name), None) => Some(name.to_owned()),
            (None, Some(alias)) => {
                Some(self.name(of.node, alias).map_or_else(|| format!("{UNNAMED}{alias}"), str::to_owned))
            }
            (None, None) => None,
        };
        let tells =
            |name: &String| name.starts_with(UNNAMED) || !matches!(role_of_topic(name), None | Some(Role::Plain));
        let value = match text {
            _ if is_bad => Some(Value::Null),
            Some(text) if value.is_none() && name.as_ref().is_some_and(tells) => Some(text.into()),
            _ => value,
        };
        Some((name.filter(|_| value.is_some()), value.unwrap_or_default()))
    }

    fn name(&self, node: &str, alias: u64) -> Option<&str> {
        let known = |(of, number, _): &&(Box<str>, u64, Box<str>)| **of == *node && *number == alias;
        self.0.iter().find(known).map(|(_, _, name)| &**name)
    }

    fn learn(&mut self, node: &str, alias: u64, name: &str) {
        if self.0.len() < SPARKPLUG_ALIASES_MAX && self.name(node, alias).is_none() {
            self.0.push((node.into(), alias, name.into()));
        }
    }
}

/// What a payload says, also one that is no text.
pub(super) fn readable<'a>(text: &'a str, metrics: Option<&Value>) -> Cow<'a, str> {
    match metrics {
        Some(metrics) if text.is_empty() => String::from_utf8(to_json(metrics)).unwrap_or_default().into(),
        _ => text.into(),
    }
}

/// Whether a metric's properties, names and then values, have a quality of 0: what is good has 192, what is stale 500.
fn is_bad_quality(mut properties: &[u8]) -> Option<bool> {
    let (mut names, mut values) = (Vec::new(), Vec::new());
    while !properties.is_empty() {
        match part(&mut properties)? {
            (1, Part::Bytes(name)) => names.push(name),
            (2, Part::Bytes(value)) => values.push(value),
            _ => {}
        }
    }
    let place = names.iter().position(|name| name.eq_ignore_ascii_case(b"quality"));
    let Some(mut value) = place.and_then(|place| values.get(place).copied()) else { return Some(false) };
    let mut is_zero = false;
    while !value.is_empty() {
        if let (3 | 4, Part::Number(number)) = part(&mut value)? {
            is_zero = number == 0;
        }
    }
    Some(is_zero)
}

/// What a field of a Protobuf message has.
enum Part<'a> {
    Number(u64),
    Four([u8; 4]),
    Eight([u8; 8]),
    Bytes(&'a [u8]),
}

/// Takes the next field off a Protobuf message: its number, and what it has.
fn part<'a>(payload: &mut &'a [u8]) -> Option<(u64, Part<'a>)> {
    let key = varint(payload)?;
    let part = match key & 7 {
        0 => Part::Number(varint(payload)?),
        1 => Part::Eight(take(payload, 8)?.try_into().ok()?),
        2 => {
            let length = varint(payload)?;
            Part::Bytes(take(payload, usize::try_from(length).ok()?)?)
        }
        5 => Part::Four(take(payload, 4)?.try_into().ok()?),
        _ => return None,
    };
    Some((key >> 3, part))
}

fn take<'a>(payload: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, rest) = payload.split_at_checked(length)?;
    *payload = rest;
    Some(taken)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_and_sequence_number_are_found_between_other_fields() {
        // timestamp 300, a metric of three bytes, seq 7.
        let payload = [0x08, 0xac, 0x02, 0x12, 3, 1, 2, 3, 0x18, 7];
        assert_eq!(header(&payload), Some(Header { timestamp: Some(300), seq: Some(7) }));
        assert_eq!(header(b""), Some(Header::default()));
        for broken in [
            &[0x08][..],
            &[0x12, 200, 1],
            b"{\"a\":1}",
            &[0xff; 30],
            &[0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
        ] {
            assert_eq!(header(broken), None, "{broken:?}");
        }
    }

    #[test]
    fn metrics_have_the_names_that_a_birth_told() {
        let of = parts("spBv1.0/G/DBIRTH/edge/d").expect("parts");
        let mut aliases = Aliases::default();
        // Names, aliases, types and values: a float, a negative Int16, a null, a string.
        let metrics: [&[u8]; 4] = [
            b"\x0a\x04Temp\x10\x01\x20\x09\x65\x00\x00\xac\x41",
            b"\x0a\x01n\x20\x02\x50\xfe\xff\xff\xff\x0f",
            b"\x0a\x01p\x10\x02\x38\x01",
            b"\x0a\x01s\x20\x0c\x7a\x01x",
        ];
        let payload = |metrics: &[&[u8]]| {
            metrics.iter().flat_map(|metric| [&[0x12, metric.len() as u8], *metric].concat()).collect::<Vec<_>>()
        };
        let expected = serde_json::json!({"Temp": 21.5, "n": -2, "p": null});
        assert_eq!(aliases.metrics(&of, &payload(&metrics)), Some(expected));
        let told = payload(&[b"\x0a\x0aFault Text\x20\x0c\x7a\x04trip", b"\x10\x09\x7a\x02on"]);
        assert_eq!(aliases.metrics(&of, &told), Some(serde_json::json!({"Fault Text": "trip", "alias 9": "on"})));
        let data = payload(&[b"\x10\x01\x69\x00\x00\x00\x00\x00\x00\x36\x40", b"\x10\x07\x58\x05"]);
        assert_eq!(aliases.metrics(&of, &data), Some(serde_json::json!({"Temp": 22.0, "alias 7": 5})));
        assert_eq!(aliases.metrics(&of, &data[..9]), None, "cut");
        let qualities: [&[u8]; 2] = [
            b"\x0a\x01b\x50\x05\x4a\x0f\x0a\x07Quality\x12\x04\x08\x03\x18\x00",
            b"\x0a\x01g\x50\x05\x4a\x10\x0a\x07Quality\x12\x05\x08\x03\x18\xc0\x01",
        ];
        assert_eq!(aliases.metrics(&of, &payload(&qualities)), Some(serde_json::json!({"b": null, "g": 5})));
        (0..1000).for_each(|alias| aliases.learn("edge", alias, "x"));
        assert_eq!(aliases.0.len(), SPARKPLUG_ALIASES_MAX);
    }

    #[test]
    fn topics_have_their_parts() {
        let expected = Parts { group: "G", kind: "DDATA", node: "edge", device: Some("d") };
        assert_eq!(parts("spBv1.0/G/DDATA/edge/d"), Some(expected));
        assert_eq!(parts("spBv1.0/STATE/host"), None);
        assert_eq!(parts("home/x"), None);
    }
}
