//! The library as a program loads it: it keeps the contract of a serializer, and a config can use
//! it.

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use larder::{CacheManager, Format};
use larder_conformance::Place;
use larder_core::library::{LibraryLoader, LibraryRequest, Trust};
use larder_core::plugin::Factory;
use larder_core::serde_json::json;
use larder_core::{BuildContext, Descriptor, Result, Serializer};
use larder_dynamic::Loader;

/// The file of the library, which Cargo puts beside that of this test.
fn file() -> PathBuf {
    let test = std::env::current_exe().and_then(|path| path.canonicalize());
    let test = test.expect("a test has a path");
    test.with_file_name(format!("{DLL_PREFIX}acme_versioned{DLL_SUFFIX}"))
}

/// What the library registers.
static VERSIONED: LazyLock<Descriptor> = LazyLock::new(|| {
    let request = LibraryRequest::new("acme-versioned", file()).trust(Trust::Path);
    let loaded = Loader::new().load(&request);
    let descriptors = loaded.unwrap_or_else(|refusal| panic!("{refusal}"));
    *descriptors.first().expect("it has one plugin")
});

fn versioned() -> Arc<dyn Serializer> {
    let Factory::Serializer(factory) = VERSIONED.factory else { panic!("it is a serializer") };
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let built = runtime
        .expect("a runtime needs nothing")
        .block_on(factory.build(json!({"version": 3}), &BuildContext::new("conformance")));
    built.expect("it needs nothing else")
}

larder_conformance::serializer!(versioned);
larder_conformance::plugin!(VERSIONED);

#[tokio::test]
async fn a_config_uses_it() -> Result<()> {
    let place = Place::new();
    let config = |version: u8| {
        format!(
            r#"
[plugins.acme-versioned]
library  = {:?}
trust    = "path"
provides = ["serializer:acme.versioned"]

[caches.words]
serializer = {{ kind = "acme.versioned", version = {version} }}
backend    = {{ kind = "file", dir = {:?} }}
"#,
            file(),
            place.dir()
        )
    };
    // What version 1 stored is there for version 1, and not for version 2.
    for (version, found) in [(1, None), (1, Some("one")), (2, None)] {
        let caches = CacheManager::from_str(Format::Toml, &config(version)).await?;
        let words = caches.cache::<String, String>("words")?;
        assert_eq!(words.get("a").await?.as_deref(), found, "version {version}");
        words.set("a", "one".to_owned()).await?;
        drop(words);
        caches.close().await?;
    }
    Ok(())
}
