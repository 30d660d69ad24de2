//! Handshakes with a TLS server in memory: everything that `TlsOptions` can ask for.

use std::path::PathBuf;

use base64ct::Encoding;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::version::{TLS12, TLS13};

use super::super::*;
use super::peer::*;

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
fn a_client_certificate_of_version_1_goes_with_its_own_key() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let file = authority.file();
    let (certificate, key) = clients.issue(&CertificateParams::default());
    let mut certificate = certificate.to_vec();
    let (_, other) = clients.issue(&CertificateParams::default());
    let version = certificate.windows(5).position(|part| part == [0xa0, 3, 2, 1, 2]).expect("version 3");
    certificate[version + 4] = 0;
    let certificate_file = TestFile::new(&pem("CERTIFICATE", &certificate));
    for (key, fits) in [(key, true), (other, false)] {
        let key_file = TestFile::new(&key.serialize_pem());
        let options = TlsOptions { cert_file: certificate_file.path(), key_file: key_file.path(), ..trusting(&file) };
        let trouble = prepare(&options, "broker.test").err();
        assert_eq!(trouble.is_none(), fits, "{trouble:?}");
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

/// A self-signed certificate for `broker.test` that is a CA's by form, as common recipes make it.
fn self_signed(years: (i32, i32)) -> (Server, TestFile) {
    let mut params = broker();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    (params.not_before, params.not_after) = (date_time_ymd(years.0, 1, 1), date_time_ymd(years.1, 1, 1));
    let own = Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a CA"));
    let file = own.file();
    let key = PrivateKeyDer::from_pem_slice(own.0.key().serialize_pem().as_bytes()).expect("a key");
    let certificate = own.0.der().clone();
    let shown = certificate.clone();
    let server = Server::with(&Authority::new(), &broker(), BOTH, None, |config| {
        let key = any_supported_type(&key).expect("a key");
        config.cert_resolver = Arc::new(rustls::sign::SingleCertAndKey::from(CertifiedKey::new(vec![shown], key)));
    });
    (Server { certificate, ..server }, file)
}

#[test]
fn a_self_signed_certificate_is_trusted_when_the_ca_file_lists_it_or_it_is_pinned() {
    let years = (2020, 2100);
    let (mut server, file) = self_signed(years);
    assert!(connect(&trusting(&file), &mut server).is_ok());
    let (mut server, file) = self_signed(years);
    let trouble = connect_to(&trusting(&file), "other.test", &mut server).err().expect("a refusal");
    assert_eq!(trouble.cause, Cause::Name, "{trouble}");
    let (mut server, _) = self_signed(years);
    assert!(connect(&pinning(&server), &mut server).is_ok());
    let (mut server, _) = self_signed(years);
    let other = Authority::new().file();
    refused(&trusting(&other), &mut server, Cause::Issuer, "only when it is pinned or stands in a ca_file");
    for (years, words) in [((2000, 2001), "has expired"), ((2098, 2099), "not valid yet")] {
        let (mut server, file) = self_signed(years);
        refused(&trusting(&file), &mut server, Cause::Dates, words);
    }
}
