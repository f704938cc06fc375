//! From the layers to one tree in which every cache is complete.

use std::collections::BTreeMap;

use larder_core::KeyPath;

use super::Part;
use super::assignment::Override;
use super::combine::entry_of;
use super::merge::{Merge, inherit_wrapping, is_slot, set_layer};
use super::overrides::Overrides;
use super::templates::{Template, Templates, extends_of};
use crate::diagnostic::Diagnostic;
use crate::tree::{Item, Layer, Location, Node, Sources, Table, Value};

/// What the files say, and the layers above them in order.
pub(super) struct Layers {
    /// The files.
    pub(super) files: Table,
    /// The profile and the providers of the application.
    pub(super) upper: Vec<Table>,
    /// Variables and arguments.
    pub(super) overrides: Vec<Override>,
}

/// A cache, pattern or template: what every layer says about it, in order.
struct Entry {
    name: String,
    key_at: Location,
    bodies: Vec<Node>,
}

/// The resolved root, without `defaults` and `templates`, which are spent, and these two as the
/// parts that they were.
pub(super) fn assemble(
    mut layers: Layers,
    sources: &Sources,
    diagnostics: &mut Vec<Diagnostic>,
) -> (Table, Vec<Part>) {
    let (early, late): (Vec<_>, Vec<_>) =
        std::mem::take(&mut layers.overrides).into_iter().partition(Override::is_for_inherited);
    let mut defaults = take_defaults(&mut layers, diagnostics);
    let mut templates = take_entries("templates", &mut layers, diagnostics);
    override_inherited(&mut defaults, &mut templates, early, sources, diagnostics);
    let mut parts = parts(defaults.as_ref(), &templates);

    let by_name: BTreeMap<String, Template> = templates
        .into_iter()
        .map(|entry| {
            let template = Template { key_at: entry.key_at, bodies: entry.bodies };
            (entry.name, template)
        })
        .collect();
    let templates = Templates::new(by_name, sources, diagnostics);
    let mut sections = Vec::new();
    for section in ["caches", "patterns"] {
        let place = layers.files.get(section).cloned();
        let entries = take_entries(section, &mut layers, diagnostics);
        let complete: Vec<Item> = entries
            .into_iter()
            .map(|entry| complete(entry, &defaults, &templates, diagnostics))
            .collect();
        parts.extend(complete.iter().filter_map(|item| part_of_failed(section, item)));
        sections.push((section, place, complete));
    }
    let mut root = rest(layers, diagnostics);
    for (section, place, complete) in sections {
        put_section(&mut root, section, place, complete);
    }
    let mut root = Node::new(Value::Table(root), Location::new(crate::tree::SourceId(0), 0..0));
    Overrides::new(sources, diagnostics).apply(&mut root, late);
    let Value::Table(mut root) = root.value else {
        return (Table::default(), parts);
    };
    for section in ["caches", "patterns"] {
        if let Some(entries) = root.get_mut(section).and_then(|item| item.node.as_table_mut()) {
            for item in entries.iter_mut() {
                let was_failed = item.node.failed;
                refuse_mixing(section, item, diagnostics);
                item.node.as_table_mut().into_iter().for_each(inherit_wrapping);
                parts.extend(part_of_failed(section, item).filter(|_| !was_failed));
            }
        }
    }
    (root, parts)
}

/// `defaults` and every template, for checks of what no cache inherits.
fn parts(defaults: Option<&Node>, templates: &[Entry]) -> Vec<Part> {
    let defaults = defaults
        .map(|node| Part { path: KeyPath::from_segments(["defaults"]), node: node.clone() });
    let templates = templates.iter().flat_map(|entry| {
        let path = KeyPath::from_segments(["templates", &entry.name]);
        entry.bodies.iter().map(move |node| Part { path: path.clone(), node: node.clone() })
    });
    defaults.into_iter().chain(templates).collect()
}

/// What there is of a cache that cannot be complete: its options are checked nevertheless, so that
/// all mistakes come out at once.
fn part_of_failed(section: &str, item: &Item) -> Option<Part> {
    let node = Node { failed: false, ..item.node.clone() };
    let path = KeyPath::from_segments([section, &item.key]);
    item.node.failed.then_some(Part { path, node })
}

