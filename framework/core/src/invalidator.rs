//! [`Invalidator`], outside facts turned into invalidations.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::error::Result;
use crate::stamp::Stamp;

/// What an invalidation makes unusable.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scope {
    /// The whole cache.
    All,
    /// Every key that matches a glob such as `user:*`.
    Glob(String),
    /// One key.
    Key(String),
    /// Every key that starts with this.
    Prefix(String),
    /// Every entry that carries this tag.
    Tag(String),
    /// Every entry written before this version.
    Version(Stamp),
}

/// One invalidation.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Invalidation {
    /// What it makes unusable.
    pub scope: Scope,
    /// When it happened; entries written later are not touched.
    pub stamp: Stamp,
    /// Whether entries become stale (kept as a fallback) instead of being removed.
    pub keep_as_fallback: bool,
}

impl Invalidation {
    /// Removes all that `scope` names and that was written before `stamp`.
    #[must_use]
    pub const fn new(scope: Scope, stamp: Stamp) -> Self {
        Self { scope, stamp, keep_as_fallback: false }
    }
}

/// Where an invalidator delivers what it heard: the cache.
#[async_trait]
pub trait InvalidationSink: Send + Sync + fmt::Debug + 'static {
    /// Carries out an invalidation. It holds for every read that starts after this returned.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalidation`](crate::ErrorKind::Invalidation) when a tier could not be
    /// reached; the store of this process was invalidated all the same.
    async fn invalidate(&self, invalidation: Invalidation) -> Result<()>;

    /// Some invalidations may have been missed: nothing read from the store can be trusted until
    /// it was checked against the tier below.
    async fn lost_track(&self);
}

/// Turns outside facts (a message, a file that changed, a row in a table) into invalidations, and
/// tells others of ours.
///
/// # Behaviour
///
/// * After `start` every fact is delivered to the sink at least once, in the order in which it
///   happened for one key.
/// * When facts may have been lost, `lost_track` is called before any later fact is delivered.
/// * After `stop` returned the sink is not called any more.
///
/// # Cancellation
///
/// Dropping the future of `publish` leaves it open whether the others hear of it.
#[async_trait]
pub trait Invalidator: Send + Sync + fmt::Debug + 'static {
    /// Begins to listen.
    ///
    /// # Errors
    ///
    /// Any kind, when it cannot begin. A source that is merely away is not an error: the
    /// invalidator keeps trying and reports `lost_track`.
    async fn start(&self, sink: Arc<dyn InvalidationSink>) -> Result<()>;

    /// Tells the others of an invalidation of ours.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalidation`](crate::ErrorKind::Invalidation) when it could not be handed
    /// over; the caller keeps it and tries again.
    async fn publish(&self, invalidation: &Invalidation) -> Result<()>;

    /// Whether a pattern of this invalidator's own language matches a key. The default language
    /// is a glob where `*` matches any number of characters and `?` exactly one.
    fn matches(&self, pattern: &str, key: &str) -> bool {
        crate::key::glob_matches(pattern, key)
    }

    /// Stops listening.
    ///
    /// # Errors
    ///
    /// Any kind, when what was published could not be written out.
    async fn stop(&self) -> Result<()>;
}
