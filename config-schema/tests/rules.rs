//! Rules by key: what they make of a cache, and what is said of one key.

mod support;

use std::time::Duration;

use larder_config::check::{CheckEnvironment, Checked, check};
use larder_config::effective::for_key;
use larder_config::loader::{Loader, Resolved};
use larder_config::model::RuleSpec;
use larder_config::parse::Format;
use larder_core::Life;

const SHOP: &str = r#"
[defaults]
ttl_jitter = "5%"

[templates.hot]
resilience.hard_timeout = "2s"
resilience.single_flight = false

[caches.users]
extends = "hot"
ttl = "1h"
backend = { kind = "memory", capacity = 100 }

[[caches.users.rules]]
match = "user:admin"
ttl = "1m"

[[caches.users.rules]]
match = ["user:*", "member:?"]
ttl = "5m"
negative_ttl = "0s"
resilience.hard_timeout = "100ms"

[patterns."tenant-*"]
backend = { kind = "memory", capacity = 100 }
rules = [{ match = "*", ttl = "7s" }]
"#;

fn resolved(format: Format, text: &str) -> Resolved {
    Loader::new().text("caches.toml", format, text).resolve()
}

fn checked(text: &str) -> Checked {
    let resolved = resolved(Format::Toml, text);
    check(&resolved, &support::registry(), &CheckEnvironment::isolated())
}

fn rules(text: &str) -> Vec<RuleSpec> {
    let checked = checked(text);
    let config = checked.config.unwrap_or_else(|| panic!("{}", checked.report));
    config.caches["users"].rules.clone()
}

#[test]
fn a_rule_changes_what_it_says_and_leaves_the_rest_as_in_the_cache() {
    let rules = rules(SHOP);
    let [admin, others] = rules.as_slice() else {
        panic!("{rules:?}");
    };
    assert_eq!(admin.patterns, ["user:admin"]);
    assert_eq!(admin.cache.ttl, Life::For(Duration::from_secs(60)));
    assert_eq!(admin.cache.resilience.hard_timeout, Some(Duration::from_secs(2)));
    assert_eq!(others.patterns, ["user:*", "member:?"]);
    assert_eq!(others.cache.ttl, Life::For(Duration::from_secs(300)));
    assert_eq!(others.cache.ttl_jitter.get(), 0.05);
    assert_eq!(others.cache.negative_ttl, Some(Duration::ZERO));
    assert_eq!(others.cache.resilience.hard_timeout, Some(Duration::from_millis(100)));
    assert!(!others.cache.resilience.single_flight, "a table is changed key by key");
    assert!(others.cache.rules.is_empty());
}

#[test]
fn the_rules_of_a_nearer_layer_stand_in_for_all_those_of_another() {
    let inherited = "[templates.hot]\nrules = [{ match = 'a*', ttl = '1s' }]\n\
        [caches.users]\nextends = 'hot'\nbackend = { kind = 'memory', capacity = 1 }\n";
    assert_eq!(rules(inherited).len(), 1);
    let own = format!("{inherited}rules = [{{ match = 'b*' }}, {{ match = 'c*' }}]\n");
    let patterns: Vec<_> = rules(&own).into_iter().flat_map(|rule| rule.patterns).collect();
    assert_eq!(patterns, ["b*", "c*"]);
    assert_eq!(rules(&format!("{inherited}unset = ['rules']\n")).len(), 0);
}

/// The options that are not built in, one a line, after the rule that counts.
fn said(resolved: &Resolved, path: [&str; 2], key: &str) -> Vec<String> {
    let found = for_key(resolved, &path.map(str::to_owned), key).expect("there is such a cache");
    let rule = found.rule.map_or("-".to_owned(), |rule| format!("{} {}", rule.number, rule.at));
    let options = found.options.into_iter().filter(|option| option.at.is_some()).map(|option| {
        let (value, at) = (option.value.unwrap_or_default(), option.at.unwrap_or_default());
        format!("{} = {value}, {}, {at}", option.name, option.from)
    });
    std::iter::once(format!("{} {rule}", found.cache)).chain(options).collect()
}

#[test]
fn each_value_for_a_key_comes_with_the_layer_and_the_place_that_set_it() {
    let resolved = resolved(Format::Toml, SHOP);
    let said = |path, key| said(&resolved, path, key);
    assert_eq!(
        said(["caches", "users"], "member:7"),
        [
            "caches.users 2 caches.toml:19:20",
            "negative_ttl = 0s, rule 2 `member:?`, caches.toml:21:16",
            "resilience.hard_timeout = 100ms, rule 2 `member:?`, caches.toml:22:27",
            "resilience.single_flight = false, template hot, caches.toml:7:28",
            "ttl = 5m, rule 2 `member:?`, caches.toml:20:7",
            "ttl_jitter = 5%, defaults, caches.toml:3:14",
        ]
    );
    assert_eq!(
        said(["caches", "users"], "order:1"),
        [
            "caches.users -",
            "resilience.hard_timeout = 2s, template hot, caches.toml:6:27",
            "resilience.single_flight = false, template hot, caches.toml:7:28",
            "ttl = 1h, cache, caches.toml:11:7",
            "ttl_jitter = 5%, defaults, caches.toml:3:14",
        ]
    );
    let tenant = said(["caches", "tenant-eu"], "x");
    assert_eq!(tenant[0], "patterns.\"tenant-*\" 1 caches.toml:26:20");
    assert_eq!(for_key(&resolved, &["caches".to_owned(), "absent".to_owned()], "x"), None);
    assert_eq!(for_key(&resolved, &["users".to_owned()], "x"), None);
}

#[test]
fn a_value_that_nobody_set_is_the_default_or_none() {
    let text = "caches:\n  users:\n    backend: memory\n    rules:\n      - match: 'ü*'\n        ttl: 2s\n";
    let resolved = resolved(Format::Yaml, text);
    let path = ["caches".to_owned(), "users".to_owned()];
    let found = for_key(&resolved, &path, "über").expect("there is such a cache");
    let value = |name: &str| {
        let option = found.options.iter().find(|option| option.name == name);
        option.unwrap_or_else(|| panic!("no `{name}` in {found:?}")).value.as_deref()
    };
    assert_eq!(value("ttl"), Some("2s"));
    assert_eq!(value("idle_ttl"), Some("never"));
    assert_eq!(value("negative_ttl"), None);
    assert_eq!(value("resilience.single_flight"), Some("true"));
    assert_eq!(found.rule.map(|rule| rule.at).as_deref(), Some("caches.toml:5:16"));
}

#[test]
fn a_rule_that_never_counts_can_be_accepted() {
    let text = "[caches.users]\nbackend = { kind = 'memory', capacity = 1 }\n\
        rules = [{ match = '*' }, { match = 'a' }]\n";
    let codes = |text: &str| {
        let report = checked(text).report;
        report.diagnostics().iter().map(|one| one.code).collect::<Vec<_>>()
    };
    assert_eq!(codes(text), ["W0403"]);
    assert_eq!(codes(&text.replace("rules", "allow = ['W0403']\nrules")), [""; 0]);
    assert_eq!(codes(&text.replace("'*' }, { match = 'a'", "'a' }, { match = '*'")), [""; 0]);
}
