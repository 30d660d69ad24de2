//! The protocol as a value: each line changes state and queues effects; answers come back through [`Server::finish`].
//!
//! The era is a property of each request: one that names a revision in its `_meta` is served by 2026-07-28, others by
//! what the last `initialize` agreed on. Neither locks out the other.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::rc::Rc;

use serde_json::value::RawValue;
use zeroize::Zeroizing;

pub use super::answer::body;
use super::answer::{Caching, result_line, tool_line};
use super::offers::{Offers, one_page};
use super::types::*;
use super::version::Revision;
use crate::limits::{ECHO_MAX_BYTES, LINE_MAX_BYTES};
use crate::rpc::error::{INVALID_PARAMS, METHOD_NOT_FOUND, RESOURCE_NOT_FOUND, RpcError, UNSUPPORTED_VERSION};
use crate::rpc::message::{Bad, Fields, Id, Incoming, Message, fields, parse, text};
use crate::rpc::outgoing::{Body, OutLine};
use crate::secret::redacted;

/// What the server offers; the protocol does not know what it is about.
pub trait Catalog {
    /// The tool that `name` means, under its own name.
    fn find(&self, name: &str) -> Option<&'static str>;
    /// Why a tool that exists is not offered here, in words for behind its name.
    fn absence(&self, name: &str) -> Option<String>;
    /// The result of `tools/list` as `revision` has it.
    fn list(&self, revision: Revision) -> Rc<dyn Body>;
    /// How to work with the tools, for a model.
    fn instructions(&self) -> Cow<'static, str>;
}

/// Names a call from its start to [`Server::finish`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CallKey(u64);

/// What is to be done.
pub enum Effect {
    /// Write this line.
    Send(OutLine),
    /// Do this and finish it.
    Start(Call),
    /// Stop this call; nothing will be answered to it.
    Cancel(CallKey),
    /// End what `resources/subscribe` subscribed to: this resource, or all.
    Unsubscribe(Option<String>),
}

/// Something to do that may take its time.
pub struct Call {
    /// Its name until it is finished.
    pub key: CallKey,
    /// What is to be done.
    pub work: Work,
    /// Whether the client wants progress.
    pub wants_progress: bool,
}

/// What a call is to do.
pub enum Work {
    /// Run a tool.
    Tool {
        /// The tool.
        tool: &'static str,
        /// The arguments, a JSON object. They may hold a password.
        arguments: Zeroizing<String>,
    },
    /// Read a resource.
    Read {
        /// Which.
        uri: String,
    },
    /// Tell updates of a resource until it is unsubscribed from.
    Subscribe {
        /// Which.
        uri: String,
    },
    /// Tell updates of resources until the call is cancelled: acknowledge, never finish.
    Listen {
        /// Which.
        uris: Vec<String>,
    },
}

/// How a call ended.
pub enum Outcome {
    /// The result.
    Done(Rc<dyn Body>),
    /// An error the model can act on: a result for `tools/call`, `error` for everything else.
    Failed(Rc<dyn Body>, RpcError),
    /// There is no such resource, with a sentence.
    Missing(String),
}

/// State of the protocol over one pair of pipes.
pub struct Server {
    catalog: Box<dyn Catalog>,
    pub(super) offers: Option<Box<dyn Offers>>,
    /// Set by each `initialize`; the only thing a request leaves behind.
    legacy: Option<Revision>,
    /// In the order in which they began.
    pub(super) pending: Vec<Pending>,
    batches: Vec<Batch>,
    pub(super) effects: VecDeque<Effect>,
    next_key: u64,
}

pub(super) struct Pending {
    pub(super) key: CallKey,
    pub(super) id: Id,
    pub(super) revision: Revision,
    pub(super) kind: Kind,
    pub(super) batch: Option<u64>,
    token: Option<Id>,
    progress: f64,
}

/// What a pending call was asked by.
pub(super) enum Kind {
    /// `tools/call`.
    Tool,
    /// A tool as a method of its own.
    Bare,
    /// `resources/read` of this URI.
    Read(String),
    /// `resources/subscribe` to this URI.
    Subscribe(String),
    /// `subscriptions/listen`.
    Listen,
}

struct Batch {
    key: u64,
    answers: Vec<OutLine>,
    open: usize,
}

/// What a method gives at once, or a call that was started.
pub(super) enum Served {
    Answer { body: Rc<dyn Body>, caching: Caching },
    Started,
}

pub(super) struct Request<'a> {
    id: &'a Id,
    pub(super) method: &'a str,
    params: Option<&'a RawValue>,
    pub(super) fields: Fields<'a>,
    meta: Option<Fields<'a>>,
    pub(super) batch: Option<u64>,
}

