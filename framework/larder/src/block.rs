//! Waiting for a future on a thread that has no runtime, and work that would hold one up.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use larder_core::{CacheError, ErrorKind, Result};

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Polls a future to its end, parking the thread in between. Unlike a runtime's `block_on` it may
/// be nested and may run inside a runtime.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    // Most futures here are ready at once, and then no waker has to be made.
    let mut unheard = Context::from_waker(Waker::noop());
    if let Poll::Ready(output) = future.as_mut().poll(&mut unheard) {
        return output;
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}

/// Runs work that waits for files, and code of the application, beside the threads of the runtime;
/// without a runtime here. Dropping the future does not stop it.
pub(crate) async fn offload<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let done = match tokio::runtime::Handle::try_current() {
        Ok(runtime) => runtime.spawn_blocking(work).await.ok(),
        Err(_) => catch_unwind(AssertUnwindSafe(work)).ok(),
    };
    done.unwrap_or_else(|| {
        Err(CacheError::new(ErrorKind::Plugin, "the work panicked or the runtime is gone"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_future_that_another_thread_wakes_ends() {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || sender.send(7));
        assert_eq!(block_on(receiver), Ok(7));
        assert_eq!(block_on(async { block_on(async { 3 }) }), 3, "may be nested");
    }
}
