//! How do I put a cache in front of work that is worth remembering?
//!
//! Looks for the longest block of lines that was copied within each file of a source tree, and
//! remembers what it found. Run it twice: the second run reads the findings from the file tier
//! and only analyses what has changed since.
//!
//! ```text
//! cargo run -p larder-examples --example quickstart -- [--config FILE] [DIRECTORY]
//! ```
//!
//! What the caches are made of stands in `caches.toml`. Try `--config examples/caches-memory.toml`:
//! other backends and policies, the same program.

use std::borrow::Cow;
use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use larder::{Cache, CacheKey, CacheManager, StatsSnapshot};
use serde::{Deserialize, Serialize};

#[path = "quickstart/analysis.rs"]
mod analysis;
#[path = "quickstart/arguments.rs"]
mod arguments;
#[path = "quickstart/report.rs"]
mod report;
#[path = "quickstart/tree.rs"]
mod tree;

use analysis::FileReport;
use arguments::Arguments;
use tree::SourceFile;

/// How many files are looked up or analysed at a time.
const AT_A_TIME: usize = 32;

/// A file that was changed is another key, so nobody has to invalidate anything. What was found in
/// the old one goes with its `ttl`.
#[derive(Clone, PartialEq, Eq, Hash)]
struct ReportKey {
    path: String,
    size: u64,
    changed: u64,
}

impl CacheKey for ReportKey {
    /// The text by which the files know the key. The path comes last, as it may hold any character.
    fn text(&self) -> Cow<'_, str> {
        let Self { path, size, changed } = self;
        format!("v{}:{size}:{changed}:{path}", analysis::VERSION).into()
    }
}

/// How long a run took.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Run {
    files: usize,
    took: Duration,
}

/// What became of one file.
struct Outcome {
    path: PathBuf,
    /// `None` for files that hold no text.
    report: larder::Result<Option<FileReport>>,
}

/// What there is to tell about a run.
struct Findings {
    root: PathBuf,
    outcomes: Vec<Outcome>,
    /// How the cache of reports did.
    answers: StatsSnapshot,
    run: Run,
    /// The run that had to analyse every file.
    first: Option<Run>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = match Arguments::parse(std::env::args_os().skip(1)) {
        Ok(arguments) => arguments,
        Err(usage) => {
            eprintln!("{usage}");
            return ExitCode::from(2);
        }
    };
    match run(&arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        // An error of the config says what is wrong in which line of the file.
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let caches = CacheManager::from_file(&arguments.config).await?;
    let reports = caches.cache::<ReportKey, FileReport>("reports")?;

    let start = Instant::now();
    let (root, files) = tree::source_files(&arguments.directory)?;
    let outcomes = analyse_all(&reports, files).await;
    let run = Run { files: outcomes.len(), took: start.elapsed() };

    let answers = reports.stats().snapshot();
    let first = first_run(&caches, &root, run, &answers).await?;
    report::print(&caches, &Findings { root, outcomes, answers, run, first })?;
    // Says whether everything was written; without it the caches just go.
    caches.close().await?;
    Ok(())
}

/// The run that had to analyse every file, if it is known. If it is this one, it is remembered.
async fn first_run(
    caches: &CacheManager,
    root: &Path,
    run: Run,
    answers: &StatsSnapshot,
) -> larder::Result<Option<Run>> {
    let runs = caches.cache::<String, Run>("runs")?;
    let key = root.to_string_lossy();
    if answers.loads as usize == run.files {
        runs.set(&*key, run).await?;
        return Ok(None);
    }
    runs.get(&*key).await
}

/// The findings of all files, in the order of their paths.
async fn analyse_all(
    reports: &Cache<ReportKey, FileReport>,
    files: Vec<SourceFile>,
) -> Vec<Outcome> {
    // Drawn on standard error, and only if that is a terminal.
    let progress = indicatif::ProgressBar::new(files.len() as u64);
    let outcomes = futures_util::stream::iter(files)
        .map(|file| analyse(reports, file))
        .buffered(AT_A_TIME)
        .inspect(|_| progress.inc(1))
        .collect()
        .await;
    progress.finish_and_clear();
    outcomes
}

/// The findings of one file: from the cache, or else from the file.
async fn analyse(reports: &Cache<ReportKey, FileReport>, file: SourceFile) -> Outcome {
    let SourceFile { path, size, changed } = file;
    let key = ReportKey { path: path.to_string_lossy().into_owned(), size, changed };
    let to_load = path.clone();
    let report = reports
        .get_or_load_optional(&key, || async move {
            // Reading and counting block, so they must not hold up the other tasks.
            tokio::task::spawn_blocking(move || load(&to_load)).await.map_err(io::Error::other)?
        })
        .await;
    Outcome { path, report }
}

/// Reads and analyses a file; `None` when it holds no text. That there is no text is worth
/// remembering as well: `negative_ttl` says for how long.
fn load(path: &Path) -> io::Result<Option<FileReport>> {
    let bytes = std::fs::read(path)?;
    Ok(String::from_utf8(bytes).ok().map(|text| analysis::analyse(&text)))
}
