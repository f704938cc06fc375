//! The recovery log of a tier: invalidations that could not be delivered to it.
//!
//! Until they are, what the tier has of them is not served, and they are tried again. The log is
//! bounded: when more wait than it holds, it keeps one record instead that says to clear the whole
//! tier. It is in memory only, so what waits is lost with the process.
//!
//! Pure state, like the breaker; [`replay`](crate::replay) does the deliveries.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use larder_core::key::glob_matches;
use larder_core::{Moment, Stamp};

use crate::tags::{RESERVED, TagCell};

/// How many keys and tags it remembers.
pub(crate) const LIMIT: usize = 65_536;

/// How many patterns it remembers: each is compared with every key that is read.
pub(crate) const MAX_PATTERNS: usize = 64;

/// How long after a failure a delivery is tried again: at first, and at most.
const PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(30)];

/// What has to be made unusable in a tier.
#[derive(Clone, Debug)]
pub(crate) enum Work {
    /// Everything.
    Clear,
    /// One key.
    Key {
        key: Arc<str>,
        /// Whether an older write of it may reach the tier yet.
        may_land: bool,
    },
    /// Every key that matches.
    Pattern(Arc<str>),
    /// Every entry of a tag, whose version the tier does not know.
    Tag(Arc<TagCell>),
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
}

#[derive(Debug, Default)]
struct State {
    clear: Option<Item>,
    keys: HashMap<Arc<str>, Item>,
    patterns: Vec<(Arc<str>, Item)>,
    tags: HashMap<u64, Item>,
}

