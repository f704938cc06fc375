//! [`Locks`], who may replace or remove the files of a shard.
//!
//! Renaming and removing are atomic, so readers need no lock. Those who look first and then change
//! do: between the look and the change nobody else may put another entry in place. Threads of one
//! process exclude each other with a mutex, processes with `flock` on a file, which the kernel
//! releases when a process ends, however it ends.

use std::fs::{File, TryLockError};
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::platform::{Access, Dir, Stat};

/// How many locks the shards share. Each costs a descriptor.
const LOCKS: usize = 16;

/// How long work waits that can go on without the lock. Holding it takes some microseconds. A
/// process that was stopped in between must not stop the others, so after this time the work goes
/// on without.
const SHORT_WAIT: Duration = Duration::from_millis(80);

/// How long work waits that is impossible without the lock.
const LONG_WAIT: Duration = Duration::from_secs(2);

/// The pauses between attempts to get a lock double from the first of these to the second.
const PAUSES: [Duration; 2] = [Duration::from_micros(20), Duration::from_millis(40)];

/// A file that is locked until this is dropped.
///
/// Closing it would not do: a child process that is being started has a copy of the descriptor for
/// a moment, and the lock would last as long.
#[derive(Debug)]
pub(crate) struct LockedFile(File);

impl LockedFile {
    /// Waits for the lock, but not for a process that does not give it back: then it fails with
    /// `TimedOut`.
    pub(crate) fn wait(file: File) -> io::Result<Self> {
        wait(&file, LONG_WAIT)?;
        Ok(Self(file))
    }

    /// Waits about as long as a process needs that is at work, then fails with `TimedOut`.
    pub(crate) fn wait_shortly(file: File) -> io::Result<Self> {
        wait(&file, SHORT_WAIT)?;
        Ok(Self(file))
    }

    /// Takes the lock if nobody has it.
    pub(crate) fn take(file: File) -> io::Result<Option<Self>> {
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

impl Drop for LockedFile {
    fn drop(&mut self) {
        // If that fails closing it does the same, only later.
        self.0.unlock().ok();
    }
}

/// The locks of a directory.
#[derive(Debug, Default)]
pub(crate) struct Locks([Mutex<Option<File>>; LOCKS]);

/// The right to change the files of a shard; ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Guard<'a> {
    file: MutexGuard<'a, Option<File>>,
}

impl Locks {
    /// Waits for the right to change the files of a shard; `dir` has the files of the locks.
    pub(crate) fn acquire(&self, dir: &Dir, shard: u8) -> Guard<'_> {
        let number = usize::from(shard) % LOCKS;
        let mut file = self.0[number].lock().unwrap_or_else(PoisonError::into_inner);
        // Where no file can be locked (a disk that became read-only, no descriptors left), only
        // the threads of this process exclude each other.
        if lock(&mut file, dir, number).is_err() {
            *file = None;
        }
        Guard { file }
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if let Some(file) = &*self.file
            && file.unlock().is_err()
        {
            // Closing it unlocks it as well.
            *self.file = None;
        }
    }
}

fn lock(slot: &mut Option<File>, dir: &Dir, number: usize) -> io::Result<()> {
    // Once for the file that is open, and again when somebody removed it.
    for _ in 0..2 {
        let file = match slot.take() {
            Some(file) => file,
            None => dir.file(&format!("{number:x}"), Access::Share)?,
        };
        wait(&file, SHORT_WAIT)?;
        if Stat::of(&file)?.links > 0 {
            *slot = Some(file);
            return Ok(());
        }
    }
    Err(io::ErrorKind::NotFound.into())
}

fn wait(file: &File, longest: Duration) -> io::Result<()> {
    let [mut pause, longest_pause] = PAUSES;
    let mut waited = Duration::ZERO;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if waited < longest => {}
            Err(error) => {
                let is_held = matches!(error, TryLockError::WouldBlock);
                return Err(if is_held { io::ErrorKind::TimedOut.into() } else { error.into() });
            }
        }
        thread::sleep(pause);
        waited += pause;
        pause = (pause * 2).min(longest_pause);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use larder_core::{BuildContext, Bytes, Entry, EntryMeta};

    use super::*;
    use crate::config::FileConfig;
    use crate::directory::Directory;

    #[test]
    fn a_directory_that_was_moved_away_and_made_anew_has_locks_of_its_own() {
        let outer = tempfile::tempdir().unwrap();
        let path = outer.path().join("cache");
        let open = || Directory::open(&FileConfig::new(&path), &BuildContext::new("users"));
        let directory = open().unwrap();
        let entry = Entry { value: Bytes::from_static(b"value"), meta: EntryMeta::default() };
        drop(directory.home().unwrap().lock_shard(3));
        std::fs::rename(&path, outer.path().join("moved")).unwrap();
        let other = open().unwrap();
        directory.set("42", &entry, &AtomicBool::new(false)).unwrap();
        assert_eq!(other.get("42").unwrap(), Some(entry));
        let (ours, theirs) = (directory.home().unwrap(), other.home().unwrap());
        let guard = ours.lock_shard(3);
        let file = || theirs.locks.file("3", Access::Share).unwrap();
        assert!(LockedFile::take(file()).unwrap().is_none(), "both have the lock");
        drop(guard);
        assert!(LockedFile::take(file()).unwrap().is_some());
    }
}
