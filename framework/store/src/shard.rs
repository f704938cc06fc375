//! [`Shard`]: what readers look into without a lock, and the lock of its writers.
//!
//! | part | what |
//! |---|---|
//! | here | finding an entry, in a [`Guard`] or under the lock |
//! | `shard/entries` | putting entries in and taking them out |
//! | `shard/clear` | taking out everything at once |
//! | `shard/policy` | asking the policy |
//! | `shard/check` | the invariants |

#![expect(unsafe_code, reason = "readers find slots without a lock")]

use std::borrow::Borrow;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use larder_core::clock::Moment;
use larder_core::policy::{HitMode, Policy};

use crate::age::Ageing;
use crate::books::Books;
use crate::chunks::Chunks;
use crate::index::Index;
use crate::keep::Keep;
use crate::life::Life;
use crate::outcome::{RemovalReason, Removed};
use crate::recent::Recent;
use crate::records::Records;
use crate::slot::Slot;
use crate::threads::Guard;

mod check;
mod clear;
mod entries;
mod policy;

/// One part of a store. Aligned to two cache lines, as processors fetch lines in pairs.
///
/// The lock may be poisoned by a panic of the user's code (`Eq`, `Clone`, a policy). All changes
/// are ordered so that index and slots agree whenever such code runs; so poison is ignored.
#[repr(align(128))]
pub(crate) struct Shard<K, V, M: Keep<V>> {
    index: Index,
    mode: Mode,
    slots: Chunks<Slot<K, V, M>>,
    lives: Chunks<Life>,
    ages: Chunks<Ageing>,
    pub(crate) recent: Recent,
    /// Written on hits, so apart from what hits read.
    pub(crate) records: Apart<Records>,
    /// Written by writers.
    writers: Apart<Writers>,
}

/// A value on cache lines of its own.
#[repr(align(128))]
pub(crate) struct Apart<T>(T);

impl<T> Deref for Apart<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

struct Writers {
    /// What the shard holds, for those that look without the lock.
    entries: AtomicU64,
    weight: AtomicU64,
    books: Mutex<Books>,
}

/// What the policy wants the store to do on a hit, in one byte: how far the hit counter of an
/// entry goes, or one of two ways to hear of each hit.
struct Mode(AtomicU8);

/// The policy hears of hits before the next write, in batches.
pub(crate) const RECORD: u8 = 0x40;
/// The policy hears of hits at once, under the lock.
pub(crate) const AT_ONCE: u8 = 0x80;

impl Mode {
    const fn of(mode: HitMode) -> Self {
        Self(AtomicU8::new(match mode {
            HitMode::None => 0,
            HitMode::Bit => 1,
            HitMode::Counter { max } if max < RECORD => max,
            HitMode::Counter { .. } => RECORD - 1,
            HitMode::Record => RECORD,
            // A mode that a later version adds is served by the one that is always right.
            _ => AT_ONCE,
        }))
    }

    /// Lets hits be noted in another way from now on. One that is under way may be noted in the way
    /// of before, or in neither.
    fn set(&self, mode: HitMode) {
        self.0.store(Self::of(mode).0.into_inner(), Ordering::Relaxed);
    }
}

/// An entry that was found. It stays where it is while `'a` lasts.
pub(crate) struct Found<'a, K, V, M: Keep<V>> {
    pub(crate) slot: u32,
    pub(crate) place: &'a Slot<K, V, M>,
    pub(crate) key: &'a K,
    pub(crate) value: M::Seen<'a>,
}

impl<K, V, M: Keep<V>> Shard<K, V, M> {
    pub(crate) fn new(policy: Box<dyn Policy>, seed: u64, expected_entries: u64) -> Self {
        Self {
            index: Index::new(),
            mode: Mode::of(policy.hit_mode()),
            slots: Chunks::new(),
            lives: Chunks::new(),
            ages: Chunks::new(),
            recent: Recent::new(expected_entries),
            records: Apart(Records::new()),
            writers: Apart(Writers {
                entries: AtomicU64::new(0),
                weight: AtomicU64::new(0),
                books: Mutex::new(Books::new(policy, seed, expected_entries)),
            }),
        }
    }

