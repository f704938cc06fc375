//! [`Tree`]: the text files of the repository, read once.

use std::collections::BTreeMap;
use std::path::Path;
use std::{fs, io};

use crate::source::Source;

/// The files of a repository by their path relative to its root, with `/` between the parts.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    files: BTreeMap<String, Option<String>>,
}

impl Tree {
    /// Reads every file below `root`, apart from build output and version control.
    ///
    /// # Errors
    /// A folder or file that cannot be read.
    pub fn read(root: &Path) -> io::Result<Self> {
        let mut tree = Self::default();
        tree.read_folder(root, "")?;
        Ok(tree)
    }

    /// A tree of the given paths and texts; for the tests of the rules.
    #[must_use]
    pub fn of<const N: usize>(files: [(&str, &str); N]) -> Self {
        let owned = |(path, text): (&str, &str)| (path.to_owned(), Some(text.to_owned()));
        Self { files: files.into_iter().map(owned).collect() }
    }

    /// Every path, sorted.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// Every file that is text, with its text.
    pub fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().filter_map(|(path, text)| Some((path.as_str(), text.as_deref()?)))
    }

    /// The text of one file; `None` where it does not exist or is not text.
    #[must_use]
    pub fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path)?.as_deref()
    }

    /// Whether there is a file of this path or a folder of this path with a file in it.
    #[must_use]
    pub fn has(&self, path: &str) -> bool {
        let folder = format!("{path}/");
        let after = self.files.range(folder.clone()..).next();
        self.files.contains_key(path) || after.is_some_and(|(next, _)| next.starts_with(&folder))
    }

    /// The Rust files.
    pub(crate) fn rust(&self) -> impl Iterator<Item = (&str, Source<'_>)> {
        self.texts()
            .filter(|(path, _)| path.ends_with(".rs"))
            .map(|(path, text)| (path, Source::new(text, self.is_test_file(path))))
    }

    /// Whether the whole file is test code: by where it lies, or because the module above it
    /// declares it under `#[cfg(test)]`.
    fn is_test_file(&self, path: &str) -> bool {
        let below = |folder: &str| path.contains(folder);
        if path.ends_with("/tests.rs") || below("/tests/") || below("/benches/") {
            return true;
        }
        let Some((folder, file)) = path.rsplit_once('/') else {
            return false;
        };
        let Some(module) = file.strip_suffix(".rs") else {
            return false;
        };
        let parents = [
            format!("{folder}/lib.rs"),
            format!("{folder}/main.rs"),
            format!("{folder}/mod.rs"),
            format!("{folder}.rs"),
        ];
        let declared = format!("#[cfg(test)]\nmod {module};");
        parents.iter().filter_map(|parent| self.text(parent)).any(|text| text.contains(&declared))
    }

    fn read_folder(&mut self, folder: &Path, prefix: &str) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = format!("{prefix}{name}");
            let kind = entry.file_type()?;
            if kind.is_dir() {
                if !SKIPPED_FOLDERS.contains(&name.as_str()) {
                    self.read_folder(&entry.path(), &format!("{path}/"))?;
                }
            } else if kind.is_file() {
                let text = String::from_utf8(fs::read(entry.path())?).ok();
                self.files.insert(path, text);
            }
        }
        Ok(())
    }
}

const SKIPPED_FOLDERS: [&str; 3] = [".git", ".larder", "target"];

#[cfg(test)]
mod tests {
    use super::Tree;

    #[test]
    fn a_folder_is_there_when_a_file_is_in_it() {
        let tree = Tree::of([("docs/a.md", ""), ("docs-old/b.md", "")]);
        assert!(tree.has("docs") && tree.has("docs/a.md"));
        assert!(!tree.has("doc") && !tree.has("docs/b.md"));
    }

    #[test]
    fn a_module_declared_for_tests_is_test_code_wherever_it_lies() {
        let tree = Tree::of([
            ("a/src/lib.rs", "mod engine;\n#[cfg(test)]\nmod fixture;\n"),
            ("a/src/engine.rs", ""),
            ("a/src/fixture.rs", ""),
            ("a/src/engine/tests.rs", ""),
            ("a/tests/whole.rs", ""),
        ]);
        let test_files: Vec<_> = tree.paths().filter(|path| tree.is_test_file(path)).collect();
        assert_eq!(test_files, ["a/src/engine/tests.rs", "a/src/fixture.rs", "a/tests/whole.rs"]);
    }
}
