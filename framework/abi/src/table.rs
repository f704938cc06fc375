//! A table of functions for each of the six kinds of components.
//!
//! Which may be missing, and what each must do, stands at its name in the header.

use core::ffi::c_void;

use crate::Status;
use crate::call::{Call, Create, Error, Health};
use crate::value::{
    Bytes, Entry, Invalidation, Key, Lease, Mutation, Output, Page, Read, Reads, Slice, WarmBatch,
};

/// The six kinds.
pub mod kind {
    /// Keeps entries: [`BackendVt`](super::BackendVt).
    pub const BACKEND: u32 = 1;
    /// Says which entry has to go: [`PolicyVt`](super::PolicyVt).
    pub const POLICY: u32 = 2;
    /// Values to bytes, or bytes to bytes: [`CodecVt`](super::CodecVt).
    pub const CODEC: u32 = 3;
    /// Facts from outside: [`InvalidatorVt`](super::InvalidatorVt).
    pub const INVALIDATOR: u32 = 4;
    /// Keys to have before anybody asks: [`WarmerVt`](super::WarmerVt).
    pub const WARMER: u32 = 5;
    /// Changes to other sites and back: [`ReplicatorVt`](super::ReplicatorVt).
    pub const REPLICATOR: u32 = 6;
}

/// What a component can do. The bits below 32 are those of `larder_core::Capabilities`.
pub mod cap {
    /// Takes an eviction policy.
    pub const POLICY: u64 = 1 << 0;
    /// Removes entries at their hard deadline by itself.
    pub const TTL: u64 = 1 << 1;
    /// Changes deadlines without the value.
    pub const TOUCH: u64 = 1 << 2;
    /// Keeps the tags of entries.
    pub const TAGS: u64 = 1 << 3;
    /// Lists its keys.
    pub const SCAN: u64 = 1 << 4;
    /// Many keys at once are cheaper.
    pub const BATCH: u64 = 1 << 5;
    /// Entries survive the end of the process.
    pub const PERSIST: u64 = 1 << 6;
    /// Other processes see the same entries.
    pub const SHARED: u64 = 1 << 7;
    /// Writes only what is newer.
    pub const PUT_IF_NEWER: u64 = 1 << 9;
    /// Grants leases.
    pub const LEASE: u64 = 1 << 10;
    /// Reads the first bytes of a value.
    pub const HEADER_READ: u64 = 1 << 11;
    /// Answers at once, and never waits.
    pub const SYNC: u64 = 1 << 32;
    /// May block its thread.
    pub const BLOCKING: u64 = 1 << 33;
}

/// What the host does by itself when an entry is hit.
pub mod hit {
    /// Nothing.
    pub const NONE: u32 = 0;
    /// Sets the counter to 1.
    pub const BIT: u32 = 1;
    /// Counts up to `hit_max`.
    pub const COUNTER: u32 = 2;
    /// Writes the slot down.
    pub const RECORD: u32 = 3;
    /// Calls the policy at once.
    pub const EXCLUSIVE: u32 = 4;
}

/// What a codec is.
pub mod codec {
    /// MessagePack to its own format and back.
    pub const SERIALIZER: u32 = 1;
    /// Makes bytes fewer.
    pub const COMPRESS: u32 = 2;
    /// Makes bytes unreadable.
    pub const ENCRYPT: u32 = 3;
    /// Writes bytes in other characters.
    pub const ENCODE: u32 = 4;
}

/// Why a warmer runs.
pub mod trigger {
    /// Somebody asked for it.
    pub const DEMAND: u32 = 1;
    /// A tier came back.
    pub const FAILOVER: u32 = 2;
    /// Its schedule said so.
    pub const SCHEDULE: u32 = 3;
    /// The cache was built.
    pub const STARTUP: u32 = 4;
}

/// A function that is there or not: the null of a function pointer is `None`.
type F<T> = Option<T>;
/// The instance.
type S = *mut c_void;
type C = *const Call;
type K = *const Key;
type E = *mut Error;

/// Makes an instance.
pub type CreateFn = unsafe extern "C" fn(*const Create, *mut S, E) -> Status;
/// Ends an instance.
pub type DestroyFn = unsafe extern "C" fn(S);
/// A call without arguments of its own.
pub type PlainFn = unsafe extern "C" fn(S, C, E) -> Status;
/// A call about one key.
pub type KeyFn = unsafe extern "C" fn(S, C, K, E) -> Status;
/// A call that stores an entry.
pub type EntryFn = unsafe extern "C" fn(S, C, K, *const Entry, E) -> Status;
/// Nobody waits for an answer any more.
pub type CancelFn = unsafe extern "C" fn(S, u64);

