//! What a certificate says of itself: a reader of the few X.509 fields that a person wants to see. It decides nothing:
//! trust is the verifier's. Bytes that it does not understand give `None`, or leave a text out.

use std::fmt::Write;
use std::net::IpAddr;

use crate::clock::Timestamp;
use crate::limits::{CERTIFICATE_NAMES_MAX, CERTIFICATE_TEXT_MAX_BYTES};

/// A certificate's own words. The texts are the broker's: data, cut to a bounded size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Whom it is for, as `CN=…, O=…`.
    pub subject: String,
    /// Who issued it.
    pub issuer: String,
    /// Host names and addresses it is for (subjectAltName).
    pub names: Vec<String>,
    /// How many more names there are.
    pub names_omitted: usize,
    /// First moment of its life.
    pub not_before: Timestamp,
    /// Last moment of its life.
    pub not_after: Timestamp,
    /// Version of X.509, 1 to 3.
    pub version: u8,
}

impl Certificate {
    /// Reads a certificate (DER).
    pub fn read(der: &[u8]) -> Option<Self> {
        let mut certificate = Der(Der(der).take(SEQUENCE)?);
        let mut fields = Der(certificate.take(SEQUENCE)?);
        let version = fields.take(VERSION).map_or(Some(1), |field| Der(field).take(INTEGER)?.last()?.checked_add(1))?;
        fields.take(INTEGER)?;
        fields.take(SEQUENCE)?;
        let issuer = fields.take(SEQUENCE)?;
        let mut validity = Der(fields.take(SEQUENCE)?);
        let (not_before, not_after) = (validity.time()?, validity.time()?);
        let subject = fields.take(SEQUENCE)?;
        fields.take(SEQUENCE)?;
        let (names, names_omitted) = alternative_names(fields);
        let (subject, issuer) = (distinguished(subject), distinguished(issuer));
        Some(Self { subject, issuer, names, names_omitted, not_before, not_after, version })
    }

    /// Its common name, the last resort of certificates that list no names.
    pub fn common_name(&self) -> Option<&str> {
        self.subject.split(", ").find_map(|part| part.strip_prefix("CN="))
    }

    /// Whether it names itself as its issuer.
    pub fn is_self_issued(&self) -> bool {
        self.subject == self.issuer
    }
}

const INTEGER: u8 = 0x02;
const OCTETS: u8 = 0x04;
const OBJECT: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;
const DNS_NAME: u8 = 0x82;
const IP_ADDRESS: u8 = 0x87;
const SUBJECT_ALT_NAME: [u8; 3] = [0x55, 0x1d, 0x11];

/// Bytes of a sequence of elements.
#[derive(Clone, Copy)]
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// The next element: its tag and content.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&[tag, first], rest) = self.0.split_first_chunk::<2>()?;
        let (length, rest) = match first {
            0..=0x7f => (first.into(), rest),
            0x81..=0x84 => {
                let (digits, rest) = rest.split_at_checked((first & 0x7f).into())?;
                (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, content))
    }

    /// The next element's content if it has this tag; otherwise nothing is taken.
    fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        let before = self.0;
        match self.next() {
            Some((found, content)) if found == tag => Some(content),
            _ => {
                self.0 = before;
                None
            }
        }
    }

    fn time(&mut self) -> Option<Timestamp> {
        match self.next()? {
            (UTC_TIME, text) => {
                let year = number(text.get(..2)?)?;
                timestamp(if year < 50 { 2000 + year } else { 1900 + year }, text.get(2..)?)
            }
            (GENERALIZED_TIME, text) => timestamp(number(text.get(..4)?)?, text.get(4..)?),
            _ => None,
        }
    }
}

/// Month to second, as in `0131235959Z`.
fn timestamp(year: u64, rest: &[u8]) -> Option<Timestamp> {
    let part = |index: usize| number(rest.get(2 * index..2 * index + 2)?);
    let (month, day, hour, minute, second) = (part(0)?, part(1)?, part(2)?, part(3)?, part(4)?);
    if rest.get(10..) != Some(b"Z") || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Years begin in March, so that the day that may be missing is the last one.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year.checked_sub(1)?, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1;
    // Day 0 of this count was 719,468 days before 1970; earlier times are shown as 1970.
    let seconds = days.saturating_sub(719_468) * 86_400 + hour * 3600 + minute * 60 + second;
    Some(Timestamp(seconds * 1000))
}

fn number(digits: &[u8]) -> Option<u64> {
    digits
        .iter()
        .try_fold(0, |number, digit| Some(number * 10 + u64::from(digit.checked_sub(b'0').filter(|n| *n < 10)?)))
}

