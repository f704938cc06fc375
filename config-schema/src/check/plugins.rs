//! Plugin nodes: `kind` picks the plugin, then its own schema and its `validate` check the rest.

use larder_core::{Descriptor, KeyPath, Role, Slot};
use serde_json::{Map, Value as Json, json};

use super::options::{Checker, Owner, Spot, is_null};
use super::scalars::{requote, type_word};
use crate::diagnostic::{Diagnostic, Fix};
use crate::grammar;
use crate::known::{self, Known, slot_word};
use crate::suggest::closest;
use crate::tree::{Item, Layer, Location, Node, Value};

/// A plugin that the config uses, for checks of relations.
#[derive(Debug)]
pub(super) struct PluginUse<'a> {
    pub(super) path: KeyPath,
    pub(super) kind: String,
    pub(super) kind_at: Location,
    pub(super) node: &'a Node,
    pub(super) descriptor: Descriptor,
    /// Its options; `None` when something is wrong with them.
    pub(super) options: Option<Json>,
}

impl<'a> Checker<'a> {
    /// Checks a plugin node; the value is `{ kind, options }`, for a serializer with `wrapping`.
    /// A wrapper must have this role.
    pub(super) fn plugin(
        &mut self,
        spot: Spot<'a, '_>,
        slot: Slot,
        role: Option<Role>,
    ) -> Option<Json> {
        let node = spot.node;
        let kind_node = match &node.value {
            Value::String(_) => node,
            Value::Table(table) => match table.get("kind") {
                Some(item) => &item.node,
                // A part without `kind` changes options of a plugin that others name.
                None if self.is_partial => return None,
                None => return self.kindless(spot, slot),
            },
            Value::Null => return Some(Json::Null),
            _ => return self.not_a_plugin(spot, node, slot),
        };
        if kind_node.failed {
            return None;
        }
        let Some(kind) = kind_node.as_str() else {
            return self.not_a_kind(spot, kind_node, slot);
        };
        let Some(registered) = self.registry.find(slot, kind) else {
            if self.is_of_refused(slot, kind) {
                return None;
            }
            if !known::is_ignored(slot) || known::find(slot, kind).is_none() {
                let diagnostic = self.unregistered(slot, kind, kind_node);
                let diagnostic = diagnostic.path(spot.path.clone());
                self.diagnostics.push(diagnostic);
                return None;
            }
            // A known plugin of a section that is ignored in this release is ignored as well.
            return Some(json!({ "kind": kind }));
        };
        let descriptor = registered.descriptor;
        if self.is_out_of_reach(spot, kind_node, &descriptor) {
            return None;
        }
        if let Some(role) = role
            && self.is_misplaced(spot, kind_node, &descriptor, role)
        {
            return None;
        }
        let checked = self.plugin_options(spot, kind_node, descriptor);
        let (options, wrapping) = checked.unzip();
        self.plugins.push(PluginUse {
            path: spot.path.clone(),
            kind: kind.to_owned(),
            kind_at: kind_node.at.clone(),
            node,
            descriptor,
            options: options.clone(),
        });
        options.map(|options| json!({ "kind": kind, "options": options, "wrapping": wrapping }))
    }

    /// The options of a plugin, and for a serializer those of wrapping.
    fn plugin_options(
        &mut self,
        spot: Spot<'a, '_>,
        kind_node: &Node,
        descriptor: Descriptor,
    ) -> Option<(Json, Json)> {
        let Descriptor { slot, kind, .. } = descriptor;
        let schema = grammar::options_of(&descriptor);
        let owner = Owner {
            label: format!("{} `{kind}`", slot_word(slot)),
            kind: Some((kind.to_owned(), kind_node.at.clone())),
        };
        let table = spot.node.as_table();
        let items = table.into_iter().flatten();
        let items: Vec<&Item> =
            items.filter(|item| item.key != "kind" && !is_null(&item.node)).collect();
        let options = self.entries(spot, &items, &schema, &owner)?;
        let (options, wrapping) = self.split(spot, &items, slot, options)?;
        if self.is_partial {
            return Some((options, wrapping));
        }
        match descriptor.factory.config().check(&options, spot.path) {
            Ok(()) => Some((options, wrapping)),
            Err(problems) => {
                for problem in &problems {
                    self.problem(spot, problem);
                }
                None
            }
        }
    }

