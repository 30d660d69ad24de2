//! Properties over random streams: every schema accepts what it was inferred from, whatever the order, within its bounds.

use serde_json::{Value, json};

use super::accept_tests::{accepts, tell};
use super::describe::{Analysis, Described};
use super::node::{Node, Room};
use super::write::Part;
use super::*;
use crate::analysis::payload;
use crate::limits::*;

/// xorshift: the same numbers in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    fn value(&mut self, depth: u64) -> Value {
        match self.below(if depth > 3 { 7 } else { 9 }) {
            0 => Value::Null,
            1 => json!(self.below(2) == 0),
            2 => json!(self.below(100) as i64 - 50),
            3 => [json!(u64::MAX), json!(i64::MIN), json!(9007199254740993u64), json!(0.0), json!(-0.0)]
                [self.below(5) as usize]
                .clone(),
            4 => json!(self.below(1000) as f64 / 8.0 - 50.0),
            5 => json!(
                ["ON", "OFF", "auto", "2024-01-01T00:00:00Z", "192.168.0.1", "http://a/b"][self.below(6) as usize]
            ),
            6 => json!("ü".repeat(self.below(80) as usize)),
            7 => (0..self.below(4)).map(|_| self.value(depth + 1)).collect(),
            _ => {
                let keys = if self.below(40) == 0 { 100 } else { 6 };
                let members = (0..self.below(keys)).map(|_| {
                    let name =
                        format!("k/{}~{}", self.below(keys), "x".repeat(if self.below(50) == 0 { 200 } else { 0 }));
                    (name, self.value(depth + 1))
                });
                Value::Object(members.collect())
            }
        }
    }

    fn payload(&mut self) -> Vec<u8> {
        match self.below(12) {
            0 => b"plain text".to_vec(),
            1 => vec![],
            2 => (0..self.below(20)).map(|_| self.below(256) as u8).collect(),
            3 => b"<a><b/></a>".to_vec(),
            4 => br#"{"broken": "#.to_vec(),
            _ => self.value(0).to_string().into_bytes(),
        }
    }
}

pub(super) fn sample<'a>(topic: &'a str, payload: &'a [u8]) -> Sample<'a> {
    let kind = payload::inspect(payload, true).kind;
    Sample { topic, payload, payload_bytes: payload.len(), kind, unix_ms: 0 }
}

fn schema_of(profile: &Profile, depth: usize) -> Value {
    let mut out = Vec::new();
    write::schema(profile, Part::to_depth(depth), &mut out);
    serde_json::from_slice(&out).expect("JSON")
}

fn described<'a>(samples: &[Sample<'a>]) -> Vec<Described<'a>> {
    let mut analysis = Analysis::new(samples.iter().copied());
    (0..analysis.len()).map(|index| analysis.describe(index)).collect()
}

#[test]
fn every_schema_accepts_every_message_it_was_inferred_from() {
    let mut random = Random(42);
    for round in 0..400 {
        let payloads: Vec<_> = (0..1 + random.below(30)).map(|_| random.payload()).collect();
        let mut profile = Profile::default();
        let mut room = Room::default();
        let samples: Vec<_> = payloads.iter().map(|payload| sample("t", payload)).collect();
        samples.iter().for_each(|sample| profile.add(sample, sample.value().as_ref(), &mut room));
        for depth in [0, 2, SCHEMA_DEPTH_MAX] {
            let schema = schema_of(&profile, depth);
            let empty = |sample: &&Sample<'_>| (sample.kind == Kind::Empty).then(|| json!(""));
            let values: Vec<_> =
                samples.iter().filter_map(|sample| sample.value().or_else(|| empty(&sample))).collect();
            for value in &values {
                accepts(&schema, value).unwrap_or_else(|why| panic!("round {round}, depth {depth}: {why}"));
            }
            tell(&schema, &values);
        }
    }
}

#[test]
fn what_is_merged_does_not_depend_on_the_order() {
    let mut random = Random(7);
    for _ in 0..300 {
        let values: Vec<_> = (0..random.below(20)).map(|_| random.value(0)).collect();
        let of = |values: &mut dyn Iterator<Item = &Value>| {
            let (mut node, mut room) = (Node::default(), Room::default());
            values.for_each(|value| node.add(value, &mut room));
            assert!(room.sufficed());
            node
        };
        let forward = of(&mut values.iter());
        assert_eq!(forward, of(&mut values.iter().rev()));
        let (first, second) = values.split_at(values.len() / 3);
        let mut merged = of(&mut second.iter());
        merged.merge(of(&mut first.iter()));
        assert_eq!(forward, merged);
    }
}

