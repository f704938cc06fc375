//! Caches over real servers that die, hang, lie and refuse.
//!
//! Each test is named after what its users may rely on; `docs/faults.md` lists the faults with
//! their tests. All of them assert that no call takes longer than its limits and that no value
//! comes back that nobody wrote: [`larder_faults::Site`] checks every call.

#![cfg(unix)]
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test may panic and print, its helpers too"
)]

mod access;
mod bad_input;
mod chaos;
mod cluster;
mod ending;
mod loading;
mod manual;
mod memory;
mod network;
mod nodes;
mod sentinels;
mod servers;
mod states;
mod time;
mod tls;

use std::time::{Duration, Instant};

use larder_faults::Site;
use larder_servers::{Redis, until};

/// The longest that anything may take that happens by itself, such as a reconnect. Much longer
/// than it takes, for the machine may be busy.
const SOON: Duration = Duration::from_secs(20);

/// Whether the server holds an entry of the key.
fn holds(redis: &Redis, key: &str) -> bool {
    !entries(redis, key).is_empty()
}

/// What entries of the key are called on the server.
fn entries(redis: &Redis, key: &str) -> Vec<String> {
    redis.cli(&["KEYS", &format!("ldr1:e:*:{{{key}}}")]).texts()
}

/// Waits until what the site stores arrives at the server; how long that took.
async fn until_used(site: &Site, redis: &Redis) -> Duration {
    let start = Instant::now();
    let mut version = 0;
    until("a server that is used again", SOON, async || {
        version += 1;
        // Whether it was refused is seen on the server.
        site.set("probe", version).await.ok();
        holds(redis, "probe")
    })
    .await;
    start.elapsed()
}

/// Loads keys at the same time, each of which has to come back with its own value.
async fn load_all(site: &Site, keys: impl Iterator<Item = String>) {
    let loads: Vec<_> = keys.map(|key| tokio::spawn(site.load(&key))).collect();
    for load in loads {
        load.await.expect("a load does not panic");
    }
}

fn keys(prefix: &str, count: usize) -> impl Iterator<Item = String> {
    (0..count).map(move |number| format!("{prefix}{number}"))
}
