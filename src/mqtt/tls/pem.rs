//! Sections of PEM files. The library's reader collects the text of a key in buffers that it gives back without wiping
//! them, also that of a key which it skips on its way to a certificate; this one has a single buffer, and wipes it.

use std::iter::from_fn;

use base64ct::{Base64, Encoding};
use zeroize::Zeroizing;

/// A section whose base64 is still to be read.
pub struct Section<'a> {
    /// What it is of, such as `CERTIFICATE`.
    pub label: &'a [u8],
    text: &'a [u8],
}

/// The form is not that of PEM.
#[derive(Debug, PartialEq)]
pub struct Damaged;

/// All sections of a file, with whatever stands between them left out; one that has no end is the last.
pub fn sections(mut pem: &[u8]) -> impl Iterator<Item = Result<Section<'_>, Damaged>> {
    from_fn(move || {
        let behind = cut(pem, b"-----BEGIN ")?.1;
        let (section, rest) = section(behind).map_or((Err(Damaged), &[][..]), |(section, rest)| (Ok(section), rest));
        pem = rest;
        Some(section)
    })
}

impl Section<'_> {
    /// What it holds, wiped when it is done with.
    pub fn bytes(&self) -> Result<Zeroizing<Vec<u8>>, Damaged> {
        // Room for all of it: a buffer that grows leaves copies behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(self.text.len()));
        bytes.extend(self.text.iter().filter(|byte| !byte.is_ascii_whitespace()));
        let count = Base64::decode_in_place(&mut bytes).map_err(|_| Damaged)?.len();
        bytes.truncate(count);
        Ok(bytes)
    }
}

fn section(behind: &[u8]) -> Option<(Section<'_>, &[u8])> {
    let (label, behind) = cut(behind, DASHES)?;
    let (text, behind) = cut(behind, b"-----END ")?;
    let rest = behind.strip_prefix(label)?.strip_prefix(DASHES)?;
    Some((Section { label, text }, rest))
}

const DASHES: &[u8] = b"-----";

/// What is before and what is behind the first `mark`.
fn cut<'a>(text: &'a [u8], mark: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = text.windows(mark.len()).position(|part| part == mark)?;
    Some((&text[..at], &text[at + mark.len()..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Read = (String, Result<Vec<u8>, Damaged>);

    fn read(pem: &str) -> Vec<Result<Read, Damaged>> {
        let shown = |section: Section<'_>| {
            (String::from_utf8_lossy(section.label).into_owned(), section.bytes().map(|bytes| bytes.to_vec()))
        };
        sections(pem.as_bytes()).map(|section| section.map(shown)).collect()
    }

    fn of(label: &str, bytes: &[u8]) -> Result<Read, Damaged> {
        Ok((label.to_owned(), Ok(bytes.to_vec())))
    }

    #[test]
    fn sections_come_in_their_order_however_lines_end() {
        let pem = "subject=CN\n-----BEGIN CERTIFICATE-----\nAAEC\nAwQ=\n-----END CERTIFICATE-----\n\n# the key\n\
            -----BEGIN EC PRIVATE KEY-----\n  /w==\n-----END EC PRIVATE KEY-----";
        let expected = [of("CERTIFICATE", &[0, 1, 2, 3, 4]), of("EC PRIVATE KEY", &[255])];
        assert_eq!(read(pem), expected);
        assert_eq!(read(&pem.replace('\n', "\r\n")), expected);
        assert_eq!(read(&pem.replace('\n', "\r")), expected);
        assert_eq!(read("no section"), []);
        assert_eq!(read(""), []);
    }

    #[test]
    fn what_is_no_base64_damages_its_own_section_alone() {
        let pem = "-----BEGIN A-----\nA*==\n-----END A-----\n-----BEGIN B-----\nAA==\n-----END B-----\n";
        assert_eq!(read(pem), [Ok(("A".to_owned(), Err(Damaged))), of("B", &[0])]);
    }

    #[test]
    fn a_section_without_its_own_end_is_damaged() {
        for pem in [
            "-----BEGIN A",
            "-----BEGIN A-----\nAA==\n",
            "-----BEGIN A-----\nAA==\n-----END A",
            "-----BEGIN A-----\nAA==\n-----END B-----\n",
            "-----BEGIN A-----\nAA==\n-----BEGIN B-----\nAA==\n-----END B-----\n",
        ] {
            assert_eq!(read(pem), [Err(Damaged)], "{pem}");
        }
    }
}
