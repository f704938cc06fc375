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
use larder_core::policy::{Capacity, PolicyFactory};

use crate::budget::Budget;
use crate::keep::{Keep, Whole};
use crate::life::Life;
use crate::options::StoreOptions;
use crate::outbox::Outbox;
use crate::outcome::{Lookup, MissCause, Removed};
use crate::shadow::{Sampling, Shadows, Use};
use crate::shard::{AT_ONCE, Found, RECORD, Shard};
use crate::stats::StoreStats;
use crate::stripes::Stripes;
use crate::threads::Guard;

mod age;
mod evict;
mod learn;
mod look;
mod manage;
mod many;
mod sweep;
#[cfg(test)]
mod tests;
mod write;

pub use look::Span;

/// Who is told about every entry that leaves a store.
pub type Listener<K, V, M = Whole> = Arc<dyn Fn(Removed<'_, K, V, M>) + Send + Sync>;

/// A concurrent table with a limit, lives and an eviction policy.
///
/// Share it behind an `Arc`. A hit takes no lock; it allocates nothing, and reads the clock only if
/// the entry has a deadline or an idle life. An entry is never served at or after its deadline, nor
/// after it went unused for its idle life. Writers lock one shard.
///
/// What leaves the store is dropped when no look-up can see it any more: mostly by one of the
/// next writes of the same shard, at the latest by a [`sweep`](Self::sweep) after the look-ups of
/// that moment are over. Up to a sixteenth of the entries may be alive for so long beyond the
/// capacity.
///
/// The user's `Hash`, `Eq`, `Borrow`, `Clone` and `Drop` may panic, which leaves the store in
/// order. `Hash`, `Clone` and `Drop` run without a lock and may use the store, and so may the
/// functions that are shown a value by a look-up; `Eq` and `Borrow` must not, as they also run
/// under the lock of a writer.
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
pub struct Store<K, V, M: Keep<V> = Whole> {
    shards: Box<[Shard<K, V, M>]>,
    seed: u64,
    shared_seed: SharedSeed,
    stripes: Stripes,
    clock: Arc<dyn Clock>,
    idle_ttl: Option<Duration>,
    listener: Option<Listener<K, V, M>>,
    budget: Budget,
    on_full: OnFull,
    policy: Arc<dyn PolicyFactory>,
    /// Of which keys the shadows want to hear.
    sampling: Sampling,
    /// What chooses the policy, if there is a choice.
    shadows: Option<Box<Shadows>>,
    /// The shard at which the next sweep begins.
    next_sweep: AtomicUsize,
    /// The counters at the last reset.
    baseline: Mutex<StoreStats>,
}

impl<K, V, M: Keep<V>> fmt::Debug for Store<K, V, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("policy", &self.policy.kind())
            .field("capacity", &self.budget.capacity())
            .field("shards", &self.shards.len())
            .finish_non_exhaustive()
    }
}

impl<K, V, M: Keep<V>> Store<K, V, M> {
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
        let share = share(capacity, count);
        let seeds = 0..count as u64;
        let shards = seeds.map(|number| {
            let policy = settings.policy.policy(share);
            Shard::new(policy, options.seed ^ number, share.expected_entries(1))
        });
        Self {
            shards: shards.collect(),
            seed: options.seed,
            shared_seed: SharedSeed::from_u64(options.seed),
            stripes: Stripes::new(4 * cores()),
            clock: options.clock,
            idle_ttl: options.idle_ttl,
            listener: None,
            budget: Budget::new(capacity),
            on_full: settings.on_full,
            shadows: Shadows::new(&*settings.policy, options.seed),
            sampling: Sampling::nothing(),
            policy: settings.policy,
            next_sweep: AtomicUsize::new(0),
            baseline: Mutex::default(),
        }
    }

    /// Sets who is told about every entry that leaves, replaced and refused ones included.
    ///
    /// The listener runs on the thread that caused the removal, after all locks are released, so
    /// it may use the store. Entries of a removal during which the user's code panics are dropped
    /// without a word. With a listener a [`clear`](Self::clear) takes as long as there are entries.
    #[must_use]
    pub fn with_listener(mut self, listener: Listener<K, V, M>) -> Self {
        self.listener = Some(listener);
        self
    }

    #[inline(always)]
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
    fn shard(&self, hash: u64) -> &Shard<K, V, M> {
        &self.shards[self.shard_number(hash)]
    }

    fn now(&self) -> Moment {
        self.clock.now()
    }
}