    pub(crate) fn entries(&self) -> u64 {
        self.writers.entries.load(Ordering::Relaxed)
    }

    pub(crate) fn weight(&self) -> u64 {
        self.writers.weight.load(Ordering::Relaxed)
    }

    /// What to do on a hit: how far to count, or [`RECORD`] or [`AT_ONCE`].
    #[inline(always)]
    pub(crate) fn mode(&self) -> u8 {
        self.mode.0.load(Ordering::Relaxed)
    }

    /// The entry of a key, expired or not.
    #[inline(always)]
    pub(crate) fn find<'a, Q>(
        &'a self,
        hash: u64,
        key: &Q,
        _guard: &'a Guard,
    ) -> Option<Found<'a, K, V, M>>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        // SAFETY: the guard is of this thread and lasts as long as what is found.
        unsafe { self.search(hash, key) }
    }

    /// # Safety
    ///
    /// The caller is in a read, or holds the lock, for as long as it uses what it finds.
    #[inline(always)]
    unsafe fn search<'a, Q>(&'a self, hash: u64, key: &Q) -> Option<Found<'a, K, V, M>>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        let accept = |slot: u32| {
            let place = self.slots.get(slot)?;
            // SAFETY: the number came out of the index within a read or under the lock. So the
            // slot was filled before, and is emptied only after what the caller promises ends.
            let (found, value) = unsafe { place.entry() };
            (found.borrow() == key).then_some(Found { slot, place, key: found, value })
        };
        // SAFETY: as the caller promises.
        unsafe { self.index.find(hash as u32, accept) }
    }

    /// Asks the processor to fetch the bucket of a hash.
    #[inline(always)]
    pub(crate) fn prefetch_bucket(&self, hash: u64) {
        self.index.prefetch(hash as u32);
    }

    /// Asks the processor to fetch the slots that may belong to a hash.
    #[inline(always)]
    pub(crate) fn prefetch_slot(&self, hash: u64, _guard: &Guard) {
        let fetch = |slot: u32| {
            let place = self.slots.get(slot)?;
            crate::prefetch::line(std::ptr::from_ref(place));
            Some(())
        };
        // SAFETY: the caller is in a read.
        let _ = unsafe { self.index.find(hash as u32, fetch) };
    }

    /// The life of an entry that has one.
    #[inline(always)]
    pub(crate) fn life(&self, found: &Found<'_, K, V, M>) -> Option<&Life> {
        if found.place.is_mortal() { self.lives.get(found.slot) } else { None }
    }

    /// The age of an entry that has one.
    #[inline]
    pub(crate) fn ageing(&self, found: &Found<'_, K, V, M>) -> Option<&Ageing> {
        if found.place.is_aged() { self.ages.get(found.slot) } else { None }
    }

    /// Whether the life of an entry is over. The clock is read only if it has one.
    pub(crate) fn is_over(&self, found: &Found<'_, K, V, M>, now: impl FnOnce() -> Moment) -> bool {
        self.life(found).is_some_and(|life| life.is_over(now()))
    }

    /// Shows the entry of a slot that is [out of reach](Writing::unlink) and was not retired yet.
    /// Whoever took it out of reach is the only one to call this, and the only one to retire it.
    pub(crate) fn show_unlinked(
        &self,
        slot: u32,
        reason: RemovalReason,
        tell: &dyn Fn(Removed<'_, K, V, M>),
    ) {
        let Some(place) = self.slots.get(slot).filter(|place| place.is_retired()) else {
            return;
        };
        // SAFETY: the slot holds an entry until it was retired and its grace period is over, and
        // only the caller can retire it.
        let (key, value) = unsafe { place.entry() };
        tell(Removed { key, value, reason });
    }

    /// Locks the shard for changes, and tells the policy what was hit until now.
    #[inline]
    pub(crate) fn write(&self) -> Writing<'_, K, V, M> {
        self.writing(self.books())
    }

    /// Locks the shard to look at its books.
    pub(crate) fn books(&self) -> MutexGuard<'_, Books> {
        self.writers.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the policy what was hit, unless somebody holds the lock.
    #[cold]
    pub(crate) fn try_drain(&self) {
        match self.writers.books.try_lock() {
            Ok(books) => drop(self.writing(books)),
            Err(TryLockError::Poisoned(poison)) => drop(self.writing(poison.into_inner())),
            Err(TryLockError::WouldBlock) => {}
        }
    }

    #[inline(always)]
    fn writing<'a>(&'a self, mut books: MutexGuard<'a, Books>) -> Writing<'a, K, V, M> {
        if self.mode() == RECORD {
            self.tell_records(&mut books);
        }
        Writing { shard: self, books, dead: Vec::new() }
    }
}

