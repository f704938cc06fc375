//! Single values: types, choices, ranges, and the typed strings for durations, sizes and shares.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use larder_core::units::UnitError;
use larder_core::{ByteSize, HumanDuration, KeyPath, Life, RefreshAhead, Share};
use serde_json::{Number, Value as Json};

use super::options::{Checker, Spot, to_json};
use super::wording;
use crate::diagnostic::{Diagnostic, Fix};
use crate::shape;
use crate::suggest::closest;
use crate::tree::{Layer, Location, Node, SourceKind, Sources, Value};

/// The JSON type of a value.
const fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Integer(_) => "integer",
        Value::Float(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Table(_) => "object",
    }
}

/// Whether a schema takes values of this type.
pub(super) fn fits(schema: &Json, node: &Node) -> bool {
    let types = shape::types(schema);
    let own = type_of(&node.value);
    types.is_empty() || types.contains(&own) || (own == "integer" && types.contains(&"number"))
}

/// Whether a schema takes this very value, as far as type and unit go.
pub(super) fn accepts(schema: &Json, node: &Node) -> bool {
    fits(schema, node)
        && match (shape::unit(schema), node.as_str()) {
            (Some(unit), Some(text)) => parse_unit(unit, text).is_ok(),
            _ => true,
        }
}

fn parse_unit(unit: &str, text: &str) -> Result<(), UnitError> {
    match unit {
        "duration" => HumanDuration::from_str(text).map(drop),
        "life" => Life::from_str(text).map(drop),
        "ahead" => RefreshAhead::from_str(text).map(drop),
        "size" => ByteSize::from_str(text).map(drop),
        "share" => Share::from_str(text).map(drop),
        _ => Ok(()),
    }
}

/// Checks a value that is no table and no list of what the schema allows.
pub(super) fn check(checker: &mut Checker<'_>, spot: Spot<'_, '_>, schema: &Json) -> Option<Json> {
    if let Some(unit) = shape::unit(schema) {
        return typed_string(checker, spot, schema, unit);
    }
    let coerced = coerce(spot.node, schema);
    let value = match &coerced {
        Some(value) => value,
        None if fits(schema, spot.node) => &spot.node.value,
        None => {
            wrong_type(checker, spot, schema);
            return None;
        }
    };
    let json = to_json(&Node::new(value.clone(), spot.node.at.clone()));
    if !is_choice(checker, spot, schema, &json) || !is_in_range(checker, spot, schema, &json) {
        return None;
    }
    match value {
        Value::String(text) if shape::is_marked(schema, "x-path") => {
            absolute(checker.sources, spot.node, text).map(|path| path.into())
        }
        Value::String(text) if text.is_empty() && at_least_one(schema) => {
            let message = format!("`{}` must not be empty", spot.path);
            checker.report(spot, Diagnostic::error("C0209", message), "empty");
            None
        }
        _ => Some(json),
    }
}

fn at_least_one(schema: &Json) -> bool {
    let least = schema.get("minLength").and_then(Json::as_u64);
    least.is_some_and(|least| least > 0)
}

/// Text from a variable, an argument or a reference, read as the option wants it.
fn coerce(node: &Node, schema: &Json) -> Option<Value> {
    let text = node.as_str()?.trim();
    if shape::types(schema).contains(&"string") || !is_from_outside(node) {
        return None;
    }
    shape::types(schema).into_iter().find_map(|name| parse_as(name, text))
}

fn parse_as(type_name: &str, text: &str) -> Option<Value> {
    match type_name {
        "boolean" => text.parse().ok().map(Value::Bool),
        "integer" => text.replace('_', "").parse().ok().map(Value::Integer),
        "number" => text.parse().ok().map(Value::Float),
        _ => None,
    }
}

/// A string as it may be shown: what a reference stands for may be a secret.
pub(super) fn shown(node: &Node) -> &str {
    node.reference.as_deref().or(node.as_str()).unwrap_or_default()
}

