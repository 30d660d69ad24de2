//! Topic names and filters (MQTT 3.1.1 section 4.7).

use crate::limits::{STRING_MAX_BYTES, TOPIC_LEVELS_MAX};

/// Checks a topic that something is published to. The error is a sentence that says what would be right.
pub fn check_name(topic: &str) -> Result<(), &'static str> {
    if topic.contains(['+', '#']) {
        return Err("must not have the wildcards + or #: a message goes to one topic");
    }
    check_common(topic)
}

/// Checks a filter to subscribe to. The error is a sentence that says what would be right.
pub fn check_filter(filter: &str) -> Result<(), &'static str> {
    check_common(filter)?;
    let mut levels = match shared(filter) {
        Some(inner) => inner.split('/').peekable(),
        None if filter.starts_with("$share/") => {
            return Err("must have a group and a filter behind $share, as in $share/group/sensors/#");
        }
        None => filter.split('/').peekable(),
    };
    while let Some(level) = levels.next() {
        if level.contains('#') && (level != "#" || levels.peek().is_some()) {
            return Err("has a # that is not the last level by itself, as in sensors/#");
        }
        if level.contains('+') && level != "+" {
            return Err("has a + that is not a whole level, as in sensors/+/temperature");
        }
    }
    Ok(())
}

fn check_common(text: &str) -> Result<(), &'static str> {
    if text.is_empty() {
        return Err("must not be empty");
    }
    if text.len() > STRING_MAX_BYTES {
        return Err("must be at most 65535 bytes");
    }
    // The standard forbids NUL and lets brokers hang up at the others (1.5.3), which several do.
    if text.chars().any(char::is_control) {
        return Err("must not have control characters");
    }
    if text.split('/').count() > TOPIC_LEVELS_MAX {
        return Err("must have at most 200 levels");
    }
    Ok(())
}

/// Whether `filter` matches `topic`; both are valid. A leading wildcard does not match `$…` topics (4.7.2).
pub fn matches(filter: &str, topic: &str) -> bool {
    // Asked for each message: byte by byte, since a wildcard is always a whole level.
    let (filter, mut rest) = (filter.as_bytes(), topic.as_bytes());
    if rest.first() == Some(&b'$') && filter.first() != Some(&b'$') {
        return false;
    }
    for (at, byte) in filter.iter().enumerate() {
        rest = match (*byte, rest) {
            (b'#', _) => return true,
            (b'+', _) => &rest[rest.iter().position(|byte| *byte == b'/').unwrap_or(rest.len())..],
            (byte, [first, behind @ ..]) if byte == *first => behind,
            // `a/#` matches `a`.
            _ => return rest.is_empty() && filter[at..] == *b"/#",
        }
    }
    rest.is_empty()
}

/// Whether some topic matches both filters.
pub fn overlap(a: &str, b: &str) -> bool {
    if a.starts_with('$') != b.starts_with('$') {
        return false;
    }
    let (mut a, mut b) = (a.split('/'), b.split('/'));
    loop {
        match (a.next(), b.next()) {
            (None, None) | (Some("#"), _) | (_, Some("#")) => return true,
            (Some(x), Some(y)) if x == y || x == "+" || y == "+" => {}
            _ => return false,
        }
    }
}

/// The filter behind `$share/group/`: messages come on topics that it matches (MQTT 5 section 4.8.2, which brokers of
/// 3.1.1 offer too).
pub fn shared(filter: &str) -> Option<&str> {
    let (group, inner) = filter.strip_prefix("$share/")?.split_once('/')?;
    (!group.is_empty() && !group.contains(['+', '#']) && !inner.is_empty()).then_some(inner)
}

