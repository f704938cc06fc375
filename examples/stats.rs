//! How well does my cache do, and why does it miss?
//!
//! Every miss has a cause: one that is mostly `cold` needs warming, one that is mostly `evicted`
//! needs room, one that is mostly `expired` needs a longer `ttl`.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::sync::Arc;
use std::time::Duration;

use larder::{CacheManager, Clock, Format, ManualClock};
use serde_json::json;

const CONFIG: &str = r#"
    [caches.sessions]
    ttl = "30m"
    l1.backend = { kind = "memory", capacity = 100 }
    l1.policy  = "lru"
"#;

#[tokio::main(flavor = "current_thread")]
async fn main() -> larder::Result<()> {
    // A clock that is turned by hand: half an hour passes in no time, also in your tests.
    let clock = Arc::new(ManualClock::new());
    let caches = CacheManager::builder()
        .text("stats.toml", Format::Toml, CONFIG)
        .clock(Arc::clone(&clock) as Arc<dyn Clock>)
        .build()
        .await?;
    let sessions = caches.cache::<u32, String>("sessions")?;

    for id in 0..50 {
        sessions.set(&id, format!("session {id}")).await?;
    }
    for id in [7, 7, 7, 7, 8, 8, 99] {
        sessions.get(&id).await?;
    }
    let stats = sessions.stats();
    for (key, hits) in stats.hottest_keys(2) {
        println!("session {key} was read {hits} times");
    }
    sessions.delete(&8).await?;
    sessions.get(&8).await?;
    clock.advance(Duration::from_secs(31 * 60));
    sessions.get(&7).await?;

    let snapshot = stats.snapshot();
    print!("{snapshot}");
    if let Some(share) = stats.hit_rate_window(Duration::from_secs(3600)) {
        println!("of the last hour: {:.1}%", share * 100.0);
    }
    println!("for machines: {}", json!({ "hits": snapshot.hits, "misses": snapshot.miss_causes }));
    for summary in caches.summary() {
        println!("{}: {}", summary.name, summary.tiers.join(" over "));
    }
    Ok(())
}
