//! Look-ups that leave no trace: nothing is counted, and no policy hears of them.

use std::borrow::Borrow;
use std::hash::Hash;

use larder_core::clock::Moment;

use super::Store;
use crate::keep::Keep;
use crate::shard::{Found, Shard};
use crate::threads::Guard;

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
