//! TLS: what a connection wants of it, and what it tells.

use std::path::PathBuf;

use crate::clock::Timestamp;

/// What is wanted of TLS. The default is the system's roots and the host's own name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsOptions {
    /// Certificates (PEM) that are trusted instead of the system's roots.
    pub ca_file: Option<PathBuf>,
    /// The client's certificate chain (PEM).
    pub cert_file: Option<PathBuf>,
    /// The client's private key (PEM: PKCS#8, PKCS#1 or SEC1).
    pub key_file: Option<PathBuf>,
    /// The name that the certificate must have, when it is not the host's.
    pub server_name: Option<String>,
    /// SHA-256 of the one certificate (DER) that is trusted. It takes the place of the check who issued it and until
    /// when; the name and the proof of the key are checked as ever.
    pub fingerprint_sha256: Option<[u8; 32]>,
    /// Whether to ask for the protocol `mqtt` by ALPN.
    pub alpn: bool,
}

/// What a TLS handshake told.
#[derive(Clone, Debug)]
pub struct Facts {
    /// `TLS 1.2` or `TLS 1.3`.
    pub protocol: &'static str,
    /// The cipher suite's name.
    pub cipher: String,
    /// The broker's certificate; `None` when it has a form that cannot be read.
    pub certificate: Option<Certificate>,
}

/// What a certificate says of itself. The texts are the broker's: data, cut to a bounded size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Whom it is for, as `CN=…, O=…`.
    pub subject: String,
    /// Who issued it.
    pub issuer: String,
    /// Host names and addresses it is for (subjectAltName).
    pub names: Vec<String>,
    /// How many more names there are.
    pub names_omitted: usize,
    /// First moment of its life.
    pub not_before: Timestamp,
    /// Last moment of its life.
    pub not_after: Timestamp,
}
