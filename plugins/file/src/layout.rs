//! What lies where below the directory of a cache.
//!
//! ```text
//! CACHEDIR.TAG                tells backup programs to skip the directory
//! v1/meta.toml                salt, epoch, owner
//! v1/d/<epoch>/<hh>/<name>    entries; those of another epoch are garbage
//! v1/usage/<epoch>            how many entries and bytes each of the 256 shards has
//! v1/tmp/<when>-<who>-<n>     entries that are being written
//! v1/leases/<name>            who loads a key; locked as long as that process lives
//! v1/locks/{meta,gc}          flock: one writer of meta.toml, one collector
//! v1/locks/{0..f}             flock: who replaces or removes entries of these shards
//! v1/locks/w-<who>            flock: this writer lives
//! ```

use data_encoding::BASE32_NOPAD;
use siphasher::sip128::{Hasher128 as _, SipHasher24};
use std::hash::Hasher as _;

pub(crate) const TAG: &str = "CACHEDIR.TAG";
pub(crate) const VERSION: &str = "v1";
pub(crate) const META: &str = "meta.toml";
pub(crate) const ENTRIES: &str = "d";
pub(crate) const USAGE: &str = "usage";
pub(crate) const TEMPORARY: &str = "tmp";
pub(crate) const LEASES: &str = "leases";
pub(crate) const LOCKS: &str = "locks";

/// The length of the name of an entry's file.
const NAME_LEN: usize = 26;

/// The secret of a directory that its file names depend on, so that nobody can choose keys whose
/// names collide.
pub(crate) type Salt = [u8; 16];

/// The name of the directory of a shard.
pub(crate) fn shard_name(shard: u8) -> String {
    format!("{shard:02x}")
}

/// The name of everything that belongs to an epoch.
pub(crate) fn epoch_name(epoch: u32) -> String {
    format!("{epoch:08x}")
}

/// The epoch that a name belongs to, if it is one of ours.
pub(crate) fn parse_epoch(name: &str) -> Option<u32> {
    let epoch = u32::from_str_radix(name, 16).ok()?;
    (epoch_name(epoch) == name).then_some(epoch)
}

/// The name of an entry's file: 128 bits of keyed hash, as 26 characters `a` to `z` and `2` to
/// `7`, which mean the same on every file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct EntryName([u8; 16]);

impl EntryName {
    /// The name of a key. Two keys may have the same one, so the key is also kept in the file.
    pub(crate) fn new(salt: &Salt, cache: &str, key: &str) -> Self {
        let mut hasher = SipHasher24::new_with_key(salt);
        for part in [cache.as_bytes(), b"\0", key.as_bytes()] {
            hasher.write(part);
        }
        Self(hasher.finish128().as_bytes())
    }

    /// The name that a file has, if it is one of ours.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.len() != NAME_LEN || text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return None;
        }
        let bytes = BASE32_NOPAD.decode(text.to_ascii_uppercase().as_bytes());
        bytes.ok()?.try_into().ok().map(Self)
    }

    /// Which of the 256 directories it lies in.
    pub(crate) const fn shard(self) -> u8 {
        self.0[0]
    }

    /// A part of the hash, for policies.
    pub(crate) fn hash(self) -> u64 {
        let [first, .., last] = self.0;
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&self.0[4..12]);
        u64::from_be_bytes(bytes) ^ u64::from(first) ^ u64::from(last)
    }
}

impl std::fmt::Display for EntryName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut text = [0; NAME_LEN];
        BASE32_NOPAD.encode_mut(&self.0, &mut text);
        text.make_ascii_lowercase();
        f.write_str(std::str::from_utf8(&text).expect("its characters are ASCII"))
    }
}

/// The name of a file that is being written: when it was begun, so that what a crash left can be
/// told from work in progress; who writes it; a number.
pub(crate) fn temporary_name(micros: u64, writer: u64, number: u64) -> String {
    format!("{micros:016x}-{writer:016x}-{number:x}")
}

/// When a temporary file was begun and by whom, if the name is one of ours.
pub(crate) fn parse_temporary(name: &str) -> Option<(u64, u64)> {
    let mut parts = name.split('-');
    let (begun, writer, number) = (parts.next()?, parts.next()?, parts.next()?);
    let hex = |text: &str| u64::from_str_radix(text, 16).ok();
    (begun.len() == 16 && writer.len() == 16 && parts.next().is_none()).then_some(())?;
    hex(number)?;
    Some((hex(begun)?, hex(writer)?))
}

/// The name of the file that a writer keeps locked while it lives.
pub(crate) fn writer_name(writer: u64) -> String {
    format!("w-{writer:016x}")
}

/// The writer that such a file belongs to.
pub(crate) fn parse_writer(name: &str) -> Option<u64> {
    let writer = u64::from_str_radix(name.strip_prefix("w-")?, 16).ok()?;
    (writer_name(writer) == name).then_some(writer)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALT: Salt = [7; 16];

    #[test]
    fn a_name_is_safe_on_every_file_system_and_reads_back() {
        for key in ["../../etc/passwd", "a\0b", "CON", "A", "a", "💥"] {
            let name = EntryName::new(&SALT, "users", key);
            let text = name.to_string();
            assert_eq!(text.len(), 26);
            assert!(text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'2'..=b'7')));
            assert_eq!(EntryName::parse(&text), Some(name));
        }
    }

    #[test]
    fn names_depend_on_salt_cache_and_key_and_are_frozen() {
        let name = EntryName::new(&SALT, "users", "42").to_string();
        assert_eq!(name, "pyrsc55zvy424vlg3zav73jwcq");
        for other in [
            EntryName::new(&[8; 16], "users", "42"),
            EntryName::new(&SALT, "orders", "42"),
            EntryName::new(&SALT, "users", "43"),
        ] {
            assert_ne!(other.to_string(), name);
        }
    }

    #[test]
    fn names_of_others_are_not_ours() {
        let name = EntryName::new(&SALT, "users", "42").to_string();
        for foreign in ["", "notes.txt", &name[1..], &name.to_uppercase(), &format!("{name}a")] {
            assert_eq!(EntryName::parse(foreign), None, "{foreign}");
        }
        assert_eq!(parse_temporary(&temporary_name(77, 1, 2)), Some((77, 1)));
        assert_eq!(parse_epoch(&epoch_name(77)), Some(77));
        assert_eq!(parse_writer(&writer_name(77)), Some(77));
        for foreign in ["", "a-b-c", "notes.txt", "0000000000000001-0000000000000002", "w-1", "A"] {
            assert_eq!(parse_temporary(foreign), None, "{foreign}");
            assert_eq!(parse_epoch(foreign), None, "{foreign}");
            assert_eq!(parse_writer(foreign), None, "{foreign}");
        }
    }
}
