//! Commands that look into caches, each in a process of its own.

use std::io::Read as _;
use std::process::Stdio;

use crate::support::{Folder, said};

const SHOP: &str = include_str!("../golden/shop.toml");

#[test]
fn what_one_process_stores_another_one_reads() {
    let folder = Folder::with(SHOP);
    folder.golden("set", &["set", "users", "42", "{\"name\": \"Ada\"}"]);
    folder.golden("get", &["get", "users", "42"]);
    folder.golden("get-json", &["get", "users", "42", "--format", "json"]);
    assert_eq!(folder.run(&["set", "pages", "home", "<p>", "-q"]).stderr, "");
    assert_eq!(folder.run(&["get", "pages", "home"]).stdout, "<p>\n");
    assert_eq!(folder.run(&["get", "pages", "home", "--format", "json"]).stdout, "\"<p>\"\n");
}

#[test]
fn a_value_is_json_if_it_can_be_and_must_be_if_asked() {
    let folder = Folder::with(SHOP);
    for (value, json) in [("12", "12"), ("-1.5", "-1.5"), ("null", "null"), ("Ada", "\"Ada\"")] {
        assert_eq!(folder.run(&["set", "users", "k", value]).code, 0);
        let got = folder.run(&["get", "users", "k", "--format", "json"]);
        assert_eq!(got.stdout, format!("{json}\n"));
    }
    folder.golden("set-not-json", &["set", "users", "k", "Ada", "--json"]);
    assert_eq!(folder.run(&["set", "users", "k", "\"Ada\"", "--json"]).code, 0);
    assert_eq!(folder.run(&["get", "users", "k"]).stdout, "Ada\n");
}

#[test]
fn a_text_comes_out_byte_for_byte() {
    let folder = Folder::with(SHOP);
    let text = "\u{1b}[31mred\u{1b}[0m\r\n\u{7}";
    assert_eq!(folder.run(&["set", "users", "k", text]).code, 0);
    assert_eq!(folder.run(&["get", "users", "k"]).stdout, format!("{text}\n"));
}

#[test]
fn a_key_that_is_not_there_is_a_no() {
    let folder = Folder::with(SHOP);
    folder.golden("get-missing", &["get", "users", "42"]);
    folder.golden("ttl-missing", &["ttl", "users", "42"]);
    folder.golden("exists-no", &["exists", "users", "42"]);
    folder.golden("exists-no-json", &["exists", "users", "42", "--format", "json"]);
    folder.golden("del-none", &["del", "users", "42", "--format", "json"]);
}

#[test]
fn entries_have_the_life_of_the_config_or_the_one_they_were_stored_with() {
    let folder = Folder::with(SHOP);
    assert_eq!(folder.run(&["set", "users", "config", "1"]).code, 0);
    assert_eq!(folder.run(&["set", "users", "never", "1", "--ttl", "never"]).code, 0);
    assert_eq!(folder.run(&["set", "users", "long", "1", "--ttl", "3d"]).code, 0);
    assert!(folder.run(&["ttl", "users", "config"]).stdout.starts_with("59m"));
    assert!(folder.run(&["ttl", "users", "long"]).stdout.starts_with("2d23h59m"));
    folder.golden("ttl-never", &["ttl", "users", "never"]);
    folder.golden("ttl-never-json", &["ttl", "users", "never", "--format", "json"]);
    folder.golden("set-bad-ttl", &["set", "users", "k", "1", "--ttl", "10"]);
}

#[test]
fn removed_keys_are_gone_for_the_next_process() {
    let folder = Folder::with(SHOP);
    for key in ["a", "b", "c"] {
        assert_eq!(folder.run(&["set", "pages", key, "1"]).code, 0);
    }
    folder.golden("del", &["del", "pages", "a", "b", "absent"]);
    assert_eq!(folder.run(&["exists", "pages", "a"]).code, 1);
    assert_eq!(folder.run(&["exists", "pages", "c"]).stdout, "yes\n");
}

#[test]
fn keys_are_listed_by_pattern() {
    let folder = Folder::with(SHOP);
    for key in ["user:2", "user:1", "order:1"] {
        assert_eq!(folder.run(&["set", "pages", key, "1"]).code, 0);
    }
    assert_eq!(folder.run(&["scan", "pages"]).stdout, "order:1\nuser:1\nuser:2\n");
    folder.golden("scan", &["scan", "pages", "--pattern", "user:*"]);
    folder.golden("scan-json", &["scan", "pages", "--pattern", "user:?", "--format", "json"]);
    folder.golden("scan-none", &["scan", "pages", "--pattern", "x*"]);
}

