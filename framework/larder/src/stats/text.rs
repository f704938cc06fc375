//! How statistics read: one line for each kind of thing, and none for what did not happen.

use std::fmt;
use std::time::Duration;

use larder_core::HumanDuration;
use larder_store::Estimates;

use super::{ResilienceStats, StatsSnapshot, TierStats};

impl fmt::Display for StatsSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let span = seconds(self.span_seconds.floor());
        let percent = self.hit_rate * 100.0;
        writeln!(f, "{} (last {span})", self.name)?;
        writeln!(f, "  hits        {} of {} ({percent:.1}%)", self.hits, self.hits + self.misses)?;
        let causes = happened(&self.miss_causes);
        if !causes.is_empty() {
            writeln!(f, "  misses      {causes}")?;
        }
        write!(f, "  entries     {}", self.entries)?;
        if let Some(usage) = self.usage {
            write!(f, " ({:.1}% of the capacity)", usage * 100.0)?;
        }
        writeln!(f)?;
        writeln!(
            f,
            "  removed     {} evicted, {} expired, {} deleted",
            self.evictions, self.expirations, self.deletes
        )?;
        writeln!(
            f,
            "  loads       {} ({} failed, {} callers waited along)",
            self.loads, self.load_failures, self.coalesced
        )?;
        show_resilience(&self.resilience, f)?;
        self.tiers.iter().try_for_each(|tier| show_tier(tier, f))?;
        self.estimates.as_ref().map_or(Ok(()), |estimates| show_estimates(estimates, f))
    }
}

/// A span that is told to the second, or below one to the millisecond.
fn seconds(seconds: f64) -> HumanDuration {
    let step = if seconds < 1.0 { 1e3 } else { 1.0 };
    HumanDuration(Duration::from_secs_f64((seconds * step).round() / step))
}

/// What happened, with how often: `3 failed, 1 timeout`.
fn happened(counts: &[(String, u64)]) -> String {
    let counts = counts.iter().filter(|(_, count)| *count > 0);
    let counts: Vec<String> = counts.map(|(name, count)| format!("{count} {name}")).collect();
    counts.join(", ")
}

/// What was done about loads that failed or were slow, at most three lines.
fn show_resilience(stats: &ResilienceStats, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if stats.stale_served > 0 {
        let (reasons, late) = (happened(&stats.stale_reasons), seconds(stats.oldest_stale_seconds));
        let served = stats.stale_served;
        writeln!(f, "  stale       {served} served ({reasons}), up to {late} past their end")?;
    }
    if stats.refreshes > 0 {
        let failed = stats.refresh_failures;
        writeln!(f, "  refreshed   {} ahead ({failed} failed)", stats.refreshes)?;
    }
    if stats.late_loads + stats.defaults_served > 0 {
        let (late, failed) = (stats.late_loads, stats.late_failures);
        let defaults = stats.defaults_served;
        writeln!(f, "  too late    {late} loads ({failed} failed), {defaults} defaults served")?;
    }
    Ok(())
}

fn show_tier(tier: &TierStats, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let name = format!("{} {}", tier.tier, tier.backend);
    write!(f, "  {name:<11} {} hits, {} misses", tier.hits, tier.misses)?;
    if tier.failures + tier.undecodable > 0 {
        let (failures, late) = (tier.failures, tier.timeouts);
        write!(f, ", {failures} failures ({late} timed out), {} undecodable", tier.undecodable)?;
    }
    writeln!(f)?;
    let (breaker, opened) = (&tier.breaker, tier.breaker_opened);
    if tier.skipped > 0 || breaker == "open" {
        let skipped = tier.skipped;
        writeln!(
            f,
            "              breaker {breaker}: opened {opened} times, {skipped} calls skipped"
        )?;
    }
    if tier.pending + tier.recovered + tier.lost > 0 {
        let (waiting, since) = (tier.pending, seconds(tier.pending_seconds));
        let (recovered, lost) = (tier.recovered, tier.lost);
        write!(f, "              invalidations {waiting} pending (for {since})")?;
        writeln!(f, ", {recovered} delivered late, {lost} lost")?;
    }
    Ok(())
}

