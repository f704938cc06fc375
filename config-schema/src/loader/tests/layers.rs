//! Defaults, templates, profiles and providers over each other.

use figment::providers::Serialized;

use super::*;
use crate::tree::Layer;

#[test]
fn later_layers_win_and_remember_what_they_replaced() {
    let resolved = toml(
        "[defaults]\nttl = '1m'\n[templates.a]\nttl = '2m'\n[templates.b]\nextends = 'a'\n\
         ttl = '3m'\n[caches.x]\nextends = 'b'\n\
         [caches.y]\nextends = ['b', 'a']\nttl = '4m'\n[caches.z]\n",
    )
    .resolve();
    assert_eq!(report(&resolved), [""; 0]);
    let ttl = at(&resolved, "caches.x.ttl").unwrap();
    assert_eq!(ttl.as_str(), Some("3m"));
    assert_eq!(ttl.layer, Layer::Template("b".to_owned(), vec![]));
    let replaced: Vec<&str> = ttl.replaced.iter().map(|at| resolved.sources.text(at)).collect();
    assert_eq!(replaced, ["'1m'", "'2m'"]);
    assert_eq!(text(&resolved, "caches.y.ttl"), Some("4m"));
    assert_eq!(at(&resolved, "caches.z.ttl").unwrap().layer, Layer::Defaults);
}

#[test]
fn a_value_knows_through_which_templates_it_came() {
    let resolved = toml(
        "[templates.a]\nttl = '1m'\n[templates.b]\nextends = 'a'\n[templates.c]\nextends = 'b'\n\
         [caches.x]\nextends = 'c'\n",
    )
    .resolve();
    let layer = Layer::Template("a".to_owned(), vec!["b".to_owned(), "c".to_owned()]);
    assert_eq!(at(&resolved, "caches.x.ttl").unwrap().layer, layer);
}

#[test]
fn a_shared_base_does_not_undo_what_another_template_set() {
    let resolved = toml(
        "[templates.base]\nttl = '1m'\n[templates.a]\nextends = 'base'\nttl = '2m'\n\
         [templates.b]\nextends = 'base'\n[caches.x]\nextends = ['a', 'b']\n",
    )
    .resolve();
    assert_eq!(text(&resolved, "caches.x.ttl"), Some("2m"));
}

#[test]
fn another_kind_drops_the_options_of_the_old_one() {
    let text_of =
        "[templates.t]\nl1.backend = { kind = 'memory', capacity = 5 }\nl1.policy = 'lru'\n";
    for change in [
        "[caches.x]\nextends = 't'\nl1.backend = { kind = 'file', dir = 'd' }\n",
        "[caches.x]\nextends = 't'\nl1.backend = 'file'\n\
         [profile.p.caches.x]\nl1.backend.dir = 'd'\n",
    ] {
        let profile = change.contains("profile").then(|| "p".to_owned());
        let resolved = toml(&format!("{text_of}{change}")).profile(profile).resolve();
        assert_eq!(report(&resolved), [""; 0]);
        assert_eq!(keys(&resolved, "caches.x.l1.backend"), ["kind", "dir"]);
        assert_eq!(text(&resolved, "caches.x.l1.policy"), Some("lru"));
        let kind = at(&resolved, "caches.x.l1.backend.kind").unwrap();
        assert_eq!(kind.as_str(), Some("file"));
    }
}

#[test]
fn a_bare_string_and_a_table_of_the_same_kind_merge() {
    let resolved = toml(
        "[templates.t]\nl1.backend = 'memory'\nl1.policy = { kind = 'slru', protected = 0.5 }\n\
         [caches.x]\nextends = 't'\nl1.backend.capacity = 5\nl1.policy = 'slru'\n",
    )
    .resolve();
    assert_eq!(keys(&resolved, "caches.x.l1.backend"), ["kind", "capacity"]);
    assert_eq!(keys(&resolved, "caches.x.l1.policy"), ["kind", "protected"]);
}

