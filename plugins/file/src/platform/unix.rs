//! What Unix knows about files. `other.rs` is its twin.
//!
//! Everything goes through the descriptor of a directory and one name in it, and no link is ever
//! followed. A path could lead elsewhere by the time it is used; a descriptor cannot.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{self, AtFlags, CWD, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::platform::{Access, Kind};

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
use linux::{ENTER, NOATIME, exchange, quick_read};
#[cfg(not(target_os = "linux"))]
mod bsd;
#[cfg(not(target_os = "linux"))]
use bsd::{ENTER, NOATIME, exchange, quick_read};

/// Links are not followed, a pipe that somebody put in place of a file does not block, and child
/// processes inherit nothing.
const SAFE: OFlags = OFlags::NOFOLLOW.union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);

/// A directory that is held open.
#[derive(Debug)]
pub(crate) struct Dir {
    descriptor: OwnedFd,
    path: PathBuf,
}

impl Dir {
    /// Opens a directory, which must not be a link.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Self::open_at(CWD, path, path.to_owned(), OFlags::RDONLY)
    }

    fn open_at(
        parent: impl rustix::fd::AsFd,
        name: impl rustix::path::Arg,
        path: PathBuf,
        flags: OFlags,
    ) -> io::Result<Self> {
        let flags = flags | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let descriptor = fs::openat(parent, name, flags, Mode::empty())?;
        Ok(Self { descriptor, path })
    }

    /// Where it was when it was opened: for messages.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a directory in this one.
    pub(crate) fn child(&self, name: &str) -> io::Result<Self> {
        Self::open_at(&self.descriptor, name, self.path.join(name), OFlags::RDONLY)
    }

    /// Opens a directory in this one to work on the files in it, which cannot be listed.
    pub(crate) fn enter(&self, name: &str) -> io::Result<Self> {
        Self::open_at(&self.descriptor, name, self.path.join(name), ENTER)
    }

    /// Makes a directory that only its owner can enter, unless something has the name; whether it
    /// did.
    pub(crate) fn make(&self, name: &str) -> io::Result<bool> {
        match fs::mkdirat(&self.descriptor, name, Mode::RWXU) {
            Err(Errno::EXIST) => Ok(false),
            other => Ok(other.map(|()| true)?),
        }
    }

    /// Opens a file.
    pub(crate) fn file(&self, name: &str, access: Access) -> io::Result<File> {
        let flags = match access {
            // The kernel must not change the time of last use: we set it ourselves, and seldom.
            Access::Read => OFlags::RDONLY | NOATIME,
            Access::Patch => OFlags::RDWR | NOATIME,
            Access::Create => OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL,
            Access::Share => OFlags::RDWR | OFlags::CREATE,
        };
        let mode = Mode::RUSR | Mode::WUSR;
        Ok(fs::openat(&self.descriptor, name, flags | SAFE, mode)?.into())
    }

    /// What has a name, without following it.
    pub(crate) fn stat(&self, name: &str) -> io::Result<Stat> {
        Ok(Stat::new(&fs::statat(&self.descriptor, name, AtFlags::SYMLINK_NOFOLLOW)?))
    }

    /// What the directory itself is.
    pub(crate) fn own_stat(&self) -> io::Result<Stat> {
        Ok(Stat::new(&fs::fstat(&self.descriptor)?))
    }

    /// Moves a file to another directory, over whatever file has the name there.
    pub(crate) fn rename(&self, name: &str, to: &Self, to_name: &str) -> io::Result<()> {
        Ok(fs::renameat(&self.descriptor, name, &to.descriptor, to_name)?)
    }

    /// Lets two files change places at once. Unlike a rename over a file, it does not make ext4
    /// write the data out first (`auto_da_alloc`), which is many times the work of everything else.
    pub(crate) fn exchange(&self, name: &str, with: &Self, with_name: &str) -> io::Result<()> {
        exchange(&self.descriptor, name, &with.descriptor, with_name)
    }

    /// Removes a name that is no directory.
    pub(crate) fn remove_file(&self, name: &str) -> io::Result<()> {
        Ok(fs::unlinkat(&self.descriptor, name, AtFlags::empty())?)
    }

    /// Removes an empty directory.
    pub(crate) fn remove_dir(&self, name: &str) -> io::Result<()> {
        Ok(fs::unlinkat(&self.descriptor, name, AtFlags::REMOVEDIR)?)
    }

    /// Calls `visit` for each name but `.` and `..`, in no order, until it declines. Names that
    /// are no UTF-8 are not ours, and left out.
    pub(crate) fn names(&self, visit: &mut dyn FnMut(&str) -> bool) -> io::Result<()> {
        for item in fs::Dir::read_from(&self.descriptor)? {
            let item = item?;
            let Ok(name) = item.file_name().to_str() else { continue };
            if name != "." && name != ".." && !visit(name) {
                break;
            }
        }
        Ok(())
    }

    /// Forces the names in the directory to the disk.
    pub(crate) fn sync(&self) -> io::Result<()> {
        Ok(fs::fsync(&self.descriptor)?)
    }

    /// How many bytes of the disk are free for this user, if that is known.
    pub(crate) fn free(&self) -> io::Result<Option<u64>> {
        let found = fs::fstatvfs(&self.descriptor)?;
        Ok(Some(found.f_bavail.saturating_mul(found.f_frsize)))
    }

    /// Reads a file two levels down if it takes no longer than memory does; `None` if the disk
    /// would have to be asked, `Unsupported` if that cannot be known. `longest` bounds what is
    /// read.
    pub(crate) fn quick_read(&self, path: &str, longest: u64) -> io::Result<Option<QuickRead>> {
        quick_read(&self.descriptor, path, longest)
    }
}

