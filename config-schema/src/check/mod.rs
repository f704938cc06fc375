//! The checks: from the resolved tree to the [`Config`] that the framework builds from.
//!
//! Every check reports all it finds, and skips what an earlier one refused, so there are no
//! follow-up errors. Nothing here does more I/O than [`CheckEnvironment`] allows.

use std::collections::{BTreeMap, BTreeSet};

use larder_core::{KeyPath, Registry};
use serde_json::Value as Json;

use self::options::{Checker, Spot};
use crate::diagnostic::{Diagnostic, Severity};
use crate::grammar;
use crate::loader::{Part, Resolved};
use crate::model::Config;
use crate::render::{ConfigError, Report};
use crate::shape;
use crate::tree::{Location, Node, Sources};

mod allowed;
mod budget;
mod build;
mod connection;
mod cycles;
mod environment;
mod library;
mod limits;
mod missing;
mod options;
mod persist;
mod plugins;
mod policies;
mod resources;
mod rules;
mod scalars;
mod secrets;
mod staleness;
mod tiers;
mod unknown;
mod view;
mod wording;
mod wrappers;

pub(crate) use self::rules::{MATCH, RULES, rules_of};
pub use connection::connection_problem;
pub use environment::{CheckEnvironment, Libraries};
pub use library::libraries;

/// What came out of the checks.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Checked {
    /// The config; `None` when there is an error.
    pub config: Option<Config>,
    /// All diagnostics, those of the loader as well.
    pub report: Report,
    /// The plugins it was checked against: those of the program, and those of libraries.
    pub registry: Registry,
}

impl Checked {
    /// Adds what was found out by trying the connections of the config that this tree is. The
    /// warnings among them that the config allows are left out.
    pub fn add(&mut self, root: &Node, mut found: Vec<Diagnostic>) {
        found.retain(|diagnostic| !is_accepted(diagnostic, root));
        self.report = std::mem::take(&mut self.report).and(found);
    }

    /// The config, and the warnings about it.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] with all diagnostics when there is an error among them.
    pub fn into_config(self) -> Result<(Config, Report), ConfigError> {
        match self.config {
            Some(config) => Ok((config, self.report)),
            None => Err(self.report.into()),
        }
    }
}

/// Checks a resolved config against the plugins of a program. Loads the libraries that the config
/// names, if the environment has a loader.
#[must_use]
pub fn check(resolved: &Resolved, registry: &Registry, environment: &CheckEnvironment) -> Checked {
    let (root, sources) = (&resolved.root, &resolved.sources);
    let has_loader_errors =
        resolved.diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error);
    let mut loaded = library::load(root, sources, registry, environment);
    let mut checker = Checker::new(sources, &loaded.registry, environment, root);
    checker.refused = std::mem::take(&mut loaded.refused);
    checker.parts(&resolved.parts);
    let json = checker.root(root);
    checker.relations(root, has_loader_errors);
    let mut diagnostics = resolved.diagnostics.clone();
    diagnostics.append(&mut checker.diagnostics);
    diagnostics.append(&mut loaded.diagnostics);
    diagnostics.retain(|diagnostic| !is_accepted(diagnostic, root));
    secrets::by_key(root, false, &mut checker.secrets);
    if root.failed {
        checker.secrets.extend(secrets::by_name(sources));
    }
    let report = Report::new(diagnostics, sources.clone()).hiding(checker.secrets);
    let registry = loaded.registry.into_owned();
    let config = json.filter(|_| !report.has_errors());
    let patterns = root.find(&["patterns".to_owned()]).and_then(Node::as_table);
    let patterns = patterns.into_iter().flatten();
    let patterns: Vec<String> = patterns.map(|item| item.key.clone()).collect();
    match config.map(|json| build::config(json, &patterns)).transpose() {
        Ok(config) => Checked { config, report, registry },
        Err(error) => Checked { config: None, report: with_bug(&report, &error), registry },
    }
}

