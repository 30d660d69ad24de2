use super::*;

fn policy(rules: &[(List, &str)]) -> Policy {
    let mut policy = Policy::default();
    for (list, filter) in rules {
        policy.add(*list, filter, Origin::Flag).expect("a rule");
    }
    policy
}

fn brokers(rules: &[&str]) -> Policy {
    let mut policy = Policy::default();
    for rule in rules {
        policy.allow_broker(rule, Origin::File).expect("a rule");
    }
    policy
}

fn read_only() -> Policy {
    let mut policy = Policy::default();
    policy.read_only(Origin::Flag);
    policy
}

use List::*;

#[test]
fn without_rules_all_is_allowed() {
    let policy = Policy::default();
    assert_eq!(policy.check_publish("a"), Ok(()));
    assert_eq!(policy.check_publishing(), Ok(()));
    assert_eq!(policy.check_subscribe("$share/g/#"), Ok(()));
    assert_eq!(policy.check_broker("h", 1), Ok(Listed::AsNamed));
    assert_eq!(policy.check_connection_string(), Ok(()));
    assert!(!policy.hides_some() && !policy.hides("a") && policy.describe().is_empty());
}

#[test]
fn publishing_keeps_to_its_lists_and_deny_wins() {
    let policy = policy(&[(AllowPublish, "lab/#"), (AllowPublish, "$x/+"), (DenyPublish, "lab/door/#")]);
    for (topic, allowed) in [
        ("lab", true),
        ("lab/light", true),
        ("lab/door", false),
        ("lab/door/1", false),
        ("laboratory", false),
        ("plant/1", false),
        ("$x/1", true),
        ("$SYS/1", false),
        ("$delayed/5/lab/light", false),
    ] {
        assert_eq!(policy.check_publish(topic).is_ok(), allowed, "{topic}");
    }
}

#[test]
fn a_topic_that_a_broker_publishes_to_later_is_held_against_the_rules_as_well() {
    let policy = policy(&[(DenyPublish, "door/#")]);
    for (topic, allowed) in [
        ("$delayed/5/door/1", false),
        ("$delayed/5/$delayed/5/door", false),
        ("$delayed/5/light", true),
        ("$delayed/door/1", true),
        ("x/$delayed/5/door", true),
    ] {
        assert_eq!(policy.check_publish(topic).is_ok(), allowed, "{topic}");
    }
}

#[test]
fn a_filter_is_allowed_when_all_it_can_match_is() {
    let policy = policy(&[(AllowSubscribe, "sensors/+"), (AllowSubscribe, "lab/#"), (AllowSubscribe, "$SYS/#")]);
    for (filter, allowed) in [
        ("sensors/a", true),
        ("sensors/+", true),
        ("sensors/#", false),
        ("sensors", false),
        ("+/a", false),
        ("lab/+/x", true),
        ("#", false),
        ("$SYS/#", true),
        ("$other/#", false),
        ("$share/g/lab/#", true),
        ("$share/g/sensors/#", false),
        ("$share/g/$share/h/secret", false),
        ("$queue/lab/#", false),
        ("$exclusive/secret", false),
    ] {
        assert_eq!(policy.check_subscribe(filter).is_ok(), allowed, "{filter}");
    }
}

#[test]
fn a_filter_is_refused_when_all_it_can_match_is_denied_and_what_is_denied_is_hidden() {
    let policy = policy(&[(DenySubscribe, "secret/#"), (DenySubscribe, "+/key"), (DenySubscribe, "$SYS/broker/#")]);
    for (filter, allowed) in [
        ("secret", false),
        ("secret/a/+", false),
        ("lab/key", false),
        ("+/key", false),
        ("#", true),
        ("lab/+", true),
        ("$SYS/#", true),
        ("$SYS/broker/load/#", false),
        ("$share/g/secret/#", false),
        ("$share/g/#", true),
        ("$queue/secret/a", false),
        ("$queue/#", true),
        ("$exclusive/lab/key", false),
    ] {
        assert_eq!(policy.check_subscribe(filter).is_ok(), allowed, "{filter}");
    }
    for (topic, hidden) in
        [("secret", true), ("secret/a", true), ("lab/key", true), ("lab/a", false), ("$SYS/broker/x", true)]
    {
        assert_eq!(policy.hides(topic), hidden, "{topic}");
    }
    assert!(policy.hides_some());
}

#[test]
fn read_only_ends_all_publishing_and_what_takes_messages_from_others() {
    let policy = read_only();
    assert!(policy.check_publish("a").is_err() && policy.check_publishing().is_err());
    assert!(policy.check_subscribe("#").is_ok());
    for filter in ["$share/g/a", "$queue/a"] {
        assert!(policy.check_subscribe(filter).is_err(), "{filter}");
    }
}

#[test]
fn publishing_is_over_when_all_that_is_allowed_is_denied() {
    let nothing = policy(&[(AllowPublish, "lab/a"), (AllowPublish, "lab/b/+"), (DenyPublish, "lab/#")]);
    assert!(nothing.check_publishing().is_err());
    let something = policy(&[(AllowPublish, "lab/#"), (DenyPublish, "lab/+")]);
    assert!(something.check_publishing().is_ok());
    assert!(policy(&[(DenyPublish, "#")]).check_publishing().is_ok(), "$ topics are left");
}

