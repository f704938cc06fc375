//! `check`, `show` and `explain` against the real command.

use crate::support::{Folder, golden, said};

const SHOP: &str = include_str!("../golden/shop.toml");
const RULES: &str = include_str!("../golden/rules.toml");
const BROKEN: &str = include_str!("../golden/broken.toml");

#[test]
fn check_shows_how_far_it_came_what_it_found_and_what_is_valid() {
    let folder = Folder::with(SHOP);
    folder.golden("check-valid", &["check"]);
    folder.golden("check-json", &["check", "--format", "json"]);
    folder.golden("check-github", &["check", "caches.toml", "--format", "github"]);
}

#[test]
fn warnings_are_a_no_only_when_they_are_denied() {
    let folder = Folder::with(SHOP);
    assert_eq!(folder.run(&["check"]).code, 0);
    assert_eq!(folder.run(&["check", "--deny-warnings"]).code, 1);
    let accepted = SHOP.replace("version = 1", "version = 1\nallow = [\"W0201\"]");
    let folder = Folder::with(&accepted);
    assert_eq!(folder.run(&["check", "--deny-warnings"]).code, 0);
}

#[test]
fn check_tells_everything_that_is_wrong_with_an_invalid_config() {
    let folder = Folder::with(BROKEN);
    folder.golden("check-invalid", &["check"]);
    folder.golden("check-invalid-json", &["check", "--format", "json"]);
    folder.golden("check-invalid-github", &["check", "--format", "github"]);
}

#[test]
fn other_commands_tell_on_stderr_why_a_config_is_invalid() {
    let folder = Folder::with(BROKEN);
    folder.golden("invalid-config", &["get", "users", "42"]);
    assert_eq!(folder.run(&["show"]).code, 78);
    assert_eq!(folder.run(&["stats"]).code, 78);
}

#[test]
fn a_file_that_is_no_toml_skips_the_later_stages() {
    let folder = Folder::with("version = 1\n[caches.users\n");
    folder.golden("check-syntax", &["check"]);
}

#[test]
fn check_looks_at_each_file_by_itself_and_the_worst_decides() {
    let folder = Folder::with(SHOP);
    folder.write("other.yaml", "caches:\n  users:\n    backend: memory\n    ttl: 10\n");
    folder.golden("check-two-files", &["check", "caches.toml", "other.yaml"]);
    assert_eq!(folder.run(&["check", "other.yaml", "caches.toml"]).code, 78);
}

#[test]
fn check_with_all_profiles_finds_what_only_one_of_them_breaks() {
    let broken = SHOP.replace("ttl = \"2h\"", "ttl = \"2 fortnights\"");
    let folder = Folder::with(&broken);
    assert_eq!(folder.run(&["check"]).code, 0);
    folder.golden("check-all-profiles", &["check", "--all-profiles"]);
    assert_eq!(folder.run(&["check", "--profile", "prod"]).code, 78);
    assert_eq!(folder.run(&["check", "--profile", "absent"]).code, 78);
}

#[test]
fn fix_changes_what_is_certain_and_leaves_the_rest() {
    let folder = Folder::with(
        "# kept\n[caches.users]\nttl = \"1h\"\nbackend = { kind = \"memory\", capacity = \"100\" }\n",
    );
    folder.golden("check-unfixed", &["check"]);
    folder.golden("check-fix", &["check", "--fix"]);
    let mended =
        "# kept\n[caches.users]\nttl = \"1h\"\nbackend = { kind = \"memory\", capacity = 100 }\n";
    assert_eq!(folder.read("caches.toml"), mended);
    let again = folder.run(&["check", "--fix"]);
    assert_eq!((again.code, again.stderr.as_str()), (0, ""));
    assert_eq!(folder.read("caches.toml"), mended);
}

#[test]
fn what_is_left_after_a_fix_is_still_an_error() {
    let folder = Folder::with(
        "[caches.users]\nttl = 30\nbackend = { kind = \"memory\", capacity = \"100\" }\n",
    );
    folder.golden("check-fix-rest", &["check", "--fix"]);
    assert!(folder.read("caches.toml").contains("capacity = 100 }"));
}

#[test]
fn a_missing_config_exits_with_66_and_says_what_to_do() {
    let folder = Folder::new();
    folder.golden("no-config", &["show"]);
    folder.golden("missing-config", &["check", "absent.toml"]);
    folder.golden("missing-named-config", &["get", "users", "42", "--config", "absent.toml"]);
    folder.golden("config-is-a-directory", &["check", "."]);
}

