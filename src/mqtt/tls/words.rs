//! rustls's errors in words that a person can act on.

use std::fmt;

use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, Error, PeerIncompatible};

use super::certificate::Certificate;
use super::trouble::{Cause, TlsTrouble};
use super::verifier::{Verifier, fingerprint};
use crate::clock::Timestamp;

/// What is known of the connection that failed.
pub struct View<'a> {
    /// The name that is checked.
    pub name: &'a str,
    /// Who was to decide about the certificate, and has seen it.
    pub verifier: &'a Verifier,
    /// Whether the broker asked for a client certificate.
    pub asked: bool,
    /// Whether there is one.
    pub has_certificate: bool,
}

/// An error in words.
pub fn tell(error: &Error, view: &View<'_>) -> TlsTrouble {
    let (cause, why) = match error {
        Error::InvalidCertificate(error) => return certificate(error, view),
        Error::AlertReceived(alert) => return told(*alert, view),
        Error::InvalidMessage(_) if view.verifier.seen().is_none() => {
            (Cause::NotTls, "the peer answered with something that is not TLS".into())
        }
        Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13 | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
        ) => (Cause::Version, "the peer speaks only versions of TLS before 1.2, which are broken".into()),
        Error::PeerIncompatible(what) => (Cause::Version, format!("the peer's TLS does not fit ours: {what:?}")),
        Error::NoCertificatesPresented => (Cause::Peer, "the broker showed no certificate".into()),
        Error::DecryptError => (Cause::Peer, "a record could not be decrypted: something changed it on its way".into()),
        other => (Cause::Peer, format!("the peer broke the protocol of TLS: {other}")),
    };
    TlsTrouble::new(cause, why)
}

/// The broker was not content with our certificate, or with none, and did not say more.
pub fn client_certificate(given: bool) -> TlsTrouble {
    let what = if given { "was given one, and hung up" } else { "was given none, and hung up" };
    TlsTrouble::new(Cause::Unwelcome, format!("the broker asked for a client certificate, {what}"))
}

fn told(alert: AlertDescription, view: &View<'_>) -> TlsTrouble {
    use AlertDescription as A;
    let about_certificate = matches!(
        alert,
        A::CertificateRequired
            | A::NoCertificate
            | A::HandshakeFailure
            | A::BadCertificate
            | A::UnsupportedCertificate
            | A::CertificateRevoked
            | A::CertificateExpired
            | A::CertificateUnknown
            | A::UnknownCA
            | A::AccessDenied
            | A::DecryptError
    );
    let (cause, why) = match alert {
        A::CertificateRequired => {
            (Cause::ClientCertificate, "the broker wants a client certificate, and there is none".into())
        }
        _ if about_certificate && view.asked && view.has_certificate => {
            (Cause::ClientCertificate, format!("the broker refused the client certificate: {}", meaning(alert)))
        }
        _ if about_certificate && view.asked => {
            (Cause::ClientCertificate, format!("the broker wants a client certificate: {}", meaning(alert)))
        }
        A::ProtocolVersion => (Cause::Version, "the broker refuses the protocol versions TLS 1.2 and 1.3".into()),
        A::HandshakeFailure | A::InsufficientSecurity => {
            (Cause::Version, "the broker found no version and cipher of TLS in common".into())
        }
        A::NoApplicationProtocol => (Cause::Version, "the broker refuses the protocol mqtt (ALPN)".into()),
        A::UnrecognisedName => (Cause::Name, format!("the broker does not serve the name {}", view.name)),
        other => (Cause::Peer, format!("the broker ended TLS: {}", meaning(other))),
    };
    TlsTrouble::new(cause, why)
}

fn meaning(alert: AlertDescription) -> String {
    use AlertDescription as A;
    let words = match alert {
        A::UnknownCA => "it does not know who issued it (alert UnknownCA)",
        A::CertificateExpired => "it has expired (alert CertificateExpired)",
        A::CertificateRevoked => "it was revoked (alert CertificateRevoked)",
        _ => return format!("alert {alert:?}"),
    };
    words.into()
}

