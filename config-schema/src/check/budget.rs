//! Memory caches together must fit into the container.

use larder_core::{ByteSize, Capabilities};

use super::options::Checker;
use super::plugins::PluginUse;
use super::view::CacheView;
use crate::diagnostic::Diagnostic;
use crate::tree::Location;

impl<'a> Checker<'a> {
    /// Warns when the limits of all in-process backends add up to more than the container has.
    pub(super) fn budget(&mut self, views: &[CacheView<'a>]) {
        let Some(limit) = self.environment.container_limit else {
            return;
        };
        let mut total: u64 = 0;
        let mut counted: Vec<(Location, u64)> = Vec::new();
        let mut uncounted: Vec<Location> = Vec::new();
        for view in views {
            for tier in &view.tiers {
                let Some(backend) = tier.backend(&self.plugins) else {
                    continue;
                };
                if !is_in_process(backend) {
                    continue;
                }
                // A pattern is counted once: how many caches there will be nobody knows.
                match max_bytes(backend) {
                    Some(bytes) => {
                        total = total.saturating_add(bytes);
                        counted.push((backend.option_at("max_bytes").clone(), bytes));
                    }
                    None => uncounted.push(backend.option_at("capacity").clone()),
                }
            }
        }
        if total <= limit {
            return;
        }
        counted.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
        let Some(((at, bytes), rest)) = counted.split_first() else {
            return;
        };
        let message = format!(
            "memory caches may grow to {}, the container limit is {}",
            human(total),
            human(limit)
        );
        let mut diagnostic = Diagnostic::warning("W0402", message).at(at.clone(), human(*bytes));
        for (at, bytes) in rest {
            diagnostic = diagnostic.also(at.clone(), human(*bytes));
        }
        for at in uncounted {
            diagnostic = diagnostic.also(at, "counted in entries, so its bytes come on top");
        }
        if let Some(source) = &self.environment.container_limit_source {
            diagnostic = diagnostic.note(format!("limit read from {source}"));
        }
        self.diagnostics.push(diagnostic);
    }
}

/// Whether a backend keeps its entries in the memory of this process.
fn is_in_process(backend: &PluginUse<'_>) -> bool {
    let elsewhere = Capabilities::PERSIST | Capabilities::SHARED;
    !backend.descriptor.capabilities.intersects(elsewhere)
}

fn max_bytes(backend: &PluginUse<'_>) -> Option<u64> {
    let size: ByteSize = backend.option("max_bytes")?.as_str()?.parse().ok()?;
    Some(size.0)
}

/// A size for people: `3.1 GiB`.
fn human(bytes: u64) -> String {
    let units = [(1_u64 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    for (unit, name) in units {
        if bytes >= unit {
            let tenths = (u128::from(bytes) * 10 + u128::from(unit) / 2) / u128::from(unit);
            return match tenths % 10 {
                0 => format!("{} {name}", tenths / 10),
                digit => format!("{}.{digit} {name}", tenths / 10),
            };
        }
    }
    format!("{bytes} B")
}
