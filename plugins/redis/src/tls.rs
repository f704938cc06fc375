//! Encrypted connections: certificates, names, and why a handshake failed.

use std::io;
use std::path::Path;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{
    AlertDescription, CertificateError, ClientConfig, Error as TlsError, RootCertStore,
};

use crate::config::TlsOptions;
use crate::error::Failure;

/// Encrypts a connection to `host`.
///
/// The files are read with each connection, so that certificates can be renewed while the program
/// runs.
///
/// # Errors
///
/// A file that cannot be used, or the reason for which the two do not trust each other.
pub(crate) async fn encrypt<S>(
    options: &TlsOptions,
    host: &str,
    stream: S,
) -> Result<TlsStream<S>, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let config = {
        let options = options.clone();
        tokio::task::spawn_blocking(move || client_config(&options)).await
    };
    let config = config.map_err(|panic| Failure::setup(panic.to_string()))??;
    let name = options.server_name.as_deref().unwrap_or(host);
    let name = ServerName::try_from(name.to_owned()).map_err(|_| {
        Failure::setup(format!("`{name}` is no name that a certificate can have"))
            .hint("set `server_name` in `tls`")
    })?;
    let connected = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
    connected.map_err(|error| explain(&error).unwrap_or_else(|| Failure::io(error)))
}

fn client_config(options: &TlsOptions) -> Result<ClientConfig, Failure> {
    let versions = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| Failure::setup(format!("TLS cannot be used: {error}")))?;
    let builder = versions.with_root_certificates(authorities(options.ca.as_deref())?);
    let (Some(cert), Some(key)) = (&options.cert, &options.key) else {
        return Ok(builder.with_no_client_auth());
    };
    let certificates = certificates(cert)?;
    let private = PrivateKeyDer::from_pem_file(key)
        .map_err(|error| unreadable("private key", key, &error.to_string()))?;
    builder.with_client_auth_cert(certificates, private).map_err(|error| {
        Failure::setup(format!("the certificate and its key cannot be used: {error}"))
            .hint("check that `key` belongs to `cert`")
    })
}

fn authorities(ca: Option<&Path>) -> Result<RootCertStore, Failure> {
    let mut store = RootCertStore::empty();
    let Some(path) = ca else {
        let found = rustls_native_certs::load_native_certs();
        store.add_parsable_certificates(found.certs);
        if store.is_empty() {
            return Err(Failure::setup("this machine trusts no authorities")
                .hint("set `ca` in `tls`, or install the package `ca-certificates`"));
        }
        return Ok(store);
    };
    for certificate in certificates(path)? {
        store
            .add(certificate)
            .map_err(|error| unreadable("authority", path, &error.to_string()))?;
    }
    Ok(store)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let certificates = read.map_err(|error| unreadable("certificate", path, &error.to_string()))?;
    if certificates.is_empty() {
        return Err(unreadable("certificate", path, "it holds none"));
    }
    Ok(certificates)
}

fn unreadable(what: &str, path: &Path, why: &str) -> Failure {
    Failure::trust(format!("the {what} in `{}` cannot be used: {why}", path.display()))
        .hint("name a file in PEM that this user can read")
}

/// Why TLS failed; none when the error is about something else.
pub(crate) fn explain(error: &io::Error) -> Option<Failure> {
    let cause = error.get_ref()?.downcast_ref::<TlsError>()?;
    Some(match cause {
        TlsError::InvalidCertificate(reason) => untrusted(reason),
        TlsError::AlertReceived(alert) => refused(*alert),
        TlsError::InvalidMessage(_) => Failure::setup("the server does not speak TLS")
            .hint("write `redis://` for a connection in the clear, or the port with TLS"),
        other => Failure::trust(format!("TLS failed: {other}")),
    })
}

/// What is wrong with the certificate of the server.
fn untrusted(reason: &CertificateError) -> Failure {
    match reason {
        CertificateError::UnknownIssuer => {
            Failure::trust("the certificate of the server is signed by an unknown authority")
                .hint("set `ca` in `tls` to the authority that signed it")
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            Failure::trust("the certificate of the server has expired")
                .hint("renew it, or set the clock of this machine")
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            Failure::trust("the certificate of the server is not valid yet")
                .hint("set the clock of this machine")
        }
        CertificateError::NotValidForNameContext { expected, presented } => {
            let presented = presented.join(", ");
            let expected = expected.to_str();
            Failure::trust(format!(
                "the certificate of the server is not for `{expected}`, but for: {presented}"
            ))
            .hint("connect to a name that the certificate has, or set `server_name` in `tls`")
        }
        CertificateError::NotValidForName => {
            Failure::trust("the certificate of the server is for another name")
                .hint("connect to a name that the certificate has, or set `server_name` in `tls`")
        }
        CertificateError::Revoked => {
            Failure::trust("the certificate of the server was revoked").hint("renew it")
        }
        other => Failure::trust(format!("the certificate of the server cannot be used: {other}")),
    }
}

/// What the server says is wrong with ours.
fn refused(alert: AlertDescription) -> Failure {
    match alert {
        AlertDescription::CertificateRequired => {
            Failure::trust("the server asks for a certificate of ours")
                .hint("set `cert` and `key` in `tls`")
        }
        AlertDescription::UnknownCA => {
            Failure::trust("the server does not know the authority that signed our certificate")
                .hint("set `cert` in `tls` to a certificate that the server trusts")
        }
        AlertDescription::CertificateExpired => {
            Failure::trust("our certificate has expired").hint("renew `cert` in `tls`")
        }
        AlertDescription::BadCertificate | AlertDescription::CertificateUnknown => {
            Failure::trust("the server does not accept our certificate")
                .hint("set `cert` and `key` in `tls` to what the server trusts")
        }
        AlertDescription::HandshakeFailure => {
            Failure::trust("the server and this program have no way of encrypting in common")
                .hint("the server needs TLS 1.2 or 1.3; it may also ask for a certificate of ours")
        }
        other => Failure::trust(format!("the server refuses TLS: {other:?}")),
    }
}
