//! Eviction policies only go where something evicts.

use larder_core::{Capabilities, Slot};

use super::options::Checker;
use super::view::{CacheView, TierView};
use crate::diagnostic::Diagnostic;
use crate::tree::Layer;

impl<'a> Checker<'a> {
    /// Reports policies on backends that take none.
    pub(super) fn policies(&mut self, views: &[CacheView<'a>]) {
        for view in views {
            for tier in &view.tiers {
                if let Some(diagnostic) = self.misplaced_policy(view, tier) {
                    self.diagnostics.push(diagnostic);
                }
            }
        }
    }

    fn misplaced_policy(&self, view: &CacheView<'a>, tier: &TierView<'a>) -> Option<Diagnostic> {
        let policy = tier.get("policy").filter(|policy| !policy.node.failed)?;
        let backend = tier.backend(&self.plugins)?;
        if backend.descriptor.capabilities.contains(Capabilities::POLICY) {
            return None;
        }
        let kind = &backend.kind;
        let is_shared = backend.descriptor.capabilities.contains(Capabilities::SHARED);
        let label = if is_shared {
            format!("`{kind}` evicts on the server; this setting would do nothing")
        } else {
            format!("`{kind}` decides by itself; this setting would do nothing")
        };
        let origin = match backend.kind_layer() {
            Layer::Template(template, _) => format!(" from template `{template}`"),
            Layer::Defaults => " from `defaults`".to_owned(),
            _ => String::new(),
        };
        let gets = format!("tier `{}` of `{}` gets this backend{origin}", tier.tier, view.name);
        let help = match kind.as_str() {
            "redis" => {
                "remove the line, and set `maxmemory-policy allkeys-lru` on the Redis server \
                 instead"
            }
            _ => "remove the line",
        };
        let message = format!("backend `{kind}` does not take an eviction policy");
        let diagnostic = Diagnostic::error("C0403", message)
            .at(policy.node.at.clone(), label)
            .also(backend.kind_at.clone(), gets)
            .path(tier.path.join("policy"))
            .help(help);
        let takers: Vec<&str> = self
            .registry
            .of_slot(Slot::Backend)
            .map(|registered| registered.descriptor)
            .filter(|backend| backend.capabilities.contains(Capabilities::POLICY))
            .map(|backend| backend.kind)
            .collect();
        Some(match takers.len() {
            0 => diagnostic,
            _ => diagnostic.note(format!("backends that take a policy: {}", takers.join(", "))),
        })
    }
}
