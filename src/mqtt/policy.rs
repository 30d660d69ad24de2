//! What this server may do on brokers, whoever asks: which brokers, what is published, what is subscribed to.
//!
//! Deny wins over allow, and rules add up wherever they come from. Without an allow list all is allowed. The checks
//! stand where packets are made: [`super::link::open`] for brokers, the start of a publish, the start of a
//! subscription; and messages on denied topics are dropped by the session before anything sees them, so that a filter
//! may be wider than what is denied (`#` beside a denied `secret/#`), but not wider than what is allowed.

use std::net::IpAddr;

use super::topic::{self, covered, matches};
use super::url::split_address;
use crate::limits::{ECHO_MAX_BYTES, RULES_SHOWN_MAX};

/// The rules. The default allows everything.
#[derive(Debug, Default)]
pub struct Policy {
    read_only: Option<Origin>,
    profiles_only: Option<Origin>,
    brokers: Vec<Broker>,
    /// Indexed by [`List`].
    lists: [Vec<Rule>; 4],
}

/// Where a rule was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A flag.
    Flag,
    /// The configuration file.
    File,
}

/// A list of topic filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    /// What may be published to.
    AllowPublish,
    /// What may not.
    DenyPublish,
    /// What may be subscribed to.
    AllowSubscribe,
    /// What may not, and is never seen.
    DenySubscribe,
}

/// A refusal: a sentence that names the rules and where they came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied(pub String);

/// How a broker was found to be allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listed {
    /// As it was named.
    AsNamed,
    /// Not by its name: only addresses that are allowed themselves may be connected to.
    PerhapsByAddress,
}

#[derive(Debug)]
struct Rule {
    filter: String,
    origin: Origin,
}

#[derive(Debug)]
struct Broker {
    host: Host,
    /// Without one, every port.
    port: Option<u16>,
    text: String,
    origin: Origin,
}

#[derive(Debug, PartialEq)]
enum Host {
    Name(String),
    Address(IpAddr),
}

impl Policy {
    /// Nothing may be published.
    pub fn read_only(&mut self, origin: Origin) {
        self.read_only.get_or_insert(origin);
    }

    /// Only configured brokers may be used.
    pub fn profiles_only(&mut self, origin: Origin) {
        self.profiles_only.get_or_insert(origin);
    }

