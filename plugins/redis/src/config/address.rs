//! Where a server is.

use std::fmt;
use std::path::PathBuf;

/// Where a server is: a host and a port, or a socket file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Address {
    /// A server on the network.
    Tcp {
        /// A name or an IP address, without brackets.
        host: String,
        /// Its port.
        port: u16,
    },
    /// A server on this machine.
    Unix(PathBuf),
}

impl Address {
    pub(crate) fn tcp(host: impl Into<String>, port: u16) -> Self {
        Self::Tcp { host: host.into(), port }
    }

    /// `host:port` as servers write it: the port is what follows the last colon.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        Some(Self::tcp(host.trim_start_matches('[').trim_end_matches(']'), port.parse().ok()?))
    }

    /// The host; none for a socket file.
    pub(crate) fn host(&self) -> Option<&str> {
        match self {
            Self::Tcp { host, .. } => Some(host),
            Self::Unix(_) => None,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_what_follows_the_last_colon() {
        for (text, host, shown) in
            [("a.b:1", "a.b", "a.b:1"), ("::1:1", "::1", "[::1]:1"), ("[::1]:1", "::1", "[::1]:1")]
        {
            let address = Address::parse(text).unwrap();
            assert_eq!(address.host(), Some(host));
            assert_eq!(address.to_string(), shown);
        }
        assert_eq!(Address::parse("a"), None);
        assert_eq!(Address::parse("a:x"), None);
    }
}
