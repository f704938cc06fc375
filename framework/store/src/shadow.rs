//! [`Shadows`], which find out what a store would answer under other policies and capacities, and
//! under which policy it should go on.
//!
//! A shadow is a miniature of the store: it sees only keys whose hash falls into a sample, has no
//! values, and a capacity smaller by as much. Readers and writers note down what they do with keys
//! of the sample, and somebody who finds enough notes shows them to the miniatures.
//!
//! | module | what |
//! |---|---|
//! | `notes` | what was asked for and is not learnt from yet |
//! | `miniature` | a cache of hashes |
//! | `panel` | the miniatures of a store, when they rest, what they have shown |
//! | `contest` | the decision between candidates |
//! | `sizes` | the miniatures of other capacities |
//! | `estimates` | what the statistics show |
//!
//! Nothing is noted, and no memory taken, until the store evicts for the first time. A miniature
//! has about a thousand entries at most, so all of them take less than one MiB. Miniatures of
//! small stores, whose sample is a large part of all keys, rest most of the time.

use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};

use larder_core::policy::{Capacity, PolicyFactory};

mod contest;
mod estimates;
mod miniature;
mod notes;
mod panel;
mod sizes;
#[cfg(test)]
mod tests;

pub use estimates::{Estimates, PolicyEstimate, SizeEstimate};
pub(crate) use notes::{Note, Use};
pub(crate) use panel::Full;

use notes::Notes;
use panel::Panel;

/// The lowest bit by which keys are sampled. All are in the half of a hash that shards keep, so
/// that entries can be shown that were there before.
const FIRST_BIT: u32 = 14;
/// By how many more bits inserts are sampled while the miniatures rest.
const REST_BITS: u32 = 4;
/// The mask that samples nothing.
const NOTHING: u64 = u64::MAX;

/// The store has room left.
const FILLING: u8 = 0;
/// The store is full, and the miniatures are to begin.
const FULL: u8 = 1;
/// The miniatures have begun.
const LEARNING: u8 = 2;

/// Which hashes are noted: those that have none of the bits of a mask.
pub(crate) struct Sampling {
    hits: AtomicU64,
    writes: AtomicU64,
}

impl Sampling {
    pub(crate) const fn nothing() -> Self {
        Self { hits: AtomicU64::new(NOTHING), writes: AtomicU64::new(NOTHING) }
    }

    /// Whether a hit of this key is noted.
    #[inline(always)]
    pub(crate) fn takes_hit(&self, hash: u64) -> bool {
        hash & self.hits.load(Ordering::Relaxed) == 0
    }

    /// Whether a write of this key is noted.
    #[inline(always)]
    pub(crate) fn takes_write(&self, hash: u64) -> bool {
        hash & self.writes.load(Ordering::Relaxed) == 0
    }

    fn set(&self, hits: u64, writes: u64) {
        self.hits.store(hits, Ordering::Relaxed);
        self.writes.store(writes, Ordering::Relaxed);
    }
}

/// The miniatures of a store, shared by its threads.
pub(crate) struct Shadows {
    candidates: Arc<[Arc<dyn PolicyFactory>]>,
    seed: u64,
    notes: Notes,
    /// How far the store is, one of the numbers below.
    stage: AtomicU8,
    /// `None` until the store evicts.
    panel: Mutex<Option<Panel>>,
    /// Sampled inserts until the miniatures go on; 0 when they are awake.
    rest: AtomicU64,
    /// 0 for the policy to begin with, else the number of a candidate plus 1.
    choice: AtomicUsize,
}

impl Shadows {
    /// Shadows of a store whose policy has candidates; `None` if it has none.
    pub(crate) fn new(policy: &dyn PolicyFactory, seed: u64) -> Option<Box<Self>> {
        let candidates: Arc<[_]> = policy.candidates().into();
        // A policy that is its own first candidate is in use from the start.
        let is_first = candidates.first().is_some_and(|first| first.kind() == policy.kind());
        let (rest, choice) = (AtomicU64::new(0), AtomicUsize::new(usize::from(is_first)));
        let panel = Mutex::new(None);
        let (notes, stage) = (Notes::new(), AtomicU8::new(FILLING));
        let shadows = Self { candidates, seed, notes, stage, panel, rest, choice };
        (!shadows.candidates.is_empty()).then(|| Box::new(shadows))
    }

    /// Which policy the store should use; changes when another number is returned.
    #[inline]
    pub(crate) fn choice(&self) -> usize {
        self.choice.load(Ordering::Relaxed)
    }

