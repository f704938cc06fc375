//! The library as a program loads it: it keeps the contract of a policy, and a config can use it.

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use larder::{CacheManager, Format};
use larder_core::library::{LibraryLoader, LibraryRequest, Trust};
use larder_core::plugin::Factory;
use larder_core::serde_json::json;
use larder_core::{Descriptor, PolicyFactory, Result};
use larder_dynamic::Loader;

/// The file of the library, which Cargo puts beside that of this test.
fn file() -> PathBuf {
    let test = std::env::current_exe().and_then(|path| path.canonicalize());
    let test = test.expect("a test has a path");
    test.with_file_name(format!("{DLL_PREFIX}acme_queue{DLL_SUFFIX}"))
}

/// What the library registers.
static QUEUE: LazyLock<Descriptor> = LazyLock::new(|| {
    let request = LibraryRequest::new("acme-queue", file()).trust(Trust::Path);
    let loaded = Loader::new().load(&request);
    let descriptors = loaded.unwrap_or_else(|refusal| panic!("{refusal}"));
    *descriptors.first().expect("it has one plugin")
});

fn queue() -> Arc<dyn PolicyFactory> {
    let Factory::Policy(factory) = QUEUE.factory else { panic!("it is a policy") };
    factory.build(json!({})).expect("no option has to be there")
}

larder_conformance::policy!(queue);
larder_conformance::plugin!(QUEUE);

#[tokio::test]
async fn a_config_uses_it() -> Result<()> {
    let config = format!(
        r#"
[plugins.acme-queue]
library  = {:?}
trust    = "path"
provides = ["policy:acme.queue"]

[caches.words]
l1.backend = {{ kind = "memory", capacity = 2, shards = 1 }}
l1.policy  = {{ kind = "acme.queue", chances = 2 }}
"#,
        file()
    );
    let caches = CacheManager::from_str(Format::Toml, &config).await?;
    let words = caches.cache::<String, u8>("words")?;
    words.set("a", 1).await?;
    words.set("b", 2).await?;
    assert_eq!(words.get("a").await?, Some(1));
    words.set("c", 3).await?;
    // `b` is younger than `a`, and was not hit.
    assert_eq!((words.get("a").await?, words.get("b").await?), (Some(1), None));
    Ok(())
}
