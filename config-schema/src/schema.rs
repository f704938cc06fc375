//! The JSON schema (draft-07) of a whole config file, for editors, composed from the sections of
//! Larder and the plugins of a program.
//!
//! It describes files, which hold parts: what is required may be inherited, so it stands as
//! `x-required-after-merge`, and a plugin node may leave out `kind`. The checks enforce both on the
//! resolved config.

use larder_core::plugin::Factory;
use larder_core::{Descriptor, Registry, Role, Slot};
use serde_json::{Map, Value, json};

use crate::grammar;
use crate::known;
use crate::shape::{properties, text};

/// The schema. The same plugins give the same text: all objects are sorted.
#[must_use]
pub fn schema(registry: &Registry) -> Value {
    let mut definitions = Map::new();
    for (name, section) in grammar::sections() {
        definitions.insert((*name).to_owned(), compose(section, Some(*name)));
    }
    for slot in Slot::ALL {
        let plugins = registry.of_slot(slot).map(|registered| registered.descriptor);
        match slot {
            Slot::Wrapper => {
                let wrappers: Vec<Descriptor> = plugins.collect();
                for role in Role::ALL {
                    let has_role = |one: &&Descriptor| role_of(one) == Some(role);
                    let fitting = wrappers.iter().filter(has_role).copied();
                    add_choice(&mut definitions, role.as_str(), slot, fitting);
                }
            }
            _ => add_choice(&mut definitions, slot.as_str(), slot, plugins),
        }
    }
    let mut root = compose(grammar::schema(), None);
    if let Some(root) = root.as_object_mut() {
        let draft = "http://json-schema.org/draft-07/schema#";
        root.insert("$schema".to_owned(), draft.into());
        root.insert("title".to_owned(), "Larder config".into());
        root.insert("definitions".to_owned(), Value::Object(definitions));
    }
    root
}

/// Puts references in the place of plugins and of sections that are defined once.
fn compose(schema: &Value, own_name: Option<&str>) -> Value {
    let Some(object) = schema.as_object() else {
        return schema.clone();
    };
    if let Some(slot) = text(schema, "x-plugin") {
        // A wrapper stands in the option of its role, and is one of those that have it.
        return reference(object, text(schema, "x-role").unwrap_or(slot));
    }
    if let Some(own) = object.get("properties") {
        let sections = grammar::sections();
        let same = sections.iter().find(|(name, section)| {
            Some(*name) != own_name && section.get("properties") == Some(own)
        });
        if let Some((name, _)) = same {
            return reference(object, name);
        }
    }
    let mut composed = Map::new();
    for (key, value) in object {
        let (key, value) = match (key.as_str(), value) {
            ("required", _) => ("x-required-after-merge", value.clone()),
            ("properties", Value::Object(all)) => {
                let all = all.iter().map(|(name, one)| (name.clone(), compose(one, None)));
                (key.as_str(), Value::Object(all.collect()))
            }
            ("anyOf", Value::Array(branches)) => {
                let branches = branches.iter().map(|branch| compose(branch, None));
                (key.as_str(), branches.collect())
            }
            ("items" | "additionalProperties", _) => (key.as_str(), compose(value, None)),
            _ => (key.as_str(), value.clone()),
        };
        composed.insert(key.to_owned(), value);
    }
    Value::Object(composed)
}

/// A reference that keeps what the option says about itself: draft-07 ignores all beside `$ref`.
fn reference(object: &Map<String, Value>, name: &str) -> Value {
    let keeps = |key: &str| key == "description" || (key.starts_with("x-") && key != "x-plugin");
    let kept = object.iter().filter(|(key, _)| keeps(key));
    let mut composed: Map<String, Value> =
        kept.map(|(key, value)| (key.clone(), value.clone())).collect();
    let target = json!({ "$ref": format!("#/definitions/{name}") });
    composed.insert("allOf".to_owned(), json!([target]));
    Value::Object(composed)
}

fn role_of(descriptor: &Descriptor) -> Option<Role> {
    match descriptor.factory {
        Factory::Wrapper(role, _) => Some(role),
        _ => None,
    }
}

/// One definition per plugin, and one that is any of them.
fn add_choice(
    definitions: &mut Map<String, Value>,
    choice: &str,
    slot: Slot,
    plugins: impl Iterator<Item = Descriptor>,
) {
    let mut kinds = Vec::new();
    let mut variants = Vec::new();
    let mut any_option: Map<String, Value> = Map::new();
    for descriptor in plugins {
        let options = grammar::options_of(&descriptor);
        for (name, option) in properties(&options) {
            add_alternative(&mut any_option, name, &compose(option, None));
        }
        let name = format!("{slot}.{}", descriptor.kind);
        variants.push(json!({ "$ref": format!("#/definitions/{name}") }));
        kinds.push(descriptor.kind);
        definitions.insert(name, plugin(descriptor.kind, descriptor.summary, &options));
    }
    if known::is_ignored(slot) {
        // The checks accept these without knowing their options.
        let known = known::of_slot(slot).map(|known| known.kind);
        let known: Vec<&str> = known.filter(|kind| !kinds.contains(kind)).collect();
        if !known.is_empty() {
            variants.push(json!({
                "description": "Not available yet: checked, and otherwise ignored.",
                "type": "object",
                "properties": { "kind": { "enum": known } },
                "required": ["kind"],
            }));
            kinds.extend(known);
        }
    }
    let unset = json!({ "type": "array", "items": { "type": "string" } });
    any_option.insert("unset".to_owned(), unset);
    let short = match kinds.len() {
        // An empty `enum` is no schema.
        0 => json!({ "type": "string" }),
        _ => json!({ "type": "string", "enum": kinds }),
    };
    let mut branches = vec![short];
    branches.append(&mut variants);
    branches.push(json!({
        "description": "Changes options of the inherited plugin.",
        "type": "object",
        "properties": any_option,
        "additionalProperties": false,
    }));
    definitions.insert(choice.to_owned(), json!({ "anyOf": branches }));
}

/// Options of the same name of several plugins: any of them fits an override without `kind`.
fn add_alternative(all: &mut Map<String, Value>, name: &str, option: &Value) {
    match all.get_mut(name) {
        None => {
            all.insert(name.to_owned(), option.clone());
        }
        Some(known) if known == option => {}
        Some(known) => match known.get("x-any-plugin") {
            Some(_) => {
                if let Some(branches) = known["anyOf"].as_array_mut()
                    && !branches.contains(option)
                {
                    branches.push(option.clone());
                }
            }
            None => *known = json!({ "x-any-plugin": true, "anyOf": [known.clone(), option] }),
        },
    }
}

fn plugin(kind: &str, summary: &str, options: &Value) -> Value {
    let mut own: Map<String, Value> = properties(options)
        .map(|(name, option)| (name.to_owned(), compose(option, None)))
        .collect();
    own.insert("kind".to_owned(), json!({ "enum": [kind] }));
    let unset = json!({
        "description": "Inherited options that are removed.",
        "type": "array",
        "items": { "type": "string" },
    });
    own.insert("unset".to_owned(), unset);
    let mut plugin = json!({
        "description": summary,
        "type": "object",
        "properties": own,
        "required": ["kind"],
        "additionalProperties": false,
    });
    if let Some(required) = options.get("required") {
        plugin["x-required-after-merge"] = required.clone();
    }
    plugin
}
