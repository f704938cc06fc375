//! Carrying entries elsewhere: [`Cache::export`] and [`Cache::import`].

use std::io::{Read, Write};
use std::sync::Arc;

use larder_core::Result;

use super::Cache;
use crate::block::offload;
use crate::core::{AnyCache as _, CacheValue, Key, Origin};
use crate::engine::Finally;
use crate::snapshot::decoder::Decoder;
use crate::snapshot::{Exported, ImportMode, Imported};

impl<K: Key, V: CacheValue> Cache<K, V> {
    /// Writes every entry as a snapshot; gives the writer back. [`SnapshotFile`] makes a file of
    /// it that is whole or not there.
    ///
    /// Entries keep their tags, their stamps and the instants at which they end. Of a cache with
    /// tiers that keep bytes the last one is listed, and nothing is decoded: what is encrypted
    /// stays encrypted. What only memory holds goes through the serializer of the cache.
    ///
    /// Each entry is as it was at some moment of the export; readers and writers are not held up.
    /// Cost: reads all entries, holds a few of them in memory; works beside the threads of the
    /// runtime.
    ///
    /// ```
    /// # async fn example() -> larder::Result<()> {
    /// # let text = "[caches.users]\nbackend = \"memory\"\n[caches.copy]\nbackend = \"memory\"";
    /// # let caches = larder::CacheManager::from_str(larder::Format::Toml, text).await?;
    /// let users = caches.cache::<u64, String>("users")?;
    /// users.set(&42, "Ada".to_owned()).await?;
    /// let (exported, bytes) = users.export(Vec::new()).await?;
    /// assert_eq!(exported.entries, 1);
    ///
    /// let copy = caches.cache::<u64, String>("copy")?;
    /// copy.import(std::io::Cursor::new(bytes), larder::ImportMode::KeepNewer).await?;
    /// assert_eq!(copy.get(&42).await?, Some("Ada".to_owned()));
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// [`Unsupported`](crate::ErrorKind::Unsupported) when the last tier cannot list its keys, or
    /// the type of the value has no serde; [`Closed`](crate::ErrorKind::Closed);
    /// [`Connection`](crate::ErrorKind::Connection) when the writer fails, or a tier does.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves a part of the snapshot written, which is refused when it is read.
    ///
    /// [`SnapshotFile`]: crate::SnapshotFile
    pub async fn export<W>(&self, writer: W) -> Result<(Exported, W)>
    where
        W: Write + Send + 'static,
    {
        self.export_matching("*", writer).await
    }

    /// Like [`export`](Self::export), for the keys whose text matches a glob such as `user:*`.
    ///
    /// # Errors
    ///
    /// As [`export`](Self::export).
    ///
    /// # Cancellation
    ///
    /// As [`export`](Self::export).
    pub async fn export_matching<W>(&self, pattern: &str, mut writer: W) -> Result<(Exported, W)>
    where
        W: Write + Send + 'static,
    {
        self.core.engine.check_open()?;
        if self.core.local().is_none() {
            return self.core.engine.export(pattern, writer).await;
        }
        let (core, pattern) = (Arc::clone(&self.core), pattern.to_owned());
        offload(move || {
            let exported = core.write_store(&pattern, &mut writer)?;
            Ok((exported, writer))
        })
        .await
    }

    /// Stores the entries of a snapshot, each with the life that it has left.
    ///
    /// The snapshot may be one of another cache. Entries go into every tier that keeps bytes as
    /// they are, and the store in front is emptied; in a cache of memory alone they are decoded
    /// by the serializer that wrote them, and keys are read by
    /// [`CacheKey::from_text`](crate::CacheKey::from_text). What cannot be used is counted.
    ///
    /// Cost: writes all entries, holds a few of them in memory; works beside the threads of the
    /// runtime.
    ///
    /// # Errors
    ///
    /// [`Serialization`](crate::ErrorKind::Serialization) when it is no snapshot, or is damaged:
    /// the entries before the damage are stored then, and the context says how many (`imported`)
    /// and where the damage is (`record`). [`Unsupported`](crate::ErrorKind::Unsupported) when
    /// keys cannot be read from text or values from bytes; [`Closed`](crate::ErrorKind::Closed);
    /// [`Connection`](crate::ErrorKind::Connection) when the reader fails, or a tier does.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves some of the entries stored; the store in front is emptied.
    pub async fn import<R>(&self, reader: R, mode: ImportMode) -> Result<Imported>
    where
        R: Read + Send + 'static,
    {
        self.core.engine.check_open()?;
        let core = Arc::clone(&self.core);
        if core.local().is_none() {
            // It may have other values of the keys, and the keys need not be readable.
            let _finally = Finally(|| core.empty_store());
            return core.engine.import(reader, mode).await;
        }
        offload(move || {
            let mut decoder = Decoder::open(reader)?;
            let mut imported = Imported::of(decoder.header());
            let outcome = match core.local() {
                Some(local) => {
                    let how = (mode, Origin::Chosen);
                    core.import_locally(&local, &mut decoder, how, &mut imported)
                }
                None => Ok(()),
            };
            match outcome {
                Ok(()) => Ok(imported),
                Err(error) => Err(imported.stopped_by(error)),
            }
        })
        .await
    }
}
