//! [`Replicator`], changes carried to other sites and back.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::entry::Entry;
use crate::error::Result;
use crate::invalidator::Scope;
use crate::stamp::Stamp;

/// One change of a cache. The greater [`Stamp`] wins, for puts and deletes alike.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mutation {
    /// An entry was removed; leaves a tombstone at the target.
    Delete {
        /// Which.
        key: String,
        /// When.
        stamp: Stamp,
    },
    /// Many entries were made unusable at once.
    Invalidate {
        /// Which.
        scope: Scope,
        /// When.
        stamp: Stamp,
    },
    /// An entry was stored; its stamp is in its meta.
    Put {
        /// Which.
        key: String,
        /// What.
        entry: Entry,
    },
}

impl Mutation {
    /// The version of the change.
    #[must_use]
    pub const fn stamp(&self) -> Stamp {
        match self {
            Self::Delete { stamp, .. } | Self::Invalidate { stamp, .. } => *stamp,
            Self::Put { entry, .. } => entry.meta.stamp,
        }
    }
}

/// Where a replicator delivers the changes of others: the cache.
#[async_trait]
pub trait MutationSink: Send + Sync + fmt::Debug + 'static {
    /// Applies changes that were made elsewhere, each only if it is newer than what is there.
    ///
    /// # Errors
    ///
    /// Any kind; the replicator delivers the whole batch again later.
    async fn apply(&self, batch: Vec<Mutation>) -> Result<()>;
}

/// How far one target is behind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TargetStatus {
    /// The target as the config names it.
    pub target: String,
    /// Changes that wait to be sent.
    pub queued: u64,
    /// Age of the oldest change that was not confirmed.
    pub lag: Duration,
    /// Whether changes were dropped, so that the target has to be compared as a whole.
    pub dirty: bool,
    /// Why it is not reached now.
    pub error: Option<String>,
}

/// Carries changes to other sites, and brings theirs.
///
/// # Behaviour
///
/// * `send` accepts a batch without waiting for any target; it never blocks the caller on a
///   target that is away.
/// * Every change is delivered at least once, or its target is marked dirty.
/// * A change that came from elsewhere is never sent on.
///
/// # Cancellation
///
/// Dropping the future of `send` leaves it open which changes of the batch were accepted.
#[async_trait]
pub trait Replicator: Send + Sync + fmt::Debug + 'static {
    /// Begins to send and to receive.
    ///
    /// # Errors
    ///
    /// Any kind, when it cannot begin; a target that is away is not an error.
    async fn start(&self, sink: Arc<dyn MutationSink>) -> Result<()>;

    /// Accepts changes of this site.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Capacity`](crate::ErrorKind::Capacity) when the queue is full and its
    /// configuration says to refuse.
    async fn send(&self, batch: Vec<Mutation>) -> Result<()>;

    /// How far each target is behind.
    fn status(&self) -> Vec<TargetStatus>;

    /// Sends what is queued, within `limit`, and stops.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Timeout`](crate::ErrorKind::Timeout) when changes were left over.
    async fn stop(&self, limit: Duration) -> Result<()>;
}
