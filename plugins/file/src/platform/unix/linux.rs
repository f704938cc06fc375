//! What only Linux can do.

use std::fs::File;
use std::io::{self, IoSliceMut};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt as _;

use rustix::fs::{Mode, OFlags, RenameFlags, ResolveFlags, fstatfs, openat2, renameat_with};
use rustix::io::{Errno, ReadWriteFlags, preadv2};

use super::{Kind, QuickRead, SAFE, Stat};

/// A descriptor that only names a directory needs no permission and is had soonest.
pub(super) const ENTER: OFlags = OFlags::PATH;

/// The number of the file system `tmpfs`, which is in memory.
const TMPFS: rustix::fs::FsWord = 0x0102_1994;

/// The kernel leaves the time of last use alone.
pub(super) const NOATIME: OFlags = OFlags::NOATIME;

pub(super) fn exchange(
    from: &OwnedFd,
    name: &str,
    with: &OwnedFd,
    with_name: &str,
) -> io::Result<()> {
    Ok(renameat_with(from, name, with, with_name, RenameFlags::EXCHANGE)?)
}

/// Each step declines where it would have to wait for the disk, so it may run on a thread that
/// must not block. The error `Unsupported` says that nobody can promise that here, ever.
pub(super) fn quick_read(dir: &OwnedFd, path: &str, longest: u64) -> io::Result<Option<QuickRead>> {
    let resolve = ResolveFlags::CACHED | ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    let flags = OFlags::RDONLY | NOATIME | SAFE;
    let file = match openat2(dir, path, flags, Mode::empty(), resolve) {
        Ok(file) => File::from(file),
        Err(Errno::NOENT) => return Err(io::ErrorKind::NotFound.into()),
        Err(Errno::NOSYS) => return Err(io::ErrorKind::Unsupported.into()),
        Err(_) => return Ok(None),
    };
    let stat = Stat::of(&file)?;
    if stat.kind != Kind::File || stat.length > longest {
        return Ok(None);
    }
    let length = usize::try_from(stat.length).unwrap_or(0);
    let mut bytes = vec![0; length];
    let mut slices = [IoSliceMut::new(&mut bytes)];
    match preadv2(&file, &mut slices, 0, ReadWriteFlags::NOWAIT) {
        Ok(read) if read == length => Ok(Some(QuickRead { bytes, stat })),
        Err(Errno::OPNOTSUPP) if fstatfs(&file)?.f_type != TMPFS => {
            Err(io::ErrorKind::Unsupported.into())
        }
        // It cannot tell, but is nothing but memory.
        Err(Errno::OPNOTSUPP) => {
            file.read_exact_at(&mut bytes, 0)?;
            Ok(Some(QuickRead { bytes, stat }))
        }
        _ => Ok(None),
    }
}