    /// The policy that a choice stands for; `None` for the one to begin with.
    pub(crate) fn policy(&self, choice: usize) -> Option<&dyn PolicyFactory> {
        self.candidates.get(choice.checked_sub(1)?).map(|one| &**one)
    }

    /// The store evicts, so it is full.
    #[inline]
    pub(crate) fn evicts(&self) {
        if self.stage.load(Ordering::Relaxed) == FILLING {
            self.stage.store(FULL, Ordering::Relaxed);
        }
    }

    /// Whether it is time to [begin](Self::begin).
    #[inline]
    pub(crate) fn should_begin(&self) -> bool {
        self.stage.load(Ordering::Relaxed) == FULL
    }

    /// Begins with a store that is full. `entries` shows the hash and weight of each entry, and
    /// whether it was hit, oldest first; no lock may be held.
    #[cold]
    pub(crate) fn begin(
        &self,
        sampling: &Sampling,
        full: Full,
        entries: impl FnOnce(&mut dyn FnMut(u32, u32, bool)),
    ) {
        let mut panel = self.panel.lock().unwrap_or_else(PoisonError::into_inner);
        if panel.is_none() {
            let candidates = Arc::clone(&self.candidates);
            let chosen = self.choice().checked_sub(1);
            let begun = panel.insert(Panel::new(candidates, chosen, full, self.seed));
            let chosen = begun.choice();
            self.stage.store(LEARNING, Ordering::Relaxed);
            let mask = mask(begun.bits());
            entries(&mut |hash, weight, was_hit| {
                if u64::from(hash) & mask == 0 {
                    begun.show(u64::from(hash), weight, was_hit);
                }
            });
            self.choice.store(chosen + 1, Ordering::Relaxed);
            sampling.set(mask, mask);
        }
    }

    /// Forgets everything but the choice, as the capacity is another one now.
    pub(crate) fn forget(&self, sampling: &Sampling) {
        sampling.set(NOTHING, NOTHING);
        *self.panel.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.rest.store(0, Ordering::Relaxed);
        self.stage.store(FILLING, Ordering::Relaxed);
    }

    /// Notes a use of a sampled key. `hits` tells all hits of the store so far.
    #[cold]
    pub(crate) fn note(&self, sampling: &Sampling, note: Note, hits: impl FnOnce() -> u64) {
        if self.rest.load(Ordering::Relaxed) > 0 {
            self.rest(sampling);
        } else if self.notes.push(note) {
            self.learn(sampling, hits);
        }
    }

    /// An insert while the miniatures rest.
    fn rest(&self, sampling: &Sampling) {
        let shorter = |left: u64| left.checked_sub(1);
        let was = self.rest.fetch_update(Ordering::Relaxed, Ordering::Relaxed, shorter);
        if was == Ok(1)
            && let Some(panel) = &*self.panel.lock().unwrap_or_else(PoisonError::into_inner)
        {
            let mask = mask(panel.bits());
            sampling.set(mask, mask);
        }
    }

    /// Shows the notes to the miniatures, unless somebody else does.
    fn learn(&self, sampling: &Sampling, hits: impl FnOnce() -> u64) {
        let mut panel = match self.panel.try_lock() {
            Ok(panel) => panel,
            Err(TryLockError::Poisoned(poison)) => poison.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        let Some(panel) = &mut *panel else { return };
        let hits = hits();
        let lost = self.notes.drain(|note| panel.note(note, hits));
        panel.lose(lost);
        self.choice.store(panel.choice() + 1, Ordering::Relaxed);
        if let Some(inserts) = panel.rest() {
            self.rest.store((inserts >> REST_BITS).max(1), Ordering::Relaxed);
            sampling.set(NOTHING, mask(panel.bits() + REST_BITS));
        }
    }

    /// What the miniatures have shown; `None` until the store evicts.
    pub(crate) fn estimates(&self) -> Option<Estimates> {
        let panel = self.panel.lock().unwrap_or_else(PoisonError::into_inner);
        panel.as_ref().map(Panel::estimates)
    }
}

const fn mask(bits: u32) -> u64 {
    ((1 << bits) - 1) << FIRST_BIT
}

/// A capacity times `factor`, at least 1 where it is limited.
fn scaled(capacity: Capacity, factor: f64) -> Capacity {
    let scale =
        |limit: Option<u64>| limit.map(|limit| (limit as f64 * factor).round().max(1.0) as u64);
    Capacity { entries: scale(capacity.entries), weight: scale(capacity.weight) }
}
