//! [`Collector`], which makes room.
//!
//! It walks some shards at a time, reads no entry (the times of the files say enough), removes what
//! has expired, and then, if there is still too much, the entries the policy likes least. It stops
//! as soon as there is room, and goes on from there the next time, so no write waits for long and
//! no more than a group of files is in memory. One at a time runs in a process (a mutex) and on a
//! directory (a lock file).

use std::io;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, TryLockError as Busy};

use larder_core::policy::PolicyFactory;
use larder_core::{BuildContext, CacheError, ErrorKind, Result};

use crate::config::FileConfig;
use crate::directory::Directory;
use crate::evict::{self, Candidate};
use crate::home::Home;
use crate::locks::LockedFile;
use crate::platform::Access;
use crate::usage::Amount;

/// How many files a group has, about. A smaller cache is one group, and then the policy sees all
/// of it; of a larger one it sees a sample of this size.
const GROUP: u64 = 8192;

/// After at least so many writes a group is looked at even if there is room.
const FEWEST_WRITES: u64 = 256;

/// How many bytes may be written, at most, before the free space of the disk is looked at again.
const LONGEST_ALLOWANCE: u64 = 64 * 1024 * 1024;

/// How many files are removed before others get a turn at the lock of their shard.
const FILES_PER_LOCK: usize = 64;

/// How far to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goal {
    /// What has expired in one group.
    Expired,
    /// Until so many bytes are free that were not.
    Free(u64),
    /// Down to nine tenths of the limits, if they are exceeded.
    Limits,
    /// Down to 95 % of what is there: the disk is full.
    Share,
}

/// Who made the room that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Made {
    /// This call, as far as there is anything that can go.
    Here,
    /// Another thread or process that was at it. There may be room, or more to do.
    Elsewhere,
}

/// Keeps a directory within its limits.
#[derive(Debug)]
pub(crate) struct Collector {
    policy: Option<Arc<dyn PolicyFactory>>,
    wants_uses: bool,
    limits: Amount,
    min_free: u64,
    /// How many files a group has, about.
    group: u64,
    /// How many bytes may be written before the free space is looked at again.
    allowance: AtomicI64,
    /// How many writes are left until the next group is looked at.
    writes_left: AtomicI64,
    /// The shard where the next pass begins.
    next: Mutex<u8>,
    /// How many files were in the last group.
    last_group: AtomicU64,
}

impl Collector {
    pub(crate) fn new(config: &FileConfig, context: &BuildContext) -> Self {
        Self {
            wants_uses: evict::wants_uses(context.policy.as_deref()),
            policy: context.policy.clone(),
            limits: Amount {
                entries: config.max_entries.unwrap_or(u64::MAX),
                bytes: config.max_bytes.map_or(u64::MAX, |size| size.0),
            },
            min_free: config.min_free.map_or(0, |size| size.0),
            group: GROUP,
            allowance: AtomicI64::new(0),
            writes_left: AtomicI64::new(FEWEST_WRITES.cast_signed()),
            // Processes that start together should not all look at the same files first.
            next: Mutex::new(fastrand::u8(..)),
            last_group: AtomicU64::new(0),
        }
    }

    /// Whether the policy needs to know when an entry is used.
    pub(crate) const fn wants_uses(&self) -> bool {
        self.wants_uses
    }

    /// Refuses a file that could never be stored.
    pub(crate) fn admit(&self, length: usize) -> Result<()> {
        if length as u64 <= self.limits.bytes {
            return Ok(());
        }
        let message = "the entry is larger than the whole cache may be";
        Err(CacheError::new(ErrorKind::Capacity, message)
            .during("set")
            .with("backend", "file")
            .with("size", length)
            .with("max_size", self.limits.bytes)
            .hint("raise `max_bytes`, or lower `max_value_bytes` so that it is not tried"))
    }

    /// What is to be done after a write that left so much.
    pub(crate) fn due(&self, total: Amount) -> Option<Goal> {
        if total.is_above(self.limits) {
            return Some(Goal::Limits);
        }
        let left = self.writes_left.fetch_sub(1, Ordering::Relaxed);
        (left <= 1).then(|| {
            let next = self.last_group.load(Ordering::Relaxed).max(FEWEST_WRITES);
            self.writes_left.store(next.cast_signed(), Ordering::Relaxed);
            Goal::Expired
        })
    }

