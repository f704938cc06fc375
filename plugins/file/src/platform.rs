//! What differs between operating systems: `unix` and `other` have the same items.

#[cfg(not(unix))]
mod other;
#[cfg(unix)]
mod unix;

#[cfg(not(unix))]
pub(crate) use other::*;
#[cfg(unix)]
pub(crate) use unix::*;

/// What a file is opened for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Access {
    /// Writing a file that must not exist, and that only its owner can read.
    Create,
    /// Reading and writing a file that exists.
    Patch,
    /// Reading a file that exists.
    Read,
    /// Reading and writing a file that all processes share; it is made if it is missing.
    Share,
}

/// What something in a directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A directory.
    Directory,
    /// A file with bytes in it.
    File,
    /// A symbolic link.
    Link,
    /// A pipe, a device, a socket.
    Other,
}
