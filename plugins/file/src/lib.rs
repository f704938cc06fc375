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
//! | [`backend`], `sweeper` | [`FileBackend`], which moves the work to the blocking pool |
//! | `directory` | what it works on there, and what all operations share |
//! | `read`, `store`, `change`, `lease`, `scan` | the operations |
//! | `collect`, `evict`, `sweep` | making room, by the policy; removing garbage |
//! | `usage`, `locks`, `breaker`, `poison` | counting, excluding others, coping with a bad disk |
//! | `entry_file`, `layout`, `meta` | what the files hold, where they lie, `meta.toml` |
//! | `root`, `home` | opening a directory, the refusals that keep it safe, what is held open |
//! | `platform` | what differs between operating systems |
//!
//! Several processes may use one directory at a time on a local file system. Network file systems
//! are not supported: their locks and renames promise less.
//!
//! When *not* to use it: for values that are quicker to make than to read, and for many writes a
//! second of tiny values; each entry costs an inode.

pub mod backend;
mod breaker;
mod change;
mod collect;
pub mod config;
mod directory;
mod entry_file;
mod error;
mod evict;
mod home;
mod layout;
mod lease;
mod locks;
mod meta;
mod platform;
mod poison;
mod read;
mod root;
mod scan;
mod store;
mod sweep;
mod sweeper;
mod usage;

pub use backend::FileBackend;
pub use config::{Durability, FILE, FileConfig};
#[doc(hidden)]
pub use read::decode_entry_file;