    /// Allows a broker, `HOST` or `HOST:PORT`; once there is one, others are refused.
    pub fn allow_broker(&mut self, text: &str, origin: Origin) -> Result<(), &'static str> {
        let (host, port) = match text.parse::<IpAddr>() {
            Ok(_) => (text, None),
            Err(_) => split_address(text)?,
        };
        self.brokers.push(Broker { host: Host::of(host), port, text: text.to_owned(), origin });
        Ok(())
    }

    /// Adds a filter to a list.
    pub fn add(&mut self, list: List, filter: &str, origin: Origin) -> Result<(), &'static str> {
        topic::check_filter(filter)?;
        if topic::shared(filter).is_some() {
            return Err("must be a filter without $share/group/ before it: shared subscriptions are held against it");
        }
        self.lists[list as usize].push(Rule { filter: filter.to_owned(), origin });
        Ok(())
    }

    /// Whether a connection string may be used.
    pub fn check_connection_string(&self) -> Result<(), Denied> {
        match self.profiles_only {
            None => Ok(()),
            Some(origin) => Err(Denied(format!(
                "only configured brokers may be used: {}",
                named("--profiles-only", "policy.profiles_only", origin)
            ))),
        }
    }

    /// Whether a broker may be connected to. A rule with a name allows that name, whatever its address; one with an
    /// address allows that address, also when a name leads to it.
    pub fn check_broker(&self, host: &str, port: u16) -> Result<Listed, Denied> {
        let host = Host::of(host);
        let of_port = |broker: &&Broker| broker.port.is_none_or(|allowed| allowed == port);
        let mut rules = self.brokers.iter().filter(of_port);
        if self.brokers.is_empty() || rules.clone().any(|broker| broker.host == host) {
            return Ok(Listed::AsNamed);
        }
        // A name is looked up only when its address may be an allowed one.
        if matches!(host, Host::Name(_)) && rules.any(|broker| matches!(broker.host, Host::Address(_))) {
            return Ok(Listed::PerhapsByAddress);
        }
        Err(self.other_broker())
    }

    /// Whether an address that a name led to may be connected to.
    pub fn allows_address(&self, address: IpAddr, port: u16) -> bool {
        let host = Host::Address(address.to_canonical());
        self.brokers.iter().any(|broker| broker.port.is_none_or(|allowed| allowed == port) && broker.host == host)
    }

    /// The refusal of a broker that no rule allows.
    pub fn other_broker(&self) -> Denied {
        let rules = self
            .brokers
            .iter()
            .map(|broker| named_with("--allow-broker", "policy.brokers", broker.origin, &broker.text));
        Denied(format!("this broker is not among those that may be used: {}", listed(rules)))
    }

    /// Whether anything can be published at all.
    pub fn check_publishing(&self) -> Result<(), Denied> {
        if let Some(origin) = self.read_only {
            return Err(Denied(format!(
                "nothing may be published: {}",
                named("--read-only", "policy.read_only", origin)
            )));
        }
        let allowed = self.list(List::AllowPublish);
        let denied = || self.list(List::DenyPublish).iter().map(|rule| rule.filter.as_str());
        // Without an allow list there is always a `$` topic that no rule names.
        if !allowed.is_empty() && allowed.iter().all(|rule| covered(&rule.filter, denied())) {
            return Err(Denied(format!("nothing may be published: {}", self.listed(List::DenyPublish, |_| true))));
        }
        Ok(())
    }

    /// Whether a message may be published to a topic.
    pub fn check_publish(&self, topic: &str) -> Result<(), Denied> {
        self.check_publishing()?;
        let mut rest = Some(topic);
        while let Some(topic) = rest {
            let matching = |rule: &Rule| matches(&rule.filter, topic);
            if self.list(List::DenyPublish).iter().any(matching) {
                let rules = self.listed(List::DenyPublish, matching);
                return Err(Denied(format!("publishing to this topic is denied: {rules}")));
            }
            let allowed = self.list(List::AllowPublish);
            if !allowed.is_empty() && !allowed.iter().any(matching) {
                let rules = self.listed(List::AllowPublish, |_| true);
                return Err(Denied(format!("publishing to this topic is not among what is allowed: {rules}")));
            }
            rest = delayed(topic);
        }
        Ok(())
    }

    /// Whether a filter may be subscribed to: every topic that it can match is allowed, and some are not denied.
    pub fn check_subscribe(&self, filter: &str) -> Result<(), Denied> {
        let mut rest = Some(filter);
        while let Some(filter) = rest {
            let inner = shared_in_any_way(filter);
            if let (Some(_), Some(origin)) = (inner, self.read_only) {
                let rule = named("--read-only", "policy.read_only", origin);
                return Err(Denied(format!(
                    "a shared subscription takes messages from the others of its group: {rule}"
                )));
            }
            // What stands behind `$share/group/` is the filter; other prefixes are some brokers' own, and both ways
            // of reading them must be allowed.
            if topic::shared(filter).is_none() {
                self.check_filter(filter)?;
            }
            rest = inner;
        }
        Ok(())
    }

    fn check_filter(&self, filter: &str) -> Result<(), Denied> {
        let filters = |list| self.list(list).iter().map(|rule| rule.filter.as_str());
        if covered(filter, filters(List::DenySubscribe)) {
            let rules = self.listed(List::DenySubscribe, |rule| topic::overlap(&rule.filter, filter));
            return Err(Denied(format!("all that this filter can match is denied: {rules}")));
        }
        if !self.list(List::AllowSubscribe).is_empty() && !covered(filter, filters(List::AllowSubscribe)) {
            let rules = self.listed(List::AllowSubscribe, |_| true);
            return Err(Denied(format!("this filter can match more than what is allowed: {rules}")));
        }
        Ok(())
    }

    /// Whether some messages that subscriptions bring must not be seen.
    pub fn hides_some(&self) -> bool {
        !self.list(List::DenySubscribe).is_empty()
    }

    /// Whether messages on this topic must not be seen.
    pub fn hides(&self, topic: &str) -> bool {
        self.list(List::DenySubscribe).iter().any(|rule| matches(&rule.filter, topic))
    }

    /// The rules in force, for a model; empty without any.
    pub fn describe(&self) -> String {
        let mut parts = Vec::new();
        let texts = self.brokers.iter().map(|broker| broker.text.clone());
        if self.profiles_only.is_some() {
            parts.push("connect only by the name of a configured broker".to_owned());
        }
        if !self.brokers.is_empty() {
            parts.push(format!("connect only to {}", listed(texts)));
        }
        if self.read_only.is_some() {
            parts.push("nothing may be published".to_owned());
        }
        for (list, words) in [
            (List::AllowPublish, "publish only to"),
            (List::DenyPublish, "never publish to"),
            (List::AllowSubscribe, "subscribe only within"),
            (List::DenySubscribe, "messages that are never shown:"),
        ] {
            let filters = self.list(list).iter().map(|rule| shortened(&rule.filter).to_owned());
            if !self.list(list).is_empty() {
                parts.push(format!("{words} {}", listed(filters)));
            }
        }
        parts.join("; ")
    }

    fn list(&self, list: List) -> &[Rule] {
        &self.lists[list as usize]
    }

    fn listed(&self, list: List, which: impl Fn(&Rule) -> bool) -> String {
        let (flag, key) = list.names();
        let rules = self.list(list).iter().filter(|rule| which(rule));
        listed(rules.map(|rule| named_with(flag, key, rule.origin, shortened(&rule.filter))))
    }
}

