//! Result lines: what the protocol puts around a body, by revision.

use std::rc::Rc;

use serde::Serialize;

use super::types::{ModernMembers, ResultMeta, ServerInfo};
use super::version::Revision;
use crate::rpc::message::Id;
use crate::rpc::outgoing::{Body, OutLine, Part, Whole, to_json};

/// How long a client may keep a result (2026-07-28 "Caching"); older revisions do not tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Caching {
    /// Not a result that caching is about.
    Never,
    /// The same for the life of the process.
    Fixed,
    /// May be another one a moment later.
    Live,
}

impl Caching {
    fn ttl_ms(self) -> Option<u64> {
        match self {
            Self::Never => None,
            Self::Fixed => Some(3_600_000),
            Self::Live => Some(0),
        }
    }
}

/// The response with `body` as its result.
pub(super) fn result_line(id: &Id, revision: Revision, body: Rc<dyn Body>, caching: Caching) -> OutLine {
    let mut head = open_line(id);
    if !revision.is_modern() {
        return OutLine::new(vec![Part::Bytes(head.into()), Part::Object(body), Part::text("}")]);
    }
    push_modern_members(&mut head, revision, caching);
    OutLine::new(vec![Part::Bytes(head.into()), Part::Members(body), Part::text("}")])
}

/// The response of `tools/call`: the body as text, and where the revision has it as structured content.
pub(super) fn tool_line(id: &Id, revision: Revision, body: Rc<dyn Body>, is_error: bool) -> OutLine {
    let mut head = open_line(id);
    if revision.is_modern() {
        push_modern_members(&mut head, revision, Caching::Never);
    } else {
        head.push(b'{');
    }
    if is_error {
        head.extend_from_slice(b"\"isError\":true,");
    }
    head.extend_from_slice(b"\"content\":[{\"type\":\"text\",\"text\":\"");
    let mut parts = vec![Part::Bytes(head.into()), Part::Escaped(body.clone()), Part::text("\"}]")];
    if revision.has_structured_results() {
        parts.push(Part::text(",\"structuredContent\":"));
        parts.push(Part::Object(body));
    }
    parts.push(Part::text("}}"));
    OutLine::new(parts)
}

/// The response that ends a subscription in order (2026-07-28 "Graceful Closure").
pub(super) fn listen_line(id: &Id, revision: Revision) -> OutLine {
    let meta = ResultMeta { server_info: ServerInfo::of(revision), subscription_id: Some(id) };
    let members = ModernMembers { result_type: "complete", ttl_ms: None, cache_scope: None, meta };
    let mut line = open_line(id);
    line.extend(to_json(&members));
    line.push(b'}');
    OutLine::new(vec![Part::Bytes(line.into())])
}

/// A body from a value.
pub fn body(value: &impl Serialize) -> Rc<dyn Body> {
    Rc::new(Whole::new(value))
}

fn open_line(id: &Id) -> Vec<u8> {
    let mut head = Vec::with_capacity(96);
    head.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"id\":");
    head.extend(to_json(id));
    head.extend_from_slice(b",\"result\":");
    head
}

/// Opens a modern result: its brace and the protocol's own members, with a comma behind them.
fn push_modern_members(head: &mut Vec<u8>, revision: Revision, caching: Caching) {
    let ttl_ms = caching.ttl_ms();
    let meta = ResultMeta { server_info: ServerInfo::of(revision), subscription_id: None };
    let cache_scope = ttl_ms.map(|_| "private");
    head.extend(to_json(&ModernMembers { result_type: "complete", ttl_ms, cache_scope, meta }));
    head.pop();
    head.push(b',');
}
