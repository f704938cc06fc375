//! Tags: every entry that carries a tag becomes unusable at once, in constant time.
//!
//! A tag has a version. An entry remembers the versions its tags had *before* its value was
//! loaded, and is valid while they are still the versions of today. Invalidating a tag moves its
//! version, so entries need not be found. In a cache with tiers that outlive the process the
//! version is kept there as an entry of its own (a *marker*), and a marker that is missing makes
//! every entry of the tag a miss: the scheme fails closed.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use larder_core::entry::TagStamp;
use xxhash_rust::xxh3::xxh3_64;

pub(crate) use larder_core::key::RESERVED;

/// Cells that no entry refers to are dropped when there are more than this.
const PRUNE_AT: usize = 4096;

/// The version of one tag; 0 while it is not known.
#[derive(Debug)]
pub(crate) struct TagCell {
    hash: u64,
    version: AtomicU64,
    /// The version of which the last tier is known to keep a marker; 0 for none.
    marked: AtomicU64,
    /// How often the last tier could not be asked or told.
    failures: AtomicU64,
    /// Held by whoever writes the marker, so that no older version is written over a newer one.
    marking: tokio::sync::Mutex<()>,
}

/// The right to write the marker of a tag.
#[derive(Debug)]
pub(crate) struct Marking<'a> {
    _alone: tokio::sync::MutexGuard<'a, ()>,
    /// Somebody else tried in vain while this one waited.
    pub(crate) is_in_vain: bool,
}

impl TagCell {
    fn new(hash: u64) -> Self {
        let [version, marked, failures] = [0, 0, 0].map(AtomicU64::new);
        Self { hash, version, marked, failures, marking: tokio::sync::Mutex::new(()) }
    }

    /// Waits for the right to write the marker.
    pub(crate) async fn mark(&self) -> Marking<'_> {
        let failures = || self.failures.load(Ordering::Acquire);
        let before = failures();
        let _alone = self.marking.lock().await;
        Marking { _alone, is_in_vain: failures() != before }
    }

    /// Tells those who wait for the right that there is no use in trying now.
    pub(crate) fn note_failure(&self) {
        self.failures.fetch_add(1, Ordering::AcqRel);
    }

    pub(crate) const fn hash(&self) -> u64 {
        self.hash
    }

    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Moves the version forward, never back.
    pub(crate) fn advance(&self, version: u64) {
        self.version.fetch_max(version, Ordering::AcqRel);
    }

    /// Moves the version to `version`, or one further if it is there already; where it is then.
    pub(crate) fn bump(&self, version: u64) -> u64 {
        let next = |now: u64| version.max(now + 1);
        let moved = |now: u64| Some(next(now));
        self.version.fetch_update(Ordering::AcqRel, Ordering::Acquire, moved).map_or(0, next)
    }

    /// Whether the last tier is known to keep a marker of a version, or of a later one.
    pub(crate) fn is_marked_as(&self, version: u64) -> bool {
        version != 0 && self.marked.load(Ordering::Acquire) >= version
    }

    /// The same for the version of today.
    pub(crate) fn is_marked(&self) -> bool {
        self.is_marked_as(self.version())
    }

    /// The last tier keeps a marker of this version, which is that of today if it is later.
    pub(crate) fn note_marked(&self, version: u64) {
        self.advance(version);
        self.marked.fetch_max(version, Ordering::AcqRel);
    }

    /// The last tier has no marker.
    pub(crate) fn note_unmarked(&self) {
        self.marked.store(0, Ordering::Release);
    }

    /// The key under which a tier keeps the version.
    pub(crate) fn marker_key(&self) -> String {
        format!("{RESERVED}tag:{:016x}", self.hash)
    }
}

/// The tags of an entry, each with the version it had when the entry was made.
#[derive(Clone, Debug)]
pub(crate) struct Tags(Box<[(Arc<TagCell>, u64)]>);

impl Tags {
    /// The tags as they are now; `None` for none.
    pub(crate) fn capture(cells: Vec<Arc<TagCell>>) -> Option<Arc<Self>> {
        if cells.is_empty() {
            return None;
        }
        let with_version = |cell: Arc<TagCell>| {
            let version = cell.version();
            (cell, version)
        };
        Some(Arc::new(Self(cells.into_iter().map(with_version).collect())))
    }

    /// The tags of an entry that was read from a tier.
    pub(crate) fn restore(tags: Vec<(Arc<TagCell>, u64)>) -> Option<Arc<Self>> {
        (!tags.is_empty()).then(|| Arc::new(Self(tags.into())))
    }

