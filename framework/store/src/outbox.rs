//! [`Outbox`], entries on their way out.

use crate::outcome::RemovalReason;
use crate::shard::{Shard, Writing};

/// Entries that the listener must hear of, after the locks are released. Their slots are out of
/// reach, and are retired when the outbox is delivered or dropped.
///
/// Without a listener it stays empty: slots are retired at once.
pub(crate) struct Outbox<'a, K, V> {
    shards: &'a [Shard<K, V>],
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

impl<'a, K, V> Outbox<'a, K, V> {
    pub(crate) const fn new(shards: &'a [Shard<K, V>], is_heard: bool) -> Self {
        Self { shards, is_heard, entries: Vec::new() }
    }

    /// Takes a slot of a locked shard whose entry has just left the index.
    #[inline]
    pub(crate) fn push(&mut self, table: &mut Writing<'_, K, V>, slot: u32, reason: RemovalReason) {
        if self.is_heard {
            self.keep(table.shard(), slot, reason);
        } else {
            table.retire(slot);
        }
    }

    #[cold]
    fn keep(&mut self, shard: &Shard<K, V>, slot: u32, reason: RemovalReason) {
        let number = self.number_of(shard);
        self.entries.push(Leaving::Unlinked(number, slot, reason));
    }

    /// Takes an entry that does not come in.
    pub(crate) fn refuse(&mut self, table: &mut Writing<'_, K, V>, entry: (K, V)) {
        if self.is_heard {
            self.entries.push(Leaving::Refused(entry));
        } else {
            table.bury(entry);
        }
    }

    fn number_of(&self, shard: &Shard<K, V>) -> usize {
        self.shards
            .iter()
            .position(|candidate| std::ptr::eq(candidate, shard))
            .expect("it is a shard of this store")
    }

    /// Shows every entry to `tell`. No lock may be held.
    pub(crate) fn deliver(self, tell: impl Fn(&K, &V, RemovalReason)) {
        for leaving in &self.entries {
            match leaving {
                Leaving::Unlinked(number, slot, reason) => {
                    self.shards[*number]
                        .show_unlinked(*slot, |key, value| tell(key, value, *reason));
                }
                Leaving::Refused((key, value)) => tell(key, value, RemovalReason::Rejected),
            }
        }
    }
}

impl<K, V> Outbox<'_, K, V> {
    #[cold]
    fn retire_all(&self) {
        for leaving in &self.entries {
            if let Leaving::Unlinked(number, slot, _) = leaving {
                self.shards[*number].write().retire(*slot);
            }
        }
    }
}

impl<K, V> Drop for Outbox<'_, K, V> {
    #[inline]
    fn drop(&mut self) {
        if !self.entries.is_empty() {
            self.retire_all();
        }
    }
}
