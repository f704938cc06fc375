//! The long texts behind `larder explain`: of codes, of options, of plugins.

use larder_core::{Registry, Slot};
use serde_json::Value;

use crate::codes::all;
use crate::grammar;
use crate::known::slot_word;
use crate::shape;

/// What a code means, why it is reported and how to mend it.
#[must_use]
pub fn explain(code: &str) -> Option<&'static str> {
    all().find(|(known, _)| known.eq_ignore_ascii_case(code)).map(|(_, text)| text)
}

/// All codes, sorted.
pub fn codes() -> impl Iterator<Item = &'static str> {
    all().map(|(code, _)| code)
}

/// What an option is, from its schema.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct OptionDoc {
    /// What it is the documentation of: `caches.*.ttl`, ``backend `file` ``.
    pub title: String,
    /// What it does.
    pub description: Option<String>,
    /// Type, limits and default, as far as there are any.
    pub facts: Vec<String>,
    /// What it contains: each option in one line.
    pub options: Vec<String>,
    /// What else has this name, in the form that [`describe`] finds it by: `policy.ttl`.
    pub see_also: Vec<String>,
}

/// The documentation of an option path such as `caches.users.ttl` or `ttl`, or of a plugin kind
/// such as `file` or `backend.file`, also with an option: `backend.file.dir`.
#[must_use]
pub fn describe(registry: &Registry, path: &str) -> Option<OptionDoc> {
    let parts: Vec<&str> = path.split('.').collect();
    let root = grammar::schema();
    if let Some(doc) = option_doc(registry, root, &parts, path) {
        return Some(doc);
    }
    let by_slot = Slot::ALL.into_iter().find_map(|slot| {
        let rest = path.strip_prefix(slot_word(slot))?.strip_prefix('.')?;
        plugin_doc(registry, slot, rest)
    });
    if by_slot.is_some() {
        return by_slot;
    }
    // A bare option such as `ttl` is one of a cache; a plugin may have the same name.
    let in_cache = [&["caches", "NAME"], parts.as_slice()].concat();
    let option = option_doc(registry, root, &in_cache, path);
    let plugins = Slot::ALL.into_iter().filter_map(|slot| {
        let name = format!("{}.{path}", slot_word(slot));
        Some((name, plugin_doc(registry, slot, path)?))
    });
    let mut found = option.map(|doc| (path.to_owned(), doc)).into_iter().chain(plugins);
    let (_, mut doc) = found.next()?;
    doc.see_also = found.map(|(name, _)| name).collect();
    Some(doc)
}

fn option_doc(registry: &Registry, root: &Value, parts: &[&str], title: &str) -> Option<OptionDoc> {
    let mut schema = root;
    for (index, part) in parts.iter().enumerate() {
        if let Some(slot) = shape::text(schema, "x-plugin").and_then(crate::known::slot_of) {
            return any_plugin_option(registry, slot, parts.get(index..)?, title);
        }
        schema = shape::child(schema, part)?;
    }
    let slot = shape::text(schema, "x-plugin").and_then(crate::known::slot_of);
    let kinds = slot.into_iter().flat_map(|slot| registry.of_slot(slot));
    let mut doc = doc(title.to_owned(), schema);
    doc.options.extend(kinds.map(|registered| {
        let descriptor = registered.descriptor;
        format!("`{}`: {}", descriptor.kind, descriptor.summary)
    }));
    Some(doc)
}

/// An option of a plugin whose kind the path does not say: of the first plugin that has it.
fn any_plugin_option(
    registry: &Registry,
    slot: Slot,
    parts: &[&str],
    title: &str,
) -> Option<OptionDoc> {
    registry.of_slot(slot).find_map(|registered| {
        let descriptor = registered.descriptor;
        let schema = grammar::options_of(&descriptor);
        let mut option = &schema;
        for (index, part) in parts.iter().enumerate() {
            if let Some(slot) = shape::text(option, "x-plugin").and_then(crate::known::slot_of) {
                return any_plugin_option(registry, slot, parts.get(index..)?, title);
            }
            option = shape::child(option, part)?;
        }
        let title = format!("{title} (of {} `{}`)", slot_word(slot), descriptor.kind);
        Some(doc(title, option))
    })
}

fn plugin_doc(registry: &Registry, slot: Slot, path: &str) -> Option<OptionDoc> {
    // Kinds of third parties have a dot in them: the longest kind that fits is meant.
    let fits = |kind: &str| {
        path == kind || path.strip_prefix(kind).is_some_and(|rest| rest.starts_with('.'))
    };
    let registered = registry
        .of_slot(slot)
        .filter(|registered| fits(registered.descriptor.kind))
        .max_by_key(|registered| registered.descriptor.kind.len())?;
    let descriptor = registered.descriptor;
    let schema = grammar::options_of(&descriptor);
    let title = format!("{} `{}`", slot_word(slot), descriptor.kind);
    let rest = path[descriptor.kind.len()..].trim_start_matches('.');
    if rest.is_empty() {
        let mut doc = doc(title, &schema);
        doc.description = Some(descriptor.summary.to_owned());
        doc.facts = vec![
            format!("crate {} {}", descriptor.origin, descriptor.version),
            format!("can: {}", descriptor.capabilities),
        ];
        return Some(doc);
    }
    let option = rest.split('.').try_fold(&schema, |schema, part| shape::child(schema, part))?;
    Some(doc(format!("{rest} of {title}"), option))
}

fn doc(title: String, schema: &Value) -> OptionDoc {
    let required = shape::texts(schema, "required");
    let options = shape::properties(schema);
    let options = options
        .map(|(name, option)| shape::summary(name, option, required.contains(&name)))
        .collect();
    let mut facts = vec![shape::type_name(schema)];
    facts.extend(shape::limits(schema));
    facts.extend(shape::default_text(schema).map(|default| format!("default {default}")));
    if let Some(class) = shape::text(schema, "x-reload") {
        facts.push(format!("a change is applied as: {class}"));
    }
    if schema.get("x-not-yet").is_some() {
        facts.push("not available in this build: checked, and otherwise ignored".to_owned());
    }
    OptionDoc {
        title,
        description: shape::text(schema, "description").map(str::to_owned),
        facts,
        options,
        see_also: Vec::new(),
    }
}
