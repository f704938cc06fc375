//! How the servers of a cache are, from what they say of themselves.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::try_join_all;
use larder_core::backend::Health;
use larder_core::{HumanDuration, Result, Timestamp};
use redis::Pipeline;

use crate::answer;
use crate::connection::{Lane, Route};
use crate::space::Space;

/// A server whose memory is used to this part has no room left.
const FULL_PERCENT: u64 = 95;

/// A clock that differs by this much makes lives end at another time than was meant.
const DRIFT: Duration = Duration::from_secs(2);

/// The first release with everything that is needed.
const OLDEST: u64 = 7;

impl Space {
    /// How often a server could be used again.
    pub(crate) fn comebacks(&self) -> u64 {
        self.connection.comebacks()
    }

    /// What the servers say. One round trip.
    pub(crate) async fn health(&self) -> Result<Health> {
        let servers = self.connection.layout().await?.servers.max(1);
        let complaints = try_join_all((0..servers).map(|server| self.complaint(server))).await?;
        let mut health = Health::default();
        health.corrupt = self.unreadable.count();
        health.counts = self.counts();
        health.degraded = complaints.into_iter().flatten().next();
        Ok(health)
    }

    /// What is counted besides, by name.
    fn counts(&self) -> BTreeMap<&'static str, u64> {
        let connection = self.connection.health();
        let batches = self.batches.load(Ordering::Relaxed);
        let keys = self.batched_keys.load(Ordering::Relaxed);
        BTreeMap::from([
            ("batched_keys", keys),
            ("batches", batches),
            ("reconnects", connection.reconnects),
            ("retries", connection.retries),
            ("swept", self.swept.load(Ordering::Relaxed)),
        ])
    }

    async fn complaint(&self, server: usize) -> Result<Option<String>> {
        let mut pipeline = Pipeline::new();
        pipeline.cmd("INFO").arg("server");
        pipeline.cmd("INFO").arg("memory");
        pipeline.cmd("TIME");
        let answers = self.connection.send(Lane::Small, Route::Primary(server), pipeline).await?;
        let mut answers = answers.into_iter();
        let version = answer::bytes(answers.next())?.unwrap_or_default();
        let memory = answer::bytes(answers.next())?.unwrap_or_default();
        let mut parts = Vec::new();
        for part in answer::many(answers.next())? {
            let part = answer::bytes(Some(part))?.unwrap_or_default();
            parts.push(std::str::from_utf8(&part).ok().and_then(|text| text.parse().ok()));
        }
        let time = match parts[..] {
            [Some(seconds), Some(micros)] => Some(micros_of(seconds, micros)),
            _ => None,
        };
        let (version, memory) =
            (String::from_utf8_lossy(&version), String::from_utf8_lossy(&memory));
        let by_time = time.and_then(|time| about_clock(time, self.now()));
        Ok(about_version(&version).or_else(|| about_memory(&memory)).or(by_time))
    }
}

fn micros_of(seconds: u64, micros: u64) -> Timestamp {
    Timestamp::from_micros(seconds.saturating_mul(1_000_000).saturating_add(micros))
}

fn fields(info: &str) -> HashMap<&str, &str> {
    info.lines().filter_map(|line| line.split_once(':')).collect()
}

fn about_version(info: &str) -> Option<String> {
    let fields = fields(info);
    // Valkey says what Redis it is compatible with, and that is what counts.
    let version = fields.get("redis_version")?;
    let major: u64 = version.split('.').next()?.parse().ok()?;
    (major < OLDEST).then(|| format!("the server is Redis {version}, but 7.0 or later is needed"))
}

fn about_memory(info: &str) -> Option<String> {
    let fields = fields(info);
    let number = |name: &str| fields.get(name)?.parse::<u64>().ok();
    let (used, limit) = (number("used_memory")?, number("maxmemory")?);
    let evicts = fields.get("maxmemory_policy").is_some_and(|policy| *policy != "noeviction");
    let is_full = limit > 0 && used.saturating_mul(100) / limit >= FULL_PERCENT;
    (is_full && !evicts).then(|| {
        let percent = used.saturating_mul(100) / limit;
        format!("the server uses {percent} % of its `maxmemory` and evicts nothing")
    })
}

fn about_clock(theirs: Timestamp, ours: Timestamp) -> Option<String> {
    let (ahead, behind) = (theirs.since(ours), ours.since(theirs));
    let say = |by: Duration, word| {
        let by = HumanDuration(Duration::from_secs(by.as_secs()));
        format!("the clock of the server is {by} {word} ours")
    };
    if ahead >= DRIFT {
        return Some(say(ahead, "ahead of"));
    }
    (behind >= DRIFT).then(|| say(behind, "behind"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_full_server_that_evicts_nothing_is_a_problem() {
        let info = |used: u64, policy: &str| {
            let limit = 1000;
            format!(
                "# Memory\r\nused_memory:{used}\r\nmaxmemory:{limit}\r\nmaxmemory_policy:{policy}\r\n"
            )
        };
        let said = about_memory(&info(960, "noeviction")).unwrap();
        assert_eq!(said, "the server uses 96 % of its `maxmemory` and evicts nothing");
        assert_eq!(about_memory(&info(960, "allkeys-lru")), None);
        assert_eq!(about_memory(&info(900, "noeviction")), None);
        assert_eq!(about_memory("used_memory:5\r\nmaxmemory:0\r\n"), None);
        assert_eq!(about_memory(""), None);
    }

    #[test]
    fn an_old_server_is_named() {
        let said = about_version("# Server\r\nredis_version:6.2.14\r\n").unwrap();
        assert_eq!(said, "the server is Redis 6.2.14, but 7.0 or later is needed");
        assert_eq!(about_version("redis_version:7.0.15\r\n"), None);
        assert_eq!(about_version("redis_version:8.0.0\r\n"), None);
        assert_eq!(about_version("nonsense"), None);
    }

    #[test]
    fn clocks_that_differ_are_a_problem() {
        let at = |seconds| micros_of(seconds, 0);
        assert_eq!(about_clock(at(100), at(101)), None);
        assert_eq!(
            about_clock(at(700), at(100)).unwrap(),
            "the clock of the server is 10m ahead of ours"
        );
        assert_eq!(
            about_clock(at(100), at(103)).unwrap(),
            "the clock of the server is 3s behind ours"
        );
    }
}
