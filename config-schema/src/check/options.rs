//! The option checker: a node of the config against a schema in normal form, with messages that
//! name the plugin, list what it has and say what to write instead.

use std::collections::{BTreeMap, BTreeSet};

use larder_core::{KeyPath, Registry};
use serde_json::{Map, Value as Json};

use super::environment::CheckEnvironment;
use super::plugins::PluginUse;
use super::rules::RULES;
use super::scalars;
use super::unknown::Unknown;
use crate::diagnostic::Diagnostic;
use crate::shape;
use crate::tree::{Item, Layer, Location, Node, Sources, Table, Value};

/// What checks collect.
pub(super) struct Checker<'a> {
    pub(super) sources: &'a Sources,
    pub(super) registry: &'a Registry,
    pub(super) environment: &'a CheckEnvironment,
    /// Which entry of `plugins` provides a `slot:kind`, and where it says so.
    pub(super) provided: BTreeMap<String, (String, Location)>,
    /// Entries of `plugins` whose libraries were refused, which is reported.
    pub(super) refused: BTreeSet<String>,
    /// Entries of `plugins` that run in processes of their own, and where they say so.
    pub(super) isolated: BTreeMap<String, Location>,
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
            [above @ .., list, index] if list == RULES => match index.parse::<usize>() {
                Ok(index) => {
                    let cache = Self::of_path(&KeyPath::from_segments(above));
                    format!("rule {} of {}", index + 1, cache.label)
                }
                Err(_) => return Self::section(path),
            },
            _ => return Self::section(path),
        };
        Self { label, kind: None }
    }

    fn section(path: &KeyPath) -> Self {
        Self { label: format!("`{path}`"), kind: None }
    }
}

/// A node and how it is reached.
#[derive(Clone, Copy)]
pub(super) struct Spot<'a, 'p> {
    pub(super) node: &'a Node,
    pub(super) path: &'p KeyPath,
    /// Where its key stands; that of the list for its elements, unless they are tables, which
    /// stand for themselves.
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
        if spot.node.failed || (self.is_partial && is_reference(spot.node)) {
            return None;
        }
        if let Some(slot) = shape::text(schema, "x-plugin").and_then(crate::known::slot_of) {
            let role = shape::text(schema, "x-role").and_then(crate::known::role_of);
            return self.plugin(spot, slot, role);
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
    pub(super) fn hide(&mut self, node: &Node) {
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
        let fitting = branches.iter().find(|branch| scalars::fits(branch, spot.node));
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
            let word = if least == 1 { "element" } else { "elements" };
            let message = format!("`{}` needs at least {least} {word}", spot.path);
            let label = format!("{} elements", items.len());
            self.report(spot, Diagnostic::error("C0209", message), label);
            return None;
        }
        let any = Json::Bool(true);
        let schema = schema.get("items").unwrap_or(&any);
        let mut values = Some(Vec::with_capacity(items.len()));
        for (index, node) in items.iter().enumerate() {
            let path = spot.path.join(index.to_string());
            let is_table = node.as_table().is_some();
            let item = Spot { node, path: &path, key_at: spot.key_at.filter(|_| !is_table) };
            let value = if is_null(node) {
                scalars::wrong_type(self, item, schema);
                None
            } else {
                self.value(item, schema, owner)
            };
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
        let items: Vec<&Item> = table.iter().filter(|item| !is_null(&item.node)).collect();
        self.entries(spot, &items, schema, owner)
    }

    /// Checks the entries of a table, or of a plugin node without its `kind`.
    pub(super) fn entries(
        &mut self,
        spot: Spot<'a, '_>,
        items: &[&'a Item],
        schema: &Json,
        owner: &Owner,
    ) -> Option<Json> {
        let mut values = Some(Map::new());
        for item in items {
            let path = spot.path.join(&*item.key);
            let Some(option) = shape::child(schema, &item.key) else {
                if self.is_partial && item.key == "unset" {
                    continue;
                }
                if is_closed(schema) {
                    self.unknown(&Unknown { item, path: &path, schema, siblings: items }, owner);
                    values = None;
                } else if let Some(values) = &mut values {
                    values.insert(item.key.clone(), to_json(&item.node));
                }
                continue;
            };
            self.note_unavailable(item, &path, option);
            let was_partial = self.is_partial;
            self.is_partial |= shape::is_marked(option, "x-partial");
            let child = Spot { node: &item.node, path: &path, key_at: Some(&item.key_at) };
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
        // A section that is no table is reported as that.
        let is_value = !is_object(option) || scalars::fits(option, &item.node);
        if self.is_partial || item.node.failed || !is_value || is_switched_off(&item.node) {
            return;
        }
        let diagnostic = Diagnostic::warning(
            "W0201",
            format!("{what} is not available in this build, so `{}` is ignored", item.key),
        );
        let at = item.key_at.clone();
        self.diagnostics.push(
            diagnostic
                .at(at, "checked, and otherwise ignored")
                .path(path.clone())
                .help("remove it, or accept that with `allow = [\"W0201\"]`"),
        );
    }

    /// Reports a diagnostic about a value, with the value it replaced when it came from outside
    /// of the file.
    pub(super) fn report(
        &mut self,
        spot: Spot<'_, '_>,
        diagnostic: Diagnostic,
        label: impl Into<String>,
    ) {
        let mut diagnostic = diagnostic.at(spot.node.at.clone(), label).path(spot.path.clone());
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

/// Whether a text of a part still has references in it; what they stand for is checked in the
/// caches.
fn is_reference(node: &Node) -> bool {
    node.as_str().is_some_and(|text| text.contains("${"))
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
