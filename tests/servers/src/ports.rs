//! Ports for servers that have to come back on the same one.

use std::net::TcpListener;

use crate::LOOPBACK;

/// A port that nobody listens on.
///
/// It lies below those that the kernel gives to outgoing connections, so that none of them sits on
/// it while its server is down. Two processes can still find the same one: who starts a server on
/// it tries again with another.
pub(crate) fn free() -> u16 {
    for _ in 0..ATTEMPTS {
        let port = fastrand::u16(FIRST..=LAST);
        if is_free(port) {
            return port;
        }
    }
    panic!("no port between {FIRST} and {LAST} is free on {LOOPBACK}");
}

/// Whether a listener could have the port.
pub(crate) fn is_free(port: u16) -> bool {
    TcpListener::bind((LOOPBACK, port)).is_ok()
}

const FIRST: u16 = 10_000;
/// The usual start of the ephemeral ports is 32768.
const LAST: u16 = 32_000;
const ATTEMPTS: usize = 1000;