/// Whether every topic that `filter` can match is matched by one of `by`, each by another one if need be.
///
/// What a wildcard stands for is hardest to cover when it is a name that no filter spells out, so topics with such
/// names decide, one for each number of levels up to where all filters have ended or said `#`.
pub fn covered<'a>(filter: &str, by: impl Iterator<Item = &'a str> + Clone) -> bool {
    /// No valid filter has a control character.
    const UNSPELT: &str = "\u{1}";
    let is_covered = |topic: &str| by.clone().any(|other| matches(other, topic));
    let mut topic = filter.replace('+', UNSPELT);
    if filter != "#" && !filter.ends_with("/#") {
        return is_covered(&topic);
    }
    topic.truncate(topic.len() - 1);
    let is_any = topic.is_empty();
    topic.pop();
    // No topic is empty, so `/#` matches none above its first slash.
    if !topic.is_empty() && !is_covered(&topic) {
        return false;
    }
    let levels = by.clone().map(|other| other.split('/').count()).max().unwrap_or(0);
    (0..=levels).all(|level| {
        topic.push_str(if is_any && level == 0 { "" } else { "/" });
        topic.push_str(UNSPELT);
        is_covered(&topic)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_match_as_the_standard_says() {
        for (filter, topic, expected) in [
            ("sport/tennis/player1/#", "sport/tennis/player1", true),
            ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true),
            ("sport/#", "sport", true),
            ("#", "sport", true),
            ("sport/tennis/+", "sport/tennis/player1/ranking", false),
            ("sport/+", "sport", false),
            ("sport/+", "sport/", true),
            ("+/+", "/finance", true),
            ("/+", "/finance", true),
            ("+", "/finance", false),
            ("#", "$SYS/uptime", false),
            ("+/monitor/Clients", "$SYS/monitor/Clients", false),
            ("$SYS/#", "$SYS/uptime", true),
            ("$SYS/+", "$SYS/uptime", true),
            ("a/b", "a/b/c", false),
            ("a/b/c", "a/b", false),
            ("a", "b", false),
        ] {
            assert_eq!(matches(filter, topic), expected, "{filter} {topic}");
        }
    }

    #[test]
    fn filters_match_level_by_level_whatever_the_levels_are() {
        let by_levels = |filter: &str, topic: &str| {
            let mut levels = topic.split('/');
            let dollar = topic.starts_with('$') && !filter.starts_with('$');
            let mut all = filter.split('/').take_while(|level| *level != "#");
            let fits = all.all(|level| levels.next().is_some_and(|name| level == "+" || level == name));
            !dollar && fits && (filter.split('/').next_back() == Some("#") || levels.next().is_none())
        };
        let combined = |parts: &[&str]| -> Vec<String> {
            let longer = |texts: &[String]| -> Vec<String> {
                texts.iter().flat_map(|text| parts.iter().map(move |part| format!("{text}/{part}"))).collect()
            };
            let one: Vec<String> = parts.iter().map(|part| (*part).to_owned()).collect();
            let two = longer(&one);
            let three = longer(&two);
            [one, two, three].concat()
        };
        let topics = combined(&["", "a", "ab", "b", "$a"]);
        let filters = combined(&["", "a", "ab", "$a", "+", "#"]);
        let mut matched = 0;
        for filter in filters.iter().filter(|filter| check_filter(filter).is_ok()) {
            for topic in topics.iter().filter(|topic| check_name(topic).is_ok()) {
                assert_eq!(matches(filter, topic), by_levels(filter, topic), "{filter} {topic}");
                matched += usize::from(matches(filter, topic));
            }
        }
        assert!(matched > 1000, "{matched}");
    }

    #[test]
    fn wrong_names_and_filters_are_refused() {
        for filter in
            ["", "a#", "a/#/b", "#/a", "a+", "a/+b/c", "a\0", "$share/g", "$share//a", "$share/g/", "$share/+/a"]
        {
            assert!(check_filter(filter).is_err(), "{filter}");
        }
        for filter in ["#", "+", "/", "a//b", "+/#", "$SYS/#", "a b/ü", "$share/g/#", "$share/g/a/+"] {
            assert!(check_filter(filter).is_ok(), "{filter}");
        }
        for topic in ["", "a/+", "#", "a\0b"] {
            assert!(check_name(topic).is_err(), "{topic}");
        }
        assert!(check_name(&"a".repeat(65_536)).is_err());
        assert!(check_name(&"/".repeat(200)).is_err());
        assert!(check_name(&"a".repeat(65_535)).is_ok());
    }

    /// All texts of one to `levels` levels from `parts`.
    fn texts(parts: &[&str], levels: usize) -> Vec<String> {
        let mut all = Vec::new();
        let mut longest = vec![String::new()];
        for level in 0..levels {
            let slash = if level == 0 { "" } else { "/" };
            longest =
                longest.iter().flat_map(|text| parts.iter().map(move |part| format!("{text}{slash}{part}"))).collect();
            all.extend(longest.clone());
        }
        all.retain(|text| !text.is_empty());
        all
    }

    fn filters(parts: &[&str], levels: usize) -> Vec<String> {
        let mut filters = texts(parts, levels);
        filters.retain(|filter| check_filter(filter).is_ok());
        filters
    }

    #[test]
    fn overlap_agrees_with_brute_force_over_small_topics() {
        let topics = texts(&["a", "b", "$x"], 3);
        let filters = filters(&["a", "b", "+", "#", "$x"], 2);
        for a in &filters {
            for b in &filters {
                let expected = topics.iter().any(|topic| matches(a, topic) && matches(b, topic));
                assert_eq!(overlap(a, b), expected, "{a} {b}");
            }
        }
    }

    #[test]
    fn cover_agrees_with_brute_force_over_all_sets_of_small_filters() {
        // Names that no filter spells out stand for all others; topics are longer than every filter.
        let topics = texts(&["a", "", "$x", "c", "$c"], 4);
        let filters = filters(&["a", "", "+", "#", "$x"], 3);
        let matched = |filter: &String| topics.iter().map(|topic| matches(filter, topic)).collect::<Vec<_>>();
        let sets: Vec<_> = filters.iter().map(matched).collect();
        let (mut checked, mut covers) = (0, 0);
        for (first, a) in filters.iter().enumerate() {
            for (second, b) in filters.iter().enumerate().skip(first) {
                // Every third filter of those to be covered, another third with each pair: all come about.
                for (third, filter) in filters.iter().enumerate().skip((first + second) % 3).step_by(3) {
                    let by = |topic: usize| sets[first][topic] || sets[second][topic];
                    let expected = (0..topics.len()).all(|topic| !sets[third][topic] || by(topic));
                    let covered = covered(filter, [a.as_str(), b].into_iter());
                    assert_eq!(covered, expected, "{filter} by {a} and {b}");
                    checked += 1;
                    covers += usize::from(covered);
                }
            }
        }
        assert!(checked > 100_000 && covers > 5_000, "{covers} of {checked}");
    }

    #[test]
    fn a_cover_may_be_made_of_several_filters_and_needs_all_of_them() {
        for (filter, by, expected) in [
            ("sensors/#", &["sensors/+"][..], false),
            ("sensors/#", &["sensors", "sensors/+", "sensors/+/#"], true),
            ("sensors/#", &["sensors/+", "sensors/+/#"], false),
            ("sensors/+", &["sensors/#"], true),
            ("+/#", &["#"], true),
            ("#", &["+/#"], true),
            ("#", &["+", "+/+/#"], true),
            ("#", &["$SYS/#"], false),
            ("$SYS/#", &["#"], false),
            ("$SYS/+", &["$SYS/#"], true),
            ("a", &[], false),
        ] {
            assert_eq!(covered(filter, by.iter().copied()), expected, "{filter} by {by:?}");
        }
    }
}
