//! What a plugin begins with. The templates are sources that work as they stand, under names of
//! their own that are replaced: those in Rust are built and tested in `tests/templates`.

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::path::Path;

use larder::libraries::{EASY_HEADER, HEADER};

use super::Name;
use crate::args::{Language, NewSlot};

/// Where a template is, which is in the folder of this crate.
macro_rules! template {
    ($path:expr) => {
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

/// The template of a slot, whose files have the same names for all.
macro_rules! rust {
    ($slot:literal, $name:literal, $module:literal, without $($without:literal),*) => {
        Rust {
            name: $name,
            module: $module,
            lib: template!(concat!("rust/", $slot, "/lib.rs")),
            plugin: template!(concat!("rust/", $slot, "/", $module, ".rs")),
            test: template!(concat!("rust/", $slot, "/library.rs")),
            config: template!(concat!("rust/", $slot, "/caches.toml")),
            without: &[$($without),*],
        }
    };
}

const fn rust(slot: NewSlot) -> Rust {
    match slot {
        NewSlot::Backend => rust!("backend", "acme-table", "table", without "rmp-serde", "tokio"),
        NewSlot::Invalidator => {
            rust!("invalidator", "acme-lines", "lines", without "rmp-serde", "tracing")
        }
        NewSlot::Policy => {
            rust!("policy", "acme-queue", "queue", without "rmp-serde", "tokio", "tracing")
        }
        NewSlot::Replicator => {
            rust!("replicator", "acme-journal", "journal", without "rmp-serde", "tokio", "tracing")
        }
        NewSlot::Serializer => {
            rust!("serializer", "acme-versioned", "versioned", without "tokio", "tracing")
        }
        NewSlot::Warmer => rust!("warmer", "acme-keys", "keys", without "rmp-serde", "tokio"),
        NewSlot::Wrapper => {
            rust!("wrapper", "acme-hex", "hex", without "rmp-serde", "tokio", "tracing")
        }
    }
}

macro_rules! c {
    ($slot:literal) => {
        C {
            plugin: template!(concat!("c/", $slot, ".c")),
            config: template!(concat!("c/", $slot, ".toml")),
        }
    };
}

const fn c(slot: NewSlot) -> C {
    match slot {
        NewSlot::Backend => c!("backend"),
        NewSlot::Invalidator => c!("invalidator"),
        NewSlot::Policy => c!("policy"),
        NewSlot::Replicator => c!("replicator"),
        NewSlot::Serializer => c!("serializer"),
        NewSlot::Warmer => c!("warmer"),
        NewSlot::Wrapper => c!("wrapper"),
    }
}

/// Whether a key of a cache can name it, in this release.
const fn is_named_by_caches(slot: NewSlot) -> bool {
    !matches!(slot, NewSlot::Invalidator | NewSlot::Replicator | NewSlot::Warmer)
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
                ("README.md".to_owned(), readme(template!("rust/README.md"), slot, parts.config)),
                (".gitignore".to_owned(), template!("rust/ignored").to_owned()),
            ]
        }
        Language::C => {
            let parts = c(slot);
            vec![
                (format!("{ident}.c"), parts.plugin.to_owned()),
                ("larder_plugin.h".to_owned(), HEADER.to_owned()),
                ("larder_plugin_easy.h".to_owned(), EASY_HEADER.to_owned()),
                ("test.c".to_owned(), template!("c/test.c").to_owned()),
                ("build.sh".to_owned(), template!("c/build.sh").to_owned()),
                ("caches.toml".to_owned(), parts.config.to_owned()),
                ("README.md".to_owned(), readme(template!("c/README.md"), slot, parts.config)),
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

/// With how it is used, and the config but for its first lines, which are about the file.
fn readme(text: &str, slot: NewSlot, config: &str) -> String {
    let sections = config.find("[plugins").and_then(|start| config.get(start..));
    let used = match is_named_by_caches(slot) {
        true => {
            "A config uses the plugin like those that come with Larder; `larder check` says what \
             is wrong with it:"
        }
        false => {
            "A config names the library, and `larder check` says what is wrong with it. No key \
             of a cache names a SLOT in this release; a program that does finds it in the registry:"
        }
    };
    text.replace("USED", used).replace("CONFIG", sections.unwrap_or(config).trim_end())
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
    let mut is_for_tests = false;
    for line in template!("rust/manifest.toml").lines() {
        let key = line.split(" = ").next().unwrap_or_default();
        is_for_tests |= key == "[dev-dependencies]";
        if !is_for_tests && without.contains(&key) {
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
