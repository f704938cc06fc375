//! Snapshots of the byte tiers of a cache. No value is decoded. What comes from a tier that wraps
//! otherwise than the last one, and what a tier could not read or must not have in plain, is
//! wrapped anew; all else stays as it is.

use std::io::{Read, Write};

use larder_core::backend::ScanRequest;
use larder_core::key::{check_reserved, check_text, glob_matches};
use larder_core::{CacheError, Capabilities, Entry, ErrorKind, Result};
use xxhash_rust::xxh3::xxh3_64;

use super::decoder::{Decoder, Record};
use super::format::Header;
use super::{Exported, Fate, ImportMode, Imported, Outgoing, PAGE, lives, write};
use crate::block::offload;
use crate::engine::{Engine, Found, Look};
use crate::stats::MissCause;
use crate::tier::{ByteTier, count};

/// How many bytes of values are looked at together, unless one alone has more.
const WINDOW: usize = 4 << 20;

impl Engine {
    /// Writes the entries of the last tier, which has them all, as the first tier that has them
    /// gives them. Holds a page of keys and a few entries in memory.
    pub(crate) async fn export<W>(&self, pattern: &str, mut writer: W) -> Result<(Exported, W)>
    where
        W: Write + Send + 'static,
    {
        self.check_open()?;
        let Some(tier) = self.tiers.last() else {
            return Ok((Exported::default(), writer));
        };
        self.check_scan(tier)?;
        let prefix = pattern.split(['*', '?']).next().unwrap_or_default();
        let mut request = ScanRequest::all().prefix(prefix);
        // Invalidations from now on have greater versions.
        let mut outgoing = Outgoing::begin(self.home(), self.stamp().time);
        // How many entries are looked at together depends on how large the last ones were.
        let mut together = 1;
        loop {
            let page = tier.bounded("scan", tier.backend.scan(request.clone())).await?;
            let is_wanted =
                |key: &&String| check_reserved(key).is_ok() && glob_matches(pattern, key);
            let keys: Vec<&str> = page.keys.iter().filter(is_wanted).map(String::as_str).collect();
            let mut keys = keys.as_slice();
            while !keys.is_empty() {
                let (now, later) = keys.split_at(together.min(keys.len()));
                let largest;
                (largest, writer) = self.export_keys(now, &mut outgoing, writer).await?;
                together = (WINDOW / largest.max(1)).clamp(1, PAGE).min(2 * together);
                keys = later;
            }
            if page.next.is_none() {
                break;
            }
            request = request.from_cursor(page.next);
        }
        let (rest, exported) = outgoing.end();
        Ok((exported, write_beside(writer, rest).await?))
    }

    /// Writes the entries of some keys; how large the largest of them is.
    async fn export_keys<W>(
        &self,
        keys: &[&str],
        outgoing: &mut Outgoing,
        mut writer: W,
    ) -> Result<(usize, W)>
    where
        W: Write + Send + 'static,
    {
        self.check_open()?;
        let mut largest = 0;
        for (key, found) in keys.iter().zip(self.find_many(keys).await) {
            let found = match found {
                Ok(found) => self.of_last(key, found).await,
                Err(cause) => Err(cause),
            };
            match found {
                Ok(Some(entry)) => {
                    largest = largest.max(entry.value.len());
                    outgoing.push(key, None, &entry);
                }
                Ok(None) => outgoing.skip(),
                // A copy that lacks entries only because a disk failed must not pass for one.
                Err(MissCause::TierDown) => {
                    let message = "a tier failed while the snapshot was taken";
                    let error = CacheError::new(ErrorKind::Connection, message);
                    return Err(error
                        .with("cache", &self.name)
                        .with("entries", outgoing.entries()));
                }
                Err(_) => {}
            }
            if let Some(chunk) = outgoing.chunk() {
                writer = write_beside(writer, chunk).await?;
            }
        }
        Ok((largest, writer))
    }

    /// An entry as the last tier writes it, or as it has it where that cannot be made of what was
    /// found above; `None` when there is neither.
    async fn of_last(&self, key: &str, found: Found) -> Result<Option<Entry>, MissCause> {
        if let Some(entry) = self.as_in_last(key, found) {
            return Ok(Some(entry));
        }
        match self.find_in(self.tiers.len() - 1, key, Look::default(), &mut None).await {
            Ok(found) => Ok(Some(found.entry)),
            Err(MissCause::TierDown) => Err(MissCause::TierDown),
            Err(_) => Ok(None),
        }
    }

