//! Where calls are made that may block, and how long anybody waits: with the runtime of the
//! caller, or without one.

use std::future::Future;
use std::sync::Arc;

use futures_util::future::{Either, select};
use larder_abi::Status;
use larder_core::{Clock, Moment};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::timer::Timer;
use crate::adapt::failure::Failure;
use crate::guard::guard;

/// What a future comes to, if that is before a moment.
pub(crate) async fn before<T>(
    clock: &Arc<dyn Clock>,
    at: Moment,
    future: impl Future<Output = T> + Unpin,
) -> Option<T> {
    let left = at.since(clock.now());
    // A runtime may have been built without a timer, which nothing but the panic tells.
    let has_runtime = Handle::try_current().is_ok();
    let sleep = has_runtime.then(|| guard(|| clock.sleep(left)));
    let sleep = sleep.and_then(Result::ok).unwrap_or_else(|| Box::pin(Timer::new(left)));
    match select(future, sleep).await {
        Either::Left((done, _)) => Some(done),
        Either::Right(_) => None,
    }
}

/// Runs a function on a thread that may block; on one of its own where there is no runtime.
fn detach(run: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
    match Handle::try_current() {
        Ok(runtime) => drop(runtime.spawn_blocking(run)),
        Err(_) => {
            let thread = std::thread::Builder::new().name("larder-plugin".to_owned());
            let spawned = thread.spawn(run);
            spawned.map_err(|error| Failure::ours(Status::BUSY, error.to_string()))?;
        }
    }
    Ok(())
}

/// What a function comes to that may block.
///
/// # Cancellation
///
/// The function is not run if it has not begun, and else what it comes to is dropped.
pub(crate) async fn on_a_blocking_thread<T: Send + 'static>(
    run: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    let (sender, receiver) = oneshot::channel();
    detach(move || {
        if !sender.is_closed() {
            drop(sender.send(run()));
        }
    })?;
    receiver.await.map_err(|_| Failure::ours(Status::CLOSED, "its thread ended before the call"))
}
