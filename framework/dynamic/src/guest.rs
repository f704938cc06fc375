//! The other side: plugins in Rust as libraries.
//!
//! One implementation of the traits of `larder-core` serves both ways in. Linked into a program it
//! is registered with [`register!`](larder_core::register); a crate of the type `cdylib` makes a
//! library of it with [`export_plugin!`](crate::export_plugin):
//!
//! ```text
//! larder_dynamic::export_plugin! {
//!     "acme-shelf",
//!     backend: acme_shelf::ShelfConfig,
//! }
//! ```
//!
//! | module | what |
//! |---|---|
//! | `answer` | a future is polled once, and goes on in a task if it is not ready |
//! | `backend`, `policy`, `serializer`, `wrapper` | the tables |
//! | `invalidator`, `replicator`, `warmer` | the tables of what stands beside the tiers |
//! | `bridge` | `tracing` events of the plugin go to the host |
//! | `clock` | the time that the host says it is |
//! | `codec` | what serializers and wrappers have in common |
//! | `instance` | what stands behind the `self` of the header |
//! | `options` | schema and checks of options |
//! | `part` | what the macro makes of a config type |
//! | `reply` | results as structs of the header |
//! | `runtime` | the tokio runtime of the library |
//! | `sink` | where invalidators and replicators deliver |
//! | `transcode` | values between MessagePack and a serializer |
//!
//! # Panics
//!
//! None leaves the library: each function says [`Status::PANICKED`](larder_abi::Status) instead.
//! With `panic = "abort"` in the profile there is nothing to catch, and the stamp says so.

pub(crate) mod answer;
pub(crate) mod backend;
pub(crate) mod bridge;
pub(crate) mod clock;
mod codec;
pub(crate) mod instance;
pub(crate) mod invalidator;
pub(crate) mod options;
pub mod part;
pub(crate) mod policy;
pub(crate) mod replicator;
pub(crate) mod reply;
pub(crate) mod runtime;
mod serializer;
pub(crate) mod sink;
#[cfg(test)]
mod tests;
pub(crate) mod transcode;
pub(crate) mod warmer;
pub(crate) mod wrapper;

#[doc(hidden)]
pub use larder_abi as __abi;

/// Exports plugins in Rust from a crate of the type `cdylib`: the name of the library, then the
/// slot and the config type of each component.
///
/// The slots are `backend`, `policy`, `serializer`, `wrapper`, `invalidator`, `replicator` and
/// `warmer`; `sync_backend` is a backend that never waits for anything, such as a table in memory,
/// and is asked without a future. The name is that of the section `[plugins.…]` of a config. Use it
/// once in a crate, and in one that nothing links: two libraries of one program cannot export the
/// same symbols.
#[macro_export]
macro_rules! export_plugin {
    ($name:literal, $($slot:ident: $config:ty),+ $(,)?) => {
        /// What the file says about the library before any code of it runs.
        #[used]
        #[unsafe(no_mangle)]
        #[cfg_attr(
            all(unix, not(target_vendor = "apple")),
            unsafe(link_section = ".larder_stamp")
        )]
        #[expect(non_upper_case_globals, reason = "the header has this name")]
        pub static larder_stamp_v1: $crate::guest::__abi::Stamp =
            $crate::guest::__abi::Stamp::new($name, ::std::env::consts::ARCH, 0);

        /// The entry of the library.
        ///
        /// # Safety
        ///
        /// The pointers must be what the header says.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn larder_entry_v1(
            host: *const $crate::guest::__abi::Host,
            out: *mut *const $crate::guest::__abi::Plugin,
            error: *mut $crate::guest::__abi::call::Error,
        ) -> $crate::guest::__abi::Status {
            let parts = || ::std::vec![$($crate::guest::part::$slot::<$config>()),+];
            // SAFETY: whoever calls this keeps the rules of the header.
            unsafe {
                $crate::guest::part::enter(
                    $name,
                    ::core::env!("CARGO_PKG_VERSION"),
                    parts,
                    (host, out, error),
                )
            }
        }
    };
}
