//! What it costs that a plugin is in a library: the same C code called by C, and by Larder, one
//! layer more at a time.

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
use larder_core::{Backend, BuildContext, Descriptor, Entry, PolicyFactory, SystemClock};
use larder_core::{Bytes, serde_json::json};
use larder_dynamic::Loader;
use larder_policies::SIEVE;
use larder_store::{Insert, Store, StoreOptions};

use crate::Failure;
use crate::harness::{Round, Rounds, nanos_each};
use crate::keys::uniform;
use crate::overhead::polled_once;
use crate::report::{Report, Row, Unit};

/// Measures a call that does nothing, a hit in a table in C, and a hit in the store under a policy
/// in C. What each row holds is in `docs/benchmarks.md`.
pub(crate) fn run<W: Write>(report: &mut Report<W>) -> Result<(), Failure> {
    let place = tempfile::tempdir()?;
    let place = place.path().canonicalize()?;
    let nothing = library("nothing", Path::new("tests/bench/src/plugins/nothing.c"), &place)?;
    let shelf = library("c-shelf", Path::new("examples/plugins/c-shelf/shelf.c"), &place)?;
    let clock = library("c-clock", Path::new("examples/plugins/c-clock/clock.c"), &place)?;
    backend(report, "a call that does nothing", &nothing)?;
    backend(report, "a hit in a table in C", &shelf)?;
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
    let keys: Vec<String> = (0..ENTRIES).map(|at| format!("a key of the table {at}")).collect();
    let backend = adapter(built, &keys)?;
    let manager = handle(built)?;
    let cache: Cache<String, String> = manager.cache("bench")?;
    for key in &keys {
        // As long as the values of the other layers, once it is in an entry.
        polled_once(cache.set(key, "v".repeat(62))).ok_or("it waits")??;
    }
    let at_once = |key: &String| backend.get_now(key).is_some_and(|found| found.is_ok());
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

/// Asks for a key; whether it was answered at once.
type Ask<'a> = &'a dyn Fn(&String) -> bool;

/// The backend itself, with an entry for each key.
fn adapter(built: &Built, keys: &[String]) -> Result<Arc<dyn Backend>, Failure> {
    let Factory::Backend(factory) = built.descriptor.factory else {
        return Err("it is no backend".into());
    };
    let context = BuildContext::new("bench");
    let backend = polled_once(factory.build(json!({}), &context)).ok_or("it waits")??;
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
