//! What only one cache may use: directories, key prefixes of a server.

use std::path::{Component, Path, PathBuf};

use larder_core::Resource;

use super::options::Checker;
use super::plugins::PluginUse;
use super::scalars::below;
use super::view::{CacheView, TierView};
use crate::diagnostic::Diagnostic;
use crate::tree::Location;

/// A resource and who uses it.
struct Claim<'v, 'a> {
    view: &'v CacheView<'a>,
    tier: &'v TierView<'a>,
    /// The option that names it.
    option: String,
    at: Location,
    written: String,
    kind: ClaimKind,
}

enum ClaimKind {
    Directory(PathBuf),
    KeyPrefix { connection: String, prefix: String },
}

/// How two claims meet.
enum Overlap {
    Same,
    /// The second lies inside the first, or the other way round.
    Inside,
}

impl<'a> Checker<'a> {
    /// Reports resources that two caches use, or all caches of a pattern.
    pub(super) fn resources(&mut self, views: &[CacheView<'a>]) {
        let mut claims: Vec<Claim<'_, 'a>> = Vec::new();
        for view in views {
            for tier in &view.tiers {
                if let Some(backend) = tier.backend(&self.plugins) {
                    claims.extend(claims_of(view, tier, backend, self));
                }
            }
        }
        let (shared, mut own): (Vec<_>, Vec<_>) =
            claims.into_iter().partition(|claim| claim.view.is_pattern);
        for claim in &shared {
            self.diagnostics.extend(pattern_problem(claim));
        }
        own.sort_by_key(|claim| (claim.at.source, claim.at.span.start));
        for (index, later) in own.iter().enumerate() {
            let mut earlier = own[..index].iter();
            let conflict = earlier.find_map(|first| Some((first, overlap(first, later)?)));
            if let Some((first, overlap)) = conflict {
                self.diagnostics.push(conflict_problem(first, later, &overlap));
            }
        }
    }
}

fn claims_of<'v, 'a>(
    view: &'v CacheView<'a>,
    tier: &'v TierView<'a>,
    backend: &PluginUse<'a>,
    checker: &Checker<'a>,
) -> Vec<Claim<'v, 'a>> {
    let Some(options) = &backend.options else {
        return Vec::new();
    };
    let resources = backend.descriptor.factory.config().resources(options);
    let claim = |resource| {
        let (option, kind) = match resource {
            Resource::Directory { option, path } => (option, ClaimKind::Directory(resolved(&path))),
            Resource::KeyPrefix { option, connection, prefix } => {
                (option, ClaimKind::KeyPrefix { connection, prefix })
            }
            // The caches of a pattern have different names.
            Resource::CacheKeyPrefix { .. } if view.is_pattern => return None,
            Resource::CacheKeyPrefix { option, connection, suffix } => {
                let prefix = format!("{}{suffix}", view.name);
                (option, ClaimKind::KeyPrefix { connection, prefix })
            }
            // A kind of resource that a later version of the core knows.
            _ => return None,
        };
        let at = backend.option_at(&option).clone();
        let written = checker.sources.text(&at).trim_matches(['"', '\'']).to_owned();
        Some(Claim { view, tier, option, at, written, kind })
    };
    resources.into_iter().filter_map(claim).collect()
}

/// The path without `.`, `..` and symlinks; parts that do not exist yet are taken as written.
pub(super) fn resolved(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut resolved = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                resolved.pop();
            }
            other => {
                resolved.push(other);
                // One step at a time, so that `..` leaves the target of a link, not the link.
                if let Ok(target) = std::fs::canonicalize(&resolved) {
                    resolved = target;
                }
            }
        }
    }
    resolved
}

fn overlap(first: &Claim<'_, '_>, second: &Claim<'_, '_>) -> Option<Overlap> {
    match (&first.kind, &second.kind) {
        (ClaimKind::Directory(a), ClaimKind::Directory(b)) if a == b => Some(Overlap::Same),
        (ClaimKind::Directory(a), ClaimKind::Directory(b)) => {
            (a.starts_with(b) || b.starts_with(a)).then_some(Overlap::Inside)
        }
        (
            ClaimKind::KeyPrefix { connection: a, prefix: x },
            ClaimKind::KeyPrefix { connection: b, prefix: y },
        ) if a == b => match x == y {
            true => Some(Overlap::Same),
            false => (x.starts_with(&**y) || y.starts_with(&**x)).then_some(Overlap::Inside),
        },
        _ => None,
    }
}

fn conflict_problem(first: &Claim<'_, '_>, later: &Claim<'_, '_>, overlap: &Overlap) -> Diagnostic {
    let (message, noun) = match (&first.kind, &later.kind, overlap) {
        (ClaimKind::Directory(path), _, Overlap::Same) => {
            let path = path.display();
            (format!("two caches use the same directory `{path}`"), "directory")
        }
        (ClaimKind::Directory(a), ClaimKind::Directory(b), Overlap::Inside) => {
            let (inner, outer) = if a.starts_with(b) { (a, b) } else { (b, a) };
            let (inner, outer) = (inner.display(), outer.display());
            let message =
                format!("cache directory `{inner}` lies inside cache directory `{outer}`");
            (message, "directory")
        }
        (ClaimKind::KeyPrefix { connection, prefix }, _, Overlap::Same) => {
            let message =
                format!("two caches use the same keys of connection `{connection}`: `{prefix}…`");
            (message, "prefix")
        }
        _ => {
            let message = format!(
                "keys of one cache are keys of another: both `{}` and `{}` are prefixes of them",
                first.written, later.written
            );
            (message, "prefix")
        }
    };
    let own = |claim: &Claim<'_, '_>| match first.view.path == later.view.path {
        true => format!("tier `{}` of {}", claim.tier.tier, claim.view.label()),
        false => claim.view.label(),
    };
    let is_hidden = matches!(overlap, Overlap::Same) && first.written != later.written;
    let resolves = match is_hidden {
        true => format!(" (resolves to the same {noun})"),
        false => String::new(),
    };
    let help = match noun {
        "directory" => {
            "give each cache its own directory; they would evict and clear each other's files"
        }
        _ => {
            "give each cache a prefix that no other begins with; clearing one would clear the other"
        }
    };
    let mut diagnostic = Diagnostic::error("C0404", message)
        .at(later.at.clone(), format!("{}{resolves}", own(later)))
        .path(below(&later.tier.path.join("backend"), &later.option))
        .help(help);
    // Both may have inherited the very same text.
    if first.at != later.at {
        diagnostic = diagnostic.also(first.at.clone(), own(first));
    } else {
        diagnostic = diagnostic.note(format!("inherited by {} and {}", own(first), own(later)));
    }
    diagnostic
}

fn pattern_problem(claim: &Claim<'_, '_>) -> Option<Diagnostic> {
    let label = claim.view.label();
    let ClaimKind::Directory(path) = &claim.kind else {
        return None;
    };
    let message =
        format!("all caches of {label} would use the same directory `{}`", path.display());
    let path = below(&claim.tier.path.join("backend"), &claim.option);
    Some(
        Diagnostic::error("C0407", message)
            .at(claim.at.clone(), "only one cache can use a directory")
            .path(path)
            .help("use a backend that keeps nothing in files, or declare each cache by name"),
    )
}
