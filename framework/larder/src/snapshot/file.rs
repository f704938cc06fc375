//! [`SnapshotFile`], a file that is there as a whole or not at all.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use larder_core::{CacheError, ErrorKind, Result};

/// How many names are tried for the temporary file.
const ATTEMPTS: usize = 16;

/// Writes a file so that its readers see the old content or the new one, whole, whatever happens
/// in between: a temporary file beside it takes what is written, and [`commit`](Self::commit) puts
/// it in place.
///
/// Only the owner may read it (on Unix), for what is cached may be secret. Links are not followed.
/// Dropping it without a commit leaves the old file. What a process leaves behind that is killed
/// in between, the next one that writes the same file removes.
///
/// ```no_run
/// # async fn example(users: larder::Cache<u64, String>) -> larder::Result<()> {
/// let file = larder::SnapshotFile::create("users.snapshot")?;
/// let (exported, file) = users.export(file).await?;
/// file.commit()?;
/// println!("{} entries", exported.entries);
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[must_use = "call `commit`, or nothing was written"]
pub struct SnapshotFile {
    /// Locked for as long as it is written, so that nobody takes it for one that was left behind.
    file: File,
    temporary: Temporary,
    path: PathBuf,
}

/// A file that is removed when it is dropped.
#[derive(Debug)]
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        // Whoever writes next tries again.
        fs::remove_file(&self.0).ok();
    }
}

impl SnapshotFile {
    /// Makes the temporary file, and the directory if it is not there.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Connection`] when it cannot be made, or something stands at the path that is
    /// no plain file; the source is the [`io::Error`].
    pub fn create(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        Self::make(path, File::try_lock).map_err(|error| unwritable(path, error))
    }

    fn make(path: &Path, lock: impl Fn(&File) -> Result<(), TryLockError>) -> io::Result<Self> {
        let name = path.file_name().ok_or(io::ErrorKind::IsADirectory)?;
        let folder = folder_of(path);
        fs::create_dir_all(folder)?;
        match fs::symlink_metadata(path) {
            Ok(found) if !found.is_file() => return Err(not_plain()),
            _ => {}
        }
        let prefix = format!(".{}.", name.to_string_lossy());
        remove_left_behind(folder, &prefix);
        for _ in 0..ATTEMPTS {
            let temporary = folder.join(format!("{prefix}{:016x}.tmp", fastrand::u64(..)));
            let mut options = OpenOptions::new();
            options.write(true).create_new(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            let file = match options.open(&temporary) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                opened => opened?,
            };
            // Until it is locked another writer may take it for one that was left behind, and
            // remove it. Where the file system knows no locks nobody takes it for one.
            let is_ours = !matches!(lock(&file), Err(TryLockError::WouldBlock));
            if is_ours && fs::symlink_metadata(&temporary).is_ok() {
                let temporary = Temporary(temporary);
                return Ok(Self { file, temporary, path: path.to_owned() });
            }
        }
        Err(io::Error::other("no name is free for a temporary file"))
    }

    /// Puts the file in place, once all of it is on the disk.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Connection`] when that fails: the old file is still there then.
    pub fn commit(self) -> Result<()> {
        let Self { file, temporary, path } = self;
        let committed = file
            .sync_all()
            .and_then(|()| fs::rename(&temporary.0, &path))
            .and_then(|()| sync_folder(folder_of(&path)));
        committed.map_err(|error| unwritable(&path, error))
    }
}

impl Write for SnapshotFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Opens a plain file, without following a link; `None` when there is none.
pub(crate) fn open_plain(path: &Path) -> Result<Option<File>> {
    let open = || {
        let found = fs::symlink_metadata(path)?;
        if !found.is_file() {
            return Err(not_plain());
        }
        let file = File::open(path)?;
        if is_same(&found, &file.metadata()?) { Ok(file) } else { Err(not_plain()) }
    };
    match open() {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(CacheError::new(ErrorKind::Connection, "cannot read the snapshot")
            .with("path", path.display())
            .caused_by(error)),
    }
}

