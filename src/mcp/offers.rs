//! What a server may offer beside tools: prompts, resources with subscriptions, completion. The protocol's side of it;
//! what they are about is behind [`Offers`].

use std::rc::Rc;

use super::answer::{Caching, listen_line, result_line};
use super::server::{CallKey, Effect, Kind, Request, Served, Server, Work, body};
use super::types::*;
use super::version::Revision;
use crate::rpc::error::{METHOD_NOT_FOUND, RpcError};
use crate::rpc::message::{Fields, fields, text};
use crate::rpc::outgoing::{Body, OutLine};

/// What is offered beside tools. What needs waiting (reading a resource, subscribing) is an effect instead.
pub trait Offers {
    /// The result of `prompts/list`.
    fn prompts(&self, revision: Revision) -> Rc<dyn Body>;
    /// The result of `prompts/get`; the error is a sentence.
    fn prompt(&self, name: &str, arguments: &Fields<'_>) -> Result<Rc<dyn Body>, String>;
    /// The result of `resources/list`.
    fn resources(&self, revision: Revision) -> Rc<dyn Body>;
    /// The result of `resources/templates/list`.
    fn templates(&self, revision: Revision) -> Rc<dyn Body>;
    /// The result of `completion/complete`; the error is a sentence.
    fn complete(&self, asked: &Completion<'_>) -> Result<Rc<dyn Body>, String>;
}

/// What is to be completed.
pub struct Completion<'a> {
    /// Whose argument it is.
    pub of: Reference,
    /// The argument's name.
    pub argument: String,
    /// What was typed so far.
    pub value: String,
    /// Arguments that were chosen already.
    pub chosen: Fields<'a>,
}

/// Whose argument is to be completed.
#[derive(Debug, PartialEq)]
pub enum Reference {
    /// The prompt of that name.
    Prompt(String),
    /// The resource template of that text.
    Resource(String),
}

impl Server {
    /// Serves what is behind [`Offers`].
    pub(super) fn serve_offer(&mut self, request: &Request<'_>, revision: Revision) -> Result<Served, RpcError> {
        let Some(offers) = &self.offers else { return Err(self.unknown_method(request)) };
        let (body, caching) = match (request.method, revision.is_modern()) {
            ("prompts/list", _) => (one_page(request, || offers.prompts(revision))?, Caching::Fixed),
            // Sessions come and go.
            ("resources/list", _) => (one_page(request, || offers.resources(revision))?, Caching::Live),
            ("resources/templates/list", _) => (one_page(request, || offers.templates(revision))?, Caching::Fixed),
            ("prompts/get", _) => (prompt(&**offers, request)?, Caching::Never),
            ("completion/complete", _) => {
                let completed = offers.complete(&completion(request)?).map_err(RpcError::invalid_params)?;
                (completed, Caching::Never)
            }
            ("resources/read", _) => {
                let uri = uri(request)?;
                return self.start(request, revision, Kind::Read(uri.clone()), Work::Read { uri });
            }
            ("resources/subscribe", false) => {
                let uri = uri(request)?;
                return self.start(request, revision, Kind::Subscribe(uri.clone()), Work::Subscribe { uri });
            }
            ("resources/unsubscribe", false) => {
                self.unsubscribe(Some(uri(request)?));
                (body(&Empty {}), Caching::Never)
            }
            ("subscriptions/listen", true) => return self.listen(request, revision),
            _ => return Err(self.unknown_method(request)),
        };
        Ok(Served::Answer { body, caching })
    }

    /// Tells the client that a resource it subscribed to has changed: on the stream of a `subscriptions/listen`, or to
    /// who used `resources/subscribe`. Nothing is told on a stream that was cancelled.
    pub fn updated(&mut self, listen: Option<CallKey>, uri: &str) {
        let id = match listen {
            None => None,
            Some(key) => match self.pending.iter().find(|call| call.key == key) {
                Some(call) => Some(&call.id),
                None => return,
            },
        };
        let params = Updated { meta: id.map(|id| SubscriptionMeta { subscription_id: id }), uri };
        let note = Notification { jsonrpc: "2.0", method: "notifications/resources/updated", params };
        self.effects.push_back(Effect::Send(OutLine::json(&note)));
    }

    /// Opens the stream of a `subscriptions/listen`: the first line of it says which resources will be told about.
    pub fn acknowledge(&mut self, listen: CallKey, uris: &[&str]) {
        let Some(call) = self.pending.iter().find(|call| call.key == listen) else { return };
        let meta = SubscriptionMeta { subscription_id: &call.id };
        let params = Acknowledged { meta, notifications: Honoured { resource_subscriptions: uris } };
        let note = Notification { jsonrpc: "2.0", method: "notifications/subscriptions/acknowledged", params };
        self.effects.push_back(Effect::Send(OutLine::json(&note)));
    }