#[test]
fn unset_and_null_remove_inherited_options_only() {
    let templates =
        "templates:\n  t: {ttl: 1m, idle_ttl: 1m, l1: {backend: memory, policy: lru}}\n";
    let cache = "caches:\n  x: {extends: t, unset: [ttl, l1.policy], ttl: 2m, idle_ttl: null}\n";
    let resolved =
        Loader::new().text("caches.yaml", Format::Yaml, format!("{templates}{cache}")).resolve();
    assert_eq!(report(&resolved), [""; 0]);
    assert_eq!(text(&resolved, "caches.x.ttl"), Some("2m"));
    assert_eq!(at(&resolved, "caches.x.ttl").unwrap().replaced, []);
    assert_eq!(keys(&resolved, "caches.x"), ["l1", "ttl"]);
    assert_eq!(keys(&resolved, "caches.x.l1"), ["backend"]);
}

#[test]
fn unset_that_removes_nothing_is_a_warning() {
    let resolved = toml("[defaults]\nttl = '1m'\n[caches.x]\nunset = ['tll']\n").resolve();
    let expected = "W0301: `unset` names `tll`, which nothing sets @ caches.toml:4 `'tll'`";
    assert_eq!(report(&resolved), [expected]);
    assert_eq!(resolved.diagnostics[0].help, ["did you mean `ttl`?"]);
}

#[test]
fn unknown_templates_are_listed_with_a_fix() {
    let resolved =
        toml("[templates.hot]\n[templates.hot-shared]\n[caches.x]\nextends = \"hot_shared\"\n")
            .resolve();
    let one = &resolved.diagnostics[0];
    assert_eq!(
        report(&resolved),
        ["C0402: unknown template `hot_shared` @ caches.toml:4 `\"hot_shared\"`"]
    );
    assert_eq!(one.notes, ["templates: hot (caches.toml:1), hot-shared (caches.toml:2)"]);
    assert_eq!(one.fix.as_ref().unwrap().edits[0].text, "\"hot-shared\"");
    assert!(at(&resolved, "caches.x").unwrap().failed);
}

#[test]
fn a_cycle_of_templates_is_reported_once() {
    let resolved = toml(
        "[templates.a]\nextends = 'b'\n[templates.b]\nextends = 'a'\n\
         [caches.x]\nextends = 'a'\n[caches.y]\nextends = 'b'\n",
    )
    .resolve();
    let message = "C0402: templates extend each other in a cycle: a → b → a";
    assert_eq!(report(&resolved), [format!("{message} @ caches.toml:2 `'b'` `a` extends `b`")]);
    assert!(["x", "y"].iter().all(|name| at(&resolved, &format!("caches.{name}")).unwrap().failed));
}

#[test]
fn a_very_long_chain_of_templates_is_refused_and_not_a_stack_overflow() {
    let mut config: String = (0..5_000)
        .map(|index| format!("[templates.t{index}]\nextends = 't{}'\n", index + 1))
        .collect();
    config.push_str("[templates.t5000]\n[caches.x]\nextends = 't0'\n");
    let resolved = toml(&config).resolve();
    assert!(report(&resolved).iter().all(|line| line.contains("too deeply")));
    assert!(at(&resolved, "caches.x").unwrap().failed);
}

#[test]
fn the_short_form_and_named_tiers_do_not_mix() {
    let resolved = toml(
        "[templates.hot]\nl1.backend = 'memory'\n[caches.x]\nextends = 'hot'\nbackend = 'file'\n",
    )
    .resolve();
    let message = "C0406: cache `x` has `backend` of its own and a tier `l1`";
    let place = "@ caches.toml:5 `backend` short for the only tier";
    assert_eq!(report(&resolved), [format!("{message} {place}")]);
    let other = &resolved.diagnostics[0].secondary[0];
    assert_eq!(other.text, "a tier by name, from template `hot`");
    assert!(at(&resolved, "caches.x").unwrap().failed);
}

#[test]
fn the_short_form_alone_stays_as_it_is_written() {
    let resolved = toml("[defaults]\npolicy = 'lru'\n[caches.x]\nbackend = 'memory'\n").resolve();
    assert_eq!(report(&resolved), [""; 0]);
    assert_eq!(keys(&resolved, "caches.x"), ["policy", "backend"]);
}

