//! Saving caches with `persist`, by hand and when they close, and waiting for what comes back.

use larder_core::{CacheError, ErrorKind, Result};

use super::{CacheManager, Named};
use crate::block::block_on;
use crate::snapshot::{Exported, Imported};

impl CacheManager {
    /// Writes the memory of a cache with `persist` to its file now, besides the times that the
    /// config says. Nobody waits for it: the work is done beside the threads of the runtime. The
    /// old file is there until the new one is whole.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] when there is no such cache, it has no `persist`, or nobody has opened
    /// it: its types are not known then. [`ErrorKind::Closed`];
    /// [`ErrorKind::Connection`] when the file cannot be written.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves the old file or the new one.
    pub async fn save(&self, name: &str) -> Result<Exported> {
        let named = self.find(name).ok_or_else(|| self.unknown(name))?;
        named.assembled.engine.check_open()?;
        let Some(persist) = &named.persist else { return Err(not_persistent(name)) };
        let Some(cache) = named.opened() else {
            return Err(CacheError::new(ErrorKind::Config, "nobody has opened the cache")
                .with("cache", name)
                .hint("open it with its types first: there is nothing to save"));
        };
        persist.save(cache).await
    }

    /// Like [`close`](Self::close), for programs without a runtime.
    ///
    /// # Errors
    ///
    /// As [`close`](Self::close).
    pub fn close_blocking(&self) -> Result<()> {
        block_on(self.close())
    }

    /// Waits until what an earlier process left in the file of a cache is in memory again; what
    /// came back, or `None` when the cache was closed before or nobody has opened it.
    ///
    /// A cache of memory alone is filled when it is opened. One with tiers below is filled from
    /// them in the background.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] when there is no such cache, or it has no `persist`.
    ///
    /// # Cancellation
    ///
    /// Dropping the future changes nothing.
    pub async fn restored(&self, name: &str) -> Result<Option<Imported>> {
        let named = self.find(name).ok_or_else(|| self.unknown(name))?;
        match &named.persist {
            Some(persist) => Ok(persist.restored().await),
            None => Err(not_persistent(name)),
        }
    }
}

impl Named {
    pub(super) async fn close(&self) -> Result<()> {
        let engine = &self.assembled.engine;
        let is_first = engine.begin_close();
        let mut outcome = Ok(());
        if let (true, Some(persist), Some(cache)) = (is_first, &self.persist, self.opened()) {
            outcome = persist.end(cache).await;
        }
        let outcome = outcome.and(engine.close().await);
        if let Some(cache) = self.opened() {
            cache.empty_store();
        }
        outcome
    }
}

fn not_persistent(name: &str) -> CacheError {
    CacheError::new(ErrorKind::Config, "the cache has no `persist`")
        .with("cache", name)
        .hint("say where it is saved: `persist = { path = \"…\" }`")
}
