//! Opening the directory of a cache, and everything for which it is refused.
//!
//! What is already stored by others is never touched, and nothing outside the directory is: it
//! must be empty or ours, must not be a link, and nobody else may be able to change it.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use larder_core::{CacheError, Result};

use crate::config::Durability;
use crate::error::{failed, refused};
use crate::home::Home;
use crate::layout::{ENTRIES, LEASES, LOCKS, TAG, TEMPORARY, USAGE, VERSION};
use crate::meta::{self, BadMeta, Fingerprint, Meta};
use crate::platform::{self, Access, Dir, Kind, Stat};

const OWN_DIRECTORY: &str = "name a directory of its own for this cache";

/// The file that tells backup programs to skip a directory; see <https://bford.info/cachedir/>.
const TAG_TEXT: &[u8] = b"Signature: 8a477f597d28d172789f06886806bc55\n\
    # This directory is a cache made by larder. It can be deleted while no program uses it.\n";

/// The longest name of a cache: it is read with the header of every entry.
const LONGEST_NAME: usize = 4096;

/// The directories that every cache has.
pub(crate) struct Parts {
    pub(crate) version: Dir,
    pub(crate) temporary: Dir,
    pub(crate) locks: Dir,
    pub(crate) leases: Dir,
    pub(crate) usage: Dir,
    pub(crate) epochs: Dir,
}

/// Opens a directory for a cache: makes what is missing, refuses what is not safe.
pub(crate) fn open(path: &Path, cache: &str, durability: Durability) -> Result<Home> {
    let at = |error| failed("open", path, error);
    if cache.len() > LONGEST_NAME {
        let hint = "give the cache a shorter name";
        return Err(refused(
            path,
            "the name of the cache is too long",
            cache.len(),
            LONGEST_NAME,
            hint,
        ));
    }
    if stat(path).map_err(at)?.is_none() {
        platform::make_all(path).map_err(at)?;
    }
    let root = checked(path, Dir::open(path))?;
    check_owner(&root)?;
    write_tag(&root).map_err(at)?;
    let version = part(&root, VERSION)?;
    let parts = Parts {
        temporary: part(&version, TEMPORARY)?,
        locks: part(&version, LOCKS)?,
        leases: part(&version, LEASES)?,
        usage: part(&version, USAGE)?,
        epochs: part(&version, ENTRIES)?,
        version,
    };
    let lock = meta::lock(&parts.locks).map_err(at)?;
    let (meta, fingerprint) = open_meta(&root, &parts, cache, durability)?;
    let home = Home::open(parts, meta, fingerprint).map_err(at)?;
    if durability == Durability::Full {
        // An entry that is on the disk is lost with the name of any directory above it.
        [&home.epochs, &home.version, &root].iter().try_for_each(|dir| dir.sync()).map_err(at)?;
    }
    drop(lock);
    Ok(home)
}

