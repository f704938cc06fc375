//! Tests of the backend through the trait, and of its options.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use larder_core::backend::{Deadlines, OnFull, ScanRequest};
use larder_core::clock::{Moment, Sleep, Timestamp};
use larder_core::plugin::Factory;
use larder_core::policy::Capacity;
use larder_core::serde_json::{self, json};
use larder_core::{
    Backend, BuildContext, ByteSize, Bytes, Clock, Entry, EntryMeta, ErrorKind, KeyPath,
    ManualClock, PluginConfig, Registry, Slot,
};

use crate::{MEMORY, MemoryBackend, MemoryConfig};

fn context(clock: &ManualClock) -> BuildContext {
    let Factory::Policy(factory) = larder_policies::LRU.factory else {
        panic!("`lru` is not a policy");
    };
    BuildContext::new("test")
        .clock(Arc::new(clock.clone()))
        .policy(Some(factory.build(json!({})).unwrap()))
}

async fn backend(config: MemoryConfig) -> (MemoryBackend, ManualClock) {
    let clock = ManualClock::new();
    let backend = config.build(&context(&clock)).await.unwrap();
    (backend, clock)
}

fn entry(value: &'static str) -> Entry {
    Entry { value: Bytes::from_static(value.as_bytes()), meta: EntryMeta::default() }
}

fn mortal(value: &'static str, clock: &ManualClock, seconds: u64) -> Entry {
    let mut entry = entry(value);
    entry.meta.hard_deadline = Some(clock.wall().after(Duration::from_secs(seconds)));
    entry
}

#[tokio::test]
async fn an_entry_comes_back_as_it_was_set() {
    let (backend, clock) = backend(MemoryConfig::default()).await;
    let mut first = mortal("one", &clock, 60);
    first.meta.tags.push(larder_core::entry::TagStamp { tag: 1, version: 2 });
    backend.set("a", first.clone()).await.unwrap();
    assert_eq!(backend.get("a").await.unwrap(), Some(first.clone()));
    assert_eq!(backend.meta("a").await.unwrap(), Some(first.meta));
    assert!(backend.exists("a").await.unwrap());
    assert!(backend.delete("a").await.unwrap());
    assert!(!backend.delete("a").await.unwrap());
    assert_eq!(backend.get("a").await.unwrap(), None);
}

#[tokio::test]
async fn an_entry_is_gone_at_its_hard_deadline_and_not_before() {
    let (backend, clock) = backend(MemoryConfig::default()).await;
    backend.set("a", mortal("one", &clock, 10)).await.unwrap();
    backend.set("b", mortal("dead", &clock, 0)).await.unwrap();
    assert!(!backend.exists("b").await.unwrap());
    clock.advance(Duration::from_micros(9_999_999));
    assert!(backend.get("a").await.unwrap().is_some());
    clock.advance(Duration::from_micros(1));
    assert!(!backend.exists("a").await.unwrap());
    assert!(!backend.delete("a").await.unwrap());
    assert_eq!(backend.get("a").await.unwrap(), None);
}

#[tokio::test]
async fn a_dead_entry_takes_the_one_before_along() {
    let (backend, clock) = backend(MemoryConfig::default()).await;
    backend.set("a", entry("old")).await.unwrap();
    backend.set("a", mortal("new", &clock, 0)).await.unwrap();
    assert_eq!(backend.get("a").await.unwrap(), None);
}

#[tokio::test]
async fn touch_changes_deadlines_and_nothing_else() {
    let (backend, clock) = backend(MemoryConfig::default()).await;
    backend.set("a", mortal("one", &clock, 10)).await.unwrap();
    let at = |seconds| Some(clock.wall().after(Duration::from_secs(seconds)));
    let deadlines = Deadlines { soft: at(20), hard: at(30) };
    assert!(backend.touch("a", deadlines).await.unwrap());
    assert!(!backend.touch("b", deadlines).await.unwrap());
    clock.advance(Duration::from_secs(29));
    let touched = backend.get("a").await.unwrap().unwrap();
    assert_eq!(touched.value, "one");
    let meta = &touched.meta;
    assert_eq!((meta.soft_deadline, meta.hard_deadline), (deadlines.soft, deadlines.hard));
    clock.advance(Duration::from_secs(1));
    assert_eq!(backend.get("a").await.unwrap(), None);
    backend.set("a", entry("two")).await.unwrap();
    let past = Deadlines { soft: None, hard: Some(clock.wall()) };
    assert!(backend.touch("a", past).await.unwrap());
    assert!(!backend.exists("a").await.unwrap());
}

/// A clock whose wall time somebody sets forward by a day.
#[derive(Debug, Default)]
struct SetForward {
    clock: ManualClock,
    is_ahead: AtomicBool,
}

impl Clock for SetForward {
    fn now(&self) -> Moment {
        self.clock.now()
    }

    fn wall(&self) -> Timestamp {
        let days = u64::from(self.is_ahead.load(Ordering::Relaxed));
        self.clock.wall().after(Duration::from_secs(86_400 * days))
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        self.clock.sleep(duration)
    }
}

