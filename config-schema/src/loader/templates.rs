//! Which templates a cache is made of, in which order.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::merge::{names_of, no_name, set_layer};
use crate::diagnostic::{Diagnostic, Fix};
use crate::parse::quoted_like;
use crate::suggest::closest;
use crate::tree::{Layer, Location, Node, Sources};

/// How many templates may be reached one through the other.
const MAX_DEPTH: usize = 32;

/// A template: what every layer says about it, in order.
#[derive(Debug)]
pub(super) struct Template {
    /// Where it is defined.
    pub(super) key_at: Location,
    /// The tables.
    pub(super) bodies: Vec<Node>,
}

/// All templates of a config.
pub(super) struct Templates<'a> {
    by_name: BTreeMap<String, Template>,
    /// Those that reach themselves; what extends one cannot be resolved.
    cyclic: BTreeSet<String>,
    sources: &'a Sources,
}

/// The bodies to lay over each other, and whether some could not be found.
#[derive(Default)]
pub(super) struct Chain {
    /// The bodies, marked with their layer.
    pub(super) bodies: Vec<Node>,
    /// Whether a template is missing.
    pub(super) is_broken: bool,
    seen: HashSet<String>,
}

impl<'a> Templates<'a> {
    /// Checks that every template can be resolved, also those that nobody extends.
    pub(super) fn new(
        by_name: BTreeMap<String, Template>,
        sources: &'a Sources,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Self {
        let mut templates = Self { by_name, cyclic: BTreeSet::new(), sources };
        let mut done = HashSet::new();
        for name in templates.by_name.keys().cloned().collect::<Vec<_>>() {
            templates.find_cycles(&name, &mut Vec::new(), &mut done, diagnostics);
        }
        templates
    }

    /// The bodies that `extends` stands for: every template after its own, none twice.
    pub(super) fn chain(&self, extends: &Node, diagnostics: &mut Vec<Diagnostic>) -> Chain {
        let mut chain = Chain::default();
        self.extend(&mut chain, extends, &[], diagnostics);
        chain
    }

    fn extend(
        &self,
        chain: &mut Chain,
        extends: &Node,
        via: &[String],
        diagnostics: &mut Vec<Diagnostic>,
    ) {
        let Some(names) = names_of(extends) else {
            chain.is_broken = true;
            diagnostics.push(
                Diagnostic::error("C0306", "`extends` must name templates")
                    .at(no_name(extends).at.clone(), no_name(extends).value.describe())
                    .help("write a name such as `\"hot\"`, or a list of names"),
            );
            return;
        };
        for node in names {
            let name = node.as_str().unwrap_or_default();
            let Some(template) = self.by_name.get(name) else {
                chain.is_broken = true;
                diagnostics.push(self.unknown(name, &node.at));
                continue;
            };
            chain.is_broken |= self.cyclic.contains(name) || via.len() >= MAX_DEPTH;
            if via.len() >= MAX_DEPTH || !chain.seen.insert(name.to_owned()) {
                continue;
            }
            if let Some(extends) = extends_of(&template.bodies) {
                let mut inner = vec![name.to_owned()];
                inner.extend_from_slice(via);
                self.extend(chain, extends, &inner, diagnostics);
            }
            let layer = Layer::Template(name.to_owned(), via.to_vec());
            for body in &template.bodies {
                let mut body = body.clone();
                set_layer(&mut body, &layer);
                chain.bodies.push(body);
            }
        }
    }

    fn unknown(&self, name: &str, at: &Location) -> Diagnostic {
        let diagnostic =
            Diagnostic::error("C0402", format!("unknown template `{name}`")).at(at.clone(), "");
        if self.by_name.is_empty() {
            return diagnostic.note("there are no templates");
        }
        let all: Vec<String> = self
            .by_name
            .iter()
            .map(|(name, template)| format!("{name} ({})", self.sources.place(&template.key_at)))
            .collect();
        let diagnostic = diagnostic.note(format!("templates: {}", all.join(", ")));
        let Some(similar) = closest(name, self.by_name.keys().map(String::as_str)) else {
            return diagnostic;
        };
        let text = quoted_like(self.sources.text(at), similar);
        let fix = Fix::replace(format!("did you mean `{similar}`?"), at.clone(), text);
        diagnostic.fix(fix)
    }

    /// Follows `extends` from a template; `path` holds how it was reached.
    fn find_cycles(
        &mut self,
        name: &str,
        path: &mut Vec<(String, Location)>,
        done: &mut HashSet<String>,
        diagnostics: &mut Vec<Diagnostic>,
    ) {
        let Some(extends) = self.by_name.get(name).and_then(|t| extends_of(&t.bodies)) else {
            return;
        };
        if done.contains(name) {
            return;
        }
        let Some(names) = names_of(extends) else {
            self.extend(&mut Chain::default(), &extends.clone(), &[], diagnostics);
            done.insert(name.to_owned());
            return;
        };
        let next: Vec<(String, Location)> = names
            .iter()
            .map(|node| (node.as_str().unwrap_or_default().to_owned(), node.at.clone()))
            .collect();
        for (target, at) in next {
            if !self.by_name.contains_key(&target) {
                diagnostics.push(self.unknown(&target, &at));
                continue;
            }
            path.push((name.to_owned(), at.clone()));
            if let Some(start) = path.iter().position(|(step, _)| *step == target) {
                let cycle = &path[start..];
                self.cyclic.extend(cycle.iter().map(|(step, _)| step.clone()));
                diagnostics.push(cycle_diagnostic(cycle));
            } else if path.len() > MAX_DEPTH {
                diagnostics.push(
                    Diagnostic::error("C0402", "templates extend each other too deeply")
                        .at(at, format!("more than {MAX_DEPTH} templates one through the other")),
                );
            } else {
                self.find_cycles(&target, path, done, diagnostics);
            }
            path.pop();
        }
        done.insert(name.to_owned());
    }
}

/// What the last layer that has an opinion extends.
pub(super) fn extends_of(bodies: &[Node]) -> Option<&Node> {
    bodies.iter().rev().find_map(|body| Some(&body.as_table()?.get("extends")?.node))
}

/// Each step is a template and where it names the next.
fn cycle_diagnostic(cycle: &[(String, Location)]) -> Diagnostic {
    let names: Vec<&str> =
        cycle.iter().chain(cycle.first()).map(|(name, _)| name.as_str()).collect();
    let message = format!("templates extend each other in a cycle: {}", names.join(" → "));
    let mut diagnostic = Diagnostic::error("C0402", message)
        .help("move what they share into a template of its own that extends neither");
    for (index, (name, at)) in cycle.iter().enumerate() {
        let text = format!("`{name}` extends `{}`", names[index + 1]);
        diagnostic = if index == 0 {
            diagnostic.at(at.clone(), text)
        } else {
            diagnostic.also(at.clone(), text)
        };
    }
    diagnostic
}
