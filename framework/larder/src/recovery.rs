//! The recovery log of a tier: invalidations that could not be delivered to it.
//!
//! Until they are, what the tier has of them is not served, and they are tried again. The log is
//! bounded: when more wait than it holds, it keeps one record instead that says to clear the whole
//! tier. It is in memory only, so what waits is lost with the process.
//!
//! Pure state, like the breaker; [`replay`](crate::replay) does the deliveries.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use larder_core::{Moment, Stamp};

use self::landing::Landing;
use self::state::State;
use crate::tags::TagCell;

mod landing;
mod state;

pub(crate) use landing::LONGEST as LONGEST_LANDING;

/// How many keys and tags it remembers.
pub(crate) const LIMIT: usize = 65_536;

/// How many patterns it remembers, those that are being deleted among them: each is compared with
/// every key that is read, and all with every key of the log when that is full.
pub(crate) const MAX_PATTERNS: usize = 256;

/// How long after a failure a delivery is tried again: at first, and at most.
const PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(30)];

/// What has to be made unusable in a tier.
#[derive(Clone, Debug)]
pub(crate) enum Work {
    /// Everything.
    Clear,
    /// One key.
    Key(Arc<str>),
    /// Every key that matches.
    Pattern(Arc<str>),
    /// Every entry of a tag, whose version the tier does not know.
    Tag(Arc<TagCell>),
}

impl Work {
    /// One key.
    pub(crate) fn key(key: &str) -> Self {
        Self::Key(key.into())
    }
}

/// Something that waits for its delivery.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) work: Work,
    /// What was written up to this is concerned, and nothing newer.
    pub(crate) stamp: Stamp,
    /// When it is tried next.
    due: Moment,
    pause: Duration,
    since: Moment,
    /// Somebody is about to do it, so it does not wait yet.
    is_begun: bool,
}

impl Item {
    fn new(work: Work, stamp: Stamp, now: Moment) -> Self {
        let [pause, _] = PAUSES;
        Self { work, stamp, due: now.after(pause), pause, since: now, is_begun: false }
    }

    /// The same, to be left to others only when its caller takes too long, or gives it up.
    fn begun(self, now: Moment) -> Self {
        let [_, longest] = PAUSES;
        Self { due: now.after(longest), is_begun: true, ..self }
    }
}

/// What adding did, to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Added {
    /// Nothing waited before.
    First,
    More,
    /// One record stands for all from here on.
    Overflow,
}

/// What waits for one tier.
#[derive(Debug)]
pub(crate) struct Recovery {
    limit: usize,
    /// So that a read of a tier for which nothing waits takes no lock.
    waiting: AtomicU64,
    state: Mutex<State>,
    /// Writes that may reach the tier yet.
    landing: Landing,
}

impl Recovery {
    pub(crate) fn new(limit: usize) -> Self {
        let (waiting, state) = (AtomicU64::new(0), Mutex::default());
        Self { limit, waiting, state, landing: Landing::new(limit) }
    }

