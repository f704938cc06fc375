//! [`Status`], what a function returns.

use core::fmt;

/// What a function returns. Not an enum: every number is a value, so that no foreign compiler can
/// make one that is none.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Status(pub i32);

macro_rules! statuses {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $word:literal;)*) => {
        impl Status {
            $($(#[$doc])* pub const $name: Self = Self($number);)*

            /// All that have a name, with the word that messages use.
            pub const NAMED: &[(Self, &str)] = &[$((Self::$name, $word)),*];
        }
    };
}

statuses! {
    /// Done, or found.
    OK = 0, "ok";
    /// Not there, not done because a condition did not hold, or no more.
    MISS = 1, "miss";
    /// The answer follows through [`Host::op_complete`](crate::Host::op_complete).
    PENDING = 2, "pending";
    /// A failure without a number of its own.
    ERROR = -1, "error";
    /// No room, or too large.
    CAPACITY = -2, "capacity";
    /// Something remote cannot be reached.
    CONNECTION = -3, "connection";
    /// It took too long.
    TIMEOUT = -4, "timeout";
    /// The options cannot be used.
    CONFIG = -5, "config";
    /// The key cannot be used.
    KEY = -6, "key";
    /// Bytes that make no value, or a value that makes no bytes.
    SERIALIZATION = -7, "serialization";
    /// An invalidation could not be delivered.
    INVALIDATION = -8, "invalidation";
    /// The plugin cannot do this.
    UNSUPPORTED = -9, "unsupported";
    /// The instance, or the host, is closed.
    CLOSED = -10, "closed";
    /// Not now.
    BUSY = -11, "busy";
    /// Nobody waits any more.
    CANCELLED = -12, "cancelled";
    /// A panic or an exception was caught.
    PANICKED = -13, "panicked";
    /// The other side broke a rule of the ABI.
    BROKEN = -14, "broken";
}

impl Status {
    /// Whether it is an error: every negative number is one.
    #[must_use]
    pub const fn is_error(self) -> bool {
        self.0 < 0
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Self::NAMED.iter().find(|(status, _)| status == self) {
            Some((_, word)) => f.pad(word),
            None => write!(f, "status {}", self.0),
        }
    }
}
