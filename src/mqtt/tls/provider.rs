//! ring's cryptography for rustls, without ChaCha20: every broker has AES-GCM (RFC 8446, 9.1; RFC 9325, 4.2), and a
//! second cipher would be 50 kB of code. rustls's own provider cannot be had without its ciphers.

use std::sync::Arc;

use ring::rand::{SecureRandom as _, SystemRandom};
use rustls::crypto::ring::cipher_suite::*;
use rustls::crypto::ring::{DEFAULT_KX_GROUPS, sign::any_supported_type};
use rustls::crypto::{CryptoProvider, GetRandomFailed, KeyProvider, SecureRandom, WebPkiSupportedAlgorithms};
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::SigningKey;
use rustls::{CipherSuite, Error, SignatureScheme};
use webpki::ring as algorithm;

/// What connections are made with.
pub fn provider() -> CryptoProvider {
    let cipher_suites = vec![
        TLS13_AES_256_GCM_SHA384,
        TLS13_AES_128_GCM_SHA256,
        TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    ];
    CryptoProvider {
        cipher_suites,
        kx_groups: DEFAULT_KX_GROUPS.to_vec(),
        signature_verification_algorithms: SIGNATURES,
        secure_random: &Ring,
        key_provider: &Ring,
    }
}

/// The name of one of its cipher suites. rustls can name each that there is: 20 kB of names.
pub fn name(suite: CipherSuite) -> &'static str {
    match suite {
        CipherSuite::TLS13_AES_256_GCM_SHA384 => "TLS13_AES_256_GCM_SHA384",
        CipherSuite::TLS13_AES_128_GCM_SHA256 => "TLS13_AES_128_GCM_SHA256",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 => "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 => "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 => "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        _ => "",
    }
}

/// Those of webpki. In TLS 1.2 a scheme says the hash alone, and the curve is the certificate's (RFC 8422, 5.10).
const SIGNATURES: WebPkiSupportedAlgorithms = WebPkiSupportedAlgorithms {
    all: webpki::ALL_VERIFICATION_ALGS,
    mapping: &[
        (SignatureScheme::ECDSA_NISTP384_SHA384, &[algorithm::ECDSA_P384_SHA384, algorithm::ECDSA_P256_SHA384]),
        (SignatureScheme::ECDSA_NISTP256_SHA256, &[algorithm::ECDSA_P256_SHA256, algorithm::ECDSA_P384_SHA256]),
        (SignatureScheme::ED25519, &[algorithm::ED25519]),
        (SignatureScheme::RSA_PSS_SHA512, &[algorithm::RSA_PSS_2048_8192_SHA512_LEGACY_KEY]),
        (SignatureScheme::RSA_PSS_SHA384, &[algorithm::RSA_PSS_2048_8192_SHA384_LEGACY_KEY]),
        (SignatureScheme::RSA_PSS_SHA256, &[algorithm::RSA_PSS_2048_8192_SHA256_LEGACY_KEY]),
        (SignatureScheme::RSA_PKCS1_SHA512, &[algorithm::RSA_PKCS1_2048_8192_SHA512]),
        (SignatureScheme::RSA_PKCS1_SHA384, &[algorithm::RSA_PKCS1_2048_8192_SHA384]),
        (SignatureScheme::RSA_PKCS1_SHA256, &[algorithm::RSA_PKCS1_2048_8192_SHA256]),
    ],
};

#[derive(Debug)]
struct Ring;

impl SecureRandom for Ring {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), GetRandomFailed> {
        SystemRandom::new().fill(buffer).map_err(|_| GetRandomFailed)
    }
}

impl KeyProvider for Ring {
    fn load_private_key(&self, key: PrivateKeyDer<'static>) -> Result<Arc<dyn SigningKey>, Error> {
        any_supported_type(&key)
    }
}

#[cfg(test)]
mod tests {
    use rustls::crypto::ring::default_provider;

    use super::*;

    #[test]
    fn it_is_the_librarys_own_without_chacha20() {
        let (ours, theirs) = (provider(), default_provider());
        let suites = |provider: &CryptoProvider| -> Vec<_> {
            let suites = provider.cipher_suites.iter().map(|suite| suite.suite());
            suites.filter(|suite| !suite.as_str().is_some_and(|name| name.contains("CHACHA20"))).collect()
        };
        assert_eq!(suites(&ours), suites(&theirs));
        assert_eq!((ours.cipher_suites.len(), theirs.cipher_suites.len()), (6, 9));
        for suite in suites(&ours) {
            assert_eq!(Some(name(suite)), suite.as_str());
        }
        let groups = |provider: &CryptoProvider| -> Vec<_> { provider.kx_groups.iter().map(|g| g.name()).collect() };
        assert_eq!(groups(&ours), groups(&theirs));
        let mapping = |provider: &CryptoProvider| -> Vec<_> {
            let mapping = provider.signature_verification_algorithms.mapping.iter();
            mapping.map(|(scheme, algorithms)| (*scheme, format!("{algorithms:?}"))).collect()
        };
        assert_eq!(mapping(&ours), mapping(&theirs));
        let all = |provider: &CryptoProvider| -> Vec<_> {
            let all = provider.signature_verification_algorithms.all.iter().map(|one| format!("{one:?}"));
            all.collect()
        };
        let missing: Vec<_> = all(&theirs).into_iter().filter(|one| !all(&ours).contains(one)).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[test]
    fn its_random_bytes_are_random() {
        let [mut first, mut second] = [[0; 32]; 2];
        let source = provider().secure_random;
        assert!(source.fill(&mut first).and_then(|()| source.fill(&mut second)).is_ok());
        assert!(first != second && first != [0; 32]);
    }
}
