//! Handshakes with a TLS server in memory: everything that `TlsOptions` can ask for, and a peer that breaks off, changes
//! bytes, or takes and gives them in pieces.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::AtomicU32;

use base64ct::Encoding;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType, date_time_ymd};
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::version::{TLS12, TLS13};
use rustls::{Error, RootCertStore, ServerConfig, ServerConnection, SupportedProtocolVersion};

use super::*;

/// A socket between the channel and a server in memory.
#[derive(Default)]
struct Wire {
    to_us: VecDeque<u8>,
    to_server: Vec<u8>,
    /// Bytes that go through in one call.
    piece: usize,
    /// Bytes that are taken until there is room again.
    room: usize,
    /// Nothing more comes: the end, or an error.
    end: Option<ErrorKind>,
}

impl Wire {
    fn new() -> Self {
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
struct TestFile(PathBuf);

impl TestFile {
    fn new(text: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("mqtt-mcp-tls-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, text).expect("a file for the test");
        Self(path)
    }

    fn path(&self) -> Option<PathBuf> {
        Some(self.0.clone())
    }
}

impl Drop for TestFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a CA"))
    }

    fn file(&self) -> TestFile {
        TestFile::new(&self.0.pem())
    }

    fn issue(&self, params: &CertificateParams) -> (CertificateDer<'static>, KeyPair) {
        let key = KeyPair::generate().expect("a key");
        (params.signed_by(&key, &self.0).expect("a certificate").der().clone(), key)
    }
}

/// The parameters of a certificate for `broker.test`, with the common name `the broker`.
fn broker() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "the broker");
    params.subject_alt_names = vec![SanType::DnsName("broker.test".try_into().expect("a name"))];
    params
}

const BOTH: &[&SupportedProtocolVersion] = &[&TLS13, &TLS12];

/// A server's side of a connection.
struct Server {
    tls: ServerConnection,
    certificate: CertificateDer<'static>,
}

impl Server {
    fn new(authority: &Authority, params: &CertificateParams) -> Self {
        Self::with(authority, params, BOTH, None, |_| {})
    }

