//! The certain changes of `larder check --fix`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use larder::config::diagnostic::Edit;
use larder::config::render::Report;
use larder::config::tree::SourceKind;

use crate::exit::{Exit, Failure};

/// Changes the files where it is certain what was meant; which files, and how many problems are
/// mended in each.
pub(super) fn apply<'a>(
    reports: impl Iterator<Item = &'a Report>,
) -> Result<Vec<(String, u64)>, Failure> {
    let mut files: BTreeMap<String, Changes<'a>> = BTreeMap::new();
    for report in reports {
        for diagnostic in report.diagnostics() {
            let Some(fix) = diagnostic.fix.as_ref().filter(|fix| fix.is_certain) else { continue };
            let Some(first) = fix.edits.first() else { continue };
            let source = report.sources().get(first.at.source);
            if source.kind != SourceKind::File {
                continue;
            }
            let changes = files
                .entry(source.name.clone())
                .or_insert_with(|| Changes { before: &source.text, fixes: Vec::new() });
            changes.add(&fix.edits);
        }
    }
    files.into_iter().map(|(name, changes)| changes.write(name)).collect()
}

/// What is to be changed in one file.
struct Changes<'a> {
    before: &'a str,
    fixes: Vec<&'a [Edit]>,
}

impl<'a> Changes<'a> {
    /// Adds a change, unless it touches what another one changes: the next round sees what is left.
    fn add(&mut self, fix: &'a [Edit]) {
        let touches = |edit: &Edit| {
            let known = self.fixes.iter().copied().flatten();
            known.into_iter().any(|known| {
                edit.at.span.start <= known.at.span.end && known.at.span.start <= edit.at.span.end
            })
        };
        if !fix.iter().any(touches) {
            self.fixes.push(fix);
        }
    }

    fn text(&self) -> String {
        let mut edits: Vec<&Edit> = self.fixes.iter().copied().flatten().collect();
        edits.sort_by_key(|edit| edit.at.span.start);
        let mut text = self.before.to_owned();
        // From the end, so that the spans before stay where they are.
        for edit in edits.into_iter().rev() {
            if text.get(edit.at.span.clone()).is_some() {
                text.replace_range(edit.at.span.clone(), &edit.text);
            }
        }
        text
    }

    fn write(self, name: String) -> Result<(String, u64), Failure> {
        let path = Path::new(&name);
        let now = fs::read(path).map_err(|error| Failure::reading(path, &error))?;
        if now != self.before.as_bytes() {
            let message = format!("`{name}` changed while it was checked; hint: try again");
            return Err(Failure::new(Exit::Io, message));
        }
        fs::write(path, self.text()).map_err(|error| Failure::writing(path, &error))?;
        Ok((name, self.fixes.len() as u64))
    }
}

#[cfg(test)]
mod tests {
    use larder::config::diagnostic::{Diagnostic, Fix};
    use larder::config::loader::Loader;
    use larder::config::parse::Format;
    use larder::config::tree::{Location, Sources};

    use super::*;

    /// The sources of a file of this text.
    fn sources(file: &Path, text: &str) -> Sources {
        fs::write(file, text).unwrap();
        let name = file.display().to_string();
        Loader::new().text(name, Format::Toml, text).resolve().sources
    }

    #[test]
    fn certain_changes_are_made_and_uncertain_and_overlapping_ones_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("caches.toml");
        let sources = sources(&file, "a = '1'\nb = '2'\nc = '3'\n");
        let (id, _) = sources.iter().next().unwrap();
        let at = |span| Location::new(id, span);
        let fix = |span, text: &str| Fix::replace("mend it", at(span), text).certain();
        let fixes = [
            fix(4..7, "10"),
            fix(12..15, "20"),
            fix(13..14, "x"),
            Fix::replace("perhaps", at(20..23), "30"),
        ];
        let broken = |fix| Diagnostic::error("C0001", "wrong").fix(fix);
        let report = Report::new(fixes.map(broken).to_vec(), sources);
        let changed = apply(std::iter::once(&report)).unwrap();
        assert_eq!(changed.len(), 1);
        assert_eq!(changed[0].1, 2);
        assert_eq!(fs::read_to_string(&file).unwrap(), "a = 10\nb = 20\nc = '3'\n");
    }

    #[test]
    fn a_file_that_changed_meanwhile_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("caches.toml");
        let sources = sources(&file, "a = '1'\n");
        let (id, _) = sources.iter().next().unwrap();
        let fix = Fix::replace("mend it", Location::new(id, 4..7), "1").certain();
        let report = Report::new(vec![Diagnostic::error("C0001", "wrong").fix(fix)], sources);
        fs::write(&file, "other").unwrap();
        assert!(apply(std::iter::once(&report)).is_err());
        assert_eq!(fs::read_to_string(&file).unwrap(), "other");
    }
}
