//! The effective config, value by value, with where each comes from: `larder show --origin`.

use larder_core::Registry;
use serde_json::Value as Json;

use crate::grammar;
use crate::known::slot_of;
use crate::loader::{Resolved, has_credentials, looks_secret};
use crate::shape;
use crate::tree::{Item, Layer, Node, SourceKind, Sources, Table, Value};

/// A value of the effective config.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Row {
    /// The path below what was asked for, such as `l1.backend.capacity`.
    pub path: String,
    /// The value; for secrets the reference, or bullets.
    pub value: String,
    /// Where it stands: `caches.toml:65`, `env LARDER__…`, `plugin default`.
    pub origin: String,
    /// Which layer set it, when that is not the section itself: `template hot, through hot-shared`.
    pub layer: String,
    /// What it replaced: `caches.toml:67 says 30s`.
    pub note: String,
}

/// The values at and below a path, in the order of the file, each plugin's defaults after what is
/// set. Empty when nothing is there.
#[must_use]
pub fn rows(resolved: &Resolved, registry: &Registry, path: &[String]) -> Vec<Row> {
    let Some(node) = resolved.root.find(path) else {
        return Vec::new();
    };
    let root = grammar::schema();
    let mut walk = Walk { sources: &resolved.sources, registry, rows: Vec::new() };
    let Some((schema, plugin)) = walk.schema_at(&resolved.root, root, path) else {
        return Vec::new();
    };
    walk.node(node, &schema, plugin, &mut Vec::new());
    walk.rows
}

struct Walk<'a> {
    sources: &'a Sources,
    registry: &'a Registry,
    rows: Vec<Row>,
}

impl Walk<'_> {
    /// The schema of the node at a path, and whether that is inside of a plugin.
    fn schema_at(&self, root: &Node, schema: &Json, path: &[String]) -> Option<(Json, bool)> {
        let (mut node, mut schema, mut is_plugin) = (root, schema.clone(), false);
        for part in path {
            (schema, is_plugin) = self.opened(node, schema, is_plugin);
            node = node.find(std::slice::from_ref(part))?;
            schema = shape::child(&schema, part).cloned().unwrap_or(Json::Bool(true));
        }
        Some((schema, is_plugin))
    }

    /// For a node that names a plugin the schema of that plugin's options.
    fn opened(&self, node: &Node, schema: Json, is_plugin: bool) -> (Json, bool) {
        let Some(slot) = shape::text(&schema, "x-plugin").and_then(slot_of) else {
            return (schema, is_plugin);
        };
        let kind = match node.as_str() {
            Some(kind) => Some(kind),
            None => node.find(&["kind".to_owned()]).and_then(Node::as_str),
        };
        let registered = kind.and_then(|kind| self.registry.find(slot, kind));
        let options = registered.map(|registered| grammar::options_of(&registered.descriptor));
        (options.unwrap_or(Json::Bool(true)), true)
    }

    fn node(&mut self, node: &Node, schema: &Json, is_plugin: bool, path: &mut Vec<String>) {
        let is_secret = shape::is_marked(schema, "x-secret")
            || (shape::type_name(schema) == "value"
                && path.last().is_some_and(|name| looks_secret(name)))
            || node.as_str().is_some_and(has_credentials);
        let names_plugin = shape::text(schema, "x-plugin").is_some();
        let (schema, is_plugin) = self.opened(node, schema.clone(), is_plugin);
        match &node.value {
            Value::Null => {}
            Value::Table(table) => self.table(table, &schema, is_plugin, path),
            Value::Array(items) if items.iter().any(|item| item.as_table().is_some()) => {
                for (index, item) in items.iter().enumerate() {
                    let index = index.to_string();
                    let any = Json::Bool(true);
                    let schema = shape::child(&schema, &index).unwrap_or(&any);
                    path.push(index);
                    self.node(item, schema, is_plugin, path);
                    path.pop();
                }
            }
            _ => {
                let row = self.row(node, is_secret, path);
                self.rows.push(row);
            }
        }
        if names_plugin {
            self.defaults(node, &schema, path);
        }
    }

    fn table(&mut self, table: &Table, schema: &Json, is_plugin: bool, path: &mut Vec<String>) {
        for Item { key, node, .. } in table {
            let any = Json::Bool(true);
            let schema = shape::child(schema, key).unwrap_or(&any);
            path.push(key.clone());
            self.node(node, schema, is_plugin, path);
            path.pop();
        }
    }

    /// The defaults of options that nobody set.
    fn defaults(&mut self, node: &Node, schema: &Json, path: &[String]) {
        for (name, option) in shape::properties(schema) {
            let is_set = node.as_table().is_some_and(|table| table.get(name).is_some());
            if let (false, Some(default)) = (is_set, shape::default_text(option)) {
                self.rows.push(Row {
                    path: joined(path, Some(name)),
                    value: default,
                    origin: "plugin default".to_owned(),
                    layer: String::new(),
                    note: String::new(),
                });
            }
        }
    }

    fn row(&self, node: &Node, is_secret: bool, path: &[String]) -> Row {
        let is_shown = node.reference.is_none() && !is_secret;
        let value = shown(node, is_secret);
        let source = self.sources.get(node.at.source);
        let origin = match source.kind {
            SourceKind::Environment => format!("env {}", source.name),
            SourceKind::Argument => format!("argument {}", source.name),
            SourceKind::File | SourceKind::Provider => self.sources.place(&node.at),
        };
        let outside = matches!(
            node.layer,
            Layer::Environment | Layer::Argument | Layer::Provider | Layer::Profile(_)
        );
        let note = match node.replaced.last().filter(|_| outside) {
            Some(old) if is_shown => {
                let text = self.sources.text(old).trim_matches(['"', '\'']);
                format!("{} says {text}", self.sources.place(old))
            }
            Some(old) => format!("replaces {}", self.sources.place(old)),
            None => String::new(),
        };
        Row { path: joined(path, None), value, origin, layer: layer(&node.layer), note }
    }
}

/// A value on one line; for secrets the reference, or bullets.
pub(crate) fn shown(node: &Node, is_secret: bool) -> String {
    match &node.reference {
        Some(reference) => reference.clone(),
        None if is_secret => "•••".to_owned(),
        None => plain(node),
    }
}

fn joined(path: &[String], last: Option<&str>) -> String {
    let parts = path.iter().map(String::as_str).chain(last);
    larder_core::KeyPath::from_segments(parts).to_string()
}

/// Which layer set a value, when that is not the section itself.
pub(crate) fn layer(layer: &Layer) -> String {
    match layer {
        Layer::Defaults => "defaults".to_owned(),
        Layer::Profile(name) => format!("profile {name}"),
        Layer::Provider => "application".to_owned(),
        Layer::Template(name, through) if through.is_empty() => format!("template {name}"),
        Layer::Template(name, through) => {
            format!("template {name}, through {}", through.join(", "))
        }
        // The origin says it already.
        Layer::Argument | Layer::Cache | Layer::Environment => String::new(),
    }
}

/// A value on one line.
fn plain(node: &Node) -> String {
    match &node.value {
        Value::Null => String::new(),
        Value::Bool(value) => value.to_string(),
        Value::Integer(value) => value.to_string(),
        Value::Float(value) => value.to_string(),
        Value::String(value) => value.clone(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(plain).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Table(table) => {
            let items = table.iter();
            let items: Vec<String> =
                items.map(|item| format!("{} = {}", item.key, plain(&item.node))).collect();
            format!("{{ {} }}", items.join(", "))
        }
    }
}