/// Whoever may do everything is not refused, so there the answer is that of the config.
#[cfg(unix)]
#[test]
fn a_config_that_may_not_be_read_exits_with_77() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = Folder::with("[caches.users]\nbackend = \"memory\"\n");
    let file = folder.path().join("caches.toml");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o000)).unwrap();
    let expected = if std::fs::File::open(&file).is_ok() { 0 } else { 77 };
    assert_eq!(folder.run(&["check"]).code, expected);
}

#[test]
fn the_config_comes_from_the_option_then_the_variable_then_the_folder() {
    let config = |ttl: &str| format!("[caches.{ttl}]\nttl = \"{ttl}\"\nbackend = \"memory\"\n");
    let folder = Folder::new();
    folder.write("caches.yaml", "caches:\n  a:\n    backend: memory\n");
    assert!(folder.run(&["show"]).stdout.contains("caches.a.backend"));
    folder.write("caches.toml", &config("1h"));
    folder.write("variable.toml", &config("2h"));
    folder.write("option.toml", &config("3h"));
    assert!(folder.run(&["show"]).stdout.contains("caches.1h.ttl"));
    let mut command = folder.command(&["show"]);
    command.env("LARDER_CONFIG", "variable.toml");
    assert!(said(command).stdout.contains("caches.2h.ttl"));
    let mut command = folder.command(&["show", "--config", "option.toml"]);
    command.env("LARDER_CONFIG", "variable.toml");
    assert!(said(command).stdout.contains("caches.3h.ttl"));
}

#[test]
fn show_names_the_file_the_layer_and_what_was_overridden() {
    let folder = Folder::with(SHOP);
    folder.golden("show", &["show"]);
    folder.golden("show-json", &["show", "caches.sessions", "--format", "json"]);
    folder.golden("show-nothing", &["show", "caches.absent"]);
    let arguments = [
        "show",
        "caches.users",
        "--origin",
        "--profile",
        "prod",
        "--set",
        "caches.users.idle_ttl=5m",
    ];
    let mut command = folder.command(&arguments);
    command.env("LARDER__CACHES__USERS__TTL_JITTER", "5%");
    golden("show-origin", &arguments, &said(command));
    folder.golden("show-value", &["show", "caches.users.ttl"]);
    let arguments = ["show", "caches.users.ttl", "--origin", "--format", "json"];
    folder.golden("show-origin-json", &arguments);
}

#[test]
fn show_never_prints_what_came_through_a_reference() {
    let folder = Folder::with(&SHOP.replace("users by id", "${env:DESCRIPTION}"));
    let mut command = folder.command(&["show", "caches.users"]);
    command.env("DESCRIPTION", "hunter2");
    let said = said(command);
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert!(!said.stdout.contains("hunter2"), "{}", said.stdout);
    assert!(said.stdout.contains("${env:DESCRIPTION}"), "{}", said.stdout);
}

#[test]
fn explain_knows_codes_options_and_plugins() {
    let folder = Folder::new();
    folder.golden("explain-code", &["explain", "c0203"]);
    folder.golden("explain-option", &["explain", "caches.users.ttl"]);
    folder.golden("explain-kind", &["explain", "lru"]);
    folder.golden("explain-json", &["explain", "C0203", "--format", "json"]);
    folder.golden("explain-option-json", &["explain", "ttl", "--format", "json"]);
    folder.golden("explain-unknown", &["explain", "memmory"]);
}

#[test]
fn explain_tells_for_one_key_what_each_option_is_and_what_set_it() {
    let folder = Folder::with(RULES);
    folder.golden("explain-key", &["explain", "caches.users", "--key", "user:42"]);
    let arguments = ["explain", "caches.users", "--key", "user:42", "--format", "json"];
    folder.golden("explain-key-json", &arguments);
    let arguments =
        ["explain", "caches.users", "--key", "order:1", "--set", "caches.users.idle_ttl=5m"];
    folder.golden("explain-key-no-rule", &arguments);
    folder.golden("explain-key-no-cache", &["explain", "caches.user", "--key", "order:1"]);
    folder.golden("explain-key-no-path", &["explain", "ttl", "--key", "order:1"]);
    folder.golden("explain-key-empty", &["explain", "caches.users", "--key", ""]);
    folder.golden("explain-rule-option", &["explain", "caches.users.rules.ttl"]);
}
