//! Plugin libraries: what the config says about each goes to who loads them, and what is wrong with
//! one comes back to the line that names it.
//!
//! This comes before the options are checked, because it brings the schemas of theirs.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use larder_core::library::{About, Fault, Isolation, LibraryRequest, Refusal, Trust};
use larder_core::{KeyPath, Registry};

use super::environment::{CheckEnvironment, Libraries};
use super::scalars::absolute;
use crate::diagnostic::{Diagnostic, Fix};
use crate::loader::Resolved;
use crate::tree::{Item, Location, Node, Sources, Value};

/// The plugins of a program, with those of the libraries that its config names.
pub(super) struct Loaded<'a> {
    pub(super) registry: Cow<'a, Registry>,
    /// What is wrong with libraries.
    pub(super) diagnostics: Vec<Diagnostic>,
    /// The sections whose libraries were refused.
    pub(super) refused: BTreeSet<String>,
}

/// Loads every library that the config names, as far as the environment allows it.
pub(super) fn load<'a>(
    root: &Node,
    sources: &Sources,
    registry: &'a Registry,
    environment: &CheckEnvironment,
) -> Loaded<'a> {
    let mut loaded = Loaded {
        registry: Cow::Borrowed(registry),
        diagnostics: Vec::new(),
        refused: BTreeSet::new(),
    };
    let plugins = root.find(&["plugins".to_owned()]);
    let items: Vec<&Item> = plugins.and_then(Node::as_table).into_iter().flatten().collect();
    let loader = match &environment.libraries {
        Libraries::Ignored => return loaded,
        Libraries::Unavailable => {
            loaded.diagnostics.extend(items.first().map(|item| unavailable(item)));
            return loaded;
        }
        Libraries::Loaded(loader) => loader,
    };
    for item in items {
        let Some(section) = Section::read(item, sources) else { continue };
        match loader.load(&section.request) {
            Ok(descriptors) => {
                let known = loaded.registry.conflicts().len();
                let registry = loaded.registry.into_owned().with_loaded(&item.key, descriptors);
                let conflicts = registry.conflicts().get(known..).unwrap_or_default();
                let conflicts = conflicts.iter().map(|conflict| {
                    let text = conflict.to_string();
                    let (message, hint) = text.split_once("; hint: ").unwrap_or((&text, ""));
                    let label = "brings a kind that is there already";
                    let taken = Refusal::new(Fault::Taken, message, label).help(hint);
                    section.refusal(sources, &taken)
                });
                loaded.diagnostics.extend(conflicts);
                loaded.registry = Cow::Owned(registry);
            }
            Err(refusal) => {
                loaded.diagnostics.push(section.refusal(sources, &refusal));
                loaded.refused.insert(item.key.clone());
            }
        }
    }
    loaded
}

/// The libraries that a config names, as far as their sections say enough to load one.
#[must_use]
pub fn libraries(resolved: &Resolved) -> Vec<LibraryRequest> {
    let plugins = resolved.root.find(&["plugins".to_owned()]);
    let items = plugins.and_then(Node::as_table).into_iter().flatten();
    let sections = items.filter_map(|item| Section::read(item, &resolved.sources));
    sections.map(|section| section.request).collect()
}

/// A section that says enough to load a library. What is wrong with others is reported when their
/// options are checked.
struct Section<'a> {
    item: &'a Item,
    library: &'a Node,
    provides: &'a Node,
    sha256: Option<&'a Node>,
    signed_by: Option<&'a Node>,
    /// What says where it runs: the runner if it is named, else the isolation.
    isolation: Option<&'a Node>,
    request: LibraryRequest,
}

impl<'a> Section<'a> {
    fn read(item: &'a Item, sources: &Sources) -> Option<Self> {
        let find = |key: &str| item.node.find(&[key.to_owned()]).filter(|node| !node.failed);
        let library = find("library").and_then(of_system)?;
        let path = absolute(sources, library, library.as_str()?)?;
        let provides = find("provides")?;
        let Value::Array(kinds) = &provides.value else { return None };
        let kinds: Option<Vec<&str>> = kinds.iter().map(Node::as_str).collect();
        // A pin that cannot be read is not taken for none, with which the library might be trusted.
        let pinned = item.node.find(&["sha256".to_owned()]);
        if pinned.is_some_and(|node| node.failed || of_this(node).is_some_and(|pin| pin.failed)) {
            return None;
        }
        let sha256 = pinned.and_then(of_system);
        let trust = match (sha256, find("trust").and_then(Node::as_str)) {
            (Some(sha256), _) => Trust::Pin(sha256.as_str()?.to_owned()),
            (None, Some("path")) => Trust::Path,
            (None, _) => Trust::Undecided,
        };
        let signed_by = item.node.find(&["signed_by".to_owned()]);
        let isolation = find("isolation");
        let runner = find("runner");
        let runs_in = match isolation.and_then(Node::as_str) {
            Some("process") => Isolation::Process {
                runner: runner
                    .and_then(|node| absolute(sources, node, node.as_str()?))
                    .map(Into::into),
            },
            _ => Isolation::None,
        };
        let request = LibraryRequest::new(&item.key, path).trust(trust).provides(kinds?);
        let mut request = request.isolation(runs_in);
        // One that cannot be read is not taken for one that is not there.
        request.signed_by = signed_by.map(|node| keys(node).ok_or(())).transpose().ok()?;
        let isolation = runner.or(isolation);
        Some(Self { item, library, provides, sha256, signed_by, isolation, request })
    }

