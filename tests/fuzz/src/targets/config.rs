//! Config files: any text is a config, or makes messages that can be shown.

use std::sync::LazyLock;

use larder_config::check::{CheckEnvironment, check};
use larder_config::loader::Loader;
use larder_config::parse::Format;
use larder_config::render::RenderOptions;
use larder_core::Registry;
// Their plugins are what a config names.
use {larder_file as _, larder_memory as _, larder_policies as _, larder_serializers as _};

const TOML: &str = r#"
[defaults]
ttl = "1h"

[templates.small]
backend = { kind = "memory", capacity = 1_000 }

[caches.users]
use = "small"
tags = ["a"]
l1 = { backend = "memory", ttl = "1m", policy = { kind = "lru" } }
l2.backend = { kind = "file", dir = "${env:DIR:-cache}", max_bytes = "1GiB" }
serializer = { kind = "json", pretty = true }
"#;

const YAML: &str = "caches:\n  users: &users\n    backend: { kind: memory, capacity: 1_000 }\n  \
    others:\n    <<: *users\n    ttl: ~\n";

static REGISTRY: LazyLock<Registry> = LazyLock::new(Registry::linked);

/// Configs of the language.
fn seeds(text: &str) -> Vec<Vec<u8>> {
    vec![text.into(), b"".to_vec(), text.replace("users", "\u{1f980}").into()]
}

/// Configs in TOML.
#[must_use]
pub fn toml_seeds() -> Vec<Vec<u8>> {
    seeds(TOML)
}

/// Configs in YAML.
#[must_use]
pub fn yaml_seeds() -> Vec<Vec<u8>> {
    seeds(YAML)
}

/// Reads TOML.
pub fn toml(bytes: &[u8]) {
    run(Format::Toml, bytes);
}

/// Reads YAML.
pub fn yaml(bytes: &[u8]) {
    run(Format::Yaml, bytes);
}

/// Checks a config and shows what is wrong in every form.
fn run(format: Format, bytes: &[u8]) {
    // Longer ones take longer and find nothing else.
    let Ok(text) = std::str::from_utf8(bytes.get(..4096).unwrap_or(bytes)) else { return };
    let resolved = Loader::new().text("caches", format, text).resolve();
    let checked = check(&resolved, &REGISTRY, &CheckEnvironment::isolated());
    let report = &checked.report;
    assert_eq!(checked.config.is_none(), report.has_errors(), "an error that is not reported");
    let shown = report.render(RenderOptions::default());
    assert_eq!(shown.is_empty(), report.diagnostics().is_empty());
    std::hint::black_box((report.json_lines(), report.github()));
}
