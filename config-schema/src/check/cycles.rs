//! Caches that use each other as tiers must not do so in a circle.

use std::collections::BTreeSet;

use larder_core::Tier;

use super::options::Checker;
use super::view::CacheView;
use crate::diagnostic::Diagnostic;
use crate::tree::Location;

/// "`from` uses `to` as its tier".
#[derive(Clone, Copy)]
struct Edge<'a> {
    from: &'a str,
    to: &'a str,
    tier: Tier,
    at: &'a Location,
}

impl Edge<'_> {
    fn label(&self) -> String {
        let ordinal = match self.tier {
            Tier::L1 => "first",
            Tier::L2 => "second",
            Tier::L3 => "third",
        };
        format!("`{}` uses `{}` as its {ordinal} tier", self.from, self.to)
    }
}

impl<'a> Checker<'a> {
    /// Reports every cycle once, from the cache that stands first in the file.
    pub(super) fn cycles(&mut self, views: &[CacheView<'a>]) {
        let mut edges: Vec<Edge<'a>> = Vec::new();
        for view in views.iter().filter(|view| !view.is_pattern) {
            for tier in &view.tiers {
                if let Some((to, at)) = tier.cache() {
                    edges.push(Edge { from: view.name, to, tier: tier.tier, at });
                }
            }
        }
        let mut reported: BTreeSet<&str> = BTreeSet::new();
        for view in views {
            if reported.contains(view.name) {
                continue;
            }
            if let Some(cycle) = cycle_from(view.name, &edges) {
                reported.extend(cycle.iter().map(|edge| edge.from));
                self.report_cycle(&cycle);
            }
        }
    }

    fn report_cycle(&mut self, cycle: &[Edge<'a>]) {
        let Some((first, rest)) = cycle.split_first() else {
            return;
        };
        let names: Vec<&str> = cycle.iter().map(|edge| edge.from).collect();
        let message = format!(
            "caches refer to each other in a cycle: {} → {}",
            names.join(" → "),
            first.from
        );
        let mut diagnostic =
            Diagnostic::error("C0401", message).at(first.at.clone(), first.label());
        for edge in rest {
            diagnostic = diagnostic.also(edge.at.clone(), edge.label());
        }
        let help = match cycle.len() {
            1 => "give the tier a `backend`, or name another cache",
            _ => "let both use a third cache that has no `cache =` tier of its own",
        };
        self.diagnostics.push(diagnostic.help(help));
    }
}

/// A shortest way from a cache back to itself: breadth first, so it ends on any graph.
fn cycle_from<'a>(start: &str, edges: &[Edge<'a>]) -> Option<Vec<Edge<'a>>> {
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    let mut ways: Vec<Vec<Edge<'a>>> = vec![Vec::new()];
    while !ways.is_empty() {
        let mut longer = Vec::new();
        for way in ways {
            let end = way.last().map_or(start, |edge| edge.to);
            for edge in edges.iter().filter(|edge| edge.from == end) {
                let mut way = way.clone();
                way.push(*edge);
                if edge.to == start {
                    return Some(way);
                }
                if seen.insert(edge.to) {
                    longer.push(way);
                }
            }
        }
        ways = longer;
    }
    None
}