impl Server {
    /// A server at the start of its input, with tools alone.
    pub fn new(catalog: Box<dyn Catalog>) -> Self {
        let (pending, batches) = (Vec::new(), Vec::new());
        Self { catalog, offers: None, legacy: None, pending, batches, effects: VecDeque::new(), next_key: 0 }
    }

    /// The same with prompts, resources and completion.
    pub fn with_offers(mut self, offers: Box<dyn Offers>) -> Self {
        self.offers = Some(offers);
        self
    }

    /// Takes one line of input.
    pub fn handle_line(&mut self, line: &[u8]) {
        match parse(line) {
            Incoming::Blank => {}
            Incoming::One(message) => self.handle_message(message, None),
            Incoming::Batch(members) => self.handle_batch(members),
        }
    }

    /// A line beyond the limit was skipped; its id is unknown.
    pub fn handle_too_long(&mut self) {
        let error = RpcError::invalid_request(format!("the line is longer than {LINE_MAX_BYTES} bytes"));
        self.effects.push_back(Effect::Send(OutLine::error(None, &error)));
    }

    /// What is to be done next.
    pub fn next_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// Calls that were started and not finished.
    pub fn calls_in_flight(&self) -> usize {
        self.pending.len()
    }

    /// Answers a call. One that was cancelled has nothing to answer.
    pub fn finish(&mut self, key: CallKey, outcome: Outcome) {
        let Some(index) = self.pending.iter().position(|call| call.key == key) else { return };
        let call = self.pending.remove(index);
        let line = match (outcome, &call.kind) {
            (Outcome::Done(body), Kind::Tool) => tool_line(&call.id, call.revision, body, false),
            (Outcome::Failed(body, _), Kind::Tool) => tool_line(&call.id, call.revision, body, true),
            (Outcome::Done(body), Kind::Read(_)) => result_line(&call.id, call.revision, body, Caching::Live),
            (Outcome::Done(body), _) => result_line(&call.id, call.revision, body, Caching::Never),
            (Outcome::Failed(_, error), _) => OutLine::error(Some(&call.id), &error),
            (Outcome::Missing(message), kind) => OutLine::error(Some(&call.id), &missing(message, kind, call.revision)),
        };
        self.answer(call.batch, line);
    }

    /// Tells the client how far a call is, if it asked and `progress` grew.
    pub fn progress(&mut self, key: CallKey, progress: f64, total: f64, message: &str) {
        let growing = |call: &&mut Pending| call.key == key && call.progress < progress;
        let Some(call) = self.pending.iter_mut().find(growing) else { return };
        let Some(token) = &call.token else { return };
        call.progress = progress;
        let message = call.revision.has_annotations().then_some(message);
        let params = Progress { progress_token: token, progress, total: Some(total), message };
        let note = Notification { jsonrpc: "2.0", method: "notifications/progress", params };
        self.effects.push_back(Effect::Send(OutLine::json(&note)));
    }

    fn handle_batch(&mut self, members: Vec<Result<Message<'_>, Bad>>) {
        if self.legacy.is_some_and(|revision| !revision.has_batches()) {
            let error = RpcError::invalid_request("batches are not part of the protocol revision in use");
            return self.effects.push_back(Effect::Send(OutLine::error(None, &error)));
        }
        self.next_key += 1;
        let batch = self.next_key;
        self.batches.push(Batch { key: batch, answers: Vec::new(), open: 1 });
        for member in members {
            self.handle_message(member, Some(batch));
        }
        self.close_batch_member(batch);
    }

    fn handle_message(&mut self, message: Result<Message<'_>, Bad>, batch: Option<u64>) {
        match message {
            Err(Bad { id, error }) => self.reply(batch, OutLine::error(id.as_ref(), &error)),
            Ok(Message::Response) => {}
            Ok(Message::Notification { method, params }) => self.handle_notification(&method, params),
            Ok(Message::Request { id, method, params }) => match self.serve(&id, &method, params, batch) {
                Err(error) => self.reply(batch, OutLine::error(Some(&id), &error)),
                Ok((_, Served::Started)) => {}
                Ok((revision, Served::Answer { body, caching })) => {
                    self.reply(batch, result_line(&id, revision, body, caching));
                }
            },
        }
    }

    fn handle_notification(&mut self, method: &str, params: Option<&RawValue>) {
        if method != "notifications/cancelled" {
            return;
        }
        let Some(fields) = params.and_then(fields) else { return };
        let Some(id) = fields.get("requestId").and_then(Id::read) else { return };
        let Some(index) = self.pending.iter().position(|call| call.id == id) else { return };
        let call = self.pending.remove(index);
        let reason = text(&fields, "reason").unwrap_or_default();
        log::info!("a call was cancelled by the client: {:?}", echo(&reason));
        if let Some(batch) = call.batch {
            self.close_batch_member(batch);
        }
        self.effects.push_back(Effect::Cancel(call.key));
    }

