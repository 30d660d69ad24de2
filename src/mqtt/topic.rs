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
    let mut levels = filter.split('/').peekable();
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
    if topic.starts_with('$') && !filter.starts_with('$') {
        return false;
    }
    let mut topic_levels = topic.split('/');
    for level in filter.split('/') {
        if level == "#" {
            return true;
        }
        match topic_levels.next() {
            Some(name) if level == "+" || level == name => {}
            _ => return false,
        }
    }
    topic_levels.next().is_none()
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
    fn wrong_names_and_filters_are_refused() {
        for filter in ["", "a#", "a/#/b", "#/a", "a+", "a/+b/c", "a\0"] {
            assert!(check_filter(filter).is_err(), "{filter}");
        }
        for filter in ["#", "+", "/", "a//b", "+/#", "$SYS/#", "a b/ü"] {
            assert!(check_filter(filter).is_ok(), "{filter}");
        }
        for topic in ["", "a/+", "#", "a\0b"] {
            assert!(check_name(topic).is_err(), "{topic}");
        }
        assert!(check_name(&"a".repeat(65_536)).is_err());
        assert!(check_name(&"/".repeat(200)).is_err());
        assert!(check_name(&"a".repeat(65_535)).is_ok());
    }

    #[test]
    fn overlap_agrees_with_brute_force_over_small_topics() {
        let levels = ["a", "b", "$x"];
        let mut topics = Vec::new();
        for x in levels {
            topics.push(x.to_owned());
            for y in levels {
                topics.push(format!("{x}/{y}"));
                for z in levels {
                    topics.push(format!("{x}/{y}/{z}"));
                }
            }
        }
        let parts = ["a", "b", "+", "#", "$x"];
        let mut filters = Vec::new();
        for x in parts {
            filters.push(x.to_owned());
            for y in parts {
                filters.push(format!("{x}/{y}"));
            }
        }
        filters.retain(|filter| check_filter(filter).is_ok());
        for a in &filters {
            for b in &filters {
                let expected = topics.iter().any(|topic| matches(a, topic) && matches(b, topic));
                assert_eq!(overlap(a, b), expected, "{a} {b}");
            }
        }
    }
}
