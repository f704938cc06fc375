//! Entries without what wraps them, and wrapped as another tier wants them.

use std::sync::Arc;

use larder_core::{Bytes, CacheError, Entry, ErrorKind, Result};

use super::{Engine, Found};
use crate::format::Place;
use crate::tier::ByteTier;

impl Engine {
    /// The greatest value of a key that is of use.
    pub(crate) fn value_limit(&self, key: &str) -> usize {
        let limit = self.settings_for(key).max_value_bytes.unwrap_or(u64::MAX);
        usize::try_from(limit).unwrap_or(usize::MAX)
    }

    /// The serialized value of an entry, without what wraps it.
    pub(crate) fn plain(&self, key: &str, found: &Found) -> Result<Bytes> {
        let tier = &self.tiers[found.tier];
        tier.format.unpack(&self.linked, &found.entry, tier.place(key), self.value_limit(key))
    }

    /// An entry as a tier above would have written it, or `None` when it has another serializer.
    /// `plain` is its value without what wraps it.
    pub(super) fn copy_for(
        &self,
        tier: &ByteTier,
        key: &str,
        found: &Found,
        plain: &Bytes,
    ) -> Option<Entry> {
        let entry = found.entry.clone();
        if tier.format.serializer.format() != entry.meta.format {
            return None;
        }
        let is_same =
            tier.writes_like(&self.tiers[found.tier]) && tier.format.would_write(&entry.meta);
        if is_same || entry.meta.negative {
            return Some(entry);
        }
        let wrapped = wrapped(tier, key, entry, plain.clone());
        wrapped.inspect_err(|error| self.warn_unstored(tier, error)).ok()
    }

    /// An entry as the last tier would have written it, for whoever copies that tier: another one
    /// may store it in plain, or bound to another cache. `None` when that cannot be made of it.
    pub(crate) fn as_in_last(&self, key: &str, found: Found) -> Option<Entry> {
        let (meta, last) = (&found.entry.meta, self.tiers.last()?);
        let is_last = found.tier + 1 == self.tiers.len();
        let is_same = last.writes_like(&self.tiers[found.tier]) && last.format.would_write(meta);
        if is_last || is_same || meta.negative {
            return Some(found.entry);
        }
        let plain = self.plain(key, &found).ok()?;
        self.copy_for(last, key, &found, &plain)
    }

    /// An entry that belonged to a cache `from`, as each tier may store it. Where a tier would have
    /// written it so and can read it, it stays as it is.
    ///
    /// # Errors
    ///
    /// When no tier can read it, when it is too large, or when a tier cannot wrap it.
    pub(crate) fn adopted(&self, key: &str, from: &str, entry: &Entry) -> Result<Vec<Entry>> {
        if entry.meta.negative {
            self.check_size(key, entry.value.len())?;
            return Ok(vec![entry.clone(); self.tiers.len()]);
        }
        let place = Place { cache: from, key };
        // One value at a time: each may be as large as the limit.
        let mut plain = Err(CacheError::new(ErrorKind::Unsupported, "no tier keeps the entry"));
        let mut can_read = Vec::with_capacity(self.tiers.len());
        for tier in &self.tiers {
            let undone = self.undone(tier, entry, place);
            can_read.push(undone.is_ok());
            plain = plain.or(undone);
        }
        let plain = plain?;
        self.check_size(key, plain.len())?;
        let adopt = |(tier, can_read): (&Arc<ByteTier>, bool)| match can_read {
            true if self.would_keep(tier, from, entry) => Ok(entry.clone()),
            _ => wrapped(tier, key, entry.clone(), plain.clone()),
        };
        self.tiers.iter().zip(can_read).map(adopt).collect()
    }

    /// The serialized value of an entry of anywhere, if the tier could read it.
    fn undone(&self, tier: &ByteTier, entry: &Entry, place: Place<'_>) -> Result<Bytes> {
        self.reader(tier, entry.meta.format)?;
        tier.format.undo(&self.linked, entry, place, self.value_limit(place.key))
    }

    /// Whether a tier takes an entry of a cache `from` as it is: what is encrypted belongs to one
    /// cache, and where entries are encrypted no plain one is stored.
    fn would_keep(&self, tier: &ByteTier, from: &str, entry: &Entry) -> bool {
        let is_linked = |number| self.linked.wrappers.contains_key(number);
        match tier.format.encrypts() {
            true => tier.format.would_write(&entry.meta) && *tier.home == *from,
            false => entry.meta.wrappers.numbers().iter().all(is_linked),
        }
    }
}

/// An entry with its value wrapped anew.
fn wrapped(tier: &ByteTier, key: &str, mut entry: Entry, plain: Bytes) -> Result<Entry> {
    let place = tier.place(key);
    let packed = tier.format.pack(plain, entry.meta.format, place)?;
    (entry.value, entry.meta.wrappers) = (packed.bytes, packed.wrappers);
    Ok(entry)
}
