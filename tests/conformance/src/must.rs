//! [`Must`], for calls that a contract says cannot fail.

use std::fmt::Debug;

/// What a result must be.
pub(crate) trait Must {
    type Value;
    type Error;

    /// The value.
    ///
    /// # Panics
    ///
    /// With the error, when there is one.
    #[track_caller]
    fn must(self) -> Self::Value;

    /// The error.
    ///
    /// # Panics
    ///
    /// With the value, when there is one.
    #[track_caller]
    fn must_fail(self) -> Self::Error;
}

impl<T: Debug, E: Debug> Must for Result<T, E> {
    type Value = T;
    type Error = E;

    fn must(self) -> T {
        match self {
            Ok(value) => value,
            Err(error) => panic!("the contract does not allow this error: {error:?}"),
        }
    }

    fn must_fail(self) -> E {
        match self {
            Ok(value) => panic!("the contract asks for an error, not for {value:?}"),
            Err(error) => error,
        }
    }
}
