//! Delivering what the recovery log of a tier holds.
//!
//! Inside of a tokio runtime a task does it, which begins with the first item and ends with the
//! last. Elsewhere the callers of the tier do it, before their own call. While a tier is left
//! alone it is a delivery that finds out whether it answers again, so the breaker closes after the
//! replay and not before.

use std::sync::Weak;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use larder_core::backend::ScanRequest;
use larder_core::key::glob_matches;
use larder_core::{
    CacheError, Capabilities, Entry, EntryMeta, ErrorKind, Result, Stamp, telemetry,
};
use tokio::runtime::Handle;
use tokio::sync::Mutex;

use crate::breaker::{End, Pass};
use crate::engine::requests_for;
use crate::recovery::{Item, LONGEST_LANDING, Work};
use crate::tags::RESERVED;
use crate::tier::{ByteTier, Lane, is_outage, limit};

/// How many deliveries are on their way at a time.
const TOGETHER: usize = 32;

/// So many failures in a row end a pass: the tier is away again.
const ENOUGH: usize = 5;

/// How long closing a cache is held up by deliveries.
const LAST: Duration = Duration::from_secs(2);

/// How long the task waits while somebody else asks the tier.
const WHILE_PROBED: Duration = Duration::from_millis(100);

/// How often the task looks whether a backend that is left alone has come back.
const LOOK: Duration = Duration::from_millis(100);

/// Who delivers for a tier.
#[derive(Debug)]
pub(crate) struct Replays {
    me: Weak<ByteTier>,
    has_task: AtomicBool,
    is_over: AtomicBool,
    /// Held by who delivers.
    one: Mutex<()>,
}

impl Replays {
    pub(crate) fn of(me: Weak<ByteTier>) -> Self {
        let (has_task, is_over) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { me, has_task, is_over, one: Mutex::new(()) }
    }
}

/// Says that the task has ended, however it does.
struct Task(Weak<ByteTier>);

impl Drop for Task {
    fn drop(&mut self) {
        if let Some(tier) = self.0.upgrade() {
            tier.replays.has_task.store(false, Ordering::Release);
        }
    }
}

impl ByteTier {
    /// Something was done in this tier, up to a stamp. What may reach it after that has to be
    /// removed for itself.
    pub(crate) fn settle(&self, work: &Work, stamp: Stamp) {
        self.recovery.settle(work, stamp, self.clock.now());
        self.kick();
    }

    /// Starts the task that delivers what waits, if something does and there can be one.
    pub(crate) fn kick(&self) {
        if self.recovery.is_empty() || self.replays.is_over.load(Ordering::Acquire) {
            return;
        }
        let Ok(runtime) = Handle::try_current() else { return };
        if self.replays.has_task.swap(true, Ordering::AcqRel) {
            return;
        }
        let task = Task(Weak::clone(&self.replays.me));
        runtime.spawn(deliver_all(task));
    }

    /// Delivers what is due, where there is no task for it.
    pub(crate) async fn replay_here(&self) {
        if !self.recovery.is_empty() && Handle::try_current().is_err() {
            Box::pin(self.replay(false)).await;
        }
    }

    /// Tries to deliver what waits, as the cache is being closed; what cannot be is lost,
    /// and an error.
    pub(crate) async fn end_recovery(&self) -> Result<()> {
        if !self.recovery.is_empty() {
            limit(&*self.clock, LAST, self.replay(true)).await;
        }
        self.replays.is_over.store(true, Ordering::Release);
        let lost = self.recovery.len();
        if lost == 0 {
            return Ok(());
        }
        self.counters.lost.fetch_add(lost, Ordering::Relaxed);
        tracing::warn!(
            target: telemetry::TARGET,
            cache = %self.cache, tier = %self.tier, lost, "{}", telemetry::RECOVERY_LOST
        );
        Err(CacheError::new(ErrorKind::Invalidation, "the tier was not told what is old")
            .with("cache", &self.cache)
            .with("tier", self.tier)
            .with("lost", lost)
            .hint("other processes may be served old values until their ttl is over"))
    }

