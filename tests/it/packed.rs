//! CBOR and MessagePack: payloads are told as what they say, and their bytes are still there.

use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::mosquitto::Mosquitto;
use crate::support::server::Server;
use crate::support::{schema, stream};

fn setup() -> (Mosquitto, Server, String, Client) {
    let (broker, mut server) = (Mosquitto::start(), Server::start());
    let session = server.connect(&broker.url());
    let client = Client::connect(broker.port());
    (broker, server, session, client)
}

/// A map in CBOR; the values are bytes already.
fn cbor(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = vec![0xa0 | members.len() as u8];
    for (name, value) in members {
        bytes.push(0x60 | name.len() as u8);
        bytes.extend(name.bytes());
        bytes.extend(*value);
    }
    bytes
}

fn text(text: &str) -> Vec<u8> {
    [&[0x60 | text.len() as u8], text.as_bytes()].concat()
}

fn double(value: f64) -> Vec<u8> {
    [&[0xfb], &value.to_be_bytes()[..]].concat()
}

fn tagged_time(unix_seconds: u32) -> Vec<u8> {
    [&[0xc1, 0x1a], &unix_seconds.to_be_bytes()[..]].concat()
}

#[test]
fn a_group_has_the_schema_of_what_its_payloads_say_and_what_does_not_fit() {
    let (_broker, mut server, session, mut client) = setup();
    let messages = stream::read("noisy_binary");
    let of = |topic: &'static str| messages.iter().filter(move |message| message.topic == topic);
    let id = server.listen(&session, "get_topic_schema", json!({"topic_pattern": "gw/1/#", "duration_seconds": 1}));
    for message in of("gw/1/cbor").chain(of("gw/1/msgpack")) {
        client.publish(&message.topic, &message.payload);
    }
    client.publish("gw/1/cbor", cbor(&[("t", &text("unavailable")), ("rh", &[0x18, 50])]));
    client.publish("gw/1/cbor", b"\xa2\x61t\xfa\x41");
    let result = server.outcome(&id);
    let group = |filter: &str| {
        let mut groups = result["schemas"].as_array().expect("groups").iter();
        groups.find(|group| group["topic_pattern"] == filter).unwrap_or_else(|| panic!("{filter}: {result}"))
    };
    for (topic, looks) in [("gw/1/cbor", "CBOR"), ("gw/1/msgpack", "MessagePack")] {
        let group = group(topic);
        assert_eq!((&group["looks_like"], &group["schema_of"]), (&json!(looks), &json!("decoded value")), "{group}");
        let properties = &group["schema"]["properties"];
        assert_eq!((&properties["rh"]["type"], &properties["t"]["type"]), (&json!("integer"), &json!("number")));
        assert_eq!(group["schema"]["required"], json!(["rh", "t"]));
        assert!(properties["t"]["minimum"].as_f64().is_some_and(|least| (15.0..25.0).contains(&least)), "{group}");
        assert_eq!(group["field_stats"]["/rh"]["presence"], 1.0);
        assert!(group["payload_types"]["binary"].as_u64() >= Some(30));
        schema::check(&group["schema"], &json!({"t": properties["t"]["minimum"], "rh": properties["rh"]["maximum"]}))
            .expect("accepted");
    }
    let odd = group("gw/1/cbor")["anomalies"].as_array().expect("rows");
    let reasons: Vec<_> = odd.iter().filter_map(|row| row["reason"].as_str()).collect();
    assert_eq!(reasons, ["/t is a string, where 30 of 31 are a number", "binary, where 31 of 32 are CBOR"]);
    assert_eq!(
        (&odd[0]["decoded"], &odd[0]["looks_like"], odd[1].get("looks_like")),
        (&json!({"t": "unavailable", "rh": 50}), &json!("CBOR"), None)
    );
    assert_eq!((&odd[1]["encoding"], &odd[1]["payload_bytes"]), (&json!("base64"), &json!(5)));
    assert_eq!(group("gw/1/msgpack")["anomalies"], json!([]));
}