    /// The tags of both.
    pub(crate) fn join(some: Option<Arc<Self>>, more: Option<Arc<Self>>) -> Option<Arc<Self>> {
        match (some, more) {
            (Some(some), Some(more)) => {
                let all = some.0.iter().chain(&more.0);
                let mut all: Vec<_> =
                    all.map(|(cell, version)| (Arc::clone(cell), *version)).collect();
                // Of one that both have, the version that was captured first.
                all.sort_by_key(|(cell, version)| (cell.hash, *version));
                all.dedup_by_key(|(cell, _)| cell.hash);
                Some(Arc::new(Self(all.into())))
            }
            (some, more) => some.or(more),
        }
    }

    /// Whether no tag was invalidated since.
    pub(crate) fn hold(&self) -> bool {
        self.0.iter().all(|(cell, version)| cell.version() == *version)
    }

    /// The tags as the envelope keeps them.
    pub(crate) fn stamps(&self) -> Vec<TagStamp> {
        let stamp =
            |(cell, version): &(Arc<TagCell>, u64)| TagStamp { tag: cell.hash, version: *version };
        self.0.iter().map(stamp).collect()
    }
}

/// The tags of one cache.
#[derive(Debug, Default)]
pub(crate) struct TagTable {
    cells: Mutex<HashMap<u64, Arc<TagCell>>>,
    /// The greatest version of a cell that was dropped, as its tag may be asked for again.
    dropped: AtomicU64,
}

impl TagTable {
    /// The cell of a tag by name.
    pub(crate) fn cell(&self, name: &str) -> Arc<TagCell> {
        self.cell_of(xxh3_64(name.as_bytes()))
    }

    /// The cell of a tag by the hash of its name.
    pub(crate) fn cell_of(&self, hash: u64) -> Arc<TagCell> {
        let mut cells = self.lock();
        if cells.len() >= PRUNE_AT && !cells.contains_key(&hash) {
            self.drop_unused(&mut cells);
        }
        let cell = cells.entry(hash).or_insert_with(|| Arc::new(TagCell::new(hash)));
        Arc::clone(cell)
    }

    /// The markers are gone: they are made anew when they are needed. A cell that somebody holds
    /// stays, for an entry that is stored later may carry it.
    pub(crate) fn forget_markers(&self) {
        let mut cells = self.lock();
        self.drop_unused(&mut cells);
        cells.values().for_each(|cell| cell.note_unmarked());
    }

    /// Whether a tag may have been invalidated after `since`, which only this process knew of.
    pub(crate) fn may_have_moved(&self, cell: &TagCell, since: u64) -> bool {
        let version = cell.version();
        version > since || version == 0 && self.dropped.load(Ordering::Acquire) > since
    }

    fn drop_unused(&self, cells: &mut HashMap<u64, Arc<TagCell>>) {
        cells.retain(|_, cell| {
            let is_used = Arc::strong_count(cell) > 1;
            if !is_used {
                self.dropped.fetch_max(cell.version(), Ordering::AcqRel);
            }
            is_used
        });
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<TagCell>>> {
        self.cells.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_hold_until_one_is_advanced() {
        let table = TagTable::default();
        let (a, b) = (table.cell("a"), table.cell("b"));
        a.advance(10);
        b.advance(20);
        let tags = Tags::capture(vec![Arc::clone(&a), b]).unwrap();
        assert!(tags.hold());
        a.advance(5);
        assert!(tags.hold(), "a version never goes back");
        a.advance(11);
        assert!(!tags.hold());
    }

    #[test]
    fn a_tag_whose_cell_was_dropped_may_have_moved() {
        let table = TagTable::default();
        table.cell("moved").bump(50);
        assert!(table.may_have_moved(&table.cell("moved"), 40));
        assert!(!table.may_have_moved(&table.cell("other"), 40));
        table.forget_markers();
        for name in ["moved", "other"] {
            assert!(table.may_have_moved(&table.cell(name), 40), "nobody can tell");
            assert!(!table.may_have_moved(&table.cell(name), 50));
        }
    }

    #[test]
    fn cells_that_nobody_uses_are_dropped() {
        let table = TagTable::default();
        let kept = table.cell("kept");
        for index in 0..3 * PRUNE_AT {
            table.cell(&index.to_string());
        }
        assert!(table.lock().len() <= PRUNE_AT + 1);
        assert!(Arc::ptr_eq(&kept, &table.cell("kept")));
    }
}
