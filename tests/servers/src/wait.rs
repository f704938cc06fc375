//! Waiting for what must come true, with a limit that names what did not.

use std::thread;
use std::time::{Duration, Instant};

/// Asks until there is an answer, which it returns. Blocks the thread.
///
/// # Panics
///
/// Says that `what` did not happen, once the limit has passed.
#[track_caller]
pub fn eventually<T>(what: &str, limit: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(start.elapsed() < limit, "waited {limit:?} in vain for: {what}");
        thread::park_timeout(PAUSE);
    }
}

/// Asks until the answer is yes, without blocking the thread.
///
/// # Panics
///
/// Says that `what` did not happen, once the limit has passed.
///
/// # Cancellation
///
/// It only waits, so it can be dropped at any time.
pub async fn until<F: AsyncFnMut() -> bool>(what: &str, limit: Duration, mut ask: F) {
    let start = Instant::now();
    let mut pauses = tokio::time::interval(PAUSE);
    while !ask().await {
        assert!(start.elapsed() < limit, "waited {limit:?} in vain for: {what}");
        pauses.tick().await;
    }
}

const PAUSE: Duration = Duration::from_millis(10);
