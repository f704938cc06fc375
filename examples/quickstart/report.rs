//! What the quick start prints.
#![expect(clippy::print_stdout, reason = "this is the output of the program")]

use std::path::Path;
use std::time::Duration;

use comfy_table::Table;
use larder::{CacheManager, StatsSnapshot};

use crate::analysis::FileReport;
use crate::{FirstRun, Outcome};

/// How many files the table shows.
const SHOWN: usize = 10;

/// The files with the longest copied blocks, the totals, and what could not be read.
pub(crate) fn print_files(root: &Path, outcomes: &[Outcome]) {
    let name = |outcome: &Outcome| {
        outcome.path.strip_prefix(root).unwrap_or(&outcome.path).display().to_string()
    };
    let mut reports: Vec<(String, &FileReport)> = Vec::new();
    for outcome in outcomes {
        match &outcome.report {
            Ok(Some(report)) => reports.push((name(outcome), report)),
            Ok(None) => {}
            Err(error) => println!("skipped {}: {error}", name(outcome)),
        }
    }
    // Stable, so that files of the same length stay in the order of their names.
    reports.sort_by_key(|(_, report)| std::cmp::Reverse(report.copied.lines));
    let mut table = Table::new();
    table.set_header(["file", "lines", "words", "most used", "copied lines"]);
    for (name, report) in reports.iter().take(SHOWN) {
        table.add_row(row(name, report));
    }
    println!("{table}");
    let total =
        |of: fn(&FileReport) -> usize| -> usize { reports.iter().map(|(_, r)| of(r)).sum() };
    println!(
        "{} files, {} of them text with {} lines and {} words",
        outcomes.len(),
        reports.len(),
        total(|report| report.lines),
        total(|report| report.words),
    );
}

fn row(name: &str, report: &FileReport) -> [String; 5] {
    let most_used = report.identifiers.first();
    let copied = report.copied;
    [
        name.to_owned(),
        report.lines.to_string(),
        report.words.to_string(),
        most_used.map_or_else(String::new, |(word, count)| format!("{word} ({count})")),
        match copied.lines {
            0 => String::new(),
            lines => format!("{lines}, from {} and {}", copied.first, copied.second),
        },
    ]
}

/// How each tier of each cache did.
pub(crate) fn print_caches(caches: &CacheManager) {
    let mut table = Table::new();
    table.set_header(["cache", "tier", "hits", "misses", "written"]);
    let snapshots =
        caches.list().into_iter().filter_map(|name| Some(caches.stats(&name)?.snapshot()));
    for snapshot in snapshots {
        for tier in &snapshot.tiers {
            table.add_row([
                snapshot.name.clone(),
                format!("{} {}", tier.tier, tier.backend),
                tier.hits.to_string(),
                tier.misses.to_string(),
                tier.writes.to_string(),
            ]);
        }
    }
    println!("{table}");
}

/// Where the answers came from.
pub(crate) fn print_answers(reports: &StatsSnapshot, files: usize) {
    for tier in reports.tiers.iter().filter(|tier| tier.hits > 0) {
        println!("answered from the {} tier: {} of {files} files", tier.backend, tier.hits);
    }
    println!("analysed anew: {} of {files} files", reports.loads);
}

/// How much faster this run was than the one that had to analyse everything.
pub(crate) fn print_comparison(first: FirstRun, took: Duration) {
    let factor = first.took.as_secs_f64() / took.as_secs_f64().max(f64::MIN_POSITIVE);
    println!(
        "took {took:.1?}, {factor:.1} times as fast as analysing all {} files, which took {:.1?}",
        first.files, first.took,
    );
}
