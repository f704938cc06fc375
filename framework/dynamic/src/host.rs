//! What the host offers to libraries: the table [`table`], and what stands behind its functions.
//!
//! | module | what |
//! |---|---|
//! | `buffer` | bytes with an owner, which both sides keep and release |
//! | `instances` | who speaks: instances by numbers that are never used again |
//! | `log` | what libraries say goes to `tracing` |
//! | `ops` | answers that come later |
//! | `sinks` | where invalidators and replicators deliver |
//!
//! A thread of a library may call these functions at any time until the process ends, so all they
//! touch are statics, and what they are given are numbers: that of something that is gone is
//! refused. No panic of ours goes through to the library.

use std::ffi::c_void;
use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

use larder_abi::value::Slice;
use larder_abi::{ABI_MAJOR, ABI_MINOR, Host, Status};

use crate::borrow::{self, Portable};
use crate::guard::guard;

pub(crate) mod buffer;
pub(crate) mod instances;
pub(crate) mod log;
pub(crate) mod ops;
pub(crate) mod sinks;

/// The longest text of a plugin that is shown.
pub(crate) const LONGEST_TEXT: usize = 16 * 1024;

struct Shared(Host);

// SAFETY: the table is never written, and what it points to are functions and statics.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

static TABLE: LazyLock<Shared> = LazyLock::new(|| {
    Shared(Host {
        struct_size: size_of::<Host>() as u32,
        abi_major: ABI_MAJOR,
        abi_minor: ABI_MINOR,
        version: Slice::new(env!("CARGO_PKG_VERSION").as_bytes()),
        max_log_level: log::max_level(),
        log: Some(log::log),
        op_defer: Some(ops::op_defer),
        op_is_cancelled: Some(ops::op_is_cancelled),
        op_complete: Some(ops::op_complete),
        bytes_new: Some(buffer::bytes_new),
        spawn_blocking: Some(spawn_blocking),
        now_us: Some(now_us),
        panicked: Some(instances::panicked),
        sink_invalidate: Some(sinks::sink_invalidate),
        sink_lost_track: Some(sinks::sink_lost_track),
        sink_apply: Some(sinks::sink_apply),
        query: Some(query),
    })
});

/// The one table of this process: what a library gets as `host`.
#[must_use]
pub fn table() -> &'static Host {
    log::refresh();
    &TABLE.0
}

/// The status of a host function that may not panic.
fn or_broken(run: impl FnOnce() -> Status) -> Status {
    guard(run).unwrap_or(Status::BROKEN)
}

unsafe extern "C" fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// No interface is being tried out.
unsafe extern "C" fn query(_name: *const Slice) -> *const c_void {
    std::ptr::null()
}

/// A thread of its own for each: libraries are asked to use this now and then, not per call, and
/// a runtime of ours may be shutting down when they do.
unsafe extern "C" fn spawn_blocking(
    instance: u64,
    run: Option<unsafe extern "C" fn(*mut c_void)>,
    argument: *mut c_void,
) -> Status {
    or_broken(|| {
        let Some(run) = run else { return Status::BROKEN };
        if instances::get(instance).is_none() {
            return Status::CLOSED;
        }
        let argument = Portable(argument);
        let body = move || {
            let argument = argument;
            // SAFETY: the library gave both for this call; by the header any thread may do it.
            unsafe { run(argument.0) };
        };
        let thread = std::thread::Builder::new().name(format!("larder-plugin-{instance}"));
        thread.spawn(body).map_or(Status::BUSY, |_| Status::OK)
    })
}

/// The hash that goes along with a key: the same for equal keys as long as the process lives.
#[inline]
pub(crate) fn hash_of(key: &str) -> u64 {
    use std::hash::BuildHasher;
    static STATE: LazyLock<foldhash::fast::RandomState> = LazyLock::new(Default::default);
    STATE.hash_one(key.as_bytes())
}

/// A text for a library, which must not keep it.
pub(crate) fn lend(text: &str) -> Slice {
    Slice::new(text.as_bytes())
}

/// What an error of a library says, short enough to be shown.
pub(crate) fn short(bytes: &larder_abi::value::Bytes, what: &'static str) -> String {
    let bytes = borrow::take(bytes, what).unwrap_or_default();
    String::from_utf8_lossy(&bytes[..bytes.len().min(LONGEST_TEXT)]).into_owned()
}