/// `[defaults]`, with what the upper layers change in it.
fn take_defaults(layers: &mut Layers, diagnostics: &mut Vec<Diagnostic>) -> Option<Node> {
    let mut defaults: Option<Node> = None;
    let files = layers.files.remove("defaults").map(|mut item| {
        set_layer(&mut item.node, &Layer::Defaults);
        item
    });
    let upper = layers.upper.iter_mut().filter_map(|table| table.remove("defaults"));
    for item in files.into_iter().chain(upper) {
        if item.node.as_table().is_none() {
            diagnostics.push(not_a_table("`defaults`", &item.node));
            continue;
        }
        let base = defaults.get_or_insert_with(|| empty(&item.node));
        Merge { diagnostics }.node(base, item.node, "", false);
    }
    defaults
}

/// The entries of a section with all that the layers say about each, in the order of the files.
fn take_entries(
    section: &str,
    layers: &mut Layers,
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    let entry_word = entry_of(section).unwrap_or("entry");
    let tables = std::iter::once(&mut layers.files).chain(layers.upper.iter_mut());
    for (layer, table) in tables.enumerate() {
        let Some(item) = table.remove(section) else {
            continue;
        };
        if item.node.value == Value::Null {
            // In YAML a section of which every line is commented out, or one that is removed.
            entries.clear();
            continue;
        }
        let Value::Table(mut items) = item.node.value else {
            let help = format!("{section} have names, as in `{section}.{}`", example(section));
            diagnostics.push(not_a_table(&format!("`{section}`"), &item.node).help(help));
            continue;
        };
        if let Some(unset) = items.remove("unset") {
            remove_entries(&mut entries, &unset, diagnostics);
        }
        // The keys of one table differ, so only entries of the tables before can be the same.
        let mut earlier = entries.len();
        for item in items {
            let known = entries[..earlier].iter().position(|entry| entry.name == item.key);
            match (known, item.node.value == Value::Null) {
                (Some(index), true) => {
                    entries.remove(index);
                    earlier -= 1;
                }
                // There is nothing to remove below the files: the options were left out, not meant.
                (None, true) if layer == 0 => {
                    diagnostics.push(no_options(entry_word, section, &item));
                }
                (None, true) => {}
                (Some(index), false) => entries[index].bodies.push(item.node),
                (None, false) => entries.push(Entry {
                    name: item.key,
                    key_at: item.key_at,
                    bodies: vec![item.node],
                }),
            }
        }
    }
    for entry in &mut entries {
        entry.bodies.retain(|body| {
            let is_table = body.as_table().is_some();
            if !is_table {
                let option = example(section).split_once('.').map_or("", |(_, option)| option);
                let help = format!("it has options, as in `{section}.{}.{option}`", entry.name);
                let what = format!("{entry_word} `{}`", entry.name);
                diagnostics.push(not_a_table(&what, body).help(help));
            }
            is_table
        });
    }
    entries
}

/// `unset` beside the entries of an upper layer removes entries of the layers below.
fn remove_entries(entries: &mut Vec<Entry>, unset: &Item, diagnostics: &mut Vec<Diagnostic>) {
    let names = entries.iter().map(|entry| {
        let null = Node::new(Value::Null, entry.key_at.clone());
        Item::new(entry.name.clone(), entry.key_at.clone(), null)
    });
    let mut names: Table = names.collect();
    Merge { diagnostics }.unset(&mut names, unset, "");
    entries.retain(|entry| names.get(&entry.name).is_some());
}

