//! Deliveries straight to the functions of the host.

use std::sync::Mutex;

use async_trait::async_trait;
use larder_core::invalidator::{self, Scope};
use larder_core::{CacheError, ErrorKind, Stamp};
use tokio::sync::Semaphore;

use super::*;
use crate::change::lend;

/// Longer than anything here takes.
const MINUTE: Duration = Duration::from_secs(60);

/// A cache that takes what it is delivered when it is let.
#[derive(Debug)]
struct Cache {
    may: Semaphore,
    begun: Mutex<Vec<String>>,
    done: Mutex<Vec<String>>,
    lost: AtomicU64,
}

impl Cache {
    fn new(may: usize) -> Arc<Self> {
        let (begun, done, lost) = Default::default();
        Arc::new(Self { may: Semaphore::new(may), begun, done, lost })
    }
}

#[async_trait]
impl InvalidationSink for Cache {
    async fn invalidate(&self, event: invalidator::Invalidation) -> larder_core::Result<()> {
        let Scope::Key(key) = event.scope else { panic!("a scope that no test delivers") };
        self.begun.lock().unwrap().push(key.clone());
        self.may.acquire().await.unwrap().forget();
        if key == "fails" {
            return Err(CacheError::new(ErrorKind::Invalidation, "a tier is away"));
        }
        self.done.lock().unwrap().push(key);
        Ok(())
    }

    async fn lost_track(&self) {
        self.lost.fetch_add(1, Ordering::SeqCst);
    }
}

fn deliver(sink: u64, key: &str) -> Status {
    let event = invalidator::Invalidation::new(Scope::Key(key.to_owned()), Stamp::default());
    let raw = lend(&event).unwrap();
    // SAFETY: it is lent by `event`, which lives.
    unsafe { sink_invalidate(sink, &raw const raw, 1) }
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let patience = async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    };
    let in_time = tokio::time::timeout(MINUTE, patience).await;
    in_time.unwrap_or_else(|_| panic!("not so after a minute: {what}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sink_is_busy_before_it_is_open_and_closed_after_it() {
    let (hub, cache) = (Hub::new(MINUTE), Cache::new(100));
    let number = hub.number();
    let sink = number.0;
    let there = async |key: &'static str| {
        tokio::task::spawn_blocking(move || deliver(sink, key)).await.unwrap()
    };
    assert_eq!(there("early").await, Status::BUSY);
    hub.open(Sink::Invalidations(Arc::clone(&cache) as _));
    assert_eq!(there("first").await, Status::OK);
    assert_eq!(there("fails").await, Status::INVALIDATION);
    let lost = move || {
        // SAFETY: any number may be told.
        unsafe { sink_lost_track(sink) }
    };
    assert_eq!(tokio::task::spawn_blocking(lost).await.unwrap(), Status::OK);
    assert_eq!(cache.lost.load(Ordering::SeqCst), 1);
    // Another sort of delivery, no delivery at all, and a number that somebody made up.
    // SAFETY: there is nothing to read.
    assert_eq!(unsafe { sink_apply(sink, std::ptr::null(), 0) }, Status::UNSUPPORTED);
    // SAFETY: null is refused.
    assert_eq!(unsafe { sink_invalidate(sink, std::ptr::null(), 1) }, Status::BROKEN);
    assert_eq!(there("first").await, Status::OK);
    assert_eq!(deliver(u64::MAX, "forged"), Status::CLOSED);
    hub.close().await;
    assert_eq!(there("late").await, Status::CLOSED);
    hub.open(Sink::Invalidations(Arc::clone(&cache) as _));
    assert_eq!(there("again").await, Status::OK);
    drop(number);
    assert_eq!(there("gone").await, Status::CLOSED);
    assert_eq!(*cache.done.lock().unwrap(), ["first", "first", "again"]);
}

/// Waits until it may, and then says that it did.
#[derive(Debug)]
struct Slow(Cache);

#[async_trait]
impl InvalidationSink for Slow {
    async fn invalidate(&self, event: invalidator::Invalidation) -> larder_core::Result<()> {
        self.0.invalidate(event).await
    }

