//! What the policy forbids does not happen, whichever tool asks: nothing is sent, and nothing denied is seen.

use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::fake_broker::FakeBroker;
use crate::support::mosquitto::Mosquitto;
use crate::support::packets::{DISCONNECT, PINGREQ};
use crate::support::server::Server;
use crate::support::tools::{arguments, listed, payloads, with_topics};

fn names(tools: &[Value]) -> Vec<String> {
    tools.iter().map(|tool| tool["name"].as_str().expect("a name").to_owned()).collect()
}

#[test]
fn no_tool_sends_anything_on_a_topic_that_is_denied() {
    let broker = FakeBroker::new();
    let mut server = Server::with(&["--deny-subscribe", "secret/#", "--deny-publish", "secret/#"]);
    let (session, mut peer) = server.meet(&broker);
    let tools = listed(&mut server);
    assert_eq!(names(&tools), names(&listed(&mut Server::start())), "all may be called with other topics");
    for tool in with_topics(&tools) {
        let name = tool["name"].as_str().expect("a name");
        let mut topics = vec!["secret/a"];
        // clear_retained takes no `$` topics, and only filters can be shared.
        if name != "clear_retained" && tool["inputSchema"]["properties"].to_string().contains("pattern\":") {
            topics.push("$share/g/secret/a");
        }
        for topic in topics {
            let id = server.start_call(name, arguments(&tool, &session, topic));
            let answer = server.response(&id).raw;
            let refused = answer.contains("policy_denied") && answer.contains("secret/# (command line)");
            assert!(refused, "{name} {topic}: {answer}");
        }
    }
    server.call("close_connection", json!({"session_id": session}));
    while let Some(packet) = peer.next() {
        assert!([PINGREQ, DISCONNECT].contains(&packet.kind()), "{packet:?}");
    }
}

#[test]
fn no_tool_shows_a_message_that_is_denied() {
    let broker = Mosquitto::start();
    let mut other = Client::connect(broker.port());
    for topic in ["secret/key", "public/light"] {
        other.retain(topic, format!("payload of {topic}"));
    }
    let mut server = Server::with(&["--deny-subscribe", "secret/#"]);
    let session = server.connect(&broker.url());
    let watch = server.call("start_watch", json!({"session_id": session, "topic_pattern": "#"}));
    for tool in with_topics(&listed(&mut server)) {
        if tool["annotations"]["destructiveHint"] == true {
            continue;
        }
        let name = tool["name"].as_str().expect("a name");
        let id = server.start_call(name, arguments(&tool, &session, "#"));
        other.publish("secret/live", "payload of secret/live");
        let answer = server.response(&id).raw;
        assert!(!answer.contains("secret/"), "{name}: {answer}");
    }
    let read = server.call("read_watch", json!({"watch_id": watch["watch_id"]}));
    assert!(read.to_string().contains("payload of public/light") && !read.to_string().contains("secret/"), "{read}");
    let row = server.row(&session);
    assert!(row["messages_denied"].as_u64().expect("a count") > 0, "what was dropped is counted: {row}");
    let mut unbound = Server::start();
    let session = unbound.connect(&broker.url());
    let all = json!({"session_id": session, "topic_pattern": "#", "retained": "only"});
    assert!(unbound.call("subscribe_and_collect", all).to_string().contains("payload of secret/key"));
}

#[test]
fn clear_retained_leaves_what_may_not_be_published_to() {
    let broker = Mosquitto::start();
    let mut other = Client::connect(broker.port());
    for topic in ["lab/a", "lab/door", "lab/z"] {
        other.retain(topic, "1");
    }
    let mut server = Server::with(&["--deny-publish", "lab/door"]);
    let session = server.connect(&broker.url());
    let cleared =
        server.call("clear_retained", json!({"session_id": session, "topic_pattern": "lab/#", "dry_run": false}));
    assert_eq!((&cleared["cleared"], &cleared["listed"]), (&json!(2), &json!(3)), "{cleared}");
    let why = cleared["failed"].as_str().expect("why");
    assert!(why.contains("--deny-publish lab/door") && why.ends_with("left: 1"), "{why}");
    let left = server
        .call("subscribe_and_collect", json!({"session_id": session, "topic_pattern": "lab/#", "retained": "only"}));
    assert_eq!(left["messages"][0]["topic"], "lab/door");
    assert_eq!(left["message_count"], 1);
}

