//! Reading files and what they include.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use larder_core::KeyPath;

use super::glob;
use super::interpolate::Interpolation;
use super::merge::{names_of, no_name};
use crate::diagnostic::Diagnostic;
use crate::parse::{Format, MAX_BYTES, parse};
use crate::tree::{Location, Node, Source, SourceId, SourceKind, Sources};

/// How deep files may include each other.
const MAX_DEPTH: usize = 16;

/// Reads a set of files, every file once.
pub(super) struct Files<'a> {
    /// Receives the texts.
    pub(super) sources: &'a mut Sources,
    /// Receives what is wrong.
    pub(super) diagnostics: &'a mut Vec<Diagnostic>,
    /// The variables that paths of `include` may name.
    pub(super) environment: &'a std::collections::BTreeMap<String, String>,
    /// The files that were read, in order.
    pub(super) paths: Vec<PathBuf>,
    /// Their roots, in order.
    pub(super) roots: Vec<Node>,
    /// Files under the names that the system knows them by.
    pub(super) seen: HashSet<PathBuf>,
}

impl Files<'_> {
    /// Reads a file that was named by the user.
    pub(super) fn file(&mut self, path: &Path) {
        if !self.seen.contains(&identity(path)) {
            self.read(path, None, &mut Vec::new());
        }
    }

    /// Takes a text under a name; relative includes are looked up beside it.
    pub(super) fn text(&mut self, name: String, format: Format, text: String) {
        let path = PathBuf::from(&name);
        self.seen.insert(identity(&path));
        self.parse(name, &path, format, text, None, &mut Vec::new());
    }

    fn read(&mut self, path: &Path, asked: Option<&Location>, chain: &mut Vec<PathBuf>) {
        let Some(format) = Format::of_path(path) else {
            let message = format!("cannot tell the format of `{}`", path.display());
            let help = "use `.toml`, `.yaml`, `.yml` or `.json`";
            return self.refuse("C0103", message, asked, help);
        };
        let text = match read_text(path) {
            Ok(text) => text,
            Err(error) => {
                let message = format!("cannot read `{}`: {}", path.display(), reason(&error));
                let help = match asked {
                    _ if error.kind() == io::ErrorKind::InvalidData => {
                        "save it as UTF-8; is this the right file?"
                    }
                    Some(_) => "the path is relative to the file that includes it",
                    None => "check the path",
                };
                return self.refuse("C0103", message, asked, help);
            }
        };
        self.seen.insert(identity(path));
        self.paths.push(path.to_owned());
        let name = path.display().to_string();
        self.parse(name, path, format, text, asked.map(|at| at.source), chain);
    }

    fn parse(
        &mut self,
        name: String,
        path: &Path,
        format: Format,
        text: String,
        included_by: Option<SourceId>,
        chain: &mut Vec<PathBuf>,
    ) {
        let id = self.sources.add(Source { name, text, kind: SourceKind::File, included_by });
        let text = &self.sources.get(id).text;
        let Some(root) = parse(id, text, format, self.diagnostics) else {
            return;
        };
        let include = root.as_table().and_then(|table| table.get("include"));
        let include = include.map(|item| item.node.clone());
        self.roots.push(root);
        if let Some(include) = include {
            chain.push(identity(path));
            self.includes(&include, path, chain);
            chain.pop();
        }
    }

    fn includes(&mut self, include: &Node, from: &Path, chain: &mut Vec<PathBuf>) {
        let Some(names) = names_of(include) else {
            self.diagnostics.push(
                Diagnostic::error("C0104", "`include` must name files")
                    .at(no_name(include).at.clone(), no_name(include).value.describe())
                    .help("write a list of paths such as `include = [\"caches.d/*.toml\"]`"),
            );
            return;
        };
        let folder = from.parent().unwrap_or(Path::new("")).to_owned();
        for node in names {
            let Some(pattern) = self.interpolated(node) else {
                continue;
            };
            if chain.len() > MAX_DEPTH {
                let message = "files include each other too deeply";
                self.refuse("C0104", message.to_owned(), Some(&node.at), "include fewer levels");
            } else if glob::is_glob(&pattern) {
                self.matches(&pattern, node, &folder, chain);
            } else {
                self.literal(&folder.join(pattern), node, chain);
            }
        }
    }

    fn matches(&mut self, pattern: &str, node: &Node, folder: &Path, chain: &mut Vec<PathBuf>) {
        let found = match glob::find(folder, pattern) {
            Ok(found) => found,
            Err(message) => {
                let message = format!("cannot include `{pattern}`: {message}");
                return self.refuse("C0104", message, Some(&node.at), "mend the pattern");
            }
        };
        for path in found {
            // A pattern may match the file that it stands in, and backup files of editors.
            if Format::of_path(&path).is_some() && !self.seen.contains(&identity(&path)) {
                self.read(&path, Some(&node.at), chain);
            }
        }
    }

    fn literal(&mut self, path: &Path, node: &Node, chain: &mut Vec<PathBuf>) {
        let id = identity(path);
        if let Some(start) = chain.iter().position(|step| *step == id) {
            let names: Vec<String> = chain[start..]
                .iter()
                .chain(std::iter::once(&id))
                .map(|step| step.file_name().unwrap_or_default().to_string_lossy().into_owned())
                .collect();
            let message = format!("files include each other in a cycle: {}", names.join(" → "));
            return self.refuse("C0104", message, Some(&node.at), "remove one of the includes");
        }
        if !self.seen.contains(&id) {
            self.read(path, Some(&node.at), chain);
        }
    }

    fn interpolated(&mut self, node: &Node) -> Option<String> {
        let mut interpolation = Interpolation {
            environment: self.environment,
            sources: self.sources,
            diagnostics: self.diagnostics,
            files: &mut Vec::new(),
        };
        let path = KeyPath::from_segments(["include"]);
        interpolation.text(node.as_str()?, &node.at, &path)
    }

    fn refuse(&mut self, code: &'static str, message: String, at: Option<&Location>, help: &str) {
        let diagnostic = Diagnostic::error(code, message).help(help);
        self.diagnostics.push(match at {
            Some(at) => diagnostic.at(at.clone(), ""),
            None => diagnostic,
        });
    }
}

/// The same for every way to name a file.
fn identity(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

fn read_text(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    let limit = MAX_BYTES as u64 + 1;
    File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    if bytes.len() > MAX_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "larger than 4 MiB"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let start = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..start].iter().filter(|byte| **byte == b'\n').count() + 1;
        let message = format!("not valid UTF-8 (line {line}, byte {start})");
        io::Error::new(io::ErrorKind::InvalidData, message)
    })
}

/// Why a file cannot be read, in the words of a message.
pub(super) fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "no such file".to_owned(),
        io::ErrorKind::IsADirectory => "it is a directory".to_owned(),
        // Ours; the words of the system begin with a capital and end with a number.
        _ if error.raw_os_error().is_none() => error.to_string(),
        kind => kind.to_string(),
    }
}
