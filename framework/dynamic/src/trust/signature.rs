//! Reads the signature of a library from the directory in which the library was found.
//!
//! Who can change it does not matter: the keys decide whether it is believed.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;

use larder_core::library::LibraryRequest;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, fstat, openat, statat};
use rustix::io::Errno;

use crate::check::signature::{missing, unusable};
use crate::refusal::Answer;

/// No signature is larger; reading it would only take memory.
const MOST_BYTES: u64 = 16 * 1024;

/// The text of the signature of a library with this name in this directory.
pub(super) fn read(request: &LibraryRequest, folder: &OwnedFd, library: &OsStr) -> Answer<String> {
    let mut name = library.to_owned();
    name.push(".minisig");
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => missing(request),
        std::io::ErrorKind::PermissionDenied => unusable(request, "permission denied"),
        _ => unusable(request, &error.to_string()),
    };
    let is_file = |mode| match FileType::from_raw_mode(mode) {
        FileType::RegularFile => Ok(()),
        FileType::Symlink => Err(unusable(request, "it is a symbolic link")),
        _ => Err(unusable(request, "it is no regular file")),
    };
    // A look before it is opened: to open a device may already do something.
    let found = statat(folder, &name, AtFlags::SYMLINK_NOFOLLOW);
    is_file(found.map_err(|error| failed(error.into()))?.st_mode)?;
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = openat(folder, &name, flags | OFlags::NOCTTY, Mode::empty());
    let file = file.map_err(|error| match error {
        // It became a link since we looked.
        Errno::LOOP | Errno::MLINK => unusable(request, "it is a symbolic link"),
        error => failed(error.into()),
    })?;
    is_file(fstat(&file).map_err(|error| failed(error.into()))?.st_mode)?;
    let mut bytes = Vec::new();
    File::from(file).take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(unusable(request, "it is larger than 16 KiB"));
    }
    String::from_utf8(bytes).map_err(|_| unusable(request, "it is no text"))
}
