//! Variables and files in values.

use super::*;

fn option(value: &str) -> String {
    format!("[connections.eu]\npassword = \"{value}\"\n")
}

fn with(value: &str, pairs: &[(&str, &str)]) -> Resolved {
    toml(&option(value)).environment(variables(pairs)).resolve()
}

#[test]
fn references_are_put_in_place_and_their_text_is_kept() {
    let resolved = with("a-${env:X}-${env:Y:-d}-$${env:Z}-$5", &[("X", "1"), ("Y", "")]);
    assert_eq!(report(&resolved), [""; 0]);
    let node = at(&resolved, "connections.eu.password").unwrap();
    assert_eq!(node.as_str(), Some("a-1-d-${env:Z}-$5"));
    assert_eq!(node.reference.as_deref(), Some("a-${env:X}-${env:Y:-d}-$${env:Z}-$5"));
    assert!(!format!("{node:?}").contains("a-1-d"), "it may be a secret");
}

#[test]
fn a_variable_that_is_not_set_is_an_error_with_a_hint() {
    let resolved = with("${env:REDIS_EU_PASSWORD}", &[("REDIS_EU_PASSWD", "x")]);
    let message = "C0301: environment variable `REDIS_EU_PASSWORD` is not set";
    let place = "@ caches.toml:2 `${env:REDIS_EU_PASSWORD}` needed by `connections.eu.password`";
    assert_eq!(report(&resolved), [format!("{message} {place}")]);
    let one = &resolved.diagnostics[0];
    assert_eq!(
        one.notes,
        [
            "a variable with a similar name is set: `REDIS_EU_PASSWD`",
            "value not shown: `password` is a secret option"
        ]
    );
    assert_eq!(
        one.help,
        ["give a default with `${env:REDIS_EU_PASSWORD:-}`, or read a file: \
             `${file:/run/secrets/redis-eu}`"]
    );
    assert!(at(&resolved, "connections.eu.password").unwrap().failed);
}

#[test]
fn an_empty_variable_is_a_value_unless_a_fallback_is_given() {
    let resolved = with("<${env:X}>", &[("X", "")]);
    assert_eq!(text(&resolved, "connections.eu.password"), Some("<>"));
    let resolved = with("${env:X:?ask the shop team}", &[("X", "")]);
    assert!(report(&resolved)[0].contains("`X` is not set: ask the shop team"));
}

#[test]
fn bad_references_are_placed_each() {
    let resolved = with("${HOME} ${secret:a/b} ${env:X", &[]);
    assert_eq!(
        report(&resolved),
        [
            "C0304: unknown reference `${HOME}` @ caches.toml:2 `${HOME}`",
            "C0304: unknown reference `${secret:a/b}` @ caches.toml:2 `${secret:a/b}`",
            "C0304: unterminated reference @ caches.toml:2 `${env:X` no closing `}`",
        ]
    );
}

#[test]
fn the_second_of_two_equal_references_is_placed_right() {
    let resolved = with("${env:X:?a}${env:X:?a}", &[]);
    let starts: Vec<usize> = resolved
        .diagnostics
        .iter()
        .map(|one| one.primary.as_ref().unwrap().at.span.start)
        .collect();
    assert_eq!(starts.len(), 2);
    assert_eq!(starts[1] - starts[0], "${env:X:?a}".len());
}

#[test]
fn a_value_never_becomes_structure_or_another_reference() {
    let resolved = with("${env:X}", &[("X", "\"\n[caches.evil]\nttl = '${env:X}'"), ("Y", "y")]);
    assert_eq!(keys(&resolved, ""), [""; 0]);
    assert!(at(&resolved, "caches").is_none());
    let value = text(&resolved, "connections.eu.password").unwrap();
    assert!(value.contains("${env:X}"));
}

#[test]
fn what_variables_and_arguments_set_is_taken_as_it_is() {
    let resolved = toml(&option("x"))
        .environment(variables(&[("LARDER__CONNECTIONS__EU__PASSWORD", "${env:NO}")]))
        .set("connections.eu.username=${env:NO}")
        .resolve();
    assert_eq!(report(&resolved), [""; 0]);
    assert_eq!(text(&resolved, "connections.eu.password"), Some("${env:NO}"));
    assert_eq!(text(&resolved, "connections.eu.username"), Some("${env:NO}"));
}

#[test]
fn a_value_that_is_overridden_need_not_resolve() {
    let resolved = toml(&option("${env:NO}")).set("connections.eu.password=x").resolve();
    assert_eq!(report(&resolved), [""; 0]);
}

#[test]
fn files_are_read_beside_the_config_without_their_last_line_break() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("secret"), "a\nb\r\n").unwrap();
    std::fs::write(folder.path().join("large"), vec![b'x'; (1 << 20) + 1]).unwrap();
    std::fs::write(folder.path().join("binary"), [0xff, 0xfe]).unwrap();
    let load = |name: &str| {
        let config = folder.path().join("caches.toml");
        std::fs::write(&config, option(&format!("${{file:{name}}}"))).unwrap();
        Loader::new().file(config).resolve()
    };
    let resolved = load("secret");
    assert_eq!(text(&resolved, "connections.eu.password"), Some("a\nb"));
    assert_eq!(resolved.referenced, [folder.path().join("secret")]);
    for (name, why) in [
        ("missing", "no such file"),
        ("large", "larger than 1 MiB"),
        (".", "it is a directory"),
        ("binary", "UTF-8"),
    ] {
        let resolved = load(name);
        assert_eq!(resolved.diagnostics[0].code, "C0302");
        assert!(resolved.diagnostics[0].message.contains(why), "{:?}", report(&resolved));
    }
}

#[test]
fn a_missing_variable_in_a_template_is_reported_once() {
    let resolved = toml(
        "[templates.t]\nl1.backend = { kind = 'file', dir = '${env:D}' }\n\
         [caches.a]\nextends = 't'\n[caches.b]\nextends = 't'\n",
    )
    .resolve();
    assert_eq!(resolved.diagnostics.len(), 1);
    assert!(at(&resolved, "caches.b.l1.backend.dir").unwrap().failed);
}
