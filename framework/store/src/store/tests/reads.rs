//! What look-ups see and hold while others write.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use larder_core::backend::InProcess;
use larder_core::serde_json::json;

use super::{Fixture, entries, fixture, lru, policy, steps};
use crate::options::Insert;

/// A value that knows whether it is alive, and how many are.
#[derive(Debug)]
struct Canary {
    owner: u32,
    /// On the heap, so that a use after the drop is a use after free.
    owner_again: Box<u32>,
    alive: Arc<AtomicI64>,
}

impl Canary {
    fn new(owner: u32, alive: &Arc<AtomicI64>) -> Self {
        alive.fetch_add(1, Ordering::Relaxed);
        Self { owner, owner_again: Box::new(owner), alive: Arc::clone(alive) }
    }

    fn check(&self, owner: u32) {
        assert_eq!((self.owner, *self.owner_again), (owner, owner));
    }
}

impl Clone for Canary {
    fn clone(&self) -> Self {
        Self::new(*self.owner_again, &self.alive)
    }
}

impl Drop for Canary {
    fn drop(&mut self) {
        self.check(self.owner);
        *self.owner_again = u32::MAX;
        self.alive.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Sweeps until only so many values are alive. Tests run at the same time, and a look-up of another
/// one can hold a period open for a while.
fn sweep_until(store: &Canaries, alive: &AtomicI64, expected: usize) {
    for _ in 0..100_000 {
        store.sweep(usize::MAX);
        if alive.load(Ordering::Relaxed) == i64::try_from(expected).unwrap() {
            return;
        }
        std::thread::yield_now();
    }
    panic!("{alive:?} values are alive, and {expected} should be");
}

type Canaries = Fixture<String, Canary>;

fn canaries(shards: usize) -> Canaries {
    let policy = policy(&larder_policies::S3_FIFO, json!({}));
    fixture(InProcess::new(entries(60), policy).shards(Some(shards)))
}

/// Does something at random; whether it was a look-up that found something.
fn do_something(store: &Canaries, random: &mut fastrand::Rng, alive: &Arc<AtomicI64>) -> bool {
    let number = random.u32(..100);
    let key = number.to_string();
    match random.u32(..40) {
        0..=13 => {
            let seen = store.get_with(&key, |value| {
                value.check(number);
                // Others write meanwhile; what was found stays.
                std::thread::yield_now();
                value.check(number);
            });
            return seen.is_ok();
        }
        14..=30 => {
            store.insert(key, Canary::new(number, alive), Insert::default()).unwrap();
        }
        31..=33 => {
            if let Some(value) = store.remove(&key) {
                value.check(number);
            }
        }
        34 => drop(store.touch_with(&key, None, |value| value.check(number))),
        35 => store.for_each(|key, value| value.check(key.parse().unwrap())),
        36 => drop(store.remove_if(|_, value| value.owner % 10 == 3)),
        37 if random.u32(..10) == 0 => store.clear(),
        38 => drop(store.sweep(5)),
        _ => {
            let keys = [key.as_str(), "7"];
            store.get_many_with(&keys, |at, found| {
                if let Ok((value, _)) = found {
                    value.check(keys[at].parse().unwrap());
                }
            });
        }
    }
    false
}

#[test]
fn every_value_is_dropped_once_and_never_while_somebody_looks_at_it() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let alive = Arc::new(AtomicI64::new(0));
    for shards in [1, 4] {
        let store = canaries(shards);
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (store, alive) = (&store, &alive);
                scope.spawn(move || {
                    let mut random = fastrand::Rng::with_seed(seed ^ thread);
                    let mut hits = 0;
                    for _ in 0..steps(10_000) {
                        hits += u32::from(do_something(store, &mut random, alive));
                    }
                    assert!(hits > steps(10_000) / 100, "{hits} hits prove little");
                });
            }
        });
        store.check();
        sweep_until(&store, &alive, store.len());
        drop(store);
        assert_eq!(alive.load(Ordering::Relaxed), 0);
    }
}

#[test]
fn what_a_look_up_shows_outlives_its_removal_and_its_replacement() {
    let alive = Arc::new(AtomicI64::new(0));
    let store = canaries(1);
    store.insert("1".into(), Canary::new(1, &alive), Insert::default()).unwrap();
    let seen = store.get_with("1", |value| {
        for other in 0..300 {
            let key = (other % 30).to_string();
            store.insert(key, Canary::new(other % 30, &alive), Insert::default()).unwrap();
        }
        store.remove("1");
        store.clear();
        store.sweep(usize::MAX);
        value.check(1);
        value.owner
    });
    assert_eq!(seen, Ok(1));
    sweep_until(&store, &alive, 0);
}

#[test]
fn clear_takes_no_longer_for_many_entries_and_leaves_the_rest_to_sweeps() {
    let count = steps(20_000);
    let alive = Arc::new(AtomicI64::new(0));
    let policy = policy(&larder_policies::LRU, json!({}));
    let store: Canaries = fixture(InProcess::new(entries(50_000), policy).shards(Some(2)));
    let fill = |from: u32| {
        for number in from..from + count {
            let value = Canary::new(number, &alive);
            store.insert(number.to_string(), value, Insert::default()).unwrap();
        }
    };
    fill(0);
    store.clear();
    assert!(store.is_empty() && store.weight() == 0 && store.get_with("0", |_| ()).is_err());
    let left = alive.load(Ordering::Relaxed);
    assert!(left >= i64::from(count) - 2 * 64, "{left}: a clear must not drop one by one");
    store.check();
    // What comes now takes the places of what went, and a second clear finds both.
    fill(100_000);
    store.check();
    store.remove("100007");
    store.clear();
    fill(200_000);
    assert_eq!(store.len(), count as usize);
    store.check();
    sweep_until(&store, &alive, count as usize);
    store.clear();
    sweep_until(&store, &alive, 0);
}

#[test]
fn a_key_that_gets_new_values_stays_one_entry_to_policy_and_scans() {
    let store = lru::<u32, u32>(entries(3));
    for key in 0..3 {
        store.insert(key, 0, Insert::default()).unwrap();
    }
    for value in 1..20 {
        store.insert(0, value, Insert::default()).unwrap();
        store.check();
    }
    // Key 0 was used last, so 1 is the next to go.
    store.insert(3, 0, Insert::default()).unwrap();
    assert_eq!((store.peek(&0), store.peek(&1)), (Some(19), None));
    let mut keys = store.keys();
    keys.sort_unstable();
    assert_eq!(keys, [0, 2, 3]);
}
