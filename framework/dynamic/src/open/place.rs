//! Where bytes are while they are loaded: in memory, or in a directory that is ours alone.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{Mode, OFlags, mkdirat, openat};

use crate::refusal::shown_path;
use crate::trust;

/// A file with checked bytes that nobody else can change.
#[derive(Debug)]
pub(super) enum Place {
    /// A sealed file in memory.
    #[cfg(any(target_os = "android", target_os = "linux"))]
    Memory(OwnedFd, PathBuf),
    /// A file in a fresh directory, both gone when this is dropped.
    Folder(Folder),
}

impl Place {
    #[cfg(any(target_os = "android", target_os = "linux"))]
    pub(super) fn in_memory(bytes: &[u8], name: &str) -> io::Result<Self> {
        use std::os::fd::AsRawFd as _;

        use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        // Kernels before 6.3 do not know the flag that says that it will be run.
        let made = memfd_create(name, flags | MemfdFlags::EXEC);
        let mut file = File::from(made.or_else(|_| memfd_create(name, flags))?);
        file.write_all(bytes)?;
        let seals = SealFlags::GROW | SealFlags::SEAL | SealFlags::SHRINK | SealFlags::WRITE;
        fcntl_add_seals(&file, seals)?;
        let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
        Ok(Self::Memory(file.into(), path))
    }

    /// Systems without such files.
    #[cfg(not(any(target_os = "android", target_os = "linux")))]
    pub(super) fn in_memory(_: &[u8], _: &str) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// A copy below a directory, in a fresh one that only the user of this process can look into.
    ///
    /// # Errors
    ///
    /// When others could change the copy, or it cannot be made; in words.
    pub(super) fn copied(bytes: &[u8], sha256: &str, below: &Path) -> Result<Self, String> {
        // Without links, so that the system names the library as we do.
        let below = std::fs::canonicalize(below)
            .map_err(|error| format!("`{}` cannot be used: {error}", shown_path(below)))?;
        let above = trust::folder_for_ours(&below)?;
        let made = Folder::made(&above, &below, bytes, sha256);
        let folder = made.map_err(|error| format!("`{}`: {error}", shown_path(&below)))?;
        Ok(Self::Folder(folder))
    }

    /// What it is loaded as.
    pub(super) fn path(&self) -> &Path {
        match self {
            #[cfg(any(target_os = "android", target_os = "linux"))]
            Self::Memory(_, path) => path,
            Self::Folder(folder) => &folder.file,
        }
    }

    /// Keeps the number of a file in memory for ever, and removes a directory: what was loaded
    /// from it stays mapped. Returns what the library is known as.
    pub(super) fn keep(self) -> PathBuf {
        match self {
            #[cfg(any(target_os = "android", target_os = "linux"))]
            Self::Memory(file, path) => {
                std::mem::forget(file);
                path
            }
            Self::Folder(folder) => folder.file.clone(),
        }
    }
}

/// A directory with one file.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    file: PathBuf,
}

impl Folder {
    /// `above` is the directory `below`, which is safe, and stays open.
    fn made(above: &OwnedFd, below: &Path, bytes: &[u8], sha256: &str) -> io::Result<Self> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let now = now.map_or(0, |since| since.as_nanos());
        let name = format!("larder-plugin-{}-{number}-{now}", std::process::id());
        // Fails if it is there: then somebody guessed the name, and it is not ours.
        mkdirat(above, &name, Mode::RWXU)?;
        let path = below.join(&name);
        let folder = Self { file: path.join(format!("{sha256}.so")), path };
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fresh = openat(above, &name, flags, Mode::empty())?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = format!("{sha256}.so");
        let file = openat(fresh, file, flags, Mode::RUSR | Mode::XUSR)?;
        File::from(file).write_all(bytes)?;
        Ok(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What stays behind is a file in the directory for temporary files: nothing to fail for.
        drop(std::fs::remove_file(&self.file));
        drop(std::fs::remove_dir(&self.path));
    }
}

/// Where a copy may be made, the best place first: each is tried until one lets it be loaded.
pub(super) fn folders() -> Vec<PathBuf> {
    let of_the_user = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let fixed = ["/var/tmp", "/tmp"].map(PathBuf::from);
    let mut folders = vec![std::env::temp_dir()];
    for folder in of_the_user.into_iter().chain(fixed) {
        if folder.is_absolute() && !folders.contains(&folder) {
            folders.push(folder);
        }
    }
    folders
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    use super::Place;

    fn set_mode(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_copy_is_private_and_goes_with_its_place() {
        let below = tempfile::tempdir().unwrap();
        // Others may write here, and cannot rename what is ours.
        set_mode(below.path(), 0o1777);
        let place = Place::copied(b"bytes", "abc123", below.path()).unwrap();
        let path = place.path().to_owned();
        assert_eq!(path.file_name().unwrap(), "abc123.so");
        assert_eq!(std::fs::read(&path).unwrap(), b"bytes");
        let folder = path.parent().unwrap();
        let mode = std::fs::metadata(folder).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        drop(place);
        assert!(!folder.exists());
    }

    #[test]
    fn no_copy_is_made_where_others_could_put_another_in_its_place() {
        let above = tempfile::tempdir().unwrap();
        let below = above.path().join("below");
        std::fs::create_dir(&below).unwrap();
        for (mode, who) in [(0o775, "its group"), (0o777, "everybody")] {
            for changeable in [above.path(), &below] {
                set_mode(above.path(), 0o700);
                set_mode(&below, 0o700);
                set_mode(changeable, mode);
                let refused = Place::copied(b"bytes", "abc123", &below).unwrap_err();
                let expected = format!("{who} can write to");
                assert!(refused.contains(&expected), "{refused}");
                set_mode(changeable, 0o700);
            }
        }
        assert_eq!(std::fs::read_dir(&below).unwrap().count(), 0, "nothing was left there");
        let gone = Place::copied(b"bytes", "abc123", &below.join("gone")).unwrap_err();
        assert!(gone.contains("cannot be used"), "{gone}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_in_memory_cannot_be_changed() {
        let place = Place::in_memory(b"bytes", "acme").unwrap();
        assert_eq!(std::fs::read(place.path()).unwrap(), b"bytes");
        let opened = std::fs::OpenOptions::new().write(true).open(place.path());
        let written = opened.and_then(|mut file| std::io::Write::write(&mut file, b"other"));
        assert!(written.is_err());
        assert_eq!(std::fs::read(place.path()).unwrap(), b"bytes");
    }
}
