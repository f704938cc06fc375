//! Removing what nobody can find any more: entries of earlier epochs, and what a crash left.

use std::collections::HashSet;
use std::io;
use std::time::Duration;

use larder_core::{Result, Timestamp};

use crate::directory::{Directory, is_missing};
use crate::error::failed;
use crate::home::Home;
use crate::layout::{self, EntryName, epoch_name, parse_epoch, parse_temporary, parse_writer};
use crate::locks::LockedFile;
use crate::meta;
use crate::platform::{Access, Dir};

/// After this time a temporary file of a writer of which nothing is known is garbage.
const ORPHAN_AFTER: Duration = Duration::from_secs(3600);

/// After so many files of a directory that could not be removed the rest of it is left alone: the
/// reason is most likely the directory itself.
const REFUSALS: usize = 16;

impl Directory {
    /// Removes what a crash left: files that were being written, leases. Any number of threads and
    /// processes may sweep at a time.
    pub(crate) fn sweep_leftovers(&self) -> Result<()> {
        let home = self.home()?;
        let at = |error| failed("sweep", home.version.path(), error);
        remove_dead_writers(&home, self.now()).map_err(at)?;
        remove_dead_leases(&home).map_err(at)
    }

    /// Removes entries of earlier epochs, about so many; whether there may be more that can be
    /// removed. It is only when so many went, so calling it until there are none comes to an end.
    pub(crate) fn sweep_epochs(&self, most: usize) -> Result<bool> {
        let home = self.home()?;
        remove_epochs(&home, most).map_err(|error| failed("sweep", home.version.path(), error))
    }
}

/// Removes what writers left aside that are gone: the kernel has unlocked their files.
fn remove_dead_writers(home: &Home, now: Timestamp) -> io::Result<()> {
    let (mut dead, mut alive) = (HashSet::new(), HashSet::new());
    for writer in list(&home.locks, parse_writer)? {
        if writer != home.writer && is_unlocked(&home.locks, &layout::writer_name(writer)) {
            dead.insert(writer);
        } else {
            alive.insert(writer);
        }
    }
    for name in list(&home.temporary, |name| parse_temporary(name).map(|_| name.to_owned()))? {
        let Some((begun, writer)) = parse_temporary(&name) else { continue };
        let is_old = || now.since(Timestamp::from_micros(begun)) > ORPHAN_AFTER;
        if dead.contains(&writer) || (!alive.contains(&writer) && is_old()) {
            // Another process may be removing it, too.
            home.temporary.remove_file(&name).ok();
        }
    }
    for writer in dead {
        home.locks.remove_file(&layout::writer_name(writer)).ok();
    }
    Ok(())
}

/// Removes leases of processes that are gone.
fn remove_dead_leases(home: &Home) -> io::Result<()> {
    for name in list(&home.leases, EntryName::parse)? {
        let _guard = home.lock_shard(name.shard());
        if is_unlocked(&home.leases, &name.to_string()) {
            home.leases.remove_file(&name.to_string()).ok();
        }
    }
    Ok(())
}

/// Whether a file exists that nobody has locked.
fn is_unlocked(dir: &Dir, name: &str) -> bool {
    let Ok(file) = dir.file(name, Access::Patch) else { return false };
    matches!(LockedFile::take(file), Ok(Some(_)))
}

/// Removes the entries of all epochs but the current one.
fn remove_epochs(home: &Home, most: usize) -> io::Result<bool> {
    // Listed first: an epoch that begins after the list was made is not in it, so it cannot be
    // taken for an old one.
    let epochs = list(&home.epochs, parse_epoch)?;
    let usages = list(&home.usages, parse_epoch)?;
    let Ok((current, _)) = meta::read(&home.version) else {
        // Somebody removes the directory.
        return Ok(false);
    };
    let mut left = most;
    for epoch in epochs.into_iter().filter(|epoch| *epoch != current.epoch) {
        if !remove_epoch(&home.epochs, &epoch_name(epoch), &mut left)? {
            return Ok(true);
        }
    }
    for epoch in usages.into_iter().filter(|epoch| *epoch != current.epoch) {
        home.usages.remove_file(&epoch_name(epoch)).ok();
    }
    Ok(false)
}

