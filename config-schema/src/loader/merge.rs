//! Laying one layer on top of another.
//!
//! Tables merge key by key, everything else is replaced, and what was replaced is remembered. A
//! plugin node whose kind changes loses what it inherited: those options belong to another plugin.
//! A serializer keeps what wraps it, and that of a tier gets it from its cache: what `defaults`
//! encrypt is encrypted whatever writes it.

use larder_core::Tier;

use crate::diagnostic::Diagnostic;
use crate::tree::{Item, Layer, Node, Table, Value};

/// Whether the value of `key` in the table `parent` is a plugin node, so that a bare string
/// stands for its kind.
pub(super) fn is_slot(parent: &str, key: &str) -> bool {
    let names_plugins = ["connections", "warmers"].contains(&parent);
    let roles = ["backend", "backplane", "invalidator", "policy", "replication", "serializer"];
    let is_wrapper = parent == SERIALIZER && WRAPPERS.contains(&key);
    names_plugins || is_wrapper || roles.contains(&key)
}

/// The option of caches and tiers that names their serializer.
const SERIALIZER: &str = "serializer";

/// The options of a serializer that name wrappers.
const WRAPPERS: [&str; 3] = ["compress", "encode", "encrypt"];

/// The option of a serializer that says something about another one that wraps it.
const COMPRESS_MIN: &str = "compress_min";

/// What is being merged, and where complaints go.
pub(super) struct Merge<'a> {
    /// Receives what is wrong with `unset`.
    pub(super) diagnostics: &'a mut Vec<Diagnostic>,
}

