//! From errors of servers, sockets and TLS to [`CacheError`], with what to do about them.

use std::io;

use larder_core::{CacheError, ErrorKind};
use redis::ServerError;

use crate::config::Address;

/// Why a server cannot be used.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) reason: Reason,
    pub(crate) error: CacheError,
}

/// What has to happen before it is worth trying again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The server has to come back, which it may do at any time.
    Away,
    /// Somebody has to change a password or a right, here or there.
    Login,
    /// Somebody has to change how the server, or the connection, is set up.
    Setup,
    /// Somebody has to change a certificate, or which ones are trusted.
    Trust,
}

impl Failure {
    pub(crate) fn new(reason: Reason, message: impl Into<String>) -> Self {
        let error = CacheError::new(ErrorKind::Connection, message.into());
        Self { reason, error }
    }

    pub(crate) fn away(message: impl Into<String>) -> Self {
        Self::new(Reason::Away, message)
    }

    pub(crate) fn setup(message: impl Into<String>) -> Self {
        Self::new(Reason::Setup, message)
    }

    #[cfg_attr(not(feature = "tls"), expect(dead_code, reason = "only TLS tells whom to trust"))]
    pub(crate) fn trust(message: impl Into<String>) -> Self {
        Self::new(Reason::Trust, message)
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.error = self.error.hint(hint.into());
        self
    }

    /// The system could not connect, or lost the connection.
    pub(crate) fn io(cause: io::Error) -> Self {
        let hint = match cause.kind() {
            io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => {
                "start the server, or correct its address"
            }
            io::ErrorKind::PermissionDenied => "let this user open the socket of the server",
            _ => "look at the server and the network between",
        };
        let mut failure = Self::away("cannot reach the server").hint(hint);
        failure.error = failure.error.caused_by(cause);
        failure
    }

    /// A step of connecting took too long.
    pub(crate) fn slow(step: &'static str) -> Self {
        Self::away(format!("the server did not answer in time while {step}"))
            .hint("look at the server and the network between, or raise `connect_timeout`")
    }

    /// The server says nothing when it is asked to encrypt.
    pub(crate) fn silent() -> Self {
        Self::away("the server did not answer in time while TLS was set up").hint(
            "look at the server; a server without TLS says nothing either, and is reached with \
             `redis://`",
        )
    }

    /// The server answered a command of the greeting with an error.
    pub(crate) fn refused(command: &str, error: &ServerError) -> Self {
        let said = error.details().unwrap_or_default();
        match error.code() {
            "WRONGPASS" => Self::new(Reason::Login, "the server refuses the user or the password")
                .hint(
                    "correct `username` and `password`; with `password_file` a new password is \
                       picked up without a restart",
                ),
            "NOAUTH" => Self::new(Reason::Login, "the server asks for a password")
                .hint("add `password`, or `password_file`"),
            "NOPERM" => Self::new(Reason::Login, format!("the user may not use `{command}`"))
                .hint("give the user the commands that `docs/redis.md` lists"),
            "LOADING" => Self::away("the server is loading its data"),
            "MASTERDOWN" => Self::away("the server is a replica that has lost its primary"),
            "ERR" if said.starts_with("unknown command") && command == "HELLO" => {
                Self::setup("the server is older than Redis 7.0")
                    .hint("update it; Redis 7.0 and Valkey 7.2 are the oldest that work")
            }
            "ERR" if said.contains("without any password configured") => {
                Self::new(Reason::Login, "the server has no password, and refuses ours")
                    .hint("leave out `password`, or set one at the server")
            }
            "ERR" if said.contains("max number of clients") => {
                Self::away("the server has as many clients as it takes")
                    .hint("raise `maxclients` at the server, or lower `pool_size`")
            }
            // Some servers repeat in their answer what they were sent, and that has the password.
            code if command == "HELLO" => Self::setup(format!(
                "the server refuses `{command}`: {code}"
            ))
            .hint("see the log of the server; Redis 7.0 and Valkey 7.2 are the oldest that work"),
            code => Self::setup(format!("the server refuses `{command}`: {code} {said}")),
        }
    }

    /// Says which server it is about.
    pub(crate) fn at(mut self, connection: &str, server: &Address) -> Self {
        self.error = self.error.with("connection", connection).with("server", server);
        self
    }
}

/// The error of commands whose answer is lost, so that nobody knows whether they were carried out.
pub(crate) fn lost() -> CacheError {
    CacheError::new(ErrorKind::Connection, "the connection broke before the answer was there")
}

/// The error of commands that were not sent, for others were not answered in time.
pub(crate) fn left_alone() -> CacheError {
    let message = "the server has left others waiting, and is not asked for a while";
    CacheError::new(ErrorKind::Connection, message)
}

/// The error of commands that were not answered in time.
pub(crate) fn timed_out(limit: std::time::Duration) -> CacheError {
    CacheError::new(ErrorKind::Timeout, "the server did not answer in time")
        .with("limit", larder_core::HumanDuration(limit))
}

/// The error of a command that the server answered with an error.
pub(crate) fn of_answer(error: &ServerError) -> CacheError {
    let (code, said) = (error.code(), error.details().unwrap_or_default());
    let (kind, message, hint) = match code {
        "OOM" => (
            ErrorKind::Capacity,
            "the server has no memory left",
            "raise `maxmemory` at the server, or choose an evicting `maxmemory-policy`",
        ),
        "NOPERM" => (
            ErrorKind::Connection,
            "the user may not do this",
            "give the user the commands and keys that `docs/redis.md` lists",
        ),
        "NOAUTH" | "WRONGPASS" => (
            ErrorKind::Connection,
            "the server asks for a password",
            "correct `username` and `password` of the connection",
        ),
        "READONLY" => (
            ErrorKind::Connection,
            "the server is a replica and takes no writes",
            "name the primary, or use Sentinels",
        ),
        "MISCONF" => (
            ErrorKind::Connection,
            "the server takes no writes, for it cannot save its data",
            "look at its disk and its log",
        ),
        "NOREPLICAS" => (
            ErrorKind::Connection,
            "the server takes no writes, for too few replicas follow it",
            "look at the replicas, and at `min-replicas-to-write`",
        ),
        "LOADING" | "MASTERDOWN" | "CLUSTERDOWN" | "TRYAGAIN" => (
            ErrorKind::Connection,
            "the server cannot serve at this moment",
            "it mostly can a little later",
        ),
        "CROSSSLOT" => (
            ErrorKind::Plugin,
            "commands for several slots of a cluster were sent together",
            "report this as a bug",
        ),
        "ERR" if said.starts_with("unknown command") => (
            ErrorKind::Unsupported,
            "the server does not know a command",
            "use Redis 7.0, Valkey 7.2 or later, and rename no commands",
        ),
        "ERR" if said.contains("string exceeds maximum") => (
            ErrorKind::Capacity,
            "the entry is too large for the server",
            "raise `proto-max-bulk-len` at the server, or set `max_value_size` of the cache",
        ),
        _ => (ErrorKind::Plugin, "the server refuses the command", "see what it says"),
    };
    CacheError::new(kind, message).with("answer", format_args!("{code} {said}")).hint(hint)
}
