//! JSON values seen at one place, merged: the same node whatever their order, unless memory for it runs out.

use std::cmp::Ordering;

use serde_json::{Number, Value};

use super::strings::Strings;
use crate::limits::{SCHEMA_DEPTH_MAX, SCHEMA_MEMBERS_MAX, SCHEMA_NAME_MAX_BYTES, SCHEMA_NODES_MAX};
use crate::sorted::Sorted;

/// Values seen at one place.
#[derive(Debug, Default, PartialEq)]
pub struct Node {
    nulls: u32,
    booleans: u32,
    numbers: Option<Box<Numbers>>,
    strings: Option<Box<Strings>>,
    items: Option<Box<Items>>,
    object: Option<Box<Object>>,
}

/// JSON's types. Whole numbers are numbers here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// `null`.
    Null,
    /// `true` or `false`.
    Boolean,
    /// A number.
    Number,
    /// A string.
    String,
    /// An array.
    Array,
    /// An object.
    Object,
}

/// Numbers seen at one place.
#[derive(Debug, PartialEq)]
pub struct Numbers {
    count: u32,
    /// Their sum in thousandths, each within [`LEVEL_MAX`], so that a few that are far away do not make the level.
    level: i64,
    /// Whether all were written without fraction.
    pub whole: bool,
    /// The least.
    pub least: Number,
    /// The greatest.
    pub most: Number,
}

/// Beyond all numbers whose names bound them.
const LEVEL_MAX: f64 = 300.0;

/// Arrays seen at one place.
#[derive(Debug, Default, PartialEq)]
pub struct Items {
    count: u32,
    /// Fewest items.
    pub least: usize,
    /// Most items.
    pub most: usize,
    /// All items, merged.
    pub node: Node,
}

/// Objects seen at one place.
#[derive(Debug, Default, PartialEq)]
pub struct Object {
    count: u32,
    /// Its members by name.
    pub members: Sorted<Box<str>, Node>,
    /// With too many names they are keys rather than names: all values, merged.
    pub open: Option<Node>,
    /// Something was not looked into: there was no room for it.
    pub cut: bool,
}

/// Nodes that may still be made, and where we are.
pub struct Room {
    nodes: usize,
    depth: usize,
}

impl Default for Room {
    fn default() -> Self {
        Self { nodes: SCHEMA_NODES_MAX, depth: 0 }
    }
}

impl Room {
    /// Whether all that came found its place.
    pub fn sufficed(&self) -> bool {
        self.nodes > 0
    }
}

impl Type {
    /// The type of a value.
    pub fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(_) => Self::Boolean,
            Value::Number(_) => Self::Number,
            Value::String(_) => Self::String,
            Value::Array(_) => Self::Array,
            Value::Object(_) => Self::Object,
        }
    }

    /// In a sentence.
    pub fn words(self) -> &'static str {
        ["null", "a boolean", "a number", "a string", "an array", "an object"][self as usize]
    }
}

impl Node {
    /// Takes a value.
    pub fn add(&mut self, value: &Value, room: &mut Room) {
        match value {
            Value::Null => self.nulls += 1,
            Value::Bool(_) => self.booleans += 1,
            Value::Number(number) => match &mut self.numbers {
                Some(numbers) => numbers.merge(Numbers::of(number)),
                none => *none = Some(Box::new(Numbers::of(number))),
            },
            Value::String(text) => self.strings.get_or_insert_default().add(text),
            Value::Array(values) => {
                let items = self.items.get_or_insert_default();
                items.least = if items.count == 0 { values.len() } else { items.least.min(values.len()) };
                items.most = items.most.max(values.len());
                items.count += 1;
                if room.depth < SCHEMA_DEPTH_MAX {
                    room.depth += 1;
                    values.iter().for_each(|value| items.node.add(value, room));
                    room.depth -= 1;
                }
            }
            Value::Object(members) => {
                let object = self.object.get_or_insert_default();
                object.count += 1;
                if room.depth < SCHEMA_DEPTH_MAX {
                    room.depth += 1;
                    members.iter().for_each(|(name, value)| object.add(name, value, room));
                    room.depth -= 1;
                } else {
                    object.cut |= !members.is_empty();
                }
            }
        }
    }

    /// Takes all that another one has.
    pub fn merge(&mut self, other: Self) {
        self.nulls += other.nulls;
        self.booleans += other.booleans;
        merge(&mut self.numbers, other.numbers, Numbers::merge);
        merge(&mut self.strings, other.strings, |strings, other| strings.merge(&other));
        merge(&mut self.items, other.items, |items, other| {
            items.count += other.count;
            (items.least, items.most) = (items.least.min(other.least), items.most.max(other.most));
            items.node.merge(other.node);
        });
        merge(&mut self.object, other.object, Object::merge);
    }

