//! A puppet that processes share, and that grants leases.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use larder_core::backend::{Deadlines, Lease, ScanPage, ScanRequest};
use larder_core::clock::Moment;
use larder_core::{
    Backend, BuildContext, Capabilities, Clock, Entry, PluginConfig, Result, async_trait, register,
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{PLAIN, Puppet, PuppetConfig, Strings};

/// A backend of tests: `kind = "test.shared"`. It is the puppet of the same name, with leases.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "only tests use it")]
pub struct SharedConfig {
    /// Which puppet; see [`strings`](super::strings).
    pub name: String,
}

/// The leases of a puppet: to whom a key is lent, and until when.
pub type Leases = BTreeMap<String, (u64, Moment)>;

/// The backend of [`SharedConfig`].
#[derive(Debug)]
pub struct Shared {
    puppet: Puppet,
    clock: Arc<dyn Clock>,
}

impl Shared {
    fn strings(&self) -> &Strings {
        &self.puppet.strings
    }

    fn leases(&self) -> MutexGuard<'_, Leases> {
        self.strings().leases.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the lease holds; it ends in any case.
    fn end(&self, key: &str, token: u64) -> bool {
        let now = self.clock.now();
        let mut leases = self.leases();
        let holds = leases.get(key).is_some_and(|(own, end)| *own == token && *end > now);
        if holds {
            leases.remove(key);
        }
        holds
    }
}

#[async_trait]
impl PluginConfig for SharedConfig {
    const KIND: &'static str = "test.shared";
    const SUMMARY: &'static str = "a puppet that grants leases";
    const CAPABILITIES: Capabilities = PLAIN
        .union(Capabilities::SHARED)
        .union(Capabilities::LEASE)
        .union(Capabilities::LEASE_SCAN);
    type Plugin = Shared;

    async fn build(self, context: &BuildContext) -> Result<Shared> {
        let puppet = PuppetConfig { name: self.name, knows_versions: false }.build(context).await?;
        Ok(Shared { puppet, clock: Arc::clone(&context.clock) })
    }
}

#[async_trait]
impl Backend for Shared {
    fn capabilities(&self) -> Capabilities {
        SharedConfig::CAPABILITIES
    }

    async fn get(&self, key: &str) -> Result<Option<Entry>> {
        self.puppet.get(key).await
    }

    async fn set(&self, key: &str, entry: Entry) -> Result<()> {
        self.leases().remove(key);
        self.puppet.set(key, entry).await
    }

    async fn delete(&self, key: &str) -> Result<bool> {
        self.leases().remove(key);
        self.puppet.delete(key).await
    }

    async fn clear(&self) -> Result<()> {
        self.leases().clear();
        self.puppet.clear().await
    }

    async fn touch(&self, key: &str, deadlines: Deadlines) -> Result<bool> {
        self.puppet.touch(key, deadlines).await
    }

    async fn scan(&self, request: ScanRequest) -> Result<ScanPage> {
        if request.leased {
            let keys = self.leases().keys().cloned().collect();
            return Ok(ScanPage { keys, next: None });
        }
        self.puppet.scan(request).await
    }

    async fn lease(&self, key: &str, duration: Duration) -> Result<Lease> {
        static TOKENS: AtomicU64 = AtomicU64::new(1);
        self.strings().check()?;
        let now = self.clock.now();
        let mut leases = self.leases();
        if let Some((_, end)) = leases.get(key).filter(|(_, end)| *end > now) {
            return Ok(Lease::Held { remaining: Some(end.since(now)) });
        }
        let token = TOKENS.fetch_add(1, Ordering::SeqCst);
        leases.insert(key.to_owned(), (token, now.after(duration)));
        Ok(Lease::Granted { token })
    }

    async fn fill(&self, key: &str, entry: Entry, token: u64) -> Result<bool> {
        self.strings().sets.fetch_add(1, Ordering::SeqCst);
        self.strings().begin("fill", key)?;
        self.strings().hang("fill").await;
        // In one step: whoever gets the next lease finds the entry.
        let now = self.clock.now();
        let mut leases = self.leases();
        let holds = leases.get(key).is_some_and(|(own, end)| *own == token && *end > now);
        if holds {
            self.strings().apply((key.to_owned(), entry, false));
            leases.remove(key);
        }
        Ok(holds)
    }

    async fn release(&self, key: &str, token: u64) -> Result<bool> {
        self.strings().check()?;
        Ok(self.end(key, token))
    }

    async fn close(&self) -> Result<()> {
        self.puppet.close().await
    }
}

register!(backend: SharedConfig);
