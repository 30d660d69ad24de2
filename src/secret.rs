//! A value that must not be told: wiped on drop, never printed, never serialised.

use std::fmt;

use zeroize::Zeroizing;

/// Bytes of a password or token.
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes the bytes over; the caller keeps no copy.
    pub fn new(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(bytes)
    }

    /// The bytes, for the one place that uses them.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_prints_as_stars() {
        let secret = Secret::new(Zeroizing::new(b"hunter2".to_vec()));
        assert_eq!(format!("{secret:?}"), "***");
        assert_eq!(secret.expose(), b"hunter2");
    }
}
