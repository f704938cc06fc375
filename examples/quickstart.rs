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

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use larder::{Cache, CacheManager};
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

/// A path, a size and a time of change: a file that was changed is another key, so nobody has to
/// invalidate anything. What was found in the old one goes with its `ttl`.
type ReportKey = (String, u64, u64);

/// A run that had to analyse every file; what later ones are compared with.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct FirstRun {
    files: usize,
    took: Duration,
}

/// What became of one file.
struct Outcome {
    path: PathBuf,
    /// `None` for files that hold no text.
    report: larder::Result<Option<FileReport>>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = match Arguments::parse(std::env::args_os().skip(1)) {
        Ok(arguments) => arguments,
        Err(usage) => {
            eprintln!("{usage}");
            std::process::exit(2);
        }
    };
    let caches = match CacheManager::from_file(&arguments.config).await {
        Ok(caches) => caches,
        // Printed as it is: it says what is wrong in which line of the file.
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(1);
        }
    };
    run(&caches, &arguments.directory).await?;
    // Says whether everything was written; without it the caches just go.
    caches.close().await?;
    Ok(())
}

async fn run(caches: &CacheManager, directory: &Path) -> Result<(), Box<dyn Error>> {
    let reports = caches.cache::<ReportKey, FileReport>("reports")?;
    let runs = caches.cache::<String, FirstRun>("runs")?;

    let start = Instant::now();
    let root = directory.canonicalize()?;
    let files = tree::source_files(&root);
    let outcomes = analyse_all(&reports, files).await;
    let took = start.elapsed();

    report::print_files(&root, &outcomes);
    let answers = reports.stats().snapshot();
    report::print_answers(&answers, outcomes.len());
    let run = FirstRun { files: outcomes.len(), took };
    if answers.loads as usize == run.files {
        runs.set(root.to_string_lossy().as_ref(), run).await?;
    } else if let Some(first) = runs.get(root.to_string_lossy().as_ref()).await? {
        report::print_comparison(first, took);
    }
    report::print_caches(caches);
    Ok(())
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
    let key = (path.to_string_lossy().into_owned(), size, changed);
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
