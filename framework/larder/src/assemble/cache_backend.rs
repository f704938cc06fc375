//! A named cache as a tier of another one.

use std::sync::Arc;

use larder_core::backend::{Deadlines, ScanPage, ScanRequest};
use larder_core::{Backend, Capabilities, Entry, Result, async_trait};
use xxhash_rust::xxh3::xxh3_64;

use crate::engine::Engine;
use crate::tags::RESERVED;
use crate::tier::ByteTier;

/// The byte tiers of a cache, seen as one backend. The cache itself closes them.
#[derive(Debug)]
pub(super) struct CacheBackend {
    engine: Arc<Engine>,
}

impl CacheBackend {
    pub(super) fn new(engine: Arc<Engine>) -> Self {
        Self { engine }
    }

    /// Markers of tags are in the last tier only, as the cache itself has them.
    fn tiers(&self, key: &str) -> &[Arc<ByteTier>] {
        let tiers = &self.engine.tiers;
        if key.starts_with(RESERVED) { &tiers[tiers.len().saturating_sub(1)..] } else { tiers }
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
        let mut outcome = Ok(None);
        for tier in self.tiers(key) {
            match tier.bounded("get", tier.backend.get(key)).await {
                Ok(Some(entry)) => return Ok(Some(entry)),
                Ok(None) => {}
                // It was reported; the next tier may have the entry.
                Err(error) => outcome = outcome.and(Err(error)),
            }
        }
        outcome
    }

    async fn set(&self, key: &str, entry: Entry) -> Result<()> {
        self.engine.check_open()?;
        let set = async {
            let mut outcome = Ok(());
            for tier in self.tiers(key) {
                let set = tier.bounded("set", tier.backend.set(key, entry.clone())).await;
                outcome = outcome.and(set);
            }
            outcome
        };
        // Loads of the cache itself must not overtake the writes of those above.
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

/// Where a key stands in the fence of a cache with byte tiers.
fn place(key: &str) -> u64 {
    xxh3_64(key.as_bytes())
}
