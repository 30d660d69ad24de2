//! What does not fit the rest of its group. The rules are careful: rare alone is not odd, a member that comes and goes is
//! optional, `null` fits everywhere, and what a whole topic does is its way.

use serde_json::{Number, Value};

use super::group::Group;
use super::node::{Node, Object, Type};
use super::{Class, Profile, Sample};
use crate::analysis::device::meaning;
use crate::analysis::device::places::last_level;
use crate::analysis::payload::severity_of_state;
use crate::analysis::words::is_in;

/// A group and one of its topics, with all their messages.
pub struct Context<'a> {
    /// The group.
    pub group: &'a Group,
    /// All messages of the group.
    pub all: &'a Profile,
    /// Those of the message's own topic.
    pub own: &'a Profile,
}

/// Shares are judged from so many on.
const ENOUGH: u32 = 8;
/// Something is odd only where so many are of one other kind.
fn is_clear(most: u32, of: u32) -> bool {
    4 * most >= 3 * of
}

/// A member is missed when at least so many of its kind had it.
const ENOUGH_TO_MISS: u32 = 20;

impl Context<'_> {
    /// Why a message does not fit, if it does not.
    pub fn reason(&self, sample: &Sample<'_>, value: Option<&Value>) -> Option<String> {
        let class = sample.class();
        if class == Class::Empty || class == Class::Large {
            return None;
        }
        if class == Class::Text
            && let Some(reason) = self.malformed(sample)
        {
            return Some(reason);
        }
        if class != self.group.class {
            // One line is a JSON text.
            let is_line = self.group.class == Class::JsonLines && matches!(class, Class::Object | Class::Array);
            if is_line || self.group.class == Class::Number && is_digits(sample.payload) {
                return None;
            }
            let (most, all) = (self.all.count_of(self.group.class), self.all.count());
            let in_own = (self.own.count_of(class), self.own.count());
            let is_rare = |count: u32, of: u32| of >= ENOUGH && count * 10 <= of;
            let rare = is_rare(self.all.count_of(class), all)
                && (self.group.same_end && is_scalar(self.group.class) || is_rare(in_own.0, in_own.1));
            let is_odd = rare && is_clear(most, all - self.all.count_of(Class::Empty));
            return is_odd
                .then(|| format!("{}, where {most} of {all} are {}", class.words(), self.group.class.words()));
        }
        let places = Places { same_end: self.group.same_end, topic: sample.topic };
        places.reason(value?, &self.all.node, Some(&self.own.node), &mut String::new())
    }

    /// Text that was to be JSON.
    fn malformed(&self, sample: &Sample<'_>) -> Option<String> {
        let text = std::str::from_utf8(sample.payload).ok()?.trim_ascii_start();
        let is_like_json = match self.group.class {
            Class::Object | Class::Array => text.starts_with(['{', '[']),
            _ => text.starts_with("{\""),
        };
        if !is_like_json || sample.payload.len() < sample.payload_bytes {
            return None;
        }
        if self.group.class == Class::JsonLines {
            return Some("one of its lines is malformed JSON".into());
        }
        match serde_json::from_str::<serde::de::IgnoredAny>(text) {
            Err(error) => Some(format!("malformed JSON: {error}")),
            // Too deep, a number out of range or half a surrogate pair.
            Ok(_) => Some("JSON that not every parser reads".into()),
        }
    }
}

/// Where versions, codes or addresses are sent, some of them happen to be numbers: `1.2` beside `1.2.3`, `47` beside `047`.
fn is_digits(payload: &[u8]) -> bool {
    payload.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.')
}

fn is_scalar(class: Class) -> bool {
    matches!(class, Class::Number | Class::Boolean)
}

struct Places<'a> {
    same_end: bool,
    topic: &'a str,
}

