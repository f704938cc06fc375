//! Panics of the user's types and of policies leave a store that works.

use std::hash::{Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering};

use super::{Fixture, POLICIES, entries, fixture, policy};
use crate::options::Insert;
use larder_core::backend::InProcess;
use larder_core::serde_json::json;

/// How many more calls of the user's code are fine. At 0 they panic.
static FUSE: AtomicU32 = AtomicU32::new(u32::MAX);

fn burn() {
    let left = FUSE.load(Ordering::Relaxed);
    if left == 0 {
        FUSE.store(u32::MAX, Ordering::Relaxed);
        panic!("the fuse has burnt down");
    }
    if left != u32::MAX {
        FUSE.store(left - 1, Ordering::Relaxed);
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
    match random.u32(..8) {
        0..=3 => drop(store.insert(key, Value(1), Insert::default())),
        4 => drop(store.get(&key)),
        5 => drop(store.remove(&key)),
        6 => drop(store.peek(&key)),
        _ => drop(store.remove_if(|key, _| {
            burn();
            key.0 % 7 == 0
        })),
    }
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
        for _ in 0..1000 {
            FUSE.store(random.u32(..8), Ordering::Relaxed);
            let outcome = catch_unwind(AssertUnwindSafe(|| work(&store, &mut random)));
            FUSE.store(u32::MAX, Ordering::Relaxed);
            panics += u32::from(outcome.is_err());
            store.check();
        }
    }
    std::panic::set_hook(silent);
    assert!(panics > 100, "{panics} panics prove little");
}
