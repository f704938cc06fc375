//! Opens a library without following links, and sees who can change it.
//!
//! Every folder on the way is opened from the one above, so what was looked at is what is gone
//! through. A folder in which others may write is refused, for they could put another file in place
//! of the library: before the check, or between it and the next start. The exception are folders
//! further up in which only the owner of an entry may rename it (`/tmp`): all entries on the way
//! belong to root or to us.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use larder_core::library::{Fault, LibraryRequest, Refusal};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, fstat, open, openat, statat};
use rustix::io::Errno;
use rustix::process::geteuid;

use crate::check;
use crate::refusal::{Answer, refused, shown_path};

mod signature;

/// No library is larger; reading it would only take memory.
pub(crate) const MOST_BYTES: u64 = 256 * 1024 * 1024;

/// Write permission of the group and of all others.
const OTHERS_WRITE: u32 = 0o022;

/// Only its owner may rename or remove an entry of the folder.
const STICKY: u32 = 0o1000;

/// The bytes of the library, from a file that only root and the user of this process can change,
/// and its signature from beside it.
pub(crate) fn read(request: &LibraryRequest) -> Answer<check::Read> {
    let walk = Walk { request };
    let mut parts = names(&request.path);
    let Some(file) = parts.pop() else {
        return Err(walk.not_a_file("the root of the file system"));
    };
    let mut path = PathBuf::from("/");
    let mut folder = walk.io(open("/", folder_flags(), Mode::empty()))?;
    let count = parts.len();
    walk.is_ours(&path, &walk.io(fstat(&folder))?, count > 0)?;
    for (index, part) in parts.into_iter().enumerate() {
        path.push(part);
        folder = walk.folder(&folder, part, &path)?;
        let is_further_up = index + 1 < count;
        walk.is_ours(&path, &walk.io(fstat(&folder))?, is_further_up)?;
    }
    path.push(file);
    let library = walk.bytes(&folder, file, &path)?;
    let is_signed = request.signed_by.is_some();
    let signature = is_signed.then(|| signature::read(request, &folder, file));
    Ok(check::Read { library, signature })
}

/// The names on the way to a file. `..` is resolved by name, which is right without links.
fn names(path: &Path) -> Vec<&OsStr> {
    let mut names = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => names.push(name),
            Component::ParentDir => {
                names.pop();
            }
            Component::CurDir | Component::Prefix(_) | Component::RootDir => {}
        }
    }
    names
}

/// A path without `..`, as it is gone through.
pub(crate) fn by_name(path: &Path) -> PathBuf {
    std::iter::once(OsStr::new("/")).chain(names(path)).collect()
}

/// Who else can change a file or a directory, and what to do about it.
struct Changeable {
    label: String,
    help: String,
}

/// Whether nobody but root and us can change it.
fn is_ours(path: &Path, found: &Stat, is_further_up: bool) -> Result<(), Changeable> {
    let mode = found.st_mode & 0o7777;
    let us = geteuid().as_raw();
    let shown = shown_path(path);
    if found.st_uid != 0 && found.st_uid != us {
        let label = format!("`{shown}` belongs to user {}", found.st_uid);
        let help = format!("`chown` it to root or to user {us}, as whom this program runs");
        return Err(Changeable { label, help });
    }
    let is_guarded = is_further_up && mode & STICKY != 0;
    if mode & OTHERS_WRITE == 0 || is_guarded {
        return Ok(());
    }
    let who = match (mode & 0o020 != 0, mode & 0o002 != 0) {
        (true, false) => "its group",
        _ => "everybody",
    };
    let label = format!("{who} can write to `{shown}`, whose mode is {mode:04o}");
    let help = if mode & STICKY != 0 {
        "put the library into a directory to which only its owner can write".to_owned()
    } else {
        format!("take the permission away: `chmod go-w {shown}`")
    };
    Err(Changeable { label, help })
}

/// Opens a directory, without links on the way, in which nobody else can touch what we put there:
/// it and all above are as for a library, and may be sticky.
///
/// # Errors
///
/// Who else could, or why it cannot be opened, in words.
pub(crate) fn folder_for_ours(path: &Path) -> Result<OwnedFd, String> {
    let failed = |at: &Path, error: Errno| {
        let error = std::io::Error::from(error);
        format!("`{}` cannot be used: {error}", shown_path(at))
    };
    let mut at = PathBuf::from("/");
    let mut folder =
        open("/", folder_flags(), Mode::empty()).map_err(|error| failed(&at, error))?;
    let mut parts = names(path).into_iter();
    loop {
        let found = fstat(&folder).map_err(|error| failed(&at, error))?;
        is_ours(&at, &found, true).map_err(|Changeable { label, .. }| label)?;
        let Some(part) = parts.next() else { return Ok(folder) };
        at.push(part);
        folder = openat(&folder, part, folder_flags(), Mode::empty())
            .map_err(|error| failed(&at, error))?;
    }
}

