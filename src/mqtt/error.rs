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
    /// A peer that does not speak MQTT 3.1.1.
    Protocol(String),
    /// CONNACK 1.
    Version,
    /// CONNACK 2.
    IdentifierRejected,
    /// CONNACK 3.
    BrokerUnavailable,
    /// CONNACK 4.
    BadCredentials,
    /// CONNACK 5.
    NotAuthorized {
        /// CONNECT had a user name.
        as_user: bool,
    },
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
    /// What a CONNACK return code says (3.2.2.3) to a CONNECT with or without a user name.
    pub fn refused(code: u8, as_user: bool) -> Result<(), Self> {
        Err(match code {
            0 => return Ok(()),
            1 => Self::Version,
            2 => Self::IdentifierRejected,
            3 => Self::BrokerUnavailable,
            4 => Self::BadCredentials,
            _ => Self::NotAuthorized { as_user },
        })
    }

    /// The peer broke the protocol.
    pub fn sent(what: &str) -> Self {
        Self::Protocol(format!("it sent {what}"))
    }

    /// The code that tools and logs use.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NameLookup(_) | Self::Unreachable(_) => "broker_unreachable",
            Self::Timeout(_) => "connect_timeout",
            Self::Protocol(_) | Self::Version => "protocol_rejected",
            Self::IdentifierRejected => "identifier_rejected",
            Self::BrokerUnavailable => "broker_unavailable",
            Self::BadCredentials => "bad_credentials",
            Self::NotAuthorized { .. } => "not_authorized",
            Self::Lost(_) | Self::Closed => "connection_lost",
            Self::Tls(_) => "tls_failed",
            Self::Denied(_) => "policy_denied",
        }
    }

    /// Trying again with the same words cannot help: retries stop.
    pub fn is_final(&self) -> bool {
        match self {
            Self::IdentifierRejected
            | Self::BadCredentials
            | Self::NotAuthorized { .. }
            | Self::Denied(_)
            | Self::Closed => true,
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
        let (what, why) = match self {
            Self::NameLookup(why) => ("the broker's name could not be looked up: ", why.as_str()),
            Self::Unreachable(why) => ("the broker could not be reached: ", why.as_str()),
            Self::Timeout(stage) => ("no answer in time while waiting for ", *stage),
            Self::Protocol(why) => ("the peer did not speak MQTT 3.1.1 as it should: ", why.as_str()),
            Self::Version => {
                ("the broker refuses the protocol version MQTT 3.1.1 (CONNACK 1, or as MQTT 5 has it)", "")
            }
            Self::IdentifierRejected => ("the broker refused the client id (CONNACK 2)", ""),
            Self::BrokerUnavailable => ("the broker says that it is not available (CONNACK 3)", ""),
            Self::BadCredentials => ("the broker refused user name or password (CONNACK 4)", ""),
            Self::NotAuthorized { .. } => ("the broker did not authorise this client (CONNACK 5)", ""),
            Self::Lost(why) => ("the connection was lost: ", why.as_str()),
            Self::Tls(trouble) => ("TLS failed: ", trouble.why.as_str()),
            Self::Denied(why) => ("the policy of this server denies it: ", why.as_str()),
            Self::Closed => ("the session was closed", ""),
        };
        f.write_str(what)?;
        f.write_str(why)
    }
}