    /// Something went that was perhaps counted: look at a group soon.
    pub(crate) fn ask_to_count(&self) {
        self.writes_left.store(0, Ordering::Relaxed);
    }

    /// How many bytes of the reserve a write of this length would take; `None` if the rest is
    /// enough.
    pub(crate) fn lack(&self, home: &Home, length: u64) -> Option<u64> {
        if self.min_free == 0 {
            return None;
        }
        let signed = i64::try_from(length).unwrap_or(i64::MAX);
        if self.allowance.fetch_sub(signed, Ordering::Relaxed) > signed {
            return None;
        }
        // Where nobody can tell, the reserve cannot be kept; `build` refuses it there.
        let free = home.entries.free().ok().flatten()?;
        let needed = self.min_free.saturating_add(length);
        // Others write as well, so no process counts on more than a quarter.
        let allowance = (free.saturating_sub(needed) / 4).min(LONGEST_ALLOWANCE);
        self.allowance.store(allowance.cast_signed(), Ordering::Relaxed);
        (free < needed).then(|| needed - free)
    }

    /// What the cache may hold, and what it is brought down to when it holds more.
    fn bounds(&self, goal: Goal, total: Amount) -> (Amount, Amount) {
        match goal {
            Goal::Expired => (Amount::UNLIMITED, Amount::UNLIMITED),
            Goal::Free(lack) => {
                let left = |lack: u64| total.bytes.saturating_sub(lack);
                // More than is needed, so that the next write does not have to walk again.
                let (limit, target) = (left(lack), left(lack.max(total.bytes / 20)));
                let of = |bytes| Amount { bytes, ..Amount::UNLIMITED };
                (of(limit), of(target))
            }
            Goal::Limits => (self.limits, self.limits.percent(90)),
            Goal::Share => (total.percent(95), total.percent(95)),
        }
    }

    /// Makes room, unless another thread or process is at it. Whoever cannot do without the room
    /// waits for them.
    pub(crate) fn run(&self, directory: &Directory, home: &Home, goal: Goal) -> io::Result<Made> {
        let mut next = match self.next.try_lock() {
            Ok(next) => next,
            Err(Busy::WouldBlock) => {
                if matches!(goal, Goal::Free(_) | Goal::Share) {
                    drop(self.next.lock());
                }
                return Ok(Made::Elsewhere);
            }
            Err(Busy::Poisoned(next)) => next.into_inner(),
        };
        let file = || home.locks.file("gc", Access::Share);
        let lock = LockedFile::take(file()?)?;
        if lock.is_none() {
            if !self.is_urgent(goal, home) {
                return Ok(Made::Elsewhere);
            }
            match LockedFile::wait_shortly(file()?) {
                Ok(_) => return Ok(Made::Elsewhere),
                // It was stopped, or is not quick enough. Two at a time do no harm, as each removes
                // under the lock of the shard.
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {}
                Err(error) => return Err(error),
            }
        }
        self.make_room(directory, home, goal, &mut next)?;
        drop(lock);
        Ok(Made::Here)
    }

    /// Whether somebody has to make room now, even if another process is already at it: without
    /// room nothing can be written, or the process that is at it does not get on.
    fn is_urgent(&self, goal: Goal, home: &Home) -> bool {
        match goal {
            Goal::Free(_) | Goal::Share => true,
            Goal::Limits => home.usage.total().is_above(self.limits.percent(110)),
            Goal::Expired => false,
        }
    }

    fn make_room(
        &self,
        directory: &Directory,
        home: &Home,
        goal: Goal,
        next: &mut u8,
    ) -> io::Result<()> {
        let (limit, target) = self.bounds(goal, home.usage.total());
        let mut visited = 0;
        while visited < 256 {
            let thought = home.usage.shards();
            let shards = group(&thought, *next, 256 - visited, self.group);
            let mut files = Vec::new();
            for offset in 0..shards {
                // 256 shards in a circle, so the number wraps as it should.
                let shard = next.wrapping_add(u8::try_from(offset).unwrap_or_default());
                // Of a small cache most are empty. That they really are is seen when there is no
                // hurry.
                if goal == Goal::Expired || thought[usize::from(shard)].entries > 0 {
                    directory.count(home, shard, &mut files)?;
                }
            }
            visited += shards;
            *next = next.wrapping_add(u8::try_from(shards % 256).unwrap_or_default());
            self.last_group.store(files.len() as u64, Ordering::Relaxed);
            self.trim(directory, home, files, (limit, target));
            if !home.usage.total().is_above(limit) {
                break;
            }
        }
        Ok(())
    }

