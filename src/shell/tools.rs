//! `mqtt-mcp tools`: the tools as a person reads them, or as a client gets them.

use std::rc::Rc;

use super::text::wrap;
use crate::audit::Audit;
use crate::limits::PUBLISHES_PER_MINUTE_DEFAULT;
use crate::mcp::server::Catalog;
use crate::mcp::version::Revision;
use crate::mqtt::guard::Guard;
use crate::mqtt::policy::Policy;
use crate::rpc::outgoing;
use crate::tools::args::{Kind, Param};
use crate::tools::schema::Tools;

/// The tools that the policy leaves; as the result of `tools/list` at the newest revision with a handshake, or as text.
pub fn text(policy: Policy, json: bool) -> String {
    let tools = Tools(Rc::new(Guard::new(policy, Audit::default(), PUBLISHES_PER_MINUTE_DEFAULT)));
    if json { outgoing::text(&*tools.list(Revision::NEWEST_LEGACY)) + "\n" } else { as_text(&tools) }
}

fn as_text(tools: &Tools) -> String {
    let mut out = String::new();
    for tool in tools.offered() {
        out.push_str(&format!("{}: {}\n  ", tool.name, tool.title));
        wrap(&mut out, tool.description, 2);
        let width = tool.params.iter().map(|param| param.name.len()).max().unwrap_or(0) + 6;
        for param in tool.params {
            out.push_str(&format!("    {:width$}", param.name, width = width - 4));
            wrap(&mut out, &about(param), width);
        }
        out.push('\n');
    }
    wrap(&mut out, "mqtt-mcp tools --json gives what a client gets.", 0);
    out
}

fn about(param: &Param) -> String {
    let values = match &param.kind {
        Kind::Text { default: Some(default), .. } => format!(" (default {default})"),
        Kind::Text { default: None, .. } => String::new(),
        Kind::Integer { min, max, default: Some(default) } => format!(" ({min} to {max}; default {default})"),
        Kind::Integer { min, max, default: None } => format!(" ({min} to {max})"),
        Kind::Flag { default } => format!(" (true or false; default {default})"),
        Kind::Choice { values, default } => format!(" ({}; default {default})", values.join(", ")),
        Kind::Json => " (any JSON value)".into(),
    };
    format!("{}{}{values}", if param.required { "Required. " } else { "" }, param.doc)
}
