//! The foyer backend of Larder: memory and disk as one cache, for high rates.
//!
//! The crate [foyer](https://docs.rs/foyer) keeps entries in memory and in blocks of a fixed size
//! on the disk, writes many of them at a time and evicts a block at a time. It promises little
//! about *which* value of a key it gives back: a write that found its queue full leaves the old
//! value on the disk, and a delete does not reach what is still being written. So this crate
//! remembers the version of the last write of every key and takes no other for an answer.
//!
//! | module | what |
//! |---|---|
//! | [`config`] | the options, and the plugin's registration |
//! | [`backend`] | [`FoyerBackend`] |
//! | `directory` | the directory: what is refused, the lock, beginning anew |
//! | `engine` | opening foyer with our options |
//! | `versions` | which version of each key is the last, in memory and in a file |
//! | `stored` | what foyer stores for an entry |
//!
//! Entries survive an orderly [`close`](larder_core::Backend::close). After a crash the cache is
//! empty, because nobody knows then what was overwritten or deleted last.
//!
//! When *not* to use it: from several processes at a time, for many entries much smaller than the
//! 4 KiB that each takes on the disk, and where entries must survive a crash. The backend `file`
//! does the first and the last.

pub mod backend;
pub mod config;
mod directory;
mod engine;
mod stored;
mod versions;

pub use backend::FoyerBackend;
pub use config::{FOYER, FoyerConfig};
