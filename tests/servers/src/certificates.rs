//! What TLS needs, good and bad.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};
use tempfile::TempDir;

/// Two authorities and the identities they signed, as PEM files in a directory.
///
/// `ca.pem` is the authority that signed all [identities](Identity), `other-ca.pem` signed none.
#[derive(Debug)]
pub struct Certificates {
    directory: TempDir,
}

/// Who a certificate of [`Certificates`] is for. Its files are `<name>.pem` and `<name>.key`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Identity {
    /// `client`, for a client.
    Client,
    /// `expired`, for `localhost`, valid until 2001.
    Expired,
    /// `server`, for `localhost` and `127.0.0.1`.
    Server,
    /// `wrong-name`, for `elsewhere.example`.
    WrongName,
}

impl Identity {
    /// The name of its files, without extension.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Expired => "expired",
            Self::Server => "server",
            Self::WrongName => "wrong-name",
        }
    }
}

impl Certificates {
    /// Makes fresh keys and certificates.
    #[must_use]
    pub fn generate() -> Self {
        let directory = TempDir::new().expect("a temporary directory can be made");
        let made = Self { directory };
        let authority = authority("larder test authority");
        made.write("ca.pem", &authority.pem());
        made.write("other-ca.pem", &self::authority("another authority").pem());
        let identities =
            [Identity::Client, Identity::Expired, Identity::Server, Identity::WrongName];
        for identity in identities {
            let key = KeyPair::generate().expect("a key can be made");
            let certificate = parameters(identity).signed_by(&key, &authority);
            let certificate = certificate.expect("the authority can sign");
            made.write(&format!("{}.pem", identity.name()), &certificate.pem());
            made.write(&format!("{}.key", identity.name()), &key.serialize_pem());
        }
        made
    }

    /// Where the files are.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The path of one file, such as `ca.pem` or `client.key`.
    #[must_use]
    pub fn path(&self, file: &str) -> PathBuf {
        self.directory().join(file)
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.path(file), text).expect("the directory can be written to");
    }
}

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let key = KeyPair::generate().expect("a key can be made");
    CertifiedIssuer::self_signed(parameters, key).expect("an authority can sign itself")
}

fn parameters(identity: Identity) -> CertificateParams {
    let names = match identity {
        Identity::WrongName => vec!["elsewhere.example".to_owned()],
        _ => vec!["localhost".to_owned(), crate::LOOPBACK.to_owned()],
    };
    let mut parameters = CertificateParams::new(names).expect("the names are names");
    parameters.distinguished_name.push(DnType::CommonName, identity.name());
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    parameters.extended_key_usages = vec![match identity {
        Identity::Client => ExtendedKeyUsagePurpose::ClientAuth,
        _ => ExtendedKeyUsagePurpose::ServerAuth,
    }];
    if identity == Identity::Expired {
        parameters.not_before = date_time_ymd(2000, 1, 1);
        parameters.not_after = date_time_ymd(2001, 1, 1);
    }
    parameters
}
