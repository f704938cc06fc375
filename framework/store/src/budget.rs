//! [`Budget`], the capacity of the whole store.
//!
//! It is not cut into shares: an entry of nearly the whole weight fits, whichever shard it falls
//! into. A store without any limit counts nothing, so its writers share no
//! counter.

use std::sync::atomic::{AtomicU64, Ordering};

use larder_core::policy::Capacity;

use crate::outcome::Full;

/// The limit that is none.
const NONE: u64 = u64::MAX;

/// Away from the lines that readers need. Changed only under the lock of some shard, so whoever
/// holds all locks finds it at rest.
#[repr(align(128))]
pub(crate) struct Budget {
    entries: Limited,
    weight: Limited,
}

/// What is used of something, and how much there may be.
struct Limited {
    limit: AtomicU64,
    used: AtomicU64,
}

impl Limited {
    const fn new(limit: Option<u64>) -> Self {
        let limit = match limit {
            Some(limit) => limit,
            None => NONE,
        };
        Self { limit: AtomicU64::new(limit), used: AtomicU64::new(0) }
    }

    fn limit(&self) -> Option<u64> {
        let limit = self.limit.load(Ordering::Relaxed);
        (limit != NONE).then_some(limit)
    }

    fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    fn is_over(&self) -> bool {
        self.used() > self.limit.load(Ordering::Relaxed)
    }

    /// Whether `more` would be too much.
    fn is_full_for(&self, more: u64) -> bool {
        self.used().saturating_add(more) > self.limit.load(Ordering::Relaxed)
    }
}

impl Budget {
    pub(crate) const fn new(capacity: Capacity) -> Self {
        Self { entries: Limited::new(capacity.entries), weight: Limited::new(capacity.weight) }
    }

    pub(crate) fn capacity(&self) -> Capacity {
        Capacity { entries: self.entries.limit(), weight: self.weight.limit() }
    }

    /// Sets other limits, and what is used of them. The caller holds the locks of all shards.
    pub(crate) fn resize(&self, capacity: Capacity, entries: u64, weight: u64) {
        self.entries.limit.store(capacity.entries.unwrap_or(NONE), Ordering::Relaxed);
        self.weight.limit.store(capacity.weight.unwrap_or(NONE), Ordering::Relaxed);
        self.entries.used.store(entries, Ordering::Relaxed);
        self.weight.used.store(weight, Ordering::Relaxed);
    }

    /// How many entries there are; anything in a store without limits.
    pub(crate) fn entries(&self) -> u64 {
        self.entries.used()
    }

    /// Entries are counted if there is any limit, as shards are compared by their number.
    fn has_limit(&self) -> bool {
        self.entries.limit().is_some() || self.weight.limit().is_some()
    }

    /// Whether an entry could not be held even by an empty store, and why.
    pub(crate) fn refuses(&self, weight: u32) -> Option<Full> {
        if self.entries.limit() == Some(0) {
            return Some(full(0, 0));
        }
        let limit = self.weight.limit()?;
        (u64::from(weight) > limit).then(|| full(limit, self.weight.used()))
    }

    /// Takes room whether or not there is any.
    pub(crate) fn take(&self, entries: u64, weight: u64) {
        if entries > 0 && self.has_limit() {
            self.entries.used.fetch_add(entries, Ordering::Relaxed);
        }
        if weight > 0 && self.weight.limit().is_some() {
            self.weight.used.fetch_add(weight, Ordering::Relaxed);
        }
    }

    /// Takes room if there is enough.
    pub(crate) fn try_take(&self, entries: u64, weight: u64) -> Result<(), Full> {
        if self.has_limit() {
            grow(&self.entries, entries)?;
        }
        if self.weight.limit().is_none() {
            return Ok(());
        }
        grow(&self.weight, weight).inspect_err(|_| {
            self.entries.used.fetch_sub(entries, Ordering::Relaxed);
        })
    }

    pub(crate) fn give_back(&self, entries: u64, weight: u64) {
        if entries > 0 && self.has_limit() {
            self.entries.used.fetch_sub(entries, Ordering::Relaxed);
        }
        if weight > 0 && self.weight.limit().is_some() {
            self.weight.used.fetch_sub(weight, Ordering::Relaxed);
        }
    }

    /// Whether more is held than allowed.
    pub(crate) fn is_over(&self) -> bool {
        self.entries.is_over() || self.weight.is_over()
    }

    /// Whether there is no room for one more entry of a weight.
    pub(crate) fn is_full_for(&self, weight: u32) -> bool {
        self.entries.is_full_for(1) || self.weight.is_full_for(u64::from(weight))
    }

    /// Panics unless the counters agree with what the shards hold.
    pub(crate) fn check(&self, entries: u64, weight: u64) {
        if self.has_limit() {
            assert_eq!(self.entries.used(), entries, "the budget counts other entries");
        }
        if self.weight.limit().is_some() {
            assert_eq!(self.weight.used(), weight, "the budget counts another weight");
        }
        assert!(!self.is_over(), "the store holds more than its capacity");
    }
}

fn grow(limited: &Limited, by: u64) -> Result<(), Full> {
    let limit = limited.limit.load(Ordering::Relaxed);
    limited
        .used
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            used.checked_add(by).filter(|sum| *sum <= limit)
        })
        .map(drop)
        .map_err(|used| full(limit, used))
}

const fn full(max_size: u64, current_size: u64) -> Full {
    Full { max_size, current_size }
}
