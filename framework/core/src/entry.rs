//! An entry as the byte tiers see it: [`Entry`], its [`EntryMeta`] and its [`Stamp`].

use std::time::Duration;

use bytes::Bytes;

use crate::clock::Timestamp;

/// The version of an entry: write time in microseconds, made strictly increasing per writer, and
/// the writer that breaks ties.
///
/// Greater wins, for puts and deletes alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp {
    /// When it was written; see [`Timestamp`].
    pub time: Timestamp,
    /// Who wrote it: random per process start.
    pub origin: u32,
}

/// A tag of an entry together with the version the tag had before the value was loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TagStamp {
    /// Hash of the tag's name. Two tags that collide are invalidated together, which is safe.
    pub tag: u64,
    /// The version of the tag before the load.
    pub version: u64,
}

/// Everything about an entry but its value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EntryMeta {
    /// Version of this write.
    pub stamp: Stamp,
    /// Generation of the cache this entry belongs to; clearing the cache changes it.
    pub epoch: u32,
    /// End of the logical life; `None` is never. After it the entry is stale.
    pub soft_deadline: Option<Timestamp>,
    /// End of the physical life; `None` is never. After it the entry is gone.
    pub hard_deadline: Option<Timestamp>,
    /// What loading the value cost, in whole microseconds.
    pub load_cost: Duration,
    /// The tags of the entry.
    pub tags: Vec<TagStamp>,
    /// A cached "there is none": a hit that has no value.
    pub negative: bool,
    /// A delete that is remembered, so that an older write cannot undo it.
    pub tombstone: bool,
    /// Which serializer wrote the value; see [`Serializer::format`](crate::Serializer::format).
    pub format: u16,
}

impl EntryMeta {
    /// Whether the physical life is over.
    #[must_use]
    pub fn is_dead(&self, now: Timestamp) -> bool {
        self.hard_deadline.is_some_and(|deadline| deadline <= now)
    }

    /// Whether the logical life is over.
    #[must_use]
    pub fn is_stale(&self, now: Timestamp) -> bool {
        self.soft_deadline.is_some_and(|deadline| deadline <= now)
    }
}

/// A value in bytes with all that is known about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// The serialized value; empty for negative entries and tombstones.
    pub value: Bytes,
    /// Everything else.
    pub meta: EntryMeta,
}
