//! Words for numbers of things, and lists of words.

use crate::eight::{EACH, HIGH};

/// `1 message`, `2 messages`.
pub fn count(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// Whether a text is one of these words, in capitals or not.
pub fn is_in(words: &[&str], text: &str) -> bool {
    is_one_of(words, text.as_bytes())
}

/// The same of a text that is there as bytes.
pub fn is_one_of(words: &[&str], text: &[u8]) -> bool {
    words.iter().any(|word| word.as_bytes().eq_ignore_ascii_case(text))
}

/// Whether a name is one of these, which have small letters and digits alone: `lastUpdated` and `last_updated` are.
pub fn is_called(names: &[&str], name: &str) -> bool {
    is_called_but_for(|byte| !byte.is_ascii_alphanumeric(), names, name.as_bytes())
}

/// Whether a name is one of these, which have small letters, when what separates its parts is left out.
pub fn is_called_but_for(separates: fn(&u8) -> bool, names: &[&str], name: &[u8]) -> bool {
    let Some(last) = name.last() else { return names.contains(&"") };
    // Asked for most members of most messages: few end like one of these.
    let may_be = |known: &str| {
        known.len() <= name.len()
            && (known.as_bytes().last().is_some_and(|end| end.eq_ignore_ascii_case(last)) || separates(last))
    };
    let letters = || name.iter().filter(|byte| !separates(byte)).map(|byte| byte.to_ascii_lowercase());
    // Where they are as long, nothing can be left out.
    let is_it = |known: &str| match known.len() == name.len() {
        true => name.eq_ignore_ascii_case(known.as_bytes()),
        false => known.bytes().eq(letters()),
    };
    names.iter().any(|known| may_be(known) && is_it(known))
}

/// Cuts the next word off the front: letters, digits and underscores, and all that is not ASCII. Tells whether a phrase
/// ended before it.
pub fn next_word<'a>(rest: &mut &'a str) -> Option<(&'a str, bool)> {
    let bytes = rest.as_bytes();
    let start = bytes.iter().position(|byte| IN_WORD[usize::from(*byte)])?;
    let ends_phrase = bytes[..start].iter().any(|byte| matches!(byte, b',' | b'.' | b';' | b'!' | b'\n'));
    let length = bytes[start..].iter().position(|byte| !IN_WORD[usize::from(*byte)]).unwrap_or(bytes.len() - start);
    let (word, behind) = rest[start..].split_at(length);
    *rest = behind;
    Some((word, ends_phrase))
}

/// Whether one of the words is such a one. Each byte of each text passes here, so eight letters at a time: adding what a
/// character lacks to 128 sets the high bit of those from it on, and no sum is carried over where all are ASCII.
pub fn any_word(bytes: &[u8], is_such: fn(&[u8]) -> bool) -> bool {
    let from = |chunk: u64, first: u8| chunk.wrapping_add(EACH * u64::from(0x80 - first));
    let all_letters = |chunk: &[u8; 8]| {
        let chunk = u64::from_ne_bytes(*chunk);
        let small = chunk | (0x20 * EACH);
        from(small, b'a') & !from(small, b'z' + 1) & !chunk & HIGH == HIGH
    };
    let (mut begins, mut rest) = (0, bytes);
    while !rest.is_empty() {
        let (part, behind) = rest.split_at(rest.len().min(8));
        if !part.try_into().is_ok_and(all_letters) {
            for (at, byte) in (bytes.len() - rest.len()..).zip(part) {
                if !IN_WORD[usize::from(*byte)] {
                    if is_such(&bytes[begins..at]) {
                        return true;
                    }
                    begins = at + 1;
                }
            }
        }
        rest = behind;
    }
    is_such(&bytes[begins..])
}

/// Letters, digits, underscores, and all that is not ASCII.
static IN_WORD: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = (byte as u8).is_ascii_alphanumeric() || byte == b'_' as usize || byte >= 0x80;
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_found_wherever_it_stands() {
        let has = |text: &str| any_word(text.as_bytes(), |word| word == b"err");
        for before in 0..20 {
            for behind in 0..20 {
                for (between, expected) in
                    [("", false), (" ", true), ("_", false), ("é", false), ("\n", true), ("9", false)]
                {
                    let text = format!("{}{between}err{between}{}", "z".repeat(before), "Z".repeat(behind));
                    assert_eq!(has(&text), expected || (between.is_empty() && before + behind == 0), "{text:?}");
                }
            }
        }
        assert!(!has("") && has("err") && has("err.") && has("abcdefgh.12345678.err"));
    }

    #[test]
    fn what_stands_in_a_word_and_what_ends_it() {
        for byte in 0..0x80_u8 {
            let text = format!("abcdefgh{}", char::from(byte));
            let is_whole = !any_word(text.as_bytes(), |word| word == b"abcdefgh");
            assert_eq!(is_whole, byte.is_ascii_alphanumeric() || byte == b'_', "{text:?}");
            let text = format!("abc{}efgh", char::from(byte));
            assert_eq!(any_word(text.as_bytes(), |word| word == b"abc"), !is_whole, "{text:?}");
        }
    }

    #[test]
    fn only_one_thing_is_in_the_singular() {
        assert_eq!([0, 1, 2].map(|number| count(number, "day")), ["0 days", "1 day", "2 days"]);
    }

    #[test]
    fn capitals_make_no_other_word() {
        assert_eq!(["ON", "off", "o"].map(|text| is_in(&["on", "OFF"], text)), [true, true, false]);
    }

    #[test]
    fn names_are_the_same_however_their_words_are_joined() {
        let called = |name| is_called(&["lastupdated"], name);
        assert_eq!(["lastUpdated", "last_updated", "last-updated", "updated"].map(called), [true, true, true, false]);
        assert_eq!(
            ["LASTUPDATED", "last updated: ", "lastupdateD", "", "d"].map(called),
            [true, true, true, false, false]
        );
    }
}
