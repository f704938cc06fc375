//! The table of stages of `larder check`: how far each kind of check came.

use larder::config::check::Checked;
use larder::config::diagnostic::Severity;
use larder::config::loader::Resolved;
use larder::config::model::{CacheSpec, Config, PluginNode, SerializerSpec, TierSource};
use larder::config::render::Report;
use larder::config::tree::SourceKind;

use crate::exit::Failure;
use crate::output::{BAD, DOUBTFUL, GOOD, Output, counted};

/// The stages and the first digits of their codes, in the order in which they are gone through.
const STAGES: [(&str, &str); 6] = [
    ("syntax", "01"),
    ("layers", "03"),
    ("options", "02"),
    ("plugins", "06"),
    ("relations", "04"),
    ("connections", "05"),
];

pub(super) fn show(
    resolved: &Resolved,
    checked: &Checked,
    output: &mut Output,
) -> Result<(), Failure> {
    for (name, digits) in STAGES {
        let is_syntax = name == STAGES[0].0;
        let (errors, warnings) = found(&checked.report, digits);
        let counts = (errors > 0, warnings > 0);
        // Nothing was left to look at after a text that could not be read.
        let is_skipped = !is_syntax && resolved.root.failed;
        let (style, state) = match counts {
            (true, _) => (BAD, "fail"),
            (false, true) => (DOUBTFUL, "warn"),
            (false, false) if is_skipped => (anstyle::Style::new(), "-"),
            (false, false) => (GOOD, "ok"),
        };
        let detail = match counts {
            (true, true) => {
                format!("{}, {}", counted(errors, "error"), counted(warnings, "warning"))
            }
            (true, false) => counted(errors, "error"),
            (false, true) => counted(warnings, "warning"),
            (false, false) if is_skipped => "not checked".to_owned(),
            (false, false) => match detail(name, resolved, checked) {
                Some(detail) => detail,
                None => continue,
            },
        };
        output.line(format_args!("  {style}{state:<4}{style:#}  {name:<11}  {detail}"))?;
    }
    Ok(())
}

/// How many errors and warnings have codes that begin with these digits.
fn found(report: &Report, digits: &str) -> (u64, u64) {
    let mut counts = (0, 0);
    for diagnostic in report.diagnostics() {
        if diagnostic.code.get(1..3) == Some(digits) {
            match diagnostic.severity {
                Severity::Error => counts.0 += 1,
                _ => counts.1 += 1,
            }
        }
    }
    counts
}

/// What a stage without problems looked at; `None` when there was nothing to look at.
fn detail(stage: &str, resolved: &Resolved, checked: &Checked) -> Option<String> {
    match stage {
        "syntax" => {
            let files = resolved.sources.iter();
            let files = files.filter(|(_, source)| source.kind == SourceKind::File);
            let names: Vec<&str> = files.map(|(_, source)| source.name.as_str()).collect();
            Some(names.join(", "))
        }
        "layers" => Some(match &resolved.profile {
            Some(profile) => format!("profile {profile}"),
            None => "no profile".to_owned(),
        }),
        "options" => Some(sections(resolved)),
        "plugins" => Some(kinds(checked.config.as_ref()?)).filter(|kinds| !kinds.is_empty()),
        "connections" => {
            let connections = &checked.config.as_ref()?.connections;
            let names: Vec<&str> = connections.keys().map(String::as_str).collect();
            Some(names.join(", ")).filter(|names| !names.is_empty())
        }
        _ => checked.config.as_ref().map(|_| "no conflicts".to_owned()),
    }
}

/// `5 caches, 1 pattern, 3 connections`, without those that there are none of.
fn sections(resolved: &Resolved) -> String {
    let counts = [("caches", "cache"), ("patterns", "pattern"), ("connections", "connection")];
    let counts: Vec<String> = counts
        .into_iter()
        .filter_map(|(section, word)| {
            let table = resolved.root.find(&[section.to_owned()])?.as_table()?;
            (!table.is_empty()).then(|| counted(table.len() as u64, word))
        })
        .collect();
    match counts.is_empty() {
        true => "no caches".to_owned(),
        false => counts.join(", "),
    }
}

/// Every kind of plugin in use, with the versions left to `plugins list`.
fn kinds(config: &Config) -> String {
    let patterns = config.patterns.iter().map(|pattern| &pattern.cache);
    let mut kinds: Vec<&str> = Vec::new();
    for cache in config.caches.values().chain(patterns) {
        kinds.extend(plugins(cache).map(|plugin| plugin.kind.as_str()));
    }
    kinds.extend(config.connections.values().map(|plugin| plugin.kind.as_str()));
    kinds.sort_unstable();
    kinds.dedup();
    kinds.join(", ")
}

fn plugins(cache: &CacheSpec) -> impl Iterator<Item = &PluginNode> {
    let tiers = cache.tiers.iter().flat_map(|tier| {
        let backend = match &tier.source {
            TierSource::Backend(backend) => Some(backend),
            TierSource::Cache(_) => None,
        };
        let serializer = tier.serializer.iter().flat_map(SerializerSpec::plugins);
        backend.into_iter().chain(&tier.policy).chain(serializer)
    });
    tiers.chain(cache.serializer.plugins())
}
