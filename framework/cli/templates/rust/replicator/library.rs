//! The library as a program loads it.

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use larder_conformance::Place;
use larder_core::library::{LibraryLoader, LibraryRequest, Trust};
use larder_core::plugin::Factory;
use larder_core::replicator::{Mutation, MutationSink};
use larder_core::serde_json::json;
use larder_core::{BuildContext, Descriptor, Entry, Result, Stamp, async_trait};
use larder_dynamic::Loader;

/// The file of the library, which Cargo puts beside that of this test.
fn file() -> PathBuf {
    let test = std::env::current_exe().and_then(|path| path.canonicalize());
    let test = test.expect("a test has a path");
    test.with_file_name(format!("{DLL_PREFIX}acme_journal{DLL_SUFFIX}"))
}

/// What the library registers.
static JOURNAL: LazyLock<Descriptor> = LazyLock::new(|| {
    let request = LibraryRequest::new("acme-journal", file()).trust(Trust::Path);
    let loaded = Loader::new().load(&request);
    let descriptors = loaded.unwrap_or_else(|refusal| panic!("{refusal}"));
    *descriptors.first().expect("it has one plugin")
});

larder_conformance::plugin!(JOURNAL);

/// Nothing is delivered to it.
#[derive(Debug)]
struct Sink;

#[async_trait]
impl MutationSink for Sink {
    async fn apply(&self, _: Vec<Mutation>) -> Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_program_uses_it() -> Result<()> {
    let place = Place::new();
    std::fs::create_dir_all(place.dir()).expect("it can be made");
    let path = place.dir().join("changes.log");
    let Factory::Replicator(factory) = JOURNAL.factory else { panic!("it is a replicator") };
    let journal = factory.build(json!({"path": path}), &BuildContext::new("words")).await?;

    let put = |key: &str| Mutation::Put { key: key.to_owned(), entry: Entry::default() };
    assert!(journal.send(vec![put("a")]).await.is_err(), "it is not started");
    journal.start(Arc::new(Sink)).await?;
    journal.send(vec![put("a"), put("b")]).await?;
    journal.send(vec![Mutation::Delete { key: "a".to_owned(), stamp: Stamp::default() }]).await?;
    let status = journal.status();
    assert_eq!((status[0].target.as_str(), status[0].queued), ("journal", 0));
    journal.stop(Duration::from_secs(60)).await?;
    let written = std::fs::read_to_string(&path).expect("it is there");
    assert_eq!(written, "put 0 a\nput 0 b\ndelete 0 a\n");
    Ok(())
}
