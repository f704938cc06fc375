//! What a cache counts itself, besides what its store counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use larder_core::{Clock, Moment};

use super::MissCause;
use super::resilience::Resilience;
use super::window::Window;
use crate::tier::count;

/// What the engine counts. Hits in the store are counted by the store itself.
#[derive(Debug)]
pub(crate) struct Counters {
    pub(crate) tier_hits: AtomicU64,
    pub(crate) negative_hits: AtomicU64,
    /// Hits of the store and the tiers that were no answer to the caller.
    pub(crate) unanswered: AtomicU64,
    pub(crate) sets: AtomicU64,
    pub(crate) deletes: AtomicU64,
    pub(crate) loads: AtomicU64,
    pub(crate) load_failures: AtomicU64,
    pub(crate) coalesced: AtomicU64,
    pub(crate) fenced: AtomicU64,
    pub(crate) rejections: AtomicU64,
    pub(crate) restored: AtomicU64,
    pub(crate) snapshot_failures: AtomicU64,
    pub(crate) resilience: Resilience,
    misses: [AtomicU64; MissCause::ALL.len()],
    pub(super) window: Window,
    since: AtomicU64,
    pub(super) clock: Arc<dyn Clock>,
}

impl Counters {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            tier_hits: zero(),
            negative_hits: zero(),
            unanswered: zero(),
            sets: zero(),
            deletes: zero(),
            loads: zero(),
            load_failures: zero(),
            coalesced: zero(),
            fenced: zero(),
            rejections: zero(),
            restored: zero(),
            snapshot_failures: zero(),
            resilience: Resilience::default(),
            misses: std::array::from_fn(|_| zero()),
            window: Window::new(clock.now()),
            since: AtomicU64::new(clock.now().as_nanos()),
            clock,
        }
    }

    pub(crate) fn count_miss(&self, cause: MissCause) {
        count(&self.misses[cause as usize]);
    }

    /// Takes back one miss that somebody else counted. Only the sum with theirs means anything.
    pub(crate) fn uncount_miss(&self, cause: MissCause) {
        self.misses[cause as usize].fetch_sub(1, Ordering::Relaxed);
    }

    /// Takes back one load that the fence counted.
    pub(crate) fn uncount_load(&self) {
        self.loads.fetch_sub(1, Ordering::Relaxed);
    }

    /// Takes back one `set` that the fence counted.
    pub(crate) fn uncount_set(&self) {
        self.sets.fetch_sub(1, Ordering::Relaxed);
    }

    /// Writes down how many hits and misses there were, if a new second has begun.
    pub(crate) fn observe(&self, totals: impl FnOnce() -> (u64, u64)) {
        if self.window.is_due() {
            self.window.observe(self.clock.now_coarse(), totals);
        }
    }

    /// What is counted here, by cause.
    pub(crate) fn misses(&self) -> [u64; MissCause::ALL.len()] {
        std::array::from_fn(|cause| self.misses[cause].load(Ordering::Relaxed))
    }

    /// The moment of the start, or of the last reset.
    pub(super) fn since(&self) -> Moment {
        Moment::from_nanos(self.since.load(Ordering::Relaxed))
    }

    pub(crate) fn reset(&self) {
        let plain = [
            &self.tier_hits,
            &self.negative_hits,
            &self.unanswered,
            &self.sets,
            &self.deletes,
            &self.loads,
            &self.load_failures,
            &self.coalesced,
            &self.fenced,
            &self.rejections,
            &self.restored,
            &self.snapshot_failures,
        ];
        for counter in plain.into_iter().chain(&self.misses).chain(self.resilience.all()) {
            counter.store(0, Ordering::Relaxed);
        }
        let now = self.clock.now();
        self.window.reset(now);
        self.since.store(now.as_nanos(), Ordering::Relaxed);
    }
}
