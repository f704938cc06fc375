//! Values that the application hands over through `figment`.
//!
//! figment knows which provider a value is from and not where in it, so every value becomes a
//! line of text that messages can show.

use std::collections::BTreeMap;

use figment::value::{Dict, Num, Tag, Value as Foreign};
use figment::{Figment, Profile, Provider};

use larder_core::KeyPath;

use super::masked;
use crate::diagnostic::Diagnostic;
use crate::tree::{
    Item, Layer, Location, Node, Source, SourceId, SourceKind, Sources, Table, Value,
};

/// Nobody nests options deeper; a value that does would exhaust the stack later.
const MAX_DEPTH: usize = 60;

/// The tables of a figment: its default profile, the chosen one, and the global one.
pub(super) fn tables(
    figment: &Figment,
    profile: Option<&str>,
    sources: &mut Sources,
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<Table> {
    let mut data = match figment.data() {
        Ok(data) => data,
        Err(error) => {
            let message = format!("a provider of the application failed: {error}");
            diagnostics.push(Diagnostic::error("C0307", message));
            return Vec::new();
        }
    };
    let mut reader = Reader { figment, sources, diagnostics, texts: BTreeMap::new() };
    let chosen = profile.map(Profile::new);
    let order = [Some(Profile::Default), chosen, Some(Profile::Global)];
    let tables = order
        .into_iter()
        .flatten()
        .filter_map(|profile| data.remove(&profile))
        .map(|dict| reader.table(dict, &KeyPath::root(), 0))
        .collect();
    reader.finish();
    tables
}

struct Reader<'a> {
    figment: &'a Figment,
    sources: &'a mut Sources,
    diagnostics: &'a mut Vec<Diagnostic>,
    /// The source of every provider, and its text as far as it is written.
    texts: BTreeMap<Tag, (SourceId, String)>,
}

impl Reader<'_> {
    fn table(&mut self, dict: Dict, path: &KeyPath, depth: usize) -> Table {
        let mut items = Vec::new();
        for (key, value) in dict {
            let path = path.join(key.as_str());
            // `None` of a Rust option means that the application has nothing to say.
            if let Some((key_at, node)) = self.node(value, &path, depth) {
                items.push(Item::new(key, key_at, node));
            }
        }
        items.into_iter().collect()
    }

    fn node(&mut self, value: Foreign, path: &KeyPath, depth: usize) -> Option<(Location, Node)> {
        let tag = value.tag();
        if depth > MAX_DEPTH {
            let at = self.line(tag, path, "…").1;
            let message = "a provider nests its values too deeply";
            self.diagnostics.push(Diagnostic::error("C0307", message).at(at, ""));
            return None;
        }
        let plain = match value {
            Foreign::Empty(..) => return None,
            Foreign::Dict(_, dict) => {
                let table = self.table(dict, path, depth + 1);
                let first = table.iter().next().map(|item| item.key_at.clone());
                let at = first.unwrap_or_else(|| self.line(tag, path, "{}").0);
                return Some((at.clone(), in_layer(Value::Table(table), at)));
            }
            Foreign::Array(_, items) => {
                let written = items.iter().map(written).collect::<Vec<_>>().join(", ");
                let (key_at, at) = self.line(tag, path, &format!("[{written}]"));
                let items = items
                    .into_iter()
                    .enumerate()
                    .filter_map(|(index, item)| {
                        self.element(item, &path.join(index.to_string()), &at, depth + 1)
                    })
                    .collect();
                return Some((key_at, in_layer(Value::Array(items), at)));
            }
            ref scalar => self.scalar(scalar, path)?,
        };
        let (key_at, at) = self.line(tag, path, &written(&value));
        Some((key_at, in_layer(plain, at)))
    }

    /// An element of an array; plain ones stand in the line of the array.
    fn element(
        &mut self,
        value: Foreign,
        path: &KeyPath,
        at: &Location,
        depth: usize,
    ) -> Option<Node> {
        match value {
            Foreign::Dict(..) | Foreign::Array(..) => Some(self.node(value, path, depth)?.1),
            Foreign::Empty(..) => None,
            scalar => {
                let plain = self.scalar(&scalar, path)?;
                Some(in_layer(plain, at.clone()))
            }
        }
    }

    fn scalar(&mut self, value: &Foreign, path: &KeyPath) -> Option<Value> {
        Some(match value {
            Foreign::String(_, text) => Value::String(text.clone()),
            Foreign::Char(_, c) => Value::String(c.to_string()),
            Foreign::Bool(_, flag) => Value::Bool(*flag),
            Foreign::Num(_, Num::F32(number)) => Value::Float(f64::from(*number)),
            Foreign::Num(_, Num::F64(number)) => Value::Float(*number),
            Foreign::Num(tag, number) => {
                let signed = number.to_i128().and_then(|number| i64::try_from(number).ok());
                let unsigned = || i64::try_from(number.to_u128()?).ok();
                let number = signed.or_else(unsigned);
                let Some(number) = number else {
                    let at = self.line(*tag, path, &written(value)).1;
                    self.diagnostics
                        .push(Diagnostic::error("C0105", "the number is too large").at(at, ""));
                    return None;
                };
                Value::Integer(number)
            }
            _ => return None,
        })
    }

    /// Writes `path = value` and returns where the path and the value stand.
    fn line(&mut self, tag: Tag, path: &KeyPath, value: &str) -> (Location, Location) {
        let name = self.name(tag);
        let sources = &mut *self.sources;
        let (source, text) = self.texts.entry(tag).or_insert_with(|| {
            let source =
                Source { name, text: String::new(), kind: SourceKind::Provider, included_by: None };
            (sources.add(source), String::new())
        });
        let value = masked(path.last().unwrap_or_default(), value);
        let start = text.len();
        text.push_str(&path.to_string());
        let key = Location::new(*source, start..text.len());
        text.push_str(" = ");
        let start = text.len();
        text.push_str(value);
        let value = Location::new(*source, start..text.len());
        text.push('\n');
        (key, value)
    }

    /// What the provider calls itself, and where its values are from if it says so.
    fn name(&self, tag: Tag) -> String {
        let Some(metadata) = self.figment.get_metadata(tag) else {
            return "provider".to_owned();
        };
        match &metadata.source {
            Some(source) => format!("provider {} ({source})", metadata.name),
            None => format!("provider {}", metadata.name),
        }
    }

    fn finish(self) {
        for (source, text) in self.texts.into_values() {
            self.sources.set_text(source, text);
        }
    }
}

fn in_layer(value: Value, at: Location) -> Node {
    let mut node = Node::new(value, at);
    node.layer = Layer::Provider;
    node
}

/// The value as TOML would have it.
fn written(value: &Foreign) -> String {
    match value {
        Foreign::String(_, text) => format!("{text:?}"),
        Foreign::Char(_, c) => format!("{:?}", c.to_string()),
        Foreign::Bool(_, flag) => flag.to_string(),
        Foreign::Num(_, number) => match (number.to_i128(), number.to_u128(), number.to_f64()) {
            (Some(number), _, _) => number.to_string(),
            (_, Some(number), _) => number.to_string(),
            (_, _, number) => number.unwrap_or_default().to_string(),
        },
        Foreign::Dict(..) => "{…}".to_owned(),
        Foreign::Array(..) => "[…]".to_owned(),
        Foreign::Empty(..) => "null".to_owned(),
    }
}
