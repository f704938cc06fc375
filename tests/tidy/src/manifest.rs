//! [`Manifest`]: what the rules read from a `Cargo.toml`, line by line.
//!
//! Our manifests are written one entry a line, so no TOML parser is needed, and comments, which a
//! parser would drop, can be checked.

/// One `key = value` line of a manifest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry<'a> {
    /// Counted from 1.
    pub(crate) line: usize,
    /// The table it stands in, `""` before the first header.
    pub(crate) table: &'a str,
    /// The first part of the key.
    pub(crate) key: &'a str,
    /// The rest of the key, the value and the comment.
    pub(crate) rest: &'a str,
}

/// A `Cargo.toml`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manifest<'a> {
    text: &'a str,
}

impl<'a> Manifest<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text }
    }

    pub(crate) fn entries(self) -> impl Iterator<Item = Entry<'a>> {
        let mut table = "";
        self.text.lines().enumerate().filter_map(move |(index, line)| {
            if let Some(header) = line.strip_prefix('[') {
                table = header.trim_end_matches(']');
                return None;
            }
            let end = line.find(|char: char| !is_key_char(char))?;
            let (key, rest) = line.split_at(end);
            (!key.is_empty() && rest.contains('=')).then_some(Entry {
                line: index + 1,
                table,
                key,
                rest,
            })
        })
    }

    /// The package's name; `None` for a manifest that is only a workspace.
    pub(crate) fn name(self) -> Option<&'a str> {
        let entry = self.entries().find(|entry| entry.table == "package" && entry.key == "name")?;
        entry.rest.split('"').nth(1)
    }

    /// What it is built from; not what only its tests need.
    pub(crate) fn dependencies(self) -> impl Iterator<Item = Entry<'a>> {
        self.entries().filter(|entry| {
            entry.table.ends_with("dependencies")
                && !entry.table.ends_with("dev-dependencies")
                && !entry.table.starts_with("workspace")
        })
    }
}

fn is_key_char(char: char) -> bool {
    char.is_ascii_alphanumeric() || char == '-' || char == '_'
}

#[cfg(test)]
mod tests {
    use super::Manifest;

    const TEXT: &str = "[package]\nname = \"a\"\n[dependencies]\nb.workspace = true\n\
        c = { workspace = true, features = [\n    \"x\",\n] }\n[dev-dependencies]\nd.workspace = true\n\
        [target.'cfg(unix)'.dependencies]\ne.workspace = true\n";

    #[test]
    fn dependencies_of_tests_do_not_count() {
        let manifest = Manifest::new(TEXT);
        let keys: Vec<_> = manifest.dependencies().map(|entry| entry.key).collect();
        assert_eq!(keys, ["b", "c", "e"]);
        assert_eq!(manifest.name(), Some("a"));
    }
}
