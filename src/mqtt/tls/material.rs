//! The files behind a TLS connection: roots, client certificate and key. They are read at each connect, on a helper
//! thread, so that what was renewed is used; the key is given up when the handshake is done. Only the system's roots are
//! kept, once, while a session uses them.

use std::cell::RefCell;
use std::env;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SigningKey};
use rustls::{Error, InconsistentKeys, RootCertStore};
use zeroize::Zeroizing;

use super::TlsOptions;
use super::pem::{Damaged, Section, sections};
use super::trouble::{Cause, TlsTrouble};
use super::verifier::fingerprint;
use crate::limits::TLS_FILE_MAX_BYTES;
use crate::mqtt::link::plain;
use crate::task;

/// What the files hold.
pub struct Material {
    /// Who may issue the broker's certificate.
    pub roots: Arc<RootCertStore>,
    /// SHA-256 of each certificate in the `ca_file`.
    pub listed: Vec<[u8; 32]>,
    /// Our own certificate and key.
    pub client: Option<Arc<CertifiedKey>>,
}

/// Reads what `options` name.
pub async fn read(options: &TlsOptions) -> Result<Material, TlsTrouble> {
    let (roots, listed) = match (&options.ca_file, options.fingerprint_sha256) {
        (Some(file), _) => {
            let file = file.clone();
            let (roots, listed) = task::aside(move || roots_from(&file)).await?;
            (Arc::new(roots), listed)
        }
        (None, Some(_)) => (Arc::new(RootCertStore::empty()), Vec::new()),
        (None, None) => (system_roots().await?, Vec::new()),
    };
    let client = match (options.cert_file.clone(), options.key_file.clone()) {
        (None, None) => None,
        (Some(certificate), Some(key)) => Some(Arc::new(task::aside(move || client_from(certificate, key)).await?)),
        (Some(_), None) => return Err(settings("cert_file needs a key_file beside it")),
        (None, Some(_)) => return Err(settings("key_file needs a cert_file beside it")),
    };
    Ok(Material { roots, listed, client })
}

thread_local! {
    static SYSTEM_ROOTS: RefCell<Weak<RootCertStore>> = const { RefCell::new(Weak::new()) };
}

async fn system_roots() -> Result<Arc<RootCertStore>, TlsTrouble> {
    let shared = || SYSTEM_ROOTS.with_borrow(Weak::upgrade);
    if let Some(roots) = shared() {
        return Ok(roots);
    }
    let roots = task::aside(read_system_roots).await;
    if roots.is_empty() {
        return Err(settings(
            "this system has no CA certificates that could be read (most have them in a package ca-certificates); \
             a broker's configuration can name its own with ca_file or fingerprint_sha256",
        ));
    }
    // Another session may have been quicker.
    let roots = shared().unwrap_or_else(|| Arc::new(roots));
    SYSTEM_ROOTS.set(Arc::downgrade(&roots));
    Ok(roots)
}

/// From the places that the environment names as it does for OpenSSL; without it, from the first that the system has. One
/// certificate after the other: together they are ten times what is kept of them.
fn read_system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let (file, directories) = (env::var_os("SSL_CERT_FILE"), env::var_os("SSL_CERT_DIR"));
    if file.is_some() || directories.is_some() {
        file.iter().for_each(|file| add_roots(&mut roots, Path::new(file)));
        env::split_paths(&directories.unwrap_or_default()).for_each(|path| add_roots_below(&mut roots, &path));
    } else {
        let places = openssl_probe::probe();
        places.cert_file.iter().for_each(|file| add_roots(&mut roots, file));
        let mut directories = places.cert_dir.iter();
        while let (true, Some(directory)) = (roots.is_empty(), directories.next()) {
            add_roots_below(&mut roots, directory);
        }
    }
    roots.roots.shrink_to_fit();
    roots
}

fn add_roots_below(roots: &mut RootCertStore, directory: &Path) {
    let entries = directory.read_dir().into_iter().flatten().flatten();
    entries.for_each(|entry| add_roots(roots, &entry.path()));
}

/// What cannot be used is left out: a system has many roots, and some may be of kinds that we do not know. A directory has
/// each certificate under several names, and all of them in one file; it is kept once.
fn add_roots(roots: &mut RootCertStore, path: &Path) {
    let Some(file) = path.is_file().then(|| File::open(path).ok()).flatten() else { return };
    let mut lines = BufReader::new(file);
    let mut text = Vec::new();
    let mut more = true;
    while more {
        let line = text.len();
        // A bundle may be of any size: it is what stands before the end of one certificate that is bounded.
        let mut room = lines.by_ref().take(TLS_FILE_MAX_BYTES.saturating_sub(line as u64));
        more = room.read_until(b'\n', &mut text).is_ok_and(|count| count > 0);
        if !more || text[line..].starts_with(b"-----END ") {
            for section in sections(&text).flatten().filter(|section| section.label == b"CERTIFICATE") {
                section.bytes().into_iter().for_each(|der| add_root(roots, &der));
            }
            text.clear();
        }
    }
}

fn add_root(roots: &mut RootCertStore, der: &[u8]) {
    let is_added = roots.add(der.into()).is_ok();
    if is_added
        && let [before @ .., last] = &roots.roots[..]
        && before.contains(last)
    {
        roots.roots.pop();
    }
}

