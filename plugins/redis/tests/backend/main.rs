//! What the Redis backend does beyond the contract of backends, on real servers.

#![expect(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::sync::Arc;
use std::time::Duration;

use larder_core::{BuildContext, Bytes, Entry, EntryMeta, ManualClock};
use larder_redis::RedisBackend;
use larder_servers::Redis;

#[path = "../common/mod.rs"]
mod common;

mod apart;
mod batches;
mod clears;
mod failovers;
mod foreign;
mod memory;
mod replicas;
mod servers;
mod sweeps;

/// A server, and the backends on it.
struct Site {
    server: Redis,
}

impl Site {
    fn new() -> Self {
        Self { server: Redis::start() }
    }

    /// What another process with the same config has.
    async fn open(&self, prefix: &str) -> RedisBackend {
        self.open_with(prefix, BuildContext::new("users")).await
    }

    /// One whose time stands still, so that its background work does as well.
    async fn open_still(&self, prefix: &str) -> RedisBackend {
        let clock = Arc::new(ManualClock::new());
        self.open_with(prefix, BuildContext::new("users").clock(clock)).await
    }

    async fn open_with(&self, prefix: &str, context: BuildContext) -> RedisBackend {
        common::open(&[self.server.url()], prefix, context).await.unwrap()
    }

    /// The names of all keys that match a pattern.
    fn names(&self, pattern: &str) -> Vec<String> {
        let reply = self.server.cli(&["KEYS", pattern]);
        let mut names = match reply {
            larder_servers::Reply::List(_) => reply.texts(),
            _ => Vec::new(),
        };
        names.sort();
        names
    }

    /// The only name that matches a pattern.
    fn name(&self, pattern: &str) -> String {
        let names = self.names(pattern);
        let [name] = &names[..] else { panic!("one name for {pattern}: {names:?}") };
        name.clone()
    }
}

fn entry(value: impl Into<Bytes>) -> Entry {
    Entry { value: value.into(), meta: EntryMeta::default() }
}

/// Long enough for the slowest machine.
const LIMIT: Duration = Duration::from_secs(30);

/// Waits until something is so.
async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let mut looks = tokio::time::interval(Duration::from_millis(5));
    let wait = async {
        while !is_so() {
            looks.tick().await;
        }
    };
    assert!(tokio::time::timeout(LIMIT, wait).await.is_ok(), "never: {what}");
}