#[test]
fn memory_is_bounded_for_any_stream_and_schemas_still_accept_it() {
    let (mut profile, mut room) = (Profile::default(), Room::default());
    let text = |n: u64| {
        let members: Vec<_> =
            (0..60).map(|m| format!("\"{m}\":{{\"a{}\":{n},\"b\":[{{\"c{n}\":1}}]}}", (n + m) % 500)).collect();
        format!("{{{}}}", members.join(","))
    };
    let texts: Vec<_> = (0..500).map(text).collect();
    for text in &texts {
        let sample = sample("t", text.as_bytes());
        profile.add(&sample, sample.value().as_ref(), &mut room);
    }
    let schema = schema_of(&profile, SCHEMA_DEPTH_MAX);
    assert!(schema.to_string().len() < SCHEMA_NODES_MAX * 120);
    for text in &texts {
        accepts(&schema, &serde_json::from_str(text).expect("JSON")).expect("accepted");
    }
}

fn group_schema(payloads: &[&str]) -> Value {
    let samples: Vec<_> = payloads.iter().map(|payload| sample("a/b", payload.as_bytes())).collect();
    let groups = described(&samples);
    assert_eq!(groups.len(), 1);
    schema_of(&groups[0].profile, SCHEMA_DEPTH_MAX)
}

