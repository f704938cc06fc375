//! `clock-pro` next to a model that keeps the ring of the paper as two plain lists.

use super::*;
use crate::simulation::{Reference, churn, compare};

#[derive(Clone, Copy)]
struct Page {
    slot: SlotId,
    hash: u64,
    time: u32,
    hits: u8,
    was_hot: bool,
}

/// The oldest are first.
#[derive(Default)]
struct Model {
    hot: Vec<Page>,
    cold: Vec<Page>,
    ghosts: Ghosts,
    cold_ratio: f64,
    full: usize,
}

impl Model {
    fn new() -> Self {
        Self { cold_ratio: 0.03, full: 20, ..Self::default() }
    }

    fn len(&self) -> usize {
        self.hot.len() + self.cold.len()
    }

    fn room(&self, entries: usize) -> usize {
        (entries as f64 - (entries as f64 * self.cold_ratio).max(1.0)) as usize
    }

    fn learn(&mut self, entries: f64, of: usize) {
        self.cold_ratio = (self.cold_ratio + 0.5 * entries / of as f64).clamp(0.0, 0.99);
    }

    fn is_in_test(&self, age: u32) -> bool {
        let next = self.hot.first();
        next.is_none_or(|next| age < self.ghosts.now().wrapping_sub(next.time))
    }

    fn hand_hot(&mut self) {
        let room = self.room(self.len());
        let mut rounds = 4 * self.hot.len();
        while self.hot.len() > room {
            let mut page = self.hot.remove(0);
            page.time = self.ghosts.tick();
            if page.hits > 0 && rounds > 0 {
                page.hits -= 1;
                self.hot.push(page);
            } else {
                page.was_hot = true;
                self.cold.push(page);
            }
            rounds = rounds.saturating_sub(1);
        }
    }
}

impl Reference for Model {
    fn insert(&mut self, slot: SlotId, hash: u64) {
        let entries = self.len() + 1;
        let is_known = self.ghosts.take(hash).is_some_and(|age| self.is_in_test(age));
        if is_known {
            self.learn(1.0, entries);
        }
        let fits = entries < self.full && self.hot.len() < self.room(self.full.max(entries));
        let page = Page { slot, hash, time: self.ghosts.tick(), hits: 0, was_hot: false };
        if is_known || fits { self.hot.push(page) } else { self.cold.push(page) }
    }

    fn hit(&mut self, slot: SlotId) {
        let mut pages = self.hot.iter_mut().chain(&mut self.cold);
        let page = pages.find(|page| page.slot == slot).expect("it is there");
        page.hits = (page.hits + 1).min(3);
    }

    fn remove(&mut self, slot: SlotId, evicted: bool) {
        if let Some(page) = self.cold.first().filter(|page| evicted && page.slot == slot) {
            self.ghosts.remember_last((self.len() as f64 * 0.9) as usize);
            self.ghosts.add(page.hash, page.time);
        }
        self.hot.retain(|page| page.slot != slot);
        self.cold.retain(|page| page.slot != slot);
    }

    fn victim(&mut self) -> SlotId {
        self.full = self.len();
        loop {
            self.hand_hot();
            if self.cold[0].hits == 0 {
                return self.cold[0].slot;
            }
            let mut page = self.cold.remove(0);
            if page.was_hot {
                let demoted = 1 + self.cold.iter().filter(|page| page.was_hot).count();
                self.learn(-(self.full as f64 / demoted as f64), self.full);
            }
            page.hits = 0;
            page.was_hot = false;
            let is_soon = self.is_in_test(self.ghosts.now().wrapping_sub(page.time));
            page.time = self.ghosts.tick();
            if is_soon { self.hot.push(page) } else { self.cold.push(page) }
        }
    }
}

#[test]
fn victims_are_those_of_the_paper() {
    compare(&ClockProConfig::default(), Model::new);
}

#[test]
fn the_room_of_cold_entries_stays_within_bounds() {
    let mut policy = ClockProConfig::default().build(Capacity { entries: Some(8), weight: None });
    for round in 1..100 {
        churn(&mut policy, 8, round * 50);
        assert!((0.0..=MOST).contains(&policy.cold.share()), "{}", policy.cold.share());
    }
}

#[test]
fn a_room_that_is_not_adaptive_stays_as_it_is() {
    let config = ClockProConfig { adaptive: false, ..ClockProConfig::default() };
    let mut policy = config.build(Capacity { entries: Some(8), weight: None });
    for round in 1..10 {
        churn(&mut policy, 8, round * 50);
    }
    assert!((policy.cold.share() - 0.03).abs() < 1e-9, "{}", policy.cold.share());
}

#[test]
fn a_room_that_takes_everything_is_a_problem() {
    for (ratio, is_good) in [(0.0, true), (0.25, true), (1.0, false)] {
        let cold_ratio = Share::new(ratio).unwrap();
        let config = ClockProConfig { cold_ratio, ..ClockProConfig::default() };
        assert_eq!(config.validate(&KeyPath::root()).is_ok(), is_good);
    }
}