/// Keeps entries.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct BackendVt {
    /// The size of this struct as the plugin has it.
    pub struct_size: u32,
    /// None are known.
    pub flags: u32,
    /// Makes an instance.
    pub create: F<CreateFn>,
    /// Ends it.
    pub destroy: F<DestroyFn>,
    /// Reads an entry.
    pub get: F<unsafe extern "C" fn(S, C, K, *mut Read, E) -> Status>,
    /// Stores one.
    pub set: F<EntryFn>,
    /// Removes one.
    pub remove: F<KeyFn>,
    /// Removes all.
    pub clear: F<PlainFn>,
    /// Whether there is one.
    pub exists: F<KeyFn>,
    /// Reads many.
    pub get_many: F<unsafe extern "C" fn(S, C, K, *mut Reads, E) -> Status>,
    /// Stores many.
    pub set_many: F<unsafe extern "C" fn(S, C, K, *const Entry, usize, E) -> Status>,
    /// Removes many.
    pub remove_many: F<unsafe extern "C" fn(S, C, K, usize, *mut u64, E) -> Status>,
    /// Changes the deadlines of one.
    pub touch: F<unsafe extern "C" fn(S, C, K, i64, i64, E) -> Status>,
    /// Lists keys.
    pub scan:
        F<unsafe extern "C" fn(S, C, *const Slice, *const Slice, usize, *mut Page, E) -> Status>,
    /// Stores one that is newer.
    pub put_if_newer: F<EntryFn>,
    /// Grants the right to load.
    pub lease: F<unsafe extern "C" fn(S, C, K, i64, *mut Lease, E) -> Status>,
    /// Stores what was loaded under a lease.
    pub fill: F<unsafe extern "C" fn(S, C, K, *const Entry, u64, E) -> Status>,
    /// Takes a lease back.
    pub release: F<unsafe extern "C" fn(S, C, K, u64, E) -> Status>,
    /// Reads the first bytes of a value.
    pub get_head: F<unsafe extern "C" fn(S, C, K, usize, *mut Read, E) -> Status>,
    /// Says how it is.
    pub health: F<unsafe extern "C" fn(S, C, *mut Health, E) -> Status>,
    /// Begins background work.
    pub start: F<PlainFn>,
    /// Writes out what is buffered.
    pub flush: F<PlainFn>,
    /// Stops background work.
    pub close: F<PlainFn>,
    /// Nobody waits any more.
    pub cancel: F<CancelFn>,
}

/// What a policy may ask about the entries of its shard.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Slots {
    /// The size of this struct as the host has it.
    pub struct_size: u32,
    /// None are known.
    pub flags: u32,
    /// What the functions are called with.
    pub shard: *mut c_void,
    /// The counter of an entry.
    pub hits: F<unsafe extern "C" fn(*mut c_void, u32) -> u32>,
    /// Sets it.
    pub set_hits: F<unsafe extern "C" fn(*mut c_void, u32, u32)>,
    /// The hash of its key.
    pub hash: F<unsafe extern "C" fn(*mut c_void, u32) -> u64>,
    /// What it weighs.
    pub weight: F<unsafe extern "C" fn(*mut c_void, u32) -> u32>,
    /// When it expires.
    pub deadline_us: F<unsafe extern "C" fn(*mut c_void, u32) -> i64>,
    /// Whether it must stay.
    pub is_pinned: F<unsafe extern "C" fn(*mut c_void, u32) -> i32>,
    /// A random number below a bound.
    pub random: F<unsafe extern "C" fn(*mut c_void, u32) -> u32>,
}

type SlotsPtr = *const Slots;

/// Says which entry has to go.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct PolicyVt {
    /// The size of this struct as the plugin has it.
    pub struct_size: u32,
    /// One of [`hit`].
    pub hit_mode: u32,
    /// Where the counter of [`hit::COUNTER`] stops.
    pub hit_max: u32,
    /// 0.
    pub reserved: u32,
    /// Makes an instance.
    pub create: F<CreateFn>,
    /// Ends it.
    pub destroy: F<DestroyFn>,
    /// An entry came.
    pub on_insert: F<unsafe extern "C" fn(S, u32, SlotsPtr)>,
    /// An entry goes.
    pub on_remove: F<unsafe extern "C" fn(S, u32, i32, SlotsPtr)>,
    /// The entry that should go.
    pub victim: F<unsafe extern "C" fn(S, SlotsPtr, *mut u32) -> Status>,
    /// The shard may hold more or less.
    pub resize: F<unsafe extern "C" fn(S, u64, u64)>,
    /// How many entries it keeps books about.
    pub len: F<unsafe extern "C" fn(S) -> u64>,
    /// Entries were hit.
    pub on_hits: F<unsafe extern "C" fn(S, *const u32, usize, SlotsPtr)>,
    /// Whether a new key should come in.
    pub admit: F<unsafe extern "C" fn(S, u64, u32, u32, SlotsPtr) -> i32>,
}

