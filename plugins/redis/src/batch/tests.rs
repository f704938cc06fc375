//! Flights without a server.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::*;

/// Answers each key with itself, when it is let.
#[derive(Clone)]
struct Echo {
    may_answer: Arc<Semaphore>,
    flights: Arc<Mutex<Vec<Vec<String>>>>,
    most: usize,
}

impl Echo {
    fn new(most: usize) -> Self {
        Self { may_answer: Arc::new(Semaphore::new(0)), flights: Arc::default(), most }
    }

    fn flights(&self) -> Vec<Vec<String>> {
        self.flights.lock().unwrap().clone()
    }

    /// Waits until so many flights have left.
    async fn left(&self, count: usize) {
        until(|| self.flights().len() >= count).await;
    }
}

impl Fetch for Echo {
    async fn fetch(&self, keys: &[String]) -> Result<Vec<Option<Bytes>>> {
        self.flights.lock().unwrap().push(keys.to_vec());
        self.may_answer.acquire().await.expect("nobody closes it").forget();
        if keys.iter().any(|key| key == "fail") {
            return Err(CacheError::new(ErrorKind::Connection, "it fails"));
        }
        assert!(keys.iter().all(|key| key != "panic"), "it panics");
        Ok(keys.iter().map(|key| Some(key.clone().into())).collect())
    }

    fn most_keys(&self) -> usize {
        self.most
    }
}

async fn until(is_so: impl Fn() -> bool) {
    let wait = async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), wait).await.expect("it comes about");
}

async fn queued(batcher: &Batcher<Echo>, count: usize) {
    until(|| batcher.shared.lock().waiting.len() >= count).await;
}

fn spawn(batcher: &Arc<Batcher<Echo>>, key: &str) -> JoinHandle<Result<Option<Bytes>>> {
    let (batcher, key) = (Arc::clone(batcher), key.to_owned());
    tokio::spawn(async move { batcher.get(&key).await })
}

/// A batcher with one flight of the key `first` under way.
async fn one_flight(echo: &Echo) -> (Arc<Batcher<Echo>>, JoinHandle<Result<Option<Bytes>>>) {
    let batcher = Arc::new(Batcher::new(echo.clone(), 1));
    let first = spawn(&batcher, "first");
    echo.left(1).await;
    (batcher, first)
}

#[tokio::test]
async fn who_comes_while_a_flight_is_under_way_goes_with_the_next() {
    let echo = Echo::new(128);
    let (batcher, first) = one_flight(&echo).await;
    let keys = ["a", "b", "c"];
    let others: Vec<_> = keys.iter().map(|key| spawn(&batcher, key)).collect();
    queued(&batcher, 3).await;
    echo.may_answer.add_permits(2);
    assert_eq!(first.await.unwrap().unwrap(), Some("first".into()));
    for (key, answer) in keys.iter().zip(join_all(others).await) {
        assert_eq!(answer.unwrap().unwrap(), Some(Bytes::from(*key)));
    }
    assert_eq!(echo.flights(), [vec!["first"], vec!["a", "b", "c"]]);
    until(|| batcher.shared.lock().flights == 0).await;
}

#[tokio::test]
async fn a_flight_takes_no_more_than_it_may() {
    let echo = Echo::new(2);
    let (batcher, first) = one_flight(&echo).await;
    let others: Vec<_> = ["a", "b", "c"].iter().map(|key| spawn(&batcher, key)).collect();
    queued(&batcher, 3).await;
    echo.may_answer.add_permits(3);
    first.await.unwrap().unwrap();
    join_all(others).await;
    assert_eq!(echo.flights(), [vec!["first"], vec!["a", "b"], vec!["c"]]);
}

#[tokio::test]
async fn who_flies_first_may_go_away_without_taking_others_along() {
    let echo = Echo::new(128);
    let (batcher, first) = one_flight(&echo).await;
    let other = spawn(&batcher, "other");
    queued(&batcher, 1).await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    echo.may_answer.add_permits(1);
    assert_eq!(other.await.unwrap().unwrap(), Some("other".into()));
}

#[tokio::test]
async fn who_gives_up_in_the_queue_is_not_asked_for() {
    let echo = Echo::new(128);
    let (batcher, first) = one_flight(&echo).await;
    let (gone, other) = (spawn(&batcher, "gone"), spawn(&batcher, "other"));
    queued(&batcher, 2).await;
    gone.abort();
    assert!(gone.await.unwrap_err().is_cancelled());
    echo.may_answer.add_permits(2);
    first.await.unwrap().unwrap();
    other.await.unwrap().unwrap();
    assert_eq!(echo.flights(), [vec!["first"], vec!["other"]]);
}

#[tokio::test]
async fn who_gives_up_while_the_server_is_silent_leaves_no_memory_behind() {
    let echo = Echo::new(128);
    let (batcher, first) = one_flight(&echo).await;
    for number in 0..10_000 {
        let key = number.to_string();
        let mut given_up = std::pin::pin!(batcher.get(&key));
        assert!(futures_util::poll!(&mut given_up).is_pending());
    }
    assert!(batcher.shared.lock().waiting.capacity() < 100);
    echo.may_answer.add_permits(1);
    first.await.unwrap().unwrap();
}

#[tokio::test]
async fn an_error_is_told_to_all_of_a_flight_and_to_nobody_else() {
    let echo = Echo::new(2);
    let (batcher, first) = one_flight(&echo).await;
    let keys = ["a", "fail", "c"];
    let others: Vec<_> = keys.iter().map(|key| spawn(&batcher, key)).collect();
    queued(&batcher, 3).await;
    echo.may_answer.add_permits(3);
    first.await.unwrap().unwrap();
    let answers: Vec<_> = join_all(others).await.into_iter().map(|a| a.unwrap().is_ok()).collect();
    assert_eq!(answers, [false, false, true]);
}

#[tokio::test]
async fn a_flight_that_panics_strands_nobody() {
    let echo = Echo::new(1);
    let (batcher, first) = one_flight(&echo).await;
    let (broken, other) = (spawn(&batcher, "panic"), spawn(&batcher, "other"));
    queued(&batcher, 2).await;
    echo.may_answer.add_permits(3);
    first.await.unwrap().unwrap();
    assert_eq!(broken.await.unwrap().unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(other.await.unwrap().unwrap(), Some("other".into()));
    until(|| batcher.shared.lock().flights == 0).await;
}

#[tokio::test]
async fn as_many_flights_as_allowed_are_under_way_at_a_time() {
    let echo = Echo::new(128);
    let batcher = Arc::new(Batcher::new(echo.clone(), 2));
    let gets: Vec<_> = ["a", "b", "c"].iter().map(|key| spawn(&batcher, key)).collect();
    echo.left(2).await;
    queued(&batcher, 1).await;
    assert_eq!(echo.flights().len(), 2);
    echo.may_answer.add_permits(3);
    join_all(gets).await;
    assert_eq!(echo.flights().len(), 3);
}
