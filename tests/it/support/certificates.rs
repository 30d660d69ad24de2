//! Certificates of a test's own: an authority, what it issues, and the files that a broker and the server read.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, SanType, date_time_ymd,
};

use super::Directory;
use super::mosquitto::{Mosquitto, Setup};
use super::server::{Server, command};

/// Issues certificates.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    directory: Directory,
}

/// Paths of a certificate and its key, in PEM form.
pub struct Files {
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// SHA-256 of the certificate.
    pub fingerprint: String,
}

/// Whom a certificate is for, and when.
pub struct Wanted<'a> {
    /// Host names and addresses.
    pub names: &'a [&'a str],
    /// First and last year.
    pub years: (i32, i32),
    /// What it is for.
    pub purpose: ExtendedKeyUsagePurpose,
}

impl Default for Wanted<'_> {
    fn default() -> Self {
        Self { names: &["localhost", "127.0.0.1"], years: (2020, 2100), purpose: ExtendedKeyUsagePurpose::ServerAuth }
    }
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name = named(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a CA");
        let directory = Directory::new();
        directory.write("ca.pem", &issuer.pem());
        Self { issuer, directory }
    }

    /// The file with its own certificate.
    pub fn file(&self) -> PathBuf {
        self.directory.file("ca.pem")
    }

    /// A broker with a certificate of this authority, which wants one of its clients.
    pub fn demanding(&self, tls_version: &str) -> Mosquitto {
        let wants = format!("cafile {}\nrequire_certificate true\ntls_version {tls_version}", self.file().display());
        self.issue("broker", &Wanted::default()).serve(&wants)
    }

    /// Issues a certificate; `name` is its subject and names the files.
    pub fn issue(&self, name: &str, wanted: &Wanted<'_>) -> Files {
        let mut params = CertificateParams::default();
        params.distinguished_name = named(name);
        params.subject_alt_names = wanted.names.iter().map(|name| alternative(name)).collect();
        (params.not_before, params.not_after) =
            (date_time_ymd(wanted.years.0, 1, 1), date_time_ymd(wanted.years.1, 1, 1));
        params.extended_key_usages = vec![wanted.purpose.clone()];
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let digest = ring::digest::digest(&ring::digest::SHA256, certificate.der());
        Files {
            fingerprint: digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect(),
            certificate: self.directory.write(&format!("{name}.pem"), &certificate.pem()),
            key: self.directory.write(&format!("{name}.key"), &key.serialize_pem()),
        }
    }

    /// A certificate for clients.
    pub fn client(&self, name: &str) -> Files {
        self.issue(name, &Wanted { names: &[], purpose: ExtendedKeyUsagePurpose::ClientAuth, ..Wanted::default() })
    }
}

impl Files {
    /// A Mosquitto that shows this certificate; `extra` are more lines of its TLS listener's configuration.
    pub fn serve(&self, extra: &str) -> Mosquitto {
        Mosquitto::with(&Setup { extra: &(self.listener() + extra), ..Setup::default() })
    }

    /// Lines of a TLS listener's configuration.
    pub fn listener(&self) -> String {
        format!("certfile {}\nkeyfile {}\n", self.certificate.display(), self.key.display())
    }
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

fn alternative(name: &str) -> SanType {
    match name.parse::<Ipv4Addr>() {
        Ok(address) => SanType::IpAddress(address.into()),
        Err(_) => SanType::DnsName(name.try_into().expect("a host name")),
    }
}

/// A server on a system whose only CA certificates are in `roots`.
pub fn trusting(roots: &Path) -> Server {
    let mut command = command(&[]);
    command.env("SSL_CERT_FILE", roots).env_remove("SSL_CERT_DIR");
    let mut server = Server::spawn(command);
    server.initialize("2025-11-25");
    server
}