    fn refusal(&self, sources: &Sources, refusal: &Refusal) -> Diagnostic {
        let at = match refusal.fault.about() {
            About::Isolation => self.isolation.map_or(&self.library.at, |node| &node.at),
            About::Name => &self.item.key_at,
            About::Provides => &self.provides.at,
            About::Sha256 => self.sha256.map_or(&self.library.at, |node| &node.at),
            About::SignedBy => self.key(refusal.entry).map_or(&self.library.at, |node| &node.at),
            _ => &self.library.at,
        };
        let mut diagnostic = Diagnostic::error(refusal.fault.code(), refusal.message.as_str())
            .at(at.clone(), refusal.label.as_str())
            .path(KeyPath::from_segments(["plugins", &self.item.key]));
        diagnostic.notes.extend(refusal.notes.iter().cloned());
        diagnostic.help.extend(refusal.help.iter().cloned());
        if refusal.fault == Fault::NotPinned
            && let Some(sha256) = &refusal.sha256
            && let Some(fix) = self.pin(sources, sha256)
        {
            diagnostic = diagnostic.fix(fix);
        }
        diagnostic
    }

    /// The key of this number, or all of them.
    fn key(&self, entry: Option<usize>) -> Option<&'a Node> {
        let all = self.signed_by?;
        match (&all.value, entry) {
            (Value::Array(keys), Some(entry)) => keys.get(entry),
            _ => Some(all),
        }
    }

    /// A line for the hash below that of the library, in its style.
    fn pin(&self, sources: &Sources, sha256: &str) -> Option<Fix> {
        let at = &self.library.at;
        let text = &sources.get(at.source).text;
        let start = text.get(..at.span.start)?.rfind('\n').map_or(0, |newline| newline + 1);
        let line = text.get(start..)?.lines().next()?;
        let indent = &line[..line.len() - line.trim_start().len()];
        // In an inline table, or one per system, it has no line of its own.
        let rest = line.trim_start().strip_prefix("library")?;
        let sign = rest.trim_start().get(..1)?;
        let padding = &rest[..rest.len() - rest.trim_start().len()];
        let key = match sign {
            ":" => "sha256:".to_owned(),
            "=" => format!("{:width$} =", "sha256", width = "library".len() + padding.len() - 1),
            _ => return None,
        };
        let end = text.get(start..)?.find('\n').map(|newline| start + newline + 1)?;
        let edit = Location::new(at.source, end..end);
        let line = format!("{indent}{key} \"{sha256}\"\n");
        Some(Fix::replace("pin the file that is there", edit, line))
    }
}

/// Where the libraries that run in processes of their own say so, by their names.
pub(super) fn isolated(root: &Node) -> BTreeMap<String, Location> {
    let plugins = root.find(&["plugins".to_owned()]);
    let items = plugins.and_then(Node::as_table).into_iter().flatten();
    let isolated = items.filter_map(|item| {
        let isolation = item.node.find(&["isolation".to_owned()])?;
        (isolation.as_str() == Some("process")).then(|| (item.key.clone(), isolation.at.clone()))
    });
    isolated.collect()
}

/// The keys of `signed_by`; `None` if one cannot be read.
fn keys(node: &Node) -> Option<Vec<String>> {
    let nodes = match &node.value {
        Value::Array(nodes) if !node.failed => nodes.as_slice(),
        _ => std::slice::from_ref(node),
    };
    let keys = nodes.iter().map(|node| node.as_str().filter(|_| !node.failed).map(str::to_owned));
    keys.collect()
}

/// The value for this operating system.
fn of_system(node: &Node) -> Option<&Node> {
    match node.as_str() {
        Some(_) => Some(node),
        None => of_this(node).filter(|node| !node.failed),
    }
}

/// What a table says of this operating system.
fn of_this(table: &Node) -> Option<&Node> {
    table.find(&[std::env::consts::OS.to_owned()])
}

fn unavailable(item: &Item) -> Diagnostic {
    let message = "this build does not load libraries, so `plugins` is ignored";
    Diagnostic::warning("W0201", message)
        .at(item.key_at.clone(), "checked, and otherwise ignored")
        .path(KeyPath::from_segments(["plugins", &item.key]))
        .help("turn the feature on:\n    cargo add larder --features dynamic")
}
