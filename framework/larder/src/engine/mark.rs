//! Tags and the markers that the last tier keeps of their versions.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use futures_util::future::join_all;
use larder_core::entry::TagStamp;
use larder_core::serializer::formats;
use larder_core::{
    Bytes, CacheError, Capabilities, Entry, EntryMeta, ErrorKind, Result, Stamp, StampClock,
    Timestamp,
};

use super::{Engine, Look};
use crate::recovery::Work;
use crate::replay::Untold;
use crate::stats::MissCause;
use crate::tags::{TagCell, Tags};
use crate::tier::{ByteTier, Lane, is_outage};

/// Versions are microseconds since 1970, below this until the year 2255. A marker beyond it is
/// damaged, and would leave no room to move on.
const MAX_VERSION: u64 = 1 << 53;

/// How often a marker is written when others write it at the same time.
const MARKER_ATTEMPTS: usize = 4;

impl Engine {
    /// The tags of an entry with their versions of now, read or made where they are not known.
    /// While the last tier cannot be asked they are good for this process alone.
    ///
    /// Capture them before the value is loaded.
    pub(crate) async fn capture_tags(&self, names: &[String]) -> Option<Arc<Tags>> {
        let cells: Vec<_> = names.iter().map(|name| self.tags.cell(name)).collect();
        let unknown = cells.iter().filter(|cell| !cell.is_marked());
        join_all(unknown.map(|cell| self.learn(cell))).await;
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
        let cells: Vec<_> = names.iter().map(|name| self.tags.cell(name)).collect();
        let Some(tier) = self.tiers.last() else {
            let is_outdated = cells.iter().any(|cell| self.tags.may_have_moved(cell, since));
            return (Tags::capture(cells), is_outdated);
        };
        let mut is_outdated = cells.iter().any(|cell| cell.version() > since);
        // One that nobody knew until now was not invalidated: its version is made here.
        let markers = tier.read_markers(Lane::Usual, &cells).await;
        for (cell, marker) in cells.iter().zip(markers) {
            if let Ok(Some(marker)) = marker {
                is_outdated |= marker > since;
                cell.note_marked(marker);
            }
        }
        (self.capture_tags(names).await, is_outdated)
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
        let marking = cell.mark().await;
        // Of those who wait for a tier that does not answer only the first waits for it.
        if cell.is_marked() || marking.is_in_vain {
            return;
        }
        let learned = match self.read_marker(cell).await {
            Ok(Some(version)) if version >= cell.version() => {
                cell.note_marked(version);
                Ok(())
            }
            Ok(_) => {
                cell.bump(self.stamp().time.as_micros());
                self.write_marker(cell).await
            }
            Err(error) => Err(error),
        };
        if learned.is_err() {
            // It was reported; the next one who needs the tag tries again.
            if cell.version() == 0 {
                cell.bump(self.stamp().time.as_micros());
            }
            cell.note_failure();
        }
    }

    /// Gives a tag a new version, here at once and then in the last tier: later, when that cannot
    /// be reached, or when the caller goes away before it was.
    pub(crate) async fn move_tag(&self, cell: &Arc<TagCell>) -> Result<()> {
        let stamp = self.stamp();
        let version = cell.bump(stamp.time.as_micros());
        let Some(tier) = self.tiers.last() else {
            cell.note_marked(version);
            return Ok(());
        };
        // As long as it waits in the log the cell stays, and with it the version of this process.
        let untold = Untold::new(tier, Work::Tag(Arc::clone(cell)), stamp);
        let marking = cell.mark().await;
        if marking.is_in_vain {
            return Ok(());
        }
        // A later invalidation may have done it for this one as well.
        if !cell.is_marked_as(version)
            && let Err(error) = tier.move_marker(Lane::Usual, cell).await
        {
            cell.note_failure();
            return if is_outage(&error) { Ok(()) } else { Err(error) };
        }
        untold.told();
        Ok(())
    }

