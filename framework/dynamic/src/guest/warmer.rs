//! A [`Warmer`] as a `larder_warmer_vt`.
//!
//! A run is begun where the host waits for it, so the component says that it may block.

use std::collections::VecDeque;
use std::ffi::c_void;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use larder_abi::call::{Call, Create, Error};
use larder_abi::table::{WarmStats, WarmerVt, trigger};
use larder_abi::value::{Bytes, WARM_HAS_VALUE, WarmBatch, WarmItem};
use larder_abi::{Status, UNLIMITED, read_extensible};
use larder_core::plugin::Factory;
use larder_core::warmer::{WarmKey, WarmKeys, Warmer, WarmingStats, WarmingTrigger};
use larder_core::{CacheError, ErrorKind, Result};

use super::answer::{answer, cancel};
use super::instance::{Guest, Here, create, destroy, guest, or_say};
use super::part::Exported;
use super::reply::{self, Reply, own};
use super::runtime::runtime;
use crate::adapt::warmer::BLANK;
use crate::borrow;
use crate::guard::guard;

type S = *mut c_void;
type E = *mut Error;
type Plugin = dyn Warmer;

/// For how many keys an answer has room that comes later.
const BATCH: usize = 256;

/// The table of the warmer that a config type builds.
pub(super) const fn table<X: Exported>() -> WarmerVt {
    WarmerVt {
        struct_size: size_of::<WarmerVt>() as u32,
        flags: 0,
        create: Some(make::<X>),
        destroy: Some(destroy::<Plugin>),
        begin: Some(begin),
        next: Some(next),
        end: Some(end_run),
        cancel: Some(cancel::<Plugin>),
    }
}

unsafe extern "C" fn make<X: Exported>(args: *const Create, this: *mut S, error: E) -> Status {
    // SAFETY: the host keeps the rules of the header.
    unsafe {
        create::<Plugin>((args, this, error), |order| {
            let Factory::Warmer(factory) = X::DESCRIPTOR.factory else {
                return Err(CacheError::new(ErrorKind::Plugin, "it is no warmer"));
            };
            runtime().block_on(factory.build(order.options.clone(), &order.context))
        })
    }
}

/// A run, from begin to end.
struct Run {
    keys: tokio::sync::Mutex<Box<dyn WarmKeys>>,
    /// Keys of a batch for which the host had no room.
    left: Mutex<VecDeque<WarmKey>>,
}

