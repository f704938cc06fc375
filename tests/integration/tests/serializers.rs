//! Every serializer behind a cache on files, and caches whose serializer changes.

#![expect(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::collections::BTreeMap;
use std::path::Path;

use larder::{Cache, CacheManager, CacheValue, Format, Lookup, MissCause};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct User {
    id: u64,
    name: String,
    plan: Plan,
    scores: BTreeMap<String, Option<f64>>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Plan {
    Free,
    Paid { cents: u32 },
}

fn user() -> User {
    let scores = [("a".to_owned(), Some(1.5)), ("b".to_owned(), None)].into();
    User { id: u64::MAX, name: "Zoë".into(), plan: Plan::Paid { cents: 900 }, scores }
}

/// The serializers that take values of any type, each as the config has it.
const GENERAL: [&str; 9] = [
    "'cbor'",
    "'json'",
    "{ kind = 'json', pretty = true }",
    "'messagepack'",
    "'pickle'",
    "{ kind = 'pickle', protocol = 2 }",
    "{ kind = 'pickle', protocol = 5 }",
    "'postcard'",
    "'typed'",
];

/// A cache on files in a process of its own, so to say.
async fn open<V>(dir: &Path, serializer: &str) -> Cache<String, V>
where
    V: CacheValue + Serialize + DeserializeOwned,
{
    let text = format!(
        "[caches.things]\nserializer = {serializer}\n\
         backend = {{ kind = 'file', dir = '{}' }}\n",
        dir.join("things").display()
    );
    let manager =
        CacheManager::builder().text("caches.toml", Format::Toml, &text).build().await.unwrap();
    manager.cache("things").unwrap()
}

/// What is set is there after the cache was opened again.
async fn survives<V>(serializer: &str, value: V)
where
    V: CacheValue + Serialize + DeserializeOwned + PartialEq + std::fmt::Debug,
{
    let dir = tempfile::tempdir().unwrap();
    let before = open::<V>(dir.path(), serializer).await;
    before.set("k", value.clone()).await.unwrap();
    let after = open::<V>(dir.path(), serializer).await;
    assert_eq!(after.get("k").await.unwrap(), Some(value), "{serializer}");
}

#[tokio::test]
async fn values_survive_the_process_with_every_serializer() {
    for serializer in GENERAL {
        survives(serializer, user()).await;
        survives(serializer, vec![Plan::Free]).await;
        survives(serializer, String::new()).await;
        survives(serializer, 7_u64).await;
        survives(serializer, ()).await;
    }
    survives("'string'", "Zoë".to_owned()).await;
    survives("'string'", String::new()).await;
    survives("'raw'", (0..=255).collect::<Vec<u8>>()).await;
    survives("'raw'", Vec::<u8>::new()).await;
}

#[tokio::test]
async fn entries_of_one_serializer_stay_readable_under_every_other_one() {
    for old in GENERAL {
        let dir = tempfile::tempdir().unwrap();
        open(dir.path(), old).await.set("k", user()).await.unwrap();
        for new in GENERAL.into_iter().chain(["'string'", "'raw'"]) {
            let cache = open::<User>(dir.path(), new).await;
            assert_eq!(cache.get("k").await.unwrap(), Some(user()), "{old} under {new}");
        }
    }
}

#[tokio::test]
async fn what_is_set_after_the_serializer_changed_is_written_with_the_other_one() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path(), "'string'").await.set("k", "old".to_owned()).await.unwrap();
    let cache = open::<String>(dir.path(), "'pickle'").await;
    assert_eq!(cache.get("k").await.unwrap().as_deref(), Some("old"));
    cache.set("k", "changed".into()).await.unwrap();
    let back = open::<String>(dir.path(), "'string'").await;
    assert_eq!(back.get("k").await.unwrap().as_deref(), Some("changed"));
}

#[tokio::test]
async fn typed_entries_of_another_type_are_a_miss() {
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Customer {
        id: u64,
        name: String,
    }
    let dir = tempfile::tempdir().unwrap();
    open(dir.path(), "'messagepack'").await.set("same", user()).await.unwrap();
    open(dir.path(), "'typed'").await.set("other", user()).await.unwrap();
    let customers = open::<Customer>(dir.path(), "'typed'").await;
    let found = customers.get("same").await.unwrap().unwrap();
    assert_eq!(found.name, "Zoë", "without the name of a type it is anybody's");
    let missed = customers.lookup("other").await.unwrap();
    assert_eq!(missed, Lookup::Miss(MissCause::Decode));
}

#[tokio::test]
async fn a_value_that_a_serializer_does_not_take_is_an_error_of_set() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open::<User>(dir.path(), "'string'").await;
    let error = cache.set("k", user()).await.unwrap_err();
    assert!(error.to_string().contains("`json`"), "{error}");
    assert_eq!(cache.get("k").await.unwrap(), None);
}
