//! Entries of a snapshot on their way into a store that is all there is of a cache.

use std::io::Read;

use larder_core::{CacheError, Entry, ErrorKind, Result, Serializer};

use super::Local;
use crate::block::block_on;
use crate::core::{CacheValue, Core, Key};
use crate::format::Place;
use crate::settings::Lives;
use crate::snapshot::decoder::{Decoder, Record};
use crate::snapshot::format::{Header, Idle};
use crate::snapshot::{Fate, ImportMode, Imported, lives};
use crate::stored::stored;
use crate::tags::Tags;

/// Where a snapshot comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The application chose it: it may be one of another cache, whose name it says.
    Chosen,
    /// The file of `persist`, which nobody chose: where entries are encrypted only what this cache
    /// encrypted is of use.
    OwnFile,
}

impl<K: Key, V: CacheValue> Core<K, V> {
    /// Stores the entries of a snapshot, and counts them. On an error those before it are stored.
    pub(crate) fn import_locally<R: Read>(
        &self,
        local: &Local<'_, K, V>,
        decoder: &mut Decoder<R>,
        (mode, origin): (ImportMode, Origin),
        imported: &mut Imported,
    ) -> Result<()> {
        self.codec_for_snapshots()?;
        can_read::<K>().map_err(|error| error.with("cache", &self.engine.name))?;
        while let Some(record) = decoder.next()? {
            self.engine.check_open()?;
            imported.count(self.take_in(local, record, decoder.header(), (mode, origin)));
        }
        Ok(())
    }

    fn take_in(
        &self,
        local: &Local<'_, K, V>,
        record: Record,
        header: &Header,
        (mode, origin): (ImportMode, Origin),
    ) -> Fate {
        let Record { key: text, idle, entry } = record;
        if !lives(&entry, self.engine.clock.wall()) {
            return Fate::Expired;
        }
        let Some(key) = read_key::<K>(&text) else {
            return Fate::Refused;
        };
        let mut tags = Vec::with_capacity(entry.meta.tags.len());
        for stamp in &entry.meta.tags {
            // There is no tier to ask, so this waits for nobody.
            match block_on(self.engine.adopt_tag(*stamp, header.taken_at.as_micros())) {
                Ok(Some(version)) => tags.push((self.engine.tags.cell_of(stamp.tag), version)),
                _ => return Fate::Invalidated,
            }
        }
        let Ok((value, bytes)) = self.value_of(&entry, &text, header, origin) else {
            return Fate::Refused;
        };
        let stored = stored(value, Tags::restore(tags));
        let lives = self.lives_of(&text, &entry, idle);
        let insert = self.prepare(|| &key, &stored, lives, None, Some(bytes));
        let unused = idle.map(|idle| self.engine.clock.wall().since(idle.used_at));
        let hash = local.store.table.hash_of(&key);
        let change = || {
            if mode == ImportMode::KeepNewer && local.store.table.contains(&key) {
                return Fate::Older;
            }
            if self.insert_locally(local, hash, key.clone(), stored, insert).is_err() {
                return Fate::Refused;
            }
            if let Some(unused) = unused {
                local.store.table.set_unused(&key, unused);
            }
            Fate::Stored
        };
        local.fence.change(hash, change)
    }

    /// The value of an entry, or that there is none, and how long it is in bytes.
    fn value_of(
        &self,
        entry: &Entry,
        key: &str,
        header: &Header,
        origin: Origin,
    ) -> Result<(Option<V>, usize)> {
        if entry.meta.negative {
            return Ok((None, 0));
        }
        let (linked, limit) = (&self.engine.linked, self.engine.value_limit(key));
        let plain = match origin {
            Origin::Chosen => {
                self.format.undo(linked, entry, Place { cache: &header.cache, key }, limit)
            }
            Origin::OwnFile => {
                self.format.unpack(linked, entry, Place { cache: self.engine.home(), key }, limit)
            }
        }?;
        self.engine.check_size(key, plain.len())?;
        let own: &dyn Serializer = &*self.format.serializer;
        let is_own = own.format() == entry.meta.format;
        let serializer = if is_own { own } else { self.engine.linked_reader(entry.meta.format)? };
        let value = self.codec_for_snapshots()?.decode(&plain, serializer)?;
        Ok((Some(value), plain.len()))
    }

    /// The life that an entry has left.
    fn lives_of(&self, key: &str, entry: &Entry, idle: Option<Idle>) -> Lives {
        let clock = &*self.engine.clock;
        let meta = &entry.meta;
        match idle {
            Some(Idle { ttl, .. }) => Lives::until(meta.soft_deadline, ttl, clock),
            // A tier that keeps bytes moved the end with each read.
            None if meta.negative => Lives::until(meta.hard_deadline, None, clock),
            None => {
                let idle = self.engine.settings_for(key).idle_ttl.duration();
                Lives::until(meta.hard_deadline, idle, clock)
            }
        }
    }
}

/// The key that has this text, if there is one that may be used.
pub(crate) fn read_key<K: Key>(text: &str) -> Option<K> {
    let key = K::from_text(text)?.ok()?;
    (key.check().is_ok() && key.text() == text).then_some(key)
}

/// Refuses a type of keys that cannot be read from text.
pub(crate) fn can_read<K: Key>() -> Result<()> {
    if K::from_text("").is_some() {
        return Ok(());
    }
    Err(CacheError::new(ErrorKind::Unsupported, "the keys cannot be read from text")
        .with("key_type", std::any::type_name::<K>())
        .hint("implement `CacheKey::from_text` for the type of the keys"))
}
