//! Panics of the user's types and of policies leave a store that works.

use std::cell::Cell;
use std::hash::{Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use larder_core::backend::InProcess;
use larder_core::policy::{Capacity, HitMode, Policy, PolicyFactory, SlotId, Slots};
use larder_core::serde_json::json;

use super::{Fixture, POLICIES, entries, fixture, policy, steps};
use crate::options::Insert;
use crate::outcome::Inserted;

thread_local! {
    /// How many more calls of the user's code are fine on this thread. At 0 they panic.
    static FUSE: Cell<u32> = const { Cell::new(u32::MAX) };
}

fn burn() {
    match FUSE.get() {
        u32::MAX => {}
        0 => {
            FUSE.set(u32::MAX);
            panic!("the fuse has burnt down");
        }
        left => FUSE.set(left - 1),
    }
}

#[derive(Debug)]
struct Key(u32);

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        burn();
        self.0 == other.0
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        burn();
        self.0.hash(state);
    }
}

#[derive(Debug)]
struct Value(u32);

impl Clone for Value {
    fn clone(&self) -> Self {
        burn();
        Self(self.0)
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        // A second panic while the first unwinds would abort.
        if !std::thread::panicking() {
            burn();
        }
    }
}

fn work(store: &Fixture<Key, Value>, random: &mut fastrand::Rng) {
    let key = Key(random.u32(..30));
    match random.u32(..10) {
        0..=3 => drop(store.insert(key, Value(1), Insert::default())),
        4 => drop(store.get(&key)),
        5 => drop(store.remove(&key)),
        6 => drop(store.peek(&key)),
        7 => drop(store.sweep(3)),
        8 => store.clear(),
        _ => drop(store.remove_if(|key, _| {
            burn();
            key.0 % 7 == 0
        })),
    }
}

/// Does something until it ends or the fuse has burnt down; whether it has.
fn work_on_a_fuse(store: &Fixture<Key, Value>, random: &mut fastrand::Rng) -> bool {
    FUSE.set(random.u32(..8));
    let outcome = catch_unwind(AssertUnwindSafe(|| work(store, random)));
    FUSE.set(u32::MAX);
    outcome.is_err()
}

#[test]
fn a_panic_of_hash_eq_clone_or_drop_leaves_a_store_that_works() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let silent = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let mut panics = 0;
    for descriptor in POLICIES {
        let policy = policy(descriptor, json!({}));
        let store = fixture::<Key, Value>(InProcess::new(entries(20), policy));
        for _ in 0..steps(1000) {
            panics += u32::from(work_on_a_fuse(&store, &mut random));
            store.check();
        }
        std::thread::scope(|scope| {
            for thread in 1..=3 {
                let (store, mut random) = (&store, fastrand::Rng::with_seed(seed ^ thread));
                scope.spawn(move || {
                    for _ in 0..steps(500) {
                        work_on_a_fuse(store, &mut random);
                    }
                });
            }
        });
        store.check();
    }
    std::panic::set_hook(silent);
    assert!(panics > 10, "{panics} panics prove little");
}

/// A policy that panics whenever it is asked for a victim.
#[derive(Debug)]
struct Hopeless {
    entries: usize,
}

impl Policy for Hopeless {
    fn hit_mode(&self) -> HitMode {
        HitMode::None
    }

    fn on_insert(&mut self, _: SlotId, _: &mut dyn Slots) {
        self.entries += 1;
    }

    fn on_remove(&mut self, _: SlotId, _: bool, _: &mut dyn Slots) {
        self.entries -= 1;
    }

    fn victim(&mut self, _: &mut dyn Slots) -> Option<SlotId> {
        panic!("no idea")
    }

    fn resize(&mut self, _: Capacity) {}

    fn len(&self) -> usize {
        self.entries
    }
}

impl PolicyFactory for Hopeless {
    fn kind(&self) -> &str {
        "hopeless"
    }

    fn policy(&self, _: Capacity) -> Box<dyn Policy> {
        Box::new(Self { entries: 0 })
    }
}

#[test]
fn a_policy_that_panics_does_not_use_up_the_budget() {
    let in_process = InProcess::new(entries(2), Arc::new(Hopeless { entries: 0 }));
    let store = fixture::<u32, u32>(in_process);
    for key in 0..10 {
        let insert = AssertUnwindSafe(|| store.insert(key, key, Insert::default()));
        assert_eq!(catch_unwind(insert).is_err(), key >= 2);
        store.check();
    }
    store.remove(&0);
    assert_eq!(store.insert(11, 11, Insert::default()), Ok(Inserted::New));
}