    /// Removes of a group what has expired, and its share of what is too much.
    fn trim(
        &self,
        directory: &Directory,
        home: &Home,
        files: Vec<Candidate>,
        (limit, target): (Amount, Amount),
    ) {
        let now = directory.now();
        let (expired, alive) = files.into_iter().partition(|file| file.is_expired(now));
        directory.remove_all(home, expired);
        let total = home.usage.total();
        if !total.is_above(limit) {
            return;
        }
        let mut found = Amount::default();
        alive.iter().for_each(|file| found.add(file.length));
        let most = found.scaled(target, total);
        let mut victims = Vec::new();
        evict::evict(self.policy.as_deref(), alive, &mut |file| {
            let is_too_much = found.is_above(most);
            if is_too_much {
                found.sub(file.length);
                victims.push(*file);
            }
            is_too_much
        });
        directory.remove_all(home, victims);
    }
}

impl Directory {
    pub(crate) fn collect(&self, home: &Home, goal: Goal) -> Made {
        // What cannot be collected now can be after the next write.
        self.collector.run(self, home, goal).unwrap_or(Made::Here)
    }

    /// Removes files unless they were replaced or used since they were looked at. Shard by shard,
    /// so that each is entered and locked once for many of them.
    fn remove_all(&self, home: &Home, mut files: Vec<Candidate>) {
        files.sort_unstable_by_key(|file| file.name);
        for of_shard in files.chunk_by(|a, b| a.name.shard() == b.name.shard()) {
            let shard = of_shard[0].name.shard();
            let Ok(Some(dir)) = home.shard(shard) else { continue };
            for some in of_shard.chunks(FILES_PER_LOCK) {
                let _guard = home.lock_shard(shard);
                let mut gone = Amount::default();
                for file in some {
                    let name = file.name.to_string();
                    let is_same =
                        dir.stat(&name).is_ok_and(|found| found.identity == file.identity);
                    if is_same && dir.remove_file(&name).is_ok() {
                        gone.add(file.length);
                    }
                }
                home.usage.correct(shard, gone, Amount::default());
            }
        }
    }

    /// Lists the files of a shard, and corrects what was thought of it.
    fn count(&self, home: &Home, shard: u8, files: &mut Vec<Candidate>) -> io::Result<()> {
        let thought = home.usage.shard(shard);
        let mut found = Amount::default();
        home.walk(shard, &mut |name, stat| {
            found.add(stat.length);
            files.push(Candidate::new(name, stat));
        })?;
        if found != thought {
            // Not held during the walk, which may be long: what others note meanwhile is kept.
            let _guard = home.lock_shard(shard);
            home.usage.correct(shard, thought, found);
        }
        Ok(())
    }
}

