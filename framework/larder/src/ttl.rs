//! [`TtlManager`], which gives back the memory of entries whose life is over.
//!
//! Expiry itself needs nobody: an entry past its deadline is never served. What nobody asks for
//! any more would stay in memory until it is evicted; one task for all caches removes it, a
//! bounded number of entries at a time.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use larder_core::{Clock, telemetry};
use tokio::task::JoinHandle;

use crate::cache::Cache;
use crate::core::{AnyCache, CacheValue, Key};

/// How many entries of one cache are removed in one pass.
const BUDGET: usize = 10_000;

/// How often the task of a manager looks, unless told otherwise.
pub(crate) const INTERVAL: Duration = Duration::from_secs(5);

/// Removes expired entries of all caches of a manager in the background.
///
/// [`CacheManager`](crate::CacheManager) starts one by itself when it is built inside a tokio
/// runtime. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct TtlManager {
    shared: Arc<Shared>,
}

struct Shared {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    caches: Vec<Weak<dyn AnyCache>>,
    task: Option<JoinHandle<()>>,
}

impl TtlManager {
    /// A manager of its own, for caches that want another interval. Looks after nothing yet.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { shared: Arc::new(Shared { clock, state: Mutex::default() }) }
    }

    /// Looks after a cache as long as it lives. The caches of a
    /// [`CacheManager`](crate::CacheManager) are registered with its own when they are opened.
    pub fn register<K: Key, V: CacheValue>(&self, cache: &Cache<K, V>) {
        let core: Arc<dyn AnyCache> = Arc::clone(&cache.core) as _;
        self.shared.lock().caches.push(Arc::downgrade(&core));
    }

    /// Makes one pass over all caches now; how many entries it removed. At most 10,000 a cache.
    #[expect(clippy::must_use_candidate, reason = "called for what it does")]
    pub fn cleanup(&self) -> usize {
        self.shared.cleanup()
    }

    /// Makes a pass every `interval` from now on, in place of any interval before. The task ends
    /// with the manager.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn start(&self, interval: Duration) {
        // A sleep of no time would never let other tasks run.
        let interval = interval.max(Duration::from_millis(1));
        let weak = Arc::downgrade(&self.shared);
        let clock = Arc::clone(&self.shared.clock);
        let task = tokio::spawn(async move {
            loop {
                clock.sleep(interval).await;
                let Some(shared) = weak.upgrade() else { return };
                shared.cleanup();
            }
        });
        let before = self.shared.lock().task.replace(task);
        if let Some(before) = before {
            before.abort();
        }
    }

    /// Makes no further pass by itself.
    pub fn stop(&self) {
        if let Some(task) = self.shared.lock().task.take() {
            task.abort();
        }
    }

    /// Whether it makes passes by itself.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.shared.lock().task.as_ref().is_some_and(|task| !task.is_finished())
    }
}

impl Shared {
    fn cleanup(&self) -> usize {
        let caches: Vec<Arc<dyn AnyCache>> = {
            let mut state = self.lock();
            state.caches.retain(|cache| cache.strong_count() > 0);
            state.caches.iter().filter_map(Weak::upgrade).collect()
        };
        let removed = caches.iter().map(|cache| cache.sweep(BUDGET)).sum();
        tracing::trace!(
            target: telemetry::TARGET, caches = caches.len(), removed, "{}", telemetry::TTL_SWEEP
        );
        removed
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Some(task) = self.lock().task.take() {
            task.abort();
        }
    }
}

impl fmt::Debug for TtlManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.shared.lock();
        f.debug_struct("TtlManager")
            .field("caches", &state.caches.len())
            .field("running", &state.task.is_some())
            .finish()
    }
}