/// Whether a string came without a type: from a variable, an argument or a whole reference.
fn is_from_outside(node: &Node) -> bool {
    let is_whole = |reference: &String| {
        reference.starts_with("${") && reference.find('}') == Some(reference.len() - 1)
    };
    matches!(node.layer, Layer::Environment | Layer::Argument)
        || node.reference.as_ref().is_some_and(is_whole)
}

/// Reports that a value is of the wrong type.
pub(super) fn wrong_type(checker: &mut Checker<'_>, spot: Spot<'_, '_>, schema: &Json) {
    let is_secret = shape::is_marked(schema, "x-secret");
    let found = match spot.node.as_str() {
        Some(_) if spot.node.reference.is_some() => {
            format!("text from `{}`", shown(spot.node))
        }
        Some(text) if is_from_outside(spot.node) && !is_secret && text.len() <= 40 => {
            format!("`{text}`")
        }
        _ => spot.node.value.describe().to_owned(),
    };
    let expected = shape::expectation(schema);
    let message = format!("expected {expected} for `{}`, found {found}", spot.path);
    let mut diagnostic = Diagnostic::error("C0204", message);
    if let Some(name) = spot.path.last().filter(|name| name.parse::<usize>().is_err()) {
        diagnostic = diagnostic.note(shape::summary(name, schema, false));
    }
    let has = |option: &str| schema.get("properties").is_some_and(|all| all.get(option).is_some());
    let is_tier = has("backend") && has("cache");
    if let (true, Some(name), Some(kind)) = (is_tier, spot.path.last(), spot.node.as_str()) {
        diagnostic = diagnostic.help(format!("name its backend: `{name}.backend = \"{kind}\"`"));
    }
    if let Some(fix) = change_quotes(checker.sources, spot.node, schema)
        && !is_secret
    {
        diagnostic = diagnostic.fix(fix);
    }
    checker.report(spot, diagnostic, type_word(&spot.node.value));
}

/// What a value is, without article, as labels say it.
pub(super) fn type_word(value: &Value) -> &'static str {
    value.describe().trim_start_matches("an ").trim_start_matches("a ")
}

/// Removes or adds quotes when that makes the value one of the right type.
fn change_quotes(sources: &Sources, node: &Node, schema: &Json) -> Option<Fix> {
    let written = sources.text(&node.at);
    let types = shape::types(schema);
    if let Some(text) = node.as_str() {
        let is_quoted = written.starts_with(['"', '\'']);
        let fits = types.iter().any(|name| parse_as(name, text).is_some());
        // YAML reads `010` as text, because older versions read it as eight.
        let bare = text.trim_start_matches('0');
        if !is_quoted && fits && bare.len() < text.len() && !bare.is_empty() {
            return Some(Fix::replace("a number begins with no `0`", node.at.clone(), bare));
        }
        return (is_quoted && fits)
            .then(|| Fix::replace("remove the quotes", node.at.clone(), text).certain());
    }
    let is_scalar = !matches!(node.value, Value::Array(_) | Value::Table(_));
    let takes = |unit| parse_unit(unit, written).is_ok();
    let is_text = types.contains(&"string") && shape::unit(schema).is_none_or(takes);
    (is_scalar && is_text && !written.is_empty())
        .then(|| Fix::replace("add quotes", node.at.clone(), format!("\"{written}\"")).certain())
}

fn is_choice(checker: &mut Checker<'_>, spot: Spot<'_, '_>, schema: &Json, value: &Json) -> bool {
    let Some(choices) = schema.get("enum").and_then(Json::as_array) else {
        return true;
    };
    if choices.contains(value) {
        return true;
    }
    let shown = match spot.node.reference {
        Some(_) => shown(spot.node).to_owned(),
        None => shape::plain(value),
    };
    let names: Vec<String> = choices.iter().map(shape::plain).collect();
    let message = format!("`{shown}` is not a value of `{}`", spot.path);
    let note = match (names.as_slice(), spot.path.last()) {
        // The description says why there is no choice.
        ([_], Some(name)) => shape::summary(name, schema, false),
        _ => format!("values: {}", names.join(", ")),
    };
    let mut diagnostic = Diagnostic::error("C0209", message).note(note);
    if let Some(near) = closest(&shown, names.iter().map(String::as_str)) {
        let text = requote(checker.sources, &spot.node.at, near);
        let fix = Fix::replace(format!("did you mean `{near}`?"), spot.node.at.clone(), text);
        diagnostic = diagnostic.fix(fix);
    }
    checker.report(spot, diagnostic, "not one of the values");
    false
}

