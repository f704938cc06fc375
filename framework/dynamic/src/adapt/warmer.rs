//! [`ForeignWarmer`], a `larder_warmer_vt` as a [`Warmer`].
//!
//! A run belongs to the instance that began it. It is ended when nobody can call it any more: a
//! call that its caller went away from may still be in the library, and one that it answers later
//! it has to be told of first.

use std::collections::VecDeque;
use std::ffi::c_void;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use async_trait::async_trait;
use larder_abi::call::{Call, Error};
use larder_abi::table::{WarmStats, WarmerVt, trigger};
use larder_abi::value::{self, WARM_HAS_VALUE, WarmBatch, WarmItem};
use larder_abi::{Status, UNLIMITED};
use larder_core::Result;
use larder_core::warmer::{WarmKey, WarmKeys, Warmer, WarmingStats, WarmingTrigger};

use super::args::{Args, More};
use super::aside::aside;
use super::instance::Instance;
use super::keeper::Keeper;
use super::output::{Answer, Lent, Output};
use crate::borrow::{self, Garbage, Portable};
use crate::host::log;

/// For how many keys a call has room.
const BATCH: usize = 256;

/// An answer that comes later has no more keys.
const MOST: usize = 1 << 16;

/// A warmer in a library.
#[derive(Debug)]
pub(crate) struct ForeignWarmer {
    keeper: Arc<Keeper<WarmerVt>>,
    /// Runs that came to their end, until somebody says what they did.
    over: Arc<Mutex<VecDeque<Arc<WarmRun>>>>,
}

impl ForeignWarmer {
    pub(crate) fn new(keeper: Arc<Keeper<WarmerVt>>) -> Self {
        Self { keeper, over: Arc::default() }
    }
}

/// A run of a library.
#[derive(Debug)]
pub(crate) struct WarmRun {
    instance: Arc<Instance>,
    table: &'static WarmerVt,
    trigger: u32,
    /// Set when it was begun.
    run: OnceLock<Portable>,
    stats: Mutex<Option<WarmStats>>,
}

impl Drop for WarmRun {
    fn drop(&mut self) {
        let (Some(run), Some(end)) = (self.run.get().copied(), self.table.end) else { return };
        if self.instance.identity().is_poisoned() {
            return;
        }
        let stats = self.stats.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        let instance = Arc::clone(&self.instance);
        let ended = aside(move || {
            let run = run;
            let alarm = instance.alarm("end");
            let stats = stats.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
            // SAFETY: the table was checked when it was loaded, the run was begun in this
            // instance, and nobody has it any more.
            unsafe { end(instance.this(), run.0, stats) };
            drop(alarm);
        });
        if ended.is_err() {
            self.instance.is_stuck("end");
        }
    }
}

fn run_of<'a>(args: &'a Args<'_>) -> Option<&'a WarmRun> {
    match args.more.as_deref() {
        Some(More::Run(run)) => Some(run),
        _ => None,
    }
}

fn begin(
    vt: &WarmerVt,
    this: *mut c_void,
    _: *const Call,
    args: &Args<'_>,
    estimate: *mut u64,
    error: *mut Error,
) -> Status {
    let (Some(begin), Some(run)) = (vt.begin, run_of(args)) else { return Status::UNSUPPORTED };
    let mut begun = std::ptr::null_mut();
    // SAFETY: it is the place of the output, which lives during the call.
    unsafe { estimate.write(UNLIMITED) };
    // SAFETY: the table was checked when it was loaded; what is passed lives during the call.
    let status = unsafe { begin(this, run.trigger, &raw mut begun, estimate, error) };
    if status == Status::OK {
        run.run.get_or_init(|| Portable(begun));
    }
    status
}

fn next(
    vt: &WarmerVt,
    this: *mut c_void,
    call: *const Call,
    args: &Args<'_>,
    out: *mut WarmBatch,
    error: *mut Error,
) -> Status {
    let (Some(next), Some(run)) = (vt.next, run_of(args)) else { return Status::UNSUPPORTED };
    let Some(begun) = run.run.get() else { return Status::CLOSED };
    // SAFETY: the table was checked when it was loaded; what is passed lives during the call.
    unsafe { next(this, begun.0, call, out, error) }
}

/// The keys of one call.
type Batch = Vec<WarmKey>;

/// An item that holds nothing.
pub(crate) const BLANK: WarmItem = WarmItem {
    key: value::Bytes::EMPTY,
    value: value::Bytes::EMPTY,
    priority: 0,
    flags: 0,
    reserved: [0; 2],
};

impl Output for Batch {
    type Raw = WarmBatch;
    type Room = Vec<WarmItem>;

    fn blank(room: &mut Vec<WarmItem>, _: &Args<'_>) -> WarmBatch {
        *room = vec![BLANK; BATCH];
        WarmBatch { items: room.as_mut_ptr(), cap: room.len(), n: 0 }
    }

    fn lent(raw: &WarmBatch) -> Lent {
        Lent::items((raw.items, raw.cap))
    }