    /// Reports what a plugin says about its options, at the option it names.
    fn problem(&mut self, spot: Spot<'a, '_>, problem: &larder_core::Problem) {
        let below = problem.path.segments();
        let below = below.strip_prefix(spot.path.segments()).unwrap_or_default();
        let depth = (0..=below.len())
            .rev()
            .find(|depth| spot.node.find(&below[..*depth]).is_some())
            .unwrap_or_default();
        let node = spot.node.find(&below[..depth]).unwrap_or(spot.node);
        // A decoder quotes the value it cannot read.
        let is_secret = |at: &Location| self.secrets.contains(at);
        let is_shown = node.reference.is_none() && !is_secret(&node.at);
        let message = if is_shown || depth == 0 {
            problem.message.clone()
        } else {
            "the value cannot be used; it is not shown because it may be a secret".to_owned()
        };
        let message = match problem.path.segments().is_empty() {
            true => message,
            false => format!("`{}`: {message}", problem.path),
        };
        let mut diagnostic = Diagnostic::error("C0210", message);
        if let Some(help) = &problem.help {
            diagnostic = diagnostic.help(help.as_str());
        }
        let path = &problem.path;
        let key_at = spot.key_at;
        self.report(Spot { node, path, key_at }, diagnostic, "");
    }

    fn kindless(&mut self, spot: Spot<'a, '_>, slot: Slot) -> Option<Json> {
        let message = format!("{} `{}` has no `kind`", slot_word(slot), spot.path);
        let at = spot.key_at.unwrap_or(&spot.node.at).clone();
        let diagnostic = Diagnostic::error("C0208", message)
            .at(at, "`kind` missing in this table and in everything it inherits")
            .path(spot.path.join("kind"))
            .note(self.registered_note(slot));
        self.diagnostics.push(diagnostic);
        None
    }

    fn not_a_plugin(&mut self, spot: Spot<'a, '_>, node: &Node, slot: Slot) -> Option<Json> {
        let slot = slot_word(slot);
        let found = node.value.describe();
        let message = format!("expected a {slot} for `{}`, found {found}", spot.path);
        let diagnostic = Diagnostic::error("C0204", message).help(format!(
            "write the kind as a string, or a table with `kind`: `{slot} = {{ kind = \"…\" }}`"
        ));
        self.report(spot, diagnostic, type_word(&node.value));
        None
    }

    fn not_a_kind(&mut self, spot: Spot<'a, '_>, node: &Node, slot: Slot) -> Option<Json> {
        let path = spot.path.join("kind");
        let found = node.value.describe();
        let message = format!("expected a string for `{path}`, found {found}");
        let diagnostic = Diagnostic::error("C0204", message).note(self.registered_note(slot));
        let at = Spot { node, path: &path, key_at: spot.key_at };
        self.report(at, diagnostic, type_word(&node.value));
        None
    }

    fn registered_note(&self, slot: Slot) -> String {
        let word = slot_word(slot);
        let kinds: Vec<String> = self
            .registry
            .of_slot(slot)
            .map(|registered| match &registered.source {
                larder_core::Source::Loaded { plugin } => {
                    format!("{} (plugin {plugin})", registered.descriptor.kind)
                }
                _ => registered.descriptor.kind.to_owned(),
            })
            .collect();
        match kinds.len() {
            0 => format!("no {word} is registered in this program"),
            _ => format!("registered {}: {}", known::slot_words(slot), kinds.join(", ")),
        }
    }

    /// Reports a plugin that is in a process of its own and cannot be used from there.
    fn is_out_of_reach(
        &mut self,
        spot: Spot<'_, '_>,
        kind_node: &Node,
        descriptor: &Descriptor,
    ) -> bool {
        let Descriptor { slot, kind, origin, .. } = *descriptor;
        if matches!(slot, Slot::Backend | Slot::Serializer | Slot::Wrapper) {
            return false;
        }
        let Some((plugin, _)) = self.provided.get(&format!("{slot}:{kind}")) else { return false };
        let Some(isolated_at) = self.isolated.get(plugin).filter(|_| plugin == origin) else {
            return false;
        };
        let word = slot_word(slot);
        let message = format!("{word} `{kind}` cannot be used from a process of its own");
        let diagnostic = Diagnostic::error("C0624", message)
            .at(
                kind_node.at.clone(),
                "only backends, serializers and wrappers can be used from there",
            )
            .also(isolated_at.clone(), format!("plugin `{plugin}` runs in one because of this"))
            .path(spot.path.clone())
            .help(format!("remove `isolation` of plugin `{plugin}`, or use another {word} here"));
        self.diagnostics.push(diagnostic);
        true
    }

    /// Whether a kind is missing because its library was refused.
    fn is_of_refused(&self, slot: Slot, kind: &str) -> bool {
        let provided = self.provided.get(&format!("{slot}:{kind}"));
        provided.is_some_and(|(plugin, _)| self.refused.contains(plugin))
    }

