//! Tests of what the miniatures show, without a store.

use std::sync::Arc;

use larder_core::plugin::{Descriptor, Factory};
use larder_core::policy::{Capacity, PolicyFactory};
use larder_core::serde_json::json;
use larder_policies::{CLOCK_PRO, LIRS, LRU, S3_FIFO};

use super::miniature::Miniature;
use super::notes::{Note, Notes, Use};
use super::panel::{Full, Panel};
use super::{mask, scaled};

const SEED: u64 = 20_261_122;

fn factory(descriptor: &Descriptor) -> Arc<dyn PolicyFactory> {
    let Factory::Policy(factory) = descriptor.factory else {
        panic!("{descriptor:?} is not a policy");
    };
    factory.build(json!({})).unwrap()
}

fn factories(descriptors: &[&Descriptor]) -> Arc<[Arc<dyn PolicyFactory>]> {
    descriptors.iter().map(|one| factory(one)).collect()
}

const fn entries(count: u64) -> Capacity {
    Capacity { entries: Some(count), weight: None }
}

/// The hash of a key, as a store would have it.
const fn hash(key: u64) -> u64 {
    let mixed = (key + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 3
}

/// Keys by popularity: the second is asked for half as often as the first, the third a third.
fn popular(keys: u32, requests: usize) -> impl Iterator<Item = u64> {
    let sums: Vec<f64> = (1..=keys)
        .scan(0.0, |sum, rank| {
            *sum += 1.0 / f64::from(rank);
            Some(*sum)
        })
        .collect();
    let mut random = fastrand::Rng::with_seed(SEED);
    (0..requests).map(move |_| {
        let at = random.f64() * sums.last().unwrap();
        sums.partition_point(|sum| *sum < at) as u64
    })
}

/// A store without values, and its panel.
struct Trial {
    real: Miniature,
    panel: Panel,
    hits: u64,
    requests: u64,
    changes: usize,
}

impl Trial {
    fn new(candidates: &[&Descriptor], capacity: u64) -> Self {
        let candidates = factories(candidates);
        let real = Miniature::new(candidates[0].policy(entries(capacity)), entries(capacity), SEED);
        let full = Full { capacity: entries(capacity), entries: capacity, hits: 0 };
        let panel = Panel::new(candidates, Some(0), full, SEED);
        Self { real, panel, hits: 0, requests: 0, changes: 0 }
    }

    fn ask(&mut self, key: u64) {
        let before = self.panel.choice();
        let hit = self.real.access(hash(key), 1);
        self.requests += 1;
        self.hits += u64::from(hit);
        if hash(key) & mask(self.panel.bits()) == 0 {
            let what = if hit { Use::Hit } else { Use::Insert };
            self.panel.note(Note { hash: hash(key), what, weight: 1 }, self.hits);
        }
        self.changes += usize::from(self.panel.choice() != before);
    }
}

/// What a whole cache answers of the second half of the requests.
fn truth(descriptor: &Descriptor, capacity: Capacity, requests: &[u64]) -> f64 {
    let mut cache = Miniature::new(factory(descriptor).policy(capacity), capacity, SEED);
    let answers: Vec<bool> = requests.iter().map(|key| cache.access(hash(*key), 1)).collect();
    let half = &answers[answers.len() / 2..];
    half.iter().filter(|hit| **hit).count() as f64 / half.len() as f64
}

#[test]
fn only_a_small_store_begins_with_a_policy_that_hears_of_every_hit() {
    let choice = |candidates: &[&Descriptor], entries: u64| {
        let capacity = Capacity { entries: Some(entries), weight: None };
        let full = Full { capacity, entries, hits: 0 };
        Panel::new(factories(candidates), None, full, SEED).choice()
    };
    assert_eq!(choice(&[&LRU, &LIRS, &S3_FIFO], 1000), 0);
    assert_eq!(choice(&[&LRU, &LIRS, &S3_FIFO], 2000), 2);
    assert_eq!(choice(&[&LRU, &LIRS], 2000), 0, "all are dear");
}

#[test]
fn estimates_are_what_whole_caches_would_answer() {
    const CAPACITY: u64 = 10_000;
    let requests: Vec<u64> = popular(200_000, 1_500_000).collect();
    let mut trial = Trial::new(&[&LRU, &S3_FIFO, &LIRS], CAPACITY);
    assert_eq!(trial.panel.bits(), 4);
    requests.iter().for_each(|key| trial.ask(*key));
    let estimates = trial.panel.estimates();
    let chosen = [&LRU, &S3_FIFO, &LIRS][trial.panel.choice()];
    println!("seed {SEED}: {estimates:?}");
    for (estimate, policy) in estimates.policies.iter().zip([&LRU, &S3_FIFO, &LIRS]) {
        let truth = truth(policy, entries(CAPACITY), &requests);
        let error = estimate.hit_ratio - truth;
        assert!(error.abs() < 0.02, "{} of {} is {truth:.3}", policy.kind, estimate.hit_ratio);
    }
    for estimate in &estimates.sizes {
        let capacity = Capacity { entries: estimate.entries, weight: estimate.weight };
        let truth = truth(chosen, capacity, &requests);
        let error = estimate.hit_ratio - truth;
        assert!(error.abs() < 0.04, "{}x: {} for {truth:.3}", estimate.factor, estimate.hit_ratio);
    }
}

#[test]
fn a_loop_that_does_not_fit_makes_the_panel_leave_lru() {
    let mut trial = Trial::new(&[&LRU, &LIRS], 500);
    (0..550).cycle().take(20_000).for_each(|key| trial.ask(key));
    assert_eq!(trial.panel.choice(), 1);
    assert_eq!(trial.changes, 1);
    let estimates = trial.panel.estimates();
    assert_eq!(estimates.policy, "lirs");
    assert!(estimates.policies[0].hit_ratio < 0.05, "{estimates:?}");
    assert!(estimates.policies[1].hit_ratio > 0.7, "{estimates:?}");
}

#[test]
fn nothing_changes_where_candidates_are_alike() {
    let mut trial = Trial::new(&[&CLOCK_PRO, &CLOCK_PRO, &CLOCK_PRO], 300);
    popular(20_000, 200_000).for_each(|key| trial.ask(key));
    assert_eq!(trial.changes, 0);
}

#[test]
fn work_that_does_not_change_is_not_answered_by_changes() {
    let mut trial = Trial::new(&[&LRU, &S3_FIFO, &LIRS, &CLOCK_PRO], 500);
    popular(20_000, 600_000).for_each(|key| trial.ask(key));
    assert!((1..=3).contains(&trial.changes), "{} changes, seed {SEED}", trial.changes);
}

#[test]
fn rests_grow_until_few_requests_are_looked_at_and_large_stores_need_none() {
    let mut trial = Trial::new(&[&LRU, &LIRS], 100);
    let mut rests = Vec::new();
    for key in 0.. {
        trial.ask(key);
        rests.extend(trial.panel.rest());
        if rests.len() == 10 {
            break;
        }
    }
    let first = 32 * 100;
    assert_eq!(rests, [1, 2, 4, 8, 16, 32, 64, 128, 256, 383].map(|times| times * first));
    let mut large = Trial::new(&[&LRU], 1_000_000);
    (0..500_000).for_each(|key| large.ask(key));
    assert_eq!(large.panel.rest(), None);
}

#[test]
fn the_sample_has_about_a_thousand_entries_whatever_the_store_holds() {
    assert_eq!([1, 1024, 1025, 1_000_000].map(Panel::bits_for), [0, 0, 1, 10]);
    let capacity = Capacity { entries: Some(1_000_000), weight: Some(3) };
    let small = Capacity { entries: Some(977), weight: Some(1) };
    assert_eq!(scaled(capacity, 1.0 / 1024.0), small);
}

#[test]
fn a_miniature_obeys_a_limit_of_weight() {
    let capacity = Capacity { entries: None, weight: Some(100) };
    let mut cache = Miniature::new(factory(&LRU).policy(capacity), capacity, SEED);
    assert!(!cache.access(1, 60));
    assert!(!cache.access(2, 40));
    assert!(cache.access(1, 60));
    assert!(!cache.access(3, 30));
    assert!(!cache.access(4, 101), "heavier than the whole");
    assert!(cache.access(1, 60));
    assert!(!cache.access(2, 40), "the least recently used one had to go");
}

#[test]
fn notes_come_out_in_order_and_those_beyond_the_room_are_counted() {
    let notes = Notes::new();
    let note = |number: u32| {
        let what = [Use::Hit, Use::Insert, Use::Replace][number as usize % 3];
        Note { hash: u64::from(number) << 40, what, weight: number }
    };
    let full: Vec<u32> = (0..130).filter(|number| notes.push(note(*number))).collect();
    let by_writers = (64..127).filter(|number| number % 3 != 0);
    assert_eq!(full, by_writers.chain(127..130).collect::<Vec<_>>());
    let mut seen = Vec::new();
    assert_eq!(notes.drain(|note| seen.push(note)), 2);
    assert_eq!(seen, (0..128).map(note).collect::<Vec<_>>());
    assert_eq!(notes.drain(|note| panic!("{note:?} comes twice")), 0);
}
