//! [`Report`], the diagnostics of a config with the text they are about, and how it is shown:
//! as text for people, as JSON lines and as GitHub annotations for programs.

use std::fmt;
use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Severity};
use crate::tree::{Location, SourceKind, Sources};

mod machine;
mod shown;
mod text;

pub use shown::Position;

/// How text is rendered.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct RenderOptions {
    /// Whether to use ANSI colours. Default: no.
    pub color: bool,
    /// After how many columns long source lines are cut. Default 140.
    pub width: usize,
}

impl Default for RenderOptions {
    fn default() -> Self {
        Self { color: false, width: 140 }
    }
}

impl RenderOptions {
    /// With or without ANSI colours.
    #[must_use]
    pub const fn color(mut self, color: bool) -> Self {
        self.color = color;
        self
    }

    /// For a terminal of so many columns.
    #[must_use]
    pub const fn width(mut self, width: usize) -> Self {
        self.width = width;
        self
    }
}

/// The diagnostics of a config, sorted by position, and the text they are about.
#[derive(Clone, Debug, Default)]
pub struct Report {
    diagnostics: Vec<Diagnostic>,
    sources: Sources,
    secrets: Vec<Location>,
}

impl Report {
    /// Sorts diagnostics by source and position, and keeps the first of those about the same
    /// mistake at the same place, as several caches may inherit it.
    #[must_use]
    pub fn new(mut diagnostics: Vec<Diagnostic>, sources: Sources) -> Self {
        let key = |diagnostic: &Diagnostic| {
            let place = diagnostic.primary.as_ref();
            let place = place.map(|label| (label.at.source, label.at.span.start));
            (place.is_none(), place)
        };
        diagnostics.sort_by_key(key);
        let mut kept: Vec<Diagnostic> = Vec::with_capacity(diagnostics.len());
        for diagnostic in diagnostics {
            let says_the_same = |other: &Diagnostic| {
                let place = |one: &Diagnostic| one.primary.as_ref().map(|label| label.at.clone());
                other.code == diagnostic.code
                    && place(other).is_some()
                    && place(other) == place(&diagnostic)
                    && (other.message == diagnostic.message || !may_repeat(diagnostic.code))
            };
            if !kept.iter().any(says_the_same) {
                kept.push(diagnostic);
            }
        }
        Self { diagnostics: kept, sources, secrets: Vec::new() }
    }

    /// With more diagnostics about the same text.
    #[must_use]
    pub fn and(self, more: Vec<Diagnostic>) -> Self {
        let diagnostics = self.diagnostics.into_iter().chain(more).collect();
        Self::new(diagnostics, self.sources).hiding(self.secrets)
    }

    /// Names places whose text is never shown: literal values of secret options.
    #[must_use]
    pub fn hiding(mut self, secrets: impl IntoIterator<Item = Location>) -> Self {
        self.secrets.extend(secrets);
        self
    }

    /// The diagnostics, sorted by position.
    #[must_use]
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// The text they are about.
    #[must_use]
    pub const fn sources(&self) -> &Sources {
        &self.sources
    }

    /// How many are of a severity.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        let of_severity = |diagnostic: &&Diagnostic| diagnostic.severity == severity;
        self.diagnostics.iter().filter(of_severity).count()
    }

    /// Whether the config cannot be used.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.count(Severity::Error) > 0
    }

    /// One diagnostic as text for people, ending with a line break.
    #[must_use]
    pub fn render_one(&self, diagnostic: &Diagnostic, options: RenderOptions) -> String {
        text::render(diagnostic, &self.sources, &self.secrets, options)
    }

    /// All diagnostics as text for people, with blank lines between them and without
    /// [`summary`](Self::summary).
    #[must_use]
    pub fn render(&self, options: RenderOptions) -> String {
        let texts = self.diagnostics.iter();
        let texts: Vec<String> =
            texts.map(|diagnostic| self.render_one(diagnostic, options)).collect();
        texts.join("\n")
    }

    /// One JSON object per line and diagnostic.
    #[must_use]
    pub fn json_lines(&self) -> String {
        let lines = self.diagnostics.iter();
        lines.map(|diagnostic| machine::json(diagnostic, &self.sources) + "\n").collect()
    }

    /// One GitHub workflow command per line and diagnostic, such as
    /// `::error file=caches.toml,line=80,col=1,title=C0203::unknown option …`.
    #[must_use]
    pub fn github(&self) -> String {
        let lines = self.diagnostics.iter();
        lines.map(|diagnostic| machine::github(diagnostic, &self.sources) + "\n").collect()
    }

    /// The last line, without line break: `caches.toml: 3 errors, 1 warning; nothing was changed`.
    #[must_use]
    pub fn summary(&self) -> String {
        let files = self.sources.iter();
        let mut files = files.filter(|(_, source)| source.kind == SourceKind::File);
        let name = files.next().map_or("config", |(_, source)| source.name.as_str());
        let counts: Vec<String> = [(Severity::Error, "error"), (Severity::Warning, "warning")]
            .into_iter()
            .filter_map(|(severity, word)| counted(self.count(severity), word))
            .collect();
        let counts = match counts.len() {
            0 => "no problems".to_owned(),
            _ => counts.join(", "),
        };
        let outcome = if self.has_errors() { "; nothing was changed" } else { "" };
        format!("{name}: {counts}{outcome}")
    }
}

/// Whether one place can have several different problems of a code: things that are missing there,
/// and what a plugin says. Of any other code a second one is the same mistake, met again by a cache
/// that inherits it.
fn may_repeat(code: &str) -> bool {
    matches!(code, "C0208" | "C0210")
}

/// `1 error`, `2 errors`; `None` for none.
fn counted(count: usize, word: &str) -> Option<String> {
    match count {
        0 => None,
        1 => Some(format!("1 {word}")),
        _ => Some(format!("{count} {word}s")),
    }
}

impl fmt::Display for Report {
    /// The text for people without colour, and the summary.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.diagnostics.is_empty() {
            writeln!(f, "{}", self.render(RenderOptions::default()))?;
        }
        f.write_str(&self.summary())
    }
}

/// A config that cannot be used, and all that is wrong with it. Cheap to clone.
///
/// `Display` shows what `larder check` shows, without colour.
#[derive(Clone)]
pub struct ConfigError(Arc<Report>);

impl ConfigError {
    /// Everything about it, for another way to show it.
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.0
    }

    /// What is wrong, sorted by position.
    #[must_use]
    pub fn diagnostics(&self) -> &[Diagnostic] {
        self.0.diagnostics()
    }

    /// The text it is about.
    #[must_use]
    pub fn sources(&self) -> &Sources {
        self.0.sources()
    }
}

impl From<Report> for ConfigError {
    fn from(report: Report) -> Self {
        Self(Arc::new(report))
    }
}

impl fmt::Debug for ConfigError {
    /// The same as `Display`: `main` functions that return it print this form.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for ConfigError {}

#[cfg(test)]
mod tests;
