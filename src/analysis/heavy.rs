//! Which of any number of names weigh most, in bounded memory (space-saving, Metwally 2005): each weight is told with
//! how much too great it may be, and whoever weighs more than the smallest one kept is among them.
//!
//! What the others weigh at most is known by counters that names share (count-min, Cormode 2005), so that a stream of
//! names that come once does not drive out those that come again.

use std::hash::BuildHasher;

use foldhash::quality::RandomState;

use crate::limits::{HEAVY_COUNTERS, HEAVY_NAME_MAX_BYTES, HEAVY_NAMES_MAX};

/// The heaviest names of a stream.
#[derive(Default)]
pub struct HeavyHitters {
    kept: Vec<Heavy>,
    /// A name that is not kept weighs no more than the least of its counters; none of them while all are kept.
    others: Vec<u64>,
    hasher: RandomState,
    total: u64,
    /// No name that is not kept weighs more.
    least: u64,
}

/// A name with its weight.
#[derive(Clone, Debug, PartialEq)]
pub struct Heavy {
    hash: u64,
    /// The name, cut to [`HEAVY_NAME_MAX_BYTES`].
    pub name: Box<str>,
    /// At least its true weight.
    pub weight: u64,
    /// At most so much of it is not its own.
    pub error: u64,
}

impl HeavyHitters {
    /// Adds `weight` to a name.
    pub fn add(&mut self, name: &str, weight: u64) {
        self.total += weight;
        let hash = self.hasher.hash_one(name);
        if let Some(heavy) = self.kept.iter_mut().find(|heavy| heavy.hash == hash) {
            heavy.weight += weight;
            return;
        }
        let name = name[..name.floor_char_boundary(HEAVY_NAME_MAX_BYTES)].into();
        let mut gone = Heavy { hash, name, weight, error: 0 };
        if self.kept.len() < HEAVY_NAMES_MAX {
            return self.kept.push(gone);
        }
        self.others.resize(HEAVY_COUNTERS, 0);
        gone.weight += counters(hash).map(|at| self.others[at]).min().unwrap_or(0);
        if gone.weight > self.least
            && let Some(least) = self.kept.iter_mut().min_by_key(|heavy| heavy.weight)
        {
            self.least = least.weight;
            if gone.weight > self.least {
                gone.weight = gone.weight.min(self.least + weight);
                gone.error = gone.weight - weight;
                std::mem::swap(&mut gone, least);
            }
        }
        counters(gone.hash).for_each(|at| self.others[at] = self.others[at].max(gone.weight));
    }

    /// The sum of all weights, exact.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// What is kept, in no order.
    pub fn kept(&self) -> &[Heavy] {
        &self.kept
    }

    /// What a name that is not kept weighs at most.
    pub fn others_at_most(&self) -> u64 {
        self.least
    }
}

/// The counters of a name: one in each quarter.
fn counters(hash: u64) -> impl Iterator<Item = usize> {
    const QUARTER: usize = HEAVY_COUNTERS / 4;
    (0..4).map(move |quarter| quarter * QUARTER + (hash >> (16 * quarter)) as usize % QUARTER)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn bounds_hold_for_any_stream() {
        for seed in 1..9u64 {
            let (mut heavy, mut truth) = (HeavyHitters::default(), HashMap::<String, u64>::new());
            let mut state = seed;
            for _ in 0..10_000 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                // A few names often, thousands rarely.
                let (random, skew) = (state >> 33, 1 + seed % 6);
                let name = format!("t/{}", random % (1 << (random >> 16 & 15)) * skew);
                let weight = 1 + (random >> 8) % seed;
                heavy.add(&name, weight);
                *truth.entry(name).or_default() += weight;
            }
            let total: u64 = truth.values().sum();
            assert_eq!(heavy.total(), total);
            assert!(heavy.kept().len() <= HEAVY_NAMES_MAX);
            for Heavy { name, weight, error, .. } in heavy.kept() {
                let true_weight = truth[&**name];
                assert!(*weight >= true_weight && weight - error <= true_weight, "{name}: {weight} - {error}");
                assert!(*error <= total / HEAVY_NAMES_MAX as u64, "{error} of {total}");
            }
            for (name, weight) in
                truth.iter().filter(|(name, _)| !heavy.kept().iter().any(|kept| *kept.name == ***name))
            {
                assert!(*weight <= heavy.others_at_most(), "{name}: {weight}");
            }
            let heaviest = truth.iter().filter(|(_, weight)| **weight > total / HEAVY_NAMES_MAX as u64);
            for (name, _) in heaviest {
                assert!(heavy.kept().iter().any(|kept| *kept.name == **name), "{name} is missing");
            }
        }
    }

    #[test]
    fn names_that_come_once_do_not_hide_one_that_comes_again() {
        let mut heavy = HeavyHitters::default();
        for n in 0..30_000 {
            heavy.add(&format!("once/{n}"), 1);
            if n > 10_000 && n % 300 == 0 {
                heavy.add("again", 1);
            }
        }
        let again = heavy.kept().iter().find(|kept| &*kept.name == "again").expect("it is kept");
        assert!(again.weight >= 60 && again.error <= 20, "{again:?}");
        assert!(heavy.others_at_most() <= 30, "{}", heavy.others_at_most());
    }

    #[test]
    fn long_names_are_cut_and_told_apart_all_the_same() {
        let mut heavy = HeavyHitters::default();
        let long = "ü".repeat(HEAVY_NAME_MAX_BYTES);
        heavy.add(&format!("{long}1"), 1);
        heavy.add(&format!("{long}2"), 2);
        assert_eq!(heavy.kept().len(), 2);
        assert!(heavy.kept().iter().all(|heavy| heavy.name.len() <= HEAVY_NAME_MAX_BYTES));
    }
}
