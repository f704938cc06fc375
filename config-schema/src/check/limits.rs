//! A soft limit is one that comes before the hard one.

use std::time::Duration;

use larder_core::{KeyPath, Life};

use super::options::Checker;
use super::rules;
use super::view::CacheView;
use crate::diagnostic::Diagnostic;
use crate::tree::{Node, Value};

/// Where a cache or a rule says how long its loads are waited for.
const OF_LOADS: [[&str; 2]; 2] = [["resilience", "soft_timeout"], ["resilience", "hard_timeout"]];

impl<'a> Checker<'a> {
    /// Warns of soft limits that never count, as the hard ones are shorter.
    pub(super) fn limits(&mut self, views: &[CacheView<'a>]) {
        for view in views {
            let cache = Wanted::of(&view.item.node, OF_LOADS);
            self.diagnostics.extend(cache.check(&view.path, OF_LOADS, &view.label()));
            let rules = view.find(&[rules::RULES]).map(|list| &list.value);
            let Some(Value::Array(rules)) = rules else { continue };
            for (index, rule) in rules.iter().enumerate() {
                let own = Wanted::of(rule, OF_LOADS);
                let path = view.path.join(rules::RULES).join(index.to_string());
                let label = format!("rule {} of {}", index + 1, view.label());
                if !own.is_empty() {
                    self.diagnostics.extend(own.over(&cache).check(&path, OF_LOADS, &label));
                }
            }
        }
        self.limits_of_tiers(views);
    }

    fn limits_of_tiers(&mut self, views: &[CacheView<'a>]) {
        let keys = [["soft_timeout"], ["timeout"]];
        for view in views {
            let tiers = view.tiers.iter().filter_map(|tier| {
                let node = view.find(&[tier.tier.as_str()])?;
                let label = format!("tier `{}` of {}", tier.tier, view.label());
                Wanted::of(node, keys).check(&tier.path, keys, &label)
            });
            let tiers: Vec<_> = tiers.collect();
            self.diagnostics.extend(tiers);
        }
    }
}

/// A soft limit and a hard one, as far as they are said.
struct Wanted<'a> {
    soft: Option<&'a Node>,
    hard: Option<&'a Node>,
}

impl<'a> Wanted<'a> {
    fn of<const N: usize>(node: &'a Node, [soft, hard]: [[&str; N]; 2]) -> Self {
        let find = |path: [&str; N]| node.find(&path.map(str::to_owned));
        Self { soft: find(soft), hard: find(hard) }
    }

    const fn is_empty(&self) -> bool {
        self.soft.is_none() && self.hard.is_none()
    }

    /// These, and what they leave open as others say.
    fn over(&self, others: &Self) -> Self {
        Self { soft: self.soft.or(others.soft), hard: self.hard.or(others.hard) }
    }

    fn check<const N: usize>(
        &self,
        path: &KeyPath,
        [soft_key, hard_key]: [[&str; N]; 2],
        label: &str,
    ) -> Option<Diagnostic> {
        let (soft, hard) = (self.soft?, self.hard?);
        if duration(soft)? <= duration(hard)? {
            return None;
        }
        let (soft_key, hard_key) = (soft_key.join("."), hard_key.join("."));
        let message = format!("`{soft_key}` of {label} never counts");
        let path = soft_key.split('.').fold(path.clone(), |path, key| path.join(key));
        let diagnostic = Diagnostic::warning("W0404", message)
            .at(soft.at.clone(), format!("longer than `{hard_key}`"))
            .also(hard.at.clone(), "nobody waits longer than this")
            .path(path);
        let help = format!("make it shorter than `{hard_key}`, or remove it");
        Some(diagnostic.help(help))
    }
}

fn duration(node: &Node) -> Option<Duration> {
    node.as_str()?.parse::<Life>().ok()?.duration()
}