#[test]
fn schemas_say_what_a_person_would() {
    let payload = |n: usize| {
        format!(
            r#"{{"t":{}.5,"n":{n},"on":{},"mode":"{}","at":"2024-01-0{}T00:00:00Z","tags":["a",{n}],"x":null{}}}"#,
            20 + n % 3,
            n.is_multiple_of(2),
            ["heat", "off"][n % 2],
            1 + n % 9,
            if n == 3 { r#","extra":{"y":1}"# } else { "" }
        )
    };
    let payloads: Vec<_> = (0..10).map(payload).collect();
    let schema = group_schema(&payloads.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(
        schema,
        json!({"type": "object",
            "properties": {
                "t": {"type": "number", "minimum": 20.5, "maximum": 22.5},
                "n": {"type": "integer", "minimum": 0, "maximum": 9},
                "on": {"type": "boolean"},
                "mode": {"type": "string", "enum": ["heat", "off"]},
                "at": {"type": "string", "format": "date-time"},
                "tags": {"type": "array", "minItems": 2, "maxItems": 2, "items": {"type": ["integer", "string"], "minimum": 0, "maximum": 9}},
                "x": {"type": "null"},
                "extra": {"type": "object", "properties": {"y": {"type": "integer", "minimum": 1, "maximum": 1}}, "required": ["y"]}},
            "required": ["at", "mode", "n", "on", "t", "tags", "x"]})
    );
    assert_eq!(group_schema(&["ON", "OFF", "ON", "OFF"]), json!({"type": "string", "enum": ["OFF", "ON"]}));
    assert_eq!(group_schema(&["21.5", "22"]), json!({"type": "number", "minimum": 21.5, "maximum": 22}));
    assert_eq!(group_schema(&["\u{1}\u{2}"]), json!({"type": "string", "contentEncoding": "base64"}));
    for (payloads, schema) in [
        (
            &["21.5", "", "22"][..],
            json!({"type": ["number", "string"], "minimum": 21.5, "maximum": 22, "minLength": 0, "maxLength": 0}),
        ),
        (&["ON", "", "ON", ""], json!({"type": "string", "enum": ["", "ON"]})),
        (&["", "\u{1}\u{2}"], json!({"type": "string", "contentEncoding": "base64"})),
        (&[""], json!({"type": "string", "minLength": 0, "maxLength": 0})),
    ] {
        assert_eq!(group_schema(payloads), schema, "an empty payload is the empty string");
    }
    assert_eq!(group_schema(&["<a/>"]), json!({"type": "string", "contentMediaType": "application/xml"}));
    assert_eq!(
        group_schema(&[r#"{"a":null}"#, r#"{"a":"x"}"#, r#"{"a":"x"}"#, r#"{"a":"x"}"#])["properties"]["a"],
        json!({"type": ["null", "string"], "enum": ["x", null]})
    );
}

#[test]
fn bounds_hold_for_numbers_that_are_not_read_to_the_last_digit() {
    for text in [
        "0.0017748622025346439",
        "-0.0017748622025346439",
        "9.085898731234521e-17",
        "7.972547616227862e-301",
        "1180591620717411303425",
        "-1180591620717411303425",
    ] {
        let schema = group_schema(&[text]);
        // Read by Rust itself, to the last bit; the integers lie between two numbers.
        let value: f64 = text.parse().expect("a number");
        let bound = |name: &str| schema[name].to_string().parse::<f64>().expect("a number");
        let inside = if value.abs() > 1.0 { bound("minimum") < value && value < bound("maximum") } else { true };
        assert!(inside && bound("minimum") <= value && value <= bound("maximum"), "{text}: {schema}");
        let width = bound("maximum") - bound("minimum");
        assert!(width <= 2e-6 * value.abs() && schema.to_string().len() < 75, "{text}: {schema}");
    }
    let mixed = group_schema(&["0.1", "0.30000000000000004"]);
    assert_eq!(mixed, json!({"type": "number", "minimum": 0.1, "maximum": 0.3000001}));
    let least = group_schema(&["-9223372036854775808", "-9223372036854775809"])["minimum"].as_f64();
    assert!(least.is_some_and(|least| least < i64::MIN as f64), "the second is read as equal to the first");
    for text in ["21.123456789", "1e-7", "0.000001234567890123", "1750000000.123", "-1.5e300", "9007199254740993"] {
        let schema = group_schema(&[text]);
        let exact = text.starts_with("-1.5") || schema["minimum"] == schema["maximum"];
        assert!(exact, "{text}: {schema}");
    }
}

#[test]
fn objects_with_keys_for_names_are_maps() {
    let payloads: Vec<_> = (1..101).map(|n| format!(r#"{{"device-{n}":{{"rssi":-{n}}}}}"#)).collect();
    let schema = group_schema(&payloads.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(
        schema["additionalProperties"]["properties"]["rssi"],
        json!({"type": "integer", "minimum": -100, "maximum": -1})
    );
    assert_eq!(schema.get("properties"), None);
}

/// Reasons of a stream on one topic, or on several when payloads name theirs with `topic|`.
fn reasons(payloads: &[String]) -> Vec<String> {
    let split = |text: &'static str| text.split_once('|').unwrap_or(("a/b/temperature", text));
    // Leaked, since these are few and short.
    let leaked: Vec<_> = payloads.iter().map(|text| split(Box::leak(text.clone().into_boxed_str()))).collect();
    let samples: Vec<_> = leaked.iter().map(|(topic, payload)| sample(topic, payload.as_bytes())).collect();
    let groups = described(&samples);
    groups
        .iter()
        .flat_map(|group| &group.anomalies)
        .map(|anomaly| format!("{} {}: {}", anomaly.count, anomaly.first.topic, anomaly.reason))
        .collect()
}

fn stream(count: usize, of: impl Fn(usize) -> String) -> Vec<String> {
    (0..count).map(of).collect()
}

#[test]
fn what_does_not_fit_is_told_with_its_reason() {
    let usual = |n: usize| format!(r#"{{"temperature":{n}.5,"unit":"C"}}"#);
    for (odd, reason) in [
        (r#"{"temperature":"21.5","unit":"C"}"#, "/temperature is a string, where 30 of 31 are a number"),
        (r#"{"unit":"C"}"#, "lacks /temperature, which 30 of 31 have"),
        (r#"{"temperature":21.5,"unit":"C""#, "malformed JSON: EOF while parsing an object at line 1 column 30"),
        (r#"{"temperature":NaN,"unit":"C"}"#, "malformed JSON: expected value at line 1 column 16"),
        ("sensor fault", "text, where 30 of 31 are a JSON object"),
        ("\u{1}\u{2}", "binary, where 30 of 31 are a JSON object"),
        ("[1]", "a JSON array, where 30 of 31 are a JSON object"),
        ("{}\n{}", "JSON lines, where 30 of 31 are a JSON object"),
    ] {
        let mut payloads = stream(30, usual);
        payloads.insert(11, odd.into());
        assert_eq!(reasons(&payloads), [format!("1 a/b/temperature: {reason}")]);
    }
    // Another topic of the group always has text.
    let mut payloads = stream(30, |n| format!(r#"l/b/d|{{"flow":{n},"n":1}}"#));
    payloads.extend(stream(20, |n| format!(r#"l/c/d|{{"flow":"{n}","n":1}}"#)));
    payloads.push(r#"l/b/d|{"flow":"7","n":1}"#.into());
    assert_eq!(reasons(&payloads), ["1 l/b/d: /flow is a string, where 30 of 31 are a number"]);
    let mut payloads = stream(40, |n| format!("s/{}/temperature|2{n}.5", n % 4));
    payloads.extend(stream(3, |_| "s/x/temperature|unavailable".into()));
    assert_eq!(reasons(&payloads), ["3 s/x/temperature: text, where 40 of 43 are a number"]);
}

#[test]
fn a_number_that_cannot_be_is_told_and_another_scale_is_not() {
    let told = |values: &[f64]| {
        let payloads: Vec<String> = values.iter().map(|value| format!(r#"{{"humidity":{value},"n":1}}"#)).collect();
        reasons(&payloads)
    };
    let usual = [44.5; 20];
    assert_eq!(told(&[&usual[..], &[6553.5]].concat()), ["1 a/b/temperature: /humidity 6553.5, which cannot be"]);
    assert_eq!(
        told(&[&usual[..], &[655.35, 655.35, 99.0]].concat()),
        ["2 a/b/temperature: /humidity 655.35, which cannot be"]
    );
    for values in [&[412.5; 20][..], &[[44.5; 10], [445.0; 10]].concat(), &[44.5, 44.5, 655.35]] {
        assert_eq!(told(values), Vec::<String>::new());
    }
    let plain: Vec<String> = (0..20).map(|n| format!("home/humidity|{}", if n == 7 { 327 } else { 50 })).collect();
    assert_eq!(reasons(&plain), ["1 home/humidity: is 327, which cannot be"]);
}

#[test]
fn what_comes_and_goes_is_no_anomaly() {
    let forms = ["1", "\"x\"", "1", "[1]", "\"y\"", "2", "{}", "[2]", "\"z\"", "3", "{}", "[]", "true"];
    let mixed = |frame: fn(&str) -> String| reasons(&stream(forms.len(), |n| frame(forms[n])));
    assert_eq!(mixed(|form| format!("{{\"v\":{form}}}")), Vec::<String>::new(), "4 of 13 are no rule");
    assert_eq!(mixed(str::to_owned), Vec::<String>::new());
    for payloads in [
        stream(40, |n| if n % 3 == 0 { r#"{"a":1,"b":2}"#.into() } else { r#"{"a":1}"#.into() }),
        stream(40, |n| if n % 13 == 0 { r#"{"a":null,"b":2}"#.into() } else { r#"{"a":1,"b":2}"#.into() }),
        stream(40, |n| if n % 9 == 0 { r#"{"a":1,"b":2.5}"#.into() } else { r#"{"a":1,"b":2}"#.into() }),
        stream(40, |n| if n % 3 == 0 { "1".into() } else { "on".into() }),
        stream(5, |n| if n == 4 { r#"{"a":"x"}"#.into() } else { r#"{"a":1}"#.into() }),
        stream(40, |n| if n == 7 { String::new() } else { r#"{"a":1}"#.into() }),
        stream(40, |n| if n == 7 { r#"{"a":1,"b":{"c":[1]}}"#.into() } else { r#"{"a":1}"#.into() }),
        stream(40, |n| if n == 7 { r#"{"Dimmer":50}"#.into() } else { r#"{"POWER":"ON"}"#.into() }),
        stream(40, |n| match n {
            7 => r#"{"_type":"transition","t":1}"#.into(),
            _ => r#"{"_type":"location","t":1,"lat":2}"#.into(),
        }),
        stream(40, |n| if n == 7 { "1.2.3".into() } else { "1.2".into() }),
        stream(40, |n| if n == 7 { "0471".into() } else { "1471".into() }),
        // What one device of several always does is its way.
        stream(
            40,
            |n| if n % 10 == 0 { r#"z/k|{"id":"x","v":1}"#.into() } else { format!(r#"z/d{n}|{{"id":1,"v":1}}"#) },
        ),
        stream(40, |n| if n % 4 == 0 { format!("[{n}] started") } else { "stopped".into() }),
    ] {
        assert_eq!(reasons(&payloads), Vec::<String>::new());
    }
}

#[test]
fn a_filter_that_matches_more_says_so() {
    let lamp = br#"{"state":"ON","brightness":9}"#;
    let sensor = br#"{"temperature":20.5,"humidity":50}"#;
    let samples = [sample("z/lamp_a", lamp), sample("z/lamp_b", lamp), sample("z/th", sensor)];
    let groups = described(&samples);
    let shown: Vec<_> = groups.iter().map(|group| (group.filter.as_str(), group.also.clone())).collect();
    assert_eq!(shown, [("z/+", vec!["z/th"]), ("z/th", vec![])]);
}

#[test]
fn text_that_is_too_large_to_be_looked_into_may_be_as_long_as_it_is() {
    let large = Sample { payload_bytes: 100_000, ..sample("log/b", &[b'z'; 1000]) };
    for samples in [&[large][..], &[sample("log/b", b"short"), sample("log/b", b"text"), large]] {
        let (group, mut out) = (described(samples).remove(0), Vec::new());
        write::schema(&group.profile, Part::to_depth(SCHEMA_DEPTH_MAX), &mut out);
        assert_eq!((out.as_slice(), group.anomaly_count), (&b"{}"[..], 0));
    }
}

#[test]
fn roots_sizes_and_formats_of_other_payloads_are_known() {
    let one = |payload: &'static [u8]| described(&[sample("t", payload)]).remove(0).profile;
    let xml = one(b"<?xml version=\"1.0\"?><!-- <x> --><ns:root a='1'/>");
    assert_eq!(xml.roots.examples().collect::<Vec<_>>(), ["ns:root"]);
    let gzip = one(b"\x1f\x8b\x08\x00\x00\x00");
    assert_eq!((gzip.magic.map(Magic::name), gzip.bytes), (Some("gzip"), Some((6, 6))));
}

#[test]
fn a_state_that_reports_trouble_once_is_told_and_a_rare_one_is_not() {
    let with = |odd: &'static str| stream(60, move |n| if n == 40 { odd.into() } else { r#"{"status":"ok"}"#.into() });
    assert_eq!(
        reasons(&with(r#"{"status":"E17"}"#)),
        [r#"1 a/b/temperature: /status is "E17", where 59 of 60 are others"#]
    );
    assert_eq!(reasons(&with(r#"{"status":"calibrating"}"#)), [""; 0]);
    assert_eq!(reasons(&stream(60, |n| format!(r#"{{"status":"{}"}}"#, ["ok", "E17"][n % 2]))), [""; 0], "its way");
    assert_eq!(reasons(&stream(60, |n| format!(r#"{{"mode":"{}"}}"#, if n == 9 { "E17" } else { "D1" }))), [""; 0]);
    let plain = |odd: &'static str| stream(60, move |n| format!("d/state|{}", if n == 40 { odd } else { "running" }));
    assert_eq!(reasons(&plain("jammed")), [r#"1 d/state: it is "jammed", where 59 of 60 are others"#]);
    assert_eq!(reasons(&plain("paused")), [""; 0]);
}

#[test]
fn a_schema_that_is_not_all_that_is_known_says_so() {
    let is_whole = |payload: &str, depth| {
        let groups = described(&[sample("a", payload.as_bytes())]);
        write::schema(&groups[0].profile, Part::to_depth(depth), &mut Vec::new())
    };
    for (payload, needed) in [
        ("1", 0),
        ("{}", 0),
        ("[]", 0),
        (r#"{"a":1}"#, 1),
        (r#"[{}]"#, 1),
        (r#"{"a":{"b":1}}"#, 2),
        (r#"[[{"b":1}]]"#, 3),
        (r#"{"a":[1]}"#, 2),
    ] {
        let whole: Vec<_> = (0..4).map(|depth| is_whole(payload, depth)).collect();
        assert_eq!(whole, (0..4).map(|depth| depth >= needed).collect::<Vec<_>>(), "{payload}");
    }
}

#[test]
fn what_is_no_object_is_a_field_itself() {
    let stats = |payloads: &[&str], fields| {
        let samples: Vec<_> = payloads.iter().map(|payload| sample("a", payload.as_bytes())).collect();
        let mut out = Vec::new();
        let counts = write::field_stats(&described(&samples)[0].profile, fields, 2, &mut out);
        (serde_json::from_slice::<Value>(&out).expect("JSON"), counts)
    };
    for (payloads, all) in [
        (&["21.5", "", "19", "20"][..], json!({"": {"presence": 0.75, "examples": [19, 21.5]}})),
        (&["on"], json!({"": {"presence": 1.0, "examples": ["on"]}})),
        (&["\u{1}\u{2}", "\u{1}\u{2}\u{3}"], json!({"": {"presence": 1.0, "payload_bytes": {"min": 2, "max": 3}}})),
        (&[r#"{"a":true}"#], json!({"/a": {"presence": 1.0}})),
        (&["[7]"], json!({"/*": {"presence": 1.0, "examples": [7]}})),
        (&[""], json!({})),
    ] {
        let known = all.as_object().map_or(0, serde_json::Map::len);
        assert_eq!(stats(payloads, 9), (all, (known, 0)));
        assert_eq!(stats(payloads, 0), (json!({}), (0, known)));
    }
}
