//! Prompts, resources, completion and listening, over the same fake as the tests of the server.

use super::*;

#[test]
fn offers_are_declared_as_each_revision_has_them_and_not_served_without() {
    for revision in Revision::ALL.into_iter().filter(|revision| !revision.is_modern()) {
        let mut play = Play::with_offers();
        let params = json!({"protocolVersion": revision.name()});
        let declared = play.request(json!(0), "initialize", params)[0]["result"]["capabilities"].clone();
        let mut expected = json!({"tools": {}, "resources": {"subscribe": true}, "prompts": {}, "completions": {}});
        if revision == Revision::V2024_11_05 {
            expected.as_object_mut().expect("object").remove("completions");
        }
        assert_eq!(declared, expected);
    }
    let mut play = Play::with_offers();
    let discovered = &play.request(json!(0), "server/discover", json!({"_meta": meta("2026-07-28")}))[0]["result"];
    assert_eq!(discovered["capabilities"]["resources"]["subscribe"], true);
    let mut play = Play::handshake("2025-11-25");
    for method in ["prompts/list", "prompts/get", "resources/list", "resources/read", "completion/complete"] {
        assert_eq!(play.error_code(method, json!({})), -32601, "{method}");
    }
}

#[test]
fn lists_have_one_page_and_live_ones_are_not_cached() {
    let mut play = Play::with_offers();
    for (method, ttl) in [("prompts/list", 3_600_000), ("resources/list", 0), ("resources/templates/list", 3_600_000)] {
        let answer = &play.request(json!(1), method, json!({"_meta": meta("2026-07-28")}))[0]["result"];
        assert_eq!((&answer["ttlMs"], &answer["cacheScope"]), (&json!(ttl), &json!("private")), "{method}");
        for cursor in [json!(""), json!("x"), json!(1)] {
            assert_eq!(play.error_code(method, json!({"_meta": meta("2026-07-28"), "cursor": cursor})), -32602);
        }
    }
    let answer = &play.request(json!(1), "prompts/get", json!({"name": "p", "_meta": meta("2026-07-28")}))[0]["result"];
    assert!(answer.get("ttlMs").is_none(), "{answer}");
}

#[test]
fn prompts_and_completions_are_asked_for_by_name() {
    let mut play = Play::with_offers();
    play.request(json!(0), "initialize", json!({"protocolVersion": "2025-06-18"}));
    let got = &play.request(json!(1), "prompts/get", json!({"name": "p", "arguments": {"a": "b"}}))[0]["result"];
    assert_eq!(got["a"], "b");
    for wrong in [json!({}), json!({"name": 1}), json!({"name": "q"}), json!({"name": "p", "arguments": []})] {
        assert_eq!(play.error_code("prompts/get", wrong), -32602);
    }
    let argument = json!({"name": "n", "value": "v"});
    let asked = json!({"ref": {"type": "ref/prompt", "name": "p"}, "argument": argument,
        "context": {"arguments": {"s": "chosen"}}});
    let found = &play.request(json!(1), "completion/complete", asked)[0]["result"]["completion"]["values"][0];
    assert_eq!(found, "Prompt(\"p\") n v Some(\"chosen\")");
    for wrong in [
        json!({"argument": argument}),
        json!({"ref": {"type": "ref/other", "name": "p"}, "argument": argument}),
        json!({"ref": {"type": "ref/resource", "name": "p"}, "argument": argument}),
        json!({"ref": {"type": "ref/prompt", "name": "p"}}),
        json!({"ref": {"type": "ref/prompt", "name": "p"}, "argument": {"name": "n"}}),
        json!({"ref": {"type": "ref/prompt", "name": "p"}, "argument": {"name": "n", "value": 1}}),
    ] {
        assert_eq!(play.error_code("completion/complete", wrong), -32602);
    }
}

#[test]
fn a_missing_resource_has_the_number_of_its_era() {
    let mut play = Play::with_offers();
    play.request(json!(0), "initialize", json!({"protocolVersion": "2025-11-25"}));
    for (params, expected) in
        [(json!({"uri": "u"}), -32002), (json!({"uri": "u", "_meta": meta("2026-07-28")}), -32602)]
    {
        assert!(play.request(json!(1), "resources/read", params).is_empty());
        let key = play.started.remove(0).key;
        play.server.finish(key, Outcome::Missing("nothing there".into()));
        let answer = &play.effects()[0];
        assert_eq!((code(answer), &answer["error"]["data"]["uri"]), (expected, &json!("u")));
    }
    assert_eq!(play.error_code("resources/read", json!({"uri": 1})), -32602);
    play.request(json!(1), "resources/read", json!({"uri": "u", "_meta": meta("2026-07-28")}));
    assert_eq!(play.finish(json!({"contents": []}))[0]["result"]["ttlMs"], 0);
}

