//! Draws simulations as SVG: a panel for each trace, in it the hit ratio of each policy over the
//! capacity.

mod scale;

use std::fmt::Write as _;

use super::contender::OPTIMUM;
use super::report::{Outcome, Simulation, grouped, percent};
use scale::{Across, Up};

/// The lines and texts of light and dark pages. Not every viewer knows variables of CSS.
const STYLE: &str = include_str!("plot/style.css");

/// The inner frame of a panel, in pixels.
const LEFT: f64 = 64.0;
const RIGHT: f64 = 640.0;
const TOP: f64 = 88.0;
const LEAST_HEIGHT: f64 = 300.0;
/// Below the inner frame: numbers and the name of the axis.
const BELOW: f64 = 58.0;
/// Where the legend begins, and how high a line of it is.
const LEGEND: f64 = 664.0;
const LEGEND_LINE: f64 = 21.0;
/// About the width of a character of the legend.
const CHARACTER: f64 = 7.0;
/// How many colours and shapes of points there are, before dashes tell series apart.
const COLOURS: usize = 10;

/// A document with a panel for each simulation, one below the other.
pub(crate) fn svg(simulations: &[Simulation]) -> String {
    let longest = simulations.iter().flat_map(Simulation::policies);
    let longest = longest.map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let width = (LEGEND + 110.0 + CHARACTER * longest as f64).max(860.0);
    let mut body = String::new();
    let mut y = 0.0;
    for simulation in simulations {
        let panel = Panel::new(simulation);
        body += &format!("<g transform=\"translate(0 {y})\">\n{}</g>\n", panel.draw());
        y += panel.height();
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{y}\" \
         viewBox=\"0 0 {width} {y}\" role=\"img\">\n\
         <title>Hit ratios of cache policies</title>\n<style>\n{STYLE}</style>\n\
         <rect class=\"paper\" width=\"{width}\" height=\"{y}\"/>\n{body}</svg>\n"
    )
}

/// What came of one policy, from the smallest cache to the largest.
struct Series<'a> {
    name: &'a str,
    /// Colour, dashes and shape of the points.
    look: Look,
    outcomes: Vec<&'a Outcome>,
}

/// How a series looks, by the order of the policies, so that it is the same in all panels.
#[derive(Clone, Copy)]
enum Look {
    Optimum,
    Policy(usize),
}

/// One trace.
struct Panel<'a> {
    simulation: &'a Simulation,
    /// The best in the largest cache comes first, as the lines end.
    series: Vec<Series<'a>>,
    across: Across,
    up: Up,
    bottom: f64,
}

impl<'a> Panel<'a> {
    fn new(simulation: &'a Simulation) -> Self {
        let mut series: Vec<Series<'a>> = simulation.policies().enumerate().map(series).collect();
        let last = |series: &Series<'_>| series.outcomes.last().map_or(0.0, |o| o.hit_ratio());
        series.sort_by(|a, b| last(b).total_cmp(&last(a)));
        let bottom = TOP + LEAST_HEIGHT.max(LEGEND_LINE * (series.len() as f64 + 1.0));
        let ratios = simulation.outcomes.iter().map(Outcome::hit_ratio);
        let capacities = simulation.outcomes.iter().map(|outcome| outcome.capacity);
        Self {
            across: Across::new(capacities, LEFT, RIGHT),
            up: Up::new(ratios, bottom, TOP),
            simulation,
            series,
            bottom,
        }
    }

    const fn height(&self) -> f64 {
        self.bottom + BELOW
    }

    fn draw(&self) -> String {
        let mut out = String::new();
        self.draw_head(&mut out);
        self.draw_axes(&mut out);
        // The best is drawn last, above the others.
        for series in self.series.iter().rev() {
            self.draw_series(series, &mut out);
        }
        self.draw_legend(&mut out);
        out
    }

    fn draw_head(&self, out: &mut String) {
        let Simulation { trace, requests, keys, .. } = self.simulation;
        let about = format!("{} requests, {} keys", grouped(*requests), grouped(*keys));
        text(out, "head", LEFT, 28.0, &name_of(trace));
        text(out, "quiet", LEFT, 47.0, &about);
    }

    fn draw_axes(&self, out: &mut String) {
        for (ratio, y) in self.up.ticks() {
            line(out, "grid", (LEFT, y), (RIGHT, y));
            text(out, "quiet end", LEFT - 8.0, y + 4.0, &format!("{:.0}%", ratio * 100.0));
        }
        line(out, "axis", (LEFT, self.bottom), (RIGHT, self.bottom));
        for (capacity, x) in self.across.ticks() {
            line(out, "axis", (x, self.bottom), (x, self.bottom + 5.0));
            text(out, "quiet middle", x, self.bottom + 20.0, &short(capacity));
        }
        let middle = f64::midpoint(LEFT, RIGHT);
        text(out, "quiet middle", middle, self.bottom + 42.0, self.across.title());
        text(out, "quiet end", LEFT - 8.0, TOP - 14.0, "hit ratio");
    }

