//! A store against a map that forgets nothing.
//!
//! The store may have evicted what the map still has; all it serves must be what the map says, and
//! with room for everything it must serve all that the map has.

use std::collections::HashMap;
use std::time::Duration;

use larder_core::backend::InProcess;
use larder_core::clock::{Clock, Moment};
use larder_core::plugin::Descriptor;
use larder_core::policy::Capacity;
use larder_core::serde_json::{Value, json};

use super::{Fixture, POLICIES, entries, fixture, policy, weight};
use crate::options::Insert;
use crate::outcome::{Lookup, MissCause};

struct Model {
    store: Fixture<u16, u64>,
    map: HashMap<u16, (u64, Option<Moment>)>,
    /// Whether the store has room for every key there is.
    is_roomy: bool,
    random: fastrand::Rng,
    stamp: u64,
}

impl Model {
    fn expected(&self, key: u16) -> Option<u64> {
        let (value, deadline) = *self.map.get(&key)?;
        let over = deadline.is_some_and(|deadline| deadline <= self.store.clock.now());
        (!over).then_some(value)
    }

    fn compare(&self, key: u16, found: Option<u64>) {
        let expected = self.expected(key);
        if self.is_roomy || found.is_some() {
            assert_eq!(found, expected, "key {key}");
        }
    }

    fn step(&mut self) {
        let key = self.random.u16(..150);
        match self.random.u32(..100) {
            0..=39 => self.get(key),
            40..=69 => self.insert(key),
            70..=76 => {
                let found = self.store.remove(&key);
                self.compare(key, found);
                self.map.remove(&key);
            }
            77..=80 => {
                let found = self.store.invalidate(&key);
                self.compare(key, found);
                self.map.remove(&key);
            }
            81..=84 => self.compare(key, self.store.peek(&key)),
            85..=89 => self.touch(key),
            90..=95 => {
                let nanos = self.random.u64(..40);
                self.store.clock.advance(Duration::from_nanos(nanos));
            }
            96..=97 => drop(self.store.sweep(self.random.usize(..20))),
            98 => {
                let rest = self.random.u16(..10);
                self.store.remove_if(|key, _| key % 10 == rest);
                self.map.retain(|key, _| key % 10 != rest);
            }
            _ if self.random.u32(..10) == 0 => {
                self.store.clear();
                self.map.clear();
            }
            _ => self.list(),
        }
    }

    fn get(&mut self, key: u16) {
        match self.store.get(&key) {
            Lookup::Hit(value) => self.compare(key, Some(value)),
            Lookup::Miss(cause) => {
                self.compare(key, None);
                assert!(!self.is_roomy || cause != MissCause::Evicted);
                assert!(!self.store.contains(&key));
            }
        }
    }

    fn insert(&mut self, key: u16) {
        self.stamp += 1;
        let nanos = Duration::from_nanos(self.random.u64(..200));
        let deadline = self.random.bool().then(|| self.store.clock.now().after(nanos));
        let weight = if self.is_roomy { 1 } else { self.random.u32(1..20) };
        let insert = Insert::default().deadline(deadline).weight(weight);
        self.store.insert(key, self.stamp, insert).unwrap();
        self.map.insert(key, (self.stamp, deadline));
    }

    fn touch(&mut self, key: u16) {
        let deadline = Some(self.store.clock.now().after(Duration::from_nanos(100)));
        let expected = self.expected(key).is_some();
        let touched = self.store.touch(&key, deadline);
        assert!(expected || !touched);
        assert!(!self.is_roomy || expected == touched);
        if touched && let Some(entry) = self.map.get_mut(&key) {
            entry.1 = deadline;
            assert_eq!(self.store.deadline(&key), self.expected(key).map(|_| deadline));
        }
    }

    fn list(&self) {
        for key in self.store.keys() {
            assert!(self.expected(key).is_some(), "key {key}");
        }
        self.store.for_each(|key, value| {
            assert_eq!(self.map.get(key).map(|entry| entry.0), Some(*value));
        });
    }
}

fn run(descriptor: &Descriptor, options: Value, capacity: Capacity, shards: Option<usize>) {
    let seed = fastrand::u64(..);
    println!("seed {seed} of {} with {capacity:?}", descriptor.kind);
    let policy = policy(descriptor, options);
    let mut model = Model {
        store: fixture(InProcess::new(capacity, policy).shards(shards)),
        map: HashMap::new(),
        is_roomy: capacity == entries(1000),
        random: fastrand::Rng::with_seed(seed),
        stamp: 0,
    };
    for step in 0..4000 {
        model.step();
        if step % 16 == 0 {
            model.store.check();
        }
    }
}

#[test]
fn a_store_serves_what_a_map_says_under_every_policy() {
    for descriptor in POLICIES {
        for capacity in [entries(1000), entries(1), entries(40), entries(100), weight(300)] {
            run(descriptor, json!({}), capacity, None);
            run(descriptor, json!({}), capacity, Some(4));
        }
    }
    let strict = json!({ "strict": true });
    run(&larder_policies::LRU, strict, entries(40), None);
}
