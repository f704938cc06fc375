//! The spanned tree: what every front end parses into and every later stage works on.
//!
//! A [`Node`] knows where it was written and which layer set it, so a message about a value can
//! always show its text, also after merging, interpolation and overrides.

use std::fmt;
use std::ops::Range;

/// Which source a [`Location`] is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(pub(crate) usize);

/// A piece of a source.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Location {
    /// Which source.
    pub source: SourceId,
    /// Which bytes of its text.
    pub span: Range<usize>,
}

impl Location {
    /// The bytes `span` of a source.
    #[must_use]
    pub const fn new(source: SourceId, span: Range<usize>) -> Self {
        Self { source, span }
    }
}

/// Where text comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SourceKind {
    /// An argument of the command line such as `--set caches.users.ttl=1h`.
    Argument,
    /// An environment variable; the text is `NAME=value`.
    Environment,
    /// A file, or text handed over under a name.
    File,
    /// A `figment::Provider` of the application; the text is one rendered line per value.
    Provider,
}

/// A named text that values come from.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Source {
    /// How messages name it: the path as given, the variable, the provider.
    pub name: String,
    /// The whole text.
    pub text: String,
    /// Where it comes from.
    pub kind: SourceKind,
    /// The file that included it, for notes.
    pub included_by: Option<SourceId>,
}

/// All sources of a config.
#[derive(Clone, Debug, Default)]
pub struct Sources(Vec<Source>);

impl Sources {
    /// Adds a source.
    pub fn add(&mut self, source: Source) -> SourceId {
        self.0.push(source);
        SourceId(self.0.len() - 1)
    }

    /// The source of an id that this collection handed out.
    ///
    /// # Panics
    ///
    /// When the id is of another collection.
    #[must_use]
    pub fn get(&self, id: SourceId) -> &Source {
        &self.0[id.0]
    }

    /// The text of a location; empty when the span is not in the text.
    #[must_use]
    pub fn text(&self, at: &Location) -> &str {
        let source = self.0.get(at.source.0);
        let text = source.and_then(|source| source.text.get(at.span.clone()));
        text.unwrap_or_default()
    }

    /// A location for a sentence: `caches.toml:63`, or the variable or argument.
    #[must_use]
    pub fn place(&self, at: &Location) -> String {
        let Some(source) = self.0.get(at.source.0) else {
            return "the config".to_owned();
        };
        if source.kind != SourceKind::File {
            return source.name.clone();
        }
        let before = source.text.bytes().take(at.span.start);
        let line = before.filter(|byte| *byte == b'\n').count() + 1;
        format!("{}:{line}", source.name)
    }

    /// A location to jump to: `caches.toml:63:9`, or the variable or argument.
    #[must_use]
    pub fn exact_place(&self, at: &Location) -> String {
        let place = self.place(at);
        match self.0.get(at.source.0).map(|source| source.kind) {
            Some(SourceKind::File) => {
                let column = self.position(at.source, at.span.start).column;
                format!("{place}:{column}")
            }
            Some(SourceKind::Environment) => format!("env {place}"),
            _ => place,
        }
    }

    /// Sets the text of a source whose id had to be known before its text was complete.
    pub(crate) fn set_text(&mut self, id: SourceId, text: String) {
        self.0[id.0].text = text;
    }

    /// All of them, in the order in which they were read.
    pub fn iter(&self) -> impl Iterator<Item = (SourceId, &Source)> {
        self.0.iter().enumerate().map(|(index, source)| (SourceId(index), source))
    }
}

/// Which layer set a value; later ones win.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Layer {
    /// `--set path=value`.
    Argument,
    /// The cache itself, or another section of the file.
    Cache,
    /// `[defaults]`.
    Defaults,
    /// An environment variable.
    Environment,
    /// `[profile.NAME]`.
    Profile(String),
    /// A provider of the application.
    Provider,
    /// A template, and the templates through which it was reached, outermost last.
    Template(String, Vec<String>),
}

/// A value with its history.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct Node {
    /// The value.
    pub value: Value,
    /// Where the value stands.
    pub at: Location,
    /// Which layer set it.
    pub layer: Layer,
    /// The places whose values this one replaced, latest last.
    pub replaced: Vec<Location>,
    /// For an interpolated string: the text as it was written, such as `${env:X}`.
    pub reference: Option<String>,
    /// An earlier stage already reported a problem with it, so later ones skip it and all below.
    pub failed: bool,
    /// Of a serializer: what `unset` names of that which wraps it, so that a tier does not get it
    /// from its cache.
    pub(crate) unset: Vec<String>,
}

