//! [`ProcessBackend`], a backend in another process as a [`Backend`].
//!
//! Values cross as envelopes. What comes back is not believed before its checksum was compared,
//! and neither is anything else: the process may be broken in any way.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use larder_core::backend::{Deadlines, Health, Lease, ScanPage, ScanRequest};
use larder_core::key::MAX_KEY_BYTES;
use larder_core::{
    Backend, CacheError, Capabilities, Entry, EntryMeta, ErrorKind, Result, Timestamp, envelope,
};

use super::instance::Instance;
use super::wire::{Blob, Call, Granted, Reply, Seen};

/// A backend in another process.
#[derive(Debug)]
pub(super) struct ProcessBackend {
    instance: Arc<Instance>,
    capabilities: Capabilities,
    /// Entries that could not be read since the start.
    corrupt: AtomicU64,
}

impl ProcessBackend {
    pub(super) fn new(instance: Arc<Instance>, capabilities: Capabilities) -> Self {
        Self { instance, capabilities, corrupt: AtomicU64::new(0) }
    }

    fn needs(&self, capability: Capabilities, operation: &'static str) -> Result<()> {
        if self.capabilities.contains(capability) {
            return Ok(());
        }
        Err(CacheError::new(ErrorKind::Unsupported, "the backend cannot do this").during(operation))
    }

    async fn done(&self, operation: &'static str, call: Call) -> Result<()> {
        match self.instance.call(operation, call).await? {
            Reply::Done => Ok(()),
            _ => Err(self.instance.odd(operation)),
        }
    }

    async fn is(&self, operation: &'static str, call: Call) -> Result<bool> {
        match self.instance.call(operation, call).await? {
            Reply::Is(is) => Ok(is),
            _ => Err(self.instance.odd(operation)),
        }
    }

    /// As many entries as there are keys.
    async fn entries(
        &self,
        operation: &'static str,
        count: usize,
        call: Call,
    ) -> Result<VecDeque<Option<Blob>>> {
        match self.instance.call(operation, call).await? {
            Reply::Entries(found) if found.len() == count => Ok(found.into()),
            _ => Err(self.instance.odd(operation)),
        }
    }

    /// The entry that was found, if it is one and is not over.
    async fn open(&self, key: &str, found: Option<Blob>) -> Option<Entry> {
        let Ok(entry) = envelope::decode(&found?.0) else {
            self.corrupt.fetch_add(1, Ordering::Relaxed);
            // A miss all the same if it cannot be removed.
            drop(self.delete(key).await);
            return None;
        };
        (!self.is_over(&entry.meta)).then_some(entry)
    }

    fn is_over(&self, meta: &EntryMeta) -> bool {
        meta.hard_deadline.is_some() && meta.is_dead(self.instance.clock().wall())
    }
}

fn seal(entry: &Entry, operation: &'static str) -> Result<Blob> {
    let mut bytes = Vec::with_capacity(envelope::encoded_len(entry));
    envelope::encode(entry, &mut bytes).map_err(|error| {
        CacheError::transparent(ErrorKind::Serialization, error).during(operation)
    })?;
    Ok(bytes.into())
}

fn owned(keys: &[&str]) -> Vec<String> {
    keys.iter().map(|key| (*key).to_owned()).collect()
}

#[async_trait]
impl Backend for ProcessBackend {
    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    async fn start(&self) -> Result<()> {
        self.instance.start().await
    }

    async fn get(&self, key: &str) -> Result<Option<Entry>> {
        let mut found = self.entries("get", 1, Call::Get { key: key.to_owned() }).await?;
        Ok(self.open(key, found.pop_front().flatten()).await)
    }

    async fn set(&self, key: &str, entry: Entry) -> Result<()> {
        let entry = seal(&entry, "set")?;
        self.done("set", Call::Set { key: key.to_owned(), entry }).await
    }

    async fn delete(&self, key: &str) -> Result<bool> {
        self.is("delete", Call::Delete { key: key.to_owned() }).await
    }

    async fn exists(&self, key: &str) -> Result<bool> {
        self.is("exists", Call::Exists { key: key.to_owned() }).await
    }

    async fn clear(&self) -> Result<()> {
        self.done("clear", Call::Clear).await
    }

    async fn get_many(&self, keys: &[&str]) -> Result<Vec<Option<Entry>>> {
        let call = Call::GetMany { keys: owned(keys) };
        let found = self.entries("get_many", keys.len(), call).await?;
        let mut entries = Vec::with_capacity(keys.len());
        for (key, found) in keys.iter().zip(found) {
            entries.push(self.open(key, found).await);
        }
        Ok(entries)
    }