    /// How many deliveries wait.
    pub(crate) fn len(&self) -> u64 {
        self.waiting.load(Ordering::Acquire)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How long the oldest has waited.
    pub(crate) fn age(&self, now: Moment) -> Option<Duration> {
        let since = self.lock().items().map(|item| item.since).min()?;
        Some(now.since(since))
    }

    /// Adds something. What waits already of the same takes over the later stamp.
    pub(crate) fn add(&self, work: Work, stamp: Stamp, now: Moment) -> Added {
        self.add_item(Item::new(work, stamp, now), now)
    }

    /// Adds something that the caller is about to do itself: it is left to others only when that
    /// takes too long, or is given up.
    pub(crate) fn add_begun(&self, work: Work, stamp: Stamp, now: Moment) -> Added {
        self.add_item(Item::new(work, stamp, now).begun(now), now)
    }

    fn add_item(&self, item: Item, now: Moment) -> Added {
        let mut state = self.lock();
        let is_first = state.is_idle();
        state.add(item);
        let is_over = state.shrink(self.limit, now);
        self.note(&state);
        match (is_over, is_first) {
            (true, _) => Added::Overflow,
            (false, true) => Added::First,
            (false, false) => Added::More,
        }
    }

    /// Whether an entry of this version must not be served.
    pub(crate) fn hides(&self, key: &str, stamp: Stamp) -> bool {
        !self.is_empty() && self.lock().hides(key, stamp)
    }

    /// Up to which version the entry of a key must not be served by who is about to read it. Holds
    /// even if what waits is delivered in the middle of that: what was read is no newer for it.
    pub(crate) fn hidden_up_to(&self, key: &str) -> Option<Stamp> {
        if self.is_empty() { None } else { self.lock().hidden_up_to(key) }
    }

    /// Everything, oldest first: what is due, or all, if it may be that only the tier was away.
    pub(crate) fn due(&self, now: Moment, all: bool) -> Vec<Item> {
        let state = self.lock();
        let due = state.items().filter(|item| all || item.due <= now);
        let mut due: Vec<Item> = due.cloned().collect();
        due.sort_by_key(|item| item.stamp);
        due
    }

    /// When the next one is due.
    pub(crate) fn next_due(&self) -> Option<Moment> {
        self.lock().items().map(|item| item.due).min()
    }

    /// Something was delivered, up to this stamp. It is forgotten, unless it was asked for again
    /// since; what may reach the tier after it has to be removed for itself.
    pub(crate) fn settle(&self, work: &Work, stamp: Stamp, now: Moment) {
        if let Work::Clear = work {
            return self.settle_all(stamp, now);
        }
        let mut state = self.lock();
        state.remove_up_to(work, stamp);
        if let Work::Pattern(glob) = work {
            let late = self.landing.keys(now, |key| state::is_banned(glob, key));
            state.add_landing(late, stamp, now);
        }
        self.note(&state);
    }

    /// Whether something was left to others since it was begun.
    pub(crate) fn is_left(&self, work: &Work) -> bool {
        self.lock().find_mut(work).is_some_and(|item| !item.is_begun)
    }

    /// A key was written or deleted in the tier; what waits of it up to then is of no use any more.
    pub(crate) fn settle_key(&self, key: &str, stamp: Stamp) {
        if self.is_empty() {
            return;
        }
        let mut state = self.lock();
        state.remove_key_up_to(key, stamp);
        self.note(&state);
    }

    /// The tier knows the version of a tag.
    pub(crate) fn settle_tag(&self, cell: &TagCell) {
        if self.is_empty() {
            return;
        }
        let mut state = self.lock();
        state.remove_tag(cell);
        self.note(&state);
    }

    /// Everything that is in the tier and was written up to then is gone. What may reach it yet
    /// has to be removed for itself.
    pub(crate) fn settle_all(&self, stamp: Stamp, now: Moment) {
        let late = self.landing.keys(now, |_| true);
        let end_of_all = self.landing.end_of_all(now);
        if self.is_empty() && late.is_empty() && end_of_all.is_none() {
            return;
        }
        let mut state = self.lock();
        state.remove_all_up_to(stamp);
        state.add_landing(late, stamp, now);
        if let Some(end) = end_of_all {
            // Nobody knows which keys they are of.
            state.add(Item { due: end, ..Item::new(Work::Clear, stamp, now) });
        }
        self.note(&state);
    }

    /// A delivery failed: it is tried again later. `chance`, from 0 to 1, spreads the pauses.
    pub(crate) fn postpone(&self, item: &Item, now: Moment, chance: f64) {
        let mut state = self.lock();
        if let Some(kept) = state.find_mut(&item.work) {
            kept.pause = (kept.pause * 2).min(PAUSES[1]);
            kept.due = now.after(kept.pause.mul_f64(chance.clamp(0.0, 1.0).mul_add(0.5, 0.5)));
        }
    }

    /// A write of a key, or a marker against one, may be in the tier, or reach it yet.
    pub(crate) fn note_landing(&self, key: &str, now: Moment) {
        self.landing.note(key, now);
    }

    /// Whether an older write of a key may reach the tier yet, so that removing the key is not
    /// enough.
    pub(crate) fn may_land(&self, key: &str, now: Moment) -> bool {
        self.landing.has(key, now)
    }

    fn note(&self, state: &State) {
        self.waiting.store(state.len() as u64, Ordering::Release);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