    fn serve(
        &mut self,
        id: &Id,
        method: &str,
        params: Option<&RawValue>,
        batch: Option<u64>,
    ) -> Result<(Revision, Served), RpcError> {
        if self.pending.iter().any(|call| call.id == *id) {
            return Err(RpcError::invalid_request("a request with this id is still in flight"));
        }
        let fields = params.and_then(fields).unwrap_or_default();
        let meta = match fields.get("_meta").map(crate::rpc::message::fields) {
            Some(None) => return Err(RpcError::invalid_params("_meta must be an object")),
            meta => meta.flatten(),
        };
        let request = Request { id, method, params, fields, meta, batch };
        if method == "initialize" {
            return self.initialize(&request);
        }
        if let Some(tool) = self.catalog.find(method).filter(|_| !method.contains('/')) {
            return self.bare_call(tool, &request);
        }
        let revision = self.revision_of(&request)?;
        let served = match (method, revision.is_modern()) {
            ("ping", false) => Served::Answer { body: body(&Empty {}), caching: Caching::Never },
            ("server/discover", true) => self.discover(revision),
            ("tools/list", _) => {
                let body = one_page(&request, || self.catalog.list(revision))?;
                Served::Answer { body, caching: Caching::Fixed }
            }
            ("tools/call", _) => self.call_tool(&request, revision)?,
            _ => self.serve_offer(&request, revision)?,
        };
        Ok((revision, served))
    }

    /// The revision that serves this request (2026-07-28 "Versioning": the envelope first, then the handshake).
    fn revision_of(&self, request: &Request<'_>) -> Result<Revision, RpcError> {
        if let Some(revision) = self.envelope_of(request)? {
            return Ok(revision);
        }
        match self.legacy {
            // Methods that no handshake has.
            _ if ["server/discover", "subscriptions/listen"].contains(&request.method) => {}
            Some(revision) => return Ok(revision),
            None if request.method == "ping" => return Ok(Revision::NEWEST_LEGACY),
            None => {}
        }
        Err(RpcError::invalid_params(format!(
            "open with initialize, or let params._meta carry {} and {}",
            meta_key::PROTOCOL_VERSION,
            meta_key::CLIENT_CAPABILITIES
        )))
    }

    fn envelope_of(&self, request: &Request<'_>) -> Result<Option<Revision>, RpcError> {
        let Some(meta) = &request.meta else { return Ok(None) };
        if meta.get(meta_key::PROTOCOL_VERSION).is_none() {
            return Ok(None);
        }
        let Some(asked) = text(meta, meta_key::PROTOCOL_VERSION) else {
            return Err(RpcError::invalid_params(format!("{} must be a string", meta_key::PROTOCOL_VERSION)));
        };
        match Revision::find(&asked) {
            Some(revision) if revision.is_modern() => {
                let capabilities = meta.get(meta_key::CLIENT_CAPABILITIES);
                if capabilities.is_none_or(|raw| !raw.get().starts_with('{')) {
                    let message = format!("{} must be an object", meta_key::CLIENT_CAPABILITIES);
                    return Err(RpcError::invalid_params(message));
                }
                Ok(Some(revision))
            }
            known => {
                // Naming a handshake revision in an envelope: only the modern ones can help.
                let supported = if known.is_some() { &Revision::MODERN[..] } else { &Revision::ALL[..] };
                let data = UnsupportedVersion { supported, requested: &redacted(&*asked) };
                Err(RpcError::new(UNSUPPORTED_VERSION, "unsupported protocol version").with_data(&data))
            }
        }
    }

    fn initialize(&mut self, request: &Request<'_>) -> Result<(Revision, Served), RpcError> {
        if request.batch.is_some() {
            return Err(RpcError::invalid_request("initialize must not be part of a batch"));
        }
        let Some(wish) = text(&request.fields, "protocolVersion") else {
            if self.envelope_of(request)?.is_some() {
                return Err(RpcError::new(METHOD_NOT_FOUND, "initialize is not part of this protocol revision"));
            }
            return Err(RpcError::invalid_params("protocolVersion must be a string"));
        };
        let revision = Revision::negotiate(&wish);
        if self.legacy.replace(revision).is_some() {
            // A client that starts anew knows nothing of what the one before it subscribed to.
            self.unsubscribe(None);
        }
        let result = InitializeResult {
            protocol_version: revision,
            capabilities: Capabilities::of(revision, self.offers.is_some()),
            server_info: ServerInfo::of(revision),
            instructions: self.catalog.instructions(),
        };
        Ok((revision, Served::Answer { body: body(&result), caching: Caching::Never }))
    }

