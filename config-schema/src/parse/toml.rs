//! TOML: the spanned table of the `toml` crate becomes ours.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeInteger, DeString, DeTable, DeValue};

use super::toml_errors;
use crate::diagnostic::Diagnostic;
use crate::tree::{Item, Location, Node, SourceId, Table, Value};

/// The tree of a TOML text, or `None` after reporting what is wrong.
pub(super) fn parse(
    source: SourceId,
    text: &str,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<Node> {
    let (root, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        toml_errors::report(source, text, &errors, diagnostics);
        return None;
    }
    let before = diagnostics.len();
    let mut reader = Reader { source, text, diagnostics };
    let table = reader.table(root.get_ref());
    let root = Node::new(Value::Table(table), Location::new(source, 0..0));
    (diagnostics.len() == before).then_some(root)
}

struct Reader<'a> {
    source: SourceId,
    text: &'a str,
    diagnostics: &'a mut Vec<Diagnostic>,
}

impl Reader<'_> {
    /// The items in the order of the file; the crate hands them over sorted by key.
    fn table(&mut self, table: &DeTable<'_>) -> Table {
        let mut items: Vec<Item> = table.iter().map(|(key, value)| self.item(key, value)).collect();
        items.sort_by_key(|item| item.key_at.span.start);
        items.into_iter().collect()
    }

    fn item(&mut self, key: &Spanned<DeString<'_>>, value: &Spanned<DeValue<'_>>) -> Item {
        let mut key_span = key.span();
        // The value of a table that a header opens has the span of the header.
        let span = value.span();
        if span.start < key_span.start && self.text[span.start..].starts_with('[') {
            key_span = span;
        }
        let node = self.node(value);
        Item::new(key.get_ref().to_string(), self.at(key_span), node)
    }

    fn node(&mut self, value: &Spanned<DeValue<'_>>) -> Node {
        let at = self.at(value.span());
        let plain = match value.get_ref() {
            DeValue::String(text) => Value::String(text.to_string()),
            DeValue::Integer(number) => self.integer(number, &at),
            DeValue::Float(number) => self.float(number.as_str(), &at),
            DeValue::Boolean(flag) => Value::Bool(*flag),
            DeValue::Datetime(_) => {
                self.refuse(&at, "a date or time is not a config value");
                Value::Null
            }
            DeValue::Array(items) => {
                Value::Array(items.iter().map(|item| self.node(item)).collect())
            }
            DeValue::Table(table) => Value::Table(self.table(table)),
        };
        Node::new(plain, at)
    }

    fn integer(&mut self, number: &DeInteger<'_>, at: &Location) -> Value {
        if let Ok(number) = i64::from_str_radix(number.as_str(), number.radix()) {
            return Value::Integer(number);
        }
        self.diagnostics.push(too_large(at.clone()));
        Value::Null
    }

    fn float(&mut self, number: &str, at: &Location) -> Value {
        match number.parse::<f64>() {
            Ok(number) if number.is_finite() => Value::Float(number),
            _ => {
                self.refuse(at, "a number that is not finite is not a config value");
                Value::Null
            }
        }
    }

    fn refuse(&mut self, at: &Location, message: &str) {
        let help = "put quotes around it if it is meant as text";
        self.diagnostics.push(Diagnostic::error("C0105", message).at(at.clone(), "").help(help));
    }

    fn at(&self, span: Range<usize>) -> Location {
        Location::new(self.source, super::text::in_bounds(self.text, span))
    }
}

/// What to say about a whole number that no option can hold.
pub(super) fn too_large(at: Location) -> Diagnostic {
    Diagnostic::error("C0105", "the number is too large")
        .at(at, "")
        .note("whole numbers go from -9223372036854775808 to 9223372036854775807")
}
