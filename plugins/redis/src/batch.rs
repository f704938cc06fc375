//! [`Batcher`]: many gets at a time as few commands.
//!
//! While a flight is under way, those who come later wait in a queue; when it is back, all of them
//! go as the next one. So a lone caller waits for nothing, and the busier it is, the larger the
//! flights are. There is no timer.
//!
//! A caller that finds nobody under way flies alone, in its own future, and needs no task. Others
//! fly in a task, so that whoever goes away takes nobody with it.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use larder_core::{Bytes, CacheError, ErrorKind, Result};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// What answers a flight.
pub(crate) trait Fetch: Send + Sync + 'static {
    /// Fetches what is stored for these keys; answers in their order.
    fn fetch(&self, keys: &[String]) -> impl Future<Output = Result<Vec<Option<Bytes>>>> + Send;

    /// How many keys a flight may have.
    fn most_keys(&self) -> usize;
}

/// Fetches keys in flights.
pub(crate) struct Batcher<F> {
    shared: Arc<Shared<F>>,
}

struct Shared<F> {
    fetch: F,
    most_flights: usize,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Waiter>,
    flights: usize,
}

struct Waiter {
    key: String,
    answer: oneshot::Sender<Result<Option<Bytes>>>,
}

impl<F: Fetch> Batcher<F> {
    /// Nobody waits yet. At most `most_flights` are under way at a time.
    pub(crate) fn new(fetch: F, most_flights: usize) -> Self {
        let queue = Mutex::default();
        Self { shared: Arc::new(Shared { fetch, most_flights, queue }) }
    }

    /// What is stored for a key.
    ///
    /// # Errors
    ///
    /// Those of [`Fetch::fetch`], for all of a flight, and [`ErrorKind::Closed`] when the runtime
    /// ends.
    ///
    /// # Cancellation
    ///
    /// Whoever is dropped is forgotten; others in the queue and in the same flight are not touched.
    pub(crate) async fn get(&self, key: &str) -> Result<Option<Bytes>> {
        match self.shared.enter(key) {
            // In a box of its own: a flight takes much room, and those who wait need none of it.
            Turn::Fly(flight) => Box::pin(flight.alone(key)).await,
            Turn::Wait(answer) => answer.await.unwrap_or_else(|_| {
                let message = "the runtime ended before the server answered";
                Err(CacheError::new(ErrorKind::Closed, message))
            }),
        }
    }
}

/// What a caller does.
enum Turn<F: Fetch> {
    Fly(Flight<F>),
    Wait(oneshot::Receiver<Result<Option<Bytes>>>),
}

impl<F: Fetch> Shared<F> {
    fn enter(self: &Arc<Self>, key: &str) -> Turn<F> {
        let mut queue = self.lock();
        if queue.flights < self.most_flights {
            queue.flights += 1;
            return Turn::Fly(Flight::new(self));
        }
        let (answer, receiver) = oneshot::channel();
        // The doubled length pays for the walk over those who have given up.
        if queue.waiting.len() == queue.waiting.capacity() {
            queue.waiting.retain(|waiter| !waiter.answer.is_closed());
        }
        queue.waiting.push_back(Waiter { key: key.to_owned(), answer });
        Turn::Wait(receiver)
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to have one flight under way. Whoever waits when it is dropped goes next.
struct Flight<F: Fetch> {
    shared: Arc<Shared<F>>,
    runtime: Option<Handle>,
    has_landed: bool,
}

impl<F: Fetch> Flight<F> {
    fn new(shared: &Arc<Shared<F>>) -> Self {
        let runtime = Handle::try_current().ok();
        Self { shared: Arc::clone(shared), runtime, has_landed: false }
    }

    /// Those who go next; without any this flight has landed.
    fn next(&mut self) -> Option<Vec<Waiter>> {
        let most = self.shared.fetch.most_keys().max(1);
        let mut queue = self.shared.lock();
        if self.runtime.is_none() {
            // Nobody is there to answer those who wait.
            queue.waiting.clear();
        }
        queue.waiting.retain(|waiter| !waiter.answer.is_closed());
        if queue.waiting.is_empty() {
            // In the same turn, so that whoever comes now finds that there is room for a flight.
            queue.flights -= 1;
            self.has_landed = true;
            return None;
        }
        let count = queue.waiting.len().min(most);
        Some(queue.waiting.drain(..count).collect())
    }

    /// Flies with one key.
    async fn alone(self, key: &str) -> Result<Option<Bytes>> {
        let keys = [key.to_owned()];
        let fetched = self.shared.fetch.fetch(&keys).await;
        fetched.map(|mut answers| answers.pop().flatten())
    }

    /// Flies until nobody waits.
    async fn run(mut self, mut batch: Vec<Waiter>) {
        loop {
            let (keys, answers): (Vec<_>, Vec<_>) =
                batch.into_iter().map(|waiter| (waiter.key, waiter.answer)).unzip();
            let fetched = self.shared.fetch.fetch(&keys).await;
            let were_many = answers.len() > 1;
            deliver(fetched, answers);
            if were_many {
                // Those who were answered come again before the next flight leaves.
                tokio::task::yield_now().await;
            }
            match self.next() {
                Some(next) => batch = next,
                None => return,
            }
        }
    }
}

fn deliver(
    fetched: Result<Vec<Option<Bytes>>>,
    answers: Vec<oneshot::Sender<Result<Option<Bytes>>>>,
) {
    match fetched {
        Ok(found) => {
            for (answer, found) in answers.into_iter().zip(found) {
                // Whoever has given up needs no answer.
                answer.send(Ok(found)).ok();
            }
        }
        Err(error) => {
            for answer in answers {
                answer.send(Err(error.clone())).ok();
            }
        }
    }
}

impl<F: Fetch> Drop for Flight<F> {
    fn drop(&mut self) {
        if self.has_landed {
            return;
        }
        if let (Some(batch), Some(runtime)) = (self.next(), self.runtime.clone()) {
            let shared = Arc::clone(&self.shared);
            let next = Self { shared, runtime: self.runtime.take(), has_landed: false };
            drop(runtime.spawn(next.run(batch)));
        }
    }
}

impl<F> fmt::Debug for Batcher<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batcher").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