    fn discover(&self, revision: Revision) -> Served {
        let result = DiscoverResult {
            supported_versions: Revision::ALL,
            capabilities: Capabilities::of(revision, self.offers.is_some()),
            instructions: self.catalog.instructions(),
        };
        Served::Answer { body: body(&result), caching: Caching::Fixed }
    }

    fn call_tool(&mut self, request: &Request<'_>, revision: Revision) -> Result<Served, RpcError> {
        let Some(name) = text(&request.fields, "name") else {
            return Err(RpcError::invalid_params("name must be a string"));
        };
        let Some(tool) = self.catalog.find(&name) else {
            return Err(RpcError::invalid_params(self.unknown("tool", &name)));
        };
        let arguments = match request.fields.get("arguments") {
            None => "{}",
            Some(raw) if raw.get() == "null" => "{}",
            Some(raw) if raw.get().starts_with('{') => raw.get(),
            Some(_) => return Err(RpcError::invalid_params("arguments must be an object")),
        };
        self.start(request, revision, Kind::Tool, Work::tool(tool, arguments))
    }

    pub(super) fn unknown(&self, what: &str, name: &str) -> String {
        let why = self.catalog.absence(name).map(|why| format!(" ({why})")).unwrap_or_default();
        format!("unknown {what}: {}{why}", echo(name))
    }

    /// A tool as a method of its own: an extension of this server's, in both eras and before any handshake.
    fn bare_call(&mut self, tool: &'static str, request: &Request<'_>) -> Result<(Revision, Served), RpcError> {
        let revision = self.envelope_of(request)?.or(self.legacy).unwrap_or(Revision::NEWEST_LEGACY);
        let arguments = request.params.map_or("{}", RawValue::get);
        Ok((revision, self.start(request, revision, Kind::Bare, Work::tool(tool, arguments))?))
    }

    pub(super) fn start(
        &mut self,
        request: &Request<'_>,
        revision: Revision,
        kind: Kind,
        work: Work,
    ) -> Result<Served, RpcError> {
        let token = match request.meta.as_ref().and_then(|meta| meta.get(meta_key::PROGRESS_TOKEN)) {
            None => None,
            Some(raw) => Some(
                Id::read(raw)
                    .ok_or_else(|| RpcError::invalid_params("progressToken must be a string or an integer"))?,
            ),
        };
        self.next_key += 1;
        let key = CallKey(self.next_key);
        let wants_progress = token.is_some();
        let (id, batch) = (request.id.clone(), request.batch);
        if let Some(batch) = self.batch(batch) {
            batch.open += 1;
        }
        self.pending.push(Pending { key, id, revision, kind, batch, token, progress: 0.0 });
        self.effects.push_back(Effect::Start(Call { key, work, wants_progress }));
        Ok(Served::Started)
    }

    /// An answer that was there at once.
    fn reply(&mut self, batch: Option<u64>, line: OutLine) {
        match self.batch(batch) {
            Some(batch) => batch.answers.push(line),
            None => self.effects.push_back(Effect::Send(line)),
        }
    }

    /// The answer of a call that was started.
    pub(super) fn answer(&mut self, batch: Option<u64>, line: OutLine) {
        self.reply(batch, line);
        if let Some(batch) = batch {
            self.close_batch_member(batch);
        }
    }

    fn batch(&mut self, key: Option<u64>) -> Option<&mut Batch> {
        self.batches.iter_mut().find(|batch| Some(batch.key) == key)
    }

    fn close_batch_member(&mut self, key: u64) {
        let Some(index) = self.batches.iter().position(|batch| batch.key == key) else { return };
        self.batches[index].open -= 1;
        if self.batches[index].open == 0 {
            let answers = self.batches.remove(index).answers;
            if !answers.is_empty() {
                self.effects.push_back(Effect::Send(OutLine::array(answers)));
            }
        }
    }
}

impl Work {
    fn tool(tool: &'static str, arguments: &str) -> Self {
        Self::Tool { tool, arguments: Zeroizing::new(arguments.to_owned()) }
    }
}

fn missing(message: String, kind: &Kind, revision: Revision) -> RpcError {
    let code = if revision.is_modern() { INVALID_PARAMS } else { RESOURCE_NOT_FOUND };
    let error = RpcError::new(code, message);
    match kind {
        Kind::Read(uri) | Kind::Subscribe(uri) => error.with_data(&NamedResource { uri: &redacted(uri) }),
        _ => error,
    }
}

/// A name from the client, short enough to repeat.
fn echo(name: &str) -> &str {
    &name[..name.floor_char_boundary(ECHO_MAX_BYTES)]
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