fn roots_from(path: &Path) -> Result<(RootCertStore, Vec<[u8; 32]>), TlsTrouble> {
    let (mut roots, mut listed) = (RootCertStore::empty(), Vec::new());
    for (index, certificate) in certificates("ca_file", path)?.into_iter().enumerate() {
        listed.push(fingerprint(&certificate));
        roots.add(certificate).map_err(|error| {
            settings(format!("certificate {} in ca_file {} cannot be used: {error}", index + 1, path.display()))
        })?;
    }
    Ok((roots, listed))
}

fn client_from(certificate_path: PathBuf, key_path: PathBuf) -> Result<CertifiedKey, TlsTrouble> {
    let chain = certificates("cert_file", &certificate_path)?;
    let pem = contents("key_file", &key_path)?;
    let cannot = |what: &str| settings(format!("key_file {} {what}", key_path.display()));
    if pem.windows(ENCRYPTED.len()).any(|part| part == ENCRYPTED) {
        return Err(cannot("is encrypted with a passphrase: give the key without one, readable for this user alone"));
    }
    let no_key = "has no private key in PEM form (PKCS#8, PKCS#1 or SEC1)";
    let key = key_from(&pem).ok_or_else(|| cannot(no_key))?;
    let key = key.map_err(|_| {
        cannot(
            "has a key that is damaged or of a kind that is not supported (RSA from 2048 bits, P-256, P-384, Ed25519)",
        )
    })?;
    let certified = CertifiedKey::new(chain, key);
    if !is_key_of(&certified) {
        return Err(cannot(&format!("is not the key of cert_file {}", certificate_path.display())));
    }
    Ok(certified)
}

/// Whether the certificate is for the key. One of version 1, as `openssl x509 -req` makes it, is not read by the library,
/// but brokers take it: there it counts that the public key stands in it.
fn is_key_of(certified: &CertifiedKey) -> bool {
    match (certified.keys_match(), certified.key.public_key()) {
        (Ok(()), _) | (Err(Error::InconsistentKeys(InconsistentKeys::Unknown)), _) => true,
        (Err(Error::InvalidCertificate(_)), Some(public)) => {
            certified.cert.first().is_some_and(|der| der.windows(public.len()).any(|part| part == &*public))
        }
        _ => false,
    }
}

/// The first private key of a file, or why it cannot be used; `None` where there is none in PEM form.
fn key_from(pem: &[u8]) -> Option<Result<Arc<dyn SigningKey>, Error>> {
    for section in sections(pem) {
        let section = section.ok()?;
        let of: fn(&[u8]) -> PrivateKeyDer<'_> = match section.label {
            b"PRIVATE KEY" => |der| PrivateKeyDer::Pkcs8(der.into()),
            b"RSA PRIVATE KEY" => |der| PrivateKeyDer::Pkcs1(der.into()),
            b"EC PRIVATE KEY" => |der| PrivateKeyDer::Sec1(der.into()),
            _ => continue,
        };
        return Some(any_supported_type(&of(&section.bytes().ok()?)));
    }
    None
}

const ENCRYPTED: &[u8] = b"ENCRYPTED";

fn certificates(option: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsTrouble> {
    let pem = contents(option, path)?;
    // A key among them is passed over unread.
    let certificate = |section: Result<Section<'_>, Damaged>| match section {
        Ok(section) if section.label != b"CERTIFICATE" => None,
        section => Some(section.and_then(|section| Ok(CertificateDer::from(section.bytes()?.to_vec())))),
    };
    let found: Result<Vec<_>, Damaged> = sections(&pem).filter_map(certificate).collect();
    let shown = path.display();
    match found {
        Ok(found) if found.is_empty() => Err(settings(format!("{option} {shown} has no certificate in PEM form"))),
        Ok(found) => Ok(found),
        Err(Damaged) => Err(settings(format!("{option} {shown} has a certificate with damaged PEM form"))),
    }
}

/// A file's bytes, wiped when they are done with, without a reallocation that would leave a copy.
fn contents(option: &str, path: &Path) -> Result<Zeroizing<Vec<u8>>, TlsTrouble> {
    let read = || {
        let file = File::open(path)?;
        let mut bytes = Zeroizing::new(Vec::with_capacity(file.metadata()?.len().min(TLS_FILE_MAX_BYTES) as usize + 1));
        file.take(TLS_FILE_MAX_BYTES).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    read().map_err(|error: std::io::Error| {
        settings(format!("{option} {} cannot be read: {}", path.display(), plain(&error)))
    })
}

fn settings(why: impl Into<String>) -> TlsTrouble {
    TlsTrouble::new(Cause::Settings, why)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    #[test]
    fn a_certificate_under_several_names_is_kept_once_and_a_bundle_may_be_large() {
        let directory = env::temp_dir().join(format!("mqtt-mcp-roots-{}", std::process::id()));
        fs::create_dir_all(&directory).expect("a directory");
        let [first, second] = ["first", "second"].map(|name| {
            let parameters = CertificateParams::new(vec![name.to_owned()]).expect("a name");
            parameters.self_signed(&KeyPair::generate().expect("a key")).expect("a certificate").pem()
        });
        // Bundles name each certificate before it, some at length.
        let words = "# a comment\n".repeat(TLS_FILE_MAX_BYTES as usize / 20);
        let all = format!("{words}{first}{words}{second}");
        let files = [("a.pem", first.clone()), ("0a1b2c3d.0", first), ("all.crt", all)];
        for (name, text) in files {
            fs::write(directory.join(name), text).expect("a file");
        }
        let mut roots = RootCertStore::empty();
        add_roots_below(&mut roots, &directory);
        fs::remove_dir_all(&directory).expect("own directory");
        assert_eq!(roots.len(), 2);
    }
}
