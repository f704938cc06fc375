//! Environment variables and `--set`: single values laid over the merged tree.
//!
//! A path must hit something that exists, because a mistyped variable that does nothing is found
//! by nobody. The value stays text; the option it is for says how it is read.

use super::assemble::is_slot_path;
use super::assignment::{Override, Segment, normal};
use super::combine::entry_of;
use super::merge::{Merge, expand};
use crate::diagnostic::Diagnostic;
use crate::suggest::closest;
use crate::tree::{Item, Layer, Location, Node, Sources, Table, Value};

/// Applies overrides.
pub(super) struct Overrides<'a> {
    sources: &'a Sources,
    diagnostics: &'a mut Vec<Diagnostic>,
}

/// The keys that exist, and how many segments they took.
#[derive(Default)]
struct Found {
    keys: Vec<String>,
    used: usize,
}

impl<'a> Overrides<'a> {
    pub(super) const fn new(sources: &'a Sources, diagnostics: &'a mut Vec<Diagnostic>) -> Self {
        Self { sources, diagnostics }
    }

    /// Applies them layer by layer, the outer options first.
    pub(super) fn apply(&mut self, root: &mut Node, overrides: Vec<Override>) {
        let (mut arguments, mut variables): (Vec<_>, Vec<_>) =
            overrides.into_iter().partition(|change| change.layer == Layer::Argument);
        variables.sort_by_key(Override::rank);
        arguments.sort_by_key(Override::rank);
        for change in variables.into_iter().chain(arguments) {
            self.apply_one(root, change);
        }
    }

    fn apply_one(&mut self, root: &mut Node, change: Override) {
        let mut found = locate(root, &change.segments, change.joint);
        let rest = &change.segments[found.used..];
        if rest.len() == 2 && is_optional_table(&found.keys, &normal(&rest[0].text)) {
            let key = rest[0].text.to_lowercase();
            let node = Node::new(Value::Table(Table::default()), change.at.clone());
            set(root, &found.keys, Item::new(key.clone(), change.at.clone(), node));
            found.keys.push(key);
            found.used += 1;
        }
        let rest = &change.segments[found.used..];
        match rest {
            [] => {}
            [last] if takes_options(root, &found.keys, &last.text) => {
                found.keys.push(last.text.to_lowercase());
            }
            [missing, ..] => return self.miss(root, &change, &found, missing),
        }
        self.write(root, &found.keys, change);
    }

    /// Puts the value at the path, whose last key may be new.
    fn write(&mut self, root: &mut Node, keys: &[String], change: Override) {
        let Some((key, parents)) = keys.split_last() else {
            return;
        };
        let Some(parent) = descend(root, parents) else {
            return;
        };
        if parent.as_str().is_some() {
            let string = parent.clone();
            *parent = expand(string);
        }
        let mut node = Node::new(Value::String(change.value), change.at.clone());
        node.layer = change.layer;
        let mut merge = Merge { diagnostics: self.diagnostics };
        let is_new = parent.as_table().is_some_and(|table| table.get(key).is_none());
        let key_at = Location::new(
            change.source,
            change.segments.last().map_or(0..0, |last| last.span.clone()),
        );
        if key == "kind" && !is_new {
            // As a table, so that options of the old kind are dropped.
            let over = expand(node);
            return merge.node(parent, over, "", true);
        }
        let Some(table) = parent.as_table_mut() else {
            return;
        };
        match table.get_mut(key) {
            Some(item) => merge.node(&mut item.node, node, key, is_slot_path(keys)),
            None => table.set(Item::new(key.clone(), key_at, node)),
        }
    }

