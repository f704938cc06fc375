//! [`Recent`], why keys that are gone are gone, for a while.
//!
//! A fixed table of fingerprints: each removal overwrites the one that shares its place. It costs
//! nothing until the first removal. Readers look without a lock; a cause is best effort.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::outcome::MissCause;

/// The low bits of a fingerprint hold the cause; 0 is an empty place.
const CAUSE_BITS: u32 = 0b111;

pub(crate) struct Recent {
    prints: OnceLock<Box<[AtomicU32]>>,
    /// A power of two.
    places: u32,
}

impl Recent {
    /// A table for a shard of about this many entries.
    pub(crate) fn new(entries: u64) -> Self {
        let places = u32::try_from(entries.clamp(256, 4096)).unwrap_or(4096);
        Self { prints: OnceLock::new(), places: places.next_power_of_two() }
    }

    /// How many keys it can remember.
    pub(crate) const fn places(&self) -> u32 {
        self.places
    }

    /// Remembers why a key is gone; [`MissCause::Cold`] forgets the key.
    #[inline]
    pub(crate) fn remember(&self, hash: u32, cause: MissCause) {
        if cause == MissCause::Cold {
            self.forget(hash);
            return;
        }
        let fresh = || (0..self.places).map(|_| AtomicU32::new(0)).collect();
        let prints = self.prints.get_or_init(fresh);
        prints[self.place(hash)].store(fingerprint(hash) | code(cause), Ordering::Relaxed);
    }

    /// The key is there again, or its removal is of no interest.
    #[inline]
    pub(crate) fn forget(&self, hash: u32) {
        let Some(prints) = self.prints.get() else { return };
        let print = &prints[self.place(hash)];
        if print.load(Ordering::Relaxed) & !CAUSE_BITS == fingerprint(hash) {
            print.store(0, Ordering::Relaxed);
        }
    }

    /// Why a key is gone.
    #[inline]
    pub(crate) fn cause(&self, hash: u32) -> MissCause {
        let Some(prints) = self.prints.get() else { return MissCause::Cold };
        let print = prints[self.place(hash)].load(Ordering::Relaxed);
        if print & !CAUSE_BITS != fingerprint(hash) {
            return MissCause::Cold;
        }
        match print & CAUSE_BITS {
            1 => MissCause::Expired,
            2 => MissCause::Evicted,
            3 => MissCause::Invalidated,
            4 => MissCause::Deleted,
            5 => MissCause::Cleared,
            _ => MissCause::Cold,
        }
    }

    /// The place of a hash, from bits that the fingerprint has, but mixed.
    #[inline]
    const fn place(&self, hash: u32) -> usize {
        let mixed = hash.wrapping_mul(0x9e37_79b9);
        (mixed >> (32 - self.places.ilog2())) as usize
    }
}

#[inline]
const fn fingerprint(hash: u32) -> u32 {
    hash & !CAUSE_BITS
}

#[inline]
const fn code(cause: MissCause) -> u32 {
    match cause {
        MissCause::Cold => 0,
        MissCause::Expired => 1,
        MissCause::Evicted => 2,
        MissCause::Invalidated => 3,
        MissCause::Deleted => 4,
        MissCause::Cleared => 5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_remembered_until_it_is_forgotten_or_overwritten() {
        let recent = Recent::new(16);
        let hash = 0x2345_6789;
        assert_eq!(recent.cause(hash), MissCause::Cold);
        for cause in [
            MissCause::Cleared,
            MissCause::Deleted,
            MissCause::Evicted,
            MissCause::Expired,
            MissCause::Invalidated,
        ] {
            recent.remember(hash, cause);
            assert_eq!(recent.cause(hash), cause);
        }
        recent.forget(hash);
        assert_eq!(recent.cause(hash), MissCause::Cold);
        recent.remember(hash, MissCause::Evicted);
        let shares_its_place = |other: &u32| recent.place(*other) == recent.place(hash);
        let other = (8..).step_by(8).find(shares_its_place).unwrap();
        recent.remember(other, MissCause::Expired);
        assert_eq!(recent.cause(hash), MissCause::Cold);
        assert_eq!(recent.cause(other), MissCause::Expired);
    }
}
