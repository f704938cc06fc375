//! A process whose cache has a memory over a puppet.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use larder::{Cache, CacheManager, Format, ManualClock, ReadOptions, Tier};

use crate::{Strings, locked, strings, until};

/// The cache of a process.
pub type Users = Cache<String, String>;

/// A process that uses a puppet as its second tier.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "only tests use it")]
pub struct Process {
    /// Its cache.
    pub users: Users,
    /// The manager of that.
    pub manager: CacheManager,
    /// What it has as its second tier.
    pub puppet: Arc<Strings>,
    /// Its time.
    pub clock: ManualClock,
}

impl Process {
    /// Starts a process over the puppet of this name, which compares versions or not.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    pub async fn start(name: &str, knows_versions: bool, clock: &ManualClock) -> Self {
        let text = format!(
            "[caches.users]\nl1.backend = \"memory\"\nl2.backend = {{ kind = \"test.puppet\", \
             name = \"{name}\", knows_versions = {knows_versions} }}\n"
        );
        let builder = CacheManager::builder().text("caches.toml", Format::Toml, text);
        let manager =
            builder.clock(Arc::new(clock.clone())).build().await.expect("the config is right");
        let users = manager.cache("users").expect("it is declared");
        Self { users, manager, puppet: strings(name), clock: clock.clone() }
    }

    /// Lets every call of the tier fail, or none any more.
    pub fn fails(&self, fails: bool) {
        self.puppet.fails.store(fails, SeqCst);
    }

    /// Whether the tier has a value of a key.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        locked(&self.puppet.entries).get(key).is_some_and(|entry| !entry.meta.tombstone)
    }

    /// How many invalidations the tier has yet to hear of.
    #[must_use]
    pub fn pending(&self) -> u64 {
        self.users.stats().snapshot().tiers[1].pending
    }

    /// What the tier answers, past the memory.
    ///
    /// # Panics
    ///
    /// When it fails.
    pub async fn get(&self, key: &str) -> Option<String> {
        self.users.get_with(key, &ReadOptions::new().skip(Tier::L1)).await.expect("it is open")
    }

    /// Stores a value in both tiers.
    ///
    /// # Panics
    ///
    /// When that fails.
    pub async fn set(&self, key: &str, value: &str) {
        self.users.set(key, value.to_owned()).await.expect("it is open");
    }

    /// Lets time pass until everything was delivered.
    pub async fn replayed(&self) {
        until("the replay", || {
            self.clock.advance(Duration::from_millis(500));
            self.pending() == 0
        })
        .await;
    }
}
