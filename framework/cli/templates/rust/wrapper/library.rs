//! The library as a program loads it: it keeps the contract of a wrapper, and a config can use it.

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use larder::{CacheManager, Format};
use larder_conformance::Place;
use larder_core::library::{LibraryLoader, LibraryRequest, Trust};
use larder_core::plugin::Factory;
use larder_core::serde_json::json;
use larder_core::{BuildContext, Descriptor, Result, Wrapper};
use larder_dynamic::Loader;

/// The file of the library, which Cargo puts beside that of this test.
fn file() -> PathBuf {
    let test = std::env::current_exe().and_then(|path| path.canonicalize());
    let test = test.expect("a test has a path");
    test.with_file_name(format!("{DLL_PREFIX}acme_hex{DLL_SUFFIX}"))
}

/// What the library registers.
static HEX: LazyLock<Descriptor> = LazyLock::new(|| {
    let request = LibraryRequest::new("acme-hex", file()).trust(Trust::Path);
    let loaded = Loader::new().load(&request);
    let descriptors = loaded.unwrap_or_else(|refusal| panic!("{refusal}"));
    *descriptors.first().expect("it has one plugin")
});

fn hex() -> Arc<dyn Wrapper> {
    let Factory::Wrapper(_, factory) = HEX.factory else { panic!("it is a wrapper") };
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let built = runtime
        .expect("a runtime needs nothing")
        .block_on(factory.build(json!({"upper_case": true}), &BuildContext::new("conformance")));
    built.expect("it needs nothing else")
}

larder_conformance::wrapper!(hex, Encode);
larder_conformance::plugin!(HEX);

#[tokio::test]
async fn a_config_uses_it() -> Result<()> {
    let place = Place::new();
    let config = format!(
        r#"
[plugins.acme-hex]
library  = {:?}
trust    = "path"
provides = ["wrapper:acme.hex"]

[caches.words]
serializer = {{ kind = "json", encode = "acme.hex" }}
backend    = {{ kind = "file", dir = {:?} }}
"#,
        file(),
        place.dir()
    );
    // What the first one stored is there for the second one.
    for found in [None, Some("one")] {
        let caches = CacheManager::from_str(Format::Toml, &config).await?;
        let words = caches.cache::<String, String>("words")?;
        assert_eq!(words.get("a").await?.as_deref(), found);
        words.set("a", "one".to_owned()).await?;
        drop(words);
        caches.close().await?;
    }
    Ok(())
}
