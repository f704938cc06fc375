//! A long outage of a tier takes a bounded amount of memory, whatever is asked of the cache
//! meanwhile. Alone in its process, whose memory it measures; longer with `LARDER_SOAK`.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::env;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use larder::{CacheManager, Format, ManualClock, SetOptions};
use larder_integration::{Strings, Users, soon, strings, until};

/// How many patterns are deleted at first: more than the recovery log holds, so that it collapses.
/// Keys would do as well, but leave so much free memory behind that losses could hide in it.
const PATTERNS: usize = 300;

/// How many keys are deleted before it is looked how much memory there is.
const WARM_UP: usize = 5000;

/// How much more memory the process may have in the end. Deletes that left a hundred bytes behind
/// each would take more.
const MORE: u64 = 4 << 20;

/// How many keys are deleted after that; more with `LARDER_SOAK`.
fn deletes() -> usize {
    if env::var_os("LARDER_SOAK").is_some() { 1_000_000 } else { 60_000 }
}

const CONFIG: &str = "[caches.users]\n\
    l1.backend = { kind = \"memory\", capacity = 1000 }\n\
    l2.backend = { kind = \"test.puppet\", name = \"flat\", knows_versions = true }\n\
    ttl = \"1m\"\n\
    resilience = { hard_timeout = \"1s\", stale_for = \"1m\" }\n";

/// The memory of this process.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

struct Outage {
    users: Users,
    puppet: Arc<Strings>,
    clock: ManualClock,
    calls: usize,
}

impl Outage {
    async fn begin() -> Self {
        let clock = ManualClock::new();
        let builder = CacheManager::builder().text("caches.toml", Format::Toml, CONFIG);
        let manager = builder.clock(Arc::new(clock.clone())).build().await.unwrap();
        Self { users: manager.cache("users").unwrap(), puppet: strings("flat"), clock, calls: 0 }
    }

    /// Deletes so many other keys, and does everything else with some of them.
    async fn delete(&mut self, count: usize) {
        let end = self.calls + count;
        while self.calls < end {
            self.calls += 1;
            let key = format!("key {}", self.calls);
            self.users.delete(&key).await.unwrap();
            if self.calls.is_multiple_of(10) {
                self.users.set_with(&key, key.clone(), &tagged(&key)).await.unwrap();
                self.users.get_many([&*key, "key 1"]).await.unwrap();
                let away = || async { Err::<String, _>("away") };
                self.users.get_or_load(&format!("{key} of nobody"), away).await.unwrap_err();
                self.users.invalidate_tag(&key).await.unwrap();
            }
            if self.calls.is_multiple_of(1000) {
                self.give_up().await;
                // What a puppet notes is none of the cache's business.
                self.puppet.calls.lock().unwrap().clear();
                assert_eq!(self.waiting(), 1, "one record stands for all");
            }
        }
    }

    /// Begins loads and writes that nobody waits for, and lets time pass until they are over.
    async fn give_up(&self) {
        let mut callers = Vec::new();
        for number in 0..10 {
            let (users, key) = (self.users.clone(), format!("load {} {number}", self.calls));
            let never = || async { pending::<Result<String, String>>().await };
            callers.push(tokio::spawn(async move { drop(users.get_or_load(&key, never).await) }));
            let (users, key) = (self.users.clone(), format!("set {} {number}", self.calls));
            callers.push(tokio::spawn(async move { drop(users.set(&key, key.clone()).await) }));
        }
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        callers.iter().for_each(tokio::task::JoinHandle::abort);
        for _ in 0..20 {
            self.clock.advance(Duration::from_secs(1));
            tokio::task::yield_now().await;
        }
    }

    fn waiting(&self) -> u64 {
        self.users.stats().snapshot().tiers[1].pending
    }
}

fn tagged(tag: &str) -> SetOptions {
    SetOptions::new().tag(tag)
}

#[tokio::test]
async fn memory_stays_flat_during_a_long_outage() {
    let mut outage = Outage::begin().await;
    // Writes whose outcome nobody will ever know.
    outage.puppet.hang_in("put_if_newer");
    outage.give_up().await;
    outage.puppet.hang_in(None);
    outage.puppet.fails.store(true, SeqCst);

    for pattern in 0..PATTERNS {
        outage.users.delete_pattern(&format!("{pattern}*")).await.unwrap();
    }
    outage.delete(WARM_UP).await;
    let before = resident();
    outage.delete(deletes()).await;
    let after = resident();
    println!("{} KiB, then {} KiB after {} deletes", before >> 10, after >> 10, outage.calls);
    assert!(after < before + MORE, "{before} bytes, then {after}");

    outage.puppet.fails.store(false, SeqCst);
    until("the replay", || {
        outage.clock.advance(Duration::from_millis(500));
        outage.waiting() == 0
    })
    .await;
    soon("a write", outage.users.set("key", "value".into())).await.unwrap();
    assert!(outage.puppet.entries.lock().unwrap().contains_key("key"), "the tier is used again");
}
