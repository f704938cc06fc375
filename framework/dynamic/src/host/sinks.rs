//! Where invalidators and replicators of libraries deliver: [`Hub`], known to a library by a
//! number for each instance.
//!
//! The cache takes deliveries as futures, and a library waits on its thread until one is done. The
//! futures run in the runtime in which the plugin was started. Few may be under way at a time:
//! who delivers faster than the cache takes it waits, and is told to try again when that takes too
//! long. A thread that the runtime lent for a call must not wait for that runtime, so it is told
//! the same at once.

use std::cell::Cell;
use std::collections::HashMap;
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use futures_util::future::{Either, select};
use larder_abi::Status;
use larder_abi::value::{Invalidation, Mutation};
use larder_core::invalidator::InvalidationSink;
use larder_core::replicator::MutationSink;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};

use super::or_broken;
use crate::adapt::failure::status_of;
use crate::change;

/// How many deliveries of a plugin may be under way.
const MOST: u32 = 16;

/// How long a library waits for a delivery to be done, or to begin.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// What a cache takes.
#[derive(Clone, Debug)]
pub(crate) enum Sink {
    Invalidations(Arc<dyn InvalidationSink>),
    Mutations(Arc<dyn MutationSink>),
}

/// Where the instances of one plugin deliver, one after another if they have to be made again.
#[derive(Debug)]
pub(crate) struct Hub {
    state: Mutex<State>,
    limit: Duration,
}

#[derive(Debug)]
enum State {
    /// Not started yet.
    New,
    Open(Opened),
    /// Stopped.
    Closed,
}

/// A hub between start and stop.
#[derive(Clone, Debug)]
struct Opened {
    sink: Sink,
    runtime: Option<Handle>,
    room: Arc<Semaphore>,
    is_closed: watch::Sender<bool>,
}

fn hubs() -> MutexGuard<'static, HashMap<u64, Arc<Hub>>> {
    static HUBS: LazyLock<Mutex<HashMap<u64, Arc<Hub>>>> = LazyLock::new(Mutex::default);
    HUBS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The number of a hub for one instance, which is refused when this is dropped.
#[derive(Debug)]
pub(crate) struct Number(pub(crate) u64);

impl Drop for Number {
    fn drop(&mut self) {
        // What the hub owns may come back here when it is dropped.
        let hub = hubs().remove(&self.0);
        drop(hub);
    }
}

thread_local! {
    /// Whether the runtime needs this thread back before it can do anything.
    static IS_LENT: Cell<bool> = const { Cell::new(false) };
}

/// Runs a call to a library on a thread that must not wait.
pub(crate) fn lent<T>(call: impl FnOnce() -> T) -> T {
    struct Back(bool);
    impl Drop for Back {
        fn drop(&mut self) {
            IS_LENT.set(self.0);
        }
    }
    let _back = Back(IS_LENT.replace(true));
    call()
}

impl Hub {
    /// A hub that is not open yet.
    pub(crate) fn new(limit: Duration) -> Arc<Self> {
        Arc::new(Self { state: Mutex::new(State::New), limit })
    }

