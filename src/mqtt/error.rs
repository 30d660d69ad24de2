//! Why a connection could not be made or was lost, in words that can be shown: no value here holds a secret.

use std::fmt;

use super::tls::trouble::TlsTrouble;

/// A reason. Sorted by who can act: the caller (address, credentials), the broker's keeper, the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The name has no address.
    NameLookup(String),
    /// No address took the connection.
    Unreachable(String),
    /// Not done within the deadline; what was being waited for.
    Timeout(&'static str),
    /// CONNACK 1, or a peer that does not speak MQTT 3.1.1.
    Protocol(String),
    /// CONNACK 2.
    IdentifierRejected,
    /// CONNACK 3.
    BrokerUnavailable,
    /// CONNACK 4.
    BadCredentials,
    /// CONNACK 5.
    NotAuthorized,
    /// Was connected, or about to be, and the connection ended.
    Lost(String),
    /// `mqtts://` without TLS in this build, or TLS refused.
    Tls(TlsTrouble),
    /// The policy does not allow this broker.
    Denied(String),
    /// Closed on purpose, by a call or by expiry.
    Closed,
}

impl Trouble {
    /// What a CONNACK return code says (3.2.2.3).
    pub fn refused(code: u8) -> Result<(), Self> {
        Err(match code {
            0 => return Ok(()),
            1 => Self::Protocol("it refuses the protocol version MQTT 3.1.1 (CONNACK 1)".into()),
            2 => Self::IdentifierRejected,
            3 => Self::BrokerUnavailable,
            4 => Self::BadCredentials,
            _ => Self::NotAuthorized,
        })
    }

    /// The broker broke the protocol.
    pub fn sent(what: &str) -> Self {
        Self::Protocol(format!("the broker sent {what}"))
    }

    /// The code that tools and logs use.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NameLookup(_) | Self::Unreachable(_) => "broker_unreachable",
            Self::Timeout(_) => "connect_timeout",
            Self::Protocol(_) => "protocol_rejected",
            Self::IdentifierRejected => "identifier_rejected",
            Self::BrokerUnavailable => "broker_unavailable",
            Self::BadCredentials => "bad_credentials",
            Self::NotAuthorized => "not_authorized",
            Self::Lost(_) | Self::Closed => "connection_lost",
            Self::Tls(_) => "tls_failed",
            Self::Denied(_) => "policy_denied",
        }
    }

    /// Trying again with the same words cannot help: retries stop.
    pub fn is_final(&self) -> bool {
        match self {
            Self::IdentifierRejected | Self::BadCredentials | Self::NotAuthorized | Self::Denied(_) | Self::Closed => {
                true
            }
            Self::Tls(trouble) => trouble.is_final(),
            _ => false,
        }
    }
}

impl From<TlsTrouble> for Trouble {
    fn from(trouble: TlsTrouble) -> Self {
        Self::Tls(trouble)
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NameLookup(why) => write!(f, "the broker's name could not be looked up: {why}"),
            Self::Unreachable(why) => write!(f, "the broker could not be reached: {why}"),
            Self::Timeout(stage) => write!(f, "no answer in time while waiting for {stage}"),
            Self::Protocol(why) => write!(f, "the peer did not speak MQTT 3.1.1 as it should: {why}"),
            Self::IdentifierRejected => write!(f, "the broker refused the client id (CONNACK 2)"),
            Self::BrokerUnavailable => write!(f, "the broker says that it is not available (CONNACK 3)"),
            Self::BadCredentials => write!(f, "the broker refused user name or password (CONNACK 4)"),
            Self::NotAuthorized => write!(f, "the broker did not authorise this client (CONNACK 5)"),
            Self::Lost(why) => write!(f, "the connection was lost: {why}"),
            Self::Tls(trouble) => write!(f, "TLS failed: {trouble}"),
            Self::Denied(why) => write!(f, "the policy of this server denies it: {why}"),
            Self::Closed => write!(f, "the session was closed"),
        }
    }
}
