//! A named cache as a tier of another one.

use std::sync::Arc;

use larder_core::backend::{Deadlines, ScanPage, ScanRequest};
use larder_core::{Backend, Capabilities, Entry, Result, async_trait};
use xxhash_rust::xxh3::xxh3_64;

use crate::engine::Engine;

/// The byte tiers of a cache, seen as one backend. The cache itself closes them.
#[derive(Debug)]
pub(super) struct CacheBackend {
    engine: Arc<Engine>,
}

impl CacheBackend {
    pub(super) fn new(engine: Arc<Engine>) -> Self {
        Self { engine }
    }
}

#[async_trait]
impl Backend for CacheBackend {
    fn capabilities(&self) -> Capabilities {
        // A call goes to every tier, so only what all of them can do can be done.
        let shared = Capabilities::SCAN | Capabilities::TOUCH | Capabilities::PERSIST;
        let tiers = self.engine.tiers.iter().map(|tier| tier.backend.capabilities());
        tiers.fold(shared, |all, one| all & one) | Capabilities::TTL
    }

    async fn get(&self, key: &str) -> Result<Option<Entry>> {
        self.engine.check_open()?;
        self.engine.entry(key).await
    }

    async fn set(&self, key: &str, entry: Entry) -> Result<()> {
        self.engine.check_open()?;
        // Loads of the cache itself must not overtake the writes of those above.
        let set = self.engine.put_entry(key, &entry);
        self.engine.change_key(place(key), || (), set, |_| ()).await
    }

    async fn delete(&self, key: &str) -> Result<bool> {
        self.engine.check_open()?;
        self.engine.change_key(place(key), || (), self.engine.remove(key), |_| ()).await
    }

    async fn clear(&self) -> Result<()> {
        self.engine.check_open()?;
        self.engine.clear(|| ()).await
    }

    async fn touch(&self, key: &str, deadlines: Deadlines) -> Result<bool> {
        self.engine.check_open()?;
        let touch = self.engine.touch_entry(key, deadlines);
        self.engine.change_key(place(key), || (), touch, |_| ()).await
    }

    async fn scan(&self, request: ScanRequest) -> Result<ScanPage> {
        // All in one page: a cursor would have to tell which tier it belongs to.
        let keys = self.engine.scan(&request.prefix, &|_| true).await?;
        Ok(ScanPage { keys, next: None })
    }

    fn comebacks(&self) -> u64 {
        self.engine.tiers.iter().map(|tier| tier.backend.comebacks()).sum()
    }

    async fn close(&self) -> Result<()> {
        Ok(())
    }
}

/// Where a key stands in the fence of a cache with byte tiers.
fn place(key: &str) -> u64 {
    xxh3_64(key.as_bytes())
}
