//! The time of a hit next to `quick_cache`: medians of alternating rounds, as ratios.
//!
//! Run with `cargo bench -p larder-store --bench hit`. Below 1 we are faster.

#![expect(clippy::print_stdout, reason = "a benchmark prints its results")]

use std::hash::Hash;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use larder_core::backend::InProcess;
use larder_core::plugin::{Descriptor, Factory};
use larder_core::policy::Capacity;
use larder_core::{SystemClock, serde_json::json};
use larder_store::{Insert, Lookup, Store, StoreOptions};
use quick_cache::sync::Cache;

const KEYS: usize = 10_000;
const CAPACITY: usize = 2 * KEYS;
const ROUNDS: usize = 101;
const PASSES: usize = 10;

fn store<K, V>(policy: &Descriptor) -> Store<K, V>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    let Factory::Policy(factory) = policy.factory else {
        panic!("{policy:?} is not a policy");
    };
    let policy = factory.build(json!({})).expect("it has defaults");
    let capacity = Capacity { entries: Some(CAPACITY as u64), weight: None };
    let in_process = InProcess::new(capacity, policy);
    Store::new(StoreOptions::new(in_process, SystemClock::shared()))
}

/// Nanoseconds of one look-up, if `get` looks up all keys.
fn round(get: &mut dyn FnMut()) -> f64 {
    let start = Instant::now();
    for _ in 0..PASSES {
        get();
    }
    let total: Duration = start.elapsed();
    total.as_nanos() as f64 / (KEYS * PASSES) as f64
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn compare<K, V>(
    name: &str,
    policy: &Descriptor,
    key: impl Fn(usize) -> K,
    value: impl Fn(usize) -> V,
) where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    let ours = store(policy);
    let theirs = Cache::new(CAPACITY);
    let mut keys: Vec<K> = (0..KEYS).map(key).collect();
    for (number, key) in keys.iter().enumerate() {
        ours.insert(key.clone(), value(number), Insert::default()).expect("there is room");
        theirs.insert(key.clone(), value(number));
    }
    // Not in the order of insertion, which would flatter whoever keeps entries in that order.
    fastrand::Rng::with_seed(1).shuffle(&mut keys);
    let mut our_get = || {
        for key in &keys {
            let found = ours.get(black_box(key));
            assert!(matches!(black_box(found), Lookup::Hit(_)));
        }
    };
    let mut their_get = || {
        for key in &keys {
            let found = theirs.get(black_box(key));
            assert!(black_box(found).is_some());
        }
    };
    let (mut our_times, mut their_times, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (our_time, their_time) = (round(&mut our_get), round(&mut their_get));
        our_times.push(our_time);
        their_times.push(their_time);
        // Rounds that follow each other see the same machine, however busy it is.
        ratios.push(our_time / their_time);
    }
    println!(
        "{name:<16} {:<8} {:6.1} ns, quick_cache {:6.1} ns, ratio {:.2}",
        policy.kind,
        median(our_times),
        median(their_times),
        median(ratios)
    );
}

fn main() {
    let policies = [
        larder_policies::S3_FIFO,
        larder_policies::SIEVE,
        larder_policies::FIFO,
        larder_policies::LRU,
    ];
    for policy in &policies {
        compare("u64 to u64", policy, |number| number as u64, |number| number as u64);
        let text = |number| format!("key_{number}");
        compare("String to Arc", policy, text, Arc::new);
    }
}
