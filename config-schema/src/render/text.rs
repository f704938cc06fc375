//! Diagnostics as text for people, drawn by the renderer that `rustc` uses.

use annotate_snippets::{AnnotationKind, Group, Level, Patch, Renderer, Snippet};

use super::RenderOptions;
use super::shown::{Shown, title};
use crate::diagnostic::{Diagnostic, Fix, Label, Severity};
use crate::tree::{Location, SourceId, SourceKind, Sources};

/// One diagnostic, ending with a line break.
pub(super) fn render(
    diagnostic: &Diagnostic,
    sources: &Sources,
    secrets: &[Location],
    options: RenderOptions,
) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let head = level.primary_title(diagnostic.message.as_str()).id(diagnostic.code);
    let mut group = Group::with_title(head);
    for snippet in snippets(diagnostic, sources, secrets, options) {
        group = group.element(snippet);
    }
    for note in &diagnostic.notes {
        group = group.element(Level::NOTE.message(note.as_str()));
    }
    for label in far_labels(diagnostic, sources, options) {
        group = group.element(Level::NOTE.message(label.text.as_str()));
    }
    for help in &diagnostic.help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    let patch = diagnostic.fix.as_ref().and_then(|fix| patch(fix, sources, secrets));
    if let (Some(fix), None) = (&diagnostic.fix, &patch) {
        group = group.element(Level::HELP.message(in_words(fix)));
    }
    let mut groups = vec![group];
    groups.extend(patch);
    let renderer = if options.color { Renderer::styled() } else { Renderer::plain() };
    let text = renderer.term_width(options.width).render(&groups);
    let text = without_positions(text, diagnostic, sources);
    indented(text, diagnostic, sources) + "\n"
}

/// One snippet per source, that of the primary label first.
fn snippets<'a>(
    diagnostic: &'a Diagnostic,
    sources: &Sources,
    secrets: &[Location],
    options: RenderOptions,
) -> Vec<Snippet<'a, annotate_snippets::Annotation<'a>>> {
    let far = far_labels(diagnostic, sources, options);
    let primary = diagnostic.primary.iter();
    let primary = primary.map(|label| (label, AnnotationKind::Primary));
    let secondary = diagnostic.secondary.iter().filter(|label| !far.contains(label));
    let secondary = secondary.map(|label| (label, AnnotationKind::Context));
    let labels: Vec<(&Label, AnnotationKind)> = primary.chain(secondary).collect();
    let mut order: Vec<SourceId> = Vec::new();
    for (label, _) in &labels {
        if !order.contains(&label.at.source) {
            order.push(label.at.source);
        }
    }
    let snippet = |id: SourceId| {
        let source = sources.get(id);
        let shown = Shown::new(source, id, secrets);
        let own = labels.iter().filter(|(label, _)| label.at.source == id);
        let annotations: Vec<_> = own
            .map(|(label, kind)| {
                let text = Some(label.text.as_str()).filter(|text| !text.is_empty());
                kind.span(shown.span(&label.at.span)).label(text)
            })
            .collect();
        Snippet::source(shown.text)
            .path(title(source))
            .line_numbering(source.kind == SourceKind::File)
            .annotations(annotations)
    };
    order.into_iter().map(snippet).collect()
}

/// The labels that a terminal cannot show beside the primary one: their line is too long.
fn far_labels<'a>(
    diagnostic: &'a Diagnostic,
    sources: &Sources,
    options: RenderOptions,
) -> Vec<&'a Label> {
    let Some(primary) = &diagnostic.primary else {
        return Vec::new();
    };
    let is_far = |label: &&Label| {
        let (one, other) = (&label.at, &primary.at);
        let start = one.span.start.min(other.span.start);
        let between = Location::new(one.source, start..one.span.end.max(other.span.end));
        let between = sources.text(&between);
        one.source == other.source && between.len() > options.width && !between.contains('\n')
    };
    diagnostic.secondary.iter().filter(is_far).collect()
}

/// Lines longer than this are not worth showing twice.
const LONGEST_PATCHED: usize = 400;

/// A change in one sentence.
fn in_words(fix: &Fix) -> String {
    match fix.edits.first().map(|edit| edit.text.trim()) {
        Some(text) if !text.is_empty() && !fix.message.contains(text.trim_matches(['"', '\''])) => {
            format!("{}: `{text}`", fix.message)
        }
        _ => fix.message.clone(),
    }
}

/// The change that mends it, as removed and added lines. `None` where that would not be readable:
/// for what stands in a variable, and for endless lines.
fn patch<'a>(fix: &'a Fix, sources: &Sources, secrets: &[Location]) -> Option<Group<'a>> {
    let id = fix.edits.first()?.at.source;
    let source = sources.get(id);
    let is_endless = |edit: &crate::diagnostic::Edit| {
        let before = source.text.get(..edit.at.span.start).unwrap_or_default();
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = source.text.get(start..).and_then(|rest| rest.lines().next());
        line.is_some_and(|line| line.len() > LONGEST_PATCHED)
    };
    if source.kind != SourceKind::File || fix.edits.iter().any(is_endless) {
        return None;
    }
    let shown = Shown::new(source, id, secrets);
    let patches: Vec<Patch<'a>> = fix
        .edits
        .iter()
        .map(|edit| Patch::new(shown.whole_span(&edit.at.span), edit.text.as_str()))
        .collect();
    let snippet = Snippet::source(shown.text).path(title(source));
    let head = Level::HELP.secondary_title(fix.message.as_str());
    Some(head.element(snippet.patches(patches)))
}

/// Variables and arguments have one line each: `NAME:1:30` would only puzzle.
fn without_positions(mut text: String, diagnostic: &Diagnostic, sources: &Sources) -> String {
    let labels = diagnostic.primary.iter().chain(&diagnostic.secondary);
    for label in labels {
        let source = sources.get(label.at.source);
        if source.kind == SourceKind::File {
            continue;
        }
        let name = title(source);
        while let Some(start) = text.find(&format!("{name}:1:")) {
            let from = start + name.len();
            let rest = &text[from + 3..];
            let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            text.replace_range(from..from + 3 + digits, "");
        }
    }
    text
}

/// Without line numbers there is no margin for them either; the usual one reads better.
fn indented(text: String, diagnostic: &Diagnostic, sources: &Sources) -> String {
    let mut labels = diagnostic.primary.iter().chain(&diagnostic.secondary).peekable();
    let is_file = |label: &Label| sources.get(label.at.source).kind == SourceKind::File;
    if labels.peek().is_none() || labels.any(is_file) {
        return text;
    }
    text.replace('\n', "\n  ")
}
