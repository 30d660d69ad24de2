//! Errors that a model can act on: what happened, what to do next, whether trying again helps.

use std::rc::Rc;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::mqtt::capture::Interruption;
use crate::mqtt::error::Trouble;
use crate::mqtt::policy::Denied;
use crate::rpc::error::{INTERNAL_ERROR, INVALID_PARAMS, RpcError};
use crate::rpc::outgoing::{Body, Whole, to_json};
use crate::secret::redacted;

/// What kind of failure it is. The order gives the bare methods' positive error codes, from 1001; it never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// An argument is missing or wrong.
    InvalidArgument,
    /// No open session of that id.
    UnknownSession,
    /// As many sessions are open as may be.
    SessionLimit,
    /// As many calls run as may.
    TooManyCalls,
    /// Name or address leads to no broker.
    BrokerUnreachable,
    /// The broker did not answer in time.
    ConnectTimeout,
    /// CONNACK 4.
    BadCredentials,
    /// CONNACK 5.
    NotAuthorized,
    /// CONNACK 2.
    IdentifierRejected,
    /// CONNACK 3.
    BrokerUnavailable,
    /// CONNACK 1, or a peer that speaks something else.
    ProtocolRejected,
    /// TLS could not be set up.
    TlsFailed,
    /// The connection ended.
    ConnectionLost,
    /// SUBACK 0x80.
    SubscribeRejected,
    /// No acknowledgement in time.
    PublishTimeout,
    /// More than may be published.
    PayloadTooLarge,
    /// The policy of this server forbids it.
    PolicyDenied,
    /// Nothing came back in time.
    NoResponse,
    /// A bug of this server's.
    InternalError,
}

/// A failed call.
#[derive(Debug)]
pub struct Failure(Box<Details>);

#[derive(Debug, Serialize)]
struct Details {
    code: Code,
    message: String,
    hint: String,
    retryable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameter: Option<String>,
    /// What became of a publish.
    #[serde(skip_serializing_if = "Option::is_none")]
    delivery: Option<&'static str>,
    /// When trying again may help.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_seconds: Option<u64>,
    /// Times without connection while the call ran.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    interruptions: Vec<Interruption>,
    /// What came instead of an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    arrived: Option<Box<RawValue>>,
    /// What of it had no room.
    #[serde(skip_serializing_if = "Option::is_none")]
    omitted: Option<u64>,
}

#[derive(Serialize)]
struct ErrorResult<'a> {
    status: &'static str,
    error: &'a Details,
}

impl Failure {
    /// A failure with a sentence and what to do next.
    pub fn new(code: Code, message: impl Into<String>, hint: impl Into<String>) -> Self {
        let retryable = matches!(
            code,
            Code::TooManyCalls
                | Code::BrokerUnreachable
                | Code::ConnectTimeout
                | Code::BrokerUnavailable
                | Code::ConnectionLost
                | Code::PublishTimeout
                | Code::NoResponse
        );
        let (message, hint) = (redacted(message), hint.into());
        let (parameter, delivery, retry_after_seconds, arrived, omitted) = (None, None, None, None, None);
        let interruptions = Vec::new();
        Self(Box::new(Details {
            code,
            message,
            hint,
            retryable,
            parameter,
            delivery,
            retry_after_seconds,
            interruptions,
            arrived,
            omitted,
        }))
    }

    /// A wrong argument: the parameter's name and, behind it, what would be right.
    pub fn invalid(parameter: &str, what: &str) -> Self {
        let hint = "correct the argument and call again; tools/list shows each parameter";
        let mut failure = Self::new(Code::InvalidArgument, format!("{parameter} {what}"), hint);
        failure.0.parameter = Some(redacted(parameter));
        failure
    }

    /// No session of that id.
    pub fn unknown_session() -> Self {
        Self::new(
            Code::UnknownSession,
            "no open session has this session_id; it may have been closed, or expired without use",
            "list_active_connections shows the open sessions; establish_connection opens one",
        )
    }

    /// A bug of ours, contained in the call.
    pub fn internal() -> Self {
        Self::new(
            Code::InternalError,
            "the call failed by a fault of this server; its session is not affected",
            "please report it",
        )
    }

    /// Says what became of a publish, and whether sending it once more is safe.
    pub fn with_delivery(mut self, delivery: &'static str) -> Self {
        self.0.delivery = Some(delivery);
        self.0.retryable = delivery == "not_sent";
        self
    }

    /// With another word on what to do next.
    pub fn with_hint(mut self, hint: &str) -> Self {
        hint.clone_into(&mut self.0.hint);
        self
    }

