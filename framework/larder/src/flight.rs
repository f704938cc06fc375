//! Single flight: one load per key, however many callers.
//!
//! A flight is opened by the first caller of a key and joined by the others. Its outcome is a
//! shared future over a one-shot channel, so nobody is stranded: when the side that owes the
//! outcome goes away without giving one, every waiter hears of it and one of them opens the next
//! flight.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use futures_util::future::Shared;
use tokio::sync::oneshot;

/// Shards of the table of flights: enough that callers of different keys rarely meet.
const SHARDS: usize = 32;

/// The outcome of a flight, or that nobody will give one any more.
pub(crate) type Wait<T> = Shared<oneshot::Receiver<T>>;

/// The flights of one cache. `M` says what a flight was opened upon, to tell whether it may still
/// be joined.
#[derive(Debug)]
pub(crate) struct Flights<K, T, M> {
    hasher: RandomState,
    shards: Box<[Shard<K, T, M>]>,
}

type Shard<K, T, M> = Mutex<HashMap<K, Running<T, M>>>;

#[derive(Debug)]
struct Running<T, M> {
    wait: Wait<T>,
    mark: Arc<M>,
}

/// What a caller has to do.
pub(crate) enum Join<K: Hash + Eq, T, M> {
    /// Somebody loads already, upon this: wait.
    Follow(Wait<T>, Arc<M>),
    /// Load, and land the flight.
    Lead(Lead<K, T, M>),
}

/// The duty to land a flight. Dropping it without landing wakes the waiters empty-handed.
#[derive(Debug)]
pub(crate) struct Lead<K: Hash + Eq, T, M> {
    flights: Arc<Flights<K, T, M>>,
    key: K,
    mark: Arc<M>,
    sender: Option<oneshot::Sender<T>>,
    wait: Wait<T>,
}

/// An outcome that is there already.
pub(crate) fn landed<T: Clone>(outcome: T) -> Wait<T> {
    let (sender, receiver) = oneshot::channel();
    // The other end is the next line.
    sender.send(outcome).ok();
    receiver.shared()
}

impl<K: Hash + Eq + Clone, T: Clone, M> Flights<K, T, M> {
    pub(crate) fn new() -> Arc<Self> {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Arc::new(Self { hasher: RandomState::new(), shards })
    }

    /// Joins the flight of a key, or opens one if there is none whose mark still holds. Those who
    /// joined the flight of before get its outcome.
    pub(crate) fn join(
        self: &Arc<Self>,
        key: &K,
        holds: impl FnOnce(&M) -> bool,
        mark: impl FnOnce() -> M,
    ) -> Join<K, T, M> {
        let mut shard = self.shard(key);
        if let Some(running) = shard.get(key).filter(|running| holds(&running.mark)) {
            return Join::Follow(running.wait.clone(), Arc::clone(&running.mark));
        }
        let (sender, receiver) = oneshot::channel();
        let (mark, wait) = (Arc::new(mark()), receiver.shared());
        let running = Running { wait: wait.clone(), mark: Arc::clone(&mark) };
        let before = shard.insert(key.clone(), running);
        drop(shard);
        drop(before);
        let (flights, key, sender) = (Arc::clone(self), key.clone(), Some(sender));
        Join::Lead(Lead { flights, key, mark, sender, wait })
    }
}

impl<K: Hash + Eq, T, M> Flights<K, T, M> {
    fn shard(&self, key: &K) -> MutexGuard<'_, HashMap<K, Running<T, M>>> {
        let index = self.hasher.hash_one(key) as usize % SHARDS;
        self.shards[index].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Hash + Eq, T, M> Lead<K, T, M> {
    /// What the flight was opened upon.
    pub(crate) fn mark(&self) -> &Arc<M> {
        &self.mark
    }

    /// The outcome, for who opened the flight as well.
    pub(crate) fn wait(&self) -> Wait<T>
    where
        T: Clone,
    {
        self.wait.clone()
    }

    /// Ends the flight with an outcome for everybody.
    pub(crate) fn land(mut self, outcome: T) {
        self.leave();
        if let Some(sender) = self.sender.take() {
            // Without waiters there is nobody to tell.
            sender.send(outcome).ok();
        }
    }

    /// From here on a new caller opens a new flight.
    fn leave(&self) {
        let mut shard = self.flights.shard(&self.key);
        if shard.get(&self.key).is_some_and(|running| Arc::ptr_eq(&running.mark, &self.mark)) {
            shard.remove(&self.key);
        }
    }
}

impl<K: Hash + Eq, T, M> Drop for Lead<K, T, M> {
    fn drop(&mut self) {
        if self.sender.is_some() {
            self.leave();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lead(flights: &Arc<Flights<u8, u8, u8>>) -> Lead<u8, u8, u8> {
        match flights.join(&1, |_| true, || 0) {
            Join::Lead(lead) => lead,
            Join::Follow(..) => panic!("somebody else leads"),
        }
    }

    fn follow(flights: &Arc<Flights<u8, u8, u8>>) -> Wait<u8> {
        match flights.join(&1, |_| true, || 0) {
            Join::Follow(wait, _) => wait,
            Join::Lead(_) => panic!("nobody leads"),
        }
    }

    #[test]
    fn followers_get_the_outcome_of_the_leader() {
        let flights = Flights::new();
        let leader = lead(&flights);
        let followers = [follow(&flights), follow(&flights)];
        leader.land(7);
        for follower in followers {
            assert_eq!(follower.now_or_never(), Some(Ok(7)));
        }
        lead(&flights).land(8);
    }

    #[test]
    fn a_leader_that_goes_away_frees_the_followers() {
        let flights = Flights::new();
        let leader = lead(&flights);
        let follower = follow(&flights);
        assert_eq!(follower.clone().now_or_never(), None);
        drop(leader);
        assert!(matches!(follower.now_or_never(), Some(Err(_))));
        lead(&flights).land(9);
    }

    #[test]
    fn a_flight_whose_mark_does_not_hold_is_left_to_those_who_are_in_it() {
        let flights = Flights::new();
        let first = lead(&flights);
        let early = follow(&flights);
        let Join::Lead(second) = flights.join(&1, |_| false, || 0) else { panic!("joined") };
        let late = follow(&flights);
        first.land(1);
        assert_eq!((early.now_or_never(), late.clone().now_or_never()), (Some(Ok(1)), None));
        second.land(2);
        assert_eq!(late.now_or_never(), Some(Ok(2)));
    }
}
