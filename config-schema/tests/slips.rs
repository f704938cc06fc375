//! Slips as people make them: every config of `tests/slips` against the report beside it.
//!
//! A new one is a new file; `SNAPSHOTS=overwrite cargo test` writes its report. Read it as somebody
//! who was woken up by it: one message for each mistake, at the right place, with what to do.

mod support;

use std::path::{Path, PathBuf};

use larder_config::check::{CheckEnvironment, Checked, check};
use larder_config::loader::Loader;
use larder_config::parse::Format;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/slips")
}

fn checked(loader: Loader) -> Checked {
    check(&loader.resolve(), &support::registry(), &CheckEnvironment::isolated())
}

fn golden(name: &str, text: String) {
    let path = folder().join(format!("{name}.txt"));
    snapbox::assert_data_eq!(text, snapbox::Data::read_from(&path, None).raw());
}

#[test]
fn every_slip_is_reported_as_the_file_beside_it_says() {
    let mut slips = Vec::new();
    for entry in std::fs::read_dir(folder()).expect("a folder") {
        let path = entry.expect("an entry").path();
        slips.extend(Format::of_path(&path).map(|format| (path, format)));
    }
    assert!(slips.len() > 25, "the slips are there");
    for (path, format) in slips {
        let name = path.file_name().expect("a name").to_str().expect("a plain name");
        let text = std::fs::read_to_string(&path).expect("a file");
        let report = checked(Loader::new().text(name, format, text)).report;
        let shown = [report.to_string(), report.json_lines(), report.github()];
        assert!(!shown.iter().any(|text| text.contains("hunter2")), "a secret of {name} is shown");
        golden(name, shown[0].clone() + "\n");
    }
}

#[test]
fn overrides_that_hit_nothing_say_what_was_meant() {
    let text = "[caches.a]\nbackend = { kind = 'memory', capacity = 10 }\n";
    let variables = [
        ("LARDER__", "1"),
        ("LARDER__CACHE__A__TTL", "5m"),
        ("LARDER__CACHES__A__BACKEND__CAPACITY", "ten"),
        ("LARDER__CACHES__A__POLICY", "lrru"),
        ("LARDER__CACHES__A__TLL", "5m"),
        ("LARDER__CACHES__B__TTL", "5m"),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let loader = Loader::new().text("caches.toml", Format::Toml, text).environment(variables);
    golden("variables", checked(loader).report.to_string() + "\n");
}

#[test]
fn arguments_that_hit_nothing_say_what_was_meant() {
    let text = "[caches.a]\nbackend = { kind = 'memory', capacity = 10 }\n";
    let mut loader = Loader::new().text("caches.toml", Format::Toml, text);
    for argument in ["nonsense", "=5", "caches..ttl=5", "caches.a.tll=5m", "caches.b=5", "cache=5"]
    {
        loader = loader.set(argument);
    }
    golden("arguments", checked(loader).report.to_string() + "\n");
    let loader = Loader::new().text("caches.toml", Format::Toml, text);
    let loader = loader.set("caches.a=7").set("caches.a.ttl=5m").set("caches.a.l1.ttl=5m");
    golden("arguments-of-nothing", checked(loader).report.to_string() + "\n");
}
