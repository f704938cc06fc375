//! Connections: the ones that plugins name exist, and how it reads when one cannot be used.

use larder_core::{KeyPath, Problem};

use super::options::Checker;
use super::scalars::requote;
use crate::diagnostic::{Diagnostic, Fix, Severity};
use crate::suggest::closest;
use crate::tree::{Item, Location, Node, Sources};

/// The option by which plugins name a connection.
const OPTION: &str = "connection";

/// Options of a connection stand below `connections.NAME`.
const CONNECTION_DEPTH: usize = 2;

impl<'a> Checker<'a> {
    /// Checks that every connection that a plugin names exists. After errors of the loader a
    /// connection may be missing only because its file could not be read.
    pub(super) fn connections(&mut self, root: &'a Node, has_loader_errors: bool) {
        let known: Vec<&Item> = connections(root).collect();
        let mut diagnostics = Vec::new();
        for plugin in &self.plugins {
            let Some(item) = plugin.node.as_table().and_then(|table| table.get(OPTION)) else {
                continue;
            };
            let (Some(name), at) = (item.node.as_str(), &item.node.at) else {
                continue;
            };
            let exists = known.iter().any(|item| item.key == name);
            if exists || item.node.failed || (known.is_empty() && has_loader_errors) {
                continue;
            }
            let mut diagnostic = Diagnostic::error("C0402", format!("unknown connection `{name}`"))
                .at(at.clone(), "")
                .path(plugin.path.join(OPTION))
                .note(self.list(&known));
            if let Some(near) = closest(name, known.iter().map(|item| &*item.key)) {
                let text = requote(self.sources, at, near);
                let fix = Fix::replace(format!("did you mean `{near}`?"), at.clone(), text);
                diagnostic = diagnostic.fix(fix);
            }
            diagnostics.push(diagnostic);
        }
        self.diagnostics.append(&mut diagnostics);
    }

    fn list(&self, known: &[&Item]) -> String {
        if known.is_empty() {
            return "there are no connections; add one as `[connections.NAME]`".to_owned();
        }
        let mut names: Vec<String> = known
            .iter()
            .map(|item| format!("{} ({})", item.key, self.sources.place(&item.key_at)))
            .collect();
        names.sort();
        format!("connections: {}", names.join(", "))
    }
}

fn connections(root: &Node) -> impl Iterator<Item = &Item> {
    let section = root.find(&["connections".to_owned()]);
    section.and_then(Node::as_table).into_iter().flatten()
}

/// The diagnostic for what a connection says when it is tried, as `larder check --online` does: an
/// error when it cannot be used, else a warning.
#[must_use]
pub fn connection_problem(
    root: &Node,
    sources: &Sources,
    connection: &str,
    problem: &Problem,
    severity: Severity,
) -> Diagnostic {
    let message = format!("connection `{connection}`: {}", problem.message);
    let diagnostic = match severity {
        Severity::Error => Diagnostic::error("C0501", message),
        Severity::Warning => Diagnostic::warning("W0501", message),
    };
    let mut diagnostic = diagnostic.path(problem.path.clone());
    if let Some(item) = connections(root).find(|item| item.key == connection) {
        let at = place(item, sources, problem);
        diagnostic = diagnostic.at(at.clone(), problem.label.as_deref().unwrap_or_default());
    }
    let uses = uses(root, connection);
    if !uses.is_empty() {
        diagnostic = diagnostic.note(format!("used by: {}", uses.join(", ")));
    }
    if severity == Severity::Error {
        diagnostic = diagnostic.note("no server is asked without `--online`");
    }
    match &problem.help {
        Some(help) => diagnostic.help(help.as_str()),
        None => diagnostic,
    }
}

/// The option that a problem is about, or the part of it that the config has; else the connection.
fn place<'a>(item: &'a Item, sources: &Sources, problem: &Problem) -> &'a Location {
    let below = problem.path.segments().get(CONNECTION_DEPTH..).unwrap_or_default();
    let mut depths = (1..=below.len()).rev();
    let option = depths.find_map(|depth| item.node.find(&below[..depth]));
    match option {
        // An address may hold a password, and what was interpolated may not be shown at all.
        Some(node) if node.reference.is_none() && !sources.text(&node.at).contains('@') => &node.at,
        _ => &item.key_at,
    }
}

/// Which parts of which caches name a connection, such as `products.l2`.
fn uses(root: &Node, connection: &str) -> Vec<String> {
    let mut uses = Vec::new();
    let caches = root.find(&["caches".to_owned()]);
    for item in caches.and_then(Node::as_table).into_iter().flatten() {
        let path = KeyPath::from_segments([&item.key]);
        collect_uses(&item.node, connection, &path, &mut uses);
    }
    uses
}

fn collect_uses(node: &Node, connection: &str, path: &KeyPath, uses: &mut Vec<String>) {
    let Some(table) = node.as_table() else {
        return;
    };
    for item in table {
        if item.key == OPTION && item.node.as_str() == Some(connection) {
            let tier = path.parent().filter(|_| path.last() == Some("backend"));
            uses.push(tier.as_ref().unwrap_or(path).to_string());
        }
        collect_uses(&item.node, connection, &path.join(&*item.key), uses);
    }
}
