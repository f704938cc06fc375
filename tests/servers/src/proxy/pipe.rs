//! The two directions of a connection through the proxy.

use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::{Control, Fault};

/// Carries bytes both ways until both directions have ended, or one of them ends the connection.
pub(super) async fn both_ways(
    client: TcpStream,
    server: TcpStream,
    orders: watch::Receiver<Control>,
) {
    let (mut from_client, to_client) = client.into_split();
    let (mut from_server, to_server) = server.into_split();
    let mut up = Pipe::new(to_server, orders.clone(), |control| control.to_server);
    let mut down = Pipe::new(to_client, orders, |control| control.to_client);
    let ended = tokio::try_join!(up.run(&mut from_client), down.run(&mut from_server));
    if ended == Err(End::Reset) {
        for output in [up.output, down.output] {
            // A socket that does not linger resets its connection when it is closed. Dropping the
            // half would end the stream in good order before.
            output.as_ref().set_zero_linger().ok();
            output.forget();
        }
    }
}

/// How a direction ends the whole connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum End {
    /// It is closed.
    Cut,
    /// It is reset.
    Reset,
}

/// One direction.
struct Pipe {
    output: OwnedWriteHalf,
    orders: watch::Receiver<Control>,
    side: fn(&Control) -> Fault,
    fault: Fault,
    /// How many bytes have passed since the fault was set.
    passed: usize,
    /// What was read and is not yet delivered.
    piece: Piece,
}

/// Bytes, and when they arrive at the earliest.
struct Piece {
    due: Instant,
    bytes: Vec<u8>,
}

impl Pipe {
    fn new(
        output: OwnedWriteHalf,
        orders: watch::Receiver<Control>,
        side: fn(&Control) -> Fault,
    ) -> Self {
        let fault = side(&orders.borrow());
        let piece = Piece { due: Instant::now(), bytes: Vec::new() };
        Self { output, orders, side, fault, passed: 0, piece }
    }

    /// Carries bytes until the sender ends. Reading and delivering go side by side, so that the
    /// delays of two pieces do not add up.
    async fn run(&mut self, input: &mut OwnedReadHalf) -> Result<(), End> {
        let (pieces, arrivals) = mpsc::channel(PIECES_ON_THE_WAY);
        let reading = read(input, pieces, self.orders.clone(), self.side);
        tokio::select! {
            end = self.deliver(arrivals) => end,
            never = reading => match never {},
        }
    }

    async fn deliver(&mut self, mut arrivals: mpsc::Receiver<Piece>) -> Result<(), End> {
        loop {
            self.obey();
            match self.fault {
                Fault::Reset => return Err(End::Reset),
                Fault::HalfClose => return self.finish().await,
                Fault::CutAfter(most) if self.passed >= most => return Err(End::Cut),
                Fault::Blackhole => {
                    self.orders.changed().await.map_err(|_| End::Cut)?;
                    continue;
                }
                _ => {}
            }
            if self.piece.bytes.is_empty() {
                tokio::select! {
                    changed = self.orders.changed() => changed.map_err(|_| End::Cut)?,
                    next = arrivals.recv() => match next {
                        Some(piece) => self.piece = piece,
                        None => return self.finish().await,
                    },
                }
            } else {
                self.deliver_some().await?;
            }
        }
    }

    /// Takes over the fault that holds from now on.
    fn obey(&mut self) {
        let fault = (self.side)(&self.orders.borrow_and_update());
        if fault != self.fault {
            (self.fault, self.passed) = (fault, 0);
        }
    }

    /// Delivers as much of the piece as the fault lets through, unless the fault changes first.
    async fn deliver_some(&mut self) -> Result<(), End> {
        let mut length = self.piece.bytes.len();
        let mut due = Instant::now();
        match self.fault {
            Fault::CorruptAfter(place) => {
                let place = place.checked_sub(self.passed);
                if let Some(byte) = place.and_then(|place| self.piece.bytes.get_mut(place)) {
                    *byte ^= 1;
                }
            }
            Fault::CutAfter(most) => length = length.min(most - self.passed),
            Fault::Delay { .. } => due = self.piece.due,
            Fault::Throttle(rate) => {
                length = length.min((rate / THROTTLE_STEPS).max(1));
                due += Duration::from_secs(1) / (rate / length).max(1) as u32;
            }
            _ => {}
        }
        let bytes = &self.piece.bytes[..length];
        let written = tokio::select! {
            changed = self.orders.changed() => return changed.map_err(|_| End::Cut),
            written = write_at(&mut self.output, bytes, due) => written.map_err(|_| End::Cut)?,
        };
        self.passed += written;
        self.piece.bytes.drain(..written);
        Ok(())
    }

    async fn finish(&mut self) -> Result<(), End> {
        self.output.shutdown().await.map_err(|_| End::Cut)
    }
}

async fn write_at(output: &mut OwnedWriteHalf, bytes: &[u8], due: Instant) -> io::Result<usize> {
    sleep_until(due).await;
    output.write(bytes).await
}

/// Reads until the sender ends, and then waits to be dropped: the end of the pieces tells.
async fn read(
    input: &mut OwnedReadHalf,
    pieces: mpsc::Sender<Piece>,
    orders: watch::Receiver<Control>,
    side: fn(&Control) -> Fault,
) -> Infallible {
    let mut last_due = Instant::now();
    let mut buffer = vec![0; PIECE_BYTES];
    loop {
        let length = input.read(&mut buffer).await.unwrap_or(0);
        if length == 0 {
            break;
        }
        let fault = side(&orders.borrow());
        // Bytes of one connection keep their order.
        last_due = last_due.max(Instant::now() + delay(fault));
        let piece = Piece { due: last_due, bytes: buffer[..length].to_vec() };
        if pieces.send(piece).await.is_err() {
            break;
        }
    }
    drop(pieces);
    pending().await
}

fn delay(fault: Fault) -> Duration {
    match fault {
        Fault::Delay { least, jitter } => least + jitter.mul_f64(fastrand::f64()),
        _ => Duration::ZERO,
    }
}

const PIECE_BYTES: usize = 16 * 1024;
const PIECES_ON_THE_WAY: usize = 64;
/// Into how many steps a throttled second is cut.
const THROTTLE_STEPS: usize = 50;
