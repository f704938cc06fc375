//! [`Store`], the public table, and its look-ups.

use std::borrow::Borrow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use foldhash::SharedSeed;
use foldhash::quality::FoldHasher;
use larder_core::backend::OnFull;
use larder_core::clock::{Clock, Moment};
use larder_core::policy::{Capacity, HitMode, PolicyFactory, SlotId};

use crate::budget::Budget;
use crate::options::StoreOptions;
use crate::outcome::{Lookup, MissCause, Removed};
use crate::shard::{Shard, Table};
use crate::slab::Slot;
use crate::stats::StoreStats;
use crate::stripes::Stripes;

mod evict;
mod manage;
mod sweep;
#[cfg(test)]
mod tests;
mod write;

/// Who is told about every entry that leaves a store.
pub type Listener<K, V> = Arc<dyn Fn(Removed<K, V>) + Send + Sync>;

/// A concurrent table with a limit, lives and an eviction policy.
///
/// Share it behind an `Arc`. A hit takes the shared lock of one shard; it allocates nothing, and
/// reads the clock only if the entry has a deadline or an idle life. An entry is never served at
/// or after its deadline, nor after it went unused for its idle life.
///
/// The user's `Hash`, `Eq`, `Borrow` and `Clone` run while a shard is locked, except `Hash`. They
/// may panic, which leaves the store as it was; they must not use the store.
///
/// ```
/// use std::sync::Arc;
///
/// use larder_core::backend::InProcess;
/// use larder_core::plugin::Factory;
/// use larder_core::policy::Capacity;
/// use larder_core::{SystemClock, serde_json::json};
/// use larder_store::{Insert, Lookup, Store, StoreOptions};
///
/// let Factory::Policy(lru) = larder_policies::LRU.factory else {
///     unreachable!("it is a policy");
/// };
/// let lru = lru.build(json!({}))?;
/// let capacity = Capacity { entries: Some(1000), weight: None };
/// let options = StoreOptions::new(InProcess::new(capacity, lru), SystemClock::shared());
/// let users: Store<u64, Arc<str>> = Store::new(options);
/// users.insert(42, Arc::from("Ada"), Insert::default())?;
/// assert_eq!(users.get(&42), Lookup::Hit(Arc::from("Ada")));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Store<K, V> {
    shards: Box<[Shard<K, V>]>,
    seed: u64,
    shared_seed: SharedSeed,
    /// Where the hit counter of an entry stops; 0 if hits are not counted.
    hits_max: u8,
    /// Whether the policy wants to hear of each hit, and when.
    hearing: Hearing,
    stripes: Stripes,
    clock: Arc<dyn Clock>,
    idle_ttl: Option<Duration>,
    listener: Option<Listener<K, V>>,
    budget: Budget,
    on_full: OnFull,
    policy: Arc<dyn PolicyFactory>,
    /// What each shard holds if all hold the same: what policies size their books by.
    share: Capacity,
    /// The shard at which the next sweep begins.
    next_sweep: AtomicUsize,
    /// The counters at the last reset.
    baseline: Mutex<StoreStats>,
}

/// When a policy hears of hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hearing {
    /// At once, under the exclusive lock.
    AtOnce,
    /// Before the next write, in batches.
    Later,
    /// Never.
    Never,
}

impl<K, V> fmt::Debug for Store<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("policy", &self.policy.kind())
            .field("capacity", &self.budget.capacity())
            .field("shards", &self.shards.len())
            .finish_non_exhaustive()
    }
}

