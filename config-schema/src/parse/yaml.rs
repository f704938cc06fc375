//! YAML and JSON: `serde-saphyr` reads a node of ours with the place of every key and value.

use std::cell::Cell;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Budget, DuplicateKeyPolicy, MergeKeyPolicy, Options, Spanned};

use super::json_errors;
use super::text::offset_of;
use super::toml::too_large;
use super::yaml_errors;
use crate::diagnostic::Diagnostic;
use crate::tree::{Item, Location, Node, SourceId, Table, Value};

/// The tree of a YAML text, or `None` after reporting what is wrong.
pub(super) fn parse(
    source: SourceId,
    text: &str,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<Node> {
    let raw = match serde_saphyr::from_str_with_options::<Spanned<Raw>>(text, options()) {
        Ok(raw) => raw,
        Err(error) => {
            diagnostics.push(yaml_errors::diagnostic(source, text, &error));
            return None;
        }
    };
    let before = diagnostics.len();
    let mut reader = Reader { source, text, diagnostics };
    let mut root = reader.node(raw);
    match root.value {
        Value::Table(_) => {}
        // A file of which everything is commented out.
        Value::Null => root.value = Value::Table(Table::default()),
        _ => diagnostics.push(
            Diagnostic::error("C0102", "the config is not a map")
                .at(root.at.clone(), format!("this is {}", root.value.describe()))
                .help("write sections such as `caches:` with their options below"),
        ),
    }
    (diagnostics.len() == before).then_some(root)
}

/// The tree of a JSON text: checked to be JSON first, then read as YAML, which it also is.
pub(super) fn parse_json(
    source: SourceId,
    text: &str,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<Node> {
    // Some editors begin files with a byte order mark, which YAML allows and JSON does not.
    let body = text.strip_prefix('\u{feff}').unwrap_or(text);
    if let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(body) {
        let offset = offset_of(body, error.line(), error.column()) + text.len() - body.len();
        diagnostics.push(json_errors::diagnostic(source, text, offset, &error.to_string()));
        return None;
    }
    parse(source, text, diagnostics)
}

/// Strict where YAML surprises people, and limits that no config written by hand comes near.
fn options() -> Options {
    let mut budget = Budget::default();
    budget.max_depth = MAX_DEPTH;
    budget.flow_nesting_limit = MAX_DEPTH;
    budget.max_documents = 2;
    budget.max_aliases = 1_000;
    budget.max_anchors = 1_000;
    budget.max_recorded_anchor_events = 100_000;
    let mut options = Options::default();
    options.budget = Some(budget);
    options.alias_limits.max_total_replayed_events = 100_000;
    // Duplicates are found below, so that all of them are reported, with both places.
    options.duplicate_keys = DuplicateKeyPolicy::PassThrough;
    // Merge keys hide where a value comes from; templates do the same and keep it.
    options.merge_keys = MergeKeyPolicy::Error;
    options.leading_zero_numbers_as_strings = true;
    options.strict_booleans = true;
    options.with_snippet = false;
    options
}

/// What the parser sees.
enum Raw {
    Bool(bool),
    Float(f64),
    Integer(i64),
    Map(Vec<(Spanned<String>, Spanned<Self>)>),
    Null,
    Seq(Vec<Spanned<Self>>),
    String(String),
    /// A whole number that `i64` cannot hold.
    TooLarge,
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

/// How deep values may be nested. The parser needs much of the stack for every level, more than
/// threads have for the depths that TOML allows.
const MAX_DEPTH: usize = 24;

thread_local! {
    /// The depth of the value that this thread is reading: the parser counts the levels of the
    /// text, which aliases multiply.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// One level deeper as long as it lives.
struct Level;

impl Level {
    fn enter<E: serde::de::Error>() -> Result<Self, E> {
        let depth = DEPTH.get();
        if depth >= MAX_DEPTH {
            return Err(E::custom("the config is nested too deeply or too large"));
        }
        DEPTH.set(depth + 1);
        Ok(Self)
    }
}

impl Drop for Level {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a config value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        Ok(i64::try_from(value).map_or(Raw::TooLarge, Raw::Integer))
    }

    fn visit_i128<E>(self, _: i128) -> Result<Raw, E> {
        Ok(Raw::TooLarge)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Raw, E> {
        Ok(Raw::TooLarge)
    }

    fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
        Ok(Raw::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::String(value.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let _level = Level::enter()?;
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Raw::Seq(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let _level = Level::enter()?;
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(Raw::Map(entries))
    }
}

struct Reader<'a> {
    source: SourceId,
    text: &'a str,
    diagnostics: &'a mut Vec<Diagnostic>,
}

impl Reader<'_> {
    fn node(&mut self, raw: Spanned<Raw>) -> Node {
        let at = self.at(&raw.referenced);
        let value = match raw.value {
            Raw::Bool(value) => Value::Bool(value),
            Raw::Float(value) if value.is_finite() && !self.is_whole(&at) => Value::Float(value),
            Raw::Float(value) if value.is_finite() => self.too_large(&at),
            Raw::Float(_) => {
                self.diagnostics.push(
                    Diagnostic::error("C0105", "a number that is not finite is not a config value")
                        .at(at.clone(), "")
                        .help("put quotes around it if it is meant as text"),
                );
                Value::Null
            }
            Raw::Integer(value) => Value::Integer(value),
            Raw::Map(entries) => Value::Table(self.table(entries)),
            Raw::Null => Value::Null,
            Raw::Seq(items) => {
                Value::Array(items.into_iter().map(|item| self.node(item)).collect())
            }
            Raw::String(value) => Value::String(value),
            Raw::TooLarge => self.too_large(&at),
        };
        Node::new(value, at)
    }

    /// The parser reads a whole number beyond 64 bits as a float, which would lose digits.
    fn is_whole(&self, at: &Location) -> bool {
        let written = &self.text[at.span.clone()];
        let digits = written.trim_start_matches(['-', '+']);
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_')
    }

    fn too_large(&mut self, at: &Location) -> Value {
        self.diagnostics.push(too_large(at.clone()));
        Value::Null
    }

    fn table(&mut self, entries: Vec<(Spanned<String>, Spanned<Raw>)>) -> Table {
        let mut items: Vec<Item> = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            let key_at = self.at(&key.referenced);
            let node = self.node(value);
            items.push(Item::new(key.value, key_at, node));
        }
        self.refuse_duplicates(&items);
        items.into_iter().collect()
    }

    fn refuse_duplicates(&mut self, items: &[Item]) {
        let mut seen = std::collections::HashMap::new();
        for item in items {
            let Some(first) = seen.insert(&item.key, &item.key_at) else {
                continue;
            };
            self.diagnostics.push(
                Diagnostic::error("C0102", format!("`{}` is set twice", item.key))
                    .at(item.key_at.clone(), "set again here")
                    .also(first.clone(), "first set here")
                    .help("remove one of them"),
            );
        }
    }

    fn at(&self, location: &serde_saphyr::Location) -> Location {
        Location::new(self.source, yaml_errors::span(self.text, location))
    }
}