    fn with(
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
    fn turn(&mut self, wire: &mut Wire) -> Result<Vec<u8>, Error> {
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

fn prepare(options: &TlsOptions, host: &str) -> Result<Channel, TlsTrouble> {
    smol::block_on(Channel::prepare(options, host))
}

/// Shakes hands to the end, and reads what comes behind it.
fn connect_to(options: &TlsOptions, host: &str, server: &mut Server) -> Result<(Channel, Wire), TlsTrouble> {
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

fn connect(options: &TlsOptions, server: &mut Server) -> Result<(Channel, Wire), TlsTrouble> {
    connect_to(options, "broker.test", server)
}

#[track_caller]
fn refused(options: &TlsOptions, server: &mut Server, cause: Cause, words: &str) {
    let trouble = connect(options, server).err().expect("a refusal");
    assert_eq!(trouble.cause, cause, "{trouble}");
    assert!(trouble.why.contains(words), "{trouble}");
}

fn trusting(file: &TestFile) -> TlsOptions {
    TlsOptions { ca_file: file.path(), ..TlsOptions::default() }
}

#[test]
fn the_handshake_shows_what_was_agreed_and_the_certificate() {
    let authority = Authority::new();
    let file = authority.file();
    for (version, name) in [(&TLS12, "TLS 1.2"), (&TLS13, "TLS 1.3")] {
        let mut server = Server::with(&authority, &broker(), &[version], None, |_| {});
        let (channel, _) = connect(&trusting(&file), &mut server).expect("a connection");
        let facts = channel.facts();
        assert_eq!(facts.protocol, name);
        assert!(facts.cipher.starts_with("TLS"), "{}", facts.cipher);
        let certificate = facts.certificate.expect("a certificate");
        assert_eq!((certificate.names, certificate.version), (vec!["broker.test".to_owned()], 3));
        assert!(certificate.subject.contains("CN=the broker"), "{}", certificate.subject);
        assert!(certificate.not_before < certificate.not_after);
        assert_eq!(facts.fingerprint_sha256, base16ct::lower::encode_string(&fingerprint(&server.certificate)));
    }
}

#[test]
fn a_ca_file_takes_the_place_of_the_systems_roots() {
    let (authority, other) = (Authority::new(), Authority::new());
    let (right, wrong) = (authority.file(), other.file());
    assert!(connect(&trusting(&right), &mut Server::new(&authority, &broker())).is_ok());
    // Both authorities have the same name: only the signature tells them apart.
    refused(&trusting(&wrong), &mut Server::new(&authority, &broker()), Cause::Issuer, "signed with another key");
    let several = TestFile::new(&(other.0.pem() + &authority.0.pem()));
    assert!(connect(&trusting(&several), &mut Server::new(&authority, &broker())).is_ok());
}

#[test]
fn a_server_name_is_checked_instead_of_the_hosts() {
    let authority = Authority::new();
    let file = authority.file();
    let named = |name: &str| TlsOptions { server_name: Some(name.into()), ..trusting(&file) };
    let mut server = Server::new(&authority, &broker());
    assert!(connect_to(&named("broker.test"), "10.0.0.1", &mut server).is_ok());
    refused(
        &named("other.test"),
        &mut Server::new(&authority, &broker()),
        Cause::Name,
        "broker.test, not for other.test",
    );
    let trouble = prepare(&named("no name"), "broker.test").err().expect("a refusal");
    assert_eq!(trouble.cause, Cause::Settings, "{trouble}");
}

fn pinning(server: &Server) -> TlsOptions {
    TlsOptions { fingerprint_sha256: Some(fingerprint(&server.certificate)), ..TlsOptions::default() }
}

#[test]
fn a_pinned_certificate_needs_no_issuer_and_no_date_but_its_name() {
    let authority = Authority::new();
    let mut params = broker();
    (params.not_before, params.not_after) = (date_time_ymd(2000, 1, 1), date_time_ymd(2001, 1, 1));
    for version in [&TLS12, &TLS13] {
        let mut server = Server::with(&authority, &params, &[version], None, |_| {});
        assert!(connect(&pinning(&server), &mut server).is_ok());
        let mut server = Server::with(&authority, &params, &[version], None, |_| {});
        let other = TlsOptions { server_name: Some("other.test".into()), ..pinning(&server) };
        refused(&other, &mut server, Cause::Name, "broker.test, not for other.test");
    }
}

#[test]
fn another_certificate_than_the_pinned_one_is_refused_and_shown() {
    let authority = Authority::new();
    let (pinned, mut server) = (Server::new(&authority, &broker()), Server::new(&authority, &broker()));
    let seen = base16ct::lower::encode_string(&fingerprint(&server.certificate));
    refused(&pinning(&pinned), &mut server, Cause::Pin, &seen);
}

#[test]
fn the_peer_must_have_the_key_of_the_pinned_certificate() {
    let authority = Authority::new();
    for version in [&TLS12, &TLS13] {
        let honest = Server::new(&authority, &broker());
        // It shows the pinned certificate and signs with a key of its own.
        let stolen = honest.certificate.clone();
        let mut thief = Server::with(&authority, &broker(), &[version], None, |config| {
            let key = PrivateKeyDer::from_pem_slice(KeyPair::generate().expect("a key").serialize_pem().as_bytes());
            let key = any_supported_type(&key.expect("a key")).expect("a key");
            config.cert_resolver = Arc::new(rustls::sign::SingleCertAndKey::from(CertifiedKey::new(vec![stolen], key)));
        });
        refused(&pinning(&honest), &mut thief, Cause::Pin, "could not prove that it has the key");
    }
}

#[test]
fn a_pinned_certificate_without_names_is_compared_by_its_common_name() {
    let authority = Authority::new();
    let mut params = broker();
    params.subject_alt_names.clear();
    params.distinguished_name.push(DnType::CommonName, "Gateway7");
    let mut server = Server::new(&authority, &params);
    assert!(connect_to(&pinning(&server), "gateway7", &mut server).is_ok());
    let mut server = Server::new(&authority, &params);
    refused(&pinning(&server), &mut server, Cause::Name, "lists no names");
    // Without a pin a common name is nothing.
    let file = authority.file();
    let trouble = connect_to(&trusting(&file), "gateway7", &mut Server::new(&authority, &params)).err();
    assert_eq!(trouble.expect("a refusal").cause, Cause::Name);
}

#[test]
fn a_ca_file_beside_a_pin_must_be_met_as_well() {
    let (authority, other) = (Authority::new(), Authority::new());
    let (right, wrong) = (authority.file(), other.file());
    let mut server = Server::new(&authority, &broker());
    assert!(connect(&TlsOptions { ca_file: right.path(), ..pinning(&server) }, &mut server).is_ok());
    let mut server = Server::new(&authority, &broker());
    refused(
        &TlsOptions { ca_file: wrong.path(), ..pinning(&server) },
        &mut server,
        Cause::Issuer,
        "signed with another key",
    );
}

/// A client certificate and key as files.
fn client(authority: &Authority) -> (TestFile, TestFile) {
    let (certificate, key) = authority.issue(&CertificateParams::default());
    (TestFile::new(&pem("CERTIFICATE", &certificate)), TestFile::new(&key.serialize_pem()))
}

fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", base64ct::Base64::encode_string(der))
}

#[test]
fn a_client_certificate_is_shown_when_it_is_asked_for() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let (file, right, wrong) = (authority.file(), client(&clients), client(&Authority::new()));
    for version in [&TLS12, &TLS13] {
        let server = || Server::with(&authority, &broker(), &[version], Some(&clients), |_| {});
        let with = |files: &(TestFile, TestFile)| TlsOptions {
            cert_file: files.0.path(),
            key_file: files.1.path(),
            ..trusting(&file)
        };
        assert!(connect(&with(&right), &mut server()).is_ok());
        refused(&with(&wrong), &mut server(), Cause::ClientCertificate, "refused the client certificate");
        refused(&trusting(&file), &mut server(), Cause::ClientCertificate, "wants a client certificate");
        // A broker that does not ask is not shown it.
        assert!(connect(&with(&right), &mut Server::new(&authority, &broker())).is_ok());
    }
}

#[test]
fn keys_are_read_in_each_of_their_forms() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let file = authority.file();
    let (certificate, key) = clients.issue(&CertificateParams::default());
    let certificate_file = TestFile::new(&pem("CERTIFICATE", &certificate));
    // The inner part of this PKCS#8 form is the SEC1 form.
    let pkcs8 = key.serialize_der();
    let start = pkcs8.windows(5).position(|part| part[0] == 0x30 && part[2..] == [2, 1, 1]).expect("an EC key");
    let sec1 = &pkcs8[start..];
    for text in [key.serialize_pem(), pem("EC PRIVATE KEY", sec1)] {
        let key_file = TestFile::new(&text);
        let options = TlsOptions { cert_file: certificate_file.path(), key_file: key_file.path(), ..trusting(&file) };
        let mut server = Server::with(&authority, &broker(), BOTH, Some(&clients), |_| {});
        assert!(connect(&options, &mut server).is_ok(), "{}", text.lines().next().unwrap_or_default());
    }
}

#[test]
fn a_file_that_cannot_be_used_is_named_and_nothing_of_it_is_told() {
    let authority = Authority::new();
    let (file, client, other) = (authority.file(), client(&authority), client(&authority));
    let secret = "c2VjcmV0LXNlY3JldC1zZWNyZXQ=";
    let broken_key = TestFile::new(&format!("-----BEGIN PRIVATE KEY-----\n{secret}\n-----END PRIVATE KEY-----\n"));
    let encrypted = broken_key.0.with_extension("encrypted");
    let encrypted = (std::fs::write(&encrypted, "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"), TestFile(encrypted)).1;
    let nothing = TestFile::new("nothing of use\n");
    let broken = TestFile::new(&format!("-----BEGIN CERTIFICATE-----\n{secret}\n-----END CERTIFICATE-----\n"));
    let damaged = TestFile::new("-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n");
    let missing = TestFile(PathBuf::from("/nonexistent/file"));
    let ca = |file: &TestFile| trusting(file);
    let own = |certificate: &TestFile, key: &TestFile| TlsOptions {
        cert_file: certificate.path(),
        key_file: key.path(),
        ..trusting(&file)
    };
    for (options, named, words) in [
        (ca(&missing), Some(&missing), "ca_file"),
        (ca(&nothing), Some(&nothing), "no certificate in PEM form"),
        (ca(&broken), Some(&broken), "cannot be used"),
        (ca(&damaged), Some(&damaged), "damaged"),
        (own(&missing, &client.1), Some(&missing), "cert_file"),
        (own(&client.0, &missing), Some(&missing), "no such file"),
        (own(&client.0, &nothing), Some(&nothing), "no private key"),
        (own(&client.0, &client.0), Some(&client.0), "no private key"),
        (own(&client.0, &broken_key), Some(&broken_key), "damaged"),
        (own(&client.0, &encrypted), Some(&encrypted), "passphrase"),
        (own(&client.0, &other.1), Some(&other.1), "is not the key of cert_file"),
        (TlsOptions { key_file: None, ..own(&client.0, &client.1) }, None, "needs a key_file"),
        (TlsOptions { cert_file: None, ..own(&client.0, &client.1) }, None, "needs a cert_file"),
    ] {
        let trouble = prepare(&options, "broker.test").err().expect(words);
        assert_eq!(trouble.cause, Cause::Settings, "{trouble}");
        assert!(trouble.why.contains(words), "{trouble}");
        assert!(named.is_none_or(|file| trouble.why.contains(&file.0.display().to_string())), "{trouble}");
        assert!(!trouble.why.contains("c2Vj") && !trouble.why.contains("secret"), "{trouble}");
    }
}

#[test]
fn alpn_is_asked_for_only_on_request() {
    let authority = Authority::new();
    let file = authority.file();
    for (alpn, expected) in [(true, Some(&b"mqtt"[..])), (false, None)] {
        let mut server = Server::with(&authority, &broker(), BOTH, None, |config| {
            config.alpn_protocols = vec![b"mqtt".to_vec()];
        });
        connect(&TlsOptions { alpn, ..trusting(&file) }, &mut server).expect("a connection");
        assert_eq!(server.tls.alpn_protocol(), expected);
    }
    let mut server =
        Server::with(&authority, &broker(), BOTH, None, |config| config.alpn_protocols = vec![b"x".to_vec()]);
    refused(&TlsOptions { alpn: true, ..trusting(&file) }, &mut server, Cause::Version, "ALPN");
}

#[test]
fn the_end_of_the_connection_anywhere_in_the_handshake_is_told_as_such() {
    let authority = Authority::new();
    let file = authority.file();
    for version in [&TLS12, &TLS13] {
        let mut whole = 0;
        let mut cut_at = 0;
        while cut_at <= whole {
            for end in [ErrorKind::UnexpectedEof, ErrorKind::ConnectionReset] {
                let mut server = Server::with(&authority, &broker(), &[version], None, |_| {});
                let (mut channel, mut wire) =
                    (prepare(&trusting(&file), "broker.test").expect("prepared"), Wire::new());
                let mut given = 0;
                let outcome = loop {
                    match channel.shake(&mut wire) {
                        Ok(Shake::Done) => break Ok(()),
                        Ok(_) => server.turn(&mut wire).map(drop).expect("the server is content"),
                        Err(trouble) => break Err(trouble),
                    }
                    whole = whole.max(given + wire.to_us.len());
                    wire.to_us.truncate(cut_at - given);
                    given += wire.to_us.len();
                    wire.end = (given == cut_at).then_some(end);
                };
                match outcome {
                    Ok(()) => assert_eq!(cut_at, whole, "all came"),
                    Err(trouble) if cut_at == 0 => assert_eq!(trouble.cause, Cause::NotTls, "{trouble}"),
                    Err(trouble) => assert_eq!(trouble.cause, Cause::Cut, "{cut_at}: {trouble}"),
                }
            }
            // The first bytes one by one, where lengths and types are; then in steps.
            cut_at = if cut_at < 16 || cut_at == whole { cut_at + 1 } else { (cut_at + 37).min(whole) };
        }
        assert!(whole > 500, "{whole}");
    }
}

#[test]
fn what_is_no_tls_is_told_as_such() {
    let authority = Authority::new();
    let file = authority.file();
    for answer in [
        &b"\x20\x02\x00\x00"[..],
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"\x15\x15\x15\x15\x15",
    ] {
        let (mut channel, mut wire) = (prepare(&trusting(&file), "broker.test").expect("prepared"), Wire::new());
        assert_eq!(channel.shake(&mut wire), Ok(Shake::Readable));
        wire.to_us.extend(answer);
        let trouble = channel.shake(&mut wire).expect_err("no TLS");
        assert_eq!(trouble.cause, Cause::NotTls, "{answer:?}: {trouble}");
    }
}

#[test]
fn an_old_version_is_told_as_such() {
    let authority = Authority::new();
    let file = authority.file();
    // The alert protocol_version, and a ServerHello of TLS 1.1.
    let mut hello = vec![22, 3, 2, 0, 42, 2, 0, 0, 38, 3, 2];
    hello.extend([7; 32]);
    hello.extend([0, 0, 0x2f, 0]);
    for answer in [vec![21, 3, 1, 0, 2, 2, 70], hello] {
        let (mut channel, mut wire) = (prepare(&trusting(&file), "broker.test").expect("prepared"), Wire::new());
        assert_eq!(channel.shake(&mut wire), Ok(Shake::Readable));
        wire.to_us.extend(&answer);
        let trouble = channel.shake(&mut wire).expect_err("an old version");
        assert_eq!(trouble.cause, Cause::Version, "{answer:?}: {trouble}");
    }
}

#[test]
fn changed_bytes_end_it_with_words_and_never_with_a_panic() {
    let authority = Authority::new();
    let file = authority.file();
    for at in 0..1200 {
        let mut server = Server::new(&authority, &broker());
        let (mut channel, mut wire) = (prepare(&trusting(&file), "broker.test").expect("prepared"), Wire::new());
        let mut given = 0;
        for _ in 0..10 {
            match channel.shake(&mut wire) {
                Ok(Shake::Done) => break,
                Ok(_) => _ = server.turn(&mut wire),
                Err(trouble) => {
                    assert!(!trouble.why.is_empty() && !trouble.hint().is_empty());
                    break;
                }
            }
            if let Some(byte) = wire.to_us.get_mut(at - given) {
                *byte ^= 1 << (at % 8);
            }
            given = (given + wire.to_us.len()).min(at);
        }
    }
}

#[test]
fn data_goes_both_ways_whatever_the_socket_takes_and_gives() {
    let authority = Authority::new();
    let file = authority.file();
    let data: Vec<_> = (0..100_000u32).map(|n| (n * 7) as u8).collect();
    for piece in [1, 7, 4096, usize::MAX] {
        let mut server = Server::new(&authority, &broker());
        let (mut channel, mut wire) = connect(&trusting(&file), &mut server).expect("a connection");
        wire.piece = piece;
        let (mut rest, mut said) = (data.as_slice(), Vec::new());
        while !rest.is_empty() {
            wire.room = 5000;
            match channel.write(&mut wire, rest) {
                Ok(count) => rest = &rest[count..],
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
            said.extend(server.turn(&mut wire).expect("the server is content"));
        }
        assert!(said == data, "what was written arrives, once and in order ({piece})");
        let (mut read, mut buffer) = (Vec::new(), vec![0; 16 << 10]);
        for part in data.chunks(30_000) {
            server.tls.writer().write_all(part).expect("room");
            let _ = server.turn(&mut wire);
            loop {
                match channel.read(&mut wire, &mut buffer) {
                    Ok(count) => {
                        read.extend_from_slice(&buffer[..count]);
                        if count < buffer.len() {
                            assert!(wire.to_us.is_empty(), "a short read has emptied the socket");
                            break;
                        }
                    }
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::WouldBlock);
                        break;
                    }
                }
            }
        }
        assert!(read == data, "what was sent is read, once and in order ({piece})");
    }
}

