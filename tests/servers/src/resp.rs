//! The protocol of Redis, as much of it as an operator needs.
//!
//! It is written by hand so that a server is looked at with other eyes than those of the client
//! under test.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// What a server answers.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Reply {
    /// Bytes, or a line such as `OK`.
    Data(Vec<u8>),
    /// A refusal, such as `ERR unknown command`.
    Error(String),
    /// A number.
    Integer(i64),
    /// Several replies.
    List(Vec<Self>),
    /// No value.
    Nil,
}

impl Reply {
    /// The reply as text; of a list its first element's, and nothing of what is not there.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Data(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Self::Error(message) => message.clone(),
            Self::Integer(number) => number.to_string(),
            Self::List(replies) => replies.first().map(Self::text).unwrap_or_default(),
            Self::Nil => String::new(),
        }
    }

    /// The bytes of a value.
    ///
    /// # Panics
    ///
    /// If the reply is not a value.
    #[must_use]
    pub fn bytes(self) -> Vec<u8> {
        match self {
            Self::Data(bytes) => bytes,
            other => panic!("expected a value, got {other:?}"),
        }
    }

    /// The number in the reply.
    ///
    /// # Panics
    ///
    /// If there is none.
    #[must_use]
    pub fn integer(&self) -> i64 {
        let text = self.text();
        text.parse().unwrap_or_else(|_| panic!("expected a number, got {self:?}"))
    }

    /// The elements of the reply, each as text; none of what is not a list.
    #[must_use]
    pub fn texts(&self) -> Vec<String> {
        match self {
            Self::List(replies) => replies.iter().map(Self::text).collect(),
            _ => Vec::new(),
        }
    }
}

/// A connection of an operator.
#[derive(Debug)]
pub(crate) struct Connection {
    reader: BufReader<TcpStream>,
}

impl Connection {
    pub(crate) fn open(port: u16, limit: Duration) -> io::Result<Self> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let stream = TcpStream::connect_timeout(&address, limit)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(limit))?;
        stream.set_write_timeout(Some(limit))?;
        Ok(Self { reader: BufReader::new(stream) })
    }

    /// Sends a command and reads its reply.
    pub(crate) fn ask<A: AsRef<[u8]>>(&mut self, command: &[A]) -> io::Result<Reply> {
        self.send(command)?;
        self.read()
    }

    /// Sends a command and leaves its reply.
    pub(crate) fn send<A: AsRef<[u8]>>(&mut self, command: &[A]) -> io::Result<()> {
        let mut bytes = format!("*{}\r\n", command.len()).into_bytes();
        for argument in command.iter().map(AsRef::as_ref) {
            bytes.extend(format!("${}\r\n", argument.len()).as_bytes());
            bytes.extend(argument);
            bytes.extend(b"\r\n");
        }
        self.reader.get_mut().write_all(&bytes)
    }

    fn read(&mut self) -> io::Result<Reply> {
        let mut line = String::new();
        self.reader.read_line(&mut line)?;
        let line = line.trim_end_matches("\r\n");
        let Some((kind, rest)) = line.split_at_checked(1) else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        match kind {
            "+" => Ok(Reply::Data(rest.into())),
            "-" => Ok(Reply::Error(rest.into())),
            ":" => Ok(Reply::Integer(number(rest)?)),
            "$" => match usize::try_from(number(rest)?) {
                Err(_) => Ok(Reply::Nil),
                Ok(length) => self.read_bytes(length).map(Reply::Data),
            },
            "*" => match usize::try_from(number(rest)?) {
                Err(_) => Ok(Reply::Nil),
                Ok(length) => {
                    (0..length).map(|_| self.read()).collect::<io::Result<_>>().map(Reply::List)
                }
            },
            _ => Err(io::Error::other(format!("a reply begins with `{line}`"))),
        }
    }

    fn read_bytes(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length + 2];
        self.reader.read_exact(&mut bytes)?;
        bytes.truncate(length);
        Ok(bytes)
    }
}

fn number(text: &str) -> io::Result<i64> {
    text.parse().map_err(io::Error::other)
}