/// A name as `CN=…, O=…`; parts of unknown kinds are left out.
fn distinguished(name: &[u8]) -> String {
    let (mut text, mut sets) = (String::new(), Der(name));
    while let Some(set) = sets.take(SET) {
        let mut parts = Der(set);
        while let Some(part) = parts.take(SEQUENCE) {
            let mut part = Der(part);
            let (Some(kind), Some((tag, value))) = (part.take(OBJECT).and_then(short_name), part.next()) else {
                continue;
            };
            let comma = if text.is_empty() { "" } else { ", " };
            // Writing into a String cannot fail.
            let _ = write!(text, "{comma}{kind}={}", string(tag, value));
        }
    }
    cut(text)
}

fn short_name(object: &[u8]) -> Option<&'static str> {
    Some(match object {
        [0x55, 4, 3] => "CN",
        [0x55, 4, 5] => "serialNumber",
        [0x55, 4, 6] => "C",
        [0x55, 4, 7] => "L",
        [0x55, 4, 8] => "ST",
        [0x55, 4, 10] => "O",
        [0x55, 4, 11] => "OU",
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1] => "emailAddress",
        [0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25] => "DC",
        _ => return None,
    })
}

fn string(tag: u8, value: &[u8]) -> String {
    match tag {
        // T61String is read as Latin-1, which is how it was used.
        0x14 => value.iter().map(|byte| char::from(*byte)).collect(),
        // BMPString.
        0x1e => {
            let units: Vec<_> = value.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
            String::from_utf16_lossy(&units)
        }
        _ => String::from_utf8_lossy(value).into_owned(),
    }
}

fn alternative_names(mut fields: Der<'_>) -> (Vec<String>, usize) {
    let (mut names, mut omitted) = (Vec::new(), 0);
    // Two identifiers that nobody uses may stand before the extensions.
    let extensions = std::iter::from_fn(|| fields.next()).find(|(tag, _)| *tag == EXTENSIONS);
    let mut extensions = Der(extensions.and_then(|(_, content)| Der(content).take(SEQUENCE)).unwrap_or_default());
    while let Some(extension) = extensions.take(SEQUENCE) {
        let mut extension = Der(extension);
        if extension.take(OBJECT) != Some(&SUBJECT_ALT_NAME) {
            continue;
        }
        let value = std::iter::from_fn(|| extension.next()).find(|(tag, _)| *tag == OCTETS);
        let mut list = Der(value.and_then(|(_, content)| Der(content).take(SEQUENCE)).unwrap_or_default());
        while let Some((tag, content)) = list.next() {
            match alternative_name(tag, content) {
                Some(name) if names.len() < CERTIFICATE_NAMES_MAX => names.push(name),
                Some(_) => omitted += 1,
                None => {}
            }
        }
    }
    (names, omitted)
}

fn alternative_name(tag: u8, content: &[u8]) -> Option<String> {
    match tag {
        DNS_NAME => Some(cut(String::from_utf8_lossy(content).into_owned())),
        IP_ADDRESS => match (<[u8; 4]>::try_from(content), <[u8; 16]>::try_from(content)) {
            (Ok(four), _) => Some(IpAddr::from(four).to_string()),
            (_, Ok(sixteen)) => Some(IpAddr::from(sixteen).to_string()),
            _ => None,
        },
        _ => None,
    }
}