#[test]
fn a_legacy_subscription_is_acknowledged_told_and_ended() {
    let mut play = Play::with_offers();
    play.request(json!(0), "initialize", json!({"protocolVersion": "2025-11-25"}));
    assert!(play.request(json!(1), "resources/subscribe", json!({"uri": "u"})).is_empty());
    assert_eq!(play.finish(json!({}))[0]["result"], json!({}));
    play.server.updated(None, "u");
    let note = &play.effects()[0];
    assert_eq!((&note["method"], &note["params"]), (&json!("notifications/resources/updated"), &json!({"uri": "u"})));
    assert_eq!(play.request(json!(2), "resources/unsubscribe", json!({"uri": "u"}))[0]["result"], json!({}));
    assert_eq!(play.unsubscribed, [Some("u".to_owned())]);
    play.request(json!(0), "initialize", json!({"protocolVersion": "2025-11-25"}));
    assert_eq!(play.unsubscribed[1..], [None], "a client that starts anew has none");
    for method in ["resources/subscribe", "resources/unsubscribe"] {
        assert_eq!(play.error_code(method, json!({"uri": "u", "_meta": meta("2026-07-28")})), -32601, "{method}");
        assert_eq!(play.error_code(method, json!({})), -32602, "{method}");
    }
}

#[test]
fn unsubscribing_ends_a_subscription_that_is_still_being_made_and_both_are_answered() {
    let mut play = Play::with_offers();
    play.request(json!(0), "initialize", json!({"protocolVersion": "2025-11-25"}));
    play.request(json!(1), "resources/subscribe", json!({"uri": "u"}));
    play.request(json!(2), "resources/subscribe", json!({"uri": "other"}));
    let answers = play.request(json!(3), "resources/unsubscribe", json!({"uri": "u"}));
    assert_eq!(answers.iter().map(|answer| &answer["id"]).collect::<Vec<_>>(), [&json!(1), &json!(3)]);
    assert_eq!(play.cancelled, [play.started[0].key]);
    assert_eq!(play.server.calls_in_flight(), 1);
}

#[test]
fn a_listen_is_acknowledged_told_on_its_own_stream_and_silent_after_its_cancel() {
    let mut play = Play::with_offers();
    let wishes = json!({"toolsListChanged": true, "resourceSubscriptions": ["u", "v"]});
    let params = json!({"notifications": wishes, "_meta": meta("2026-07-28")});
    assert!(play.request(json!("listen:0"), "subscriptions/listen", params.clone()).is_empty());
    let key = play.started[0].key;
    assert!(matches!(&play.started[0].work, Work::Listen { uris } if uris == &["u", "v"]));
    play.server.acknowledge(key, &["u"]);
    play.server.updated(Some(key), "u");
    let lines = play.effects();
    let stream = json!({"io.modelcontextprotocol/subscriptionId": "listen:0"});
    assert_eq!(lines[0]["method"], "notifications/subscriptions/acknowledged");
    assert_eq!(lines[0]["params"], json!({"_meta": stream, "notifications": {"resourceSubscriptions": ["u"]}}));
    assert_eq!(lines[1]["params"], json!({"_meta": stream, "uri": "u"}));
    assert_eq!(play.request(json!("listen:0"), "ping", json!({}))[0]["error"]["code"], -32600, "the id is in flight");
    play.say(json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "listen:0"}}));
    assert_eq!(play.cancelled, [key]);
    play.server.acknowledge(key, &["u"]);
    play.server.updated(Some(key), "u");
    play.server.end_listens();
    assert!(play.effects().is_empty(), "nothing follows a cancel");
}

#[test]
fn a_listen_without_wishes_is_held_open_and_ended_in_order() {
    let mut play = Play::with_offers();
    play.request(json!(5), "subscriptions/listen", json!({"notifications": {}, "_meta": meta("2026-07-28")}));
    let key = play.started[0].key;
    play.server.acknowledge(key, &[]);
    assert_eq!(play.effects()[0]["params"]["notifications"], json!({}));
    play.server.end_listens();
    let end = &play.effects()[0];
    assert_eq!((&end["id"], &end["result"]["resultType"]), (&json!(5), &json!("complete")));
    assert_eq!(end["result"]["_meta"]["io.modelcontextprotocol/subscriptionId"], 5);
    assert_eq!((play.cancelled.as_slice(), play.server.calls_in_flight()), (&[key][..], 0));
}

#[test]
fn a_listen_that_is_no_listen_is_refused() {
    let mut play = Play::with_offers();
    assert_eq!(play.error_code("subscriptions/listen", json!({"notifications": {}})), -32602, "no envelope");
    for wrong in [json!(null), json!([]), json!({"resourceSubscriptions": "u"}), json!({"resourceSubscriptions": [1]})]
    {
        let params = json!({"notifications": wrong, "_meta": meta("2026-07-28")});
        assert_eq!(play.error_code("subscriptions/listen", params), -32602);
    }
    assert_eq!(play.error_code("subscriptions/listen", json!({"_meta": meta("2026-07-28")})), -32602);
    let member = json!({"jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen",
        "params": {"notifications": {}, "_meta": meta("2026-07-28")}});
    assert_eq!(code(&play.one(json!([member]))[0]), -32600);
    play.request(json!(0), "initialize", json!({"protocolVersion": "2025-11-25"}));
    assert_eq!(play.error_code("subscriptions/listen", json!({"notifications": {}})), -32602, "still no envelope");
    assert!(play.started.is_empty());
}
