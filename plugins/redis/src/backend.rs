//! [`RedisBackend`], entries on a Redis or Valkey server, or in a cluster.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::join_all;
use larder_core::backend::{Backend, Deadlines, Health, Lease, ScanPage, ScanRequest};
use larder_core::{
    BuildContext, Capabilities, Entry, EntryMeta, PluginConfig, Result, async_trait, key,
};

use crate::connection::RedisConnection;
use crate::read::Company;
use crate::space::Space;
use crate::sweep::Sweeper;

mod config;

pub use config::{REDIS, ReadFrom, RedisConfig};

/// How many keys are asked for at a time.
const MOST_KEYS: usize = 1024;

/// Keeps entries on a server, or in a cluster, that other processes use as well.
///
/// Gets that come at the same time go to the server as one command. Where more than reading or
/// writing has to be done in one step, the server runs a script.
///
/// # Behaviour
///
/// * A clear changes one number, and is seen by every get that begins after it. What was there is
///   removed in the background.
/// * A `set` or `delete` ends the lease of its key in the same step, so that who loaded meanwhile
///   stores nothing.
/// * What is damaged is removed. Values of other programs and of later versions of Larder are a
///   miss and stay, until something is stored in their place.
/// * A `set` for which the server has no room fails, and the old entry is gone.
/// * Entries end by the clock of the reader or by that of the server, whichever comes first.
pub struct RedisBackend {
    space: Arc<Space>,
    sweeper: Sweeper,
    /// Tells our leases from those of others.
    holder: u64,
}

impl RedisBackend {
    /// The backend of the cache that is being built. Asks no server.
    ///
    /// # Errors
    ///
    /// [`Config`](larder_core::ErrorKind::Config) when there is no connection of that name, or it
    /// is of another kind.
    pub fn new(config: &RedisConfig, context: &BuildContext) -> Result<Self> {
        let connection = context.shared::<RedisConnection>(&config.connection)?;
        let prefix =
            config.prefix.clone().unwrap_or_else(|| context.cache.clone() + config::SUFFIX);
        let clock = Arc::clone(&context.clock);
        let space = Space::new(connection, &context.cache, &prefix, clock);
        let space = Arc::new(match config.read_from {
            ReadFrom::Primary => space,
            ReadFrom::Replica => space.read_from_replicas(),
        });
        Ok(Self { space, sweeper: Sweeper::default(), holder: fastrand::u64(..) })
    }

