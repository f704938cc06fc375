//! [`Versions`]: which write of each key was the last.
//!
//! Keys are known by a hash of 64 bits. Two keys that share one make each other miss, no more:
//! foyer compares the keys, and the version of the other never fits.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use xxhash_rust::xxh3::xxh3_64;

const SHARDS: u64 = 64;

/// Stands at the start of the bytes of [`Versions::to_bytes`].
const MAGIC: [u8; 8] = *b"LDRFOY01";
const FIXED: usize = MAGIC.len() + 8;
const PAIR: usize = 16;
const CHECKSUM: usize = 4;

type Shard = HashMap<u64, u64>;

/// The version of the last write of every key that is stored.
#[derive(Debug)]
pub(crate) struct Versions {
    shards: Vec<Mutex<Shard>>,
    next: AtomicU64,
    /// How many keys a shard may know. foyer does not say what it evicts, so what is beyond goes,
    /// oldest first, which is about the order in which foyer evicts.
    most: usize,
    /// Tested under the lock of a shard, so that nothing changes once the shard was saved.
    is_sealed: AtomicBool,
}

/// Says that the versions can no more be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sealed;

impl Versions {
    /// No keys. Versions begin at a number of which nobody has made one yet.
    pub(crate) fn new(most: u64) -> Self {
        // Half of the numbers are left to count up.
        Self::starting_at(fastrand::u64(..u64::MAX / 2), most)
    }

    fn starting_at(next: u64, most: u64) -> Self {
        // Hashes are not spread evenly over few keys.
        let most = most / SHARDS + most / SHARDS / 4 + 64;
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            next: AtomicU64::new(next),
            most: usize::try_from(most).unwrap_or(usize::MAX),
            is_sealed: AtomicBool::new(false),
        }
    }

    /// The version that counts for a key.
    pub(crate) fn get(&self, key: &str) -> Option<u64> {
        let hash = hash(key);
        self.shard(hash).get(&hash).copied()
    }

    /// Gives the key a new version, and hands it to `write` before anybody else can change the
    /// key.
    pub(crate) fn write<T>(&self, key: &str, write: impl FnOnce(u64) -> T) -> Result<T, Sealed> {
        let hash = hash(key);
        let mut shard = self.shard(hash);
        self.check_seal()?;
        let version = self.next.fetch_add(1, Ordering::Relaxed);
        shard.insert(hash, version);
        if shard.len() > self.most {
            forget_oldest(&mut shard);
        }
        Ok(write(version))
    }

    /// Forgets the version of a key, and does `also` before anybody else can change the key.
    pub(crate) fn forget(&self, key: &str, also: impl FnOnce()) -> Result<(), Sealed> {
        let hash = hash(key);
        let mut shard = self.shard(hash);
        self.check_seal()?;
        shard.remove(&hash);
        also();
        Ok(())
    }

    /// Forgets the version of a key if it is still this one; whether it was.
    pub(crate) fn forget_if(&self, key: &str, version: u64, also: impl FnOnce()) -> bool {
        let hash = hash(key);
        let mut shard = self.shard(hash);
        let is_last = shard.get(&hash) == Some(&version);
        if is_last {
            shard.remove(&hash);
            also();
        }
        is_last
    }

    /// Does this if the version of the key is still this one, before anybody can change the key.
    pub(crate) fn while_last(&self, key: &str, version: u64, work: impl FnOnce()) {
        let hash = hash(key);
        let shard = self.shard(hash);
        if shard.get(&hash) == Some(&version) {
            work();
        }
    }

    /// Forgets all keys.
    pub(crate) fn clear(&self) -> Result<(), Sealed> {
        for shard in &self.shards {
            let mut shard = lock(shard);
            self.check_seal()?;
            *shard = Shard::new();
        }
        Ok(())
    }

    /// Lets nobody change anything from here on, and waits for those who have begun.
    pub(crate) fn seal(&self) {
        self.is_sealed.store(true, Ordering::Release);
        for shard in &self.shards {
            drop(lock(shard));
        }
    }

    fn check_seal(&self) -> Result<(), Sealed> {
        if self.is_sealed.load(Ordering::Acquire) { Err(Sealed) } else { Ok(()) }
    }

    /// All of it in bytes that tell whether they are complete.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&self.next.load(Ordering::Relaxed).to_be_bytes());
        for shard in &self.shards {
            for (hash, version) in &*lock(shard) {
                bytes.extend_from_slice(&hash.to_be_bytes());
                bytes.extend_from_slice(&version.to_be_bytes());
            }
        }
        let checksum = crc32c::crc32c(&bytes);
        bytes.extend_from_slice(&checksum.to_be_bytes());
        bytes
    }

    /// What [`to_bytes`](Self::to_bytes) made; `None` when anything about the bytes is wrong.
    pub(crate) fn from_bytes(bytes: &[u8], most: u64) -> Option<Self> {
        let (body, checksum) = bytes.split_at_checked(bytes.len().checked_sub(CHECKSUM)?)?;
        let (fixed, pairs) = body.split_at_checked(FIXED)?;
        let is_whole = fixed.starts_with(&MAGIC)
            && pairs.len().is_multiple_of(PAIR)
            && crc32c::crc32c(body).to_be_bytes() == checksum;
        if !is_whole {
            return None;
        }
        let versions = Self::starting_at(number(&fixed[MAGIC.len()..])?, most);
        for pair in pairs.chunks_exact(PAIR) {
            let hash = number(&pair[..8])?;
            versions.shard(hash).insert(hash, number(&pair[8..])?);
        }
        Some(versions)
    }

    fn shard(&self, hash: u64) -> MutexGuard<'_, Shard> {
        let shard = usize::try_from(hash % SHARDS).expect("there are 64 shards");
        lock(&self.shards[shard])
    }
}

