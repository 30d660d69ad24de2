//! Words for numbers of things, and lists of words.

/// `1 message`, `2 messages`.
pub fn count(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// Whether a text is one of these words, in capitals or not.
pub fn is_in(words: &[&str], text: &str) -> bool {
    words.iter().any(|word| word.eq_ignore_ascii_case(text))
}

/// Whether a name is one of these, which have small letters and digits alone: `lastUpdated` and `last_updated` are.
pub fn is_called(names: &[&str], name: &str) -> bool {
    is_called_but_for(|byte| !byte.is_ascii_alphanumeric(), names, name)
}

/// Whether a name is one of these, which have small letters, when what separates its parts is left out.
pub fn is_called_but_for(separates: fn(&u8) -> bool, names: &[&str], name: &str) -> bool {
    let Some(last) = name.as_bytes().last() else { return names.contains(&"") };
    // Asked for most members of most messages: few end like one of these.
    let may_be = |known: &str| {
        known.len() <= name.len()
            && (known.as_bytes().last().is_some_and(|end| end.eq_ignore_ascii_case(last)) || separates(last))
    };
    let letters = || name.bytes().filter(|byte| !separates(byte)).map(|byte| byte.to_ascii_lowercase());
    names.iter().any(|known| may_be(known) && known.bytes().eq(letters()))
}

/// Cuts the next word off the front: letters, digits and underscores, and all that is not ASCII. Tells whether a phrase
/// ended before it.
pub fn next_word<'a>(rest: &mut &'a str) -> Option<(&'a str, bool)> {
    let bytes = rest.as_bytes();
    let start = bytes.iter().position(|byte| IN_WORD[usize::from(*byte)])?;
    let ends_phrase = bytes[..start].iter().any(|byte| matches!(byte, b',' | b'.' | b';' | b'!' | b'\n'));
    let (word, behind) = rest[start..].split_at(word_length(&bytes[start..]));
    *rest = behind;
    Some((word, ends_phrase))
}

/// How long the word is that begins here. Eight letters and digits at a time, since each byte of each text is asked for:
/// adding what a character lacks to 128 sets the high bit of those from it on, and no sum is carried over, as all are ASCII.
fn word_length(bytes: &[u8]) -> usize {
    const EACH: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x80 * EACH;
    let from = |chunk: u64, first: u8| chunk.wrapping_add(EACH * u64::from(0x80 - first));
    let is_word = |chunk: &[u8; 8]| {
        let chunk = u64::from_ne_bytes(*chunk);
        let small = chunk | (0x20 * EACH);
        let letter = from(small, b'a') & !from(small, b'z' + 1);
        let digit = from(chunk, b'0') & !from(chunk, b'9' + 1);
        chunk & HIGH == 0 && (letter | digit) & HIGH == HIGH
    };
    let (chunks, _) = bytes.as_chunks::<8>();
    let start = 8 * chunks.iter().position(|chunk| !is_word(chunk)).unwrap_or(chunks.len());
    start + bytes[start..].iter().position(|byte| !IN_WORD[usize::from(*byte)]).unwrap_or(bytes.len() - start)
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
    fn a_word_is_as_long_whatever_stands_around_it() {
        for other in 0..=u8::MAX {
            for length in 0..20 {
                let mut text = *b"aZ09zA5bY18yB4cX27xC";
                text[length] = other;
                let expected = if IN_WORD[usize::from(other)] { text.len() } else { length };
                assert_eq!(word_length(&text), expected, "{other:#x} at {length}");
            }
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