    unsafe fn take(raw: *mut WarmBatch, lent: &Lent) -> Result<Self, Garbage> {
        // SAFETY: the caller says so.
        let WarmBatch { items, n, .. } = unsafe { raw.read() };
        let cap = match lent.lent_items() {
            Some((ours, _)) if ours != items => {
                return Err(Garbage::Foreign("the array of the call"));
            }
            Some((_, cap)) => cap,
            None => MOST,
        };
        if n > cap {
            return Err(Garbage::Count(n, cap));
        }
        // SAFETY: the caller says so.
        let items = unsafe { borrow::array(items, n) }.map_err(|_| Garbage::Null("the items"))?;
        // All are taken before one is refused: what they own would be lost otherwise.
        let taken: Vec<_> = items.iter().map(taken).collect();
        taken.into_iter().collect()
    }
}

fn taken(item: &WarmItem) -> Result<WarmKey, Garbage> {
    let (key, value) = (borrow::take(&item.key, "a key"), borrow::take(&item.value, "a value"));
    let key = String::from_utf8(key?.into()).map_err(|_| Garbage::Text("a key"))?;
    let warm = WarmKey::new(key).priority(item.priority);
    let value = value?;
    Ok(if item.flags & WARM_HAS_VALUE == 0 { warm } else { warm.with_value(value) })
}

#[async_trait]
impl Warmer for ForeignWarmer {
    async fn keys(&self, trigger: WarmingTrigger) -> Result<Box<dyn WarmKeys>> {
        let identity = self.keeper.identity();
        let instance = match self.keeper.current::<()>() {
            Ok(instance) => instance,
            Err(refused) => return Err(failed(refused, "keys", &identity)),
        };
        let run = Arc::new(WarmRun {
            instance: Arc::clone(&instance),
            table: self.keeper.table(),
            trigger: number_of(trigger),
            run: OnceLock::new(),
            stats: Mutex::default(),
        });
        log::refresh();
        let (limit, args) = (self.keeper.limit(), Args::more(More::Run(Arc::clone(&run))));
        let begun: Answer<u64> = self.keeper.ask_at(&instance, limit, args, begin).await;
        let estimate = begun.done("keys", &identity)?;
        Ok(Box::new(ForeignKeys {
            keeper: Arc::clone(&self.keeper),
            run: Some(run),
            estimate: (estimate != UNLIMITED).then_some(estimate),
            over: Arc::clone(&self.over),
        }))
    }

    fn finished(&self, stats: &WarmingStats) {
        let run = self.over.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let Some(run) = run else { return };
        let stats = WarmStats {
            struct_size: size_of::<WarmStats>() as u32,
            flags: 0,
            named: stats.named,
            warmed: stats.warmed,
            skipped: stats.skipped,
            failed: stats.failed,
            elapsed_us: u64::try_from(stats.elapsed.as_micros()).unwrap_or(u64::MAX),
        };
        *run.stats.lock().unwrap_or_else(PoisonError::into_inner) = Some(stats);
    }
}

fn failed(
    refused: Answer<()>,
    operation: &'static str,
    of: &crate::host::instances::Identity,
) -> larder_core::CacheError {
    refused.done(operation, of).expect_err("an instance that is given up answers with an error")
}

fn number_of(trigger: WarmingTrigger) -> u32 {
    match trigger {
        WarmingTrigger::Failover => trigger::FAILOVER,
        WarmingTrigger::Schedule => trigger::SCHEDULE,
        WarmingTrigger::Startup => trigger::STARTUP,
        _ => trigger::DEMAND,
    }
}

/// The keys of one run.
#[derive(Debug)]
struct ForeignKeys {
    keeper: Arc<Keeper<WarmerVt>>,
    /// `None` when it came to its end.
    run: Option<Arc<WarmRun>>,
    estimate: Option<u64>,
    over: Arc<Mutex<VecDeque<Arc<WarmRun>>>>,
}

impl ForeignKeys {
    /// The run is over, and waits for somebody to say what it did; not more than one does.
    fn end(&mut self) {
        let mut over = self.over.lock().unwrap_or_else(PoisonError::into_inner);
        let before = over.drain(..).collect::<Vec<_>>();
        over.extend(self.run.take());
        drop(over);
        drop(before);
    }
}

#[async_trait]
impl WarmKeys for ForeignKeys {
    async fn next_batch(&mut self) -> Result<Option<Vec<WarmKey>>> {
        let Some(run) = &self.run else { return Ok(None) };
        let (limit, args) = (self.keeper.limit(), Args::more(More::Run(Arc::clone(run))));
        let answer: Answer<Batch> = self.keeper.ask_at(&run.instance, limit, args, next).await;
        let found = answer.found("next", &self.keeper.identity());
        if !matches!(found, Ok(Some(_))) {
            self.end();
        }
        found
    }

    fn estimate(&self) -> Option<u64> {
        self.estimate
    }
}
