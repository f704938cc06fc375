use super::*;
use crate::diagnostic::Fix;
use crate::tree::{Source, SourceId};

fn sources() -> (Sources, SourceId, SourceId) {
    let mut sources = Sources::default();
    let file = sources.add(Source {
        name: "caches.toml".into(),
        text: "[connections.main]\npassword = \"hünter2\" # \"x\"\nkind = \"memmory\"\n".into(),
        kind: SourceKind::File,
        included_by: None,
    });
    let variable = sources.add(Source {
        name: "LARDER__TTL".into(),
        text: "LARDER__TTL=1800".into(),
        kind: SourceKind::Environment,
        included_by: None,
    });
    (sources, file, variable)
}

fn find(sources: &Sources, id: SourceId, text: &str) -> Location {
    let start = sources.get(id).text.find(text).expect("text of the test");
    Location::new(id, start..start + text.len())
}

#[test]
fn a_secret_on_a_shown_line_is_bullets_of_the_same_width() {
    let (sources, file, _) = sources();
    let secret = find(&sources, file, "\"hünter2\"");
    let comment = find(&sources, file, "\"x\"");
    let diagnostic = Diagnostic::error("C0209", "bad").at(comment, "this");
    let report = Report::new(vec![diagnostic], sources).hiding([secret]);
    let text = report.to_string();
    assert!(!text.contains("nter2"), "{text}");
    assert!(text.contains("2 | password = ••••••••• # \"x\"\n"), "{text}");
    assert!(text.contains("|                        ^^^ this\n"), "{text}");
}

#[test]
fn a_variable_is_shown_without_line_numbers() {
    let (sources, file, variable) = sources();
    let value = find(&sources, variable, "1800");
    let old = find(&sources, file, "\"memmory\"");
    let diagnostic = Diagnostic::error("C0205", "duration without a unit")
        .at(value, "seconds?")
        .also(old, "overridden by the variable");
    let text = Report::new(vec![diagnostic], sources).to_string();
    assert!(text.contains("--> environment variable LARDER__TTL\n"), "{text}");
    assert!(text.contains("  | LARDER__TTL=1800\n"), "{text}");
    assert!(text.contains("::: caches.toml:3:8\n"), "{text}");
}

#[test]
fn reports_are_sorted_and_say_nothing_twice() {
    let (sources, file, _) = sources();
    let early = find(&sources, file, "password");
    let late = find(&sources, file, "\"memmory\"");
    let late = Diagnostic::error("C0201", "late").at(late, "");
    let early = Diagnostic::warning("W0401", "early").at(early, "");
    let nowhere = Diagnostic::error("C0501", "nowhere");
    let report = Report::new(vec![nowhere, late.clone(), early, late], sources);
    let messages: Vec<&str> =
        report.diagnostics().iter().map(|diagnostic| diagnostic.message.as_str()).collect();
    assert_eq!(messages, ["early", "late", "nowhere"]);
    assert_eq!(report.summary(), "caches.toml: 2 errors, 1 warning; nothing was changed");
}

#[test]
fn machine_forms_have_positions_and_escape_what_they_must() {
    let (sources, file, _) = sources();
    let kind = find(&sources, file, "\"memmory\"");
    let diagnostic = Diagnostic::error("C0201", "50% unknown")
        .at(kind.clone(), "here")
        .fix(Fix::replace("did you mean", kind, "\"memory\"").certain());
    let report = Report::new(vec![diagnostic], sources);
    assert_eq!(
        report.github(),
        "::error file=caches.toml,line=3,col=8,title=C0201::50%25 unknown\n"
    );
    let record: serde_json::Value = serde_json::from_str(&report.json_lines()).unwrap();
    assert_eq!(record["primary"]["end_column"], 17);
    assert_eq!(record["fix"]["applicability"], "machine-applicable");
    assert_eq!(record["fix"]["edits"][0]["text"], "\"memory\"");
}

#[test]
fn colour_is_an_option() {
    let (sources, _, _) = sources();
    let report = Report::new(vec![Diagnostic::error("C0501", "bad")], sources);
    assert!(!report.render(RenderOptions::default()).contains('\u{1b}'));
    assert!(report.render(RenderOptions::default().color(true)).contains('\u{1b}'));
}