/// Lays the layers of a cache over each other.
fn complete(
    entry: Entry,
    defaults: &Option<Node>,
    templates: &Templates<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Item {
    let at = entry.bodies.first().map_or_else(|| entry.key_at.clone(), |body| body.at.clone());
    let mut cache = Node::new(Value::Table(Table::default()), at.clone());
    cache.failed = entry.bodies.is_empty();
    let chain = extends_of(&entry.bodies)
        .map(|extends| templates.chain(extends, diagnostics))
        .unwrap_or_default();
    cache.failed |= chain.is_broken;
    let layers = defaults.iter().cloned().chain(chain.bodies).chain(entry.bodies);
    for mut layer in layers {
        if let Some(table) = layer.as_table_mut() {
            table.remove("extends");
        }
        Merge { diagnostics }.node(&mut cache, layer, "", false);
    }
    cache.at = at;
    cache.layer = Layer::Cache;
    Item::new(entry.name, entry.key_at, cache)
}

/// The sections that are merged as they are.
fn rest(layers: Layers, diagnostics: &mut Vec<Diagnostic>) -> Table {
    let at = Location::new(crate::tree::SourceId(0), 0..0);
    let mut root = Node::new(Value::Table(layers.files), at.clone());
    let mut merge = Merge { diagnostics };
    merge.strip(&mut root, "");
    for upper in layers.upper {
        let over = Node::new(Value::Table(upper), at.clone());
        merge.node(&mut root, over, "", false);
    }
    match root.value {
        Value::Table(table) => table,
        _ => Table::default(),
    }
}

fn put_section(root: &mut Table, section: &str, place: Option<Item>, entries: Vec<Item>) {
    let place = place.or_else(|| entries.first().cloned());
    let Some(place) = place else {
        return;
    };
    let node = Node::new(Value::Table(entries.into_iter().collect()), place.node.at);
    root.set(Item::new(section.to_owned(), place.key_at, node));
}

/// Applies overrides of `defaults` and `templates` before caches inherit from them.
fn override_inherited(
    defaults: &mut Option<Node>,
    templates: &mut [Entry],
    overrides: Vec<Override>,
    sources: &Sources,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let Some(first) = overrides.first() else {
        return;
    };
    let at = first.at.clone();
    let bodies = templates.iter_mut().filter_map(|entry| {
        let body = entry.bodies.pop()?;
        Some(Item::new(entry.name.clone(), entry.key_at.clone(), body))
    });
    let section = |name: &str, node| Item::new(name.to_owned(), at.clone(), node);
    let bodies = Node::new(Value::Table(bodies.collect()), at.clone());
    let taken = defaults.take();
    let had_defaults = taken.is_some();
    let taken = taken.unwrap_or_else(|| Node::new(Value::Table(Table::default()), at.clone()));
    let sections = [section("defaults", taken), section("templates", bodies)];
    let mut root = Node::new(Value::Table(sections.into_iter().collect()), at.clone());
    Overrides::new(sources, diagnostics).apply(&mut root, overrides);
    let Value::Table(mut root) = root.value else {
        return;
    };
    *defaults = root
        .remove("defaults")
        .map(|item| item.node)
        .filter(|node| had_defaults || node.as_table().is_some_and(|table| !table.is_empty()));
    if let Some(Value::Table(mut bodies)) = root.remove("templates").map(|item| item.node.value) {
        for entry in templates {
            entry.bodies.extend(bodies.remove(&entry.name).map(|item| item.node));
        }
    }
}

/// A cache says `backend = …` for its only tier, or names its tiers; both at once is unclear.
fn refuse_mixing(section: &str, item: &mut Item, diagnostics: &mut Vec<Diagnostic>) {
    let Some(cache) = item.node.as_table() else {
        return;
    };
    let find = |names: &[&str]| names.iter().find_map(|name| cache.get(name)).cloned();
    let (Some(direct), Some(tier)) = (find(&["backend", "policy"]), find(&["l1", "l2", "l3"]))
    else {
        return;
    };
    let entry = entry_of(section).unwrap_or("cache");
    let message =
        format!("{entry} `{}` has `{}` of its own and a tier `{}`", item.key, direct.key, tier.key);
    let origin = |item: &Item| match &item.node.layer {
        Layer::Defaults => ", from `defaults`".to_owned(),
        Layer::Profile(name) => format!(", from profile `{name}`"),
        Layer::Template(name, _) => format!(", from template `{name}`"),
        _ => String::new(),
    };
    diagnostics.push(
        Diagnostic::error("C0406", message)
            .at(direct.key_at.clone(), format!("short for the only tier{}", origin(&direct)))
            .also(tier.key_at.clone(), format!("a tier by name{}", origin(&tier)))
            .help(format!("write `l1.{0} = …` in place of `{0} = …`", direct.key)),
    );
    item.node.failed = true;
}

fn not_a_table(what: &str, node: &Node) -> Diagnostic {
    Diagnostic::error("C0306", format!("{what} must be a table"))
        .at(node.at.clone(), node.value.describe())
}

/// An option of an entry of a section.
fn example(section: &str) -> &'static str {
    match section {
        "plugins" => "acme.library",
        "connections" => "main.kind",
        "patterns" => "\"tenant-*\".backend",
        _ => "users.backend",
    }
}

fn no_options(word: &str, section: &str, item: &Item) -> Diagnostic {
    Diagnostic::error("C0306", format!("{word} `{}` has no options", item.key))
        .at(item.key_at.clone(), "nothing below this key")
        .path(KeyPath::from_segments([section, &item.key]))
        .help("write its options below with a deeper indentation, or remove the key")
}

fn empty(like: &Node) -> Node {
    let mut node = Node::new(Value::Table(Table::default()), like.at.clone());
    node.layer = like.layer.clone();
    node
}

/// Whether the node at the end of these keys is a plugin node.
pub(super) fn is_slot_path(keys: &[String]) -> bool {
    match keys {
        [.., parent, _] if keys.len() == 2 && parent != "connections" => false,
        [.., parent, key] => is_slot(parent, key),
        _ => false,
    }
}