impl Recovery {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, waiting: AtomicU64::new(0), state: Mutex::default() }
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
        self.add_due(work, stamp, now, false)
    }

    /// Adds something that the caller is about to do itself: it is left to others only when that
    /// takes too long, or is given up.
    pub(crate) fn add_begun(&self, work: Work, stamp: Stamp, now: Moment) -> Added {
        self.add_due(work, stamp, now, true)
    }

    fn add_due(&self, work: Work, stamp: Stamp, now: Moment, is_begun: bool) -> Added {
        let mut state = self.lock();
        let is_first = state.is_idle();
        let due = now.after(if is_begun { PAUSES[1] } else { PAUSES[0] });
        state.add(Item { work, stamp, due, pause: PAUSES[0], since: now, is_begun });
        let is_over = state.keys.len() + state.tags.len() > self.limit;
        if is_over || state.patterns.len() > MAX_PATTERNS {
            let latest = state.items().map(|item| item.stamp).max().unwrap_or(stamp);
            let since = state.items().map(|item| item.since).min().unwrap_or(now);
            let due = now.after(PAUSES[0]);
            *state = State::default();
            let (work, pause) = (Work::Clear, PAUSES[0]);
            state.add(Item { work, stamp: latest, due, pause, since, is_begun: false });
            self.note(&state);
            return Added::Overflow;
        }
        self.note(&state);
        if is_first { Added::First } else { Added::More }
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

    /// What the caller did itself is done, up to this stamp.
    pub(crate) fn settle_work(&self, work: &Work, stamp: Stamp) {
        let mut state = self.lock();
        state.remove_up_to(work, stamp);
        self.note(&state);
    }

    /// Something was delivered. It is forgotten, unless it was asked for again since.
    pub(crate) fn settle(&self, item: &Item) {
        self.settle_work(&item.work, item.stamp);
    }

    /// A key was written or deleted in the tier; what waits of it up to then is of no use any more.
    pub(crate) fn settle_key(&self, key: &str, stamp: Stamp) {
        if self.is_empty() {
            return;
        }
        let mut state = self.lock();
        if state.keys.get(key).is_some_and(|item| item.stamp <= stamp) {
            state.keys.remove(key);
        }
        self.note(&state);
    }

    /// Whether an older write of a key may reach the tier yet.
    pub(crate) fn may_land(&self, key: &str) -> bool {
        let is_open = |item: &Item| matches!(item.work, Work::Key { may_land: true, .. });
        !self.is_empty() && self.lock().keys.get(key).is_some_and(is_open)
    }

    /// The tier knows the version of a tag.
    pub(crate) fn settle_tag(&self, cell: &TagCell) {
        if self.is_empty() {
            return;
        }
        let mut state = self.lock();
        state.tags.remove(&cell.hash());
        self.note(&state);
    }

    /// Everything that is in the tier and was written up to then is gone.
    pub(crate) fn settle_all(&self, stamp: Stamp) {
        if self.is_empty() {
            return;
        }
        let mut state = self.lock();
        state.clear.take_if(|item| item.stamp <= stamp);
        state.keys.retain(|_, item| item.stamp > stamp);
        state.patterns.retain(|(_, item)| item.stamp > stamp);
        state.tags.clear();
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

    fn note(&self, state: &State) {
        self.waiting.store(state.len() as u64, Ordering::Release);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn len(&self) -> usize {
        usize::from(self.clear.is_some()) + self.keys.len() + self.patterns.len() + self.tags.len()
    }

    /// Whether nothing waits, but for what somebody is doing.
    fn is_idle(&self) -> bool {
        let is_begun = |(_, item): &(_, Item)| item.is_begun;
        let is_empty = self.clear.is_none() && self.keys.is_empty() && self.tags.is_empty();
        is_empty && self.patterns.iter().all(is_begun)
    }

    fn items(&self) -> impl Iterator<Item = &Item> {
        let patterns = self.patterns.iter().map(|(_, item)| item);
        self.clear.iter().chain(self.keys.values()).chain(patterns).chain(self.tags.values())
    }

    fn add(&mut self, item: Item) {
        if let Some(kept) = self.find_mut(&item.work) {
            kept.stamp = kept.stamp.max(item.stamp);
            if kept.is_begun && !item.is_begun {
                (kept.is_begun, kept.due) = (false, item.due);
            }
            if let (Work::Key { may_land, .. }, Work::Key { may_land: also, .. }) =
                (&mut kept.work, item.work)
            {
                *may_land |= also;
            }
            return;
        }
        match &item.work {
            Work::Clear => {
                // It does all that the older ones would.
                self.keys.retain(|_, kept| kept.stamp > item.stamp);
                self.patterns.retain(|(_, kept)| kept.stamp > item.stamp);
                self.tags.clear();
                self.clear = Some(item);
            }
            Work::Key { key, .. } => drop(self.keys.insert(Arc::clone(key), item)),
            Work::Pattern(glob) => self.patterns.push((Arc::clone(glob), item)),
            Work::Tag(cell) => drop(self.tags.insert(cell.hash(), item)),
        }
    }

    fn find_mut(&mut self, work: &Work) -> Option<&mut Item> {
        match work {
            Work::Clear => self.clear.as_mut(),
            Work::Key { key, .. } => self.keys.get_mut(key),
            Work::Pattern(glob) => {
                self.patterns.iter_mut().find(|(kept, _)| kept == glob).map(|(_, item)| item)
            }
            Work::Tag(cell) => self.tags.get_mut(&cell.hash()),
        }
    }

    fn remove_up_to(&mut self, work: &Work, stamp: Stamp) {
        if self.find_mut(work).is_none_or(|kept| kept.stamp > stamp) {
            return;
        }
        match work {
            Work::Clear => self.clear = None,
            Work::Key { key, .. } => drop(self.keys.remove(key)),
            Work::Pattern(glob) => self.patterns.retain(|(kept, _)| kept != glob),
            Work::Tag(cell) => drop(self.tags.remove(&cell.hash())),
        }
    }

    fn hides(&self, key: &str, stamp: Stamp) -> bool {
        self.hidden_up_to(key).is_some_and(|hidden| stamp <= hidden)
    }

    /// The latest of the versions up to which something of a key must not be served.
    fn hidden_up_to(&self, key: &str) -> Option<Stamp> {
        let matches =
            |(glob, _): &&(Arc<str>, Item)| !key.starts_with(RESERVED) && glob_matches(glob, key);
        let patterns = self.patterns.iter().filter(matches).map(|(_, item)| item);
        let items = self.clear.iter().chain(self.keys.get(key)).chain(patterns);
        items.map(|item| item.stamp).max()
    }
}

#[cfg(test)]
mod tests {
    use larder_core::Timestamp;

    use super::*;
    use crate::tags::TagTable;

    fn stamp(micros: u64) -> Stamp {
        Stamp { time: Timestamp::from_micros(micros), origin: 7 }
    }

    fn key(text: &str) -> Work {
        Work::Key { key: text.into(), may_land: false }
    }

    fn at(millis: u64) -> Moment {
        Moment::from_nanos(millis * 1_000_000)
    }

    fn keys(items: &[Item]) -> Vec<(&str, u64)> {
        let named = items.iter().map(|item| match &item.work {
            Work::Key { key, .. } => (&**key, item.stamp.time.as_micros()),
            Work::Clear => ("clear", item.stamp.time.as_micros()),
            Work::Pattern(glob) => (&**glob, item.stamp.time.as_micros()),
            Work::Tag(_) => ("tag", item.stamp.time.as_micros()),
        });
        named.collect()
    }

    #[test]
    fn it_keeps_each_key_once_with_its_latest_stamp_and_delivers_the_oldest_first() {
        let log = Recovery::new(10);
        assert_eq!(log.add(key("a"), stamp(5), at(0)), Added::First);
        assert_eq!(log.add(key("b"), stamp(3), at(0)), Added::More);
        assert_eq!(log.add(key("a"), stamp(9), at(50)), Added::More);
        log.add(key("a"), stamp(7), at(50));
        assert_eq!((log.len(), log.age(at(60))), (2, Some(Duration::from_millis(60))));
        assert!(log.due(at(99), false).is_empty());
        assert_eq!(keys(&log.due(at(99), true)), [("b", 3), ("a", 9)]);
        assert_eq!(keys(&log.due(at(100), false)), [("b", 3), ("a", 9)]);
    }

    #[test]
    fn it_hides_what_is_as_old_as_what_waits_and_nothing_newer() {
        let log = Recovery::new(10);
        log.add(key("a"), stamp(5), at(0));
        log.add(Work::Pattern("user:*".into()), stamp(8), at(0));
        let hidden = [("a", 4), ("a", 5), ("user:1", 8)];
        let shown = [("a", 6), ("b", 1), ("user:1", 9), ("users", 1)];
        assert!(hidden.iter().all(|(key, micros)| log.hides(key, stamp(*micros))));
        assert!(!shown.iter().any(|(key, micros)| log.hides(key, stamp(*micros))));
        log.add(Work::Clear, stamp(7), at(0));
        assert!(log.hides("b", stamp(7)) && !log.hides("b", stamp(8)));
        assert_eq!(keys(&log.due(at(0), true)), [("clear", 7), ("user:*", 8)], "it does the rest");
    }

    #[test]
    fn what_was_asked_for_again_meanwhile_waits_on() {
        let log = Recovery::new(10);
        log.add(key("a"), stamp(5), at(0));
        let delivered = log.due(at(0), true);
        log.add(key("a"), stamp(6), at(0));
        log.settle(&delivered[0]);
        assert!(log.hides("a", stamp(6)));
        log.settle_key("a", stamp(5));
        assert_eq!(log.len(), 1, "an older write does not settle it");
        log.settle_key("a", stamp(6));
        assert!(log.is_empty() && !log.hides("a", stamp(6)));
    }

    #[test]
    fn too_many_become_one_that_clears_everything() {
        let log = Recovery::new(3);
        for (text, micros) in [("a", 1), ("b", 9), ("c", 3)] {
            log.add(key(text), stamp(micros), at(micros));
        }
        assert_eq!(log.add(key("d"), stamp(4), at(10)), Added::Overflow);
        assert_eq!(keys(&log.due(at(0), true)), [("clear", 9)]);
        assert_eq!(log.age(at(11)), Some(Duration::from_millis(10)), "of the oldest");
        let log = Recovery::new(1000);
        let adding = |n| log.add(Work::Pattern(format!("{n}*").into()), stamp(n), at(0));
        let last = (0..=MAX_PATTERNS as u64).map(adding).last();
        assert_eq!((last, log.len()), (Some(Added::Overflow), 1));
    }

    #[test]
    fn what_fails_again_waits_longer_up_to_half_a_minute_and_does_not_hold_up_others() {
        let log = Recovery::new(10);
        log.add(key("poisoned"), stamp(1), at(0));
        log.add(key("a"), stamp(2), at(0));
        let mut now = at(100);
        for millis in [200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000] {
            let item = log.due(now, false).into_iter().next().unwrap();
            assert_eq!(keys(std::slice::from_ref(&item)), [("poisoned", 1)]);
            log.postpone(&item, now, 1.0);
            assert_eq!(keys(&log.due(now, false)), [("a", 2)]);
            now = now.after(Duration::from_millis(millis));
        }
    }

    #[test]
    fn a_clear_that_worked_settles_everything_before_it() {
        let log = Recovery::new(10);
        let cell = TagTable::default().cell("t");
        for (work, micros) in [(key("a"), 1), (key("b"), 9), (Work::Tag(cell), 2), (Work::Clear, 3)]
        {
            log.add(work, stamp(micros), at(0));
        }
        log.settle_all(stamp(5));
        assert_eq!(keys(&log.due(at(0), true)), [("b", 9)]);
    }
}