fn is_in_range(checker: &mut Checker<'_>, spot: Spot<'_, '_>, schema: &Json, value: &Json) -> bool {
    let Some(number) = value.as_f64() else {
        return true;
    };
    let limit = |name| schema.get(name).and_then(Json::as_f64);
    let complaint = if limit("minimum").is_some_and(|minimum| number < minimum) {
        Some(("small", format!("at least {}", limit("minimum").unwrap_or_default())))
    } else if limit("exclusiveMinimum").is_some_and(|minimum| number <= minimum) {
        let minimum = limit("exclusiveMinimum").unwrap_or_default();
        Some(("small", format!("more than {minimum}")))
    } else if limit("maximum").is_some_and(|maximum| number > maximum) {
        Some(("large", format!("at most {}", limit("maximum").unwrap_or_default())))
    } else if limit("exclusiveMaximum").is_some_and(|maximum| number >= maximum) {
        let maximum = limit("exclusiveMaximum").unwrap_or_default();
        Some(("large", format!("less than {maximum}")))
    } else {
        None
    };
    let Some((word, label)) = complaint else {
        return true;
    };
    let message = format!("`{value}` is too {word} for `{}`", spot.path);
    let mut diagnostic = Diagnostic::error("C0209", message);
    if let Some(name) = spot.path.last() {
        diagnostic = diagnostic.note(shape::summary(name, schema, false));
    }
    checker.report(spot, diagnostic, label);
    false
}

/// A text in the quotes in which another one stands.
pub(super) fn requote(sources: &Sources, at: &Location, text: &str) -> String {
    match sources.text(at).chars().next() {
        Some(quote @ ('"' | '\'')) => format!("{quote}{text}{quote}"),
        _ => text.to_owned(),
    }
}

fn typed_string(
    checker: &mut Checker<'_>,
    spot: Spot<'_, '_>,
    schema: &Json,
    unit: &str,
) -> Option<Json> {
    let is_share = matches!(unit, "ahead" | "share");
    let error = match &spot.node.value {
        Value::String(text) => match parse_unit(unit, text) {
            Ok(()) => return Some(text.as_str().into()),
            Err(error) => error,
        },
        Value::Integer(number) if is_share => match Share::new(*number as f64) {
            Ok(_) => return Some((*number).into()),
            Err(error) => error,
        },
        Value::Float(number) if is_share => match Share::new(*number) {
            Ok(_) => return Number::from_f64(*number).map(Json::Number),
            Err(error) => error,
        },
        Value::Integer(number) => UnitError::NoUnit { number: number.to_string() },
        Value::Float(number) => UnitError::NoUnit { number: number.to_string() },
        _ => {
            wrong_type(checker, spot, schema);
            return None;
        }
    };
    let (diagnostic, label) = wording::unit_error(checker.sources, spot, unit, &error);
    checker.report(spot, diagnostic, label);
    None
}

/// A path relative to the folder of the file that says it; for values that stand in no file,
/// relative to the main file's.
pub(super) fn absolute(sources: &Sources, node: &Node, text: &str) -> Option<String> {
    let own = sources.get(node.at.source);
    let is_file = |source: &crate::tree::Source| source.kind == SourceKind::File;
    let main = || sources.iter().map(|(_, source)| source).find(|source| is_file(source));
    let file = if is_file(own) { Some(own) } else { main() };
    let folder = file.and_then(|file| Path::new(&file.name).parent());
    let path: PathBuf = folder.unwrap_or(Path::new("")).join(text);
    let path = std::path::absolute(&path).unwrap_or(path);
    path.to_str().map(str::to_owned)
}

/// The path of an option by its segments, for tests of relations.
pub(super) fn below(path: &KeyPath, option: &str) -> KeyPath {
    option.split('.').fold(path.clone(), |path, part| path.join(part))
}