    /// Ends all streams in order, at shutdown.
    pub fn end_listens(&mut self) {
        for call in self.pending.extract_if(.., |call| matches!(call.kind, Kind::Listen)) {
            self.effects.push_back(Effect::Send(listen_line(&call.id, call.revision)));
            self.effects.push_back(Effect::Cancel(call.key));
        }
    }

    /// Ends the subscriptions to `uri`, or all, that `resources/subscribe` made.
    pub(super) fn unsubscribe(&mut self, uri: Option<String>) {
        // One that is still being made is over before it began.
        let ends = |kind: &Kind| matches!(kind, Kind::Subscribe(made) if uri.as_ref().is_none_or(|uri| uri == made));
        while let Some(index) = self.pending.iter().position(|call| ends(&call.kind)) {
            let call = self.pending.remove(index);
            self.effects.push_back(Effect::Cancel(call.key));
            let line = result_line(&call.id, call.revision, body(&Empty {}), Caching::Never);
            self.answer(call.batch, line);
        }
        self.effects.push_back(Effect::Unsubscribe(uri));
    }

    fn unknown_method(&self, request: &Request<'_>) -> RpcError {
        RpcError::new(METHOD_NOT_FOUND, self.unknown("method", request.method))
    }

    fn listen(&mut self, request: &Request<'_>, revision: Revision) -> Result<Served, RpcError> {
        if request.batch.is_some() {
            return Err(RpcError::invalid_request("subscriptions/listen must not be part of a batch: it has no end"));
        }
        let Some(wishes) = request.fields.get("notifications").and_then(fields) else {
            return Err(RpcError::invalid_params("notifications must be an object"));
        };
        let uris = match wishes.get("resourceSubscriptions") {
            None => Vec::new(),
            Some(raw) => serde_json::from_str(raw.get())
                .map_err(|_| RpcError::invalid_params("resourceSubscriptions must be an array of strings"))?,
        };
        self.start(request, revision, Kind::Listen, Work::Listen { uris })
    }
}

/// The body of a list that has one page, to who asks for its first one.
pub(super) fn one_page(request: &Request<'_>, list: impl FnOnce() -> Rc<dyn Body>) -> Result<Rc<dyn Body>, RpcError> {
    if request.fields.get("cursor").is_some_and(|raw| raw.get() != "null") {
        return Err(RpcError::invalid_params("unknown cursor: the list has one page"));
    }
    Ok(list())
}

fn uri(request: &Request<'_>) -> Result<String, RpcError> {
    text(&request.fields, "uri").ok_or_else(|| RpcError::invalid_params("uri must be a string"))
}

fn prompt(offers: &dyn Offers, request: &Request<'_>) -> Result<Rc<dyn Body>, RpcError> {
    let Some(name) = text(&request.fields, "name") else {
        return Err(RpcError::invalid_params("name must be a string"));
    };
    let arguments = match request.fields.get("arguments") {
        None => Fields::default(),
        Some(raw) if raw.get() == "null" => Fields::default(),
        Some(raw) => fields(raw).ok_or_else(|| RpcError::invalid_params("arguments must be an object"))?,
    };
    offers.prompt(&name, &arguments).map_err(RpcError::invalid_params)
}

fn completion<'a>(request: &Request<'a>) -> Result<Completion<'a>, RpcError> {
    let wrong = RpcError::invalid_params;
    let member = |name: &str| request.fields.get(name).and_then(fields);
    let reference = member("ref").ok_or_else(|| wrong("ref must be an object"))?;
    let of = match text(&reference, "type").as_deref() {
        Some("ref/prompt") => text(&reference, "name").map(Reference::Prompt),
        Some("ref/resource") => text(&reference, "uri").map(Reference::Resource),
        _ => None,
    };
    let of = of.ok_or_else(|| wrong("ref must be a ref/prompt with a name or a ref/resource with a uri"))?;
    let argument = member("argument").ok_or_else(|| wrong("argument must be an object"))?;
    let (Some(name), Some(value)) = (text(&argument, "name"), text(&argument, "value")) else {
        return Err(wrong("argument must have a name and a value, both strings"));
    };
    let chosen = member("context").and_then(|context| context.get("arguments").and_then(fields)).unwrap_or_default();
    Ok(Completion { of, argument: name, value, chosen })
}