#[test]
fn brokers_are_found_by_name_port_and_address() {
    let policy = brokers(&["plant.example:8883", "lab.example", "10.0.0.5", "[::1]:1883"]);
    use Listed::*;
    for (host, port, expected) in [
        ("plant.example", 8883, Some(AsNamed)),
        ("PLANT.example.", 8883, Some(AsNamed)),
        ("plant.example", 1883, Some(PerhapsByAddress)),
        ("lab.example", 1, Some(AsNamed)),
        ("10.0.0.5", 1, Some(AsNamed)),
        ("::ffff:10.0.0.5", 1, Some(AsNamed)),
        ("10.0.0.6", 1, None),
        ("0:0:0:0:0:0:0:1", 1883, Some(AsNamed)),
        ("::1", 1884, None),
        ("other.example", 1883, Some(PerhapsByAddress)),
    ] {
        assert_eq!(policy.check_broker(host, port).ok(), expected, "{host} {port}");
    }
    let address = |text: &str| text.parse::<IpAddr>().expect("an address");
    assert!(policy.allows_address(address("10.0.0.5"), 7) && policy.allows_address(address("::1"), 1883));
    assert!(policy.allows_address(address("::ffff:10.0.0.5"), 7));
    assert!(!policy.allows_address(address("::1"), 1884) && !policy.allows_address(address("10.0.0.6"), 7));
}

#[test]
fn a_name_is_not_looked_up_when_no_address_is_allowed_on_its_port() {
    assert!(brokers(&["lab.example"]).check_broker("other.example", 1883).is_err());
    assert!(brokers(&["lab.example", "10.0.0.5:8883"]).check_broker("other.example", 1883).is_err());
    assert!(brokers(&["lab.example"]).check_broker("127.0.0.1", 1883).is_err());
}

#[test]
fn wrong_broker_rules_are_refused() {
    let mut policy = Policy::default();
    for text in ["", ":1883", "h:", "h:0", "h:x", "h:1:2", "mqtt://h", "u@h", "[::1", "a b"] {
        assert!(policy.allow_broker(text, Origin::Flag).is_err(), "{text}");
    }
    for text in ["h", "h:1", "10.0.0.1", "10.0.0.1:1", "::1", "[::1]", "[::1]:1"] {
        assert!(policy.allow_broker(text, Origin::Flag).is_ok(), "{text}");
    }
}

#[test]
fn a_refusal_names_the_rules_and_where_they_came_from() {
    let mut policy = policy(&[(DenyPublish, "lab/door/#"), (DenyPublish, "other")]);
    policy.add(AllowSubscribe, "sensors/+", Origin::File).expect("a rule");
    let Denied(why) = policy.check_publish("lab/door/1").expect_err("denied");
    assert!(why.contains("--deny-publish lab/door/# (command line)") && !why.contains("other"), "{why}");
    let Denied(why) = policy.check_subscribe("sensors/#").expect_err("denied");
    assert!(why.contains("policy.subscribe.allow sensors/+ (configuration file)"), "{why}");
    let Denied(why) = read_only().check_publish("a").expect_err("denied");
    assert!(why.contains("--read-only (command line)"), "{why}");
    policy.profiles_only(Origin::File);
    let Denied(why) = policy.check_connection_string().expect_err("denied");
    assert!(why.contains("policy.profiles_only (configuration file)"), "{why}");
    let Denied(why) = brokers(&["10.0.0.5"]).check_broker("10.0.0.6", 1).expect_err("denied");
    assert!(why.contains("policy.brokers 10.0.0.5 (configuration file)"), "{why}");
}

#[test]
fn many_rules_are_counted_and_long_ones_are_cut() {
    let long = "x".repeat(60_000);
    let rules: Vec<_> = (0..20).map(|n| format!("{n}/{long}")).collect();
    let policy = policy(&rules.iter().map(|rule| (AllowPublish, rule.as_str())).collect::<Vec<_>>());
    let Denied(why) = policy.check_publish("other").expect_err("denied");
    assert!(why.ends_with("and 12 more") && why.len() < 2000, "{why}");
    assert!(policy.describe().len() < 2000);
}

#[test]
fn all_filters_agree_with_brute_force_under_all_pairs_of_rules() {
    let parts = ["a", "b", "+", "#", "$x"];
    let mut filters: Vec<String> = parts.iter().map(|part| (*part).to_owned()).collect();
    filters.extend(parts.iter().flat_map(|first| parts.iter().map(move |second| format!("{first}/{second}"))));
    filters.retain(|filter| topic::check_filter(filter).is_ok());
    let names = ["a", "b", "c", "$x", "$c"];
    let mut topics: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    topics.extend(names.iter().flat_map(|first| names.iter().map(move |second| format!("{first}/{second}"))));
    topics.extend(names.iter().flat_map(|first| ["a/a", "c/c"].map(|rest| format!("{first}/{rest}"))));
    for allow in &filters {
        for deny in &filters {
            let policy =
                policy(&[(AllowSubscribe, allow), (DenySubscribe, deny), (AllowPublish, allow), (DenyPublish, deny)]);
            for topic in &topics {
                let expected = matches(allow, topic) && !matches(deny, topic);
                assert_eq!(policy.check_publish(topic).is_ok(), expected, "{topic} {allow} {deny}");
            }
            for filter in &filters {
                let matched = || topics.iter().filter(|topic| matches(filter, topic));
                let within = matched().all(|topic| matches(allow, topic));
                let seen = matched().any(|topic| !policy.hides(topic));
                let allowed = policy.check_subscribe(filter).is_ok();
                assert_eq!(allowed, within && seen, "{filter} {allow} {deny}");
            }
        }
    }
}