    /// How long until the next delivery is to be tried; `None` when nothing waits.
    fn until_next(&self) -> Option<Duration> {
        if self.recovery.is_empty() {
            return None;
        }
        let now = self.clock.now();
        let least = Duration::from_millis(1);
        Some(match self.open_until() {
            Some(_) if self.is_back() => least,
            Some(open) => open.since(now).clamp(least, LOOK),
            // Looks at all that waits, which may be much, so only who delivers asks.
            None => self.recovery.next_due()?.since(now).max(least),
        })
    }

    /// One pass over what is due; over everything when the tier is asked again after it was left
    /// alone, and at the end.
    async fn replay(&self, is_last: bool) {
        let _one = if is_last {
            self.replays.one.lock().await
        } else {
            let Ok(one) = self.replays.one.try_lock() else { return };
            one
        };
        let mut watch = match self.admit(true) {
            Some(watch) => Some(watch),
            None if is_last => None,
            None => return,
        };
        let is_probe = watch.as_ref().is_none_or(|watch| watch.pass == Pass::Probe);
        let is_back = if !is_probe || self.answers().await {
            let all = is_probe || is_last;
            self.deliver_due(all).await || self.answers().await
        } else {
            false
        };
        if let Some(watch) = &mut watch {
            watch.end = if is_back { End::Answered } else { End::Failed };
        }
    }

    /// Whether the tier answers at all.
    async fn answers(&self) -> bool {
        let asked = self.call(Lane::Direct, "meta", self.backend.meta(PROBE)).await;
        asked.is_ok_and(|_| true)
    }

    /// Delivers what is due, oldest first; whether it got to the end.
    async fn deliver_due(&self, all: bool) -> bool {
        let due = self.recovery.due(self.clock.now(), all);
        let (mut delivered, mut failed_in_a_row) = (0_u64, 0);
        for items in due.chunk_by(|a, b| is_single(a) && is_single(b)) {
            for items in items.chunks(TOGETHER) {
                let outcomes = join_all(items.iter().map(|item| self.deliver(item))).await;
                for (item, outcome) in items.iter().zip(outcomes) {
                    match outcome {
                        Ok(()) => {
                            (delivered, failed_in_a_row) = (delivered + 1, 0);
                            self.settle(&item.work, item.stamp);
                        }
                        Err(error) => {
                            failed_in_a_row += usize::from(is_outage(&error));
                            self.recovery.postpone(item, self.clock.now(), fastrand::f64());
                        }
                    }
                }
                if failed_in_a_row >= ENOUGH {
                    self.note_delivered(delivered);
                    return false;
                }
            }
        }
        self.note_delivered(delivered);
        delivered > 0 || failed_in_a_row == 0
    }

    fn note_delivered(&self, delivered: u64) {
        self.counters.recovered.fetch_add(delivered, Ordering::Relaxed);
        if delivered > 0 && self.recovery.is_empty() {
            tracing::info!(
                target: telemetry::TARGET,
                cache = %self.cache, tier = %self.tier, delivered,
                "{}", telemetry::RECOVERY_DONE
            );
        }
    }

    async fn deliver(&self, item: &Item) -> Result<()> {
        match &item.work {
            Work::Clear => self.call(Lane::Direct, "clear", self.backend.clear()).await,
            Work::Key(key) => self.remove_older(key, item.stamp).await,
            Work::Pattern(glob) => self.remove_matching_older(glob, item.stamp).await,
            Work::Tag(cell) => self.deliver_tag(cell).await,
        }
    }

