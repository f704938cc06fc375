//! From files, variables and arguments to one resolved tree.
//!
//! The stages: read and parse every file, put the files together, lay the layers over each other
//! per cache, apply overrides, and put variables and secret files in place of references. Each
//! stage collects what is wrong, and only a file that cannot be read or parsed stops the next
//! ones, because half a config would be full of follow-up errors.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::path::PathBuf;

use figment::{Figment, Provider};
use larder_core::KeyPath;

use self::assemble::{Layers, assemble};
use self::combine::combine;
use self::interpolate::Interpolation;
use self::read::Files;
use crate::diagnostic::{Diagnostic, Severity};
use crate::parse::Format;
use crate::suggest::closest;
use crate::tree::{Location, Node, Source, SourceId, SourceKind, Sources, Table, Value};

mod assemble;
mod assignment;
mod combine;
mod glob;
mod interpolate;
mod merge;
mod overrides;
mod owner;
mod profile;
mod provider;
mod read;
mod reference;
mod templates;

#[cfg(test)]
mod tests;

/// The variable that picks the profile when nobody else did.
const PROFILE_VARIABLE: &str = "LARDER_PROFILE";

/// Collects where a config comes from, and resolves it.
///
/// Nothing is read from the process: without [`environment`](Self::environment) there are no
/// variables.
///
/// ```
/// use larder_config::loader::Loader;
/// use larder_config::parse::Format;
///
/// let text = "[defaults]\nttl = '1h'\n[caches.users]\nl1.backend = 'memory'\n";
/// let resolved = Loader::new()
///     .text("caches.toml", Format::Toml, text)
///     .set("caches.users.ttl=2h")
///     .resolve();
/// assert!(resolved.diagnostics.is_empty());
/// let path = ["caches", "users", "ttl"].map(str::to_owned);
/// let ttl = resolved.root.find(&path).expect("it is set");
/// assert_eq!(ttl.as_str(), Some("2h"));
/// ```
#[derive(Default)]
#[must_use]
pub struct Loader {
    inputs: Vec<Input>,
    profile: Option<String>,
    environment: BTreeMap<String, String>,
    arguments: Vec<String>,
    figments: Vec<Figment>,
}

enum Input {
    File(PathBuf),
    Text(String, Format, String),
}

/// A config with all layers applied, and what is wrong with it so far.
#[non_exhaustive]
pub struct Resolved {
    /// The tree: `version`, the sections and in them every cache complete. Empty and `failed` when
    /// a file could not be read or parsed.
    pub root: Node,
    /// The texts that everything points into.
    pub sources: Sources,
    /// What is wrong; each thing once.
    pub diagnostics: Vec<Diagnostic>,
    /// The config files that were read, in order.
    pub files: Vec<PathBuf>,
    /// The files that `${file:…}` named, to be watched as well.
    pub referenced: Vec<PathBuf>,
    /// The profile that was applied.
    pub profile: Option<String>,
    /// `defaults` and templates as they were written, references and all, so that a mistake in one
    /// that no cache inherits is found as well.
    pub parts: Vec<Part>,
}

/// A part of caches: the defaults, or what one file says about a template.
#[derive(Clone)]
#[non_exhaustive]
pub struct Part {
    /// Where it stands, such as `templates.hot`.
    pub path: KeyPath,
    /// What it says; references are not replaced.
    pub node: Node,
}

impl fmt::Debug for Part {
    /// Without the tree, which may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Part").field("path", &self.path.to_string()).finish_non_exhaustive()
    }
}

impl Loader {
    /// No sources yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a file; its extension says in which format.
    pub fn file(mut self, path: impl Into<PathBuf>) -> Self {
        self.inputs.push(Input::File(path.into()));
        self
    }

    /// Takes a text. Messages call it `name`, and relative paths in it are relative to where a
    /// file of that name would be.
    pub fn text(
        mut self,
        name: impl Into<String>,
        format: Format,
        text: impl Into<String>,
    ) -> Self {
        let input = Input::Text(name.into(), format, text.into());
        self.inputs.push(input);
        self
    }

    /// Picks the profile. With `None` the variable `LARDER_PROFILE` does, if it is set.
    pub fn profile(mut self, profile: Option<String>) -> Self {
        self.profile = profile;
        self
    }

    /// The variables that overrides and references may use: those of the process that are text.
    /// Beware of `std::env::vars`, which panics when one is not.
    pub fn environment(mut self, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        self.environment.extend(variables);
        self
    }

