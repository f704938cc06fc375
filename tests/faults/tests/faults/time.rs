//! Clocks that are wrong.

use std::sync::Arc;
use std::time::Duration;

use larder::{Clock, SetOptions, SystemClock};
use larder_core::clock::{Moment, Sleep, Timestamp};
use larder_faults::{Config, Site, Source, Value};
use larder_servers::{Redis, until};

use crate::SOON;

/// The clock of a machine whose date is wrong; seconds are as long as elsewhere.
#[derive(Debug)]
struct Skewed {
    ahead: Duration,
    behind: Duration,
}

impl Skewed {
    fn ahead(by: Duration) -> Arc<dyn Clock> {
        Arc::new(Self { ahead: by, behind: Duration::ZERO })
    }

    fn behind(by: Duration) -> Arc<dyn Clock> {
        Arc::new(Self { ahead: Duration::ZERO, behind: by })
    }
}

impl Clock for Skewed {
    fn now(&self) -> Moment {
        SystemClock.now()
    }

    fn wall(&self) -> Timestamp {
        let shown = SystemClock.wall().as_micros() + self.ahead.as_micros() as u64;
        Timestamp::from_micros(shown - self.behind.as_micros() as u64)
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        SystemClock.sleep(duration)
    }
}

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_ahead_does_not_keep_others_from_writing() {
    let (redis, source) = (Redis::start(), Source::new());
    let config = Config::redis(&redis.url()).without_memory();
    let right = Site::open(&config, &source).await;
    for skewed in [Skewed::ahead(HOUR), Skewed::behind(HOUR)] {
        let wrong = Site::open_at(&config, &source, skewed).await;
        for version in (1..6).step_by(2) {
            wrong.set("key", version).await.unwrap();
            right.set("key", version + 1).await.unwrap();
            let seen = [&right, &wrong].map(|site| site.get("key"));
            for seen in seen {
                // A machine that believes the entry is over has a miss, and never an older value.
                assert_eq!(seen.await.map_or(version + 1, |value| value.version), version + 1);
            }
            wrong.set("key", version).await.unwrap();
            let seen = right.get("key").await;
            assert_eq!(seen.map_or(version, |value| value.version), version);
            right.cache().delete("key").await.unwrap();
            assert_eq!(wrong.get("key").await, None);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_ahead_does_not_make_entries_live_longer_on_the_server() {
    let (redis, source) = (Redis::start(), Source::new());
    let config = Config::redis(&redis.url()).without_memory();
    let wrong = Site::open_at(&config, &source, Skewed::ahead(HOUR)).await;
    let options = SetOptions::new().ttl(Duration::from_secs(1));
    wrong.cache().set_with("key", Value::new("key", 1), &options).await.unwrap();
    let right = Site::open(&config, &source).await;
    until("the end of the entry", SOON, async || right.get("key").await.is_none()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tags_hold_and_end_whatever_the_clocks_show() {
    let (redis, source) = (Redis::start(), Source::new());
    let config = Config::redis(&redis.url()).without_memory();
    let right = Site::open(&config, &source).await;
    for skewed in [Skewed::ahead(HOUR), Skewed::behind(HOUR)] {
        let wrong = Site::open_at(&config, &source, skewed).await;
        let tagged = || SetOptions::new().tag("tag");
        for (by, of) in [(&right, &wrong), (&wrong, &right)] {
            let before = of.load_with("key", tagged()).await.version;
            let version = source.change("key");
            assert!(version > before);
            by.cache().invalidate_tag("tag").await.unwrap();
            assert_eq!(by.load_with("key", tagged()).await.version, version);
        }
    }
}
