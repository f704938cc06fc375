//! Storing and removing entries in the byte tiers.
//!
//! A change of a key takes three steps: the store is emptied of the key and the fence moved, the
//! tiers are changed, the fence is moved again and the store filled. Whoever reads in between
//! sees the old or the new value in the tiers; whoever read before cannot fill afterwards. A
//! caller that goes away in the middle leaves the store empty of the key ([`Change`] sees to it).

use std::sync::Arc;

use larder_core::key::glob_matches;
use larder_core::{Bytes, CacheError, Entry, EntryMeta, ErrorKind, Result, Serializer, telemetry};
use xxhash_rust::xxh3::xxh3_64;

use super::Engine;
use crate::fence::Ticket;
use crate::settings::Lives;
use crate::tags::{TagCell, Tags};
use crate::tier::count;

/// The value of an entry as each byte tier wants it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Payloads(Vec<Payload>);

#[derive(Clone, Debug)]
struct Payload {
    bytes: Bytes,
    format: u16,
}

impl Payloads {
    /// The size of the value in its first format; `None` without byte tiers.
    pub(crate) fn len(&self) -> Option<usize> {
        self.0.first().map(|payload| payload.bytes.len())
    }
}

/// A change of one key under way: puts the store right when it is dropped half-way.
struct Change<'a, F: FnMut()> {
    engine: &'a Engine,
    hash: u64,
    forget: F,
    is_done: bool,
}

impl<F: FnMut()> Drop for Change<'_, F> {
    fn drop(&mut self) {
        if !self.is_done {
            self.engine.fence.change(self.hash, &mut self.forget);
        }
    }
}

impl Engine {
    /// Serializes a value for every byte tier, once per format.
    pub(crate) fn payloads(
        &self,
        mut encode: impl FnMut(&dyn Serializer) -> Result<Vec<u8>>,
    ) -> Result<Payloads> {
        let mut payloads: Vec<Payload> = Vec::with_capacity(self.tiers.len());
        for tier in &self.tiers {
            let format = tier.serializer.format();
            let payload = match payloads.iter().find(|payload| payload.format == format) {
                Some(payload) => payload.clone(),
                None => Payload { bytes: encode(&*tier.serializer)?.into(), format },
            };
            self.check_size(payload.bytes.len())?;
            payloads.push(payload);
        }
        Ok(Payloads(payloads))
    }

    /// Refuses values over the limit of the cache.
    pub(crate) fn check_size(&self, bytes: usize) -> Result<()> {
        match self.settings.max_value_bytes {
            Some(limit) if bytes as u64 > limit => {
                count(&self.counters.rejections);
                Err(CacheError::new(ErrorKind::Capacity, "the value is too large")
                    .with("cache", &self.name)
                    .with("current_size", bytes)
                    .with("max_size", limit)
                    .hint("raise `max_value_size` of the cache, or store less"))
            }
            _ => Ok(()),
        }
    }

    /// Changes one key everywhere: `forget` empties the store of it, `change` changes the tiers,
    /// `keep` fills the store.
    pub(crate) async fn change_key<R>(
        &self,
        hash: u64,
        forget: impl FnMut(),
        change: impl Future<Output = R>,
        keep: impl FnOnce(&R),
    ) -> R {
        let _turn = self.write_turn(hash).await;
        let mut under_way = Change { engine: self, hash, forget, is_done: false };
        self.fence.change(hash, &mut under_way.forget);
        let outcome = change.await;
        self.fence.change(hash, || {
            (under_way.forget)();
            keep(&outcome);
        });
        under_way.is_done = true;
        outcome
    }

    /// The meta of an entry that is made now.
    pub(crate) fn meta(&self, lives: &Lives, tags: Option<&Tags>, negative: bool) -> EntryMeta {
        let hard_deadline = match lives.idle.map(|idle| self.clock.wall().after(idle)) {
            Some(idle) => Some(lives.wall.map_or(idle, |wall| wall.min(idle))),
            None => lives.wall,
        };
        EntryMeta {
            stamp: self.stamp(),
            soft_deadline: lives.wall,
            hard_deadline,
            tags: tags.map(Tags::stamps).unwrap_or_default(),
            negative,
            ..EntryMeta::default()
        }
    }

