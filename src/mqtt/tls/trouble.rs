//! Why TLS failed, sorted by what a person can do about it.

use std::fmt;

/// A failure of TLS, in words that can be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsTrouble {
    /// What kind it is.
    pub cause: Cause,
    /// What happened.
    pub why: String,
}

/// What has to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// This build has no TLS.
    Missing,
    /// A file or name of the broker's configuration cannot be used.
    Settings,
    /// Nobody we trust issued the certificate.
    Issuer,
    /// The certificate is for other names.
    Name,
    /// The certificate is of a kind that cannot be accepted, whoever issued it.
    Form,
    /// The certificate is not the pinned one, or the peer has not its key.
    Pin,
    /// The certificate is not valid at this time.
    Dates,
    /// The broker wants a client certificate, or another one.
    ClientCertificate,
    /// The broker asked for a client certificate and hung up: perhaps for that, perhaps for another reason.
    Unwelcome,
    /// The peer and we have no version or method of TLS in common.
    Version,
    /// The peer does not speak TLS.
    NotTls,
    /// The connection ended within the handshake.
    Cut,
    /// The peer broke the protocol or says that it has trouble of its own.
    Peer,
}

impl TlsTrouble {
    /// A failure with its words.
    pub fn new(cause: Cause, why: impl Into<String>) -> Self {
        Self { cause, why: why.into() }
    }

    /// Whether a person has to act before another attempt can go better: retries stop. Dates pass, files are replaced,
    /// a proxy before the port comes and goes while a broker starts: those are tried again.
    pub fn is_final(&self) -> bool {
        match self.cause {
            Cause::Missing
            | Cause::Form
            | Cause::Issuer
            | Cause::Name
            | Cause::Pin
            | Cause::ClientCertificate
            | Cause::Version => true,
            Cause::Unwelcome | Cause::Settings | Cause::Dates | Cause::NotTls | Cause::Cut | Cause::Peer => false,
        }
    }

    /// Whether the same call may go better a moment later.
    pub fn is_passing(&self) -> bool {
        matches!(self.cause, Cause::Unwelcome | Cause::Cut | Cause::Peer)
    }

    /// What to do next.
    pub fn hint(&self) -> &'static str {
        match self.cause {
            Cause::Missing => {
                "use mqtt:// if the broker has a port without TLS, or a mqtt-mcp built with its feature tls"
            }
            Cause::Settings => {
                "have the broker's entry in the configuration corrected; its files are read again at each connect"
            }
            Cause::Issuer => {
                "get the CA certificate from the broker's keeper and set it as ca_file in the broker's configuration, or, when the fingerprint was compared with the broker's own, set it as fingerprint_sha256"
            }
            Cause::Name => {
                "connect to a name that the certificate has, or set one of them as server_name in the broker's configuration"
            }
            Cause::Form => "the broker's keeper has to replace the certificate",
            Cause::Pin => {
                "somebody may stand in between: only if the broker's certificate was replaced on purpose, have the new fingerprint compared and set as fingerprint_sha256"
            }
            Cause::Dates => "check this machine's clock; otherwise the broker's keeper has to renew the certificate",
            Cause::ClientCertificate | Cause::Unwelcome => {
                "set cert_file and key_file in the broker's configuration to a client certificate that the broker accepts, and connect with broker instead of connection_string"
            }
            Cause::Version => "the broker's keeper has to allow TLS 1.2 or 1.3 with current methods",
            Cause::NotTls => "use the broker's TLS port (often 8883), or mqtt:// if this port is meant to have no TLS",
            Cause::Cut => "try again; if it stays so, the broker's log tells why it hung up",
            Cause::Peer => "the broker's log tells more; something between may also have changed the data",
        }
    }
}

impl fmt::Display for TlsTrouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}
