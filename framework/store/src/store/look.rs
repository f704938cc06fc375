//! Look-ups that leave no trace: nothing is counted, and no policy hears of them.

use std::borrow::Borrow;
use std::hash::Hash;
use std::time::Duration;

use larder_core::clock::Moment;

use super::Store;
use crate::keep::Keep;
use crate::life::Life;
use crate::shard::{Found, Shard};
use crate::threads::Guard;

/// How long an entry may live yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Span {
    /// From when on it must not be served; `None` is never.
    pub deadline: Option<Moment>,
    /// How long it may go without a hit; `None` is for ever.
    pub idle_ttl: Option<Duration>,
    /// For how long it has gone without one; zero if it may do so for ever.
    pub unused: Duration,
}

impl<K, V, M: Keep<V>> Store<K, V, M>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// A clone of the value of a key, without any effect on policy, statistics or idle life.
    pub fn peek<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.look_at(key, |_, found| M::to_value(found.value))
    }

    /// Like [`peek`](Self::peek), for who knows already what [`hash_of`](Self::hash_of) says of the
    /// key.
    pub fn peek_hashed<Q>(&self, hash: u64, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        self.look_at_hashed(hash, key, |_, found| M::to_value(found.value))
    }

    /// Whether there is an entry that may be served. Not counted.
    pub fn contains<Q>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.look_at(key, |_, _| ()).is_some()
    }

    /// The deadline of an entry that may be served; `Some(None)` is an entry without one.
    pub fn deadline<Q>(&self, key: &Q) -> Option<Option<Moment>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.look_at(key, |shard, found| shard.life(found)?.deadline())
    }

    /// What `f` makes of an entry that may be served, without any effect on policy, statistics or
    /// idle life: what a copy of the store needs.
    pub fn inspect<Q, R>(&self, key: &Q, f: impl FnOnce(M::Seen<'_>, Span) -> R) -> Option<R>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.look_at(key, |shard, found| {
            let life = shard.life(found);
            let idleness = life.and_then(|life| life.get().idleness(self.now()));
            let span = Span {
                deadline: life.and_then(Life::deadline),
                idle_ttl: idleness.map(|(idle_ttl, _)| idle_ttl),
                unused: idleness.map_or(Duration::ZERO, |(_, unused)| unused),
            };
            f(found.value, span)
        })
    }

    /// Sets how long ago the last hit of an entry was: one that comes back after a restart goes on
    /// with its idle life where it was. Whether there is such an entry.
    pub fn set_unused<Q>(&self, key: &Q, unused: Duration) -> bool
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let hash = self.hash(key);
        let mut table = self.shard(hash).write();
        let Some(slot) = self.find_to_touch(&table, hash, key) else {
            return false;
        };
        let life = table.full_life_of(slot).map(|life| life.unused_for(unused, self.now()));
        table.set_life(slot, life);
        true
    }

    /// Looks at an entry that may be served, and leaves no trace.
    fn look_at<Q, R>(
        &self,
        key: &Q,
        look: impl FnOnce(&Shard<K, V, M>, &Found<'_, K, V, M>) -> R,
    ) -> Option<R>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.look_at_hashed(self.hash(key), key, look)
    }

    #[inline]
    fn look_at_hashed<Q, R>(
        &self,
        hash: u64,
        key: &Q,
        look: impl FnOnce(&Shard<K, V, M>, &Found<'_, K, V, M>) -> R,
    ) -> Option<R>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        let guard = Guard::enter();
        let shard = self.shard(hash);
        let found = shard.find(hash, key, &guard)?;
        let over = shard.is_over(&found, || self.now());
        (!over).then(|| look(shard, &found))
    }
}
