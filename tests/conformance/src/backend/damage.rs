//! Changed files are never read as values.
//!
//! Only for backends with [`PERSIST`](larder_core::Capabilities::PERSIST) that keep files in the
//! [`Place`](crate::Place). Deadlines may change: the checksum of the envelope leaves them out,
//! so that they can be moved.

use std::fs;
use std::path::Path;

use larder_core::{Capabilities, Entry, ErrorKind};

use super::{Subject, entry};
use crate::must::Must;

/// How many places of all files are damaged, one after another.
const ROUNDS: usize = 48;

const KEYS: [&str; 3] = ["a", "b", "c"];

/// One flipped bit, anywhere.
pub async fn changed_files_are_never_read_as_values(subject: &Subject) {
    let mut random = crate::seed::random();
    damage(subject, |bytes| {
        if !bytes.is_empty() {
            let at = random.usize(..bytes.len());
            bytes[at] ^= 1 << random.u8(..8);
        }
    })
    .await;
}

/// A file that ends early, also at once.
pub async fn cut_files_are_never_read_as_values(subject: &Subject) {
    let mut random = crate::seed::random();
    let mut round = 0;
    damage(subject, |bytes| {
        round += 1;
        let length = if round % 4 == 0 { 0 } else { random.usize(..=bytes.len()) };
        bytes.truncate(length);
    })
    .await;
}

async fn damage(subject: &Subject, mut change: impl FnMut(&mut Vec<u8>)) {
    let backend = subject.open().await;
    if !backend.capabilities().contains(Capabilities::PERSIST) {
        return;
    }
    for key in KEYS {
        backend.set(key, value_of(key)).await.must();
    }
    backend.close().await.must();
    drop(backend);
    let files = subject.place().files();
    let whole: Vec<Vec<u8>> = files.iter().map(|file| read(file)).collect();
    for round in 0..ROUNDS.min(files.len() * 16) {
        let at = round % files.len();
        restore(subject, &files, &whole);
        let mut bytes = whole[at].clone();
        change(&mut bytes);
        write(&files[at], &bytes);
        look(subject, &files[at]).await;
    }
}

/// Opens what was damaged and asks for everything.
async fn look(subject: &Subject, damaged: &Path) {
    let backend = match subject.try_open().await {
        Ok(backend) => backend,
        // What an operator has to look at may be refused, but with a reason.
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Config, "{error} for {}", damaged.display());
            return;
        }
    };
    for key in KEYS {
        let found = backend.get(key).await.must();
        let as_written = found.as_ref().is_none_or(|found| same_but_deadlines(found, key));
        assert!(as_written, "{found:?} of {key} after damage of {}", damaged.display());
    }
    backend.set("a", entry(b"after")).await.must();
    assert_eq!(backend.get("a").await.must(), Some(entry(b"after")));
    backend.close().await.must();
}

fn value_of(key: &str) -> Entry {
    entry(key.repeat(500).as_bytes())
}

fn same_but_deadlines(found: &Entry, key: &str) -> bool {
    let mut found = found.clone();
    (found.meta.soft_deadline, found.meta.hard_deadline) = (None, None);
    found == value_of(key)
}

/// Puts the files back as they were, without any that came since.
fn restore(subject: &Subject, files: &[std::path::PathBuf], whole: &[Vec<u8>]) {
    for file in subject.place().files() {
        fs::remove_file(&file).expect("a file of the test can be removed");
    }
    for (file, bytes) in files.iter().zip(whole) {
        write(file, bytes);
    }
}

fn read(file: &Path) -> Vec<u8> {
    fs::read(file).expect("a file of the backend can be read")
}

fn write(file: &Path, bytes: &[u8]) {
    if let Some(parent) = file.parent() {
        fs::create_dir_all(parent).expect("a directory of the test can be made");
    }
    fs::write(file, bytes).expect("a file of the backend can be written");
}
