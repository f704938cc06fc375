//! `larder check`: everything that can be said about a config without building its caches.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;

use larder::config::check::Checked;
use larder::config::diagnostic::{Diagnostic, Severity};
use larder::config::loader::Resolved;
use larder::config::parse::{Format, parse};
use larder::config::tree::{Node, SourceKind};

use super::{fix, online, stages};
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
    if arguments.online {
        for run in &mut checkup.runs {
            online::ask(&run.resolved, &mut run.checked)?;
        }
    }
    let counts = checkup.report(arguments.format, context.output)?;
    Ok(counts.exit(arguments.deny_warnings))
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

/// A file, what was found in it with each profile, and how much of it was mended.
struct Checkup<'a> {
    file: &'a Path,
    runs: Vec<Run>,
    fixed: u64,
}

impl Checkup<'_> {
    /// Applies what is certain and checks again, for a change may bring to light what an earlier
    /// stage hid.
    fn fix(&mut self, arguments: &Check, context: &mut Context<'_>) -> Result<(), Failure> {
        const ROUNDS: usize = 8;
        let mut names = BTreeSet::new();
        for _ in 0..ROUNDS {
            let changes = fix::apply(self.runs.iter().map(|run| &run.checked.report))?;
            if changes.is_empty() {
                break;
            }
            for (name, count) in changes {
                names.insert(name);
                self.fixed += count;
            }
            self.runs = all_runs(self.file, arguments, context);
        }
        if self.fixed > 0 {
            let names: Vec<String> = names.into_iter().collect();
            let problems = counted(self.fixed, "problem");
            context.output.done(format_args!("fixed {problems} in {}", names.join(", ")));
        }
        Ok(())
    }

    /// Shows all runs; what several profiles have in common only once.
    fn report(&self, format: ReportFormat, output: &mut Output) -> Result<Counts, Failure> {
        let mut said = HashSet::new();
        let mut counts = Counts::default();
        for run in &self.runs {
            let report = &run.checked.report;
            let (lines, annotations) = (report.json_lines(), report.github());
            let machine_forms = lines.lines().zip(annotations.lines());
            let mut shown = Vec::new();
            for (diagnostic, (line, annotation)) in report.diagnostics().iter().zip(machine_forms) {
                if !said.insert(line.to_owned()) {
                    continue;
                }
                counts.add(diagnostic);
                match format {
                    ReportFormat::Human => shown.push(diagnostic),
                    ReportFormat::Json => output.line(line)?,
                    ReportFormat::Github => output.line(annotation)?,
                }
            }
            if format == ReportFormat::Human {
                self.show(run, &shown, output)?;
            }
        }
        if format == ReportFormat::Human {
            output.line(self.summary(&counts))?;
        }
        Ok(counts)
    }

    /// One run for people.
    fn show(&self, run: &Run, shown: &[&Diagnostic], output: &mut Output) -> Result<(), Failure> {
        if self.runs.len() > 1 {
            let profile = run.resolved.profile.as_deref();
            output.line(match profile {
                Some(name) => format!("profile {name}:"),
                None => "no profile:".to_owned(),
            })?;
        }
        stages::show(&run.resolved, &run.checked, output)?;
        let options = output.data_render_options();
        for diagnostic in shown {
            output.data("\n")?;
            output.data(&run.checked.report.render_one(diagnostic, options))?;
        }
        output.data("\n")
    }

    /// The last line: what is valid, or that nothing is.
    fn summary(&self, counts: &Counts) -> String {
        let mut parts = Vec::new();
        if counts.errors > 0 {
            parts.push(counted(counts.errors, "error"));
        }
        if counts.warnings > 0 {
            parts.push(counted(counts.warnings, "warning"));
        }
        if counts.errors == 0 {
            let configs = self.runs.iter().filter_map(|run| run.checked.config.as_ref());
            let caches = configs.map(|config| config.caches.len()).max().unwrap_or_default();
            parts.insert(0, format!("{} valid", counted(caches as u64, "cache")));
            return parts.join(", ");
        }
        let outcome = if self.fixed == 0 { "; nothing was changed" } else { "" };
        format!("{}: {}{outcome}", self.file.display(), parts.join(", "))
    }
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

    const fn exit(&self, denies_warnings: bool) -> Exit {
        match (self.errors, self.warnings) {
            (0, 0) => Exit::Success,
            (0, _) => Exit::answer(!denies_warnings),
            _ => Exit::Config,
        }
    }
}
