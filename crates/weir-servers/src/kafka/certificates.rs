//! An authority for one cluster, and what it vouches for.

use std::path::{Path, PathBuf};

use thiserror::Error;

/// The files, all PEM, that a TLS client of the cluster needs. The brokers are vouched for as 127.0.0.1 and `localhost`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Certificates {
    /// Certificate of the authority that signed everything: what a client trusts.
    pub authority: PathBuf,
    /// Certificate that a client shows. Its name is [`USER`](super::USER).
    pub client_certificate: PathBuf,
    /// Private key of the client (PKCS #8).
    pub client_key: PathBuf,
    /// Key and certificate of the client in one file, as Java wants them.
    pub(super) client: PathBuf,
    /// Key and certificate of every broker in one file.
    pub(super) broker: PathBuf,
}

/// Why there are no certificates.
#[derive(Debug, Error)]
pub(super) enum CertificatesError {
    #[cfg(feature = "certificates")]
    #[error(transparent)]
    Make(#[from] rcgen::Error),
    #[cfg(feature = "certificates")]
    #[error(transparent)]
    Write(#[from] std::io::Error),
    #[cfg(not(feature = "certificates"))]
    #[error("weir-servers was built without its feature `certificates`")]
    Without,
}

impl Certificates {
    /// Makes new ones in `folder`.
    pub(super) fn make(folder: &Path) -> Result<Self, CertificatesError> {
        #[cfg(feature = "certificates")]
        return make::in_folder(folder);
        #[cfg(not(feature = "certificates"))]
        {
            let _ = folder;
            Err(CertificatesError::Without)
        }
    }
}

#[cfg(feature = "certificates")]
mod make {
    use std::fs;
    use std::path::Path;

    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

    use super::{Certificates, CertificatesError};
    use crate::kafka::USER;

    pub(super) fn in_folder(folder: &Path) -> Result<Certificates, CertificatesError> {
        let mut authority = named("weir test authority", &[])?;
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
        let (broker_key, client_key) = (KeyPair::generate()?, KeyPair::generate()?);
        let broker = named("broker", &["localhost", "127.0.0.1"])?.signed_by(&broker_key, &authority)?.pem();
        let client = named(USER, &[])?.signed_by(&client_key, &authority)?.pem();
        fs::create_dir_all(folder)?;
        let files = Certificates {
            authority: folder.join("authority.pem"),
            client_certificate: folder.join("client.crt.pem"),
            client_key: folder.join("client.key.pem"),
            client: folder.join("client.pem"),
            broker: folder.join("broker.pem"),
        };
        let (broker_key, client_key) = (broker_key.serialize_pem(), client_key.serialize_pem());
        fs::write(&files.authority, authority.pem())?;
        fs::write(&files.client, format!("{client_key}{client}"))?;
        fs::write(&files.broker, format!("{broker_key}{broker}"))?;
        fs::write(&files.client_certificate, client)?;
        fs::write(&files.client_key, client_key)?;
        Ok(files)
    }

    fn named(name: &str, addresses: &[&str]) -> Result<CertificateParams, rcgen::Error> {
        let mut parameters = CertificateParams::new(addresses.iter().copied().map(String::from).collect::<Vec<_>>())?;
        parameters.distinguished_name.push(DnType::CommonName, name);
        Ok(parameters)
    }
}
