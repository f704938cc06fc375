//! The targets, one file for each part of Larder.

pub mod config;
pub mod envelope;
pub mod file_entry;
pub mod serializers;
pub mod wrappers;

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

/// The result of a future that is ready at once, as all of plugins are without a runtime.
fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("without a runtime nothing waits"),
    }
}