const fn folder_flags() -> OFlags {
    // A folder of which one may only look up entries can be gone through all the same.
    #[cfg(any(target_os = "android", target_os = "linux"))]
    let read = OFlags::PATH;
    #[cfg(not(any(target_os = "android", target_os = "linux")))]
    let read = OFlags::RDONLY;
    read.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC)
}

struct Walk<'a> {
    request: &'a LibraryRequest,
}

impl Walk<'_> {
    fn folder(&self, above: &OwnedFd, name: &OsStr, path: &Path) -> Answer<OwnedFd> {
        let found = self.io(statat(above, name, AtFlags::SYMLINK_NOFOLLOW))?;
        self.is_no_link(path, &found)?;
        match openat(above, name, folder_flags(), Mode::empty()) {
            // It became a link since we looked.
            Err(Errno::LOOP | Errno::MLINK) => Err(self.link(path)),
            other => self.io(other),
        }
    }

    fn bytes(&self, folder: &OwnedFd, name: &OsStr, path: &Path) -> Answer<Vec<u8>> {
        // A look before it is opened: to open a device may already do something.
        let found = self.io(statat(folder, name, AtFlags::SYMLINK_NOFOLLOW))?;
        self.is_no_link(path, &found)?;
        self.is_file(&found)?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match openat(folder, name, flags | OFlags::NOCTTY, Mode::empty()) {
            Err(Errno::LOOP | Errno::MLINK) => return Err(self.link(path)),
            other => self.io(other)?,
        };
        let found = self.io(fstat(&file))?;
        self.is_file(&found)?;
        self.is_ours(path, &found, false)?;
        let mut bytes = Vec::new();
        let read = File::from(file).take(MOST_BYTES + 1).read_to_end(&mut bytes);
        read.map_err(|error| self.unreadable(&error))?;
        // It may have grown.
        if bytes.len() as u64 > MOST_BYTES { Err(self.too_large()) } else { Ok(bytes) }
    }

    fn is_no_link(&self, path: &Path, found: &Stat) -> Answer {
        match FileType::from_raw_mode(found.st_mode) {
            FileType::Symlink => Err(self.link(path)),
            _ => Ok(()),
        }
    }

    fn is_file(&self, found: &Stat) -> Answer {
        let what = match FileType::from_raw_mode(found.st_mode) {
            FileType::RegularFile if found.st_size as u64 > MOST_BYTES => {
                return Err(self.too_large());
            }
            FileType::RegularFile => return Ok(()),
            FileType::BlockDevice | FileType::CharacterDevice => "a device",
            FileType::Directory => "a directory",
            FileType::Fifo => "a pipe",
            FileType::Socket => "a socket",
            _ => "something else",
        };
        Err(self.not_a_file(what))
    }

    /// Whether nobody but root and us can change it.
    fn is_ours(&self, path: &Path, found: &Stat, is_further_up: bool) -> Answer {
        is_ours(path, found, is_further_up)
            .map_err(|Changeable { label, help }| self.changeable(label, help))
    }

    fn io<T, E: Into<std::io::Error>>(&self, result: Result<T, E>) -> Answer<T> {
        result.map_err(|error| self.unreadable(&error.into()))
    }

    fn unreadable(&self, error: &std::io::Error) -> Box<Refusal> {
        let reason = match error.kind() {
            std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
            std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
            _ => error.to_string(),
        };
        let LibraryRequest { name, path, .. } = self.request;
        let what = format!("cannot be read: {reason}");
        refused(Fault::Unreadable, name, path, what, reason)
            .help("a relative path is relative to the config file that has it")
            .into()
    }

    fn link(&self, link: &Path) -> Box<Refusal> {
        let LibraryRequest { name, path, .. } = self.request;
        let label = format!("`{}` is a symbolic link", shown_path(link));
        let refusal = refused(
            Fault::Symlink,
            name,
            path,
            "is reached over a symbolic link, which could lead elsewhere tomorrow",
            label.clone(),
        );
        let help = match std::fs::canonicalize(path) {
            Ok(real) => format!("name the file itself: `{}`", shown_path(&real)),
            Err(_) => "name the file itself".to_owned(),
        };
        refusal.note(label).help(help).into()
    }

    fn changeable(&self, label: String, help: String) -> Box<Refusal> {
        let LibraryRequest { name, path, .. } = self.request;
        let what = "can be changed by others, who could run code in this process";
        refused(Fault::Changeable, name, path, what, label.clone()).note(label).help(help).into()
    }

    fn not_a_file(&self, found: &str) -> Box<Refusal> {
        let LibraryRequest { name, path, .. } = self.request;
        refused(Fault::NotAFile, name, path, format!("is {found}"), found)
            .help("name the file of the library itself")
            .into()
    }

    fn too_large(&self) -> Box<Refusal> {
        let LibraryRequest { name, path, .. } = self.request;
        refused(Fault::NotAFile, name, path, "is larger than 256 MiB", "larger than 256 MiB")
            .help("check the path; `strip` takes the debug information out of a library")
            .into()
    }
}
