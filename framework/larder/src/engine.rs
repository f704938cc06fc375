//! The part of a cache that does not depend on its key and value types: byte tiers, fence, tags,
//! counters.
//!
//! A hit in the store never comes here. Everything here works on the text of a key and on
//! [`Entry`]s; [`read`] looks entries up, [`put`] stores them, [`remove`] and [`touch`] end them,
//! [`write`] keeps all that in order, and [`above`] serves other caches.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use larder_core::backend::ScanRequest;
use larder_core::{
    CacheError, Capabilities, Clock, ErrorKind, Result, Serializer, Stamp, StampClock, telemetry,
};
use tokio::sync::{Mutex, MutexGuard, RwLock, RwLockReadGuard};

use crate::fence::Fence;
use crate::format::Linked;
use crate::rules::Rules;
use crate::settings::Settings;
use crate::stats::Counters;
use crate::tags::TagTable;
use crate::tier::{ByteTier, Lane};

mod above;
mod lease;
mod look;
mod mark;
mod put;
mod read;
mod remove;
mod repack;
mod touch;
mod write;

pub(crate) use lease::{Answer as LeaseAnswer, Granted};
pub(crate) use look::{Look, TierSet};
pub(crate) use put::Filling;
pub(crate) use read::{Found, Read, Settled};
pub(crate) use remove::requests_for;
pub(crate) use write::{Finally, Payloads};

/// Writes of one key are kept in order down all tiers by a lock; two keys that share one of these
/// only wait for each other.
const WRITE_STRIPES: usize = 256;

/// The right to write one key to the byte tiers.
#[derive(Debug)]
struct Turn<'a> {
    _key: MutexGuard<'a, ()>,
    _all: RwLockReadGuard<'a, ()>,
}

/// The non-generic half of a cache.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) name: Arc<str>,
    pub(crate) settings: Settings,
    /// Other settings for some keys.
    pub(crate) rules: Rules,
    pub(crate) tiers: Vec<Arc<ByteTier>>,
    pub(crate) linked: Arc<Linked>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) fence: Arc<Fence>,
    pub(crate) tags: TagTable,
    pub(crate) counters: Counters,
    writes: Box<[Mutex<()>]>,
    /// Held together by all who write single keys, alone by who clears the tiers.
    clearing: RwLock<()>,
    stamps: StampClock,
    /// About how long a load takes, in nanoseconds; 0 while nobody knows.
    load_time: AtomicU64,
    /// The last writer whose clock was reported to be ahead.
    drifted: AtomicU64,
    /// No call is let in any more, and those that were go on.
    closing: AtomicBool,
    closed: AtomicBool,
}

impl Engine {
    pub(crate) fn new(
        name: Arc<str>,
        (mut settings, mut rules): (Settings, Rules),
        tiers: Vec<Arc<ByteTier>>,
        linked: Arc<Linked>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let stripes = if tiers.is_empty() { 0 } else { WRITE_STRIPES };
        settings.is_wall_kept = !tiers.is_empty();
        rules.set_wall_kept(settings.is_wall_kept);
        settings.may_refresh |= rules.may_refresh();
        Self {
            name,
            settings,
            rules,
            linked,
            counters: Counters::new(Arc::clone(&clock)),
            clock,
            fence: Fence::strict(),
            tags: TagTable::default(),
            writes: (0..stripes).map(|_| Mutex::new(())).collect(),
            clearing: RwLock::new(()),
            stamps: StampClock::new(fastrand::u32(..)),
            load_time: AtomicU64::new(0),
            drifted: AtomicU64::new(u64::MAX),
            closing: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            tiers,
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Refuses calls after the cache was closed.
    #[inline]
    pub(crate) fn check_open(&self) -> Result<()> {
        if self.closing.load(Ordering::Acquire) {
            return Err(
                CacheError::new(ErrorKind::Closed, "the cache is closed").with("cache", &self.name)
            );
        }
        Ok(())
    }

    /// Refuses calls from now on, so that what the cache holds can be saved as it is.
    pub(crate) fn begin_close(&self) {
        self.closing.store(true, Ordering::Release);
    }

    /// Flushes and closes the backends that belong to this cache. The first error is returned,
    /// after all were tried.
    pub(crate) async fn close(&self) -> Result<()> {
        self.begin_close();
        if self.closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let mut outcome = Ok(());
        for tier in &self.tiers {
            outcome = outcome.and(tier.end_recovery().await);
        }
        for tier in self.tiers.iter().filter(|tier| tier.owned) {
            if let Err(error) = tier.call(Lane::Direct, "close", tier.backend.close()).await {
                tracing::warn!(
                    target: telemetry::TARGET,
                    cache = %self.name, tier = %tier.tier, %error, "{}", telemetry::CLOSE_FAILED
                );
                outcome = outcome.and(Err(error));
            }
        }
        outcome
    }

    /// Takes notice of how long a load took: an average in which the last one counts an eighth.
    pub(crate) fn note_load(&self, took: Duration) {
        let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let average =
            |before: u64| Some(if before == 0 { took } else { before / 8 * 7 + took / 8 });
        self.load_time.fetch_update(Ordering::Relaxed, Ordering::Relaxed, average).ok();
    }

    /// About how long a load takes; zero while nobody knows.
    fn load_time(&self) -> Duration {
        Duration::from_nanos(self.load_time.load(Ordering::Relaxed))
    }

    /// A version greater than any that this cache gave out or saw before.
    pub(crate) fn stamp(&self) -> Stamp {
        self.stamps.next(self.clock.wall())
    }

    /// Takes notice of the version of an entry that another writer may have stored. Whether what is
    /// stamped from now on is newer: not when its clock is too far ahead.
    fn follow(&self, tier: &ByteTier, seen: Stamp) -> bool {
        if self.stamps.is_after(seen) {
            return true;
        }
        let Err(error) = self.stamps.follow(seen, self.clock.wall()) else { return true };
        let writer = u64::from(seen.origin);
        if self.drifted.swap(writer, Ordering::Relaxed) != writer {
            tracing::warn!(
                target: telemetry::TARGET,
                cache = %self.name, tier = %tier.tier, %error, "{}", telemetry::CLOCK_DRIFT
            );
        }
        false
    }

    /// Holds back other writes of the same key to the byte tiers, and clears of all.
    async fn write_turn(&self, hash: u64) -> Turn<'_> {
        let key = self.writes[hash as usize % WRITE_STRIPES].lock().await;
        Turn { _key: key, _all: self.clearing.read().await }
    }

    /// The same, if nobody has the turn now: readers do not wait for writers.
    fn try_write_turn(&self, hash: u64) -> Option<Turn<'_>> {
        let key = self.writes[hash as usize % WRITE_STRIPES].try_lock().ok()?;
        Some(Turn { _key: key, _all: self.clearing.try_read().ok()? })
    }

