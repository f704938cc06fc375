//! Tiers: each has exactly one source, and none is left out below another.

use larder_core::Tier;

use super::options::Checker;
use super::scalars::requote;
use super::view::{CacheView, TierView};
use crate::diagnostic::{Diagnostic, Fix};
use crate::suggest::closest;

impl<'a> Checker<'a> {
    /// Checks the tiers of every cache. After errors of the loader a tier may be missing only
    /// because a template could not be applied, so then nothing is said about missing ones.
    pub(super) fn tiers(&mut self, views: &[CacheView<'a>], has_loader_errors: bool) {
        for view in views {
            if !has_loader_errors {
                self.missing_tiers(view);
            }
            for tier in &view.tiers {
                self.source_of(view, tier, has_loader_errors);
                self.known_cache(views, view, tier);
            }
        }
    }

    fn missing_tiers(&mut self, view: &CacheView<'a>) {
        let at = view.item.key_at.clone();
        let table = view.item.node.as_table();
        // A tier that is no table has been reported, and is not missing.
        let is_written = |tier: Tier| table.is_some_and(|table| table.get(tier.as_str()).is_some());
        if view.tiers.is_empty() {
            if Tier::ALL.into_iter().any(is_written) {
                return;
            }
            let message = format!("{} has no tier to keep entries in", view.label());
            self.diagnostics.push(
                Diagnostic::error("C0208", message)
                    .at(at, "`l1` missing in this table and in everything it inherits")
                    .path(view.path.join("l1"))
                    .help("say where entries are kept, for example `backend = \"memory\"`"),
            );
            return;
        }
        for pair in [[Tier::L1, Tier::L2], [Tier::L2, Tier::L3]] {
            let has = |wanted| view.tiers.iter().find(|tier| tier.tier == wanted);
            if let (None, false, Some(lower)) = (has(pair[0]), is_written(pair[0]), has(pair[1])) {
                let (upper, label) = (pair[0], view.label());
                let message = format!("{label} has tier `{}` without `{upper}`", lower.tier);
                let lower_at = lower.key_at.clone();
                self.diagnostics.push(
                    Diagnostic::error("C0407", message)
                        .at(lower_at, format!("there is no `{upper}` above it"))
                        .path(lower.path.clone())
                        .help(format!("rename it to `{upper}`, or add a tier `{upper}`")),
                );
            }
        }
    }

    fn source_of(&mut self, view: &CacheView<'a>, tier: &TierView<'a>, has_loader_errors: bool) {
        match (tier.get("backend"), tier.get("cache")) {
            (Some(backend), Some(cache)) if tier.path != view.path => {
                let message = format!(
                    "tier `{}` of {} has both a backend and a cache",
                    tier.tier,
                    view.label()
                );
                self.diagnostics.push(
                    Diagnostic::error("C0407", message)
                        .at(cache.key_at.clone(), "a tier is another cache …")
                        .also(backend.key_at.clone(), "… or has a backend of its own")
                        .path(tier.path.clone())
                        .help(
                            "remove one of them; `unset = [\"backend\"]` removes an inherited one",
                        ),
                );
            }
            (None, None) if !has_loader_errors => {
                let message = format!("tier `{}` of {} has no backend", tier.tier, view.label());
                self.diagnostics.push(
                    Diagnostic::error("C0208", message)
                        .at(
                            tier.key_at.clone(),
                            "`backend` missing in this table and in everything it inherits",
                        )
                        .path(tier.path.join("backend"))
                        .help("add `backend`, or `cache` to use another cache as this tier"),
                );
            }
            _ => {}
        }
    }

    fn known_cache(&mut self, views: &[CacheView<'a>], view: &CacheView<'a>, tier: &TierView<'a>) {
        let Some((name, at)) = tier.cache() else {
            return;
        };
        let caches = || views.iter().filter(|other| !other.is_pattern);
        if tier.path == view.path || caches().any(|other| other.name == name) {
            return;
        }
        let names: Vec<String> = caches()
            .map(|other| format!("{} ({})", other.name, self.sources.place(&other.item.key_at)))
            .collect();
        let mut diagnostic = Diagnostic::error("C0402", format!("unknown cache `{name}`"))
            .at(at.clone(), "")
            .path(tier.path.join("cache"))
            .note(format!("caches: {}", names.join(", ")));
        let others = caches().map(|other| other.name).filter(|other| *other != view.name);
        if let Some(near) = closest(name, others) {
            let text = requote(self.sources, at, near);
            let fix = Fix::replace(format!("did you mean `{near}`?"), at.clone(), text);
            diagnostic = diagnostic.fix(fix);
        }
        self.diagnostics.push(diagnostic);
    }
}
