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

#[cfg(test)]
mod tests {
    use super::*;

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
