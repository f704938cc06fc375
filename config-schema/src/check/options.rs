//! The option checker: a node of the config against a schema in normal form, with messages that
//! name the plugin, list what it has and say what to write instead.

use std::collections::BTreeMap;

use larder_core::{KeyPath, Registry};
use serde_json::{Map, Value as Json};

use super::environment::CheckEnvironment;
use super::plugins::PluginUse;
use super::scalars;
use crate::diagnostic::{Diagnostic, Fix};
use crate::loader::looks_secret;
use crate::shape;
use crate::suggest::closest;
use crate::tree::{Item, Layer, Location, Node, Sources, Table, Value};

/// Lists with more names than this help nobody.
const LONGEST_LIST: usize = 12;

/// What checks collect.
pub(super) struct Checker<'a> {
    pub(super) sources: &'a Sources,
    pub(super) registry: &'a Registry,
    pub(super) environment: &'a CheckEnvironment,
    /// Which entry of `plugins` provides a `slot:kind`, and where it says so.
    pub(super) provided: BTreeMap<String, (String, Location)>,
    pub(super) diagnostics: Vec<Diagnostic>,
    /// Where literal values of secret options stand.
    pub(super) secrets: Vec<Location>,
    pub(super) plugins: Vec<PluginUse<'a>>,
    /// Whether the section is a part to be merged: nothing is required of it.
    pub(super) is_partial: bool,
}

/// Whose options they are, for messages.
#[derive(Clone, Debug)]
pub(super) struct Owner {
    /// ``backend `file` ``, ``cache `users` ``.
    pub(super) label: String,
    /// For plugins the kind and where it stands.
    pub(super) kind: Option<(String, Location)>,
}

impl Owner {
    /// The owner of a section by its path.
    fn of_path(path: &KeyPath) -> Self {
        let label = match path.segments() {
            [] => "the config".to_owned(),
            [section, name] => {
                let word = match section.as_str() {
                    "caches" => "cache",
                    "patterns" => "pattern",
                    "plugins" => "plugin",
                    "profile" => "profile",
                    "templates" => "template",
                    _ => return Self::section(path),
                };
                format!("{word} `{name}`")
            }
            _ => return Self::section(path),
        };
        Self { label, kind: None }
    }

    fn section(path: &KeyPath) -> Self {
        Self {
            label: format!("`{path}`"),
            kind: None,
        }
    }
}

/// A node and how it is reached.
#[derive(Clone, Copy)]
pub(super) struct Spot<'a, 'p> {
    pub(super) node: &'a Node,
    pub(super) path: &'p KeyPath,
    /// Where its key stands; that of the nearest table for elements of lists.
    pub(super) key_at: Option<&'a Location>,
}

impl<'a> Checker<'a> {
    /// Checks a node and returns its value as the typed structs read it; `None` when something
    /// is wrong with it, which then has been reported.
    pub(super) fn value(
        &mut self,
        spot: Spot<'a, '_>,
        schema: &Json,
        owner: Option<&Owner>,
    ) -> Option<Json> {
        if spot.node.failed {
            return None;
        }
        if let Some(slot) = shape::text(schema, "x-plugin").and_then(crate::known::slot_of) {
            return self.plugin(spot, slot);
        }
        if shape::is_marked(schema, "x-secret") {
            self.hide(spot.node);
        }
        if let Some(branches) = schema.get("anyOf").and_then(Json::as_array) {
            return self.union(spot, schema, branches, owner);
        }
        match &spot.node.value {
            Value::Table(table) if is_object(schema) => self.table(spot, table, schema, owner),
            Value::Array(items) if allows(schema, "array") => {
                self.array(spot, items, schema, owner)
            }
            Value::Null => Some(Json::Null),
            Value::Table(_) | Value::Array(_) if is_free(schema) => Some(to_json(spot.node)),
            _ => scalars::check(self, spot, schema),
        }
    }

    /// Remembers that a literal secret stands here, and where it was replaced.
    fn hide(&mut self, node: &Node) {
        if node.reference.is_none() {
            self.secrets.push(node.at.clone());
        }
        self.secrets.extend(node.replaced.iter().cloned());
    }

    fn union(
        &mut self,
        spot: Spot<'a, '_>,
        schema: &Json,
        branches: &[Json],
        owner: Option<&Owner>,
    ) -> Option<Json> {
        let fitting = branches
            .iter()
            .find(|branch| scalars::fits(branch, spot.node));
        let Some(branch) = fitting else {
            scalars::wrong_type(self, spot, schema);
            return None;
        };
        // What is said about the union holds for each of its branches.
        let mut branch = branch.clone();
        if let (Some(branch), Some(schema)) = (branch.as_object_mut(), schema.as_object()) {
            for (key, value) in schema.iter().filter(|(key, _)| *key != "anyOf") {
                branch.entry(key.clone()).or_insert_with(|| value.clone());
            }
        }
        if let Some(properties) = branch.get_mut("properties").and_then(Json::as_object_mut)
            && shape::is_marked(schema, "x-path")
        {
            for property in properties.values_mut() {
                property["x-path"] = true.into();
            }
        }
        self.value(spot, &branch, owner)
    }

