//! Adapters over tables of C and of this process.

mod beside;
#[cfg(not(miri))]
mod c;
mod codec;
mod foreign_policy;
mod protocol;
mod rust_serializer;
mod threads;
mod toy;
