//! The example files: TOML and YAML say the same, and all caches resolve as intended.

use super::*;

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn shop(name: &str) -> Loader {
    let secrets = [("REDIS_EU_PASSWORD", "eu-pass"), ("REDIS_US_PASSWORD", "us-pass")];
    Loader::new().file(fixture(name)).environment(variables(&secrets))
}

/// The tree without places.
fn plain(node: &Node) -> String {
    match &node.value {
        Value::Table(table) => {
            let mut items: Vec<String> =
                table.iter().map(|item| format!("{}={}", item.key, plain(&item.node))).collect();
            items.sort();
            format!("{{{}}}", items.join(","))
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(plain).collect();
            format!("[{}]", items.join(","))
        }
        other => format!("{other:?}"),
    }
}

#[test]
fn toml_and_yaml_resolve_to_the_same_tree() {
    for profile in [None, Some("dev".to_owned())] {
        let toml = shop("shop.toml").profile(profile.clone()).resolve();
        let yaml = shop("shop.yaml").profile(profile).resolve();
        assert_eq!(plain(&toml.root), plain(&yaml.root));
        assert_eq!(toml.files.len(), 2, "the included file is read");
    }
}

#[test]
fn only_the_secret_files_of_the_example_are_missing() {
    let resolved = shop("shop.toml").resolve();
    let codes: Vec<&str> = resolved.diagnostics.iter().map(|one| one.code).collect();
    assert_eq!(codes, ["C0302", "C0302"], "{:?}", report(&resolved));
    assert!(at(&resolved, "connections.main.password").unwrap().failed);
    assert_eq!(resolved.referenced.len(), 2);
}

#[test]
fn all_caches_of_the_example_resolve_as_intended() {
    let resolved = shop("shop.toml").resolve();
    let of = |path: &str| text(&resolved, &format!("caches.{path}")).unwrap_or("-");
    let number = |path: &str| match at(&resolved, &format!("caches.{path}")).map(|n| &n.value) {
        Some(Value::Integer(number)) => *number,
        other => panic!("{path} is {other:?}"),
    };
    assert_eq!(of("sessions.ttl"), "30m");
    assert_eq!(of("sessions.serializer"), "messagepack");
    assert_eq!(of("sessions.resilience.stale_for"), "none");
    assert_eq!(of("sessions.resilience.hard_timeout"), "2s");

    assert_eq!(of("products.ttl"), "1h");
    assert_eq!(of("products.l1.ttl"), "30s");
    assert_eq!(of("products.l1.policy"), "w-tinylfu");
    assert_eq!(of("products.l1.backend.kind"), "memory");
    assert_eq!(number("products.l1.backend.capacity"), 200_000);
    assert_eq!(of("products.l2.backend.connection"), "main");
    assert_eq!(of("products.l2.backend.prefix"), "products:");
    assert_eq!(of("products.invalidation.backplane.kind"), "redis-pubsub");

    assert_eq!(of("build-artifacts.l1.backend.dir"), "/var/cache/shop/build");
    assert_eq!(of("build-artifacts.l1.serializer.compress"), "zstd");
    assert_eq!(of("profiles.l2.backend.read_from"), "replica");
    assert_eq!(of("profiles.warmers.top-users.kind"), "key-list");
    assert_eq!(of("geo.ttl"), "never");
    assert_eq!(of("team-flags.l1.policy"), "w-tinylfu");
    assert_eq!(text(&resolved, "connections.eu.password"), Some("eu-pass"));
    let tenant = at(&resolved, "patterns.tenant-*.l1.backend.capacity").unwrap();
    assert_eq!(tenant.value, Value::Integer(1_000));
    let spent = ["defaults", "include", "profile", "templates", "caches.products.extends"];
    assert!(spent.iter().all(|path| at(&resolved, path).is_none()));
}

#[test]
fn the_dev_profile_unsets_what_it_names() {
    let resolved = shop("shop.toml")
        .profile(None)
        .environment(variables(&[("LARDER_PROFILE", "dev")]))
        .resolve();
    assert_eq!(report(&resolved).len(), 1, "only the admin token: {:?}", report(&resolved));
    assert_eq!(resolved.profile.as_deref(), Some("dev"));
    let tiers = keys(&resolved, "caches.profiles");
    assert!(tiers.contains(&"l1".to_owned()) && !tiers.contains(&"l2".to_owned()), "{tiers:?}");
    assert_eq!(at(&resolved, "caches.profiles.unset"), None);
    assert_eq!(text(&resolved, "connections.main.url"), Some("redis://localhost:6379/0"));
    assert_eq!(text(&resolved, "connections.main.password"), None);
    let url = at(&resolved, "connections.main.url").unwrap();
    assert_eq!(url.layer, crate::tree::Layer::Profile("dev".to_owned()));
    assert_eq!(url.replaced.len(), 1);
}
