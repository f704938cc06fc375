//! `v1/meta.toml`: what all processes that use a directory must agree on.
//!
//! The file is replaced as a whole (written aside, renamed) under the lock `v1/locks/meta`. Its
//! time of modification is set to its epoch, in seconds: two clears within one tick of the file
//! system's own clock would otherwise leave the same time behind, and another process could miss
//! the second.

use std::collections::hash_map::RandomState;
use std::fmt::Write as _;
use std::fs::FileTimes;
use std::hash::BuildHasher;
use std::io::{self, Read, Write as _};
use std::path::Path;
use std::time::{Duration, SystemTime};

use larder_core::serde_json;

use crate::layout::{META, Salt};
use crate::locks::LockedFile;
use crate::platform::{Access, Dir, Identity, Stat};

/// The version of the layout of a directory.
const FORMAT: u32 = 1;

/// The first epoch is below this, which leaves room for as many clears as anybody will make before
/// the time of modification leaves what file systems can hold.
const FIRST_EPOCHS: u32 = 1 << 30;

/// More than any `meta.toml` of ours: a longer file is not read.
const LONGEST: u64 = 512 * 1024;

/// What `meta.toml` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Meta {
    /// The cache the directory belongs to.
    pub(crate) cache: String,
    /// What the names of the files depend on.
    pub(crate) salt: Salt,
    /// Changed by `clear`; entries of another epoch are misses.
    pub(crate) epoch: u32,
}

/// Why `meta.toml` could not be used.
#[derive(Debug)]
pub(crate) enum BadMeta {
    /// It was written by a later version.
    Format(String),
    /// It could not be read.
    Io(io::Error),
    /// It is not what we write.
    Syntax,
}

impl From<io::Error> for BadMeta {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Meta {
    /// A new salt and a new epoch for a cache.
    pub(crate) fn new(cache: &str) -> Self {
        // The keys of `RandomState` come from the operating system and are not known to anybody.
        let random = || RandomState::new().hash_one(cache);
        let mut salt = Salt::default();
        salt[..8].copy_from_slice(&random().to_be_bytes());
        salt[8..].copy_from_slice(&random().to_be_bytes());
        Self {
            cache: cache.to_owned(),
            salt,
            epoch: u32::try_from(random() % u64::from(FIRST_EPOCHS)).unwrap_or_default(),
        }
    }

    fn to_text(&self) -> String {
        let mut salt = String::new();
        for byte in self.salt {
            write!(salt, "{byte:02x}").expect("writing to a string works");
        }
        let cache = serde_json::Value::from(&*self.cache);
        format!(
            "# Written by larder. Deleting this file empties the cache.\n\
             format = {FORMAT}\ncache = {cache}\nsalt = \"{salt}\"\nepoch = {}\n",
            self.epoch
        )
    }

    fn parse(text: &str) -> Result<Self, BadMeta> {
        let value = |name: &str| {
            let mut lines = text.lines().filter_map(|line| line.split_once(" = "));
            let found = lines.find(|(key, _)| *key == name);
            found.map(|(_, value)| value).ok_or(BadMeta::Syntax)
        };
        let format = value("format")?;
        if format != FORMAT.to_string() {
            return Err(BadMeta::Format(format.to_owned()));
        }
        let text = |name| {
            let text = serde_json::from_str::<String>(value(name)?);
            text.map_err(|_| BadMeta::Syntax)
        };
        Ok(Self {
            cache: text("cache")?,
            salt: parse_salt(&text("salt")?).ok_or(BadMeta::Syntax)?,
            epoch: value("epoch")?.parse().map_err(|_| BadMeta::Syntax)?,
        })
    }
}

fn parse_salt(hex: &str) -> Option<Salt> {
    let is_hex = hex.len() == 32 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = is_hex.then(|| u128::from_str_radix(hex, 16).ok())?;
    number.map(u128::to_be_bytes)
}

/// Tells from the outside that `meta.toml` is still the one that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fingerprint {
    identity: Identity,
    modified: u64,
    length: u64,
}

