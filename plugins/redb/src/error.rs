//! From errors of redb to [`CacheError`], and what they say about the database.

use std::any::Any;
use std::io;
use std::path::Path;

use larder_core::{CacheError, ErrorKind};
use redb::Error;

/// What has to happen with a database after an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Its file cannot be read: a new one takes its place.
    Damaged,
    /// Another one has it open.
    InUse,
    /// It has to be opened again before it is of use.
    Reopen,
}

pub(crate) fn verdict(error: &Error) -> Verdict {
    match error {
        Error::DatabaseAlreadyOpen | Error::LockProtocolMismatch => Verdict::InUse,
        Error::Io(error) => match error.kind() {
            // What redb reports for files that are not its own, and for those that end too early.
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => Verdict::Damaged,
            _ => Verdict::Reopen,
        },
        Error::PreviousIo
        | Error::DatabaseClosed
        | Error::LockPoisoned(_)
        | Error::ValueTooLarge(_)
        | Error::TransactionPoisoned => Verdict::Reopen,
        _ => Verdict::Damaged,
    }
}

/// The error of an operation that redb could not carry out.
pub(crate) fn failed(operation: &'static str, path: &Path, cause: Error) -> CacheError {
    let is_full = matches!(&cause, Error::Io(cause) if matches!(
        cause.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    ));
    let (kind, message, hint) = match (is_full, &cause) {
        (true, _) => (
            ErrorKind::Capacity,
            "there is no room for the entry",
            "free space on the disk, or lower `max_bytes`",
        ),
        (_, Error::ValueTooLarge(_)) => {
            (ErrorKind::Capacity, "the entry is too large", "keep values below 3 GiB")
        }
        _ => (
            ErrorKind::Connection,
            "the database refused the operation",
            "look at the directory and the disk it is on",
        ),
    };
    CacheError::new(kind, message)
        .during(operation)
        .with("backend", "redb")
        .with("path", path.display())
        .caused_by(cause)
        .hint(hint)
}

/// The error of an operation that the file system refused.
pub(crate) fn failed_io(operation: &'static str, path: &Path, cause: io::Error) -> CacheError {
    failed(operation, path, Error::Io(cause))
}

/// What a panic said. redb panics over some damages.
pub(crate) fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "panicked".to_owned())
}