/// What is at a path, without following a link; `None` when nothing is.
fn stat(path: &Path) -> io::Result<Option<Stat>> {
    match Stat::at(path) {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn part(parent: &Dir, name: &str) -> Result<Dir> {
    let path: PathBuf = parent.path().join(name);
    parent.make(name).map_err(|error| failed("open", &path, error))?;
    checked(&path, parent.child(name))
}

/// Refuses what is no directory, and one that somebody else can change. What is checked is what is
/// open, so it cannot be another one by the time it is used.
fn checked(path: &Path, opened: io::Result<Dir>) -> Result<Dir> {
    let at = |error| failed("open", path, error);
    let dir = match opened {
        Err(error) if platform::is_no_directory(&error) => {
            let is_link = stat(path).map_err(at)?.is_some_and(|found| found.kind == Kind::Link);
            let (found, hint) = if is_link {
                ("a symbolic link", "name the directory that the link points to")
            } else {
                ("a file", OWN_DIRECTORY)
            };
            let message = "the cache directory is not a directory";
            return Err(refused(path, message, found, "a directory", hint));
        }
        other => other.map_err(at)?,
    };
    if let Some((found, expected, hint)) = dir.own_stat().map_err(at)?.who_else_writes() {
        let message = "the cache directory can be changed by somebody else";
        return Err(refused(path, message, found, expected, hint));
    }
    Ok(dir)
}

/// Refuses a directory that holds anything unless it is one of ours.
fn check_owner(root: &Dir) -> Result<()> {
    let mut first = None;
    let listed = root.names(&mut |name| {
        first = Some(name.to_owned());
        false
    });
    listed.map_err(|error| failed("open", root.path(), error))?;
    let Some(first) = first else { return Ok(()) };
    // In this order, for another process may be making the directory at this moment.
    let is_ours = || match root.child(VERSION) {
        Ok(version) => matches!(meta::read(&version), Ok(_) | Err(BadMeta::Format(_))),
        Err(_) => false,
    };
    let is_known = has_our_tag(root) || is_ours() || is_rest_of_ours(root).unwrap_or(false);
    // Looked at again because the other process completes the tag before it makes what follows.
    if is_known || has_our_tag(root) {
        return Ok(());
    }
    Err(refused(
        root.path(),
        "the directory is in use for something else",
        first,
        "an empty directory, or one made by larder",
        OWN_DIRECTORY,
    ))
}

/// Whether all there is are directories of a cache that somebody began to remove while another
/// process began to make it anew, or what a crash left of the tag. Other programs write tags as
/// well, and ours begins as theirs do, so a part of it proves nothing where something else lies.
fn is_rest_of_ours(root: &Dir) -> io::Result<bool> {
    let has_only = |dir: &Dir, ours: &[&str]| {
        let mut is_ours = true;
        let listed = dir.names(&mut |name| {
            is_ours = ours.contains(&name);
            is_ours
        });
        listed.map(|()| is_ours)
    };
    let parts = [TEMPORARY, LOCKS, LEASES, USAGE, ENTRIES];
    let has_tag = read_tag(root).is_ok_and(|text| TAG_TEXT.starts_with(&text));
    if !has_only(root, if has_tag { &[VERSION, TAG] } else { &[VERSION] })? {
        return Ok(false);
    }
    match root.child(VERSION) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(has_tag),
        version => has_only(&version?, &parts),
    }
}

/// Whether the tag is ours, and complete.
fn has_our_tag(root: &Dir) -> bool {
    read_tag(root).is_ok_and(|text| text == TAG_TEXT)
}

fn read_tag(root: &Dir) -> io::Result<Vec<u8>> {
    let file = root.file(TAG, Access::Read)?;
    let found = Stat::of(&file)?;
    let mut text = vec![0; TAG_TEXT.len().min(usize::try_from(found.length).unwrap_or(0))];
    platform::read_at(&file, &mut text, 0)?;
    let is_ours = found.kind == Kind::File && found.length <= TAG_TEXT.len() as u64;
    if is_ours { Ok(text) } else { Err(io::ErrorKind::InvalidData.into()) }
}

fn write_tag(root: &Dir) -> io::Result<()> {
    match read_tag(root) {
        Ok(text) if TAG_TEXT.starts_with(&text) && text.len() < TAG_TEXT.len() => {
            root.remove_file(TAG)?;
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        // It is complete, or not ours: then `meta.toml` told who owns the directory.
        _ => return Ok(()),
    }
    match root.file(TAG, Access::Create) {
        Ok(mut file) => file.write_all(TAG_TEXT),
        // Another process was quicker.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// Reads `meta.toml`, or writes it where there is none yet. The caller holds the lock of it.
fn open_meta(
    root: &Dir,
    parts: &Parts,
    cache: &str,
    durability: Durability,
) -> Result<(Meta, Fingerprint)> {
    let at = |error| failed("open", root.path(), error);
    let found = match meta::read(&parts.version) {
        Err(BadMeta::Syntax) => None,
        Err(BadMeta::Io(error)) if error.kind() == io::ErrorKind::NotFound => None,
        other => Some(other.map_err(|error| bad_meta(root, error))?),
    };
    let (meta, fingerprint) = if let Some(found) = found {
        found
    } else {
        // Entries that are here belong to a salt that nobody knows any more. The epoch is another
        // one, too, so they are garbage.
        let is_forced = durability != Durability::None;
        meta::write(&parts.version, &Meta::new(cache), is_forced).map_err(at)?;
        meta::read(&parts.version).map_err(|error| bad_meta(root, error))?
    };
    if meta.cache != cache {
        let message = "the directory belongs to another cache";
        let hint = "give each cache a directory of its own; if this one was renamed, delete the \
                    directory";
        return Err(refused(root.path(), message, meta.cache, cache, hint));
    }
    Ok((meta, fingerprint))
}

fn bad_meta(root: &Dir, error: BadMeta) -> CacheError {
    match error {
        BadMeta::Io(error) => failed("open", root.path(), error),
        BadMeta::Format(found) => refused(
            root.path(),
            "the directory was written by a later version",
            format_args!("format {found}"),
            "format 1",
            "update larder, or name another directory",
        ),
        BadMeta::Syntax => refused(
            root.path(),
            "`v1/meta.toml` is not readable",
            "something else",
            "what larder writes",
            "delete the directory while no program uses it",
        ),
    }
}
