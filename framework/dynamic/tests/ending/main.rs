//! Threads of a library that outlive its instances, and the end of the process.
//!
//! Each test plays it in a child, which is the process that ends.
#![cfg(target_os = "linux")]

use std::path::Path;
use std::pin::pin;
use std::process::{Command, ExitStatus};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use larder_core::library::{LibraryLoader as _, LibraryRequest, Trust};
use larder_core::plugin::Factory;
use larder_core::{Backend, BuildContext, Entry};
use larder_dynamic::Loader;
use serde_json::json;
use tracing_subscriber::layer::{self, Layer, SubscriberExt as _};

/// Where a child finds the library.
const CHILD: &str = "LARDER_TEST_CHILD";

/// Where the library writes that it was told of the end.
const TOLD: &str = "LARDER_TEST_TOLD";

/// Has the library not return when it is told.
const HANGS: &str = "LARDER_TEST_HANGS";

/// Longer than anything here takes.
const MINUTE: Duration = Duration::from_secs(60);

/// What a future yields that waits for nothing.
fn now<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("it answers at once")
}

fn backend(factory: Factory) -> Arc<dyn Backend> {
    let Factory::Backend(factory) = factory else { panic!("a backend") };
    now(factory.build(json!({}), &BuildContext::new("ending"))).expect("it has no options")
}

/// How many instances were destroyed, how often the thread went round, and how often somebody
/// did not refuse it.
fn said(backend: &dyn Backend) -> [u64; 3] {
    let health = now(backend.health()).expect("it answers");
    [health.corrupt, health.entries.unwrap_or_default(), health.bytes.unwrap_or_default()]
}

fn until(what: &str, is_so: impl Fn() -> bool) {
    let since = Instant::now();
    while !is_so() {
        assert!(since.elapsed() < MINUTE, "not so after a minute: {what}");
        std::thread::yield_now();
    }
}

/// Counts what is said.
#[derive(Clone, Default)]
struct Heard(Arc<AtomicUsize>);

impl<S: tracing::Subscriber> Layer<S> for Heard {
    fn on_event(&self, _: &tracing::Event<'_>, _: layer::Context<'_, S>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// What the child does: all that is left of two instances is a thread with their numbers.
fn outlive(library: &Path) {
    let heard = Heard::default();
    let subscriber = tracing_subscriber::registry().with(heard.clone());
    tracing::subscriber::set_global_default(subscriber).expect("nobody else listens here");
    let request = LibraryRequest::new("acme.lingers", library).trust(Trust::Path);
    let plugins = Loader::new().load(&request).unwrap_or_else(|refusal| panic!("{refusal}"));
    let first = backend(plugins[0].factory);
    let Factory::Replicator(factory) = plugins[1].factory else { panic!("a replicator") };
    let replicator = now(factory.build(json!({}), &BuildContext::new("ending")));
    let deferred = pin!(first.get("later")).poll(&mut Context::from_waker(Waker::noop()));
    assert!(deferred.is_pending());
    drop((first, replicator));

    let second = backend(plugins[0].factory);
    until("both instances are destroyed", || said(&*second)[0] == 2);
    now(second.set("go", Entry::default())).expect("the thread starts");
    // The numbers go a moment after `destroy` has returned. From then on nothing gets through.
    until("a thousand rounds of which nobody heard", || {
        let ([_, rounds, odd], events) = (said(&*second), heard.0.load(Ordering::SeqCst));
        until("the thread goes round", || said(&*second)[1] > rounds + 1000);
        said(&*second)[2] == odd && heard.0.load(Ordering::SeqCst) == events
    });
    // Neither is the second one destroyed nor the thread stopped when the process ends.
    std::mem::forget(second);
}

/// Compiles the library, runs a test of this program with it in a child, and returns how that
/// ended and what the library wrote when it was told.
fn child(test: &str, hangs: bool) -> (ExitStatus, String) {
    let folder = tempfile::tempdir().expect("a directory can be made");
    let path = folder.path().canonicalize().expect("it was just made");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let status = Command::new(&compiler)
        .args(["-std=gnu11", "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-I"])
        .arg(root.join("../abi/include"))
        .arg("-o")
        .arg(path.join("lingers.so"))
        .arg(root.join("tests/ending/lingers.c"))
        .arg("-lpthread")
        .status();
    assert!(status.is_ok_and(|status| status.success()), "install `{compiler}` or set CC");
    let mut command = Command::new(std::env::current_exe().expect("a test has a path"));
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]);
    command.env(CHILD, path.join("lingers.so")).env(TOLD, path.join("told"));
    if hangs {
        command.env(HANGS, "1");
    }
    let mut child = command.spawn().expect("this program can be run again");
    let (done, ended) = mpsc::channel();
    let id = child.id().to_string();
    let waiting = std::thread::spawn(move || {
        let status = child.wait().expect("it was started");
        // Nobody listens if it took too long.
        done.send(status).ok();
    });
    let status = ended.recv_timeout(2 * MINUTE);
    if status.is_err() {
        drop(Command::new("kill").args(["-9", &id]).status());
    }
    waiting.join().expect("it only waits");
    let status = status.expect("the process ends, whatever the library does");
    (status, std::fs::read_to_string(path.join("told")).unwrap_or_default())
}

#[test]
fn a_thread_that_outlives_instances_and_the_end_is_refused_and_does_no_harm() {
    if let Some(library) = std::env::var_os(CHILD) {
        return outlive(Path::new(&library));
    }
    let test = "a_thread_that_outlives_instances_and_the_end_is_refused_and_does_no_harm";
    let (status, told) = child(test, false);
    assert!(status.success(), "{status}");
    assert_eq!(told, "1", "it was told before its deadline");
}

#[test]
fn a_library_that_does_not_return_when_it_is_told_of_the_end_does_not_hold_it_up() {
    if let Some(library) = std::env::var_os(CHILD) {
        return outlive(Path::new(&library));
    }
    let test = "a_library_that_does_not_return_when_it_is_told_of_the_end_does_not_hold_it_up";
    let (status, told) = child(test, true);
    assert!(status.success(), "{status}");
    assert_eq!(told, "1", "it was told before its deadline");
}
