//! What Unix knows about files. `other.rs` is its twin.

use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;
use rustix::io::Errno;

/// Links are not followed, and a pipe that somebody put in place of a file does not block.
const SAFE: OFlags = OFlags::NOFOLLOW.union(OFlags::NONBLOCK);

/// The kernel must not change the time of last use: we set it ourselves, and seldom.
#[cfg(target_os = "linux")]
const QUIET: OFlags = SAFE.union(OFlags::NOATIME);
#[cfg(not(target_os = "linux"))]
const QUIET: OFlags = SAFE;

/// Options that open an existing file for reading.
pub(crate) fn reading() -> OpenOptions {
    with_flags(OpenOptions::new().read(true), QUIET)
}

/// Options that open an existing file for reading and writing.
pub(crate) fn patching() -> OpenOptions {
    with_flags(OpenOptions::new().read(true).write(true), QUIET)
}

/// Options that make a file, which must not exist, that only its owner can read.
pub(crate) fn creating() -> OpenOptions {
    with_flags(OpenOptions::new().write(true).create_new(true).mode(0o600), SAFE)
}

/// Options that open a lock file, and make it if it is missing.
pub(crate) fn locking() -> OpenOptions {
    with_flags(OpenOptions::new().write(true).create(true).mode(0o600), SAFE)
}

fn with_flags(options: &mut OpenOptions, flags: OFlags) -> OpenOptions {
    let bits = flags.bits().cast_signed();
    options.custom_flags(bits).clone()
}

/// Makes a directory, and those above it, that only its owner can enter.
pub(crate) fn create_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Forces the names in a directory to the disk.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Lets two files change places at once. Unlike a rename over a file, it does not make ext4 write
/// the data out first (`auto_da_alloc`), which is many times the work of everything else.
#[cfg(target_os = "linux")]
pub(crate) fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    Ok(renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)?)
}

/// There is no such call; the caller renames instead.
#[cfg(not(target_os = "linux"))]
pub(crate) fn exchange(_one: &Path, _other: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Why somebody else may change what is in a directory: found, expected, what to do.
pub(crate) fn who_else_writes(directory: &Metadata) -> Option<(String, String, &'static str)> {
    let user = rustix::process::geteuid().as_raw();
    if directory.uid() != user {
        return Some((
            format!("owned by user {}", directory.uid()),
            format!("owned by user {user}"),
            "name a directory that belongs to the user the program runs as",
        ));
    }
    let mode = directory.mode() & 0o7777;
    (mode & 0o022 != 0).then(|| {
        (
            format!("mode {mode:o}"),
            "no write permission for group and others".to_owned(),
            "run `chmod go-w` on it, or name another directory",
        )
    })
}

/// Whether a file could not be opened because it is not one of ours: a link, a pipe without a
/// writer, or the file of another user. Any other error is about the disk or this process.
pub(crate) fn is_foreign(error: &io::Error) -> bool {
    const FOREIGN: [Errno; 4] = [Errno::LOOP, Errno::NXIO, Errno::ACCESS, Errno::PERM];
    Errno::from_io_error(error).is_some_and(|code| FOREIGN.contains(&code))
}

/// Tells two files at the same path, and two states of one file, from each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    inode: u64,
    changed: (i64, i64),
}

impl Identity {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        Self { inode: metadata.ino(), changed: (metadata.ctime(), metadata.ctime_nsec()) }
    }
}
