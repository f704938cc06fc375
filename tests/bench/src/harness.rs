//! How two sides are compared: in alternating rounds of one process, by the median of the ratios.
//!
//! Absolute times depend on the machine and on what else it does; what both sides of a round
//! suffer alike cancels out of their ratio.

use std::panic::resume_unwind;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

/// Times of rounds that both sides ran in turn.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rounds {
    /// Ours and the peer's.
    pairs: Vec<(Duration, Duration)>,
}

impl Rounds {
    /// Adds `count` rounds after one to warm up. Who goes first changes with every round, so that
    /// neither side always finds the processor as the other left it.
    pub(crate) fn run(
        &mut self,
        count: usize,
        mut ours: impl FnMut() -> Duration,
        mut peer: impl FnMut() -> Duration,
    ) {
        ours();
        peer();
        for round in 0..count {
            let pair = if round % 2 == 0 {
                let ours = ours();
                (ours, peer())
            } else {
                let peer = peer();
                (ours(), peer)
            };
            self.pairs.push(pair);
        }
    }

    /// Median of our rounds.
    pub(crate) fn ours(&self) -> Duration {
        median_time(self.pairs.iter().map(|pair| pair.0))
    }

    /// Median of the peer's rounds.
    pub(crate) fn peer(&self) -> Duration {
        median_time(self.pairs.iter().map(|pair| pair.1))
    }

    /// Median of ours divided by the peer's, round by round; below one we are faster.
    pub(crate) fn ratio(&self) -> f64 {
        median(self.pairs.iter().map(|(ours, peer)| ours.as_secs_f64() / peer.as_secs_f64()))
    }
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
        let side = |name: char, millis: u64| {
            let order = &order;
            move || {
                order.borrow_mut().push(name);
                Duration::from_millis(millis)
            }
        };
        let mut rounds = Rounds::default();
        rounds.run(3, side('a', 1), side('b', 4));
        assert_eq!(order.into_inner(), "ababbaab");
        assert_eq!(rounds.ratio(), 0.25);
        assert_eq!(rounds.ours(), Duration::from_millis(1));
        assert_eq!(rounds.peer(), Duration::from_millis(4));
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
