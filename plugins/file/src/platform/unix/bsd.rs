//! What macOS and the BSDs do not have, and what stands in for it.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::OFlags;

use super::QuickRead;

/// There is no descriptor that only names a directory.
pub(super) const ENTER: OFlags = OFlags::RDONLY;

/// There is no such flag: the kernel notes uses by itself, which makes entries look younger.
pub(super) const NOATIME: OFlags = OFlags::empty();

/// There is no such call; the caller renames instead.
pub(super) fn exchange(_: &OwnedFd, _: &str, _: &OwnedFd, _: &str) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Nobody can tell whether a read would wait.
pub(super) fn quick_read(_: &OwnedFd, _: &str, _: u64) -> io::Result<Option<QuickRead>> {
    Err(io::ErrorKind::Unsupported.into())
}
