//! What waits for a tier, and what stands for what when there is too much of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use larder_core::key::glob_matches;
use larder_core::{Moment, Stamp};

use super::{Item, MAX_PATTERNS, Work};
use crate::tags::{RESERVED, TagCell};

/// Whether a pattern concerns a key; what Larder keeps for itself none does.
pub(super) fn is_banned(glob: &str, key: &str) -> bool {
    !key.starts_with(RESERVED) && glob_matches(glob, key)
}

/// The items of a log.
#[derive(Debug, Default)]
pub(super) struct State {
    clear: Option<Item>,
    /// The clear stands for more than there was room for, and for what comes until it is delivered.
    is_full: bool,
    /// In order, so that a run can be repeated.
    keys: BTreeMap<Arc<str>, Item>,
    patterns: Vec<(Arc<str>, Item)>,
    tags: BTreeMap<u64, Item>,
}

impl State {
    pub(super) fn len(&self) -> usize {
        usize::from(self.clear.is_some()) + self.keys.len() + self.patterns.len() + self.tags.len()
    }

    /// Whether nothing waits, but for what somebody is doing.
    pub(super) fn is_idle(&self) -> bool {
        let is_begun = |(_, item): &(_, Item)| item.is_begun;
        let is_empty = self.clear.is_none() && self.keys.is_empty() && self.tags.is_empty();
        is_empty && self.patterns.iter().all(is_begun)
    }

    pub(super) fn items(&self) -> impl Iterator<Item = &Item> {
        let patterns = self.patterns.iter().map(|(_, item)| item);
        self.clear.iter().chain(self.keys.values()).chain(patterns).chain(self.tags.values())
    }

    pub(super) fn add(&mut self, item: Item) {
        if let (true, Some(clear)) = (self.is_full, &mut self.clear) {
            clear.stamp = clear.stamp.max(item.stamp);
            return;
        }
        if let Some(kept) = self.find_mut(&item.work) {
            kept.stamp = kept.stamp.max(item.stamp);
            if kept.is_begun && !item.is_begun {
                (kept.is_begun, kept.due) = (false, item.due);
            }
            return;
        }
        match &item.work {
            Work::Clear => {
                // It does all that the older ones would.
                self.remove_all_up_to(item.stamp);
                self.clear = Some(item);
            }
            Work::Key(key) => drop(self.keys.insert(Arc::clone(key), item)),
            Work::Pattern(glob) => self.patterns.push((Arc::clone(glob), item)),
            Work::Tag(cell) => drop(self.tags.insert(cell.hash(), item)),
        }
    }

    /// Writes of these keys may arrive after everything up to a stamp was removed.
    pub(super) fn add_landing(&mut self, keys: Vec<Arc<str>>, stamp: Stamp, now: Moment) {
        for key in keys {
            self.add(Item::new(Work::Key(key), stamp, now));
        }
    }

    /// Keeps no more than `limit` keys and tags. Patterns stand for the keys that they concern; if
    /// that leaves little room, one clear stands for everything. Whether it does since this call.
    pub(super) fn shrink(&mut self, limit: usize, now: Moment) -> bool {
        if self.keys.len() + self.tags.len() > limit {
            self.fold();
            // A fold looks at everything, so it must be worth it.
            if self.keys.len() + self.tags.len() > limit / 2 {
                self.collapse(now);
                return true;
            }
        }
        if self.patterns.len() > MAX_PATTERNS {
            self.collapse(now);
            return true;
        }
        false
    }

    /// Lets the patterns stand for the keys that they concern.
    fn fold(&mut self) {
        let Self { keys, patterns, .. } = self;
        keys.retain(|key, item| {
            let ban = patterns.iter_mut().find(|(glob, _)| is_banned(glob, key));
            let Some((_, ban)) = ban else { return true };
            ban.stamp = ban.stamp.max(item.stamp);
            ban.due = ban.due.min(item.due);
            ban.is_begun = false;
            false
        });
    }

    /// Lets one clear stand for everything.
    fn collapse(&mut self, now: Moment) {
        let latest = self.items().map(|item| item.stamp).max();
        let since = self.items().map(|item| item.since).min().unwrap_or(now);
        *self = Self::default();
        if let Some(latest) = latest {
            self.clear = Some(Item { since, ..Item::new(Work::Clear, latest, now) });
            self.is_full = true;
        }
    }

    pub(super) fn find_mut(&mut self, work: &Work) -> Option<&mut Item> {
        match work {
            Work::Clear => self.clear.as_mut(),
            Work::Key(key) => self.keys.get_mut(key),
            Work::Pattern(glob) => {
                self.patterns.iter_mut().find(|(kept, _)| kept == glob).map(|(_, item)| item)
            }
            Work::Tag(cell) => self.tags.get_mut(&cell.hash()),
        }
    }

    pub(super) fn remove_up_to(&mut self, work: &Work, stamp: Stamp) {
        if self.find_mut(work).is_none_or(|kept| kept.stamp > stamp) {
            return;
        }
        match work {
            Work::Clear => (self.clear, self.is_full) = (None, false),
            Work::Key(key) => drop(self.keys.remove(key)),
            Work::Pattern(glob) => self.patterns.retain(|(kept, _)| kept != glob),
            Work::Tag(cell) => self.remove_tag(cell),
        }
    }

    pub(super) fn remove_key_up_to(&mut self, key: &str, stamp: Stamp) {
        if self.keys.get(key).is_some_and(|item| item.stamp <= stamp) {
            self.keys.remove(key);
        }
    }

    pub(super) fn remove_tag(&mut self, cell: &TagCell) {
        self.tags.remove(&cell.hash());
    }

    /// Everything up to a stamp was removed, and with it the markers of all tags.
    pub(super) fn remove_all_up_to(&mut self, stamp: Stamp) {
        self.remove_up_to(&Work::Clear, stamp);
        self.keys.retain(|_, item| item.stamp > stamp);
        self.patterns.retain(|(_, item)| item.stamp > stamp);
        self.tags.clear();
    }

    pub(super) fn hides(&self, key: &str, stamp: Stamp) -> bool {
        self.hidden_up_to(key).is_some_and(|hidden| stamp <= hidden)
    }

    /// The latest of the versions up to which something of a key must not be served.
    pub(super) fn hidden_up_to(&self, key: &str) -> Option<Stamp> {
        let matches = |(glob, _): &&(Arc<str>, Item)| is_banned(glob, key);
        let patterns = self.patterns.iter().filter(matches).map(|(_, item)| item);
        let items = self.clear.iter().chain(self.keys.get(key)).chain(patterns);
        items.map(|item| item.stamp).max()
    }
}