    /// A number for an instance. Never used again.
    pub(crate) fn number(self: &Arc<Self>) -> Number {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        hubs().insert(number, Arc::clone(self));
        Number(number)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is open; else what a library is told.
    fn opened(&self) -> Result<Opened, Status> {
        match &*self.state() {
            // A library that delivers before it is started has to wait for that.
            State::New => Err(Status::BUSY),
            State::Open(opened) => Ok(opened.clone()),
            State::Closed => Err(Status::CLOSED),
        }
    }

    fn change_to(&self, state: State) -> Option<Opened> {
        match std::mem::replace(&mut *self.state(), state) {
            State::Open(opened) => Some(opened),
            State::New | State::Closed => None,
        }
    }

    /// From now on deliveries are taken.
    pub(crate) fn open(&self, sink: Sink) {
        let room = Arc::new(Semaphore::new(MOST as usize));
        let (is_closed, runtime) = (watch::Sender::new(false), Handle::try_current().ok());
        let before = self.change_to(State::Open(Opened { sink, runtime, room, is_closed }));
        if let Some(before) = before {
            before.close();
        }
    }

    /// From now on deliveries are refused, and those under way end unfinished: when this returns
    /// the sink is not called any more.
    pub(crate) async fn close(&self) {
        let Some(opened) = self.change_to(State::Closed) else { return };
        opened.close();
        // They give their room back when they see it; the semaphore is never closed.
        opened.room.acquire_many(MOST).await.ok();
    }

    /// The instance was replaced after a panic: what it heard may be lost.
    pub(crate) async fn lost_track(&self) {
        let Ok(opened) = self.opened() else { return };
        let Sink::Invalidations(sink) = opened.sink.clone() else { return };
        // As a delivery, so that it ends unfinished when the hub is closed.
        let telling = async move {
            sink.lost_track().await;
            Ok(())
        };
        opened.run(telling).await;
    }

    /// Has the cache take a delivery, and waits on this thread until it is done.
    fn deliver<F>(&self, make: impl FnOnce(Sink) -> Option<F>) -> Status
    where
        F: Future<Output = larder_core::Result<()>> + Send + 'static,
    {
        let opened = match self.opened() {
            Ok(opened) => opened,
            Err(status) => return status,
        };
        if opened.runtime.is_some() && IS_LENT.get() {
            return Status::BUSY;
        }
        let Some(work) = make(opened.sink.clone()) else { return Status::UNSUPPORTED };
        let until = Instant::now() + self.limit;
        let runtime = opened.runtime.clone();
        let delivery = opened.run(work);
        match runtime {
            None => block_on(delivery, until),
            Some(runtime) => {
                let (done, result) = mpsc::sync_channel(1);
                runtime.spawn(async move { done.send(delivery.await).ok() });
                // It is not dropped when this gives up: it may be half done.
                let waited = result.recv_timeout(self.limit);
                waited.unwrap_or_else(|error| match error {
                    mpsc::RecvTimeoutError::Timeout => Status::TIMEOUT,
                    // It panicked, or the runtime is gone.
                    mpsc::RecvTimeoutError::Disconnected => Status::CLOSED,
                })
            }
        }
    }
}

impl Opened {
    fn close(&self) {
        self.is_closed.send_replace(true);
    }

    async fn run(self, work: impl Future<Output = larder_core::Result<()>>) -> Status {
        let mut is_closed = self.is_closed.subscribe();
        let closed = pin!(is_closed.wait_for(|is_closed| *is_closed));
        let delivered = pin!(async {
            let _room = self.room.acquire().await;
            // The room may be that of one that ended because the hub was closed.
            if *self.is_closed.borrow() { None } else { Some(work.await) }
        });
        match select(closed, delivered).await {
            Either::Left(_) | Either::Right((None, _)) => Status::CLOSED,
            Either::Right((Some(Ok(())), _)) => Status::OK,
            Either::Right((Some(Err(error)), _)) => status_of(error.kind()),
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Where there is no runtime.
fn block_on(future: impl Future<Output = Status>, until: Instant) -> Status {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(status) => return status,
            Poll::Pending => match until.checked_duration_since(Instant::now()) {
                Some(left) => std::thread::park_timeout(left),
                None => return Status::TIMEOUT,
            },
        }
    }
}

fn at(sink: u64, deliver: impl FnOnce(&Hub) -> Status) -> Status {
    // Not under the lock of the table: a delivery may take its time.
    let hub = hubs().get(&sink).cloned();
    hub.map_or(Status::CLOSED, |hub| deliver(&hub))
}

pub(super) unsafe extern "C" fn sink_invalidate(
    sink: u64,
    events: *const Invalidation,
    n: usize,
) -> Status {
    or_broken(|| {
        at(sink, |hub| {
            // SAFETY: by the header the events are lent for the time of this call.
            let events = match unsafe { change::invalidations(events, n) } {
                Ok(events) => events,
                Err(status) => return status,
            };
            hub.deliver(|sink| {
                let Sink::Invalidations(sink) = sink else { return None };
                Some(async move {
                    for event in events {
                        sink.invalidate(event).await?;
                    }
                    Ok(())
                })
            })
        })
    })
}

pub(super) unsafe extern "C" fn sink_lost_track(sink: u64) -> Status {
    or_broken(|| {
        at(sink, |hub| {
            hub.deliver(|sink| {
                let Sink::Invalidations(sink) = sink else { return None };
                Some(async move {
                    sink.lost_track().await;
                    Ok(())
                })
            })
        })
    })
}

pub(super) unsafe extern "C" fn sink_apply(
    sink: u64,
    mutations: *const Mutation,
    n: usize,
) -> Status {
    or_broken(|| {
        at(sink, |hub| {
            // SAFETY: by the header the mutations are lent for the time of this call.
            let batch = match unsafe { change::mutations(mutations, n) } {
                Ok(batch) => batch,
                Err(status) => return status,
            };
            hub.deliver(|sink| {
                let Sink::Mutations(sink) = sink else { return None };
                Some(async move { sink.apply(batch).await })
            })
        })
    })
}

#[cfg(test)]
mod tests;