    /// Values of a type.
    pub fn count_of(&self, of: Type) -> u32 {
        match of {
            Type::Null => self.nulls,
            Type::Boolean => self.booleans,
            Type::Number => self.numbers.as_ref().map_or(0, |numbers| numbers.count),
            Type::String => self.strings.as_ref().map_or(0, |strings| strings.count()),
            Type::Array => self.items.as_ref().map_or(0, |items| items.count),
            Type::Object => self.object.as_ref().map_or(0, |object| object.count),
        }
    }

    /// All values.
    pub fn count(&self) -> u32 {
        TYPES.into_iter().map(|of| self.count_of(of)).sum()
    }

    /// The numbers among them.
    pub fn numbers(&self) -> Option<&Numbers> {
        self.numbers.as_deref()
    }

    /// The strings among them.
    pub fn strings(&self) -> Option<&Strings> {
        self.strings.as_deref()
    }

    /// The arrays among them.
    pub fn items(&self) -> Option<&Items> {
        self.items.as_deref()
    }

    /// The objects among them.
    pub fn object(&self) -> Option<&Object> {
        self.object.as_deref()
    }
}

/// All types, in the order of [`Type`].
pub const TYPES: [Type; 6] = [Type::Null, Type::Boolean, Type::Number, Type::String, Type::Array, Type::Object];

fn merge<T>(into: &mut Option<Box<T>>, other: Option<Box<T>>, both: impl Fn(&mut T, T)) {
    match (into.as_mut(), other) {
        (Some(into), Some(other)) => both(into, *other),
        (None, other) => *into = other,
        (Some(_), None) => {}
    }
}

impl Numbers {
    fn of(number: &Number) -> Self {
        let (count, whole, level) = (1, !number.is_f64(), level(number));
        Self { count, level, whole, least: number.clone(), most: number.clone() }
    }

    /// How many.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// About where the others are when one is left out.
    pub fn level_without(&self, number: &Number) -> f64 {
        (self.level - level(number)) as f64 / 1e3 / f64::from(self.count.max(2) - 1)
    }

    fn merge(&mut self, other: Self) {
        self.count += other.count;
        self.level += other.level;
        self.whole &= other.whole;
        if compare(&other.least, &self.least).is_lt() {
            self.least = other.least;
        }
        if compare(&other.most, &self.most).is_gt() {
            self.most = other.most;
        }
    }
}

fn level(number: &Number) -> i64 {
    (number.as_f64().unwrap_or_default().clamp(-LEVEL_MAX, LEVEL_MAX) * 1e3) as i64
}

/// By value, exactly; of equal values the one without fraction is the smaller, so that the order has no say.
pub fn compare(a: &Number, b: &Number) -> Ordering {
    match (a.as_i128(), b.as_i128()) {
        (Some(a), Some(b)) => a.cmp(&b),
        (Some(whole), None) => against_float(whole, b.as_f64().unwrap_or_default()),
        (None, Some(whole)) => against_float(whole, a.as_f64().unwrap_or_default()).reverse(),
        (None, None) => a.as_f64().unwrap_or_default().total_cmp(&b.as_f64().unwrap_or_default()),
    }
}

fn against_float(whole: i128, float: f64) -> Ordering {
    // The cast saturates far beyond all whole numbers that JSON numbers are read as.
    let fraction = 0f64.partial_cmp(&float.fract()).unwrap_or(Ordering::Equal);
    whole.cmp(&(float.trunc() as i128)).then(fraction).then(Ordering::Less)
}

impl Object {
    /// Objects.
    pub fn count(&self) -> u32 {
        self.count
    }

    fn add(&mut self, name: &str, value: &Value, room: &mut Room) {
        if let Some(open) = &mut self.open {
            return open.add(value, room);
        }
        if let Some(node) = self.members.get_mut(name) {
            return node.add(value, room);
        }
        let name_is_long = name.len() > SCHEMA_NAME_MAX_BYTES;
        if !name_is_long && room.nodes == 0 {
            self.cut = true;
            return;
        }
        let mut node = Node::default();
        node.add(value, room);
        room.nodes = room.nodes.saturating_sub(1);
        *self.members.or_default(name.into()) = node;
        self.bound(name_is_long);
    }

    fn merge(&mut self, other: Self) {
        self.count += other.count;
        self.cut |= other.cut;
        for (name, node) in other.members {
            self.members.or_default(name).merge(node);
        }
        let is_open = self.open.is_some() || other.open.is_some();
        if let Some(open) = other.open {
            self.open.get_or_insert_default().merge(open);
        }
        self.bound(is_open);
    }

    fn bound(&mut self, is_open: bool) {
        if is_open || self.members.len() > SCHEMA_MEMBERS_MAX {
            let open = self.open.get_or_insert_default();
            std::mem::take(&mut self.members).into_iter().for_each(|(_, node)| open.merge(node));
        }
    }
}