#[test]
fn read_only_leaves_no_tool_that_publishes_and_no_way_to_do_it() {
    let broker = FakeBroker::new();
    let mut server = Server::with(&["--read-only", "--allow-publish", "#"]);
    let (session, mut peer) = server.meet(&broker);
    let (all, left) = (listed(&mut Server::start()), listed(&mut server));
    for tool in &all {
        let (name, publishes) = (tool["name"].as_str().expect("a name"), &tool["annotations"]["destructiveHint"]);
        assert_eq!(names(&left).contains(&name.to_owned()), publishes == false, "{name}");
        if publishes == false {
            continue;
        }
        for name in [name.to_owned(), format!("mqtt_{name}")] {
            let id = server.start_call(&name, arguments(tool, &session, "a"));
            let answer = server.response(&id);
            assert_eq!(answer.json["error"]["code"], -32602, "{}", answer.raw);
            assert!(answer.raw.contains("--read-only (command line)"), "{}", answer.raw);
            let error = server.fail_bare(&name, arguments(tool, &session, "a"));
            assert_eq!(error["code"], -32601, "{error}");
        }
    }
    for tool in left.iter().filter(|tool| tool["inputSchema"]["properties"].get("probe_topic").is_some()) {
        let name = tool["name"].as_str().expect("a name");
        let id = server.start_call(name, json!({"session_id": session, "probe_topic": "a"}));
        let answer = server.response(&id).raw;
        assert!(answer.contains("policy_denied"), "{answer}");
    }
    let error = server.fail("subscribe_and_collect", json!({"session_id": session, "topic_pattern": "$share/g/a"}));
    assert_eq!(error["code"], "policy_denied");
    server.call("close_connection", json!({"session_id": session}));
    while let Some(packet) = peer.next() {
        assert!([PINGREQ, DISCONNECT].contains(&packet.kind()), "{packet:?}");
    }
}

#[test]
fn a_tool_is_left_out_when_all_that_is_allowed_is_denied() {
    let mut server = Server::with(&["--allow-publish", "lab/a", "--deny-publish", "lab/#"]);
    assert!(!names(&listed(&mut server)).contains(&"publish_message".to_owned()));
}

#[test]
fn the_model_is_told_the_rules_at_the_start() {
    let mut server = Server::spawn(crate::support::server::command(&[
        "--profiles-only",
        "--allow-broker",
        "plant.example:8883",
        "--deny-publish",
        "door/#",
        "--deny-subscribe",
        "secret/#",
    ]));
    let words = server.initialize("2025-11-25")["instructions"].as_str().expect("words").to_owned();
    for part in ["plant.example:8883", "never publish to door/#", "never shown: secret/#", "configured broker"] {
        assert!(words.contains(part), "{words}");
    }
    let plain = Server::spawn(crate::support::server::command(&[])).initialize("2025-11-25");
    assert!(!plain["instructions"].as_str().expect("words").contains("policy"));
}

#[test]
fn a_filter_wider_than_the_allow_list_is_refused_and_one_within_it_works() {
    let broker = Mosquitto::start();
    let mut other = Client::connect(broker.port());
    other.retain("sensors/a", "1");
    let mut server = Server::with(&["--allow-subscribe", "sensors/+"]);
    let session = server.connect(&broker.url());
    for filter in ["sensors/#", "#", "+/a", "sensors", "$SYS/#", "$share/g/#"] {
        let error = server.fail("subscribe_and_collect", json!({"session_id": session, "topic_pattern": filter}));
        assert_eq!(
            (&error["code"], &error["retryable"]),
            (&json!("policy_denied"), &json!(false)),
            "{filter}: {error}"
        );
        let message = error["message"].as_str().expect("words");
        assert!(message.contains("--allow-subscribe sensors/+ (command line)"), "{message}");
    }
    let read = server.call(
        "subscribe_and_collect",
        json!({"session_id": session, "topic_pattern": "sensors/+", "retained": "only"}),
    );
    assert_eq!(payloads(&read), [json!(1)]);
}