    /// Stores the entries of a snapshot in every byte tier. The caller empties the store in front
    /// afterwards, whatever came of it.
    pub(crate) async fn import<R>(&self, reader: R, mode: ImportMode) -> Result<Imported>
    where
        R: Read + Send + 'static,
    {
        self.check_open()?;
        let mut decoder = offload(move || Decoder::open(reader)).await?;
        let mut imported = Imported::of(decoder.header());
        loop {
            let (next, page) = offload(move || Ok(read_page(decoder))).await?;
            decoder = next;
            let (records, end) = page;
            for record in records {
                let fate = self.take_in(record, decoder.header(), mode).await;
                imported.count(fate.map_err(|error| imported.stopped_by(error))?);
            }
            match end {
                Ok(true) => return Ok(imported),
                Ok(false) => {}
                Err(error) => return Err(imported.stopped_by(error)),
            }
        }
    }

    /// Stores one entry of a snapshot in every byte tier. The first error is returned at once.
    async fn take_in(&self, record: Record, header: &Header, mode: ImportMode) -> Result<Fate> {
        self.check_open()?;
        let Record { key, mut entry, .. } = record;
        let is_key = check_text(&key).and_then(|()| check_reserved(&key)).is_ok();
        if !lives(&entry, self.clock.wall()) {
            return Ok(Fate::Expired);
        }
        if !is_key {
            return Ok(Fate::Refused);
        }
        for stamp in &mut entry.meta.tags {
            match self.adopt_tag(*stamp, header.taken_at.as_micros()).await? {
                Some(version) => stamp.version = version,
                None => return Ok(Fate::Invalidated),
            }
        }
        let Ok(entries) = self.adopted(&key, &header.cache, &entry) else {
            return Ok(Fate::Refused);
        };
        let store = async {
            let mut fate = Fate::Older;
            for (tier, entry) in self.tiers.iter().zip(entries) {
                if self.put_in(tier, &key, entry, mode).await? {
                    fate = Fate::Stored;
                }
            }
            Ok(fate)
        };
        self.change_key(xxh3_64(key.as_bytes()), || (), store, |_| ()).await
    }

    /// Stores an entry in one tier unless it has a newer one; whether it did.
    async fn put_in(
        &self,
        tier: &ByteTier,
        key: &str,
        mut entry: Entry,
        mode: ImportMode,
    ) -> Result<bool> {
        entry.meta.hard_deadline = self.hard_deadline(tier, entry.meta.hard_deadline);
        let is_stored = if mode == ImportMode::Replace {
            tier.bounded("set", tier.backend.set(key, entry)).await.map(|()| true)
        } else if tier.can(Capabilities::PUT_IF_NEWER) {
            tier.bounded("put_if_newer", tier.backend.put_if_newer(key, entry)).await
        } else {
            let there = tier.bounded("get", tier.backend.get(key)).await?;
            if there.is_some_and(|there| there.meta.stamp >= entry.meta.stamp) {
                return Ok(false);
            }
            tier.bounded("set", tier.backend.set(key, entry)).await.map(|()| true)
        }?;
        if is_stored {
            count(&tier.counters.writes);
        }
        Ok(is_stored)
    }
}

/// Some records, and whether they were the last or what follows them.
type Page = (Vec<Record>, Result<bool>);

fn read_page<R: Read>(mut decoder: Decoder<R>) -> (Decoder<R>, Page) {
    let mut records = Vec::with_capacity(PAGE);
    let mut bytes = 0;
    let end = loop {
        if records.len() == PAGE || bytes >= super::CHUNK {
            break Ok(false);
        }
        match decoder.next() {
            Ok(Some(record)) => {
                bytes += record.entry.value.len();
                records.push(record);
            }
            Ok(None) => break Ok(true),
            Err(error) => break Err(error),
        }
    };
    (decoder, (records, end))
}

async fn write_beside<W: Write + Send + 'static>(mut writer: W, bytes: Vec<u8>) -> Result<W> {
    offload(move || {
        write(&mut writer, &bytes)?;
        Ok(writer)
    })
    .await
}
