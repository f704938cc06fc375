//! Entries that age: kept past their deadline, for who has nothing better.

use std::borrow::Borrow;
use std::hash::Hash;

use larder_core::clock::Moment;

use super::Store;
use crate::age::{Age, Ageing};
use crate::keep::Keep;
use crate::outcome::{MissCause, RemovalReason};
use crate::threads::Guard;

impl<K, V, M: Keep<V>> Store<K, V, M>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Like [`get_counted`](Self::get_counted), and also tells `f` how old the entry is, if it
    /// [ages](crate::Insert::ageing).
    ///
    /// # Errors
    ///
    /// As [`get_with`](Self::get_with).
    #[inline]
    pub fn get_aged<Q, R>(
        &self,
        key: &Q,
        f: impl FnOnce(M::Seen<'_>, u64, Option<Age>) -> R,
    ) -> Result<R, MissCause>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let (guard, hash) = (Guard::enter(), self.hash(key));
        let shard = self.shard(hash);
        self.get_hashed(
            hash,
            key,
            |found, hits, life| {
                let age = life.and_then(|(life, now)| Some(shard.ageing(&found)?.age(life, now)));
                f(found.value, hits, age)
            },
            &guard,
        )
    }

    /// What `f` makes of an entry that ages, whether its deadline has passed or not, and of how
    /// old it is. Not counted, and no policy hears of it.
    pub fn peek_stale<Q, R>(&self, key: &Q, f: impl FnOnce(M::Seen<'_>, Age) -> R) -> Option<R>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let (guard, hash) = (Guard::enter(), self.hash(key));
        let shard = self.shard(hash);
        let found = shard.find(hash, key, &guard)?;
        let (life, ageing) = (shard.life(&found)?, shard.ageing(&found)?);
        let now = self.now();
        (!ageing.is_gone(life, now)).then(|| f(found.value, ageing.age(life, now)))
    }

    /// Tells all who look at an entry that ages not to load it anew before `until`.
    pub fn pause<Q>(&self, key: &Q, until: Moment)
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.with_ageing(key, |ageing| ageing.pause(until));
    }

    /// Takes the [claim](Self::claim) of an entry back, so that another may load it anew at once.
    pub fn release<Q>(&self, key: &Q)
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.with_ageing(key, Ageing::release);
    }

    /// Makes the caller the only one who loads an entry anew that ages, unless somebody else was
    /// faster since `seen`; whether it is. Others see [`Age::CLAIMED`] until the entry is replaced
    /// or [paused](Self::pause), or the claim is [released](Self::release).
    pub fn claim<Q>(&self, key: &Q, seen: &Age) -> bool
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.with_ageing(key, |ageing| ageing.claim(seen)).unwrap_or(false)
    }

    fn with_ageing<Q, R>(&self, key: &Q, f: impl FnOnce(&Ageing) -> R) -> Option<R>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let (guard, hash) = (Guard::enter(), self.hash(key));
        let shard = self.shard(hash);
        let found = shard.find(hash, key, &guard)?;
        shard.ageing(&found).map(f)
    }

    /// Ends the life of an entry now. One that ages is kept as long as it would have been anyway;
    /// any other one is removed. Whether there was one that might have been served.
    pub fn expire<Q>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let hash = self.hash(key);
        let mut out = self.outbox();
        let mut table = self.shard(hash).write();
        let Some(slot) = self.find_to_touch(&table, hash, key) else {
            return false;
        };
        match table.full_life_of(slot).filter(|life| life.age().is_some()) {
            Some(life) => table.set_life(slot, Some(life.over_at(self.now()))),
            None => self.detach(&mut table, slot, RemovalReason::Expired, &mut out),
        }
        drop(table);
        self.deliver(&out);
        true
    }

    /// Counts a look-up of an entry whose life is over, and removes it unless it is kept.
    #[cold]
    pub(super) fn miss_expired<Q>(&self, hash: u64, key: &Q, guard: &Guard) -> MissCause
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        self.stripes.miss(guard, MissCause::Expired);
        let shard = self.shard(hash);
        // Whoever comes for a kept entry must not meet all others at the lock.
        let is_kept = || {
            let found = shard.find(hash, key, guard)?;
            let (life, ageing) = (shard.life(&found)?, shard.ageing(&found)?);
            Some(!ageing.is_gone(life, self.now()))
        };
        if !is_kept().unwrap_or(false) {
            self.remove_expired(hash, key);
        }
        MissCause::Expired
    }
}
