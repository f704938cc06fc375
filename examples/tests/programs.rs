//! The small examples show what they promise.

use std::path::Path;

use support::program;

mod support;

/// Runs an example and compares what it prints with what it should.
#[track_caller]
fn assert_prints(name: &str, expected: &str) {
    let output = program(name).output().expect("the example can be run");
    let printed = String::from_utf8_lossy(&output.stdout).replace("\r\n", "\n");
    assert_eq!(printed, expected, "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success());
}

#[test]
fn threads_share_a_load_without_a_runtime() {
    assert_prints("blocking", include_str!("golden/blocking.txt"));
}

#[test]
fn a_name_is_one_cache_in_the_whole_program() {
    assert_prints("get_cache", include_str!("golden/get_cache.txt"));
}

#[test]
fn callers_share_loads_and_failures_and_deletes_win() {
    assert_prints("resilient_loads", include_str!("golden/resilient_loads.txt"));
}

#[test]
fn misses_have_causes() {
    assert_prints("stats", include_str!("golden/stats.txt"));
}

#[test]
fn groups_of_entries_go_at_once() {
    assert_prints("tags_and_namespaces", include_str!("golden/tags_and_namespaces.txt"));
}

#[test]
fn the_own_command_lists_the_plugins_it_was_linked_with() {
    let output = program("own_command").args(["plugins", "list"]).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    for plugin in ["policy      acme.lru-k", "backend     acme.log", "backend     memory"] {
        assert!(printed.contains(plugin), "`{plugin}` in\n{printed}");
    }
}

#[test]
fn the_own_command_finds_nothing_to_say_about_the_configs_of_the_examples() {
    for config in ["caches.toml", "caches-memory.toml", "caches-redis.toml", "third-party.toml"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(config);
        let output = program("own_command").arg("check").arg(path).output().unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{printed}");
        assert!(printed.contains("valid") && !printed.contains("warning"), "{printed}");
    }
}
