//! [`Link`]: one socket to a server, shared by all who send over it, and the watchdog that notices
//! when it is dead.
//!
//! The crate `redis` encodes, decodes and, but for small values, matches answers to commands. What
//! it does not do, and what happens here: it takes a server that says nothing any more for a slow
//! one, and lets commands that nobody waits for pile up without end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Pipeline, RedisConnectionInfo, Value};
use tokio::sync::{Notify, watch};
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::{Instant, timeout, timeout_at};

use super::line::{Landed, Line, Read, Seat};
use super::stream::{Stream, Traffic};
use crate::config::{Address, TlsOptions};
use crate::error::Failure;

/// How often it is looked whether anything has arrived. After two looks in a row that saw nothing
/// the server is asked whether it is there.
const LOOK: Duration = Duration::from_millis(500);

/// How long it has for the answer.
pub(crate) const PING_LIMIT: Duration = Duration::from_millis(500);

/// How many unanswered questions in a row make a socket dead.
const STRIKES: u32 = 3;

/// How many batches may wait for their answers. Those whose callers went away count as well, until
/// the server has worked through them.
const MOST_IN_FLIGHT: u64 = 16_384;

/// How many batches the task of a socket takes over at a time, and how many bytes it gathers
/// before it writes.
const QUEUE: (usize, usize) = (1024, 64 * 1024);

/// How a socket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pulse {
    /// Answers come.
    Alive,
    /// The server has left a question unanswered.
    Silent,
    /// It is closed.
    Dead,
}

/// What silence means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    /// There should be an answer by now.
    Answers,
    /// Commands may wait at the server for as long as they like.
    Blocking,
    /// A large value may be on its way, before which the server has nothing to say: for so long.
    Uploads(Duration),
}

/// Why there are no answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lost {
    /// The socket broke.
    Broken,
    /// Too many others wait for theirs; nothing was sent.
    Full,
    /// They did not come in time.
    Late,
}

/// A task that ends with its owner.
#[derive(Debug)]
pub(crate) struct Task(JoinHandle<()>);

impl Task {
    pub(crate) fn new(handle: JoinHandle<()>) -> Self {
        Self(handle)
    }