fn cut(mut text: String) -> String {
    if text.len() > CERTIFICATE_TEXT_MAX_BYTES {
        text.truncate(text.floor_char_boundary(CERTIFICATE_TEXT_MAX_BYTES));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
        let content = parts.concat();
        let length = content.len();
        let mut bytes = vec![tag];
        match length {
            0..=0x7f => bytes.push(length as u8),
            0x80..=0xff => bytes.extend([0x81, length as u8]),
            _ => bytes.extend([0x82, (length >> 8) as u8, length as u8]),
        }
        [bytes, content].concat()
    }

    fn name(parts: &[(&[u8], u8, &[u8])]) -> Vec<u8> {
        let set = |(kind, tag, value): &(&[u8], u8, &[u8])| {
            element(SET, &[&element(SEQUENCE, &[&element(OBJECT, &[kind]), &element(*tag, &[value])])])
        };
        element(SEQUENCE, &[&parts.iter().flat_map(set).collect::<Vec<_>>()])
    }

    fn time(text: &str) -> Vec<u8> {
        element(if text.len() == 13 { UTC_TIME } else { GENERALIZED_TIME }, &[text.as_bytes()])
    }

    /// A certificate whose signature nobody looks at.
    fn certificate(subject: &[u8], life: (&str, &str), names: Option<&[u8]>) -> Vec<u8> {
        let issuer = name(&[(&[0x55, 4, 10], 0x14, b"M\xfcller"), (&[0x55, 4, 3], 0x1e, b"\x00C\x00A")]);
        let extensions = names.map(|names| {
            let value = element(OCTETS, &[&element(SEQUENCE, &[names])]);
            let san = element(SEQUENCE, &[&element(OBJECT, &[&SUBJECT_ALT_NAME]), &[1, 1, 0xff], &value]);
            let other = element(SEQUENCE, &[&element(OBJECT, &[&[0x55, 0x1d, 0x13]]), &element(OCTETS, &[&[0x30, 0]])]);
            element(EXTENSIONS, &[&element(SEQUENCE, &[&other, &san])])
        });
        let version = element(VERSION, &[&element(INTEGER, &[&[2]])]);
        let fields = element(
            SEQUENCE,
            &[
                if names.is_some() { &version } else { &[] },
                &element(INTEGER, &[&[1]]),
                &element(SEQUENCE, &[]),
                &issuer,
                &element(SEQUENCE, &[&time(life.0), &time(life.1)]),
                subject,
                &element(SEQUENCE, &[]),
                &element(0x81, &[&[0, 1]]),
                &extensions.unwrap_or_default(),
            ],
        );
        element(SEQUENCE, &[&fields, &element(SEQUENCE, &[]), &element(0x03, &[&[0]])])
    }

    const LIFE: (&str, &str) = ("200229235958Z", "21000301000000Z");

    fn common_name(value: &[u8]) -> Vec<u8> {
        name(&[(&[0x55, 4, 3], 0x0c, value), (&[0x55, 4, 99], 0x0c, b"unknown kind")])
    }

    #[test]
    fn a_certificate_tells_whom_it_is_for_who_issued_it_and_until_when() {
        let mut names = element(DNS_NAME, &[b"plant.example"]);
        names.extend(element(0x81, &[b"mail@example"]));
        names.extend(element(IP_ADDRESS, &[&[192, 0, 2, 1]]));
        names.extend(element(IP_ADDRESS, &[&[0; 15], &[1]]));
        names.extend(element(IP_ADDRESS, &[&[1, 2, 3]]));
        let read = Certificate::read(&certificate(&common_name("Höhe".as_bytes()), LIFE, Some(&names))).expect("read");
        assert_eq!((read.subject.as_str(), read.issuer.as_str()), ("CN=Höhe", "O=Müller, CN=CA"));
        assert_eq!(
            (read.names.as_slice(), read.names_omitted),
            (&["plant.example", "192.0.2.1", "::1"].map(String::from)[..], 0)
        );
        assert_eq!((read.common_name(), read.is_self_issued(), read.version), (Some("Höhe"), false, 3));
        assert_eq!(read.not_before.to_string(), "2020-02-29T23:59:58.000Z");
        assert_eq!(read.not_after.to_string(), "2100-03-01T00:00:00.000Z");
    }

    #[test]
    fn a_certificate_of_version_1_has_no_names() {
        let read = Certificate::read(&certificate(&common_name(b"old"), LIFE, None)).expect("read");
        assert_eq!((read.version, read.names.len(), read.common_name()), (1, 0, Some("old")));
    }

    #[test]
    fn times_are_those_of_the_calendar() {
        for (text, shown) in [
            ("700101000000Z", "1970-01-01T00:00:00.000Z"),
            ("500101000000Z", "1970-01-01T00:00:00.000Z"),
            ("491231235959Z", "2049-12-31T23:59:59.000Z"),
            ("20000229120000Z", "2000-02-29T12:00:00.000Z"),
            ("99991231235959Z", "9999-12-31T23:59:59.000Z"),
        ] {
            assert_eq!(Der(&time(text)).time().expect(text).to_string(), shown);
        }
        for text in ["200001000000Z", "200132000000Z", "2001010000000", "20010100000 Z", "2001010000Z"] {
            assert_eq!(Der(&time(text)).time(), None, "{text}");
        }
    }

    #[test]
    fn what_is_long_is_cut_and_counted() {
        let names: Vec<_> = (0..CERTIFICATE_NAMES_MAX + 3).flat_map(|_| element(DNS_NAME, &[&[b'n'; 300]])).collect();
        let read = Certificate::read(&certificate(&common_name("ä".repeat(200).as_bytes()), LIFE, Some(&names)));
        let read = read.expect("read");
        assert_eq!((read.names.len(), read.names_omitted), (CERTIFICATE_NAMES_MAX, 3));
        let longest = CERTIFICATE_TEXT_MAX_BYTES + '…'.len_utf8();
        assert!(read.names.iter().chain([&read.subject]).all(|text| text.len() <= longest && text.ends_with('…')));
    }

    #[test]
    fn no_bytes_make_it_panic() {
        let whole = certificate(&common_name(b"x"), LIFE, Some(&element(IP_ADDRESS, &[&[127, 0, 0, 1]])));
        for length in 0..whole.len() {
            assert_eq!(Certificate::read(&whole[..length]), None, "{length}");
        }
        let mut state = 1u32;
        for _ in 0..100_000 {
            let mut changed = whole.clone();
            for _ in 0..3 {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let at = (state >> 8) as usize % changed.len();
                changed[at] = state as u8;
            }
            let _ = Certificate::read(&changed);
        }
    }
}
