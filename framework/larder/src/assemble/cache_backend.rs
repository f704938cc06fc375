//! A named cache as a tier of another one.

use std::sync::Arc;

use larder_core::backend::{Deadlines, ScanPage, ScanRequest};
use larder_core::{Backend, Capabilities, Entry, Result, async_trait};

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
        for tier in &self.engine.tiers {
            // A tier that fails was reported; the next one may have the entry.
            if let Ok(Some(entry)) = tier.bounded("get", tier.backend.get(key)).await {
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }

    async fn set(&self, key: &str, entry: Entry) -> Result<()> {
        self.engine.check_open()?;
        let mut outcome = Ok(());
        for tier in &self.engine.tiers {
            outcome = outcome.and(tier.bounded("set", tier.backend.set(key, entry.clone())).await);
        }
        outcome
    }

    async fn delete(&self, key: &str) -> Result<bool> {
        self.engine.check_open()?;
        self.engine.remove(key).await
    }

    async fn clear(&self) -> Result<()> {
        self.engine.check_open()?;
        self.engine.clear_tiers().await
    }

    async fn touch(&self, key: &str, deadlines: Deadlines) -> Result<bool> {
        let mut was_there = false;
        for tier in &self.engine.tiers {
            was_there |= tier.bounded("touch", tier.backend.touch(key, deadlines)).await?;
        }
        Ok(was_there)
    }

    async fn scan(&self, request: ScanRequest) -> Result<ScanPage> {
        // All in one page: a cursor would have to tell which tier it belongs to.
        let keys = self.engine.scan(&request.prefix, &|_| true).await?;
        Ok(ScanPage { keys, next: None })
    }

    async fn close(&self) -> Result<()> {
        Ok(())
    }
}