#[test]
fn bytes_are_written_only_when_the_socket_has_them() {
    let authority = Authority::new();
    let file = authority.file();
    let mut server = Server::new(&authority, &broker());
    let (mut channel, mut wire) = connect(&trusting(&file), &mut server).expect("a connection");
    wire.room = 10;
    let message = [b'm'; 100];
    let blocked = channel.write(&mut wire, &message).expect_err("no room");
    assert_eq!((blocked.kind(), wire.room), (ErrorKind::WouldBlock, 0));
    wire.room = usize::MAX;
    // More has come behind it meanwhile: that is not part of what was taken.
    assert_eq!(channel.write(&mut wire, &[b'm'; 200]).expect("room"), 100);
    assert_eq!(server.turn(&mut wire).expect("the server is content"), message);
}

#[test]
fn a_close_is_said_and_an_end_is_told_after_the_data_before_it() {
    let authority = Authority::new();
    let file = authority.file();
    for in_order in [true, false] {
        let mut server = Server::new(&authority, &broker());
        let (mut channel, mut wire) = connect(&trusting(&file), &mut server).expect("a connection");
        server.tls.writer().write_all(b"last").expect("room");
        if in_order {
            server.tls.send_close_notify();
        } else {
            wire.end = Some(ErrorKind::UnexpectedEof);
        }
        let _ = server.turn(&mut wire);
        let mut buffer = [0; 16];
        assert_eq!(channel.read(&mut wire, &mut buffer).expect("data"), 4);
        assert!(channel.has_news(), "the socket may stay silent");
        assert_eq!(channel.read(&mut wire, &mut buffer).expect("the end"), 0);
        assert_eq!(channel.explain(None), None);
        channel.finish(&mut wire);
        let _ = server.turn(&mut wire);
        assert_eq!(server.tls.reader().read(&mut buffer).expect("close_notify"), 0);
    }
}