/// What other policies and capacities would answer, two lines.
fn show_estimates(estimates: &Estimates, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let policies = estimates.policies.iter().map(|one| {
        let mark = if one.policy == estimates.policy { " (in use)" } else { "" };
        format!("{} {:.1}%{mark}", one.policy, one.hit_ratio * 100.0)
    });
    let sizes = estimates.sizes.iter();
    let sizes = sizes.map(|one| format!("{}x {:.1}%", one.factor, one.hit_ratio * 100.0));
    writeln!(f, "  would hit   {}", policies.collect::<Vec<_>>().join(", "))?;
    writeln!(f, "  if it were  {}", sizes.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::MissCause;

    #[test]
    fn what_did_not_happen_is_not_mentioned() {
        let quiet = StatsSnapshot { name: "users".to_owned(), ..Default::default() };
        assert_eq!(
            quiet.to_string(),
            "users (last 0s)\n\
             \x20 hits        0 of 0 (0.0%)\n\
             \x20 entries     0\n\
             \x20 removed     0 evicted, 0 expired, 0 deleted\n\
             \x20 loads       0 (0 failed, 0 callers waited along)\n"
        );
    }

    #[test]
    fn every_kind_of_trouble_has_its_words() {
        let counted = |names: &[&str]| {
            names.iter().zip(1..).map(|(name, count)| ((*name).to_owned(), count)).collect()
        };
        let resilience = ResilienceStats {
            stale_served: 6,
            stale_reasons: counted(&["failed", "lease", "throttled"]),
            oldest_stale_seconds: 90.4,
            defaults_served: 2,
            refreshes: 5,
            refresh_failures: 1,
            late_loads: 3,
            late_failures: 1,
        };
        let l2 = TierStats {
            failures: 7,
            timeouts: 2,
            undecodable: 1,
            skipped: 9,
            breaker: "open".to_owned(),
            breaker_opened: 3,
            pending: 4,
            pending_seconds: 0.25,
            recovered: 5,
            ..tier("l2", "redis")
        };
        let troubled = StatsSnapshot {
            name: "users".to_owned(),
            hits: 3,
            misses: 1,
            hit_rate: 0.75,
            miss_causes: counted(&[MissCause::Cold.as_str(), MissCause::TierDown.as_str()]),
            loads: 4,
            resilience,
            span_seconds: 61.7,
            tiers: vec![tier("l1", "memory"), l2],
            ..Default::default()
        };
        assert_eq!(
            troubled.to_string(),
            "users (last 1m1s)\n\
             \x20 hits        3 of 4 (75.0%)\n\
             \x20 misses      1 cold, 2 tier_down\n\
             \x20 entries     0\n\
             \x20 removed     0 evicted, 0 expired, 0 deleted\n\
             \x20 loads       4 (0 failed, 0 callers waited along)\n\
             \x20 stale       6 served (1 failed, 2 lease, 3 throttled), up to 1m30s past their end\n\
             \x20 refreshed   5 ahead (1 failed)\n\
             \x20 too late    3 loads (1 failed), 2 defaults served\n\
             \x20 l1 memory   0 hits, 0 misses\n\
             \x20 l2 redis    0 hits, 0 misses, 7 failures (2 timed out), 1 undecodable\n\
             \x20             breaker open: opened 3 times, 9 calls skipped\n\
             \x20             invalidations 4 pending (for 250ms), 5 delivered late, 0 lost\n"
        );
    }

    fn tier(tier: &str, backend: &str) -> TierStats {
        TierStats { tier: tier.to_owned(), backend: backend.to_owned(), ..Default::default() }
    }
}
