//! An in-process tier over a shared one hears of no changes that other processes make.
//!
//! Shared is what is reached over a connection: there a backplane can tell the other processes. The
//! processes that share a directory have nothing to tell each other with, so a warning would be no
//! help to anybody.

use larder_core::{Capabilities, Life, Slot};

use super::options::Checker;
use super::view::CacheView;
use crate::diagnostic::Diagnostic;
use crate::shape;
use crate::tree::{Item, Location};

impl<'a> Checker<'a> {
    /// Warns of in-process tiers over shared ones without a backplane.
    pub(super) fn staleness(&mut self, views: &[CacheView<'a>]) {
        for view in views {
            if let Some(diagnostic) = self.unheard_changes(view) {
                self.diagnostics.push(diagnostic);
            }
        }
    }

    fn unheard_changes(&self, view: &CacheView<'a>) -> Option<Diagnostic> {
        let is_shared = |tier: &&_| is_shared(tier, self);
        let (first, below) = view.tiers.split_first()?;
        let shared = below.iter().find(is_shared)?;
        let is_private = first.backend(&self.plugins).is_some_and(|backend| {
            !backend.descriptor.capabilities.intersects(Capabilities::SHARED)
        });
        if !is_private || view.find(&["invalidation", "backplane"]).is_some() {
            return None;
        }
        let message = format!(
            "`{}` keeps an in-process tier over a shared one without a backplane",
            view.name
        );
        let life = match view.find(&["l1", "ttl"]) {
            Some(ttl) => Some((ttl, "l1.ttl")),
            None => view.find(&["ttl"]).map(|ttl| (ttl, "ttl")),
        };
        let life = life.and_then(|(ttl, name)| Some((ttl.as_str()?, name)));
        let bound = match life.map(|(ttl, name)| (ttl.parse(), ttl, name)) {
            Some((Ok(Life::For(_)), ttl, name)) => {
                format!("reads may be up to {ttl} old ({name})")
            }
            // What is wrong with it is said elsewhere.
            Some((Err(_), _, name)) => format!("reads may be as old as `{name}` lets them be"),
            Some((Ok(_), ..)) | None => {
                "reads may be old without limit: there is no ttl".to_owned()
            }
        };
        let mut diagnostic = Diagnostic::warning("W0401", message).path(view.path.clone());
        let invalidation = view.item.node.as_table()?.get("invalidation");
        diagnostic = match invalidation {
            Some(item) => diagnostic
                .at(whole(item), "no `backplane`: other processes do not hear of changes")
                .also(view.item.key_at.clone(), bound),
            None => diagnostic.at(view.item.key_at.clone(), bound),
        };
        let connection = shared.backend(&self.plugins);
        let connection = connection.and_then(|backend| backend.option("connection")?.as_str());
        let backplane = self.registry.of_slot(Slot::Invalidator).next();
        let help = match (backplane, connection) {
            (Some(backplane), Some(connection)) => format!(
                "add `backplane = {{ kind = \"{}\", connection = \"{connection}\" }}`, or \
                 `allow = [\"W0401\"]` to accept it",
                backplane.descriptor.kind
            ),
            _ => "no backplane is available in this build: keep `l1.ttl` short, and accept that \
                  with `allow = [\"W0401\"]`"
                .to_owned(),
        };
        Some(diagnostic.help(help))
    }
}

/// Whether a tier keeps its entries with others behind a connection.
fn is_shared(tier: &super::view::TierView<'_>, checker: &Checker<'_>) -> bool {
    tier.backend(&checker.plugins).is_some_and(|backend| {
        let schema = backend.descriptor.factory.config().schema().to_value();
        backend.descriptor.capabilities.contains(Capabilities::SHARED)
            && shape::properties(&schema).any(|(name, _)| name == "connection")
    })
}

/// A key and its value.
fn whole(item: &Item) -> Location {
    let (key, value) = (&item.key_at, &item.node.at);
    if key.source == value.source && key.span.start <= value.span.start {
        Location::new(key.source, key.span.start..value.span.end.max(key.span.end))
    } else {
        key.clone()
    }
}
