//! What the layers above the store add to a hit: the same keys, one layer more at a time.

use std::future::Future;
use std::hint::black_box;
use std::io::Write;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use larder::{Blocking, Cache, Key};
use larder_core::backend::InProcess;
use larder_core::plugin::Factory;
use larder_core::policy::Capacity;
use larder_core::{SystemClock, serde_json::json};
use larder_policies::S3_FIFO;
use larder_store::{Insert, Store, StoreOptions};

use crate::Failure;
use crate::harness::{Round, Rounds, nanos_each};
use crate::keys::{Numbered, Row64, uniform};
use crate::report::{Report, Row, Unit};
use crate::tables::our_cache;

/// Measures each layer next to the store alone.
pub(crate) fn run<W: Write>(report: &mut Report<W>) -> Result<(), Failure> {
    measure::<u64, u64, W>(report)?;
    measure::<String, Arc<Row64>, W>(report)
}

fn measure<K, V, W>(report: &mut Report<W>) -> Result<(), Failure>
where
    K: Numbered + Key,
    V: Numbered,
    W: Write,
{
    let keys = uniform::<K>(ENTRIES, READS);
    let mut layers =
        ["blocking get", "async get", "get_or_load"].map(|name| (name, Rounds::of([name, STORE])));
    for _ in 0..BUILDS {
        let store = store::<K, V>()?;
        let cache = our_cache::<K, V>(usize::try_from(ENTRIES * 2)?, None)?;
        let handle = cache.blocking();
        for number in 0..ENTRIES {
            let (key, value) = (K::from_number(number), V::from_number(number));
            handle.set(&key, value.clone())?;
            store.insert(key, value, Insert::default()).map_err(|full| format!("{full:?}"))?;
        }
        for (name, rounds) in &mut layers {
            let layer = layer(name, &keys, &cache, &handle);
            let mut sides = [layer, timed(&keys, |key| store.get(key).hit())];
            rounds.run(ROUNDS, &mut sides);
        }
    }
    for (name, rounds) in layers {
        let case = format!("{name} {}", K::NAME);
        report.add(&Row::of_rounds(case, Unit::Nanos, &rounds))?;
    }
    Ok(())
}

/// Reads through one of the ways in.
fn layer<'a, K, V>(
    name: &str,
    keys: &'a [K],
    cache: &'a Cache<K, V>,
    handle: &'a Blocking<K, V>,
) -> Round<'a>
where
    K: Numbered + Key,
    V: Numbered,
{
    match name {
        "blocking get" => timed(keys, |key| handle.get(key).ok()?),
        "async get" => timed(keys, |key| polled_once(cache.get(key))?.ok()?),
        _ => timed(keys, |key| {
            let absent = || Err::<V, _>("a hit does not load");
            handle.get_or_load(key, absent).ok()
        }),
    }
}

/// What a future has to say when it is polled for the first time, as a runtime does on a hit.
pub(crate) fn polled_once<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Pending => None,
        Poll::Ready(output) => Some(output),
    }
}

fn timed<'a, K, V>(keys: &'a [K], get: impl Fn(&K) -> Option<V> + 'a) -> Round<'a> {
    Box::new(move || {
        let start = Instant::now();
        for key in keys {
            assert!(black_box(get(black_box(key))).is_some(), "every key was stored");
        }
        nanos_each(start.elapsed(), keys.len())
    })
}

/// The table alone, with the policy that a config without one gets.
fn store<K, V>() -> Result<Store<K, V>, Failure>
where
    K: Numbered + Key,
    V: Numbered,
{
    let Factory::Policy(factory) = S3_FIFO.factory else {
        return Err("`s3-fifo` is not a policy".into());
    };
    let capacity = Capacity { entries: Some(ENTRIES * 2), weight: None };
    let in_process = InProcess::new(capacity, factory.build(json!({}))?);
    Ok(Store::new(StoreOptions::new(in_process, SystemClock::shared())))
}

const STORE: &str = "store";
const ENTRIES: u64 = 10_000;
const READS: usize = 500_000;
const BUILDS: usize = 4;
const ROUNDS: usize = 6;
