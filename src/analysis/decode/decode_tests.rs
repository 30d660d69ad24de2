use serde_json::Value;

use super::*;
use crate::analysis::payload::{Kind, inspect};
use crate::limits::{DECODED_MIN_BYTES, DECODED_PAYLOAD_MAX_BYTES, PACKED_DEPTH_MAX};

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(|byte| *byte != b' ').collect();
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).expect("text"), 16).expect("hex");
    digits.chunks(2).map(pair).collect()
}

/// An item that says that it is CBOR.
fn cbor(hex: &str, form: Form) -> Option<String> {
    let decoded = decode(&[SELF_DESCRIBED, &bytes(hex)].concat(), form)?;
    assert_eq!(decoded.magic, Magic::Cbor);
    serde_json::from_str::<Value>(&decoded.json).expect("JSON");
    Some(decoded.json)
}

/// A MessagePack item, as a member of a map, which it takes to be recognised.
fn packed(hex: &str, form: Form) -> Option<String> {
    let decoded = decode(&[b"\x81\xa1v", &bytes(hex)[..]].concat(), form)?;
    assert_eq!(decoded.magic, Magic::MessagePack);
    serde_json::from_str::<Value>(&decoded.json).expect("JSON");
    Some(decoded.json.strip_prefix("{\"v\":").and_then(|json| json.strip_suffix('}')).expect("a member").to_owned())
}