    async fn lost_track(&self) {
        self.0.begun.lock().unwrap().push("lost".to_owned());
        self.0.may.acquire().await.unwrap().forget();
        self.0.lost_track().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_lost_is_not_told_after_the_close() {
    let (begun, done, lost) = Default::default();
    let cache = Arc::new(Slow(Cache { may: Semaphore::new(0), begun, done, lost }));
    let hub = Hub::new(MINUTE);
    hub.open(Sink::Invalidations(Arc::clone(&cache) as _));
    let telling = Arc::clone(&hub);
    let telling = tokio::spawn(async move { telling.lost_track().await });
    until("it is being told", || cache.0.begun.lock().unwrap().len() == 1).await;
    tokio::time::timeout(MINUTE, hub.close()).await.expect("it does not wait for the cache");
    cache.0.may.add_permits(1);
    tokio::time::timeout(MINUTE, telling).await.expect("it ends").unwrap();
    assert_eq!(cache.0.lost.load(Ordering::SeqCst), 0, "the cache was told after the close");
}

#[tokio::test]
async fn a_thread_that_the_runtime_needs_is_told_to_try_again() {
    let (hub, cache) = (Hub::new(MINUTE), Cache::new(100));
    let number = hub.number();
    hub.open(Sink::Invalidations(cache));
    assert_eq!(lent(|| deliver(number.0, "here")), Status::BUSY);
    let sink = number.0;
    // Not on this thread, on which the delivery has to be carried out.
    let there = tokio::task::spawn_blocking(move || deliver(sink, "there"));
    assert_eq!(there.await.unwrap(), Status::OK);
}

#[test]
fn without_a_runtime_a_delivery_is_done_where_it_comes_from() {
    let (hub, cache) = (Hub::new(MINUTE), Cache::new(1));
    let number = hub.number();
    hub.open(Sink::Invalidations(Arc::clone(&cache) as _));
    assert_eq!(lent(|| deliver(number.0, "here")), Status::OK);
    assert_eq!(*cache.done.lock().unwrap(), ["here"]);
    // It waits for somebody else, who comes.
    let waiting = std::thread::spawn(move || deliver(number.0, "waits"));
    while cache.begun.lock().unwrap().len() < 2 {
        std::thread::yield_now();
    }
    cache.may.add_permits(1);
    assert_eq!(waiting.join().unwrap(), Status::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn few_deliveries_are_under_way_and_the_others_wait() {
    const ALL: usize = 40;
    let (hub, cache) = (Hub::new(MINUTE), Cache::new(0));
    let number = hub.number();
    let sink = number.0;
    hub.open(Sink::Invalidations(Arc::clone(&cache) as _));
    let deliveries: Vec<_> = (0..ALL)
        .map(|_| tokio::task::spawn_blocking(move || deliver(sink, "one of many")))
        .collect();
    let begun = || cache.begun.lock().unwrap().len();
    until("as many as may have begun", || begun() == MOST as usize).await;
    cache.may.add_permits(1);
    until("another one has begun", || begun() == MOST as usize + 1).await;
    cache.may.add_permits(ALL);
    for delivery in deliveries {
        assert_eq!(delivery.await.unwrap(), Status::OK);
    }
    assert_eq!(cache.done.lock().unwrap().len(), ALL);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_that_the_cache_does_not_take_is_given_up() {
    let (hub, cache) = (Hub::new(Duration::from_millis(50)), Cache::new(0));
    let number = hub.number();
    let sink = number.0;
    hub.open(Sink::Invalidations(Arc::clone(&cache) as _));
    let delivery = tokio::task::spawn_blocking(move || deliver(sink, "stuck"));
    assert_eq!(delivery.await.unwrap(), Status::TIMEOUT);
    // It may be half done, so it goes on.
    cache.may.add_permits(1);
    until("it was done late", || cache.done.lock().unwrap().len() == 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_it_is_closed_nothing_is_under_way_any_more() {
    let (hub, cache) = (Hub::new(MINUTE), Cache::new(0));
    let number = hub.number();
    let sink = number.0;
    hub.open(Sink::Invalidations(Arc::clone(&cache) as _));
    let deliveries: Vec<_> =
        (0..20).map(|_| tokio::task::spawn_blocking(move || deliver(sink, "cut off"))).collect();
    until("some have begun", || cache.begun.lock().unwrap().len() == MOST as usize).await;
    tokio::time::timeout(MINUTE, hub.close()).await.expect("it does not wait for the cache");
    cache.may.add_permits(100);
    for delivery in deliveries {
        assert_eq!(delivery.await.unwrap(), Status::CLOSED);
    }
    assert_eq!(cache.done.lock().unwrap().len(), 0);
    assert_eq!(cache.begun.lock().unwrap().len(), MOST as usize, "none began afterwards");
}