#[test]
fn a_cache_that_cannot_be_built_does_not_keep_others_from_being_looked_into() {
    let folder = Folder::with(
        "[caches.users]\nbackend = { kind = \"file\", dir = \"users\" }\n\
         [caches.broken]\nbackend = { kind = \"file\", dir = \"caches.toml\" }\n",
    );
    assert_eq!(folder.run(&["set", "users", "k", "1"]).code, 0);
    assert_eq!(folder.run(&["get", "users", "k"]).stdout, "1\n");
    assert_ne!(folder.run(&["get", "broken", "k"]).code, 0);
}

#[test]
fn clear_wants_to_be_sure_and_touches_no_other_cache() {
    let folder = Folder::with(SHOP);
    for cache in ["users", "pages"] {
        assert_eq!(folder.run(&["set", cache, "k", "1"]).code, 0);
    }
    folder.golden("clear-unconfirmed", &["clear", "users"]);
    assert_eq!(folder.run(&["exists", "users", "k"]).code, 0);
    folder.golden("clear", &["clear", "users", "--yes"]);
    assert_eq!(folder.run(&["exists", "users", "k"]).code, 1);
    assert_eq!(folder.run(&["exists", "pages", "k"]).code, 0);
}

#[test]
fn a_cache_in_memory_cannot_be_looked_into_and_the_message_says_why() {
    let folder = Folder::with(SHOP);
    folder.golden("get-in-memory", &["get", "sessions", "42"]);
    for arguments in [
        &["set", "sessions", "k", "1"][..],
        &["del", "tenant-1", "k"],
        &["clear", "sessions", "--yes"],
        &["stats", "sessions"],
    ] {
        let said = folder.run(arguments);
        assert_eq!(said.code, 1, "{arguments:?}");
        assert!(said.stderr.contains("in the memory of the process"), "{}", said.stderr);
    }
}

#[test]
fn an_unknown_cache_is_named_with_the_nearest_one() {
    let folder = Folder::with(SHOP);
    folder.golden("unknown-cache", &["get", "user", "42"]);
    folder.golden("unknown-cache-far", &["stats", "zebra"]);
}

#[test]
fn stats_tell_what_the_backends_of_lasting_caches_know() {
    let folder = Folder::with(SHOP);
    folder.golden("stats-empty", &["stats"]);
    assert_eq!(folder.run(&["set", "users", "42", "1"]).code, 0);
    let all = folder.run(&["stats", "users"]);
    assert!(all.stdout.contains("users  l1    file     1 "), "{}", all.stdout);
    folder.golden("stats-json", &["stats", "pages", "--format", "json"]);
}

#[test]
fn a_directory_that_the_backend_refuses_is_reported_with_its_reason() {
    let folder = Folder::with(SHOP);
    folder.write("users", "a file stands where the directory should be");
    let said = folder.run(&["get", "users", "42"]);
    assert_eq!(said.code, 78, "{}", said.stderr);
    assert!(said.stderr.contains("not a directory"), "{}", said.stderr);
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let folder = Folder::with(SHOP);
    let mut command = folder.command(&["schema"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(stderr, "");
}

#[cfg(target_os = "linux")]
#[test]
fn output_that_cannot_be_written_exits_with_74() {
    let folder = Folder::with(SHOP);
    let mut command = folder.command(&["show"]);
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    command.stdout(full).stderr(Stdio::piped());
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(74));
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot write to the output"));
}

#[test]
fn colours_are_for_terminals_and_for_those_who_insist() {
    let folder = Folder::with(SHOP);
    let plain = folder.run(&["check"]);
    assert!(!plain.stdout.contains('\u{1b}'));
    let mut command = folder.command(&["check"]);
    command.env("CLICOLOR_FORCE", "1");
    assert!(said(command).stdout.contains("\u{1b}["));
    let mut command = folder.command(&["check"]);
    command.env("CLICOLOR_FORCE", "1").env("NO_COLOR", "1");
    assert!(!said(command).stdout.contains('\u{1b}'));
}
