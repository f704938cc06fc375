//! The same three plugins in Rust, behind the tables that a library of them would have.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use larder_core::invalidator::{Invalidation, InvalidationSink, Invalidator, Scope};
use larder_core::replicator::{Mutation, MutationSink, Replicator, TargetStatus};
use larder_core::warmer::{WarmKey, WarmKeys, Warmer, WarmingStats, WarmingTrigger};
use larder_core::{BuildContext, CacheError, ErrorKind, PluginConfig, Result, Stamp};
use schemars::JsonSchema;
use serde::Deserialize;

/// What the last run that said so has warmed.
pub(super) static WARMED: AtomicU64 = AtomicU64::new(0);

/// How many runs are not over.
pub(super) static RUNS: AtomicUsize = AtomicUsize::new(0);

/// A config type without options, and how what it builds is made.
macro_rules! config {
    ($config:ident, $kind:literal, $plugin:ty) => {
        /// Options.
        #[derive(Clone, Debug, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub(super) struct $config {
            /// How many keys.
            #[serde(default)]
            count: usize,
        }

        #[async_trait]
        impl PluginConfig for $config {
            const KIND: &'static str = $kind;
            const SUMMARY: &'static str = "for a test";

            type Plugin = $plugin;

            async fn build(self, _: &BuildContext) -> Result<$plugin> {
                Ok(<$plugin>::new(self.count))
            }
        }
    };
}

config!(EchoInvalidator, "rust-echo.invalidator", Echo<dyn InvalidationSink>);
config!(EchoReplicator, "rust-echo.replicator", Echo<dyn MutationSink>);
config!(EchoWarmer, "rust-echo.warmer", Lister);

/// Brings back what it is given.
#[derive(Debug)]
pub(super) struct Echo<T: ?Sized> {
    sink: Mutex<Option<Arc<T>>>,
    sent: AtomicU64,
}

impl<T: ?Sized> Echo<T> {
    fn new(_: usize) -> Self {
        Self { sink: Mutex::default(), sent: AtomicU64::new(0) }
    }

    fn sink(&self) -> Arc<T> {
        self.sink.lock().unwrap().clone().expect("it was started")
    }
}

fn late() -> CacheError {
    CacheError::new(ErrorKind::Timeout, "something is left over")
}

#[async_trait]
impl Invalidator for Echo<dyn InvalidationSink> {
    async fn start(&self, sink: Arc<dyn InvalidationSink>) -> Result<()> {
        *self.sink.lock().unwrap() = Some(Arc::clone(&sink));
        sink.lost_track().await;
        sink.invalidate(Invalidation::new(Scope::Key("started".to_owned()), Stamp::default())).await
    }

    async fn publish(&self, invalidation: &Invalidation) -> Result<()> {
        match &invalidation.scope {
            Scope::Key(key) if key == "never" => std::future::pending().await,
            Scope::Key(key) if key == "panics" => panic!("it does"),
            Scope::Key(key) if key == "fails" => {
                Err(CacheError::new(ErrorKind::Invalidation, "not today"))
            }
            _ => self.sink().invalidate(invalidation.clone()).await,
        }
    }

    fn matches(&self, pattern: &str, key: &str) -> bool {
        assert_ne!(pattern, "panics", "it does");
        key.ends_with(pattern)
    }

    async fn stop(&self) -> Result<()> {
        Ok(())
    }
}

#[async_trait]
impl Replicator for Echo<dyn MutationSink> {
    async fn start(&self, sink: Arc<dyn MutationSink>) -> Result<()> {
        *self.sink.lock().unwrap() = Some(sink);
        Ok(())
    }

    async fn send(&self, batch: Vec<Mutation>) -> Result<()> {
        self.sent.fetch_add(batch.len() as u64, Ordering::SeqCst);
        self.sink().apply(batch).await
    }

    fn status(&self) -> Vec<TargetStatus> {
        let mut status = TargetStatus::default();
        status.target = "eu".to_owned();
        status.queued = self.sent.load(Ordering::SeqCst);
        assert_ne!(status.queued, 7, "it panics");
        status.lag = Duration::from_micros(1500);
        status.dirty = true;
        status.error = Some("away".to_owned());
        vec![status]
    }

    async fn stop(&self, limit: Duration) -> Result<()> {
        if limit < Duration::from_secs(1) { Err(late()) } else { Ok(()) }
    }
}

/// Names as many keys as it is told, in one batch.
#[derive(Debug)]
pub(super) struct Lister {
    count: usize,
}

impl Lister {
    fn new(count: usize) -> Self {
        Self { count }
    }
}

#[derive(Debug)]
struct Named(Option<Vec<WarmKey>>, usize);

impl Drop for Named {
    fn drop(&mut self) {
        RUNS.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Warmer for Lister {
    async fn keys(&self, trigger: WarmingTrigger) -> Result<Box<dyn WarmKeys>> {
        tokio::task::yield_now().await;
        if trigger == WarmingTrigger::Failover {
            return Err(CacheError::new(ErrorKind::Connection, "there is no list"));
        }
        let keys = (0..self.count).map(|number| {
            let key = WarmKey::new(format!("key-{number}"));
            let priority = i32::try_from(self.count - number).unwrap();
            let key = key.priority(priority);
            if number % 2 == 0 { key.with_value("v".into()) } else { key }
        });
        RUNS.fetch_add(1, Ordering::SeqCst);
        Ok(Box::new(Named(Some(keys.collect()), self.count)))
    }

    fn finished(&self, stats: &WarmingStats) {
        WARMED.store(stats.warmed, Ordering::SeqCst);
    }
}

#[async_trait]
impl WarmKeys for Named {
    async fn next_batch(&mut self) -> Result<Option<Vec<WarmKey>>> {
        if self.1 == 13 {
            panic!("thirteen keys");
        }
        if self.1.is_multiple_of(2) {
            tokio::task::yield_now().await;
        }
        Ok(self.0.take().filter(|keys| !keys.is_empty()))
    }

    fn estimate(&self) -> Option<u64> {
        Some(self.1 as u64)
    }
}
