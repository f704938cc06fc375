//! Every message that people see: one mistake in the example config each, in TOML and in YAML,
//! compared with `tests/golden/*.txt`. `SNAPSHOTS=overwrite cargo test` writes them anew.

mod support;

use larder_config::check::{CheckEnvironment, Checked, check};
use larder_config::diagnostic::Severity;
use larder_config::loader::Loader;
use larder_config::parse::Format;
use larder_config::render::{RenderOptions, Report};

const TOML: &str = include_str!("golden/caches.toml");
const YAML: &str = include_str!("golden/caches.yaml");

/// One mistake.
struct Mistake {
    /// The name of the golden file.
    name: &'static str,
    /// What is replaced by what in the TOML file.
    toml: &'static [(&'static str, &'static str)],
    /// What is replaced by what in the YAML file.
    yaml: &'static [(&'static str, &'static str)],
    /// Variables that are set as well.
    variables: &'static [(&'static str, &'static str)],
    /// The codes that must come out, errors and the warnings about relations.
    codes: &'static [&'static str],
}

impl Mistake {
    const fn new(
        name: &'static str,
        codes: &'static [&'static str],
        toml: &'static [(&'static str, &'static str)],
        yaml: &'static [(&'static str, &'static str)],
    ) -> Self {
        Self {
            name,
            toml,
            yaml,
            variables: &[],
            codes,
        }
    }

    const fn variables(mut self, variables: &'static [(&'static str, &'static str)]) -> Self {
        self.variables = variables;
        self
    }
}

fn replaced(text: &str, replacements: &[(&str, &str)]) -> String {
    replacements
        .iter()
        .fold(text.to_owned(), |text, (from, to)| {
            assert_eq!(text.matches(from).count(), 1, "{from:?} must occur once");
            text.replace(from, to)
        })
}

fn environment() -> CheckEnvironment {
    CheckEnvironment::isolated().container_limit(2 << 30, "/sys/fs/cgroup/memory.max")
}

fn checked(format: Format, text: &str, variables: &[(&str, &str)]) -> Checked {
    let name = if format == Format::Toml {
        "caches.toml"
    } else {
        "caches.yaml"
    };
    let secrets = [
        ("REDIS_MAIN_PASSWORD", "hunter2-main"),
        ("REDIS_US_PASSWORD", "hunter2-us"),
        ("ADMIN_TOKEN", "hunter2-admin"),
    ];
    let eu = ("REDIS_EU_PASSWORD", "hunter2-eu");
    let eu = (!variables.iter().any(|(name, _)| *name == "REDIS_EU_PASSWD")).then_some(eu);
    let variables = secrets.iter().chain(&eu).chain(variables);
    let variables = variables.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let resolved = Loader::new()
        .text(name, format, text)
        .environment(variables)
        .resolve();
    check(&resolved, &support::registry(), &environment())
}

/// All but the warnings about sections that this release ignores.
fn relevant(report: &Report) -> String {
    let shown = report
        .diagnostics()
        .iter()
        .filter(|one| one.code != "W0201");
    let texts: Vec<String> = shown
        .map(|one| report.render_one(one, RenderOptions::default().width(220)))
        .collect();
    texts.join("\n")
}

fn codes(report: &Report) -> Vec<&'static str> {
    let codes = report.diagnostics().iter().map(|one| one.code);
    codes.filter(|code| *code != "W0201").collect()
}

fn golden(name: &str, text: String) {
    let path = format!("{}/tests/golden/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    snapbox::assert_data_eq!(text, snapbox::Data::read_from(path.as_ref(), None).raw());
}

include!("support/mistakes.rs");

#[test]
fn the_example_is_valid_in_both_languages() {
    for (format, text) in [(Format::Toml, TOML), (Format::Yaml, YAML)] {
        let checked = checked(format, text, &[]);
        assert!(codes(&checked.report).is_empty(), "{}", checked.report);
        let config = checked.config.expect("no errors");
        assert_eq!(config.caches.len(), 5);
        assert_eq!(config.patterns.len(), 1);
        assert_eq!(config.connections.len(), 3);
    }
}

#[test]
fn every_mistake_reads_as_its_golden_file_says() {
    for mistake in MISTAKES {
        for (format, text, changes) in [
            (Format::Toml, TOML, mistake.toml),
            (Format::Yaml, YAML, mistake.yaml),
        ] {
            if changes.is_empty() && mistake.variables.is_empty() {
                continue;
            }
            let text = replaced(text, changes);
            let checked = checked(format, &text, mistake.variables);
            let extension = if format == Format::Toml {
                "toml"
            } else {
                "yaml"
            };
            let text = relevant(&checked.report);
            assert!(!text.contains("hunter2"), "a secret is shown:\n{text}");
            golden(&format!("{}.{extension}", mistake.name), text);
            assert_eq!(
                codes(&checked.report),
                mistake.codes,
                "{} {extension}",
                mistake.name
            );
            let is_error = mistake.codes.iter().any(|code| code.starts_with('C'));
            assert_eq!(checked.config.is_none(), is_error);
            assert_eq!(checked.report.count(Severity::Error) > 0, is_error);
        }
    }
}
