//! The tokio runtime of the library, and the host that it was loaded by.
//!
//! A library has a copy of tokio of its own, whose timers and sockets work in a runtime of that
//! copy only: the one that the thread of a caller is in does not help.

use std::sync::OnceLock;

use larder_abi::{Host, read_extensible};
use tokio::runtime::{Builder, Runtime};

/// Enough for what waits most of the time.
const THREADS: usize = 2;

struct Shared(Host);

// SAFETY: the table of a host is for all threads, as long as the process lives.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

static HOST: OnceLock<Shared> = OnceLock::new();

/// Remembers the host; the first one stays.
///
/// # Safety
///
/// `host` must be null or the table of a host.
pub(crate) unsafe fn remember(host: *const Host) {
    // SAFETY: the caller says so.
    if let Ok(host) = unsafe { read_extensible(host) } {
        HOST.get_or_init(|| Shared(host));
    }
}

/// The host, once the library was entered.
pub(crate) fn host() -> Option<&'static Host> {
    HOST.get().map(|shared| &shared.0)
}

/// The runtime. It is never shut down, for a library is never unloaded.
pub(crate) fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let mut builder = Builder::new_multi_thread();
        let builder = builder.worker_threads(THREADS).thread_name("larder-plugin");
        builder.enable_all().build().expect("a runtime needs nothing but threads")
    })
}
