//! Any text of 1 to 1024 bytes is a key, and no two are taken for each other.

use larder_core::key::MAX_KEY_BYTES;

use super::{Subject, entry};
use crate::must::Must;

/// Keys that mean something to file systems, terminals, servers and people.
pub(crate) const HOSTILE: [&str; 28] = [
    "../../etc/passwd",
    "/etc/passwd",
    "..",
    ".",
    "~",
    "a\0b",
    "a",
    "A",
    "CON",
    "nul.txt",
    "\u{202e}abc",
    "💥",
    " ",
    "a ",
    " a",
    "a/b",
    "a\\b",
    "é",
    "e\u{301}",
    "a\r\nDEL b\r\n",
    "*",
    "user:*",
    "{user}:1",
    "%s%n",
    "'; drop table users; --",
    "\u{feff}a",
    "$(touch here)",
    "-rf",
];

/// Neither case, nor normal forms, nor blanks, nor escapes make two keys one.
pub async fn no_two_keys_are_taken_for_each_other(subject: &Subject) {
    let backend = subject.open().await;
    for key in HOSTILE {
        backend.set(key, entry(key.as_bytes())).await.must();
    }
    for key in HOSTILE {
        let found = backend.get(key).await.must();
        assert_eq!(found, Some(entry(key.as_bytes())), "{key:?}");
    }
    for key in HOSTILE {
        assert!(backend.delete(key).await.must(), "{key:?} went with another key");
    }
}

/// The greatest length, and keys that differ in their last byte.
pub async fn the_longest_key_is_a_key_like_others(subject: &Subject) {
    let backend = subject.open().await;
    let start = "k".repeat(MAX_KEY_BYTES - 1);
    let keys = [start.clone(), format!("{start}1"), format!("{start}2")];
    for key in &keys {
        backend.set(key, entry(&key.as_bytes()[1000..])).await.must();
    }
    for key in &keys {
        let found = backend.get(key).await.must();
        assert_eq!(found, Some(entry(&key.as_bytes()[1000..])));
    }
}
