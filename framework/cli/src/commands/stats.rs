//! `larder stats`: how much is in the caches that outlive a process.
//!
//! Hits and misses are counted in each process, and this one has just begun, so there are none
//! here: what is told is what the backends know.

use larder::{CacheManager, TierHealth};
use serde_json::{Value, json};

use super::{cache, outliving};
use crate::args::{Format, Stats};
use crate::context::Context;
use crate::exit::{Exit, Failure};

pub(super) fn run(arguments: &Stats, context: &mut Context<'_>) -> Result<Exit, Failure> {
    let (file, config, registry) = context.config()?;
    let names = outliving::chosen(&config, arguments.cache.as_deref(), &registry)?;
    if names.is_empty() {
        context.output.done("no cache of this config outlives the process that uses it");
    }
    cache::with_caches(&file, &names, context, async |caches, context| {
        let found = ask(caches, &names).await?;
        match arguments.answer.format {
            Format::Human => human(&found, context)?,
            Format::Json => context.output.json(&found.iter().map(object).collect())?,
        }
        Ok(Exit::Success)
    })
}

type Found = (String, Vec<TierHealth>);

async fn ask(caches: &CacheManager, names: &[String]) -> Result<Vec<Found>, Failure> {
    let mut found = Vec::new();
    for name in names {
        found.push((name.clone(), caches.health(name).await?));
    }
    Ok(found)
}

fn human(found: &[Found], context: &mut Context<'_>) -> Result<(), Failure> {
    let known = |number: Option<u64>| number.map_or("-".to_owned(), |number| number.to_string());
    let rows = found.iter().flat_map(|(name, tiers)| {
        tiers.iter().map(move |tier| {
            [
                name.clone(),
                tier.tier.clone(),
                tier.backend.clone(),
                known(tier.entries),
                known(tier.bytes),
                tier.degraded.clone().unwrap_or_else(|| "ok".to_owned()),
            ]
        })
    });
    context.output.table(["CACHE", "TIER", "BACKEND", "ENTRIES", "BYTES", "STATE"], rows)?;
    for (name, tiers) in found {
        for tier in tiers.iter().filter(|tier| !tier.counts.is_empty()) {
            let counts = tier.counts.iter().map(|(what, count)| format!("{count} {what}"));
            let counts = counts.collect::<Vec<_>>().join(", ");
            context.output.line(format_args!("{name} {}: {counts}", tier.tier))?;
        }
    }
    Ok(())
}

fn object((name, tiers): &Found) -> Value {
    json!({ "cache": name, "tiers": tiers })
}
