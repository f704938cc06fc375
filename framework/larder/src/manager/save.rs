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
    /// [`ErrorKind::Connection`] when the file cannot be written, or must not be: a tier failed
    /// while it was read, so memory does not have all that the file names.
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
    /// came back, or `None` when the cache was closed before, a tier below failed, or nobody has
    /// opened it.
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
        engine.begin_close();
        let mut outcome = Ok(());
        if let (Some(persist), Some(cache)) = (&self.persist, self.opened()) {
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

#[cfg(test)]
mod tests {
    use crate::{CacheManager, ErrorKind, Format};

    #[test]
    fn a_save_that_was_let_in_before_the_close_and_comes_after_it_leaves_the_file_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users.snapshot");
        let text = format!(
            "[caches.users]\nbackend = \"memory\"\npersist = {{ path = '{}' }}\n",
            path.display()
        );
        let builder = CacheManager::builder().text("caches.toml", Format::Toml, text);
        let caches = builder.build_blocking().unwrap();
        caches.cache::<u64, u64>("users").unwrap().blocking().set(&1, 7).unwrap();
        let named = caches.find("users").unwrap();
        let (persist, cache) = (named.persist.as_ref().unwrap(), named.opened().unwrap());
        caches.close_blocking().unwrap();
        let saved = std::fs::read(&path).unwrap();
        let error = super::block_on(persist.save(cache)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Closed);
        assert_eq!(std::fs::read(&path).unwrap(), saved);
    }
}
