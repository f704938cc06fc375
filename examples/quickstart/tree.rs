//! Which files of a source tree are looked at.

use std::fs::{self, DirEntry};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// A file, and by what to tell that it has changed.
#[derive(Debug)]
pub(crate) struct SourceFile {
    pub(crate) path: PathBuf,
    pub(crate) size: u64,
    /// In nanoseconds since 1970, which lasts until the year 2554.
    pub(crate) changed: u64,
}

/// Directories that hold what was built or downloaded.
const SKIPPED: [&str; 4] = ["target", "node_modules", "vendor", "__pycache__"];

/// Larger files are data.
const LARGEST: u64 = 4 << 20;

/// The full path of a directory, and all files below it, sorted by path. Hidden ones are left
/// out, links are not followed, and directories below it that cannot be read are taken for empty.
pub(crate) fn source_files(directory: &Path) -> Result<(PathBuf, Vec<SourceFile>), String> {
    let unreadable = |error| format!("cannot look into `{}`: {error}", directory.display());
    let root = directory.canonicalize().map_err(unreadable)?;
    fs::read_dir(&root).map_err(unreadable)?;
    let (mut files, mut directories) = (Vec::new(), vec![root.clone()]);
    while let Some(directory) = directories.pop() {
        let entries = fs::read_dir(&directory).into_iter().flatten().flatten();
        for entry in entries.filter(is_wanted) {
            let Ok(found) = entry.metadata() else { continue };
            if found.is_dir() {
                directories.push(entry.path());
            } else if found.is_file() && found.len() <= LARGEST {
                let (size, changed) = (found.len(), nanoseconds(&found));
                files.push(SourceFile { path: entry.path(), size, changed });
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok((root, files))
}

fn is_wanted(entry: &DirEntry) -> bool {
    let name = entry.file_name();
    let name = name.to_string_lossy();
    !name.starts_with('.') && !SKIPPED.contains(&&*name)
}

/// When a file was changed; 0 where the file system does not say.
fn nanoseconds(file: &fs::Metadata) -> u64 {
    let since = file.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    since.map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}