    /// Sets one option, in the form `caches.users.ttl=1h`. Wins over all other layers.
    pub fn set(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Lays the values of a provider over the files and the profile.
    pub fn provider(self, provider: impl Provider) -> Self {
        self.figment(Figment::from(provider))
    }

    /// Lays all values of a figment over the files and the profile.
    pub fn figment(mut self, figment: Figment) -> Self {
        self.figments.push(figment);
        self
    }

    /// Reads everything and applies all layers.
    #[must_use]
    pub fn resolve(self) -> Resolved {
        let mut sources = Sources::default();
        let mut diagnostics = Vec::new();
        let mut files = Files {
            sources: &mut sources,
            diagnostics: &mut diagnostics,
            environment: &self.environment,
            paths: Vec::new(),
            roots: Vec::new(),
            seen: HashSet::new(),
        };
        for input in self.inputs {
            match input {
                Input::File(path) => files.file(&path),
                Input::Text(name, format, text) => files.text(name, format, text),
            }
        }
        let (paths, roots) = (files.paths, files.roots);
        let start = roots.first().map_or(SourceId(0), |root| root.at.source);
        let mut resolved = Resolved {
            root: Node::new(Value::Table(Table::default()), Location::new(start, 0..0)),
            sources,
            diagnostics,
            files: paths,
            referenced: Vec::new(),
            profile: None,
            parts: Vec::new(),
        };
        if resolved.diagnostics.iter().any(|one| one.severity == Severity::Error) {
            resolved.root.failed = true;
        } else {
            let stages = Stages {
                profile: self.profile,
                environment: self.environment,
                arguments: self.arguments,
                figments: self.figments,
            };
            stages.run(roots, &mut resolved);
        }
        keep_one_of_each(&mut resolved.diagnostics);
        resolved
    }
}

/// What is laid over the files.
struct Stages {
    profile: Option<String>,
    environment: BTreeMap<String, String>,
    arguments: Vec<String>,
    figments: Vec<Figment>,
}

impl Stages {
    fn run(self, roots: Vec<Node>, resolved: &mut Resolved) {
        let Resolved { sources, diagnostics, .. } = resolved;
        let mut files = combine(roots, sources, diagnostics);
        let (profile, named_at) = self.chosen_profile(sources);
        let mut upper: Vec<Table> =
            profile::take(&mut files, profile.as_deref(), named_at, diagnostics)
                .into_iter()
                .collect();
        for figment in &self.figments {
            upper.extend(provider::tables(figment, profile.as_deref(), sources, diagnostics));
        }
        for table in &mut upper {
            refuse_what_only_files_say(table, diagnostics);
        }
        let mut overrides: Vec<_> = self
            .environment
            .iter()
            .filter_map(|(name, value)| assignment::of_variable(name, value, sources))
            .collect();
        for argument in &self.arguments {
            overrides.extend(assignment::of_argument(argument, sources, diagnostics));
        }
        let layers = Layers { files, upper, overrides };
        let (root, parts) = assemble(layers, sources, diagnostics);
        resolved.root.value = Value::Table(root);
        resolved.parts = parts;
        resolved.profile = profile;
        let mut interpolation = Interpolation {
            environment: &self.environment,
            sources,
            diagnostics,
            files: &mut resolved.referenced,
        };
        interpolation.node(&mut resolved.root, &KeyPath::root());
        resolved.referenced.sort();
        resolved.referenced.dedup();
    }

    /// The profile, and where it is named when that is a variable.
    fn chosen_profile(&self, sources: &mut Sources) -> (Option<String>, Option<Location>) {
        if self.profile.is_some() {
            return (self.profile.clone(), None);
        }
        let named = self.environment.get(PROFILE_VARIABLE);
        let Some(name) = named.filter(|name| !name.is_empty()) else {
            return (None, None);
        };
        let source = sources.add(Source {
            name: PROFILE_VARIABLE.to_owned(),
            text: format!("{PROFILE_VARIABLE}={name}"),
            kind: SourceKind::Environment,
            included_by: None,
        });
        let start = PROFILE_VARIABLE.len() + 1;
        let at = Location::new(source, start..start + name.len());
        (Some(name.clone()), Some(at))
    }
}

/// Profiles and providers come after files are read and profiles are chosen.
fn refuse_what_only_files_say(table: &mut Table, diagnostics: &mut Vec<Diagnostic>) {
    for key in ["include", "profile", "version"] {
        if let Some(item) = table.remove(key) {
            let message = format!("`{key}` cannot stand in a profile or a provider");
            diagnostics.push(
                Diagnostic::error("C0306", message)
                    .at(item.key_at, "")
                    .help("write it at the top of a config file"),
            );
        }
    }
}

/// A mistake in a template or in the defaults is met again in every cache that inherits it.
fn keep_one_of_each(diagnostics: &mut Vec<Diagnostic>) {
    let mut seen = HashSet::new();
    diagnostics.retain(|one| {
        let at = one.primary.as_ref().map(|label| label.at.clone());
        seen.insert((one.code, at, one.message.clone()))
    });
}

/// Whether the name of an option says that its value is for nobody's eyes.
pub(crate) fn looks_secret(option: &str) -> bool {
    let name = option.to_lowercase();
    let words = ["credential", "passphrase", "passwd", "password", "secret", "token"];
    words.iter().any(|word| name.contains(word))
        || ["auth", "key", "keys", "pass", "pwd"].contains(&name.as_str())
        || ["_auth", "_key", "_keys", "_pass", "_pwd", "apikey"]
            .iter()
            .any(|end| name.ends_with(end))
        // A mistyped or foreign word, such as `paswd` and `passwort`.
        || closest(&name, words).is_some()
}

/// Whether a value is an address with a user or a password in it.
pub(crate) fn has_credentials(value: &str) -> bool {
    let authority = value.split_once("://").map(|(_, rest)| rest);
    authority.is_some_and(|rest| rest.split('/').next().is_some_and(|host| host.contains('@')))
}

/// The written value, unless nobody should see it: messages show the text of sources.
fn masked<'a>(option: &str, value: &'a str) -> &'a str {
    if looks_secret(option) || has_credentials(value) { "•••" } else { value }
}

impl fmt::Debug for Loader {
    /// Without the environment and the arguments, which may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loader")
            .field("inputs", &self.inputs.len())
            .field("profile", &self.profile)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Resolved {
    /// Without the tree, which may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolved")
            .field("files", &self.files)
            .field("profile", &self.profile)
            .field("diagnostics", &self.diagnostics)
            .finish_non_exhaustive()
    }
}