/// RFC 8949, appendix A.
const EXAMPLES: &[(&str, &str)] = &[
    ("00", "0"),
    ("01", "1"),
    ("0a", "10"),
    ("17", "23"),
    ("1818", "24"),
    ("1819", "25"),
    ("1864", "100"),
    ("1903e8", "1000"),
    ("1a000f4240", "1000000"),
    ("1b000000e8d4a51000", "1000000000000"),
    ("1bffffffffffffffff", "18446744073709551615"),
    ("c249010000000000000000", "18446744073709551616"),
    ("3bffffffffffffffff", "-18446744073709551616"),
    ("c349010000000000000000", "-18446744073709551617"),
    ("20", "-1"),
    ("29", "-10"),
    ("3863", "-100"),
    ("3903e7", "-1000"),
    ("f90000", "0.0"),
    ("f98000", "-0.0"),
    ("f93c00", "1.0"),
    ("fb3ff199999999999a", "1.1"),
    ("f93e00", "1.5"),
    ("f97bff", "65504.0"),
    ("fa47c35000", "100000.0"),
    ("fa7f7fffff", "3.4028235e+38"),
    ("fb7e37e43c8800759c", "1e+300"),
    ("f90001", "5.9604645e-8"),
    ("f90400", "0.000061035156"),
    ("f9c400", "-4.0"),
    ("fbc010666666666666", "-4.1"),
    ("f97c00", r#"{"$float":"Infinity"}"#),
    ("f97e00", r#"{"$float":"NaN"}"#),
    ("f9fc00", r#"{"$float":"-Infinity"}"#),
    ("fa7f800000", r#"{"$float":"Infinity"}"#),
    ("fa7fc00000", r#"{"$float":"NaN"}"#),
    ("faff800000", r#"{"$float":"-Infinity"}"#),
    ("fb7ff0000000000000", r#"{"$float":"Infinity"}"#),
    ("fb7ff8000000000000", r#"{"$float":"NaN"}"#),
    ("fbfff0000000000000", r#"{"$float":"-Infinity"}"#),
    ("f4", "false"),
    ("f5", "true"),
    ("f6", "null"),
    ("f7", r#"{"$undefined":true}"#),
    ("f0", r#"{"$simple":16}"#),
    ("f8ff", r#"{"$simple":255}"#),
    ("c074323031332d30332d32315432303a30343a30305a", r#"{"$tag":0,"$value":"2013-03-21T20:04:00Z"}"#),
    ("c11a514b67b0", r#"{"$tag":1,"$value":1363896240}"#),
    ("c1fb41d452d9ec200000", r#"{"$tag":1,"$value":1363896240.5}"#),
    ("d74401020304", r#"{"$tag":23,"$value":{"$base64":"AQIDBA=="}}"#),
    ("d818456449455446", r#"{"$tag":24,"$value":{"$base64":"ZElFVEY="}}"#),
    ("d82076687474703a2f2f7777772e6578616d706c652e636f6d", r#"{"$tag":32,"$value":"http://www.example.com"}"#),
    ("40", r#"{"$base64":""}"#),
    ("4401020304", r#"{"$base64":"AQIDBA=="}"#),
    ("60", r#""""#),
    ("6161", r#""a""#),
    ("6449455446", r#""IETF""#),
    ("62225c", r#""\"\\""#),
    ("62c3bc", "\"\u{fc}\""),
    ("63e6b0b4", "\"\u{6c34}\""),
    ("64f0908591", "\"\u{10151}\""),
    ("80", "[]"),
    ("83010203", "[1,2,3]"),
    ("8301820203820405", "[1,[2,3],[4,5]]"),
    (
        "98190102030405060708090a0b0c0d0e0f101112131415161718181819",
        "[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25]",
    ),
    ("a0", "{}"),
    ("a201020304", r#"{"$map":[[1,2],[3,4]]}"#),
    ("a26161016162820203", r#"{"a":1,"b":[2,3]}"#),
    ("826161a161626163", r#"["a",{"b":"c"}]"#),
    ("a56161614161626142616361436164614461656145", r#"{"a":"A","b":"B","c":"C","d":"D","e":"E"}"#),
    ("5f42010243030405ff", r#"{"$base64":"AQIDBAU="}"#),
    ("7f657374726561646d696e67ff", r#""streaming""#),
    ("9fff", "[]"),
    ("9f018202039f0405ffff", "[1,[2,3],[4,5]]"),
    ("9f01820203820405ff", "[1,[2,3],[4,5]]"),
    ("83018202039f0405ff", "[1,[2,3],[4,5]]"),
    ("83019f0203ff820405", "[1,[2,3],[4,5]]"),
    (
        "9f0102030405060708090a0b0c0d0e0f101112131415161718181819ff",
        "[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25]",
    ),
    ("bf61610161629f0203ffff", r#"{"a":1,"b":[2,3]}"#),
    ("826161bf61626163ff", r#"["a",{"b":"c"}]"#),
    ("bf6346756ef563416d7421ff", r#"{"Fun":true,"Amt":-2}"#),
];

#[test]
fn the_examples_of_the_standard_say_what_it_says() {
    for (hex, expected) in EXAMPLES {
        assert_eq!(cbor(hex, Form::Exact).as_deref(), Some(*expected), "{hex}");
    }
}

#[test]
fn what_is_not_well_formed_says_nothing() {
    for (hex, what) in [
        ("18", "no argument"),
        ("6261", "too short"),
        ("62ff00", "no UTF-8"),
        ("9f01", "no break"),
        ("ff", "a break alone"),
        ("8201ff", "a break where an item must be"),
        ("bf6161ff", "a key without value"),
        ("a16161", "a key without value"),
        ("7f4101ff", "a piece of another kind"),
        ("5f5f4101ffff", "pieces of pieces"),
        ("7f61c361bcff", "pieces that are no text each"),
        ("1c", "a reserved argument"),
        ("df", "a tag without end"),
        ("f818", "a simple value in too long a form"),
        ("f800", "a simple value in too long a form"),
        ("f813", "a simple value in too long a form"),
        ("f814", "false in too long a form"),
        ("f81f", "a simple value in too long a form"),
        ("c1", "a tag of nothing"),
        ("0000", "more than an item"),
        ("9bffffffffffffffff00", "more items than there are bytes"),
        ("bbffffffffffffffff616100", "more members than there are bytes"),
        ("5bffffffffffffffff00", "more bytes than there are"),
    ] {
        assert_eq!(cbor(hex, Form::Exact), None, "{what}: {hex}");
    }
    for hex in [
        "c1",
        "dc00",
        "ddffffffff01",
        "dfffffffff",
        "dbffffffff",
        "c6ffffffff00",
        "c9ffffffff05",
        "a2c328",
        "d4",
        "0101",
    ] {
        assert_eq!(packed(hex, Form::Exact), None, "{hex}");
    }
}

#[test]
fn message_pack_says_as_much() {
    for (hex, exact, plain) in [
        ("7f", "127", "127"),
        ("e0", "-32", "-32"),
        ("ccff", "255", "255"),
        ("cdffff", "65535", "65535"),
        ("ceffffffff", "4294967295", "4294967295"),
        ("cfffffffffffffffff", "18446744073709551615", "18446744073709551615"),
        ("d080", "-128", "-128"),
        ("d18000", "-32768", "-32768"),
        ("d280000000", "-2147483648", "-2147483648"),
        ("d38000000000000000", "-9223372036854775808", "-9223372036854775808"),
        ("ca41aa6666", "21.3", "21.3"),
        ("cb40354ccccccccccd", "21.3", "21.3"),
        ("cb7ff8000000000000", r#"{"$float":"NaN"}"#, "null"),
        ("c0", "null", "null"),
        ("93c2c3c0", "[false,true,null]", "[false,true,null]"),
        ("d90161", r#""a""#, r#""a""#),
        ("da000161", r#""a""#, r#""a""#),
        ("db0000000161", r#""a""#, r#""a""#),
        ("c4020102", r#"{"$base64":"AQI="}"#, r#""AQI=""#),
        ("c500020102", r#"{"$base64":"AQI="}"#, r#""AQI=""#),
        ("c6000000020102", r#"{"$base64":"AQI="}"#, r#""AQI=""#),
        ("d50502ff", r#"{"$ext":5,"$base64":"Av8="}"#, r#""Av8=""#),
        ("c70105ff", r#"{"$ext":5,"$base64":"/w=="}"#, r#""/w==""#),
        ("dc000101", "[1]", "[1]"),
        ("de0001a16101", r#"{"a":1}"#, r#"{"a":1}"#),
        ("d6ff514b67b0", r#"{"$timestamp":1363896240}"#, "1363896240"),
        ("d7ff77359400514b67b0", r#"{"$timestamp":1363896240.5}"#, "1363896240.5"),
        ("c70cff00000001ffffffffffffffff", r#"{"$timestamp":-0.999999999}"#, "-0.999999999"),
        ("c70cffffffffff0000000000000000", r#"{"$ext":-1,"$base64":"/////wAAAAAAAAAA"}"#, r#""/////wAAAAAAAAAA""#),
    ] {
        assert_eq!(packed(hex, Form::Exact).as_deref(), Some(exact), "{hex}");
        assert_eq!(packed(hex, Form::Plain).as_deref(), Some(plain), "{hex}");
    }
}

#[test]
fn maps_that_are_no_objects_keep_all_their_members_in_order() {
    for (hex, expected) in [
        ("a2616101616102", r#"{"$map":[["a",1],["a",2]]}"#),
        ("a3616101616202616103", r#"{"$map":[["a",1],["b",2],["a",3]]}"#),
        ("a1652462617365a10102", r#"{"$map":[["$base",{"$map":[[1,2]]}]]}"#),
        ("a24101f4f68101", r#"{"$map":[[{"$base64":"AQ=="},false],[null,[1]]]}"#),
        ("a1a0a0", r#"{"$map":[[{},{}]]}"#),
        ("a17f6124ff01", r#"{"$map":[["$",1]]}"#),
        ("a17f6161ff01", r#"{"a":1}"#),
    ] {
        assert_eq!(cbor(hex, Form::Exact).as_deref(), Some(expected), "{hex}");
    }
}

#[test]
fn plainly_said_there_is_nothing_but_values() {
    for (hex, expected) in [
        ("c11a514b67b0", "1363896240"),
        ("d74401020304", r#""AQIDBA==""#),
        ("83f7f0f97e00", "[null,null,null]"),
        ("c249010000000000000000", "18446744073709551616"),
        ("c2581100000000000000000000000000000000ff", "255"),
    ] {
        assert_eq!(cbor(hex, Form::Plain).as_deref(), Some(expected), "{hex}");
    }
    let larger = format!("c251{}", "ff".repeat(17));
    assert_eq!(
        cbor(&larger, Form::Exact),
        Some(format!("{{\"$tag\":2,\"$value\":{{\"$base64\":\"{}8=\"}}}}", "/".repeat(22)))
    );
}

#[test]
fn only_maps_with_text_for_keys_are_recognised_and_what_calls_itself_cbor() {
    for (hex, expected) in [
        ("a16174f94d00", Some((Magic::Cbor, r#"{"t":20.0}"#))),
        ("8181a174f94d00", None),
        ("83010203", None),
        ("a10102", None),
        ("a1617401", Some((Magic::Cbor, r#"{"t":1}"#))),
        ("a16174a10102", None),
        ("a161740100", None),
        ("81a17401", Some((Magic::MessagePack, r#"{"t":1}"#))),
        ("810102", None),
        ("81a1748101", None),
        ("81a174810102", None),
        ("93010203", None),
        // Nothing in a map, or nothing for a name, is made by chance: 223, and 30,881, as an integer and zeros.
        ("df00000000", None),
        ("ba00000000", None),
        ("bb0000000000000000", None),
        ("a1780000", None),
        ("81a10000", None),
        ("d9d9f7a0", Some((Magic::Cbor, "{}"))),
        // Some encoders always take two bytes for a count, or four.
        ("de000181a17401", None),
        ("de0001a17401", Some((Magic::MessagePack, r#"{"t":1}"#))),
        ("df00000001a17401", Some((Magic::MessagePack, r#"{"t":1}"#))),
        ("b90001617401", Some((Magic::Cbor, r#"{"t":1}"#))),
    ] {
        let decoded = decode(&bytes(hex), Form::Exact);
        assert_eq!(decoded.as_ref().map(|decoded| (decoded.magic, decoded.json.as_str())), expected, "{hex}");
    }
}

#[test]
fn a_binary_payload_reports_as_the_same_in_json_would() {
    // {"error": "E42"}, {"error": null}
    let loud = bytes("a1 65 6572726f72 63 453432");
    let silent = bytes("a1 65 6572726f72 f6");
    let json = inspect(br#"{"error":"E42"}"#, true);
    let inspection = inspect(&loud, true);
    assert_eq!((inspection.kind, inspection.severity), (Kind::Binary, json.severity));
    assert!(json.severity.is_some());
    assert_eq!(inspect(&silent, true).severity, None);
    assert_ne!(inspect(&silent, true).shape, inspection.shape);
    assert_eq!(inspect(&loud, false).severity, None, "its beginning alone says nothing");
}

#[test]
fn size_and_depth_have_a_bound() {
    let nested = |depth: usize| [SELF_DESCRIBED, &vec![0x81; depth], b"\x00"].concat();
    assert!(decode(&nested(PACKED_DEPTH_MAX), Form::Exact).is_some());
    assert_eq!(decode(&nested(PACKED_DEPTH_MAX + 1), Form::Exact), None);
    for deep in [&[0xd8u8; 60_000][..], &[0x91; 60_000], &[0x9f; 60_000], &[0xa1; 60_000], &[0xc1; 60_000]] {
        assert_eq!(decode(&[b"\xa1\x61x", deep].concat(), Form::Exact), None);
        assert_eq!(decode(&[b"\x81\xa1x", deep].concat(), Form::Exact), None);
        assert_eq!(decode(&[SELF_DESCRIBED, deep].concat(), Form::Exact), None);
    }
    // Each byte would become nineteen.
    let undefined = [SELF_DESCRIBED, b"\x99\x03\xe8", &[0xf7; 1000]].concat();
    assert_eq!(decode(&undefined, Form::Exact), None);
    assert!(decode(&undefined, Form::Plain).is_some());
    for short in ["d9d9f783f7f7f7", "a26174f76175f7"] {
        assert!(
            decode(&bytes(short), Form::Exact).is_some() && decode(&bytes(short), Form::Plain).is_some(),
            "{short}"
        );
    }
    let text = |length: usize| [b"\xa1\x61t\x7a", &(length as u32).to_be_bytes()[..], &vec![b'x'; length]].concat();
    assert!(decode(&text(DECODED_PAYLOAD_MAX_BYTES - 8), Form::Exact).is_some());
    assert_eq!(decode(&text(DECODED_PAYLOAD_MAX_BYTES - 7), Form::Exact), None);
}

/// The bytes of a random item.
fn random_item(next: &mut dyn FnMut() -> u64, depth: usize, out: &mut Vec<u8>) {
    let heads: &[u8] = if depth > 4 {
        &[0x00, 0x20, 0x41, 0x61, 0xf6]
    } else {
        &[0x02, 0x38, 0x42, 0x62, 0x82, 0xa2, 0xc1, 0xf9, 0x9f, 0xbf, 0x7f]
    };
    let head = heads[next() as usize % heads.len()];
    out.push(head);
    match head {
        0x38 | 0x41 => out.push(next() as u8),
        0x42 | 0xf9 => out.extend([next() as u8, next() as u8]),
        0x61 => out.push(b'a' + (next() % 3) as u8),
        0x62 => out.extend(b"$a"),
        0x82 | 0x9f => (0..2).for_each(|_| random_item(next, depth + 1, out)),
        0xa2 | 0xbf => (0..4).for_each(|_| random_item(next, depth + 1, out)),
        0xc1 => random_item(next, depth + 1, out),
        0x7f => out.extend(b"\x61x"),
        _ => {}
    }
    if matches!(head, 0x9f | 0xbf | 0x7f) {
        out.push(0xff);
    }
}

#[test]
fn no_bytes_make_it_panic_or_write_what_is_no_json() {
    let mut random = 0x2545_f491_4f6c_dd1du64;
    let mut next = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random >> 8
    };
    let (mut said, mut spoilt) = (0, 0);
    for round in 0..20_000 {
        let mut payload = SELF_DESCRIBED.to_vec();
        random_item(&mut next, 0, &mut payload);
        if round % 2 == 0 {
            let at = 3 + next() as usize % (payload.len() - 3);
            payload[at] = next() as u8;
        }
        for form in [Form::Exact, Form::Plain] {
            let Some(decoded) = decode(&payload, form) else { continue };
            assert!(decoded.json.len() <= (9 * payload.len() + 100).max(DECODED_MIN_BYTES + 100), "{payload:02x?}");
            serde_json::from_str::<Value>(&decoded.json).expect("JSON");
            said += u32::from(round % 2 == 1);
            spoilt += u32::from(round % 2 == 0);
        }
        // As MessagePack the same bytes are another thing.
        payload.splice(..3, *b"\x81\xa1x");
        if let Some(decoded) = decode(&payload, Form::Exact) {
            serde_json::from_str::<Value>(&decoded.json).expect("JSON");
        }
    }
    assert!(said > 18_000 && spoilt > 1000, "{said}, {spoilt}");
}
