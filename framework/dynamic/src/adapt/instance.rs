//! [`Instance`], an instance of a component from create to destroy.
//!
//! No caller waits for a library that does not return from `destroy` or `cancel`: they are called
//! [aside](super::aside).

use std::collections::VecDeque;
use std::ffi::c_void;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use larder_abi::Status;
use larder_abi::call::Create;
use larder_abi::table::{CancelFn, CreateFn, DestroyFn};

use larder_core::Clock;

use super::args::deadline_us;
use super::aside::{Alarm, aside, say_stuck};
use super::failure::{self, Failure};
use super::warmer::WarmRun;
use crate::borrow::Portable;
use crate::host::instances::{self, Identity};
use crate::host::sinks::{Hub, Number};
use crate::host::{self, lend};

/// How long a library may take to end an instance before somebody is told.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// Of how many answers a library is told that nobody waits for them, while it does not return from
/// being told. It finds out about others when it answers.
const MOST_TOKENS: usize = 1024;

/// What an instance is made from, again and again if it has to be.
#[derive(Clone, Debug)]
pub(crate) struct Recipe {
    pub(crate) create: CreateFn,
    pub(crate) destroy: DestroyFn,
    pub(crate) plugin: &'static str,
    pub(crate) component: &'static str,
    pub(crate) cache: String,
    pub(crate) options: String,
    pub(crate) sink: Option<Arc<Hub>>,
    pub(crate) max_value_bytes: u64,
    pub(crate) entries: u64,
    pub(crate) weight: u64,
    pub(crate) clock: Arc<dyn Clock>,
    /// Whether its functions may block, so that nobody should wait for its end.
    pub(crate) may_block: bool,
    /// See [`PATIENCE`].
    pub(crate) patience: Duration,
}

/// A living instance. It is destroyed with the last reference, so no call overlaps that.
#[derive(Debug)]
pub(crate) struct Instance {
    this: Portable,
    destroy: DestroyFn,
    number: u64,
    identity: Arc<Identity>,
    sink: Option<Number>,
    unwanted: Mutex<Unwanted>,
    may_block: bool,
    patience: Duration,
}

/// What an answer is about, if that must not end before the library was told that nobody waits for
/// it: a run of a warmer.
pub(crate) type Kept = Option<Arc<WarmRun>>;

/// Answers that nobody waits for any more, by the tokens of the library.
#[derive(Debug, Default)]
struct Unwanted {
    tokens: VecDeque<(u64, Kept)>,
    is_being_told: bool,
}

impl Recipe {
    /// Makes an instance. May block.
    pub(crate) fn make(&self) -> Result<Instance, Failure> {
        let identity = Arc::new(Identity::new(self.plugin, self.component, &self.cache));
        let number = instances::register(Arc::clone(&identity));
        let sink = self.sink.as_ref().map(Hub::number);
        let args = Create {
            struct_size: size_of::<Create>() as u32,
            flags: 0,
            instance: number,
            sink: sink.as_ref().map_or(0, |sink| sink.0),
            host: host::table(),
            cache: lend(&self.cache),
            config_json: lend(&self.options),
            max_value_bytes: self.max_value_bytes,
            capacity_entries: self.entries,
            capacity_weight: self.weight,
            now_us: deadline_us(Some(self.clock.wall())),
        };
        let mut this: *mut c_void = std::ptr::null_mut();
        let mut error = failure::blank();
        // SAFETY: the table was checked when it was loaded; all pointers are to live places.
        let status = unsafe { (self.create)(&raw const args, &raw mut this, &raw mut error) };
        // SAFETY: the error is ours, and read for the first time.
        let failure = unsafe { Failure::taken(status, &raw const error) };
        if status != Status::OK {
            instances::unregister(number);
            let is_error = status.is_error();
            let no_answer = || Failure::ours(Status::BROKEN, format!("`{status}` is no answer"));
            return Err(if is_error { failure } else { no_answer() });
        }
        Ok(Instance {
            this: Portable(this),
            destroy: self.destroy,
            number,
            identity,
            sink,
            unwanted: Mutex::default(),
            may_block: self.may_block,
            patience: self.patience,
        })
    }
}

impl Instance {
    /// What its functions are called with.
    pub(crate) fn this(&self) -> *mut c_void {
        self.this.0
    }

    pub(crate) fn identity(&self) -> &Arc<Identity> {
        &self.identity
    }

    fn unwanted(&self) -> MutexGuard<'_, Unwanted> {
        self.unwanted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the library that nobody waits for an answer any more. Does not wait for it.
    pub(crate) fn cancel(self: &Arc<Self>, function: CancelFn, token: u64, kept: Kept) {
        let mut unwanted = self.unwanted();
        if unwanted.tokens.len() >= MOST_TOKENS && kept.is_none() {
            return;
        }
        unwanted.tokens.push_back((token, kept));
        if unwanted.is_being_told {
            return;
        }
        unwanted.is_being_told = true;
        drop(unwanted);
        let instance = Arc::clone(self);
        let alarm = self.alarm("cancel");
        if aside(move || instance.tell(function, alarm)).is_err() {
            // Without a thread the library finds out when it answers.
            let unwanted = std::mem::take(&mut *self.unwanted());
            drop(unwanted);
        }
    }

    /// Names it, unless this is dropped before somebody would wonder.
    pub(crate) fn alarm(&self, operation: &'static str) -> Alarm {
        Alarm::new((&self.identity, self.number), operation, self.patience)
    }

    fn tell(&self, function: CancelFn, _alarm: Alarm) {
        loop {
            let mut unwanted = self.unwanted();
            let Some((token, kept)) = unwanted.tokens.pop_front() else {
                unwanted.is_being_told = false;
                return;
            };
            drop(unwanted);
            if !self.identity.is_poisoned() {
                // SAFETY: the table was checked when it was loaded, and any thread may call this.
                unsafe { function(self.this.0, token) };
            }
            drop(kept);
        }
    }

    /// Names it at once.
    pub(crate) fn is_stuck(&self, operation: &'static str) {
        say_stuck((&self.identity, self.number), operation);
    }

    /// Ends it, and waits for that also where it may block, but not for ever.
    pub(crate) fn end(mut self) {
        self.may_block = false;
        drop(self);
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // Threads of the library that outlive it may still deliver.
        drop(self.sink.take());
        let (this, destroy, number) = (self.this, self.destroy, self.number);
        let (ended, end) = mpsc::sync_channel::<()>(1);
        let alarm = self.alarm("destroy");
        let handed_over = aside(move || {
            let this = this;
            // SAFETY: this was the last reference, so no call is running, and none comes after it.
            unsafe { destroy(this.0) };
            drop(alarm);
            instances::unregister(number);
            drop(ended);
        });
        if handed_over.is_err() {
            say_stuck((&self.identity, number), "destroy");
        } else if !self.may_block || tokio::runtime::Handle::try_current().is_err() {
            // Whoever makes another at once may need what this one has: a file, a port.
            end.recv_timeout(self.patience).ok();
        }
    }
}
