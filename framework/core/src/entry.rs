//! An entry as the byte tiers see it: [`Entry`] and its [`EntryMeta`].

use std::time::Duration;

use bytes::Bytes;

use crate::clock::Timestamp;
use crate::stamp::Stamp;

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
    /// What the value went through after its serializer.
    pub wrappers: Wrappers,
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

/// The numbers of the wrappers a stored value went through, the outermost first; see
/// [`Wrapper::number`](crate::Wrapper::number). At most [`Wrappers::MAX`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Wrappers {
    /// Unused places hold 0, which is no wrapper's number.
    numbers: [u16; Self::MAX],
}

impl Wrappers {
    /// How many there can be: one that compresses, one that encrypts, one that encodes.
    pub const MAX: usize = 3;

    /// The wrappers of these numbers, the outermost first; `None` when they are too many or one
    /// is 0.
    #[must_use]
    pub fn new(outermost_first: &[u16]) -> Option<Self> {
        if outermost_first.contains(&0) {
            return None;
        }
        let mut numbers = [0; Self::MAX];
        numbers.get_mut(..outermost_first.len())?.copy_from_slice(outermost_first);
        Some(Self { numbers })
    }

    /// These, with one more around them; `None` when they are too many or its number is 0.
    #[must_use]
    pub fn within(&self, number: u16) -> Option<Self> {
        if number == 0 || self.count() == Self::MAX {
            return None;
        }
        let mut numbers = self.numbers;
        numbers.rotate_right(1);
        numbers[0] = number;
        Some(Self { numbers })
    }

    /// The numbers, the outermost first.
    #[must_use]
    pub fn numbers(&self) -> &[u16] {
        &self.numbers[..self.count()]
    }

    /// How many there are.
    #[must_use]
    pub const fn count(&self) -> usize {
        let mut count = 0;
        while count < Self::MAX && self.numbers[count] != 0 {
            count += 1;
        }
        count
    }

    /// Whether the value is stored as the serializer wrote it.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count() == 0
    }
}

/// A value in bytes with all that is known about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// The serialized value, wrapped as `meta.wrappers` says; empty for negative entries and
    /// tombstones.
    pub value: Bytes,
    /// Everything else.
    pub meta: EntryMeta,
}
