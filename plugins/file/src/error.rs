//! From errors of the operating system to [`CacheError`].

use std::io;
use std::path::Path;

use larder_core::{CacheError, ErrorKind};

/// The error of an operation that the file system refused.
pub(crate) fn failed(operation: &'static str, path: &Path, cause: io::Error) -> CacheError {
    let (kind, message, hint) = if is_full(&cause) {
        (
            ErrorKind::Capacity,
            "there is no room for the entry",
            "free space on the disk, or lower `max_bytes`",
        )
    } else if cause.kind() == io::ErrorKind::TimedOut {
        (
            ErrorKind::Timeout,
            "another process keeps the cache directory locked",
            "look for a program that uses the directory and was stopped, or for a slow disk",
        )
    } else {
        (
            ErrorKind::Connection,
            "the file system refused the operation",
            "look at the directory and the disk it is on",
        )
    };
    CacheError::new(kind, message)
        .during(operation)
        .with("backend", "file")
        .with("path", path.display())
        .caused_by(cause)
        .hint(hint)
}

/// Whether there is no room for this entry, wherever that comes from.
fn is_full(cause: &io::Error) -> bool {
    is_disk_full(cause) || cause.kind() == io::ErrorKind::FileTooLarge
}

/// Whether other entries have to go before this can succeed.
pub(crate) fn is_disk_full(cause: &io::Error) -> bool {
    matches!(cause.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// The error of a directory that must not be used as it is.
pub(crate) fn refused(
    dir: &Path,
    message: &'static str,
    found: impl std::fmt::Display,
    expected: impl std::fmt::Display,
    hint: &'static str,
) -> CacheError {
    CacheError::new(ErrorKind::Config, message)
        .with("backend", "file")
        .with("dir", dir.display())
        .with("found", found)
        .with("expected", expected)
        .hint(hint)
}
