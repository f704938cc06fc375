//! [`Instance`], an instance of a component from create to destroy.

use std::ffi::c_void;
use std::sync::Arc;

use larder_abi::Status;
use larder_abi::call::Create;
use larder_abi::table::{CreateFn, DestroyFn};

use larder_core::Clock;

use super::args::deadline_us;
use super::failure::{self, Failure};
use crate::borrow::Portable;
use crate::host::instances::{self, Identity};
use crate::host::{self, lend};

/// What an instance is made from, again and again if it has to be.
#[derive(Clone, Debug)]
pub(crate) struct Recipe {
    pub(crate) create: CreateFn,
    pub(crate) destroy: DestroyFn,
    pub(crate) plugin: &'static str,
    pub(crate) component: &'static str,
    pub(crate) cache: String,
    pub(crate) options: String,
    pub(crate) sink: u64,
    pub(crate) max_value_bytes: u64,
    pub(crate) entries: u64,
    pub(crate) weight: u64,
    pub(crate) clock: Arc<dyn Clock>,
}

/// A living instance. It is destroyed with the last reference, so no call overlaps that.
#[derive(Debug)]
pub(crate) struct Instance {
    this: Portable,
    destroy: DestroyFn,
    number: u64,
    identity: Arc<Identity>,
}

impl Recipe {
    /// Makes an instance. May block.
    pub(crate) fn make(&self) -> Result<Instance, Failure> {
        let identity = Arc::new(Identity::new(self.plugin, self.component, &self.cache));
        let number = instances::register(Arc::clone(&identity));
        let args = Create {
            struct_size: size_of::<Create>() as u32,
            flags: 0,
            instance: number,
            sink: self.sink,
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
        Ok(Instance { this: Portable(this), destroy: self.destroy, number, identity })
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
}

impl Drop for Instance {
    fn drop(&mut self) {
        // SAFETY: this is the last reference, so no call is running, and none comes after it.
        unsafe { (self.destroy)(self.this.0) };
        instances::unregister(self.number);
    }
}
