//! How sides are compared: in alternating rounds of one process, by the median of the ratios.
//!
//! Absolute times depend on the machine and on what else it does; what all sides of a round
//! suffer alike cancels out of their ratio.

use std::panic::resume_unwind;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

/// What one side does in a round; gives the figure of that round.
pub(crate) type Round<'a> = Box<dyn FnMut() -> f64 + 'a>;

/// Figures of rounds that all sides ran in turn. The first side is ours.
#[derive(Clone, Debug)]
pub(crate) struct Rounds {
    sides: Vec<(&'static str, Vec<f64>)>,
}

/// A peer and how we compare to it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Comparison {
    pub(crate) peer: &'static str,
    /// Median of the peer's rounds.
    pub(crate) figure: f64,
    /// Median of ours divided by the peer's, round by round.
    pub(crate) ratio: f64,
}

impl Rounds {
    /// No rounds yet, between these sides.
    pub(crate) fn of(names: impl IntoIterator<Item = &'static str>) -> Self {
        Self { sides: names.into_iter().map(|name| (name, Vec::new())).collect() }
    }

    /// Adds `count` rounds after one to warm up, of the sides in the order of their names. Who
    /// goes first changes with every round, so that nobody always finds the processor as the
    /// same other left it.
    pub(crate) fn run(&mut self, count: usize, sides: &mut [Round<'_>]) {
        for side in &mut *sides {
            side();
        }
        for round in 0..count {
            for turn in 0..sides.len() {
                let side = (round + turn) % sides.len();
                self.sides[side].1.push(sides[side]());
            }
        }
    }

    /// Median of our rounds.
    pub(crate) fn ours(&self) -> f64 {
        median(self.figures(0).iter().copied())
    }

    /// Every peer and how we compare to it.
    pub(crate) fn comparisons(&self) -> impl Iterator<Item = Comparison> {
        (1..self.sides.len()).map(|side| self.compare(side))
    }

    /// The peer with the lowest median, or the highest if `more_is_better`.
    pub(crate) fn best_peer(&self, more_is_better: bool) -> Option<Comparison> {
        self.comparisons().min_by(|one, other| {
            let order = one.figure.total_cmp(&other.figure);
            if more_is_better { order.reverse() } else { order }
        })
    }

    fn compare(&self, side: usize) -> Comparison {
        let theirs = self.figures(side);
        let ratios = self.figures(0).iter().zip(theirs).map(|(ours, theirs)| ours / theirs);
        Comparison {
            peer: self.sides[side].0,
            figure: median(theirs.iter().copied()),
            ratio: median(ratios),
        }
    }

    fn figures(&self, side: usize) -> &[f64] {
        self.sides.get(side).map_or(&[], |side| &side.1)
    }
}

/// Nanoseconds of each of `operations` operations that took this time together.
pub(crate) fn nanos_each(time: Duration, operations: usize) -> f64 {
    time.as_secs_f64() * 1e9 / operations as f64
}

/// Median time of one side, after one round to warm up; for what has no peer.
pub(crate) fn time(rounds: usize, mut round: impl FnMut() -> Duration) -> Duration {
    round();
    median_time((0..rounds).map(|_| round()))
}

/// How long `threads` threads take for `work`, each given its number: from the first that begins
/// to the last that ends. All of them wait until everyone is ready.
pub(crate) fn time_threads(threads: usize, work: impl Fn(usize) + Sync) -> Duration {
    let barrier = Barrier::new(threads);
    let timed = |number| {
        barrier.wait();
        let start = Instant::now();
        work(number);
        (start, Instant::now())
    };
    let timed = &timed;
    let spans: Vec<(Instant, Instant)> = thread::scope(|scope| {
        let workers: Vec<_> =
            (0..threads).map(|number| scope.spawn(move || timed(number))).collect();
        let join = |worker: thread::ScopedJoinHandle<'_, _>| match worker.join() {
            Ok(span) => span,
            Err(panic) => resume_unwind(panic),
        };
        workers.into_iter().map(join).collect()
    });
    let start = spans.iter().map(|span| span.0).min();
    let end = spans.iter().map(|span| span.1).max();
    end.zip(start).map_or(Duration::ZERO, |(end, start)| end - start)
}

fn median_time(times: impl Iterator<Item = Duration>) -> Duration {
    Duration::from_secs_f64(median(times.map(|time| time.as_secs_f64())))
}

/// The middle of the values, or the mean of the two in the middle; zero when there are none.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        count if count % 2 == 1 => sorted[count / 2],
        count => f64::midpoint(sorted[count / 2 - 1], sorted[count / 2]),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn the_median_is_the_middle_and_ignores_an_outlier() {
        assert_eq!(median([3.0, 1.0, 900.0].into_iter()), 3.0);
        assert_eq!(median([4.0, 1.0, 2.0, 900.0].into_iter()), 3.0);
    }

    #[test]
    fn sides_take_turns_in_going_first() {
        let order = RefCell::new(String::new());
        let side = |name: char, figure: f64| {
            let order = &order;
            move || {
                order.borrow_mut().push(name);
                figure
            }
        };
        let mut rounds = Rounds::of(["a", "b", "c"]);
        let mut sides: [Round<'_>; 3] =
            [Box::new(side('a', 1.0)), Box::new(side('b', 4.0)), Box::new(side('c', 8.0))];
        rounds.run(3, &mut sides);
        assert_eq!(*order.borrow(), "abcabcbcacab");
        assert_eq!(rounds.ours(), 1.0);
        let best = Comparison { peer: "b", figure: 4.0, ratio: 0.25 };
        assert_eq!(rounds.best_peer(false), Some(best));
        let best = Comparison { peer: "c", figure: 8.0, ratio: 0.125 };
        assert_eq!(rounds.best_peer(true), Some(best));
    }

    #[test]
    fn every_thread_works_once_under_its_number() {
        let sum = AtomicUsize::new(0);
        time_threads(4, |number| {
            sum.fetch_add(1 << number, Ordering::Relaxed);
        });
        assert_eq!(sum.into_inner(), 0b1111);
    }
}
