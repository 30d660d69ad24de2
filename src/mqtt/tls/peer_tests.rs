//! What the tests of a channel stand on: a TLS server in memory, its certificates, and the wire between.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::AtomicU32;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::version::{TLS12, TLS13};
use rustls::{Error, RootCertStore, ServerConfig, ServerConnection, SupportedProtocolVersion};

use super::super::*;

/// A socket between the channel and a server in memory.
#[derive(Default)]
pub struct Wire {
    pub to_us: VecDeque<u8>,
    pub to_server: Vec<u8>,
    /// Bytes that go through in one call.
    pub piece: usize,
    /// Bytes that are taken until there is room again.
    pub room: usize,
    /// Nothing more comes: the end, or an error.
    pub end: Option<ErrorKind>,
}

impl Wire {
    pub fn new() -> Self {
        Self { piece: usize::MAX, room: usize::MAX, ..Self::default() }
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match (self.to_us.is_empty(), self.end) {
            (true, None) => Err(ErrorKind::WouldBlock.into()),
            (true, Some(ErrorKind::UnexpectedEof)) => Ok(0),
            (true, Some(kind)) => Err(kind.into()),
            _ => {
                let count = buffer.len().min(self.piece).min(self.to_us.len());
                self.to_us.drain(..count).zip(buffer).for_each(|(from, to)| *to = from);
                Ok(count)
            }
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.room.min(self.piece).min(bytes.len()) {
            0 if matches!(self.end, Some(kind) if kind != ErrorKind::UnexpectedEof) => {
                Err(ErrorKind::BrokenPipe.into())
            }
            0 => Err(ErrorKind::WouldBlock.into()),
            count => {
                self.room -= count;
                self.to_server.extend_from_slice(&bytes[..count]);
                Ok(count)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A file that is removed with the test.
pub struct TestFile(pub PathBuf);

impl TestFile {
    pub fn new(text: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("mqtt-mcp-tls-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, text).expect("a file for the test");
        Self(path)
    }

    pub fn path(&self) -> Option<PathBuf> {
        Some(self.0.clone())
    }
}

impl Drop for TestFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

pub struct Authority(pub CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a CA"))
    }

    pub fn file(&self) -> TestFile {
        TestFile::new(&self.0.pem())
    }

    pub fn issue(&self, params: &CertificateParams) -> (CertificateDer<'static>, KeyPair) {
        let key = KeyPair::generate().expect("a key");
        (params.signed_by(&key, &self.0).expect("a certificate").der().clone(), key)
    }
}

/// The parameters of a certificate for `broker.test`, with the common name `the broker`.
pub fn broker() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "the broker");
    params.subject_alt_names = vec![SanType::DnsName("broker.test".try_into().expect("a name"))];
    params
}

pub const BOTH: &[&SupportedProtocolVersion] = &[&TLS13, &TLS12];

/// A server's side of a connection.
pub struct Server {
    pub tls: ServerConnection,
    pub certificate: CertificateDer<'static>,
}

impl Server {
    pub fn new(authority: &Authority, params: &CertificateParams) -> Self {
        Self::with(authority, params, BOTH, None, |_| {})
    }

    pub fn with(
        authority: &Authority,
        params: &CertificateParams,
        versions: &[&'static SupportedProtocolVersion],
        clients: Option<&Authority>,
        change: impl FnOnce(&mut ServerConfig),
    ) -> Self {
        let (certificate, key) = authority.issue(params);
        let provider = Arc::new(default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(versions);
        let builder = builder.expect("versions");
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(authority.0.der().clone()).expect("a root");
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
                builder.with_client_cert_verifier(verifier.expect("a verifier"))
            }
        };
        let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).expect("a key");
        let mut config = builder.with_single_cert(vec![certificate.clone()], key).expect("a configuration");
        change(&mut config);
        Self { tls: ServerConnection::new(Arc::new(config)).expect("a server"), certificate }
    }

    /// Reads what came and answers; gives what the client said.
    pub fn turn(&mut self, wire: &mut Wire) -> Result<Vec<u8>, Error> {
        let (mut heard, mut said) = (std::mem::take(&mut wire.to_server), Vec::new());
        let mut result = Ok(());
        let mut input = heard.as_slice();
        while result.is_ok() && self.tls.read_tls(&mut input).expect("bytes") > 0 {
            result = self.tls.process_new_packets().map(|_| ());
            // The end in order is an end; before it, there is just nothing more yet.
            let _ = self.tls.reader().read_to_end(&mut said);
        }
        heard.clear();
        while self.tls.wants_write() {
            let mut out = Vec::new();
            self.tls.write_tls(&mut out).expect("bytes");
            wire.to_us.extend(out);
        }
        result.map(|()| said)
    }
}

pub fn prepare(options: &TlsOptions, host: &str) -> Result<Channel, TlsTrouble> {
    smol::block_on(Channel::prepare(options, host))
}

/// Shakes hands to the end, and reads what comes behind it.
pub fn connect_to(options: &TlsOptions, host: &str, server: &mut Server) -> Result<(Channel, Wire), TlsTrouble> {
    let (mut channel, mut wire) = (prepare(options, host)?, Wire::new());
    while channel.shake(&mut wire)? != Shake::Done {
        let _ = server.turn(&mut wire);
    }
    let _ = server.turn(&mut wire);
    match channel.read(&mut wire, &mut [0; 16]) {
        Err(error) if error.kind() != ErrorKind::WouldBlock => Err(channel.explain(Some(&error)).expect("words")),
        _ => Ok((channel, wire)),
    }
}

pub fn connect(options: &TlsOptions, server: &mut Server) -> Result<(Channel, Wire), TlsTrouble> {
    connect_to(options, "broker.test", server)
}

#[track_caller]
pub fn refused(options: &TlsOptions, server: &mut Server, cause: Cause, words: &str) {
    let trouble = connect(options, server).err().expect("a refusal");
    assert_eq!(trouble.cause, cause, "{trouble}");
    assert!(trouble.why.contains(words), "{trouble}");
}

pub fn trusting(file: &TestFile) -> TlsOptions {
    TlsOptions { ca_file: file.path(), ..TlsOptions::default() }
}