impl<K, V> Store<K, V> {
    /// An empty store.
    ///
    /// The number of shards is rounded up to a power of two. If none is asked for there are four
    /// per core, but never so many that a shard holds fewer than 32 entries, and only one below 64
    /// entries, where the policy then is exact.
    #[must_use]
    pub fn new(options: StoreOptions) -> Self {
        let settings = options.in_process;
        let capacity = settings.capacity;
        let count = shard_count(settings.shards, capacity);
        let share_of = |total: Option<u64>| total.map(|total| total.div_ceil(count as u64));
        let share =
            Capacity { entries: share_of(capacity.entries), weight: share_of(capacity.weight) };
        let mut mode = HitMode::None;
        let seeds = 0..count as u64;
        let shards = seeds.map(|number| {
            let policy = settings.policy.policy(share);
            mode = policy.hit_mode();
            Shard::new(policy, options.seed ^ number, share.expected_entries(1))
        });
        let shards = shards.collect();
        let (hits_max, hearing) = hearing(mode);
        Self {
            shards,
            seed: options.seed,
            shared_seed: SharedSeed::from_u64(options.seed),
            hits_max,
            hearing,
            stripes: Stripes::new(4 * cores()),
            clock: options.clock,
            idle_ttl: options.idle_ttl,
            listener: None,
            budget: Budget::new(capacity),
            on_full: settings.on_full,
            policy: settings.policy,
            share,
            next_sweep: AtomicUsize::new(0),
            baseline: Mutex::default(),
        }
    }

    /// Sets who is told about every entry that leaves, replaced and refused ones included.
    ///
    /// The listener runs on the thread that caused the removal, after all locks are released, so
    /// it may use the store. Entries of a removal during which the user's code panics are dropped
    /// without a word.
    #[must_use]
    pub fn with_listener(mut self, listener: Listener<K, V>) -> Self {
        self.listener = Some(listener);
        self
    }

    #[inline]
    fn hash<Q: Hash + ?Sized>(&self, key: &Q) -> u64 {
        let mut hasher = FoldHasher::with_seed(self.seed, &self.shared_seed);
        key.hash(&mut hasher);
        hasher.finish()
    }

    /// The hash by which this store finds a key. Seeded for this store, so it means nothing to
    /// another, nor in another run.
    #[inline]
    #[must_use]
    pub fn hash_of<Q: Hash + ?Sized>(&self, key: &Q) -> u64 {
        self.hash(key)
    }

    /// The number of the shard of a hash: bits that neither tags nor buckets need.
    #[inline]
    fn shard_number(&self, hash: u64) -> usize {
        (hash >> 48) as usize & (self.shards.len() - 1)
    }

    #[inline]
    fn shard(&self, hash: u64) -> &Shard<K, V> {
        &self.shards[self.shard_number(hash)]
    }

    fn now(&self) -> Moment {
        self.clock.now()
    }
}

