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

    #[inline]
    fn limit(&self) -> Option<u64> {
        let limit = self.limit.load(Ordering::Relaxed);
        (limit != NONE).then_some(limit)
    }

    #[inline]
    fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    #[inline]
    fn is_over(&self) -> bool {
        self.used() > self.limit.load(Ordering::Relaxed)
    }

    /// Whether `more` would be too much, if `less` went.
    #[inline]
    fn is_short_of(&self, more: u64, less: u64) -> bool {
        let used = self.used().saturating_sub(less);
        used.saturating_add(more) > self.limit.load(Ordering::Relaxed)
    }

    /// Moves what is used.
    #[inline]
    fn change(&self, more: u64, less: u64) {
        if more != less {
            self.used.fetch_add(more.wrapping_sub(less), Ordering::Relaxed);
        }
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
    #[inline]
    pub(crate) fn entries(&self) -> u64 {
        self.entries.used()
    }

    /// Entries are counted if there is any limit, as shards are compared by their number.
    #[inline]
    fn has_limit(&self) -> bool {
        self.entries.limit().is_some() || self.weight.limit().is_some()
    }

    /// Whether an entry could not be held even by an empty store, and why.
    #[inline]
    pub(crate) fn refuses(&self, weight: u32) -> Option<Full> {
        if self.entries.limit() == Some(0) {
            return Some(full(0, 0));
        }
        let limit = self.weight.limit()?;
        (u64::from(weight) > limit).then(|| full(limit, self.weight.used()))
    }

    /// Takes room whether or not there is any.
    #[inline]
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

    #[inline]
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

/// Room that evictions made for an entry that is not in yet. It is given back unless it is spent,
/// also when a policy panics in between.
#[must_use = "room that nobody spends is given back"]
pub(crate) struct Room<'a> {
    budget: &'a Budget,
    entries: u64,
    weight: u64,
}

impl<'a> Room<'a> {
    pub(crate) const fn new(budget: &'a Budget) -> Self {
        Self { budget, entries: 0, weight: 0 }
    }

    /// Whether nothing was evicted.
    pub(crate) const fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// An entry of this weight went.
    pub(crate) fn add(&mut self, weight: u32) {
        self.entries += 1;
        self.weight += u64::from(weight);
    }

    /// Whether one more entry of a weight would be too much.
    #[inline]
    pub(crate) fn is_short_of(&self, weight: u32) -> bool {
        self.budget.entries.is_short_of(1, self.entries)
            || self.budget.weight.is_short_of(u64::from(weight), self.weight)
    }

    /// An entry takes the room, and more if that is not enough. In a full store most entries take
    /// the room of one of the same size, and then no counter that all threads share is written.
    #[inline]
    pub(crate) fn spend(self, weight: u32) {
        let budget = self.budget;
        if budget.has_limit() {
            budget.entries.change(1, self.entries);
        }
        if budget.weight.limit().is_some() {
            budget.weight.change(u64::from(weight), self.weight);
        }
        std::mem::forget(self);
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        self.budget.give_back(self.entries, self.weight);
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
