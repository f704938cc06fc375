//! [`Budget`], the capacity of the whole store.
//!
//! It is not cut into shares: an entry of nearly the whole weight fits, whichever shard it falls
//! into. A store without any limit counts nothing, so its writers share no
//! counter.

use std::sync::atomic::{AtomicU64, Ordering};

use larder_core::policy::Capacity;

use crate::outcome::Full;

/// Away from the lines that readers need.
#[repr(align(128))]
pub(crate) struct Budget {
    capacity: Capacity,
    entries: AtomicU64,
    weight: AtomicU64,
}

impl Budget {
    pub(crate) const fn new(capacity: Capacity) -> Self {
        Self { capacity, entries: AtomicU64::new(0), weight: AtomicU64::new(0) }
    }

    pub(crate) const fn capacity(&self) -> Capacity {
        self.capacity
    }

    /// How many entries there are; 0 in a store without limits.
    pub(crate) fn entries(&self) -> u64 {
        self.entries.load(Ordering::Relaxed)
    }

    /// Entries are counted if there is any limit, as shards are compared by their number.
    const fn has_limit(&self) -> bool {
        self.capacity.entries.is_some() || self.capacity.weight.is_some()
    }

    /// Whether an entry could not be held even by an empty store, and why.
    pub(crate) fn refuses(&self, weight: u32) -> Option<Full> {
        if self.capacity.entries == Some(0) {
            return Some(full(0, 0));
        }
        match self.capacity.weight {
            Some(limit) if u64::from(weight) > limit => {
                Some(full(limit, self.weight.load(Ordering::Relaxed)))
            }
            _ => None,
        }
    }

    /// Takes room for a new entry whether or not there is any; [`is_over`](Self::is_over) then
    /// tells.
    pub(crate) fn claim(&self, weight: u32) -> Claim<'_> {
        self.take(1, u64::from(weight));
        Claim { budget: self, weight }
    }

    /// Takes room whether or not there is any.
    pub(crate) fn take(&self, entries: u64, weight: u64) {
        if self.has_limit() {
            self.entries.fetch_add(entries, Ordering::Relaxed);
        }
        if self.capacity.weight.is_some() {
            self.weight.fetch_add(weight, Ordering::Relaxed);
        }
    }

    /// Takes room if there is enough.
    pub(crate) fn try_take(&self, entries: u64, weight: u64) -> Result<(), Full> {
        if self.has_limit() {
            grow(&self.entries, self.capacity.entries.unwrap_or(u64::MAX), entries)?;
        }
        let Some(limit) = self.capacity.weight else {
            return Ok(());
        };
        grow(&self.weight, limit, weight).inspect_err(|_| {
            self.entries.fetch_sub(entries, Ordering::Relaxed);
        })
    }

    pub(crate) fn give_back(&self, entries: u64, weight: u64) {
        if self.has_limit() {
            self.entries.fetch_sub(entries, Ordering::Relaxed);
        }
        if self.capacity.weight.is_some() {
            self.weight.fetch_sub(weight, Ordering::Relaxed);
        }
    }

    /// Whether more is held than allowed.
    pub(crate) fn is_over(&self) -> bool {
        let over = |used: &AtomicU64, limit: Option<u64>| {
            limit.is_some_and(|limit| used.load(Ordering::Relaxed) > limit)
        };
        over(&self.entries, self.capacity.entries) || over(&self.weight, self.capacity.weight)
    }

    /// Panics unless the counters agree with what the shards hold.
    pub(crate) fn check(&self, entries: u64, weight: u64) {
        if self.has_limit() {
            let counted = self.entries.load(Ordering::Relaxed);
            assert_eq!(counted, entries, "the budget counts other entries");
        }
        if self.capacity.weight.is_some() {
            let counted = self.weight.load(Ordering::Relaxed);
            assert_eq!(counted, weight, "the budget counts another weight");
        }
        assert!(!self.is_over(), "the store holds more than its capacity");
    }
}

/// Room for an entry that is not in yet. It is given back unless it is used, also when a policy
/// panics in between.
#[must_use = "room that nobody uses is given back"]
pub(crate) struct Claim<'a> {
    budget: &'a Budget,
    weight: u32,
}

impl Claim<'_> {
    /// The entry is in; from now on it is the entry that holds the room.
    pub(crate) fn settle(self) {
        std::mem::forget(self);
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.budget.give_back(1, u64::from(self.weight));
    }
}

fn grow(used: &AtomicU64, limit: u64, by: u64) -> Result<(), Full> {
    used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
        used.checked_add(by).filter(|sum| *sum <= limit)
    })
    .map(drop)
    .map_err(|used| full(limit, used))
}

const fn full(max_size: u64, current_size: u64) -> Full {
    Full { max_size, current_size }
}
