//! A config that uses all that the library brings, from the file to the entries on disk.

#[path = "support/file.rs"]
mod file;

use larder::{CacheManager, Format, Result};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Page {
    title: String,
    body: String,
}

/// The lines of the README, with the library of this crate.
fn config(log: &std::path::Path) -> String {
    format!(
        r#"
[plugins.acme]
library  = {library:?}
trust    = "path"
provides = ["backend:acme.log", "policy:acme.lru-k", "serializer:acme.terse"]

[caches.pages]
serializer = {{ kind = "acme.terse", names = ["title", "body"] }}
l1.backend = {{ kind = "memory", capacity = 1_000 }}
l1.policy  = {{ kind = "acme.lru-k", k = 2 }}
l2.backend = {{ kind = "acme.log", path = {log:?}, max_bytes = "8MiB" }}
"#,
        library = file::file()
    )
}

#[tokio::test]
async fn entries_survive_in_the_log_as_the_serializer_writes_them() -> Result<()> {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let log = folder.path().join("pages.log");
    let page = Page { title: "Welcome".to_owned(), body: "to all of you".to_owned() };

    let first = CacheManager::from_str(Format::Toml, &config(&log)).await?;
    first.cache::<String, Page>("pages")?.set("home", page.clone()).await?;
    first.close().await?;
    let stored = std::fs::read(&log).expect("the log is there");
    let has = |text: &str| stored.windows(text.len()).any(|bytes| bytes == text.as_bytes());
    assert!(has("Welcome"));
    assert!(!has("title"), "a name that is listed is written as a number");

    let second = CacheManager::from_str(Format::Toml, &config(&log)).await?;
    assert_eq!(second.cache::<String, Page>("pages")?.get("home").await?, Some(page));
    second.close().await
}

#[tokio::test]
async fn a_mistake_in_an_option_stands_at_its_line() {
    let config = config("pages.log".as_ref()).replace("\"body\"", "\"title\"");
    let error = CacheManager::from_str(Format::Toml, &config).await.unwrap_err().to_string();
    assert!(error.contains("`title` is listed twice") && error.contains(":8:"), "{error}");
}
