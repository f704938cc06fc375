//! [`Sizes`]: guesses how large an entry is before it is read, for that decides its lane.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::connection::Lane;

/// From this size on an entry goes over the lane for large ones.
const LARGE: usize = 64 * 1024;

/// How many bytes a flight should bring at most.
const FLIGHT_BYTES: usize = 256 * 1024;

/// How many keys a flight has at most.
const FLIGHT_KEYS: usize = 128;

/// How many keys can be told apart. A key that shares its bit with a large one takes the lane of
/// the large ones, where it works as well.
pub(crate) const BUCKETS: usize = 4096;

/// An odd number without a pattern: the golden ratio.
const FOLD: u64 = 0x9e37_79b9_7f4a_7c15;

/// What is known about the sizes of entries.
#[derive(Debug)]
pub(crate) struct Sizes {
    /// A bit for each key whose entry was large when it was last seen.
    large: Box<[AtomicU64]>,
    /// About the mean of the sizes of small entries, in bytes.
    mean: AtomicU64,
}

impl Default for Sizes {
    fn default() -> Self {
        let large = (0..BUCKETS / 64).map(|_| AtomicU64::new(0)).collect();
        Self { large, mean: AtomicU64::new(0) }
    }
}

impl Sizes {
    /// The lane for reading a key.
    pub(crate) fn lane(&self, key: &str) -> Lane {
        let (word, bit) = self.place(key);
        match word.load(Ordering::Relaxed) & bit {
            0 => Lane::Small,
            _ => Lane::Bulk,
        }
    }

    /// The lane for so many bytes.
    pub(crate) const fn lane_of(bytes: usize) -> Lane {
        if bytes < LARGE { Lane::Small } else { Lane::Bulk }
    }

    /// Takes notice of the size of an entry.
    pub(crate) fn note(&self, key: &str, bytes: usize) {
        let is_large = bytes >= LARGE;
        let (word, bit) = self.place(key);
        if (word.load(Ordering::Relaxed) & bit != 0) != is_large {
            match is_large {
                true => word.fetch_or(bit, Ordering::Relaxed),
                false => word.fetch_and(!bit, Ordering::Relaxed),
            };
        }
        if !is_large {
            let mean = self.mean.load(Ordering::Relaxed);
            // Two at a time may lose one of two sizes, which moves a mean by nothing.
            self.mean.store(mean - mean / 8 + bytes as u64 / 8, Ordering::Relaxed);
        }
    }

    /// How many keys a flight should have.
    pub(crate) fn most_keys(&self) -> usize {
        let mean = usize::try_from(self.mean.load(Ordering::Relaxed)).unwrap_or(LARGE);
        (FLIGHT_BYTES / mean.max(1)).clamp(1, FLIGHT_KEYS)
    }

    fn place(&self, key: &str) -> (&AtomicU64, u64) {
        let at = bucket(key);
        (&self.large[at / 64], 1 << (at % 64))
    }
}

/// Which of [`BUCKETS`] a key is in. After FxHash: nobody gains anything from keys that share one.
pub(crate) fn bucket(key: &str) -> usize {
    let fold = |hash: u64, word: u64| (hash.rotate_left(5) ^ word).wrapping_mul(FOLD);
    let (words, rest) = key.as_bytes().as_chunks::<8>();
    let hash = words.iter().fold(0, |hash, word| fold(hash, u64::from_le_bytes(*word)));
    let hash = rest.iter().fold(hash, |hash, byte| fold(hash, u64::from(*byte)));
    (hash >> 32) as usize % BUCKETS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_takes_the_lane_of_its_last_entry() {
        let sizes = Sizes::default();
        assert_eq!(sizes.lane("a"), Lane::Small);
        sizes.note("a", LARGE);
        assert_eq!(sizes.lane("a"), Lane::Bulk);
        sizes.note("a", LARGE - 1);
        assert_eq!(sizes.lane("a"), Lane::Small);
    }

    #[test]
    fn flights_of_larger_entries_have_fewer_keys() {
        let sizes = Sizes::default();
        assert_eq!(sizes.most_keys(), FLIGHT_KEYS);
        for _ in 0..100 {
            sizes.note("a", 32 * 1024);
        }
        assert!((8..=9).contains(&sizes.most_keys()), "{}", sizes.most_keys());
        for _ in 0..100 {
            sizes.note("a", 100);
        }
        assert_eq!(sizes.most_keys(), FLIGHT_KEYS);
    }
}
