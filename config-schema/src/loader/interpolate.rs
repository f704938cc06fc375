//! Putting variables and files in place of references.
//!
//! Only string values of files are looked at, after parsing and merging, so what comes in can
//! never become structure, and references in values that were overridden need not exist.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};

use larder_core::KeyPath;

use super::looks_secret;
use super::reference::{Fallback, Piece, Wanted, pieces, wanted};
use crate::diagnostic::Diagnostic;
use crate::suggest::closest;
use crate::tree::{Layer, Location, Node, Sources, Value};

/// A secret is never larger; something else named by mistake may be endless.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Interpolates a tree.
pub(super) struct Interpolation<'a> {
    /// The variables there are.
    pub(super) environment: &'a BTreeMap<String, String>,
    /// Where the texts are.
    pub(super) sources: &'a Sources,
    /// Receives what could not be put in place.
    pub(super) diagnostics: &'a mut Vec<Diagnostic>,
    /// Receives the files that were named, also those that could not be read.
    pub(super) files: &'a mut Vec<PathBuf>,
}

/// A reference in a value: what it is in and where it stands.
struct Site<'a> {
    path: &'a KeyPath,
    at: Location,
}

impl Interpolation<'_> {
    /// Interpolates every string at and below a node.
    pub(super) fn node(&mut self, node: &mut Node, path: &KeyPath) {
        // What programs and shells hand over is meant as it is.
        if matches!(node.layer, Layer::Argument | Layer::Environment) {
            return;
        }
        let from_provider = node.layer == Layer::Provider;
        match &mut node.value {
            Value::Table(table) => {
                for item in table.iter_mut() {
                    self.node(&mut item.node, &path.join(item.key.as_str()));
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    self.node(item, &path.join(index.to_string()));
                }
            }
            Value::String(text) if text.contains("${") && !from_provider => {
                let written = std::mem::take(text);
                let value = self.text(&written, &node.at, path);
                node.failed = value.is_none();
                node.value = Value::String(value.unwrap_or_else(|| written.clone()));
                node.reference = Some(written);
            }
            _ => {}
        }
    }

    /// The text with everything in place, or `None` after reporting what is missing.
    pub(super) fn text(&mut self, written: &str, at: &Location, path: &KeyPath) -> Option<String> {
        let mut out = Some(String::new());
        for piece in pieces(written) {
            let part = match piece {
                Piece::Text(text) => Some(text.to_owned()),
                Piece::Unterminated(span) => {
                    let at = self.place(written, span, at);
                    self.diagnostics.push(
                        Diagnostic::error("C0304", "unterminated reference")
                            .path(path.clone())
                            .at(at, "no closing `}`")
                            .help("write `$${` for the text `${` itself"),
                    );
                    None
                }
                Piece::Reference(inner, span) => {
                    let at = self.place(written, span, at);
                    self.resolve(inner, &Site { path, at })
                }
            };
            out = match (out, part) {
                (Some(mut out), Some(part)) => {
                    out.push_str(&part);
                    Some(out)
                }
                _ => None,
            };
        }
        out
    }

    fn resolve(&mut self, inner: &str, site: &Site<'_>) -> Option<String> {
        match wanted(inner) {
            Wanted::Variable(name, fallback) => self.variable(name, &fallback, site),
            Wanted::File(path) => self.file(path, site),
            Wanted::Unknown => {
                let looks_bare = !inner.is_empty()
                    && inner.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
                let help = if looks_bare {
                    format!("write `${{env:{inner}}}`, or `$${{{inner}}}` for the text itself")
                } else {
                    "references are `${env:NAME}`, `${env:NAME:-default}`, \
                     `${env:NAME:?message}` and `${file:/path}`; `$${` is the text `${`"
                        .to_owned()
                };
                self.diagnostics.push(
                    Diagnostic::error("C0304", format!("unknown reference `${{{inner}}}`"))
                        .path(site.path.clone())
                        .at(site.at.clone(), "")
                        .help(help),
                );
                None
            }
        }
    }

    fn variable(&mut self, name: &str, fallback: &Fallback<'_>, site: &Site<'_>) -> Option<String> {
        let value = self.environment.get(name);
        let value = match fallback {
            Fallback::Fail => value,
            Fallback::Default(_) | Fallback::Message(_) => value.filter(|text| !text.is_empty()),
        };
        if let Some(value) = value {
            return Some(value.clone());
        }
        let mut diagnostic = match fallback {
            Fallback::Default(text) => return Some((*text).to_owned()),
            Fallback::Message(message) => {
                let text = format!("environment variable `{name}` is not set: {message}");
                Diagnostic::error("C0301", text)
            }
            Fallback::Fail => {
                let text = format!("environment variable `{name}` is not set");
                let file = format!("${{file:/run/secrets/{}}}", file_for(name));
                Diagnostic::error("C0301", text).help(format!(
                    "give a default with `${{env:{name}:-}}`, or read a file: `{file}`"
                ))
            }
        };
        diagnostic = diagnostic
            .path(site.path.clone())
            .at(site.at.clone(), format!("needed by `{}`", site.path));
        if let Some(similar) = closest(name, self.environment.keys().map(String::as_str)) {
            diagnostic =
                diagnostic.note(format!("a variable with a similar name is set: `{similar}`"));
        }
        if let Some(option) = site.path.last().filter(|option| looks_secret(option)) {
            diagnostic = diagnostic.note(format!("value not shown: `{option}` is a secret option"));
        }
        self.diagnostics.push(diagnostic);
        None
    }

    fn file(&mut self, path: &str, site: &Site<'_>) -> Option<String> {
        let source = Path::new(&self.sources.get(site.at.source).name);
        let whole = source.parent().unwrap_or(Path::new("")).join(path);
        self.files.push(whole.clone());
        let error = match read(&whole) {
            Ok(text) => return Some(text),
            Err(error) => error,
        };
        let why = super::read::reason(&error);
        let mut diagnostic =
            Diagnostic::error("C0302", format!("cannot read `{}`: {why}", whole.display()))
                .path(site.path.clone())
                .at(site.at.clone(), format!("needed by `{}`", site.path));
        let help = match error.kind() {
            io::ErrorKind::NotFound => Some("create it; a relative path starts at the config file"),
            io::ErrorKind::IsADirectory => Some("name a file in it"),
            io::ErrorKind::FileTooLarge | io::ErrorKind::InvalidData => {
                Some("it stands for a short text such as a password; is this the right file?")
            }
            _ => None,
        };
        if let Some(help) = help {
            diagnostic = diagnostic.help(help);
        }
        if error.kind() == io::ErrorKind::PermissionDenied
            && let Some(note) = super::owner::note(&whole)
        {
            diagnostic = diagnostic.note(note);
        }
        self.diagnostics.push(diagnostic);
        None
    }

    /// Where a reference stands in its source; the whole value when escapes hide it.
    fn place(&self, written: &str, span: Range<usize>, at: &Location) -> Location {
        let reference = &written[span.clone()];
        let earlier = written[..span.start].matches(reference).count();
        let text = self.sources.text(at);
        match text.match_indices(reference).nth(earlier) {
            Some((start, _)) => {
                let start = at.span.start + start;
                Location::new(at.source, start..start + reference.len())
            }
            None => at.clone(),
        }
    }
}

/// The text of a file, without the line break that editors put at its end.
fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let file = std::fs::File::open(path)?;
    file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "larger than 1 MiB"));
    }
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}

/// How the file for `REDIS_EU_PASSWORD` would be called: `redis-eu`.
fn file_for(name: &str) -> String {
    let name = name.to_lowercase().replace('_', "-");
    let stem = ["-password", "-secret", "-token", "-key"]
        .iter()
        .find_map(|suffix| name.strip_suffix(suffix))
        .filter(|stem| !stem.is_empty());
    stem.unwrap_or(&name).to_owned()
}
