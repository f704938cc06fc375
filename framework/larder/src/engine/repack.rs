//! Entries without what wraps them, and wrapped as another tier wants them.

use larder_core::{Bytes, Entry, Result};

use super::{Engine, Found};
use crate::format::Place;
use crate::tier::ByteTier;

impl Engine {
    /// The greatest value that is of use.
    pub(crate) fn value_limit(&self) -> usize {
        let limit = self.settings.max_value_bytes.unwrap_or(u64::MAX);
        usize::try_from(limit).unwrap_or(usize::MAX)
    }

    /// The serialized value of an entry, without what wraps it.
    pub(crate) fn plain(&self, key: &str, found: &Found) -> Result<Bytes> {
        let tier = &self.tiers[found.tier];
        tier.format.unpack(&self.linked, &found.entry, tier.place(key), self.value_limit())
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

    /// An entry that belonged to a cache `from`, as a tier may store it. It stays as it is where it
    /// can be read: what is encrypted belongs to one cache, and where entries are encrypted no
    /// plain one is stored.
    pub(crate) fn adopted(
        &self,
        tier: &ByteTier,
        key: &str,
        from: &str,
        entry: Entry,
    ) -> Result<Entry> {
        let is_plain = |number| self.linked.wrappers.contains_key(number);
        let stays = match tier.format.encrypts() {
            true => tier.format.would_write(&entry.meta) && *tier.home == *from,
            false => entry.meta.wrappers.numbers().iter().all(is_plain),
        };
        if stays || entry.meta.negative {
            return Ok(entry);
        }
        let place = Place { cache: from, key };
        let plain = tier.format.undo(&self.linked, &entry, place, self.value_limit())?;
        wrapped(tier, key, entry, plain)
    }
}

/// An entry with its value wrapped anew.
fn wrapped(tier: &ByteTier, key: &str, mut entry: Entry, plain: Bytes) -> Result<Entry> {
    let place = tier.place(key);
    let packed = tier.format.pack(plain, entry.meta.format, place)?;
    (entry.value, entry.meta.wrappers) = (packed.bytes, packed.wrappers);
    Ok(entry)
}
