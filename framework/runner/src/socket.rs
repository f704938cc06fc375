//! The connection to the program, which is the standard input of this process.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// How often a look is taken whether anybody needs this process.
const IDLE: Duration = Duration::from_secs(10);

/// Takes the connection, and puts nothing in its place: a plugin that reads standard input must
/// not read what is meant for us, and a process that it starts must not keep the connection.
pub(crate) fn take() -> io::Result<UnixStream> {
    let socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let no_socket = |_| io::Error::other("standard input is no socket");
    socket.peer_addr().map_err(no_socket)?;
    rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
    Ok(socket)
}

/// Reads from the program, until it has ended or nobody needs this process.
pub(crate) struct Patient<'a> {
    stream: &'a UnixStream,
    is_idle: &'a dyn Fn() -> bool,
}

impl<'a> Patient<'a> {
    pub(crate) fn new(stream: &'a UnixStream, is_idle: &'a dyn Fn() -> bool) -> io::Result<Self> {
        stream.set_read_timeout(Some(IDLE))?;
        Ok(Self { stream, is_idle })
    }
}

impl Read for Patient<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.stream.read(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if (self.is_idle)() {
                        return Ok(0);
                    }
                }
                read => return read,
            }
        }
    }
}
