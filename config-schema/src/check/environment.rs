//! What checks may ask the machine: [`CheckEnvironment`].

use std::path::Path;
use std::sync::Arc;

use larder_core::library::LibraryLoader;

/// What the machine is like, for checks that depend on it.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct CheckEnvironment {
    /// How many bytes of memory the container of this process may use.
    pub container_limit: Option<u64>,
    /// Where that number comes from, for messages.
    pub container_limit_source: Option<String>,
    /// What to do about libraries that the config names.
    pub libraries: Libraries,
}

/// What to do about libraries that a config names.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Libraries {
    /// Nothing: their plugins are there or not.
    #[default]
    Ignored,
    /// Load them, if they pass the checks of this loader.
    Loaded(Arc<dyn LibraryLoader>),
    /// Warn that nobody loads them.
    Unavailable,
}

const CGROUP_LIMIT: &str = "/sys/fs/cgroup/memory.max";

impl CheckEnvironment {
    /// No knowledge of the machine, and no library.
    #[must_use]
    pub fn isolated() -> Self {
        Self::default()
    }

    /// This machine: the memory limit of its container. Nobody loads libraries before
    /// [`libraries`](Self::libraries) says who.
    #[must_use]
    pub fn detect() -> Self {
        let limit = Self::limit_of(Path::new(CGROUP_LIMIT));
        Self {
            container_limit: limit,
            container_limit_source: limit.map(|_| CGROUP_LIMIT.to_owned()),
            libraries: Libraries::Unavailable,
        }
    }

    /// With a memory limit.
    #[must_use]
    pub fn container_limit(mut self, bytes: u64, source: impl Into<String>) -> Self {
        self.container_limit = Some(bytes);
        self.container_limit_source = Some(source.into());
        self
    }

    /// With libraries that this loader loads.
    #[must_use]
    pub fn libraries(mut self, loader: Arc<dyn LibraryLoader>) -> Self {
        self.libraries = Libraries::Loaded(loader);
        self
    }

    /// The limit in a file of the control group; `max` and unreadable files mean no limit.
    fn limit_of(file: &Path) -> Option<u64> {
        std::fs::read_to_string(file).ok()?.trim().parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_number_and_max_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("memory.max");
        for (text, limit) in [("2147483648\n", Some(2_147_483_648)), ("max\n", None)] {
            std::fs::write(&file, text).unwrap();
            assert_eq!(CheckEnvironment::limit_of(&file), limit);
        }
        assert_eq!(CheckEnvironment::limit_of(&folder.path().join("absent")), None);
    }
}