    /// The message about a kind that is not registered.
    fn unregistered(&self, slot: Slot, kind: &str, node: &Node) -> Diagnostic {
        let word = slot_word(slot);
        if let Some((plugin, provided_at)) = self.provided.get(&format!("{slot}:{kind}")) {
            let message = format!("{word} `{kind}` comes from a library, which cannot be loaded");
            return Diagnostic::error("C0202", message)
                .at(
                    node.at.clone(),
                    format!(
                        "comes from plugin `{plugin}`; loading libraries is not available in \
                         this build"
                    ),
                )
                .also(provided_at.clone(), format!("plugin `{plugin}` provides it"))
                .note(self.registered_note(slot));
        }
        if let Some(known) = known::find(slot, kind) {
            return self.known_but_missing(known, node);
        }
        if let Some(diagnostic) = self.of_other_slot(slot, kind, node) {
            return diagnostic;
        }
        let message = match kind {
            "" => format!("the kind of a {word} is empty"),
            _ => format!("unknown {word} kind `{kind}`"),
        };
        let label = format!("no {word} plugin of this name is registered");
        let mut diagnostic = Diagnostic::error("C0201", message)
            .at(node.at.clone(), label)
            .note(self.registered_note(slot));
        let registered = self.registry.of_slot(slot);
        let registered = registered.map(|registered| registered.descriptor.kind);
        if let Some(near) = closest(kind, registered) {
            let text = requote(self.sources, &node.at, near);
            let article = if word.starts_with('a') { "an" } else { "a" };
            let message = format!("{article} {word} with a similar name exists");
            diagnostic = diagnostic.fix(Fix::replace(message, node.at.clone(), text));
        } else if let Some(near) = closest(kind, known::of_slot(slot).map(|known| known.kind)) {
            let help = format!("`{near}` has a similar name, and is not part of this program");
            diagnostic = diagnostic.help(help);
        } else if kind.contains('.') {
            diagnostic = diagnostic.help(
                "it is of another vendor: name its crate in code (`use the_crate as _;`), or ask \
                 the program that has it",
            );
        }
        diagnostic
    }

    fn known_but_missing(&self, known: Known, node: &Node) -> Diagnostic {
        let (word, kind, name) = (slot_word(known.slot), known.kind, known.crate_name);
        let kinds = self.registry.of_slot(known.slot);
        let kinds: Vec<&str> = kinds.map(|registered| registered.descriptor.kind).collect();
        let linked = match kinds.len() {
            0 => format!("no {word} is linked into this program"),
            _ => format!(
                "kinds linked into this program: {} (run `larder plugins list`)",
                kinds.join(", ")
            ),
        };
        if !known.is_released {
            let message = format!("{word} `{kind}` is known, but is not available in this build");
            let label = format!("planned for crate `{name}`, which does not have it yet");
            let help = match kinds.len() {
                0 => format!("remove it until a release has `{kind}`"),
                _ => format!("use one of the linked kinds until a release has `{kind}`"),
            };
            return Diagnostic::error("C0202", message)
                .at(node.at.clone(), label)
                .note(linked)
                .help(help);
        }
        let message = format!("{word} `{kind}` is known, but this program was built without it");
        if let Some(feature) = known.feature {
            let label =
                format!("provided by crate `{name}`, with the feature `{feature}` of `larder`");
            let help = format!("turn the feature on:\n    cargo add larder --features {feature}");
            let error = Diagnostic::error("C0202", message);
            return error.at(node.at.clone(), label).note(linked).help(help);
        }
        let label = format!("provided by crate `{name}`, which is not linked");
        let module = name.replace('-', "_");
        Diagnostic::error("C0202", message).at(node.at.clone(), label).note(linked).help(format!(
            "add the crate and link it:\n    cargo add {name}\n    use {module} as _;      \
                 // in main.rs: an unused crate is not linked"
        ))
    }
}

impl PluginUse<'_> {
    /// Which layer chose the plugin.
    pub(super) fn kind_layer(&self) -> &Layer {
        let kind = self.node.find(&["kind".to_owned()]);
        &kind.unwrap_or(self.node).layer
    }

    /// The value of an option.
    pub(super) fn option(&self, name: &str) -> Option<&Json> {
        self.options
            .as_ref()
            .and_then(Json::as_object)
            .and_then(|options: &Map<_, _>| options.get(name))
    }

    /// Where the value of an option stands; the kind when it is not given.
    pub(super) fn option_at(&self, name: &str) -> &Location {
        let path: Vec<String> = name.split('.').map(str::to_owned).collect();
        self.node.find(&path).map_or(&self.kind_at, |node| &node.at)
    }
}