impl Merge<'_> {
    /// Lays `over`, the value of `key`, on top of `base`.
    pub(super) fn node(&mut self, base: &mut Node, over: Node, key: &str, is_slot: bool) {
        let is_plugin = is_slot || kind_of(base).is_some();
        let replaces_kind = match (kind_name(base, is_slot), kind_name(&over, is_plugin)) {
            (Some(old), Some(new)) => old != new,
            _ => false,
        };
        if replaces_kind && !(key == SERIALIZER && keep_wrapping(base)) {
            return self.replace(base, over, key);
        }
        let expanded = match over.value {
            Value::String(_) if is_plugin && base.as_table().is_some() => expand(over),
            _ => over,
        };
        if is_slot && expanded.as_table().is_some() && base.as_str().is_some() {
            let string = base.clone();
            *base = expand(string);
        }
        if base.as_table().is_some() && expanded.as_table().is_some() {
            self.tables(base, expanded, key);
        } else {
            self.replace(base, expanded, key);
        }
    }

    /// Lays the table `over` on top of the table `base`.
    fn tables(&mut self, base: &mut Node, over: Node, key: &str) {
        let Value::Table(mut items) = over.value else {
            return;
        };
        let Value::Table(table) = &mut base.value else {
            return;
        };
        if let Some(unset) = items.remove("unset") {
            self.unset(table, &unset, key);
            base.unset.extend(wrapping_of(&unset.node));
        }
        // A provider knows no places of tables, so the table stays where the file has it.
        let keeps_place = over.layer == Layer::Provider;
        for item in items {
            if item.node.value == Value::Null {
                table.remove(&item.key);
                base.unset.extend(is_wrapping(&item.key).then_some(item.key));
                continue;
            }
            let slot = is_slot(key, &item.key);
            match table.get_mut(&item.key) {
                Some(old) => {
                    self.node(&mut old.node, item.node, &item.key, slot);
                    if !keeps_place {
                        old.key_at = item.key_at;
                    }
                }
                None => self.insert(table, item),
            }
        }
        if !keeps_place {
            base.at = over.at;
            base.layer = over.layer;
        }
    }

    fn insert(&mut self, table: &mut Table, mut item: Item) {
        self.strip(&mut item.node, &item.key);
        table.set(item);
    }

    fn replace(&mut self, base: &mut Node, mut over: Node, key: &str) {
        self.strip(&mut over, key);
        if let (Some(old), Some(new)) = (kind_of(base).cloned(), kind_of_mut(&mut over)) {
            inherit_history(new, &old);
        }
        inherit_history(&mut over, base);
        *base = over;
    }

    /// Removes what only means something while layers are merged from the value of `key`.
    pub(super) fn strip(&mut self, node: &mut Node, key: &str) {
        match &mut node.value {
            Value::Table(table) => {
                if let Some(unset) = table.remove("unset") {
                    let mut nothing = Table::default();
                    self.unset(&mut nothing, &unset, key);
                    node.unset.extend(wrapping_of(&unset.node));
                }
                let nulls: Vec<String> = table
                    .iter()
                    .filter(|item| item.node.value == Value::Null && !item.node.failed)
                    .map(|item| item.key.clone())
                    .collect();
                for key in nulls {
                    table.remove(&key);
                    node.unset.extend(is_wrapping(&key).then_some(key));
                }
                for item in table.iter_mut() {
                    self.strip(&mut item.node, &item.key);
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.strip(item, "")),
            _ => {}
        }
    }

    /// Removes the keys that `unset` names from what was inherited, the value of `key`.
    pub(super) fn unset(&mut self, table: &mut Table, unset: &Item, key: &str) {
        let Some(names) = names_of(&unset.node) else {
            self.diagnostics.push(
                Diagnostic::error("C0306", "`unset` must name options")
                    .at(no_name(&unset.node).at.clone(), no_name(&unset.node).value.describe())
                    .help("write a list of names such as `unset = [\"l2\", \"l1.policy\"]`"),
            );
            return;
        };
        // A template may remove what only some of the caches that extend it have.
        let may_miss = matches!(unset.node.layer, Layer::Defaults | Layer::Template(..));
        for name in names {
            let text = name.as_str().unwrap_or_default();
            // What wraps the serializer of a tier comes from the cache once all layers are merged.
            let comes_later = key == SERIALIZER && is_wrapping(text);
            if remove_path(table, text) || may_miss || comes_later {
                continue;
            }
            let keys = table.iter().map(|item| item.key.as_str());
            let mut diagnostic =
                Diagnostic::warning("W0301", format!("`unset` names `{text}`, which nothing sets"))
                    .at(name.at.clone(), "");
            if let Some(similar) = crate::suggest::closest(text, keys) {
                diagnostic = diagnostic.help(format!("did you mean `{similar}`?"));
            }
            self.diagnostics.push(diagnostic);
        }
    }
}

/// The strings of a string or a list of strings; `None` when it is anything else.
pub(super) fn names_of(node: &Node) -> Option<Vec<&Node>> {
    match &node.value {
        Value::String(_) => Some(vec![node]),
        Value::Array(items) => {
            let are_names = items.iter().all(|item| item.as_str().is_some());
            are_names.then(|| items.iter().collect())
        }
        _ => None,
    }
}

/// What is no name in something that must hold names.
pub(super) fn no_name(node: &Node) -> &Node {
    match &node.value {
        Value::Array(items) => items.iter().find(|item| item.as_str().is_none()).unwrap_or(node),
        _ => node,
    }
}

/// Removes the option at a path whose segments are joined with dots; names may hold dots too.
fn remove_path(table: &mut Table, path: &str) -> bool {
    if table.remove(path).is_some() {
        return true;
    }
    path.match_indices('.').any(|(dot, _)| {
        table
            .get_mut(&path[..dot])
            .and_then(|item| item.node.as_table_mut())
            .is_some_and(|inner| remove_path(inner, &path[dot + 1..]))
    })
}

/// `"lru"` as `{ kind = "lru" }`.
pub(super) fn expand(string: Node) -> Node {
    let mut table = Node::new(Value::Table(Table::default()), string.at.clone());
    table.layer = string.layer.clone();
    let item = Item::new("kind".to_owned(), string.at.clone(), string);
    table.value = Value::Table(std::iter::once(item).collect());
    table
}