    fn array(
        &mut self,
        spot: Spot<'a, '_>,
        items: &'a [Node],
        schema: &Json,
        owner: Option<&Owner>,
    ) -> Option<Json> {
        if let Some(least) = schema.get("minItems").and_then(Json::as_u64)
            && (items.len() as u64) < least
        {
            let message = format!("`{}` needs at least {least} elements", spot.path);
            let label = format!("{} elements", items.len());
            self.report(spot, Diagnostic::error("C0209", message), label);
            return None;
        }
        let any = Json::Bool(true);
        let schema = schema.get("items").unwrap_or(&any);
        let mut values = Some(Vec::with_capacity(items.len()));
        for (index, node) in items.iter().enumerate() {
            let path = spot.path.join(index.to_string());
            let item = Spot {
                node,
                path: &path,
                key_at: spot.key_at,
            };
            let value = self.value(item, schema, owner);
            values = values.zip(value).map(|(mut values, value)| {
                values.push(value);
                values
            });
        }
        values.map(Json::Array)
    }

    fn table(
        &mut self,
        spot: Spot<'a, '_>,
        table: &'a Table,
        schema: &Json,
        owner: Option<&Owner>,
    ) -> Option<Json> {
        let by_path = Owner::of_path(spot.path);
        let owner = owner.unwrap_or(&by_path);
        let items = table.iter().filter(|item| !is_null(&item.node));
        self.entries(spot, items, schema, owner)
    }

    /// Checks the entries of a table, or of a plugin node without its `kind`.
    pub(super) fn entries(
        &mut self,
        spot: Spot<'a, '_>,
        items: impl Iterator<Item = &'a Item> + Clone,
        schema: &Json,
        owner: &Owner,
    ) -> Option<Json> {
        let mut values = Some(Map::new());
        for item in items.clone() {
            let path = spot.path.join(&*item.key);
            let Some(option) = shape::child(schema, &item.key) else {
                if self.is_partial && item.key == "unset" {
                    continue;
                }
                if is_closed(schema) {
                    self.unknown(item, &path, schema, owner);
                    values = None;
                } else if let Some(values) = &mut values {
                    values.insert(item.key.clone(), to_json(&item.node));
                }
                continue;
            };
            self.note_unavailable(item, &path, option);
            let was_partial = self.is_partial;
            self.is_partial |= shape::is_marked(option, "x-partial");
            let child = Spot {
                node: &item.node,
                path: &path,
                key_at: Some(&item.key_at),
            };
            let owner = owner.kind.is_some().then_some(owner);
            let value = self.value(child, option, owner);
            self.is_partial = was_partial;
            values = values.zip(value).map(|(mut values, value)| {
                values.insert(item.key.clone(), value);
                values
            });
        }
        if !self.is_partial && self.is_missing_any(spot, items, schema, owner) {
            return None;
        }
        values.map(Json::Object)
    }

    /// Warns of an option that this release checks and then ignores.
    fn note_unavailable(&mut self, item: &Item, path: &KeyPath, option: &Json) {
        let Some(what) = shape::text(option, "x-not-yet") else {
            return;
        };
        if self.is_partial || item.node.failed || is_switched_off(&item.node) {
            return;
        }
        let diagnostic = Diagnostic::warning(
            "W0201",
            format!(
                "{what} is not available in this build, so `{}` is ignored",
                item.key
            ),
        );
        let at = item.key_at.clone();
        self.diagnostics.push(
            diagnostic
                .at(at, "checked, and otherwise ignored")
                .path(path.clone())
                .help("remove it, or accept that with `allow = [\"W0201\"]`"),
        );
    }

