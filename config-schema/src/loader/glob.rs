//! The files that a pattern such as `caches.d/*.toml` stands for.

use std::path::{Component, Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};

/// How deep `**` looks.
const MAX_DEPTH: usize = 16;

/// Whether a path has to be looked up rather than opened.
pub(super) fn is_glob(path: &str) -> bool {
    path.contains(['*', '?', '[', '{'])
}

/// The matching files below a folder, sorted by name. Names that begin with a dot need a dot in
/// the pattern: editors leave such files.
pub(super) fn find(folder: &Path, pattern: &str) -> Result<Vec<PathBuf>, String> {
    let mut base = folder.to_owned();
    let mut rest = PathBuf::new();
    for component in Path::new(pattern).components() {
        let is_literal = !component.as_os_str().to_str().is_some_and(is_glob);
        if rest.as_os_str().is_empty() && is_literal {
            base.push(component);
        } else {
            rest.push(component);
        }
    }
    let text = rest.to_str().unwrap_or_default();
    let matcher = GlobBuilder::new(text)
        .literal_separator(true)
        .build()
        .map_err(|error| error.kind().to_string())?
        .compile_matcher();
    let depth = if text.contains("**") {
        MAX_DEPTH
    } else {
        rest.components().filter(|part| matches!(part, Component::Normal(_))).count()
    };
    let walk = Walk { matcher, takes_hidden: text.starts_with('.') || text.contains("/.") };
    let mut found = Vec::new();
    walk.folder(&base, Path::new(""), depth, &mut found);
    found.sort();
    Ok(found)
}

struct Walk {
    matcher: GlobMatcher,
    takes_hidden: bool,
}

impl Walk {
    /// Collects the matches in `base`, which is `relative` to where the pattern starts.
    fn folder(&self, base: &Path, relative: &Path, depth: usize, found: &mut Vec<PathBuf>) {
        // A folder that is missing or closed to us matches nothing, like an empty one.
        let Ok(entries) = std::fs::read_dir(base) else {
            return;
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            if !self.takes_hidden && name.to_string_lossy().starts_with('.') {
                continue;
            }
            let path = entry.path();
            let relative = relative.join(&name);
            if path.is_dir() {
                if depth > 1 {
                    self.folder(&path, &relative, depth - 1, found);
                }
            } else if self.matcher.is_match(&relative) {
                found.push(path);
            }
        }
    }
}
