//! [`Report`]: the rows of a run, as a table for people or as JSON lines for programs.

use std::io;
use std::time::Duration;

use crate::harness::{Comparison, Rounds};

/// How rows are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// One JSON object a line.
    JsonLines,
    /// Columns under a headline.
    Table,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Bytes of memory.
    Bytes,
    /// How many there are.
    Count,
    /// Milliseconds.
    Millis,
    /// Nanoseconds of one operation.
    Nanos,
    /// How many in a second; more is better.
    PerSecond,
    /// Per cent; more is better.
    Percent,
}

impl Unit {
    fn name(self) -> &'static str {
        match self {
            Self::Bytes => "B",
            Self::Count => "",
            Self::Millis => "ms",
            Self::Nanos => "ns",
            Self::PerSecond => "/s",
            Self::Percent => "%",
        }
    }
}

/// One measured case.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) case: String,
    pub(crate) unit: Unit,
    pub(crate) ours: f64,
    pub(crate) peer: f64,
    /// Who the peer is: another cache, or the `budget` we set ourselves.
    pub(crate) best_peer: &'static str,
    /// Below one we are better, whatever the unit.
    pub(crate) ratio: f64,
}

impl Row {
    /// A case that several sides took part in; ours next to the best of the others.
    pub(crate) fn of_rounds(case: String, unit: Unit, rounds: &Rounds) -> Self {
        let more_is_better = unit == Unit::Percent;
        let none = Comparison { peer: "none", figure: f64::NAN, ratio: f64::NAN };
        let best = rounds.best_peer(more_is_better).unwrap_or(none);
        let ratio = if more_is_better { best.ratio.recip() } else { best.ratio };
        Self { case, unit, ours: rounds.ours(), peer: best.figure, best_peer: best.peer, ratio }
    }

    /// Ours next to one of the others.
    pub(crate) fn of_comparison(
        case: String,
        unit: Unit,
        ours: f64,
        Comparison { peer, figure, ratio }: Comparison,
    ) -> Self {
        Self { case, unit, ours, peer: figure, best_peer: peer, ratio }
    }

    /// A case that is compared with another one of ours.
    pub(crate) fn next_to(
        case: String,
        unit: Unit,
        ours: f64,
        other: f64,
        name: &'static str,
    ) -> Self {
        Self { case, unit, ours, peer: other, best_peer: name, ratio: ours / other }
    }

    /// A case that has no peer but a figure it must reach.
    pub(crate) fn at_least(case: String, unit: Unit, ours: f64, budget: f64) -> Self {
        Self { case, unit, ours, peer: budget, best_peer: "budget", ratio: budget / ours }
    }

    /// A case of which there must be none.
    pub(crate) fn none_of(case: String, count: u32) -> Self {
        let ours = f64::from(count);
        Self { case, unit: Unit::Count, ours, peer: 0.0, best_peer: "budget", ratio: ours }
    }

    /// A case that has no peer but a longest time it may take.
    pub(crate) fn within_budget(case: String, ours: Duration, budget: Duration) -> Self {
        let millis = |time: Duration| time.as_secs_f64() * 1e3;
        Self {
            case,
            unit: Unit::Millis,
            ours: millis(ours),
            peer: millis(budget),
            best_peer: "budget",
            ratio: ours.as_secs_f64() / budget.as_secs_f64(),
        }
    }
}

/// Prints rows as they come.
#[derive(Debug)]
pub(crate) struct Report<W> {
    out: W,
    format: Format,
}

impl<W: io::Write> Report<W> {
    /// Begins a report; a table gets its headline.
    pub(crate) fn begin(mut out: W, format: Format) -> io::Result<Self> {
        if format == Format::Table {
            writeln!(
                out,
                "{:<30} {:>10} {:>10} {:>4}  {:<12} {:>6}",
                "case", "ours", "peer", "unit", "best peer", "ratio"
            )?;
        }
        Ok(Self { out, format })
    }

    /// Prints one row.
    pub(crate) fn add(&mut self, row: &Row) -> io::Result<()> {
        match self.format {
            Format::JsonLines => writeln!(self.out, "{}", json(row)),
            Format::Table => writeln!(
                self.out,
                "{:<30} {:>10.2} {:>10.2} {:>4}  {:<12} {:>6.2}",
                row.case,
                row.ours,
                row.peer,
                row.unit.name(),
                row.best_peer,
                row.ratio
            ),
        }
    }
}

/// The row as one JSON object. Names are ours and need no escapes.
fn json(row: &Row) -> String {
    let Row { case, unit, ours, peer, best_peer, ratio } = row;
    let unit = unit.name();
    format!(
        "{{\"case\":\"{case}\",\"unit\":\"{unit}\",\"ours\":{ours:.3},\"peer\":{peer:.3},\
         \"best_peer\":\"{best_peer}\",\"ratio\":{ratio:.4}}}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(format: Format) -> String {
        let mut out = Vec::new();
        let mut report = Report::begin(&mut out, format).unwrap();
        let budget = Duration::from_millis(50);
        let row = Row::within_budget("load".to_owned(), Duration::from_millis(10), budget);
        report.add(&row).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_row_is_one_line_of_json() {
        let expected = "{\"case\":\"load\",\"unit\":\"ms\",\"ours\":10.000,\"peer\":50.000,\
                        \"best_peer\":\"budget\",\"ratio\":0.2000}\n";
        assert_eq!(printed(Format::JsonLines), expected);
    }

    #[test]
    fn a_table_has_a_headline() {
        assert_eq!(printed(Format::Table).lines().count(), 2);
    }

    #[test]
    fn a_ratio_below_one_means_that_we_are_better_whatever_the_unit() {
        let mut rounds = Rounds::of(["larder", "other"]);
        rounds.run(1, &mut [Box::new(|| 50.0), Box::new(|| 25.0)]);
        let ratio = |unit| Row::of_rounds("case".to_owned(), unit, &rounds).ratio;
        assert_eq!(ratio(Unit::Nanos), 2.0);
        assert_eq!(ratio(Unit::Percent), 0.5);
    }
}