impl Fingerprint {
    fn new(stat: &Stat) -> Self {
        Self { identity: stat.identity, modified: stat.modified, length: stat.length }
    }

    /// The fingerprint of the file that has this path now. Cost: one `stat`.
    pub(crate) fn at(path: &Path) -> io::Result<Self> {
        Ok(Self::new(&Stat::at(path)?))
    }
}

/// Reads `meta.toml` from the directory of the version.
pub(crate) fn read(version: &Dir) -> Result<(Meta, Fingerprint), BadMeta> {
    let file = version.file(META, Access::Read)?;
    let fingerprint = Fingerprint::new(&Stat::of(&file)?);
    let mut text = String::new();
    let read = file.take(LONGEST).read_to_string(&mut text);
    match read {
        Ok(_) => Ok((Meta::parse(&text)?, fingerprint)),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(BadMeta::Syntax),
        Err(error) => Err(error.into()),
    }
}

/// Replaces `meta.toml`. The caller holds the [`lock`]. Unless it is forced to the disk, power that
/// is lost may bring back what was there before, or nothing.
pub(crate) fn write(version: &Dir, meta: &Meta, is_forced: bool) -> io::Result<()> {
    // The name is fixed: whoever holds the lock may take over what another one left behind.
    const ASIDE: &str = "meta.new";
    match version.remove_file(ASIDE) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = version.file(ASIDE, Access::Create)?;
    file.write_all(meta.to_text().as_bytes())?;
    let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(meta.epoch.into());
    file.set_times(FileTimes::new().set_modified(modified))?;
    if is_forced {
        file.sync_all()?;
    }
    // Not every system moves a file that is open.
    drop(file);
    version.rename(ASIDE, version, META)?;
    if is_forced { version.sync() } else { Ok(()) }
}

/// Waits for the right to replace `meta.toml`; it ends when it is dropped. Fails with `TimedOut`
/// when another process has it and was stopped.
pub(crate) fn lock(locks: &Dir) -> io::Result<LockedFile> {
    LockedFile::wait(locks.file("meta", Access::Share)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        for cache in ["users", "a \"quoted\"\nname", "💥"] {
            let meta = Meta::new(cache);
            assert_eq!(Meta::parse(&meta.to_text()).unwrap(), meta);
        }
    }

    #[test]
    fn no_two_directories_have_the_same_salt() {
        let (first, second) = (Meta::new("users"), Meta::new("users"));
        assert_ne!(first.salt, second.salt);
        assert_ne!(first.salt[..8], first.salt[8..]);
    }

    #[test]
    fn every_prefix_of_the_text_is_refused() {
        let text = Meta::new("users").to_text();
        for length in 0..text.len() - 2 {
            let prefix = &text[..length];
            let parsed = Meta::parse(prefix);
            let shorter_epoch = parsed.as_ref().is_ok_and(|_| prefix.contains("epoch = "));
            assert!(parsed.is_err() || shorter_epoch, "{prefix}");
        }
        assert!(matches!(
            Meta::parse("format = 2\n"),
            Err(BadMeta::Format(found)) if found == "2"
        ));
    }

    #[test]
    fn the_time_of_modification_is_the_epoch() {
        let dir = tempfile::tempdir().unwrap();
        let version = Dir::open(dir.path()).unwrap();
        let path = dir.path().join(META);
        let mut meta = Meta::new("users");
        for _ in 0..3 {
            meta.epoch += 1;
            write(&version, &meta, true).unwrap();
            let modified = std::fs::metadata(&path).unwrap().modified().unwrap();
            let seconds = modified.duration_since(SystemTime::UNIX_EPOCH).unwrap();
            assert_eq!(seconds.as_secs(), u64::from(meta.epoch));
            let (found, fingerprint) = read(&version).unwrap();
            assert_eq!(found, meta);
            assert_eq!(fingerprint, Fingerprint::at(&path).unwrap());
        }
    }
}
