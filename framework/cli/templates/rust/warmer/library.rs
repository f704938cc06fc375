//! The library as a program loads it.

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::path::PathBuf;
use std::sync::LazyLock;

use larder_conformance::Place;
use larder_core::library::{LibraryLoader, LibraryRequest, Trust};
use larder_core::plugin::Factory;
use larder_core::serde_json::json;
use larder_core::warmer::{WarmingStats, WarmingTrigger};
use larder_core::{BuildContext, Descriptor, ErrorKind, Result};
use larder_dynamic::Loader;

/// The file of the library, which Cargo puts beside that of this test.
fn file() -> PathBuf {
    let test = std::env::current_exe().and_then(|path| path.canonicalize());
    let test = test.expect("a test has a path");
    test.with_file_name(format!("{DLL_PREFIX}acme_keys{DLL_SUFFIX}"))
}

/// What the library registers.
static KEYS: LazyLock<Descriptor> = LazyLock::new(|| {
    let request = LibraryRequest::new("acme-keys", file()).trust(Trust::Path);
    let loaded = Loader::new().load(&request);
    let descriptors = loaded.unwrap_or_else(|refusal| panic!("{refusal}"));
    *descriptors.first().expect("it has one plugin")
});

larder_conformance::plugin!(KEYS);

#[tokio::test]
async fn a_program_uses_it() -> Result<()> {
    let place = Place::new();
    std::fs::create_dir_all(place.dir()).expect("it can be made");
    let path = place.dir().join("keys.txt");
    let listed: Vec<String> = (0..250).map(|number| format!("key-{number}")).collect();
    std::fs::write(&path, listed.join("\n")).expect("it can be written");
    let Factory::Warmer(factory) = KEYS.factory else { panic!("it is a warmer") };
    let warmer = factory.build(json!({"path": path}), &BuildContext::new("words")).await?;

    let mut run = warmer.keys(WarmingTrigger::Startup).await?;
    let mut named = Vec::new();
    while let Some(batch) = run.next_batch().await? {
        named.extend(batch.into_iter().map(|key| key.key));
    }
    assert_eq!(named, listed);
    warmer.finished(&WarmingStats::default());

    std::fs::remove_file(&path).expect("it is there");
    let error = warmer.keys(WarmingTrigger::Demand).await.expect_err("there is no list");
    assert_eq!(error.kind(), ErrorKind::Connection, "{error}");
    Ok(())
}