    /// Says that it came before anything was sent.
    pub fn before_sending(mut self) -> Self {
        self.0.message.push_str("; nothing was sent");
        self.0.delivery = Some("not_sent");
        self
    }

    /// Names the times without connection.
    pub fn with_interruptions(mut self, interruptions: Vec<Interruption>) -> Self {
        self.0.interruptions = interruptions;
        self
    }

    /// Says how long to wait before trying again.
    pub fn with_retry_after(mut self, seconds: u64) -> Self {
        self.0.retry_after_seconds = Some(seconds);
        self
    }

    /// Shows what came instead of an answer: JSON rows, and how many had no room.
    pub fn with_arrived(mut self, rows: Vec<u8>, omitted: u64) -> Self {
        self.0.omitted = Some(omitted).filter(|omitted| *omitted > 0);
        self.0.arrived = String::from_utf8(rows).ok().and_then(|rows| RawValue::from_string(rows).ok());
        self
    }

    /// Bytes of the result object.
    pub fn size(&self) -> usize {
        to_json(&self.result()).len()
    }

    /// Whether it says how long to wait.
    pub fn is_for_a_while(&self) -> bool {
        self.0.retry_after_seconds.is_some()
    }

    /// The wrong argument's name.
    pub fn parameter(&self) -> Option<&str> {
        self.0.parameter.as_deref()
    }

    /// The sentence.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// What to do next.
    pub fn hint(&self) -> &str {
        &self.0.hint
    }

    /// The code.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// The result object for `tools/call`.
    pub fn body(&self) -> Rc<dyn Body> {
        Rc::new(Whole::new(&self.result()))
    }

    /// The error for a bare method.
    pub fn rpc_error(&self) -> RpcError {
        let number = match self.0.code {
            Code::InvalidArgument => INVALID_PARAMS,
            Code::InternalError => INTERNAL_ERROR,
            code => 1000 + code as i64,
        };
        RpcError::new(number, self.0.message.clone()).with_data(&self.result())
    }

    fn result(&self) -> ErrorResult<'_> {
        ErrorResult { status: "error", error: &self.0 }
    }
}

/// What helps against a refusal of the policy's.
const POLICY_HINT: &str =
    "stay within what is allowed, or ask the person who runs this server; it cannot be changed from here";

impl From<Denied> for Failure {
    fn from(Denied(why): Denied) -> Self {
        Self::new(Code::PolicyDenied, format!("the policy of this server denies it: {why}"), POLICY_HINT)
    }
}

impl From<&Trouble> for Failure {
    fn from(trouble: &Trouble) -> Self {
        let (code, hint) = match trouble {
            Trouble::NameLookup(_) => (Code::BrokerUnreachable, "check the host name, or use an IP address"),
            Trouble::Unreachable(_) => (
                Code::BrokerUnreachable,
                "check host and port, and that the broker runs and accepts connections from here",
            ),
            Trouble::Timeout(_) => (
                Code::ConnectTimeout,
                "check host, port and firewall; TLS ports need mqtts://; or give a longer timeout_seconds",
            ),
            Trouble::Protocol(_) => {
                (Code::ProtocolRejected, "check that the port is the broker's MQTT port, and whether it needs mqtts://")
            }
            Trouble::Version => (
                Code::ProtocolRejected,
                "the broker wants another version of MQTT, which is not spoken here: look for a port or a setting of it that takes 3.1.1",
            ),
            Trouble::IdentifierRejected => (Code::IdentifierRejected, "give another client_id, or none"),
            Trouble::BrokerUnavailable => (Code::BrokerUnavailable, "the broker is up but not ready: try again later"),
            Trouble::BadCredentials => {
                (Code::BadCredentials, "ask for the right user name and password, or use a configured broker")
            }
            Trouble::NotAuthorized { as_user: false } => {
                (Code::NotAuthorized, "the broker wants credentials, and none were given: ask for them")
            }
            Trouble::NotAuthorized { as_user: true } => (
                Code::NotAuthorized,
                "user name or password may be wrong, or this user may not connect: ask for the right ones; the broker's log tells more",
            ),
            Trouble::Lost(_) => (
                Code::ConnectionLost,
                "list_active_connections shows the session's state; a broker that hangs up at once may want mqtts:// or refuse this address",
            ),
            Trouble::Denied(_) => (Code::PolicyDenied, POLICY_HINT),
            Trouble::Closed => (Code::ConnectionLost, "establish_connection opens a new session"),
            Trouble::Tls(tls) => (Code::TlsFailed, tls.hint()),
        };
        let mut failure = Self::new(code, trouble.to_string(), hint);
        failure.0.retryable |= matches!(trouble, Trouble::Tls(tls) if tls.is_passing());
        failure
    }
}
