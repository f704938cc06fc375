//! The directory of a cache: what is refused, and where its files are.
//!
//! ```text
//! CACHEDIR.TAG    tells backup programs to skip the directory
//! cache.redb      the database
//! damaged.redb    the last one that could not be read, for whoever wants to know why
//! ```

use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use larder_core::{CacheError, ErrorKind, Result};

use crate::error::failed_io;

const OWN_DIRECTORY: &str = "name a directory of its own for this cache";
const DATABASE: &str = "cache.redb";
const DAMAGED: &str = "damaged.redb";
const TAG: &str = "CACHEDIR.TAG";

/// What tells backup programs to skip a directory; see <https://bford.info/cachedir/>.
const TAG_TEXT: &str = "Signature: 8a477f597d28d172789f06886806bc55\n\
    # This directory is a cache made by larder. It can be deleted while no program uses it.\n";

/// A directory that is safe to use.
#[derive(Debug)]
pub(crate) struct Directory {
    root: PathBuf,
}

impl Directory {
    /// Checks a directory, and makes it if it is missing.
    pub(crate) fn open(root: &Path) -> Result<Self> {
        let at = |error| failed_io("open", root, error);
        let root = std::path::absolute(root).map_err(at)?;
        if fs::symlink_metadata(&root).is_err_and(|e| e.kind() == io::ErrorKind::NotFound) {
            create(&root).map_err(at)?;
        }
        check(&root)?;
        let tag = root.join(TAG);
        if !tag.exists() {
            fs::write(tag, TAG_TEXT).map_err(at)?;
        }
        Ok(Self { root })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.root.join(DATABASE)
    }

    /// Moves a database that cannot be read out of the way, over the one before it.
    pub(crate) fn move_aside(&self) -> Result<()> {
        let moved = fs::rename(self.database(), self.root.join(DAMAGED));
        moved.or_else(missing_is_fine).map_err(|error| failed_io("open", &self.root, error))
    }

    /// Removes the database.
    pub(crate) fn remove(&self) -> Result<()> {
        let removed = fs::remove_file(self.database());
        removed.or_else(missing_is_fine).map_err(|error| failed_io("open", &self.root, error))
    }

    /// The error of a directory that another process uses.
    pub(crate) fn in_use(&self) -> CacheError {
        let message = "the directory is in use by another process or cache";
        let hint = "give each process a directory of its own, or use the backend `file`, which \
                    processes can share";
        refused(&self.root, message, "locked", "not locked", hint)
    }
}

fn missing_is_fine(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

/// Refuses what is not a directory of ours.
fn check(root: &Path) -> Result<()> {
    let at = |error| failed_io("open", root, error);
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
    for item in fs::read_dir(root).map_err(at)? {
        let item = item.map_err(at)?;
        let name = item.file_name();
        let is_file = item.file_type().map_err(at)?.is_file();
        if !is_file || ![TAG, DATABASE, DAMAGED].iter().any(|ours| name == *ours) {
            let message = "the directory is in use for something else";
            let expected = "an empty directory, or one made by this backend";
            return Err(refused(root, message, name.to_string_lossy(), expected, OWN_DIRECTORY));
        }
    }
    Ok(())
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

/// The error of a directory that must not be used as it is.
fn refused(
    dir: &Path,
    message: &'static str,
    found: impl std::fmt::Display,
    expected: impl std::fmt::Display,
    hint: &'static str,
) -> CacheError {
    CacheError::new(ErrorKind::Config, message)
        .with("backend", "redb")
        .with("dir", dir.display())
        .with("found", found)
        .with("expected", expected)
        .hint(hint)
}
