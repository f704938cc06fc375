//! `larder export` and `larder import`, each in a process of its own.

use std::fs::{self, File};
use std::process::Stdio;

use crate::support::{Folder, said};

const SHOP: &str = include_str!("../golden/shop.toml");

/// With three users, one of them for a short time.
fn shop() -> Folder {
    let folder = Folder::with(SHOP);
    for key in ["user:1", "user:2", "guest:1"] {
        assert_eq!(folder.run(&["set", "users", key, "\"Ada\""]).code, 0);
    }
    folder
}

#[test]
fn entries_go_from_one_cache_into_another() {
    let folder = shop();
    folder.golden("export", &["export", "users", "-o", "users.snapshot"]);
    folder.golden("import-other", &["import", "pages", "users.snapshot"]);
    assert_eq!(folder.run(&["scan", "pages"]).stdout, "guest:1\nuser:1\nuser:2\n");
    assert_eq!(folder.run(&["get", "pages", "user:2"]).stdout, "Ada\n");
    assert!(folder.run(&["ttl", "pages", "user:2"]).stdout.starts_with("59m"), "not 10m");
    folder.golden("import-again", &["import", "users", "users.snapshot"]);
    folder.golden("import-replace", &["import", "users", "users.snapshot", "--replace"]);
    assert_eq!(folder.run(&["clear", "users", "--yes"]).code, 0);
    let arguments = ["import", "users", "users.snapshot", "--keep-newer", "--format", "json"];
    let said = folder.run(&arguments).stdout;
    let rest = "\"cache\": \"users\",\n  \"entries\": 3,\n  \"expired\": 0,\n  \"invalidated\": 0,";
    assert!(said.contains(rest) && said.contains("\"taken_at\": 1"), "{said}");
}

#[test]
fn a_pattern_chooses_what_is_exported() {
    let folder = shop();
    let arguments =
        ["export", "users", "--pattern", "user:*", "-o", "users.snapshot", "--format", "json"];
    folder.golden("export-pattern-json", &arguments);
    folder.golden("export-none", &["export", "users", "--pattern", "x*", "-o", "none.snapshot"]);
    assert_eq!(folder.run(&["import", "pages", "none.snapshot"]).code, 0);
    assert_eq!(folder.run(&["import", "pages", "users.snapshot"]).code, 0);
    assert_eq!(folder.run(&["scan", "pages"]).stdout, "user:1\nuser:2\n");
}

#[test]
fn a_snapshot_passes_through_a_pipe() {
    let folder = shop();
    let mut command = folder.command(&["export", "users"]);
    let exported = command.output().unwrap();
    assert_eq!(String::from_utf8_lossy(&exported.stderr), "exported 3 entries of `users`\n");
    fs::write(folder.path().join("piped"), &exported.stdout).unwrap();
    let mut command = folder.command(&["import", "pages", "-", "-q"]);
    command.stdin(Stdio::from(File::open(folder.path().join("piped")).unwrap()));
    let imported = said(command);
    assert_eq!((imported.code, imported.stderr.as_str()), (0, ""));
    assert_eq!(folder.run(&["scan", "pages"]).stdout, "guest:1\nuser:1\nuser:2\n");
    folder.golden("export-json-stdout", &["export", "users", "--format", "json"]);
}

#[test]
fn entries_that_are_over_stay_out() {
    let folder = Folder::with(SHOP);
    assert_eq!(folder.run(&["set", "users", "k", "1", "--ttl", "1ms"]).code, 0);
    assert_eq!(folder.run(&["set", "users", "l", "1"]).code, 0);
    let said = folder.run(&["export", "users", "-o", "users.snapshot"]);
    assert!(said.stderr.starts_with("exported 1 entry "), "{}", said.stderr);
}

