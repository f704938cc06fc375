//! Unknown options: which one was probably meant.

use larder_core::{Descriptor, KeyPath, Slot};
use serde_json::Value as Json;

use super::options::{Checker, Owner};
use super::rules::RULES;
use super::scalars;
use crate::diagnostic::{Diagnostic, Fix};
use crate::grammar;
use crate::parse::quoted_like;
use crate::shape;
use crate::suggest::closest;
use crate::tree::{Item, Location, SourceKind};

/// Lists with more names than this help nobody.
const LONGEST_LIST: usize = 12;

/// An option that nothing knows.
pub(super) struct Unknown<'a, 's> {
    pub(super) item: &'a Item,
    pub(super) path: &'s KeyPath,
    /// What the table may have.
    pub(super) schema: &'s Json,
    /// What the table has.
    pub(super) siblings: &'s [&'a Item],
}

impl Unknown<'_, '_> {
    fn is_section(&self) -> bool {
        self.path.segments().len() == 1 && self.item.node.as_table().is_some()
    }

    /// Whether the same layer sets an option; what another one sets may well be meant.
    fn is_set(&self, name: &str) -> bool {
        let layer = &self.item.node.layer;
        self.siblings.iter().any(|item| item.key == name && item.node.layer == *layer)
    }

    /// The options that may be meant: those that are not set yet, then for a table the tables that
    /// are there, because two headers may belong to one.
    fn free(&self) -> impl Iterator<Item = (&str, &Json)> {
        let all = || shape::properties(self.schema);
        let unset = all().filter(|(name, _)| !self.is_set(name));
        unset.chain(all().filter(|(name, _)| self.is_open(name)))
    }

    /// Whether both are tables.
    fn is_open(&self, name: &str) -> bool {
        let is_table = |item: &Item| item.node.as_table().is_some();
        is_table(self.item) && self.siblings.iter().any(|item| item.key == name && is_table(item))
    }

    /// The option that is probably meant, and set already.
    fn meant_again(&self) -> Option<&str> {
        let set = || shape::properties(self.schema).filter(|(name, _)| self.is_set(name));
        let has_alias =
            |option: &Json| shape::texts(option, "x-aliases").contains(&&*self.item.key);
        let by_alias = set().find(|(_, option)| has_alias(option)).map(|(name, _)| name);
        by_alias.or_else(|| closest(&self.item.key, set().map(|(name, _)| name)))
    }
}

