//! What it costs that a plugin is in a library: the same code called without Larder, and by Larder,
//! one layer more at a time.

use std::hint::black_box;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use larder::{Cache, CacheManager};
use larder_core::backend::InProcess;
use larder_core::library::{LibraryLoader, LibraryRequest, Trust};
use larder_core::plugin::Factory;
use larder_core::policy::Capacity;
use larder_core::serde_json::{self, Value, json};
use larder_core::{Backend, BuildContext, Bytes, Descriptor, Entry, PolicyFactory, SystemClock};
use larder_dynamic::Loader;
use larder_policies::SIEVE;
use larder_store::{Insert, Store, StoreOptions};

use self::shelf::Shelf;
use crate::Failure;
use crate::harness::{Round, Rounds, nanos_each};
use crate::keys::uniform;
use crate::overhead::polled_once;
use crate::report::{Report, Row, Unit};

mod shelf;

/// Measures a call that does nothing, a hit in a table in C and in one in Rust, and a hit in the
/// store under a policy in C. What each row holds is in `docs/benchmarks.md`.
pub(crate) fn run<W: Write>(report: &mut Report<W>) -> Result<(), Failure> {
    let place = tempfile::tempdir()?;
    let place = place.path().canonicalize()?;
    let nothing = library("nothing", Path::new("tests/bench/src/plugins/nothing.c"), &place)?;
    let shelf = library("c-shelf", Path::new("examples/plugins/c-shelf/shelf.c"), &place)?;
    let clock = library("c-clock", Path::new("examples/plugins/c-clock/clock.c"), &place)?;
    backend(report, "a call that does nothing", &nothing)?;
    backend(report, "a hit in a table in C", &shelf)?;
    in_rust(report)?;
    policy(report, &clock)
}

/// A library, and the same code called by C.
struct Built {
    descriptor: Descriptor,
    direct: PathBuf,
}

fn library(name: &str, source: &Path, place: &Path) -> Result<Built, Failure> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let (library, direct) = (place.join(format!("{name}.so")), place.join(name));
    let compile = |out: &Path, arguments: &[&str], more: &[PathBuf]| -> Result<(), Failure> {
        let mut cc = Command::new("cc");
        cc.args(["-std=c11", "-O2", "-I"]).arg(root.join("framework/abi/include"));
        cc.args(arguments).arg("-o").arg(out).arg(root.join(source)).args(more).arg("-lpthread");
        let built = cc.status()?;
        built.success().then_some(()).ok_or_else(|| format!("{} does not compile", name).into())
    };
    compile(&library, &["-fPIC", "-shared", "-fvisibility=hidden"], &[])?;
    compile(&direct, &[], &[root.join("tests/bench/src/plugins/direct.c")])?;
    let request = LibraryRequest::new(name, &library).trust(Trust::Path);
    let descriptor = Loader::new().load(&request)?.pop().ok_or("it has no component")?;
    Ok(Built { descriptor, direct })
}