/// Whether a link took the place of the file before it was opened.
#[cfg(unix)]
fn is_same(before: &fs::Metadata, opened: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    (before.dev(), before.ino()) == (opened.dev(), opened.ino())
}

#[cfg(not(unix))]
fn is_same(_: &fs::Metadata, opened: &fs::Metadata) -> bool {
    opened.is_file()
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Removes temporary files that nobody writes any more: their lock went with their process.
fn remove_left_behind(folder: &Path, prefix: &str) {
    let Ok(found) = fs::read_dir(folder) else { return };
    for entry in found.flatten() {
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix(prefix)?.strip_suffix(".tmp"));
        let is_ours = number
            .is_some_and(|it| it.len() == 16 && it.bytes().all(|byte| byte.is_ascii_hexdigit()));
        if !is_ours || !entry.file_type().is_ok_and(|kind| kind.is_file()) {
            continue;
        }
        if let Ok(file) = File::open(entry.path())
            && file.try_lock().is_ok()
        {
            fs::remove_file(entry.path()).ok();
        }
    }
}

/// Makes a rename last.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

fn not_plain() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "it is not a plain file")
}

pub(crate) fn unwritable(path: &Path, error: io::Error) -> CacheError {
    CacheError::new(ErrorKind::Connection, "cannot write the snapshot")
        .with("path", path.display())
        .caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn the_old_file_stays_until_the_new_one_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/users.snapshot");
        let mut file = SnapshotFile::create(&path).unwrap();
        file.write_all(b"old").unwrap();
        assert!(!path.exists());
        file.commit().unwrap();
        let mut file = SnapshotFile::create(&path).unwrap();
        file.write_all(b"half of the n").unwrap();
        drop(file);
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(path.parent().unwrap()), ["users.snapshot"]);
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_may_read_and_links_are_not_followed() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};
        let folder = tempfile::tempdir().unwrap();
        let (target, link) = (folder.path().join("target"), folder.path().join("link"));
        let file = SnapshotFile::create(&target).unwrap();
        file.commit().unwrap();
        assert_eq!(fs::metadata(&target).unwrap().permissions().mode() & 0o777, 0o600);
        symlink(&target, &link).unwrap();
        let cause = |error: CacheError| error.to_string();
        assert!(cause(SnapshotFile::create(&link).unwrap_err()).contains("not a plain file"));
        assert!(cause(open_plain(&link).unwrap_err()).contains("not a plain file"));
        assert!(cause(open_plain(folder.path()).unwrap_err()).contains("not a plain file"));
        assert!(open_plain(&target).unwrap().is_some());
        assert!(open_plain(&folder.path().join("absent")).unwrap().is_none());
    }

    #[test]
    fn what_was_left_behind_is_removed_and_what_is_written_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users");
        let left = folder.path().join(".users.0123456789abcdef.tmp");
        let foreign = folder.path().join(".users.mine.tmp");
        fs::write(&left, b"half").unwrap();
        fs::write(&foreign, b"whole").unwrap();
        let mut first = SnapshotFile::create(&path).unwrap();
        let mut second = SnapshotFile::create(&path).unwrap();
        assert!(!left.exists() && foreign.exists());
        first.write_all(b"first").unwrap();
        second.write_all(b"second").unwrap();
        second.commit().unwrap();
        first.commit().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"first", "who commits last wins");
    }

    #[test]
    fn a_file_system_without_locks_takes_files_too_and_nothing_is_left_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users");
        let unlocked = |_: &File| Err(TryLockError::Error(io::ErrorKind::Unsupported.into()));
        let mut file = SnapshotFile::make(&path, unlocked).unwrap();
        file.write_all(b"whole").unwrap();
        assert_eq!(names(folder.path()).len(), 1, "only the temporary file");
        file.commit().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        assert_eq!(names(folder.path()), ["users"]);
    }
}
