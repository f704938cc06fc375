//! Calls without a runtime, without a timer, and on threads that may block.

use std::fmt::Write as _;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use larder_abi::call::level;
use larder_abi::table::cap;
use larder_abi::value::Slice;
use larder_abi::{Status, UNLIMITED};
use larder_core::{Backend, Clock, ErrorKind, ManualClock, SystemClock};
use tracing::field::Field;
use tracing_subscriber::layer::{self, Layer, SubscriberExt as _};

use super::toy::{self, Toy};
use crate::adapt::backend::ForeignBackend;
use crate::adapt::instance::Recipe;
use crate::adapt::keeper::{Keeper, Manner};

/// Long enough for any machine, short enough for a test that waits for its end.
const LIMIT: Duration = Duration::from_millis(200);

/// Longer than anything here takes.
const MINUTE: Duration = Duration::from_secs(60);

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a future where there is no runtime.
fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}

async fn open(
    cache: &str,
    caps: u64,
    timeout: Duration,
    clock: Arc<dyn Clock>,
) -> (ForeignBackend, Arc<Toy>) {
    let recipe = Recipe {
        create: toy::TABLE.create.unwrap(),
        destroy: toy::TABLE.destroy.unwrap(),
        plugin: "tested",
        component: "tested.backend",
        cache: cache.to_owned(),
        options: "{}".to_owned(),
        sink: None,
        max_value_bytes: UNLIMITED,
        entries: UNLIMITED,
        weight: UNLIMITED,
        clock: Arc::clone(&clock),
        may_block: caps & cap::BLOCKING != 0,
        patience: LIMIT,
    };
    let (start, cancel) = (toy::TABLE.start, toy::TABLE.cancel);
    let manner = Manner { caps, start, cancel, timeout, clock };
    let keeper = Keeper::make(&toy::TABLE, recipe, manner).await.unwrap();
    (ForeignBackend::new(keeper, caps), toy::last(cache))
}

/// Answers the operation that is waited for.
fn answer(toy: &Arc<Toy>) {
    while toy.ops.lock().unwrap().is_empty() {
        std::thread::yield_now();
    }
    let op = toy.ops.lock().unwrap()[0];
    assert_eq!(toy::complete(toy, op, Status::OK), Status::OK);
}

#[test]
fn without_a_runtime_an_answer_comes_now_later_or_not_in_time() {
    for (cache, caps) in [("bare", 0), ("bare-blocking", cap::BLOCKING)] {
        let (backend, toy) = block_on(open(cache, caps, MINUTE, SystemClock::shared()));
        block_on(backend.start()).unwrap();
        assert!(block_on(backend.get("now")).unwrap().is_some());
        let later = std::thread::spawn({
            let toy = Arc::clone(&toy);
            move || answer(&toy)
        });
        assert!(block_on(backend.get("later")).unwrap().is_some(), "{cache}");
        later.join().unwrap();

        let never = format!("{cache}-never");
        let (backend, toy) = block_on(open(&never, caps, LIMIT, SystemClock::shared()));
        let error = block_on(backend.get("later")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
        let told = || toy.cancelled.lock().unwrap().len() == 1;
        while !told() {
            std::thread::yield_now();
        }
    }
}

#[test]
fn a_call_that_hangs_without_a_runtime_is_given_up() {
    let (backend, toy) = block_on(open("bare-hang", cap::BLOCKING, LIMIT, SystemClock::shared()));
    let _stuck = Stuck::new(&toy);
    let error = block_on(backend.get("hang")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
}

#[test]
fn a_runtime_without_a_timer_does_for_an_answer_that_does_not_come() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let (backend, _) = open("no-timer", 0, LIMIT, SystemClock::shared()).await;
        let error = backend.get("later").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    });
}

/// Lets `hang` return, also when the test fails: the runtime waits for its threads.
struct Stuck(Arc<Toy>);

impl Stuck {
    fn new(toy: &Arc<Toy>) -> Self {
        toy.is_stuck.store(true, Ordering::SeqCst);
        Self(Arc::clone(toy))
    }
}

impl Drop for Stuck {
    fn drop(&mut self) {
        self.0.is_stuck.store(false, Ordering::SeqCst);
    }
}

/// A call that is begun and not waited for.
fn begin<F: Future>(call: Pin<&mut F>) {
    assert!(call.poll(&mut Context::from_waker(Waker::noop())).is_pending());
}

