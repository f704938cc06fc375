//! What the store of a cache holds, written into a snapshot, and keys that come back to it.

use std::io::Write;

use larder_core::key::glob_matches;
use larder_core::{CacheError, Entry, EntryMeta, ErrorKind, Result, Stamp, Timestamp};
use larder_store::Span;

use super::{CacheValue, Core, Key, place};
use crate::codec::Codec;
use crate::fence::Ticket;
use crate::format::{Packed, Place};
use crate::settings::Lives;
use crate::snapshot::format::Idle;
use crate::snapshot::{Exported, Outgoing, PAGE, write};
use crate::stats::MissCause;
use crate::stored::{Content, StoredRef, stored};
use crate::tags::Tags;

/// An entry of the store, looked at without a trace.
struct Seen<V> {
    value: Option<V>,
    meta: EntryMeta,
    idle: Idle,
}

impl<K: Key, V: CacheValue> Core<K, V> {
    /// Writes what the store holds. Holds a page of keys in memory, and no lock while values are
    /// serialized; an entry that changes meanwhile is written as it was or as it is.
    pub(crate) fn write_store(
        &self,
        pattern: &str,
        writer: &mut (impl Write + ?Sized),
    ) -> Result<Exported> {
        // Invalidations from now on have greater versions.
        let stamp = self.engine.stamp();
        let mut outgoing = Outgoing::begin(&self.engine.name, stamp.time);
        if let Some(store) = &self.store {
            let codec = self.codec_for_snapshots()?;
            let mut cursor = Some(0);
            while let Some(page) = cursor {
                let (keys, next) = store.table.scan(page, PAGE);
                for key in &keys {
                    let text = key.text();
                    if glob_matches(pattern, &text)
                        && let Some(seen) = self.look(key, stamp)
                    {
                        self.push(&text, seen, codec, &mut outgoing);
                    }
                    if let Some(chunk) = outgoing.chunk() {
                        write(writer, &chunk)?;
                    }
                }
                cursor = next;
            }
        }
        let (rest, exported) = outgoing.end();
        write(writer, &rest)?;
        Ok(exported)
    }

    /// How values become bytes in snapshots.
    pub(crate) fn codec_for_snapshots(&self) -> Result<&Codec<V>> {
        self.codec.as_ref().ok_or_else(|| {
            CacheError::new(ErrorKind::Unsupported, "the type of the value has no serde")
                .with("cache", &self.engine.name)
                .with("data_type", std::any::type_name::<V>())
                .hint("a snapshot needs values that become bytes: open it with `cache`")
        })
    }

    /// An entry, if it may be served.
    fn look(&self, key: &K, stamp: Stamp) -> Option<Seen<V>> {
        let store = self.store.as_ref()?;
        let clock = &self.engine.clock;
        store.table.inspect(key, |stored: StoredRef<'_, V>, span: Span| {
            let (now, wall) = (clock.now(), clock.wall());
            let used_at = Timestamp::from_micros(
                wall.as_micros()
                    .saturating_sub(Timestamp::default().after(span.unused).as_micros()),
            );
            let soft_deadline = span.deadline.map(|deadline| wall.after(deadline.since(now)));
            let idle_end = span.idle_ttl.map(|ttl| used_at.after(ttl));
            let hard_deadline = match (soft_deadline, idle_end) {
                (Some(soft), Some(idle)) => Some(soft.min(idle)),
                (soft, idle) => soft.or(idle),
            };
            let value = stored.read()?;
            let meta = EntryMeta {
                stamp,
                soft_deadline,
                hard_deadline,
                tags: stored.tags().map(Tags::stamps).unwrap_or_default(),
                negative: value.is_none(),
                ..EntryMeta::default()
            };
            Some(Seen { value, meta, idle: Idle { ttl: span.idle_ttl, used_at } })
        })?
    }

    fn push(&self, key: &str, seen: Seen<V>, codec: &Codec<V>, outgoing: &mut Outgoing) {
        let Seen { value, mut meta, idle } = seen;
        meta.format = self.format.serializer.format();
        let packed = value.map(|value| {
            let plain = codec.encode(&value, &*self.format.serializer)?;
            let place = Place { cache: self.engine.home(), key };
            self.format.pack(plain.into(), meta.format, place)
        });
        let Ok(packed) = packed.transpose() else {
            return outgoing.skip();
        };
        let Packed { bytes: value, wrappers } = packed.unwrap_or_default();
        meta.wrappers = wrappers;
        outgoing.push(key, Some(idle), &Entry { value, meta });
    }

    /// Fills the store with what the tiers below have of these keys; of how many they have, and
    /// whether one of them could not be asked.
    pub(crate) async fn warm(&self, keys: Vec<K>) -> (u64, Result<()>) {
        let tickets: Vec<Ticket> =
            keys.iter().map(|key| self.engine.fence.ticket(place(key))).collect();
        let texts: Vec<_> = keys.iter().map(|key| key.text().into_owned()).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let found = self.engine.find_many(&texts).await;
        let (mut warmed, mut outcome) = (0, Ok(()));
        let keys = keys.into_iter().zip(&texts);
        for (((key, text), ticket), found) in keys.zip(tickets).zip(found) {
            let found = match found {
                Ok(found) => found,
                Err(cause) => {
                    if cause == MissCause::TierDown {
                        outcome = Err(CacheError::new(ErrorKind::Connection, "a tier failed"));
                    }
                    continue;
                }
            };
            // What cannot be decoded is removed by whoever asks for it.
            let Ok((value, plain)) = self.decode(text, &found) else { continue };
            let lives =
                Lives::of_entry(&found.entry.meta, self.settings_for(&key), &*self.engine.clock);
            let stored = stored(value, found.tags.clone());
            let bytes = Some(plain.len());
            let insert = self.prepare(|| &key, &stored, lives, None, bytes);
            if self.fill_store(key, stored, insert, &ticket).is_some() {
                warmed += 1;
            }
        }
        (warmed, outcome)
    }
}
