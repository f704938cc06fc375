//! The file backend of Larder: one file per entry, safe against torn writes.
//!
//! Entries are written to a temporary file and renamed into place, so a reader sees a complete
//! entry or none, whatever happens to the writer. Every file carries checksums and its full key;
//! what does not fit is a miss and is removed. Names of files are keyed hashes, so no byte of a
//! key reaches the file system.
//!
//! | module | what |
//! |---|---|
//! | [`config`] | the options, and the plugin's registration |
//! | [`backend`] | [`FileBackend`], which moves the work to the blocking pool |
//! | `directory`, `store` | what it does there: get, delete, touch, clear; set |
//! | `collect`, `scan` | making room; listing keys |
//! | `entry_file`, `layout`, `meta` | what the files hold, where they lie, `meta.toml` |
//! | `root` | opening a directory, and the refusals that keep it safe |
//! | `platform` | what differs between operating systems |
//!
//! Several processes may use one directory at a time on a local file system. Network file systems
//! are not supported: their locks and renames promise less.
//!
//! When *not* to use it: for values that are quicker to make than to read, and for many writes a
//! second of tiny values; each entry costs an inode.

pub mod backend;
mod collect;
pub mod config;
mod directory;
mod entry_file;
mod error;
mod layout;
mod meta;
#[cfg_attr(unix, path = "platform/unix.rs")]
#[cfg_attr(not(unix), path = "platform/other.rs")]
mod platform;
mod root;
mod scan;
mod store;

pub use backend::FileBackend;
pub use config::{FILE, FileConfig, Fsync};
