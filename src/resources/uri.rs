//! Names of resources. Behind `/topic/` stands the topic, percent-encoded as a URI asks for, and nothing else has a
//! meaning there: `?` and `#` are no query and no fragment, and slashes count, so clients may expand the template with
//! whatever they encode (RFC 6570 leaves `{+topic}` much freedom). A `%` that begins no triplet is taken as it is.

use percent_encoding::percent_decode_str;

use crate::mqtt::topic;

/// The table of sessions.
pub const SESSIONS: &str = "mqtt://sessions";
/// A topic of a session.
pub const TOPIC_TEMPLATE: &str = "mqtt://{session_id}/topic/{+topic}";

/// As filters these are no topics but ways to share messages, and whoever looks at one takes its messages from others.
const TAKES_FROM_OTHERS: [&str; 3] = ["$share/", "$queue/", "$exclusive/"];

/// What a URI names.
#[derive(Debug, PartialEq, Eq)]
pub enum Named<'a> {
    /// The table of sessions.
    Sessions,
    /// What a session's broker tells of itself.
    Broker {
        /// The session.
        session_id: &'a str,
    },
    /// The message on a topic.
    Topic {
        /// The session.
        session_id: &'a str,
        /// The topic, decoded and valid.
        topic: String,
    },
}

/// Reads a URI; the error is a sentence.
pub fn parse(uri: &str) -> Result<Named<'_>, String> {
    if uri == SESSIONS {
        return Ok(Named::Sessions);
    }
    let rest = uri.strip_prefix("mqtt://").and_then(|rest| rest.split_once('/'));
    let Some((session_id, rest)) = rest else { return Err(unknown()) };
    if rest == "broker" {
        return Ok(Named::Broker { session_id });
    }
    let Some(encoded) = rest.strip_prefix("topic/") else { return Err(unknown()) };
    let decoded = String::from_utf8(percent_decode_str(encoded).collect());
    let topic = decoded.map_err(|_| "the topic is not UTF-8".to_owned())?;
    topic::check_name(&topic).map_err(|what| format!("the topic {what}"))?;
    if TAKES_FROM_OTHERS.iter().any(|prefix| topic.starts_with(prefix)) {
        return Err("this is a subscription that takes messages from others, not a topic".to_owned());
    }
    Ok(Named::Topic { session_id, topic })
}

/// The URI of a session's broker.
pub fn broker(session_id: &str) -> String {
    format!("mqtt://{session_id}/broker")
}

fn unknown() -> String {
    format!("no such resource: there are {SESSIONS}, mqtt://{{session_id}}/broker and {TOPIC_TEMPLATE}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_what_its_percent_encoding_says() {
        for (encoded, topic) in [
            ("home/kitchen/temp", "home/kitchen/temp"),
            ("home%2Fkitchen%2Ftemp", "home/kitchen/temp"),
            ("$SYS/broker/uptime", "$SYS/broker/uptime"),
            ("/leading//double/", "/leading//double/"),
            ("a%20b/c%3Fd", "a b/c?d"),
            ("a?b=c&d:e@f;g", "a?b=c&d:e@f;g"),
            ("100%25", "100%"),
            ("100%", "100%"),
            ("100%zz", "100%zz"),
            ("%2525", "%25"),
            ("k%C3%BCche/ü", "küche/ü"),
            ("topic/topic/broker", "topic/topic/broker"),
            ("a/../b/./c", "a/../b/./c"),
        ] {
            let uri = format!("mqtt://5f/topic/{encoded}");
            assert_eq!(parse(&uri), Ok(Named::Topic { session_id: "5f", topic: topic.into() }), "{encoded}");
        }
        assert_eq!(parse("mqtt://sessions"), Ok(Named::Sessions));
        assert_eq!(parse("mqtt://5f/broker"), Ok(Named::Broker { session_id: "5f" }));
    }

    #[test]
    fn what_names_nothing_is_refused_with_what_there_is() {
        for (uri, why) in [
            ("", "no such resource"),
            ("mqtt://", "no such resource"),
            ("mqtt://sessions/", "no such resource"),
            ("mqtt://5f", "no such resource"),
            ("mqtt://5f/topic", "no such resource"),
            ("mqtt://5f/brokers", "no such resource"),
            ("http://5f/broker", "no such resource"),
            ("file:///etc/passwd", "no such resource"),
            ("MQTT://sessions", "no such resource"),
            ("mqtt://5f/topic/", "must not be empty"),
            ("mqtt://5f/topic/a/%23", "wildcards"),
            ("mqtt://5f/topic/a/+/b", "wildcards"),
            ("mqtt://5f/topic/a#b", "wildcards"),
            ("mqtt://5f/topic/%00", "control"),
            ("mqtt://5f/topic/a%0Ab", "control"),
            ("mqtt://5f/topic/%ff", "UTF-8"),
            ("mqtt://5f/topic/$share/g/t", "takes messages from others"),
            ("mqtt://5f/topic/%24queue%2Ft", "takes messages from others"),
        ] {
            let refused = parse(uri).expect_err(uri);
            assert!(refused.contains(why), "{uri}: {refused}");
        }
        let long = format!("mqtt://5f/topic/{}", "x".repeat(65_536));
        assert!(parse(&long).is_err());
    }
}
