//! Changes that meet a load, in this process and in others.

use std::time::Duration;

use larder::{Result, SetOptions};
use larder_faults::{Config, Site, Source, Value};
use larder_servers::{Redis, until};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::{SOON, entries, holds};

/// A load whose loader has read the source and waits.
struct Held {
    go_on: oneshot::Sender<()>,
    load: JoinHandle<Result<Value>>,
}

impl Held {
    /// Begins a load, and returns when its loader has the value.
    async fn begin(site: &Site, source: &Source, key: &str) -> Self {
        let (began, beginning) = oneshot::channel();
        let (go_on, gate) = oneshot::channel::<()>();
        let (cache, source, key) = (site.cache().clone(), source.clone(), key.to_owned());
        let load = tokio::spawn(async move {
            let asked = key.clone();
            let loader = move || async move {
                let value = source.read(&asked);
                began.send(()).ok();
                gate.await.ok();
                Ok::<_, std::io::Error>(value)
            };
            cache.get_or_load_with(&key, SetOptions::new().tag("tag"), loader).await
        });
        tokio::time::timeout(SOON, beginning).await.expect("the loader runs").unwrap();
        Self { go_on, load }
    }

    /// Lets the loader end, and returns what the caller gets.
    async fn finish(self) -> Value {
        // The loader may have been given up.
        self.go_on.send(()).ok();
        let ended = tokio::time::timeout(SOON, self.load).await.expect("the load ends");
        ended.unwrap().expect("a load that is overtaken still answers its caller")
    }
}

/// The ways to make a key unusable.
#[derive(Clone, Copy, Debug)]
enum Change {
    Clear,
    Delete,
    Pattern,
    Set,
    Tag,
}

impl Change {
    const ALL: [Self; 5] = [Self::Clear, Self::Delete, Self::Pattern, Self::Set, Self::Tag];

    async fn make(self, site: &Site, key: &str, version: u64) {
        let cache = site.cache();
        match self {
            Self::Clear => cache.clear().await.unwrap(),
            Self::Delete => drop(cache.delete(key).await.unwrap()),
            Self::Pattern => drop(cache.delete_pattern(&format!("{key}*")).await.unwrap()),
            Self::Set => cache.set(key, Value::new(key, version)).await.unwrap(),
            Self::Tag => cache.invalidate_tag("tag").await.unwrap(),
        }
    }
}

/// A load meets a change that `by` makes; afterwards nobody sees what was loaded before it.
async fn overtake(redis: &Redis, config: &Config, change: Change, is_elsewhere: bool) {
    let source = Source::new();
    let site = Site::open(config, &source).await;
    let other = Site::open(config, &source).await;
    let key = "key";
    let held = Held::begin(&site, &source, key).await;
    let version = source.change(key);
    let by = if is_elsewhere { &other } else { &site };
    change.make(by, key, version).await;
    held.finish().await;
    let what = format!("{change:?}, elsewhere: {is_elsewhere}");
    let fresh = Site::open(config, &source).await;
    // Memory is not told of tags that others invalidate; the server is.
    let is_told = !(is_elsewhere && matches!(change, Change::Tag));
    let loader = is_told.then_some(("the loader", &site));
    for (who, site) in loader.into_iter().chain([("the other", &other), ("a third", &fresh)]) {
        let seen = site.get(key).await.map_or(version, |value| value.version);
        assert_eq!(seen, version, "{who} after {what}: {:?}", entries(redis, key));
        assert_eq!(site.load(key).await.version, version, "{who} after {what}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_loaded_before_a_change_is_stored_nowhere_after_it() {
    let redis = Redis::start();
    for change in Change::ALL {
        overtake(&redis, &Config::redis(&redis.url()), change, false).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_loaded_before_a_change_of_another_process_is_stored_nowhere_after_it() {
    let redis = Redis::start();
    for change in Change::ALL {
        overtake(&redis, &Config::redis(&redis.url()), change, true).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_in_the_background_does_not_undo_a_change() {
    let redis = Redis::start();
    for change in Change::ALL {
        let config = Config::redis(&redis.url())
            .cache("resilience = { stale_for = \"10m\", soft_timeout = \"1ms\" }");
        let source = Source::new();
        let site = Site::open(&config, &source).await;
        let key = "key";
        let short = SetOptions::new().ttl(Duration::from_millis(20)).tag("tag");
        site.cache().set_with(key, Value::new(key, 1), &short).await.unwrap();
        until("an entry that is stale", SOON, async || site.get(key).await.is_none()).await;
        // The caller gets the stale value after a millisecond, and the load goes on.
        let held = Held::begin(&site, &source, key).await;
        let version = source.change(key);
        change.make(&site, key, version).await;
        held.finish().await;
        let fenced = || site.cache().stats().snapshot().fenced;
        until("a load that ends", SOON, async || fenced() > 0 || !matches!(change, Change::Set))
            .await;
        assert_eq!(site.load(key).await.version, version, "after {change:?}");
        let fresh = Site::open(&config, &source).await;
        assert_eq!(fresh.load(key).await.version, version, "after {change:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_whose_lease_is_lost_is_not_stored() {
    let (redis, source) = (Redis::start(), Source::new());
    let config = Config::redis(&redis.url());
    let site = Site::open(&config, &source).await;
    let held = Held::begin(&site, &source, "key").await;
    for lease in redis.cli(&["KEYS", "ldr1:l:*"]).texts() {
        redis.cli(&["DEL", &lease]);
    }
    assert_eq!(held.finish().await.version, 1);
    assert!(!holds(&redis, "key"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_whose_tag_was_forgotten_are_not_served() {
    let (redis, source) = (Redis::start(), Source::new());
    let config = Config::redis(&redis.url());
    let site = Site::open(&config, &source).await;
    site.load_with("key", SetOptions::new().tag("tag")).await;
    let version = source.change("key");
    site.cache().invalidate_tag("tag").await.unwrap();
    let kept = entries(&redis, "key");
    // All but the entry is evicted, also what is known of the tag.
    for name in redis.cli(&["KEYS", "*"]).texts() {
        if !kept.contains(&name) && !name.starts_with("ldr1:c:") {
            redis.cli(&["DEL", &name]);
        }
    }
    let fresh = Site::open(&config, &source).await;
    assert_eq!(fresh.load_with("key", SetOptions::new().tag("tag")).await.version, version);
}
