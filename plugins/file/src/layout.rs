//! Where everything lies below the directory of a cache.
//!
//! ```text
//! CACHEDIR.TAG             tells backup programs to skip the directory
//! v1/meta.toml             salt, epoch, owner
//! v1/tmp/<when>-<who>-<n>  entries that are being written
//! v1/locks/{gc,meta}       flock: one collector, one writer of meta.toml
//! v1/d/<hh>/<name>         entries
//! ```

use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use data_encoding::BASE32_NOPAD;
use siphasher::sip128::SipHasher24;

/// The secret of a directory that its file names depend on, so that nobody can choose keys whose
/// names collide.
pub(crate) type Salt = [u8; 16];

/// The paths of one cache directory.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    root: PathBuf,
}

impl Layout {
    pub(crate) fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn tag(&self) -> PathBuf {
        self.root.join("CACHEDIR.TAG")
    }

    pub(crate) fn version(&self) -> PathBuf {
        self.root.join("v1")
    }

    pub(crate) fn meta(&self) -> PathBuf {
        self.version().join("meta.toml")
    }

    pub(crate) fn temporary(&self) -> PathBuf {
        self.version().join("tmp")
    }

    pub(crate) fn entries(&self) -> PathBuf {
        self.version().join("d")
    }

    pub(crate) fn locks(&self) -> PathBuf {
        self.version().join("locks")
    }

    pub(crate) fn shard(&self, shard: u8) -> PathBuf {
        self.entries().join(format!("{shard:02x}"))
    }

    pub(crate) fn entry(&self, name: EntryName) -> PathBuf {
        self.shard(name.shard()).join(name.to_string())
    }

    /// Calls `visit` for every file that has the name of an entry. What is not ours is passed
    /// over: other names, other types, names in the wrong shard.
    pub(crate) fn walk(&self, visit: &mut dyn FnMut(EntryName, &Metadata)) -> io::Result<()> {
        for shard in 0..=u8::MAX {
            for name in self.names(shard)? {
                // A file that is gone by now was removed by somebody else.
                if let Ok(metadata) = fs::symlink_metadata(self.entry(name))
                    && metadata.is_file()
                {
                    visit(name, &metadata);
                }
            }
        }
        Ok(())
    }

    /// The names of entries in a shard, in no order. A shard that is not there has none.
    pub(crate) fn names(&self, shard: u8) -> io::Result<Vec<EntryName>> {
        let listing = match fs::read_dir(self.shard(shard)) {
            Ok(listing) => listing,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut names = Vec::new();
        for file in listing {
            let name = file?.file_name().to_str().and_then(EntryName::parse);
            names.extend(name.filter(|name| name.shard() == shard));
        }
        Ok(names)
    }
}

/// The name of an entry's file: 128 bits of keyed hash, as 26 characters `a` to `z` and `2` to
/// `7`, which mean the same on every file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct EntryName([u8; 16]);

impl EntryName {
    /// The name of a key. Two keys may have the same one, so the key is also kept in the file.
    pub(crate) fn new(salt: &Salt, cache: &str, key: &str) -> Self {
        let text = [cache.as_bytes(), b"\0", key.as_bytes()].concat();
        Self(SipHasher24::new_with_key(salt).hash(&text).as_bytes())
    }

    /// The name that a file has, if it is one of ours.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return None;
        }
        let bytes = BASE32_NOPAD.decode(text.to_ascii_uppercase().as_bytes());
        bytes.ok()?.try_into().ok().map(Self)
    }

    /// Which of the 256 directories it lies in.
    pub(crate) const fn shard(self) -> u8 {
        self.0[0]
    }
}

impl std::fmt::Display for EntryName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&BASE32_NOPAD.encode(&self.0).to_ascii_lowercase())
    }
}

/// The name of a file that is being written: when it was begun, so that what a crash left can be
/// told from work in progress; who writes it; a number.
pub(crate) fn temporary_name(micros: u64, writer: u64, number: u64) -> String {
    format!("{micros:016x}-{writer:016x}-{number:x}")
}

/// When a temporary file was begun, if the name is one of ours.
pub(crate) fn temporary_begun(name: &str) -> Option<u64> {
    let mut parts = name.split('-');
    let (begun, writer, number) = (parts.next()?, parts.next()?, parts.next()?);
    let hex = |text: &str| u64::from_str_radix(text, 16).ok();
    (begun.len() == 16 && writer.len() == 16 && parts.next().is_none()).then_some(())?;
    hex(writer)?;
    hex(number)?;
    hex(begun)
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
        assert_eq!(temporary_begun(&temporary_name(77, 1, 2)), Some(77));
        for foreign in ["", "a-b-c", "notes.txt", "0000000000000001-0000000000000002"] {
            assert_eq!(temporary_begun(foreign), None, "{foreign}");
        }
    }
}
