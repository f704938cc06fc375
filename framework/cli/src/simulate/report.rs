//! What a simulation found, as a table for people and as JSON for programs.

use serde_json::{Value, json};

use super::capacity::Size;
use super::survey::Survey;

/// What came of one trace.
#[derive(Debug)]
pub(crate) struct Simulation {
    /// The file of the trace.
    pub(crate) trace: String,
    pub(crate) requests: u64,
    /// The number of distinct keys.
    pub(crate) keys: u64,
    pub(crate) sizes: Vec<Size>,
    /// Policy by policy, each in all sizes.
    pub(crate) outcomes: Vec<Outcome>,
}

/// What came of one policy in one size.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) policy: String,
    pub(crate) capacity: u64,
    pub(crate) hits: u64,
    pub(crate) requests: u64,
}

impl Outcome {
    /// The part of the requests that were hits, from 0 to 1.
    #[expect(clippy::cast_precision_loss, reason = "it is shown with four digits")]
    pub(crate) fn hit_ratio(&self) -> f64 {
        self.hits as f64 / self.requests as f64
    }
}

impl Simulation {
    /// The policies, each with what came of it in all sizes.
    pub(crate) fn policies(&self) -> impl Iterator<Item = (&str, &[Outcome])> {
        let by_policy = self.outcomes.chunks(self.sizes.len().max(1));
        by_policy.filter_map(|outcomes| Some((outcomes.first()?.policy.as_str(), outcomes)))
    }
}

/// `914,145 requests, 186,880 keys`.
pub(crate) fn headline(survey: &Survey) -> String {
    summary(survey.requests, survey.keys)
}

fn summary(requests: u64, keys: u64) -> String {
    let words = [(requests, "request"), (keys, "key")].map(|(count, word)| {
        let end = if count == 1 { "" } else { "s" };
        format!("{} {word}{end}", grouped(count))
    });
    words.join(", ")
}

/// A headline and a table: a row for each policy, a column for each size.
pub(crate) fn text(simulation: &Simulation) -> String {
    let head = simulation.sizes.iter().map(ToString::to_string);
    let mut rows = vec![std::iter::once(String::new()).chain(head).collect::<Vec<_>>()];
    for (policy, outcomes) in simulation.policies() {
        let ratios = outcomes.iter().map(|outcome| percent(outcome.hit_ratio()));
        rows.push(std::iter::once(policy.to_owned()).chain(ratios).collect());
    }
    let summary = summary(simulation.requests, simulation.keys);
    format!("{}: {summary}\n{}", simulation.trace, aligned(&rows))
}

/// The first column to the left, the numbers to the right.
fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = format!("{:width$}", row[0], width = widths[0]);
        for (cell, width) in row.iter().zip(&widths).skip(1) {
            line += &format!("  {cell:>width$}");
        }
        text += line.trim_end();
        text.push('\n');
    }
    text
}

/// One object for each trace, in it one for each policy and size.
pub(crate) fn json(simulations: &[Simulation]) -> Value {
    let outcome = |outcome: &Outcome| {
        json!({
            "policy": outcome.policy,
            "capacity": outcome.capacity,
            "hits": outcome.hits,
            "hit_ratio": outcome.hit_ratio(),
        })
    };
    let traces = simulations.iter().map(|simulation| {
        let results: Vec<Value> = simulation.outcomes.iter().map(outcome).collect();
        json!({
            "trace": simulation.trace,
            "requests": simulation.requests,
            "keys": simulation.keys,
            "results": results,
        })
    });
    json!({ "traces": traces.collect::<Vec<_>>() })
}

/// `53.61%`.
pub(crate) fn percent(ratio: f64) -> String {
    format!("{:.2}%", ratio * 100.0)
}

/// `412,907`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped_by_three() {
        let written = [0, 999, 1000, 412_907, 1_000_000].map(grouped);
        assert_eq!(written, ["0", "999", "1,000", "412,907", "1,000,000"]);
    }
}
