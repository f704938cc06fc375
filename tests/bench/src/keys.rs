//! Keys and values of the benchmarks, and the order in which keys are asked for.

use std::sync::Arc;

/// A key or a value that is made from a number and turned back into it.
pub(crate) trait Numbered: Clone + Send + Sync + 'static {
    /// What the type is called in the name of a case.
    const NAME: &'static str;

    fn from_number(number: u64) -> Self;
    fn number(&self) -> u64;
}

impl Numbered for u64 {
    const NAME: &'static str = "u64";

    fn from_number(number: u64) -> Self {
        number
    }

    fn number(&self) -> u64 {
        *self
    }
}

impl Numbered for String {
    const NAME: &'static str = "String";

    fn from_number(number: u64) -> Self {
        format!("key_{number}")
    }

    fn number(&self) -> u64 {
        self.trim_start_matches("key_").parse().unwrap_or(u64::MAX)
    }
}

/// A record of 64 bytes, as an application would cache behind an `Arc`.
pub(crate) type Row64 = [u64; 8];

impl Numbered for Arc<Row64> {
    const NAME: &'static str = "Arc";

    fn from_number(number: u64) -> Self {
        Self::new([number; 8])
    }

    fn number(&self) -> u64 {
        self[0]
    }
}

/// The keys of all numbers in the range, in that order.
pub(crate) fn in_order<K: Numbered>(numbers: std::ops::Range<u64>) -> Vec<K> {
    numbers.map(K::from_number).collect()
}

/// `count` keys of a table of `entries`, each as likely as any other.
pub(crate) fn uniform<K: Numbered>(entries: u64, count: usize) -> Vec<K> {
    let mut random = fastrand::Rng::with_seed(SEED);
    (0..count).map(|_| K::from_number(random.u64(..entries))).collect()
}

/// `count` keys of `items`, the n-th most frequent of which comes 1/n^`exponent` as often as the
/// first.
pub(crate) fn zipf<K: Numbered>(items: u64, exponent: f64, count: usize, part: u64) -> Vec<K> {
    let mut sum = 0.0;
    let weight = |rank: u64| {
        sum += (rank as f64).powf(-exponent);
        sum
    };
    let sums: Vec<f64> = (1..=items).map(weight).collect();
    let total = sums.last().copied().unwrap_or_default();
    let mut random = fastrand::Rng::with_seed(SEED ^ part);
    let draw = |_| {
        let point = random.f64() * total;
        let rank = sums.partition_point(|sum| *sum <= point) as u64;
        K::from_number(rank.min(items - 1))
    };
    (0..count).map(draw).collect()
}

const SEED: u64 = 0x1a2d_e200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frequency_falls_with_the_rank_as_zipf_says() {
        let keys: Vec<u64> = zipf(1_000, 1.0, 100_000, 0);
        let times = |rank: u64| keys.iter().filter(|key| **key == rank).count() as f64;
        let ratio = times(0) / times(9);
        assert!((8.0..12.0).contains(&ratio), "the tenth comes a tenth as often: {ratio}");
        assert!(keys.iter().all(|key| *key < 1_000));
    }

    #[test]
    fn another_part_of_a_trace_has_other_draws() {
        let part = |part| zipf::<u64>(100, 0.99, 50, part);
        assert_eq!(part(0), part(0));
        assert_ne!(part(0), part(1));
    }
}
