//! A log-linear histogram: exact count, minimum, maximum and sum, and quantiles within a stated relative error, in memory
//! that follows the magnitude of the values and never their number.

/// Values below twice this are exact; above, each doubling has this many steps.
const STEPS: u64 = 32;
const STEPS_BITS: u32 = STEPS.trailing_zeros();
/// A quantile differs from the true one by at most this fraction of it.
pub const RELATIVE_ERROR: f64 = 0.5 / STEPS as f64;

/// Counts of values by magnitude.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
    sum: u128,
    min: u64,
    max: u64,
}

impl Histogram {
    /// Counts a value.
    pub fn add(&mut self, value: u64) {
        let index = index(value);
        if self.counts.len() <= index {
            self.counts.resize(index + 1, 0);
        }
        self.counts[index] += 1;
        self.min = if self.total == 0 { value } else { self.min.min(value) };
        self.max = self.max.max(value);
        self.total += 1;
        self.sum += u128::from(value);
    }

    /// How many values were counted.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The least value; `None` without any.
    pub fn min(&self) -> Option<u64> {
        (self.total > 0).then_some(self.min)
    }

    /// The greatest value; `None` without any.
    pub fn max(&self) -> Option<u64> {
        (self.total > 0).then_some(self.max)
    }

    /// The mean; `None` without values.
    pub fn mean(&self) -> Option<f64> {
        (self.total > 0).then(|| self.sum as f64 / self.total as f64)
    }

    /// The value that a fraction `q` of all are not above (nearest rank), within [`RELATIVE_ERROR`]; `None` without values.
    pub fn quantile(&self, q: f64) -> Option<u64> {
        let rank = ((q * self.total as f64).ceil() as u64).clamp(1, self.total.max(1));
        let mut below = 0;
        for (index, count) in self.counts.iter().enumerate() {
            below += count;
            if below >= rank {
                return Some(middle(index).clamp(self.min, self.max));
            }
        }
        None
    }

    /// Bytes in use.
    pub fn used_bytes(&self) -> usize {
        self.counts.capacity() * size_of::<u64>()
    }
}

/// The step that a value belongs to.
fn index(value: u64) -> usize {
    let shift = (u64::BITS - value.leading_zeros()).saturating_sub(STEPS_BITS + 1);
    ((u64::from(shift) << STEPS_BITS) + (value >> shift)) as usize
}

/// The middle of a step.
fn middle(index: usize) -> u64 {
    let index = index as u64;
    let shift = (index >> STEPS_BITS).saturating_sub(1);
    ((index - (shift << STEPS_BITS)) << shift) + ((1 << shift) >> 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers of every magnitude, the same in every run.
    fn values(seed: u64, count: usize) -> Vec<u64> {
        let mut state = seed.wrapping_mul(2).wrapping_add(1);
        let mut next = move || {
            state = state.wrapping_mul(0xd129_0d3a_5c47_7f25).rotate_left(29) ^ 0x9e37_79b9_7f4a_7c15;
            state
        };
        (0..count).map(|_| next() >> (next() % 64)).collect()
    }

    fn of(values: &[u64]) -> Histogram {
        let mut histogram = Histogram::default();
        values.iter().for_each(|value| histogram.add(*value));
        histogram
    }

    #[test]
    fn quantiles_are_within_the_stated_error_of_the_true_ones() {
        for seed in 0..200 {
            let mut values = values(seed, 1 + seed as usize * 7 % 500);
            let histogram = of(&values);
            values.sort_unstable();
            for q in [0.0, 0.01, 0.25, 0.5, 0.9, 0.95, 0.99, 1.0] {
                let rank = ((q * values.len() as f64).ceil() as usize).max(1);
                let (truth, told) = (values[rank - 1], histogram.quantile(q).expect("values"));
                let error = (told as f64 - truth as f64).abs();
                assert!(error <= RELATIVE_ERROR * truth as f64, "seed {seed}: {q} is {truth}, told {told}");
            }
            let sum: u128 = values.iter().map(|value| u128::from(*value)).sum();
            assert_eq!(histogram.mean(), Some(sum as f64 / values.len() as f64));
            assert_eq!((histogram.min(), histogram.max()), (values.first().copied(), values.last().copied()));
            assert_eq!(histogram.total(), values.len() as u64);
        }
    }

    #[test]
    fn the_order_of_the_values_does_not_matter() {
        let mut values = values(5, 1000);
        let histogram = of(&values);
        values.reverse();
        assert_eq!(of(&values), histogram);
    }

    #[test]
    fn small_values_are_exact_and_memory_has_a_bound() {
        let histogram = of(&(0..2 * STEPS).collect::<Vec<_>>());
        assert_eq!((histogram.quantile(0.5), histogram.quantile(1.0)), (Some(31), Some(63)));
        let histogram = of(&[0, 1, u64::MAX]);
        assert!(histogram.used_bytes() < 32_000, "{}", histogram.used_bytes());
        assert_eq!(Histogram::default().quantile(0.5), None);
    }
}
