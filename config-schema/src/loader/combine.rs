//! The files of one layer as one table: what two of them define is refused.

use crate::diagnostic::Diagnostic;
use crate::tree::{Item, Location, Node, Sources, Table, Value};

/// The sections whose entries have names, with the word for one entry.
pub(super) const NAMED: [(&str, &str); 5] = [
    ("caches", "cache"),
    ("connections", "connection"),
    ("patterns", "pattern"),
    ("plugins", "plugin"),
    ("templates", "template"),
];

/// The word for one entry of a section whose entries have names.
pub(super) fn entry_of(section: &str) -> Option<&'static str> {
    let found = NAMED.iter().find(|(name, _)| *name == section)?;
    Some(found.1)
}

/// Puts the roots of files together.
pub(super) fn combine(
    roots: Vec<Node>,
    sources: &Sources,
    diagnostics: &mut Vec<Diagnostic>,
) -> Table {
    let mut combiner = Combiner { sources, diagnostics };
    let mut all = Table::default();
    for root in roots {
        if let Value::Table(table) = root.value {
            combiner.sections(&mut all, table, "");
        }
    }
    all
}

struct Combiner<'a> {
    sources: &'a Sources,
    diagnostics: &'a mut Vec<Diagnostic>,
}

impl Combiner<'_> {
    /// The sections of a root, or of a profile when `inside` says which.
    fn sections(&mut self, all: &mut Table, sections: Table, inside: &str) {
        for item in sections {
            if item.key == "include" && inside.is_empty() {
                continue;
            }
            let Some(old) = all.get_mut(&item.key) else {
                all.set(item);
                continue;
            };
            let is_profiles = item.key == "profile" && inside.is_empty();
            let entry = entry_of(&item.key);
            match (&mut old.node.value, item.node.value) {
                (Value::Table(old), Value::Table(new)) if is_profiles => self.profiles(old, new),
                (Value::Table(old), Value::Table(new)) if entry.is_some() => {
                    self.entries(old, new, entry.unwrap_or_default(), inside);
                }
                (old_value, value) => {
                    // Every file may say which grammar it is written in, as long as it is the same.
                    if item.key != "version" || *old_value != value {
                        let what = format!("section `{}`", item.key);
                        let first = old.key_at.clone();
                        self.twice(&what, inside, first, item.key_at);
                    }
                }
            }
        }
    }

    fn profiles(&mut self, all: &mut Table, profiles: Table) {
        for item in profiles {
            match (all.get_mut(&item.key), item.node.value) {
                (Some(old), Value::Table(sections)) if old.node.as_table().is_some() => {
                    let inside = format!(" in profile `{}`", item.key);
                    if let Some(old) = old.node.as_table_mut() {
                        self.sections(old, sections, &inside);
                    }
                }
                (Some(old), _) => {
                    let what = format!("profile `{}`", item.key);
                    let first = old.key_at.clone();
                    self.twice(&what, "", first, item.key_at);
                }
                (None, value) => {
                    let node = Node { value, ..item.node };
                    all.set(Item::new(item.key, item.key_at, node));
                }
            }
        }
    }

    fn entries(&mut self, all: &mut Table, entries: Table, entry: &str, inside: &str) {
        for item in entries {
            match all.get(&item.key) {
                Some(old) => {
                    let what = format!("{entry} `{}`", item.key);
                    let first = old.key_at.clone();
                    self.twice(&what, inside, first, item.key_at);
                }
                None => all.set(item),
            }
        }
    }

    fn twice(&mut self, what: &str, inside: &str, first: Location, again: Location) {
        let (first, again) = (self.inner(first), self.inner(again));
        let second = self.sources.get(again.source);
        let first_text = if second.included_by == Some(first.source) {
            format!("first defined here; includes {}", second.name)
        } else {
            "first defined here".to_owned()
        };
        let help = match what.split_once(" `") {
            Some(("cache", name)) => format!(
                "rename one of them; to change a cache per environment use \
                 `[profile.NAME.caches.{}]`",
                name.trim_end_matches('`')
            ),
            Some(("section" | "profile", _)) => "put both into one file".to_owned(),
            _ => "rename one of them".to_owned(),
        };
        self.diagnostics.push(
            Diagnostic::error("C0405", format!("{what} is defined twice{inside}"))
                .at(again, "defined again here")
                .also(first, first_text)
                .help(help),
        );
    }

    /// A header without its brackets.
    fn inner(&self, at: Location) -> Location {
        let written = self.sources.text(&at);
        if !written.starts_with('[') || !written.ends_with(']') {
            return at;
        }
        Location::new(at.source, at.span.start + 1..at.span.end - 1)
    }
}
