//! Unknown options: which one was probably meant.

use larder_core::KeyPath;
use serde_json::Value as Json;

use super::options::{Checker, Owner};
use super::scalars;
use crate::diagnostic::{Diagnostic, Fix};
use crate::shape;
use crate::suggest::closest;
use crate::tree::{Item, Location};

/// Lists with more names than this help nobody.
const LONGEST_LIST: usize = 12;

impl Checker<'_> {
    /// Reports an option that nothing knows.
    pub(super) fn unknown(&mut self, item: &Item, path: &KeyPath, schema: &Json, owner: &Owner) {
        self.hide_mistyped(item, schema);
        let is_section = path.segments().len() == 1 && item.node.as_table().is_some();
        let noun = if is_section { "section" } else { "option" };
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
        let mut diagnostic = Diagnostic::error("C0203", message).path(path.clone());
        match &owner.kind {
            Some((kind, kind_at)) => {
                let label = format!("not an option of `{kind}`");
                diagnostic = diagnostic.at(item.key_at.clone(), label);
                if names.len() <= LONGEST_LIST {
                    let slot = owner.label.split(' ').next().unwrap_or("plugin");
                    let has = format!("this {slot} has: {list}");
                    diagnostic = diagnostic.also(kind_at.clone(), has);
                }
            }
            None => {
                let label = if is_section { "no such section" } else { "not known here" };
                diagnostic = diagnostic.at(item.key_at.clone(), label);
                if names.len() <= LONGEST_LIST {
                    diagnostic = diagnostic.note(format!("known here: {list}"));
                }
            }
        }
        if let Some(fix) = self.rename(item, schema) {
            diagnostic = diagnostic.fix(fix);
        }
        self.diagnostics.push(diagnostic);
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
    fn rename(&self, item: &Item, schema: &Json) -> Option<Fix> {
        let mut by_alias: Vec<(&str, &Json)> = shape::properties(schema)
            .filter(|(_, option)| shape::texts(option, "x-aliases").contains(&&*item.key))
            .collect();
        by_alias.sort_by_key(|(_, option)| !scalars::accepts(option, &item.node));
        let (name, message) = match by_alias.as_slice() {
            [] => {
                let names = shape::properties(schema).map(|(name, _)| name);
                let name = closest(&item.key, names)?;
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
        Some((Location::new(at.source, span), name.to_owned()))
    }
}