    /// Stores an entry in every byte tier. A tier that fails is skipped; the error is returned
    /// only when there is a tier and none took the entry.
    pub(crate) async fn put(&self, key: &str, payloads: Payloads, meta: &EntryMeta) -> Result<()> {
        let mut first_error = None;
        let mut is_stored = false;
        for (tier, payload) in self.tiers.iter().zip(payloads.0) {
            let mut meta = meta.clone();
            meta.format = payload.format;
            let lives = Lives::until(meta.hard_deadline, None, &*self.clock);
            meta.hard_deadline = lives.at_most(tier.ttl, &*self.clock).wall;
            let entry = Entry { value: payload.bytes, meta };
            match tier.bounded("set", tier.backend.set(key, entry)).await {
                Ok(()) => {
                    is_stored = true;
                    count(&tier.counters.writes);
                }
                Err(error) => {
                    tracing::warn!(
                        target: telemetry::TARGET,
                        cache = %self.name, tier = %tier.tier, %error,
                        "{}", telemetry::STORE_FAILED
                    );
                    first_error.get_or_insert(error);
                }
            }
        }
        match first_error {
            Some(error) if !is_stored => Err(error),
            _ => Ok(()),
        }
    }

    /// Removes a key from every byte tier; whether any had it. All tiers are tried before the
    /// first error is returned: as long as one may still have the entry, it is not gone.
    pub(crate) async fn remove(&self, key: &str) -> Result<bool> {
        let mut removed = false;
        let mut outcome = Ok(());
        for tier in &self.tiers {
            match tier.bounded("delete", tier.backend.delete(key)).await {
                Ok(was_there) => removed |= was_there,
                Err(error) => outcome = outcome.and(Err(error)),
            }
        }
        outcome.map(|()| removed)
    }

    /// Removes every key that matches a glob from the byte tiers; which there were.
    pub(crate) async fn remove_matching(&self, pattern: &str) -> Result<Vec<String>> {
        let wild = |c: char| matches!(c, '*' | '?');
        let prefix = pattern.split(wild).next().unwrap_or_default();
        let keys = self.scan(prefix, &|key| glob_matches(pattern, key)).await?;
        let mut removed = Vec::with_capacity(keys.len());
        for key in keys {
            let _turn = self.write_turn(xxh3_64(key.as_bytes())).await;
            if self.remove(&key).await? {
                removed.push(key);
            }
        }
        Ok(removed)
    }

    /// Stores a loaded entry in the byte tiers, unless its key changed since the ticket.
    pub(crate) async fn put_loaded(
        &self,
        key: &str,
        hash: u64,
        payloads: Payloads,
        meta: &EntryMeta,
        ticket: Ticket,
    ) {
        let _turn = self.write_turn(hash).await;
        if !self.fence.holds(ticket) {
            return;
        }
        // Failures are counted and reported where they happen; the callers have their value.
        self.put(key, payloads, meta).await.ok();
        if !self.fence.holds(ticket) {
            self.remove(key).await.ok();
        }
    }

    /// Clears every byte tier, all of them before the first error is returned.
    pub(crate) async fn clear_tiers(&self) -> Result<()> {
        let mut outcome = Ok(());
        for tier in &self.tiers {
            if let Err(error) = tier.bounded("clear", tier.backend.clear()).await {
                outcome = outcome.and(Err(error));
            }
        }
        outcome
    }

    /// The tags of an entry with their versions of now, read or made where they are not known.
    ///
    /// Capture them before the value is loaded.
    pub(crate) async fn capture_tags(&self, names: &[String]) -> Result<Option<Arc<Tags>>> {
        let mut cells = Vec::with_capacity(names.len());
        for name in names {
            let cell = self.tags.cell(name);
            if cell.version() == 0 {
                match self.read_marker(&cell).await? {
                    Some(version) => cell.advance(version),
                    None => self.move_tag(&cell).await?,
                }
            }
            cells.push(cell);
        }
        Ok(Tags::capture(cells))
    }

    /// Gives a tag a new version, here at once and then in the last tier.
    pub(crate) async fn move_tag(&self, cell: &TagCell) -> Result<()> {
        // Here at once; then past what another process may have written.
        cell.advance(self.stamp().time.as_micros().max(cell.version() + 1));
        let Some(tier) = self.tiers.last() else { return Ok(()) };
        if let Some(marker) = self.read_marker(cell).await? {
            cell.advance(marker + 1);
        }
        let version = cell.version();
        let format = larder_core::serializer::formats::RAW;
        let meta = EntryMeta { stamp: self.stamp(), format, ..EntryMeta::default() };
        let entry = Entry { value: Bytes::copy_from_slice(&version.to_be_bytes()), meta };
        tier.bounded("set", tier.backend.set(&cell.marker_key(), entry)).await
    }
}