    fn miss(&mut self, root: &mut Node, change: &Override, found: &Found, missing: &Segment) {
        let is_argument = change.layer == Layer::Argument;
        let parent = descend(root, &found.keys);
        // A section or an entry that is no table has been reported as that.
        if parent.is_some_and(|node| found.keys.len() <= 2 && node.as_table().is_none()) {
            return;
        }
        let shown = missing.text.to_lowercase();
        let what = match found.keys.as_slice() {
            [] => format!("no section `{shown}`"),
            [section] => match entry_of(section) {
                Some(entry) => format!("no {entry} `{shown}`"),
                None => format!("`{section}` has no `{shown}`"),
            },
            [_, name] if is_tier(&shown) => format!("`{name}` has no tier `{shown}`"),
            keys => format!("`{}` has no `{shown}`", keys.join(".")),
        };
        let at = Location::new(change.source, missing.span.clone());
        let message = if is_argument {
            "`--set` matches nothing"
        } else {
            "environment override matches nothing"
        };
        let mut diagnostic = Diagnostic::error("C0303", message);
        if shown.is_empty() {
            let form = if is_argument {
                "write `--set caches.users.ttl=1h`"
            } else {
                "join the names with `__`, as in `LARDER__CACHES__USERS__TTL`"
            };
            self.diagnostics.push(diagnostic.at(at, "a name is missing here").help(form));
            return;
        }
        diagnostic = diagnostic.at(at, what);
        let parent = descend(root, &found.keys);
        let table = parent.and_then(|node| node.as_table_mut());
        let similar = table.and_then(|table| {
            let name = closest(&shown, table.iter().map(|item| item.key.as_str()))?.to_owned();
            table.get(&name).cloned()
        });
        let gone = if is_argument { "drop it" } else { "unset it" };
        diagnostic = match similar {
            Some(item) => {
                let place = self.sources.place(&item.key_at);
                let renamed = self.renamed(change, missing, &item.key);
                diagnostic
                    .note(format!("a similar name exists: `{}` ({place})", item.key))
                    .help(format!("rename it to `{renamed}`, or {gone}"))
            }
            None => diagnostic.help(format!("add it to the config, or {gone}")),
        };
        self.diagnostics.push(diagnostic);
    }

    /// The name of the variable, or the path of the argument, with one segment exchanged.
    fn renamed(&self, change: &Override, missing: &Segment, key: &str) -> String {
        let text = &self.sources.get(change.source).text;
        let path_end = change.at.span.start - 1;
        let path_start = if change.layer == Layer::Argument { "--set ".len() } else { 0 };
        let key = match &change.layer {
            Layer::Argument if key.contains('.') => format!("{key:?}"),
            Layer::Argument => key.to_owned(),
            _ => normal(key).to_uppercase(),
        };
        let before = &text[path_start..missing.span.start];
        let after = &text[missing.span.end..path_end];
        format!("{before}{key}{after}")
    }
}

/// The longest way down that exists; a key may take several segments, as in `api.users`.
fn locate(node: &Node, segments: &[Segment], joint: &str) -> Found {
    let mut best = Found::default();
    let Some(table) = node.as_table() else {
        return best;
    };
    let mut best_is_exact = false;
    for item in table {
        let key = normal(&item.key);
        let mut joined = String::new();
        for (index, segment) in segments.iter().enumerate() {
            if index > 0 {
                joined.push_str(joint);
            }
            joined.push_str(&normal(&segment.text));
            if joined.len() > key.len() {
                break;
            }
            if joined != key {
                continue;
            }
            let below = locate(&item.node, &segments[index + 1..], joint);
            let used = index + 1 + below.used;
            let is_exact = item.key == segment.text;
            if used > best.used || (used == best.used && is_exact && !best_is_exact) {
                best_is_exact = is_exact;
                best.keys = std::iter::once(item.key.clone()).chain(below.keys).collect();
                best.used = used;
            }
        }
    }
    best
}

/// Whether a new option may be set here; entries, tiers and sections must exist.
fn takes_options(root: &mut Node, keys: &[String], option: &str) -> bool {
    if option.is_empty() {
        return false;
    }
    let is_plugin = is_slot_path(keys);
    let Some(node) = descend(root, keys) else {
        return false;
    };
    match &node.value {
        Value::Table(_) => {}
        Value::String(_) if is_plugin => {}
        _ => return false,
    }
    match keys {
        [] => false,
        [section] => entry_of(section).is_none(),
        [section, _] if entry_of(section).is_some() => !is_tier(&option.to_lowercase()),
        _ => true,
    }
}

/// Tables that are all defaults when nobody wrote them.
fn is_optional_table(keys: &[String], key: &str) -> bool {
    match keys {
        [] => ["admin", "defaults", "reload"].contains(&key),
        [section] if section == "defaults" => ["invalidation", "resilience"].contains(&key),
        [section, _] if ["caches", "patterns", "templates"].contains(&section.as_str()) => {
            ["invalidation", "persist", "resilience"].contains(&key)
        }
        _ => false,
    }
}

fn is_tier(name: &str) -> bool {
    ["l1", "l2", "l3"].contains(&name)
}

fn descend<'a>(node: &'a mut Node, keys: &[String]) -> Option<&'a mut Node> {
    let mut node = node;
    for key in keys {
        node = &mut node.as_table_mut()?.get_mut(key)?.node;
    }
    Some(node)
}

fn set(root: &mut Node, keys: &[String], item: Item) {
    if let Some(table) = descend(root, keys).and_then(|node| node.as_table_mut()) {
        table.set(item);
    }
}