/// Leaves the newer three quarters.
fn forget_oldest(shard: &mut Shard) {
    let mut versions: Vec<u64> = shard.values().copied().collect();
    let middle = versions.len() / 4;
    let (_, cut, _) = versions.select_nth_unstable(middle);
    let cut = *cut;
    shard.retain(|_, version| *version >= cut);
}

fn hash(key: &str) -> u64 {
    xxh3_64(key.as_bytes())
}

fn number(bytes: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(bytes.try_into().ok()?))
}

/// A panic while a lock is held leaves a map that is whole.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_last_counts() {
        let versions = Versions::new(100);
        let first = versions.write("a", |version| version).unwrap();
        let second = versions.write("a", |version| version).unwrap();
        assert_eq!(versions.get("a"), Some(second));
        assert!(!versions.forget_if("a", first, || panic!("it is not the last")));
        assert!(versions.forget_if("a", second, || ()));
        assert_eq!(versions.get("a"), None);
    }

    #[test]
    fn bytes_give_back_every_version_and_no_version_twice() {
        let versions = Versions::new(1000);
        let written: Vec<u64> = (0..500)
            .map(|key| versions.write(&key.to_string(), |version| version).unwrap())
            .collect();
        let read = Versions::from_bytes(&versions.to_bytes(), 1000).unwrap();
        for (key, version) in written.iter().enumerate() {
            assert_eq!(read.get(&key.to_string()), Some(*version));
        }
        assert!(read.write("new", |version| version).unwrap() > written[499]);
    }

    #[test]
    fn what_is_sealed_does_not_change() {
        let versions = Versions::new(100);
        let version = versions.write("a", |version| version).unwrap();
        versions.seal();
        assert_eq!(versions.write("a", |_| panic!("it was saved")), Err(Sealed));
        assert_eq!(versions.forget("a", || panic!("it was saved")), Err(Sealed));
        assert_eq!(versions.clear(), Err(Sealed));
        assert_eq!(versions.get("a"), Some(version));
    }

    #[test]
    fn bytes_with_any_fault_are_refused() {
        let versions = Versions::new(100);
        versions.write("a", |_| ()).unwrap();
        let bytes = versions.to_bytes();
        for length in 0..bytes.len() {
            assert!(Versions::from_bytes(&bytes[..length], 100).is_none(), "{length}");
        }
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(Versions::from_bytes(&bytes, 100).is_none(), "{bit}");
        }
    }

    #[test]
    fn beyond_the_limit_the_oldest_go() {
        let versions = Versions::new(640);
        for key in 0..100_000 {
            versions.write(&key.to_string(), |_| ()).unwrap();
        }
        let known = |key: &i32| versions.get(&key.to_string()).is_some();
        assert!((99_900..100_000).all(|key| known(&key)));
        let count = (0..100_000).filter(known).count();
        assert!((640..=5000).contains(&count), "{count}");
    }
}
