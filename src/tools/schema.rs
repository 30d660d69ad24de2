//! `tools/list`, written from the declarations.

use std::borrow::Cow;
use std::rc::Rc;

use super::args::quoted;
use super::{ALL, Effect, INSTRUCTIONS, Tool, find};
use crate::mcp::server::Catalog;
use crate::mcp::version::Revision;
use crate::mqtt::guard::Guard;
use crate::mqtt::policy::{Denied, Policy};
use crate::rpc::outgoing::Body;

/// The tools that a policy leaves, as the protocol sees them.
#[derive(Default)]
pub struct Tools(pub Rc<Guard>);

impl Tools {
    /// The tools that the policy leaves.
    pub fn offered(&self) -> impl Iterator<Item = &'static Tool> {
        ALL.iter().filter(|tool| tool.check_policy(&self.0.policy).is_ok())
    }
}

impl Catalog for Tools {
    fn find(&self, name: &str) -> Option<&'static str> {
        find(name).filter(|tool| tool.check_policy(&self.0.policy).is_ok()).map(|tool| tool.name)
    }

    fn absence(&self, name: &str) -> Option<String> {
        let tool = find(name)?;
        let denied = tool.check_policy(&self.0.policy).err()?;
        self.0.denied(None, (tool.name, None), &denied);
        Some(format!("left out by the policy of this server: {}", denied.0))
    }

    fn list(&self, revision: Revision) -> Rc<dyn Body> {
        Rc::new(ToolList { revision, tools: self.offered().collect() })
    }

    fn instructions(&self) -> Cow<'static, str> {
        match self.0.policy.describe() {
            rules if rules.is_empty() => INSTRUCTIONS.into(),
            rules => format!("{INSTRUCTIONS} The policy of this server: {rules}.").into(),
        }
    }
}

/// The result of `tools/list`, one tool a piece.
struct ToolList {
    revision: Revision,
    tools: Vec<&'static Tool>,
}

impl Body for ToolList {
    fn piece(&self, index: usize, out: &mut Vec<u8>) -> bool {
        let Some(tool) = self.tools.get(index) else { return false };
        let mut text = String::from(if index == 0 { "{\"tools\":[" } else { "," });
        tool.write(self.revision, &mut text);
        if index + 1 == self.tools.len() {
            text.push_str("]}");
        }
        out.extend_from_slice(text.as_bytes());
        true
    }
}

impl Tool {
    /// Refused when no call of it could ever be allowed.
    fn check_policy(&self, policy: &Policy) -> Result<(), Denied> {
        match self.effect {
            Effect::Publishes => policy.check_publishing(),
            Effect::Local | Effect::Session | Effect::Reads => Ok(()),
        }
    }

    /// Appends the tool as `revision` has it: titles and output schemas came with 2025-06-18, annotations with 2025-03-26.
    fn write(&self, revision: Revision, out: &mut String) {
        out.push_str(&format!("{{\"name\":{}", quoted(self.name)));
        if revision.has_structured_results() {
            out.push_str(&format!(",\"title\":{}", quoted(self.title)));
        }
        out.push_str(&format!(",\"description\":{},\"inputSchema\":", quoted(self.description)));
        self.write_input_schema(out);
        if revision.has_structured_results() {
            out.push_str(",\"outputSchema\":");
            self.write_output_schema(out);
        }
        if revision.has_annotations() {
            self.write_annotations(out);
        }
        out.push('}');
    }

    /// Appends the JSON Schema of the arguments.
    pub fn write_input_schema(&self, out: &mut String) {
        out.push_str("{\"type\":\"object\",\"properties\":{");
        for (index, param) in self.params.iter().enumerate() {
            out.push_str(if index == 0 { "" } else { "," });
            param.write_schema(out);
        }
        let required: Vec<_> =
            self.params.iter().filter(|param| param.required).map(|param| quoted(param.name)).collect();
        out.push('}');
        if !required.is_empty() {
            out.push_str(&format!(",\"required\":[{}]", required.join(",")));
        }
        out.push_str(",\"additionalProperties\":false}");
    }

    /// Appends the JSON Schema of the result. Errors fit it too: some clients check those as well.
    pub fn write_output_schema(&self, out: &mut String) {
        out.push_str("{\"type\":\"object\",\"properties\":{");
        out.push_str(self.output);
        out.push_str(",\"status\":{\"type\":\"string\"},\"error\":{\"type\":\"object\"}},\"required\":[\"status\"]}");
    }

    fn write_annotations(&self, out: &mut String) {
        // Closing a session twice is an error, publishing twice is two messages, and a second session is a second one.
        let (read_only, destructive, idempotent, open_world) = match self.effect {
            Effect::Local => (true, false, true, false),
            Effect::Session => (false, false, false, true),
            Effect::Reads => (true, false, false, true),
            Effect::Publishes => (false, true, false, true),
        };
        out.push_str(&format!(
            ",\"annotations\":{{\"title\":{},\"readOnlyHint\":{read_only},\"destructiveHint\":{destructive},\
             \"idempotentHint\":{idempotent},\"openWorldHint\":{open_world}}}",
            quoted(self.title)
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn list(revision: Revision) -> (usize, Vec<Value>) {
        let mut bytes = Vec::new();
        let mut index = 0;
        let list = Tools::default().list(revision);
        while list.piece(index, &mut bytes) {
            index += 1;
        }
        let value: Value = serde_json::from_slice(&bytes).expect("json");
        (bytes.len(), value["tools"].as_array().expect("tools").clone())
    }

    #[test]
    fn every_tool_keeps_the_rules_of_all_tools() {
        let (bytes, tools) = list(Revision::V2025_11_25);
        assert!(bytes < 24_000, "tools/list has {bytes} bytes");
        assert_eq!(tools.len(), ALL.len());
        for (tool, declared) in tools.iter().zip(ALL) {
            let name = tool["name"].as_str().expect("name");
            assert!(name.bytes().all(|c| c.is_ascii_lowercase() || c == b'_') && name.len() <= 40, "{name}");
            assert!(!name.starts_with("mqtt_"), "{name}: the prefix is the alias");
            for text in ["title", "description"] {
                assert!(tool[text].as_str().is_some_and(|text| !text.is_empty()), "{name} has no {text}");
            }
            for schema in ["inputSchema", "outputSchema"] {
                assert_eq!(tool[schema]["type"], "object", "{name} {schema}");
                for combinator in ["anyOf", "oneOf", "allOf", "not", "if"] {
                    assert!(tool[schema].get(combinator).is_none(), "{name} has a top-level {combinator}");
                }
            }
            assert_eq!(tool["inputSchema"]["additionalProperties"], false, "{name}");
            for param in declared.params {
                let schema = &tool["inputSchema"]["properties"][param.name];
                let doc = schema["description"].as_str().unwrap_or_default();
                assert!(doc.ends_with('.'), "{name}.{} needs a sentence", param.name);
            }
            for hint in ["readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"] {
                assert!(tool["annotations"][hint].is_boolean(), "{name} has no {hint}");
            }
            assert!(tool["outputSchema"]["properties"]["status"].is_object(), "{name}");
        }
    }

    #[test]
    fn older_revisions_see_only_what_they_have() {
        let (_, tools) = list(Revision::V2024_11_05);
        assert!(tools.iter().all(|tool| tool.as_object().is_some_and(|tool| tool.len() == 3)));
        let (_, tools) = list(Revision::V2025_03_26);
        assert!(tools.iter().all(|tool| tool.as_object().is_some_and(|tool| tool.len() == 4)));
    }
}
