//! [`Remote`], the sink of the host, for plugins that deliver.
//!
//! A delivery returns when it is done, so it waits on a thread of the library that may block.

use async_trait::async_trait;
use larder_abi::{Host, Status};
use larder_core::invalidator::{Invalidation, InvalidationSink};
use larder_core::replicator::{Mutation, MutationSink};
use larder_core::{CacheError, ErrorKind, Result};

use super::runtime::{host, runtime};
use crate::change::{self, Change};

/// The sink of an instance, by its number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Remote(pub(crate) u64);

/// What a plugin is started with, besides itself.
pub(crate) struct WithSink<T: ?Sized> {
    pub(crate) sink: Remote,
    pub(crate) plugin: std::sync::Arc<T>,
}

/// Delivers, without holding up the tasks of the library.
async fn deliver(call: impl FnOnce(&Host) -> Status + Send + 'static) -> Result<()> {
    let delivered = runtime().spawn_blocking(move || host().map_or(Status::CLOSED, call)).await;
    let status = delivered.unwrap_or(Status::CANCELLED);
    let kind = match status {
        Status::OK => return Ok(()),
        Status::CLOSED => ErrorKind::Closed,
        Status::TIMEOUT => ErrorKind::Timeout,
        Status::KEY => ErrorKind::Key,
        Status::UNSUPPORTED => ErrorKind::Unsupported,
        _ => ErrorKind::Invalidation,
    };
    let error = CacheError::new(kind, format!("the cache answered `{status}`")).during("deliver");
    Err(if status == Status::BUSY { error.retryable(true) } else { error })
}

#[async_trait]
impl InvalidationSink for Remote {
    async fn invalidate(&self, invalidation: Invalidation) -> Result<()> {
        let Self(sink) = *self;
        deliver(move |host| {
            let Some(deliver) = host.sink_invalidate else { return Status::CLOSED };
            let Some(event) = change::lend(&invalidation) else { return Status::UNSUPPORTED };
            // SAFETY: the event lives during the call.
            unsafe { deliver(sink, &raw const event, 1) }
        })
        .await
    }

    async fn lost_track(&self) {
        let Self(sink) = *self;
        let told = deliver(move |host| {
            let Some(deliver) = host.sink_lost_track else { return Status::CLOSED };
            // SAFETY: any number may be told.
            unsafe { deliver(sink) }
        });
        if let Err(error) = told.await {
            tracing::warn!(%error, "the cache was not told that something may have been missed");
        }
    }
}

#[async_trait]
impl MutationSink for Remote {
    async fn apply(&self, batch: Vec<Mutation>) -> Result<()> {
        let Self(sink) = *self;
        let changes: Result<Vec<Change>, _> = batch.into_iter().map(Change::new).collect();
        let changes = changes.map_err(|error| {
            CacheError::transparent(ErrorKind::Serialization, error).during("deliver")
        })?;
        deliver(move |host| {
            let Some(deliver) = host.sink_apply else { return Status::CLOSED };
            let lent: Option<Vec<_>> = changes.iter().map(Change::lend).collect();
            let Some(lent) = lent else { return Status::UNSUPPORTED };
            // SAFETY: the mutations live during the call.
            unsafe { deliver(sink, lent.as_ptr(), lent.len()) }
        })
        .await
    }
}
