//! What a plugin begins with. The templates are sources that work as they stand, under names of
//! their own that are replaced: those in Rust are built and tested in `tests/templates`.

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::path::Path;

use larder::libraries::HEADER;

use super::Name;
use crate::args::{Language, NewSlot};

/// Where a template is, which is in the folder of this crate.
macro_rules! template {
    ($path:literal) => {
        include_str!(concat!("../../../../templates/", $path))
    };
}

/// A plugin in Rust.
struct Rust {
    /// The name that it has in its sources.
    name: &'static str,
    /// The module with the plugin.
    module: &'static str,
    lib: &'static str,
    plugin: &'static str,
    test: &'static str,
    config: &'static str,
    /// Crates of the manifest that it does not need.
    without: &'static [&'static str],
}

/// A plugin in C.
struct C {
    plugin: &'static str,
    config: &'static str,
}

/// The name that is replaced in what several slots have in common, and in C.
const DEMO: &str = "acme-demo";

const fn rust(slot: NewSlot) -> Rust {
    match slot {
        NewSlot::Backend => Rust {
            name: "acme-table",
            module: "table",
            lib: template!("rust/backend/lib.rs"),
            plugin: template!("rust/backend/table.rs"),
            test: template!("rust/backend/library.rs"),
            config: template!("rust/backend/caches.toml"),
            without: &["rmp-serde"],
        },
        NewSlot::Policy => Rust {
            name: "acme-queue",
            module: "queue",
            lib: template!("rust/policy/lib.rs"),
            plugin: template!("rust/policy/queue.rs"),
            test: template!("rust/policy/library.rs"),
            config: template!("rust/policy/caches.toml"),
            without: &["rmp-serde", "tracing"],
        },
        NewSlot::Serializer => Rust {
            name: "acme-versioned",
            module: "versioned",
            lib: template!("rust/serializer/lib.rs"),
            plugin: template!("rust/serializer/versioned.rs"),
            test: template!("rust/serializer/library.rs"),
            config: template!("rust/serializer/caches.toml"),
            without: &["tracing"],
        },
    }
}

const fn c(slot: NewSlot) -> C {
    match slot {
        NewSlot::Backend => {
            C { plugin: template!("c/backend.c"), config: template!("c/backend.toml") }
        }
        NewSlot::Policy => {
            C { plugin: template!("c/policy.c"), config: template!("c/policy.toml") }
        }
        NewSlot::Serializer => {
            C { plugin: template!("c/serializer.c"), config: template!("c/serializer.toml") }
        }
    }
}

/// The files of a plugin, with their paths in its folder.
pub(super) fn files(
    language: Language,
    slot: NewSlot,
    name: &Name,
    checkout: Option<&Path>,
) -> Vec<(String, String)> {
    let ident = name.ident();
    let files: Vec<(String, String)> = match language {
        Language::Rust => {
            let parts = rust(slot);
            let manifest = manifest(parts.without, checkout);
            vec![
                ("Cargo.toml".to_owned(), manifest),
                ("src/lib.rs".to_owned(), parts.lib.to_owned()),
                (format!("src/{}.rs", parts.module), parts.plugin.to_owned()),
                ("tests/library.rs".to_owned(), parts.test.to_owned()),
                ("caches.toml".to_owned(), parts.config.to_owned()),
                ("README.md".to_owned(), readme(template!("rust/README.md"), parts.config)),
                (".gitignore".to_owned(), template!("rust/ignored").to_owned()),
            ]
        }
        Language::C => {
            let parts = c(slot);
            vec![
                (format!("{ident}.c"), parts.plugin.to_owned()),
                ("larder_plugin.h".to_owned(), HEADER.to_owned()),
                ("test.c".to_owned(), template!("c/test.c").to_owned()),
                ("build.sh".to_owned(), template!("c/build.sh").to_owned()),
                ("caches.toml".to_owned(), parts.config.to_owned()),
                ("README.md".to_owned(), readme(template!("c/README.md"), parts.config)),
                (".gitignore".to_owned(), template!("c/ignored").to_owned()),
            ]
        }
    };
    let fill = |text: String| filled(&text, slot, name);
    files.into_iter().map(|(path, text)| (path, fill(text))).collect()
}

/// A text under the name of the plugin.
fn filled(text: &str, slot: NewSlot, name: &Name) -> String {
    let mut text = text
        .replace("LIBRARY", &format!("{DLL_PREFIX}{}{DLL_SUFFIX}", name.ident()))
        .replace("SLOT", slot.as_str());
    let demo = Name(DEMO.to_owned());
    // One after the other: the name of the plugin may have that of a template in it.
    for (from, to) in [(&Name(rust(slot).name.to_owned()), &demo), (&demo, name)] {
        text = text
            .replace(from.as_str(), to.as_str())
            .replace(&from.ident(), &to.ident())
            .replace(&from.kind(), &to.kind());
    }
    text
}

/// With the config, but for its first lines, which are about the file.
fn readme(text: &str, config: &str) -> String {
    let sections = config.find("[plugins").and_then(|start| config.get(start..));
    text.replace("CONFIG", sections.unwrap_or(config).trim_end())
}

/// Our crates, and where they are in a checkout.
const OURS: [(&str, &str); 4] = [
    ("larder", "framework/larder"),
    ("larder-conformance", "tests/conformance"),
    ("larder-core", "framework/core"),
    ("larder-dynamic", "framework/dynamic"),
];

fn manifest(without: &[&str], checkout: Option<&Path>) -> String {
    let mut manifest = String::new();
    for line in template!("rust/manifest.toml").lines() {
        let key = line.split(" = ").next().unwrap_or_default();
        if without.contains(&key) {
            continue;
        }
        let ours = OURS.iter().find(|(crate_name, _)| *crate_name == key);
        let line = match (ours, checkout) {
            (Some((_, folder)), Some(checkout)) => {
                let path = format!("path = {:?}", checkout.join(folder));
                line.replace("version = \"LARDER\"", &path)
            }
            _ => line.replace("LARDER", env!("CARGO_PKG_VERSION")),
        };
        manifest += &line;
        manifest.push('\n');
    }
    manifest
}