#[test]
fn a_call_whose_turn_comes_too_late_is_not_made_and_the_queue_is_bounded() {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.max_blocking_threads(1).build().unwrap();
    let clock = ManualClock::new();
    let shared: Arc<dyn Clock> = Arc::new(clock.clone());
    runtime.block_on(async {
        let (backend, toy) = open("queued", cap::BLOCKING, MINUTE, shared).await;
        let stuck = Stuck::new(&toy);
        let mut hanging = pin!(backend.get("hang"));
        begin(hanging.as_mut());
        while toy.called.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        // Of these nobody waits for the first, and the time of the others is over.
        begin(pin!(backend.get("miss")).as_mut());
        let mut queued: Vec<_> = (2..64).map(|_| Box::pin(backend.get("miss"))).collect();
        queued.iter_mut().for_each(|call| begin(call.as_mut()));
        let error = backend.get("miss").await.unwrap_err();
        assert!(error.is_retryable() && error.to_string().contains("`64`"), "{error}");
        clock.advance(MINUTE);
        drop(stuck);
        drop(hanging.await);
        for call in queued {
            assert_eq!(call.await.unwrap_err().kind(), ErrorKind::Timeout);
        }
        let next = async {
            while backend.get("miss").await.is_err() {
                tokio::task::yield_now().await;
            }
        };
        next.await;
        assert_eq!(toy.called.load(Ordering::SeqCst), 2, "the first one and the last one");
    });
}

/// The events of a thread, as texts.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<String>>>);

impl<S: tracing::Subscriber> Layer<S> for Heard {
    fn on_event(&self, event: &tracing::Event<'_>, _: layer::Context<'_, S>) {
        let mut text = String::new();
        event.record(&mut |field: &Field, value: &dyn std::fmt::Debug| {
            write!(text, "{field}={value:?} ").unwrap();
        });
        self.0.lock().unwrap().push(text);
    }
}

/// Waits until a text with all these parts is heard.
fn await_heard(heard: &Heard, parts: &[&str]) {
    let since = Instant::now();
    let is_it = |text: &String| parts.iter().all(|part| text.contains(part));
    while !heard.0.lock().unwrap().iter().any(is_it) {
        assert!(since.elapsed() < MINUTE, "{parts:?} is not in {:?}", heard.0.lock().unwrap());
        std::thread::yield_now();
    }
}

/// Were it not so, this test would hang until its watcher lets the library go.
#[test]
fn a_library_that_does_not_return_from_cancel_or_destroy_holds_nobody_up_and_is_named() {
    for (cache, caps) in [("endless", 0), ("endless-blocking", cap::BLOCKING)] {
        let clock = SystemClock::shared();
        let (backend, toy) = block_on(open(cache, caps, MINUTE, clock));
        toy.ends_never.store(true, Ordering::SeqCst);
        let (done, over) = mpsc::channel();
        let watcher = std::thread::spawn({
            let toy = Arc::clone(&toy);
            move || {
                let in_time = over.recv_timeout(MINUTE).is_ok();
                toy.ends_never.store(false, Ordering::SeqCst);
                in_time
            }
        });
        let heard = Heard::default();
        let subscriber = tracing_subscriber::registry().with(heard.clone());
        tracing::subscriber::with_default(subscriber, || {
            if caps == 0 {
                // The second one nobody can be told of while the library hangs.
                for _ in 0..2 {
                    begin_and_go_away(&backend, &toy);
                }
                await_heard(&heard, &["plugin.stuck", "\"cancel\"", cache, "tested.backend"]);
                assert_eq!(toy.cancelled.lock().unwrap().len(), 1);
            }
            drop(backend);
            assert!(!toy.is_destroyed.load(Ordering::SeqCst), "it does not return");

            let (backend, other) = block_on(open(cache, caps, MINUTE, SystemClock::shared()));
            other.ends_never.store(true, Ordering::SeqCst);
            drop(backend);
            await_heard(&heard, &["plugin.stuck", "\"destroy\"", cache, "tested.backend"]);
            other.ends_never.store(false, Ordering::SeqCst);
        });
        done.send(()).unwrap();
        assert!(watcher.join().unwrap(), "somebody waited for the library");
        let since = Instant::now();
        while !toy.is_destroyed.load(Ordering::SeqCst) {
            assert!(since.elapsed() < MINUTE, "it is destroyed once it returns");
            std::thread::yield_now();
        }
    }
}

/// A call that waits for its answer, and that its caller goes away from.
fn begin_and_go_away(backend: &ForeignBackend, toy: &Toy) {
    let before = toy.ops.lock().unwrap().len();
    begin(pin!(backend.get("later")).as_mut());
    assert_eq!(toy.ops.lock().unwrap().len(), before + 1, "it was made on this thread");
}

