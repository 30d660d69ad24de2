//! Sorted lists as maps for few keys, and as sets of numbers: the library's maps are 2 to 4 kB of code for each type.

use std::borrow::Borrow;

use serde::ser::{Serialize, Serializer};

/// Keys with their values, in the keys' order.
#[derive(Clone, Debug, PartialEq)]
pub struct Sorted<K, V>(Vec<(K, V)>);

impl<K, V> Default for Sorted<K, V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: Ord, V> Sorted<K, V> {
    /// The value of a key.
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.place(key).ok().map(|index| &self.0[index].1)
    }

    /// The same, to change it.
    pub fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        self.place(key).ok().map(|index| &mut self.0[index].1)
    }

    /// The value of a key, which gets `V`'s default when it is new.
    pub fn or_default(&mut self, key: K) -> &mut V
    where
        V: Default,
    {
        let index = self.place(&key).unwrap_or_else(|index| {
            self.0.insert(index, (key, V::default()));
            index
        });
        &mut self.0[index].1
    }

    /// Keys and values.
    pub fn iter(&self) -> std::slice::Iter<'_, (K, V)> {
        self.0.iter()
    }

    /// The values, to change them.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.0.iter_mut().map(|(_, value)| value)
    }

    /// Leaves the first `count`.
    pub fn truncate(&mut self, count: usize) {
        self.0.truncate(count);
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn place<Q: Ord + ?Sized>(&self, key: &Q) -> Result<usize, usize>
    where
        K: Borrow<Q>,
    {
        self.0.binary_search_by(|(known, _)| known.borrow().cmp(key))
    }
}

impl<K, V> IntoIterator for Sorted<K, V> {
    type Item = (K, V);
    type IntoIter = std::vec::IntoIter<(K, V)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// As an object.
impl<K: Serialize, V: Serialize> Serialize for Sorted<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

/// Adds to a set; false when it is there already. What is behind its place is moved: limits keep sets small.
pub fn insert(set: &mut Vec<u64>, number: u64) -> bool {
    let place = set.binary_search(&number);
    if let Err(index) = place {
        set.insert(index, number);
    }
    place.is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_in_order_and_there_once() {
        let mut sorted = Sorted::<Box<str>, u32>::default();
        for key in ["b", "a", "c", "b", "ab"] {
            *sorted.or_default(key.into()) += 1;
        }
        assert_eq!(serde_json::to_string(&sorted).expect("JSON"), r#"{"a":1,"ab":1,"b":2,"c":1}"#);
        assert_eq!((sorted.get("b"), sorted.get("d")), (Some(&2), None));
        *sorted.get_mut("c").expect("it is there") = 7;
        sorted.truncate(4);
        assert_eq!(sorted.into_iter().last(), Some(("c".into(), 7)));
    }

    #[test]
    fn a_number_is_new_once() {
        let mut set = Vec::new();
        assert_eq!([3, 1, 3, 2, 1, 4].map(|number| insert(&mut set, number)), [true, true, false, true, false, true]);
        assert_eq!(set, [1, 2, 3, 4]);
    }
}
