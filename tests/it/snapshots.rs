//! What clients are told of the tools, as a file: a change of it is a change of the product.

use serde_json::{Value, json};

use crate::support::root;
use crate::support::server::Server;
use crate::support::tools::{is_built, updates_snapshots};

fn tools() -> Value {
    let mut server = Server::start();
    let id = server.request("tools/list", json!({}));
    server.result(&id)
}

#[test]
fn the_tools_are_those_of_the_snapshot() {
    let path = root().join("tests/data/tools.json");
    let list = serde_json::to_string_pretty(&tools()).expect("JSON") + "\n";
    if updates_snapshots() {
        std::fs::write(&path, &list).expect("the snapshot is written");
    }
    let known = std::fs::read_to_string(&path).expect("tests/data/tools.json");
    let mut known: Value = serde_json::from_str(&known).expect("JSON");
    known["tools"].as_array_mut().expect("tools").retain(|tool| is_built(tool["name"].as_str().expect("a name")));
    let known = serde_json::to_string_pretty(&known).expect("JSON") + "\n";
    let differs = list.lines().zip(known.lines()).find(|(now, then)| now != then);
    assert!(list == known, "tools/list differs from its snapshot: {differs:?}; UPDATE_SNAPSHOTS=1 writes it anew");
}

#[test]
fn input_schemas_say_all_that_a_client_needs() {
    for tool in tools()["tools"].as_array().expect("tools") {
        let (name, schema) = (&tool["name"], &tool["inputSchema"]);
        assert_eq!((&schema["type"], &schema["additionalProperties"]), (&json!("object"), &json!(false)), "{name}");
        for combinator in ["oneOf", "anyOf", "allOf", "not", "$ref"] {
            assert!(schema.get(combinator).is_none(), "{name}: {combinator}");
        }
        for (parameter, rules) in schema["properties"].as_object().expect("properties") {
            assert!(rules["description"].is_string(), "{name}.{parameter}");
            if rules["type"] == "integer" {
                let bounded = rules["minimum"].is_i64() && rules["maximum"].is_i64() && rules["default"].is_i64();
                assert!(bounded, "{name}.{parameter}: {rules}");
            }
        }
        for hint in ["readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"] {
            assert!(tool["annotations"][hint].is_boolean(), "{name}: {hint}");
        }
    }
}

#[test]
fn annotations_are_truthful() {
    let list = tools();
    let annotation = |name: &str, hint: &str| {
        let tools = list["tools"].as_array().expect("tools");
        tools.iter().find(|tool| tool["name"] == name).expect("the tool")["annotations"][hint].clone()
    };
    for name in ["list_active_connections", "list_topics", "subscribe_and_collect"] {
        assert_eq!(annotation(name, "readOnlyHint"), true, "{name}");
    }
    assert_eq!(annotation("publish_message", "readOnlyHint"), false);
    assert_eq!(annotation("publish_message", "destructiveHint"), true);
}
