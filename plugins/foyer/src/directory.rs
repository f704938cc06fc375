//! [`Directory`]: the files of a cache, and that nobody else uses them.
//!
//! ```text
//! CACHEDIR.TAG   tells backup programs to skip the directory
//! lock           flock: one process at a time
//! data/          what foyer keeps
//! versions       what `versions.rs` keeps, while the cache is closed in order
//! ```
//!
//! `versions` is removed when the cache is opened and written when it is closed. Where it is
//! missing, the last process did not come to its end, and `data` is begun anew.

use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use larder_core::{CacheError, ErrorKind, Result};

const OWN_DIRECTORY: &str = "name a directory of its own for this cache";

/// The one folder, and the files that may be beside it.
const DATA: &str = "data";
const FILES: [&str; 4] = [TAG_FILE, "lock", "versions", "versions.new"];

/// The file that tells backup programs to skip a directory; see <https://bford.info/cachedir/>. It
/// is written before there is any data, and so proves that the data is ours to remove.
const TAG_FILE: &str = "CACHEDIR.TAG";
const TAG: &str = "Signature: 8a477f597d28d172789f06886806bc55\n\
    # This directory is a cache made by larder. It can be deleted while no program uses it.\n";

/// A directory that belongs to us until it is released, or this is dropped.
#[derive(Debug)]
pub(crate) struct Directory {
    root: PathBuf,
    lock: File,
}

impl Directory {
    /// Opens a directory for one cache of this process, and makes it if it is missing.
    pub(crate) fn open(root: &Path) -> Result<Self> {
        let at = |error| failed("open", root, error);
        let root = std::path::absolute(root).map_err(at)?;
        if fs::symlink_metadata(&root).is_err_and(|e| e.kind() == io::ErrorKind::NotFound) {
            create(&root).map_err(at)?;
        }
        check(&root)?;
        let lock = lock(&root)?;
        mark(&root).map_err(at)?;
        Ok(Self { root, lock })
    }

    /// The folder for foyer.
    pub(crate) fn data(&self) -> PathBuf {
        self.root.join(DATA)
    }

    /// What [`put_versions`](Self::put_versions) wrote, once: it is gone afterwards, so that
    /// after a crash nobody takes it for the last word.
    pub(crate) fn take_versions(&self) -> Result<Option<Vec<u8>>> {
        let at = |error| failed("open", &self.root, error);
        let path = self.versions();
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(at(error)),
        };
        fs::remove_file(path).and_then(|()| sync(&self.root)).map_err(at)?;
        Ok(Some(bytes))
    }

    /// Writes down the versions, whole or not at all.
    pub(crate) fn put_versions(&self, bytes: &[u8]) -> Result<()> {
        let begun = self.root.join("versions.new");
        let written = (|| {
            let mut file = File::create(&begun)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&begun, self.versions())?;
            sync(&self.root)
        })();
        written.map_err(|error| failed("close", &self.root, error))
    }

    /// Lets others have the directory.
    pub(crate) fn release(&self) {
        // What cannot be unlocked is unlocked when the file is closed.
        self.lock.unlock().ok();
    }

    /// Removes the data of foyer, so that it begins anew; whether there was any.
    pub(crate) fn begin_anew(&self) -> Result<bool> {
        match fs::remove_dir_all(self.data()) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(failed("open", &self.root, error)),
        }
    }

    /// Refuses a disk that has no room for so much data.
    #[cfg(unix)]
    pub(crate) fn check_room(&self, bytes: u64) -> Result<()> {
        use std::os::unix::fs::MetadataExt as _;
        let disk = rustix::fs::statvfs(&self.root)
            .map_err(|error| failed("open", &self.root, error.into()))?;
        let taken: u64 = fs::read_dir(self.data())
            .into_iter()
            .flatten()
            .filter_map(|file| Some(file.ok()?.metadata().ok()?.blocks() * 512))
            .sum();
        let room = disk.f_bavail.saturating_mul(disk.f_frsize).saturating_add(taken);
        if room >= bytes {
            return Ok(());
        }
        let hint = "free space on the disk, or lower `max_bytes`";
        Err(refused(&self.root, "the disk has no room for the cache", room, bytes, hint))
    }

    /// There is no call that tells; the disk tells when it is full.
    #[cfg(not(unix))]
    pub(crate) fn check_room(&self, _bytes: u64) -> Result<()> {
        Ok(())
    }

    fn versions(&self) -> PathBuf {
        self.root.join("versions")
    }
}

/// Takes the directory for this process.
fn lock(root: &Path) -> Result<File> {
    let at = |error| failed("open", root, error);
    let path = root.join("lock");
    let mut options = OpenOptions::new();
    let file = options.create(true).truncate(false).write(true).open(path).map_err(at)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::Error(error)) => Err(at(error)),
        Err(TryLockError::WouldBlock) => {
            let message = "the directory is in use by another process or cache";
            let hint = "give each process a directory of its own, or use the backend `file`, which \
                        processes can share";
            Err(refused(root, message, "locked", "not locked", hint))
        }
    }
}

