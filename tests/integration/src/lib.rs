//! What the integration tests share: a backend that fails, hangs and counts on command.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::task::Poll;

use larder_core::backend::{Deadlines, Loan, ScanPage, ScanRequest};
use larder_core::{
    Backend, BuildContext, CacheError, Capabilities, Clock, Entry, ErrorKind, PluginConfig, Result,
    async_trait, register,
};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::Notify;

mod process;
mod shared;

pub use process::{Process, Users};
pub use shared::{Leases, Shared, SharedConfig};

/// A backend of tests: `kind = "test.puppet"`. Puppets of one name share their [`Strings`].
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "only tests use it")]
pub struct PuppetConfig {
    /// Which puppet; see [`strings`].
    pub name: String,
    /// Whether it compares versions when it is told to.
    #[serde(default)]
    pub knows_versions: bool,
}

/// What a test holds of a puppet.
#[derive(Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "only tests use it")]
pub struct Strings {
    /// Every call fails with a connection error.
    pub fails: AtomicBool,
    /// How often it says that it has come back.
    pub comebacks: AtomicU64,
    /// Building it fails.
    pub fails_to_build: AtomicBool,
    /// Starting it fails.
    pub fails_to_start: AtomicBool,
    /// The operation that stops before its work, until `go_on` is told.
    pub hangs_in: Mutex<Option<&'static str>>,
    /// Reads are answered at once; they are counted apart, and not noted as calls.
    pub is_quick: AtomicBool,
    /// Reads that were answered at once.
    pub quick_gets: AtomicU64,
    /// Every call lets others run before its work and after it.
    pub yields: AtomicBool,
    /// Ends the wait of one call.
    pub go_on: Notify,
    /// Told when a call has begun to hang.
    pub is_hanging: Notify,
    /// Every call that concerns this key fails in a way of its own.
    pub poisoned: Mutex<Option<String>>,
    /// Every call that concerns a key that begins like this fails, and no other.
    pub fails_for: Mutex<Option<&'static str>>,
    /// Whether a write whose caller goes away while it hangs waits for [`land`](Self::land).
    pub is_remote: AtomicBool,
    /// Writes that wait for it.
    pub on_the_way: Mutex<Vec<Write>>,
    /// The calls, by name, with their key.
    pub calls: Mutex<Vec<String>>,
    /// Calls of `get`.
    pub gets: AtomicU64,
    /// Calls of `set`.
    pub sets: AtomicU64,
    /// Instances that were built and not closed.
    pub alive: AtomicU64,
    /// The entries.
    pub entries: Mutex<BTreeMap<String, Entry>>,
    /// The leases; see [`SharedConfig`].
    pub leases: Mutex<Leases>,
}

/// A write on its way: key, entry, and whether versions are compared.
pub type Write = (String, Entry, bool);

static PUPPETS: LazyLock<Mutex<HashMap<String, Arc<Strings>>>> = LazyLock::new(Mutex::default);

/// The strings of a puppet; use a name that no other test uses.
#[must_use]
pub fn strings(name: &str) -> Arc<Strings> {
    let mut puppets = PUPPETS.lock().unwrap_or_else(PoisonError::into_inner);
    Arc::clone(puppets.entry(name.to_owned()).or_default())
}

/// The backend of [`PuppetConfig`].
#[derive(Debug)]
pub struct Puppet {
    strings: Arc<Strings>,
    clock: Arc<dyn Clock>,
    knows_versions: bool,
}

impl Strings {
    /// Lets the writes arrive whose callers went away.
    pub fn land(&self) {
        let writes = std::mem::take(&mut *locked(&self.on_the_way));
        for write in writes {
            self.apply(write);
        }
    }

    /// Stores an entry, unless versions are compared and a newer one is there; whether it did.
    fn apply(&self, (key, entry, compares): Write) -> bool {
        let mut entries = self.entries();
        let is_older = |there: &Entry| compares && there.meta.stamp >= entry.meta.stamp;
        let is_stored = !entries.get(&key).is_some_and(is_older);
        if is_stored {
            entries.insert(key, entry);
        }
        is_stored
    }

    async fn write(&self, operation: &'static str, write: Write) -> Result<bool> {
        self.sets.fetch_add(1, Ordering::SeqCst);
        self.begin(operation, &write.0)?;
        let is_remote = self.is_remote.load(Ordering::SeqCst);
        if is_remote {
            locked(&self.on_the_way).push(write.clone());
        }
        self.hang(operation).await;
        if is_remote {
            locked(&self.on_the_way).retain(|other| *other != write);
        }
        let is_stored = self.apply(write);
        self.pause().await;
        Ok(is_stored)
    }

    /// Notes a call, and fails it if it is to fail.
    fn begin(&self, operation: &str, key: &str) -> Result<()> {
        locked(&self.calls).push(format!("{operation} {key}"));
        if locked(&self.poisoned).as_deref() == Some(key) {
            return Err(CacheError::new(ErrorKind::Plugin, "the key is poisoned"));
        }
        if locked(&self.fails_for).is_some_and(|part| key.starts_with(part)) {
            let error = CacheError::new(ErrorKind::Connection, "a part was told to fail");
            return Err(error.of_a_part());
        }
        self.check()
    }

    /// Lets calls of this operation hang, or none any more.
    pub fn hang_in(&self, operation: impl Into<Option<&'static str>>) {
        *self.hangs_in.lock().unwrap_or_else(PoisonError::into_inner) = operation.into();
    }

    /// Waits until a call has begun to hang.
    ///
    /// # Panics
    ///
    /// When none does for twenty seconds.
    pub async fn hangs(&self) {
        soon("a call that hangs", self.is_hanging.notified()).await;
    }

