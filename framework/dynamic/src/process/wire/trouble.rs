//! [`Trouble`], a [`CacheError`] that crosses.

use std::fmt::Write as _;

use larder_core::{CacheError, ErrorKind};
use serde::{Deserialize, Serialize};

/// An error, without what only its process can use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "both sides come from one release")]
pub struct Trouble {
    /// The word of its kind.
    pub kind: String,
    /// What happened.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Whether it may go well another time.
    pub is_retryable: bool,
    /// Whether it concerns a part of the backend only.
    pub is_of_a_part: bool,
}

/// What the program says about every error itself.
const KNOWN_THERE: [&str; 3] = ["plugin", "backend", "cache"];

impl From<&CacheError> for Trouble {
    fn from(error: &CacheError) -> Self {
        let mut message = error.message().to_owned();
        let facts = error.contexts().filter(|(key, _)| !KNOWN_THERE.contains(key));
        for (index, (key, value)) in facts.enumerate() {
            let lead = if index == 0 { "; " } else { ", " };
            write!(message, "{lead}{key}=`{value}`").expect("a string takes any text");
        }
        Self {
            kind: error.kind().as_str().to_owned(),
            message,
            hint: error.advice().map(str::to_owned),
            is_retryable: error.is_retryable(),
            is_of_a_part: error.is_of_a_part(),
        }
    }
}

impl Trouble {
    /// The error that it stands for.
    #[must_use]
    pub fn into_error(self) -> CacheError {
        let known = KINDS.iter().find(|kind| kind.as_str() == self.kind);
        let kind = known.copied().unwrap_or(ErrorKind::Plugin);
        let mut error = CacheError::new(kind, self.message).retryable(self.is_retryable);
        if self.is_of_a_part {
            error = error.of_a_part();
        }
        match self.hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }
}

const KINDS: [ErrorKind; 13] = [
    ErrorKind::Capacity,
    ErrorKind::Closed,
    ErrorKind::Config,
    ErrorKind::Connection,
    ErrorKind::Expired,
    ErrorKind::Invalidation,
    ErrorKind::Key,
    ErrorKind::Load,
    ErrorKind::Plugin,
    ErrorKind::Serialization,
    ErrorKind::Timeout,
    ErrorKind::TypeMismatch,
    ErrorKind::Unsupported,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_crosses_with_all_that_a_caller_needs() {
        let error = CacheError::new(ErrorKind::Capacity, "it is full")
            .with("plugin", "acme")
            .with("max_size", 7)
            .retryable(true)
            .of_a_part()
            .hint("make room");
        let there = Trouble::from(&error).into_error();
        assert_eq!(there.to_string(), "it is full; max_size=`7`; hint: make room");
        let facts = (there.kind(), there.is_retryable(), there.is_of_a_part());
        assert_eq!(facts, (ErrorKind::Capacity, true, true));
        let unknown = Trouble { kind: "odd".to_owned(), ..Trouble::default() };
        assert_eq!(unknown.into_error().kind(), ErrorKind::Plugin);
    }
}
