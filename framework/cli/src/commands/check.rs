//! `larder check`: everything that can be said about a config without building it.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;

use larder::config::check::Checked;
use larder::config::diagnostic::{Diagnostic, Severity};
use larder::config::loader::Resolved;
use larder::config::parse::{Format, parse};
use larder::config::render::Report;
use larder::config::tree::{Node, SourceKind};

use super::{fix, stages};
use crate::args::{Check, ReportFormat};
use crate::context::{Context, readable};
use crate::exit::{Exit, Failure};
use crate::output::{Output, counted};

/// A config as one profile makes it, and what the checks say.
struct Run {
    resolved: Resolved,
    checked: Checked,
}

pub(super) fn run(arguments: &Check, context: &mut Context<'_>) -> Result<Exit, Failure> {
    let files = match arguments.files.is_empty() {
        true => vec![context.file()?],
        false => arguments.files.clone(),
    };
    let mut worst = Exit::Success;
    for (index, file) in files.iter().enumerate() {
        if index > 0 && arguments.format == ReportFormat::Human {
            context.output.data("\n")?;
        }
        let exit = one_file(file, arguments, context)?;
        if worst != Exit::Config && exit != Exit::Success {
            worst = exit;
        }
    }
    Ok(worst)
}

fn one_file(file: &Path, arguments: &Check, context: &mut Context<'_>) -> Result<Exit, Failure> {
    readable(file)?;
    let runs = all_runs(file, arguments, context);
    let mut checkup = Checkup { file, runs, fixed: 0 };
    if arguments.fix {
        checkup.fix(arguments, context)?;
    }
    checkup.report(arguments.format, arguments.deny_warnings, context.output)
}

/// Applies what is certain and checks again, for a change may bring to light what an earlier stage
/// hid. How many problems are mended.
fn fix_all(
    runs: &mut Vec<Run>,
    file: &Path,
    arguments: &Check,
    context: &mut Context<'_>,
) -> Result<u64, Failure> {
    const ROUNDS: usize = 8;
    let mut names = BTreeSet::new();
    let mut count = 0;
    for _ in 0..ROUNDS {
        let changes = fix::apply(runs.iter().map(|run| &run.checked.report))?;
        if changes.is_empty() {
            break;
        }
        for (name, changed) in changes {
            names.insert(name);
            count += changed;
        }
        *runs = all_runs(file, arguments, context);
    }
    if count > 0 {
        let names: Vec<String> = names.into_iter().collect();
        let problems = counted(count, "problem");
        context.output.done(format_args!("fixed {problems} in {}", names.join(", ")));
    }
    Ok(count)
}

fn all_runs(file: &Path, arguments: &Check, context: &Context<'_>) -> Vec<Run> {
    let run = |profile: Option<String>| {
        let resolved = context.resolve(file, profile.as_deref());
        let checked = context.check(&resolved);
        Run { resolved, checked }
    };
    let first = run(context.common.profile.clone());
    if !arguments.all_profiles {
        return vec![first];
    }
    let mut profiles = profiles(&first.resolved);
    // The environment may have chosen one of them already.
    profiles.retain(|name| first.resolved.profile.as_ref() != Some(name));
    std::iter::once(first).chain(profiles.into_iter().map(|name| run(Some(name)))).collect()
}

/// The names of all profiles. A resolved config has them no more, so the files are asked.
fn profiles(resolved: &Resolved) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (id, source) in resolved.sources.iter() {
        let format = Format::of_path(Path::new(&source.name));
        let Some(format) = format.filter(|_| source.kind == SourceKind::File) else { continue };
        let root = parse(id, &source.text, format, &mut Vec::new());
        let root = root.as_ref().and_then(|root| root.find(&["profile".to_owned()]));
        let profiles = root.and_then(Node::as_table).into_iter().flatten();
        names.extend(profiles.map(|item| item.key.clone()));
    }
    names
}

/// Shows all runs; what several profiles have in common only once.
fn report(
    file: &Path,
    runs: &[Run],
    is_changed: bool,
    arguments: &Check,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let mut said = HashSet::new();
    let mut counts = Counts::default();
    for run in runs {
        let report = &run.checked.report;
        let (lines, annotations) = (report.json_lines(), report.github());
        let machine_forms = lines.lines().zip(annotations.lines());
        let mut shown = Vec::new();
        for (diagnostic, (line, annotation)) in report.diagnostics().iter().zip(machine_forms) {
            if !said.insert(line.to_owned()) {
                continue;
            }
            counts.add(diagnostic);
            match arguments.format {
                ReportFormat::Human => shown.push(diagnostic),
                ReportFormat::Json => output.line(line)?,
                ReportFormat::Github => output.line(annotation)?,
            }
        }
        if arguments.format == ReportFormat::Human {
            if runs.len() > 1 {
                let name = run.resolved.profile.as_deref();
                let name = name.map_or("no profile".to_owned(), |name| format!("profile {name}"));
                output.line(format_args!("{name}:"))?;
            }
            stages::show(&run.resolved, &run.checked, output)?;
            human(report, &shown, output)?;
        }
    }
    if arguments.format == ReportFormat::Human {
        output.line(counts.summary(file, runs, is_changed))?;
    }
    Ok(match (counts.errors, counts.warnings) {
        (0, 0) => Exit::Success,
        (0, _) => Exit::answer(!arguments.deny_warnings),
        _ => Exit::Config,
    })
}

fn human(report: &Report, shown: &[&Diagnostic], output: &mut Output) -> Result<(), Failure> {
    let options = output.data_render_options();
    for diagnostic in shown {
        output.data("\n")?;
        output.data(&report.render_one(diagnostic, options))?;
    }
    output.data("\n")
}

/// How much was found.
#[derive(Default)]
struct Counts {
    errors: u64,
    warnings: u64,
}

impl Counts {
    fn add(&mut self, diagnostic: &Diagnostic) {
        match diagnostic.severity {
            Severity::Error => self.errors += 1,
            _ => self.warnings += 1,
        }
    }

    /// The last line: what is valid, or that nothing is.
    fn summary(&self, file: &Path, runs: &[Run], is_changed: bool) -> String {
        let mut parts = Vec::new();
        if self.errors > 0 {
            parts.push(counted(self.errors, "error"));
        }
        if self.warnings > 0 {
            parts.push(counted(self.warnings, "warning"));
        }
        let caches = runs.iter().filter_map(|run| run.checked.config.as_ref());
        let caches = caches.map(|config| config.caches.len()).max().unwrap_or_default();
        if self.errors == 0 {
            parts.insert(0, format!("{} valid", counted(caches as u64, "cache")));
            return parts.join(", ");
        }
        let outcome = if is_changed { "" } else { "; nothing was changed" };
        format!("{}: {}{outcome}", file.display(), parts.join(", "))
    }
}
