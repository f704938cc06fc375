//! Files, and files that include files.

use std::fs;
use std::path::Path;

use super::*;

/// A folder with these files in it.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn load(folder: &tempfile::TempDir) -> Resolved {
    Loader::new().file(folder.path().join("caches.toml")).resolve()
}

/// The report with the folder cut out.
fn short(folder: &tempfile::TempDir, resolved: &Resolved) -> Vec<String> {
    let prefix = format!("{}/", folder.path().display());
    report(resolved).iter().map(|line| line.replace(&prefix, "")).collect()
}

#[test]
fn patterns_are_sorted_by_name_and_skip_what_is_no_config() {
    let folder = folder(&[
        ("caches.toml", "include = ['d/*']\n[caches.a]\n"),
        ("d/20.yaml", "caches: {c: {ttl: 1m}}\n"),
        ("d/10.toml", "[caches.b]\n"),
        ("d/30.json", "{\"caches\": {\"d\": {}}}"),
        ("d/10.toml~", "nonsense"),
        ("d/.#10.toml", "nonsense"),
        ("d/deeper/40.toml", "[caches.e]\n"),
    ]);
    let resolved = load(&folder);
    assert_eq!(report(&resolved), [""; 0]);
    assert_eq!(keys(&resolved, "caches"), ["a", "b", "c", "d"]);
    let ttl = at(&resolved, "caches.c.ttl").unwrap();
    let by = resolved.sources.get(ttl.at.source).included_by.unwrap();
    assert!(resolved.sources.get(by).name.ends_with("caches.toml"));
    assert_eq!(resolved.files.len(), 4);
}

#[test]
fn includes_are_relative_to_their_own_file_and_read_once() {
    let folder = folder(&[
        ("caches.toml", "include = ['x/a.toml', 'x/b.toml', 'none/*.toml', '**/c.toml']\n"),
        ("x/a.toml", "include = 'b.toml'\n[caches.a]\n"),
        ("x/b.toml", "[caches.b]\n"),
        ("x/y/c.toml", "[caches.c]\n"),
    ]);
    let resolved = load(&folder);
    assert_eq!(report(&resolved), [""; 0]);
    assert_eq!(keys(&resolved, "caches"), ["a", "b", "c"]);
}

#[test]
fn a_pattern_that_matches_its_own_file_is_no_cycle() {
    let folder = folder(&[("caches.toml", "include = ['*.toml']\n"), ("b.toml", "[caches.b]\n")]);
    assert_eq!(keys(&load(&folder), "caches"), ["b"]);
}

#[test]
fn files_that_include_each_other_are_refused() {
    let folder =
        folder(&[("caches.toml", "include = 'b.toml'\n"), ("b.toml", "include = 'caches.toml'\n")]);
    let message = "C0104: files include each other in a cycle: \
                   caches.toml → b.toml → caches.toml";
    let resolved = load(&folder);
    assert_eq!(short(&folder, &resolved), [format!("{message} @ b.toml:1 `'caches.toml'`")]);
    assert!(resolved.root.failed);
}

#[test]
fn a_file_that_is_named_must_be_there() {
    let folder = folder(&[("caches.toml", "include = ['no.toml', 1]\n")]);
    assert_eq!(
        short(&folder, &load(&folder)),
        ["C0104: `include` must name files @ caches.toml:1 `1` an integer"]
    );
    fs::write(folder.path().join("caches.toml"), "include = ['no.toml', '[']\n").unwrap();
    let resolved = load(&folder);
    let report = short(&folder, &resolved);
    assert_eq!(report[0], "C0103: cannot read `no.toml`: no such file @ caches.toml:1 `'no.toml'`");
    assert!(report[1].starts_with("C0104: cannot include `[`"), "{report:?}");
}

#[test]
fn one_cache_in_two_files_is_refused() {
    let folder = folder(&[
        ("caches.toml", "version = 1\ninclude = ['d/*.toml']\n[caches.sessions]\n[defaults]\n"),
        ("d/20-team.toml", "version = 1\n[caches.sessions]\nttl = '1m'\n[defaults]\n"),
    ]);
    let resolved = load(&folder);
    let place = "@ d/20-team.toml:2 `caches.sessions` defined again here";
    assert_eq!(
        short(&folder, &resolved),
        [
            format!("C0405: cache `sessions` is defined twice {place}"),
            "C0405: section `defaults` is defined twice \
             @ d/20-team.toml:4 `defaults` defined again here"
                .to_owned(),
        ]
    );
    let first = &resolved.diagnostics[0].secondary[0];
    assert_eq!(resolved.sources.text(&first.at), "caches.sessions");
    assert!(first.text.starts_with("first defined here; includes "), "{}", first.text);
    let help = "rename one of them; to change a cache per environment use \
                `[profile.NAME.caches.sessions]`";
    assert_eq!(resolved.diagnostics[0].help, [help]);
}

#[test]
fn what_cannot_be_read_is_said_and_never_a_panic() {
    let folder = folder(&[("dir.toml/x", ""), ("caches.conf", ""), ("b.toml", "")]);
    fs::write(folder.path().join("b.toml"), b"a = 1\nb = '\xff'\n").unwrap();
    for (name, message) in [
        ("no.toml", "C0103: cannot read `no.toml`: no such file"),
        ("dir.toml", "C0103: cannot read `dir.toml`: it is a directory"),
        ("caches.conf", "C0103: cannot tell the format of `caches.conf`"),
        ("b.toml", "C0103: cannot read `b.toml`: not valid UTF-8 (line 2, byte 11)"),
    ] {
        let resolved = Loader::new().file(folder.path().join(name)).resolve();
        assert_eq!(short(&folder, &resolved), [message]);
        assert!(resolved.root.failed && resolved.diagnostics[0].primary.is_none());
    }
    assert!(Loader::new().resolve().diagnostics.is_empty());
}

#[test]
fn a_syntax_error_stops_everything_but_other_syntax_errors() {
    let folder = folder(&[
        ("caches.toml", "include = ['b.toml']\n[caches.a]\nextends = 'none'\n"),
        ("b.toml", "x = \n"),
    ]);
    let resolved = load(&folder);
    assert_eq!(short(&folder, &resolved).len(), 1);
    assert!(resolved.root.failed && resolved.root.as_table().unwrap().is_empty());
}

#[cfg(unix)]
#[test]
fn a_file_that_leads_back_to_itself_through_a_link_is_read_once() {
    let folder = folder(&[("caches.toml", "include = ['*/*.toml']\n[caches.a]\n")]);
    std::os::unix::fs::symlink(folder.path(), folder.path().join("loop")).unwrap();
    let resolved = load(&folder);
    assert_eq!(report(&resolved), [""; 0]);
    assert!(Path::new(&resolved.files[0]).ends_with("caches.toml"));
}
