//! Values: embedded in other structs, or in arrays, so frozen within a major version.

use core::ffi::c_void;

/// Borrowed bytes or text. The pointer may be null if the length is 0.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Slice {
    /// The first byte.
    pub ptr: *const u8,
    /// How many bytes.
    pub len: usize,
}

impl Slice {
    /// No bytes.
    pub const EMPTY: Self = Self { ptr: core::ptr::null(), len: 0 };

    /// Borrows bytes. Whoever reads them must do so while they live.
    #[must_use]
    pub const fn new(bytes: &[u8]) -> Self {
        Self { ptr: bytes.as_ptr(), len: bytes.len() }
    }
}

/// How to keep and to free [`Bytes`].
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct BytesVt {
    /// One more owner. Any thread.
    pub retain: Option<unsafe extern "C" fn(owner: *mut c_void)>,
    /// One owner less. Any thread, also after the instance was destroyed.
    pub release: Option<unsafe extern "C" fn(owner: *mut c_void)>,
}

/// Bytes with an owner; there is nothing to release if `vt` is null.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Bytes {
    /// The first byte.
    pub ptr: *const u8,
    /// How many bytes.
    pub len: usize,
    /// What `vt` is called with.
    pub owner: *mut c_void,
    /// How to keep and to free them.
    pub vt: *const BytesVt,
}

impl Bytes {
    /// No bytes.
    pub const EMPTY: Self = Self::borrowed(Slice::EMPTY);

    /// Bytes that belong to somebody else.
    #[must_use]
    pub const fn borrowed(slice: Slice) -> Self {
        Self { ptr: slice.ptr, len: slice.len, owner: core::ptr::null_mut(), vt: core::ptr::null() }
    }
}

/// A key and its hash, which is the same for equal keys as long as the process lives.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// The first byte of its text.
    pub ptr: *const u8,
    /// How many bytes.
    pub len: usize,
    /// The hash; not to be stored.
    pub hash: u64,
}

/// A name and a value, for logs.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Kv {
    /// The name.
    pub key: Slice,
    /// The value.
    pub value: Slice,
}

/// When something was written, and by whom; the greater one is newer.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Version {
    /// When.
    pub time_us: u64,
    /// By whom.
    pub origin: u32,
    /// 0.
    pub reserved: u32,
}

/// An entry of a cache, as an envelope of the host.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// To be kept and given back byte for byte.
    pub value: Bytes,
    /// After this it is stale, and still returned.
    pub soft_us: i64,
    /// After this it is gone.
    pub hard_us: i64,
    /// Its version.
    pub version: Version,
    /// 0.
    pub reserved: [u64; 2],
}

impl Entry {
    /// No value, no end.
    pub const EMPTY: Self = Self {
        value: Bytes::EMPTY,
        soft_us: crate::NEVER,
        hard_us: crate::NEVER,
        version: Version { time_us: 0, origin: 0, reserved: 0 },
        reserved: [0; 2],
    };
}

/// Where a function puts bytes: into `scratch`, or anywhere of its own.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Output {
    /// A buffer of the caller.
    pub scratch: *mut u8,
    /// How much it takes.
    pub scratch_cap: usize,
    /// What was put out.
    pub bytes: Bytes,
}

/// Where a function puts an entry, the value into `scratch` if it fits.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Read {
    /// A buffer of the caller.
    pub scratch: *mut u8,
    /// How much it takes.
    pub scratch_cap: usize,
    /// What was found.
    pub entry: Entry,
}

/// Many reads with the status of each.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Reads {
    /// The reads.
    pub reads: *mut Read,
    /// Their statuses.
    pub status: *mut crate::Status,
    /// How many.
    pub n: usize,
}

/// A page of keys, each as its length in 4 bytes, little endian, and its text.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Page {
    /// The keys.
    pub keys: Bytes,
    /// The cursor of the next page; empty at the end.
    pub next: Bytes,
}

/// The answer to a request for a lease.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Lease {
    /// Proves the lease that was granted.
    pub token: u64,
    /// How long another has it.
    pub remaining_us: i64,
}

/// What an invalidation, or a mutation that is one, names.
pub mod scope {
    /// The whole cache.
    pub const ALL: u32 = 1;
    /// Keys that match a glob.
    pub const GLOB: u32 = 2;
    /// One key.
    pub const KEY: u32 = 3;
    /// Keys that begin with a text.
    pub const PREFIX: u32 = 4;
    /// Entries with a tag.
    pub const TAG: u32 = 5;
    /// Entries older than a version.
    pub const VERSION: u32 = 6;
}

/// A flag of [`Invalidation`]: entries become stale instead of going.
pub const INVALIDATION_KEEP: u32 = 1;

/// Entries become unusable.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Invalidation {
    /// One of [`scope`].
    pub scope: u32,
    /// [`INVALIDATION_KEEP`].
    pub flags: u32,
    /// What the scope names.
    pub target: Slice,
    /// Entries that are newer stay.
    pub version: Version,
    /// 0.
    pub reserved: [u64; 2],
}

/// What a [`Mutation`] does.
pub mod mutation {
    /// Stores an entry.
    pub const PUT: u32 = 1;
    /// Removes one.
    pub const DELETE: u32 = 2;
    /// Makes entries unusable.
    pub const INVALIDATE: u32 = 3;
}

/// A change that is carried to other sites.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Mutation {
    /// One of [`mutation`].
    pub op: u32,
    /// One of [`scope`], of an invalidation.
    pub scope: u32,
    /// The key, or what the scope names.
    pub target: Slice,
    /// What is stored; its version counts for every change.
    pub entry: Entry,
    /// 0.
    pub reserved: [u64; 2],
}

/// A flag of [`WarmItem`]: it brings its value.
pub const WARM_HAS_VALUE: u32 = 1;

/// A key that should be there before anybody asks.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct WarmItem {
    /// The key.
    pub key: Bytes,
    /// Its value, serialized.
    pub value: Bytes,
    /// Greater goes first.
    pub priority: i32,
    /// [`WARM_HAS_VALUE`].
    pub flags: u32,
    /// 0.
    pub reserved: [u64; 2],
}

/// Room for keys to warm.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct WarmBatch {
    /// The items.
    pub items: *mut WarmItem,
    /// For how many there is room.
    pub cap: usize,
    /// How many there are.
    pub n: usize,
}