fn backend<W: Write>(
    report: &mut Report<W>,
    case: &'static str,
    built: &Built,
) -> Result<(), Failure> {
    let keys = keys();
    let backend = adapter(&built.descriptor, &keys)?;
    let manager = handle(built)?;
    let cache: Cache<String, String> = manager.cache("bench")?;
    for key in &keys {
        // As long as the values of the other layers, once it is in an entry.
        polled_once(cache.set(key, "v".repeat(62))).ok_or("it waits")??;
    }
    let at_once = |key: &String| answers_at_once(&*backend, key);
    let polled = |key: &String| polled_once(backend.get(key)).is_some_and(|found| found.is_ok());
    let held = |key: &String| polled_once(cache.get(key)).is_some_and(|found| found.is_ok());
    let layers: [(&str, Ask<'_>); 3] =
        [("adapter", &at_once), ("adapter, as a future", &polled), ("handle", &held)];
    for (layer, ask) in layers {
        let mut rounds = Rounds::of([layer, "called by C"]);
        rounds.run(ROUNDS, &mut [asked(ask, &keys), called(&built.direct)]);
        report.add(&Row::of_rounds(format!("{case}, {layer}"), Unit::Nanos, &rounds))?;
    }
    Ok(())
}

/// A hit in a table in Rust that is in a library, and that is linked.
fn in_rust<W: Write>(report: &mut Report<W>) -> Result<(), Failure> {
    let request = LibraryRequest::new("rust-shelf", &built_by_cargo("rust_shelf")?);
    let loaded = Loader::new().load(&request.trust(Trust::Path))?;
    let keys = keys();
    let backend = adapter(loaded.first().ok_or("it has no component")?, &keys)?;
    let linked = filled(Arc::new(Shelf::default()), &keys)?;
    let mut rounds = Rounds::of(["adapter", "linked"]);
    let (foreign, ours): (Ask<'_>, Ask<'_>) =
        (&|key: &String| answers_at_once(&*backend, key), &|key: &String| {
            answers_at_once(&*linked, key)
        });
    rounds.run(ROUNDS, &mut [asked(foreign, &keys), asked(ours, &keys)]);
    let case = "a hit in a table in Rust, adapter".to_owned();
    report.add(&Row::of_rounds(case, Unit::Nanos, &rounds))?;
    Ok(())
}

/// The library that an example of this crate is.
fn built_by_cargo(example: &str) -> Result<PathBuf, Failure> {
    let mut cargo = Command::new(env!("CARGO"));
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    cargo.args(["build", "--release", "--quiet", "--example", example, "--manifest-path"]);
    let built = cargo.arg(manifest).args(["--message-format", "json"]).output()?;
    let said = String::from_utf8_lossy(&built.stdout);
    let artifacts = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut files = artifacts
        .filter(|artifact| artifact["target"]["name"] == example)
        .filter_map(|artifact| artifact["filenames"][0].as_str().map(PathBuf::from));
    files.next().ok_or_else(|| String::from_utf8_lossy(&built.stderr).into())
}

fn answers_at_once(backend: &dyn Backend, key: &str) -> bool {
    backend.get_now(key).is_some_and(|found| found.is_ok())
}

/// Asks for a key; whether it was answered at once.
type Ask<'a> = &'a dyn Fn(&String) -> bool;

fn keys() -> Vec<String> {
    (0..ENTRIES).map(|at| format!("a key of the table {at}")).collect()
}

/// The backend itself, with an entry for each key.
fn adapter(descriptor: &Descriptor, keys: &[String]) -> Result<Arc<dyn Backend>, Failure> {
    let Factory::Backend(factory) = descriptor.factory else {
        return Err("it is no backend".into());
    };
    let context = BuildContext::new("bench");
    filled(polled_once(factory.build(json!({}), &context)).ok_or("it waits")??, keys)
}

fn filled(backend: Arc<dyn Backend>, keys: &[String]) -> Result<Arc<dyn Backend>, Failure> {
    for key in keys {
        let entry = Entry { value: Bytes::from(vec![7; 64]), ..Entry::default() };
        polled_once(backend.set(key, entry)).ok_or("it waits")??;
    }
    Ok(backend)
}

/// A cache that has no other tier.
fn handle(built: &Built) -> Result<CacheManager, Failure> {
    let text = format!("[caches.bench]\nbackend = {{ kind = \"{}\" }}", built.descriptor.kind);
    let builder = CacheManager::builder().text("bench.toml", larder::Format::Toml, text);
    Ok(builder.plugin(built.descriptor).build_blocking()?)
}

fn asked<'a>(ask: Ask<'a>, keys: &'a [String]) -> Round<'a> {
    Box::new(move || {
        let start = Instant::now();
        let mut at = 0;
        for _ in 0..READS {
            assert!(black_box(ask(black_box(&keys[at]))), "it answers at once");
            at = (at + STEP) % keys.len();
        }
        nanos_each(start.elapsed(), READS)
    })
}

fn called(program: &Path) -> Round<'_> {
    Box::new(move || {
        let mut direct = Command::new(program);
        let said = direct.args([READS.to_string(), ENTRIES.to_string()]).output();
        let said = said.map(|output| output.stdout).unwrap_or_default();
        let figure = String::from_utf8_lossy(&said);
        let figure = figure.split_whitespace().next().and_then(|figure| figure.parse().ok());
        figure.expect("the program says how long a call took")
    })
}

/// A hit under second chance in C and under SIEVE in Rust: in both the store sets a bit.
fn policy<W: Write>(report: &mut Report<W>, clock: &Built) -> Result<(), Failure> {
    let (foreign, ours) = (store(&clock.descriptor)?, store(&SIEVE)?);
    let keys = uniform::<u64>(ENTRIES as u64, READS);
    let mut rounds = Rounds::of(["policy in C", "policy in Rust"]);
    let mut sides = [hits(&foreign, &keys), hits(&ours, &keys)];
    rounds.run(ROUNDS, &mut sides);
    report.add(&Row::of_rounds("a hit in memory".to_owned(), Unit::Nanos, &rounds))?;
    Ok(())
}

fn store(policy: &Descriptor) -> Result<Store<u64, u64>, Failure> {
    let Factory::Policy(factory) = policy.factory else { return Err("it is no policy".into()) };
    let factory: Arc<dyn PolicyFactory> = factory.build(json!({}))?;
    let capacity = Capacity { entries: Some(ENTRIES as u64 * 2), weight: None };
    let options = StoreOptions::new(InProcess::new(capacity, factory), SystemClock::shared());
    let store = Store::new(options);
    for number in 0..ENTRIES as u64 {
        let stored = store.insert(number, number, Insert::default());
        stored.map_err(|full| format!("{full:?}"))?;
    }
    Ok(store)
}

fn hits<'a>(store: &'a Store<u64, u64>, keys: &'a [u64]) -> Round<'a> {
    Box::new(move || {
        let start = Instant::now();
        for key in keys {
            assert!(black_box(store.get(black_box(key)).hit()).is_some(), "every key was stored");
        }
        nanos_each(start.elapsed(), keys.len())
    })
}

const ENTRIES: usize = 5_000;
const READS: usize = 500_000;
/// From one key to the next: a prime, so that all are met in no order that a processor foresees.
const STEP: usize = 7919;
const ROUNDS: usize = 6;