    /// The serializer that wrote an entry: the tier's own, or any that is linked.
    pub(crate) fn reader<'a>(
        &'a self,
        tier: &'a ByteTier,
        format: u16,
    ) -> Result<&'a dyn Serializer> {
        if tier.format.serializer.format() == format {
            return Ok(&*tier.format.serializer);
        }
        self.linked_reader(format)
    }

    /// The linked serializer of a format.
    pub(crate) fn linked_reader(&self, format: u16) -> Result<&dyn Serializer> {
        let serializer = self.linked.serializers.get(&format);
        serializer.map(|serializer| &**serializer).ok_or_else(|| {
            CacheError::new(ErrorKind::Serialization, "no linked serializer wrote this entry")
                .with("format", format)
        })
    }

    /// The cache to which entries belong that are stored here by a cache above.
    pub(crate) fn home(&self) -> &Arc<str> {
        let below = self.tiers.iter().rev().find(|tier| !tier.owned);
        below.map_or(&self.name, |tier| &tier.home)
    }

    /// Refuses a tier that cannot list its keys.
    pub(crate) fn check_scan(&self, tier: &ByteTier) -> Result<()> {
        if tier.can(Capabilities::SCAN) {
            return Ok(());
        }
        Err(CacheError::new(ErrorKind::Unsupported, "the tier cannot list its keys")
            .with("cache", &self.name)
            .with("tier", tier.tier)
            .with("backend", &tier.kind)
            .hint("use a backend that can `scan` (see `larder plugins list`), or tags"))
    }

    /// The keys of the entries in the byte tiers that match, without those of Larder itself.
    pub(crate) async fn scan(
        &self,
        prefix: &str,
        matches: &(dyn Fn(&str) -> bool + Sync),
    ) -> Result<Vec<String>> {
        let mut keys = Vec::new();
        for tier in &self.tiers {
            let request = ScanRequest::all().prefix(prefix);
            for key in self.scan_tier(tier, request, matches).await? {
                if !self.is_removed(tier, &key).await? {
                    keys.push(key);
                }
            }
        }
        keys.sort_unstable();
        keys.dedup();
        Ok(keys)
    }

    /// The same for one tier, in no order.
    async fn scan_tier(
        &self,
        tier: &ByteTier,
        mut request: ScanRequest,
        matches: &(dyn Fn(&str) -> bool + Sync),
    ) -> Result<Vec<String>> {
        self.check_scan(tier)?;
        let mut keys = Vec::new();
        loop {
            let page = tier.bounded("scan", tier.backend.scan(request.clone())).await?;
            let is_wanted = |key: &String| !key.starts_with(crate::tags::RESERVED) && matches(key);
            keys.extend(page.keys.into_iter().filter(is_wanted));
            if page.next.is_none() {
                return Ok(keys);
            }
            request = request.from_cursor(page.next);
        }
    }
}
