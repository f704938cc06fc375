//! What a hit costs: no allocation, and no look at the clock unless the entry has a life.

#![expect(unsafe_code, reason = "counting allocations needs a global allocator")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use larder_core::backend::InProcess;
use larder_core::clock::{Clock, Moment, Sleep, SystemClock, Timestamp};
use larder_core::plugin::{Descriptor, Factory};
use larder_core::policy::Capacity;
use larder_core::serde_json::Value;
use larder_store::{Insert, Lookup, Store, StoreOptions};

/// Counts the allocations of each thread, so that tests do not disturb each other.
struct CountingAllocator;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call is passed on unchanged to the allocator of the system.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller upholds the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: `pointer` comes from `alloc` above, so from `System`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// A clock that counts how often it is read.
#[derive(Debug, Default)]
struct CountingClock {
    reads: AtomicUsize,
}

impl Clock for CountingClock {
    fn now(&self) -> Moment {
        self.reads.fetch_add(1, Ordering::Relaxed);
        Moment::default()
    }

    fn wall(&self) -> Timestamp {
        self.reads.fetch_add(1, Ordering::Relaxed);
        Timestamp::default()
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        SystemClock.sleep(duration)
    }
}

const CASES: [(&Descriptor, &str); 9] = [
    (&larder_policies::CLOCK, "{}"),
    (&larder_policies::FIFO, "{}"),
    (&larder_policies::LFU, "{}"),
    (&larder_policies::LRU, "{}"),
    (&larder_policies::LRU, r#"{ "strict": true }"#),
    (&larder_policies::RANDOM, "{}"),
    (&larder_policies::S3_FIFO, "{}"),
    (&larder_policies::SIEVE, "{}"),
    (&larder_policies::TTL, "{}"),
];

fn store(case: (&Descriptor, &str)) -> (Store<u64, Arc<str>>, Arc<CountingClock>) {
    let Factory::Policy(factory) = case.0.factory else {
        panic!("{:?} is not a policy", case.0);
    };
    let options: Value = case.1.parse().expect("it is JSON");
    let capacity = Capacity { entries: Some(1000), weight: None };
    let in_process = InProcess::new(capacity, factory.build(options).expect("they are right"));
    let clock = Arc::new(CountingClock::default());
    let shared: Arc<dyn Clock> = Arc::<CountingClock>::clone(&clock);
    (Store::new(StoreOptions::new(in_process, shared)), clock)
}

#[test]
fn a_hit_allocates_nothing_and_does_not_read_the_clock() {
    for case in CASES {
        let (store, clock) = store(case);
        for key in 0..500 {
            store.insert(key, Arc::from("value"), Insert::default()).unwrap();
        }
        // The first look-up of a thread leases it a number.
        assert!(matches!(store.get(&0), Lookup::Hit(_)));
        let (reads, allocations) = (clock.reads.load(Ordering::Relaxed), ALLOCATIONS.get());
        for key in (0..500).cycle().take(5000) {
            assert!(matches!(store.get(&key), Lookup::Hit(_)));
            assert!(matches!(store.get(&(key + 500)), Lookup::Miss(_)));
        }
        assert_eq!(ALLOCATIONS.get(), allocations, "{case:?}");
        assert_eq!(clock.reads.load(Ordering::Relaxed), reads, "{case:?}");
        assert_eq!(reads, 0, "nor does an insert without a life read it");
    }
}

#[test]
fn a_hit_of_an_entry_with_a_life_reads_the_clock_once() {
    for case in CASES {
        let (store, clock) = store(case);
        let insert = Insert::default().deadline(Some(Moment::from_nanos(1)));
        store.insert(1, Arc::from("value"), insert).unwrap();
        store.get(&1);
        let (reads, allocations) = (clock.reads.load(Ordering::Relaxed), ALLOCATIONS.get());
        for _ in 0..100 {
            assert!(matches!(store.get(&1), Lookup::Hit(_)));
        }
        assert_eq!(clock.reads.load(Ordering::Relaxed), reads + 100);
        assert_eq!(ALLOCATIONS.get(), allocations);
    }
}