/// Every operation is answered by several threads, and some callers go away meanwhile.
#[test]
fn answers_from_many_threads_are_each_taken_once() {
    const CALLERS: usize = 64;
    const ANSWERERS: usize = 4;
    let (backend, toy) = block_on(open("crowd", 0, MINUTE, SystemClock::shared()));
    std::thread::scope(|scope| {
        for number in 0..CALLERS {
            let backend = &backend;
            scope.spawn(move || {
                let mut get = pin!(backend.get("later"));
                if number % 2 == 0 {
                    // It may be answered by now.
                    drop(get.as_mut().poll(&mut Context::from_waker(Waker::noop())));
                } else {
                    let found = block_on(get).unwrap().expect("it is answered");
                    assert_eq!(found.value, vec![7; 5000]);
                }
            });
        }
        for _ in 0..ANSWERERS {
            scope.spawn(|| {
                for number in 0..CALLERS {
                    let op = || toy.ops.lock().unwrap().get(number).copied();
                    let since = Instant::now();
                    while op().is_none() {
                        assert!(since.elapsed() < MINUTE, "call {number} does not come");
                        std::thread::yield_now();
                    }
                    toy::complete(&toy, op().expect("it is there"), Status::OK);
                }
            });
        }
    });
    let said = toy.said.lock().unwrap().clone();
    let taken = said.iter().filter(|status| **status == Status::OK).count();
    assert!((CALLERS / 2..=CALLERS).contains(&taken), "{taken} were taken");
    assert_eq!(said.len(), CALLERS * ANSWERERS);
    assert_eq!(toy.released.load(Ordering::SeqCst), said.len(), "each output has one owner");
}

#[test]
fn a_runtime_that_ends_with_calls_under_way_leaves_none_behind() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let (backend, toy) = block_on(open("ends", 0, MINUTE, SystemClock::shared()));
    let backend = Arc::new(backend);
    for _ in 0..8 {
        let backend = Arc::clone(&backend);
        runtime.spawn(async move { backend.get("later").await });
    }
    let since = Instant::now();
    while toy.ops.lock().unwrap().len() < 8 {
        assert!(since.elapsed() < MINUTE, "the calls do not come");
        std::thread::yield_now();
    }
    drop(runtime);
    let ops = toy.ops.lock().unwrap().clone();
    for op in ops {
        assert_eq!(toy::complete(&toy, op, Status::OK), Status::CLOSED);
    }
    assert!(block_on(backend.get("now")).unwrap().is_some(), "it works for others");
}

/// What a thread of the library can still do when its instance is gone: nothing.
#[test]
fn a_thread_that_outlives_its_instance_is_refused_and_a_value_that_does_stays() {
    unsafe extern "C" fn nothing(_: *mut std::ffi::c_void) {}
    let (backend, toy) = block_on(open("outlived", 0, MINUTE, SystemClock::shared()));
    let kept = block_on(backend.get("now")).unwrap().expect("it is there");
    begin_and_go_away(&backend, &toy);
    drop(backend);
    let since = Instant::now();
    while !toy.is_destroyed.load(Ordering::SeqCst) {
        assert!(since.elapsed() < MINUTE, "it is not destroyed");
        std::thread::yield_now();
    }
    let (number, op) = (*toy.number.lock().unwrap(), toy.ops.lock().unwrap()[0]);
    let heard = Heard::default();
    let subscriber = tracing_subscriber::registry().with(heard.clone());
    tracing::subscriber::with_default(subscriber, || {
        let (host, text) = (crate::host::table(), Slice::new(b"still here"));
        let since = Instant::now();
        // The number goes a moment after `destroy` has returned.
        // SAFETY: as the header says of a number that is gone.
        while unsafe { host.spawn_blocking.unwrap()(number, Some(nothing), std::ptr::null_mut()) }
            != Status::CLOSED
        {
            assert!(since.elapsed() < MINUTE, "the number stays");
            std::thread::yield_now();
        }
        let (said, no_call) = (&raw const text, std::ptr::null());
        // SAFETY: as above.
        unsafe { host.log.unwrap()(number, level::ERROR, said, said, std::ptr::null(), 0) };
        // SAFETY: as above.
        unsafe { host.panicked.unwrap()(number, said) };
        // SAFETY: as above.
        assert_eq!(unsafe { host.sink_lost_track.unwrap()(number) }, Status::CLOSED);
        // SAFETY: as above.
        assert_eq!(unsafe { host.op_defer.unwrap()(no_call, 1) }, 0);
    });
    assert_eq!(toy::complete(&toy, op, Status::OK), Status::CLOSED);
    assert_eq!(*heard.0.lock().unwrap(), [""; 0], "nobody hears of one that is gone");
    let released = toy.released.load(Ordering::SeqCst);
    assert_eq!(kept.value, vec![7; 5000]);
    drop(kept);
    assert_eq!(toy.released.load(Ordering::SeqCst), released + 1, "released after destroy");
}