/// How many shards from this one on have a group of files together.
fn group(shards: &[Amount; 256], first: u8, most: usize, size: u64) -> usize {
    let mut files = 0_u64;
    let mut count = 0;
    let order = (first..=u8::MAX).chain(0..first);
    for shard in order.take(most) {
        // Counters that were damaged can say anything.
        files = shards[usize::from(shard)].entries.saturating_add(files);
        if files > size && count > 0 {
            break;
        }
        count += 1;
    }
    count
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::time::Duration;

    use larder_core::{Bytes, Entry, EntryMeta, ManualClock};

    use super::*;

    fn shards(entries: u64) -> [Amount; 256] {
        [Amount { entries, bytes: 0 }; 256]
    }

    #[test]
    fn a_small_cache_is_one_group_and_a_large_one_many() {
        assert_eq!(group(&shards(0), 7, 256, 8192), 256);
        assert_eq!(group(&shards(32), 255, 256, 8192), 256);
        assert_eq!(group(&shards(4000), 255, 256, 8192), 2);
        assert_eq!(group(&shards(4000), 0, 1, 8192), 1);
        assert_eq!(group(&shards(1_000_000), 0, 256, 8192), 1, "never none");
        assert_eq!(group(&shards(u64::MAX), 0, 256, 8192), 1, "damaged counters are numbers, too");
    }

    #[test]
    fn a_large_cache_loses_its_share_group_by_group_and_the_oldest_of_each() {
        let outer = tempfile::tempdir().unwrap();
        let mut config = FileConfig::new(outer.path().join("cache"));
        config.max_entries = Some(400);
        let clock = ManualClock::new();
        let context = BuildContext::new("users").clock(Arc::new(clock.clone()));
        let mut directory = Directory::open(&config, &context).unwrap();
        directory.collector.group = 50;
        let entry = Entry { value: Bytes::from_static(b"value"), meta: EntryMeta::default() };
        for number in 0..1000 {
            clock.advance(Duration::from_secs(1));
            directory.set(&number.to_string(), &entry, &AtomicBool::new(false)).unwrap();
            let entries = directory.health().unwrap().entries.unwrap();
            assert!(entries <= 400);
            // Each time one group of eight goes down to nine tenths.
            assert!(number < 400 || entries >= 380, "{entries} after {number}");
        }
        let is_there = |number: &u64| directory.get(&number.to_string()).unwrap().is_some();
        let old = (0..500).filter(is_there).count();
        let young = (800..1000).filter(is_there).count();
        assert!(old <= 30 && young >= 190, "{old} of the oldest and {young} of the youngest");
    }
    fn filled(dir: &std::path::Path, limit: Option<u64>, entries: u64) -> Directory {
        let mut config = FileConfig::new(dir.join("cache"));
        config.max_entries = limit;
        let directory = Directory::open(&config, &BuildContext::new("users")).unwrap();
        let entry = Entry { value: Bytes::from_static(b"value"), meta: EntryMeta::default() };
        for number in 0..entries {
            directory.set(&number.to_string(), &entry, &AtomicBool::new(false)).unwrap();
        }
        directory
    }

    fn entries(directory: &Directory) -> u64 {
        directory.health().unwrap().entries.unwrap()
    }

    #[test]
    fn who_needs_room_waits_for_the_thread_that_makes_it() {
        let outer = tempfile::tempdir().unwrap();
        let directory = &filled(outer.path(), None, 40);
        let home = &directory.home().unwrap();
        for goal in [Goal::Share, Goal::Free(1)] {
            let (sender, made) = std::sync::mpsc::channel();
            std::thread::scope(|scope| {
                let at_it = directory.collector.next.lock().unwrap();
                assert_eq!(directory.collect(home, Goal::Limits), Made::Elsewhere);
                scope.spawn(move || sender.send(directory.collect(home, goal)));
                // It may wait, or not have begun yet: in no case has it answered.
                for _ in 0..10_000 {
                    std::thread::yield_now();
                }
                assert!(made.try_recv().is_err(), "it did not wait");
                drop(at_it);
            });
            assert!(made.recv().is_ok());
        }
        assert!(entries(directory) <= 40);
    }

    #[test]
    fn a_process_that_was_stopped_while_it_collected_does_not_end_the_limits() {
        let outer = tempfile::tempdir().unwrap();
        let dir = outer.path().join("cache");
        drop(filled(outer.path(), None, 1));
        // Another open file is to the lock what another process is.
        let stopped = std::fs::File::create(dir.join("v1/locks/gc")).unwrap();
        stopped.lock().unwrap();
        let directory = filled(outer.path(), Some(20), 60);
        assert!(entries(&directory) <= 23, "{}", entries(&directory));
        let before = entries(&directory);
        let home = directory.home().unwrap();
        assert_eq!(directory.collect(&home, Goal::Expired), Made::Elsewhere);
        assert_eq!(directory.collect(&home, Goal::Share), Made::Here);
        assert!(entries(&directory) < before);
    }
    #[test]
    fn counters_are_corrected_only_by_the_holder_of_the_lock() {
        let outer = tempfile::tempdir().unwrap();
        let directory = &filled(outer.path(), None, 1);
        let home = &directory.home().unwrap();
        let total = || home.usage.total().entries;
        let nobody = Amount::default();
        home.usage.correct(7, nobody, Amount { entries: 100, bytes: 100 });
        let (sender, ended) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            let guard = home.lock_shard(7);
            scope.spawn(move || {
                directory.count(home, 7, &mut Vec::new()).unwrap();
                sender.send(()).unwrap();
            });
            for _ in 0..10_000 {
                std::thread::yield_now();
            }
            assert!(ended.try_recv().is_err() && total() > 100, "it did not wait");
            drop(guard);
        });
        assert_eq!(total(), 1);
    }
}