#[test]
fn a_profile_changes_defaults_templates_and_the_list_of_caches() {
    let resolved = toml(
        "[defaults]\nttl = '1m'\n[templates.t]\nl1.backend = 'memory'\n[caches.a]\nextends = 't'\n\
         [caches.b]\n[profile.p.defaults]\nttl = '2m'\n[profile.p.templates.t]\n\
         l1.backend = 'file'\n\
         [profile.p.caches]\nunset = ['b']\n[profile.p.caches.c]\nextends = 't'\n",
    )
    .profile(Some("p".to_owned()))
    .resolve();
    assert_eq!(report(&resolved), [""; 0]);
    assert_eq!(keys(&resolved, "caches"), ["a", "c"]);
    for cache in ["a", "c"] {
        assert_eq!(text(&resolved, &format!("caches.{cache}.ttl")), Some("2m"));
        assert_eq!(text(&resolved, &format!("caches.{cache}.l1.backend")), Some("file"));
    }
}

#[test]
fn an_unknown_profile_is_an_error_that_lists_them() {
    let resolved = toml("[profile.prod]\n[profile.dev]\n")
        .environment(variables(&[("LARDER_PROFILE", "prdo")]))
        .resolve();
    assert_eq!(report(&resolved), ["C0305: unknown profile `prdo` @ LARDER_PROFILE `prdo`"]);
    assert_eq!(resolved.diagnostics[0].notes, ["profiles: prod, dev"]);
    assert_eq!(resolved.diagnostics[0].help, ["did you mean `prod`?"]);
}

#[test]
fn providers_of_the_application_lie_over_the_profile() {
    let text_of = "[caches.x]\nttl = '1m'\nl1.backend = { kind = 'memory', capacity = 5 }\n\
                   [profile.p.caches.x]\nttl = '2m'\n";
    let resolved = toml(text_of)
        .profile(Some("p".to_owned()))
        .provider(Serialized::default("caches.x.ttl", "3m"))
        .provider(Serialized::default("caches.x.l1.backend.capacity", 9_u64))
        .provider(Serialized::default("connections.main.password", "hunter2"))
        .resolve();
    assert_eq!(report(&resolved), [""; 0]);
    let ttl = at(&resolved, "caches.x.ttl").unwrap();
    assert_eq!((ttl.as_str(), &ttl.layer), (Some("3m"), &Layer::Provider));
    assert_eq!(resolved.sources.text(&ttl.at), "\"3m\"");
    assert_eq!(resolved.sources.get(ttl.at.source).text, "caches.x.ttl = \"3m\"\n");
    assert_eq!(ttl.replaced.len(), 2);
    let backend = at(&resolved, "caches.x.l1.backend").unwrap();
    assert_eq!(keys(&resolved, "caches.x.l1.backend"), ["kind", "capacity"]);
    assert_eq!(resolved.sources.get(backend.at.source).name, "caches.toml");
    assert_eq!(text(&resolved, "connections.main.password"), Some("hunter2"));
    let texts: Vec<&str> = resolved.sources.iter().map(|(_, source)| &*source.text).collect();
    assert!(!texts.join("").contains("hunter2"));
}

#[test]
fn a_provider_has_the_values_of_the_active_profile() {
    let figment = Figment::new()
        .merge(Serialized::default("caches.x.ttl", "1m"))
        .merge(Serialized::default("caches.x.ttl", "2m").profile("p"));
    let resolved = toml("[caches.x]\n[profile.p]\n").profile(Some("p".to_owned())).figment(figment);
    assert_eq!(text(&resolved.resolve(), "caches.x.ttl"), Some("2m"));
}

#[test]
fn a_profile_cannot_say_what_only_files_can() {
    let resolved =
        toml("[profile.p]\ninclude = 'x.toml'\n").profile(Some("p".to_owned())).resolve();
    let message = "C0306: `include` cannot stand in a profile or a provider";
    assert_eq!(report(&resolved), [format!("{message} @ caches.toml:2 `include`")]);
}

#[test]
fn what_must_be_a_table_is_said_and_skipped() {
    let resolved = toml("defaults = 1\npatterns = 2\n[caches]\nusers = 'memory'\n").resolve();
    assert_eq!(
        report(&resolved),
        [
            "C0306: `defaults` must be a table @ caches.toml:1 `1` an integer",
            "C0306: cache `users` must be a table @ caches.toml:4 `'memory'` a string",
            "C0306: `patterns` must be a table @ caches.toml:2 `2` an integer",
        ]
    );
    assert!(at(&resolved, "caches.users").unwrap().failed);
}