    async fn set_many(&self, entries: Vec<(String, Entry)>) -> Result<()> {
        let sealed: Result<Vec<(String, Blob)>> =
            entries.into_iter().map(|(key, entry)| Ok((key, seal(&entry, "set_many")?))).collect();
        self.done("set_many", Call::SetMany { entries: sealed? }).await
    }

    async fn delete_many(&self, keys: &[&str]) -> Result<u64> {
        let call = Call::DeleteMany { keys: owned(keys) };
        match self.instance.call("delete_many", call).await? {
            Reply::Count(deleted) => Ok(deleted.min(keys.len() as u64)),
            _ => Err(self.instance.odd("delete_many")),
        }
    }

    async fn touch(&self, key: &str, deadlines: Deadlines) -> Result<bool> {
        self.needs(Capabilities::TOUCH, "touch")?;
        let soft_us = deadlines.soft.map(Timestamp::as_micros);
        let hard_us = deadlines.hard.map(Timestamp::as_micros);
        self.is("touch", Call::Touch { key: key.to_owned(), soft_us, hard_us }).await
    }

    async fn scan(&self, request: ScanRequest) -> Result<ScanPage> {
        self.needs(Capabilities::SCAN, "scan")?;
        let ScanRequest { prefix, cursor, limit, .. } = request;
        let asked = cursor.clone();
        let call = Call::Scan { prefix, cursor, limit: limit as u64 };
        match self.instance.call("scan", call).await? {
            // The same page would be read for ever.
            Reply::Keys(_, Some(next)) if Some(&next) == asked.as_ref() => {
                Err(self.instance.odd("scan"))
            }
            Reply::Keys(mut keys, next) => {
                keys.retain(|key| (1..=MAX_KEY_BYTES).contains(&key.len()));
                Ok(ScanPage { keys, next })
            }
            _ => Err(self.instance.odd("scan")),
        }
    }

    async fn put_if_newer(&self, key: &str, entry: Entry) -> Result<bool> {
        self.needs(Capabilities::PUT_IF_NEWER, "put_if_newer")?;
        let entry = seal(&entry, "put_if_newer")?;
        self.is("put_if_newer", Call::PutIfNewer { key: key.to_owned(), entry }).await
    }

    async fn lease(&self, key: &str, duration: Duration) -> Result<Lease> {
        self.needs(Capabilities::LEASE, "lease")?;
        let duration_us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let call = Call::Lease { key: key.to_owned(), duration_us };
        match self.instance.call("lease", call).await? {
            Reply::Lease(Granted::Token(token)) => Ok(Lease::Granted { token }),
            Reply::Lease(Granted::Held(remaining)) => {
                Ok(Lease::Held { remaining: remaining.map(Duration::from_micros) })
            }
            _ => Err(self.instance.odd("lease")),
        }
    }

    async fn fill(&self, key: &str, entry: Entry, token: u64) -> Result<bool> {
        self.needs(Capabilities::LEASE, "fill")?;
        let entry = seal(&entry, "fill")?;
        self.is("fill", Call::Fill { key: key.to_owned(), entry, token }).await
    }

    async fn release(&self, key: &str, token: u64) -> Result<bool> {
        self.needs(Capabilities::LEASE, "release")?;
        self.is("release", Call::Release { key: key.to_owned(), token }).await
    }

    async fn meta(&self, key: &str) -> Result<Option<EntryMeta>> {
        let mut found = self.entries("meta", 1, Call::Meta { key: key.to_owned() }).await?;
        let header = found.pop_front().flatten();
        let meta = header.and_then(|header| envelope::decode_header(&header.0).ok());
        Ok(meta.filter(|meta| !self.is_over(meta)))
    }

    fn comebacks(&self) -> u64 {
        self.instance.comebacks()
    }

    async fn health(&self) -> Result<Health> {
        let Reply::Health(seen) = self.instance.call("health", Call::Health).await? else {
            return Err(self.instance.odd("health"));
        };
        let Seen { entries, bytes, corrupt, degraded } = seen;
        let mut health = Health::default();
        (health.entries, health.bytes, health.degraded) = (entries, bytes, degraded);
        health.corrupt = corrupt.saturating_add(self.corrupt.load(Ordering::Relaxed));
        Ok(health)
    }

    async fn flush(&self) -> Result<()> {
        self.done("flush", Call::Flush).await
    }

    async fn close(&self) -> Result<()> {
        self.done("close", Call::Close).await
    }
}
