//! How long a config takes: part of every start of an application, and of every save in an editor.

use std::hint::black_box;
use std::io::Write;
use std::time::{Duration, Instant};

use larder::{CacheManager, Format};
use larder_config::check::{CheckEnvironment, check};
use larder_config::loader::Loader;
use tokio::runtime::Builder;

use crate::Failure;
use crate::harness::time;
use crate::report::{Report, Row};
use crate::texts;

/// Measures the load of 100 caches, from text to caches that answer, and the check of 2,000 lines.
pub(crate) fn run<W: Write>(report: &mut Report<W>) -> Result<(), Failure> {
    let text = texts::many_caches(CACHES);
    load(&text)?;
    let loads = time(ROUNDS, || timed(|| load(&text)));
    let case = format!("load {CACHES} caches");
    report.add(&Row::within_budget(case, loads, LOAD_BUDGET))?;

    let text = texts::long(LINES);
    check_text(&text)?;
    let checks = time(ROUNDS, || timed(|| check_text(&text)));
    let case = format!("check {LINES} lines");
    report.add(&Row::within_budget(case, checks, CHECK_BUDGET))?;
    Ok(())
}

/// Builds all caches, opens each and closes them again.
fn load(text: &str) -> Result<(), Failure> {
    let runtime = Builder::new_current_thread().enable_time().build()?;
    runtime.block_on(async {
        let builder = CacheManager::builder().text("caches.toml", Format::Toml, text);
        let caches = builder.build().await?;
        for name in caches.list() {
            black_box(caches.cache::<u64, String>(&name)?);
        }
        caches.close().await?;
        Ok(())
    })
}

/// Checks as the command line does: all that can be known without building anything.
fn check_text(text: &str) -> Result<(), Failure> {
    let resolved = Loader::new().text("caches.toml", Format::Toml, text).resolve();
    let checked = check(&resolved, &larder::registry(), &CheckEnvironment::isolated());
    black_box(checked.into_config()?);
    Ok(())
}

/// How long the work takes. It went well once before it is timed, and nothing changes since.
fn timed(work: impl FnOnce() -> Result<(), Failure>) -> Duration {
    let start = Instant::now();
    work().expect("it went well before, from the same text");
    start.elapsed()
}

const CACHES: usize = 100;
const LINES: usize = 2_000;
const ROUNDS: usize = 21;
const LOAD_BUDGET: Duration = Duration::from_millis(50);
const CHECK_BUDGET: Duration = Duration::from_millis(100);