#[test]
fn messages_show_their_bytes_and_what_they_say_within_the_budget() {
    let (_broker, mut server, session, mut client) = setup();
    let payload = cbor(&[
        ("n", &[0x1b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
        ("raw", &[0x42, 1, 2]),
        ("at", &tagged_time(1_363_896_240)),
        ("t", &double(f64::NAN)),
    ]);
    client.retain("c/1", &payload);
    client.retain("c/2", b"\x82\xa1a\x01\xa1b\xd4\x05\x07");
    client.retain("c/3", b"\x00\x01\x02\x03");
    client.retain("c/4", r#"{"plain":1}"#);
    client.retain("c/5", [b"\xa1\x61t\x79\x06\x00", &[b'x'; 0x600][..]].concat());
    let arguments = json!({"session_id": session, "topic_pattern": "c/#", "retained": "only"});
    let collected = server.call("subscribe_and_collect", arguments.clone());
    let rows = collected["messages"].as_array().expect("rows");
    let said = json!({"n": 18446744073709551615u64, "raw": {"$base64": "AQI="}, "at": {"$tag": 1, "$value": 1363896240},
        "t": {"$float": "NaN"}});
    assert_eq!(rows[0]["decoded"], said, "{collected}");
    assert_eq!(
        (&rows[0]["looks_like"], &rows[0]["encoding"], &rows[0]["payload_type"]),
        (&json!("CBOR"), &json!("base64"), &json!("binary"))
    );
    assert!(rows[0]["payload"].as_str().is_some_and(|payload| payload.starts_with("pGFu")), "{}", rows[0]);
    assert_eq!(rows[1]["decoded"], json!({"a": 1, "b": {"$ext": 5, "$base64": "Bw=="}}));
    for row in [&rows[2], &rows[3]] {
        assert_eq!((row.get("decoded"), row.get("looks_like")), (None, None), "{row}");
    }
    assert_eq!(rows[4]["decoded"]["t"].as_str().map(str::len), Some(0x600));
    let mut small = arguments.clone();
    small["max_payload_bytes"] = json!(200);
    let rows = &server.call("subscribe_and_collect", small)["messages"];
    assert_eq!(rows[0]["decoded"], said);
    assert_eq!((&rows[4]["truncated"], rows[4].get("decoded")), (&json!(true), None), "{rows}");
    // The harness checks the budget.
    let mut tight = arguments;
    tight["max_response_bytes"] = json!(2048);
    let collected = server.call("subscribe_and_collect", tight);
    let large = &collected["messages"][4];
    assert_eq!((&large["looks_like"], &large["decoded_bytes"]), (&json!("CBOR"), &json!(0x608)), "{collected}");
    let watch = server.call("start_watch", json!({"session_id": session, "topic_pattern": "c/#"}));
    let arguments = json!({"watch_id": watch["watch_id"], "topic_pattern": "c/1", "wait_seconds": 10});
    assert_eq!(server.call("read_watch", arguments)["messages"][0]["decoded"], said);
}

#[test]
fn lists_and_resources_show_it_too() {
    let (_broker, mut server, session, mut client) = setup();
    client.retain("c/1", cbor(&[("t", &double(21.5))]));
    client.retain("c/2", b"\x81\xa1n\xcd\x02\x00");
    client.retain("c/3", [b"\xa1\x61t\x78\x64", &[b'x'; 100][..]].concat());
    let listed = server.call("list_topics", json!({"session_id": session, "pattern": "c/#", "duration_seconds": 1}));
    let rows = listed["topics"].as_array().expect("rows");
    assert_eq!((&rows[0]["looks_like"], &rows[0]["decoded"]), (&json!("CBOR"), &json!({"t": 21.5})));
    assert_eq!((&rows[1]["looks_like"], &rows[1]["decoded"]), (&json!("MessagePack"), &json!({"n": 512})));
    assert_eq!((&rows[2]["truncated"], rows[2].get("decoded")), (&json!(true), None), "{listed}");
    for (topic, mime_type, said) in
        [("c/1", "application/cbor", r#"{"t":21.5}"#), ("c/2", "application/vnd.msgpack", r#"{"n":512}"#)]
    {
        let uri = format!("mqtt://{session}/topic/{topic}");
        let id = server.request("resources/read", json!({"uri": uri}));
        let contents = server.result(&id)["contents"].take();
        assert_eq!(
            (&contents[0]["mimeType"], contents[0]["blob"].is_string()),
            (&json!(mime_type), true),
            "{contents}"
        );
        assert_eq!(contents[1], json!({"uri": uri, "mimeType": "application/json", "text": said}));
    }
}

#[test]
fn answers_are_compared_as_what_they_say() {
    let (_broker, mut server, session, mut device) = setup();
    device.subscribe("ask", 0);
    let arguments = json!({"session_id": session, "request_topic": "ask", "response_topic": "answer",
        "payload": {"id": "r1"}, "correlation_pointer": "/id", "expect": {"ok": true}});
    let id = server.start_call("request_response", arguments);
    device.receive();
    device.publish("answer", cbor(&[("id", &text("r0")), ("ok", &[0xf5])]));
    device.publish("answer", cbor(&[("id", &text("r1")), ("ok", &[0xf4])]));
    device.publish("answer", cbor(&[("id", &text("r1")), ("ok", &[0xf5])]));
    let answered = server.outcome(&id);
    let rows = answered["responses"].as_array().expect("rows");
    let mismatches: Vec<_> = rows.iter().map(|row| row.get("mismatches").cloned().unwrap_or_default()).collect();
    assert_eq!(mismatches, [json!(["/id"]), json!(["/ok"]), Value::Null]);
    assert_eq!((&rows[2]["decoded"], &rows[2]["looks_like"]), (&json!({"id": "r1", "ok": true}), &json!("CBOR")));
    // {"id": "r1"} can be asked as well, but no second time with another id.
    let mut arguments = json!({"session_id": session, "request_topic": "ask", "response_topic": "answer",
        "payload": "a1626964627231", "payload_encoding": "hex", "correlation_pointer": "/id", "repeat": 2});
    let error = server.fail("request_response", arguments.clone());
    assert_eq!((&error["code"], &error["parameter"]), (&json!("invalid_argument"), &json!("repeat")));
    arguments["repeat"] = json!(1);
    let id = server.start_call("request_response", arguments);
    assert_eq!(device.receive().payload, cbor(&[("id", &text("r1"))]));
    device.publish("answer", cbor(&[("id", &text("r1"))]));
    assert_eq!(server.outcome(&id)["received"], 1);
}

#[test]
fn a_device_that_speaks_cbor_is_examined_as_one_that_speaks_json() {
    let (_broker, mut server, session, mut device) = setup();
    let id = server.listen(&session, "debug_device", json!({"device_id": "node7", "duration_seconds": 2}));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a time");
    let late = now.as_secs() as u32 - 3600;
    for n in 0..12u8 {
        let (seq, t) = (if n < 6 { n } else { n + 3 }, double(20.0 + f64::from(n) / 7.0));
        let t = if n == 9 { double(f64::NAN) } else { t };
        let mut members = vec![("seq", vec![seq]), ("temperature", t), ("ts", tagged_time(late + u32::from(n) / 6))];
        if n == 8 {
            members.push(("error", text("E42")));
        }
        let members: Vec<_> = members.iter().map(|(name, value)| (*name, value.as_slice())).collect();
        device.publish("field/node7/data", cbor(&members));
    }
    device.publish("field/node7/data", b"\xa3\x63seq\x18");
    let debugged = server.outcome(&id);
    let kinds: Vec<_> = debugged["findings"]
        .as_array()
        .expect("findings")
        .iter()
        .filter_map(|finding| finding["kind"].as_str())
        .collect();
    for kind in ["counter_gap", "clock_offset", "lost_value", "malformed_json"] {
        assert!(kinds.contains(&kind), "{kind}: {debugged}");
    }
    assert_eq!(debugged["error_count"], 1, "{debugged}");
    let text = debugged["findings"].to_string();
    assert!(text.contains("1 payload on field/node7/data, of 13 in all, cannot be read as CBOR"), "{text}");
    assert!(text.contains("6 bytes, base64 o2NzZXEY"), "{text}");
    assert!(debugged["errors"][0].to_string().contains("E42"), "{debugged}");
    assert!(debugged["recent_messages"].to_string().contains("\"seq\":14"), "{debugged}");
}
