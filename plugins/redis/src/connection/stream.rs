//! The bytes to and from a server: TCP with the right options, TLS or a socket file, and a count
//! of what arrived.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use redis::io::tcp::socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout, timeout_at};

use crate::config::{Address, TlsOptions};
use crate::error::Failure;
use crate::tls;

/// When the system asks a silent peer whether it is still there, and how often.
const KEEPALIVE: (Duration, Duration, u32) = (Duration::from_secs(5), Duration::from_secs(1), 3);

/// How long sent bytes may stay unacknowledged before the system gives a connection up.
const USER_TIMEOUT: Duration = Duration::from_secs(3);

/// What has arrived over a socket. Shared by the socket and those who watch it.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    received: AtomicU64,
    fault: OnceLock<Failure>,
}

impl Traffic {
    /// Bytes received so far.
    pub(crate) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Why the socket failed, where it is known better than "it is closed".
    pub(crate) fn fault(&self) -> Option<Failure> {
        self.fault.get().cloned()
    }
}

/// What bytes can be read from and written to.
trait Bytes: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Bytes for S {}

/// A connection to a server.
pub(crate) struct Stream {
    bytes: Box<dyn Bytes>,
    traffic: Arc<Traffic>,
}

impl Stream {
    /// Connects, and encrypts if `tls` says so.
    ///
    /// # Errors
    ///
    /// Why it could not before the deadline.
    pub(crate) async fn connect(
        address: &Address,
        tls: Option<&TlsOptions>,
        traffic: Arc<Traffic>,
        deadline: Instant,
    ) -> Result<Self, Failure> {
        let bytes: Box<dyn Bytes> = match address {
            Address::Tcp { host, port } => {
                let connected = timeout_at(deadline, tcp(host, *port, deadline)).await;
                let stream = connected.unwrap_or_else(|_| Err(Failure::slow("connecting")))?;
                match tls {
                    Some(options) => {
                        let encrypting = tls::encrypt(options, host, stream);
                        let encrypted = timeout_at(deadline, encrypting).await;
                        Box::new(encrypted.unwrap_or_else(|_| Err(Failure::silent()))?)
                    }
                    None => Box::new(stream),
                }
            }
            Address::Unix(path) => socket_file(path).await?,
        };
        Ok(Self { bytes, traffic })
    }
}

#[cfg(test)]
impl Stream {
    /// Bytes that go to a test.
    pub(super) fn of(bytes: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        Self { bytes: Box::new(bytes), traffic: Arc::default() }
    }
}

async fn tcp(host: &str, port: u16, deadline: Instant) -> Result<TcpStream, Failure> {
    let addresses: Vec<_> = lookup_host((host, port)).await.map_err(Failure::io)?.collect();
    let stream = first_of(&addresses, deadline).await?;
    set_options(&stream).map_err(Failure::io)?;
    Ok(stream)
}

/// Connects to the first of the addresses of a name that can be. One that leads nowhere gets a
/// share of the time, so that there is some for the others.
async fn first_of(addresses: &[SocketAddr], deadline: Instant) -> Result<TcpStream, Failure> {
    let mut failure = Failure::away("the name of the server has no address")
        .hint("correct the host, or look at the name service");
    for (index, address) in addresses.iter().enumerate() {
        let left = deadline.saturating_duration_since(Instant::now());
        let rest = u32::try_from(addresses.len() - index).unwrap_or(u32::MAX);
        failure = match timeout(left / rest, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => Failure::io(error),
            Err(_) => Failure::slow("connecting"),
        };
    }
    Err(failure)
}

/// Small commands must not wait for more to come, and a peer that vanished must be noticed.
fn set_options(stream: &TcpStream) -> io::Result<()> {
    let (time, interval, retries) = KEEPALIVE;
    let keepalive = TcpKeepalive::new().with_time(time).with_interval(interval);
    #[cfg(unix)]
    let keepalive = keepalive.with_retries(retries);
    #[cfg(not(unix))]
    let _ = retries;
    let socket = SockRef::from(stream);
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&keepalive)?;
    #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
    socket.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
    Ok(())
}

#[cfg(unix)]
async fn socket_file(path: &std::path::Path) -> Result<Box<dyn Bytes>, Failure> {
    Ok(Box::new(tokio::net::UnixStream::connect(path).await.map_err(Failure::io)?))
}

#[cfg(not(unix))]
async fn socket_file(_: &std::path::Path) -> Result<Box<dyn Bytes>, Failure> {
    let failure =
        Failure::setup("socket files work on Unix only").hint("write `redis://host:port`");
    std::future::ready(Err(failure)).await
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let outcome = Pin::new(&mut self.bytes).poll_read(context, buffer);
        match &outcome {
            Poll::Ready(Ok(())) => {
                let arrived = (buffer.filled().len() - before) as u64;
                self.traffic.received.fetch_add(arrived, Ordering::Relaxed);
            }
            Poll::Ready(Err(error)) => {
                if let Some(fault) = tls::explain(error) {
                    // The first fault is the cause of all others.
                    self.traffic.fault.set(fault).ok();
                }
            }
            Poll::Pending => {}
        }
        outcome
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.bytes).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.bytes).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.bytes).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.bytes).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.bytes.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpSocket};

    use super::*;

    #[tokio::test]
    async fn sockets_send_at_once_and_notice_a_peer_that_is_gone() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        let port = listener.local_addr().unwrap().port();
        let stream = tcp("127.0.0.1", port, deadline).await.unwrap();
        let socket = SockRef::from(&stream);
        assert!(socket.tcp_nodelay().unwrap());
        assert!(socket.keepalive().unwrap());
        #[cfg(target_os = "linux")]
        {
            assert_eq!(socket.tcp_keepalive_time().unwrap(), KEEPALIVE.0);
            assert_eq!(socket.tcp_keepalive_interval().unwrap(), KEEPALIVE.1);
            assert_eq!(socket.tcp_keepalive_retries().unwrap(), KEEPALIVE.2);
            assert_eq!(socket.tcp_user_timeout().unwrap(), Some(USER_TIMEOUT));
        }
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn an_address_that_leads_nowhere_leaves_time_for_the_next_one() {
        // Whoever comes after the one who fills the queue of this listener hears nothing.
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let full = socket.listen(0).unwrap();
        let nowhere = full.local_addr().unwrap();
        let _first = TcpStream::connect(nowhere).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let there = listener.local_addr().unwrap();
        let deadline = Instant::now() + Duration::from_secs(4);
        let stream = first_of(&[nowhere, there], deadline).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), there);
    }
}
