//! The library as a program loads it: it keeps the contract of a backend, and a config can use it.

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use larder::{CacheManager, Format};
use larder_conformance::Place;
use larder_core::library::{LibraryLoader, LibraryRequest, Trust};
use larder_core::plugin::Factory;
use larder_core::serde_json::json;
use larder_core::{Backend, Descriptor, Result};
use larder_dynamic::Loader;

/// The file of the library, which Cargo puts beside that of this test.
fn file() -> PathBuf {
    let test = std::env::current_exe().and_then(|path| path.canonicalize());
    let test = test.expect("a test has a path");
    test.with_file_name(format!("{DLL_PREFIX}acme_table{DLL_SUFFIX}"))
}

/// What the library registers.
static TABLE: LazyLock<Descriptor> = LazyLock::new(|| {
    let request = LibraryRequest::new("acme-table", file()).trust(Trust::Path);
    let loaded = Loader::new().load(&request);
    let descriptors = loaded.unwrap_or_else(|refusal| panic!("{refusal}"));
    *descriptors.first().expect("it has one plugin")
});

async fn table(place: Place) -> Result<Arc<dyn Backend>> {
    let Factory::Backend(factory) = TABLE.factory else { panic!("it is a backend") };
    factory.build(json!({"max_entries": 1_000_000}), &place.context()).await
}

larder_conformance::backend!(table);
larder_conformance::plugin!(TABLE);

#[tokio::test]
async fn a_config_uses_it() -> Result<()> {
    let config = format!(
        r#"
[plugins.acme-table]
library  = {:?}
trust    = "path"
provides = ["backend:acme.table"]

[caches.words]
l1.backend = {{ kind = "memory", capacity = 1 }}
l2.backend = {{ kind = "acme.table", max_entries = 100 }}
"#,
        file()
    );
    let caches = CacheManager::from_str(Format::Toml, &config).await?;
    let words = caches.cache::<String, String>("words")?;
    words.set("a", "one".to_owned()).await?;
    words.set("b", "two".to_owned()).await?;
    // The memory has room for one of them.
    assert_eq!(words.get("a").await?.as_deref(), Some("one"));
    assert_eq!(words.get("b").await?.as_deref(), Some("two"));
    Ok(())
}