impl Checker<'_> {
    /// Reports an option that nothing knows.
    pub(super) fn unknown(&mut self, unknown: &Unknown<'_, '_>, owner: &Owner) {
        let Unknown { item, path, schema, .. } = *unknown;
        self.hide_mistyped(item, schema);
        let noun = if unknown.is_section() { "section" } else { "option" };
        let whose = match owner.label.as_str() {
            "the config" => String::new(),
            label => format!(" for {label}"),
        };
        let message = format!("unknown {noun} `{}`{whose}", item.key);
        let names: Vec<&str> = shape::properties(schema).map(|(name, _)| name).collect();
        let list = match names.len() {
            0 => "no options".to_owned(),
            _ => names.join(", "),
        };
        let is_listed = names.len() <= LONGEST_LIST;
        let mut diagnostic = Diagnostic::error("C0203", message).path(path.clone());
        match &owner.kind {
            Some((kind, kind_at)) => {
                let label = format!("not an option of `{kind}`");
                diagnostic = diagnostic.at(item.key_at.clone(), label);
                if is_listed {
                    let slot = owner.label.split(' ').next().unwrap_or("plugin");
                    let has = format!("this {slot} has: {list}");
                    diagnostic = diagnostic.also(kind_at.clone(), has);
                }
            }
            None => {
                let label = if unknown.is_section() { "no such section" } else { "not known here" };
                diagnostic = diagnostic.at(item.key_at.clone(), label);
                if is_listed {
                    diagnostic = diagnostic.note(format!("known here: {list}"));
                }
            }
        }
        if let Some(fix) = self.rename(unknown) {
            diagnostic = diagnostic.fix(fix);
        } else if let Some(name) = unknown.meant_again() {
            let help = format!("did you mean `{name}`? it is set here already: remove one of them");
            diagnostic = diagnostic.help(help);
        } else if let Some(help) = self.elsewhere(unknown) {
            diagnostic = diagnostic.help(help);
        } else if !is_listed {
            let section = path.segments().first().map_or("caches", String::as_str);
            let help = format!("`larder explain {section}.NAME` lists the options");
            diagnostic = diagnostic.help(help);
        }
        self.diagnostics.push(diagnostic);
    }

    /// Where an option of this name belongs.
    fn elsewhere(&self, unknown: &Unknown<'_, '_>) -> Option<String> {
        let key = unknown.item.key.as_str();
        let caches = shape::child(grammar::schema(), "caches");
        let cache = caches.and_then(|caches| shape::child(caches, "NAME"))?;
        let path = unknown.path.segments().iter().map(String::as_str);
        match path.collect::<Vec<_>>().as_slice() {
            [_] => {
                let has = |item: &Item| shape::child(cache, &item.key).is_some();
                let is_cache =
                    unknown.item.node.as_table().is_some_and(|table| table.iter().any(has));
                if is_cache {
                    return Some(format!("caches are declared as `[caches.{key}]`"));
                }
                shape::child(cache, key)?;
                Some(format!("`{key}` belongs to a cache, as in `[caches.users]`, or `[defaults]`"))
            }
            [.., RULES, _, _] if shape::child(cache, key).is_some() => {
                Some(format!("`{key}` is one for the whole cache: set it there"))
            }
            ["caches" | "patterns" | "templates", ..] | ["defaults", ..] => self.of_backend(key),
            _ => None,
        }
    }

    /// What to write for an option of a backend that stands beside it.
    fn of_backend(&self, key: &str) -> Option<String> {
        let backends = self.registry.of_slot(Slot::Backend).map(|backend| backend.descriptor);
        let found = |backend: Descriptor| {
            let schema = shape::normalise(backend.factory.config().schema().to_value());
            let names = shape::properties(&schema);
            let mut names = names.filter(|(name, option)| {
                *name == key || shape::texts(option, "x-aliases").contains(&key)
            });
            names.next().map(|(name, _)| (backend.kind, name.to_owned()))
        };
        // The same option of `memory` is meant more often than that of any other.
        let mut all: Vec<(&str, String)> = backends.filter_map(found).collect();
        all.sort_by_key(|(kind, _)| *kind != "memory");
        let (kind, name) = all.into_iter().next()?;
        Some(format!("it belongs to the backend: `backend = {{ kind = \"{kind}\", {name} = … }}`"))
    }

    /// A mistyped secret is still a secret.
    fn hide_mistyped(&mut self, item: &Item, schema: &Json) {
        let names = shape::properties(schema).map(|(name, _)| name);
        let meant = closest(&item.key, names).and_then(|name| shape::child(schema, name));
        if meant.is_some_and(|option| shape::is_marked(option, "x-secret")) {
            self.hide(&item.node);
        }
    }

    /// The option that was probably meant: one that has this name elsewhere, best one that takes
    /// such a value, or one with a similar name.
    fn rename(&self, unknown: &Unknown<'_, '_>) -> Option<Fix> {
        let item = unknown.item;
        let mut by_alias: Vec<(&str, &Json)> = unknown
            .free()
            .filter(|(_, option)| shape::texts(option, "x-aliases").contains(&&*item.key))
            .collect();
        by_alias.sort_by_key(|(_, option)| !scalars::accepts(option, &item.node));
        let (name, message) = match by_alias.as_slice() {
            [] => {
                let name = closest(&item.key, unknown.free().map(|(name, _)| name))?;
                (name, format!("did you mean `{name}`?"))
            }
            [(name, _)] => (*name, format!("here it is called `{name}`")),
            [(first, takes), (second, would_take), ..] => {
                let takes = shape::type_name(takes).replace("integer", "count");
                let would_take = shape::type_name(would_take).replace("integer", "count");
                let message =
                    format!("`{first}` takes a {takes}; `{second}` would take a {would_take}");
                (*first, message)
            }
        };
        let (at, text) = self.renamed_key(item, name)?;
        Some(Fix::replace(message, at, text))
    }

    /// Which text a new name of a key replaces: blanks that lined up the `=` go first.
    fn renamed_key(&self, item: &Item, name: &str) -> Option<(Location, String)> {
        let at = &item.key_at;
        let written = self.sources.text(at);
        if self.sources.get(at.source).kind != SourceKind::File {
            return Some((at.clone(), name.to_owned()));
        }
        let source = &self.sources.get(at.source).text;
        // A header names the whole path; a variable writes names in its own way.
        let unquoted = written.trim_matches(['"', '\'']);
        if unquoted != item.key {
            let bare = written.trim_matches(['[', ']']);
            let last = bare.rfind(&item.key)?;
            let is_last = bare[last + item.key.len()..].trim_matches(['"', '\'']).is_empty();
            let offset = written.find(bare)? + last;
            let start = at.span.start + offset;
            let location = Location::new(at.source, start..start + item.key.len());
            return is_last.then(|| (location, name.to_owned()));
        }
        let rest = source.get(at.span.end..)?;
        let blanks = rest.len() - rest.trim_start_matches(' ').len();
        let growth = name.len().saturating_sub(item.key.len());
        let span = at.span.start..at.span.end + growth.min(blanks.saturating_sub(1));
        Some((Location::new(at.source, span), quoted_like(written, name)))
    }
}
