//! `persist`: memory in front that can be saved, and a file for each cache alone.

use std::path::{Path, PathBuf};

use larder_core::Capabilities;

use super::options::Checker;
use super::resources::resolved;
use super::scalars::absolute;
use super::view::CacheView;
use crate::diagnostic::Diagnostic;
use crate::tree::Location;

/// A cache that is saved.
struct Saved<'v, 'a> {
    view: &'v CacheView<'a>,
    at: &'v Location,
    path: PathBuf,
}

impl<'a> Checker<'a> {
    /// Reports caches that cannot be saved, and files that two caches would write.
    pub(super) fn persist(&mut self, views: &[CacheView<'a>]) {
        let mut all: Vec<Saved<'_, 'a>> = Vec::new();
        for view in views {
            let Some(node) = view.find(&["persist"]).filter(|node| !node.failed) else {
                continue;
            };
            if let Some(diagnostic) = self.unsaveable(views, view, &node.at) {
                self.diagnostics.push(diagnostic);
                continue;
            }
            let Some(option) = view.find(&["persist", "path"]) else { continue };
            let path = option.as_str().and_then(|text| absolute(self.sources, option, text));
            if let Some(path) = path.filter(|_| !option.failed) {
                all.push(Saved { view, at: &option.at, path: resolved(Path::new(&path)) });
            }
        }
        for (index, later) in all.iter().enumerate() {
            let same = |first: &&Saved<'_, 'a>| first.path == later.path;
            if let Some(first) = all[..index].iter().find(same) {
                self.diagnostics.push(one_file(first, later));
            }
        }
    }

    /// Why a cache cannot be saved, if it cannot.
    fn unsaveable(
        &self,
        views: &[CacheView<'a>],
        view: &CacheView<'a>,
        at: &Location,
    ) -> Option<Diagnostic> {
        let label = view.label();
        let error = |message: String, at: &Location, text: &str, help: &str| {
            let diagnostic = Diagnostic::error("C0409", message).at(at.clone(), text);
            Some(diagnostic.path(view.path.join("persist")).help(help))
        };
        if view.is_pattern {
            let message = format!("all caches of {label} would be saved to the same file");
            let help = "remove `persist`, or declare each cache by name";
            return error(message, at, "only one cache can use a file", help);
        }
        let above = views.iter().find_map(|other| {
            let tier = other.tiers.iter().find_map(|tier| tier.cache());
            tier.filter(|(name, _)| *name == view.name).map(|_| other)
        });
        if let Some(above) = above {
            let message =
                format!("{label} cannot be saved, as {} uses it as a tier", above.label());
            let text = "its memory holds bytes for both, not values";
            return error(message, at, text, "give the cache above the `persist`");
        }
        let first = view.tiers.first()?;
        let help = "remove `persist`: it is for `backend = \"memory\"` in front, while files and \
                    servers keep their entries by themselves";
        if first.cache().is_some() {
            let message = format!("{label} has no memory of its own to save");
            return error(message, at, "its first tier is another cache", help);
        }
        let backend = first.backend(&self.plugins)?;
        if backend.descriptor.capabilities.contains(Capabilities::TYPED) {
            return self.plain_file(view, at);
        }
        let message = format!("{label} has no memory in front to save");
        let text = format!("its first tier is `{}`", backend.kind);
        error(message, at, &text, help)
    }

    /// What is wrong with a file in plain of a cache that has a tier that encrypts.
    fn plain_file(&self, view: &CacheView<'a>, at: &Location) -> Option<Diagnostic> {
        if self.cipher_at(&view.path).is_some() {
            return None;
        }
        let in_tier = |tier| Some((tier, self.cipher(view, tier)?));
        let (tier, cipher) = view.tiers.iter().find_map(in_tier)?;
        let (label, tier) = (view.label(), tier.tier);
        let message = format!("{label} would be saved in plain, while its tier `{tier}` encrypts");
        let diagnostic = Diagnostic::error("C0409", message)
            .at(at.clone(), "the serializer of the cache writes this file")
            .also(cipher.kind_at.clone(), format!("tier `{tier}` encrypts"))
            .path(view.path.join("persist"))
            .help("move `encrypt` to the serializer of the cache: its tiers inherit it");
        Some(diagnostic)
    }
}

fn one_file(first: &Saved<'_, '_>, later: &Saved<'_, '_>) -> Diagnostic {
    let message = format!("two caches are saved to the same file `{}`", later.path.display());
    let diagnostic = Diagnostic::error("C0409", message)
        .at(later.at.clone(), later.view.label())
        .path(later.view.path.join("persist").join("path"))
        .help("give each cache its own file; the one that is saved last would be all there is");
    // Both may have inherited the very same text.
    if first.at == later.at {
        let (first, later) = (first.view.label(), later.view.label());
        return diagnostic.note(format!("inherited by {first} and {later}"));
    }
    diagnostic.also(first.at.clone(), first.view.label())
}