impl List {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::AllowPublish, Self::DenyPublish, Self::AllowSubscribe, Self::DenySubscribe];

    /// Its flag, and its place in the configuration file.
    pub fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::AllowPublish => ("--allow-publish", "policy.publish.allow"),
            Self::DenyPublish => ("--deny-publish", "policy.publish.deny"),
            Self::AllowSubscribe => ("--allow-subscribe", "policy.subscribe.allow"),
            Self::DenySubscribe => ("--deny-subscribe", "policy.subscribe.deny"),
        }
    }
}

impl Host {
    /// Names are compared without case and final dot, addresses by value.
    fn of(text: &str) -> Self {
        match text.parse::<IpAddr>() {
            Ok(address) => Self::Address(address.to_canonical()),
            Err(_) => Self::Name(text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase()),
        }
    }
}

/// `$delayed/seconds/topic`: EMQX publishes to the topic later.
fn delayed(topic: &str) -> Option<&str> {
    let (_, inner) = topic.strip_prefix("$delayed/")?.split_once('/')?;
    Some(inner)
}

/// The filter that messages will match, where a prefix says so: EMQX and others know `$queue/` (shared without a group)
/// and `$exclusive/` (at most one subscriber) beside `$share/group/`.
fn shared_in_any_way(filter: &str) -> Option<&str> {
    let inner =
        topic::shared(filter).or_else(|| filter.strip_prefix("$queue/")).or_else(|| filter.strip_prefix("$exclusive/"));
    inner.filter(|inner| !inner.is_empty())
}

fn named(flag: &str, key: &str, origin: Origin) -> String {
    match origin {
        Origin::Flag => format!("{flag} (command line)"),
        Origin::File => format!("{key} (configuration file)"),
    }
}

fn named_with(flag: &str, key: &str, origin: Origin, value: &str) -> String {
    match origin {
        Origin::Flag => format!("{flag} {value} (command line)"),
        Origin::File => format!("{key} {value} (configuration file)"),
    }
}

/// The first rules, and how many more there are.
fn listed(rules: impl Iterator<Item = String>) -> String {
    let mut rules: Vec<_> = rules.collect();
    if rules.len() > RULES_SHOWN_MAX {
        let more = rules.len() - RULES_SHOWN_MAX;
        rules.truncate(RULES_SHOWN_MAX);
        rules.push(format!("and {more} more"));
    }
    rules.join(", ")
}

fn shortened(filter: &str) -> &str {
    &filter[..filter.floor_char_boundary(ECHO_MAX_BYTES)]
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