impl Run {
    fn left(&self) -> MutexGuard<'_, VecDeque<WarmKey>> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a run puts out first: itself, and about how many keys it has.
type Begun = (*mut *mut c_void, *mut u64);

unsafe extern "C" fn begin(
    this: S,
    trigger: u32,
    run: *mut *mut c_void,
    estimate: *mut u64,
    error: E,
) -> Status {
    let begun = guard(|| {
        // SAFETY: the host keeps the rules of the header.
        let guest = unsafe { guest::<Plugin>(this) };
        begin_one(guest, trigger)
    });
    match begun {
        Ok(Ok(keys)) => {
            // SAFETY: the host keeps the rules of the header.
            unsafe { put((run, estimate), keys) };
            Status::OK
        }
        // SAFETY: the host keeps the rules of the header.
        Ok(Err(failed)) => unsafe { reply::refuse(error, &failed) },
        // SAFETY: the host keeps the rules of the header.
        Err(panic) => unsafe { reply::panicked(error, panic) },
    }
}

fn begin_one(guest: &Guest<Plugin>, trigger: u32) -> Result<(Run, Option<u64>)> {
    let _here = Here::new(guest.number);
    let trigger = match trigger {
        trigger::FAILOVER => WarmingTrigger::Failover,
        trigger::SCHEDULE => WarmingTrigger::Schedule,
        trigger::STARTUP => WarmingTrigger::Startup,
        _ => WarmingTrigger::Demand,
    };
    let keys = runtime().block_on(guest.plugin.keys(trigger))?;
    let estimate = keys.estimate();
    Ok((Run { keys: tokio::sync::Mutex::new(keys), left: Mutex::default() }, estimate))
}

/// # Safety
///
/// Both must be null or places of a call of the header.
unsafe fn put((run, estimate): Begun, (begun, about): (Run, Option<u64>)) {
    let begun = Box::into_raw(Box::new(Arc::new(begun)));
    // SAFETY: the caller says that it is a place for the run.
    unsafe { run.write(begun.cast()) };
    // SAFETY: the caller says so.
    if let Some(estimate) = unsafe { estimate.as_mut() } {
        *estimate = about.unwrap_or(UNLIMITED);
    }
}

unsafe extern "C" fn next(
    this: S,
    run: *mut c_void,
    call: *const Call,
    out: *mut WarmBatch,
    error: E,
) -> Status {
    // SAFETY: `begin` put it out, and it has not ended.
    let run = Arc::clone(unsafe { &*run.cast::<Arc<Run>>() });
    let begin = |_: Arc<Plugin>| {
        Ok(async move {
            let left = std::mem::take(&mut *run.left());
            if !left.is_empty() {
                return Ok(Batch { keys: Some(left), run });
            }
            let named = run.keys.lock().await.next_batch().await?;
            Ok(Batch { keys: named.map(Into::into), run })
        }
        .boxed())
    };
    // SAFETY: the host keeps the rules of the header.
    unsafe { answer((this, call, out, error), begin) }
}

unsafe extern "C" fn end_run(this: S, run: *mut c_void, stats: *const WarmStats) {
    // SAFETY: the host keeps the rules of the header.
    let guest = unsafe { guest::<Plugin>(this) };
    let ended = guard(|| {
        let _here = Here::new(guest.number);
        // SAFETY: `begin` put it out, and this is its end.
        drop(unsafe { Box::from_raw(run.cast::<Arc<Run>>()) });
        // SAFETY: the host keeps the rules of the header; null is refused.
        let Ok(stats) = (unsafe { read_extensible(stats) }) else { return };
        let mut done = WarmingStats::default();
        (done.named, done.warmed) = (stats.named, stats.warmed);
        (done.skipped, done.failed) = (stats.skipped, stats.failed);
        done.elapsed = Duration::from_micros(stats.elapsed_us);
        guest.plugin.finished(&done);
    });
    or_say(guest.number, ended);
}

/// The next keys of a run; `None` at its end.
struct Batch {
    keys: Option<VecDeque<WarmKey>>,
    run: Arc<Run>,
}

impl Reply for Batch {
    type Raw = WarmBatch;

    fn blank() -> WarmBatch {
        let items = Box::leak(vec![BLANK; BATCH].into_boxed_slice());
        WarmBatch { items: items.as_mut_ptr(), cap: BATCH, n: 0 }
    }

    fn write(self, out: &mut WarmBatch) -> Result<Status> {
        let Some(mut keys) = self.keys else { return Ok(Status::MISS) };
        if out.items.is_null() || out.cap == 0 {
            return Err(CacheError::new(ErrorKind::Capacity, "there is no room for keys"));
        }
        let rest = keys.split_off(keys.len().min(out.cap));
        for (index, warm) in keys.into_iter().enumerate() {
            let flags = if warm.value.is_some() { WARM_HAS_VALUE } else { 0 };
            let value = warm.value.map_or(Bytes::EMPTY, |value| own(value.into()));
            let (key, priority) = (own(warm.key.into_bytes()), warm.priority);
            let item = WarmItem { key, value, priority, flags, ..BLANK };
            // SAFETY: there is room for `cap` items, and this is one of the first of them.
            let place = unsafe { out.items.add(index) };
            // SAFETY: as above.
            unsafe { place.write(item) };
            out.n = index + 1;
        }
        *self.run.left() = rest;
        Ok(Status::OK)
    }

    fn take_back(out: &WarmBatch) {
        // SAFETY: as many were written.
        let items = unsafe { borrow::array(out.items, out.n) }.unwrap_or_default();
        for item in items {
            borrow::release(&item.key);
            borrow::release(&item.value);
        }
    }

    fn free(out: &WarmBatch) {
        let items = std::ptr::slice_from_raw_parts_mut(out.items, out.cap);
        // SAFETY: `blank` leaked it.
        drop(unsafe { Box::from_raw(items) });
    }
}
