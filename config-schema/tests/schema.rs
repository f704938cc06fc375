//! The composed schema: an independent validator agrees with our checker about the example and
//! about every mistake in single values; mistakes in relations are beyond any schema.

mod support;

use larder_config::explain::describe;
use larder_config::loader::Loader;
use larder_config::parse::Format;
use larder_config::reference::reference;
use larder_config::schema::schema;
use larder_config::show::rows;
use serde_json::Value;

const TOML: &str = include_str!("golden/caches.toml");
const YAML: &str = include_str!("golden/caches.yaml");

fn of_toml(text: &str) -> Value {
    toml::from_str(text).expect("valid TOML")
}

fn of_yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).expect("valid YAML")
}

#[test]
fn the_example_is_valid_by_the_schema_in_both_languages() {
    let validator = jsonschema::validator_for(&schema(&support::registry())).unwrap();
    for document in [of_toml(TOML), of_yaml(YAML)] {
        let errors: Vec<String> = validator
            .iter_errors(&document)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{errors:#?}");
    }
}

#[test]
fn the_schema_refuses_what_the_checker_refuses_in_single_values() {
    let validator = jsonschema::validator_for(&schema(&support::registry())).unwrap();
    for (from, to) in [
        ("kind = \"memory\", capacity = 100_000", "kind = \"memmory\", capacity = 100_000"),
        ("max_bytes = \"20GiB\"", "max_size = \"20GiB\""),
        ("idle_ttl = \"10m\"", "idle_tll = \"10m\""),
        ("idle_ttl = \"10m\"", "idle_ttl = \"5M\""),
        ("pool_size       = 16", "pool_size       = \"16\""),
        ("pool_size       = 16", "pool_size       = 0"),
        ("ttl      = \"30m\"", "ttl      = 1800"),
        ("max_bytes = \"256MiB\"", "max_bytes = \"256M\""),
        ("durability = \"none\"", "durability = \"nine\""),
        ("[reload]", "[relaod]"),
        ("version = 1", "version = 2"),
        ("refresh_ahead = 0.8", "refresh_ahead = 8"),
    ] {
        assert_eq!(TOML.matches(from).count(), 1, "{from}");
        let text = TOML.replace(from, to);
        assert!(!validator.is_valid(&of_toml(&text)), "schema accepts {to}");
        let resolved = Loader::new().text("caches.toml", Format::Toml, text).resolve();
        let environment = larder_config::check::CheckEnvironment::isolated();
        let checked = larder_config::check::check(&resolved, &support::registry(), &environment);
        let mut codes = checked.report.diagnostics().iter().map(|one| one.code);
        assert!(codes.any(|code| code.starts_with("C02")), "checker accepts {to}");
    }
}

#[test]
fn schema_and_reference_do_not_depend_on_the_order_of_registration() {
    let (first, second) = (support::registry(), support::registry());
    assert_eq!(schema(&first).to_string(), schema(&second).to_string());
    let page = reference(&first);
    assert_eq!(page, reference(&second));
    for line in [
        "### backend `file`",
        "| `dir` | path | **required** | Directory, created when absent. |",
        "| `pool_size` | integer, at least 1 | `8` | Maximum number of pooled connections. |",
        "| `password` | secret |  | Password of the user. Never shown. |",
        "| `ttl` | duration | `never` | How long entries live from the time they are written; `never` \
         switches expiry off. |",
    ] {
        assert!(page.contains(line), "{line} is missing in\n{page}");
    }
}

#[test]
fn options_and_kinds_are_described_by_path() {
    let registry = support::registry();
    for (path, title, description) in [
        ("ttl", "ttl", "How long entries live from the time they are written"),
        ("caches.users.l1.ttl", "caches.users.l1.ttl", "How long entries live in this tier"),
        ("file", "backend `file`", "a fake"),
        ("acme.lmdb.map_size", "map_size of backend `acme.lmdb`", "Size of the map."),
        ("connection.redis.pool_size", "pool_size of connection `redis`", "Maximum number"),
        ("reload.debounce", "reload.debounce", "How long the files must be unchanged"),
    ] {
        let doc = describe(&registry, path).unwrap_or_else(|| panic!("{path} has no text"));
        assert_eq!(doc.title, title);
        let text = doc.description.unwrap_or_default();
        assert!(text.starts_with(description), "{path}: {text}");
    }
    assert_eq!(describe(&registry, "no.such.option"), None);
}

#[test]
fn what_else_has_a_name_is_told() {
    let registry = support::registry();
    let others = |path: &str| describe(&registry, path).map(|doc| doc.see_also);
    assert_eq!(others("redis"), Some(vec!["connection.redis".to_owned()]));
    assert_eq!(others("file"), Some(Vec::new()));
    assert_eq!(others("policy.lru"), Some(Vec::new()));
}

#[test]
fn origins_name_file_line_and_layer_and_hide_secrets() {
    let variables = [
        ("REDIS_MAIN_PASSWORD", "hunter2"),
        ("REDIS_EU_PASSWORD", "hunter2"),
        ("REDIS_US_PASSWORD", "hunter2"),
        ("ADMIN_TOKEN", "hunter2"),
        ("LARDER__CACHES__PRODUCTS__L1__TTL", "45s"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let text = TOML.replace("username        = \"shop\"", "username        = \"shop\" # literal");
    let resolved =
        Loader::new().text("caches.toml", Format::Toml, text).environment(variables).resolve();
    let registry = support::registry();
    let show = |path: &[&str]| -> String {
        let path: Vec<String> = path.iter().map(|part| (*part).to_owned()).collect();
        let rows = rows(&resolved, &registry, &path);
        let line = |row: larder_config::show::Row| {
            let columns = [row.path, row.value, row.origin, row.layer, row.note];
            columns.join(" | ").trim_end_matches([' ', '|']).to_owned()
        };
        rows.into_iter().map(line).collect::<Vec<_>>().join("\n") + "\n"
    };
    let text = show(&["caches", "products"]) + "\n" + &show(&["connections", "main"]);
    assert!(!text.contains("hunter2"), "{text}");
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/show.txt");
    snapbox::assert_data_eq!(text, snapbox::Data::read_from(path.as_ref(), None).raw());
    assert_eq!(show(&["caches", "nobody"]), "\n");
}
