//! [`Guest`], what stands behind the `self` of the header.

use std::cell::Cell;
use std::collections::HashMap;
use std::ffi::c_void;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use larder_abi::call::{Create, Error};
use larder_abi::value::Slice;
use larder_abi::{Status, read_extensible};
use larder_core::{BuildContext, CacheError, ErrorKind, Result};
use serde_json::Value;
use tokio::task::AbortHandle;

use super::clock::CallClock;
use super::reply::refuse;
use super::runtime::{self, host};
use crate::borrow;
use crate::guard::guard;

thread_local! {
    static CURRENT: Cell<u64> = const { Cell::new(0) };
}

/// The instance that was made last: who speaks where nobody knows better.
static LATEST: AtomicU64 = AtomicU64::new(0);

/// The number of the instance that works on this thread.
pub(crate) fn current() -> u64 {
    let current = CURRENT.try_with(Cell::get).unwrap_or(0);
    if current == 0 { LATEST.load(Ordering::Relaxed) } else { current }
}

/// Marks this thread as working for an instance, until it is dropped.
pub(crate) struct Here(u64);

impl Here {
    pub(crate) fn new(number: u64) -> Self {
        Self(CURRENT.try_with(|current| current.replace(number)).unwrap_or(0))
    }
}

impl Drop for Here {
    fn drop(&mut self) {
        CURRENT.try_with(|current| current.set(self.0)).ok();
    }
}

/// An instance of a component.
pub(crate) struct Guest<T: ?Sized> {
    pub(crate) plugin: Arc<T>,
    pub(crate) clock: Arc<CallClock>,
    pub(crate) number: u64,
    tasks: Mutex<HashMap<u64, AbortHandle>>,
    next: AtomicU64,
}

impl<T: ?Sized> Guest<T> {
    pub(crate) fn tasks(&self) -> MutexGuard<'_, HashMap<u64, AbortHandle>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number for a task, which the host cancels it by.
    pub(crate) fn token(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }
}

/// What is built is asked for with these.
pub(crate) struct Order {
    pub(crate) options: Value,
    pub(crate) context: BuildContext,
    pub(crate) args: Create,
    clock: Arc<CallClock>,
}

/// Makes an instance and puts it out; a panic or an error is put out instead.
///
/// # Safety
///
/// The pointers must be those of a `create` of the header.
pub(crate) unsafe fn create<T: ?Sized>(
    (args, this, error): (*const Create, *mut *mut c_void, *mut Error),
    build: impl FnOnce(&Order) -> Result<Arc<T>>,
) -> Status {
    let made = guard(|| {
        // SAFETY: the caller says so.
        let order = unsafe { order(args) }?;
        let _here = Here::new(order.args.instance);
        let plugin = build(&order)?;
        LATEST.store(order.args.instance, Ordering::Relaxed);
        Ok(Arc::new(Guest {
            plugin,
            clock: Arc::clone(&order.clock),
            number: order.args.instance,
            tasks: Mutex::default(),
            next: AtomicU64::new(1),
        }))
    });
    match made {
        Ok(Ok(guest)) => {
            let guest = Box::into_raw(Box::new(guest));
            // SAFETY: the caller says that it is a place for the instance.
            unsafe { this.write(guest.cast()) };
            Status::OK
        }
        // SAFETY: the caller says so.
        Ok(Err(failed)) => unsafe { refuse(error, &failed) },
        // SAFETY: the caller says so.
        Err(panic) => unsafe { super::reply::panicked(error, panic) },
    }
}

/// # Safety
///
/// `args` must be those of a `create` of the header.
unsafe fn order(args: *const Create) -> Result<Order> {
    let broken = |what: &'static str| CacheError::new(ErrorKind::Plugin, what);
    // SAFETY: the caller says so.
    let args = unsafe { read_extensible(args) };
    let args = args.map_err(|_| broken("`larder_create` cannot be read"))?;
    // SAFETY: the caller says so.
    unsafe { runtime::remember(args.host) };
    // SAFETY: the caller says so.
    let cache = unsafe { borrow::text(&raw const args.cache, 1024) };
    // SAFETY: the caller says so.
    let json = unsafe { borrow::slice(&args.config_json, "the options") };
    let options = serde_json::from_slice(json.unwrap_or_default()).map_err(|error| {
        CacheError::new(ErrorKind::Config, "the options are no JSON").caused_by(error)
    })?;
    let clock = Arc::new(CallClock::new(args.now_us));
    let limit = (args.max_value_bytes != larder_abi::UNLIMITED).then_some(args.max_value_bytes);
    let context = BuildContext::new(cache).clock(Arc::clone(&clock) as _).max_value_bytes(limit);
    Ok(Order { options, context, args, clock })
}

/// The instance of a call.
///
/// # Safety
///
/// `this` must be what [`create`] put out for the same type.
pub(crate) unsafe fn guest<'a, T: ?Sized>(this: *mut c_void) -> &'a Arc<Guest<T>> {
    // SAFETY: the caller says so.
    unsafe { &*this.cast::<Arc<Guest<T>>>() }
}

/// Ends an instance. Tasks that still work are told to stop, and what they owe is answered.
///
/// # Safety
///
/// As [`guest`], and nobody may use the instance afterwards.
pub(crate) unsafe extern "C" fn destroy<T: ?Sized>(this: *mut c_void) {
    // SAFETY: the caller says so.
    let guest = unsafe { Box::from_raw(this.cast::<Arc<Guest<T>>>()) };
    let number = guest.number;
    let ended = guard(|| {
        let tasks = std::mem::take(&mut *guest.tasks());
        tasks.values().for_each(AbortHandle::abort);
        drop(guest);
    });
    or_say(number, ended);
}

/// Tells the host of a panic where no status can be returned.
pub(crate) fn or_say(number: u64, done: Result<(), String>) {
    let Err(panic) = done else { return };
    let Some(say) = host().and_then(|host| host.panicked) else { return };
    let message = Slice::new(panic.as_bytes());
    // SAFETY: the message lives during the call.
    unsafe { say(number, &raw const message) };
}
