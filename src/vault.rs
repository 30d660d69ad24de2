//! Credentials at rest: sealed with AES-256-GCM under a key made at start, opened only to connect.
//!
//! The key lives in the same process, so this does not stop a debugger with full rights. It keeps passwords out of
//! everything that shows memory by accident: core files, swap, a bug that prints what it should not.

use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes256Gcm, Nonce};
use zeroize::Zeroizing;

use crate::mqtt::url::Credentials;
use crate::secret::Secret;

/// Seals and opens.
pub struct Vault {
    cipher: Aes256Gcm,
}

/// Credentials that only their vault can read.
pub struct Sealed {
    nonce: [u8; 12],
    /// The clear text is masked with this before the cipher sees it: the cipher's working copies of a block stay behind
    /// on the stack, where nothing wipes them.
    mask: Vec<u8>,
    bytes: Vec<u8>,
}

impl Vault {
    /// A vault under a new random key; an error when the system has no random numbers.
    pub fn new() -> Result<Self, getrandom::Error> {
        let mut key = Zeroizing::new([0u8; 32]);
        getrandom::fill(key.as_mut_slice())?;
        Ok(Self { cipher: Aes256Gcm::new((&*key).into()) })
    }

    /// Seals; each time under a fresh random nonce, of which a process uses far fewer than the 2³² that are safe.
    pub fn seal(&self, credentials: &Credentials) -> Result<Sealed, getrandom::Error> {
        let username = credentials.username.as_deref().unwrap_or_default().as_bytes();
        let password = credentials.password.as_ref().map_or(&[][..], Secret::expose);
        let present = u8::from(credentials.username.is_some()) | u8::from(credentials.password.is_some()) << 1;
        let mut bytes = Vec::with_capacity(HEAD_BYTES + username.len() + password.len() + TAG_BYTES);
        bytes.push(present);
        bytes.extend_from_slice(&(username.len() as u32).to_be_bytes());
        bytes.extend_from_slice(username);
        bytes.extend_from_slice(password);
        let mut nonce = [0; 12];
        getrandom::fill(&mut nonce)?;
        let mut mask = vec![0; bytes.len()];
        getrandom::fill(&mut mask)?;
        apply(&mask, &mut bytes);
        // Encrypted in place: the clear text is overwritten. It fails only beyond 64 GiB.
        self.cipher.encrypt_in_place(&Nonce::from(nonce), b"", &mut bytes).map_err(|_| getrandom::Error::UNEXPECTED)?;
        Ok(Sealed { nonce, mask, bytes })
    }

    /// Opens; `None` when the bytes were changed or are another vault's.
    pub fn open(&self, sealed: &Sealed) -> Option<Credentials> {
        let mut bytes = Zeroizing::new(sealed.bytes.clone());
        self.cipher.decrypt_in_place(&Nonce::from(sealed.nonce), b"", &mut *bytes).ok()?;
        apply(&sealed.mask, &mut bytes);
        let present = *bytes.first()?;
        let length = u32::from_be_bytes(bytes.get(1..HEAD_BYTES)?.try_into().ok()?) as usize;
        let username = std::str::from_utf8(bytes.get(HEAD_BYTES..HEAD_BYTES + length)?).ok()?;
        let password = bytes.get(HEAD_BYTES + length..)?;
        Some(Credentials {
            username: (present & 1 != 0).then(|| username.to_owned()),
            password: (present & 2 != 0).then(|| Secret::new(Zeroizing::new(password.to_vec()))),
        })
    }
}

fn apply(mask: &[u8], bytes: &mut [u8]) {
    bytes.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
}

/// What is present, and the user name's length.
const HEAD_BYTES: usize = 5;
const TAG_BYTES: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials(username: Option<&str>, password: Option<&str>) -> Credentials {
        let password = password.map(|text| Secret::new(Zeroizing::new(text.as_bytes().to_vec())));
        Credentials { username: username.map(str::to_owned), password }
    }

    #[test]
    fn what_is_sealed_opens_again() {
        let vault = Vault::new().expect("vault");
        for (username, password) in [(None, None), (Some("u"), None), (Some(""), Some("")), (Some("ü"), Some("p:/@"))]
        {
            let sealed = vault.seal(&credentials(username, password)).expect("sealed");
            let opened = vault.open(&sealed).expect("opened");
            assert_eq!(opened.username.as_deref(), username);
            assert_eq!(opened.password.as_ref().map(Secret::expose), password.map(str::as_bytes));
        }
    }

    #[test]
    fn sealed_bytes_hide_the_password_and_open_in_their_vault_alone() {
        let vault = Vault::new().expect("vault");
        let mut sealed = vault.seal(&credentials(Some("user"), Some("hunter2hunter2"))).expect("sealed");
        assert!(!sealed.bytes.windows(7).any(|part| part == b"hunter2"));
        assert!(Vault::new().expect("other").open(&sealed).is_none());
        sealed.bytes[0] ^= 1;
        assert!(vault.open(&sealed).is_none());
    }
}
