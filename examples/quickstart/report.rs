//! What the quick start prints.

use std::cmp::Reverse;
use std::io::{self, Write};
use std::time::Duration;

use comfy_table::Table;
use larder::{CacheManager, StatsSnapshot};

use crate::analysis::FileReport;
use crate::{Findings, Run};

/// How many files the table shows.
const SHOWN: usize = 10;

/// Prints everything.
pub(crate) fn print(caches: &CacheManager, findings: &Findings) -> io::Result<()> {
    match write(&mut io::stdout().lock(), caches, findings) {
        // Whoever reads has seen enough, as in `quickstart | head`.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

fn write(out: &mut impl Write, caches: &CacheManager, findings: &Findings) -> io::Result<()> {
    write_files(out, findings)?;
    write_answers(out, &findings.answers, findings.run.files)?;
    if let Some(first) = findings.first {
        write_comparison(out, first, findings.run.took)?;
    }
    write_caches(out, caches)
}

/// The files with the longest copied blocks, the totals, and what could not be read.
fn write_files(out: &mut impl Write, findings: &Findings) -> io::Result<()> {
    let mut reports: Vec<(String, &FileReport)> = Vec::new();
    for outcome in &findings.outcomes {
        let path = outcome.path.strip_prefix(&findings.root).unwrap_or(&outcome.path);
        match &outcome.report {
            Ok(Some(report)) => reports.push((path.display().to_string(), report)),
            Ok(None) => {}
            Err(error) => writeln!(out, "skipped {}: {error}", path.display())?,
        }
    }
    // Stable, so that files of the same length stay in the order of their names.
    reports.sort_by_key(|(_, report)| Reverse(report.copied.lines));
    let mut table = Table::new();
    table.set_header(["file", "lines", "words", "most used", "copied lines"]);
    table.add_rows(reports.iter().take(SHOWN).map(|(name, report)| row(name, report)));
    let lines: usize = reports.iter().map(|(_, report)| report.lines).sum();
    let words: usize = reports.iter().map(|(_, report)| report.words).sum();
    let (files, texts) = (findings.run.files, reports.len());
    writeln!(out, "{table}")?;
    writeln!(out, "{files} files, {texts} of them text with {lines} lines and {words} words")
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
fn write_caches(out: &mut impl Write, caches: &CacheManager) -> io::Result<()> {
    let mut table = Table::new();
    table.set_header(["cache", "tier", "hits", "misses", "written"]);
    for stats in caches.list().iter().filter_map(|name| caches.stats(name)) {
        let snapshot = stats.snapshot();
        table.add_rows(snapshot.tiers.iter().map(|tier| {
            [
                snapshot.name.clone(),
                format!("{} {}", tier.tier, tier.backend),
                tier.hits.to_string(),
                tier.misses.to_string(),
                tier.writes.to_string(),
            ]
        }));
    }
    writeln!(out, "{table}")
}

/// Where the answers came from.
fn write_answers(out: &mut impl Write, answers: &StatsSnapshot, files: usize) -> io::Result<()> {
    for tier in answers.tiers.iter().filter(|tier| tier.hits > 0) {
        writeln!(out, "answered from the {} tier: {} of {files} files", tier.backend, tier.hits)?;
    }
    writeln!(out, "analysed anew: {} of {files} files", answers.loads)
}

/// How much faster this run was than the one that had to analyse everything.
fn write_comparison(out: &mut impl Write, first: Run, took: Duration) -> io::Result<()> {
    let factor = first.took.as_secs_f64() / took.as_secs_f64().max(f64::MIN_POSITIVE);
    writeln!(
        out,
        "took {took:.1?}, {factor:.1} times as fast as analysing all {} files, which took {:.1?}",
        first.files, first.took,
    )
}
