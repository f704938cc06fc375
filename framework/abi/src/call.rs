//! What goes along with a call, and what the host offers.

use core::ffi::c_void;

use crate::Status;
use crate::value::{Bytes, Invalidation, Kv, Mutation, Slice};

/// Around a call; valid until the function returns.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// The size of this struct as the host has it.
    pub struct_size: u32,
    /// None are known.
    pub flags: u32,
    /// The time, so that nobody needs to ask a clock.
    pub now_us: i64,
    /// When nobody waits any more.
    pub deadline_us: i64,
    /// W3C, 55 bytes, or null.
    pub traceparent: *const u8,
    /// For [`Host::op_defer`]; null if the answer must come now.
    pub slot: *mut c_void,
}

/// A flag of [`Error`]: the same call may work later.
pub const ERROR_RETRYABLE: u32 = 1;

/// Why a call failed, besides its status.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Error {
    /// The size of this struct as the caller has it.
    pub struct_size: u32,
    /// The status that is returned.
    pub code: Status,
    /// [`ERROR_RETRYABLE`].
    pub flags: u32,
    /// 0.
    pub reserved: u32,
    /// One line.
    pub message: Bytes,
    /// What to do about it.
    pub hint: Bytes,
    /// What is wrong with options, as a JSON list of `pointer` and `message`.
    pub problems_json: Bytes,
}

/// Flags of [`Health`].
pub mod health {
    /// The number of entries is known.
    pub const ENTRIES: u32 = 1;
    /// The number of bytes is known.
    pub const BYTES: u32 = 2;
}

/// What a backend knows about itself.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Health {
    /// The size of this struct as the caller has it.
    pub struct_size: u32,
    /// Which of the numbers are known: [`health`].
    pub flags: u32,
    /// How many entries there are.
    pub entries: u64,
    /// How many bytes they take.
    pub bytes: u64,
    /// Entries that could not be read since the start.
    pub corrupt: u64,
    /// Why it works worse than it should.
    pub degraded: Bytes,
}

/// Levels of [`Host::log`].
pub mod level {
    /// Something failed.
    pub const ERROR: u32 = 1;
    /// Something may fail soon.
    pub const WARN: u32 = 2;
    /// Something happened.
    pub const INFO: u32 = 3;
    /// For who looks for a fault.
    pub const DEBUG: u32 = 4;
    /// Everything.
    pub const TRACE: u32 = 5;
}

/// A function that is there or not.
type F<T> = Option<T>;

/// What the host offers; valid as long as the process lives.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Host {
    /// The size of this struct as the host has it.
    pub struct_size: u32,
    /// The major version of the host.
    pub abi_major: u16,
    /// The minor version of the host.
    pub abi_minor: u16,
    /// The version of Larder.
    pub version: Slice,
    /// What is above this level is dropped. Another thread may write it.
    pub max_log_level: *const u32,
    /// Says something: instance, level, target, message, fields.
    pub log: F<unsafe extern "C" fn(u64, u32, *const Slice, *const Slice, *const Kv, usize)>,
    /// The answer comes later; 0 if it must come now.
    pub op_defer: F<unsafe extern "C" fn(*const Call, u64) -> u64>,
    /// 1 if nobody waits any more.
    pub op_is_cancelled: F<unsafe extern "C" fn(u64) -> i32>,
    /// The answer.
    pub op_complete: F<unsafe extern "C" fn(u64, Status, *mut c_void, *const Error) -> Status>,
    /// A buffer of the host.
    pub bytes_new: F<unsafe extern "C" fn(usize, *mut *mut u8, *mut Bytes) -> Status>,
    /// Runs a function on a thread that may block.
    pub spawn_blocking:
        F<unsafe extern "C" fn(u64, F<unsafe extern "C" fn(*mut c_void)>, *mut c_void) -> Status>,
    /// The time.
    pub now_us: F<unsafe extern "C" fn() -> i64>,
    /// A panic was caught where no status can be returned.
    pub panicked: F<unsafe extern "C" fn(u64, *const Slice)>,
    /// Carries out invalidations.
    pub sink_invalidate: F<unsafe extern "C" fn(u64, *const Invalidation, usize) -> Status>,
    /// Invalidations may have been missed.
    pub sink_lost_track: F<unsafe extern "C" fn(u64) -> Status>,
    /// Carries out changes of other sites.
    pub sink_apply: F<unsafe extern "C" fn(u64, *const Mutation, usize) -> Status>,
    /// Interfaces that are tried out.
    pub query: F<unsafe extern "C" fn(*const Slice) -> *const c_void>,
}

/// What an instance is made from; valid until its function returns, but for the host.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Create {
    /// The size of this struct as the host has it.
    pub struct_size: u32,
    /// None are known.
    pub flags: u32,
    /// The number of the instance.
    pub instance: u64,
    /// The number of its sink; 0 for none.
    pub sink: u64,
    /// The host.
    pub host: *const Host,
    /// The name of the cache.
    pub cache: Slice,
    /// The options: an object that the schema of the component allows.
    pub config_json: Slice,
    /// The greatest value that is stored.
    pub max_value_bytes: u64,
    /// How many entries a shard of a policy may hold.
    pub capacity_entries: u64,
    /// The greatest sum of weights of a shard of a policy.
    pub capacity_weight: u64,
    /// The time, so that nobody needs to ask a clock.
    pub now_us: i64,
}
