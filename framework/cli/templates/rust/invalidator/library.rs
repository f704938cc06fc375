//! The library as a program loads it.

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use larder_conformance::Place;
use larder_core::invalidator::{Invalidation, InvalidationSink, Scope};
use larder_core::library::{LibraryLoader, LibraryRequest, Trust};
use larder_core::plugin::Factory;
use larder_core::serde_json::json;
use larder_core::{BuildContext, Descriptor, Invalidator, Result, Stamp, async_trait};
use larder_dynamic::Loader;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

/// The file of the library, which Cargo puts beside that of this test.
fn file() -> PathBuf {
    let test = std::env::current_exe().and_then(|path| path.canonicalize());
    let test = test.expect("a test has a path");
    test.with_file_name(format!("{DLL_PREFIX}acme_lines{DLL_SUFFIX}"))
}

/// What the library registers.
static LINES: LazyLock<Descriptor> = LazyLock::new(|| {
    let request = LibraryRequest::new("acme-lines", file()).trust(Trust::Path);
    let loaded = Loader::new().load(&request);
    let descriptors = loaded.unwrap_or_else(|refusal| panic!("{refusal}"));
    *descriptors.first().expect("it has one plugin")
});

larder_conformance::plugin!(LINES);

/// Takes what is delivered, in the place of a cache.
#[derive(Debug)]
struct Sink(UnboundedSender<Scope>);

#[async_trait]
impl InvalidationSink for Sink {
    async fn invalidate(&self, invalidation: Invalidation) -> Result<()> {
        self.0.send(invalidation.scope).expect("the test listens");
        Ok(())
    }

    async fn lost_track(&self) {}
}

async fn lines(place: &Place) -> Result<Arc<dyn Invalidator>> {
    std::fs::create_dir_all(place.dir()).expect("it can be made");
    let Factory::Invalidator(factory) = LINES.factory else { panic!("it is an invalidator") };
    let options = json!({"path": place.dir().join("changed.txt")});
    factory.build(options, &BuildContext::new("words")).await
}

#[tokio::test]
async fn a_program_uses_it() -> Result<()> {
    let place = Place::new();
    let (one, other) = (lines(&place).await?, lines(&place).await?);
    let (sender, mut delivered) = unbounded_channel();
    other.start(Arc::new(Sink(sender))).await?;
    for key in ["a", "b"] {
        let change = Invalidation::new(Scope::Key(key.to_owned()), Stamp::default());
        one.publish(&change).await?;
        let heard = tokio::time::timeout(Duration::from_secs(60), delivered.recv()).await;
        assert_eq!(heard.expect("it is heard of soon"), Some(change.scope));
    }
    for untold in [Scope::All, Scope::Key("a\nb".to_owned())] {
        assert!(one.publish(&Invalidation::new(untold, Stamp::default())).await.is_err());
    }
    other.stop().await
}