/// Removes the entries of an epoch, and its directories unless there is something else in them;
/// whether it was done before `left` was used up. What cannot be removed does not count: the next
/// turn would meet it again, and every turn after it.
fn remove_epoch(epochs: &Dir, name: &str, left: &mut usize) -> io::Result<bool> {
    let Ok(epoch) = epochs.child(name) else { return Ok(true) };
    let shards = list(&epoch, |name| {
        let shard = u8::from_str_radix(name, 16).ok()?;
        (layout::shard_name(shard) == name).then_some(shard)
    })?;
    for shard in shards {
        let shard_name = layout::shard_name(shard);
        let Ok(dir) = epoch.child(&shard_name) else { continue };
        let parse = |name: &str| EntryName::parse(name).filter(|name| name.shard() == shard);
        let mut refusals = 0;
        for entry in list(&dir, parse)? {
            if *left == 0 {
                return Ok(false);
            }
            match dir.remove_file(&entry.to_string()) {
                Ok(()) => *left -= 1,
                Err(error) if is_missing(&error) => {}
                Err(_) => refusals += 1,
            }
            if refusals == REFUSALS {
                break;
            }
        }
        epoch.remove_dir(&shard_name).ok();
    }
    epochs.remove_dir(name).ok();
    Ok(true)
}

/// The names in a directory that are ours, in the form that `parse` gives them.
fn list<T>(dir: &Dir, mut parse: impl FnMut(&str) -> Option<T>) -> io::Result<Vec<T>> {
    let mut found = Vec::new();
    dir.names(&mut |name| {
        found.extend(parse(name));
        true
    })?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use larder_core::{BuildContext, Bytes, Entry, EntryMeta};

    use super::*;
    use crate::config::FileConfig;

    fn files(home: &Home) -> usize {
        let all = list(&home.epochs, parse_epoch).unwrap().into_iter().flat_map(|epoch| {
            let epoch = home.epochs.child(&epoch_name(epoch)).unwrap();
            let shards = list(&epoch, |name| epoch.child(name).ok()).unwrap();
            shards.into_iter().flat_map(|shard| list(&shard, EntryName::parse).unwrap())
        });
        all.count()
    }

    #[test]
    fn clear_removes_no_file_and_a_sweep_no_more_than_it_is_told() {
        let outer = tempfile::tempdir().unwrap();
        let config = FileConfig::new(outer.path().join("cache"));
        let directory = Directory::open(&config, &BuildContext::new("users")).unwrap();
        let entry = Entry { value: Bytes::from_static(b"value"), meta: EntryMeta::default() };
        let set = |number: u32| {
            directory.set(&number.to_string(), &entry, &AtomicBool::new(false)).unwrap();
        };
        (0..30).for_each(set);
        directory.clear().unwrap();
        assert_eq!(directory.get("7").unwrap(), None);
        (100..103).for_each(set);
        let home = directory.home().unwrap();
        assert_eq!(files(&home), 33, "the cost of a clear does not depend on the entries");
        assert!(directory.sweep_epochs(10).unwrap());
        assert_eq!(files(&home), 23);
        assert!(directory.sweep_epochs(10).unwrap());
        directory.clear().unwrap();
        set(200);
        while directory.sweep_epochs(10).unwrap() {}
        assert_eq!(files(&home), 1);
        assert_eq!(list(&home.epochs, parse_epoch).unwrap().len(), 1);
        assert_eq!(list(&home.usages, parse_epoch).unwrap().len(), 1);
        assert_eq!(directory.health().unwrap().entries, Some(1));
    }
    #[test]
    fn a_sweep_ends_when_files_cannot_be_removed() {
        let outer = tempfile::tempdir().unwrap();
        let config = FileConfig::new(outer.path().join("cache"));
        let directory = Directory::open(&config, &BuildContext::new("users")).unwrap();
        let entry = Entry { value: Bytes::from_static(b"value"), meta: EntryMeta::default() };
        let home = directory.home().unwrap();
        for number in 0..40 {
            let key = number.to_string();
            directory.set(&key, &entry, &AtomicBool::new(false)).unwrap();
            if number < 25 {
                // Not even root can remove a directory as if it were a file.
                let path = Directory::path(&home, directory.name(&home, &key));
                std::fs::remove_file(&path).unwrap();
                std::fs::create_dir(&path).unwrap();
            }
        }
        directory.clear().unwrap();
        assert!(directory.sweep_epochs(10).unwrap(), "ten went, and five are left");
        assert_eq!(files(&home), 30);
        assert!(!directory.sweep_epochs(10).unwrap(), "the others stay, however often it is tried");
        assert_eq!(files(&home), 25);
        assert!(!directory.sweep_epochs(10).unwrap());
    }
}