impl fmt::Debug for Node {
    /// A value that came through a reference may be a secret, so the reference stands for it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut node = f.debug_struct("Node");
        match &self.reference {
            Some(reference) => node.field("reference", reference),
            None => node.field("value", &self.value),
        };
        node.field("at", &self.at)
            .field("layer", &self.layer)
            .field("replaced", &self.replaced)
            .field("failed", &self.failed)
            .finish()
    }
}

impl Node {
    /// A value at a place, set by the file itself.
    #[must_use]
    pub const fn new(value: Value, at: Location) -> Self {
        Self {
            value,
            at,
            layer: Layer::Cache,
            replaced: Vec::new(),
            reference: None,
            failed: false,
            unset: Vec::new(),
        }
    }

    /// The table, if it is one.
    #[must_use]
    pub const fn as_table(&self) -> Option<&Table> {
        match &self.value {
            Value::Table(table) => Some(table),
            _ => None,
        }
    }

    /// The string, if it is one.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// The table, to change it, if it is one.
    #[must_use]
    pub const fn as_table_mut(&mut self) -> Option<&mut Table> {
        match &mut self.value {
            Value::Table(table) => Some(table),
            _ => None,
        }
    }

    /// The node at a path below this one; array elements by index.
    #[must_use]
    pub fn find(&self, path: &[String]) -> Option<&Self> {
        let Some((first, rest)) = path.split_first() else {
            return Some(self);
        };
        let child = match &self.value {
            Value::Table(table) => &table.get(first)?.node,
            Value::Array(items) => items.get(first.parse::<usize>().ok()?)?,
            _ => return None,
        };
        child.find(rest)
    }
}

/// A value of the config.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "the data model of TOML, YAML and JSON")]
pub enum Value {
    /// YAML and JSON `null`: removes the key.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Float(f64),
    /// Text.
    String(String),
    /// A list.
    Array(Vec<Node>),
    /// Keys and values.
    Table(Table),
}

impl Value {
    /// What it is, for messages: `a string`, `an integer`, `a table`.
    #[must_use]
    pub const fn describe(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Integer(_) => "an integer",
            Self::Float(_) => "a float",
            Self::String(_) => "a string",
            Self::Array(_) => "an array",
            Self::Table(_) => "a table",
        }
    }
}

/// Keys and values in the order in which they were written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table(Vec<Item>);

/// One key and its value.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Item {
    /// The key.
    pub key: String,
    /// Where the key stands; for a table header the whole `[caches.users]`.
    pub key_at: Location,
    /// The value.
    pub node: Node,
}

impl Item {
    /// A key and its value.
    #[must_use]
    pub const fn new(key: String, key_at: Location, node: Node) -> Self {
        Self { key, key_at, node }
    }
}

impl Table {
    /// The item of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Item> {
        self.0.iter().find(|item| item.key == key)
    }

    /// The item of a key, to change it.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Item> {
        self.0.iter_mut().find(|item| item.key == key)
    }

    /// Sets an item in place of the one of the same key, or adds it at the end.
    pub fn set(&mut self, item: Item) {
        match self.get_mut(&item.key) {
            Some(old) => *old = item,
            None => self.0.push(item),
        }
    }

    /// Removes the item of a key.
    pub fn remove(&mut self, key: &str) -> Option<Item> {
        let index = self.0.iter().position(|item| item.key == key)?;
        Some(self.0.remove(index))
    }

    /// The items in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Item> {
        self.0.iter()
    }

    /// The items in order, to change them.
    pub fn iter_mut(&mut self) -> std::slice::IterMut<'_, Item> {
        self.0.iter_mut()
    }

    /// Whether there is no item.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many items there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl FromIterator<Item> for Table {
    fn from_iter<I: IntoIterator<Item = Item>>(items: I) -> Self {
        Self(items.into_iter().collect())
    }
}

impl IntoIterator for Table {
    type Item = Item;
    type IntoIter = std::vec::IntoIter<Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Table {
    type Item = &'a Item;
    type IntoIter = std::slice::Iter<'a, Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
