//! [`serve`]: from questions to answers.
//!
//! The thread that reads does nothing that could wait for the plugin. Calls are tasks, each of
//! which ends when nobody waits for it any more; instances are made and ended by tasks as well, in
//! the order of [`lives`](crate::lives).

use std::collections::HashMap;
use std::io::{self, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use larder_core::{CacheError, ErrorKind};
use larder_dynamic::process::wire::{
    Ask, Call, Outbox, Question, Reply, Side, Tell, Trouble, frame,
};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};

use crate::library::{Asked, Library};
use crate::lives::Order;
use crate::log;
use crate::part::Part;
use crate::socket::Patient;

/// A call that does not give its thread back takes one of these with it.
const THREADS: usize = 4;

/// How long instances may take to end when the program is done.
const ENDING: Duration = Duration::from_secs(3);

/// Serves a program until it has ended, or nobody needs this process.
pub(crate) fn serve(stream: &UnixStream) -> Result<(), Box<dyn std::error::Error>> {
    Side::Runner.greet(&mut { stream })?;
    Side::Host.expect(&mut { stream })?;
    let outbox = Arc::new(Outbox::default());
    let level = log::install(Arc::clone(&outbox))?;
    let (writes, written) = (stream.try_clone()?, Arc::clone(&outbox));
    std::thread::Builder::new().name("write".to_owned()).spawn(move || write(&writes, &written))?;
    let runtime = Builder::new_multi_thread().worker_threads(THREADS).enable_all().build()?;
    let (calls, lives) = (Mutex::default(), AtomicUsize::new(0));
    let server = Arc::new(Server { outbox, level, library: Library::default(), calls, lives });
    let (sender, receiver) = mpsc::unbounded_channel();
    let living = runtime.spawn(Arc::clone(&server).live(receiver));
    let read = server.read(stream, &runtime, &sender);
    drop(sender);
    end_soon()?;
    // An instance that hangs does not hold up the end.
    let lived = async { tokio::time::timeout(ENDING, living).await };
    drop(runtime.block_on(lived));
    runtime.shutdown_background();
    Ok(read?)
}

fn write(mut stream: &UnixStream, outbox: &Outbox) {
    while let Some(bytes) = outbox.take() {
        if stream.write_all(&bytes).is_err() {
            // The thread that reads sees the end as well.
            outbox.close();
        }
    }
}

/// Whatever hangs, this process ends.
fn end_soon() -> io::Result<()> {
    std::thread::Builder::new().name("end".to_owned()).spawn(|| {
        std::thread::sleep(ENDING + Duration::from_secs(1));
        let signal = rustix::process::Signal::KILL;
        rustix::process::kill_process(rustix::process::getpid(), signal).ok();
    })?;
    Ok(())
}

/// All that questions are about.
struct Server {
    outbox: Arc<Outbox>,
    level: log::Level,
    library: Library,
    /// Calls that are waited for.
    calls: Mutex<HashMap<u64, AbortHandle>>,
    /// How many questions about the lives of instances wait or are worked on.
    lives: AtomicUsize,
}

/// A question about the life of an instance, or of the library: its number, when it was asked, and
/// what.
type Life = (u64, Asked, Question);

impl Server {
    fn read(
        self: &Arc<Self>,
        stream: &UnixStream,
        runtime: &Runtime,
        lives: &mpsc::UnboundedSender<Life>,
    ) -> Result<(), frame::FrameError> {
        let is_idle = || self.is_idle();
        let patient = Patient::new(stream, &is_idle).map_err(frame::FrameError::Io)?;
        let mut from = BufReader::with_capacity(64 * 1024, patient);
        while let Some(Ask { id, now_us, within_us, level, what }) = frame::read(&mut from)? {
            self.level.set(level);
            let now_us = i64::try_from(now_us).unwrap_or(i64::MAX);
            let within = Duration::from_micros(within_us);
            match what {
                Question::Call(instance, call) => {
                    if let Some(instance) = self.library.instance(instance) {
                        instance.clock.set(now_us);
                        self.begin(runtime, (id, within), instance.part, call);
                    } else {
                        let message = "there is no such instance in the process of the plugin";
                        self.answer(id, Err(CacheError::new(ErrorKind::Closed, message)));
                    }
                }
                Question::Cancel(id) => {
                    let call = self.calls().remove(&id);
                    call.inspect(AbortHandle::abort);
                }
                life => {
                    self.lives.fetch_add(1, Ordering::AcqRel);
                    // The task lives as long as the channel.
                    drop(lives.send((id, Asked { now_us, within }, life)));
                }
            }
        }
        Ok(())
    }

    fn calls(&self) -> MutexGuard<'_, HashMap<u64, AbortHandle>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nobody needs this process.
    fn is_idle(&self) -> bool {
        self.lives.load(Ordering::Acquire) == 0
            && self.library.is_unused()
            && self.calls().is_empty()
    }

    fn answer(&self, id: u64, reply: Result<Reply, CacheError>) {
        let reply = reply.map_err(|error| Trouble::from(&error));
        if let Err(unsent) = self.outbox.push(&Tell::Answer { id, reply }) {
            let message = format!("the answer cannot be sent: {unsent:?}");
            let reply = Err(Trouble::from(&CacheError::new(ErrorKind::Capacity, message)));
            // If not even this can be sent, the program is gone.
            drop(self.outbox.push(&Tell::Answer { id, reply }));
        }
    }

    fn begin(
        self: &Arc<Self>,
        runtime: &Runtime,
        (id, within): (u64, Duration),
        part: Part,
        call: Call,
    ) {
        let mut answering = Answering { server: Arc::clone(self), id, is_answered: false };
        // Held until it is known, for it may be over at once.
        let mut calls = self.calls();
        let task = runtime.spawn(async move {
            if let Some(reply) = part.call(call, within).await {
                answering.is_answered = true;
                answering.server.answer(id, reply);
            }
            drop(answering);
        });
        calls.insert(id, task.abort_handle());
    }

    async fn live(self: Arc<Self>, mut questions: mpsc::UnboundedReceiver<Life>) {
        let (mut order, mut living) = (Order::default(), JoinSet::new());
        while let Some((id, asked, question)) = questions.recv().await {
            let turn = order.turn(&question);
            let server = Arc::clone(&self);
            living.spawn(async move {
                let asking = Living(server);
                turn.come().await;
                if let Some(reply) = asking.0.library.ask(asked, question).await {
                    asking.0.answer(id, reply);
                }
                drop(turn);
            });
            while living.try_join_next().is_some() {}
        }
        living.join_all().await;
    }
}

/// A question about a life, until it is answered.
struct Living(Arc<Server>);

impl Drop for Living {
    fn drop(&mut self) {
        self.0.lives.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A call that runs. One that panics is answered as well, and one that nobody waits for any more:
/// the program takes a process from which it hears nothing for one that hangs.
struct Answering {
    server: Arc<Server>,
    id: u64,
    is_answered: bool,
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.server.calls().remove(&self.id);
        if self.is_answered {
            return;
        }
        let error = match std::thread::panicking() {
            true => CacheError::new(ErrorKind::Plugin, "the call of the plugin panicked"),
            false => CacheError::new(ErrorKind::Timeout, "the call of the plugin was given up"),
        };
        self.server.answer(self.id, Err(error));
    }
}