impl Places<'_> {
    fn reason<'n>(&self, value: &Value, all: &'n Node, own: Option<&'n Node>, at: &mut String) -> Option<String> {
        let of = Type::of(value);
        if of == Type::Null {
            return None;
        }
        let rare = |node: &'n Node| {
            let judged = node.count() - node.count_of(Type::Null);
            (judged >= ENOUGH && node.count_of(of) * 10 <= judged).then_some((node, judged))
        };
        let in_all = rare(all).filter(|_| self.same_end);
        if let Some((node, judged)) = in_all.or_else(|| own.and_then(rare)) {
            let most = super::node::TYPES.into_iter().max_by_key(|of| (node.count_of(*of), *of != Type::Null));
            let most = most.unwrap_or(Type::Null);
            let (count, what) = (node.count_of(most), most.words());
            return is_clear(count, judged)
                .then(|| format!("{at} is {}, where {count} of {judged} are {what}", of.words()));
        }
        match (value, all.object(), all.items()) {
            (Value::Number(number), ..) => self.impossible(number, own.unwrap_or(all), at),
            (Value::String(text), ..) => self.bad_state(text, own.unwrap_or(all), at),
            (Value::Object(members), Some(object), _) => {
                let own = own.and_then(Node::object);
                if let Some(missing) = missing(members, object, own) {
                    let count = object.members.get(missing).map_or(0, Node::count);
                    return Some(format!("lacks {at}/{missing}, which {count} of {} have", object.count()));
                }
                members.iter().find_map(|(name, value)| {
                    let node = object.members.get(name.as_str())?;
                    let own = own.and_then(|own| own.members.get(name.as_str()));
                    self.below(value, node, own, name, at)
                })
            }
            (Value::Array(values), _, Some(items)) => {
                let own = own.and_then(Node::items).map(|items| &items.node);
                values
                    .iter()
                    .enumerate()
                    .find_map(|(index, value)| self.below(value, &items.node, own, &index.to_string(), at))
            }
            _ => None,
        }
    }

    /// A number outside of what its name allows, where its like are inside.
    fn impossible(&self, number: &Number, like: &Node, at: &str) -> Option<String> {
        let name = at.rsplit('/').next().unwrap_or_default();
        let numbers = like.numbers().filter(|numbers| numbers.count() > ENOUGH)?;
        let range = meaning::range(name, self.topic).filter(|_| !meaning::is_setting(name, self.topic))?;
        let is_outside = !range.contains(&number.as_f64()?) && range.contains(&numbers.level_without(number));
        is_outside.then(|| format!("{} {number}, which cannot be", if at.is_empty() { "is" } else { at }))
    }

    /// A state that reports trouble, where nearly all are others. Any other one may be rare.
    fn bad_state(&self, text: &str, like: &Node, at: &str) -> Option<String> {
        let strings = like.strings()?;
        let (all, others) = (strings.count(), strings.count() - strings.count_of(text)?);
        let name = at.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or_else(|| last_level(self.topic));
        let is_odd = all >= ENOUGH_TO_MISS && others * 20 >= all * 19 && severity_of_state(name, text).is_some();
        let place = if at.is_empty() { "it" } else { at };
        is_odd.then(|| format!("{place} is {text:?}, where {others} of {all} are others"))
    }

    fn below(&self, value: &Value, all: &Node, own: Option<&Node>, name: &str, at: &mut String) -> Option<String> {
        let length = at.len();
        at.push('/');
        at.push_str(&name.replace('~', "~0").replace('/', "~1"));
        let reason = self.reason(value, all, own, at);
        at.truncate(length);
        reason
    }
}

/// A member that nearly all have, this topic's own among them. A message that has nothing in common with them is of
/// another kind, unless theirs is a kind with several members.
fn missing<'a>(members: &serde_json::Map<String, Value>, all: &'a Object, own: Option<&Object>) -> Option<&'a str> {
    if all.count() < ENOUGH_TO_MISS {
        return None;
    }
    let is_usual = |node: &Node| u64::from(node.count()) * 20 >= u64::from(all.count()) * 19;
    let usual: Vec<&str> =
        all.members.iter().filter(|(_, node)| is_usual(node)).map(|(name, _)| name.as_ref()).collect();
    if usual.len() < 2 && !usual.iter().any(|name| members.contains_key(*name)) {
        return None;
    }
    if is_of_another_kind(members, all) {
        return None;
    }
    usual.into_iter().find(|name| {
        let own_has = own.is_some_and(|own| own.members.get(*name).is_some_and(|node| node.count() * 2 > own.count()));
        !members.contains_key(*name) && own_has
    })
}

/// Whether a member that names the kind of a message says that this is a rare one, as in `"event":"enter"`: its members
/// are its own.
fn is_of_another_kind(members: &serde_json::Map<String, Value>, all: &Object) -> bool {
    const NAMES: [&str; 10] =
        ["type", "_type", "event", "event_type", "kind", "method", "action", "cmd", "command", "message_type"];
    members.iter().any(|(name, value)| {
        let strings = all.members.get(name.as_str()).and_then(Node::strings);
        let count = strings.zip(value.as_str()).and_then(|(strings, text)| strings.count_of(text));
        count.is_some_and(|count| count * 10 <= all.count()) && is_in(&NAMES, name)
    })
}
