//! Environment variables and `--set`.

use super::*;
use crate::tree::Layer;

const CONFIG: &str = "[caches.products]\nttl = '1h'\n\
    l1.backend = { kind = 'memory', capacity = 5 }\n\
    l1.policy = 'lru'\n[caches.\"api.users\"]\nttl = '1h'\n[caches.build-artifacts]\nttl = '1d'\n\
    [connections.main]\nkind = 'redis'\npassword = 'x'\n";

fn with(pairs: &[(&str, &str)]) -> Resolved {
    toml(CONFIG).environment(variables(pairs)).resolve()
}

#[test]
fn variables_hit_names_with_dashes_and_dots() {
    let resolved = with(&[
        ("LARDER__CACHES__PRODUCTS__TTL", "2h"),
        ("LARDER__CACHES__API_USERS__TTL", "3h"),
        ("LARDER__CACHES__BUILD_ARTIFACTS__TTL", "4h"),
        ("LARDER_CONFIG", "elsewhere.toml"),
        ("PATH", "/bin"),
    ]);
    assert_eq!(report(&resolved), [""; 0]);
    let ttl = at(&resolved, "caches.products.ttl").unwrap();
    assert_eq!((ttl.as_str(), &ttl.layer), (Some("2h"), &Layer::Environment));
    assert_eq!(resolved.sources.text(&ttl.at), "2h");
    assert_eq!(resolved.sources.text(&ttl.replaced[0]), "'1h'");
    let dotted = ["caches", "api.users", "ttl"].map(str::to_owned);
    assert_eq!(resolved.root.find(&dotted).and_then(Node::as_str), Some("3h"));
    assert_eq!(text(&resolved, "caches.build-artifacts.ttl"), Some("4h"));
}

#[test]
fn options_that_are_not_set_yet_may_be() {
    let resolved = with(&[
        ("LARDER__CACHES__PRODUCTS__IDLE_TTL", "1m"),
        ("LARDER__CACHES__PRODUCTS__L1__BACKEND__MAX_BYTES", "1GiB"),
        ("LARDER__CACHES__PRODUCTS__L1__POLICY__PROTECTED", "0.5"),
        ("LARDER__CACHES__PRODUCTS__RESILIENCE__HARD_TIMEOUT", "1s"),
        ("LARDER__RELOAD__WATCH", "false"),
        ("LARDER__DEFAULTS__NEGATIVE_TTL", "5s"),
    ]);
    assert_eq!(report(&resolved), [""; 0]);
    assert_eq!(text(&resolved, "caches.products.idle_ttl"), Some("1m"));
    assert_eq!(text(&resolved, "caches.products.l1.backend.max_bytes"), Some("1GiB"));
    assert_eq!(keys(&resolved, "caches.products.l1.policy"), ["kind", "protected"]);
    assert_eq!(text(&resolved, "caches.products.resilience.hard_timeout"), Some("1s"));
    assert_eq!(text(&resolved, "reload.watch"), Some("false"));
    assert_eq!(text(&resolved, "caches.build-artifacts.negative_ttl"), Some("5s"));
}

#[test]
fn another_kind_by_variable_drops_options_but_not_those_of_other_variables() {
    let resolved = with(&[
        ("LARDER__CACHES__PRODUCTS__L1__BACKEND__DIR", "/d"),
        ("LARDER__CACHES__PRODUCTS__L1__BACKEND__KIND", "file"),
    ]);
    assert_eq!(report(&resolved), [""; 0]);
    assert_eq!(keys(&resolved, "caches.products.l1.backend"), ["kind", "dir"]);
    let resolved = with(&[("LARDER__CACHES__PRODUCTS__L1__BACKEND", "file")]);
    assert_eq!(text(&resolved, "caches.products.l1.backend"), Some("file"));
}

#[test]
fn a_variable_that_hits_nothing_is_an_error_with_the_right_name() {
    let resolved = with(&[("LARDER__CACHES__PRODUCT__TTL", "2h")]);
    let place = "@ LARDER__CACHES__PRODUCT__TTL `PRODUCT` no cache `product`";
    assert_eq!(report(&resolved), [format!("C0303: environment override matches nothing {place}")]);
    let one = &resolved.diagnostics[0];
    assert_eq!(one.notes, ["a similar name exists: `products` (caches.toml:1)"]);
    assert_eq!(one.help, ["rename it to `LARDER__CACHES__PRODUCTS__TTL`, or unset it"]);
}

#[test]
fn sections_tiers_connections_and_entries_must_exist() {
    for (name, text) in [
        ("LARDER__CACHE__PRODUCTS__TTL", "no section `cache`"),
        ("LARDER__CACHES__PRODUCTS__L2__TTL", "`products` has no tier `l2`"),
        ("LARDER__CACHES__PRODUCTS__L2", "`products` has no tier `l2`"),
        ("LARDER__CACHES__NEW", "no cache `new`"),
        ("LARDER__CONNECTIONS__MAIM__URL", "no connection `maim`"),
        ("LARDER__CACHES__PRODUCTS__TTL__X", "`caches.products.ttl` has no `x`"),
        ("LARDER__", "a name is missing here"),
    ] {
        let resolved = with(&[(name, "1")]);
        assert_eq!(resolved.diagnostics.len(), 1, "{name}");
        assert_eq!(resolved.diagnostics[0].primary.as_ref().unwrap().text, text);
    }
}

#[test]
fn arguments_win_over_variables() {
    let resolved = toml(CONFIG)
        .environment(variables(&[("LARDER__CACHES__PRODUCTS__TTL", "2h")]))
        .set("caches.products.ttl=3h")
        .set("caches.\"api.users\".ttl=4h")
        .set("caches.api.users.idle_ttl=5h")
        .resolve();
    assert_eq!(report(&resolved), [""; 0]);
    let ttl = at(&resolved, "caches.products.ttl").unwrap();
    assert_eq!((ttl.as_str(), &ttl.layer), (Some("3h"), &Layer::Argument));
    assert_eq!(ttl.replaced.len(), 2);
    assert_eq!(resolved.sources.get(ttl.at.source).text, "--set caches.products.ttl=3h");
    let users = ["caches", "api.users"].map(str::to_owned);
    let users = resolved.root.find(&users).unwrap();
    let values: Vec<_> = users.as_table().unwrap().iter().map(|item| item.node.as_str()).collect();
    assert_eq!(values, [Some("4h"), Some("5h")]);
}

#[test]
fn a_mistyped_argument_says_how_to_write_it() {
    let resolved = toml(CONFIG).set("caches.products.ttl").set("caches.api.user.ttl=1h").resolve();
    assert_eq!(
        report(&resolved)[0],
        "C0303: `--set` takes a path and a value @ --set `caches.products.ttl`"
    );
    assert_eq!(resolved.diagnostics.len(), 2);
    let resolved = toml(CONFIG).set("caches.product.ttl=1h").resolve();
    assert_eq!(resolved.diagnostics[0].help, ["rename it to `caches.products.ttl`, or drop it"]);
}

#[test]
fn the_text_of_a_secret_is_kept_out_of_sources() {
    let resolved = toml(CONFIG)
        .environment(variables(&[("LARDER__CONNECTIONS__MAIN__PASSWORD", "hunter2")]))
        .set("connections.main.url=redis://u:hunter2@h/0")
        .resolve();
    assert_eq!(text(&resolved, "connections.main.password"), Some("hunter2"));
    assert!(resolved.sources.iter().all(|(_, source)| !source.text.contains("hunter2")));
}
