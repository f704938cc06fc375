//! From errors of servers, sockets and TLS to [`CacheError`].

use larder_core::{CacheError, ErrorKind};

/// The error of a connection that could not be used.
pub(crate) fn unreachable(name: &str, cause: redis::RedisError) -> CacheError {
    CacheError::new(ErrorKind::Connection, "cannot reach the server")
        .with("connection", name)
        .caused_by(cause)
}
