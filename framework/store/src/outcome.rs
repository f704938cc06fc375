//! What calls of a [`Store`](crate::Store) answer, and what its listener is told.

use std::fmt;

use crate::keep::{Keep, Whole};

/// The answer to a look-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a key is there or it is not")]
pub enum Lookup<V> {
    /// The value.
    Hit(V),
    /// There is none that may be served.
    Miss(MissCause),
}

impl<V> Lookup<V> {
    /// The value, if there is one.
    pub fn hit(self) -> Option<V> {
        match self {
            Self::Hit(value) => Some(value),
            Self::Miss(_) => None,
        }
    }
}

/// Why there was no value.
///
/// All but [`Cold`](Self::Cold) come from a small table of recent removals, so they are best
/// effort: a removal long ago reads as `Cold`, and once in a great while a key gets the cause of
/// another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MissCause {
    /// Everything was removed.
    Cleared,
    /// Nothing is known about the key.
    Cold,
    /// It was removed by its key.
    Deleted,
    /// It had to make room, or was refused for lack of room.
    Evicted,
    /// Its life was over.
    Expired,
    /// It was invalidated, by its key or by a condition.
    Invalidated,
}

impl MissCause {
    /// The cause as one lower-case word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cleared => "cleared",
            Self::Cold => "cold",
            Self::Deleted => "deleted",
            Self::Evicted => "evicted",
            Self::Expired => "expired",
            Self::Invalidated => "invalidated",
        }
    }
}

impl fmt::Display for MissCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How an insert went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Inserted {
    /// The key is new.
    New,
    /// The policy found other entries more worth keeping; the new one is not stored.
    Rejected,
    /// The key had a value, which was replaced.
    Replaced,
}

/// There is no room for the entry. The key has no value now, not even the one it had before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Full {
    /// The limit that would have been passed, in entries or in weight.
    pub max_size: u64,
    /// How much of it is used.
    pub current_size: u64,
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the store is full (max_size=`{}`, current_size=`{}`); hint: raise its capacity, or \
             let it evict",
            self.max_size, self.current_size
        )
    }
}

impl std::error::Error for Full {}

/// An entry that left the store, as its listener sees it.
#[non_exhaustive]
pub struct Removed<'a, K, V: 'a, M: Keep<V> = Whole> {
    /// The key.
    pub key: &'a K,
    /// The value.
    pub value: M::Seen<'a>,
    /// Why it left.
    pub reason: RemovalReason,
}

impl<K: fmt::Debug, V, M: Keep<V>> fmt::Debug for Removed<'_, K, V, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Removed")
            .field("key", self.key)
            .field("reason", &self.reason)
            .finish_non_exhaustive()
    }
}

/// Why an entry left the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RemovalReason {
    /// The whole store was cleared.
    Cleared,
    /// It was removed by its key.
    Deleted,
    /// It had to make room.
    Evicted,
    /// Its life was over.
    Expired,
    /// It was invalidated, by its key or by a condition.
    Invalidated,
    /// It never came in: no room, or the policy refused it.
    Rejected,
    /// Another value took its place, or should have.
    Replaced,
}

impl RemovalReason {
    /// The reason as one lower-case word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cleared => "cleared",
            Self::Deleted => "deleted",
            Self::Evicted => "evicted",
            Self::Expired => "expired",
            Self::Invalidated => "invalidated",
            Self::Rejected => "rejected",
            Self::Replaced => "replaced",
        }
    }

    /// What a look-up of the key should say from now on.
    pub(crate) const fn miss_cause(self) -> MissCause {
        match self {
            Self::Cleared => MissCause::Cleared,
            Self::Deleted => MissCause::Deleted,
            Self::Invalidated => MissCause::Invalidated,
            Self::Evicted | Self::Rejected | Self::Replaced => MissCause::Evicted,
            Self::Expired => MissCause::Expired,
        }
    }
}

impl fmt::Display for RemovalReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
