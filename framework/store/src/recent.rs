//! [`Recent`], why keys that are gone are gone, for a while.
//!
//! A fixed table of fingerprints: each removal overwrites the one that shares its place. It costs
//! nothing until the first removal.

use crate::outcome::MissCause;

/// The low bits of a fingerprint hold the cause; 0 is an empty place.
const CAUSE_BITS: u32 = 0b11;

pub(crate) struct Recent {
    prints: Vec<u32>,
    places: usize,
}

impl Recent {
    /// A table for a shard of about this many entries.
    pub(crate) fn new(entries: u64) -> Self {
        let places = usize::try_from(entries.clamp(256, 4096)).unwrap_or(4096);
        Self { prints: Vec::new(), places: places.next_power_of_two() }
    }

    /// Remembers why a key is gone; [`MissCause::Cold`] forgets the key.
    pub(crate) fn remember(&mut self, hash: u64, cause: MissCause) {
        if cause == MissCause::Cold {
            self.forget(hash);
            return;
        }
        if self.prints.is_empty() {
            self.prints = vec![0; self.places];
        }
        let place = self.place(hash);
        self.prints[place] = fingerprint(hash) | code(cause);
    }

    /// The key is there again, or its removal is of no interest.
    pub(crate) fn forget(&mut self, hash: u64) {
        let place = self.place(hash);
        if let Some(print) = self.prints.get_mut(place)
            && *print & !CAUSE_BITS == fingerprint(hash)
        {
            *print = 0;
        }
    }

    /// Why a key is gone.
    pub(crate) fn cause(&self, hash: u64) -> MissCause {
        match self.prints.get(self.place(hash)) {
            Some(print) if print & !CAUSE_BITS == fingerprint(hash) => match print & CAUSE_BITS {
                1 => MissCause::Expired,
                2 => MissCause::Evicted,
                3 => MissCause::Invalidated,
                _ => MissCause::Cold,
            },
            _ => MissCause::Cold,
        }
    }

    const fn place(&self, hash: u64) -> usize {
        (hash >> 16) as usize & (self.places - 1)
    }
}

const fn fingerprint(hash: u64) -> u32 {
    (hash >> 32) as u32 & !CAUSE_BITS
}

const fn code(cause: MissCause) -> u32 {
    match cause {
        MissCause::Cold => 0,
        MissCause::Expired => 1,
        MissCause::Evicted => 2,
        MissCause::Invalidated => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_remembered_until_it_is_forgotten_or_overwritten() {
        let mut recent = Recent::new(16);
        let hash = 0xabcd_ef01_2345_6789;
        assert_eq!(recent.cause(hash), MissCause::Cold);
        for cause in [MissCause::Expired, MissCause::Evicted, MissCause::Invalidated] {
            recent.remember(hash, cause);
            assert_eq!(recent.cause(hash), cause);
        }
        recent.forget(hash);
        assert_eq!(recent.cause(hash), MissCause::Cold);
        recent.remember(hash, MissCause::Evicted);
        let same_place = hash ^ (1 << 40);
        recent.remember(same_place, MissCause::Expired);
        assert_eq!(recent.cause(hash), MissCause::Cold);
        assert_eq!(recent.cause(same_place), MissCause::Expired);
    }
}
