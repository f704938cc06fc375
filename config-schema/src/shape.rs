//! The subset of JSON schema that plugins may use, in one normal form, and how it reads in words.

use serde_json::{Map, Value};

/// Brings a schema into normal form: no `null` (absence means the same), no titles and formats, a
/// choice of constants as one `enum`, a union of one as that one.
pub(crate) fn normalise(schema: Value) -> Value {
    let Value::Object(mut object) = schema else {
        return schema;
    };
    for key in ["$schema", "title", "format", "definitions", "$defs"] {
        object.remove(key);
    }
    if object.get("default") == Some(&Value::Null) {
        object.remove("default");
    }
    drop_null_type(&mut object);
    for key in ["anyOf", "oneOf"] {
        if let Some(Value::Array(branches)) = object.remove(key) {
            unite(&mut object, branches);
        }
    }
    if let Some(constant) = object.remove("const") {
        object.insert("enum".to_owned(), Value::Array(vec![constant]));
    }
    for key in ["items", "additionalProperties"] {
        if let Some(child) = object.remove(key) {
            object.insert(key.to_owned(), normalise(child));
        }
    }
    if let Some(Value::Object(properties)) = object.remove("properties") {
        let properties = properties.into_iter();
        let properties = properties.map(|(name, schema)| (name, normalise(schema)));
        object.insert("properties".to_owned(), Value::Object(properties.collect()));
    }
    Value::Object(object)
}

fn drop_null_type(object: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            object.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(values)) = object.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
}

/// Puts the branches of a union into the schema around it.
fn unite(object: &mut Map<String, Value>, branches: Vec<Value>) {
    let branches = branches.into_iter();
    let branches: Vec<Value> = branches
        .filter(|branch| branch.get("type") != Some(&Value::from("null")))
        .map(normalise)
        .collect();
    let is_constants = |branch: &Value| branch.get("enum").is_some();
    if !branches.is_empty() && branches.iter().all(is_constants) {
        let values = branches.iter().filter_map(|branch| branch["enum"].as_array());
        let values: Vec<Value> = values.flatten().cloned().collect();
        object.insert("type".to_owned(), "string".into());
        object.insert("enum".to_owned(), Value::Array(values));
    } else if let [Value::Object(only)] = branches.as_slice() {
        // What the field says goes before what its type says.
        for (key, value) in only {
            object.entry(key.clone()).or_insert_with(|| value.clone());
        }
    } else {
        object.insert("anyOf".to_owned(), Value::Array(branches));
    }
}

/// The options of an object and their schemas, sorted by name.
pub(crate) fn properties(schema: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let properties = schema.get("properties").and_then(Value::as_object);
    let mut all: Vec<(&str, &Value)> =
        properties.into_iter().flatten().map(|(name, schema)| (name.as_str(), schema)).collect();
    all.sort_by_key(|(name, _)| *name);
    all.into_iter()
}

/// The schema of a key of an object: of its property, or of any key. For a list that of an element
/// by its index, or of a key of its elements.
pub(crate) fn child<'a>(schema: &'a Value, key: &str) -> Option<&'a Value> {
    if let Some(items) = schema.get("items").filter(|items| items.is_object()) {
        return if key.parse::<usize>().is_ok() { Some(items) } else { child(items, key) };
    }
    if let Some(own) = schema.get("properties").and_then(|all| all.get(key)) {
        return Some(own);
    }
    if let Some(branches) = schema.get("anyOf").and_then(Value::as_array) {
        return branches.iter().find_map(|branch| child(branch, key));
    }
    schema.get("additionalProperties").filter(|any| any.is_object())
}

/// The JSON types a schema allows; none means all.
pub(crate) fn types(schema: &Value) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// The unit of a typed string: `duration`, `life`, `size` or `share`.
pub(crate) fn unit(schema: &Value) -> Option<&str> {
    text(schema, "x-unit")
}

/// A text of a schema.
pub(crate) fn text<'a>(schema: &'a Value, key: &str) -> Option<&'a str> {
    schema.get(key).and_then(Value::as_str)
}

/// Whether a mark is set.
pub(crate) fn is_marked(schema: &Value, key: &str) -> bool {
    schema.get(key).and_then(Value::as_bool).unwrap_or(false)
}

/// The texts of a list.
pub(crate) fn texts<'a>(schema: &'a Value, key: &str) -> Vec<&'a str> {
    let list = schema.get(key).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str).collect()
}

