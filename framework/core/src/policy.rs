//! [`Policy`], which entry has to go when the store is full.
//!
//! A policy sees slot numbers, hashes and weights, never keys or values, so one policy serves
//! every cache, and one written in C costs a hit nothing.

use std::fmt;
use std::sync::Arc;

use crate::clock::Moment;

/// The number of an entry within its shard. Reused after the entry was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotId(u32);

impl SlotId {
    /// The slot with this number.
    #[must_use]
    pub const fn new(index: u32) -> Self {
        Self(index)
    }

    /// The number, for indexing a vector.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// The number as it is kept in links.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// What the store does by itself when an entry is hit, so that no policy code runs on a hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HitMode {
    /// Nothing.
    None,
    /// Sets the entry's counter to 1.
    Bit,
    /// Adds 1 to the entry's counter, up to `max`.
    Counter {
        /// Where the counter stops.
        max: u8,
    },
    /// Writes down the slot in a buffer that is handed to [`Policy::on_hits`] in batches, before
    /// the next insert of the shard. Hits may be dropped when the buffer is full.
    Record,
    /// Takes the shard's lock and calls [`Policy::on_hits`] at once. Exact and slow: for tests and
    /// for policies that cannot be approximated.
    Exclusive,
}

/// How much a shard may hold. A policy sees the share of its shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the two ways to limit a store")]
pub struct Capacity {
    /// Most entries; `None` is no limit.
    pub entries: Option<u64>,
    /// Greatest sum of weights; `None` is no limit.
    pub weight: Option<u64>,
}

impl Capacity {
    /// About how many entries will be held: what to size ghosts and rings by.
    #[must_use]
    pub fn expected_entries(self, average_weight: u64) -> u64 {
        let by_weight = self.weight.map(|weight| weight / average_weight.max(1));
        match (self.entries, by_weight) {
            (Some(entries), Some(by_weight)) => entries.min(by_weight),
            (Some(entries), None) | (None, Some(entries)) => entries,
            (None, None) => 0,
        }
    }
}

/// What a policy may ask the store about the entries of its shard.
pub trait Slots {
    /// The hit counter of an entry: what [`HitMode`] wrote.
    fn hits(&self, slot: SlotId) -> u8;

    /// Sets the hit counter of an entry.
    fn set_hits(&mut self, slot: SlotId, hits: u8);

    /// The hash of the entry's key: the same value as long as the store lives, so that a policy
    /// can remember entries that are gone.
    fn hash(&self, slot: SlotId) -> u64;

    /// The weight of an entry.
    fn weight(&self, slot: SlotId) -> u32;

    /// When the entry expires; `None` is never.
    fn deadline(&self, slot: SlotId) -> Option<Moment>;

    /// Whether the entry must not be evicted.
    fn is_pinned(&self, slot: SlotId) -> bool;

    /// A random number below `bound`, from the seed of the store. `bound` must not be 0.
    fn random(&mut self, bound: u32) -> u32;
}

/// Which entry has to go when the store is full.
///
/// One policy object serves one shard and is called under that shard's write lock, so it needs no
/// locks of its own and must be quick: constant time per call, amortised.
///
/// # Behaviour
///
/// * The store calls `on_insert` once for every new entry and `on_remove` once when it goes, for
///   whatever reason, also after `victim` named it.
/// * An update of an existing key is reported as one hit of its slot.
/// * `victim` names an entry that is in the shard and not pinned; it must not remove it from its
///   own books, as the store may decide otherwise. `None` only when there is no such entry.
/// * After `n` inserts and `n` removes a policy holds no more memory than its ghosts.
pub trait Policy: Send + fmt::Debug + 'static {
    /// What the store does when an entry is hit. Must not change while the policy lives.
    fn hit_mode(&self) -> HitMode;

    /// An entry came in. Its hit counter is 0.
    fn on_insert(&mut self, slot: SlotId, slots: &mut dyn Slots);

    /// An entry goes. `evicted` tells whether this policy chose it, which is when it may remember
    /// the hash as a ghost.
    fn on_remove(&mut self, slot: SlotId, evicted: bool, slots: &mut dyn Slots);

    /// Entries were hit, oldest first; only with [`HitMode::Record`] and [`HitMode::Exclusive`].
    /// With `Record` a slot may have been reused for another entry since.
    fn on_hits(&mut self, hits: &[SlotId], slots: &mut dyn Slots) {
        let _ = (hits, slots);
    }

    /// The entry that should go next.
    fn victim(&mut self, slots: &mut dyn Slots) -> Option<SlotId>;

    /// Whether a new key deserves to take the place of `victim`. Called before a new entry is
    /// inserted into a full shard.
    fn admit(&mut self, hash: u64, weight: u32, victim: SlotId, slots: &mut dyn Slots) -> bool {
        let _ = (hash, weight, victim, slots);
        true
    }

    /// The shard may hold more or less from now on.
    fn resize(&mut self, capacity: Capacity);

    /// How many entries the policy keeps books about. The store compares it with its own count
    /// after every test.
    fn len(&self) -> usize;

    /// Whether the policy keeps books about no entry.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Makes a [`Policy`] for each shard of a store.
pub trait PolicyFactory: Send + Sync + fmt::Debug + 'static {
    /// The kind of the policy as the config names it.
    fn kind(&self) -> &str;

    /// A policy for a shard of this capacity.
    fn policy(&self, capacity: Capacity) -> Box<dyn Policy>;

    /// The policies among which the store chooses by what they would have answered, the one that
    /// it trusts before it knows anything first. At most eight are looked at.
    ///
    /// Without any, which is the default, the store uses [`policy`](Self::policy) for ever. Else it
    /// uses that one until it is full for the first time, unless the first of these is of the same
    /// kind, and then one of these: the first one, or in a large store the first one that does not
    /// want to hear of every hit. It gives the entries of the one to the other, but not what the
    /// one remembers of keys that are gone.
    fn candidates(&self) -> &[Arc<dyn PolicyFactory>] {
        &[]
    }
}