    fn draw_series(&self, series: &Series<'_>, out: &mut String) {
        let at = |outcome: &&Outcome| {
            (self.across.position(outcome.capacity), self.up.position(outcome.hit_ratio()))
        };
        let points: Vec<(f64, f64)> = series.outcomes.iter().map(at).collect();
        let path: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let name = escaped(series.name);
        push(
            out,
            format_args!("<g class=\"series {}\"><title>{name}</title>", series.look.class()),
        );
        push(out, format_args!("<polyline points=\"{}\"/>", path.join(" ")));
        for ((x, y), outcome) in points.iter().zip(&series.outcomes) {
            let ratio = percent(outcome.hit_ratio());
            let told = format!("{name}, {} entries: {ratio}", grouped(outcome.capacity));
            push(out, format_args!("{}<title>{told}</title></path>", series.look.point(*x, *y)));
        }
        push(out, format_args!("</g>\n"));
    }

    fn draw_legend(&self, out: &mut String) {
        let largest = self.simulation.sizes.iter().max_by_key(|size| size.entries);
        let largest = largest.map(|size| format!("at {}", short(size.entries)));
        text(out, "quiet", LEGEND, TOP - 14.0, &largest.unwrap_or_default());
        for (index, series) in self.series.iter().enumerate() {
            let y = TOP + 6.0 + LEGEND_LINE * index as f64;
            let class = series.look.class();
            push(out, format_args!("<g class=\"{class}\">"));
            line(out, "key", (LEGEND, y), (LEGEND + 28.0, y));
            push(out, format_args!("{}</path></g>", series.look.point(LEGEND + 14.0, y)));
            let ratio = series.outcomes.last().map(|outcome| percent(outcome.hit_ratio()));
            text(out, "number end", LEGEND + 88.0, y + 4.0, &ratio.unwrap_or_default());
            text(out, "name", LEGEND + 98.0, y + 4.0, series.name);
        }
    }
}

fn series<'a>((index, (name, outcomes)): (usize, (&'a str, &'a [Outcome]))) -> Series<'a> {
    let mut outcomes: Vec<&Outcome> = outcomes.iter().collect();
    outcomes.sort_by_key(|outcome| outcome.capacity);
    let look = if name == OPTIMUM { Look::Optimum } else { Look::Policy(index) };
    Series { name, look, outcomes }
}

impl Look {
    /// The classes of the style sheet.
    fn class(self) -> String {
        match self {
            Self::Optimum => "opt".to_owned(),
            Self::Policy(index) => format!("c{} d{}", index % COLOURS, index / COLOURS % 3),
        }
    }

    /// The beginning of a path: a circle, a square, a triangle or a diamond.
    fn point(self, x: f64, y: f64) -> String {
        let shape = match self {
            Self::Optimum => "m-3,0a3,3 0 1,0 6,0a3,3 0 1,0 -6,0z",
            Self::Policy(index) => match index % 4 {
                0 => "m-4,0a4,4 0 1,0 8,0a4,4 0 1,0 -8,0z",
                1 => "m-3.5,-3.5h7v7h-7z",
                2 => "m0,-4.5l4.5,8h-9z",
                _ => "m0,-5l5,5l-5,5l-5,-5z",
            },
        };
        format!("<path class=\"point\" d=\"M{x:.1},{y:.1}{shape}\">")
    }
}

/// The file of a trace without its folder.
fn name_of(trace: &str) -> String {
    trace.rsplit(['/', '\\']).next().unwrap_or(trace).to_owned()
}

/// `500`, `10k`, `2.5m`, where that is exact.
fn short(entries: u64) -> String {
    for (unit, letter) in [(1_000_000, 'm'), (1_000, 'k')] {
        if entries >= unit && entries.is_multiple_of(unit / 10) {
            let (whole, tenth) = (entries / unit, entries % unit / (unit / 10));
            let tenth = if tenth == 0 { String::new() } else { format!(".{tenth}") };
            return format!("{whole}{tenth}{letter}");
        }
    }
    grouped(entries)
}

fn push(out: &mut String, arguments: std::fmt::Arguments<'_>) {
    out.write_fmt(arguments).expect("a `String` takes everything");
}

fn line(out: &mut String, class: &str, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) {
    let ends = format!("x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"");
    push(out, format_args!("<line class=\"{class}\" {ends}/>\n"));
}

fn text(out: &mut String, class: &str, x: f64, y: f64, content: &str) {
    let content = escaped(content);
    push(out, format_args!("<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{content}</text>\n"));
}

/// A text as it stands in XML, which has no way to write control characters.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for char in text.chars() {
        match char {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            char if char.is_control() || matches!(char, '\u{fffe}' | '\u{ffff}') => {
                escaped.push('\u{fffd}');
            }
            char => escaped.push(char),
        }
    }
    escaped
}

#[cfg(test)]
mod tests;