/// Refuses what is not a directory of ours.
fn check(root: &Path) -> Result<()> {
    let at = |error| failed("open", root, error);
    let found = fs::symlink_metadata(root).map_err(at)?;
    if !found.is_dir() {
        let (kind, hint) = if found.is_symlink() {
            ("a symbolic link", "name the directory that the link points to")
        } else {
            ("a file", OWN_DIRECTORY)
        };
        let message = "the cache directory is not a directory";
        return Err(refused(root, message, kind, "a directory", hint));
    }
    if let Some((found, expected)) = who_else_writes(&found) {
        let message = "the cache directory can be changed by somebody else";
        let hint = "run `chmod go-w` on it as its owner, or name another directory";
        return Err(refused(root, message, found, expected, hint));
    }
    let something_else = |found: &str| {
        let message = "the directory is in use for something else";
        let expected = "an empty directory, or one made by this backend";
        refused(root, message, found, expected, OWN_DIRECTORY)
    };
    let mut has_data = false;
    for item in fs::read_dir(root).map_err(at)? {
        let item = item.map_err(at)?;
        let name = item.file_name();
        let found = item.file_type().map_err(at)?;
        let is_data = found.is_dir() && name == DATA;
        let is_file = found.is_file() && FILES.iter().any(|ours| name == *ours);
        if !is_data && !is_file {
            return Err(something_else(&name.to_string_lossy()));
        }
        has_data |= is_data;
    }
    let tag = read_tag(root).map_err(at)?;
    if has_data && tag != TAG.as_bytes() {
        return Err(something_else("`data` without a `CACHEDIR.TAG` of this backend"));
    }
    // A crash may have left a part of ours.
    if !TAG.as_bytes().starts_with(&tag) {
        return Err(something_else("a `CACHEDIR.TAG` of another program"));
    }
    Ok(())
}

/// The text of the tag; none is in a file that is not there.
fn read_tag(root: &Path) -> io::Result<Vec<u8>> {
    match fs::read(root.join(TAG_FILE)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        read => read,
    }
}

/// Says on the disk that the directory is ours.
fn mark(root: &Path) -> io::Result<()> {
    if read_tag(root)? == TAG.as_bytes() {
        return Ok(());
    }
    let mut file = File::create(root.join(TAG_FILE))?;
    file.write_all(TAG.as_bytes())?;
    file.sync_all()?;
    sync(root)
}

#[cfg(unix)]
fn create(root: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(root)
}

#[cfg(not(unix))]
fn create(root: &Path) -> io::Result<()> {
    fs::create_dir_all(root)
}

/// Forces the names in a directory to the disk.
#[cfg(unix)]
fn sync(root: &Path) -> io::Result<()> {
    File::open(root)?.sync_all()
}

/// Only Unix lets a directory be opened.
#[cfg(not(unix))]
fn sync(_root: &Path) -> io::Result<()> {
    Ok(())
}

/// Why somebody else may change what is in a directory: found, expected.
#[cfg(unix)]
fn who_else_writes(directory: &Metadata) -> Option<(String, String)> {
    use std::os::unix::fs::MetadataExt as _;
    let user = rustix::process::geteuid().as_raw();
    if directory.uid() != user {
        let found = format!("owned by user {}", directory.uid());
        return Some((found, format!("owned by user {user}")));
    }
    let mode = directory.mode() & 0o7777;
    let expected = "no write permission for group and others";
    (mode & 0o022 != 0).then(|| (format!("mode {mode:o}"), expected.to_owned()))
}

/// Elsewhere a directory below the user's own is the user's own.
#[cfg(not(unix))]
fn who_else_writes(_directory: &Metadata) -> Option<(String, String)> {
    None
}

/// The error of an operation that the file system refused.
pub(crate) fn failed(operation: &'static str, path: &Path, cause: io::Error) -> CacheError {
    CacheError::new(ErrorKind::Connection, "the file system refused the operation")
        .during(operation)
        .with("backend", "foyer")
        .with("path", path.display())
        .caused_by(cause)
        .hint("look at the directory and the disk it is on")
}

/// The error of a directory that must not be used as it is.
fn refused(
    dir: &Path,
    message: &'static str,
    found: impl std::fmt::Display,
    expected: impl std::fmt::Display,
    hint: &'static str,
) -> CacheError {
    CacheError::new(ErrorKind::Config, message)
        .with("backend", "foyer")
        .with("dir", dir.display())
        .with("found", found)
        .with("expected", expected)
        .hint(hint)
}
