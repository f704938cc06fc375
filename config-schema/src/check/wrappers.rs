//! What stands around a serializer: wrappers, each in the option of its role.

use larder_core::plugin::Factory;
use larder_core::{Descriptor, KeyPath, Role, Slot};
use serde_json::{Map, Value as Json};

use super::options::{Checker, Spot};
use super::plugins::PluginUse;
use super::view::{CacheView, TierView};
use crate::diagnostic::{Diagnostic, Fix};
use crate::grammar;
use crate::known::slot_word;
use crate::shape;
use crate::tree::{Item, Node};

impl<'a> Checker<'a> {
    /// Takes the options of wrapping out of those of a serializer: the options of the plugin
    /// itself, and those of wrapping.
    pub(super) fn split(
        &mut self,
        spot: Spot<'a, '_>,
        items: &[&'a Item],
        slot: Slot,
        options: Json,
    ) -> Option<(Json, Json)> {
        let Json::Object(mut options) = options else {
            return Some((options, Json::Null));
        };
        let mut wrapping = Map::new();
        if slot == Slot::Serializer {
            for (name, _) in shape::properties(grammar::wrapping()) {
                wrapping.extend(options.remove_entry(name));
            }
            if !self.is_partial && self.is_limit_alone(spot, items) {
                return None;
            }
        }
        Some((Json::Object(options), Json::Object(wrapping)))
    }

    /// Reports a least size of what is compressed where nothing compresses.
    fn is_limit_alone(&mut self, spot: Spot<'a, '_>, items: &[&'a Item]) -> bool {
        let find = |name: &str| items.iter().find(|item| item.key == name);
        let (Some(limit), None) = (find("compress_min"), find("compress")) else {
            return false;
        };
        let kinds = self.kinds_of(Role::Compress);
        let kind = kinds.first().copied().unwrap_or("…");
        let message = "`compress_min` is set, and nothing compresses";
        let mut diagnostic = Diagnostic::error("C0408", message)
            .at(limit.key_at.clone(), "this setting would do nothing")
            .path(spot.path.join("compress_min"))
            .help(format!("add `compress = \"{kind}\"`, or remove the line"));
        if !kinds.is_empty() {
            diagnostic = diagnostic.note(format!("wrappers that compress: {}", kinds.join(", ")));
        }
        self.diagnostics.push(diagnostic);
        true
    }

    /// Reports a wrapper in the option of another role.
    pub(super) fn is_misplaced(
        &mut self,
        spot: Spot<'a, '_>,
        kind_node: &Node,
        descriptor: &Descriptor,
        option: Role,
    ) -> bool {
        let Factory::Wrapper(role, _) = descriptor.factory else {
            return false;
        };
        if role == option {
            return false;
        }
        let kind = descriptor.kind;
        let message = format!("wrapper `{kind}` {}, so it does not go into `{option}`", verb(role));
        let kinds = self.kinds_of(option);
        let mut diagnostic = Diagnostic::error("C0408", message)
            .at(kind_node.at.clone(), format!("this one {}", verb(role)))
            .path(spot.path.clone());
        if !kinds.is_empty() {
            let note = format!("wrappers for `{option}`: {}", kinds.join(", "));
            diagnostic = diagnostic.note(note);
        }
        // Only the short form can be renamed: a table may have its header elsewhere.
        diagnostic = match spot.key_at.filter(|_| spot.node.as_str().is_some()) {
            Some(key_at) if self.sources.text(key_at) == option.as_str() => {
                let message = format!("write `{role} = \"{kind}\"`");
                diagnostic.fix(Fix::replace(message, key_at.clone(), role.as_str()))
            }
            _ => diagnostic.help(format!("write it as option `{role}`")),
        };
        self.diagnostics.push(diagnostic);
        true
    }

    /// Reports tiers that would store plain values in a cache that encrypts its own.
    pub(super) fn encrypted(&mut self, views: &[CacheView<'a>]) {
        for view in views {
            for tier in &view.tiers {
                let Some((name, at)) = tier.cache() else {
                    continue;
                };
                let below = views.iter().find(|below| !below.is_pattern && below.name == name);
                let cipher = below
                    .and_then(|below| below.tiers.iter().find_map(|tier| self.cipher(below, tier)));
                let Some(cipher) = cipher.filter(|_| self.cipher(view, tier).is_none()) else {
                    continue;
                };
                let message = format!(
                    "tier `{}` of {} would store plain values in cache `{name}`, which encrypts",
                    tier.tier,
                    view.label()
                );
                let diagnostic = Diagnostic::error("C0407", message)
                    .at(at.clone(), "a cache that serves as this tier")
                    .also(cipher.kind_at.clone(), format!("`{name}` encrypts its own values"))
                    .path(tier.path.join("serializer"))
                    .help(
                        "give both the same `encrypt`, in the serializer of the tier or for all \
                         caches in `[defaults]`",
                    );
                self.diagnostics.push(diagnostic);
            }
        }
    }

    /// What encrypts the values of a tier.
    pub(super) fn cipher(
        &self,
        view: &CacheView<'a>,
        tier: &TierView<'a>,
    ) -> Option<&PluginUse<'a>> {
        let own = tier.get("serializer").map(|_| &tier.path);
        self.cipher_at(own.unwrap_or(&view.path))
    }

    /// What the serializer of a cache or a tier encrypts with.
    pub(super) fn cipher_at(&self, path: &KeyPath) -> Option<&PluginUse<'a>> {
        let path = path.join("serializer").join(Role::Encrypt.as_str());
        self.plugins.iter().find(|plugin| plugin.path == path)
    }

    /// The message about a wrapper that stands for a serializer, or the other way round.
    pub(super) fn of_other_slot(&self, slot: Slot, kind: &str, node: &Node) -> Option<Diagnostic> {
        let other = match slot {
            Slot::Serializer => Slot::Wrapper,
            Slot::Wrapper => Slot::Serializer,
            _ => return None,
        };
        let found = self.registry.find(other, kind)?.descriptor;
        let (message, help) = match found.factory {
            Factory::Wrapper(role, _) => (
                format!("`{kind}` is no serializer: it {} what one writes", verb(role)),
                format!(
                    "write `{role} = \"{kind}\"` beside the kind of a serializer: \
                     `serializer = {{ kind = \"{}\", {role} = \"{kind}\" }}`",
                    self.any_serializer()
                ),
            ),
            _ => (
                format!("`{kind}` is a serializer, and no wrapper around one"),
                format!("name it as the kind: `serializer = {{ kind = \"{kind}\" }}`"),
            ),
        };
        let label = format!("a {}", slot_word(other));
        Some(Diagnostic::error("C0408", message).at(node.at.clone(), label).help(help))
    }

    /// A serializer for examples, the usual one if it is there.
    fn any_serializer(&self) -> &'static str {
        let usual = self.registry.find(Slot::Serializer, "messagepack");
        let any = || self.registry.of_slot(Slot::Serializer).next();
        usual.or_else(any).map_or("…", |registered| registered.descriptor.kind)
    }

    /// The wrappers of a role, sorted.
    pub(super) fn kinds_of(&self, role: Role) -> Vec<&'static str> {
        let wrappers = self.registry.of_slot(Slot::Wrapper).map(|one| one.descriptor);
        let fitting = wrappers
            .filter(|wrapper| matches!(wrapper.factory, Factory::Wrapper(own, _) if own == role));
        fitting.map(|wrapper| wrapper.kind).collect()
    }
}

/// What a wrapper of a role does.
const fn verb(role: Role) -> &'static str {
    match role {
        Role::Compress => "compresses",
        Role::Encrypt => "encrypts",
        Role::Encode => "encodes",
    }
}
