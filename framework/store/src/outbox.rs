//! [`Outbox`], entries on their way out.

use crate::keep::Keep;
use crate::outcome::{RemovalReason, Removed};
use crate::shard::{Shard, Writing};

/// Entries that the listener must hear of, after the locks are released. Their slots are out of
/// reach, and are retired when the outbox is delivered or dropped.
///
/// Without a listener it stays empty: slots are retired at once.
pub(crate) struct Outbox<'a, K, V, M: Keep<V>> {
    shards: &'a [Shard<K, V, M>],
    is_heard: bool,
    entries: Vec<Leaving<K, V>>,
}

/// An entry on its way out.
pub(crate) enum Leaving<K, V> {
    /// It was in a slot of a shard.
    Unlinked(usize, u32, RemovalReason),
    /// It never came in.
    Refused((K, V)),
}

impl<'a, K, V, M: Keep<V>> Outbox<'a, K, V, M> {
    pub(crate) const fn new(shards: &'a [Shard<K, V, M>], is_heard: bool) -> Self {
        Self { shards, is_heard, entries: Vec::new() }
    }

    /// Takes a slot of a locked shard whose entry has just left the index.
    #[inline]
    pub(crate) fn push(
        &mut self,
        table: &mut Writing<'_, K, V, M>,
        slot: u32,
        reason: RemovalReason,
    ) {
        if self.is_heard {
            self.keep(table.shard(), slot, reason);
        } else {
            table.retire(slot);
        }
    }

    #[cold]
    fn keep(&mut self, shard: &Shard<K, V, M>, slot: u32, reason: RemovalReason) {
        let number = self.number_of(shard);
        self.entries.push(Leaving::Unlinked(number, slot, reason));
    }

    /// Takes an entry that does not come in.
    pub(crate) fn refuse(&mut self, table: &mut Writing<'_, K, V, M>, entry: (K, V)) {
        if self.is_heard {
            self.entries.push(Leaving::Refused(entry));
        } else {
            table.bury(entry);
        }
    }

    fn number_of(&self, shard: &Shard<K, V, M>) -> usize {
        self.shards
            .iter()
            .position(|candidate| std::ptr::eq(candidate, shard))
            .expect("it is a shard of this store")
    }

    /// Shows every entry to `tell`. No lock may be held.
    pub(crate) fn deliver(&self, tell: &dyn Fn(Removed<'_, K, V, M>)) {
        for leaving in &self.entries {
            match leaving {
                Leaving::Unlinked(number, slot, reason) => {
                    self.shards[*number].show_unlinked(*slot, *reason, tell);
                }
                Leaving::Refused((key, value)) => {
                    let value = M::show(value);
                    tell(Removed { key, value, reason: RemovalReason::Rejected });
                }
            }
        }
    }
}

impl<K, V, M: Keep<V>> Outbox<'_, K, V, M> {
    #[cold]
    fn retire_all(&self) {
        for leaving in &self.entries {
            if let Leaving::Unlinked(number, slot, _) = leaving {
                self.shards[*number].write().retire(*slot);
            }
        }
    }
}

impl<K, V, M: Keep<V>> Drop for Outbox<'_, K, V, M> {
    #[inline]
    fn drop(&mut self) {
        if !self.entries.is_empty() {
            self.retire_all();
        }
    }
}
