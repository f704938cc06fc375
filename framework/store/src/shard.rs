//! [`Shard`], one lock and what it guards: a [`Table`].

use std::borrow::Borrow;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, TryLockError};

use fastrand::Rng;
use larder_core::clock::Moment;
use larder_core::policy::{Policy, SlotId, Slots};

use crate::index::Index;
use crate::recent::Recent;
use crate::records::Records;
use crate::slab::{Life, NEVER, Slab, Slot};
use crate::stats::Tally;

/// Aligned to two cache lines, as processors fetch lines in pairs.
///
/// The lock may be poisoned by a panic of the user's code (`Eq`, `Clone`, a policy). All changes
/// are ordered so that index and slab agree whenever such code runs; so poison is ignored.
#[repr(align(128))]
pub(crate) struct Shard<K, V> {
    table: RwLock<Table<K, V>>,
    pub(crate) records: Records,
    /// What the table holds, for those that look without the lock.
    entries: AtomicU64,
    weight: AtomicU64,
}

impl<K, V> Shard<K, V> {
    pub(crate) fn new(policy: Box<dyn Policy>, seed: u64, expected_entries: u64) -> Self {
        Self {
            table: RwLock::new(Table::new(policy, seed, expected_entries)),
            records: Records::new(),
            entries: AtomicU64::new(0),
            weight: AtomicU64::new(0),
        }
    }

    pub(crate) fn entries(&self) -> u64 {
        self.entries.load(Ordering::Relaxed)
    }

    pub(crate) fn weight(&self) -> u64 {
        self.weight.load(Ordering::Relaxed)
    }

    #[inline]
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Table<K, V>> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Locks the shard for changes, and tells the policy what was hit until now.
    pub(crate) fn write(&self) -> Writing<'_, K, V> {
        self.writing(self.table.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// Tells the policy what was hit, unless somebody holds the lock.
    #[cold]
    pub(crate) fn try_drain(&self) {
        match self.table.try_write() {
            Ok(table) => drop(self.writing(table)),
            Err(TryLockError::Poisoned(poison)) => drop(self.writing(poison.into_inner())),
            Err(TryLockError::WouldBlock) => {}
        }
    }

    fn writing<'a>(&'a self, table: RwLockWriteGuard<'a, Table<K, V>>) -> Writing<'a, K, V> {
        let mut writing = Writing { table, shard: self };
        self.records.drain(|hits| writing.policy_hits(hits));
        writing
    }
}

/// A shard locked for changes. Publishes what the table holds when it is dropped, however that
/// comes about.
pub(crate) struct Writing<'a, K, V> {
    table: RwLockWriteGuard<'a, Table<K, V>>,
    shard: &'a Shard<K, V>,
}

impl<K, V> Deref for Writing<'_, K, V> {
    type Target = Table<K, V>;

    fn deref(&self) -> &Self::Target {
        &self.table
    }
}

impl<K, V> DerefMut for Writing<'_, K, V> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.table
    }
}

impl<K, V> Drop for Writing<'_, K, V> {
    fn drop(&mut self) {
        let slab = &self.table.slab;
        let entries = self.table.slab.len() as u64;
        self.shard.entries.store(entries, Ordering::Relaxed);
        self.shard.weight.store(slab.weight(), Ordering::Relaxed);
    }
}

/// The entries of a shard and all books about them.
pub(crate) struct Table<K, V> {
    index: Index,
    pub(crate) slab: Slab<K, V>,
    pub(crate) recent: Recent,
    pub(crate) tally: Tally,
    pub(crate) expiry: Expiry,
    /// In a mutex only because a policy need not be `Sync`; it is never locked.
    policy: Mutex<Box<dyn Policy>>,
    random: Rng,
}

/// Where the search for expired entries stands.
pub(crate) struct Expiry {
    /// No entry ends before this.
    pub(crate) soonest: u64,
    /// The same for the entries that the present pass has seen.
    pub(crate) soonest_seen: u64,
    /// The slot at which the pass goes on.
    pub(crate) cursor: usize,
}

impl Expiry {
    pub(crate) const NEW: Self = Self { soonest: NEVER, soonest_seen: NEVER, cursor: 0 };

    fn note(&mut self, end: u64) {
        self.soonest = self.soonest.min(end);
        self.soonest_seen = self.soonest_seen.min(end);
    }
}

impl<K, V> Table<K, V> {
    fn new(policy: Box<dyn Policy>, seed: u64, expected_entries: u64) -> Self {
        Self {
            index: Index::new(),
            slab: Slab::new(),
            recent: Recent::new(expected_entries),
            tally: Tally::default(),
            expiry: Expiry::NEW,
            policy: Mutex::new(policy),
            random: Rng::with_seed(seed),
        }
    }

