//! [`Failure`], what a library says went wrong, and the [`CacheError`] that callers see.

use larder_abi::call::{self, ERROR_RETRYABLE};
use larder_abi::{Status, read_extensible, value};
use larder_core::{CacheError, ErrorKind};

use crate::borrow;
use crate::host;
use crate::host::instances::Identity;

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) status: Status,
    pub(crate) message: String,
    pub(crate) hint: String,
    /// What is wrong with options, as JSON.
    pub(crate) problems: String,
    is_retryable: bool,
}

impl Failure {
    /// A failure that we found ourselves.
    pub(crate) fn ours(status: Status, message: impl Into<String>) -> Self {
        let (hint, problems) = (String::new(), String::new());
        Self {
            status,
            message: message.into(),
            hint,
            problems,
            is_retryable: status == Status::BUSY,
        }
    }

    /// Takes over what a library said, and releases it.
    ///
    /// # Safety
    ///
    /// `error` must be null or point to an error as the header says.
    pub(crate) unsafe fn taken(status: Status, error: *const call::Error) -> Self {
        // SAFETY: the caller says so; null is refused.
        let Ok(error) = (unsafe { read_extensible(error) }) else {
            return Self::ours(status, "");
        };
        Self {
            status,
            message: host::short(&error.message, "the message"),
            hint: host::short(&error.hint, "the hint"),
            problems: host::short(&error.problems_json, "the list of problems"),
            is_retryable: error.flags & ERROR_RETRYABLE != 0 || status == Status::BUSY,
        }
    }

    /// Releases an error that nobody reads.
    ///
    /// # Safety
    ///
    /// As [`taken`](Self::taken).
    pub(crate) unsafe fn discard(error: *const call::Error) {
        // SAFETY: the caller says so; null is refused.
        if let Ok(error) = unsafe { read_extensible(error) } {
            for bytes in [&error.message, &error.hint, &error.problems_json] {
                borrow::release(bytes);
            }
        }
    }

    /// The error for callers.
    pub(crate) fn into_error(self, operation: &'static str, of: &Identity) -> CacheError {
        let kind = kind_of(self.status);
        let mut error = CacheError::new(kind, self.message_or_status())
            .during(operation)
            .with("plugin", of.plugin)
            .with("backend", of.component)
            .with("cache", &of.cache);
        if self.is_retryable {
            error = error.retryable(true);
        }
        if !self.hint.is_empty() {
            error = error.hint(self.hint);
        } else if self.status == Status::PANICKED {
            error = error.hint("tell the author of the plugin; the tier is down until it is back");
        }
        error
    }

    pub(crate) fn message_or_status(&self) -> String {
        let Self { status, message, .. } = self;
        match (*status, message.is_empty()) {
            (Status::PANICKED, true) => "the plugin panicked".to_owned(),
            (Status::PANICKED, false) => format!("the plugin panicked: {message}"),
            (Status::BROKEN, false) => format!("the plugin broke the ABI: {message}"),
            (_, true) => format!("the plugin answered `{status}`"),
            (_, false) => message.clone(),
        }
    }
}

/// Unknown numbers are failures of the plugin: no later one may be taken for something else.
fn kind_of(status: Status) -> ErrorKind {
    match status {
        Status::CAPACITY => ErrorKind::Capacity,
        Status::CONNECTION => ErrorKind::Connection,
        Status::TIMEOUT => ErrorKind::Timeout,
        Status::CONFIG => ErrorKind::Config,
        Status::KEY => ErrorKind::Key,
        Status::SERIALIZATION => ErrorKind::Serialization,
        Status::INVALIDATION => ErrorKind::Invalidation,
        Status::UNSUPPORTED => ErrorKind::Unsupported,
        Status::CLOSED => ErrorKind::Closed,
        _ => ErrorKind::Plugin,
    }
}

/// The number for an error of ours, where the header has one.
pub(crate) fn status_of(kind: ErrorKind) -> Status {
    match kind {
        ErrorKind::Capacity => Status::CAPACITY,
        ErrorKind::Closed => Status::CLOSED,
        ErrorKind::Config => Status::CONFIG,
        ErrorKind::Connection => Status::CONNECTION,
        ErrorKind::Invalidation => Status::INVALIDATION,
        ErrorKind::Key => Status::KEY,
        ErrorKind::Serialization => Status::SERIALIZATION,
        ErrorKind::Timeout => Status::TIMEOUT,
        ErrorKind::Unsupported => Status::UNSUPPORTED,
        _ => Status::ERROR,
    }
}

/// An error for a library to fill in.
pub(crate) const fn blank() -> call::Error {
    call::Error {
        struct_size: size_of::<call::Error>() as u32,
        code: Status::OK,
        flags: 0,
        reserved: 0,
        message: value::Bytes::EMPTY,
        hint: value::Bytes::EMPTY,
        problems_json: value::Bytes::EMPTY,
    }
}

/// Whether there is nothing to release of an error of ours that a library may have filled in.
#[inline]
pub(crate) const fn owns_nothing(error: &call::Error) -> bool {
    error.message.vt.is_null() && error.hint.vt.is_null() && error.problems_json.vt.is_null()
}
