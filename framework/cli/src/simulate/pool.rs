//! Does many jobs on all cores.

use std::num::NonZero;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::exit::Failure;

/// Does the jobs, a thread for each core, and returns what came of them in their order. After a
/// failure none is begun any more.
pub(crate) fn run<J: Sync, T: Send>(
    jobs: &[J],
    work: impl Fn(&J) -> Result<T, Failure> + Sync,
) -> Result<Vec<T>, Failure> {
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(job) = jobs.get(index) else { return Ok(done) };
            match work(job) {
                Ok(outcome) => done.push((index, outcome)),
                Err(failure) => {
                    next.store(jobs.len(), Ordering::Relaxed);
                    return Err(failure);
                }
            }
        }
    };
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let mut done = thread::scope(|scope| {
        let workers: Vec<_> = (0..cores.min(jobs.len())).map(|_| scope.spawn(worker)).collect();
        let mut all = Vec::new();
        for worker in workers {
            all.extend(worker.join().unwrap_or_else(|panic| resume_unwind(panic))?);
        }
        Ok::<_, Failure>(all)
    })?;
    done.sort_by_key(|(index, _)| *index);
    Ok(done.into_iter().map(|(_, outcome)| outcome).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;

    #[test]
    fn outcomes_are_in_the_order_of_the_jobs() {
        let jobs: Vec<u64> = (0..500).collect();
        let squares = run(&jobs, |job| Ok(job * job)).unwrap();
        assert_eq!(squares, jobs.iter().map(|job| job * job).collect::<Vec<_>>());
        assert!(run::<u64, ()>(&[], |_| Ok(())).unwrap().is_empty());
    }

    #[test]
    fn no_worker_goes_on_after_a_failure() {
        let jobs = vec![(); 10_000];
        let begun = AtomicUsize::new(0);
        let failed = run(&jobs, |()| {
            begun.fetch_add(1, Ordering::Relaxed);
            Err::<(), _>(Failure::new(Exit::Io, "no"))
        });
        assert!(failed.is_err());
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        assert!((1..=cores).contains(&begun.into_inner()));
    }
}