/// What values a schema takes, as one word for manuals: `integer`, `size`, `list of strings`.
pub(crate) fn type_name(schema: &Value) -> String {
    if let Some(slot) = text(schema, "x-plugin") {
        return slot.to_owned();
    }
    if is_marked(schema, "x-path") {
        return "path".to_owned();
    }
    if is_marked(schema, "x-secret") {
        let is_list = types(schema).contains(&"array");
        return if is_list { "list of secrets" } else { "secret" }.to_owned();
    }
    if let Some(unit) = unit(schema) {
        return match unit {
            "ahead" => "share",
            "life" => "duration",
            unit => unit,
        }
        .to_owned();
    }
    if let Some(branches) = schema.get("anyOf").and_then(Value::as_array) {
        let names: Vec<String> = branches.iter().map(type_name).collect();
        return names.join(" or ");
    }
    let names: Vec<String> = types(schema)
        .into_iter()
        .map(|name| match name {
            "array" => match schema.get("items").map(type_name) {
                Some(items) if !items.is_empty() => format!("list of {items}s"),
                _ => "list".to_owned(),
            },
            "object" => "table".to_owned(),
            other => other.to_owned(),
        })
        .collect();
    match names.len() {
        0 => "value".to_owned(),
        _ => names.join(" or "),
    }
}

/// What values a schema takes, for messages: `an integer`, `a duration such as "30s"`.
pub(crate) fn expectation(schema: &Value) -> String {
    match unit(schema) {
        Some("duration") => return "a duration such as `30s`".to_owned(),
        Some("life") => return "a duration such as `30s`, or `never`,".to_owned(),
        Some("size") => return "a size such as `64MiB`".to_owned(),
        Some("ahead") => return "a share such as `80%`, or `auto`,".to_owned(),
        Some("share") => return "a share such as `10%`".to_owned(),
        _ => {}
    }
    let name = type_name(schema);
    let article = if name.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {name}")
}

/// The default of an option as the manual shows it.
pub(crate) fn default_text(schema: &Value) -> Option<String> {
    let value = schema.get("x-default").or_else(|| schema.get("default"))?;
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        Value::Array(items) if items.is_empty() => None,
        Value::Object(items) if items.is_empty() => None,
        other => Some(other.to_string()),
    }
}

/// What limits the values of a schema: `at least 1`, `one of a, b`.
pub(crate) fn limits(schema: &Value) -> Vec<String> {
    let mut limits = Vec::new();
    // A share is always from 0 to 1, and every count is at least 0: saying so is noise.
    if unit(schema).is_none() {
        match schema.get("minimum").and_then(Value::as_f64) {
            Some(minimum) if minimum != 0.0 => limits.push(format!("at least {minimum}")),
            _ => {}
        }
        if let Some(maximum) = schema.get("maximum").and_then(Value::as_f64)
            && maximum < 4_294_967_295.0
        {
            limits.push(format!("at most {maximum}"));
        }
    }
    let values = schema.get("enum").and_then(Value::as_array);
    if let Some(values) = values {
        let values: Vec<String> = values.iter().map(plain).collect();
        limits.push(match values.as_slice() {
            [only] => format!("only {only}"),
            _ => format!("one of {}", values.join(", ")),
        });
    }
    limits
}

/// A value as text, strings without quotes.
pub(crate) fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The first sentence of the description, in lower case and without full stop.
pub(crate) fn short_description(schema: &Value) -> Option<String> {
    let description = text(schema, "description")?;
    let paragraph = description.split("\n\n").next()?.replace('\n', " ");
    let sentence = match paragraph.find(". ") {
        Some(end) => &paragraph[..end],
        None => paragraph.trim_end_matches('.'),
    };
    let mut chars = sentence.chars();
    let first = chars.next()?;
    // `TTL of entries` keeps its capitals.
    let is_word = chars.clone().next().is_none_or(|c| !c.is_uppercase());
    Some(if is_word {
        first.to_lowercase().collect::<String>() + chars.as_str()
    } else {
        sentence.to_owned()
    })
}

/// An option in one line: `` `dir`: directory, created when absent (path, no default)``.
pub(crate) fn summary(name: &str, schema: &Value, is_required: bool) -> String {
    let mut facts = vec![type_name(schema)];
    facts.extend(limits(schema));
    match default_text(schema) {
        _ if is_required => facts.push("no default".to_owned()),
        Some(default) => facts.push(format!("default {default}")),
        None => {}
    }
    let facts = facts.join(", ");
    match short_description(schema) {
        Some(description) => format!("`{name}`: {description} ({facts})"),
        None => format!("`{name}`: {facts}"),
    }
}
