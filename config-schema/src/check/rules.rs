//! Rules by key: what they make of a cache, and those that never count.

use serde_json::{Map, Value as Json};

use super::options::Checker;
use super::view::CacheView;
use crate::cover::covers;
use crate::diagnostic::Diagnostic;
use crate::tree::{Node, Value};

/// The option of caches that holds the rules.
pub(crate) const RULES: &str = "rules";

/// The option of a rule that says which keys it is for.
pub(crate) const MATCH: &str = "match";

impl<'a> Checker<'a> {
    /// Warns of rules of which earlier ones match every key.
    pub(super) fn rules(&mut self, views: &[CacheView<'a>]) {
        for view in views {
            let rules = view.find(&[RULES]).map(rules_of).unwrap_or_default();
            for (index, rule) in rules.iter().enumerate() {
                if let Some(diagnostic) = shadowed(view, &rules[..index], rule) {
                    self.diagnostics.push(diagnostic);
                }
            }
        }
    }
}

/// The options of a cache as a rule has them, and the patterns of that rule.
pub(super) fn overlaid(cache: &Json, mut rule: Map<String, Json>) -> (Vec<String>, Json) {
    let patterns = match rule.remove(MATCH) {
        Some(Json::String(one)) => vec![one],
        Some(Json::Array(many)) => {
            many.iter().filter_map(Json::as_str).map(str::to_owned).collect()
        }
        _ => Vec::new(),
    };
    let mut options = cache.clone();
    if let Some(options) = options.as_object_mut() {
        options.remove(RULES);
        lay_over(options, rule);
    }
    (patterns, options)
}

fn lay_over(base: &mut Map<String, Json>, over: Map<String, Json>) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(Json::Object(old)), Json::Object(new)) => lay_over(old, new),
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

/// The rules in order, each with its patterns. A rule that has none has been reported.
pub(crate) fn rules_of(list: &Node) -> Vec<Vec<&Node>> {
    let Value::Array(rules) = &list.value else {
        return Vec::new();
    };
    rules.iter().map(patterns_of).collect()
}

/// The patterns of a rule.
fn patterns_of(rule: &Node) -> Vec<&Node> {
    let patterns = rule.as_table().and_then(|table| table.get(MATCH));
    match patterns.map(|item| (&item.node, &item.node.value)) {
        Some((_, Value::Array(many))) => many.iter().collect(),
        Some((one, _)) => vec![one],
        None => Vec::new(),
    }
}

fn shadowed(view: &CacheView<'_>, earlier: &[Vec<&Node>], rule: &[&Node]) -> Option<Diagnostic> {
    let number = earlier.len() + 1;
    let shadow = |pattern: &&Node| {
        let narrow = pattern.as_str()?;
        earlier.iter().enumerate().find_map(|(index, patterns)| {
            let covers = |wide: &&&Node| wide.as_str().is_some_and(|wide| covers(wide, narrow));
            patterns.iter().find(covers).map(|wide| (index + 1, *wide))
        })
    };
    let shadows: Option<Vec<(usize, &Node)>> = rule.iter().map(shadow).collect();
    let (first, wide) = *shadows?.first()?;
    let message = format!("rule {number} of {} never counts", view.label());
    let path = view.path.join(RULES).join(earlier.len().to_string()).join(MATCH);
    let at = rule.first()?.at.clone();
    Some(
        Diagnostic::warning("W0403", message)
            .at(at, "earlier rules match all of these keys")
            .also(wide.at.clone(), format!("rule {first} comes first"))
            .path(path)
            .help(format!("put it before rule {first}, or remove it")),
    )
}