/// The schema and the typed structs disagree: our mistake, and still no panic.
fn with_bug(report: &Report, error: &serde_json::Error) -> Report {
    let message = format!("the config passed all checks and cannot be decoded: {error}");
    let bug = Diagnostic::error("C0211", message).help("please report this as a bug of Larder");
    let mut diagnostics = report.diagnostics().to_vec();
    diagnostics.push(bug);
    Report::new(diagnostics, report.sources().clone())
}

/// Whether a warning is in `allow` of the file or of its cache.
fn is_accepted(diagnostic: &Diagnostic, root: &Node) -> bool {
    if diagnostic.severity != Severity::Warning {
        return false;
    }
    let allows = |node: &Node| {
        let list = node.find(&["allow".to_owned()]).map(|list| &list.value);
        let Some(crate::tree::Value::Array(items)) = list else {
            return false;
        };
        items.iter().any(|item| item.as_str() == Some(diagnostic.code))
    };
    let cache = diagnostic.path.as_ref().map(KeyPath::segments);
    let cache = cache.and_then(|path| path.get(..2));
    allows(root) || cache.and_then(|path| root.find(path)).is_some_and(allows)
}

impl<'a> Checker<'a> {
    fn new(
        sources: &'a Sources,
        registry: &'a Registry,
        environment: &'a CheckEnvironment,
        root: &Node,
    ) -> Self {
        Self {
            sources,
            registry,
            environment,
            provided: provided(root),
            refused: BTreeSet::new(),
            isolated: library::isolated(root),
            diagnostics: Vec::new(),
            secrets: Vec::new(),
            plugins: Vec::new(),
            is_partial: false,
        }
    }

    /// Checks every option.
    fn root(&mut self, root: &'a Node) -> Option<Json> {
        let path = KeyPath::root();
        let spot = Spot { node: root, path: &path, key_at: None };
        self.value(spot, grammar::schema(), None)
    }

    /// Checks defaults and templates, of which nothing is required. They come first: the report
    /// drops what caches inherit from them.
    fn parts(&mut self, parts: &'a [Part]) {
        self.is_partial = true;
        for part in parts {
            let section = part.path.segments().first().map_or("", String::as_str);
            let schema = shape::child(grammar::schema(), section);
            let schema = match section {
                "defaults" => schema,
                _ => schema.and_then(|all| shape::child(all, "NAME")),
            };
            if let Some(schema) = schema {
                let spot = Spot { node: &part.node, path: &part.path, key_at: None };
                self.value(spot, schema, None);
                secrets::by_key(&part.node, false, &mut self.secrets);
            }
        }
        self.is_partial = false;
    }

    /// Checks what options have to do with each other.
    fn relations(&mut self, root: &'a Node, has_loader_errors: bool) {
        let views = view::caches(root);
        self.allowed(root, &views);
        self.tiers(&views, has_loader_errors);
        self.cycles(&views);
        self.connections(root, has_loader_errors);
        self.policies(&views);
        self.encrypted(&views);
        self.resources(&views);
        self.persist(&views);
        self.staleness(&views);
        self.rules(&views);
        self.limits(&views);
        self.budget(&views);
    }
}

/// Which entry of `plugins` says that it provides a `slot:kind`.
fn provided(root: &Node) -> BTreeMap<String, (String, Location)> {
    let mut provided = BTreeMap::new();
    let plugins = root.find(&["plugins".to_owned()]);
    for item in plugins.and_then(Node::as_table).into_iter().flatten() {
        let list = item.node.find(&["provides".to_owned()]);
        let Some(crate::tree::Value::Array(kinds)) = list.map(|list| &list.value) else {
            continue;
        };
        for kind in kinds {
            if let Some(name) = kind.as_str() {
                provided.insert(name.to_owned(), (item.key.clone(), kind.at.clone()));
            }
        }
    }
    provided
}