    /// How many entries of before a clear this process has removed since its start.
    #[must_use]
    pub fn swept(&self) -> u64 {
        self.space.swept.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl Backend for RedisBackend {
    fn capabilities(&self) -> Capabilities {
        RedisConfig::CAPABILITIES
    }

    async fn start(&self) -> Result<()> {
        self.sweeper.start(&self.space, self.holder);
        Ok(())
    }

    async fn get(&self, key: &str) -> Result<Option<Entry>> {
        key::check_text(key)?;
        self.space.get(key, Company::Alone).await
    }

    async fn set(&self, key: &str, entry: Entry) -> Result<()> {
        key::check_text(key)?;
        let packed = self.space.pack(&entry)?;
        self.space.sizes.note(key, packed.len());
        self.space.set(key, &packed).await
    }

    async fn delete(&self, key: &str) -> Result<bool> {
        Ok(self.delete_many(&[key]).await? > 0)
    }

    async fn exists(&self, key: &str) -> Result<bool> {
        Ok(self.meta(key).await?.is_some())
    }

    async fn clear(&self) -> Result<()> {
        let before = self.space.generation().await?;
        self.space.advance(Some(before)).await?;
        self.space.has_garbage.notify_one();
        Ok(())
    }

    async fn get_many(&self, keys: &[&str]) -> Result<Vec<Option<Entry>>> {
        self.get_each(keys).await.into_iter().collect()
    }

    async fn get_each(&self, keys: &[&str]) -> Vec<Result<Option<Entry>>> {
        let mut entries = Vec::with_capacity(keys.len());
        for keys in keys.chunks(MOST_KEYS) {
            let gets = keys.iter().map(|key| async {
                key::check_text(key)?;
                self.space.get(key, Company::Others).await
            });
            // All are waited for, so that those who are asked next do not come on top of them.
            entries.extend(join_all(gets).await);
        }
        entries
    }

    async fn set_many(&self, entries: Vec<(String, Entry)>) -> Result<()> {
        let mut packed = Vec::with_capacity(entries.len());
        for (key, entry) in last_of_each(entries) {
            key::check_text(&key)?;
            let entry = self.space.pack(&entry)?;
            self.space.sizes.note(&key, entry.len());
            packed.push((key, entry));
        }
        self.space.set_many(&packed).await
    }

    async fn delete_many(&self, keys: &[&str]) -> Result<u64> {
        keys.iter().try_for_each(|key| key::check_text(key))?;
        self.space.delete(keys).await
    }

    async fn touch(&self, key: &str, deadlines: Deadlines) -> Result<bool> {
        key::check_text(key)?;
        self.space.touch(key, deadlines).await
    }

    async fn scan(&self, request: ScanRequest) -> Result<ScanPage> {
        self.space.scan(&request).await
    }

    async fn put_if_newer(&self, key: &str, entry: Entry) -> Result<bool> {
        key::check_text(key)?;
        let packed = self.space.pack(&entry)?;
        self.space.sizes.note(key, packed.len());
        self.space.put_if_newer(key, &packed).await
    }

    async fn lease(&self, key: &str, duration: Duration) -> Result<Lease> {
        key::check_text(key)?;
        self.space.lease(key, duration, self.holder).await
    }

    async fn fill(&self, key: &str, entry: Entry, token: u64) -> Result<bool> {
        key::check_text(key)?;
        let packed = self.space.pack(&entry)?;
        self.space.sizes.note(key, packed.len());
        self.space.fill(key, &packed, token).await
    }

    async fn release(&self, key: &str, token: u64) -> Result<bool> {
        key::check_text(key)?;
        self.space.release(key, token).await
    }

    async fn meta(&self, key: &str) -> Result<Option<EntryMeta>> {
        key::check_text(key)?;
        self.space.meta(key).await
    }

    fn comebacks(&self) -> u64 {
        self.space.comebacks()
    }

    async fn health(&self) -> Result<Health> {
        self.space.health().await
    }

    async fn close(&self) -> Result<()> {
        self.sweeper.stop();
        Ok(())
    }
}

impl fmt::Debug for RedisBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisBackend").field("space", &self.space).finish_non_exhaustive()
    }
}

/// Of several entries of one key the last. Parts of a batch travel apart and can overtake each
/// other: to other nodes, over other lanes, and again after a script was missing.
fn last_of_each(entries: Vec<(String, Entry)>) -> impl Iterator<Item = (String, Entry)> {
    let mut seen = HashSet::with_capacity(entries.len());
    let mut stay: Vec<bool> = entries.iter().rev().map(|(key, _)| seen.insert(&**key)).collect();
    stay.reverse();
    entries.into_iter().zip(stay).filter_map(|(entry, stays)| stays.then_some(entry))
}

#[cfg(test)]
mod tests {
    use larder_core::Bytes;

    use super::*;

    #[test]
    fn of_several_entries_of_one_key_the_last_stays() {
        let entries = [("a", 1), ("b", 2), ("a", 3), ("c", 4), ("b", 5)];
        let entry = |value| Entry { value: Bytes::from(vec![value]), meta: EntryMeta::default() };
        let entries = entries.map(|(key, value)| (key.to_owned(), entry(value)));
        let left: Vec<(String, u8)> =
            last_of_each(entries.into()).map(|(key, entry)| (key, entry.value[0])).collect();
        assert_eq!(left, [("a".to_owned(), 3), ("c".to_owned(), 4), ("b".to_owned(), 5)]);
    }
}