impl<K, V> Store<K, V>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// A clone of the value of a key.
    #[inline]
    pub fn get<Q>(&self, key: &Q) -> Lookup<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        match self.get_with(key, V::clone) {
            Ok(value) => Lookup::Hit(value),
            Err(cause) => Lookup::Miss(cause),
        }
    }

    /// What `f` makes of the value of a key, without cloning it. `f` runs under the lock of the
    /// shard, so it must be quick and must not use the store.
    ///
    /// # Errors
    ///
    /// Why there is no value.
    #[inline]
    pub fn get_with<Q, R>(&self, key: &Q, f: impl FnOnce(&V) -> R) -> Result<R, MissCause>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.get_counted(key, |value, _| f(value))
    }

    /// Like [`get_with`](Self::get_with); `f` is also told which hit of this thread on this store
    /// it is, for sampling. Threads that share a counter may be told the same number.
    ///
    /// # Errors
    ///
    /// Why there is no value.
    #[inline]
    pub fn get_counted<Q, R>(&self, key: &Q, f: impl FnOnce(&V, u64) -> R) -> Result<R, MissCause>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let hash = self.hash(key);
        if self.hearing == Hearing::AtOnce {
            return self.get_exclusively(hash, key, f);
        }
        let shard = self.shard(hash);
        let table = shard.read();
        let Some((slot, entry)) = table.find(hash, key) else {
            let cause = table.recent.cause(hash);
            drop(table);
            self.stripes.miss(cause);
            return Err(cause);
        };
        if entry.mortal {
            let now = self.now();
            if table.slab.life(slot).is_some_and(|life| life.is_over(now)) {
                drop(table);
                return Err(self.miss_expired(hash, key));
            }
            if let Some(life) = table.slab.life(slot) {
                life.hit(now);
            }
        }
        // Counted before the unlocking, which waits for all stores anyway.
        let count = self.stripes.hit();
        entry.hit(self.hits_max);
        let result = f(&entry.value, count);
        let room = self.hearing == Hearing::Never || shard.records.push(slot);
        drop(table);
        if !room {
            shard.try_drain();
        }
        Ok(result)
    }

    /// [`get_with`](Self::get_with) for policies that must hear of every hit at once.
    fn get_exclusively<Q, R>(
        &self,
        hash: u64,
        key: &Q,
        f: impl FnOnce(&V, u64) -> R,
    ) -> Result<R, MissCause>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        let mut table = self.shard(hash).write();
        let Some((slot, _)) = table.find(hash, key) else {
            let cause = table.recent.cause(hash);
            self.stripes.miss(cause);
            return Err(cause);
        };
        if let Some(life) = table.slab.life(slot) {
            let now = self.now();
            if life.is_over(now) {
                drop(table);
                return Err(self.miss_expired(hash, key));
            }
            life.hit(now);
        }
        table.policy_hits(&[slot]);
        let count = self.stripes.hit();
        let entry = table.slab.get(slot.get());
        let entry = entry.expect("policies cannot remove entries");
        Ok(f(&entry.value, count))
    }

    /// Removes what a look-up found expired.
    #[cold]
    fn miss_expired<Q>(&self, hash: u64, key: &Q) -> MissCause
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        self.stripes.miss(MissCause::Expired);
        self.remove_expired(hash, key);
        MissCause::Expired
    }

    /// A clone of the value of a key, without any effect on policy, statistics or idle life.
    pub fn peek<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.look_at(key, |_, _, entry| entry.value.clone())
    }

    /// Whether there is an entry that may be served. Not counted.
    pub fn contains<Q>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.look_at(key, |_, _, _| ()).is_some()
    }

    /// The deadline of an entry that may be served; `Some(None)` is an entry without one.
    pub fn deadline<Q>(&self, key: &Q) -> Option<Option<Moment>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.look_at(key, |shard, slot, _| shard.slab.deadline(slot))
    }

    /// Looks at an entry that may be served, and leaves no trace.
    fn look_at<Q, R>(
        &self,
        key: &Q,
        look: impl FnOnce(&Table<K, V>, SlotId, &Slot<K, V>) -> R,
    ) -> Option<R>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let hash = self.hash(key);
        let table = self.shard(hash).read();
        let (slot, entry) = table.find(hash, key)?;
        let over = table.is_over(slot, || self.now());
        (!over).then(|| look(&table, slot, entry))
    }
}

/// What a policy wants the store to do on a hit.
const fn hearing(mode: HitMode) -> (u8, Hearing) {
    match mode {
        HitMode::None => (0, Hearing::Never),
        HitMode::Bit => (1, Hearing::Never),
        HitMode::Counter { max } => (max, Hearing::Never),
        HitMode::Record => (0, Hearing::Later),
        // A mode that a later version adds is served by the one that is always right.
        _ => (0, Hearing::AtOnce),
    }
}

/// The most shards: a hash has 16 bits for them.
const MAX_SHARDS: usize = 1 << 16;
/// Below this many entries the policy of the whole store should be exact.
const SMALL: u64 = 64;

fn shard_count(wanted: Option<usize>, capacity: Capacity) -> usize {
    if let Some(wanted) = wanted {
        return wanted.clamp(1, MAX_SHARDS).next_power_of_two();
    }
    let expected = match capacity.expected_entries(1) {
        0 if capacity.entries.is_none() && capacity.weight.is_none() => u64::MAX,
        expected => expected,
    };
    let mut count = (4 * cores()).next_power_of_two().min(MAX_SHARDS);
    while count > 1 && (expected < SMALL || expected / (count as u64) < SMALL / 2) {
        count /= 2;
    }
    count
}

/// How many threads can run at the same time. Asked once, as the answer costs system calls.
fn cores() -> usize {
    static CORES: OnceLock<usize> = OnceLock::new();
    *CORES.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from))
}
