//! `larder plugins list`: what is linked into this command, and what libraries of a config bring.

use larder::config::known::{Unlinked, unlinked};
use larder::plugin::registry::Registered;
use serde_json::{Value, json};

use crate::args::{Answer, Format};
use crate::context::Context;
use crate::exit::{Exit, Failure};

pub(super) mod library;
pub(super) mod new;

pub(super) fn list(answer: Answer, context: &mut Context<'_>) -> Result<Exit, Failure> {
    let (registry, are_all_loaded) = context.plugins()?;
    let missing: Vec<Unlinked> = unlinked(&registry).collect();
    match answer.format {
        Format::Human => {
            let rows: Vec<_> = registry.iter().map(row).collect();
            context.output.table(["SLOT", "KIND", "FROM", "VERSION", "CAN"], rows)?;
            let groups = [("known but not linked", true), ("not in this release", false)];
            for (head, is_released) in groups {
                if let Some(names) = names(&missing, is_released) {
                    context.output.line(format_args!("{head}: {names}"))?;
                }
            }
        }
        Format::Json => {
            let plugins: Vec<Value> = registry.iter().map(object).collect();
            let unlinked = missing.iter().map(|missing| {
                json!({
                    "slot": missing.slot.as_str(),
                    "kind": missing.kind,
                    "crate": missing.crate_name,
                    "feature": missing.feature,
                    "released": missing.is_released,
                })
            });
            let unlinked: Vec<Value> = unlinked.collect();
            context.output.json(&json!({ "plugins": plugins, "not_linked": unlinked }))?;
        }
    }
    let conflicts = context.registry.conflicts().to_vec();
    for conflict in &conflicts {
        context.output.error(conflict);
    }
    Ok(Exit::answer(conflicts.is_empty() && are_all_loaded))
}

fn row(registered: &Registered) -> [String; 5] {
    let plugin = &registered.descriptor;
    [
        plugin.slot.to_string(),
        plugin.kind.to_owned(),
        format!("{} ({})", plugin.origin, registered.source),
        plugin.version.to_owned(),
        plugin.capabilities.to_string(),
    ]
}

fn object(registered: &Registered) -> Value {
    let plugin = &registered.descriptor;
    let can = plugin.capabilities.iter_names();
    let can: Vec<String> = can.map(|(name, _)| name.to_ascii_lowercase()).collect();
    json!({
        "slot": plugin.slot.as_str(),
        "kind": plugin.kind,
        "summary": plugin.summary,
        "crate": plugin.origin,
        "version": plugin.version,
        "source": registered.source.to_string(),
        "can": can,
    })
}

/// `backend foyer, memcached; policy arc`, those of this release with the feature or crate that has
/// them. `None` when there are none.
fn names(missing: &[Unlinked], is_released: bool) -> Option<String> {
    let mut names = String::new();
    let mut slot = None;
    for one in missing.iter().filter(|one| one.is_released == is_released) {
        let lead = match (slot == Some(one.slot), names.is_empty()) {
            (true, _) => ", ".to_owned(),
            (false, true) => format!("{} ", one.slot),
            (false, false) => format!("; {} ", one.slot),
        };
        slot = Some(one.slot);
        names += &lead;
        names += one.kind;
        names += &match one.feature {
            _ if !is_released => String::new(),
            Some(feature) => format!(" (feature `{feature}`)"),
            None => format!(" ({})", one.crate_name),
        };
    }
    (!names.is_empty()).then_some(names)
}
