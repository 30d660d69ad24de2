//! Decides about a broker's certificate: who issued it and when it is valid (or that it is the pinned one), the name,
//! and the proof that the peer has its key.

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::TlsOptions;
use super::certificate::Certificate;
use super::material::Material;

/// One connection's verifier.
pub struct Verifier {
    roots: Arc<RootCertStore>,
    /// Certificates that are trusted as they stand.
    listed: Vec<[u8; 32]>,
    /// Where the roots are from; the system's if `None`.
    pub ca_file: Option<PathBuf>,
    /// The pinned certificate.
    pub pin: Option<[u8; 32]>,
    algorithms: WebPkiSupportedAlgorithms,
    seen: OnceLock<CertificateDer<'static>>,
    accepted: AtomicBool,
}

impl Verifier {
    /// A verifier that has seen nothing.
    pub fn new(options: &TlsOptions, material: &Material, algorithms: WebPkiSupportedAlgorithms) -> Self {
        let (roots, listed) = (material.roots.clone(), material.listed.clone());
        let (ca_file, pin) = (options.ca_file.clone(), options.fingerprint_sha256);
        Self { roots, listed, ca_file, pin, algorithms, seen: OnceLock::new(), accepted: AtomicBool::new(false) }
    }

    /// The certificate that the peer showed.
    pub fn seen(&self) -> Option<&[u8]> {
        self.seen.get().map(AsRef::as_ref)
    }

    /// Whether it is the right certificate; the proof that the peer has its key comes after that.
    pub fn has_accepted(&self) -> bool {
        self.accepted.load(Ordering::Relaxed)
    }
}

/// SHA-256 of a certificate.
pub fn fingerprint(der: &[u8]) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, der).as_ref());
    bytes
}

/// rustls wants one. Nobody reads it, and all that it could show would be 3 kB of code.
impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier")
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        // A second one comes only with a handshake that rustls refuses anyway.
        let _ = self.seen.set(certificate.clone().into_owned());
        let shown = fingerprint(certificate);
        if self.pin.is_some_and(|pin| pin != shown) {
            return Err(CertificateError::ApplicationVerificationFailure.into());
        }
        let parsed = ParsedCertificate::try_from(certificate)?;
        // Self-signed certificates are often CAs by form, and listed to be trusted as they stand.
        if self.listed.contains(&shown) {
            check_dates(certificate, now)?;
        } else if self.pin.is_none() || self.ca_file.is_some() {
            let all = self.algorithms.all;
            verify_server_cert_signed_by_trust_anchor(&parsed, &self.roots, intermediates, now, all)?;
        }
        verify_server_name(&parsed, name).or_else(|error| match self.pin {
            Some(_) if has_only_common_name(certificate, name) => Ok(()),
            _ => Err(error),
        })?;
        self.accepted.store(true, Ordering::Relaxed);
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// What the check of the issuer does by the way.
fn check_dates(der: &[u8], now: UnixTime) -> Result<(), CertificateError> {
    let read = Certificate::read(der).ok_or(CertificateError::BadEncoding)?;
    let (now_ms, seconds) = (now.as_secs() * 1000, |ms: u64| UnixTime::since_unix_epoch(Duration::from_millis(ms)));
    if now_ms > read.not_after.0 {
        return Err(CertificateError::ExpiredContext { time: now, not_after: seconds(read.not_after.0) });
    }
    if now_ms < read.not_before.0 {
        return Err(CertificateError::NotValidYetContext { time: now, not_before: seconds(read.not_before.0) });
    }
    Ok(())
}

/// Whether a certificate without any alternative name has this common name.
fn has_only_common_name(der: &[u8], name: &ServerName<'_>) -> bool {
    Certificate::read(der).is_some_and(|certificate| {
        let equal = |common_name: &str| common_name.eq_ignore_ascii_case(&name.to_str());
        certificate.names.is_empty() && certificate.common_name().is_some_and(equal)
    })
}
