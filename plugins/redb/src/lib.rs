//! The redb backend of Larder: small durable caches in one file.
//!
//! The crate [redb](https://docs.rs/redb) keeps a B-tree in one file and changes it in
//! transactions, so what was acknowledged is there after a crash, and what was not is not.
//!
//! | module | what |
//! |---|---|
//! | [`config`] | the options, and the plugin's registration |
//! | [`backend`] | [`RedbBackend`], which moves the work to the blocking pool |
//! | `store` | what it does there |
//! | `holder` | opening the database, and going on when it is damaged or its disk is full |
//! | `tables` | what its tables hold, and what a transaction does with them |
//! | `caller` | tells a write that nobody waits for it any more |
//! | `record` | an entry as the bytes of a row |
//! | `directory` | the directory: what is refused, where the damaged file goes |
//! | `error` | from errors of redb to errors of ours |
//!
//! When *not* to use it: from several processes at a time, and for many writes a second; all of
//! them go through one writer, and with the default durability each waits for the disk. The
//! backend `file` does both.

pub mod backend;
mod caller;
pub mod config;
mod directory;
mod error;
mod holder;
mod record;
mod store;
mod tables;

pub use backend::RedbBackend;
pub use config::{Durability, REDB, RedbConfig};