    /// Waits for the next poll.
    async fn pause(&self) {
        let mut has_paused = !self.yields.load(Ordering::SeqCst);
        std::future::poll_fn(|context| {
            if std::mem::replace(&mut has_paused, true) {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    async fn hang(&self, operation: &str) {
        self.pause().await;
        let hangs_in = *self.hangs_in.lock().unwrap_or_else(PoisonError::into_inner);
        if hangs_in == Some(operation) {
            self.is_hanging.notify_one();
            self.go_on.notified().await;
        }
    }

    fn check(&self) -> Result<()> {
        if self.fails.load(Ordering::SeqCst) {
            return Err(CacheError::new(ErrorKind::Connection, "the puppet was told to fail"));
        }
        Ok(())
    }

    fn entries(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const PLAIN: Capabilities = Capabilities::TTL.union(Capabilities::SCAN).union(Capabilities::TOUCH);

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits for something that must come.
///
/// # Panics
///
/// When it does not come for twenty seconds.
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    let since = std::time::Instant::now();
    let mut future = std::pin::pin!(future);
    std::future::poll_fn(|context| {
        let polled = future.as_mut().poll(context);
        if polled.is_pending() {
            assert!(since.elapsed().as_secs() < 20, "{what} did not come");
            context.waker().wake_by_ref();
        }
        polled
    })
    .await
}

/// Waits until something is so.
///
/// # Panics
///
/// When it is not so for twenty seconds.
pub async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let since = std::time::Instant::now();
    while !is_so() {
        assert!(since.elapsed().as_secs() < 20, "{what} did not happen");
        tokio::task::yield_now().await;
    }
}

#[async_trait]
impl PluginConfig for PuppetConfig {
    const KIND: &'static str = "test.puppet";
    const SUMMARY: &'static str = "fails, hangs and counts on command";
    const CAPABILITIES: Capabilities = PLAIN.union(Capabilities::PUT_IF_NEWER);
    type Plugin = Puppet;

    async fn build(self, context: &BuildContext) -> Result<Puppet> {
        let strings = strings(&self.name);
        if strings.fails_to_build.load(Ordering::SeqCst) {
            return Err(CacheError::new(ErrorKind::Plugin, "the puppet was told not to be built"));
        }
        strings.alive.fetch_add(1, Ordering::SeqCst);
        let clock = Arc::clone(&context.clock);
        Ok(Puppet { strings, clock, knows_versions: self.knows_versions })
    }
}

#[async_trait]
impl Backend for Puppet {
    fn capabilities(&self) -> Capabilities {
        if self.knows_versions { PuppetConfig::CAPABILITIES } else { PLAIN }
    }

    async fn start(&self) -> Result<()> {
        if self.strings.fails_to_start.load(Ordering::SeqCst) {
            return Err(CacheError::new(ErrorKind::Plugin, "the puppet was told not to start"));
        }
        Ok(())
    }

    fn get_now(&self, key: &str) -> Option<Result<Option<Loan>>> {
        self.strings.is_quick.load(Ordering::SeqCst).then(|| {
            self.strings.quick_gets.fetch_add(1, Ordering::SeqCst);
            self.strings.check()?;
            let found = self.strings.entries().get(key).cloned();
            Ok(found.filter(|entry| !entry.meta.is_dead(self.clock.wall())).map(Loan::from))
        })
    }

    async fn get(&self, key: &str) -> Result<Option<Entry>> {
        self.strings.gets.fetch_add(1, Ordering::SeqCst);
        self.strings.begin("get", key)?;
        self.strings.hang("get").await;
        let now = self.clock.wall();
        let found = self.strings.entries().get(key).cloned();
        self.strings.pause().await;
        Ok(found.filter(|entry| !entry.meta.is_dead(now)))
    }

    async fn get_each(&self, keys: &[&str]) -> Vec<Result<Option<Entry>>> {
        let mut found = Vec::new();
        for key in keys {
            found.push(self.get(key).await);
        }
        found
    }

    async fn set(&self, key: &str, entry: Entry) -> Result<()> {
        self.strings.write("set", (key.to_owned(), entry, false)).await.map(drop)
    }

    async fn put_if_newer(&self, key: &str, entry: Entry) -> Result<bool> {
        if !self.knows_versions {
            return Err(CacheError::new(ErrorKind::Unsupported, "the puppet knows no versions"));
        }
        self.strings.write("put_if_newer", (key.to_owned(), entry, true)).await
    }

    async fn delete(&self, key: &str) -> Result<bool> {
        self.strings.begin("delete", key)?;
        self.strings.hang("delete").await;
        Ok(self.strings.entries().remove(key).is_some())
    }

    async fn clear(&self) -> Result<()> {
        self.strings.begin("clear", "")?;
        self.strings.hang("clear").await;
        self.strings.entries().clear();
        Ok(())
    }

    async fn touch(&self, key: &str, deadlines: Deadlines) -> Result<bool> {
        self.strings.begin("touch", key)?;
        let mut entries = self.strings.entries();
        let Some(entry) = entries.get_mut(key) else {
            return Ok(false);
        };
        entry.meta.soft_deadline = deadlines.soft;
        entry.meta.hard_deadline = deadlines.hard;
        Ok(true)
    }

    async fn scan(&self, _: ScanRequest) -> Result<ScanPage> {
        self.strings.begin("scan", "")?;
        self.strings.hang("scan").await;
        Ok(ScanPage { keys: self.strings.entries().keys().cloned().collect(), next: None })
    }

    fn comebacks(&self) -> u64 {
        self.strings.comebacks.load(Ordering::SeqCst)
    }

    async fn close(&self) -> Result<()> {
        self.strings.alive.fetch_sub(1, Ordering::SeqCst);
        self.strings.check()
    }
}

register!(backend: PuppetConfig);