    /// The entry of a key, expired or not.
    #[inline]
    pub(crate) fn find<Q>(&self, hash: u64, key: &Q) -> Option<(SlotId, &Slot<K, V>)>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        self.index.find(hash, |token| {
            let slot = self.slab.get(token)?;
            (slot.key.borrow() == key).then_some((SlotId::new(token), slot))
        })
    }

    /// Whether the life of an entry is over. The clock is read only if it has one.
    pub(crate) fn is_over(&self, slot: SlotId, now: impl FnOnce() -> Moment) -> bool {
        self.slab.life(slot).is_some_and(|life| life.is_over(now()))
    }

    /// Adds a key that is not there.
    pub(crate) fn insert(
        &mut self,
        hash: u64,
        (key, value): (K, V),
        weight: u32,
        life: Option<Life>,
    ) -> SlotId {
        let slot = self.slab.insert(hash, key, value, weight);
        let slab = &self.slab;
        self.index.insert(hash, slot.get(), |token| slab.hash(SlotId::new(token)));
        self.recent.forget(hash);
        self.set_life(slot, life);
        self.with_policy(None, |policy, slots| policy.on_insert(slot, slots));
        slot
    }

    pub(crate) fn set_life(&mut self, slot: SlotId, life: Option<Life>) {
        if let Some(life) = &life {
            self.expiry.note(life.end());
        }
        self.slab.set_life(slot, life);
    }

    pub(crate) fn set_deadline(&mut self, slot: SlotId, deadline: Option<Moment>) {
        self.slab.set_deadline(slot, deadline);
        if let Some(life) = self.slab.life(slot) {
            let end = life.end();
            self.expiry.note(end);
        }
    }

    /// Takes an entry out. The policy is told first, while it can still ask about the entry.
    pub(crate) fn remove(&mut self, slot: SlotId, evicted: bool) -> Option<(K, V)> {
        self.slab.get(slot.get())?;
        self.with_policy(None, |policy, slots| policy.on_remove(slot, evicted, slots));
        self.index.remove(self.slab.hash(slot), slot.get());
        self.slab.remove(slot)
    }

    /// Takes everything out at once. The policy goes too, with all that it remembers.
    pub(crate) fn take_all(&mut self, policy: Box<dyn Policy>) -> (Slab<K, V>, Box<dyn Policy>) {
        self.index = Index::new();
        self.expiry = Expiry::NEW;
        let policy = std::mem::replace(&mut self.policy, Mutex::new(policy));
        let policy = policy.into_inner().unwrap_or_else(PoisonError::into_inner);
        (std::mem::replace(&mut self.slab, Slab::new()), policy)
    }

    /// The entry that should make room. A policy that names none, or one that is not there, is not
    /// believed while there are entries.
    pub(crate) fn victim(&mut self, pinned: Option<SlotId>) -> Option<SlotId> {
        let named = self.with_policy(pinned, |policy, slots| policy.victim(slots));
        let is_there = |slot: &SlotId| Some(*slot) != pinned && self.slab.get(slot.get()).is_some();
        named.filter(is_there).or_else(|| {
            let mut slots = self.slab.iter_from(0).map(|(slot, _)| slot);
            slots.find(|slot| Some(*slot) != pinned)
        })
    }

    /// Whether the policy wants a new key in the place of `victim`.
    pub(crate) fn admits(&mut self, hash: u64, weight: u32, victim: SlotId) -> bool {
        self.with_policy(None, |policy, slots| policy.admit(hash, weight, victim, slots))
    }

    pub(crate) fn policy_hits(&mut self, hits: &[SlotId]) {
        self.with_policy(None, |policy, slots| policy.on_hits(hits, slots));
    }

    fn with_policy<R>(
        &mut self,
        pinned: Option<SlotId>,
        ask: impl FnOnce(&mut dyn Policy, &mut dyn Slots) -> R,
    ) -> R {
        let policy = self.policy.get_mut().unwrap_or_else(PoisonError::into_inner);
        let mut view = View { slab: &mut self.slab, random: &mut self.random, pinned };
        ask(&mut **policy, &mut view)
    }

    /// Panics unless index, slab and policy agree.
    pub(crate) fn check(&mut self) {
        self.slab.check();
        self.index.check(|token| self.slab.hash(SlotId::new(token)));
        assert_eq!(self.index.len(), self.slab.len(), "the index lost an entry");
        for (slot, _) in self.slab.iter_from(0) {
            let hash = self.slab.hash(slot);
            let found = self.index.find(hash, |token| (token == slot.get()).then_some(()));
            assert!(found.is_some(), "the index does not find {slot:?}");
            let end = self.slab.life(slot).map_or(NEVER, Life::end);
            assert!(self.expiry.soonest <= end, "{slot:?} would not be swept");
        }
        let kept = self.with_policy(None, |policy, _| policy.len());
        assert_eq!(kept, self.slab.len(), "the policy counts other entries");
    }
}

/// What a policy sees.
struct View<'a, K, V> {
    slab: &'a mut Slab<K, V>,
    random: &'a mut Rng,
    pinned: Option<SlotId>,
}

impl<K, V> Slots for View<'_, K, V> {
    fn hits(&self, slot: SlotId) -> u8 {
        let slot = self.slab.get(slot.get());
        slot.map_or(0, |slot| slot.hits.load(Ordering::Relaxed))
    }

    fn set_hits(&mut self, slot: SlotId, hits: u8) {
        if let Some(slot) = self.slab.get_mut(slot) {
            *slot.hits.get_mut() = hits;
        }
    }

    fn hash(&self, slot: SlotId) -> u64 {
        self.slab.hash(slot)
    }

    fn weight(&self, slot: SlotId) -> u32 {
        self.slab.weight_of(slot)
    }

    fn deadline(&self, slot: SlotId) -> Option<Moment> {
        self.slab.deadline(slot)
    }

    fn is_pinned(&self, slot: SlotId) -> bool {
        self.pinned == Some(slot)
    }

    fn random(&mut self, bound: u32) -> u32 {
        self.random.u32(..bound.max(1))
    }
}
