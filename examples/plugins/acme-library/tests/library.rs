//! The library, loaded like any other, keeps the contracts that the linked plugins keep.

use std::fmt::{self, Write as _};
use std::sync::{Arc, LazyLock, Mutex};

use futures_util::FutureExt;
use larder_conformance::{Place, backend, policy};
use larder_core::library::{LibraryLoader, LibraryRequest, Trust};
use larder_core::plugin::Factory;
use larder_core::{Backend, Descriptor, KeyPath, PolicyFactory, Result, Slot};
use larder_dynamic::Loader;
use serde_json::json;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

/// What the library registers.
static DESCRIPTORS: LazyLock<Vec<Descriptor>> = LazyLock::new(load);

fn load() -> Vec<Descriptor> {
    let test = std::env::current_exe().and_then(|path| path.canonicalize());
    let test = test.expect("a test has a path");
    let name =
        format!("{}acme_library{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    let request = LibraryRequest::new("acme", test.with_file_name(name)).trust(Trust::Path);
    Loader::new().load(&request).unwrap_or_else(|refusal| panic!("{refusal}"))
}

fn find(slot: Slot) -> Descriptor {
    let found = DESCRIPTORS.iter().find(|descriptor| descriptor.slot == slot);
    *found.expect("the library has one")
}

async fn log(place: Place) -> Result<Arc<dyn Backend>> {
    let Factory::Backend(factory) = find(Slot::Backend).factory else { panic!("a backend") };
    std::fs::create_dir_all(place.dir()).expect("it can be made");
    let options = json!({"path": place.dir().join("acme.log"), "max_bytes": "32MiB"});
    factory.build(options, &place.context()).await
}

fn lru_k() -> Arc<dyn PolicyFactory> {
    let Factory::Policy(factory) = find(Slot::Policy).factory else { panic!("a policy") };
    factory.build(json!({})).expect("no option has to be there")
}

backend!(log as the_log_keeps_the_contract);
policy!(lru_k as lru_k_keeps_the_contract);

#[test]
fn it_is_described_as_if_it_were_linked() {
    let linked = [acme_cache::log::LOG, acme_cache::lru_k::LRU_K];
    for (loaded, linked) in DESCRIPTORS.iter().zip(linked) {
        assert_eq!((loaded.slot, loaded.kind), (linked.slot, linked.kind));
        assert_eq!(loaded.summary, linked.summary);
        let both = loaded.capabilities & linked.capabilities;
        assert_eq!(both, linked.capabilities);
        let schema = |descriptor: &Descriptor| descriptor.factory.config().schema();
        assert_eq!(schema(loaded).as_value(), schema(&linked).as_value());
    }
}

#[test]
fn a_mistake_in_its_options_stands_at_the_option() {
    let at = KeyPath::from_segments(["caches", "pages", "l1", "policy"]);
    for descriptor in [find(Slot::Policy), acme_cache::lru_k::LRU_K] {
        let problems = descriptor.factory.config().check(&json!({"k": 0}), &at).unwrap_err();
        let found: Vec<String> = problems.iter().map(|problem| problem.path.to_string()).collect();
        assert_eq!(found, ["caches.pages.l1.policy.k"], "{problems}");
    }
}

/// What an event says, with its fields.
#[derive(Clone, Debug, Default)]
struct Heard(Arc<Mutex<Vec<String>>>);

impl<S: Subscriber> Layer<S> for Heard {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        struct Said(String);
        impl Visit for Said {
            fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
                write!(self.0, "{}={value:?} ", field.name()).expect("a string takes any text");
            }
        }
        let mut said = Said(format!("{} ", event.metadata().level()));
        event.record(&mut said);
        self.0.lock().expect("no test panics here").push(said.0);
    }
}

/// Builds the log on this thread, and tells what is heard of the library up to this level.
fn heard_up_to(level: LevelFilter) -> Vec<String> {
    let heard = Heard::default();
    let subscriber = tracing_subscriber::registry().with(heard.clone().with_filter(level));
    tracing::subscriber::with_default(subscriber, || {
        let place = Place::new();
        // Without a runtime the instance is made on this thread.
        let built = log(place.clone()).now_or_never().expect("no runtime is there to wait for");
        drop(built.expect("the log can be opened"));
    });
    let heard = heard.0.lock().expect("no test panics here");
    heard.iter().filter(|said| said.contains("acme")).cloned().collect()
}

#[test]
fn what_it_says_is_heard_with_its_name_if_anybody_listens() {
    assert_eq!(heard_up_to(LevelFilter::WARN), [""; 0]);
    let heard = heard_up_to(LevelFilter::DEBUG);
    let opened: Vec<&String> =
        heard.iter().filter(|said| said.contains("the log is open")).collect();
    let [said] = opened[..] else { panic!("it was heard {} times: {heard:?}", opened.len()) };
    for part in [
        "DEBUG ",
        "plugin=\"acme\"",
        "cache=\"conformance\"",
        "module=\"acme_cache::log::backend\"",
        "path=",
    ] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
}
