//! TLS: what a connection wants of it, what it tells, and why it fails. The work is done below, where alone rustls is
//! named; a build without the feature `tls` has [`channel`] say so.

pub mod certificate;
#[cfg(feature = "tls")]
pub mod channel;
#[cfg(not(feature = "tls"))]
#[path = "tls/missing.rs"]
pub mod channel;
#[cfg(feature = "tls")]
mod material;
#[cfg(feature = "tls")]
mod pem;
#[cfg(feature = "tls")]
mod provider;
pub mod trouble;
#[cfg(feature = "tls")]
mod verifier;
#[cfg(feature = "tls")]
mod words;

use std::path::PathBuf;

use certificate::Certificate;

/// What is wanted of TLS. The default is the system's roots and the host's own name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsOptions {
    /// Certificates (PEM) that are trusted instead of the system's roots: as issuers, and as they stand, since many a
    /// broker shows a self-signed one.
    pub ca_file: Option<PathBuf>,
    /// The client's certificate chain (PEM).
    pub cert_file: Option<PathBuf>,
    /// The client's private key (PEM: PKCS#8, PKCS#1 or SEC1), not encrypted.
    pub key_file: Option<PathBuf>,
    /// The name that the certificate must have, when it is not the host's.
    pub server_name: Option<String>,
    /// SHA-256 of the one certificate (DER) that is accepted. It takes the place of the system's roots and of the
    /// certificate's dates: whoever pins a certificate has decided about it. A `ca_file` beside it must be met as well.
    /// The name and the proof that the peer has the key are checked as ever; a pinned certificate that lists no names
    /// at all is compared by its common name.
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
    pub cipher: &'static str,
    /// The broker's certificate; `None` when it has a form that cannot be read.
    pub certificate: Option<Certificate>,
    /// SHA-256 of that certificate in hexadecimal digits, as `fingerprint_sha256` takes it.
    pub fingerprint_sha256: String,
}

/// The socket below TLS: never blocks.
pub trait Socket: std::io::Read + std::io::Write {}

impl<T: std::io::Read + std::io::Write> Socket for T {}

/// Where a handshake stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shake {
    /// It is done.
    Done,
    /// It goes on when the socket can be read.
    Readable,
    /// It goes on when the socket can be written.
    Writable,
}
