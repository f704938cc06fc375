//! Looking up many keys at once.

use std::borrow::Borrow;
use std::hash::Hash;

use super::Store;
use crate::keep::Keep;
use crate::outcome::MissCause;
use crate::threads::Guard;

/// How many keys are under way together: enough to hide the latency of memory, few enough for
/// what was fetched to stay in the nearest cache.
const WINDOW: usize = 16;

impl<K, V, M: Keep<V>> Store<K, V, M>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Asks the processor to fetch what a call for a key of this hash looks at first, for who has
    /// something else to do before it.
    #[inline(always)]
    pub fn prefetch(&self, hash: u64) {
        self.shard(hash).prefetch_bucket(hash);
    }

    /// Looks up many keys, and shows for each what [`get_counted`](Self::get_counted) would: its
    /// place among the keys, and its value with a number of the hit, or why there is none. All
    /// counted.
    ///
    /// Cost: that of as many look-ups, but the memory that they need is fetched for several keys
    /// at a time, so that a table that is larger than the caches of the processor answers several
    /// times faster.
    pub fn get_many_with<Q>(
        &self,
        keys: &[&Q],
        mut found: impl FnMut(usize, Result<(M::Seen<'_>, u64), MissCause>),
    ) where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let guard = Guard::enter();
        let mut hashes = [0_u64; WINDOW];
        for (window, keys) in keys.chunks(WINDOW).enumerate() {
            for (hash, key) in hashes.iter_mut().zip(keys) {
                *hash = self.hash(*key);
                self.prefetch(*hash);
            }
            for hash in &hashes[..keys.len()] {
                self.shard(*hash).prefetch_slot(*hash, &guard);
            }
            for (at, (hash, key)) in hashes.iter().zip(keys).enumerate() {
                let number = window * WINDOW + at;
                let answer = self.get_hashed(
                    *hash,
                    *key,
                    |hit, hits, _| found(number, Ok((hit.value, hits))),
                    &guard,
                );
                if let Err(cause) = answer {
                    found(number, Err(cause));
                }
            }
        }
    }
}
