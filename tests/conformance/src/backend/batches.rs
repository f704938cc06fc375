//! Many keys at once are as one after another.

use super::{Subject, as_kept, entry};
use crate::must::Must;

/// One answer a key, in the order in which they were asked, twice if asked twice.
pub async fn answers_stand_in_the_order_of_the_keys(subject: &Subject) {
    let backend = subject.open().await;
    let keys: Vec<String> = (0..300).map(|number| format!("key {number}")).collect();
    let entries = keys.iter().map(|key| (key.clone(), subject.full_entry(key.as_bytes())));
    let entries: Vec<_> = entries.filter(|(key, _)| !key.ends_with('7')).collect();
    backend.set_many(entries).await.must();
    let mut asked: Vec<&str> = keys.iter().rev().map(String::as_str).collect();
    asked.extend(["key 1", "key 7", "key 1"]);
    let found = backend.get_many(&asked).await.must();
    assert_eq!(found.len(), asked.len());
    let each = backend.get_each(&asked).await;
    assert_eq!(each.into_iter().map(Must::must).collect::<Vec<_>>(), found);
    for (key, found) in asked.into_iter().zip(found) {
        let expected = as_kept(&*backend, subject.full_entry(key.as_bytes()));
        assert_eq!(found, (!key.ends_with('7')).then_some(expected), "{key}");
    }
}

/// What was not there is not counted, and a key that is named twice is there once.
pub async fn deleting_many_counts_what_was_there(subject: &Subject) {
    let backend = subject.open().await;
    for key in ["a", "b", "c"] {
        backend.set(key, entry(b"value")).await.must();
    }
    assert_eq!(backend.delete_many(&["a", "x", "b", "a"]).await.must(), 2);
    let left = backend.get_many(&["a", "b", "c"]).await.must();
    assert_eq!(left, [None, None, Some(entry(b"value"))]);
}

/// No keys, no answers, no error; of two entries of one key the later one stays.
pub async fn nothing_asked_for_is_nothing_done(subject: &Subject) {
    let backend = subject.open().await;
    assert_eq!(backend.get_many(&[]).await.must(), []);
    assert_eq!(backend.delete_many(&[]).await.must(), 0);
    backend.set_many(Vec::new()).await.must();
    let twice = vec![("a".to_owned(), entry(b"first")), ("a".to_owned(), entry(b"last"))];
    backend.set_many(twice).await.must();
    assert_eq!(backend.get("a").await.must(), Some(entry(b"last")));
}