    fn unknown(&mut self, item: &Item, path: &KeyPath, schema: &Json, owner: &Owner) {
        self.hide_unknown(item, schema);
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
                let label = if is_section {
                    "no such section"
                } else {
                    "not known here"
                };
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

    /// A mistyped secret is still a secret, and so is one below an unknown section.
    fn hide_unknown(&mut self, item: &Item, schema: &Json) {
        let names = shape::properties(schema).map(|(name, _)| name);
        let meant = closest(&item.key, names).and_then(|name| shape::child(schema, name));
        if looks_secret(&item.key) || meant.is_some_and(|it| shape::is_marked(it, "x-secret")) {
            self.hide(&item.node);
        }
        for below in item.node.as_table().into_iter().flatten() {
            self.hide_unknown(below, &Json::Null);
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
            let is_last = bare[last + item.key.len()..]
                .trim_matches(['"', '\''])
                .is_empty();
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

    /// Reports every required option that is missing.
    fn is_missing_any(
        &mut self,
        spot: Spot<'a, '_>,
        items: impl Iterator<Item = &'a Item> + Clone,
        schema: &Json,
        owner: &Owner,
    ) -> bool {
        let mut is_missing = false;
        for name in shape::texts(schema, "required") {
            if items.clone().any(|item| item.key == name) {
                continue;
            }
            is_missing = true;
            let option = &schema["properties"][name];
            let at = spot.key_at.unwrap_or(&spot.node.at).clone();
            let message = format!("{} needs option `{name}`", owner.label);
            let label = format!("`{name}` missing in this table and in everything it inherits");
            let mut diagnostic = Diagnostic::error("C0208", message)
                .at(at, label)
                .path(spot.path.join(name))
                .note(shape::summary(name, option, true));
            if let Some(fix) = self.addition(items.clone(), name, option, owner) {
                diagnostic = diagnostic.fix(fix);
            }
            self.diagnostics.push(diagnostic);
        }
        is_missing
    }

    /// Adds an option with its example value, after `kind` and in the style of the table.
    fn addition(
        &self,
        items: impl Iterator<Item = &'a Item> + Clone,
        name: &str,
        option: &Json,
        owner: &Owner,
    ) -> Option<Fix> {
        let example = option.get("examples")?.get(0)?;
        let (_, kind_at) = owner.kind.as_ref()?;
        let source = self.sources.get(kind_at.source);
        let text = &source.text;
        let line_start = text
            .get(..kind_at.span.start)?
            .rfind('\n')
            .map_or(0, |at| at + 1);
        let line = text.get(line_start..)?.lines().next()?;
        let is_yaml = !line.contains('=');
        let indent = &line[..line.len() - line.trim_start().len()];
        // The table must be a block, one option per line, or the new line would not belong to it.
        if !line.trim_start().starts_with("kind") {
            return None;
        }
        let mut lines = items.filter(|item| item.key_at.source == kind_at.source);
        lines.next()?;
        let (key, sign) = if is_yaml {
            (format!("{name}: "), "")
        } else {
            let width = line.find('=')?.saturating_sub(indent.len() + 1);
            (format!("{name:width$} "), "= ")
        };
        let line_end = line_start + line.len();
        let at = text
            .get(line_end..)?
            .find('\n')
            .map(|newline| line_end + newline + 1)?;
        let edit = Location::new(kind_at.source, at..at);
        Some(Fix::replace(
            "add it",
            edit,
            format!("{indent}{key}{sign}{example}\n"),
        ))
    }

    /// Reports a diagnostic about a value, with the value it replaced when it came from outside
    /// of the file.
    pub(super) fn report(
        &mut self,
        spot: Spot<'_, '_>,
        diagnostic: Diagnostic,
        label: impl Into<String>,
    ) {
        let mut diagnostic = diagnostic
            .at(spot.node.at.clone(), label)
            .path(spot.path.clone());
        let by = match &spot.node.layer {
            Layer::Environment => Some("overridden by the variable"),
            Layer::Argument => Some("overridden by the argument"),
            Layer::Provider => Some("overridden by the application"),
            _ => None,
        };
        if let (Some(by), Some(old)) = (by, spot.node.replaced.last()) {
            diagnostic = diagnostic.also(old.clone(), by);
        }
        self.diagnostics.push(diagnostic);
    }
}

pub(super) fn is_null(node: &Node) -> bool {
    matches!(node.value, Value::Null)
}

/// Whether a value says "do not": then it does not matter that nothing would do it.
fn is_switched_off(node: &Node) -> bool {
    match &node.value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => matches!(text.as_str(), "none" | "never"),
        Value::Table(table) => table.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

fn allows(schema: &Json, name: &str) -> bool {
    shape::types(schema).contains(&name)
}

/// Whether a schema says nothing about the type.
fn is_free(schema: &Json) -> bool {
    shape::types(schema).is_empty() && schema.get("enum").is_none()
}

fn is_object(schema: &Json) -> bool {
    allows(schema, "object") || schema.get("properties").is_some()
}

/// Whether other keys than the listed ones are refused.
fn is_closed(schema: &Json) -> bool {
    schema.get("additionalProperties") == Some(&Json::Bool(false))
}

/// A node as plain JSON.
pub(super) fn to_json(node: &Node) -> Json {
    match &node.value {
        Value::Null => Json::Null,
        Value::Bool(value) => (*value).into(),
        Value::Integer(value) => (*value).into(),
        Value::Float(value) => (*value).into(),
        Value::String(value) => value.as_str().into(),
        Value::Array(items) => items.iter().map(to_json).collect(),
        Value::Table(table) => {
            let entries = table.iter().filter(|item| !is_null(&item.node));
            let entries = entries.map(|item| (item.key.clone(), to_json(&item.node)));
            Json::Object(entries.collect())
        }
    }
}