#[test]
fn damage_is_told_with_what_was_imported_before_it() {
    let folder = shop();
    assert_eq!(folder.run(&["export", "users", "-o", "users.snapshot"]).code, 0);
    let whole = fs::read(folder.path().join("users.snapshot")).unwrap();
    let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
    let mut flipped = whole.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    write("flipped.snapshot", &flipped);
    folder.golden("import-flipped", &["import", "pages", "flipped.snapshot"]);
    assert_eq!(folder.run(&["scan", "pages"]).stdout.lines().count(), 1);
    write("cut.snapshot", &whole[..whole.len() - 5]);
    folder.golden("import-cut", &["import", "pages", "cut.snapshot", "--replace"]);
    write("head.snapshot", &whole[..20]);
    folder.golden("import-cut-header", &["import", "pages", "head.snapshot"]);
    let mut later = whole;
    later[9] = 9;
    write("later.snapshot", &later);
    folder.golden("import-later-version", &["import", "pages", "later.snapshot"]);
    folder.golden("import-foreign", &["import", "pages", "caches.toml"]);
    folder.golden("import-absent", &["import", "pages", "absent.snapshot"]);
    folder.golden("import-folder", &["import", "pages", "."]);
}

#[test]
fn a_cache_of_memory_alone_has_nothing_for_another_process() {
    let saved = "[caches.saved]\nextends = \"hot\"\npersist = { path = \"saved.snapshot\" }\n";
    let folder = Folder::with(&format!("{SHOP}\n{saved}"));
    folder.golden("export-in-memory", &["export", "sessions"]);
    let said = folder.run(&["import", "saved", "-"]);
    assert_eq!(said.code, 1);
    let path = folder.path().canonicalize().unwrap().join("saved.snapshot");
    assert!(said.stderr.contains(&format!("`{}`, which is a snapshot", path.display())));
    folder.golden("export-unknown", &["export", "user", "-o", "x"]);
}

#[test]
fn an_export_that_fails_leaves_what_was_there() {
    let folder = shop();
    folder.write("caches.toml", &SHOP.replace("\"users\"", "\"caches.toml\""));
    folder.write("users.snapshot", "what was there");
    assert_ne!(folder.run(&["export", "users", "-o", "users.snapshot"]).code, 0);
    assert_eq!(folder.read("users.snapshot"), "what was there");
    folder.write("caches.toml", SHOP);
    let said = folder.run(&["export", "users", "-o", "caches.toml/users.snapshot"]);
    assert_eq!(said.code, 74, "{}", said.stderr);
}

#[cfg(unix)]
#[test]
fn a_disk_that_is_full_is_told_and_leaves_what_was_there() {
    let folder = Folder::with(SHOP);
    for key in 0..4 {
        let value = format!("\"{}\"", "x".repeat(20_000));
        assert_eq!(folder.run(&["set", "users", &key.to_string(), &value]).code, 0);
    }
    folder.write("users.snapshot", "what was there");
    // As full as it gets without being root: no file may grow beyond 32 KiB.
    let script = "trap '' XFSZ; ulimit -f 64; exec \"$0\" export users -o users.snapshot";
    let mut command = std::process::Command::new("sh");
    command.args(["-c", script, env!("CARGO_BIN_EXE_larder")]).current_dir(folder.path());
    let said = said(command);
    assert_eq!(said.code, 74, "{}", said.stderr);
    assert!(said.stderr.contains("file too large") || said.stderr.contains("File too large"));
    assert_eq!(folder.read("users.snapshot"), "what was there");
    let names = fs::read_dir(folder.path()).unwrap().flatten().map(|entry| entry.file_name());
    assert!(!names.into_iter().any(|name| name.to_string_lossy().ends_with(".tmp")));
}

#[cfg(unix)]
#[test]
fn only_the_owner_may_read_a_snapshot_and_links_are_not_followed() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let folder = shop();
    assert_eq!(folder.run(&["export", "users", "-o", "users.snapshot"]).code, 0);
    let path = folder.path().join("users.snapshot");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    symlink("users.snapshot", folder.path().join("link")).unwrap();
    folder.golden("export-link", &["export", "users", "-o", "link"]);
}

#[test]
fn looking_into_a_cache_leaves_the_file_alone_that_the_application_saves() {
    let text = SHOP.replace("[caches.pages]", "[caches.pages]\npersist.path = \"pages.snapshot\"");
    let folder = Folder::with(&text);
    folder.write("pages.snapshot", "of the application");
    assert_eq!(folder.run(&["set", "pages", "k", "1"]).code, 0);
    assert_eq!(folder.run(&["get", "pages", "k"]).stdout, "1\n");
    assert_eq!(folder.read("pages.snapshot"), "of the application");
}