    /// Whether it has ended, be it only because its runtime is gone.
    pub(crate) fn is_over(&self) -> bool {
        self.0.is_finished()
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What the socket, its callers and its watchdog share.
#[derive(Debug)]
struct Wire {
    socket: Socket,
    traffic: Arc<Traffic>,
    sent: AtomicU64,
    answered: AtomicU64,
    pulse: watch::Sender<Pulse>,
    nudge: Notify,
}

/// Who matches answers to commands.
#[derive(Debug)]
enum Socket {
    /// The crate.
    Crate(MultiplexedConnection),
    /// We do, where it pays.
    Line(Line),
}

/// Why a read failed, and whether it is the one of its flight that counts.
pub(crate) struct Missed {
    pub(crate) lost: Lost,
    pub(crate) counts: bool,
}

/// One socket to a server.
#[derive(Debug)]
pub(crate) struct Link {
    wire: Arc<Wire>,
    _driver: Task,
    _watchdog: Task,
}

/// Says that a socket is dead when its task ends, in whichever way.
struct LastWord(watch::Sender<Pulse>);

impl LastWord {
    /// Starts the task of a socket.
    fn of(self, driver: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        tokio::spawn(async move {
            let _last_word = self;
            driver.await;
        })
    }
}

impl Drop for LastWord {
    fn drop(&mut self) {
        self.0.send_replace(Pulse::Dead);
    }
}

impl Link {
    /// Connects. Nothing is sent before the first command.
    ///
    /// # Errors
    ///
    /// Why it could not before the deadline.
    pub(crate) async fn open(
        address: &Address,
        tls: Option<&TlsOptions>,
        patience: Patience,
        deadline: Instant,
    ) -> Result<Self, Failure> {
        let traffic = Arc::new(Traffic::default());
        let stream = Stream::connect(address, tls, Arc::clone(&traffic), deadline).await?;
        let (pulse, _) = watch::channel(Pulse::Alive);
        let last_word = LastWord(pulse.clone());
        let (socket, driver) = match patience {
            Patience::Answers => {
                let (line, driver) = Line::new(stream);
                (Socket::Line(line), last_word.of(driver.run()))
            }
            Patience::Blocking | Patience::Uploads(_) => {
                let config = AsyncConnectionConfig::new()
                    .set_response_timeout(None)
                    .set_connection_timeout(None)
                    .set_pipeline_buffer_size(QUEUE.0)
                    .set_write_backpressure_boundary(QUEUE.1);
                // The greeting is ours, so there is nothing that the crate could do on its own.
                let silent = RedisConnectionInfo::default().set_skip_set_lib_name();
                let opened = MultiplexedConnection::new_with_config(&silent, stream, config).await;
                let (connection, driver) = opened.map_err(|error| {
                    Failure::away(format!("cannot use the connection: {error}"))
                })?;
                (Socket::Crate(connection), last_word.of(driver))
            }
        };
        let wire = Arc::new(Wire {
            socket,
            traffic,
            sent: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            pulse,
            nudge: Notify::new(),
        });
        let watch = watch(Arc::clone(&wire), driver.abort_handle(), patience);
        let watchdog = Task::new(tokio::spawn(watch));
        Ok(Self { wire, _driver: Task::new(driver), _watchdog: watchdog })
    }

    /// Sends commands in one go and returns their answers in order.
    ///
    /// # Errors
    ///
    /// Why there are none.
    ///
    /// # Cancellation
    ///
    /// The commands may be carried out all the same.
    pub(crate) async fn send(
        &self,
        commands: &Pipeline,
        deadline: Instant,
    ) -> Result<Vec<Value>, Lost> {
        self.wire.send(commands, deadline).await
    }

    /// Reads what is stored under a name, together with others who do so at the same time. Nothing
    /// where the server said something that has to be asked for in another way. Says as well
    /// whether it is the one of its flight that counts.
    ///
    /// # Errors
    ///
    /// Why there is no answer.
    ///
    /// # Cancellation
    ///
    /// Others in the same flight are not touched.
    pub(crate) async fn read(
        &self,
        read: &Read<'_>,
        deadline: Instant,
    ) -> Result<(Option<Landed>, bool), Missed> {
        let seat = self.board(read, deadline).map_err(|lost| Missed { lost, counts: false })?;
        let Some(seat) = seat else { return Ok((None, false)) };
        let counts = seat.leads;
        match seat.await {
            Ok(landed) => Ok((landed, counts)),
            Err(lost) => {
                self.note_lost(lost);
                Err(Missed { lost, counts })
            }
        }
    }

    /// Takes a seat for a read; `None` where there are no seats.
    ///
    /// # Errors
    ///
    /// Those of [`Line::read`].
    pub(crate) fn board(&self, read: &Read<'_>, deadline: Instant) -> Result<Option<Seat>, Lost> {
        match &self.wire.socket {
            Socket::Line(line) => line.read(read, deadline).map(Some),
            Socket::Crate(_) => Ok(None),
        }
    }

    /// Has the watchdog look when an answer did not come in time.
    pub(crate) fn note_lost(&self, lost: Lost) {
        if lost == Lost::Late {
            self.wire.nudge.notify_one();
        }
    }

    /// Whether the server answers a question at once.
    pub(crate) async fn answers(&self) -> bool {
        matches!(timeout(PING_LIMIT, self.wire.ping()).await, Ok(Ok(())))
    }

    pub(crate) fn pulse(&self) -> Pulse {
        *self.wire.pulse.borrow()
    }

    /// Follows the pulse.
    pub(crate) fn follow(&self) -> watch::Receiver<Pulse> {
        self.wire.pulse.subscribe()
    }

    /// Why the socket failed, where that is known.
    pub(crate) fn fault(&self) -> Option<Failure> {
        self.wire.traffic.fault()
    }
}

impl Socket {
    async fn send(&self, commands: &Pipeline) -> Result<Vec<Value>, Lost> {
        match self {
            Self::Line(line) => line.send(commands).await,
            Self::Crate(connection) => {
                let count = commands.len();
                // The answer to a transaction is the last of its answers.
                let (skipped, kept) =
                    if commands.is_transaction() { (count + 1, 1) } else { (0, count) };
                let mut connection = connection.clone();
                let answers = connection.send_packed_commands(commands, skipped, kept);
                answers.await.map_err(|_| Lost::Broken)
            }
        }
    }
}

impl Wire {
    async fn send(&self, commands: &Pipeline, deadline: Instant) -> Result<Vec<Value>, Lost> {
        // Only what is admitted counts: what was refused is never answered.
        let admit = |sent: u64| {
            let answered = self.answered.load(Ordering::Relaxed);
            (sent.saturating_sub(answered) < MOST_IN_FLIGHT).then_some(sent + 1)
        };
        let before = self.sent.fetch_update(Ordering::Relaxed, Ordering::Relaxed, admit);
        let Ok(before) = before else { return Err(Lost::Full) };
        self.deliver(before + 1, commands, deadline).await
    }

    /// Sends a batch that was counted as this one.
    async fn deliver(
        &self,
        number: u64,
        commands: &Pipeline,
        deadline: Instant,
    ) -> Result<Vec<Value>, Lost> {
        match timeout_at(deadline, self.socket.send(commands)).await {
            Ok(Ok(answers)) => {
                // Answers come in order, so all that was sent before has its own.
                self.answered.fetch_max(number, Ordering::Relaxed);
                Ok(answers)
            }
            Ok(Err(lost)) => Err(lost),
            Err(_) => {
                self.nudge.notify_one();
                Err(Lost::Late)
            }
        }
    }

    async fn ping(&self) -> Result<(), Lost> {
        let far = Instant::now() + Duration::from_secs(3600);
        let mut ping = redis::pipe();
        ping.cmd("PING");
        // However much waits: whether the server is there must be found out.
        let number = self.sent.fetch_add(1, Ordering::Relaxed) + 1;
        self.deliver(number, &ping, far).await.map(drop)
    }

    /// How many batches wait for their answers.
    fn waiting(&self) -> u64 {
        let answered = self.answered.load(Ordering::Relaxed);
        self.sent.load(Ordering::Relaxed).saturating_sub(answered)
    }

    fn feel(&self, pulse: Pulse) {
        self.pulse.send_if_modified(|known| {
            let is_news = *known != pulse && *known != Pulse::Dead;
            if is_news {
                *known = pulse;
            }
            is_news
        });
    }
}

/// Asks a silent server whether it is there, and closes the socket when it is not. A server that
/// sends is there, however long it takes.
async fn watch(wire: Arc<Wire>, socket: AbortHandle, patience: Patience) {
    let limit = match patience {
        Patience::Answers | Patience::Blocking => PING_LIMIT,
        Patience::Uploads(limit) => limit.max(PING_LIMIT),
    };
    let (mut strikes, mut has_been_quiet) = (0, false);
    let mut seen = wire.traffic.received();
    while *wire.pulse.borrow() != Pulse::Dead {
        if strikes == 0 {
            // Whether it is the time or a caller that waited in vain makes no difference.
            timeout(LOOK, wire.nudge.notified()).await.ok();
        }
        let now = wire.traffic.received();
        let is_waiting_on_purpose = patience == Patience::Blocking && wire.waiting() > 0;
        if now != seen || is_waiting_on_purpose {
            (seen, strikes, has_been_quiet) = (now, 0, false);
            wire.feel(Pulse::Alive);
            continue;
        }
        if !std::mem::replace(&mut has_been_quiet, true) {
            continue;
        }
        let has_answered = matches!(timeout(limit, wire.ping()).await, Ok(Ok(())));
        if has_answered || wire.traffic.received() != seen {
            (seen, strikes, has_been_quiet) = (wire.traffic.received(), 0, false);
            wire.feel(Pulse::Alive);
            continue;
        }
        strikes += 1;
        wire.feel(Pulse::Silent);
        if strikes == STRIKES {
            socket.abort();
            break;
        }
    }
}