/// Where bytes belong that a codec works on.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct CodecContext {
    /// The size of this struct as the host has it.
    pub struct_size: u32,
    /// The number of the serializer.
    pub format: u32,
    /// The cache.
    pub cache: Slice,
    /// The key.
    pub key: Slice,
    /// The numbers of the wrappers further in.
    pub inner: *const u16,
    /// How many.
    pub n_inner: usize,
    /// The most bytes that may be put out when they are undone.
    pub max_size: u64,
}

/// Puts bytes out for bytes that come in.
pub type CodeFn =
    unsafe extern "C" fn(S, *const CodecContext, *const Slice, *mut Output, E) -> Status;

/// Values to bytes, or bytes to bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct CodecVt {
    /// The size of this struct as the plugin has it.
    pub struct_size: u32,
    /// One of [`codec`].
    pub model: u32,
    /// Marks what it wrote; 0 for one made from its name.
    pub number: u32,
    /// 0.
    pub reserved: u32,
    /// Makes an instance.
    pub create: F<CreateFn>,
    /// Ends it.
    pub destroy: F<DestroyFn>,
    /// Does it.
    pub encode: F<CodeFn>,
    /// Undoes it.
    pub decode: F<CodeFn>,
}

/// Facts from outside, and ours to others.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct InvalidatorVt {
    /// The size of this struct as the plugin has it.
    pub struct_size: u32,
    /// None are known.
    pub flags: u32,
    /// Makes an instance.
    pub create: F<CreateFn>,
    /// Ends it.
    pub destroy: F<DestroyFn>,
    /// Begins to listen.
    pub start: F<PlainFn>,
    /// Tells others.
    pub publish: F<unsafe extern "C" fn(S, C, *const Invalidation, E) -> Status>,
    /// Stops listening.
    pub stop: F<PlainFn>,
    /// Whether a pattern matches a key.
    pub matches: F<unsafe extern "C" fn(S, *const Slice, *const Slice) -> i32>,
    /// Nobody waits any more.
    pub cancel: F<CancelFn>,
}

/// What a run of a warmer did.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct WarmStats {
    /// The size of this struct as the host has it.
    pub struct_size: u32,
    /// None are known.
    pub flags: u32,
    /// Keys that were named.
    pub named: u64,
    /// Keys that are warm.
    pub warmed: u64,
    /// Keys that were warm already.
    pub skipped: u64,
    /// Keys whose load failed.
    pub failed: u64,
    /// How long it took.
    pub elapsed_us: u64,
}

/// Keys to have before anybody asks.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct WarmerVt {
    /// The size of this struct as the plugin has it.
    pub struct_size: u32,
    /// None are known.
    pub flags: u32,
    /// Makes an instance.
    pub create: F<CreateFn>,
    /// Ends it.
    pub destroy: F<DestroyFn>,
    /// Begins a run.
    pub begin: F<unsafe extern "C" fn(S, u32, *mut *mut c_void, *mut u64, E) -> Status>,
    /// The next batch.
    pub next: F<unsafe extern "C" fn(S, *mut c_void, C, *mut WarmBatch, E) -> Status>,
    /// Ends a run, after everything that was asked of it: what was put off was answered, or
    /// `cancel` for it has returned.
    pub end: F<unsafe extern "C" fn(S, *mut c_void, *const WarmStats)>,
    /// Nobody waits any more.
    pub cancel: F<CancelFn>,
}

/// Changes to other sites and back.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ReplicatorVt {
    /// The size of this struct as the plugin has it.
    pub struct_size: u32,
    /// None are known.
    pub flags: u32,
    /// Makes an instance.
    pub create: F<CreateFn>,
    /// Ends it.
    pub destroy: F<DestroyFn>,
    /// Begins.
    pub start: F<PlainFn>,
    /// Takes changes over.
    pub send: F<unsafe extern "C" fn(S, C, *const Mutation, usize, E) -> Status>,
    /// How far each target is behind.
    pub status: F<unsafe extern "C" fn(S, *mut Bytes) -> Status>,
    /// Sends what is queued and stops.
    pub stop: F<PlainFn>,
    /// Nobody waits any more.
    pub cancel: F<CancelFn>,
}