impl<K, V, M: Keep<V>> Store<K, V, M>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// A clone of the value of a key, or why there is none. Counted.
    ///
    /// # Panics
    ///
    /// When the user's code does.
    #[inline]
    pub fn get<Q>(&self, key: &Q) -> Lookup<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        match self.get_with(key, M::to_value) {
            Ok(value) => Lookup::Hit(value),
            Err(cause) => Lookup::Miss(cause),
        }
    }

    /// What `f` makes of the value of a key, or why there is no value. Counted. Saves the clone of
    /// a value that is only looked at.
    ///
    /// # Errors
    ///
    /// Why there is no value that may be served.
    #[inline]
    pub fn get_with<Q, R>(&self, key: &Q, f: impl FnOnce(M::Seen<'_>) -> R) -> Result<R, MissCause>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.get_counted(key, |value, _| f(value))
    }

    /// Like [`get_with`](Self::get_with), and also tells `f` how many hits the counter of this
    /// thread has, this one included: a number that grows by one per hit, to sample hits by.
    ///
    /// # Errors
    ///
    /// As [`get_with`](Self::get_with).
    #[inline]
    pub fn get_counted<Q, R>(
        &self,
        key: &Q,
        f: impl FnOnce(M::Seen<'_>, u64) -> R,
    ) -> Result<R, MissCause>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let guard = Guard::enter();
        self.get_hashed(self.hash(key), key, |found, hits, _| f(found.value, hits), &guard)
    }

    /// `f` also gets the life of the entry and the moment of the look, if it has a life.
    #[inline(always)]
    fn get_hashed<Q, R>(
        &self,
        hash: u64,
        key: &Q,
        f: impl FnOnce(Found<'_, K, V, M>, u64, Option<(&Life, Moment)>) -> R,
        guard: &Guard,
    ) -> Result<R, MissCause>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        let shard = self.shard(hash);
        let mode = shard.mode();
        if mode == AT_ONCE {
            return self.get_exclusively(hash, key, f, guard);
        }
        let Some(found) = shard.find(hash, key, guard) else {
            return Err(self.miss(hash, shard, guard));
        };
        let Ok(life) = self.lives_on(shard, &found) else {
            return Err(self.miss_expired(hash, key, guard));
        };
        if mode < RECORD {
            found.place.hit(mode);
        } else if !shard.records.push(found.slot) {
            shard.try_drain();
        }
        if self.sampling.takes_hit(hash) {
            self.note(hash, Use::Hit, 0);
        }
        Ok(f(found, self.stripes.hit(guard), life))
    }

    /// The life of an entry that may be served, if it has one, and the moment of the look. Its idle
    /// life begins anew.
    #[inline(always)]
    fn lives_on<'a>(
        &self,
        shard: &'a Shard<K, V, M>,
        found: &Found<'_, K, V, M>,
    ) -> Result<Option<(&'a Life, Moment)>, Over> {
        let Some(life) = shard.life(found) else {
            return Ok(None);
        };
        let now = self.now();
        if life.is_over(now) {
            return Err(Over);
        }
        life.hit(now);
        Ok(Some((life, now)))
    }

    /// Counts a look-up that found nothing; why there is nothing.
    fn miss(&self, hash: u64, shard: &Shard<K, V, M>, guard: &Guard) -> MissCause {
        let cause = shard.recent.cause(hash as u32);
        self.stripes.miss(guard, cause);
        cause
    }

    /// [`get_hashed`](Self::get_hashed) for policies that must hear of every hit at once.
    fn get_exclusively<Q, R>(
        &self,
        hash: u64,
        key: &Q,
        f: impl FnOnce(Found<'_, K, V, M>, u64, Option<(&Life, Moment)>) -> R,
        guard: &Guard,
    ) -> Result<R, MissCause>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        let shard = self.shard(hash);
        let mut table = shard.write();
        let Some(found) = shard.find(hash, key, guard) else {
            return Err(self.miss(hash, shard, guard));
        };
        let Ok(life) = self.lives_on(shard, &found) else {
            drop(table);
            return Err(self.miss_expired(hash, key, guard));
        };
        table.tell_use(found.slot);
        drop(table);
        if self.sampling.takes_hit(hash) {
            self.note(hash, Use::Hit, 0);
        }
        Ok(f(found, self.stripes.hit(guard), life))
    }
}

impl<K, V, M: Keep<V>> Store<K, V, M> {
    /// Where removals of one call are put down.
    fn outbox(&self) -> Outbox<'_, K, V, M> {
        Outbox::new(&self.shards, self.listener.is_some())
    }

    /// Tells the listener of what left. No lock may be held.
    #[inline]
    fn deliver(&self, out: &Outbox<'_, K, V, M>) {
        if let Some(listener) = &self.listener {
            out.deliver(&**listener);
        }
    }
}

/// The life of an entry is over.
struct Over;

/// What each of `shards` holds if all hold the same: what policies size their books by.
fn share(capacity: Capacity, shards: usize) -> Capacity {
    let share_of = |total: Option<u64>| total.map(|total| total.div_ceil(shards as u64));
    Capacity { entries: share_of(capacity.entries), weight: share_of(capacity.weight) }
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
