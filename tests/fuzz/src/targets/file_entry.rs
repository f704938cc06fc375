//! The files of the file backend.

use std::path::Path;

use larder_core::{Backend, BuildContext, Bytes, Entry, PluginConfig};
use larder_file::{FileConfig, decode_entry_file};

use super::now;

/// What a backend wrote.
///
/// # Panics
///
/// When there is no room for a temporary directory.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let dir = tempfile::tempdir().expect("a temporary directory can be made");
    let config = FileConfig::new(dir.path().join("cache"));
    let backend = now(config.build(&BuildContext::new("users"))).expect("it is empty");
    for value in [&b""[..], b"value", &[7; 5000]] {
        let entry = Entry { value: Bytes::copy_from_slice(value), ..Entry::default() };
        now(backend.set(&value.len().to_string(), entry)).expect("there is room");
    }
    let mut files = Vec::new();
    collect(&dir.path().join("cache/v1/d"), &mut files);
    files
}

/// Whatever the file holds, an entry or nothing comes out.
///
/// # Panics
///
/// When more comes out than there is.
pub fn run(bytes: &[u8]) {
    if let Some(entry) = decode_entry_file(bytes) {
        assert!(entry.value.len() <= bytes.len(), "the value is larger than its file");
    }
}

fn collect(dir: &Path, files: &mut Vec<Vec<u8>>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.extend(std::fs::read(path));
        }
    }
}