fn certificate(error: &CertificateError, view: &View<'_>) -> TlsTrouble {
    let der = view.verifier.seen().unwrap_or_default();
    let read = Certificate::read(der);
    let (cause, what) = match error {
        _ if read.as_ref().is_some_and(|read| read.version < 3) => {
            let what = "is of the old X.509 version 1, which names no hosts: the broker needs one of version 3 with subjectAltName";
            (Cause::Form, what.into())
        }
        CertificateError::NotValidForNameContext { .. } | CertificateError::NotValidForName => {
            (Cause::Name, names(read.as_ref(), view.name))
        }
        CertificateError::ExpiredContext { time, not_after } => {
            let whose = dated(read.as_ref().map(|read| read.not_after), *not_after);
            (Cause::Dates, format!("{whose}has expired: it was valid until {}, {}", moment(*not_after), clock(*time)))
        }
        CertificateError::NotValidYetContext { time, not_before } => {
            let whose = dated(read.as_ref().map(|read| read.not_before), *not_before);
            (
                Cause::Dates,
                format!("{whose}is not valid yet: it will be from {}, {}", moment(*not_before), clock(*time)),
            )
        }
        other => untrusted(other, view, read.as_ref(), der),
    };
    TlsTrouble::new(cause, format!("the broker's certificate {what}"))
}

/// What a person has to compare before such a certificate may be trusted is shown.
fn untrusted(error: &CertificateError, view: &View<'_>, read: Option<&Certificate>, der: &[u8]) -> (Cause, String) {
    let roots = match &view.verifier.ca_file {
        Some(path) => format!("ca_file {}", path.display()),
        None => "this system's CA certificates".into(),
    };
    let (cause, what) = match error {
        CertificateError::ApplicationVerificationFailure => (Cause::Pin, "is not the pinned one".into()),
        CertificateError::BadSignature if view.verifier.has_accepted() => {
            (Cause::Pin, "is not the peer's own: it could not prove that it has the key".into())
        }
        CertificateError::BadSignature => {
            (Cause::Issuer, format!("names an issuer among {roots}, but was signed with another key"))
        }
        CertificateError::UnknownIssuer if read.is_some_and(Certificate::is_self_issued) => {
            (Cause::Issuer, format!("is self-signed and not among {roots}"))
        }
        CertificateError::UnknownIssuer => (Cause::Issuer, format!("was issued by nobody among {roots}")),
        CertificateError::InvalidPurposeContext { .. } | CertificateError::InvalidPurpose => {
            (Cause::Form, "is not meant for servers".into())
        }
        other if other.to_string().contains("CaUsedAsEndEntity") => (
            Cause::Issuer,
            "is a CA's own, which is accepted only when it is pinned or stands in a ca_file itself".into(),
        ),
        other => (Cause::Form, format!("cannot be used: {other}")),
    };
    let whose = read.map(|read| format!("subject {:?}, issuer {:?}, ", read.subject, read.issuer));
    let sha256 = base16ct::lower::encode_string(&fingerprint(der));
    (cause, format!("{what} ({}SHA-256 {sha256})", whose.unwrap_or_default()))
}

fn names(certificate: Option<&Certificate>, wanted: &str) -> String {
    match certificate {
        Some(read) if !read.names.is_empty() => {
            let more = match read.names_omitted {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            format!("is for {}{more}, not for {wanted}", read.names.join(", "))
        }
        Some(read) => format!("lists no names (subjectAltName) to compare {wanted} with (subject {:?})", read.subject),
        None => format!("is not for {wanted}"),
    }
}

/// Whether a time is the broker's certificate's own or that of one above it.
fn dated(own: Option<Timestamp>, time: UnixTime) -> &'static str {
    match own {
        Some(own) if own.0 != time.as_secs() * 1000 => "stands below a CA certificate that ",
        _ => "",
    }
}

fn moment(time: UnixTime) -> impl fmt::Display {
    Timestamp(time.as_secs().saturating_mul(1000))
}

fn clock(now: UnixTime) -> String {
    format!("and this machine's clock says {}", moment(now))
}