    /// Removes what was written up to a stamp. Where the backend can tell, older writes that are
    /// still on their way are kept out as well.
    async fn remove_older(&self, key: &str, stamp: Stamp) -> Result<()> {
        if self.can(Capabilities::PUT_IF_NEWER) {
            let put = self.backend.put_if_newer(key, self.tombstone(stamp));
            match self.call(Lane::Direct, "put_if_newer", put).await {
                Ok(is_stored) => {
                    // If not, something newer is there, and it stays.
                    if is_stored {
                        self.recovery.note_landing(key, self.clock.now());
                    }
                    return Ok(());
                }
                Err(error) if is_outage(&error) => return Err(error),
                Err(_) => {}
            }
        }
        let meta = self.call(Lane::Direct, "meta", self.backend.meta(key)).await?;
        // Where there is nothing the lease of a load may have to be ended.
        if meta.is_none_or(|meta| meta.stamp <= stamp) {
            self.call(Lane::Direct, "delete", self.backend.delete(key)).await?;
        }
        Ok(())
    }

    /// What keeps out older writes of a key that are still on their way.
    pub(crate) fn tombstone(&self, stamp: Stamp) -> Entry {
        let end = Some(self.clock.wall().after(LONGEST_LANDING));
        let meta = EntryMeta {
            stamp,
            soft_deadline: end,
            hard_deadline: end,
            tombstone: true,
            ..EntryMeta::default()
        };
        Entry { meta, ..Entry::default() }
    }

    async fn remove_matching_older(&self, glob: &str, stamp: Stamp) -> Result<()> {
        for request in requests_for(self, glob) {
            self.remove_listed_older(request, glob, stamp).await?;
        }
        Ok(())
    }

    async fn remove_listed_older(
        &self,
        mut request: ScanRequest,
        glob: &str,
        stamp: Stamp,
    ) -> Result<()> {
        loop {
            let scan = self.backend.scan(request.clone());
            let page = self.call(Lane::Direct, "scan", scan).await?;
            let keys = page.keys.iter();
            let keys = keys.filter(|key| !key.starts_with(RESERVED) && glob_matches(glob, key));
            for key in keys {
                self.remove_older(key, stamp).await?;
            }
            if page.next.is_none() {
                return Ok(());
            }
            request = request.from_cursor(page.next);
        }
    }
}

/// Something that a tier has to be told. Whoever goes away before it was leaves it to the replay.
#[derive(Debug)]
pub(crate) struct Untold<'a> {
    tier: &'a ByteTier,
    work: Option<Work>,
    stamp: Stamp,
}

impl<'a> Untold<'a> {
    pub(crate) fn new(tier: &'a ByteTier, work: Work, stamp: Stamp) -> Self {
        Self { tier, work: Some(work), stamp }
    }

    /// The tier was told, or refused to be.
    pub(crate) fn told(mut self) {
        self.work = None;
    }
}

impl Drop for Untold<'_> {
    fn drop(&mut self) {
        if let Some(work) = self.work.take() {
            self.tier.recover_later(work, self.stamp);
        }
    }
}

/// A key that nobody uses.
const PROBE: &str = "\u{1}larder:probe";

/// Whether it concerns one key or tag, so that several can be on their way.
fn is_single(item: &Item) -> bool {
    matches!(item.work, Work::Key(_) | Work::Tag(_))
}

/// Delivers until nothing waits, or the tier is gone.
async fn deliver_all(task: Task) {
    loop {
        let pause = {
            let Some(tier) = task.0.upgrade() else { return };
            let is_over = tier.replays.is_over.load(Ordering::Acquire);
            match tier.until_next().filter(|_| !is_over) {
                Some(pause) => tier.clock.sleep(pause),
                None => {
                    drop(task);
                    // What came since nobody saw: there seemed to be a task.
                    tier.kick();
                    return;
                }
            }
        };
        pause.await;
        let Some(tier) = task.0.upgrade() else { return };
        let before = tier.recovery.len();
        tier.replay(false).await;
        if tier.recovery.len() == before
            && tier.until_next().is_some_and(|next| next < WHILE_PROBED)
        {
            // Somebody else asks the tier just now.
            let pause = tier.clock.sleep(WHILE_PROBED);
            drop(tier);
            pause.await;
        }
    }
}
