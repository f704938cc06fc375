//! Plugin libraries: the file is there, is the pinned one, and speaks our ABI.
//!
//! No code of a library runs here: the ABI stamp is read out of the file.

use std::fs::File;
use std::io::Read;

use larder_core::KeyPath;
use sha2::{Digest, Sha256};

use super::options::Checker;
use super::scalars::absolute;
use crate::diagnostic::Diagnostic;
use crate::tree::{Item, Node, Sources};

/// The version of the plugin ABI that this program speaks.
const ABI: (u16, u16) = (1, 0);

/// How a stamp begins.
const MAGIC: [u8; 16] = *b"\x89LDR-PLUGIN\x0d\x0a\x1a\x0a\x00";

/// A library larger than this is no plugin; reading it would only take memory.
const MAX_BYTES: u64 = 1 << 30;

impl<'a> Checker<'a> {
    /// Checks the files of all libraries, if the environment allows to read them.
    pub(super) fn libraries(&mut self, root: &'a Node) {
        if !self.environment.reads_files {
            return;
        }
        let plugins = root.find(&["plugins".to_owned()]);
        for item in plugins.and_then(Node::as_table).into_iter().flatten() {
            let library = item.node.find(&["library".to_owned()]).and_then(of_system);
            let Some(library) = library.filter(|library| !library.failed) else {
                continue;
            };
            let Some(path) = library.as_str() else {
                continue;
            };
            let Some(path) = absolute(self.sources, library, path) else {
                continue;
            };
            let diagnostic = match read(&path) {
                Ok(bytes) => examine(self.sources, item, library, &path, &bytes),
                Err(error) => Some(unreadable(item, library, &path, &error)),
            };
            let at = KeyPath::from_segments(["plugins", &item.key]);
            self.diagnostics.extend(diagnostic.map(|diagnostic| diagnostic.path(at)));
        }
    }
}

/// The value for this operating system.
fn of_system(node: &Node) -> Option<&Node> {
    match node.as_str() {
        Some(_) => Some(node),
        None => node.find(&[std::env::consts::OS.to_owned()]),
    }
}

fn read(path: &str) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn unreadable(item: &Item, library: &Node, path: &str, error: &std::io::Error) -> Diagnostic {
    let reason = match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    };
    let message = format!("cannot read the library of plugin `{}`: {reason}", item.key);
    Diagnostic::error("C0603", message)
        .at(library.at.clone(), reason)
        .note(format!("the path is `{path}`"))
}

fn examine(
    sources: &Sources,
    item: &Item,
    library: &Node,
    path: &str,
    bytes: &[u8],
) -> Option<Diagnostic> {
    let pin = item.node.find(&["sha256".to_owned()]).and_then(of_system);
    if let Some(pin) = pin
        && let Some(pinned) = pin.as_str()
    {
        let found: String = Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect();
        if !found.eq_ignore_ascii_case(pinned.trim()) {
            return Some(mismatch(sources, item, pin, path, &found));
        }
    }
    foreign_abi(item, library, bytes)
}

fn mismatch(sources: &Sources, item: &Item, pin: &Node, path: &str, found: &str) -> Diagnostic {
    let name = &item.key;
    let message = format!("plugin `{name}` does not match its sha256 pin; it was not loaded");
    let file = &sources.get(pin.at.source).name;
    Diagnostic::error("C0601", message)
        .at(pin.at.clone(), "pinned")
        .note(format!("{path} has\n{found}"))
        .help(format!(
            "if the new file is wanted, write its hash into {file}; if not, somebody replaced \
             the library"
        ))
}

/// What the stamp of a library says.
struct Stamp {
    version: (u16, u16),
    target: String,
}

/// The first stamp in a library.
fn stamp(bytes: &[u8]) -> Option<Stamp> {
    let start = bytes.windows(MAGIC.len()).position(|window| window == MAGIC)?;
    let stamp = bytes.get(start..)?;
    let number = |at: usize| -> Option<u16> {
        let pair = stamp.get(at..at + 2)?;
        Some(u16::from_ne_bytes([pair[0], pair[1]]))
    };
    let target = stamp.get(112..144)?;
    let target = target.split(|byte| *byte == 0).next().unwrap_or_default();
    Some(Stamp {
        version: (number(20)?, number(22)?),
        target: String::from_utf8_lossy(target).escape_debug().to_string(),
    })
}

fn foreign_abi(item: &Item, library: &Node, bytes: &[u8]) -> Option<Diagnostic> {
    let name = &item.key;
    let Some(stamp) = stamp(bytes) else {
        let message = format!("the library of `{name}` is not a Larder plugin");
        return Some(
            Diagnostic::error("C0602", message)
                .at(library.at.clone(), "has no plugin ABI stamp")
                .help("check the path, and that the library was built with the plugin header"),
        );
    };
    let (major, minor) = stamp.version;
    if major == ABI.0 {
        return None;
    }
    let needs = ABI.0;
    let message =
        format!("plugin `{name}` speaks plugin ABI {major}.{minor}, this program needs {needs}.x");
    let built = match stamp.target.as_str() {
        "" => format!("built for plugin ABI {major}.{minor}"),
        target => format!("built for {target} with plugin ABI {major}.{minor}"),
    };
    Some(
        Diagnostic::error("C0602", message)
            .at(library.at.clone(), built)
            .note(format!("this program: ABI {needs}.{}, accepts {needs}.x", ABI.1))
            .help(format!("get a build of {name} for ABI {needs}")),
    )
}
