//! [`Place`], where a test opens a plugin.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use larder_core::{BuildContext, Clock, ManualClock, Tier};
use tempfile::TempDir;

/// A directory and a clock of one test. Cheap to clone: clones are the same place, so that what
/// is opened twice in it finds what the first one left.
#[derive(Clone, Debug)]
pub struct Place {
    dir: Arc<TempDir>,
    clock: ManualClock,
}

impl Place {
    /// A place of its own, which is removed with its last clone.
    ///
    /// # Panics
    ///
    /// When no directory can be made.
    #[must_use]
    pub fn new() -> Self {
        let dir = TempDir::new().expect("a temporary directory can be made");
        Self { dir: Arc::new(dir), clock: ManualClock::new() }
    }

    /// An empty directory, for plugins that need one. What they keep must lie below it, for the
    /// tests of damage look for files there.
    #[must_use]
    pub fn dir(&self) -> PathBuf {
        self.dir.path().join("cache")
    }

    /// The time of this place, which only the tests move.
    #[must_use]
    pub fn clock(&self) -> &ManualClock {
        &self.clock
    }

    /// What a plugin of this place is built with: the clock, and the cache `conformance`.
    #[must_use]
    pub fn context(&self) -> BuildContext {
        let clock: Arc<dyn Clock> = Arc::new(self.clock.clone());
        BuildContext::new("conformance").tier(Tier::L2).clock(clock)
    }

    /// Every file below [`dir`](Self::dir), in the order of their paths.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        collect(&self.dir(), &mut files);
        files.sort();
        files
    }
}

impl Default for Place {
    fn default() -> Self {
        Self::new()
    }
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => collect(&entry.path(), files),
            Ok(kind) if kind.is_file() => files.push(entry.path()),
            _ => {}
        }
    }
}
