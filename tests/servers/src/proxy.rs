//! A network that fails when it is told to.

mod pipe;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::{LOOPBACK, ports};

/// A TCP proxy in front of a server, whose faults are switched at run time.
///
/// Each direction has its own [`Fault`]; a change holds at once, also for connections that are
/// open. It runs on a thread of its own and ends, with its connections, when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    control: watch::Sender<Control>,
    counts: Arc<Counts>,
    thread: Option<JoinHandle<()>>,
}

/// What happens to the bytes of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Fault {
    /// They are kept, and nobody is told, until the fault is over.
    Blackhole,
    /// The byte after that many is changed, once in each connection.
    CorruptAfter(usize),
    /// The connection is closed after that many.
    CutAfter(usize),
    /// They arrive later.
    Delay {
        /// The shortest time they take.
        least: Duration,
        /// What comes on top at most, drawn for each piece; their order stays.
        jitter: Duration,
    },
    /// The receiver sees the end of the stream; what comes after is lost.
    HalfClose,
    /// They arrive.
    #[default]
    Pass,
    /// Both sides see the connection reset.
    Reset,
    /// That many arrive in a second.
    Throttle(usize),
}

/// Which way bytes go.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Direction {
    /// Both ways.
    Both,
    /// Replies.
    ToClient,
    /// Requests.
    ToServer,
}

/// What all connections have to follow.
#[derive(Clone, Copy, Debug)]
struct Control {
    target: SocketAddr,
    to_client: Fault,
    to_server: Fault,
    is_refusing: bool,
    /// Each greater number closes the connections of before.
    generation: u64,
    is_over: bool,
}

#[derive(Debug, Default)]
struct Counts {
    accepted: AtomicUsize,
    open: AtomicUsize,
}

impl Proxy {
    /// Starts a proxy in front of a port of the loopback.
    #[must_use]
    pub fn start(target: u16) -> Self {
        let control = Control {
            target: address(target),
            to_client: Fault::Pass,
            to_server: Fault::Pass,
            is_refusing: false,
            generation: 0,
            is_over: false,
        };
        let (control, orders) = watch::channel(control);
        let counts = Arc::<Counts>::default();
        let (sender, port) = mpsc::channel();
        let counted = Arc::clone(&counts);
        let thread = thread::spawn(move || {
            let runtime = runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.expect("a runtime can be made");
            runtime.block_on(async {
                let listener = listen_anywhere();
                let here = listener.local_addr().expect("a listener has an address");
                sender.send(here.port()).expect("the starter waits for the port");
                serve(listener, orders, counted).await;
            });
        });
        let port = port.recv().expect("the proxy starts");
        Self { port, control, counts, thread: Some(thread) }
    }

    /// The port that it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its address as a client of Redis takes it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://{LOOPBACK}:{}", self.port)
    }

    /// Switches the fault of a direction, also for the connections that are open.
    pub fn set(&self, direction: Direction, fault: Fault) {
        self.control.send_modify(|control| {
            if direction != Direction::ToServer {
                control.to_client = fault;
            }
            if direction != Direction::ToClient {
                control.to_server = fault;
            }
        });
    }

    /// Ends all faults. What a black hole kept arrives.
    pub fn heal(&self) {
        self.control.send_modify(|control| {
            (control.to_client, control.to_server) = (Fault::Pass, Fault::Pass);
            control.is_refusing = false;
        });
    }

    /// Refuses connections, as a port does that nobody listens on, until the proxy is
    /// [healed](Self::heal). Those that are open stay.
    pub fn refuse(&self) {
        self.control.send_modify(|control| control.is_refusing = true);
    }

    /// Closes all connections that are open.
    pub fn cut(&self) {
        self.control.send_modify(|control| control.generation += 1);
    }

    /// Leads connections that come from now on to another port.
    pub fn lead_to(&self, target: u16) {
        self.control.send_modify(|control| control.target = address(target));
    }

    /// How many connections there have been.
    #[must_use]
    pub fn accepted(&self) -> usize {
        self.counts.accepted.load(Ordering::SeqCst)
    }

    /// How many connections there are.
    #[must_use]
    pub fn open(&self) -> usize {
        self.counts.open.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.control.send_modify(|control| control.is_over = true);
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was printed when it happened.
            thread.join().ok();
        }
    }
}

/// Accepts connections until the proxy is over.
async fn serve(listener: TcpListener, mut orders: watch::Receiver<Control>, counts: Arc<Counts>) {
    let port = listener.local_addr().expect("a listener has an address").port();
    let mut listener = Some(listener);
    let mut connections = JoinSet::new();
    loop {
        let control = *orders.borrow_and_update();
        if control.is_over {
            return;
        }
        if control.is_refusing {
            listener = None;
        } else if listener.is_none() {
            listener = listen(port);
        }
        tokio::select! {
            changed = orders.changed() => if changed.is_err() { return },
            client = accept(listener.as_ref()) => {
                counts.accepted.fetch_add(1, Ordering::SeqCst);
                connections.spawn(connect(client, orders.clone(), Arc::clone(&counts)));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn accept(listener: Option<&TcpListener>) -> TcpStream {
    loop {
        match listener {
            None => std::future::pending().await,
            // A client that left while it waited.
            Some(listener) => match listener.accept().await {
                Ok((stream, _)) => return stream,
                Err(_) => tokio::task::yield_now().await,
            },
        }
    }
}

/// One connection, until one of its ends or the proxy closes it.
async fn connect(client: TcpStream, mut orders: watch::Receiver<Control>, counts: Arc<Counts>) {
    let _open = Open::new(counts);
    let (target, generation) = {
        let control = orders.borrow();
        (control.target, control.generation)
    };
    let Ok(server) = TcpStream::connect(target).await else {
        return;
    };
    client.set_nodelay(true).ok();
    server.set_nodelay(true).ok();
    let is_cut = |control: &Control| control.generation != generation;
    let pipes = pipe::both_ways(client, server, orders.clone());
    tokio::select! {
        () = pipes => {}
        _ = orders.wait_for(is_cut) => {}
    }
}

/// Counts a connection for as long as it is open.
struct Open(Arc<Counts>);

impl Open {
    fn new(counts: Arc<Counts>) -> Self {
        counts.open.fetch_add(1, Ordering::SeqCst);
        Self(counts)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

fn listen_anywhere() -> TcpListener {
    let listener = (0..PORT_RACES).find_map(|_| listen(ports::free()));
    listener.expect("a port stays free for the moment between look and use")
}

/// Listens on the port, which connections of before may still be winding down on.
fn listen(port: u16) -> Option<TcpListener> {
    let socket = TcpSocket::new_v4().ok()?;
    socket.set_reuseaddr(true).ok()?;
    socket.bind(address(port)).ok()?;
    socket.listen(BACKLOG).ok()
}

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

const PORT_RACES: usize = 10;
const BACKLOG: u32 = 1024;
