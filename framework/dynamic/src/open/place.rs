//! Where bytes are while they are loaded: in memory, or in a directory that is ours alone.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// A file with checked bytes that nobody else can change.
#[derive(Debug)]
pub(super) enum Place {
    /// A sealed file in memory.
    #[cfg(any(target_os = "android", target_os = "linux"))]
    Memory(std::os::fd::OwnedFd, PathBuf),
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
    pub(super) fn in_memory(bytes: &[u8], _: &str) -> io::Result<Self> {
        Self::copied(bytes)
    }

    /// A copy in a directory that only the user of this process can look into.
    pub(super) fn copied(bytes: &[u8]) -> io::Result<Self> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        // Without links, so that the system names the library as we do.
        let above = std::fs::canonicalize(std::env::temp_dir())?;
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let now = now.map_or(0, |since| since.as_nanos());
        let name = format!("larder-plugin-{}-{number}-{now}", std::process::id());
        let path = above.join(name);
        // Fails if it is there: then somebody guessed the name, and it is not ours.
        DirBuilder::new().mode(0o700).create(&path)?;
        let folder = Folder { path: path.clone(), file: path.join("plugin.so") };
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o500).open(&folder.file)?;
        file.write_all(bytes)?;
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

impl Drop for Folder {
    fn drop(&mut self) {
        // What stays behind is a file in the directory for temporary files: nothing to fail for.
        drop(std::fs::remove_file(&self.file));
        drop(std::fs::remove_dir(&self.path));
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::Place;

    #[test]
    fn a_copy_is_private_and_goes_with_its_place() {
        let place = Place::copied(b"bytes").unwrap();
        let path = place.path().to_owned();
        assert_eq!(std::fs::read(&path).unwrap(), b"bytes");
        let folder = path.parent().unwrap();
        let mode = std::fs::metadata(folder).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        drop(place);
        assert!(!folder.exists());
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
