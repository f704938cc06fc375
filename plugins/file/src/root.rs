//! Opening the directory of a cache, and everything for which it is refused.
//!
//! What is already stored by others is never touched, and nothing outside the directory is: it
//! must be empty or ours, must not be a link, and nobody else may be able to change it.

use std::fs::{self, Metadata};
use std::io::{self, Write as _};
use std::path::Path;
use std::time::Duration;

use larder_core::{CacheError, Result, Timestamp};

use crate::error::{failed, refused};
use crate::layout::{Layout, temporary_begun};
use crate::meta::{self, BadMeta, Fingerprint, Meta};
use crate::platform;

const OWN_DIRECTORY: &str = "name a directory of its own for this cache";

/// The file that tells backup programs to skip a directory; see <https://bford.info/cachedir/>.
const TAG: &[u8] = b"Signature: 8a477f597d28d172789f06886806bc55\n\
    # This directory is a cache made by larder. It can be deleted while no program uses it.\n";

/// After this time a temporary file is what a crash left behind.
const ORPHAN_AFTER: Duration = Duration::from_secs(3600);

/// Opens a directory for a cache: makes what is missing, refuses what is not safe.
pub(crate) fn open(layout: &Layout, cache: &str) -> Result<(Meta, Fingerprint)> {
    let root = layout.root();
    let at = |error| failed("open", root, error);
    if cache.len() > usize::from(u16::MAX) {
        let hint = "give the cache a shorter name";
        return Err(refused(root, "the name of the cache is too long", cache.len(), 65535, hint));
    }
    if stat(root).map_err(at)?.is_none() {
        platform::create_directory(root).map_err(at)?;
    }
    check_directory(root)?;
    check_owner(layout)?;
    write_tag(layout).map_err(at)?;
    let parts = [layout.version(), layout.temporary(), layout.locks(), layout.entries()];
    for part in parts {
        if stat(&part).map_err(at)?.is_none() {
            platform::create_directory(&part).map_err(at)?;
        }
        check_directory(&part)?;
    }
    for shard in 0..=u8::MAX {
        let shard = layout.shard(shard);
        if stat(&shard).map_err(at)?.is_some() {
            check_directory(&shard)?;
        }
    }
    open_meta(layout, cache)
}

/// Removes temporary files that a crash left behind.
pub(crate) fn remove_orphans(layout: &Layout, now: Timestamp) -> io::Result<()> {
    for file in fs::read_dir(layout.temporary())? {
        let file = file?;
        let begun = file.file_name().to_str().and_then(temporary_begun);
        let age = begun.map(|begun| now.since(Timestamp::from_micros(begun)));
        if age.is_some_and(|age| age > ORPHAN_AFTER) {
            // Another process may be removing it, too.
            fs::remove_file(file.path()).ok();
        }
    }
    Ok(())
}

/// What is at a path, without following a link; `None` when nothing is.
fn stat(path: &Path) -> io::Result<Option<Metadata>> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn check_directory(path: &Path) -> Result<()> {
    let found = fs::symlink_metadata(path).map_err(|error| failed("open", path, error))?;
    let found_type = found.file_type();
    if !found_type.is_dir() {
        let (kind, hint) = if found_type.is_symlink() {
            ("a symbolic link", "name the directory that the link points to")
        } else {
            ("a file", OWN_DIRECTORY)
        };
        let message = "the cache directory is not a directory";
        return Err(refused(path, message, kind, "a directory", hint));
    }
    if let Some((found, expected, hint)) = platform::who_else_writes(&found) {
        let message = "the cache directory can be changed by somebody else";
        return Err(refused(path, message, found, expected, hint));
    }
    Ok(())
}

/// Refuses a directory that holds anything unless it is one of ours.
fn check_owner(layout: &Layout) -> Result<()> {
    let root = layout.root();
    let at = |error| failed("open", root, error);
    let Some(first) = fs::read_dir(root).map_err(at)?.next() else {
        return Ok(());
    };
    // In this order, for another process may be making the directory at this moment.
    if has_our_tag(layout) || matches!(meta::read(layout), Ok(_) | Err(BadMeta::Format(_))) {
        return Ok(());
    }
    let name = first.map_err(at)?.file_name();
    Err(refused(
        root,
        "the directory is in use for something else",
        name.to_string_lossy(),
        "an empty directory, or one made by larder",
        OWN_DIRECTORY,
    ))
}

/// Whether the tag is ours, or what a crash left of it.
fn has_our_tag(layout: &Layout) -> bool {
    let is_tag = |tag: &Metadata| tag.is_file() && tag.len() <= TAG.len() as u64;
    let is_file = matches!(stat(&layout.tag()), Ok(Some(tag)) if is_tag(&tag));
    is_file && fs::read(layout.tag()).is_ok_and(|text| TAG.starts_with(&text))
}

fn write_tag(layout: &Layout) -> io::Result<()> {
    match stat(&layout.tag())? {
        None => {}
        Some(tag) if has_our_tag(layout) && tag.len() < TAG.len() as u64 => {
            fs::remove_file(layout.tag())?;
        }
        Some(_) => return Ok(()),
    }
    match platform::creating().open(layout.tag()) {
        Ok(mut file) => file.write_all(TAG),
        // Another process was quicker.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// Reads `meta.toml`, or writes it where there is none yet.
fn open_meta(layout: &Layout, cache: &str) -> Result<(Meta, Fingerprint)> {
    let at = |error| failed("open", &layout.meta(), error);
    let lock = meta::lock(layout).map_err(at)?;
    let found = match meta::read(layout) {
        Err(BadMeta::Syntax) => None,
        Err(BadMeta::Io(error)) if error.kind() == io::ErrorKind::NotFound => None,
        other => Some(other.map_err(|error| bad_meta(layout, error))?),
    };
    let (meta, fingerprint) = if let Some(found) = found {
        found
    } else {
        // Entries that are here belong to a salt nobody knows any more.
        remove_entries(layout).map_err(at)?;
        meta::write(layout, &Meta::new(cache)).map_err(at)?;
        meta::read(layout).map_err(|error| bad_meta(layout, error))?
    };
    drop(lock);
    if meta.cache != cache {
        let message = "the directory belongs to another cache";
        let hint = "give each cache a directory of its own; if this one was renamed, delete the \
                    directory";
        return Err(refused(layout.root(), message, meta.cache, cache, hint));
    }
    Ok((meta, fingerprint))
}

fn bad_meta(layout: &Layout, error: BadMeta) -> CacheError {
    match error {
        BadMeta::Io(error) => failed("open", &layout.meta(), error),
        BadMeta::Format(found) => refused(
            layout.root(),
            "the directory was written by a later version",
            format_args!("format {found}"),
            "format 1",
            "update larder, or name another directory",
        ),
        BadMeta::Syntax => refused(
            layout.root(),
            "`v1/meta.toml` is not readable",
            "something else",
            "what larder writes",
            "delete the directory while no program uses it",
        ),
    }
}

fn remove_entries(layout: &Layout) -> io::Result<()> {
    layout.walk(&mut |name, _| {
        // One that cannot be removed is not found under the new salt anyway.
        fs::remove_file(layout.entry(name)).ok();
    })
}