    /// The version that the last tier keeps for a tag.
    async fn read_marker(&self, cell: &TagCell) -> Result<Option<u64>> {
        match self.tiers.last() {
            Some(tier) => tier.read_marker(cell).await,
            None => Ok(None),
        }
    }

    /// Writes the version of today into the last tier. The caller has the right to.
    async fn write_marker(&self, cell: &TagCell) -> Result<()> {
        match self.tiers.last() {
            Some(tier) => tier.write_marker(Lane::Usual, cell).await,
            None => Ok(()),
        }
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
            let _marking = cell.mark().await;
            match self.read_marker(&cell).await? {
                Some(version) => cell.note_marked(version),
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
    pub(super) async fn restore_tags(
        &self,
        entry: &Entry,
        look: Look,
    ) -> Result<Option<Arc<Tags>>, MissCause> {
        let (stamps, Some(tier)) = (&entry.meta.tags, self.tiers.last()) else { return Ok(None) };
        if stamps.is_empty() {
            return Ok(None);
        }
        let cells: Vec<_> = stamps.iter().map(|stamp| self.tags.cell_of(stamp.tag)).collect();
        // Another process may have moved the versions, so the markers are read each time.
        let markers = tier.read_markers(look.lane(), &cells).await;
        compare(stamps, cells.into_iter().zip(markers))
    }

    /// What the last tier says of all tags of some entries, asked once.
    pub(super) async fn markers_of(&self, entries: &[Result<Option<Entry>>]) -> Markers {
        let stamps = entries.iter().flatten().flatten().flat_map(|entry| &entry.meta.tags);
        let tags: BTreeSet<u64> = stamps.map(|stamp| stamp.tag).collect();
        let (false, Some(tier)) = (tags.is_empty(), self.tiers.last()) else {
            return Markers(HashMap::new());
        };
        let cells: Vec<_> = tags.iter().map(|tag| self.tags.cell_of(*tag)).collect();
        let markers = tier.read_markers(Lane::Usual, &cells).await;
        Markers(tags.into_iter().zip(cells.into_iter().zip(markers)).collect())
    }
}

/// Tags of several entries, by their hash, with the versions that the last tier keeps of them.
#[derive(Debug)]
pub(super) struct Markers(HashMap<u64, Marked>);

/// A tag, and the version that the last tier keeps of it, if it could be asked.
type Marked = (Arc<TagCell>, Result<Option<u64>, MissCause>);

impl Markers {
    /// The tags of one of the entries, if all of them still have the versions it was stored with.
    pub(super) fn restore(&self, entry: &Entry) -> Result<Option<Arc<Tags>>, MissCause> {
        let stamps = &entry.meta.tags;
        if stamps.is_empty() {
            return Ok(None);
        }
        let marked = stamps.iter().filter_map(|stamp| self.0.get(&stamp.tag).cloned());
        compare(stamps, marked)
    }
}

/// The tags of an entry with these versions, if the last tier has the same.
fn compare(
    stamps: &[TagStamp],
    marked: impl Iterator<Item = Marked>,
) -> Result<Option<Arc<Tags>>, MissCause> {
    let mut tags = Vec::with_capacity(stamps.len());
    for (stamp, (cell, marker)) in stamps.iter().zip(marked) {
        let Some(version) = marker? else {
            // The tier lost it; without this nobody would make it again.
            cell.note_unmarked();
            return Err(MissCause::Tag);
        };
        cell.note_marked(version);
        if cell.version() != stamp.version {
            return Err(MissCause::Tag);
        }
        tags.push((cell, stamp.version));
    }
    Ok(Tags::restore(tags))
}

impl ByteTier {
    async fn read_marker(&self, cell: &TagCell) -> Result<Option<u64>> {
        self.read_marker_on(Lane::Usual, cell).await
    }

    async fn read_marker_on(&self, lane: Lane, cell: &TagCell) -> Result<Option<u64>> {
        let key = cell.marker_key();
        let entry = self.call(lane, "get", self.backend.get(&key)).await?;
        Ok(self.version_in(&key, entry))
    }

    /// The versions of some tags, in one call.
    async fn read_markers(
        &self,
        lane: Lane,
        cells: &[Arc<TagCell>],
    ) -> Vec<Result<Option<u64>, MissCause>> {
        if let [cell] = cells {
            let marker = self.read_marker_on(lane, cell).await;
            return vec![marker.map_err(|_| MissCause::TierDown)];
        }
        let keys: Vec<String> = cells.iter().map(|cell| cell.marker_key()).collect();
        let asked: Vec<&str> = keys.iter().map(String::as_str).collect();
        let entries = self.get_each(lane, &asked).await;
        let version = |(key, entry): (&String, Result<Option<Entry>>)| {
            let entry = entry.map_err(|_| MissCause::TierDown)?;
            Ok(self.version_in(key, entry))
        };
        keys.iter().zip(entries).map(version).collect()
    }

    /// The version that a marker says, if it can be trusted.
    fn version_in(&self, key: &str, entry: Option<Entry>) -> Option<u64> {
        version_of(&entry.filter(|entry| !self.recovery.hides(key, entry.meta.stamp))?)
    }

    /// Gives a tag a version past any that another process may have given it. The caller has the
    /// right to.
    async fn move_marker(&self, lane: Lane, cell: &TagCell) -> Result<()> {
        if let Some(marker) = self.read_marker_on(lane, cell).await? {
            cell.advance(marker + 1);
        }
        self.write_marker(lane, cell).await
    }

    /// Delivers an invalidation of a tag. What another process made of the tag meanwhile may be
    /// older, whatever its version says.
    pub(crate) async fn deliver_tag(&self, cell: &TagCell) -> Result<()> {
        let _marking = cell.mark().await;
        if cell.is_marked() { Ok(()) } else { self.move_marker(Lane::Direct, cell).await }
    }

    /// Writes the version of a tag, unless a later one is there: that one is taken over then, as it
    /// makes the same entries unusable.
    async fn write_marker(&self, lane: Lane, cell: &TagCell) -> Result<()> {
        let key = cell.marker_key();
        for _ in 0..MARKER_ATTEMPTS {
            let version = cell.version();
            let stamp = Stamp { time: Timestamp::from_micros(version), origin: 0 };
            let meta = EntryMeta { stamp, format: formats::RAW, ..EntryMeta::default() };
            let entry = Entry { value: Bytes::copy_from_slice(&version.to_be_bytes()), meta };
            if self.can(Capabilities::PUT_IF_NEWER) {
                let put = self.backend.put_if_newer(&key, entry);
                if self.call(lane, "put_if_newer", put).await? {
                    self.note_marked(cell, version);
                    return Ok(());
                }
            } else {
                self.call(lane, "set", self.backend.set(&key, entry)).await?;
            }
            // Another process may have written at the same time, and the later version must stay.
            let there = self.call(lane, "get", self.backend.get(&key)).await?;
            let there = there.as_ref().and_then(version_of);
            if let Some(there) = there.filter(|there| *there >= version) {
                self.note_marked(cell, there);
                return Ok(());
            }
            if there.is_none() {
                // Something that is no marker is in the way.
                self.call(lane, "delete", self.backend.delete(&key)).await?;
            }
        }
        Err(CacheError::new(ErrorKind::Plugin, "the tier does not keep the version of a tag"))
    }

    fn note_marked(&self, cell: &TagCell, version: u64) {
        cell.note_marked(version);
        // A version that moved meanwhile has its own marker coming.
        if cell.version() == version {
            self.recovery.settle_tag(cell);
        }
    }
}

fn version_of(entry: &Entry) -> Option<u64> {
    let version = u64::from_be_bytes(entry.value.as_ref().try_into().ok()?);
    (version < MAX_VERSION).then_some(version)
}
