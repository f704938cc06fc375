//! Tags and the markers that the last tier keeps of their versions.

use std::sync::Arc;

use larder_core::entry::TagStamp;
use larder_core::serializer::formats;
use larder_core::{Bytes, Entry, EntryMeta, Result, StampClock};

use super::Engine;
use crate::stats::MissCause;
use crate::tags::{TagCell, Tags};

/// Versions are microseconds since 1970, below this until the year 2255. A marker beyond it is
/// damaged, and would leave no room to move on.
const MAX_VERSION: u64 = 1 << 53;

impl Engine {
    /// The tags of an entry with their versions of now, read or made where they are not known.
    /// While the last tier cannot be asked they are good for this process alone.
    ///
    /// Capture them before the value is loaded.
    pub(crate) async fn capture_tags(&self, names: &[String]) -> Option<Arc<Tags>> {
        let mut cells = Vec::with_capacity(names.len());
        for name in names {
            let cell = self.tags.cell(name);
            if !cell.is_marked() {
                self.learn(&cell).await;
            }
            cells.push(cell);
        }
        Tags::capture(cells)
    }

    /// The tags that a loader chose, and whether one of them was invalidated since its load began.
    /// A version is the time at which it was made, or later.
    pub(crate) async fn capture_tags_since(
        &self,
        names: &[String],
        since: u64,
    ) -> (Option<Arc<Tags>>, bool) {
        if names.is_empty() {
            return (None, false);
        }
        let mut is_outdated = false;
        let mut cells = Vec::with_capacity(names.len());
        for name in names {
            let cell = self.tags.cell(name);
            is_outdated |= cell.version() > since;
            // One that nobody knew until now was not invalidated: its version is made here.
            if !self.tiers.is_empty()
                && let Ok(Some(marker)) = self.read_marker(&cell).await
            {
                is_outdated |= marker > since;
                cell.advance(marker);
            }
            cells.push(cell);
        }
        let tags = match self.tiers.is_empty() {
            true => Tags::capture(cells),
            false => self.capture_tags(names).await,
        };
        (tags, is_outdated)
    }

    /// The same for a cache without byte tiers: nobody else knows versions of its tags.
    pub(crate) fn local_tags(&self, names: &[String]) -> Option<Arc<Tags>> {
        if names.is_empty() {
            return None;
        }
        Tags::capture(names.iter().map(|name| self.tags.cell(name)).collect())
    }

    /// Takes over the version of the last tier, or gives it one.
    async fn learn(&self, cell: &TagCell) {
        let _marking = self.tags.marking.lock().await;
        if cell.is_marked() {
            return;
        }
        match self.read_marker(cell).await {
            Ok(Some(version)) if version >= cell.version() => {
                cell.advance(version);
                cell.set_marked(true);
            }
            Ok(_) => {
                cell.bump(self.stamp().time.as_micros());
                // The failure was reported; the next one who needs the tag tries again.
                self.write_marker(cell).await.ok();
            }
            Err(_) if cell.version() == 0 => cell.bump(self.stamp().time.as_micros()),
            Err(_) => {}
        }
    }

    /// Gives a tag a new version, here at once and then in the last tier.
    pub(crate) async fn move_tag(&self, cell: &TagCell) -> Result<()> {
        cell.bump(self.stamp().time.as_micros());
        if self.tiers.is_empty() {
            cell.set_marked(true);
            return Ok(());
        }
        let _marking = self.tags.marking.lock().await;
        cell.set_marked(false);
        if let Some(marker) = self.read_marker(cell).await? {
            // Past what another process may have written.
            cell.advance(marker + 1);
        }
        self.write_marker(cell).await
    }

    /// Writes the version of now. The caller holds `marking`.
    async fn write_marker(&self, cell: &TagCell) -> Result<()> {
        let version = cell.version();
        if let Some(tier) = self.tiers.last() {
            let meta =
                EntryMeta { stamp: self.stamp(), format: formats::RAW, ..EntryMeta::default() };
            let entry = Entry { value: Bytes::copy_from_slice(&version.to_be_bytes()), meta };
            tier.bounded("set", tier.backend.set(&cell.marker_key(), entry)).await?;
        }
        // A version that moved meanwhile has its own marker coming.
        cell.set_marked(cell.version() == version);
        Ok(())
    }

    /// The version that the last tier keeps for a tag.
    async fn read_marker(&self, cell: &TagCell) -> Result<Option<u64>> {
        let Some(tier) = self.tiers.last() else {
            return Ok(None);
        };
        let entry = tier.bounded("get", tier.backend.get(&cell.marker_key())).await?;
        let version =
            entry.and_then(|entry| Some(u64::from_be_bytes(entry.value.as_ref().try_into().ok()?)));
        Ok(version.filter(|version| *version < MAX_VERSION))
    }

    /// The version under which a tag of an entry of a snapshot is valid in this cache; `None` when
    /// the tag was invalidated since the snapshot was taken, at this time in microseconds.
    ///
    /// Versions are times, so one that is older than the snapshot was not made by an invalidation
    /// that the snapshot does not know of. A tag that nobody knows here keeps its version, unless
    /// that is of a time that has not come: nothing could invalidate it before.
    pub(crate) async fn adopt_tag(&self, stamp: TagStamp, taken_at: u64) -> Result<Option<u64>> {
        let latest = self.clock.wall().after(StampClock::MAX_DRIFT).as_micros().min(taken_at);
        if stamp.version > latest {
            return Ok(None);
        }
        let cell = self.tags.cell_of(stamp.tag);
        if self.tiers.is_empty() {
            if cell.version() == 0 {
                cell.advance(stamp.version);
            }
        } else {
            let _marking = self.tags.marking.lock().await;
            match self.read_marker(&cell).await? {
                Some(version) => cell.advance(version),
                None => {
                    cell.advance(stamp.version);
                    self.write_marker(&cell).await?;
                }
            }
        }
        let version = cell.version();
        Ok((version == stamp.version || version <= latest).then_some(version))
    }

    /// The tags of an entry, if all of them still have the versions it was stored with.
    pub(super) async fn restore_tags(&self, entry: &Entry) -> Result<Option<Arc<Tags>>, MissCause> {
        let mut tags = Vec::with_capacity(entry.meta.tags.len());
        for stamp in &entry.meta.tags {
            let cell = self.tags.cell_of(stamp.tag);
            // Another process may have moved the version, so the marker is read each time.
            match self.read_marker(&cell).await {
                Ok(Some(version)) => cell.advance(version),
                Ok(None) => {
                    // The tier lost it; without this nobody would make it again.
                    cell.set_marked(false);
                    return Err(MissCause::Tag);
                }
                Err(_) => return Err(MissCause::TierDown),
            }
            if cell.version() != stamp.version {
                return Err(MissCause::Tag);
            }
            tags.push((cell, stamp.version));
        }
        Ok(Tags::restore(tags))
    }
}
