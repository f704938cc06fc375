//! Nonsense in, diagnostics out: nothing that can be typed makes the front end panic.

use larder_core::Registry;

use super::*;
use crate::check::{CheckEnvironment, check};
use crate::render::RenderOptions;

const TOML: &str = include_str!("../../../tests/fixtures/shop.toml");
const YAML: &str = include_str!("../../../tests/fixtures/shop.yaml");

fn survives(format: Format, text: String, random: &mut fastrand::Rng) {
    let names = ["LARDER__CACHES__PRODUCTS__TTL", "LARDER__A__B", "LARDER__CACHES__GEO__L1"];
    let name = names[random.usize(..names.len())];
    let resolved = Loader::new()
        .text("caches", format, text)
        .profile(random.bool().then(|| "dev".to_owned()))
        .environment(variables(&[(name, "1")]))
        .set("caches.geo.l1.backend.kind=memory")
        .resolve();
    // Later stages must survive what earlier ones let through.
    let report = check(&resolved, &Registry::empty(), &CheckEnvironment::isolated()).report;
    let shown = report.render(RenderOptions::default()) + &report.json_lines();
    assert_eq!(shown.is_empty(), report.diagnostics().is_empty());
    for one in &resolved.diagnostics {
        let labels = one.primary.iter().chain(&one.secondary).map(|label| &label.at);
        let edits = one.fix.iter().flat_map(|fix| &fix.edits).map(|edit| &edit.at);
        for at in labels.chain(edits) {
            let text = &resolved.sources.get(at.source).text;
            assert!(text.get(at.span.clone()).is_some(), "{one:?} points beside the text");
        }
    }
}

#[test]
fn mutated_examples_never_panic() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let tokens = [
        "\"", "'", "[", "]", "{", "}", "\n", "\t", "${", "=", ":", ".", "-", "&a ", "*a", "\u{e9}",
        "9", "null", "unset", "extends", "#",
    ];
    for round in 0..150 {
        let (format, text) =
            if round % 2 == 0 { (Format::Toml, TOML) } else { (Format::Yaml, YAML) };
        let mut bytes = text.as_bytes().to_vec();
        for _ in 0..random.usize(1..6) {
            let index = random.usize(..bytes.len());
            match random.u8(..4) {
                0 => bytes[index] = random.u8(..),
                1 => drop(bytes.remove(index)),
                2 => {
                    let end = (index + random.usize(1..40)).min(bytes.len());
                    drop(bytes.drain(index..end));
                }
                _ => {
                    let token = tokens[random.usize(..tokens.len())];
                    drop(bytes.splice(index..index, token.bytes()));
                }
            }
        }
        survives(format, String::from_utf8_lossy(&bytes).into_owned(), &mut random);
    }
}

#[test]
fn deep_and_large_nonsense_is_refused() {
    let mut random = fastrand::Rng::with_seed(1);
    for unit in ["[", "{", "a: [", "- ", "a.", "a={", "\"", "&a [*a, "] {
        for format in [Format::Toml, Format::Yaml, Format::Json] {
            survives(format, unit.repeat(4_000), &mut random);
            survives(format, format!("a = {}", unit.repeat(4_000)), &mut random);
        }
    }
    let nested = (0..1_000).map(|depth| format!("{}a:\n", " ".repeat(depth)));
    survives(Format::Yaml, nested.collect(), &mut random);
    survives(Format::Toml, "a = 1\n".repeat(1_000_000), &mut random);
}

#[test]
fn aliases_that_nest_are_refused() {
    let mut chain = "a0: &a0 [x]\n".to_owned();
    for level in 1..500 {
        chain.push_str(&format!("a{level}: &a{level} [*a{}]\n", level - 1));
    }
    let resolved = Loader::new().text("caches.yaml", Format::Yaml, chain).resolve();
    assert_eq!(resolved.diagnostics.len(), 1);
    assert!(resolved.diagnostics[0].message.contains("too deeply"), "{:?}", report(&resolved));
}

#[test]
fn aliases_that_multiply_are_refused_quickly() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let inner = vec![format!("*a{}", level - 1); 9].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{inner}]\n"));
    }
    let resolved = Loader::new().text("caches.yaml", Format::Yaml, bomb).resolve();
    assert_eq!(resolved.diagnostics[0].message, "the config is nested too deeply or too large");
}

#[test]
fn the_deepest_value_that_parses_passes_all_stages() {
    let depth = 70;
    let value = format!("{}'${{env:X:-x}}'{}", "{ a = ".repeat(depth), " }".repeat(depth));
    let text = format!("[defaults]\nl1.backend = {value}\n[caches.x]\nl1.backend = {value}\n");
    let resolved = toml(&text).resolve();
    assert!(resolved.diagnostics.is_empty(), "{:?}", report(&resolved));
    let mut path = vec!["caches".to_owned(), "x".to_owned(), "l1".to_owned(), "backend".to_owned()];
    path.extend(std::iter::repeat_n("a".to_owned(), depth));
    assert_eq!(resolved.root.find(&path).and_then(Node::as_str), Some("x"));
}