#[tokio::test]
async fn touch_does_not_revive_what_is_dead_by_the_wall_clock() {
    let clock = Arc::new(SetForward::default());
    let context = context(&clock.clock).clock(Arc::<SetForward>::clone(&clock));
    let backend = MemoryConfig::default().build(&context).await.unwrap();
    backend.set("a", mortal("one", &clock.clock, 60)).await.unwrap();
    clock.is_ahead.store(true, Ordering::Relaxed);
    assert!(!backend.exists("a").await.unwrap());
    assert!(!backend.touch("a", Deadlines::default()).await.unwrap());
    assert_eq!(backend.get("a").await.unwrap(), None);
}

#[tokio::test]
async fn bytes_are_limited_and_evicted_by_the_policy() {
    let config = MemoryConfig::default().max_bytes(Some(ByteSize(10)));
    let (backend, _) = backend(config).await;
    backend.set("a", entry("1234")).await.unwrap();
    backend.set("b", entry("1234")).await.unwrap();
    assert_eq!(backend.health().await.unwrap().bytes, Some(10));
    backend.get("a").await.unwrap();
    backend.set("c", entry("1")).await.unwrap();
    assert!(!backend.exists("b").await.unwrap());
    let health = backend.health().await.unwrap();
    assert_eq!((health.entries, health.bytes), (Some(2), Some(7)));
    let error = backend.set("d", entry("0123456789")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Capacity);
}

#[tokio::test]
async fn a_full_backend_that_rejects_says_how_full_it_is() {
    let config = MemoryConfig::with_capacity(1).on_full(OnFull::Reject);
    let (backend, _) = backend(config).await;
    backend.set("a", entry("1")).await.unwrap();
    let error = backend.set("b", entry("2")).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "cache is full (operation=`set`, key=`b`, max_size=`1`, current_size=`1`); \
         hint: raise `capacity` or `max_bytes`, or set `on_full = \"evict\"`"
    );
    assert!(backend.exists("a").await.unwrap());
}

#[tokio::test]
async fn scan_lists_keys_by_prefix_in_pages() {
    let (backend, _) = backend(MemoryConfig::default()).await;
    let many = (0..100).map(|number| (format!("{}:{number}", number % 2), entry("x")));
    backend.set_many(many.collect()).await.unwrap();
    let (mut keys, mut cursor) = (Vec::new(), None);
    loop {
        let request = ScanRequest::all().prefix("1:").limit(7).from_cursor(cursor);
        let page = backend.scan(request).await.unwrap();
        keys.extend(page.keys);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(keys.len(), 50);
    assert!(keys.iter().all(|key| key.starts_with("1:")));
    let foreign = ScanRequest::all().from_cursor(Some("x".into()));
    assert!(backend.scan(foreign).await.is_err());
    let found = backend.get_many(&["1:1", "nope", "0:0"]).await.unwrap();
    let found: Vec<bool> = found.iter().map(Option::is_some).collect();
    assert_eq!(found, [true, false, true]);
    backend.clear().await.unwrap();
    assert_eq!(backend.health().await.unwrap().entries, Some(0));
}

#[tokio::test]
async fn without_a_policy_it_cannot_be_built() {
    let error = MemoryConfig::default().build(&BuildContext::new("users")).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("hint: name one, such as `policy = \"s3-fifo\"`"));
}

#[tokio::test]
async fn the_settings_of_a_typed_store_are_those_of_the_config() {
    let (unlimited, _) = backend(MemoryConfig::default()).await;
    let (by_bytes, _) = backend(MemoryConfig::default().max_bytes(Some(ByteSize(5)))).await;
    let capacity = |backend: &MemoryBackend| backend.in_process().unwrap().capacity;
    let expected = [
        Capacity { entries: Some(10_000), weight: None },
        Capacity { entries: None, weight: Some(5) },
    ];
    assert_eq!([capacity(&unlimited), capacity(&by_bytes)], expected);
}

#[test]
fn options_are_read_and_checked() {
    let options = json!({ "capacity": 5, "max_bytes": "1KiB", "on_full": "reject", "shards": 2 });
    let config: MemoryConfig = serde_json::from_value(options).unwrap();
    assert!(config.validate(&KeyPath::root()).is_ok());
    let options = json!({ "capacity": 0, "max_bytes": "0B", "shards": 0 });
    let config: MemoryConfig = serde_json::from_value(options).unwrap();
    let problems = config.validate(&KeyPath::root()).unwrap_err();
    let paths: Vec<String> = problems.iter().map(|problem| problem.path.to_string()).collect();
    assert_eq!(paths, ["capacity", "max_bytes", "shards"]);
}

#[test]
fn it_is_registered_and_may_be_registered_again_by_hand() {
    let registry = Registry::linked().with(MEMORY);
    assert!(registry.find(Slot::Backend, "memory").is_some());
    assert!(registry.conflicts().is_empty());
}