impl<K, V, M: Keep<V>> Drop for Shard<K, V, M> {
    fn drop(&mut self) {
        let used = self.books().used();
        for slot in 0..used {
            let Some(place) = self.slots.get(slot) else { continue };
            if place.is_live() || place.is_retired() {
                // SAFETY: it holds an entry, and nobody else can use the shard now.
                drop(unsafe { place.take() });
            }
        }
    }
}

/// A shard locked for changes. Publishes what it holds when it is dropped, however that comes
/// about, and drops the user's keys and values after that, without the lock.
pub(crate) struct Writing<'a, K, V, M: Keep<V>> {
    shard: &'a Shard<K, V, M>,
    books: MutexGuard<'a, Books>,
    /// Entries that nobody sees any more. Below the lock, so that they are dropped after it.
    dead: Vec<(K, V)>,
}

impl<K, V, M: Keep<V>> Deref for Writing<'_, K, V, M> {
    type Target = Books;

    fn deref(&self) -> &Books {
        &self.books
    }
}

impl<K, V, M: Keep<V>> DerefMut for Writing<'_, K, V, M> {
    fn deref_mut(&mut self) -> &mut Books {
        &mut self.books
    }
}

impl<K, V, M: Keep<V>> Drop for Writing<'_, K, V, M> {
    fn drop(&mut self) {
        let writers = &self.shard.writers;
        writers.entries.store(self.books.len() as u64, Ordering::Relaxed);
        writers.weight.store(self.books.weight(), Ordering::Relaxed);
    }
}

impl<'a, K, V, M: Keep<V>> Writing<'a, K, V, M> {
    /// The place of an entry, if it is there.
    #[inline]
    pub(crate) fn place(&self, slot: u32) -> Option<&'a Slot<K, V, M>> {
        let place = self.shard.slots.get(slot)?;
        (place.is_live() && !self.books.is_cleared(slot)).then_some(place)
    }

    /// The shard that is locked.
    pub(crate) const fn shard(&self) -> &Shard<K, V, M> {
        self.shard
    }

    /// The entry of a key, expired or not.
    #[inline]
    pub(crate) fn find<Q>(&self, hash: u64, key: &Q) -> Option<Found<'_, K, V, M>>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        // SAFETY: this holds the lock, and entries are retired only through `&mut self`.
        unsafe { self.shard.search(hash, key) }
    }

    /// The entry of a slot.
    pub(crate) fn get(&self, slot: u32) -> Option<Found<'_, K, V, M>> {
        let place = self.place(slot)?;
        // SAFETY: it holds an entry, and those are taken out only through `&mut self`.
        let (key, value) = unsafe { place.entry() };
        Some(Found { slot, place, key, value })
    }

    /// Every entry from the number `first` on, in the order of the numbers, which an entry keeps
    /// as long as it is there.
    pub(crate) fn iter_from(
        &self,
        first: usize,
    ) -> impl Iterator<Item = (u32, Found<'_, K, V, M>)> {
        let first = u32::try_from(first).unwrap_or(u32::MAX);
        self.iter_within(first..self.books.used())
    }

    /// Every entry with one of these numbers.
    pub(crate) fn iter_within(
        &self,
        numbers: std::ops::Range<u32>,
    ) -> impl Iterator<Item = (u32, Found<'_, K, V, M>)> {
        numbers.filter_map(|number| {
            let slot = self.books.columns.ids.slot(larder_core::policy::SlotId::new(number));
            Some((number, self.get(slot)?))
        })
    }
}