#[test]
fn garbage_behind_data_is_told_after_the_data() {
    let authority = Authority::new();
    let file = authority.file();
    let mut server = Server::new(&authority, &broker());
    let (mut channel, mut wire) = connect(&trusting(&file), &mut server).expect("a connection");
    server.tls.writer().write_all(b"good").expect("room");
    let _ = server.turn(&mut wire);
    wire.to_us.extend([23, 3, 3, 0, 32]);
    wire.to_us.extend([9; 32]);
    let mut buffer = [0; 16];
    assert_eq!(channel.read(&mut wire, &mut buffer).expect("data"), 4);
    assert!(channel.has_news(), "the socket may stay silent");
    let error = channel.read(&mut wire, &mut buffer).expect_err("garbage");
    let trouble = channel.explain(Some(&error)).expect("words");
    assert_eq!(trouble.cause, Cause::Peer, "{trouble}");
}

#[test]
fn a_broker_that_hangs_up_without_the_client_certificate_it_asked_for_is_understood() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let file = authority.file();
    let mut server = Server::with(&authority, &broker(), &[&TLS13], Some(&clients), |_| {});
    let (mut channel, mut wire) = (prepare(&trusting(&file), "broker.test").expect("prepared"), Wire::new());
    while channel.shake(&mut wire).expect("no trouble yet") != Shake::Done {
        let _ = server.turn(&mut wire);
    }
    // Its alert is lost with the connection.
    (wire.room, wire.end) = (0, Some(ErrorKind::ConnectionReset));
    let error = channel.write(&mut wire, b"CONNECT").expect_err("a reset");
    assert_eq!(channel.explain(Some(&error)).expect("words").cause, Cause::ClientCertificate);
    assert_eq!(channel.explain(None).expect("words").cause, Cause::ClientCertificate);
}
