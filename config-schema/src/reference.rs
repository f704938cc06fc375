//! The configuration reference in Markdown, from the same schemas as the checks.

use std::fmt::Write as _;

use larder_core::plugin::Factory;
use larder_core::{Registry, Slot};
use serde_json::Value;

use crate::grammar;
use crate::known::slot_word;
use crate::shape::{
    default_text, is_marked, limits, normalise, properties, text, texts, type_name,
};

const HEAD: &str = "\
# Configuration reference

<!-- Generated from the option types; do not edit. -->

A config file is TOML, YAML or JSON. Durations are strings with a unit (`ns us ms s m h d w`, also
combined: `1h30m`), sizes are strings with an exact unit (`B kB MB GB TB KiB MiB GiB TiB`), shares
are numbers from 0 to 1 or strings such as `10%`. A plugin is a table with `kind` and its options,
or only its kind as a string. `${env:NAME}` and `${file:/path}` stand for variables and files.

Options marked *not yet* are checked and then ignored with a warning (`W0201`).
";

const WRAPPERS: &str = "
What the output of a serializer goes through; each stands in the option of its role. The order is
always compress, encrypt, encode.
";

/// The reference of a program with these plugins, as Markdown. The same plugins give the same
/// text.
#[must_use]
pub fn reference(registry: &Registry) -> String {
    let mut page = HEAD.to_owned();
    let root = grammar::schema();
    section(&mut page, "Sections of the file", root);
    for (title, path) in SECTIONS {
        let schema = path.iter().try_fold(root, |schema, key| crate::shape::child(schema, key));
        // What can be a table or a word is described as a table here.
        let is_table = |branch: &&Value| branch.get("properties").is_some();
        let branches = schema.and_then(|schema| schema.get("anyOf")).and_then(Value::as_array);
        let branch = branches.and_then(|branches| branches.iter().find(is_table));
        if let Some(schema) = branch.or(schema) {
            section(&mut page, title, schema);
        }
    }
    for slot in Slot::ALL {
        let mut plugins = registry.of_slot(slot).peekable();
        if plugins.peek().is_none() {
            continue;
        }
        let word = slot_word(slot);
        let plural = match word.strip_suffix('y') {
            Some(stem) => format!("{stem}ies"),
            None => format!("{word}s"),
        };
        push(&mut page, format_args!("\n## Plugins: {plural}\n"));
        match slot {
            Slot::Serializer => {
                page.push_str("\nEvery serializer takes these options beside its own:\n");
                table(&mut page, grammar::wrapping());
            }
            Slot::Wrapper => page.push_str(WRAPPERS),
            _ => {}
        }
        for registered in plugins {
            let descriptor = registered.descriptor;
            let schema = normalise(descriptor.factory.config().schema().to_value());
            let (kind, summary) = (descriptor.kind, descriptor.summary);
            push(&mut page, format_args!("\n### {word} `{kind}`\n"));
            let origin = descriptor.origin;
            let option = match descriptor.factory {
                Factory::Wrapper(role, _) => format!("; for option `{role}`"),
                _ => String::new(),
            };
            let summary = capital(summary);
            push(&mut page, format_args!("\n{summary} (crate `{origin}`{option})\n"));
            table(&mut page, &schema);
        }
    }
    page
}

const SECTIONS: &[(&str, &[&str])] = &[
    ("Caches: `[caches.NAME]`, `[templates.NAME]`, `[defaults]`", &["caches", "NAME"]),
    ("Tiers: `l1`, `l2`, `l3`", &["caches", "NAME", "l1"]),
    ("Breakers: `l1.breaker`", &["caches", "NAME", "l1", "breaker"]),
    ("Resilience: `resilience`", &["caches", "NAME", "resilience"]),
    ("Saving: `persist`", &["caches", "NAME", "persist"]),
    ("Invalidation: `invalidation`", &["caches", "NAME", "invalidation"]),
    ("Rules: `[[caches.NAME.rules]]`", &["caches", "NAME", "rules", "0"]),
    ("Patterns: `[patterns.\"GLOB\"]`", &["patterns", "GLOB"]),
    ("Libraries: `[plugins.NAME]`", &["plugins", "NAME"]),
    ("Admin server: `[admin]`", &["admin"]),
    ("Reloading: `[reload]`", &["reload"]),
    ("Profiles: `[profile.NAME]`", &["profile", "NAME"]),
];

fn push(page: &mut String, text: std::fmt::Arguments<'_>) {
    page.write_fmt(text).expect("writing to a string cannot fail");
}

fn section(page: &mut String, title: &str, schema: &Value) {
    push(page, format_args!("\n## {title}\n"));
    table(page, schema);
}

fn table(page: &mut String, schema: &Value) {
    let mut options = properties(schema).peekable();
    if options.peek().is_none() {
        page.push_str("\nNo options.\n");
        return;
    }
    page.push_str("\n| option | type | default | |\n|---|---|---|---|\n");
    let required = texts(schema, "required");
    for (name, option) in options {
        let mut kind = vec![type_name(option)];
        kind.extend(limits(option));
        let default = match default_text(option) {
            Some(default) => format!("`{}`", escaped(&default)),
            None if required.contains(&name) => "**required**".to_owned(),
            None => String::new(),
        };
        let not_yet = if option.get("x-not-yet").is_some() { " *Not yet.*" } else { "" };
        let secret = if is_marked(option, "x-secret") { " Never shown." } else { "" };
        let description = text(option, "description").unwrap_or_default();
        let description = escaped(&description.replace('\n', " "));
        let kind = escaped(&kind.join(", "));
        push(
            page,
            format_args!("| `{name}` | {kind} | {default} | {description}{secret}{not_yet} |\n"),
        );
    }
}

fn escaped(text: &str) -> String {
    text.replace('|', "\\|")
}

/// A summary as a sentence.
fn capital(summary: &str) -> String {
    let mut chars = summary.chars();
    let first = chars.next().map(|first| first.to_uppercase().collect::<String>());
    first.unwrap_or_default() + chars.as_str()
}
