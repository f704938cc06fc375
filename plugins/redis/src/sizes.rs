//! [`Sizes`]: guesses how large an entry is before it is read, for that decides its lane.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::connection::Lane;
use crate::connection::line::WHOLE_FLIGHT;

/// From this size on an entry goes over the lane for large ones.
const LARGE: usize = 64 * 1024;

/// How many keys a flight has at most.
const FLIGHT_KEYS: usize = 128;

/// The least that a read takes of a flight.
const LEAST: usize = WHOLE_FLIGHT / FLIGHT_KEYS;

/// What entries are taken for before any was seen.
const UNKNOWN: usize = 16 * 1024;

/// All entries are large.
const WHOLE_SHARE: usize = 1024;

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
    /// About the mean of the sizes of entries, in bytes.
    mean: AtomicUsize,
    /// About how many of them are large, of [`WHOLE_SHARE`].
    share: AtomicUsize,
    /// The least that a read takes of a flight. It grows when flights take too long, whatever the
    /// reason, and shrinks while they do not.
    least: AtomicUsize,
}

impl Default for Sizes {
    fn default() -> Self {
        let large = (0..BUCKETS / 64).map(|_| AtomicU64::new(0)).collect();
        let (mean, least) = (AtomicUsize::new(UNKNOWN), AtomicUsize::new(LEAST));
        Self { large, mean, share: AtomicUsize::new(0), least }
    }
}

impl Sizes {
    /// The lane for reading a key.
    pub(crate) fn lane(&self, key: &str) -> Lane {
        let (word, bit) = self.place(key);
        match word.load(Ordering::Relaxed) & bit {
            // Where most are large, one that was not seen yet is large as well.
            0 if self.share.load(Ordering::Relaxed) < WHOLE_SHARE / 2 => Lane::Small,
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
        // Two at a time may lose one of two sizes, which moves a mean by nothing. Those that go
        // alone say little about those that go together.
        let mean = self.mean.load(Ordering::Relaxed);
        self.mean.store(mean - mean / 8 + bytes.min(WHOLE_FLIGHT) / 8, Ordering::Relaxed);
        let share = self.share.load(Ordering::Relaxed);
        let part = if is_large { WHOLE_SHARE / 16 } else { 0 };
        if share > 0 || is_large {
            self.share.store(share - share.div_ceil(16) + part, Ordering::Relaxed);
        }
        let least = self.least.load(Ordering::Relaxed);
        if least > LEAST {
            self.least.store((least - least / 64).max(LEAST), Ordering::Relaxed);
        }
    }

    /// How much of a flight a read should take, of [`WHOLE_FLIGHT`].
    pub(crate) fn weight(&self) -> usize {
        self.mean.load(Ordering::Relaxed).max(self.least.load(Ordering::Relaxed)).min(WHOLE_FLIGHT)
    }

    /// A flight took too long whose reads took so much of it: the next have half as many.
    pub(crate) fn was_late(&self, weight: usize) {
        self.least.fetch_max(weight.saturating_mul(2).min(WHOLE_FLIGHT), Ordering::Relaxed);
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

    fn keys_of(sizes: &Sizes) -> usize {
        WHOLE_FLIGHT / sizes.weight()
    }

    fn note_many(sizes: &Sizes, bytes: usize) {
        (0..200).for_each(|_| sizes.note("a", bytes));
    }

    #[test]
    fn flights_of_larger_entries_have_fewer_keys() {
        let sizes = Sizes::default();
        assert_eq!(keys_of(&sizes), 16, "nobody knows how large entries are");
        note_many(&sizes, 32 * 1024);
        assert!((8..=9).contains(&keys_of(&sizes)), "{}", keys_of(&sizes));
        note_many(&sizes, 100);
        assert_eq!(keys_of(&sizes), FLIGHT_KEYS);
    }

    #[test]
    fn an_unknown_key_is_taken_for_large_where_most_are() {
        let sizes = Sizes::default();
        sizes.note("large", 100 * LARGE);
        assert_eq!(sizes.lane("unknown"), Lane::Small, "one of them proves nothing");
        note_many(&sizes, 2 * LARGE);
        assert_eq!(sizes.lane("unknown"), Lane::Bulk);
        note_many(&sizes, 100);
        assert_eq!(sizes.lane("unknown"), Lane::Small);
    }

    #[test]
    fn a_flight_that_is_late_halves_the_next_until_all_goes_well_for_a_while() {
        let sizes = Sizes::default();
        note_many(&sizes, 100);
        let weight = sizes.weight();
        // All who were in it say so.
        (0..100).for_each(|_| sizes.was_late(weight));
        assert_eq!(keys_of(&sizes), FLIGHT_KEYS / 2);
        (0..10).for_each(|_| sizes.was_late(sizes.weight()));
        assert_eq!(keys_of(&sizes), 1);
        (0..1000).for_each(|_| sizes.note("a", 100));
        assert_eq!(keys_of(&sizes), FLIGHT_KEYS);
    }
}