/// A whole file that was in memory.
#[derive(Debug)]
pub(crate) struct QuickRead {
    pub(crate) bytes: Vec<u8>,
    pub(crate) stat: Stat,
}

/// What is known of a file from the outside. Times are nanoseconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stat {
    pub(crate) kind: Kind,
    pub(crate) length: u64,
    pub(crate) accessed: u64,
    pub(crate) modified: u64,
    pub(crate) identity: Identity,
    /// How many names it has; none when it was removed.
    pub(crate) links: u64,
    owner: u32,
    mode: u64,
}

impl Stat {
    fn new(found: &fs::Stat) -> Self {
        // The types of the fields differ between systems; all of them fit here.
        let number = |value: i128| u64::try_from(value).unwrap_or_default();
        let time = |seconds: i128, nanos: i128| number(seconds * 1_000_000_000 + nanos);
        let kind = match FileType::from_raw_mode(found.st_mode) {
            FileType::RegularFile => Kind::File,
            FileType::Directory => Kind::Directory,
            FileType::Symlink => Kind::Link,
            _ => Kind::Other,
        };
        Self {
            kind,
            length: number(found.st_size.into()),
            accessed: time(found.st_atime.into(), found.st_atime_nsec.into()),
            modified: time(found.st_mtime.into(), found.st_mtime_nsec.into()),
            identity: Identity {
                inode: number(found.st_ino.into()),
                changed: time(found.st_ctime.into(), found.st_ctime_nsec.into()),
            },
            links: number(found.st_nlink.into()),
            owner: found.st_uid,
            mode: number(Mode::from_raw_mode(found.st_mode).bits().into()),
        }
    }

    /// What an open file is.
    pub(crate) fn of(file: &File) -> io::Result<Self> {
        Ok(Self::new(&fs::fstat(file)?))
    }

    /// What a path leads to; the last part of it is not followed.
    pub(crate) fn at(path: &Path) -> io::Result<Self> {
        Ok(Self::new(&fs::statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW)?))
    }

    /// Why somebody else may change what is in this directory: found, expected, what to do.
    pub(crate) fn who_else_writes(&self) -> Option<(String, String, &'static str)> {
        let user = rustix::process::geteuid().as_raw();
        if self.owner != user {
            return Some((
                format!("owned by user {}", self.owner),
                format!("owned by user {user}"),
                "name a directory that belongs to the user the program runs as",
            ));
        }
        (self.mode & 0o022 != 0).then(|| {
            (
                format!("mode {:o}", self.mode),
                "no write permission for group and others".to_owned(),
                "run `chmod go-w` on it, or name another directory",
            )
        })
    }
}

/// Tells two files at the same path, and two states of one file, from each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    inode: u64,
    changed: u64,
}

/// Makes a directory and those above it, which only their owner can enter.
pub(crate) fn make_all(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Reads from a place in a file, and fails where it ends too early.
pub(crate) fn read_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    file.read_exact_at(bytes, offset)
}

/// Writes to a place in a file.
pub(crate) fn write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    file.write_all_at(bytes, offset)
}

/// Whether a file could not be opened because it is not one of ours: a link, a pipe without a
/// writer, or the file of another user. Any other error is about the disk or this process.
pub(crate) fn is_foreign(error: &io::Error) -> bool {
    const FOREIGN: [Errno; 4] = [Errno::LOOP, Errno::NXIO, Errno::ACCESS, Errno::PERM];
    Errno::from_io_error(error).is_some_and(|code| FOREIGN.contains(&code))
}

/// Whether a directory could not be opened because it is something else.
pub(crate) fn is_no_directory(error: &io::Error) -> bool {
    const OTHER: [Errno; 3] = [Errno::LOOP, Errno::NOTDIR, Errno::MLINK];
    Errno::from_io_error(error).is_some_and(|code| OTHER.contains(&code))
}
