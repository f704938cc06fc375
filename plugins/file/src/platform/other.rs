//! What can be done with the standard library alone. `unix.rs` is its twin.
//!
//! Weaker than Unix: directories are found by path each time, links in place of them are followed,
//! owner and permissions are not checked, and two states of a file are told apart by length and
//! time only. Use a directory that only the program's user can write to.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::platform::{Access, Kind};

/// A directory, by its path.
#[derive(Debug)]
pub(crate) struct Dir {
    path: PathBuf,
}

impl Dir {
    /// A directory, which must not be a link.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        match Stat::at(path)?.kind {
            Kind::Directory => Ok(Self { path: path.to_owned() }),
            _ => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A directory in this one.
    pub(crate) fn child(&self, name: &str) -> io::Result<Self> {
        Self::open(&self.path.join(name))
    }

    /// The same as `child`.
    pub(crate) fn enter(&self, name: &str) -> io::Result<Self> {
        self.child(name)
    }

    /// Makes a directory, unless something has the name; whether it did.
    pub(crate) fn make(&self, name: &str) -> io::Result<bool> {
        match fs::create_dir(self.path.join(name)) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            other => other.map(|()| true),
        }
    }

    /// Opens a file.
    pub(crate) fn file(&self, name: &str, access: Access) -> io::Result<File> {
        let mut options = OpenOptions::new();
        match access {
            Access::Create => options.write(true).create_new(true),
            Access::Patch => options.read(true).write(true),
            Access::Read => options.read(true),
            Access::Share => options.read(true).write(true).create(true).truncate(false),
        };
        options.open(self.path.join(name))
    }

    /// What has a name, without following it.
    pub(crate) fn stat(&self, name: &str) -> io::Result<Stat> {
        Stat::at(&self.path.join(name))
    }

    /// What the directory itself is.
    pub(crate) fn own_stat(&self) -> io::Result<Stat> {
        Stat::at(&self.path)
    }

    /// Moves a file to another directory, over whatever file has the name there.
    pub(crate) fn rename(&self, name: &str, to: &Self, to_name: &str) -> io::Result<()> {
        fs::rename(self.path.join(name), to.path.join(to_name))
    }

    /// There is no such call; the caller renames instead.
    pub(crate) fn exchange(&self, _: &str, _: &Self, _: &str) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Removes a name that is no directory.
    pub(crate) fn remove_file(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path.join(name))
    }

    /// Removes an empty directory.
    pub(crate) fn remove_dir(&self, name: &str) -> io::Result<()> {
        fs::remove_dir(self.path.join(name))
    }

    /// Calls `visit` for each name, in no order, until it declines. Names that are no Unicode are
    /// not ours, and left out.
    pub(crate) fn names(&self, visit: &mut dyn FnMut(&str) -> bool) -> io::Result<()> {
        for item in fs::read_dir(&self.path)? {
            if item?.file_name().to_str().is_some_and(|name| !visit(name)) {
                break;
            }
        }
        Ok(())
    }

    /// Directories cannot be forced to the disk here; the file system does it in its own time.
    pub(crate) fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    /// Nobody tells.
    pub(crate) fn free(&self) -> io::Result<Option<u64>> {
        Ok(None)
    }

    /// Nobody can tell whether a read would wait.
    pub(crate) fn quick_read(&self, _: &str, _: u64) -> io::Result<Option<QuickRead>> {
        Err(io::ErrorKind::Unsupported.into())
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
    /// Not known here: an open file cannot be removed.
    pub(crate) links: u64,
}

impl Stat {
    fn new(found: &Metadata) -> Self {
        let nanos = |time: io::Result<SystemTime>| {
            let since = time.ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
            since.and_then(|since| u64::try_from(since.as_nanos()).ok()).unwrap_or_default()
        };
        let kind = match found.file_type() {
            kind if kind.is_symlink() => Kind::Link,
            kind if kind.is_dir() => Kind::Directory,
            kind if kind.is_file() => Kind::File,
            _ => Kind::Other,
        };
        Self {
            kind,
            length: found.len(),
            accessed: nanos(found.accessed()),
            modified: nanos(found.modified()),
            identity: Identity { length: found.len(), created: nanos(found.created()) },
            links: 1,
        }
    }

    /// What an open file is.
    pub(crate) fn of(file: &File) -> io::Result<Self> {
        Ok(Self::new(&file.metadata()?))
    }

    /// What a path leads to; the last part of it is not followed.
    pub(crate) fn at(path: &Path) -> io::Result<Self> {
        Ok(Self::new(&fs::symlink_metadata(path)?))
    }

    /// Not checked here.
    pub(crate) fn who_else_writes(&self) -> Option<(String, String, &'static str)> {
        None
    }
}

/// Tells two files at the same path from each other, mostly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    length: u64,
    created: u64,
}

/// Makes a directory and those above it.
pub(crate) fn make_all(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)
}

/// Reads from a place in a file, and fails where it ends too early.
pub(crate) fn read_at(mut file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    file.seek(SeekFrom::Start(offset))?;
    file.read_exact(bytes)
}

/// Writes to a place in a file.
pub(crate) fn write_at(mut file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    file.seek(SeekFrom::Start(offset))?;
    file.write_all(bytes)
}

/// Whether a file could not be opened because it is not one of ours.
pub(crate) fn is_foreign(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied
}

/// Whether a directory could not be opened because it is something else.
pub(crate) fn is_no_directory(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotADirectory
}