#[test]
fn messages_of_a_shared_subscription_are_collected() {
    let broker = Mosquitto::start();
    let mut server = Server::start();
    let session = server.connect(&broker.url());
    let arguments = json!({"topic_pattern": "$share/g/sensors/+", "max_messages": 1, "duration_seconds": 10});
    let id = server.listen(&session, "subscribe_and_collect", arguments);
    Client::connect(broker.port()).publish("sensors/a", "7");
    assert_eq!(payloads(&server.outcome(&id)), [json!(7)]);
}

#[test]
fn other_brokers_are_refused_before_anything_is_sent() {
    let (allowed, other) = (FakeBroker::new(), FakeBroker::new());
    let rule = format!("127.0.0.1:{}", allowed.port());
    let profile = format!("lab={}", other.url());
    let mut server = Server::with(&["--allow-broker", &rule, "--broker", &profile]);
    let (session, _peer) = server.meet(&allowed);
    server.call("close_connection", json!({"session_id": session}));
    let by_name = format!("mqtt://localhost:{}", other.port());
    for arguments in
        [json!({"connection_string": other.url()}), json!({"connection_string": by_name}), json!({"broker": "lab"})]
    {
        let error = server.fail("establish_connection", arguments.clone());
        assert_eq!(error["code"], "policy_denied", "{arguments}: {error}");
        assert!(error["message"].as_str().expect("words").contains(&format!("--allow-broker {rule}")), "{error}");
    }
    assert!(other.nobody_calls());
}

#[test]
fn a_name_that_leads_to_an_allowed_address_is_allowed() {
    let broker = FakeBroker::new();
    let mut server = Server::with(&["--allow-broker", "127.0.0.1"]);
    let id = server.start_call(
        "establish_connection",
        json!({"connection_string": format!("mqtt://localhost:{}", broker.port())}),
    );
    let _peer = broker.welcome();
    assert_eq!(server.outcome(&id)["status"], "connected");
}

#[test]
fn with_profiles_only_connection_strings_are_refused() {
    let broker = FakeBroker::new();
    let profile = format!("lab={}", broker.url());
    let mut server = Server::with(&["--profiles-only", "--broker", &profile]);
    let error = server.fail("establish_connection", json!({"connection_string": broker.url()}));
    assert_eq!(error["code"], "policy_denied", "{error}");
    assert!(broker.nobody_calls());
    let id = server.start_call("establish_connection", json!({"broker": "lab"}));
    let _peer = broker.welcome();
    assert_eq!(server.outcome(&id)["status"], "connected");
}

#[cfg(feature = "library")]
#[test]
fn what_is_denied_is_no_resource_and_completes_nothing() {
    let broker = Mosquitto::start();
    let mut other = Client::connect(broker.port());
    other.retain("secret/key", "payload");
    other.retain("public/light", "on");
    let mut server = Server::with(&["--deny-subscribe", "secret/#"]);
    let session = server.connect(&broker.url());
    let all = json!({"session_id": session, "topic_pattern": "#", "retained": "only"});
    assert_eq!(server.call("subscribe_and_collect", all)["message_count"], 1);
    for method in ["resources/read", "resources/subscribe"] {
        let id = server.request(method, json!({"uri": format!("mqtt://{session}/topic/secret/key")}));
        let answer = server.response(&id);
        assert!(answer.json.get("error").is_some() && answer.raw.contains("policy_denied"), "{method}: {}", answer.raw);
    }
    let template = json!({"type": "ref/resource", "uri": "mqtt://{session_id}/topic/{+topic}"});
    let mut complete = |value: &str| {
        let context = json!({"arguments": {"session_id": session}});
        let argument = json!({"name": "topic", "value": value});
        let id =
            server.request("completion/complete", json!({"ref": template, "argument": argument, "context": context}));
        server.result(&id)["completion"]["values"].to_string()
    };
    assert!(complete("").contains("public/light"));
    assert_eq!(complete("s"), "[]");
}