/// Whether an option of a serializer is about what wraps it.
fn is_wrapping(option: &str) -> bool {
    option == COMPRESS_MIN || WRAPPERS.contains(&option)
}

/// What `unset` names of that which wraps a serializer.
fn wrapping_of(unset: &Node) -> impl Iterator<Item = String> {
    let names = names_of(unset).into_iter().flatten().filter_map(Node::as_str);
    names.filter(|name| is_wrapping(name)).map(str::to_owned)
}

/// Leaves of a serializer only its kind and what wraps it; whether a layer said anything of that.
fn keep_wrapping(serializer: &mut Node) -> bool {
    let has_unset = !serializer.unset.is_empty();
    let Some(table) = serializer.as_table_mut() else {
        return false;
    };
    let stays = |key: &str| key == "kind" || is_wrapping(key);
    let others: Vec<String> =
        table.iter().map(|item| item.key.clone()).filter(|key| !stays(key)).collect();
    for key in others {
        table.remove(&key);
    }
    has_unset || WRAPPERS.iter().any(|wrapper| table.get(wrapper).is_some())
}

/// Gives the serializers of the tiers of a complete cache what wraps that of the cache, so that
/// no tier stores in plain what the cache encrypts only because it writes another format.
pub(super) fn inherit_wrapping(cache: &mut Table) {
    let Some(own) = cache.get(SERIALIZER).filter(|own| !own.node.failed).cloned() else {
        return;
    };
    let Some(own) = own.node.as_table() else {
        return;
    };
    for tier in Tier::ALL {
        let tier = cache.get_mut(tier.as_str()).and_then(|tier| tier.node.as_table_mut());
        let serializer = tier.and_then(|tier| tier.get_mut(SERIALIZER));
        if let Some(serializer) = serializer.filter(|serializer| !serializer.node.failed) {
            wrap_like(&mut serializer.node, own);
        }
    }
}

/// Adds what wraps another serializer, but for what this one names or unsets itself.
fn wrap_like(serializer: &mut Node, other: &Table) {
    let mut missing: Vec<Item> = other
        .iter()
        .filter(|item| is_wrapping(&item.key) && !serializer.unset.contains(&item.key))
        .filter(|item| serializer.as_table().is_none_or(|own| own.get(&item.key).is_none()))
        .cloned()
        .collect();
    let compresses = |item: &Item| item.key == "compress";
    let own = serializer.as_table();
    if !own.into_iter().flatten().chain(&missing).any(compresses) {
        missing.retain(|item| item.key != COMPRESS_MIN);
    }
    if missing.is_empty() {
        return;
    }
    if serializer.as_str().is_some() {
        let string = serializer.clone();
        *serializer = expand(string);
    }
    if let Some(table) = serializer.as_table_mut() {
        missing.into_iter().for_each(|item| table.set(item));
    }
}

fn inherit_history(new: &mut Node, old: &Node) {
    let own = std::mem::take(&mut new.replaced);
    new.replaced.clone_from(&old.replaced);
    new.replaced.push(old.at.clone());
    new.replaced.extend(own);
}

fn kind_of(node: &Node) -> Option<&Node> {
    Some(&node.as_table()?.get("kind")?.node)
}

fn kind_of_mut(node: &mut Node) -> Option<&mut Node> {
    Some(&mut node.as_table_mut()?.get_mut("kind")?.node)
}

/// The kind that a table names, or that a string is when it stands for a plugin node.
fn kind_name(node: &Node, is_plugin: bool) -> Option<&str> {
    match &node.value {
        Value::String(kind) => is_plugin.then_some(kind.as_str()),
        _ => kind_of(node)?.as_str(),
    }
}

/// Says of a tree which layer it belongs to.
pub(super) fn set_layer(node: &mut Node, layer: &Layer) {
    node.layer = layer.clone();
    match &mut node.value {
        Value::Table(table) => {
            for item in table.iter_mut() {
                set_layer(&mut item.node, layer);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| set_layer(item, layer)),
        _ => {}
    }
}
