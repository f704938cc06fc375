//! Stands in for `tls.rs` in programs that are built without TLS.

use std::io;

use tokio::io::{AsyncRead, AsyncWrite};

use crate::config::TlsOptions;
use crate::error::Failure;

/// Refuses: there is no falling back to a connection in the clear.
///
/// # Errors
///
/// Always.
pub(crate) async fn encrypt<S>(_: &TlsOptions, _: &str, stream: S) -> Result<S, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    drop(stream);
    let failure = Failure::setup("this program was built without TLS")
        .hint("build it with the feature `tls` of `larder-redis`");
    std::future::ready(Err(failure)).await
}

/// Knows no errors of TLS.
pub(crate) const fn explain(_: &io::Error) -> Option<Failure> {
    None
}
