//! The stages together: what a config resolves to, and what is said when it does not.

use super::*;

mod files;
mod fuzz;
mod layers;
mod overrides;
mod references;
mod shop;

/// A loader of one TOML text.
fn toml(text: &str) -> Loader {
    Loader::new().text("caches.toml", Format::Toml, text)
}

fn variables(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    pairs.iter().map(owned).collect()
}

/// The node at a path without dots in its names.
fn at<'a>(resolved: &'a Resolved, path: &str) -> Option<&'a Node> {
    let path: Vec<String> = path.split('.').map(str::to_owned).collect();
    resolved.root.find(&path)
}

fn text<'a>(resolved: &'a Resolved, path: &str) -> Option<&'a str> {
    at(resolved, path)?.as_str()
}

/// All that was reported, one line each with the label of the primary place.
fn report(resolved: &Resolved) -> Vec<String> {
    let line = |one: &Diagnostic| {
        let mut line = format!("{}: {}", one.code, one.message);
        if let Some(label) = &one.primary {
            let place = resolved.sources.place(&label.at);
            let written = resolved.sources.text(&label.at);
            line.push_str(&format!(" @ {place} `{written}` {}", label.text));
        }
        line.trim_end().to_owned()
    };
    resolved.diagnostics.iter().map(line).collect()
}

/// The keys of the table at a path.
fn keys(resolved: &Resolved, path: &str) -> Vec<String> {
    let table = at(resolved, path).and_then(Node::as_table);
    let items = table.into_iter().flatten();
    items.map(|item| item.key.clone()).collect()
}
