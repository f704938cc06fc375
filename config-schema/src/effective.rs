//! What holds for one key of a cache, and where each value comes from: `larder explain --key`.

use larder_core::KeyPath;
use larder_core::key::glob_matches;
use serde_json::Value as Json;

use crate::check::{MATCH, RULES, rules_of};
use crate::grammar;
use crate::loader::Resolved;
use crate::shape;
use crate::show::{layer, shown};
use crate::tree::{Layer, Node, Sources};

/// The options of a cache as they are for one key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyOptions {
    /// Where the cache stands: `caches.users`, or the pattern that it is made from.
    pub cache: String,
    /// The rule that counts, if one matches the key.
    pub rule: Option<AppliedRule>,
    /// Every option that a rule can set, by name.
    pub options: Vec<KeyOption>,
}

/// The rule that counts for a key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AppliedRule {
    /// Which, counted from 1.
    pub number: usize,
    /// Its first pattern that matches the key.
    pub pattern: String,
    /// Where that stands: `caches.toml:12:9`.
    pub at: String,
}

/// One option as it is for a key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyOption {
    /// Its name, such as `resilience.hard_timeout`.
    pub name: String,
    /// Its value; `None` when nothing sets it and there is no default.
    pub value: Option<String>,
    /// What set it: ``rule 1 `user:*` ``, `cache`, `template hot`, `defaults`, `variable`,
    /// `argument`, `built-in`.
    pub from: String,
    /// Where the value stands; `None` for what is built in.
    pub at: Option<String>,
}

/// What holds for a key of the cache at `path`, which is that of a cache or a pattern, or of a
/// cache that a pattern would make. `None` when there is no such cache.
#[must_use]
pub fn for_key(resolved: &Resolved, path: &[String], key: &str) -> Option<KeyOptions> {
    let path = cache_at(&resolved.root, path)?;
    let cache = resolved.root.find(&path)?;
    let sources = &resolved.sources;
    let rules = cache.find(&[RULES.to_owned()]);
    let patterns = rules.map(rules_of).unwrap_or_default();
    let applied = patterns.iter().enumerate().find_map(|(index, patterns)| {
        let matches = |node: &&&Node| node.as_str().is_some_and(|glob| glob_matches(glob, key));
        patterns.iter().find(matches).map(|pattern| (index, *pattern))
    });
    let rule = applied.map(|(index, pattern)| AppliedRule {
        number: index + 1,
        pattern: pattern.as_str().unwrap_or_default().to_owned(),
        at: sources.exact_place(&pattern.at),
    });
    let own = applied.and_then(|(index, _)| rules?.find(&[index.to_string()]));
    let mut lookup = Lookup { sources, cache, own, rule: rule.as_ref(), options: Vec::new() };
    lookup.section(&rule_schema()?, &mut Vec::new());
    let options = lookup.options;
    Some(KeyOptions { cache: KeyPath::from_segments(path).to_string(), rule, options })
}

/// Where the options of a cache stand: in its own section, or in the pattern that makes it.
fn cache_at(root: &Node, path: &[String]) -> Option<Vec<String>> {
    let [section, name] = path else {
        return None;
    };
    if ["caches", "patterns"].contains(&section.as_str()) && root.find(path).is_some() {
        return Some(path.to_vec());
    }
    let patterns = root.find(&["patterns".to_owned()]).filter(|_| section == "caches")?;
    let mut globs = patterns.as_table()?.iter().map(|item| &item.key);
    let glob = globs.find(|glob| glob_matches(glob, name))?;
    Some(vec!["patterns".to_owned(), glob.clone()])
}

/// What a rule can set.
fn rule_schema() -> Option<Json> {
    let path = ["caches", "NAME", RULES, "0"];
    path.iter().try_fold(grammar::schema(), |schema, key| shape::child(schema, key)).cloned()
}

/// What set a value that no rule sets.
fn set_by(by: &Layer) -> String {
    match by {
        Layer::Argument => "argument".to_owned(),
        Layer::Cache => "cache".to_owned(),
        Layer::Environment => "variable".to_owned(),
        other => layer(other),
    }
}

struct Lookup<'a> {
    sources: &'a Sources,
    cache: &'a Node,
    own: Option<&'a Node>,
    rule: Option<&'a AppliedRule>,
    options: Vec<KeyOption>,
}

impl Lookup<'_> {
    fn section(&mut self, schema: &Json, path: &mut Vec<String>) {
        for (name, option) in shape::properties(schema) {
            if [MATCH, "unset"].contains(&name) {
                continue;
            }
            path.push(name.to_owned());
            if option.get("properties").is_some() {
                self.section(option, path);
            } else {
                let option = self.option(option, path);
                self.options.push(option);
            }
            path.pop();
        }
    }

    fn option(&self, schema: &Json, path: &[String]) -> KeyOption {
        let by_rule = self.own.and_then(|own| own.find(path)).zip(self.rule);
        let by_cache = || self.cache.find(path);
        let (node, from) = match (by_rule, by_cache()) {
            (Some((node, rule)), _) => {
                let layer = layer(&node.layer);
                let comma = if layer.is_empty() { "" } else { ", " };
                (node, format!("rule {} `{}`{comma}{layer}", rule.number, rule.pattern))
            }
            (None, Some(node)) => (node, set_by(&node.layer)),
            (None, None) => return self.built_in(schema, path),
        };
        KeyOption {
            name: path.join("."),
            value: Some(shown(node, shape::is_marked(schema, "x-secret"))),
            from,
            at: Some(self.sources.exact_place(&node.at)),
        }
    }

    /// The default, which stands at the option of the cache.
    fn built_in(&self, schema: &Json, path: &[String]) -> KeyOption {
        let root = ["caches", "NAME"].into_iter().chain(path.iter().map(String::as_str));
        let of_cache =
            root.into_iter().try_fold(grammar::schema(), |schema, key| shape::child(schema, key));
        let default = of_cache.and_then(shape::default_text);
        KeyOption {
            name: path.join("."),
            value: default.or_else(|| shape::default_text(schema)),
            from: "built-in".to_owned(),
            at: None,
        }
    }
}
