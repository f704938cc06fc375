//! What can be done with the standard library alone. `unix.rs` is its twin.
//!
//! Weaker than Unix: links are followed, owner and permissions of the directory are not checked,
//! and two states of a file are told apart by length and time only. Use a directory that only the
//! program's user can write to.

use std::fs::{self, Metadata, OpenOptions};
use std::io;
use std::path::Path;
use std::time::SystemTime;

/// Options that open an existing file for reading.
pub(crate) fn reading() -> OpenOptions {
    OpenOptions::new().read(true).clone()
}

/// Options that open an existing file for reading and writing.
pub(crate) fn patching() -> OpenOptions {
    OpenOptions::new().read(true).write(true).clone()
}

/// Options that make a file, which must not exist.
pub(crate) fn creating() -> OpenOptions {
    OpenOptions::new().write(true).create_new(true).clone()
}

/// Options that open a lock file, and make it if it is missing.
pub(crate) fn locking() -> OpenOptions {
    OpenOptions::new().write(true).create(true).clone()
}

/// Makes a directory and those above it.
pub(crate) fn create_directory(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)
}

/// Directories cannot be forced to the disk here; the file system does it in its own time.
pub(crate) fn sync_directory(_path: &Path) -> io::Result<()> {
    Ok(())
}

/// There is no such call here; the caller renames instead.
pub(crate) fn exchange(_one: &Path, _other: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Not checked here.
pub(crate) fn who_else_writes(_directory: &Metadata) -> Option<(String, String, &'static str)> {
    None
}

/// Whether a file could not be opened because it is not one of ours.
pub(crate) fn is_foreign(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied
}

/// Tells two files at the same path from each other, mostly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    length: u64,
    created: Option<SystemTime>,
}

impl Identity {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        Self { length: metadata.len(), created: metadata.created().ok() }
    }
}
