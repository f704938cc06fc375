//! Adapters over tables of C and of this process.

mod beside;
#[cfg(not(miri))]
mod c;
mod codec;
mod foreign_policy;
mod options;
mod protocol;
#[cfg(all(target_os = "linux", not(miri)))]
mod reload;
mod rust_serializer;
mod threads;
mod toy;
